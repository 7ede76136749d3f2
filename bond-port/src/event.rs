//! What happened to a bond, for logs, `monitor`, and those who must act on it.

use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use forwarding::bucket_set::BucketSet;
use forwarding::ids::DeviceId;
use lacp::receive::State as Receive;

use crate::monitor::LinkState;

/// Why the active member changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ActiveCause {
    /// There was none, and now a member is usable.
    FirstUsable,
    /// The link of the active member is down, or its device is gone.
    MemberDown,
    /// The active member was disabled by hand.
    MemberDisabled,
    /// The active member was taken out of the bond.
    MemberRemoved,
    /// The primary came up, or joined, and takes over by `primary_reselect`.
    PrimaryReturned,
    /// A member with a better `prio` came up, or joined, and takes over by `primary_reselect`.
    BetterPrio,
    /// By the operator.
    SetByHand,
    /// It was active before the daemon was restarted.
    Restored,
    /// `primary`, `primary_reselect` or a member's `prio` was changed.
    OptionsChanged,
    /// The bond has another mode.
    ModeChanged,
}

impl ActiveCause {
    /// A short name for machines: lower case with underscores.
    pub const fn label(self) -> &'static str {
        match self {
            Self::FirstUsable => "first_usable",
            Self::MemberDown => "member_down",
            Self::MemberDisabled => "member_disabled",
            Self::MemberRemoved => "member_removed",
            Self::PrimaryReturned => "primary_returned",
            Self::BetterPrio => "better_prio",
            Self::SetByHand => "set_by_hand",
            Self::Restored => "restored",
            Self::OptionsChanged => "options_changed",
            Self::ModeChanged => "mode_changed",
        }
    }
}

/// For people.
impl fmt::Display for ActiveCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FirstUsable => "first usable member",
            Self::MemberDown => "active member down",
            Self::MemberDisabled => "active member disabled by hand",
            Self::MemberRemoved => "active member removed",
            Self::PrimaryReturned => "primary is up",
            Self::BetterPrio => "member with better prio is up",
            Self::SetByHand => "set by hand",
            Self::Restored => "restored after restart",
            Self::OptionsChanged => "options changed",
            Self::ModeChanged => "mode changed",
        })
    }
}

/// Something that happened. Taken from [`crate::bond::Bond::poll_event`] in the order in which it happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BondEvent {
    /// A member's link state changed. States that were entered and left in the same instant are left out.
    MemberLink {
        /// The member's name.
        member: String,
        /// Its device; `None` if that is gone.
        device: Option<DeviceId>,
        /// Before.
        from: LinkState,
        /// Now.
        to: LinkState,
        /// How long the delay is that now runs; zero if none does.
        delay: Duration,
        /// Megabits per second, if known.
        speed_mbps: Option<u32>,
        /// Full duplex, if known.
        full_duplex: Option<bool>,
    },
    /// A member was taken out of use by hand, or is no longer.
    MemberDisabled {
        /// The member's name.
        member: String,
        /// Now.
        disabled: bool,
    },
    /// Link probes have another verdict on a member.
    Probed {
        /// The member's name.
        member: String,
        /// It is up.
        alive: bool,
        /// How long ago it last showed a sign of life, if it ever did.
        silent: Option<Duration>,
    },
    /// A target of link probes answers by no member any more, or answers again.
    Target {
        /// The target.
        target: IpAddr,
        /// It answers.
        answers: bool,
    },
    /// A member is held out because its link keeps going down, or is no longer.
    Damped {
        /// The member's name.
        member: String,
        /// For how long at least; `None`: not any more.
        held: Option<Duration>,
        /// Not any more because there is no other.
        needed: bool,
    },
    /// Another member is active, or none.
    ActiveChanged {
        /// Before.
        old: Option<String>,
        /// Now.
        new: Option<String>,
        /// Why.
        cause: ActiveCause,
    },
    /// MACs behind the bridge's other ports are to be announced by this device, so that the upstream switch learns
    /// where they are now. An older one that was not yet taken is withdrawn, as far as it is about the same MACs.
    Announce {
        /// The device to send by.
        member: DeviceId,
        /// Those whose bucket ([`forwarding::flow_hash::slb`]) is one of these; `None`: all.
        buckets: Option<BucketSet>,
    },
    /// The bond got or lost its carrier.
    CarrierChanged(bool),
    /// A bucket of the transmit table was moved to another member.
    BucketMoved {
        /// Its position in the table.
        bucket: usize,
        /// Who had it.
        from: String,
        /// Who has it now.
        to: String,
        /// What it carries, in octets a second.
        load: u64,
        /// By the operator, not by load.
        by_hand: bool,
    },
    /// Something that LACP tells.
    Lacp {
        /// The member that it is about, if about one.
        member: Option<String>,
        /// What.
        event: lacp::Event,
    },
}

/// How much an operator wants to know of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Weight {
    /// A step on the way to something; for those who look for a fault.
    Detail,
    /// A change of state.
    Change,
    /// Something that is not as it should be.
    Unusual,
}

