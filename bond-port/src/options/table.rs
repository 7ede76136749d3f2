//! The list of options: one entry each, so that parsing, printing and documentation can't disagree.

use forwarding::flow_hash::HashPolicy;

use super::choice::{Choice, Refusal};
use super::{BondOptions, FailOverMac, PrimaryReselect};
use crate::flap::FlapLimit;
use crate::mode::Mode;
use crate::probe::ProbeOptions;

/// One option.
pub(super) struct Entry {
    pub(super) name: &'static str,
    pub(super) get: fn(&BondOptions) -> String,
    pub(super) set: fn(&mut BondOptions, &str) -> Result<(), Refusal>,
    /// Names or range, for error messages.
    pub(super) allowed: fn() -> String,
}

const RESELECT: Choice<PrimaryReselect> = Choice {
    known: &[
        (PrimaryReselect::Always, 0, "always"),
        (PrimaryReselect::Better, 1, "better"),
        (PrimaryReselect::Failure, 2, "failure"),
    ],
};

impl PrimaryReselect {
    /// Linux's name.
    pub fn name(self) -> &'static str {
        RESELECT.name(self)
    }
}

const FAIL_OVER_MAC: Choice<FailOverMac> = Choice {
    known: &[
        (FailOverMac::None, 0, "none"),
        (FailOverMac::Active, 1, "active"),
        (FailOverMac::Follow, 2, "follow"),
    ],
};

impl FailOverMac {
    /// Linux's name.
    pub fn name(self) -> &'static str {
        FAIL_OVER_MAC.name(self)
    }
}

const HASH_POLICY: Choice<HashPolicy> = Choice {
    known: &[
        (HashPolicy::Layer2, 0, HashPolicy::Layer2.name()),
        (HashPolicy::Layer34, 1, HashPolicy::Layer34.name()),
        (HashPolicy::Layer23, 2, HashPolicy::Layer23.name()),
        (HashPolicy::Encap23, 3, HashPolicy::Encap23.name()),
        (HashPolicy::Encap34, 4, HashPolicy::Encap34.name()),
        (HashPolicy::VlanSrcMac, 5, HashPolicy::VlanSrcMac.name()),
        (HashPolicy::Offload, 6, HashPolicy::Offload.name()),
    ],
};

impl BondOptions {
    /// Linux's name and number of the hash policy. Of `offload`, which Linux doesn't have, those of the policy that it
    /// falls back to, so that a tool that reads Linux's text meets a word that it knows.
    pub(crate) fn linux_xmit_hash_policy(&self) -> (&'static str, u8) {
        let policy = match self.xmit_hash_policy {
            HashPolicy::Offload => HashPolicy::Layer34,
            policy => policy,
        };
        (HASH_POLICY.name(policy), HASH_POLICY.number(policy))
    }
}

const SWITCH: Choice<bool> = Choice { known: &[(false, 0, "off"), (true, 1, "on")] };

/// Largest number that Linux takes where it has no limit of its own, of milliseconds for one.
const MAX: u32 = i32::MAX as u32;

/// Longest time between two announcements, as in Linux.
const MAX_PEER_NOTIF_DELAY: u32 = 300_000;

/// A number written with digits only.
fn number(text: &str, max: u32) -> Result<u32, Refusal> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let value = if digits { text.parse().ok() } else { None };
    value.filter(|number| *number <= max).ok_or(Refusal::Invalid)
}

fn milliseconds(text: &str) -> Result<u32, Refusal> {
    if text == "off" { Ok(0) } else { number(text, MAX) }
}

fn milliseconds_allowed() -> String {
    format!("0-{MAX} (milliseconds)")
}

/// A device name as the kernel takes it (`dev_valid_name`), or empty for none.
fn device_name(text: &str) -> Result<Option<String>, Refusal> {
    let bad = text.len() > 15
        || matches!(text, "." | "..")
        || text.chars().any(|c| c == '/' || c == ':' || c.is_whitespace() || c.is_control());
    match text {
        _ if bad => Err(Refusal::Invalid),
        "" => Ok(None),
        name => Ok(Some(name.to_owned())),
    }
}

/// OVS's default, in milliseconds.
pub(super) const OVS_REBALANCE_INTERVAL: u32 = 10_000;
const SHORTEST_REBALANCE_INTERVAL: u32 = 1000;

/// An option of crate lacp, which knows its values.
macro_rules! of_lacp {
    ($name:literal) => {
        Entry {
            name: $name,
            get: |o| o.lacp.get($name).unwrap_or_default(),
            set: |o, text| o.lacp.set($name, text).map_err(|_| Refusal::Invalid),
            allowed: || lacp::Options::allowed($name).unwrap_or_default().to_owned(),
        }
    };
}

