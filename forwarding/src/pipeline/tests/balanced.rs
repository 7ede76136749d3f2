//! A bond that spreads IP over all members (balance-tlb): one of them is home to the guests' addresses.

use super::*;
use crate::bucket_loads::BucketLoads;

const OWN: [MacAddr; 2] = [MacAddr([6, 0, 0, 0, 0, 2]), MacAddr([6, 0, 0, 0, 0, 3])];

/// Two plain ports, 0 and 1, and a bond with the devices 2, which is home, and 3; behind it [`host`] 9 is known.
/// The hash of layer 2 sends IPv4 from [`host`] 1 to 9 by bucket 0, and from 0 to 9 by bucket 1; IPv6 the other way round.
fn switch(loads: Option<Arc<BucketLoads>>) -> Switch {
    let table = [2, 3].map(DeviceId).into();
    let plan =
        TransmitPlan::Balanced { hash: HashPolicy::Layer2, table, loads, home: DeviceId(2), own: OWN.into() };
    let mut switch = Switch::with_bond(2, plan, [Admission::AllButReflected; 2]);
    for (n, own) in OWN.into_iter().enumerate() {
        switch.device(2 + n).source = Some(own);
    }
    switch.fdb().learn(0, host(9), PortId(2), NOW);
    switch
}

fn packet(dst: MacAddr, src: MacAddr, ethertype: u16, packet: &[u8]) -> Vec<u8> {
    let mut bytes = [dst.0, src.0].concat();
    bytes.extend(ethertype.to_be_bytes());
    bytes.extend(packet);
    bytes.resize(bytes.len().max(100), 0);
    bytes
}

fn ipv4(dst: MacAddr, src: MacAddr, protocol: u8) -> Vec<u8> {
    packet(dst, src, 0x0800, &[0x45, 0, 0, 28, 0, 0, 0, 0, 64, protocol])
}

fn ipv6(dst: MacAddr, src: MacAddr, next_header: u8, kind: u8) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0, 0, 60, next_header, 64];
    header.resize(40, 0);
    header.push(kind);
    packet(dst, src, 0x86dd, &header)
}

/// Device and source of the only copy.
fn left(switch: &mut Switch, bytes: &[u8]) -> (u16, Option<MacAddr>) {
    let outputs = switch.send(&untagged(0, bytes)).unwrap();
    assert_eq!(outputs.len(), 1, "{outputs:?}");
    assert_eq!(outputs[0].destination, None);
    (outputs[0].device.0, outputs[0].source)
}

#[test]
fn ip_to_a_station_is_spread_and_leaves_with_the_members_address() {
    let mut switch = switch(None);
    let of = |n| host(n);
    assert_eq!(left(&mut switch, &ipv4(of(9), of(1), 17)), (2, None), "home has the guest's address");
    assert_eq!(left(&mut switch, &ipv4(of(9), of(2), 17)), (3, Some(OWN[1])));
    assert_eq!(left(&mut switch, &ipv6(of(9), of(2), 17, 0)), (2, None));
    assert_eq!(left(&mut switch, &ipv6(of(9), of(1), 17, 0)), (3, Some(OWN[1])));
    assert_eq!(left(&mut switch, &ipv6(of(9), of(1), 58, 128)), (3, Some(OWN[1])), "an echo request");
    switch.device(3).source = None;
    assert_eq!(left(&mut switch, &ipv4(of(9), of(2), 17)), (3, None));
}

