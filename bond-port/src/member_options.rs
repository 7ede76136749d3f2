//! The options of one member of a bond: Linux's names, values and defaults.
//!
//! Keys and values are written as those of a bond ([`crate::options`]): `prio`, `bond-prio`, `other_config:bond-prio`.

use thiserror::Error;

use crate::options::{BondOptions, plain_key};

/// All options of a member.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MemberOptions {
    /// Preference as the active member in modes that have one: the highest of those that are up, as far as
    /// `primary_reselect` lets it. Any 32-bit number, default 0. Without effect while the bond's
    /// primary is up.
    pub prio: i32,
}

/// Why an option of a member was not set; its options are unchanged.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MemberOptionError {
    /// No such option.
    #[error("unknown member option \"{name}\"; a member has the option prio")]
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
        allowed: String,
    },
}

/// Options that Linux has for a member, and why they are not here.
const ELSEWHERE: &[(&str, &str)] = &[
    ("queue_id", "the switch has no transmit queues that a member could be chosen by; leave it out"),
    ("actor_port_prio", "it belongs to mode 802.3ad; leave it out"),
];

const PRIO: &str = "prio";

impl MemberOptions {
    /// Sets an option from text; `default` stands for the default.
    ///
    /// # Errors
    /// The key is unknown, not an option of this version, or the value is not allowed; nothing is changed then.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), MemberOptionError> {
        Self::canonical(key)?;
        let value = value.trim();
        let digits = value.strip_prefix('-').unwrap_or(value);
        let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
        let prio = match value {
            "default" => Some(Self::default().prio),
            number_text if number => number_text.parse().ok(),
            _ => None,
        };
        self.prio = prio.ok_or_else(|| MemberOptionError::Value {
            option: PRIO,
            value: value.to_owned(),
            allowed: format!("{} to {}", i32::MIN, i32::MAX),
        })?;
        Ok(())
    }

    /// The value of an option, as it can be given to [`Self::set`].
    ///
    /// # Errors
    /// As [`Self::set`] for the key.
    pub fn get(&self, key: &str) -> Result<String, MemberOptionError> {
        Self::canonical(key).map(|_| self.prio.to_string())
    }

    /// The option's own name for any accepted spelling of its key.
    ///
    /// # Errors
    /// As [`Self::set`] for the key.
    pub fn canonical(key: &str) -> Result<&'static str, MemberOptionError> {
        let plain = plain_key(key);
        if plain == PRIO {
            return Ok(PRIO);
        }
        if let Some((name, reason)) = ELSEWHERE.iter().find(|(name, _)| *name == plain) {
            return Err(MemberOptionError::Elsewhere { name, reason });
        }
        if let Ok(name) = BondOptions::canonical(&plain) {
            return Err(MemberOptionError::OfBond { name });
        }
        Err(MemberOptionError::Unknown { name: key.trim().to_owned() })
    }

    /// All options with their values.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        vec![(PRIO, self.prio.to_string())]
    }

    /// The options that differ from their defaults: what a state file holds.
    pub fn changed_entries(&self) -> Vec<(&'static str, String)> {
        let mut entries = self.entries();
        entries.retain(|_| *self != Self::default());
        entries
    }

    /// What is accepted but has no effect in a bond with these options and members; for the user to read. To be shown
    /// when an option of a member is set.
    pub fn warnings<'a>(
        &self,
        bond: &BondOptions,
        members: impl IntoIterator<Item = &'a str>,
    ) -> Vec<String> {
        let primary = members.into_iter().find(|member| Some(*member) == bond.primary.as_deref());
        match primary {
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
        }
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
        assert_eq!((options.changed_entries(), options.entries()), (vec![], vec![("prio", "0".to_owned())]));
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
        assert_eq!(refused("pri", "1"), "unknown member option \"pri\"; a member has the option prio");
        assert_eq!(
            refused("bond_mode", "1"),
            "\"mode\" is an option of the bond, not of a member; set it on the bond"
        );
        assert!(refused("queue_id", "1").contains("no transmit queues"));
        assert!(refused("actor_port_prio", "1").contains("802.3ad"));
    }

    #[test]
    fn a_prio_that_decides_nothing_is_told() {
        let members = ["eth0", "eth1"];
        let warnings = |prio, words: &[(&str, &str)]| {
            let mut bond = BondOptions::default();
            words.iter().for_each(|(key, value)| bond.set(key, value).unwrap());
            MemberOptions { prio }.warnings(&bond, members)
        };
        assert_eq!(warnings(5, &[]), [""; 0]);
        assert_eq!(warnings(5, &[("primary", "eth7")]), [""; 0], "a primary that is no member");
        assert_eq!(warnings(0, &[("primary", "eth0")]), [""; 0]);
        assert!(warnings(5, &[("primary", "eth0")])[0].contains("while the primary eth0 is set"));
        assert!(warnings(5, &[("mode", "2")])[0].contains("balance-xor has no active member"));
    }
}
