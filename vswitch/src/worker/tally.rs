//! What a worker counts while it serves a burst, and adds to the counters once.

use std::sync::Arc;

use forwarding::drop_reason::DropReason;
use forwarding::ids::DeviceId;
use forwarding::tables::Tables;
use forwarding::vlan_counters::VlanCounters;

use crate::datapath::Slot;

/// What consecutive frames of one device add to its counters. To be ended.
pub(super) struct Tally<'a> {
    pub(super) device: DeviceId,
    slot: &'a Arc<Slot>,
    frames: u64,
    bytes: u64,
    vlans: VlanRun<'a>,
    drops: [u32; DropReason::COUNT],
}

impl<'a> Tally<'a> {
    /// Nothing yet.
    pub(super) fn of(slot: &'a Arc<Slot>, tables: &'a Tables, device: DeviceId) -> Self {
        let vlans = VlanRun::of(tables, device);
        Self { device, slot, frames: 0, bytes: 0, vlans, drops: [0; DropReason::COUNT] }
    }

    /// A frame that was received, whole or not.
    #[inline]
    pub(super) fn receive(&mut self) {
        self.frames += 1;
    }

    /// What it is.
    #[inline]
    pub(super) fn count(&mut self, vlan: Option<u16>, bytes: usize) {
        self.bytes += bytes as u64;
        self.vlans.count(vlan, bytes);
    }

    /// A frame, or a copy of one, was dropped.
    #[inline]
    pub(super) fn drop(&mut self, reason: DropReason) {
        self.drops[reason as usize] += 1;
    }

    /// Adds everything to the counters.
    pub(super) fn end(mut self) {
        self.vlans.end();
        self.slot.counters.add_rx(self.frames, self.bytes);
        for (reason, count) in DropReason::ALL.iter().zip(self.drops) {
            if count > 0 {
                self.slot.counters.add_drops(*reason, u64::from(count));
            }
        }
    }
}

/// Counts frames by VLAN: consecutive ones of one VLAN together.
struct VlanRun<'a> {
    counters: Option<&'a VlanCounters>,
    vlan: u16,
    frames: u64,
    bytes: u64,
}

impl<'a> VlanRun<'a> {
    /// For frames of one device.
    fn of(tables: &'a Tables, device: DeviceId) -> Self {
        let port = tables.device(device).and_then(|device| tables.port(device.port));
        let bridge = port.and_then(|port| tables.bridge(port.bridge));
        let counters = bridge.and_then(|bridge| bridge.vlan_counters.as_deref());
        Self { counters, vlan: 0, frames: 0, bytes: 0 }
    }

    #[inline]
    fn count(&mut self, vlan: Option<u16>, bytes: usize) {
        let (Some(_), Some(vlan)) = (self.counters, vlan) else { return };
        if vlan != self.vlan {
            self.end();
            self.vlan = vlan;
        }
        self.frames += 1;
        self.bytes += bytes as u64;
    }

    fn end(&mut self) {
        if let Some(counters) = self.counters.filter(|_| self.frames > 0) {
            counters.add(self.vlan, self.frames, self.bytes);
        }
        (self.frames, self.bytes) = (0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use forwarding::fdb::{Fdb, FdbConfig};
    use forwarding::ids::{BridgeId, PortId};
    use forwarding::tables::{
        Admission, BridgeEntry, DeviceEntry, FloodLists, Learning, PortEntry, TransmitPlan,
    };
    use forwarding::vlan::VlanPolicy;
    use forwarding::vlan_counters::VlanCount;

    fn tables(vlan_counters: Option<Arc<VlanCounters>>) -> Tables {
        let vlan = VlanPolicy::Trunk(None);
        let flood = FloodLists::compile([(PortId(0), &vlan)].into_iter());
        let fdb = Fdb::new(FdbConfig { capacity: 4, ageing: 300, seed: 1 });
        let (transmit, learning) = (TransmitPlan::One(DeviceId(0)), Learning::default());
        Tables {
            generation: 1,
            devices: vec![Some(DeviceEntry {
                port: PortId(0),
                mtu: 1500,
                admission: Admission::All,
                slow_protocols: false,
                source: None,
            })],
            ports: vec![Some(PortEntry {
                bridge: BridgeId(0),
                vlan,
                transmit,
                snoop: false,
                learning,
                storm: None,
                receive: None,
            })],
            bridges: vec![Some(BridgeEntry { fdb: Arc::new(fdb), flood: Arc::new(flood), vlan_counters })],
        }
    }

    #[test]
    fn runs_of_one_vlan_are_counted_together_and_completely() {
        let counters = Arc::new(VlanCounters::new());
        let tables = tables(Some(Arc::clone(&counters)));
        let mut run = VlanRun::of(&tables, DeviceId(0));
        for (vlan, bytes) in [
            (None, 60),
            (Some(0), 60),
            (Some(5), 100),
            (Some(5), 200),
            (None, 60),
            (Some(5), 1),
            (Some(0), 9),
        ] {
            run.count(vlan, bytes);
        }
        run.end();
        run.end();
        let count = |vlan, frames, bytes| VlanCount { vlan, frames, bytes };
        assert_eq!(counters.read(), [count(0, 2, 69), count(5, 3, 301)]);
    }

    #[test]
    fn without_counters_nothing_is_counted() {
        let tables = tables(None);
        for device in [0, 7] {
            let mut run = VlanRun::of(&tables, DeviceId(device));
            run.count(Some(1), 60);
            assert_eq!(run.frames, 0);
            run.end();
        }
    }
}
