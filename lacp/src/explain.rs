//! Why the bond and each of its ports do what they do, in plain words, from the machines' own state.

use core::fmt;
use core::time::Duration;

use crate::bond::Lacp;
use crate::lacpdu::{Address, PortInfo, State as Flags};
use crate::mux::State as Mux;
use crate::port::{AggregatorId, Port, PortId, Selected};
use crate::receive::State as Receive;
use crate::selection::Reason;

/// Why a bond can't carry frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NoCarrier {
    /// It has no ports.
    NoPorts,
    /// None of its links is up.
    NoLink,
    /// No LACPDU has come yet on any link, and the time for it is not over.
    Listening,
    /// The partner has fallen silent.
    Silent,
    /// Nobody speaks LACP, and `lacp_strict=on` forbids to carry frames without.
    Strict,
    /// All links that are up are looped back to the bond itself.
    Looped,
    /// Ports wait for others that may join, or for the tables; it takes at most Aggregate_Wait_Time.
    Waiting,
    /// The partner speaks LACP but is not in sync on any port.
    NotInSync,
    /// The partner is in sync but does not collect (`coupled_control=off`).
    NotCollecting,
    /// Fewer ports distribute than `min_links` asks for.
    MinLinks {
        /// Ports that distribute, at least 1.
        ports: u32,
        /// The option.
        min_links: u32,
    },
}

impl fmt::Display for NoCarrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPorts => f.write_str("the bond has no members"),
            Self::NoLink => f.write_str("no member's link is up"),
            Self::Listening => f.write_str("no LACPDU received yet; waiting up to 3 s for a partner"),
            Self::Silent => f.write_str("the LACP partner has fallen silent"),
            Self::Strict => f.write_str(
                "no LACPDU is received on any member, and lacp_strict=on forbids to carry frames without a partner",
            ),
            Self::Looped => f.write_str("the members that are up receive LACPDUs with the bond's own system id"),
            Self::Waiting => f.write_str("members wait up to 2 s for others to join"),
            Self::NotInSync => f.write_str("the LACP partner is present but not in sync on any member"),
            Self::NotCollecting => f.write_str("the LACP partner is in sync but does not collect yet"),
            Self::MinLinks { ports, min_links } => {
                write!(f, "{ports} of at least {min_links} members (min_links) carry frames")
            }
        }
    }
}

/// A field in which the partner's idea of us differs from what we are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// What it is.
    pub field: &'static str,
    /// What the partner's last LACPDU said.
    pub partner_says: String,
    /// What is true.
    pub ours: String,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} instead of {}", self.field, self.partner_says, self.ours)
    }
}

/// Why a port does not distribute, or that it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortReason {
    /// It distributes, with its partner.
    Distributing,
    /// It distributes, and the partner, though in sync, does not say that it collects (`coupled_control=on` does not
    /// wait for that).
    Unheard,
    /// It distributes without a partner, for want of one.
    Fallback,
    /// Its link is down.
    LinkDown,
    /// It receives the bond's own LACPDUs.
    Looped,
    /// No LACPDU since its link came up, less than 3 s ago.
    Listening,
    /// Its partner has fallen silent.
    Silent {
        /// Since the last LACPDU.
        age: Duration,
    },
    /// Nobody speaks LACP on it, and `lacp_strict=on`.
    Strict,
    /// Nobody speaks LACP on it, or it is half duplex, and another port carries the frames.
    NoPartner,
    /// It is cabled to another system than the active aggregator.
    OtherPartner {
        /// The system that the port hears.
        hears: [u8; 6],
        /// The active aggregator's.
        active: [u8; 6],
    },
    /// The partner has given it another key than the active aggregator's ports: another group there.
    PartnerKey {
        /// The port's.
        port: u16,
        /// The active aggregator's.
        active: u16,
    },
    /// It has another key than the active aggregator's ports: another speed or duplex, or another configured key.
    Key {
        /// The port's.
        port: u16,
        /// The active aggregator's.
        active: u16,
    },
    /// Its partner does not let it be aggregated, and another aggregator is active.
    Individual,
    /// `max_links` better ports carry the frames; it is ready to replace one.
    Standby {
        /// The option.
        max_links: u32,
        /// The partner did not come into sync on it, so it was passed over.
        refused: bool,
    },
    /// It waits for others that may join.
    Waiting {
        /// At most so long.
        left: Duration,
    },
    /// The partner is not in sync.
    NotInSync,
    /// The partner does not collect yet.
    NotCollecting,
    /// The forwarding tables are not yet changed.
    Unconfirmed,
}

