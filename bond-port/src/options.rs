//! The options of a bond: Linux's names, values and defaults; OVS's spellings are taken too.
//!
//! A key may be written with `-` for `_`, with the prefix `bond_` (OVS columns, ifupdown) and with `other_config:`
//! (OVS) before it: `bond_mode`, `bond-primary`, `other_config:bond-primary`. A value is a number or a name;
//! `default` stands for the default. Times are milliseconds.
//!
//! The order in which options are set is free, but for this: `mode` comes before all others, since OVS's mode
//! `balance-tcp` stands for `mode=802.3ad xmit_hash_policy=layer3+4 rebalance_interval=10000`, of which the others may
//! be set otherwise, and OVS's `lacp` is refused in a mode that doesn't speak it.

pub(crate) mod choice;
mod elsewhere;
mod error;
mod table;
#[cfg(test)]
mod tests;
mod warnings;

use core::fmt;
use core::time::Duration;

use forwarding::flow_hash::HashPolicy;

pub use self::error::OptionError;

use self::choice::Refusal;
use self::elsewhere::{ALIASES, COMMANDS, ELSEWHERE, Elsewhere};
use self::table::{Entry, OPTIONS, OVS_REBALANCE_INTERVAL, VIEWS};
use crate::flap::FlapLimit;
use crate::mode::Mode;
use crate::probe::ProbeOptions;
use crate::rebalance::BUCKETS;

/// When a primary that is up becomes the active member again (`primary_reselect`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PrimaryReselect {
    /// Whenever it comes up.
    #[default]
    Always,
    /// When it comes up and is faster than the active member (or as fast, and full duplex where the other is half).
    Better,
    /// Only when the active member fails.
    Failure,
}

/// What the bond's address does when another member becomes the active one (`fail_over_mac`). Members keep their own
/// addresses and guests' frames their guests' addresses, whatever this says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FailOverMac {
    /// It stays that of the first member.
    #[default]
    None,
    /// It is the active member's.
    Active,
    /// As none. (In Linux members swap their addresses.)
    Follow,
}

/// All options of a bond. Fields are what was asked for; see [`Self::updelay`] for what is in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BondOptions {
    /// How members are used. Default: active-backup (Linux: balance-rr), because it works with any switch.
    pub mode: Mode,
    /// Milliseconds; default 0. Links are watched by kernel events, whatever this says; a value other than 0 only makes
    /// the delays multiples of it, as in Linux.
    pub miimon: u32,
    /// Milliseconds for which a link must be up before the member is used; default 0. Skipped when the bond has
    /// nothing else.
    pub updelay: u32,
    /// Milliseconds for which a lost link is still taken for up; default 0.
    pub downdelay: u32,
    /// The member to be preferred as the active one; it need not be a member yet. Default: none.
    pub primary: Option<String>,
    /// When the primary takes over again. Default: always.
    pub primary_reselect: PrimaryReselect,
    /// Which address the bond has. Default: none, its first member's.
    pub fail_over_mac: FailOverMac,
    /// Which hash picks the member in balance-xor, balance-tlb and 802.3ad. Default: layer2. (`offload` is not an option of Linux.)
    pub xmit_hash_policy: HashPolicy,
    /// How often guests are asked for their IGMP and MLD memberships after a change of the active member (in balance-rr of
    /// the first that sends), 0..=255; default 1. (Linux repeats the host's own.)
    pub resend_igmp: u8,
    /// Seconds between learning packets, at least 1; default 1. Stored: as in Linux it has an effect in balance-tlb and
    /// balance-alb only.
    pub lp_interval: u32,
    /// In balance-xor, 802.3ad, and balance-tlb without `tlb_dynamic_lb`: 0, the default, for Linux's `hash % n`; 256 for a
    /// table of so many buckets, where only a lost member's flows move ([`crate::buckets`]). Not an option of Linux.
    pub hash_buckets: u16,
    /// In balance-tlb: buckets are dealt by link speed and move by load (Linux's `tlb_dynamic_lb`); off: the table is that of
    /// balance-xor. Default: on.
    pub tlb_dynamic_lb: bool,
    /// In balance-tlb, balance-slb, balance-xor and 802.3ad: milliseconds between two looks at the load of the members,
    /// after which buckets move from a busy one to an idle one (OVS's `bond-rebalance-interval`); the table has 256 buckets
    /// then, whatever `hash_buckets` says. From 1000 on; 0: never. `None`: the mode's default, which is never but for
    /// balance-tlb and balance-slb, where it is 10000 as in Linux and OVS.
    pub rebalance_interval: Option<u32>,
    /// What belongs to LACP: `lacp_rate`, `ad_select`, `min_links` and so on. They have an effect in 802.3ad only.
    pub lacp: lacp::Options,
    /// In balance-rr: how many frames go by one member before the next one's turn; 0: a member for each frame as if by
    /// lot. Default: 1. In other modes nothing but the default is allowed.
    pub packets_per_slave: u16,
    /// How often the guests' addresses are announced after a change of the active member, 0..=255; default 1. Linux
    /// has a second name for it, `num_unsol_na`.
    pub num_grat_arp: u8,
    /// Milliseconds between two of these announcements, 0..=300000; 0, the default, stands for `miimon`, or 100 ms if
    /// that is 0 too.
    pub peer_notif_delay: u32,
    /// Frames that arrive on members which are up and inactive, or not in use by LACP, are let in, but for those of our
    /// own guests that the switch sends back. Default: off.
    pub all_slaves_active: bool,
    /// Link probes: the ARP monitor. Default: off.
    pub probe: ProbeOptions,
    /// When a member whose link keeps going down is held out. Default: never. Not an option of Linux.
    pub flap_limit: Option<FlapLimit>,
}

