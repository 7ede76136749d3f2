//! What single frames can't show against the pipeline: the order of turns, where copies go, and devices in no table.

use std::sync::Arc;

use forwarding::fdb::FdbConfig;
use forwarding::flow_hash::HashPolicy;
use forwarding::ids::{BridgeId, DeviceId, PortId};
use forwarding::mac::MacAddr;
use forwarding::tables::{Admission, BridgeEntry, DeviceEntry, Learning, PortEntry, Tables, TransmitPlan};
use forwarding::vlan::{TPID_8021AD, TPID_8021Q, VlanPolicy, VlanTag};
use forwarding::wire::ethernet::ETHERTYPE_SLOW_PROTOCOLS;
use forwarding::wire::virtio::VirtioNetHeader;
use vswitch::device::{Device, RxBurst, TxBurst, TxFrame};
use vswitch::fastpath::encode::{BridgeFacts, DeviceFacts, PortFacts};
use vswitch::fastpath::hooks::Hook;
use vswitch::fastpath::layout::MISSES;
use vswitch::fastpath::{Facts, encode};
use vswitch::netlink::hoststack::Shield;

use crate::listener::Listener;
use crate::rig::{REDIRECT, Rig, SHOT, ifindex, name, until};
use crate::traffic::with_tags;

const GUEST: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);
const REMOTE: MacAddr = MacAddr([2, 0, 0, 0, 0, 2]);
const VLAN: u16 = 10;
/// The guest's interface; those of the bond's members are the even ones behind it.
const GUESTS: usize = 0;

/// A bridge with a guest in VLAN 10 and a bond, whose member `n` is device `n`. Both stations are known.
fn publish(rig: &mut Rig, guest: VlanPolicy, members: u16, transmit: TransmitPlan) {
    let fdb = rig.make_fdb(0, FdbConfig { capacity: 64, ageing: 300, seed: 1 });
    fdb.add_static(VLAN, GUEST, PortId(0));
    fdb.add_static(VLAN, REMOTE, PortId(1));
    let port = |vlan, transmit| {
        Some(PortEntry {
            bridge: BridgeId(0),
            vlan,
            transmit,
            snoop: false,
            learning: Learning::default(),
            storm: None,
            receive: None,
        })
    };
    let device = |n| DeviceEntry {
        port: PortId(u16::from(n > 0)),
        mtu: 1500,
        // LACP hears what arrives on a member that may not receive.
        admission: if n == 2 { Admission::Nothing } else { Admission::All },
        slow_protocols: n > 0,
        source: None,
    };
    let bridge = BridgeEntry { fdb: Arc::new(fdb), flood: Arc::default(), vlan_counters: None };
    let tables = Tables {
        generation: 1,
        devices: (0..=members).map(|n| Some(device(n))).collect(),
        ports: vec![port(guest, TransmitPlan::One(DeviceId(0))), port(VlanPolicy::Trunk(None), transmit)],
        bridges: vec![Some(bridge)],
    };
    let facts = |n| DeviceFacts {
        name: name(interface_of(n)),
        ifindex: ifindex(interface_of(n)),
        punt_ifindex: 1,
        ..DeviceFacts::default()
    };
    let facts = Facts {
        devices: (0..=members).map(|n| Some(facts(n))).collect(),
        ports: vec![Some(PortFacts::default()), Some(PortFacts::default())],
        bridges: vec![Some(BridgeFacts { name: "br0".to_owned(), fdb: Some(0) })],
    };
    let image = encode(&tables, &facts);
    assert!(image.left_out.is_empty());
    rig.kernel.publish(&image);
}

fn interface_of(device: u16) -> usize {
    GUESTS + 2 * usize::from(device)
}

fn members(count: u16) -> Arc<[DeviceId]> {
    (1..=count).map(DeviceId).collect()
}

fn frame(number: u8) -> Vec<u8> {
    let mut frame = [&REMOTE.0[..], &GUEST.0, &[0x88, 0xb5, number]].concat();
    frame.resize(60, 0x5a);
    frame
}