impl fmt::Display for PortReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Distributing => f.write_str("carries frames"),
            Self::Unheard => f.write_str("carries frames, but the partner does not say that it takes them"),
            Self::Fallback => f.write_str(
                "carries frames without LACP: no LACPDU is received on any member (lacp_strict=on forbids it)",
            ),
            Self::LinkDown => f.write_str("link down"),
            Self::Looped => f.write_str(
                "receives LACPDUs with the bond's own system id: it is cabled to the bond itself, or another bond has \
                 the same ad_actor_system",
            ),
            Self::Listening => f.write_str("no LACPDU received yet since the link came up"),
            Self::Silent { age } => write!(f, "no LACPDU received for {:.1} s", age.as_secs_f64()),
            Self::Strict => f.write_str("no LACPDU received, and lacp_strict=on"),
            Self::NoPartner => f.write_str("no LACPDU received; another member carries the frames"),
            Self::OtherPartner { hears, active } => {
                let (hears, active) = (Address(*hears), Address(*active));
                write!(f, "cabled to partner {hears}, but the bond's frames go to {active}: check the cabling")
            }
            Self::PartnerKey { port, active } => write!(
                f,
                "the partner's key is {port}, on the members in use {active}: put both ports of the partner into one \
                 group"
            ),
            Self::Key { port, active } => write!(
                f,
                "its key is {port}, that of the members in use {active}: speed and duplex (or the configured keys) \
                 must be alike"
            ),
            Self::Individual => f.write_str("the partner says that this link can't be aggregated"),
            Self::Standby { max_links, refused: false } => {
                write!(f, "standby: max_links={max_links} better members carry the frames")
            }
            Self::Standby { max_links, refused: true } => write!(
                f,
                "standby: the partner did not come into sync on it, and max_links={max_links} others carry the frames"
            ),
            Self::Waiting { left } => {
                write!(f, "waits for other members, {:.1} s at most", left.as_secs_f64())
            }
            Self::NotInSync => f.write_str("the partner is present but not in sync"),
            Self::NotCollecting => f.write_str("the partner is in sync but does not collect"),
            Self::Unconfirmed => f.write_str("the forwarding tables are being changed"),
        }
    }
}

/// A port, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PortExplanation {
    /// Which.
    pub port: PortId,
    /// Why it does what it does.
    pub reason: PortReason,
    /// Time since its last LACPDU, if one has come since its link came up.
    pub last_lacpdu: Option<Duration>,
    /// In what its partner's last LACPDU does not match, if it came after the port was told as it is now.
    pub mismatches: Vec<Mismatch>,
}

/// A bond, explained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Why it has no carrier, `None` if it has.
    pub no_carrier: Option<NoCarrier>,
    /// The active aggregator, and why it is better than the others.
    pub active: Option<(AggregatorId, Reason)>,
    /// Ports that distribute.
    pub distributing: u32,
    /// The option.
    pub min_links: u32,
    /// Its ports, in the order in which they were added.
    pub ports: Vec<PortExplanation>,
}

impl Lacp {
    /// Explains the bond as of `now`.
    pub fn explain(&self, now: Duration) -> Explanation {
        let ports = self.ports.iter().map(|port| PortExplanation {
            port: port.id,
            reason: self.port_reason(port, now),
            last_lacpdu: self.last_lacpdu(now, port.id),
            mismatches: mismatches(port),
        });
        Explanation {
            no_carrier: self.no_carrier(),
            active: self.selection.active,
            distributing: self.distributing(),
            min_links: self.options.min_links,
            ports: ports.collect(),
        }
    }

    /// Ports that are wanted to distribute.
    pub(crate) fn distributing(&self) -> u32 {
        let distributing = self.ports.iter().filter(|port| port.mux.state.gates().distributing).count();
        u32::try_from(distributing).unwrap_or(u32::MAX)
    }

    pub(crate) fn judge_carrier(&self) -> Option<NoCarrier> {
        let ports = self.distributing();
        let min_links = self.options.min_links;
        if ports >= min_links.max(1) {
            return None;
        }
        if ports > 0 {
            return Some(NoCarrier::MinLinks { ports, min_links });
        }
        if self.ports.is_empty() {
            return Some(NoCarrier::NoPorts);
        }
        let up: Vec<&Port> = self.ports.iter().filter(|port| port.port_enabled()).collect();
        let any =
            |reason: fn(&PortReason) -> bool| up.iter().any(|port| reason(&self.port_reason(port, self.now)));
        Some(if up.is_empty() {
            NoCarrier::NoLink
        } else if any(|reason| matches!(reason, PortReason::NotCollecting)) {
            NoCarrier::NotCollecting
        } else if any(|reason| matches!(reason, PortReason::NotInSync)) {
            NoCarrier::NotInSync
        } else if any(|reason| matches!(reason, PortReason::Waiting { .. })) {
            NoCarrier::Waiting
        } else if any(|reason| matches!(reason, PortReason::Silent { .. })) {
            NoCarrier::Silent
        } else if any(|reason| matches!(reason, PortReason::Listening)) {
            NoCarrier::Listening
        } else if any(|reason| matches!(reason, PortReason::Strict)) {
            NoCarrier::Strict
        } else if any(|reason| matches!(reason, PortReason::Looped)) {
            NoCarrier::Looped
        } else {
            NoCarrier::NotInSync
        })
    }

