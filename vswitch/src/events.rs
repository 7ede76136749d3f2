//! What `vsctl monitor` shows, one JSON object an event: `time`, `monotonic_ms`, `type`, and the fields of that kind.
//! docs/operations.md describes them; fields are added, never renamed.

#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bond_port::BondEvent;
use forwarding::mac::MacAddr;
use serde::{Deserialize, Serialize};

use crate::model::mac_text;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Wall clock, UTC, RFC 3339 with milliseconds: `2026-01-31T23:59:59.999Z`.
    pub time: String,
    /// Milliseconds since the daemon's start, by a clock that is never set.
    pub monotonic_ms: u64,
    /// What it was.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// The kinds of events. On the wire `type` names the kind, in snake case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum EventKind {
    /// A device of the switch came, went, or changed.
    Link {
        /// Its name.
        device: String,
        /// Its port: itself, or a bond.
        port: String,
        /// There is such a device.
        present: bool,
        /// The operator wants it up.
        admin_up: bool,
        /// It has a carrier.
        carrier: bool,
    },
    /// A bond's opinion of a member's link changed.
    Member {
        /// The bond.
        bond: String,
        /// The member.
        member: String,
        /// `up`, `going down`, `down` or `going back`.
        from: String,
        /// The same.
        to: String,
        /// Milliseconds of the updelay or downdelay that now runs; 0 if none does.
        delay_ms: u64,
        /// Speed in Mb/s, if known.
        speed: Option<u32>,
        /// Duplex, if known.
        full_duplex: Option<bool>,
    },
    /// A member was taken out of use by hand, or is no longer.
    MemberDisabled {
        /// The bond.
        bond: String,
        /// The member.
        member: String,
        /// Now.
        disabled: bool,
    },
    /// Link probes have another verdict on a member.
    Probe {
        /// The bond.
        bond: String,
        /// The member.
        member: String,
        /// It is up as far as they can tell.
        alive: bool,
        /// Milliseconds since it last showed a sign of life, if it ever did.
        silent_ms: Option<u64>,
    },
    /// A target of link probes answers by no member any more, or answers again.
    Target {
        /// The bond.
        bond: String,
        /// Its IP address.
        target: String,
        /// It answers.
        answers: bool,
    },
    /// A member is held out because its link keeps going down, or is no longer.
    Damped {
        /// The bond.
        bond: String,
        /// The member.
        member: String,
        /// It is.
        held: bool,
        /// Milliseconds for which it is at least; 0 if it is not.
        held_ms: u64,
    },
    /// Another member is active, or none.
    Active {
        /// The bond.
        bond: String,
        /// Before.
        old: Option<String>,
        /// Now.
        new: Option<String>,
        /// Why, as a word ([`bond_port::ActiveCause::label`]).
        cause: String,
    },
    /// A bond got or lost its carrier.
    Carrier {
        /// The bond.
        bond: String,
        /// Whether it has one now.
        up: bool,
    },
    /// A MAC address was heard on another port than before.
    MacMoved {
        /// The bridge.
        bridge: String,
        /// VLAN, 0 for untagged.
        vlan: u16,
        /// The address.
        #[serde(with = "mac_text")]
        mac: MacAddr,
        /// Port before.
        from: String,
        /// Port now.
        to: String,
    },
    /// A guest claims an IP address that another guest has; frames for it go on going to that one.
    ClaimRefused {
        /// The bridge.
        bridge: String,
        /// VLAN, 0 for untagged.
        vlan: u16,
        /// The address.
        ip: IpAddr,
        /// Who claims it.
        #[serde(with = "mac_text")]
        mac: MacAddr,
        /// Where that is.
        port: String,
        /// Who has it.
        #[serde(with = "mac_text")]
        owner: MacAddr,
        /// Where that is.
        owner_port: String,
    },
    /// A transaction changed the configuration and is in force.
    Config {
        /// How many commands it had.
        commands: usize,
    },
    /// A bucket of a bond's transmit table was moved to another member.
    BucketMoved {
        /// The bond.
        bond: String,
        /// Its position in the table.
        bucket: u32,
        /// Member before.
        from: String,
        /// Member now.
        to: String,
        /// What it carries, in octets a second.
        load: u64,
        /// By the operator, not by load.
        by_hand: bool,
    },
    /// LACP tells of a change.
    Lacp {
        /// The bond.
        bond: String,
        /// The member, if it is about one.
        member: Option<String>,
        /// What changed: `receive`, `partner`, `selected`, `mux`, `actor_churn`, `partner_churn`, `loopback`, `active`
        /// (aggregator) or `carrier`.
        what: String,
        /// The old value, where it is known.
        from: Option<String>,
        /// The new value.
        to: Option<String>,
        /// In words.
        text: String,
    },
    /// Something is not as it should be; the log has it as a warning.
    Warning {
        /// The bond that it is about, if about one.
        bond: Option<String>,
        /// The device, if about one.
        device: Option<String>,
        /// What is wrong, and what to do.
        text: String,
    },
    /// Addresses behind the bridge's other ports are being announced through a bond.
    Announce {
        /// The bond.
        bond: String,
        /// The member by which the frames leave.
        member: String,
        /// How many MAC addresses, each VLAN counted.
        macs: usize,
    },
}

