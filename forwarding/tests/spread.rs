//! How evenly a bond of 8 members spreads many flows: forwarded through the whole pipeline, within 3 % of even.

use std::sync::Arc;

use forwarding::fdb::{Fdb, FdbConfig, Tick};
use forwarding::flow_hash::HashPolicy;
use forwarding::ids::{BridgeId, DeviceId, PortId};
use forwarding::mac::MacAddr;
use forwarding::pipeline::{Egress, Ingress, forward};
use forwarding::tables::{
    Admission, BridgeEntry, DeviceEntry, FloodLists, Learning, PortEntry, Tables, TransmitPlan,
};
use forwarding::vlan::VlanPolicy;
use forwarding::wire::virtio::VirtioNetHeader;

const MEMBERS: u16 = 8;
const FLOWS: u32 = 100_000;

/// A guest's port (device 0) and a bond (devices 1..=8) behind which everything unknown is.
fn tables(policy: HashPolicy) -> Tables {
    let trunk = VlanPolicy::Trunk(None);
    let port = |transmit| {
        let (vlan, learning) = (VlanPolicy::Trunk(None), Learning::default());
        Some(PortEntry {
            bridge: BridgeId(0),
            vlan,
            transmit,
            snoop: false,
            learning,
            storm: None,
            receive: None,
        })
    };
    let members =
        TransmitPlan::Buckets { hash: policy, table: (1..=MEMBERS).map(DeviceId).collect(), loads: None };
    let device = |n: u16| {
        Some(DeviceEntry {
            port: PortId(n.min(1)),
            mtu: 1500,
            admission: Admission::All,
            slow_protocols: false,
            source: None,
        })
    };
    Tables {
        generation: 1,
        devices: (0..=MEMBERS).map(device).collect(),
        ports: vec![port(TransmitPlan::One(DeviceId(0))), port(members)],
        bridges: vec![Some(BridgeEntry {
            fdb: Arc::new(Fdb::new(FdbConfig { capacity: 64, ageing: 300, seed: 1 })),
            flood: Arc::new(FloodLists::compile([(PortId(0), &trunk), (PortId(1), &trunk)].into_iter())),
            vlan_counters: None,
        })],
    }
}

/// A sequence of random numbers (xorshift64*), the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn octets<const N: usize>(&mut self) -> [u8; N] {
        std::array::from_fn(|_| (self.next() >> 56) as u8)
    }
}

/// One guest's flows to one gateway: addresses and ports at random.
fn flow(random: &mut Random, ipv6: bool) -> Vec<u8> {
    let mut bytes = [[2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]].concat();
    let protocol = if random.next() >> 63 == 0 { 6 } else { 17 };
    if ipv6 {
        bytes.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, protocol, 64]);
        bytes.extend(random.octets::<32>());
    } else {
        bytes.extend([0x08, 0x00, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, protocol, 0, 0]);
        bytes.extend(random.octets::<8>());
    }
    bytes.extend(random.octets::<4>());
    bytes.resize(bytes.len() + 16, 0);
    bytes
}

fn spread(policy: HashPolicy, mut frame: impl FnMut() -> Vec<u8>) -> Vec<u32> {
    let (tables, mut egress) = (tables(policy), Egress::default());
    let mut load = vec![0; usize::from(MEMBERS)];
    for _ in 0..FLOWS {
        let bytes = frame();
        let header = VirtioNetHeader::default();
        let ingress = Ingress { device: DeviceId(0), bytes: &bytes, tag: None, header };
        forward(&tables, Tick(0), &ingress, &mut egress).unwrap();
        load[usize::from(egress.outputs[0].device.0) - 1] += 1;
    }
    load
}

#[track_caller]
fn assert_even(load: &[u32], what: &str) {
    let even = f64::from(FLOWS) / f64::from(MEMBERS);
    let worst = load.iter().map(|n| (f64::from(*n) / even - 1.0).abs()).fold(0.0, f64::max);
    println!("{what}: {load:?}, worst {:.2} % off", worst * 100.0);
    assert!(worst <= 0.03, "{what}: {load:?}");
}

#[test]
fn random_flows_spread_within_3_percent() {
    for policy in [HashPolicy::Layer34, HashPolicy::Encap34, HashPolicy::Layer23, HashPolicy::Encap23] {
        for ipv6 in [false, true] {
            let mut random = Random(0x5eed);
            let load = spread(policy, || flow(&mut random, ipv6));
            assert_even(&load, &format!("{} IPv{}", policy.name(), if ipv6 { 6 } else { 4 }));
        }
    }
}

/// One pair of hosts: only the ports differ.
#[test]
fn ports_alone_spread_within_3_percent() {
    for policy in [HashPolicy::Layer34, HashPolicy::Encap34] {
        let mut random = Random(0x5eed);
        let mut template = flow(&mut random, false);
        let load = spread(policy, || {
            template[34..38].copy_from_slice(&random.octets::<4>());
            template.clone()
        });
        assert_even(&load, &format!("{} ports", policy.name()));
    }
}

/// Guests by their addresses: layer 2 policies see nothing else.
#[test]
fn random_guests_spread_within_3_percent() {
    for policy in [HashPolicy::Layer2, HashPolicy::VlanSrcMac] {
        let mut random = Random(0x5eed);
        let load = spread(policy, || {
            let mut bytes = flow(&mut random, false);
            bytes[7..12].copy_from_slice(&random.octets::<5>());
            assert!(MacAddr([bytes[6], 0, 0, 0, 0, 1]).is_valid_source());
            bytes
        });
        assert_even(&load, policy.name());
    }
}
