//! `ifcfg-*` files one by one: what each says of its device.

use std::collections::BTreeMap;

use bond_port::BondOptions;
use forwarding::mac::MacAddr;

use super::keys::{self, Meaning};
use super::{Findings, Host, Place, Source, quoted, shell, text_of};

/// A value and where it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) text: String,
    pub(super) place: Place,
}

/// What a file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Device {
    /// The network device.
    pub(super) name: String,
    /// Where it is named.
    pub(super) place: Place,
    values: BTreeMap<String, Value>,
}

/// What TYPE and its relatives make of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bond,
    Bridge,
    Vlan,
    Other,
}

/// Ends of names that the network scripts and NetworkManager pass over: copies that editors and packages leave.
const COPIES: &[&str] =
    &["~", ".bak", ".old", ".orig", ".rej", ".rpmnew", ".rpmorig", ".rpmsave", ".augnew", ".augtmp", ".swp"];

/// Whether the network scripts read a file of this name as the description of a device. Names with a colon are those of
/// additional addresses, and `-range` those of many.
pub(super) fn is_read(name: &str) -> bool {
    name.strip_prefix("ifcfg-").is_some_and(|rest| !rest.is_empty() && rest != "lo")
        && !is_copy(name)
        && !name.contains(':')
        && !name.ends_with("-range")
}

/// Whether it is a copy of such a file.
pub(super) fn is_copy(name: &str) -> bool {
    name.starts_with("ifcfg-") && COPIES.iter().any(|end| name.ends_with(end))
}

impl Device {
    /// Reads a file. `None` if it names no device.
    pub(super) fn read(source: &Source, host: &Host, findings: &mut Findings) -> Option<Self> {
        let text = match text_of(source) {
            Ok(text) => text,
            Err(problem) => {
                findings.problems.push(problem);
                return None;
            }
        };
        let place = |line| Place { file: source.name.clone(), line };
        let (found, wrong) = shell::parse(&text);
        for (line, problem) in wrong {
            findings.problem(&place(line), problem);
        }
        let mut values = BTreeMap::new();
        for found in found {
            let place = place(found.line);
            match keys::meaning(&found.key) {
                Some(Meaning::Read) if found.expands => findings.problem(
                    &place,
                    format!("{}: nothing is expanded here; write the value itself instead of $ or `", found.key),
                ),
                Some(_) => (),
                None if BondOptions::canonical(&found.key).is_ok() => findings.problem(
                    &place,
                    format!(
                        "{} stands alone; options of a bond belong together between the quotes of BONDING_OPTS=\"...\"",
                        found.key
                    ),
                ),
                None => findings.note(
                    &place,
                    format!("unknown key {} is ignored{}", found.key, keys::suggestion(&found.key)),
                ),
            }
            // The last one counts, as in a shell.
            values.insert(found.key, Value { text: found.value, place });
        }
        values.retain(|_, value| !value.text.is_empty());
        let mut device = Self { name: String::new(), place: place(0), values };
        device.find_name(source, host, findings);
        Some(device)
    }

    /// The device's name: as the file says; as the device is called that has the address; or as the file is called.
    fn find_name(&mut self, source: &Source, host: &Host, findings: &mut Findings) {
        if let Some(value) = self.get("DEVICE") {
            (self.name, self.place) = (value.text.clone(), value.place.clone());
            return;
        }
        if let Some(value) = self.get("HWADDR")
            && let Ok(mac) = value.text.parse()
            && let Some(name) = host.named(mac)
        {
            (self.name, self.place) = (name.to_owned(), value.place.clone());
            return;
        }
        let rest = source.name.strip_prefix("ifcfg-").unwrap_or_default();
        rest.clone_into(&mut self.name);
        if self.is_concerned() {
            findings
                .note(&self.place, format!("there is no DEVICE=; {rest} is taken, as the file is called"));
        }
    }

