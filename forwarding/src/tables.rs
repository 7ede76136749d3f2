//! What the control thread compiles from configuration and state machines, and every executor reads: immutable,
//! published whole by one pointer swap.

use std::sync::Arc;

use crate::bucket_loads::BucketLoads;
use crate::bucket_set::BucketSet;
use crate::drop_reason::DropReason;
use crate::fdb::Fdb;
use crate::flow_hash::HashPolicy;
use crate::ids::{BridgeId, DeviceId, PortId};
use crate::mac::MacAddr;
use crate::receive::Receive;
use crate::storm::Storm;
use crate::turn::Turn;
use crate::vlan::VlanPolicy;
use crate::vlan_counters::VlanCounters;

/// One generation of everything that decides about frames.
#[derive(Debug, Default, Clone)]
pub struct Tables {
    /// Counts publications; an executor reports the generation it has seen.
    pub generation: u64,
    /// Indexed by [`DeviceId`]; `None` is a free number.
    pub devices: Vec<Option<DeviceEntry>>,
    /// Indexed by [`PortId`].
    pub ports: Vec<Option<PortEntry>>,
    /// Indexed by [`BridgeId`].
    pub bridges: Vec<Option<BridgeEntry>>,
}

/// A device that frames come from and go to.
#[derive(Debug, Clone)]
pub struct DeviceEntry {
    /// The logical port it belongs to.
    pub port: PortId,
    /// Longest layer-3 packet it takes, in octets (Linux's MTU: no Ethernet header, no VLAN tag).
    pub mtu: u32,
    /// Which received frames are let in.
    pub admission: Admission,
    /// Untagged frames of the Slow Protocols ([`crate::parse::Parsed::is_slow_protocol`]) are for the bond's LACP, which
    /// hears them by a socket of its own, whatever `admission` is: they end here as [`DropReason::SlowProtocol`], and the
    /// kernel's executor passes them on to the socket.
    pub slow_protocols: bool,
    /// The device's own address, with which a bond's plan may have guests' frames leave here
    /// ([`TransmitPlan::Balanced`]). `None`: their sources stay as they are.
    pub source: Option<MacAddr>,
}

/// Which frames a device may bring in. Plain ports take [`Admission::All`]; a bond's mode decides for its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Every frame.
    All,
    /// Every frame but those whose source is a MAC of another port of this bridge seen there within
    /// [`crate::fdb::REFLECTION_TICKS`]: such a frame is our own guest's, sent back by the upstream switch.
    /// ([`DropReason::Reflected`].) An announcement (gratuitous ARP, RARP, unsolicited NA) is one only if the entry is
    /// locked or static: otherwise the guest has moved, and the entry moves at once.
    AllButReflected,
    /// A member that has just ceased to be active: only unicast frames to a MAC known behind another port, until the
    /// upstream switch has relearned; everything else is dropped as [`DropReason::InactiveMember`]. Reflections are
    /// refused as above. Nothing is learned from such a frame.
    Grace,
    /// A member of a bond whose members end at plain ports of the switch, so that a frame that is flooded comes in by each
    /// of them (balance-slb). Let in once: a frame to a group by the member that `groups` says, a unicast frame by the one
    /// that has the bucket of its destination ([`crate::flow_hash::slb`]), for there the switch has learned it, and
    /// where it has not the frame comes by all. The others drop it as [`DropReason::InactiveMember`]. Reflections are
    /// refused as above.
    Buckets {
        /// The buckets that are the member's own.
        own: BucketSet,
        /// Those that were until just now: until the switch has relearned, frames to a MAC known behind another port are
        /// let in.
        lately: BucketSet,
        /// Frames to a group.
        groups: bool,
    },
    /// None ([`DropReason::InactiveMember`]).
    Nothing,
}

/// A logical port.
#[derive(Debug, Clone)]
pub struct PortEntry {
    /// The bridge it belongs to.
    pub bridge: BridgeId,
    /// VLAN membership and tagging.
    pub vlan: VlanPolicy,
    /// How frames leave it.
    pub transmit: TransmitPlan,
    /// ARP and IPv6 neighbour discovery that it brings in go to the control thread too, and an announcement heard here
    /// locks its entry in the FDB against its own reflection: a port with guests, no bond.
    pub snoop: bool,
    /// How much is learned from it.
    pub learning: Learning,
    /// Limits on what it may flood.
    pub storm: Option<Arc<Storm>>,
    /// Receive balancing for guests, of a bond in mode balance-alb. ARP and neighbour discovery that it brings in go to the
    /// control thread as those of a port with `snoop` do.
    pub receive: Option<Arc<Receive>>,
}

