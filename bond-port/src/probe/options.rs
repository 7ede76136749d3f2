//! What is probed, and what of that which comes back counts. Names, values and defaults are Linux's.

use core::fmt::Display;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::str::FromStr;
use core::time::Duration;

use crate::options::choice::{Choice, Refusal};

/// Most targets of each family (Linux: `BOND_MAX_ARP_TARGETS`, `BOND_MAX_NS_TARGETS`).
pub const MAX_TARGETS: usize = 16;

/// Which received frames show that a member's link works (`arp_validate`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validate {
    /// Every frame.
    #[default]
    None,
    /// On the active member only answers of a target, on others every frame.
    Active,
    /// On others than the active member only its requests, come back from the switch; on the active one every frame.
    Backup,
    /// As `active` and `backup` together.
    All,
    /// Every ARP or neighbour discovery frame.
    Filter,
    /// As `active`, and on others every ARP or neighbour discovery frame.
    FilterActive,
    /// As `backup`, and on the active member every ARP or neighbour discovery frame.
    FilterBackup,
}

const VALIDATE: Choice<Validate> = Choice {
    known: &[
        (Validate::None, 0, "none"),
        (Validate::Active, 1, "active"),
        (Validate::Backup, 2, "backup"),
        (Validate::All, 3, "all"),
        (Validate::Filter, 4, "filter"),
        (Validate::FilterActive, 5, "filter_active"),
        (Validate::FilterBackup, 6, "filter_backup"),
    ],
};

const ALL_TARGETS: Choice<bool> = Choice { known: &[(false, 0, "any"), (true, 1, "all")] };

impl Validate {
    /// Linux's name.
    pub fn name(self) -> &'static str {
        VALIDATE.name(self)
    }

    /// Whether frames of a member are looked at closely (`slave_do_arp_validate`).
    pub const fn checks(self, active: bool) -> bool {
        match self {
            Self::None | Self::Filter => false,
            Self::All => true,
            Self::Active | Self::FilterActive => active,
            Self::Backup | Self::FilterBackup => !active,
        }
    }

    /// Where they are not, whether only ARP and neighbour discovery count (`slave_do_arp_validate_only`).
    pub const fn filters(self) -> bool {
        matches!(self, Self::Filter | Self::FilterActive | Self::FilterBackup)
    }
}

/// The options of the link probes. An option that Linux doesn't have says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProbeOptions {
    /// `arp_interval`: milliseconds between two probes; 0, the default: none are sent.
    pub interval: u32,
    /// `arp_ip_target`: whom to ask by ARP.
    pub ip_targets: Vec<Ipv4Addr>,
    /// `ns_ip6_target`: whom to ask by neighbour solicitation.
    pub ip6_targets: Vec<Ipv6Addr>,
    /// `arp_validate`. Default: none.
    pub validate: Validate,
    /// `arp_all_targets`: every target must answer, not any. Default: any.
    pub all_targets: bool,
    /// `arp_missed_max`, 1..=255: intervals without an answer. Default: 2.
    pub missed_max: u8,
    /// `arp_source`: whom ARP requests are from. Not an option of Linux, whose bond has addresses of its own.
    pub source: Option<Ipv4Addr>,
    /// `ns_ip6_source`: whom neighbour solicitations are from. Not an option of Linux.
    pub ip6_source: Option<Ipv6Addr>,
    /// `arp_vlan`, 0..=4094: the VLAN tag of probes; 0, the default: none. Not an option of Linux, which takes that of the
    /// route to the target.
    pub vlan: u16,
}

impl Default for ProbeOptions {
    fn default() -> Self {
        Self {
            interval: 0,
            ip_targets: Vec::new(),
            ip6_targets: Vec::new(),
            validate: Validate::None,
            all_targets: false,
            missed_max: 2,
            source: None,
            ip6_source: None,
            vlan: 0,
        }
    }
}

impl ProbeOptions {
    /// The names of these options.
    pub const NAMES: [&'static str; 9] = [
        "arp_interval",
        "arp_ip_target",
        "ns_ip6_target",
        "arp_validate",
        "arp_all_targets",
        "arp_missed_max",
        "arp_source",
        "ns_ip6_source",
        "arp_vlan",
    ];

    /// Whether there is somebody to ask, and a time for it.
    pub fn is_on(&self) -> bool {
        self.interval > 0 && !(self.ip_targets.is_empty() && self.ip6_targets.is_empty())
    }

    /// Time between two probes.
    pub fn period(&self) -> Duration {
        Duration::from_millis(self.interval.into())
    }

    /// All targets: those asked by ARP, then the others.
    pub fn targets(&self) -> impl Iterator<Item = IpAddr> {
        let four = self.ip_targets.iter().map(|ip| IpAddr::V4(*ip));
        four.chain(self.ip6_targets.iter().map(|ip| IpAddr::V6(*ip)))
    }