/// An option of the link probes, which know their values.
macro_rules! of_probe {
    ($name:literal) => {
        Entry {
            name: $name,
            get: |o| o.probe.get($name),
            set: |o, text| o.probe.set($name, text),
            allowed: || ProbeOptions::allowed($name),
        }
    };
}

/// All options, in the order in which they are shown.
pub(super) const OPTIONS: &[Entry] = &[
    Entry {
        name: "mode",
        get: |o| o.mode.name().to_owned(),
        set: |o, text| {
            if text == "balance-tcp" {
                o.mode = Mode::Ieee8023ad;
                o.xmit_hash_policy = HashPolicy::Layer34;
                o.rebalance_interval = Some(OVS_REBALANCE_INTERVAL);
                return Ok(());
            }
            o.mode = Mode::CHOICE.parse(text)?;
            o.set_rebalance_interval(o.rebalance_interval);
            Ok(())
        },
        allowed: || Mode::CHOICE.allowed(),
    },
    Entry {
        name: "miimon",
        get: |o| o.miimon.to_string(),
        set: |o, text| milliseconds(text).map(|ms| o.miimon = ms),
        allowed: milliseconds_allowed,
    },
    Entry {
        name: "updelay",
        get: |o| o.updelay.to_string(),
        set: |o, text| milliseconds(text).map(|ms| o.updelay = ms),
        allowed: milliseconds_allowed,
    },
    Entry {
        name: "downdelay",
        get: |o| o.downdelay.to_string(),
        set: |o, text| milliseconds(text).map(|ms| o.downdelay = ms),
        allowed: milliseconds_allowed,
    },
    Entry {
        name: "use_carrier",
        get: |_| "1".to_owned(),
        set: |_, text| match SWITCH.parse(text)? {
            true => Ok(()),
            false => Err(Refusal::Because(
                "carrier is always watched, by kernel events, and never asked for by ioctl; leave the option out",
            )),
        },
        allowed: || "1".to_owned(),
    },
    Entry {
        name: "primary",
        get: |o| o.primary.clone().unwrap_or_default(),
        set: |o, text| device_name(text).map(|name| o.primary = name),
        allowed: || "a device name of at most 15 characters, or nothing to clear it".to_owned(),
    },
    Entry {
        name: "primary_reselect",
        get: |o| RESELECT.name(o.primary_reselect).to_owned(),
        set: |o, text| RESELECT.parse(text).map(|value| o.primary_reselect = value),
        allowed: || RESELECT.allowed(),
    },
    Entry {
        name: "fail_over_mac",
        get: |o| o.fail_over_mac.name().to_owned(),
        set: |o, text| FAIL_OVER_MAC.parse(text).map(|value| o.fail_over_mac = value),
        allowed: || FAIL_OVER_MAC.allowed(),
    },
    Entry {
        name: "xmit_hash_policy",
        get: |o| HASH_POLICY.name(o.xmit_hash_policy).to_owned(),
        set: |o, text| HASH_POLICY.parse(text).map(|value| o.xmit_hash_policy = value),
        allowed: || HASH_POLICY.allowed(),
    },
    of_lacp!("min_links"),
    Entry {
        name: "resend_igmp",
        get: |o| o.resend_igmp.to_string(),
        set: |o, text| number(text, u8::MAX.into()).map(|times| o.resend_igmp = times as u8),
        allowed: || "0-255".to_owned(),
    },
    Entry {
        name: "lp_interval",
        get: |o| o.lp_interval.to_string(),
        set: |o, text| match number(text, MAX)? {
            0 => Err(Refusal::Invalid),
            seconds => {
                o.lp_interval = seconds;
                Ok(())
            }
        },
        allowed: || format!("1-{MAX} (seconds)"),
    },
    Entry {
        name: "hash_buckets",
        get: |o| o.hash_buckets.to_string(),
        set: |o, text| match number(text, u16::MAX.into())? {
            buckets @ (0 | 256) => {
                o.hash_buckets = buckets as u16;
                Ok(())
            }
            _ => Err(Refusal::Invalid),
        },
        allowed: || "0 (hash modulo number of members, as Linux), 256".to_owned(),
    },
    Entry {
        name: "tlb_dynamic_lb",
        get: |o| u8::from(o.tlb_dynamic_lb).to_string(),
        set: |o, text| SWITCH.parse(text).map(|value| o.tlb_dynamic_lb = value),
        allowed: || SWITCH.allowed(),
    },
    Entry {
        name: "rebalance_interval",
        get: |o| o.rebalance_interval_ms().to_string(),
        set: |o, text| match milliseconds(if text == "default" { "0" } else { text })? {
            _ if text == "default" => {
                o.set_rebalance_interval(None);
                Ok(())
            }
            1..SHORTEST_REBALANCE_INTERVAL => Err(Refusal::Because(
                "loads of less than a second say nothing; choose 1000 or more, or 0 for no rebalancing",
            )),
            ms => {
                o.set_rebalance_interval(Some(ms));
                Ok(())
            }
        },
        allowed: || format!("0 (never), {SHORTEST_REBALANCE_INTERVAL}-{MAX} (milliseconds)"),
    },
    Entry {
        name: "packets_per_slave",
        get: |o| o.packets_per_slave.to_string(),
        set: |o, text| number(text, u16::MAX.into()).map(|frames| o.packets_per_slave = frames as u16),
        allowed: || "0 (a member for each frame by lot), 1-65535".to_owned(),
    },
    Entry {
        name: "num_grat_arp",
        get: |o| o.num_grat_arp.to_string(),
        set: |o, text| number(text, u8::MAX.into()).map(|times| o.num_grat_arp = times as u8),
        allowed: || "0-255".to_owned(),
    },
    Entry {
        name: "peer_notif_delay",
        get: |o| o.peer_notif_delay.to_string(),
        set: |o, text| number(text, MAX_PEER_NOTIF_DELAY).map(|ms| o.peer_notif_delay = ms),
        allowed: || format!("0-{MAX_PEER_NOTIF_DELAY} (milliseconds)"),
    },
    Entry {
        name: "all_slaves_active",
        get: |o| u8::from(o.all_slaves_active).to_string(),
        set: |o, text| {
            let written = match text {
                "true" => "on",
                "false" => "off",
                other => other,
            };
            SWITCH.parse(written).map(|value| o.all_slaves_active = value)
        },
        allowed: || format!("{}, false, true", SWITCH.allowed()),
    },
    of_probe!("arp_interval"),
    of_probe!("arp_ip_target"),
    of_probe!("ns_ip6_target"),
    of_probe!("arp_validate"),
    of_probe!("arp_all_targets"),
    of_probe!("arp_missed_max"),
    of_probe!("arp_source"),
    of_probe!("ns_ip6_source"),
    of_probe!("arp_vlan"),
    Entry {
        name: "flap_limit",
        get: |o| o.flap_limit.map_or_else(|| "0".to_owned(), |limit| limit.to_string()),
        set: |o, text| FlapLimit::parse(text).map(|limit| o.flap_limit = limit).ok_or(Refusal::Invalid),
        allowed: FlapLimit::allowed,
    },
    of_lacp!("lacp_rate"),
    of_lacp!("lacp_active"),
    of_lacp!("lacp_strict"),
    of_lacp!("ad_select"),
    of_lacp!("ad_actor_sys_prio"),
    of_lacp!("ad_actor_system"),
    of_lacp!("ad_user_port_key"),
    of_lacp!("max_links"),
    of_lacp!("coupled_control"),
];

