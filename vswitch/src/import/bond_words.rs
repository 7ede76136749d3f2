//! The options of one bond: words `key=value` as they stand in BONDING_OPTS or in the options of the driver.

use bond_port::{BondOptions, OptionError};

use super::{Findings, Place, quoted};

/// A word and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) place: Place,
}

/// Why a word that the driver takes is left out, although the option parser refuses it: it asks for nothing that a
/// switch has.
fn dropped(key: &str, value: &str) -> Option<&'static str> {
    match key {
        "use_carrier" if matches!(value, "0" | "off") => {
            Some("carrier is always watched, by kernel events, and never asked for by ioctl")
        }
        "tx_queues" if value.parse::<u8>().is_ok_and(|queues| queues > 0) => {
            Some("the bond is no network device and has no transmit queues")
        }
        _ => None,
    }
}

/// The words that `add-bond` gets. Each is tried on the option parser of the daemon; what it refuses is a problem. Of
/// several words for one option the last one counts. `place` is that of the bond.
pub(super) fn settle(bond: &str, words: &[Word], place: &Place, findings: &mut Findings) -> Vec<String> {
    let mut options = BondOptions::default();
    let mut kept: Vec<(&str, &Word)> = Vec::new();
    let before = findings.problems.len();
    for word in words {
        let Some((key, value)) = word.text.split_once('=').filter(|(key, _)| !key.is_empty()) else {
            findings.problem(&word.place, format!("{} is not OPTION=VALUE", quoted(&word.text)));
            continue;
        };
        if let Err(error) = options.set(key, value) {
            match dropped(key, value) {
                Some(why) => findings.note(&word.place, format!("{} is left out: {why}", word.text)),
                None => findings.problem(&word.place, format!("{bond}: {error}")),
            }
            continue;
        }
        let name = BondOptions::canonical(key).unwrap_or_default();
        // The network scripts add each target, the driver takes the last list: better to ask.
        let is_list = matches!(name, "arp_ip_target" | "ns_ip6_target");
        if is_list && kept.iter().any(|(other, earlier)| *other == name && earlier.place == word.place) {
            findings.problem(
                &word.place,
                format!("{name} is there twice; write all targets in one, with commas"),
            );
        }
        kept.retain(|(other, _)| *other != name);
        kept.push((name, word));
    }
    if findings.problems.len() > before {
        return Vec::new();
    }
    let mut texts: Vec<String> = kept.iter().map(|(_, word)| word.text.clone()).collect();
    if !kept.iter().any(|(name, _)| *name == "mode") {
        findings.note(place, format!("no mode is given for {bond}; Linux's default is taken, balance-rr"));
        texts.insert(0, "mode=balance-rr".to_owned());
        // The option parser knows this word.
        let _ = options.set("mode", "balance-rr");
    }
    if let Err(error) = options.check() {
        let named = match &error {
            OptionError::NotInMode { option, .. } | OptionError::NoProbes { option, .. } => {
                kept.iter().find(|(name, _)| name == option)
            }
            _ => kept.last(),
        };
        findings.problem(named.map_or(place, |(_, word)| &word.place), format!("{bond}: {error}"));
    }
    texts
}