/// How much is learned from a port. The default is no limit and no lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Learning {
    /// Most entries learned from it. What is refused is counted by the FDB, and its frames are forwarded all the same.
    pub limit: Option<u32>,
    /// Frames whose source the FDB does not have behind this port, static or learned, are dropped as
    /// [`DropReason::PortLocked`]. With a limit the port fills it first; without one it learns nothing new.
    pub locked: bool,
}

impl Learning {
    /// Most entries learned from the port.
    #[inline]
    pub fn most(self) -> u32 {
        self.limit.unwrap_or(if self.locked { 0 } else { u32::MAX })
    }
}

/// How a logical port sends: the trivial case for a plain port, the work of a mode for a bond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransmitPlan {
    /// Not at all; the reason is counted for each frame.
    Drop(DropReason),
    /// By this device.
    One(DeviceId),
    /// By `table[hash % table.len()]`. A table as long as the list of usable members, in the order they joined, is
    /// what Linux does. The table is not empty.
    Buckets {
        /// The 32-bit hash.
        hash: HashPolicy,
        /// Bucket to device.
        table: Arc<[DeviceId]>,
        /// Counters of what leaves by each bucket, if the bond moves buckets by load: the same ones for as long as it does.
        loads: Option<Arc<BucketLoads>>,
    },
    /// IP frames to one station ([`crate::parse::Parsed::is_ip_of_stations`]) by `table[hash % table.len()]`, everything
    /// else by `home`. For members that end at plain ports of a switch: a copy that leaves by another member than `home`
    /// has that member's own address ([`DeviceEntry::source`]) for its Ethernet source, so that the switch learns a guest
    /// at one port only. (Linux: `bond_tlb_xmit`, `bond_do_alb_xmit`.)
    Balanced {
        /// The 32-bit hash, of the frame as it came.
        hash: HashPolicy,
        /// Bucket to device. Not empty.
        table: Arc<[DeviceId]>,
        /// As in [`Self::Buckets`]. What leaves by `home` because it isn't balanced is not counted.
        loads: Option<Arc<BucketLoads>>,
        /// The active member, at whose port the switch has the guests.
        home: DeviceId,
        /// All members' own addresses, of those that are down too. What comes in by this port from one of them is a frame of
        /// ours that the switch floods: it is dropped as [`DropReason::Reflected`], and nothing is learned.
        own: Arc<[MacAddr]>,
    },
    /// By the member whose turn it is ([`crate::turn`]). IGMP (IPv4, no tag in the octets) takes no turn and leaves by
    /// the first member, so that the upstream switch has a host's memberships at one port. (Linux: by
    /// `curr_active_slave`, which in this mode is the first slave that came up.) The list is not empty.
    RoundRobin {
        /// In the order of their turns.
        members: Arc<[DeviceId]>,
        /// Frames in a row that go by one member; 0: a member for each frame as if by lot.
        per_member: u32,
        /// The counter, for as long as the bond has this mode.
        turn: Arc<Turn>,
    },
    /// A copy by each of these devices (Linux: `bond_xmit_broadcast`). The list is not empty and names no device twice.
    All {
        /// The devices.
        members: Arc<[DeviceId]>,
    },
}

impl TransmitPlan {
    /// The hash and the table from bucket to device, of plans that have one.
    pub fn table(&self) -> Option<(HashPolicy, &Arc<[DeviceId]>)> {
        match self {
            Self::Buckets { hash, table, .. } | Self::Balanced { hash, table, .. } => Some((*hash, table)),
            Self::Drop(_) | Self::One(_) | Self::RoundRobin { .. } | Self::All { .. } => None,
        }
    }

    /// The counters of what leaves by each bucket, of plans that count.
    pub fn loads(&self) -> Option<&Arc<BucketLoads>> {
        match self {
            Self::Buckets { loads, .. } | Self::Balanced { loads, .. } => loads.as_ref(),
            Self::Drop(_) | Self::One(_) | Self::RoundRobin { .. } | Self::All { .. } => None,
        }
    }
}

