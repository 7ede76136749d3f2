//! The second half of a frame's way: out by a port.

use super::{Egress, Frame, Observer, Output, Step};
use crate::bucket_loads::BucketLoads;
use crate::drop_reason::DropReason;
use crate::flow_hash::{self, HashPolicy};
use crate::ids::{DeviceId, PortId};
use crate::mac::MacAddr;
use crate::parse::Network;
use crate::tables::{PortEntry, TransmitPlan};
use crate::turn::{self, Turn};
use crate::vlan::VlanTag;
use crate::wire::ethernet::{ETHERTYPE_OFFSET, HEADER_LEN};
use crate::wire::ipv4::PROTOCOL_IGMP;
use crate::wire::vlan::{TAG_LEN, TagHeader, is_tpid};

/// Out by a port: with these tags.
struct Way<'a> {
    id: PortId,
    port: &'a PortEntry,
    tag: Option<VlanTag>,
    inner: Option<VlanTag>,
}

impl<O: Observer> Frame<'_, O> {
    /// Sends the frame by a port. With `Ok` at least one copy leaves.
    #[inline]
    pub(super) fn leave(&self, id: PortId, egress: &mut Egress) -> Result<(), DropReason> {
        let port = self.port_of_bridge(id).ok_or(DropReason::NoPort)?;
        if !port.vlan.contains(self.placed.vlan) || !port.vlan.carries_customer(|| self.customer_vid()) {
            return Err(DropReason::EgressVlan);
        }
        let (tag, inner) = port.vlan.egress_tags(self.placed);
        let way = Way { id, port, tag, inner };
        let device = match &port.transmit {
            TransmitPlan::Drop(reason) => return Err(*reason),
            TransmitPlan::One(device) => *device,
            TransmitPlan::Buckets { hash, table, loads } => {
                let (bucket, device) = self.bucket(id, *hash, table, tag, inner)?;
                self.leave_by(&way, device, None, egress)?;
                self.count_sent(loads.as_deref(), bucket, tag, inner);
                return Ok(());
            }
            TransmitPlan::Balanced { home, .. } if !self.is_balanced() => {
                self.observer.note(|| Step::Home { port: id, device: *home });
                *home
            }
            TransmitPlan::Balanced { hash, table, loads, home, .. } => {
                let (bucket, device) = self.bucket(id, *hash, table, tag, inner)?;
                let source = if device == *home { None } else { self.own_address(device) };
                self.leave_by(&way, device, source, egress)?;
                self.count_sent(loads.as_deref(), bucket, tag, inner);
                return Ok(());
            }
            TransmitPlan::RoundRobin { members, per_member, turn } => {
                self.take_turn(id, members, *per_member, turn)?
            }
            TransmitPlan::All { members } => return self.replicate(&way, members, egress),
        };
        self.leave_by(&way, device, None, egress)
    }

    /// Sends a copy by a device, which is to be one of the port's, with another source if there is one.
    #[inline]
    fn leave_by(
        &self,
        way: &Way<'_>,
        device: DeviceId,
        source: Option<MacAddr>,
        egress: &mut Egress,
    ) -> Result<(), DropReason> {
        // A device that is not this port's is one that the tables lost: it may be anywhere, even where we came from.
        let entry =
            self.tables.device(device).filter(|entry| entry.port == way.id).ok_or(DropReason::DeviceDown)?;
        if self.length > entry.mtu {
            self.observer.note(|| Step::TooLong { device, length: self.length, mtu: entry.mtu });
            return Err(DropReason::MtuExceeded);
        }
        let patch = self.patch_by(way.port);
        // Made in its place, field by field: an output that is put together elsewhere and then copied costs twice as much,
        // as the processor waits for small stores before it can load them together.
        egress.outputs.push(Output::NOWHERE);
        let Some(output) = egress.outputs.last_mut() else { return Err(DropReason::NoEgress) };
        (output.device, output.tag, output.inner) = (device, way.tag, way.inner);
        if source.is_some() {
            output.source = source;
        }
        if self.destination.is_some() {
            output.destination = self.destination;
        }
        if patch.is_some() {
            output.patch = patch;
        }
        let (port, output, length, mtu) = (way.id, *output, self.length, entry.mtu);
        self.observer.note(|| Step::Leaves { port, output, length, mtu });
        Ok(())
    }

    /// The frame's bucket of a table, and the device in it.
    #[inline]
    fn bucket(
        &self,
        port: PortId,
        policy: HashPolicy,
        table: &[DeviceId],
        tag: Option<VlanTag>,
        inner: Option<VlanTag>,
    ) -> Result<(u32, DeviceId), DropReason> {
        let hash = self.hash(policy, tag, inner);
        let buckets = table.len() as u32;
        let bucket = hash.checked_rem(buckets).ok_or(DropReason::NoMember)?;
        let device = table[bucket as usize];
        self.observer.note(|| Step::Hash { port, policy, hash, bucket, buckets, device });
        Ok((bucket, device))
    }

    /// Counts what left by a bucket, if its load is wanted: octets from the destination address on, tags and all.
    #[inline]
    fn count_sent(
        &self,
        loads: Option<&BucketLoads>,
        bucket: u32,
        tag: Option<VlanTag>,
        inner: Option<VlanTag>,
    ) {
        if let Some(loads) = loads {
            let tags = usize::from(tag.is_some()) + usize::from(inner.is_some());
            self.observer.load(loads, bucket, (self.ingress.bytes.len() + tags * TAG_LEN) as u64);
        }
    }

    /// Whether [`TransmitPlan::Balanced`] may send it by any member. What a customer's tag encloses is the customer's.
    #[inline]
    fn is_balanced(&self) -> bool {
        self.placed.inner.is_none() && self.parsed.is_ip_of_stations(self.ingress.bytes)
    }

    /// The source of what leaves by a member that isn't home.
    #[inline]
    fn own_address(&self, device: DeviceId) -> Option<MacAddr> {
        let source = self.tables.device(device)?.source?;
        self.observer.note(|| Step::Source { device, source });
        Some(source)
    }

    /// The member that sends this frame of a round robin.
    #[inline(never)]
    fn take_turn(
        &self,
        port: PortId,
        members: &[DeviceId],
        per_member: u32,
        turn: &Turn,
    ) -> Result<DeviceId, DropReason> {
        let first = *members.first().ok_or(DropReason::NoMember)?;
        if self.is_igmp() {
            self.observer.note(|| Step::FirstMember { port, device: first });
            return Ok(first);
        }
        let (turn, count) = (self.observer.turn(turn), members.len() as u32);
        let member = turn::member_of(turn, per_member, count).ok_or(DropReason::NoMember)?;
        let device = members[member as usize];
        self.observer.note(|| Step::Turn { port, turn, per_member, member, members: count, device });
        Ok(device)
    }

    /// IGMP as Linux's bonding driver sees it: IPv4 without a tag in the octets.
    fn is_igmp(&self) -> bool {
        let untagged = self.parsed.inner_tags == 0 && self.placed.inner.is_none();
        untagged && matches!(self.parsed.network, Network::Ipv4 { protocol: PROTOCOL_IGMP, .. })
    }

    /// A copy by each member.
    #[inline(never)]
    fn replicate(&self, way: &Way<'_>, members: &[DeviceId], egress: &mut Egress) -> Result<(), DropReason> {
        self.observer.note(|| Step::Copies { port: way.id, members: members.len() });
        let (left, dropped) = (egress.outputs.len(), egress.dropped.len());
        for device in members {
            if let Err(reason) = self.leave_by(way, *device, None, egress) {
                self.observer.note(|| Step::MemberDropped { device: *device, reason });
                egress.dropped.push(reason);
            }
        }
        if egress.outputs.len() > left {
            return Ok(());
        }
        let reason = egress.dropped.get(dropped).copied().unwrap_or(DropReason::NoMember);
        egress.dropped.truncate(dropped);
        Err(reason)
    }

    /// The VLAN of the tag within the outermost; 0: there is none.
    #[cold]
    fn customer_vid(&self) -> u16 {
        if let Some(inner) = self.placed.inner {
            return inner.vid();
        }
        let bytes = self.ingress.bytes;
        let tpid = u16::from_be_bytes([bytes[ETHERTYPE_OFFSET], bytes[ETHERTYPE_OFFSET + 1]]);
        match TagHeader::parse(&bytes[HEADER_LEN..]) {
            Some(header) if is_tpid(tpid) => header.tci.get() & 0x0fff,
            _ => 0,
        }
    }

    /// The transmit hash of the frame as it leaves, computed when a plan first asks for it.
    #[inline]
    fn hash(&self, policy: HashPolicy, tag: Option<VlanTag>, inner: Option<VlanTag>) -> u32 {
        if policy == HashPolicy::Slb {
            return flow_hash::slb(self.parsed.src, self.placed.vlan);
        }
        if let Some(inner) = inner {
            return flow_hash::hash_with_inner(policy, self.ingress.bytes, inner, tag);
        }
        match self.hash.get() {
            Some((of_policy, of_tag, hash)) if (of_policy, of_tag) == (policy, tag) => hash,
            _ => {
                let hash = flow_hash::hash(policy, self.ingress.bytes, tag);
                self.hash.set(Some((policy, tag, hash)));
                hash
            }
        }
    }
}