impl Default for BondOptions {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            miimon: 0,
            updelay: 0,
            downdelay: 0,
            primary: None,
            primary_reselect: PrimaryReselect::default(),
            fail_over_mac: FailOverMac::default(),
            xmit_hash_policy: HashPolicy::default(),
            resend_igmp: 1,
            lp_interval: 1,
            hash_buckets: 0,
            tlb_dynamic_lb: true,
            rebalance_interval: None,
            lacp: lacp::Options::default(),
            packets_per_slave: 1,
            num_grat_arp: 1,
            peer_notif_delay: 0,
            all_slaves_active: false,
            probe: ProbeOptions::default(),
            flap_limit: None,
        }
    }
}

impl BondOptions {
    /// Sets an option from text. Of an option that this version does not have, Linux's default is taken and changes
    /// nothing.
    ///
    /// # Errors
    /// The key is unknown, not an option of this version, or the value is not allowed; nothing is changed then.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), OptionError> {
        let value = value.trim();
        let option = match find(key)? {
            Found::Here(option) => option,
            Found::Elsewhere(option) if option.is_neutral(value) => return Ok(()),
            Found::Elsewhere(Elsewhere { name, reason, .. }) => {
                return Err(OptionError::Later { name, reason });
            }
        };
        let result = if value == "default" && !matches!(option.name, "primary" | "rebalance_interval") {
            (option.set)(self, &(option.get)(&Self::default()))
        } else {
            (option.set)(self, value)
        };
        result.map_err(|refusal| match refusal {
            Refusal::Invalid => OptionError::Value {
                option: option.name,
                value: value.to_owned(),
                allowed: (option.allowed)(),
                suggestion: if option.name == "mode" { Mode::suggest(value) } else { None },
            },
            Refusal::Because(reason) => {
                OptionError::Refused { option: option.name, value: value.to_owned(), reason }
            }
        })
    }

    /// The value of an option, as it can be given to [`Self::set`]; empty for a `primary` that is not set.
    ///
    /// # Errors
    /// The key is unknown, or not an option of this version.
    pub fn get(&self, key: &str) -> Result<String, OptionError> {
        match find(key)? {
            Found::Here(option) => Ok((option.get)(self)),
            Found::Elsewhere(Elsewhere { name, reason, .. }) => Err(OptionError::Later { name, reason }),
        }
    }

    /// The option's own name for any accepted spelling of its key, so that two spellings of one option can be told from
    /// two options.
    ///
    /// # Errors
    /// The key is unknown, or of something that is no option here. An option of Linux or OVS that this version does not
    /// have, has a name.
    pub fn canonical(key: &str) -> Result<&'static str, OptionError> {
        find(key).map(|option| match option {
            Found::Here(option) => option.name,
            Found::Elsewhere(option) => option.name,
        })
    }

    /// All options with their values, in the order in which they are shown.
    pub fn entries(&self) -> Vec<(&'static str, String)> {
        OPTIONS.iter().map(|option| (option.name, (option.get)(self))).collect()
    }

    /// The options that differ from their defaults in this mode, and `mode` always: what a state file holds.
    pub fn changed_entries(&self) -> Vec<(&'static str, String)> {
        let defaults = Self { mode: self.mode, ..Self::default() }.entries();
        let differs =
            |((name, value), (_, default))| (name == "mode" || value != default).then_some((name, value));
        self.entries().into_iter().zip(defaults).filter_map(differs).collect()
    }

    /// Whether the options go together. To be called when all of them are set, since their order is free.
    ///
    /// # Errors
    /// [`OptionError::NotInMode`]: `primary` is set in a mode without an active member, `packets_per_slave` in another
    /// than balance-rr, `tlb_dynamic_lb` in another than balance-tlb and balance-alb, or an option of LACP in another than
    /// 802.3ad. [`OptionError::NoProbes`]: link probes in 802.3ad.
    pub fn check(&self) -> Result<(), OptionError> {
        if self.primary.is_some() && !self.mode.has_active_member() {
            return Err(OptionError::NotInMode { option: "primary", neutral: "", mode: self.mode });
        }
        if !self.tlb_dynamic_lb && !matches!(self.mode, Mode::BalanceTlb | Mode::BalanceAlb) {
            return Err(OptionError::NotInMode { option: "tlb_dynamic_lb", neutral: "1", mode: self.mode });
        }
        if self.packets_per_slave != 1 && self.mode != Mode::BalanceRr {
            return Err(OptionError::NotInMode {
                option: "packets_per_slave",
                neutral: "1",
                mode: self.mode,
            });
        }
        if self.mode == Mode::Ieee8023ad {
            let defaults = ProbeOptions::default();
            for option in NOT_8023AD {
                let neutral = defaults.get(option);
                if self.probe.get(option) != neutral {
                    return Err(OptionError::NoProbes { option, neutral });
                }
            }
        } else {
            let defaults = lacp::Options::default();
            for (option, neutral) in ONLY_8023AD {
                if self.lacp.get(option) != defaults.get(option) {
                    return Err(OptionError::NotInMode { option, neutral, mode: self.mode });
                }
            }
        }
        Ok(())
    }

    /// Whether links are probed.
    pub fn probes(&self) -> bool {
        self.probe.is_on() && self.mode != Mode::Ieee8023ad
    }

    /// The `updelay` in force: what was asked for, rounded down to a multiple of `miimon` if that is not 0.
    pub fn updelay(&self) -> Duration {
        self.in_force(self.updelay)
    }

    /// The `downdelay` in force, rounded in the same way.
    pub fn downdelay(&self) -> Duration {
        self.in_force(self.downdelay)
    }

    /// `peer_notif_delay` as asked for, rounded in the same way.
    pub(crate) fn peer_notif_delay_set(&self) -> Duration {
        self.in_force(self.peer_notif_delay)
    }

    /// The time between two announcements: what was asked for, rounded in the same way; never zero.
    pub fn peer_notif_delay(&self) -> Duration {
        match (self.peer_notif_delay_set(), self.miimon) {
            (Duration::ZERO, 0) => Duration::from_millis(100),
            (Duration::ZERO, miimon) => Duration::from_millis(miimon.into()),
            (delay, _) => delay,
        }
    }

    /// The number of buckets in the transmit table; 0: as many as there are members to send by.
    pub fn buckets(&self) -> usize {
        if self.moves_buckets() { BUCKETS } else { self.hash_buckets.into() }
    }

    /// How often buckets are moved by load; zero: never.
    pub fn rebalancing(&self) -> Duration {
        match self.mode {
            Mode::BalanceXor | Mode::Ieee8023ad | Mode::BalanceSlb => {
                Duration::from_millis(self.rebalance_interval_ms().into())
            }
            Mode::BalanceTlb | Mode::BalanceAlb if self.tlb_dynamic_lb => {
                Duration::from_millis(self.rebalance_interval_ms().into())
            }
            Mode::BalanceRr | Mode::ActiveBackup | Mode::Broadcast | Mode::BalanceTlb | Mode::BalanceAlb => {
                Duration::ZERO
            }
        }
    }

    /// Buckets are moved, by load or by hand. In balance-slb, and in balance-tlb with `tlb_dynamic_lb`, by hand always.
    pub fn moves_buckets(&self) -> bool {
        match self.mode {
            Mode::BalanceSlb => true,
            Mode::BalanceTlb | Mode::BalanceAlb => self.tlb_dynamic_lb,
            _ => !self.rebalancing().is_zero(),
        }
    }

    /// `rebalance_interval` as asked for, or the mode's default.
    fn rebalance_interval_ms(&self) -> u32 {
        self.rebalance_interval.unwrap_or(self.default_rebalance_interval())
    }

    /// To ask for the mode's default is to ask for nothing.
    fn set_rebalance_interval(&mut self, ms: Option<u32>) {
        self.rebalance_interval = ms.filter(|ms| *ms != self.default_rebalance_interval());
    }

    fn default_rebalance_interval(&self) -> u32 {
        // Linux: BOND_TLB_REBALANCE_INTERVAL, in seconds.
        if matches!(self.mode, Mode::BalanceSlb | Mode::BalanceTlb | Mode::BalanceAlb) {
            OVS_REBALANCE_INTERVAL
        } else {
            0
        }
    }

    fn in_force(&self, ms: u32) -> Duration {
        let rest = ms.checked_rem(self.miimon).unwrap_or(0);
        Duration::from_millis((ms - rest).into())
    }
}