#[test]
fn everything_else_leaves_by_home() {
    let mut switch = switch(None);
    let (peer, guest) = (host(9), host(2));
    let mut cut_off = ipv6(peer, host(1), 58, 128);
    cut_off.truncate(54);
    let mut bad_header = ipv4(peer, guest, 17);
    bad_header[14] = 0x44;
    for (what, bytes) in [
        ("IGMP", ipv4(peer, guest, 2)),
        ("a router advertisement", ipv6(peer, host(1), 58, 134)),
        ("a neighbour solicitation from far away", ipv6(peer, host(1), 58, 135)),
        ("ICMPv6 without a type", cut_off),
        ("no IPv4 header", bad_header),
        ("another type", packet(peer, guest, 0x88b5, &[])),
        ("ARP", packet(peer, guest, 0x0806, &[0, 1, 8, 0, 6, 4, 0, 1])),
        ("a customer's IP", packet(peer, guest, 0x8100, &[0, 7, 8, 0, 0x45])),
    ] {
        assert_eq!(left(&mut switch, &bytes), (2, None), "{what}");
    }
    for group in [MacAddr::BROADCAST, MacAddr([1, 0, 0x5e, 0, 0, 5])] {
        let outputs = switch.send(&untagged(0, &ipv4(group, guest, 17))).unwrap();
        assert_eq!(outputs, [output(1, None), output(2, None)]);
    }
    switch.port(0).vlan = VlanPolicy::Dot1qTunnel { vlan: 5, cvlans: None };
    switch.fdb().learn(5, peer, PortId(2), NOW);
    let outputs = switch.send(&tagged(0, &ipv4(peer, guest, 17), 7)).unwrap();
    assert_eq!((outputs[0].device, outputs[0].source), (DeviceId(2), None), "a customer's too");
}

#[test]
fn a_flood_is_spread_like_any_ip_to_a_station() {
    let mut switch = switch(None);
    let outputs = switch.send(&untagged(0, &ipv4(host(8), host(3), 17))).unwrap();
    let by_other = Output { source: Some(OWN[1]), ..output(3, None) };
    assert_eq!(outputs, [output(1, None), by_other]);
}

/// The switch floods what it has for nobody: a copy comes back by the member that lets frames in.
#[test]
fn what_was_sent_with_a_members_address_does_not_come_back() {
    let mut switch = switch(None);
    assert_eq!(left(&mut switch, &ipv4(host(9), host(2), 17)), (3, Some(OWN[1])));
    for dst in [host(8), host(9), MacAddr::BROADCAST] {
        for own in OWN {
            let came = switch.send(&untagged(2, &ipv4(dst, own, 17)));
            assert_eq!(came, Err(DropReason::Reflected));
            assert_eq!(switch.fdb().lookup(0, own, NOW), None);
        }
    }
    assert_eq!(switch.path(0, host(9), OWN[1]), Ok(vec![2]), "elsewhere it is an address like any other");
}

/// What is not balanced has no bucket.
#[test]
fn buckets_count_what_they_carry() {
    let loads = Arc::new(BucketLoads::new());
    let mut switch = switch(Some(Arc::clone(&loads)));
    left(&mut switch, &ipv4(host(9), host(1), 17));
    left(&mut switch, &ipv4(host(9), host(2), 17));
    left(&mut switch, &ipv4(host(9), host(2), 2));
    trace(&switch.tables, NOW, &untagged(0, &ipv4(host(9), host(2), 17)));
    assert_eq!(loads.read()[..3], [100, 100, 0]);
}

#[test]
fn a_trace_tells() {
    let switch = switch(None);
    let told = |bytes: &[u8]| {
        let trace = trace(&switch.tables, NOW, &untagged(0, bytes));
        trace.steps[5..].iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(
        told(&ipv4(host(9), host(2), 17))[1..],
        [
            "port 2: layer2 hash 2059 (0x0000080b), bucket 1 of 2: device 3",
            "its source becomes 06:00:00:00:00:03, the address of device 3",
            "leaves port 2 by device 3 untagged (86 octets, MTU 1500)",
        ]
    );
    assert_eq!(
        told(&ipv4(host(9), host(2), 2))[1..],
        [
            "port 2: no IP from station to station, so it goes by the active member: device 2",
            "leaves port 2 by device 2 untagged (86 octets, MTU 1500)",
        ]
    );
}
