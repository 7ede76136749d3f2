//! Prints what the decision about a frame costs, in nanoseconds.
//!
//! `cargo run --release -p forwarding --example pipeline_bench`

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use forwarding::bucket_loads::BUCKETS;
use forwarding::fdb::{Fdb, FdbConfig, Tick};
use forwarding::flow_hash::HashPolicy;
use forwarding::ids::{BridgeId, DeviceId, PortId};
use forwarding::mac::MacAddr;
use forwarding::pipeline::{Egress, Ingress, forward};
use forwarding::receive::{Guests, MAX_GUESTS, Receive};
use forwarding::tables::{
    Admission, BridgeEntry, DeviceEntry, FloodLists, Learning, PortEntry, Tables, TransmitPlan,
};
use forwarding::vlan::VlanPolicy;
use forwarding::wire::virtio::VirtioNetHeader;

const OWN: MacAddr = MacAddr([6, 0, 0, 0, 0, 1]);
const PORTS: u16 = 9;
const GUESTS: u8 = 64;
const ROUNDS: u32 = 3_000_000;

fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

/// Nine trunk ports, each a device; the last one is a bond if `bond` gives its plan.
fn tables(bond: Option<TransmitPlan>) -> Tables {
    let policy = VlanPolicy::Trunk(None);
    let mut ports: Vec<_> = (0..PORTS)
        .map(|n| {
            let transmit = TransmitPlan::One(DeviceId(n));
            let (learning, vlan) = (Learning::default(), policy.clone());
            Some(PortEntry {
                bridge: BridgeId(0),
                vlan,
                transmit,
                snoop: true,
                learning,
                storm: None,
                receive: None,
            })
        })
        .collect();
    let mut admission = Admission::All;
    if let (Some(plan), Some(Some(last))) = (bond, ports.last_mut()) {
        last.transmit = plan;
        admission = Admission::AllButReflected;
    }
    let device = |n: u16| {
        let port = PortId(n.min(PORTS - 1));
        let admission = if n < PORTS - 1 { Admission::All } else { admission };
        Some(DeviceEntry { port, mtu: 1500, admission, slow_protocols: false, source: None })
    };
    let bridge = BridgeEntry {
        fdb: Arc::new(Fdb::new(FdbConfig { capacity: 8192, ageing: 300, seed: 42 })),
        flood: Arc::new(FloodLists::compile((0..PORTS).map(|n| (PortId(n), &policy)))),
        vlan_counters: None,
    };
    Tables {
        generation: 1,
        devices: (0..PORTS + 1).map(device).collect(),
        ports,
        bridges: vec![Some(bridge)],
    }
}

/// With a bond in balance-alb: its second member has an address of its own, and lets in nothing else. Guest `n` has the IP
/// address 192.0.2.n, in a table that is full.
fn balanced() -> Tables {
    let home = DeviceId(PORTS - 1);
    let plan = TransmitPlan::Balanced {
        hash: HashPolicy::Layer23,
        table: [home, DeviceId(PORTS)].repeat(128).into(),
        loads: Some(Arc::default()),
        home,
        own: [MacAddr([6, 0, 0, 0, 0, 0]), OWN].into(),
    };
    let mut tables = tables(Some(plan));
    let others = (0..MAX_GUESTS as u32).map(|n| ((1, n.to_be_bytes().into()), mac(n as u8)));
    let guests = (0..GUESTS).map(|n| ((0, [192, 0, 2, n].into()), mac(200 + n % 16)));
    let receive = Receive {
        own: vec![(MacAddr([6, 0, 0, 0, 0, 0]), home), (OWN, DeviceId(PORTS))],
        table: Arc::new([Some(OWN); BUCKETS]),
        guests: Arc::new(Guests::new(guests.chain(others.take(MAX_GUESTS - usize::from(GUESTS))))),
        loads: Arc::default(),
    };
    if let Some(Some(port)) = tables.ports.last_mut() {
        port.receive = Some(Arc::new(receive));
    }
    if let Some(Some(device)) = tables.devices.last_mut() {
        (device.source, device.admission) = (Some(OWN), Admission::Nothing);
    }
    if let Some(bridge) = &tables.bridges[0] {
        for n in 200..216 {
            bridge.fdb.learn(0, mac(n), PortId(0), Tick(1));
        }
    }
    tables
}

