//! The decision about one frame: where it leaves, or why not.
//!
//! [`forward`] reads as the frame travels: `Frame::arrive` (device, port, parse, VLAN), `Frame::decide` (bond
//! admission, learning, lookup, storm control), `Frame::leave` (egress port, tags, transmit plan, MTU). Apart from what
//! the FDB learns and storm control counts, nothing changes here. [`trace`] is the same way with an observer beside it.

use core::cell::Cell;

use crate::bucket_loads::BucketLoads;
use crate::drop_reason::DropReason;
use crate::fdb::{Entry, Fdb, Learned, REFLECTION_TICKS, Tick};
use crate::flow_hash::{self, HashPolicy};
use crate::ids::{BridgeId, DeviceId, PortId};
use crate::mac::MacAddr;
use crate::parse::{Parsed, parse};
use crate::rewrite::Patch;
use crate::storm::{Storm, StormKind};
use crate::tables::{Admission, BridgeEntry, PortEntry, Tables, TransmitPlan};
use crate::turn::Turn;
use crate::vlan::{Placed, VlanTag};
use crate::wire::virtio::VirtioNetHeader;

mod leave;
mod length;
mod receive;
mod step;
mod trace;

pub use step::{Names, Step};
pub use trace::{Trace, trace};

/// A received frame.
#[derive(Debug, Clone, Copy)]
pub struct Ingress<'a> {
    /// Where it came in.
    pub device: DeviceId,
    /// The frame from its destination address on, without the outer tag.
    pub bytes: &'a [u8],
    /// The outer tag.
    pub tag: Option<VlanTag>,
    /// Its offloads; offsets count from the start of `bytes`.
    pub header: VirtioNetHeader,
}

/// One copy of a frame that leaves: the received bytes, with other addresses if there are any here, and with the tags put in
/// behind the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Where it leaves.
    pub device: DeviceId,
    /// The outer tag it leaves with.
    pub tag: Option<VlanTag>,
    /// A customer's tag that came beside the bytes and goes back into them behind `tag`. Never without `tag`.
    pub inner: Option<VlanTag>,
    /// Replaces the Ethernet source.
    pub source: Option<MacAddr>,
    /// Replaces the Ethernet destination.
    pub destination: Option<MacAddr>,
    /// What else is different, in an ARP packet or neighbour discovery.
    pub patch: Option<Patch>,
}

impl Output {
    const NOWHERE: Self = Self {
        device: DeviceId(u16::MAX),
        tag: None,
        inner: None,
        source: None,
        destination: None,
        patch: None,
    };
}

/// A frame that the control thread wants to see, besides what becomes of it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Punt {
    /// The port it came in by.
    pub port: PortId,
    /// Its VLAN.
    pub vlan: u16,
}

/// An address that is behind another port from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// The VLAN.
    pub vlan: u16,
    /// The address.
    pub mac: MacAddr,
    /// Where it was.
    pub from: PortId,
    /// Where it is.
    pub to: PortId,
}

/// What becomes of a frame. Kept by the caller and used again for the next frame, so that nothing is allocated.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Egress {
    /// The copies that leave: at most one for each device, and one for each port but those with
    /// [`crate::tables::TransmitPlan::All`]. Empty if the frame is dropped.
    pub outputs: Vec<Output>,
    /// The copies that could not leave while others did, one reason for each: of a flood, and of a bond that sends by
    /// all its members. A bond of which no member could send counts once. Empty if none left.
    pub dropped: Vec<DropReason>,
    /// The frame is for the control thread too: ARP or neighbour discovery without a tag in its octets, that came in by
    /// a port with [`PortEntry::snoop`] or [`PortEntry::receive`] or, if it is an announcement, by any. The frame is as it
    /// came in. Set also if no copy leaves.
    pub punt: Option<Punt>,
    /// Its source was learned at another port than before. Set also if no copy leaves.
    pub moved: Option<Moved>,
    /// The VLAN, if the frame had got as far as to have one.
    pub vlan: Option<u16>,
}

