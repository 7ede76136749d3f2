//! Receive balancing of a bond: members' own addresses, and what guests tell their peers.

use core::net::IpAddr;

use super::*;
use crate::bucket_loads::{BUCKETS, BucketLoads};
use crate::receive::{Guests, Receive, bucket};
use crate::rewrite::Patch;
use crate::wire::virtio::F_NEEDS_CSUM;

const OWN: [MacAddr; 2] = [MacAddr([6, 0, 0, 0, 0, 2]), MacAddr([6, 0, 0, 0, 0, 3])];
const PEER_IP: [u8; 4] = [192, 0, 2, 99];
const V6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const V6_PEER: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];

fn ip_of(n: u8) -> [u8; 4] {
    [192, 0, 2, n]
}

/// Two plain ports, 0 and 1, and a bond with the devices 2, which is home, and 3, on which nothing else is let in. Behind
/// port 0 are the guests [`host`] 1 and, in VLAN 5 with the same IP address, 2; behind the bond is 9. Peers are told own
/// address 1 by every bucket.
fn switch() -> (Switch, Arc<BucketLoads>) {
    let plan = TransmitPlan::Balanced {
        hash: HashPolicy::Layer2,
        table: [2, 3].map(DeviceId).into(),
        loads: None,
        home: DeviceId(2),
        own: OWN.into(),
    };
    let mut switch = Switch::with_bond(2, plan, [Admission::AllButReflected, Admission::Nothing]);
    let loads = Arc::new(BucketLoads::new());
    switch.port(2).receive = Some(Arc::new(Receive {
        own: vec![(OWN[0], DeviceId(2)), (OWN[1], DeviceId(3))],
        table: Arc::new([Some(OWN[1]); BUCKETS]),
        guests: Arc::new(Guests::new([
            ((0, IpAddr::from(ip_of(1))), host(1)),
            ((0, IpAddr::from(V6)), host(1)),
            ((5, IpAddr::from(ip_of(1))), host(2)),
        ])),
        loads: Arc::clone(&loads),
    }));
    switch.fdb().learn(0, host(1), PortId(0), NOW);
    switch.fdb().learn(5, host(2), PortId(0), NOW);
    switch.fdb().learn(0, host(9), PortId(2), NOW);
    (switch, loads)
}

fn change(switch: &mut Switch, change: impl FnOnce(&mut Receive)) {
    let receive = switch.port(2).receive.as_mut().unwrap();
    change(Arc::make_mut(receive));
}

fn ipv4(dst: MacAddr, src: MacAddr, to: [u8; 4]) -> Vec<u8> {
    let mut bytes = [&dst.0[..], &src.0, &[8, 0, 0x45, 0, 0, 86, 0, 0, 0, 0, 64, 17, 0, 0]].concat();
    bytes.extend([PEER_IP, to].concat());
    bytes.resize(100, 0);
    bytes
}

fn arp(
    dst: MacAddr,
    src: MacAddr,
    operation: u8,
    sender: (MacAddr, [u8; 4]),
    target: (MacAddr, [u8; 4]),
) -> Vec<u8> {
    let mut bytes = [&dst.0[..], &src.0, &[8, 6, 0, 1, 8, 0, 6, 4, 0, operation]].concat();
    bytes.extend([&sender.0.0[..], &sender.1, &target.0.0, &target.1].concat());
    bytes.resize(60, 0);
    bytes
}

/// A solicitation of a guest's, from its own address, or an advertisement about that.
fn nd(dst: MacAddr, src: MacAddr, kind: u8, mac: MacAddr) -> Vec<u8> {
    let mut bytes = [&dst.0[..], &src.0, &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]].concat();
    let (target, option) = if kind == 136 { (V6, 2) } else { (V6_PEER, 1) };
    bytes.extend(
        [&V6[..], &V6_PEER, &[kind, 0, 0x12, 0x34, 0, 0, 0, 0], &target, &[option, 1], &mac.0].concat(),
    );
    bytes
}

fn only(switch: &mut Switch, ingress: &Ingress<'_>) -> Output {
    let outputs = switch.send(ingress).unwrap();
    assert_eq!(outputs.len(), 1, "{outputs:?}");
    outputs[0]
}

