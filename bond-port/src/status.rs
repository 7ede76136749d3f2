//! What `bond/show` prints.

use core::time::Duration;

use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;
use forwarding::tables::Admission;
use lacp::receive::State as Receive;
use lacp::{PortId, PortStatus};

use crate::bond::Bond;
use crate::event::ActiveCause;
use crate::member::Member;
use crate::mode::Mode;
use crate::monitor::LinkState;
use crate::probe::{MemberProbe, TargetStatus};

/// What LACP does in a bond, in Open vSwitch's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LacpStatus {
    /// The mode speaks no LACP.
    Off,
    /// It does, and no partner is known on the members in use.
    Configured,
    /// There is a partner.
    Negotiated,
}

impl LacpStatus {
    /// Open vSwitch's word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Configured => "configured",
            Self::Negotiated => "negotiated",
        }
    }
}

/// A bond at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BondStatus {
    /// Its name.
    pub name: String,
    /// Its mode.
    pub mode: Mode,
    /// Some member carries frames.
    pub carrier: bool,
    /// What LACP does.
    pub lacp: LacpStatus,
    /// Its address, once a member's device is known.
    pub mac: Option<MacAddr>,
    /// The active member, in modes that have one.
    pub active: Option<String>,
    /// Why the active member is the active one, or why there is none; `None` if there never was one.
    pub active_cause: Option<ActiveCause>,
    /// For how long that has been so.
    pub active_age: Option<Duration>,
    /// How often the active member changed.
    pub active_changes: u64,
    /// `updelay` in force.
    pub updelay: Duration,
    /// `downdelay` in force.
    pub downdelay: Duration,
    /// The length of the transmit table: the number of usable members, or `hash_buckets`; `None` when frames don't
    /// leave by a table.
    pub buckets: Option<usize>,
    /// What moves buckets by load, if anything does.
    pub rebalancing: Option<Rebalancing>,
    /// The targets of link probes; empty without these.
    pub targets: Vec<TargetStatus>,
    /// All options and their values.
    pub options: Vec<(&'static str, String)>,
    /// In the order in which they joined.
    pub members: Vec<MemberStatus>,
}

/// What moves buckets of a transmit table, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebalancing {
    /// Time until the loads are looked at again.
    pub next: Duration,
    /// Moves since the bond began to rebalance, by load and by hand.
    pub moved: u64,
    /// What each bucket carries that carries anything, by bucket.
    pub loads: Vec<BucketLoad>,
    /// The last moves, 32 at most, oldest first.
    pub last: Vec<BucketMove>,
}

/// What a bucket carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketLoad {
    /// Its position in the table.
    pub bucket: usize,
    /// The member that has it.
    pub member: String,
    /// Octets a second, on average.
    pub load: u64,
}

/// A move that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BucketMove {
    /// How long ago.
    pub age: Duration,
    /// By the operator, not by load.
    pub by_hand: bool,
    /// Which bucket.
    pub bucket: usize,
    /// Who had it; empty if that is no member any more.
    pub from: String,
    /// Who got it.
    pub to: String,
    /// What it carried, in octets a second.
    pub load: u64,
}

