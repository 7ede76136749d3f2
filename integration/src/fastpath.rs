//! The kernel fast path of our switch, seen from outside: whether it can be used here, where the program is attached,
//! what is pinned, and how many frames are left to the workers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::netns::Namespace;
use crate::sys::{self, Tcx};

/// Where daemons pin what outlives them, a directory each.
const PINS: &str = "/sys/fs/bpf/vswitch";
/// How the names of the TAPs begin by which workers get what the fast path leaves to them.
pub const MISS_QUEUE: &str = "vsw-miss";
/// The program's name in the kernel.
const PROGRAM: &str = "vsw_forward";

/// Why no BPF program can be loaded here, if so.
pub fn problem() -> Option<String> {
    let error = sys::make_privileged_bpf_map().err()?;
    Some(format!("needs BPF, which takes root outside of user namespaces: {error}"))
}

/// Devices of a namespace to which a BPF program is attached, at ingress or at egress.
pub fn hooked(namespace: &Namespace) -> Result<BTreeSet<String>> {
    let links = namespace.ip_json("link show")?;
    let names = links.as_array().into_iter().flatten().filter_map(|link| link["ifname"].as_str());
    let mut hooked = BTreeSet::new();
    for name in names {
        for (side, word) in [(Tcx::Ingress, "ingress"), (Tcx::Egress, "egress")] {
            let found = match namespace.enter(|| sys::attached_programs(name, side)) {
                Ok(count) => count > 0,
                // Before Linux 6.6 the program is a filter of the clsact qdisc.
                Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                    let filters = namespace.run(&format!("tc filter show dev {name} {word}"));
                    filters.is_ok_and(|filters| filters.contains(PROGRAM))
                }
                Err(error) => return Err(error).with_context(|| format!("programs of {name}")),
            };
            if found {
                hooked.insert(name.to_owned());
            }
        }
    }
    Ok(hooked)
}

/// Frames of ports that were left to the workers of the daemon in a namespace, since it started.
pub fn left_to_workers(namespace: &Namespace) -> Result<u64> {
    let counters = namespace.frame_counters()?;
    let queues = counters.iter().filter(|(name, _, _)| name.starts_with(MISS_QUEUE));
    Ok(queues.map(|(_, _, sent)| sent).sum())
}

/// What the daemon whose run directory is in this directory has pinned. The last part of the directory's name must be
/// unique and of letters, digits and dashes, as those of temporary directories are.
pub fn pins(directory: &Path) -> Vec<PathBuf> {
    let Some(part) = directory.file_name().and_then(|name| name.to_str()) else { return Vec::new() };
    let entries = std::fs::read_dir(PINS).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths.filter(|path| path.to_string_lossy().contains(part)).collect()
}