/// The options that differ from their defaults, as `key=value` words.
impl fmt::Display for BondOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> =
            self.changed_entries().into_iter().map(|(name, value)| format!("{name}={value}")).collect();
        f.write_str(&words.join(" "))
    }
}

/// Options that Linux refuses in other modes, with the value that means nothing. (`ad_select` and `min_links` it takes
/// in any mode.)
const ONLY_8023AD: [(&str, &str); 8] = [
    ("lacp_rate", "slow"),
    ("lacp_active", "on"),
    ("ad_actor_sys_prio", "65535"),
    ("ad_actor_system", "00:00:00:00:00:00"),
    ("ad_user_port_key", "0"),
    ("lacp_strict", "off"),
    ("max_links", "0"),
    ("coupled_control", "on"),
];

/// Options of link probes that Linux refuses in 802.3ad.
const NOT_8023AD: [&str; 3] = ["arp_interval", "arp_validate", "arp_missed_max"];

/// A key without OVS's and ifupdown's decorations.
pub(crate) fn plain_key(key: &str) -> String {
    let key = key.trim();
    let plain = key.strip_prefix("other_config:").unwrap_or(key).replace('-', "_");
    plain.strip_prefix("bond_").unwrap_or(&plain).to_owned()
}

/// What a key names.
enum Found {
    Here(&'static Entry),
    Elsewhere(&'static Elsewhere),
}

/// The option that a key names.
fn find(key: &str) -> Result<Found, OptionError> {
    let plain = plain_key(key);
    let alias = ALIASES.iter().find(|(alias, _)| *alias == plain);
    let plain = alias.map_or(plain.as_str(), |(_, name)| name);
    if let Some(option) = OPTIONS.iter().chain(VIEWS).find(|option| option.name == plain) {
        return Ok(Found::Here(option));
    }
    if let Some(option) = ELSEWHERE.iter().find(|option| option.name == plain) {
        return Ok(Found::Elsewhere(option));
    }
    if let Some((name, instead)) = COMMANDS.iter().find(|(name, _)| *name == plain) {
        return Err(OptionError::Command { name, instead });
    }
    Err(OptionError::Unknown { name: key.trim().to_owned(), suggestion: suggest(plain) })
}

/// The name that is nearest to a misspelt one, if it is near enough to be meant.
fn suggest(misspelt: &str) -> Option<&'static str> {
    let elsewhere = ELSEWHERE.iter().map(|option| option.name);
    nearest(misspelt, OPTIONS.iter().chain(VIEWS).map(|option| option.name).chain(elsewhere))
}

/// The name that is nearest, if it is near enough to be meant.
pub(crate) fn nearest(misspelt: &str, names: impl Iterator<Item = &'static str>) -> Option<&'static str> {
    let distances = names.map(|name| (strsim::damerau_levenshtein(misspelt, name), name));
    let (distance, name) = distances.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + name.len() / 4).then_some(name)
}
