//! The decision about one frame: where it leaves, or why not.
//!
//! [`forward`] reads as the frame travels: `Frame::arrive` (device, port, parse, VLAN), `Frame::decide` (bond
//! admission, learning, lookup), `Frame::leave` (egress port, transmit plan, MTU, tag). Apart from what the FDB
//! learns, nothing changes here.

use core::cell::Cell;

use crate::drop_reason::DropReason;
use crate::fdb::{REFLECTION_TICKS, Tick};
use crate::flow_hash::{self, HashPolicy};
use crate::ids::{BridgeId, DeviceId, PortId};
use crate::parse::{Parsed, parse};
use crate::tables::{Admission, BridgeEntry, PortEntry, Tables, TransmitPlan};
use crate::vlan::VlanTag;
use crate::wire::virtio::VirtioNetHeader;

mod length;

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

/// One copy of a frame that leaves: the received bytes as they are, with `tag` put in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Output {
    /// Where it leaves.
    pub device: DeviceId,
    /// The outer tag it leaves with.
    pub tag: Option<VlanTag>,
}

/// Where a frame leaves. Kept by the caller and used again for the next frame, so that nothing is allocated.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Egress {
    /// The copies that leave, at most one for each port.
    pub outputs: Vec<Output>,
    /// The copies of a flood that could not leave, one reason for each.
    pub dropped: Vec<DropReason>,
}

impl Egress {
    fn clear(&mut self) {
        self.outputs.clear();
        self.dropped.clear();
    }
}

/// Decides about one frame, and learns its source. `egress` is cleared first. With `Ok` at least one copy leaves, and
/// `egress.dropped` lists the copies of a flood that do not.
///
/// # Errors
/// Why no copy leaves; `egress` is then empty. A flood of which no copy can leave gives the first copy's reason.
#[inline]
pub fn forward(
    tables: &Tables,
    now: Tick,
    ingress: &Ingress<'_>,
    egress: &mut Egress,
) -> Result<(), DropReason> {
    egress.clear();
    let frame = Frame::arrive(tables, ingress)?;
    match frame.decide(now)? {
        Verdict::Unicast(port) => egress.outputs.push(frame.leave(port)?),
        Verdict::Flood => frame.flood(egress)?,
    }
    Ok(())
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
struct Frame<'a> {
    tables: &'a Tables,
    ingress: &'a Ingress<'a>,
    admission: Admission,
    port: PortId,
    bridge_id: BridgeId,
    bridge: &'a BridgeEntry,
    parsed: Parsed,
    /// 0..=4094.
    vlan: u16,
    /// Layer-3 octets of the longest packet it makes on a wire.
    length: u32,
    /// The last transmit hash that a plan asked for, and what for.
    hash: Cell<Option<(HashPolicy, Option<VlanTag>, u32)>>,
}

impl<'a> Frame<'a> {
    /// Finds the frame's port and VLAN, and refuses what is no sound frame.
    #[inline]
    fn arrive(tables: &'a Tables, ingress: &'a Ingress<'a>) -> Result<Self, DropReason> {
        let device = tables.device(ingress.device).ok_or(DropReason::NoPort)?;
        let port = tables.port(device.port).ok_or(DropReason::NoPort)?;
        let bridge = tables.bridge(port.bridge).ok_or(DropReason::NoPort)?;
        let parsed = parse(ingress.bytes, ingress.tag)?;
        ingress.header.check(ingress.bytes.len())?;
        if parsed.dst.is_link_local_reserved() {
            return Err(DropReason::ReservedMulticast);
        }
        let vlan = port.vlan.classify(ingress.tag).ok_or(DropReason::VlanNotAllowed)?;
        Ok(Self {
            tables,
            ingress,
            admission: device.admission,
            port: device.port,
            bridge_id: port.bridge,
            bridge,
            parsed,
            vlan,
            length: length::on_wire(ingress.bytes, &ingress.header, &parsed),
            hash: Cell::new(None),
        })
    }

    /// Lets the frame in or not, learns its source, and finds its destination.
    #[inline]
    fn decide(&self, now: Tick) -> Result<Verdict, DropReason> {
        self.admit(now)?;
        if self.admission != Admission::Grace {
            self.bridge.fdb.learn(self.vlan, self.parsed.src, self.port, now);
        }
        match self.locate(now) {
            Some(port) if port == self.port => Err(DropReason::SamePort),
            Some(port) => Ok(Verdict::Unicast(port)),
            None => Ok(Verdict::Flood),
        }
    }

