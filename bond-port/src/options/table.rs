//! The list of options: one entry each, so that parsing, printing and documentation can't disagree.

use forwarding::flow_hash::HashPolicy;

use super::choice::{Choice, Refusal};
use super::{BondOptions, FailOverMac, PrimaryReselect};
use crate::mode::Mode;

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
    later: &[],
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
    later: &[],
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
    later: &[],
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

const SWITCH: Choice<bool> = Choice { known: &[(false, 0, "off"), (true, 1, "on")], later: &[] };

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

/// All options, in the order in which they are shown.
pub(super) const OPTIONS: &[Entry] = &[
    Entry {
        name: "mode",
        get: |o| o.mode.name().to_owned(),
        set: |o, text| Mode::CHOICE.parse(text).map(|mode| o.mode = mode),
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
    Entry {
        name: "min_links",
        get: |o| o.min_links.to_string(),
        set: |o, text| number(text, MAX).map(|links| o.min_links = links),
        allowed: || format!("0-{MAX}"),
    },
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
        set: |o, text| SWITCH.parse(text).map(|value| o.all_slaves_active = value),
        allowed: || SWITCH.allowed(),
    },
];
