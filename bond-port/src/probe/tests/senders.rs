//! Whom probes are from, their tags, and neighbour discovery.

use super::*;

#[test]
fn without_a_source_probes_are_from_nobody_and_only_answers_count() {
    let options = ProbeOptions { source: None, ..options(Validate::All) };
    let mut rig = Rig::new(options, &[A], None);
    rig.tick();
    assert_eq!(rig.sent, [(A, arp_request(mac(A), Ipv4Addr::UNSPECIFIED, T1).to_vec())]);
    rig.rest();
    for _ in 0..5 {
        rig.interval(&[(A, reply_to(T1, Ipv4Addr::UNSPECIFIED, mac(A)))]);
    }
    assert_eq!(rig.alive(), [true]);
    for _ in 0..5 {
        rig.interval(&[(A, arp_request(TARGET_MAC, T1, Ipv4Addr::UNSPECIFIED).to_vec())]);
    }
    assert_eq!(rig.alive(), [false], "a request to nobody is none to us");
}

#[test]
fn the_bridges_address_goes_with_the_bridges_mac() {
    let host = |ips: &[(&str, u8)]| Host {
        mac: Some(BRIDGE_MAC),
        addresses: ips.iter().map(|(ip, length)| (ip.parse().unwrap(), *length)).collect(),
    };
    let own = ["10.0.0.9/8", "192.0.2.9/24", "192.0.2.10/30", "fe80::9/64"];
    let own = own.map(|text| text.split_once('/').unwrap()).map(|(ip, n)| (ip, n.parse().unwrap()));
    let us = |last| Ipv4Addr::new(192, 0, 2, last);
    let nobody = Ipv4Addr::UNSPECIFIED;
    let cases = [
        // arp_source, active-backup, expected.
        (None, true, (BRIDGE_MAC, us(9))),
        (None, false, (mac(A), nobody)),
        (Some(us(10)), true, (BRIDGE_MAC, us(10))),
        (Some(us(10)), false, (mac(A), nobody)),
        (Some(US), true, (mac(A), US)),
        (Some(US), false, (mac(A), US)),
    ];
    for (source, one_speaks, expected) in cases {
        let options = ProbeOptions { source, ..options(Validate::All) };
        let mut rig = Rig::new(options, &[A], one_speaks.then_some(A));
        rig.prober.set_host(host(&own));
        rig.tick();
        let (mac, ip) = expected;
        assert_eq!(rig.sent[0].1, arp_request(mac, ip, T1), "{source:?} {one_speaks}");
        rig.rest();
        for _ in 0..5 {
            rig.interval(&[(A, reply_to(T1, ip, mac))]);
        }
        assert_eq!(rig.alive(), [true], "{source:?} {one_speaks}");
    }
}

#[test]
fn probes_have_the_tag_of_arp_vlan() {
    let options = ProbeOptions { vlan: 10, ..options(Validate::All) };
    let mut rig = Rig::new(options, &[A], None);
    rig.tick();
    let plain = arp_request(mac(A), US, T1);
    assert_eq!(rig.sent[0].1, [&plain[..12], &[0x81, 0, 0, 10], &plain[12..]].concat());
}

// --- Neighbour discovery.

pub(super) fn advertisement(from: Ipv6Addr, to: Ipv6Addr, to_mac: MacAddr) -> Vec<u8> {
    // Of an unsolicited one only destination and flags differ.
    let mut frame = forwarding::announce::unsolicited_na(TARGET_MAC, from).to_vec();
    frame[..6].copy_from_slice(&to_mac.0);
    frame[38..54].copy_from_slice(&to.octets());
    frame
}

#[test]
fn neighbour_solicitations_likewise() {
    let (target, other): (Ipv6Addr, Ipv6Addr) =
        ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
    let ours = solicit::link_local(mac(A));
    let six = ProbeOptions { ip_targets: vec![], ip6_targets: vec![target], ..options(Validate::All) };
    let mut rig = Rig::new(six.clone(), &[A], None);
    rig.tick();
    assert_eq!(rig.sent, [(A, neighbour_solicitation(mac(A), ours, target).to_vec())]);
    let alive = |frame: Vec<u8>| {
        let mut rig = Rig::new(six.clone(), &[A], None);
        for _ in 0..6 {
            rig.interval(&[(A, frame.clone())]);
        }
        rig.prober.is_alive(A)
    };
    let all_nodes = MacAddr([0x33, 0x33, 0, 0, 0, 1]);
    assert!(alive(advertisement(target, ours, mac(A))));
    assert!(alive(advertisement(target, ALL_NODES, all_nodes)), "to all nodes");
    assert!(alive(neighbour_solicitation(TARGET_MAC, target, ours).to_vec()), "the target asks for us");
    assert!(!alive(advertisement(other, ours, mac(A))));
    assert!(!alive(advertisement(target, other, mac(A))));
    let mut routed = advertisement(target, ours, mac(A));
    routed[21] = 254;
    assert!(!alive(routed), "it has been passed on by a router");

    let mut rig = Rig::new(six, &[A, B], Some(A));
    for _ in 0..8 {
        let request = neighbour_solicitation(mac(A), ours, target).to_vec();
        rig.interval(&[(A, advertisement(target, ours, mac(A))), (B, request)]);
    }
    assert_eq!(rig.alive(), [true, true], "a backup hears the active member's solicitations");
}

#[test]
fn ns_ip6_source_and_the_bridges_address() {
    let target: Ipv6Addr = "2001:db8::1".parse().unwrap();
    let own: Ipv6Addr = "2001:db8::9".parse().unwrap();
    let host = Host { mac: Some(BRIDGE_MAC), addresses: vec![(own.into(), 64)] };
    let free: Ipv6Addr = "2001:db8::77".parse().unwrap();
    let cases = [
        (None, true, (BRIDGE_MAC, own)),
        (None, false, (mac(A), solicit::link_local(mac(A)))),
        (Some(own), false, (mac(A), solicit::link_local(mac(A)))),
        (Some(free), true, (mac(A), free)),
        (Some(free), false, (mac(A), free)),
    ];
    for (ip6_source, one_speaks, (mac, ip)) in cases {
        let options = ProbeOptions {
            ip_targets: vec![],
            ip6_targets: vec![target],
            ip6_source,
            ..options(Validate::All)
        };
        let mut rig = Rig::new(options, &[A], one_speaks.then_some(A));
        rig.prober.set_host(host.clone());
        rig.tick();
        assert_eq!(rig.sent[0].1, neighbour_solicitation(mac, ip, target), "{ip6_source:?} {one_speaks}");
    }
}