    /// A value that is there and not empty.
    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.values.get(key)
    }

    fn is(&self, key: &str, wanted: &str) -> bool {
        self.get(key).is_some_and(|value| value.text.eq_ignore_ascii_case(wanted))
    }

    /// `Some(false)` if it says no, in one of the ways in which the network scripts and NetworkManager take it.
    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        let text = self.get(key)?.text.to_ascii_lowercase();
        Some(matches!(text.as_str(), "yes" | "y" | "true" | "t" | "1"))
    }

    /// What the file itself says that the device is.
    pub(super) fn kind(&self) -> Kind {
        if self.is("TYPE", "Bridge") {
            Kind::Bridge
        } else if self.is("TYPE", "Bond")
            || self.flag("BONDING_MASTER") == Some(true)
            || self.get("BONDING_OPTS").is_some() && self.master().is_none()
        {
            Kind::Bond
        } else if self.is("TYPE", "Vlan") || self.flag("VLAN") == Some(true) {
            Kind::Vlan
        } else {
            Kind::Other
        }
    }

    /// The bond of which it is a member, by name or UUID.
    pub(super) fn master(&self) -> Option<&Value> {
        self.get("MASTER").or_else(|| self.get("MASTER_UUID")).filter(|_| self.flag("SLAVE") != Some(false))
    }

    /// The bridge of which it is a port, by name or UUID.
    pub(super) fn bridge(&self) -> Option<&Value> {
        self.get("BRIDGE").or_else(|| self.get("BRIDGE_UUID"))
    }

    /// Whether the file has to do with bonds or bridges at all.
    pub(super) fn is_concerned(&self) -> bool {
        matches!(self.kind(), Kind::Bond | Kind::Bridge)
            || self.master().is_some()
            || self.bridge().is_some()
            || self.flag("SLAVE") == Some(true)
    }

    /// The device below a VLAN device.
    pub(super) fn below(&self) -> Option<&str> {
        let by_name = || self.name.rsplit_once('.').map(|(below, _)| below);
        self.get("PHYSDEV").map(|value| value.text.as_str()).or_else(by_name)
    }

    /// The VLAN of a VLAN device as text, if it can be told.
    pub(super) fn vlan(&self) -> Option<&str> {
        let by_name = || {
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            let behind = self.name.rsplit_once('.').map(|(_, number)| number);
            behind.or_else(|| self.name.strip_prefix("vlan")).filter(|number| digits(number))
        };
        self.get("VLAN_ID").map(|value| value.text.as_str()).or_else(by_name)
    }

    /// Keys that give the device addresses, and the place of the first.
    pub(super) fn addresses(&self) -> Option<(String, &Place)> {
        let asks = |value: &&Value| {
            matches!(value.text.to_ascii_lowercase().as_str(), "dhcp" | "bootp" | "ibft" | "autoip")
        };
        let boot = self.get("BOOTPROTO").filter(asks).map(|value| ("BOOTPROTO", value));
        let given = self.values.iter().filter(|(key, _)| keys::meaning(key) == Some(Meaning::Address));
        let all: Vec<_> = boot.into_iter().chain(given.map(|(key, value)| (key.as_str(), value))).collect();
        let first = all.iter().map(|(_, value)| &value.place).min()?;
        let mut names: Vec<_> = all.iter().map(|(key, value)| (&value.place, *key)).collect();
        names.sort();
        Some((names.into_iter().map(|(_, key)| key).collect::<Vec<_>>().join(", "), first))
    }

    /// What an import does not do, with its place.
    pub(super) fn not_done(&self) -> impl Iterator<Item = (&Place, String)> {
        self.values.iter().filter_map(|(key, value)| match keys::meaning(key) {
            Some(Meaning::NotDone(text))
                if key != "STP" || self.flag("STP") == Some(true) || self.is("STP", "on") =>
            {
                Some((&value.place, format!("{key}={} is not imported: {text}", value.text)))
            }
            _ => None,
        })
    }

    /// Holds HWADDR against the device: the network scripts leave a device with another address alone. Nothing is said
    /// of a device that this host does not have (yet); the daemon says it.
    pub(super) fn check_address(&self, host: &Host, findings: &mut Findings) {
        let Some(value) = self.get("HWADDR") else { return };
        let mac: MacAddr = match value.text.parse() {
            Ok(mac) => mac,
            Err(error) => return findings.problem(&value.place, format!("HWADDR: {error}")),
        };
        let Some(macs) = &host.macs else {
            return findings.note(&value.place, "HWADDR is not checked: the devices can't be listed");
        };
        let name = &self.name;
        let called = host.named(mac).map(|other| format!("; the device with that address is {other}"));
        match macs.get(name) {
            Some(actual) if *actual == mac => (),
            Some(actual) => findings.problem(
                &value.place,
                format!(
                    "HWADDR is {mac}, but {name} has {actual}{}; correct DEVICE or HWADDR, or take HWADDR out",
                    called.unwrap_or_default()
                ),
            ),
            None => {
                if let Some(called) = called {
                    findings.problem(
                        &value.place,
                        format!("there is no device {}{called}; correct DEVICE, or rename the device", quoted(name)),
                    );
                }
            }
        }
    }
}

impl Host {
    /// The device that has this address.
    fn named(&self, mac: MacAddr) -> Option<&str> {
        let mut with_it = self.macs.iter().flatten().filter(|(_, actual)| **actual == mac);
        let (name, _) = with_it.next()?;
        // A VLAN device and the one below have the same: no answer is better than a wrong one.
        with_it.next().is_none().then_some(name)
    }
}
