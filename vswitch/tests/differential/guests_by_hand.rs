//! Receive balancing, where single frames at random say too little: each octet that it looks at, and checksums that are still
//! to be computed.

use std::sync::Arc;

use forwarding::bucket_loads::BUCKETS;
use forwarding::fdb::FdbConfig;
use forwarding::flow_hash::HashPolicy;
use forwarding::ids::{BridgeId, DeviceId, PortId};
use forwarding::mac::MacAddr;
use forwarding::pipeline::{Egress, Ingress, Output, forward};
use forwarding::receive::{Guests, Receive};
use forwarding::tables::{Admission, BridgeEntry, DeviceEntry, Learning, PortEntry, Tables, TransmitPlan};
use forwarding::vlan::VlanPolicy;
use forwarding::wire::virtio::{F_NEEDS_CSUM, VirtioNetHeader};
use forwarding::wire::vlan::{TAG_LEN, pop_outer};
use vswitch::device::{Device, RxBurst, TxBurst, TxFrame};
use vswitch::fastpath::encode::{BridgeFacts, DeviceFacts, PortFacts};
use vswitch::fastpath::hooks::Hook;
use vswitch::fastpath::{Facts, Kernel, LoadOptions, encode};

use crate::rig::{Rig, ifindex, name, tick, until};
use crate::traffic::with_tags;

const VLAN: u16 = 10;
const GUEST: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x21]);
const PEER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x99]);
const OWN: [MacAddr; 2] = [MacAddr([6, 1, 2, 3, 4, 5]), MacAddr([0xfe, 0xff, 0xff, 0, 0, 6])];
const GUEST_IP: [u8; 4] = [192, 0, 2, 1];
const PEER_IP: [u8; 4] = [192, 0, 2, 9];
const GUEST_IP6: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0x21];
const PEER_IP6: [u8; 16] = [0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xfe, 0, 0, 0x99];

/// Device `n` is the near end of this interface's cable.
fn interface_of(device: u16) -> usize {
    2 * usize::from(device)
}

/// The guest is device 0, in VLAN 10 without a tag; the bond's members are 1, which is home, and 2, which lets in nothing
/// but what is to its own address. Peers are told that address.
fn publish(rig: &mut Rig) -> Tables {
    let fdb = rig.make_fdb(0, FdbConfig { capacity: 64, ageing: 300, seed: 1 });
    fdb.add_static(VLAN, GUEST, PortId(0));
    fdb.add_static(VLAN, PEER, PortId(1));
    let port = |vlan, transmit| PortEntry {
        bridge: BridgeId(0),
        vlan,
        transmit,
        snoop: false,
        learning: Learning::default(),
        storm: None,
        receive: None,
    };
    let device = |n: u16, admission| {
        let source = n.checked_sub(1).map(|n| OWN[usize::from(n)]);
        Some(DeviceEntry { port: PortId(n.min(1)), mtu: 1500, admission, slow_protocols: false, source })
    };
    let guests = [GUEST_IP.into(), GUEST_IP6.into()].map(|ip| ((VLAN, ip), GUEST));
    let receive = Receive {
        own: vec![(OWN[0], DeviceId(1)), (OWN[1], DeviceId(2))],
        table: Arc::new([Some(OWN[1]); BUCKETS]),
        guests: Arc::new(Guests::new(guests)),
        loads: Arc::default(),
    };
    let transmit = TransmitPlan::Balanced {
        hash: HashPolicy::Layer2,
        table: [DeviceId(2)].into(),
        loads: None,
        home: DeviceId(1),
        own: OWN.into(),
    };
    let tables = Tables {
        generation: 1,
        devices: vec![
            device(0, Admission::All),
            device(1, Admission::AllButReflected),
            device(2, Admission::Nothing),
        ],
        ports: vec![
            Some(port(VlanPolicy::Access(VLAN), TransmitPlan::One(DeviceId(0)))),
            Some(PortEntry { receive: Some(Arc::new(receive)), ..port(VlanPolicy::Trunk(None), transmit) }),
        ],
        bridges: vec![Some(BridgeEntry { fdb: Arc::new(fdb), flood: Arc::default(), vlan_counters: None })],
    };
    let facts = |n| {
        let interface = interface_of(n);
        let (name, ifindex) = (name(interface), ifindex(interface));
        Some(DeviceFacts { name, ifindex, punt_ifindex: 1, ..DeviceFacts::default() })
    };
    let facts = Facts {
        devices: (0..3).map(facts).collect(),
        ports: vec![Some(PortFacts::default()), Some(PortFacts::default())],
        bridges: vec![Some(BridgeFacts { name: "br0".to_owned(), fdb: Some(0) })],
    };
    let image = encode(&tables, &facts);
    assert!(image.left_out.is_empty());
    rig.kernel.publish(&image);
    tables
}