impl Egress {
    #[inline]
    fn clear(&mut self) {
        self.outputs.clear();
        self.dropped.clear();
        (self.punt, self.moved, self.vlan) = (None, None, None);
    }
}

/// Decides about one frame, and learns its source. `egress` is cleared first. With `Ok` at least one copy leaves, and
/// `egress.dropped` lists those that do not.
///
/// # Errors
/// Why no copy leaves. When there were to be several it is the first one's reason.
#[inline]
pub fn forward(
    tables: &Tables,
    now: Tick,
    ingress: &Ingress<'_>,
    egress: &mut Egress,
) -> Result<(), DropReason> {
    egress.clear();
    Frame::arrive(tables, ingress, Silent)?.travel(now, egress)
}

/// What the control thread wants to see of a frame that another executor has forwarded, and that it has shown us for
/// this. Nothing is learned or counted.
pub fn snooped(tables: &Tables, ingress: &Ingress<'_>) -> Option<Punt> {
    let frame = Frame::arrive(tables, ingress, Silent).ok()?;
    frame.punt(frame.parsed.resolves_addresses()?)
}

/// Is told what happens on a frame's way.
trait Observer {
    fn note(&self, step: impl FnOnce() -> Step);

    /// The frame's turn in a round robin.
    fn turn(&self, turn: &Turn) -> u32;

    /// So many octets leave by a bucket.
    fn load(&self, loads: &BucketLoads, bucket: u32, octets: u64);
}

/// Nobody looks: every note compiles to nothing.
struct Silent;

impl Observer for Silent {
    #[inline(always)]
    fn note(&self, _: impl FnOnce() -> Step) {}

    #[inline(always)]
    fn turn(&self, turn: &Turn) -> u32 {
        turn.take()
    }

    #[inline(always)]
    fn load(&self, loads: &BucketLoads, bucket: u32, octets: u64) {
        loads.add(bucket as usize, octets);
    }
}

/// Which ports a frame is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// The port behind which the destination is.
    Unicast(PortId),
    /// All others of its VLAN.
    Flood,
}

/// A frame that has a port, a bridge and a VLAN.
struct Frame<'a, O> {
    tables: &'a Tables,
    ingress: &'a Ingress<'a>,
    admission: &'a Admission,
    port_id: PortId,
    port: &'a PortEntry,
    bridge_id: BridgeId,
    bridge: &'a BridgeEntry,
    fdb: &'a Fdb,
    storm: Option<&'a Storm>,
    parsed: Parsed,
    placed: Placed,
    /// The guest's address that has taken the place of a member's own, in `parsed` too.
    destination: Option<MacAddr>,
    /// And in an ARP packet.
    patch: Option<Patch>,
    /// Layer-3 octets of the longest packet it makes on a wire.
    length: u32,
    /// The last transmit hash that a plan asked for, and what for.
    hash: Cell<Option<(HashPolicy, Option<VlanTag>, u32)>>,
    observer: O,
}

impl<'a, O: Observer> Frame<'a, O> {
    /// Finds the frame's port and VLAN, and refuses what is no sound frame.
    #[inline]
    fn arrive(tables: &'a Tables, ingress: &'a Ingress<'a>, observer: O) -> Result<Self, DropReason> {
        let device = tables.device(ingress.device).ok_or(DropReason::NoPort)?;
        let port = tables.port(device.port).ok_or(DropReason::NoPort)?;
        let bridge = tables.bridge(port.bridge).ok_or(DropReason::NoPort)?;
        observer.note(|| Step::Received { device: ingress.device, port: device.port });
        let parsed = parse(ingress.bytes, ingress.tag)?;
        observer.note(|| Step::Parsed { parsed, tag: ingress.tag });
        ingress.header.check(ingress.bytes.len())?;
        if parsed.dst.is_link_local_reserved() {
            if device.slow_protocols && parsed.is_slow_protocol(ingress.tag) {
                observer.note(|| Step::SlowProtocol);
                return Err(DropReason::SlowProtocol);
            }
            return Err(DropReason::ReservedMulticast);
        }
        let placed = port.vlan.place(ingress.tag).ok_or(DropReason::VlanNotAllowed)?;
        observer.note(|| Step::Vlan(placed));
        Ok(Self {
            tables,
            ingress,
            admission: &device.admission,
            port_id: device.port,
            port,
            bridge_id: port.bridge,
            bridge,
            fdb: &bridge.fdb,
            storm: port.storm.as_deref(),
            parsed,
            placed,
            destination: None,
            patch: None,
            length: length::on_wire(ingress.bytes, &ingress.header, &parsed),
            hash: Cell::new(None),
            observer,
        })
    }