#[test]
fn members_take_turns() {
    Rig::with(|rig| {
        let mut by = |per_member, count: u16, frames: usize| {
            let turn = Arc::default();
            let transmit = TransmitPlan::RoundRobin { members: members(count), per_member, turn };
            publish(rig, VlanPolicy::Access(VLAN), count, transmit);
            let run = |n| rig.run(ifindex(GUESTS), &frame(n as u8)).expect("the kernel takes it");
            let ran: Vec<_> = (0..frames).map(run).collect();
            assert!(ran.iter().all(|ran| ran.is_forwarded() && ran.port == 1 && ran.action == REDIRECT));
            ran.into_iter().map(|ran| ran.device).collect::<Vec<_>>()
        };
        // The counter of turns is the port's, from the first frame on: 12, then 24 frames.
        assert_eq!(by(1, 3, 12), [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2, 3]);
        let runs = by(2, 3, 24);
        assert_eq!(runs[..12], [1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3]);
        assert_eq!(runs[..12], runs[12..]);
        assert_eq!(by(4, 3, 12), [1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3]);
        // By lot: each its share, in no order. The chance that one of three has so few of 3000 is below 1e-9.
        let lots = by(0, 3, 3000);
        for member in 1..=3 {
            let share = lots.iter().filter(|device| **device == member).count();
            assert!((800..1200).contains(&share), "member {member} has {share} of 3000");
        }
        let same = lots.windows(2).filter(|two| two[0] == two[1]).count();
        assert!((800..1200).contains(&same), "{same} times one member after itself");
    });
}

#[test]
fn every_member_gets_a_copy_as_it_is_to_leave() {
    Rig::with(|rig| {
        let tag = |tpid, tci| VlanTag { tpid, tci };
        let customers = tag(TPID_8021Q, 0x6005);
        let tunnel = VlanPolicy::Dot1qTunnel { vlan: VLAN, cvlans: None };
        for (guest, received, leaves) in [
            (VlanPolicy::Trunk(None), vec![tag(TPID_8021Q, VLAN)], vec![tag(TPID_8021Q, VLAN)]),
            (VlanPolicy::Access(VLAN), vec![], vec![tag(TPID_8021Q, VLAN)]),
            (VlanPolicy::Access(VLAN), vec![tag(TPID_8021Q, 0xa000)], vec![tag(TPID_8021Q, 0xa000 | VLAN)]),
            (tunnel.clone(), vec![], vec![tag(TPID_8021AD, VLAN)]),
            (tunnel, vec![customers], vec![tag(TPID_8021AD, VLAN), customers]),
        ] {
            let count = 4;
            publish(rig, guest, count, TransmitPlan::All { members: members(count) });
            // The other end of each member's cable.
            let far = |device| {
                let interface = interface_of(device) + 1;
                Device::netdev(&name(interface), ifindex(interface)).expect("it is there")
            };
            let far: Vec<Device> = (1..=count).map(far).collect();
            let before: Vec<_> = (0..=count).map(|device| rig.kernel.device_stats(device)).collect();
            let ran = rig.run(ifindex(GUESTS), &with_tags(&frame(7), received)).expect("the kernel takes it");
            assert!(ran.is_forwarded() && ran.device == 1, "{ran:?}");
            let expected = with_tags(&frame(7), leaves);
            assert_eq!(with_tags(&ran.bytes, ran.tag), expected);
            // What leaves by the first member is redirected, which a test run doesn't do. The others get copies.
            let mut burst = RxBurst::new().expect("memory");
            for device in &far[1..] {
                let got = until("a copy", || {
                    device.recv_burst(&mut burst).expect("it receives");
                    burst.frames().next().map(|frame| {
                        let frame = frame.expect("whole");
                        with_tags(frame.bytes, frame.tag)
                    })
                });
                assert_eq!(got, expected, "{}", device.name());
            }
            for device in &far {
                assert_eq!(device.recv_burst(&mut burst).expect("it receives"), 0, "{}", device.name());
            }
            for (device, before) in (0..=count).zip(before) {
                let after = rig.kernel.device_stats(device);
                let sent = (after.tx_frames - before.tx_frames, after.tx_bytes - before.tx_bytes);
                assert_eq!(sent, if device == 0 { (0, 0) } else { (1, expected.len() as u64) });
            }
        }
    });
}