/// An IPv4 packet for a guest.
fn to_guest(mut frame: Vec<u8>, guest: u8) -> Vec<u8> {
    frame[30..34].copy_from_slice(&[192, 0, 2, guest]);
    frame
}

fn frame(dst: MacAddr, src: MacAddr) -> Vec<u8> {
    let mut bytes = [dst.0, src.0].concat();
    bytes.extend([0x08, 0x00, 0x45]);
    bytes.resize(60, 0);
    bytes
}

fn measure(name: &str, tables: &Tables, device: u16, frames: &[Vec<u8>]) {
    let mut egress = Egress::default();
    let mut left = 0usize;
    let start = Instant::now();
    for n in 0..ROUNDS as usize {
        let ingress = Ingress {
            device: DeviceId(device),
            bytes: black_box(&frames[n % frames.len()]),
            tag: None,
            header: VirtioNetHeader::default(),
        };
        if forward(tables, Tick(1), &ingress, &mut egress).is_ok() {
            left += black_box(&egress).outputs.len();
        }
    }
    let each = start.elapsed().as_nanos() as f64 / f64::from(ROUNDS);
    println!("{name:<40} {each:6.1} ns  ({} copies a frame)", left / ROUNDS as usize);
}

fn main() {
    let bond = |loads| TransmitPlan::Buckets {
        hash: HashPolicy::Layer2,
        table: [DeviceId(PORTS - 1), DeviceId(PORTS)].repeat(128).into(),
        loads,
    };
    let members: Arc<[DeviceId]> = [DeviceId(PORTS - 1), DeviceId(PORTS)].into();
    let round_robin =
        TransmitPlan::RoundRobin { members: Arc::clone(&members), per_member: 1, turn: Arc::default() };
    let plain = tables(None);
    let bonded = tables(Some(bond(None)));
    let counted = tables(Some(bond(Some(Arc::default()))));
    let in_turn = tables(Some(round_robin));
    let for_guests = balanced();
    let by_all = tables(Some(TransmitPlan::All { members }));
    let bonds = [&bonded, &counted, &in_turn, &by_all, &for_guests].map(|tables| (tables, PORTS - 1));
    for (tables, port) in [(&plain, 1)].into_iter().chain(bonds) {
        if let Some(bridge) = &tables.bridges[0] {
            for n in 0..GUESTS {
                bridge.fdb.learn(0, mac(n), PortId(port), Tick(1));
            }
        }
    }
    let to_guests: Vec<_> = (0..GUESTS).map(|n| frame(mac(n), mac(200 + n % 16))).collect();
    let from_guests: Vec<_> = (0..GUESTS).map(|n| frame(mac(200 + n % 16), mac(n))).collect();
    let broadcast: Vec<_> = (0..16).map(|n| frame(MacAddr::BROADCAST, mac(200 + n))).collect();
    measure("unicast, known, plain port", &plain, 0, &to_guests);
    measure("unicast, known, into a bond", &bonded, 0, &to_guests);
    measure("unicast, known, into a bond, counted", &counted, 0, &to_guests);
    measure("unicast, known, round robin of 2", &in_turn, 0, &to_guests);
    measure("unicast, known, copies by 2 members", &by_all, 0, &to_guests);
    measure("unicast, known, out of a bond", &bonded, PORTS - 1, &from_guests);
    let to_member: Vec<_> = (0..GUESTS).map(|n| to_guest(frame(OWN, mac(n)), n)).collect();
    let spread: Vec<_> = (0..GUESTS).map(|n| to_guest(frame(mac(n), mac(200 + n % 16)), n)).collect();
    measure("unicast, known, into balance-alb", &for_guests, 0, &spread);
    measure("unicast, to a member of balance-alb", &for_guests, PORTS, &to_member);
    measure("flood of 8 ports", &plain, 0, &broadcast);
}
