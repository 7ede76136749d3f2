//! The options of one member of a bond: Linux's names, values and defaults.
//!
//! Keys and values are written as those of a bond ([`crate::options`]): `prio`, `bond-prio`, `other_config:bond-prio`.

use thiserror::Error;

use crate::mode::Mode;
use crate::options::{BondOptions, plain_key};

/// All options of a member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberOptions {
    /// Preference as the active member in modes that have one: the highest of those that are up, as far as
    /// `primary_reselect` lets it. Any 32-bit number, default 0. Without effect while the bond's
    /// primary is up.
    pub prio: i32,
    /// What belongs to LACP: `actor_port_prio`, and OVS's `lacp_port_id` and `lacp_aggregation_key`. They have an
    /// effect in mode 802.3ad only.
    pub lacp: lacp::PortOptions,
}

/// Why an option of a member was not set; its options are unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MemberOptionError {
    /// No such option.
    #[error("unknown member option \"{name}\"; a member has the options {}", names())]
    Unknown {
        /// As it was written.
        name: String,
    },
    /// An option that Linux has for a member and this version has not.
    #[error("member option \"{name}\" exists in Linux but is not supported by this version: {reason}")]
    Elsewhere {
        /// The option.
        name: &'static str,
        /// Why, and what to do.
        reason: &'static str,
    },
    /// An option of the whole bond.
    #[error("\"{name}\" is an option of the bond, not of a member; set it on the bond")]
    OfBond {
        /// The option.
        name: &'static str,
    },
    /// A value outside what the option allows.
    #[error("member option {option}: \"{value}\" is not a valid value; allowed: {allowed}")]
    Value {
        /// The option.
        option: &'static str,
        /// What was found.
        value: String,
        /// The range.
        allowed: &'static str,
    },
}

/// One option.
struct Entry {
    name: &'static str,
    get: fn(&MemberOptions) -> String,
    set: fn(&mut MemberOptions, &str) -> Option<()>,
    allowed: &'static str,
}

const OPTIONS: &[Entry] = &[
    Entry {
        name: "prio",
        get: |o| o.prio.to_string(),
        set: |o, text| number(text).map(|prio| o.prio = prio),
        allowed: "-2147483648 to 2147483647",
    },
    Entry {
        name: "actor_port_prio",
        get: |o| o.lacp.actor_port_prio.to_string(),
        set: |o, text| number(text).map(|prio| o.lacp.actor_port_prio = prio),
        allowed: "0-65535",
    },
    Entry {
        name: "lacp_port_id",
        get: |o| written(o.lacp.port_number),
        set: |o, text| from_1(text).map(|number| o.lacp.port_number = number),
        allowed: "1-65535, or nothing to let the bond number its ports",
    },
    Entry {
        name: "lacp_aggregation_key",
        get: |o| written(o.lacp.aggregation_key),
        set: |o, text| from_1(text).map(|key| o.lacp.aggregation_key = key),
        allowed: "1-65535, or nothing for the key from speed and duplex",
    },
];

/// Options that Linux has for a member, and why they are not here.
const ELSEWHERE: &[(&str, &str)] =
    &[("queue_id", "the switch has no transmit queues that a member could be chosen by; leave it out")];

/// OVS's name of an option of Linux.
const ALIASES: &[(&str, &str)] = &[("lacp_port_priority", "actor_port_prio")];

fn names() -> String {
    OPTIONS.iter().map(|option| option.name).collect::<Vec<_>>().join(", ")
}

/// A number written with digits, and a minus if it may be negative.
fn number<T: core::str::FromStr>(text: &str) -> Option<T> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    number.then(|| text.parse().ok()).flatten()
}

/// A number from 1 on, or nothing.
fn from_1(text: &str) -> Option<Option<u16>> {
    if text.is_empty() { Some(None) } else { number(text).filter(|number| *number > 0).map(Some) }
}

fn written(number: Option<u16>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

fn find(key: &str) -> Result<&'static Entry, MemberOptionError> {
    let plain = plain_key(key);
    let alias = ALIASES.iter().find(|(alias, _)| *alias == plain);
    let plain = alias.map_or(plain.as_str(), |(_, name)| name);
    if let Some(option) = OPTIONS.iter().find(|option| option.name == plain) {
        return Ok(option);
    }
    if let Some((name, reason)) = ELSEWHERE.iter().find(|(name, _)| *name == plain) {
        return Err(MemberOptionError::Elsewhere { name, reason });
    }
    if let Ok(name) = BondOptions::canonical(plain) {
        return Err(MemberOptionError::OfBond { name });
    }
    Err(MemberOptionError::Unknown { name: key.trim().to_owned() })
}