    /// All the rest of the way.
    #[inline]
    fn travel(&mut self, now: Tick, egress: &mut Egress) -> Result<(), DropReason> {
        egress.vlan = Some(self.placed.vlan);
        self.find_guest()?;
        match self.decide(now, egress)? {
            Verdict::Unicast(port) => self.leave(port, egress)?,
            Verdict::Flood => self.flood(egress)?,
        }
        Ok(())
    }

    /// Lets the frame in or not, learns its source, and finds its destination.
    #[inline]
    fn decide(&self, now: Tick, egress: &mut Egress) -> Result<Verdict, DropReason> {
        if self.is_from_member() {
            return Err(DropReason::Reflected);
        }
        match self.admission {
            Admission::All | Admission::AllButReflected => self.learn(now, egress)?,
            Admission::Grace => self.admit_in_grace(now)?,
            Admission::Buckets { .. } => {
                self.admit_by_bucket(now)?;
                self.learn(now, egress)?;
            }
            Admission::Nothing => return Err(DropReason::InactiveMember),
        }
        self.count_received();
        let found = self.locate(now);
        self.observer.note(|| Step::Lookup { dst: self.parsed.dst, found });
        if let (None, Some(storm)) = (found, self.storm) {
            self.limit_storm(storm, now)?;
        }
        if let Some(announcement) = self.parsed.resolves_addresses() {
            self.tell(announcement, now, egress);
        }
        match found {
            Some(port) if port == self.port_id => Err(DropReason::SamePort),
            Some(port) => Ok(Verdict::Unicast(port)),
            None => Ok(Verdict::Flood),
        }
    }

    /// Learns the source, as far as the port may, unless the frame is a reflection.
    #[inline]
    fn learn(&self, now: Tick, egress: &mut Egress) -> Result<(), DropReason> {
        let (vlan, mac, port) = (self.placed.vlan, self.parsed.src, self.port_id);
        let limit = self.port.learning.most();
        let bond = !matches!(self.admission, Admission::All);
        let learned =
            self.fdb.learn_unless(vlan, mac, port, now, limit, |known| bond && self.is_reflection(known));
        if learned == Learned::Reflected {
            return Err(DropReason::Reflected);
        }
        self.observer.note(|| Step::Admitted(*self.admission));
        self.observer.note(|| Step::Learning { vlan, mac, port, learned });
        match learned {
            Learned::Moved { from } => egress.moved = Some(Moved { vlan, mac, from, to: port }),
            Learned::Full | Learned::Static if self.port.learning.locked => {
                return Err(DropReason::PortLocked);
            }
            _ => {}
        }
        Ok(())
    }

    /// The port behind which the destination is known to be. A port that the tables no longer have is unknown.
    #[inline]
    fn locate(&self, now: Tick) -> Option<PortId> {
        if self.parsed.dst.is_multicast() {
            return None;
        }
        let port = self.fdb.lookup(self.placed.vlan, self.parsed.dst, now)?;
        self.port_of_bridge(port).map(|_| port)
    }

    /// Lets in what [`Admission::Grace`] allows.
    fn admit_in_grace(&self, now: Tick) -> Result<(), DropReason> {
        match self.fdb.entry(self.placed.vlan, self.parsed.src, now) {
            Some(known) if known.port != self.port_id && self.is_reflection(&known) => {
                return Err(DropReason::Reflected);
            }
            _ => {}
        }
        if !self.is_for_another_port(now) {
            return Err(DropReason::InactiveMember);
        }
        self.observer.note(|| Step::Admitted(Admission::Grace));
        Ok(())
    }