#[test]
fn a_frame_to_a_members_address_is_for_the_guest_with_its_ip_address() {
    let (mut switch, _) = switch();
    let given = |device, guest| Output { destination: Some(guest), ..output(device, None) };
    for (member, own) in [(2, OWN[0]), (3, OWN[1])] {
        assert_eq!(only(&mut switch, &untagged(member, &ipv4(own, host(9), ip_of(1)))), given(0, host(1)));
        // In another VLAN it is another guest's.
        let in_vlan = only(&mut switch, &tagged(member, &ipv4(own, host(9), ip_of(1)), 5));
        assert_eq!(in_vlan, Output { destination: Some(host(2)), ..output(0, Some(5)) });
        assert_eq!(switch.send(&untagged(member, &ipv4(own, host(9), ip_of(7)))), Err(DropReason::NoGuest));
    }
    assert_eq!(switch.fdb().lookup(0, host(9), NOW), Some(PortId(2)));
    // A guest that the FDB doesn't know is looked for.
    switch.fdb().remove(0, host(1));
    let outputs = switch.send(&untagged(3, &ipv4(OWN[1], host(9), ip_of(1)))).unwrap();
    assert_eq!(outputs, [given(0, host(1)), given(1, host(1))]);
    // Behind the bond it is not.
    switch.fdb().learn(0, host(1), PortId(2), NOW);
    assert_eq!(switch.send(&untagged(3, &ipv4(OWN[1], host(9), ip_of(1)))), Err(DropReason::SamePort));
}

#[test]
fn ipv6_and_fragments_find_their_guest_and_what_is_no_ip_does_not() {
    let (mut switch, _) = switch();
    let mut answer = nd(OWN[1], host(9), 136, host(9));
    answer[22..54].copy_from_slice(&[V6_PEER, V6].concat());
    assert_eq!(only(&mut switch, &untagged(3, &answer)).destination, Some(host(1)));
    let mut fragment = ipv4(OWN[1], host(9), ip_of(1));
    fragment[20] = 1;
    assert_eq!(only(&mut switch, &untagged(3, &fragment)).destination, Some(host(1)));
    let no_guest = |switch: &mut Switch, bytes: &[u8]| {
        assert_eq!(switch.send(&untagged(3, bytes)), Err(DropReason::NoGuest));
    };
    let mut malformed = ipv4(OWN[1], host(9), ip_of(1));
    malformed[14] = 0x44;
    no_guest(&mut switch, &malformed);
    no_guest(&mut switch, &frame(OWN[1], host(9)));
    let inner = [&fragment[..12], &[0x81, 0, 0, 7], &fragment[12..]].concat();
    no_guest(&mut switch, &inner);
    let rarp =
        [&arp(OWN[1], host(9), 3, (host(9), PEER_IP), (OWN[1], ip_of(1)))[..12], &[0x80, 0x35]].concat();
    no_guest(&mut switch, &rarp);
}

#[test]
fn arp_to_a_members_address_names_the_guest_again() {
    let (mut switch, _) = switch();
    for operation in [1, 2] {
        let bytes = arp(OWN[1], host(9), operation, (host(9), PEER_IP), (OWN[1], ip_of(1)));
        let found = only(&mut switch, &untagged(3, &bytes));
        let patch = Some(Patch { offset: 32, mac: host(1), checksum: None });
        assert_eq!(found, Output { destination: Some(host(1)), patch, ..output(0, None) });
        let zero = arp(OWN[1], host(9), operation, (host(9), PEER_IP), (MacAddr::ZERO, ip_of(1)));
        let found = only(&mut switch, &untagged(3, &zero));
        assert_eq!(found, Output { destination: Some(host(1)), ..output(0, None) });
    }
    let other = arp(OWN[1], host(9), 1, (host(9), PEER_IP), (OWN[1], ip_of(4)));
    assert_eq!(switch.send(&untagged(3, &other)), Err(DropReason::NoGuest));
}

#[test]
fn a_members_address_is_let_in_by_one_device_whatever_the_admission() {
    let (mut switch, _) = switch();
    let bytes = ipv4(OWN[1], host(9), ip_of(1));
    for admission in [Admission::All, Admission::AllButReflected, Admission::Grace, Admission::Nothing] {
        for device in 2..4 {
            switch.device(device).admission = admission;
        }
        assert!(switch.send(&untagged(3, &bytes)).is_ok(), "{admission:?}");
        assert_eq!(switch.send(&untagged(2, &bytes)), Err(DropReason::InactiveMember), "{admission:?}");
    }
    // The member is down: home takes what is for it.
    change(&mut switch, |receive| receive.own[1].1 = DeviceId(2));
    assert!(switch.send(&untagged(2, &bytes)).is_ok());
    assert_eq!(switch.send(&untagged(3, &bytes)), Err(DropReason::InactiveMember));
    // Everything else is as ever.
    assert_eq!(switch.path(3, host(1), host(9)), Err(DropReason::InactiveMember));
    // To a plain port the addresses are as any other's.
    assert_eq!(switch.path(0, OWN[0], host(1)), Ok(vec![1, 2]));
}