/// A member at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// The device's name.
    pub name: String,
    /// The device, if it is there.
    pub device: Option<DeviceId>,
    /// The link is up, or not yet given up, the member is not disabled by hand, and LACP, if it is spoken, lets it send
    /// (OVS's `enabled`).
    pub enabled: bool,
    /// The device is there, the member is not disabled by hand, and LACP, if it is spoken, lets it send, so that carrier
    /// is all it needs to be enabled (OVS's `may_enable`).
    pub may_enable: bool,
    /// LACP hears its partner (OVS's `lacp_current`); `None` if the mode speaks no LACP.
    pub lacp_current: Option<bool>,
    /// Taken out of use by [`Bond::disable_member`].
    pub disabled: bool,
    /// Its own option `prio`.
    pub prio: i32,
    /// It is the active member.
    pub active: bool,
    /// How many buckets of the transmit table it holds; `None` when frames don't leave by a table.
    pub buckets: Option<usize>,
    /// Which frames it may bring in.
    pub admission: Admission,
    /// It has carrier, as last reported.
    pub carrier: bool,
    /// What link probes say, if they are on.
    pub probe: Option<MemberProbe>,
    /// How long it is held out at least because its link keeps going down (`flap_limit`), if it is.
    pub held: Option<Duration>,
    /// The link state.
    pub link: LinkState,
    /// For how long the link has been in that state.
    pub link_age: Duration,
    /// What is left of the delay that is running (`updelay` if going back, `downdelay` if going down).
    pub delay_left: Option<Duration>,
    /// How often the link went down.
    pub link_failure_count: u64,
    /// Megabits per second, if known.
    pub speed_mbps: Option<u32>,
    /// Full duplex, if known.
    pub full_duplex: Option<bool>,
    /// The device computes a flow hash of what it receives, as last reported, if known.
    pub receive_hash: Option<bool>,
    /// The device's own address, as last reported.
    pub mac: Option<MacAddr>,
}

impl Bond {
    /// Everything `bond/show` prints.
    pub fn status(&self, now: Duration) -> BondStatus {
        let delays = self.delays();
        let lets = |member: &Member| self.port_of(member).is_none_or(|port| port.wanted.distributing);
        let member = |member: &Member| MemberStatus {
            name: member.name.clone(),
            device: member.device,
            enabled: member.is_usable() && lets(member),
            may_enable: member.device.is_some() && !member.is_disabled() && lets(member),
            lacp_current: self.port_of(member).map(|port| port.receive == Receive::Current),
            disabled: member.is_disabled(),
            prio: member.options.prio,
            active: self.active.id == Some(member.id),
            buckets: self.buckets_of(member),
            admission: member.admission,
            carrier: member.carrier,
            probe: self.prober().and_then(|prober| prober.member(now, member.id)),
            held: member.flaps.until().map(|until| until.saturating_sub(now)),
            link: member.link(),
            link_age: now.saturating_sub(member.link_since()),
            delay_left: member.monitor.deadline(delays).map(|deadline| deadline.saturating_sub(now)),
            link_failure_count: member.link_failure_count(),
            speed_mbps: member.speed_mbps,
            full_duplex: member.full_duplex,
            receive_hash: member.receive_hash,
            mac: member.mac,
        };
        BondStatus {
            name: self.name().to_owned(),
            mode: self.options().mode,
            carrier: self.carrier(),
            lacp: self.lacp_status(),
            mac: self.mac(),
            active: self.active.name.clone(),
            active_cause: self.active.changed.map(|(cause, _)| cause),
            active_age: self.active.changed.map(|(_, at)| now.saturating_sub(at)),
            active_changes: self.active.changes,
            updelay: delays.up,
            downdelay: delays.down,
            buckets: self.table().map(<[DeviceId]>::len),
            rebalancing: self.rebalancing(now),
            targets: self.prober().map_or_else(Vec::new, |prober| prober.targets(now).collect()),
            options: self.options().entries(),
            members: self.members().iter().map(member).collect(),
        }
    }

    /// What LACP does.
    pub fn lacp_status(&self) -> LacpStatus {
        match self.lacp() {
            None => LacpStatus::Off,
            Some(lacp) if lacp.negotiated() => LacpStatus::Negotiated,
            Some(_) => LacpStatus::Configured,
        }
    }

    /// LACP's port of a member, if the mode speaks LACP.
    pub fn port_of(&self, member: &Member) -> Option<PortStatus> {
        self.lacp()?.port(PortId(member.id.0))
    }

    /// The transmit table, in modes and moments that have one.
    fn table(&self) -> Option<&[DeviceId]> {
        self.plan().table().map(|(_, table)| &**table)
    }

    fn buckets_of(&self, member: &Member) -> Option<usize> {
        Some(self.table()?.iter().filter(|device| Some(**device) == member.device).count())
    }
}
