//! What the program has to have counted.

use std::collections::BTreeMap;

use forwarding::ids::PortId;
use forwarding::tables::TransmitPlan;
use vswitch::fastpath::layout::{DeviceStats, MISSES, VlanStats, device_flags};

use crate::compare::load_of;
use crate::receive;
use crate::rig::{Ran, Rig};
use crate::scene::Scene;
use crate::traffic::{Case, with_tags};

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tally {
    devices: BTreeMap<u16, DeviceStats>,
    vlans: BTreeMap<(u16, u16), VlanStats>,
    misses: [u64; MISSES.len()],
    /// Octets by number of the counters and bucket.
    loads: BTreeMap<(u8, usize), u64>,
}

impl Tally {
    /// Counts begin at 0.
    pub(crate) fn new(scene: &Scene, rig: &mut Rig) -> Self {
        (0..scene.tables.devices.len()).for_each(|device| rig.kernel.clear_device_stats(device as u16));
        (0..scene.tables.bridges.len()).for_each(|bridge| rig.kernel.clear_vlan_stats(bridge as u16));
        numbers(scene).for_each(|number| rig.kernel.clear_bucket_loads(number));
        Self { misses: rig.kernel.misses(), ..Self::default() }
    }

    pub(crate) fn note(&mut self, scene: &Scene, case: &Case, ran: &Ran) {
        if ran.is_passed() {
            return;
        }
        if !ran.is_forwarded() {
            self.misses[ran.miss] += 1;
            let facts = scene.facts.devices[usize::from(case.device.0)].as_ref().expect("it came in by it");
            let nobody = facts.punt_ifindex == 0 && facts.flags & device_flags::INTERNAL == 0;
            self.misses[MISSES.len() - 1] += u64::from(nobody);
            return;
        }
        let received = case.bytes.len() as u64;
        let device = self.devices.entry(case.device.0).or_default();
        device.rx_frames += 1;
        device.rx_bytes += received;
        let sent = with_tags(&ran.bytes, ran.tag).len() as u64;
        let by = match &scene.port(PortId(ran.port)).transmit {
            TransmitPlan::All { members } => members.iter().map(|member| member.0).collect(),
            _ => vec![ran.device],
        };
        for device in by {
            let device = self.devices.entry(device).or_default();
            device.tx_frames += 1;
            device.tx_bytes += sent;
        }
        if let Some((number, bucket, octets)) = load_of(scene, ran) {
            *self.loads.entry((number, bucket)).or_default() += octets;
        }
        let counters =
            scene.facts.ports[usize::from(case.port.0)].as_ref().and_then(|port| port.receive_loads);
        if let Some((number, (bucket, octets))) = counters.zip(receive::load_of(scene, case)) {
            *self.loads.entry((number, bucket)).or_default() += octets;
        }
        let bridge = scene.port(case.port).bridge;
        if scene.tables.bridge(bridge).expect("it is in the tables").vlan_counters.is_some() {
            let vlan = self.vlans.entry((bridge.0, ran.vlan)).or_default();
            vlan.frames += 1;
            vlan.bytes += received;
        }
    }

    /// What the program has counted is the same.
    pub(crate) fn check(self, scene: &Scene, rig: &Rig, seed: u64) {
        let devices = (0..scene.tables.devices.len() as u16).map(|n| (n, rig.kernel.device_stats(n)));
        let bridges = scene.tables.bridges.len() as u16;
        let vlans = rig.kernel.vlan_stats().into_iter().filter(|(bridge, _, _)| *bridge < bridges);
        let found = Self {
            devices: devices.filter(|(_, stats)| *stats != DeviceStats::default()).collect(),
            vlans: vlans.map(|(bridge, vlan, stats)| ((bridge, vlan), stats)).collect(),
            misses: rig.kernel.misses(),
            loads: numbers(scene)
                .flat_map(|n| {
                    rig.kernel.bucket_loads(n).into_iter().enumerate().map(move |(b, o)| ((n, b), o))
                })
                .filter(|(_, octets)| *octets > 0)
                .collect(),
        };
        assert!(found == self, "seed {seed}: the program has counted {found:?}\nnot {self:?}");
    }
}

/// Numbers of the counters by bucket that ports have.
fn numbers(scene: &Scene) -> impl Iterator<Item = u8> {
    scene.facts.ports.iter().flatten().flat_map(|port| [port.loads, port.receive_loads]).flatten()
}