/// A bridge.
#[derive(Debug, Clone)]
pub struct BridgeEntry {
    /// Learned and static MAC addresses, shared by all executors and all generations.
    pub fdb: Arc<Fdb>,
    /// Where frames with unknown or group destination go.
    pub flood: Arc<FloodLists>,
    /// Counters of what comes in, by VLAN, if wanted.
    pub vlan_counters: Option<Arc<VlanCounters>>,
}

/// Flood lists of a bridge: for each VLAN the ports that are in it, compiled so that no port without the VLAN is
/// visited. VLAN 0 stands for untagged frames.
#[derive(Debug, Clone, Default)]
pub struct FloodLists {
    /// For VLANs that no port names: the ports that carry every VLAN.
    every: Arc<[PortId]>,
    /// For VLANs that some port names, sorted by VLAN.
    named: Vec<(u16, Arc<[PortId]>)>,
}

impl FloodLists {
    /// Compiles the lists of one bridge from its ports' policies.
    pub fn compile<'a>(ports: impl Iterator<Item = (PortId, &'a VlanPolicy)> + Clone) -> Self {
        let mut vlans: Vec<u16> = ports.clone().flat_map(|(_, policy)| policy.named_vlans()).collect();
        vlans.sort_unstable();
        vlans.dedup();
        let members = |vlan| -> Arc<[PortId]> {
            ports.clone().filter(|(_, policy)| policy.contains(vlan)).map(|(id, _)| id).collect()
        };
        let every = ports.clone().filter(|(_, p)| p.carries_every_vlan()).map(|(id, _)| id).collect();
        Self { every, named: vlans.into_iter().map(|vlan| (vlan, members(vlan))).collect() }
    }

    /// The ports in `vlan`, the ingress port included.
    #[inline]
    pub fn ports(&self, vlan: u16) -> &[PortId] {
        match self.named.binary_search_by_key(&vlan, |(v, _)| *v) {
            Ok(i) => &self.named[i].1,
            Err(_) => &self.every,
        }
    }
}

impl Tables {
    /// The device, if the number is in use.
    #[inline]
    pub fn device(&self, id: DeviceId) -> Option<&DeviceEntry> {
        self.devices.get(usize::from(id.0))?.as_ref()
    }

    /// The port, if the number is in use.
    #[inline]
    pub fn port(&self, id: PortId) -> Option<&PortEntry> {
        self.ports.get(usize::from(id.0))?.as_ref()
    }

    /// The bridge, if the number is in use.
    #[inline]
    pub fn bridge(&self, id: BridgeId) -> Option<&BridgeEntry> {
        self.bridges.get(usize::from(id.0))?.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vlan::{MAX_VLAN, VlanSet};
    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    fn policy() -> impl Strategy<Value = VlanPolicy> {
        let vlan = || prop_oneof![0..4u16, 0..=MAX_VLAN];
        let set = || option::of(vec(vlan(), 0..4).prop_map(VlanSet::from_iter));
        prop_oneof![
            vlan().prop_map(VlanPolicy::Access),
            set().prop_map(VlanPolicy::Trunk),
            (vlan(), set()).prop_map(|(native, trunks)| VlanPolicy::NativeTagged { native, trunks }),
            (vlan(), set()).prop_map(|(native, trunks)| VlanPolicy::NativeUntagged { native, trunks }),
            (vlan(), set()).prop_map(|(vlan, cvlans)| VlanPolicy::Dot1qTunnel { vlan, cvlans }),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        /// For every VLAN the compiled list is what asking each port gives.
        #[test]
        fn flood_lists_are_the_ports_in_the_vlan(policies in vec(policy(), 0..6)) {
            let ports: Vec<_> = policies.iter().enumerate().map(|(n, policy)| (PortId(n as u16), policy)).collect();
            let flood = FloodLists::compile(ports.iter().copied());
            for vlan in 0..=MAX_VLAN {
                let expected: Vec<_> = ports.iter().filter(|(_, p)| p.contains(vlan)).map(|(id, _)| *id).collect();
                prop_assert_eq!(flood.ports(vlan), expected);
            }
        }
    }
}