impl BondEvent {
    /// How much an operator wants to know of it. Of what LACP's machines do: which members carry frames, who the partner
    /// is, which aggregator is in use, and why there is no carrier.
    pub fn weight(&self) -> Weight {
        let event = match self {
            Self::Lacp { event, .. } => event,
            Self::Target { answers: false, .. } | Self::Damped { held: Some(_), .. } => {
                return Weight::Unusual;
            }
            _ => return Weight::Change,
        };
        match event {
            lacp::Event::Partner { .. } | lacp::Event::Active { .. } | lacp::Event::Carrier { .. } => {
                Weight::Change
            }
            lacp::Event::Mux { .. } if moves(event).is_some() => Weight::Change,
            lacp::Event::Loopback { .. } => Weight::Unusual,
            lacp::Event::ActorChurn { to, .. } | lacp::Event::PartnerChurn { to, .. }
                if *to == lacp::churn::State::Churn =>
            {
                Weight::Unusual
            }
            // The partner has fallen silent. (That nobody is known yet when a link comes up is no news.)
            lacp::Event::Receive { from: Receive::Current, to: Receive::Expired, .. } => Weight::Unusual,
            _ => Weight::Detail,
        }
    }
}

/// Whether a member begins to send (true) or ceases to.
fn moves(event: &lacp::Event) -> Option<bool> {
    let lacp::Event::Mux { from, to, .. } = event else { return None };
    let (from, to) = (from.gates().distributing, to.gates().distributing);
    (from != to).then_some(to)
}

/// One log line, without the bond's name.
impl fmt::Display for BondEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MemberLink { member, device, from, to, delay, speed_mbps, full_duplex } => {
                write!(f, "{member}: ")?;
                let delay = delay.as_millis();
                match (from, to) {
                    (_, LinkState::GoingDown) => {
                        write!(f, "link status down, disabling it in {delay} ms")
                    }
                    (_, LinkState::GoingBack) => write!(f, "link status up, enabling it in {delay} ms"),
                    (LinkState::GoingDown, LinkState::Up) => write!(f, "link status up again"),
                    (LinkState::GoingBack, LinkState::Down) => write!(f, "link status down again"),
                    (_, LinkState::Up) => {
                        write!(f, "link status definitely up")?;
                        if let Some(speed) = speed_mbps {
                            write!(f, ", {speed} Mbps")?;
                        }
                        match full_duplex {
                            Some(true) => write!(f, " full duplex"),
                            Some(false) => write!(f, " half duplex"),
                            None => Ok(()),
                        }
                    }
                    (_, LinkState::Down) => {
                        let gone = if device.is_none() { " (device is gone)" } else { "" };
                        write!(f, "link status definitely down{gone}, disabling it")
                    }
                }
            }
            Self::MemberDisabled { member, disabled } => {
                write!(f, "{member}: {} by hand", if *disabled { "disabled" } else { "enabled" })
            }
            Self::Probed { member, alive: true, .. } => write!(f, "{member}: link probes get through"),
            Self::Probed { member, alive: false, silent: Some(silent) } => {
                write!(f, "{member}: link probes have heard nothing for {} ms", silent.as_millis())
            }
            Self::Probed { member, alive: false, silent: None } => {
                write!(f, "{member}: link probes have heard nothing so far")
            }
            Self::Target { target, answers: false } => {
                write!(f, "target {target} does not answer by any member")
            }
            Self::Target { target, answers: true } => write!(f, "target {target} answers"),
            Self::Damped { member, held: Some(held), .. } => write!(
                f,
                "{member}: its link keeps going down (flap_limit); held out until it has been quiet for {} s",
                held.as_secs()
            ),
            Self::Damped { member, held: None, needed: false } => {
                write!(f, "{member}: not held out any more, its link has been quiet")
            }
            Self::Damped { member, held: None, needed: true } => {
                write!(f, "{member}: not held out any more, there is no other member")
            }
            Self::ActiveChanged { old, new: Some(new), cause } => {
                let old = old.as_deref().unwrap_or("none");
                write!(f, "making {new} the new active member (was {old}): {cause}")
            }
            Self::ActiveChanged { old: _, new: None, cause } => {
                write!(f, "now running without any active member: {cause}")
            }
            Self::Announce { member, buckets: None } => {
                write!(f, "announcing learned addresses by device {}", member.0)
            }
            Self::Announce { member, buckets: Some(buckets) } => {
                write!(f, "announcing learned addresses of {} buckets by device {}", buckets.len(), member.0)
            }
            Self::CarrierChanged(up) => write!(f, "carrier {}", if *up { "on" } else { "off" }),
            Self::BucketMoved { bucket, from, to, load, by_hand } => {
                let why = if *by_hand { "by hand" } else { "by load" };
                write!(f, "bucket {bucket} moved from {from} to {to} {why}, it carries {load} octets/s")
            }
            Self::Lacp { member, event } => {
                if let Some(member) = member {
                    write!(f, "{member}: ")?;
                }
                match (event, moves(event)) {
                    (lacp::Event::Mux { from, to, .. }, Some(joins)) => {
                        let does = if joins { "joins" } else { "leaves" };
                        write!(f, "{does} the aggregate (LACP mux: {} -> {})", from.name(), to.name())
                    }
                    (lacp::Event::Receive { from: Receive::Current, to: Receive::Expired, .. }, _) => {
                        write!(f, "the partner has fallen silent ({event})")
                    }
                    _ => write!(f, "{event}"),
                }
            }
        }
    }
}