    fn port_reason(&self, port: &Port, now: Duration) -> PortReason {
        if !port.port_enabled() {
            return PortReason::LinkDown;
        }
        if port.is_looped(now) {
            return PortReason::Looped;
        }
        if port.is_listening() {
            return PortReason::Listening;
        }
        if port.receive.state == Receive::Expired {
            let silent = |age| PortReason::Silent { age };
            return self.last_lacpdu(now, port.id).map_or(PortReason::Listening, silent);
        }
        if !port.has_partner() && self.options.lacp_strict {
            return PortReason::Strict;
        }
        if Some(port.aggregator) != self.selection.active_id() {
            return self.elsewhere(port);
        }
        match (port.selected, port.mux.state) {
            (Selected::Standby | Selected::Unselected, _) => {
                PortReason::Standby { max_links: self.options.max_links, refused: port.refused.expired(now) }
            }
            (_, Mux::Detached | Mux::Waiting) => {
                PortReason::Waiting { left: port.mux.wait_while_timer.left(now) }
            }
            (_, Mux::Attached) => PortReason::NotInSync,
            (_, Mux::Collecting) => PortReason::NotCollecting,
            (_, Mux::Distributing | Mux::CollectingDistributing) if port.unconfirmed().is_some() => {
                PortReason::Unconfirmed
            }
            (_, Mux::Distributing | Mux::CollectingDistributing) if !port.has_partner() => {
                PortReason::Fallback
            }
            (_, Mux::Distributing | Mux::CollectingDistributing) => {
                let collects = port.partner_oper.state.contains(Flags::COLLECTING);
                if collects { PortReason::Distributing } else { PortReason::Unheard }
            }
        }
    }

    /// Why a port is not in the active aggregator.
    fn elsewhere(&self, port: &Port) -> PortReason {
        let in_use = |other: &&Port| {
            Some(other.aggregator) == self.selection.active_id() && other.selected != Selected::Unselected
        };
        let Some(active) = self.ports.iter().find(in_use).filter(|_| port.has_partner()) else {
            return PortReason::NoPartner;
        };
        let (hears, there) = (&port.partner_oper, &active.partner_oper);
        if hears.system_identifier() != there.system_identifier() {
            PortReason::OtherPartner { hears: hears.system, active: there.system }
        } else if port.actor_oper.key != active.actor_oper.key {
            PortReason::Key { port: port.actor_oper.key, active: active.actor_oper.key }
        } else if hears.key != there.key {
            PortReason::PartnerKey { port: hears.key, active: there.key }
        } else {
            PortReason::Individual
        }
    }
}

/// What update_NTT compares, field by field. A LACPDU from before the port was told as it is now says nothing: at slow
/// rate the partner's next one may be 30 s away.
fn mismatches(port: &Port) -> Vec<Mismatch> {
    let told = port.transmit.told_since(&port.actor_oper);
    let Some(heard) = port.heard.filter(|heard| told.is_some_and(|told| heard.is_since(told))) else {
        return Vec::new();
    };
    let (theirs, ours) = (&heard.lacpdu.partner, &port.actor_oper);
    let flag = |flag: Flags, info: &PortInfo| if info.state.contains(flag) { "set" } else { "not set" };
    let fields = [
        ("system priority", theirs.system_priority.to_string(), ours.system_priority.to_string()),
        ("system", Address(theirs.system).to_string(), Address(ours.system).to_string()),
        ("key", theirs.key.to_string(), ours.key.to_string()),
        ("port priority", theirs.port_priority.to_string(), ours.port_priority.to_string()),
        ("port number", theirs.port.to_string(), ours.port.to_string()),
    ];
    let flags = [
        ("activity", Flags::ACTIVITY),
        ("timeout", Flags::TIMEOUT),
        ("aggregation", Flags::AGGREGATION),
        ("synchronization", Flags::SYNCHRONIZATION),
    ];
    let flags = flags.map(|(field, bit)| (field, flag(bit, theirs).to_owned(), flag(bit, ours).to_owned()));
    fields
        .into_iter()
        .chain(flags)
        .filter(|(_, theirs, ours)| theirs != ours)
        .map(|(field, partner_says, ours)| Mismatch { field, partner_says, ours })
        .collect()
}