/// Open vSwitch's options that say in another way what the options above say. They are not listed.
pub(super) const VIEWS: &[Entry] = &[
    Entry {
        name: "lacp",
        get: |o| {
            match (o.mode, o.lacp.lacp_active) {
                (Mode::Ieee8023ad, true) => "active",
                (Mode::Ieee8023ad, false) => "passive",
                _ => "off",
            }
            .to_owned()
        },
        set: |o, text| match (text, o.mode) {
            ("active" | "passive", Mode::Ieee8023ad | Mode::ActiveBackup) => {
                o.mode = Mode::Ieee8023ad;
                o.lacp.lacp_active = text == "active";
                Ok(())
            }
            ("active" | "passive", _) => Err(Refusal::Because(
                "this mode does not speak LACP; choose mode=802.3ad (Open vSwitch's balance-tcp) or leave the option out",
            )),
            ("off", Mode::Ieee8023ad) => Err(Refusal::Because(
                "mode 802.3ad is LACP; choose another mode, such as balance-xor for a static group on the switch",
            )),
            ("off", _) => Ok(()),
            _ => Err(Refusal::Invalid),
        },
        allowed: || "active, passive, off".to_owned(),
    },
    Entry {
        name: "lacp_fallback_ab",
        get: |o| (o.mode == Mode::Ieee8023ad && !o.lacp.lacp_strict).to_string(),
        set: |o, text| {
            let fallback: bool = text.parse().map_err(|_| Refusal::Invalid)?;
            o.lacp.lacp_strict = o.mode == Mode::Ieee8023ad && !fallback;
            Ok(())
        },
        allowed: || "true, false".to_owned(),
    },
];
