//! Options, with Linux's names, values, defaults and limits (`bond_options.c`).

use thiserror::Error;

use crate::selection::AdSelect;

/// `lacp_rate`: how often the partner is asked to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum LacpRate {
    /// Every 30 s; it counts as silent after 90 s.
    #[default]
    Slow,
    /// Every second; it counts as silent after 3 s.
    Fast,
}

impl LacpRate {
    /// Every second.
    pub const fn is_fast(self) -> bool {
        matches!(self, Self::Fast)
    }
}

/// Options of a bond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How often the partner is asked to send. Default slow.
    pub lacp_rate: LacpRate,
    /// On: LACPDUs are sent. Off (passive): only if the partner sends them. Default on.
    pub lacp_active: bool,
    /// Which of several aggregators carries the bond's frames. Default stable.
    pub ad_select: AdSelect,
    /// Priority of the system, 1-65535; the lower number wins. Default 65535.
    pub ad_actor_sys_prio: u16,
    /// Address of the system, not multicast. Default 00:00:00:00:00:00: the bond's address.
    pub ad_actor_system: [u8; 6],
    /// The upper ten bits of the key, 0-1023. Default 0.
    pub ad_user_port_key: u16,
    /// Fewer distributing ports than this, and the bond has no carrier. 0 is as good as 1. Default 0.
    pub min_links: u32,
    /// On: a port whose partner does not speak LACP carries nothing. Default off: one such port does.
    pub lacp_strict: bool,
    /// More ports than this are kept in reserve; 0 for no limit, which is the default. (Linux has no such option.)
    pub max_links: u32,
    /// Off: a port receives before it sends, and sends when the partner receives. Default on.
    pub coupled_control: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            lacp_rate: LacpRate::Slow,
            lacp_active: true,
            ad_select: AdSelect::Stable,
            ad_actor_sys_prio: 65535,
            ad_actor_system: [0; 6],
            ad_user_port_key: 0,
            min_links: 0,
            lacp_strict: false,
            max_links: 0,
            coupled_control: true,
        }
    }
}

/// Options of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortOptions {
    /// Priority of the port, 0-65535; the lower number wins. Default 255.
    pub actor_port_prio: u16,
    /// Number of the port, 1-65535, unique in its bond. Default: one more than the last port's. (OVS: lacp-port-id.)
    pub port_number: Option<u16>,
    /// A key in place of the one from speed and duplex, 1-65535. (OVS: lacp-aggregation-key.)
    pub aggregation_key: Option<u16>,
}

impl Default for PortOptions {
    fn default() -> Self {
        Self { actor_port_prio: 255, port_number: None, aggregation_key: None }
    }
}

/// Why an option is not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OptionError {
    /// No such option here.
    #[error("there is no LACP option \"{name}\"; there are {}", names())]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// No such value.
    #[error("\"{value}\" is not a value of {name}: it takes {allowed}")]
    Value {
        /// The option.
        name: &'static str,
        /// What was found.
        value: String,
        /// What it takes.
        allowed: &'static str,
    },
}

/// An option of a bond: its name, what it takes, and how it is read and written.
struct Entry {
    name: &'static str,
    allowed: &'static str,
    set: fn(&mut Options, &str) -> Option<()>,
    get: fn(&Options) -> String,
}

const ON_OFF: &str = "off (0), on (1)";