/// Frames from a device in no table are dropped, as nobody could know where they belong; so is everything after tables
/// without anything.
#[test]
fn devices_in_no_table() {
    Rig::with(|rig| {
        let table = members(2);
        publish(
            rig,
            VlanPolicy::Access(VLAN),
            2,
            TransmitPlan::Buckets { hash: HashPolicy::Layer2, table, loads: None },
        );
        let dropped = |rig: &Rig, interface| {
            let before = rig.kernel.misses();
            let ran = rig.run(ifindex(interface), &frame(1)).expect("the kernel takes it");
            let after = rig.kernel.misses();
            let counted = (0..MISSES.len()).filter(|n| after[*n] > before[*n]).map(|n| MISSES[n].0);
            (ran.action == SHOT && ran.bytes == frame(1)).then(|| counted.collect::<Vec<_>>())
        };
        assert_eq!(dropped(rig, GUESTS), None);
        assert_eq!(dropped(rig, GUESTS + 1), Some(vec!["no_device"]));
        // In the bucket of the guest's, by its lower bits.
        assert_eq!(ifindex(GUESTS) % 1024, ifindex(GUESTS + 7) % 1024);
        assert_eq!(dropped(rig, GUESTS + 7), Some(vec!["no_device"]));
        rig.kernel.publish(&encode(&Tables::default(), &Facts::default()));
        assert_eq!(dropped(rig, GUESTS), Some(vec!["no_device"]));
    });
}

/// Attached to a member, admitted or not, and behind the shield, the program lets a socket of LACP's hear. It gets frames
/// of the Slow Protocols and none else; a guest's device has none.
#[test]
fn lacp_hears_behind_the_program() {
    Rig::with(|rig| {
        let table = members(2);
        publish(
            rig,
            VlanPolicy::Access(VLAN),
            2,
            TransmitPlan::Buckets { hash: HashPolicy::Layer2, table, loads: None },
        );
        let mut lacpdu = [&MacAddr::SLOW_PROTOCOLS.0[..], &REMOTE.0, &[0x88, 0x09, 1, 1]].concat();
        lacpdu.resize(124, 0);
        let mut last = lacpdu.clone();
        last[123] = 1;
        // A frame as of LACP that is for a station goes the way of others: here to a worker.
        let mut to_station = lacpdu.clone();
        to_station[..6].copy_from_slice(&GUEST.0);
        for device in 0..3 {
            let interface = interface_of(device);
            let (near, index) = (name(interface), ifindex(interface));
            let hook = Hook::attach(&mut rig.kernel, &near, index, false).expect("it is attached");
            let shield = Shield::install(&near, index).expect("it is there");
            let socket = Listener::open(index, ETHERTYPE_SLOW_PROTOCOLS).expect("a socket");
            let far = Device::netdev(&name(interface + 1), ifindex(interface + 1)).expect("it is there");
            let before = rig.kernel.misses();
            let frames = [&lacpdu, &to_station, &last].map(|bytes| TxFrame {
                bytes,
                tag: None,
                inner: None,
                source: None,
                destination: None,
                patch: None,
                header: VirtioNetHeader::default(),
            });
            far.send_burst(frames, &mut TxBurst::new());
            let left = || {
                let after = rig.kernel.misses();
                (0..MISSES.len()).map(|n| after[n] - before[n]).sum::<u64>()
            };
            let expected = if device == 0 { vec![] } else { vec![lacpdu.clone(), last.clone()] };
            // The guest's are handed to a worker; the others are not counted.
            let counted = if device == 0 { 3 } else { 1 };
            let mut heard = Vec::new();
            until("all of them", || {
                heard.extend(std::iter::from_fn(|| socket.next()));
                (heard.len() >= expected.len() && left() >= counted).then_some(())
            });
            assert_eq!((heard, left()), (expected, counted), "device {device} by {}", hook.name());
            hook.detach(&rig.kernel).expect("it is detached");
            shield.remove().expect("it is removed");
        }
    });
}
