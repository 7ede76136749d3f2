//! The second half of a frame's way: out by a port.

use super::{Egress, Frame, Observer, Output, Step};
use crate::bucket_loads::BucketLoads;
use crate::drop_reason::DropReason;
use crate::flow_hash::{self, HashPolicy};
use crate::ids::{DeviceId, PortId};
use crate::mac::MacAddr;
use crate::parse::Network;
use crate::tables::TransmitPlan;
use crate::turn::{self, Turn};
use crate::vlan::VlanTag;
use crate::wire::ethernet::{ETHERTYPE_OFFSET, HEADER_LEN};
use crate::wire::ipv4::PROTOCOL_IGMP;
use crate::wire::vlan::{TAG_LEN, TagHeader, is_tpid};

impl<O: Observer> Frame<'_, O> {
    /// Sends the frame by a port. With `Ok` at least one copy leaves.
    #[inline]
    pub(super) fn leave(&self, id: PortId, egress: &mut Egress) -> Result<(), DropReason> {
        let port = self.port_of_bridge(id).ok_or(DropReason::NoPort)?;
        if !port.vlan.contains(self.placed.vlan) || !port.vlan.carries_customer(|| self.customer_vid()) {
            return Err(DropReason::EgressVlan);
        }
        let (tag, inner) = port.vlan.egress_tags(self.placed);
        let (destination, patch) = (self.destination, self.patch_by(port));
        let output = |device| Output { device, tag, inner, source: None, destination, patch };
        let device = match &port.transmit {
            TransmitPlan::Drop(reason) => return Err(*reason),
            TransmitPlan::One(device) => *device,
            TransmitPlan::Buckets { hash, table, loads } => {
                let (bucket, device) = self.bucket(id, *hash, table, tag, inner)?;
                return self.send_by_bucket(id, output(device), loads.as_deref(), bucket, egress);
            }
            TransmitPlan::Balanced { home, .. } if !self.is_balanced() => {
                self.observer.note(|| Step::Home { port: id, device: *home });
                *home
            }
            TransmitPlan::Balanced { hash, table, loads, home, .. } => {
                let (bucket, device) = self.bucket(id, *hash, table, tag, inner)?;
                let source = if device == *home { None } else { self.own_address(device) };
                let output = Output { source, ..output(device) };
                return self.send_by_bucket(id, output, loads.as_deref(), bucket, egress);
            }
            TransmitPlan::RoundRobin { members, per_member, turn } => {
                self.take_turn(id, members, *per_member, turn)?
            }
            TransmitPlan::All { members } => return self.replicate(id, members, output, egress),
        };
        egress.outputs.push(self.leave_by(id, output(device))?);
        Ok(())
    }

    /// Checks that a copy can leave by its device, which is to be one of the port's.
    #[inline]
    fn leave_by(&self, port: PortId, output: Output) -> Result<Output, DropReason> {
        let device = output.device;
        // A device that is not this port's is one that the tables lost: it may be anywhere, even where we came from.
        let entry =
            self.tables.device(device).filter(|entry| entry.port == port).ok_or(DropReason::DeviceDown)?;
        if self.length > entry.mtu {
            self.observer.note(|| Step::TooLong { device, length: self.length, mtu: entry.mtu });
            return Err(DropReason::MtuExceeded);
        }
        self.observer.note(|| Step::Leaves { port, output, length: self.length, mtu: entry.mtu });
        Ok(output)
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

    /// Sends a copy, and counts it if the loads of buckets are wanted.
    #[inline]
    fn send_by_bucket(
        &self,
        port: PortId,
        output: Output,
        loads: Option<&BucketLoads>,
        bucket: u32,
        egress: &mut Egress,
    ) -> Result<(), DropReason> {
        let output = self.leave_by(port, output)?;
        if let Some(loads) = loads {
            self.observer.load(loads, bucket, self.octets(&output));
        }
        egress.outputs.push(output);
        Ok(())
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

    /// Octets of a copy from its destination address on, tags and all.
    #[inline]
    fn octets(&self, output: &Output) -> u64 {
        let tags = usize::from(output.tag.is_some()) + usize::from(output.inner.is_some());
        (self.ingress.bytes.len() + tags * TAG_LEN) as u64
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
    fn replicate(
        &self,
        port: PortId,
        members: &[DeviceId],
        output: impl Fn(DeviceId) -> Output,
        egress: &mut Egress,
    ) -> Result<(), DropReason> {
        self.observer.note(|| Step::Copies { port, members: members.len() });
        let (left, dropped) = (egress.outputs.len(), egress.dropped.len());
        for device in members {
            match self.leave_by(port, output(*device)) {
                Ok(output) => egress.outputs.push(output),
                Err(reason) => {
                    self.observer.note(|| Step::MemberDropped { device: *device, reason });
                    egress.dropped.push(reason);
                }
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