const ENTRIES: &[Entry] = &[
    Entry {
        name: "lacp_rate",
        allowed: "slow (0), fast (1)",
        set: |o, text| {
            choice(text, &[("slow", LacpRate::Slow), ("fast", LacpRate::Fast)]).map(|rate| o.lacp_rate = rate)
        },
        get: |o| if o.lacp_rate.is_fast() { "fast" } else { "slow" }.to_owned(),
    },
    Entry {
        name: "lacp_active",
        allowed: ON_OFF,
        set: |o, text| on_off(text).map(|on| o.lacp_active = on),
        get: |o| on_off_name(o.lacp_active),
    },
    Entry {
        name: "ad_select",
        allowed: "stable (0), bandwidth (1), count (2), actor_port_prio (3)",
        set: |o, text| choice(text, &AdSelect::NAMES).map(|policy| o.ad_select = policy),
        get: |o| o.ad_select.name().to_owned(),
    },
    Entry {
        name: "ad_actor_sys_prio",
        allowed: "1-65535",
        set: |o, text| number(text, 1, 65535).map(|prio| o.ad_actor_sys_prio = prio as u16),
        get: |o| o.ad_actor_sys_prio.to_string(),
    },
    Entry {
        name: "ad_actor_system",
        allowed: "an address that is not multicast, or 00:00:00:00:00:00 for the bond's own",
        set: |o, text| address(text).map(|system| o.ad_actor_system = system),
        get: |o| crate::lacpdu::Address(o.ad_actor_system).to_string(),
    },
    Entry {
        name: "ad_user_port_key",
        allowed: "0-1023",
        set: |o, text| number(text, 0, 1023).map(|key| o.ad_user_port_key = key as u16),
        get: |o| o.ad_user_port_key.to_string(),
    },
    Entry {
        name: "min_links",
        allowed: "0-2147483647",
        set: |o, text| number(text, 0, i32::MAX as u32).map(|links| o.min_links = links),
        get: |o| o.min_links.to_string(),
    },
    Entry {
        name: "max_links",
        allowed: "0-65535 (0 for no limit)",
        set: |o, text| number(text, 0, 65535).map(|links| o.max_links = links),
        get: |o| o.max_links.to_string(),
    },
    Entry {
        name: "lacp_strict",
        allowed: ON_OFF,
        set: |o, text| on_off(text).map(|on| o.lacp_strict = on),
        get: |o| on_off_name(o.lacp_strict),
    },
    Entry {
        name: "coupled_control",
        allowed: ON_OFF,
        set: |o, text| on_off(text).map(|on| o.coupled_control = on),
        get: |o| on_off_name(o.coupled_control),
    },
];

fn names() -> String {
    Options::names().collect::<Vec<_>>().join(", ")
}

fn entry(name: &str) -> Result<&'static Entry, OptionError> {
    let found = ENTRIES.iter().find(|entry| entry.name == name);
    found.ok_or_else(|| OptionError::Unknown { name: name.to_owned() })
}

impl Options {
    /// The names of all options.
    pub fn names() -> impl Iterator<Item = &'static str> {
        ENTRIES.iter().map(|entry| entry.name)
    }

    /// What an option takes, for an error message; `None`: no such option.
    pub fn allowed(name: &str) -> Option<&'static str> {
        entry(name).ok().map(|entry| entry.allowed)
    }

    /// Sets an option by Linux's name from a value that is written as Linux takes it: by name or number, or `default`.
    ///
    /// # Errors
    /// No such option, or no such value; nothing is changed then.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), OptionError> {
        let entry = entry(name)?;
        let default = (entry.get)(&Self::default());
        let text = if value == "default" { &default } else { value };
        (entry.set)(self, text).ok_or_else(|| OptionError::Value {
            name: entry.name,
            value: value.to_owned(),
            allowed: entry.allowed,
        })
    }

    /// The value of an option by Linux's name, as [`Options::set`] takes it.
    ///
    /// # Errors
    /// No such option.
    pub fn get(&self, name: &str) -> Result<String, OptionError> {
        Ok((entry(name)?.get)(self))
    }
}

fn choice<T: Copy>(text: &str, values: &[(&str, T)]) -> Option<T> {
    let written = |(number, (name, _)): &(usize, &(&str, T))| *name == text || number.to_string() == text;
    values.iter().enumerate().find(written).map(|(_, (_, value))| *value)
}

fn on_off(text: &str) -> Option<bool> {
    choice(text, &[("off", false), ("on", true)])
}

fn on_off_name(on: bool) -> String {
    if on { "on" } else { "off" }.to_owned()
}

fn number(text: &str, min: u32, max: u32) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let number: u32 = if digits { text.parse().ok()? } else { return None };
    (min..=max).contains(&number).then_some(number)
}

fn address(text: &str) -> Option<[u8; 6]> {
    let mut octets = [0; 6];
    let mut parts = text.split(':');
    for octet in &mut octets {
        let part =
            parts.next().filter(|part| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit()))?;
        *octet = u8::from_str_radix(part, 16).ok()?;
    }
    (parts.next().is_none() && octets[0] & 1 == 0).then_some(octets)
}

#[cfg(test)]
mod tests;