fn arp(dst: MacAddr, operation: u8, sender: (MacAddr, [u8; 4]), target: (MacAddr, [u8; 4])) -> Vec<u8> {
    let head = [8, 6, 0, 1, 8, 0, 6, 4, 0, operation];
    [&dst.0[..], &sender.0.0, &head, &sender.0.0, &sender.1, &target.0.0, &target.1].concat()
}

/// Octets added up as the Internet checksum does it.
fn sum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|two| u32::from(two[0]) << 8 | u32::from(*two.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// A solicitation (135) or advertisement of the guest's, with the sum of the pseudo-header in the place of its checksum.
fn unfinished(kind: u8, told: MacAddr) -> Vec<u8> {
    let (target, option) = if kind == 136 { (GUEST_IP6, 2) } else { (PEER_IP6, 1) };
    let message = [&[kind, 0, 0, 0, 0x60, 0, 0, 0][..], &target, &[option, 1], &told.0].concat();
    let length = message.len() as u8;
    let pseudo = [&GUEST_IP6[..], &PEER_IP6, &[0, 0, 0, length, 0, 0, 0, 58]].concat();
    let head = [0x86, 0xdd, 0x60, 0, 0, 0, 0, length, 58, 255];
    let mut frame = [&PEER.0[..], &GUEST.0, &head, &GUEST_IP6, &PEER_IP6, &message].concat();
    frame[56..58].copy_from_slice(&sum(&pseudo).to_be_bytes());
    frame
}

fn finished(mut frame: Vec<u8>) -> Vec<u8> {
    let checksum = !sum(&frame[54..]);
    frame[56..58].copy_from_slice(&checksum.to_be_bytes());
    frame
}

/// A frame as a copy of it leaves.
fn leaves(bytes: &[u8], output: &Output) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    output.destination.into_iter().for_each(|mac| bytes[..6].copy_from_slice(&mac.0));
    output.source.into_iter().for_each(|mac| bytes[6..12].copy_from_slice(&mac.0));
    output.patch.into_iter().for_each(|patch| patch.apply(&mut bytes));
    with_tags(&bytes, output.tag)
}

#[test]
fn each_octet_means_the_same_to_both() {
    Rig::with(|rig| {
        let tables = publish(rig);
        let to_peer = |operation| arp(PEER, operation, (GUEST, GUEST_IP), (PEER, PEER_IP));
        let to_guest = |operation| {
            let frame = arp(OWN[1], operation, (PEER, PEER_IP), (OWN[1], GUEST_IP));
            [&frame[..12], &[0x81, 0, 0, VLAN as u8], &frame[12..]].concat()
        };
        let padded = |mut frame: Vec<u8>| {
            frame.resize(100, 0);
            frame
        };
        let frames = [
            (0, to_peer(1)),
            (0, padded(to_peer(2))),
            (0, finished(unfinished(135, GUEST))),
            (0, padded(finished(unfinished(136, GUEST)))),
            (2, to_guest(1)),
            (2, padded(to_guest(2))),
        ];
        for (device, frame) in frames {
            let check = |frame: &[u8]| {
                let mut bytes = frame.to_vec();
                let tag = pop_outer(&mut bytes);
                tag.into_iter().for_each(|_| drop(bytes.drain(..TAG_LEN)));
                let ingress = Ingress {
                    device: DeviceId(device),
                    bytes: &bytes,
                    tag,
                    header: VirtioNetHeader::default(),
                };
                let ran = rig.run(ifindex(interface_of(device)), frame)?;
                let mut egress = Egress::default();
                let result = forward(&tables, tick(), &ingress, &mut egress);
                if !ran.is_forwarded() {
                    return None;
                }
                assert_eq!(result, Ok(()), "{frame:02x?}");
                let output = &egress.outputs[0];
                assert_eq!(with_tags(&ran.bytes, ran.tag), leaves(&bytes, output), "{frame:02x?}");
                assert_eq!(ran.device, output.device.0);
                Some(output.patch)
            };
            let patch = check(&frame).expect("it is forwarded").expect("and patched");
            let (mut as_before, mut unpatched) = (0, 0);
            for at in 0..frame.len() {
                for change in [1, 0xff, 0x80] {
                    let mut frame = frame.clone();
                    frame[at] = frame[at].wrapping_add(change);
                    match check(&frame) {
                        Some(Some(found)) if found == patch => as_before += 1,
                        Some(None) => unpatched += 1,
                        _ => {}
                    }
                }
                check(&frame[..at.max(14)]);
            }
            // The target's hardware address, or flags; and what makes it another packet.
            assert!(
                as_before > 10 && unpatched > 10,
                "{as_before} as before, {unpatched} unpatched: {frame:02x?}"
            );
        }
    });
}