    /// Lets in what [`Admission::Buckets`] allows; whether it is a reflection is seen when it is to be learned.
    fn admit_by_bucket(&self, now: Tick) -> Result<(), DropReason> {
        let Admission::Buckets { own, lately, groups } = self.admission else { return Ok(()) };
        let admitted = if self.parsed.dst.is_multicast() {
            *groups
        } else {
            let hash = flow_hash::slb(self.parsed.dst, self.placed.vlan);
            own.has(hash) || lately.has(hash) && self.is_for_another_port(now)
        };
        if admitted { Ok(()) } else { Err(DropReason::InactiveMember) }
    }

    /// It is unicast, to a MAC known behind another port.
    fn is_for_another_port(&self, now: Tick) -> bool {
        self.locate(now).is_some_and(|port| port != self.port_id)
    }

    /// Whether a frame whose source is behind another port is that guest's own frame, and no news of the guest having
    /// moved: an ordinary frame if the guest was just seen there, an announcement if the guest (or we for it) has just
    /// made one.
    #[inline]
    fn is_reflection(&self, entry: &Entry) -> bool {
        if self.parsed.is_announcement() {
            entry.is_locked || entry.is_static
        } else {
            entry.age <= REFLECTION_TICKS
        }
    }

    /// Whether it has left by this port with a member's own address as the source.
    #[inline]
    fn is_from_member(&self) -> bool {
        match &self.port.transmit {
            TransmitPlan::Balanced { own, .. } => own.contains(&self.parsed.src),
            _ => false,
        }
    }

    /// Counts a frame to be flooded against the port's limits.
    fn limit_storm(&self, storm: &Storm, now: Tick) -> Result<(), DropReason> {
        let kind = if self.parsed.dst.is_broadcast() {
            StormKind::Broadcast
        } else if self.parsed.dst.is_multicast() {
            StormKind::Multicast
        } else {
            StormKind::Unknown
        };
        if storm.admit(kind, now) { Ok(()) } else { Err(kind.drop_reason()) }
    }

    /// Tells the control thread of ARP or neighbour discovery (what a customer's tag encloses is the customer's), and
    /// locks a guest's address against the reflection of its announcement.
    #[cold]
    fn tell(&self, announcement: bool, now: Tick, egress: &mut Egress) {
        if self.port.snoop && announcement {
            self.fdb.lock(self.placed.vlan, self.parsed.src, now);
        }
        egress.punt = self.punt(announcement);
    }

    /// Whether the control thread wants to see ARP or neighbour discovery from here.
    fn punt(&self, announcement: bool) -> Option<Punt> {
        let wanted = self.port.snoop || self.port.receive.is_some() || announcement;
        (wanted && self.is_untunnelled()).then_some(Punt { port: self.port_id, vlan: self.placed.vlan })
    }

    /// To each other port of the VLAN.
    #[inline(never)]
    fn flood(&self, egress: &mut Egress) -> Result<(), DropReason> {
        let all = self.bridge.flood.ports(self.placed.vlan);
        self.observer
            .note(|| Step::Flood { ports: all.iter().filter(|port| **port != self.port_id).count() });
        for port in all.iter().filter(|port| **port != self.port_id) {
            if let Err(reason) = self.leave(*port, egress) {
                self.observer.note(|| Step::CopyDropped { port: *port, reason });
                egress.dropped.push(reason);
            }
        }
        if !egress.outputs.is_empty() {
            return Ok(());
        }
        let reason = egress.dropped.first().copied().unwrap_or(DropReason::NoEgress);
        egress.dropped.clear();
        Err(reason)
    }

    /// A port of the frame's bridge.
    #[inline]
    fn port_of_bridge(&self, id: PortId) -> Option<&'a PortEntry> {
        self.tables.port(id).filter(|port| port.bridge == self.bridge_id)
    }
}

#[cfg(test)]
mod tests;