/// Neither learned nor let in; nor is what a guest sent to a member's address.
#[test]
fn what_came_from_ourselves_is_refused() {
    let (mut switch, loads) = switch();
    for (device, own) in [(2, OWN[0]), (2, OWN[1]), (3, OWN[0]), (3, OWN[1])] {
        for dst in [MacAddr::BROADCAST, host(1), OWN[0], OWN[1]] {
            let result = switch.send(&untagged(device, &ipv4(dst, own, ip_of(1))));
            assert_eq!(result, Err(DropReason::Reflected));
        }
        assert_eq!(switch.fdb().lookup(0, own, NOW), None);
    }
    assert_eq!(switch.send(&untagged(3, &ipv4(OWN[1], host(1), ip_of(1)))), Err(DropReason::Reflected));
    assert_eq!(loads.read(), [0; BUCKETS]);
}

#[test]
fn guests_name_a_member_to_each_peer() {
    let (mut switch, _) = switch();
    let patch = |offset, checksum| Some(Patch { offset, mac: OWN[1], checksum });
    for operation in [1, 2] {
        let bytes = arp(host(9), host(1), operation, (host(1), ip_of(1)), (host(9), PEER_IP));
        assert_eq!(
            only(&mut switch, &untagged(0, &bytes)),
            Output { patch: patch(22, None), ..output(2, None) }
        );
        let peers = bucket(host(9), ip_of(1).into());
        change(&mut switch, |receive| Arc::make_mut(&mut receive.table)[usize::from(peers)] = None);
        assert_eq!(only(&mut switch, &untagged(0, &bytes)), output(2, None), "the guest's own");
        change(&mut switch, |receive| Arc::make_mut(&mut receive.table)[usize::from(peers)] = Some(OWN[1]));
    }
    for kind in [135, 136] {
        let bytes = nd(host(9), host(1), kind, host(1));
        let found = only(&mut switch, &untagged(0, &bytes));
        // 02:00:00:00:00:01 became 06:00:00:00:00:03: 0x0400 and 2 less.
        assert_eq!(found, Output { patch: patch(80, Some((56, 0x1234 - 0x0402))), ..output(2, None) });
        let header =
            VirtioNetHeader { flags: F_NEEDS_CSUM, csum_start: 54, csum_offset: 2, ..Default::default() };
        let found = only(&mut switch, &Ingress { header, ..untagged(0, &bytes) });
        assert_eq!(found.patch, patch(80, None));
    }
}

#[test]
fn only_the_owner_is_believed_and_only_peers_are_told() {
    let (mut switch, _) = switch();
    let mut patches = |bytes: &[u8]| {
        let outputs = switch.send(&untagged(0, bytes)).unwrap();
        outputs.into_iter().map(|output| output.patch).collect::<Vec<_>>()
    };
    let from = |src, sender| arp(host(9), src, 2, sender, (host(9), PEER_IP));
    assert_eq!(patches(&from(host(3), (host(3), ip_of(1)))), [None], "another guest's");
    assert_eq!(patches(&from(host(1), (host(3), ip_of(1)))), [None], "another's MAC");
    assert_eq!(patches(&from(host(3), (host(1), ip_of(1)))), [None], "another guest's for it");
    assert_eq!(patches(&from(host(1), (host(1), ip_of(8)))), [None], "nobody's");
    assert_eq!(patches(&from(host(1), (host(1), [0; 4]))), [None], "a probe");
    let everybody = arp(MacAddr::BROADCAST, host(1), 1, (host(1), ip_of(1)), (MacAddr::ZERO, PEER_IP));
    assert_eq!(patches(&everybody), [None, None]);
    // To a station that is not known, only the copy for the bond.
    let unknown = arp(host(8), host(1), 2, (host(1), ip_of(1)), (host(8), PEER_IP));
    let changed = Some(Patch { offset: 22, mac: OWN[1], checksum: None });
    assert_eq!(patches(&unknown), [None, changed]);
    // Between guests.
    switch.fdb().learn(0, host(4), PortId(1), NOW);
    let neighbour = arp(host(4), host(1), 2, (host(1), ip_of(1)), (host(4), ip_of(4)));
    assert_eq!(only(&mut switch, &untagged(0, &neighbour)), output(1, None));
    // What a customer's tag encloses is the customer's.
    let bytes = arp(host(9), host(1), 2, (host(1), ip_of(1)), (host(9), PEER_IP));
    let inner = [&bytes[..12], &[0x81, 0, 0, 7], &bytes[12..]].concat();
    assert_eq!(only(&mut switch, &untagged(0, &inner)), output(2, None));
}