impl MemberOptions {
    /// Sets an option from text; `default` stands for the default.
    ///
    /// # Errors
    /// The key is unknown, not an option of this version, or the value is not allowed; nothing is changed then.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), MemberOptionError> {
        let option = find(key)?;
        let value = value.trim();
        let default = (option.get)(&Self::default());
        let text = if value == "default" { &default } else { value };
        (option.set)(self, text).ok_or_else(|| MemberOptionError::Value {
            option: option.name,
            value: value.to_owned(),
            allowed: option.allowed,
        })
    }

    /// The value of an option, as it can be given to [`Self::set`].
    ///
    /// # Errors
    /// As [`Self::set`] for the key.
    pub fn get(&self, key: &str) -> Result<String, MemberOptionError> {
        find(key).map(|option| (option.get)(self))
    }

    /// The option's own name for any accepted spelling of its key.
    ///
    /// # Errors
    /// As [`Self::set`] for the key.
    pub fn canonical(key: &str) -> Result<&'static str, MemberOptionError> {
        find(key).map(|option| option.name)
    }

    /// All options with their values.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        OPTIONS.iter().map(|option| (option.name, (option.get)(self))).collect()
    }

    /// The options that differ from their defaults: what a state file holds.
    pub fn changed_entries(&self) -> Vec<(&'static str, String)> {
        let defaults = Self::default().entries();
        let differs = |((name, value), (_, default))| (value != default).then_some((name, value));
        self.entries().into_iter().zip(defaults).filter_map(differs).collect()
    }

    /// What is accepted but has no effect in a bond with these options and members; for the user to read. To be shown
    /// when an option of a member is set.
    pub fn warnings<'a>(
        &self,
        bond: &BondOptions,
        members: impl IntoIterator<Item = &'a str>,
    ) -> Vec<String> {
        let primary = members.into_iter().find(|member| Some(*member) == bond.primary.as_deref());
        let of_lacp = self.changed_entries().into_iter().filter(|(name, _)| *name != "prio");
        let mut warnings = match primary {
            _ if self.prio == 0 => Vec::new(),
            _ if !bond.mode.has_active_member() => {
                vec![format!(
                    "member option prio: it is stored, but mode {} has no active member to be preferred",
                    bond.mode
                )]
            }
            Some(primary) => vec![format!(
                "member option prio: it is stored, but will not affect which member is active while the primary \
                 {primary} is set and up; clear it (primary=) if prio is to decide"
            )],
            None => Vec::new(),
        };
        if bond.mode != Mode::Ieee8023ad {
            warnings.extend(of_lacp.map(|(name, _)| {
                format!(
                    "member option {name}: it is stored, but mode {} ignores it; it belongs to {}",
                    bond.mode,
                    Mode::Ieee8023ad
                )
            }));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(key: &str, value: &str) -> String {
        MemberOptions::default().set(key, value).expect_err(key).to_string()
    }

    #[test]
    fn any_32_bit_number() {
        let mut options = MemberOptions::default();
        for (key, value) in
            [("prio", "-2147483648"), ("bond-prio", "2147483647"), ("other_config:bond_prio", "-50")]
        {
            options.set(key, value).unwrap();
            assert_eq!(options.get("prio").unwrap(), value);
            assert_eq!(options.changed_entries(), [("prio", value.to_owned())]);
        }
        options.set("prio", "default").unwrap();
        assert_eq!((options.changed_entries(), &options.entries()[0]), (vec![], &("prio", "0".to_owned())));
    }

    #[test]
    fn errors_name_what_was_found_and_what_to_do() {
        for value in ["2147483648", "", "-", "+5", "1.5", "high", "--1"] {
            assert_eq!(
                refused("prio", value),
                format!(
                    "member option prio: \"{value}\" is not a valid value; allowed: -2147483648 to 2147483647"
                )
            );
        }
        assert_eq!(
            refused("pri", "1"),
            "unknown member option \"pri\"; a member has the options prio, actor_port_prio, lacp_port_id, \
             lacp_aggregation_key"
        );
        assert_eq!(
            refused("bond_mode", "1"),
            "\"mode\" is an option of the bond, not of a member; set it on the bond"
        );
        assert!(refused("queue_id", "1").contains("no transmit queues"));
        assert!(refused("actor_port_prio", "65536").contains("allowed: 0-65535"));
        assert!(refused("lacp-port-id", "0").contains("allowed: 1-65535"));
        assert!(refused("actor_port_prio", "-1").contains("allowed: 0-65535"));
    }

    #[test]
    fn a_prio_that_decides_nothing_is_told() {
        let members = ["eth0", "eth1"];
        let warnings = |prio, words: &[(&str, &str)]| {
            let mut bond = BondOptions::default();
            words.iter().for_each(|(key, value)| bond.set(key, value).unwrap());
            MemberOptions { prio, ..MemberOptions::default() }.warnings(&bond, members)
        };
        assert_eq!(warnings(5, &[]), [""; 0]);
        assert_eq!(warnings(5, &[("primary", "eth7")]), [""; 0], "a primary that is no member");
        assert_eq!(warnings(0, &[("primary", "eth0")]), [""; 0]);
        assert!(warnings(5, &[("primary", "eth0")])[0].contains("while the primary eth0 is set"));
        assert!(warnings(5, &[("mode", "2")])[0].contains("balance-xor has no active member"));
    }

    #[test]
    fn options_of_lacp_have_their_names_in_ovs_too() {
        let mut options = MemberOptions::default();
        for (key, value) in [
            ("other_config:lacp-port-priority", "7"),
            ("other_config:lacp-port-id", "9"),
            ("lacp_aggregation_key", "65535"),
        ] {
            options.set(key, value).unwrap();
            assert_eq!(options.get(key).unwrap(), value);
        }
        let lacp =
            lacp::PortOptions { actor_port_prio: 7, port_number: Some(9), aggregation_key: Some(65535) };
        assert_eq!(options, MemberOptions { prio: 0, lacp });
        assert_eq!(options.warnings(&BondOptions::default(), []).len(), 3);
        let mut bond = BondOptions::default();
        bond.set("mode", "4").unwrap();
        assert_eq!(options.warnings(&bond, []), [""; 0]);
        options.set("lacp_port_id", "").unwrap();
        assert_eq!(options.lacp.port_number, None);
    }
}