    /// The port behind which the destination is known to be. A port that the tables no longer have is unknown.
    #[inline]
    fn locate(&self, now: Tick) -> Option<PortId> {
        if self.parsed.dst.is_multicast() {
            return None;
        }
        let port = self.bridge.fdb.lookup(self.vlan, self.parsed.dst, now)?;
        self.port_of_bridge(port).map(|_| port)
    }

    /// The device's admission rule; see [`Admission`].
    #[inline]
    fn admit(&self, now: Tick) -> Result<(), DropReason> {
        match self.admission {
            Admission::All => Ok(()),
            Admission::AllButReflected => self.refuse_reflection(now),
            Admission::Grace => {
                self.refuse_reflection(now)?;
                let behind_another = self.locate(now).is_some_and(|port| port != self.port);
                if behind_another { Ok(()) } else { Err(DropReason::InactiveMember) }
            }
            Admission::Nothing => Err(DropReason::InactiveMember),
        }
    }

    /// Refuses a frame whose source was just seen on another port: the upstream switch sent a guest's own frame back.
    #[inline]
    fn refuse_reflection(&self, now: Tick) -> Result<(), DropReason> {
        match self.bridge.fdb.entry(self.vlan, self.parsed.src, now) {
            Some(entry) if entry.port != self.port && entry.age <= REFLECTION_TICKS => {
                Err(DropReason::Reflected)
            }
            _ => Ok(()),
        }
    }

    /// A copy for each other port of the VLAN.
    fn flood(&self, egress: &mut Egress) -> Result<(), DropReason> {
        for port in self.bridge.flood.ports(self.vlan).iter().filter(|port| **port != self.port) {
            match self.leave(*port) {
                Ok(output) => egress.outputs.push(output),
                Err(reason) => egress.dropped.push(reason),
            }
        }
        if !egress.outputs.is_empty() {
            return Ok(());
        }
        let reason = egress.dropped.first().copied().unwrap_or(DropReason::NoEgress);
        egress.clear();
        Err(reason)
    }

    /// How the frame leaves by a port.
    #[inline]
    fn leave(&self, id: PortId) -> Result<Output, DropReason> {
        let port = self.port_of_bridge(id).ok_or(DropReason::NoPort)?;
        if !port.vlan.contains(self.vlan) {
            return Err(DropReason::EgressVlan);
        }
        let tag = port.vlan.egress_tag(self.vlan, self.ingress.tag);
        let device = self.pick_device(&port.transmit, tag)?;
        // A device that is not this port's is one that the tables lost: it may be anywhere, even where we came from.
        let entry =
            self.tables.device(device).filter(|entry| entry.port == id).ok_or(DropReason::DeviceDown)?;
        if self.length > entry.mtu {
            return Err(DropReason::MtuExceeded);
        }
        Ok(Output { device, tag })
    }

    /// The device that the transmit plan names for this frame.
    #[inline]
    fn pick_device(&self, plan: &TransmitPlan, tag: Option<VlanTag>) -> Result<DeviceId, DropReason> {
        match plan {
            TransmitPlan::Drop(reason) => Err(*reason),
            TransmitPlan::One(device) => Ok(*device),
            TransmitPlan::Buckets { hash, table } => {
                let buckets = table.len() as u32;
                let bucket = self.hash(*hash, tag).checked_rem(buckets).ok_or(DropReason::NoMember)?;
                Ok(table[bucket as usize])
            }
        }
    }

    /// The transmit hash of the frame as it leaves, computed when a plan first asks for it.
    #[inline]
    fn hash(&self, policy: HashPolicy, tag: Option<VlanTag>) -> u32 {
        match self.hash.get() {
            Some((of_policy, of_tag, hash)) if (of_policy, of_tag) == (policy, tag) => hash,
            _ => {
                let hash = flow_hash::hash(policy, self.ingress.bytes, tag);
                self.hash.set(Some((policy, tag, hash)));
                hash
            }
        }
    }

    /// A port of the frame's bridge.
    #[inline]
    fn port_of_bridge(&self, id: PortId) -> Option<&'a PortEntry> {
        self.tables.port(id).filter(|port| port.bridge == self.bridge_id)
    }
}

#[cfg(test)]
mod tests;
