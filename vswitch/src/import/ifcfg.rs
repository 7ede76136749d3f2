//! A directory of `ifcfg-*` files, as of the network scripts (`/etc/sysconfig/network-scripts`) or NetworkManager.

use super::devices::{Device, is_copy, is_read};
use super::{Findings, Host, MAX_FILES, Outcome, Place, Source, plan};

/// Plans what makes the switch what the files describe. Their order is free. `bridge` is the bridge for bonds that name
/// none.
///
/// # Errors
/// Everything in the files that is wrong, can't be done, or is not clear.
pub fn plan(sources: &[Source], host: &Host, bridge: Option<&str>) -> Outcome {
    let mut findings = Findings::default();
    let mut sources: Vec<&Source> = sources.iter().collect();
    // The network scripts let the shell list the files of a bond's members: by name, octet by octet.
    sources.sort_by(|a, b| a.name.cmp(&b.name));
    if let Some(surplus) = sources.get(MAX_FILES) {
        let place = Place { file: surplus.name.clone(), line: 0 };
        findings.problem(&place, format!("there are more than {MAX_FILES} files"));
        return findings.conclude(Vec::new());
    }
    let mut devices = Vec::new();
    for source in sources {
        let place = Place { file: source.name.clone(), line: 0 };
        if is_copy(&source.name) {
            findings.note(&place, "passed over, as the network scripts do: it is a copy");
        } else if is_read(&source.name) {
            devices.extend(Device::read(source, host, &mut findings));
        }
    }
    let steps = plan::steps(&devices, host, bridge, &mut findings);
    findings.conclude(steps)
}