impl Event {
    /// An event at this moment: `now` since the daemon's start, `wall` on the wall clock.
    pub fn new(now: Duration, wall: SystemTime, kind: EventKind) -> Self {
        let monotonic_ms = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        Self { time: rfc3339(wall), monotonic_ms, kind }
    }
}

impl EventKind {
    /// The event of a bond; `None` for an order to announce, which is an event when it is carried out.
    pub fn of_bond(bond: &str, event: &BondEvent) -> Option<Self> {
        let bond = bond.to_owned();
        Some(match event {
            BondEvent::MemberLink { member, from, to, delay, speed_mbps, full_duplex, device: _ } => {
                Self::Member {
                    bond,
                    member: member.clone(),
                    from: from.to_string(),
                    to: to.to_string(),
                    delay_ms: u64::try_from(delay.as_millis()).unwrap_or(u64::MAX),
                    speed: *speed_mbps,
                    full_duplex: *full_duplex,
                }
            }
            BondEvent::ActiveChanged { old, new, cause } => {
                Self::Active { bond, old: old.clone(), new: new.clone(), cause: cause.label().to_owned() }
            }
            BondEvent::CarrierChanged(up) => Self::Carrier { bond, up: *up },
            BondEvent::MemberDisabled { member, disabled } => {
                Self::MemberDisabled { bond, member: member.clone(), disabled: *disabled }
            }
            BondEvent::Probed { member, alive, silent } => Self::Probe {
                bond,
                member: member.clone(),
                alive: *alive,
                silent_ms: silent.map(milliseconds),
            },
            BondEvent::Target { target, answers } => {
                Self::Target { bond, target: target.to_string(), answers: *answers }
            }
            BondEvent::Damped { member, held, needed: _ } => Self::Damped {
                bond,
                member: member.clone(),
                held: held.is_some(),
                held_ms: held.map_or(0, milliseconds),
            },
            BondEvent::BucketMoved { bucket, from, to, load, by_hand } => Self::BucketMoved {
                bond,
                bucket: *bucket as u32,
                from: from.clone(),
                to: to.clone(),
                load: *load,
                by_hand: *by_hand,
            },
            BondEvent::Lacp { member, event } => {
                let (what, from, to) = lacp_change(event);
                let (what, text) = (what.to_owned(), event.to_string());
                Self::Lacp { bond, member: member.clone(), what, from, to, text }
            }
            BondEvent::Announce { .. } => return None,
        })
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// What changed, and the old and new values.
fn lacp_change(event: &lacp::Event) -> (&'static str, Option<String>, Option<String>) {
    use lacp::Event;
    let text = |name: &str| Some(name.to_owned());
    match event {
        Event::Receive { from, to, .. } => ("receive", text(from.name()), text(to.name())),
        Event::Partner { partner, .. } => ("partner", None, Some(partner.to_string())),
        Event::Selected { from, to, .. } => ("selected", text(from.name()), text(to.name())),
        Event::Mux { from, to, .. } => ("mux", text(from.name()), text(to.name())),
        Event::ActorChurn { to, .. } => ("actor_churn", None, text(to.name())),
        Event::PartnerChurn { to, .. } => ("partner_churn", None, text(to.name())),
        Event::Loopback { .. } => ("loopback", None, None),
        Event::Active { from, to } => {
            let number = |id: &lacp::AggregatorId| id.0.to_string();
            ("active", from.as_ref().map(number), to.as_ref().map(|(id, _)| number(id)))
        }
        Event::Carrier { down } => (
            "carrier",
            text(if down.is_some() { "up" } else { "down" }),
            text(if down.is_some() { "down" } else { "up" }),
        ),
    }
}

/// RFC 3339, UTC, milliseconds cut off. Moments before 1970 are 1970.
fn rfc3339(wall: SystemTime) -> String {
    let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, second) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z", since.subsec_millis())
}

/// The Gregorian date so many days after 1970-01-01.
fn date(mut days: u64) -> (u64, u64, u64) {
    const DAYS_IN_400_YEARS: u64 = 146_097;
    let mut year = 1970 + days / DAYS_IN_400_YEARS * 400;
    days %= DAYS_IN_400_YEARS;
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    while days >= 365 + u64::from(leap(year)) {
        days -= 365 + u64::from(leap(year));
        year += 1;
    }
    let february = 28 + u64::from(leap(year));
    let mut month = 1;
    for length in [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    (year, month, days + 1)
}