    /// One of [`Self::NAMES`] but `arp_interval`, as it can be given to [`Self::set`].
    pub(crate) fn get(&self, name: &str) -> String {
        match name {
            "arp_interval" => self.interval.to_string(),
            "arp_ip_target" => list(&self.ip_targets),
            "ns_ip6_target" => list(&self.ip6_targets),
            "arp_validate" => self.validate.name().to_owned(),
            "arp_all_targets" => ALL_TARGETS.name(self.all_targets).to_owned(),
            "arp_missed_max" => self.missed_max.to_string(),
            "arp_source" => self.source.map_or_else(String::new, |ip| ip.to_string()),
            "ns_ip6_source" => self.ip6_source.map_or_else(String::new, |ip| ip.to_string()),
            "arp_vlan" => self.vlan.to_string(),
            _ => String::new(),
        }
    }

    /// Sets one of [`Self::NAMES`].
    pub(crate) fn set(&mut self, name: &str, text: &str) -> Result<(), Refusal> {
        match name {
            "arp_interval" => self.interval = number(text, 0, i32::MAX as u32)?,
            "arp_ip_target" => self.ip_targets = parse_list(text, check_target)?,
            "ns_ip6_target" => self.ip6_targets = parse_list(text, check_target6)?,
            "arp_validate" => self.validate = VALIDATE.parse(text)?,
            "arp_all_targets" => self.all_targets = ALL_TARGETS.parse(text)?,
            "arp_missed_max" => self.missed_max = number(text, 1, 255)? as u8,
            "arp_source" => self.source = parse_one(text, check_target)?,
            "ns_ip6_source" => self.ip6_source = parse_one(text, check_target6)?,
            "arp_vlan" => self.vlan = number(text, 0, 4094)? as u16,
            _ => return Err(Refusal::Invalid),
        }
        Ok(())
    }

    /// The values of one of [`Self::NAMES`], for an error message.
    pub(crate) fn allowed(name: &str) -> String {
        match name {
            "arp_interval" => format!("0-{} (milliseconds)", i32::MAX),
            "arp_ip_target" => format!("up to {MAX_TARGETS} IPv4 addresses with commas between, or nothing"),
            "ns_ip6_target" => format!("up to {MAX_TARGETS} IPv6 addresses with commas between, or nothing"),
            "arp_validate" => VALIDATE.allowed(),
            "arp_all_targets" => ALL_TARGETS.allowed(),
            "arp_missed_max" => "1-255 (intervals)".to_owned(),
            "arp_source" => "an IPv4 address, or nothing".to_owned(),
            "ns_ip6_source" => "an IPv6 address, or nothing".to_owned(),
            _ => "0 (no tag), 1-4094".to_owned(),
        }
    }
}

fn list(addresses: &[impl Display]) -> String {
    let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
    texts.join(",")
}

fn number(text: &str, least: u32, most: u32) -> Result<u32, Refusal> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let value = if digits { text.parse().ok() } else { None };
    value.filter(|number| (least..=most).contains(number)).ok_or(Refusal::Invalid)
}

fn parse_one<A: FromStr>(text: &str, check: fn(&A) -> Result<(), Refusal>) -> Result<Option<A>, Refusal> {
    if text.is_empty() {
        return Ok(None);
    }
    let address = text.parse().map_err(|_| Refusal::Invalid)?;
    check(&address).map(|()| Some(address))
}

fn parse_list<A: FromStr + PartialEq>(
    text: &str,
    check: fn(&A) -> Result<(), Refusal>,
) -> Result<Vec<A>, Refusal> {
    let mut addresses = Vec::new();
    for word in text.split([',', ' ']).filter(|word| !word.is_empty()) {
        let address = word.parse().map_err(|_| Refusal::Invalid)?;
        check(&address)?;
        if addresses.contains(&address) {
            return Err(Refusal::Because("a target is named twice"));
        }
        addresses.push(address);
    }
    if addresses.len() > MAX_TARGETS {
        return Err(Refusal::Because("there are more than 16 targets"));
    }
    Ok(addresses)
}

/// Linux: `bond_is_ip_target_ok`, and what no host has for its address.
fn check_target(ip: &Ipv4Addr) -> Result<(), Refusal> {
    if ip.is_unspecified() || ip.is_broadcast() || ip.is_multicast() || ip.is_loopback() {
        return Err(Refusal::Because("no host on the network has this address"));
    }
    Ok(())
}

fn check_target6(ip: &Ipv6Addr) -> Result<(), Refusal> {
    if ip.is_unspecified() || ip.is_loopback() || ip.is_multicast() {
        return Err(Refusal::Because("no host on the network has this address"));
    }
    Ok(())
}