#[test]
fn the_binding_of_a_tagged_guest_is_that_of_its_vlan() {
    let (mut switch, _) = switch();
    switch.fdb().learn(5, host(9), PortId(2), NOW);
    let bytes = arp(host(9), host(2), 2, (host(2), ip_of(1)), (host(9), PEER_IP));
    let patch = Some(Patch { offset: 22, mac: OWN[1], checksum: None });
    assert_eq!(only(&mut switch, &tagged(0, &bytes, 5)), Output { patch, ..output(2, Some(5)) });
    switch.port(0).vlan = VlanPolicy::Access(5);
    assert_eq!(only(&mut switch, &untagged(0, &bytes)), Output { patch, ..output(2, Some(5)) });
}

/// The control thread hears what peers say to guests, as it came in.
#[test]
fn the_control_thread_hears_the_peers() {
    let (mut switch, _) = switch();
    let punt = |port, vlan| Some(Punt { port: PortId(port), vlan });
    let bytes = arp(OWN[1], host(9), 2, (host(9), PEER_IP), (OWN[1], ip_of(1)));
    assert!(switch.send(&tagged(3, &bytes, 5)).is_ok());
    assert_eq!(switch.egress.punt, punt(2, 5));
    assert_eq!(snooped(&switch.tables, &untagged(3, &bytes)), punt(2, 0));
    let bytes = arp(host(1), host(9), 2, (host(9), PEER_IP), (host(1), ip_of(1)));
    assert!(switch.send(&untagged(2, &bytes)).is_ok());
    assert_eq!(switch.egress.punt, punt(2, 0));
    switch.port(2).receive = None;
    assert!(switch.send(&untagged(2, &bytes)).is_ok());
    assert_eq!(switch.egress.punt, None);
}

/// By source MAC and destination IP, all that was let in; not what is no IP, is for a group, or left by the bond.
#[test]
fn buckets_count_what_comes_in() {
    let (mut switch, loads) = switch();
    let mut expected = [0; BUCKETS];
    let of = |src, ip: [u8; 4]| usize::from(bucket(src, ip.into()));
    switch.send(&untagged(3, &ipv4(OWN[1], host(9), ip_of(1)))).unwrap();
    switch.send(&untagged(2, &ipv4(host(1), host(9), ip_of(1)))).unwrap();
    switch.send(&tagged(2, &ipv4(host(2), host(7), ip_of(1)), 5)).unwrap();
    expected[of(host(9), ip_of(1))] += 200;
    expected[of(host(7), ip_of(1))] += 104;
    switch.send(&untagged(2, &ipv4(MacAddr::BROADCAST, host(9), ip_of(1)))).unwrap();
    switch.send(&untagged(2, &arp(host(1), host(9), 2, (host(9), PEER_IP), (host(1), ip_of(1))))).unwrap();
    switch.send(&untagged(0, &ipv4(host(9), host(1), ip_of(1)))).unwrap();
    switch.send(&untagged(3, &ipv4(host(1), host(9), ip_of(1)))).unwrap_err();
    switch.send(&untagged(3, &ipv4(OWN[1], host(9), ip_of(8)))).unwrap_err();
    trace(&switch.tables, NOW, &untagged(3, &ipv4(OWN[1], host(9), ip_of(1))));
    assert_eq!(loads.read(), expected);
}

#[test]
fn a_trace_tells() {
    let (switch, _) = switch();
    let told = |device, bytes: &[u8]| {
        let trace = trace(&switch.tables, NOW, &untagged(device, bytes));
        trace.steps[3..].iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        told(3, &ipv4(OWN[1], host(9), ip_of(1)))[..2],
        [
            "06:00:00:00:00:03 is the member's own address: for the guest that has 192.0.2.1, 02:00:00:00:00:01",
            "let in: no reflection of a local address",
        ]
    );
    assert_eq!(
        told(3, &ipv4(OWN[1], host(9), ip_of(2))),
        [
            "06:00:00:00:00:03 is the member's own address, and no guest is known to have 192.0.2.2 in this VLAN",
            "dropped: no_guest",
        ]
    );
    assert_eq!(
        told(3, &frame(OWN[1], host(9))),
        [
            "06:00:00:00:00:03 is the member's own address, and this is no IP or ARP that a guest could have",
            "dropped: no_guest",
        ]
    );
    assert_eq!(
        told(3, &ipv4(OWN[0], host(9), ip_of(1))),
        [
            "06:00:00:00:00:02 is a member's own address: frames to it are let in by device 2",
            "dropped: inactive_member",
        ]
    );
    let bytes = arp(host(9), host(1), 2, (host(1), ip_of(1)), (host(9), PEER_IP));
    assert_eq!(
        told(0, &bytes)[4..5],
        ["tells 02:00:00:00:00:09 that 192.0.2.1 is at 06:00:00:00:00:03, the member that it is to send to"]
    );
}