/// Guests come and go with the tables, and stay for the next daemon.
#[test]
fn the_map_has_the_guests_of_the_tables() {
    Rig::with(|rig| {
        let mut tables = publish(rig);
        let encode = |tables: &Tables| {
            encode(tables, &Facts { ports: vec![Some(PortFacts::default()); 2], ..Facts::default() })
        };
        let mut change = |rig: &mut Rig, guests: &[(u16, [u8; 4], MacAddr)]| {
            let receive = tables.ports[1].as_mut().expect("the bond").receive.as_mut().expect("it has it");
            let guests = guests.iter().map(|(vlan, ip, mac)| ((*vlan, (*ip).into()), *mac));
            Arc::make_mut(receive).guests = Arc::new(Guests::new(guests));
            let image = encode(&tables);
            rig.kernel.publish(&image);
            assert_eq!(rig.kernel.read().guests, image.guests);
            let next =
                Kernel::load(rig.kernel.pins().clone(), LoadOptions::default()).expect("it is adopted");
            let read = next.read();
            assert_eq!(read.guests, image.guests);
            assert_eq!(read.receives[..1], image.receives);
            image.guests.len()
        };
        assert_eq!(rig.kernel.read().guests.len(), 2);
        assert_eq!(change(rig, &[(VLAN, GUEST_IP, GUEST), (VLAN, PEER_IP, PEER), (0, PEER_IP, GUEST)]), 3);
        assert_eq!(change(rig, &[(VLAN, GUEST_IP, PEER), (0, PEER_IP, GUEST)]), 2);
        assert_eq!(change(rig, &[]), 0);
    });
}

/// On a real wire: the guest leaves the checksum to its NIC, and the patch to us.
#[test]
fn a_checksum_that_is_to_be_computed_comes_out_right() {
    Rig::with(|rig| {
        publish(rig);
        let hook = Hook::attach(&mut rig.kernel, &name(interface_of(0)), ifindex(interface_of(0)), false)
            .expect("it is attached");
        let far = |device| {
            let interface = interface_of(device) + 1;
            Device::netdev(&name(interface), ifindex(interface)).expect("it is there")
        };
        let (guest, peer) = (far(0), far(1));
        let offloaded = VirtioNetHeader {
            flags: F_NEEDS_CSUM,
            csum_start: 54,
            csum_offset: 2,
            ..VirtioNetHeader::default()
        };
        let mut burst = RxBurst::new().expect("memory");
        for kind in [135, 136] {
            for (header, frame) in [
                (offloaded, unfinished(kind, GUEST)),
                (VirtioNetHeader::default(), finished(unfinished(kind, GUEST))),
            ] {
                let sent = TxFrame {
                    bytes: &frame,
                    tag: None,
                    inner: None,
                    source: None,
                    destination: None,
                    patch: None,
                    header,
                };
                guest.send_burst([sent], &mut TxBurst::new());
                let (needs, got) = until("the frame", || {
                    peer.recv_burst(&mut burst).expect("it receives");
                    burst.frames().next().map(|frame| {
                        let frame = frame.expect("whole");
                        (frame.header.needs_csum(), frame.bytes.to_vec())
                    })
                });
                assert_eq!(needs, header.needs_csum());
                let got = if needs { finished(got) } else { got };
                assert_eq!(got, finished(unfinished(kind, OWN[1])), "{kind}");
            }
        }
        hook.detach(&rig.kernel).expect("it is detached");
    });
}
