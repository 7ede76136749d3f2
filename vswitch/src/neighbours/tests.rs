use forwarding::wire::ethernet::{ETHERTYPE_IPV6, ETHERTYPE_RARP};
use proptest::prelude::*;

use super::*;

const PORT: PortId = PortId(3);
const OTHER_PORT: PortId = PortId(4);
const AGE: Duration = Duration::from_secs(600);

const fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn mac(n: u64) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 + n)
}

fn v4(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, last)
}

fn v6(last: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, last)
}

fn ethernet(dst: MacAddr, src: MacAddr, ethertype: u16) -> Vec<u8> {
    [&dst.0[..], &src.0, &ethertype.to_be_bytes()].concat()
}

fn arp(src: MacAddr, operation: u8, sender: (MacAddr, Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
    let mut frame = ethernet(MacAddr::BROADCAST, src, 0x0806);
    frame.extend([0, 1, 8, 0, 6, 4, 0, operation]);
    frame.extend(sender.0.0);
    frame.extend(sender.1.octets());
    frame.extend([0; 6]);
    frame.extend(target.octets());
    frame
}

/// "Who has 10.0.0.254? Tell `ip` at `mac`."
fn request(mac: MacAddr, ip: Ipv4Addr) -> Vec<u8> {
    arp(mac, 1, (mac, ip), v4(254))
}

fn neighbour(src: MacAddr, ip: Ipv6Addr, kind: u8, flags: u8, target: Ipv6Addr, options: &[u8]) -> Vec<u8> {
    let mut frame = ethernet(MacAddr([0x33, 0x33, 0, 0, 0, 1]), src, ETHERTYPE_IPV6);
    frame.extend([0x60, 0, 0, 0, 0, 24 + options.len() as u8, 58, 255]);
    frame.extend(ip.octets());
    frame.extend(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).octets());
    frame.extend([kind, 0, 0, 0, flags, 0, 0, 0]);
    frame.extend(target.octets());
    frame.extend(options);
    frame
}

fn option(kind: u8, mac: MacAddr) -> Vec<u8> {
    [&[kind, 1][..], &mac.0].concat()
}

fn solicitation(mac: MacAddr, ip: Ipv6Addr) -> Vec<u8> {
    neighbour(mac, ip, 135, 0, v6(0xfe), &option(1, mac))
}

fn advertisement(mac: MacAddr, ip: Ipv6Addr, flags: u8) -> Vec<u8> {
    neighbour(mac, ip, 136, flags, ip, &option(2, mac))
}

/// What is known of `mac(1)` at [`PORT`] in VLAN 10 after it sent these frames.
fn heard(frames: &[Vec<u8>]) -> Vec<Address> {
    let mut neighbours = Neighbours::default();
    for frame in frames {
        neighbours.handle_frame(at(1), PORT, 10, frame);
    }
    neighbours.addresses(at(2), PORT, 10, mac(1))
}

#[test]
fn arp_requests_replies_and_gratuitous_ones_are_heard() {
    let own = (mac(1), v4(1));
    for frame in [
        request(mac(1), v4(1)),
        arp(mac(1), 2, own, v4(9)),
        arp(mac(1), 1, own, v4(1)),
        arp(mac(1), 2, own, v4(1)),
    ] {
        assert_eq!(heard(&[frame]), [Address::V4(v4(1))]);
    }
}

#[test]
fn probes_foreign_senders_and_impossible_addresses_are_not() {
    let mut reverse = arp(mac(1), 3, (mac(1), v4(1)), v4(1));
    let mut cut = request(mac(1), v4(1));
    let mut tagged = request(mac(1), v4(1));
    cut.pop();
    tagged.splice(12..12, [0x81, 0, 0, 5]);
    for frame in [
        request(mac(1), Ipv4Addr::UNSPECIFIED),
        request(mac(1), Ipv4Addr::BROADCAST),
        request(mac(1), Ipv4Addr::new(127, 0, 0, 1)),
        request(mac(1), Ipv4Addr::new(224, 0, 0, 5)),
        arp(mac(1), 1, (mac(2), v4(1)), v4(9)),
        arp(mac(2), 1, (mac(1), v4(1)), v4(9)),
        arp(mac(1), 1, (MacAddr::BROADCAST, v4(1)), v4(9)),
        reverse.clone(),
        cut,
        tagged,
        vec![],
    ] {
        assert_eq!(heard(std::slice::from_ref(&frame)), [], "{frame:02x?}");
    }
    reverse[12..14].copy_from_slice(&ETHERTYPE_RARP.to_be_bytes());
    assert_eq!(heard(&[reverse]), []);
}

#[test]
fn solicitations_tell_the_address_and_advertisements_the_router_too() {
    let known = |router| [Address::V6 { ip: v6(1), router }];
    assert_eq!(heard(&[solicitation(mac(1), v6(1))]), known(None));
    assert_eq!(heard(&[neighbour(mac(1), v6(1), 135, 0, v6(9), &[])]), known(None));
    assert_eq!(heard(&[advertisement(mac(1), v6(1), 0x20)]), known(Some(false)));
    assert_eq!(heard(&[advertisement(mac(1), v6(1), 0xa0)]), known(Some(true)));
    // An answer without override: of a proxy, or to a unicast question.
    assert_eq!(heard(&[advertisement(mac(1), v6(1), 0x40)]), []);
    let both = [solicitation(mac(1), v6(1)), neighbour(mac(1), v6(1), 136, 0xc0, v6(1), &[])];
    assert_eq!(heard(&both), known(Some(true)));
    let both = [advertisement(mac(1), v6(1), 0xa0), solicitation(mac(1), v6(1))];
    assert_eq!(heard(&both), known(Some(true)));
}

#[test]
fn malformed_and_foreign_neighbour_discovery_is_passed_over() {
    let good = advertisement(mac(1), v6(1), 0x20);
    let mut beyond_a_router = good.clone();
    beyond_a_router[21] = 254;
    let mut code = good.clone();
    code[55] = 1;
    let mut longer_than_the_frame = good.clone();
    longer_than_the_frame[19] += 1;
    let mut cut = good;
    cut[19] = 23;
    for frame in [
        // Duplicate address detection (RFC 4862 clause 5.4.2).
        neighbour(mac(1), Ipv6Addr::UNSPECIFIED, 135, 0, v6(1), &[]),
        neighbour(mac(1), v6(1), 136, 0x20, v6(1), &option(2, mac(2))),
        neighbour(mac(1), v6(1), 135, 0, v6(9), &option(1, mac(2))),
        neighbour(mac(1), v6(1), 136, 0x20, Ipv6Addr::LOCALHOST, &[]),
        neighbour(mac(1), v6(1), 136, 0x20, "ff02::1".parse().unwrap(), &[]),
        neighbour(mac(1), v6(1), 136, 0x20, v6(1), &[2, 0, 0, 0, 0, 0, 0, 0]),
        neighbour(mac(1), v6(1), 136, 0x20, v6(1), &[2, 2, 0, 0, 0, 0, 0, 0]),
        neighbour(mac(1), v6(1), 136, 0x20, v6(1), &[2]),
        neighbour(mac(1), v6(1), 134, 0x20, v6(1), &[]),
        beyond_a_router,
        code,
        longer_than_the_frame,
        cut,
    ] {
        assert_eq!(heard(std::slice::from_ref(&frame)), [], "{frame:02x?}");
    }
}

#[test]
fn an_address_is_believed_for_a_while() {
    let mut neighbours = Neighbours::default();
    neighbours.handle_frame(at(0), PORT, 0, &request(mac(1), v4(1)));
    neighbours.handle_frame(at(100), PORT, 0, &request(mac(1), v4(2)));
    let known = |neighbours: &Neighbours, now| neighbours.addresses(now, PORT, 0, mac(1));
    assert_eq!(known(&neighbours, AGE - at(1)), [Address::V4(v4(1)), Address::V4(v4(2))]);
    assert_eq!(known(&neighbours, AGE), [Address::V4(v4(2))]);
    neighbours.handle_frame(AGE, PORT, 0, &request(mac(1), v4(2)));
    assert_eq!(neighbours.claims.len(), 1, "the old address is forgotten for good");
    neighbours.sweep(AGE + AGE - at(1));
    assert_eq!(neighbours.len(), 1);
    neighbours.sweep(AGE + AGE);
    assert!(neighbours.is_empty() && neighbours.claims.is_empty() && neighbours.ports.is_empty());
}

#[test]
fn an_address_that_two_macs_claim_is_reported_for_neither() {
    let mut neighbours = Neighbours::default();
    neighbours.handle_frame(at(0), PORT, 10, &request(mac(1), v4(1)));
    neighbours.handle_frame(at(0), PORT, 10, &request(mac(1), v4(5)));
    neighbours.handle_frame(at(500), OTHER_PORT, 10, &request(mac(2), v4(5)));
    assert_eq!(neighbours.addresses(at(501), PORT, 10, mac(1)), [Address::V4(v4(1))]);
    assert_eq!(neighbours.addresses(at(501), OTHER_PORT, 10, mac(2)), []);
    // The address has moved: its old owner is heard again, but not about this one.
    neighbours.handle_frame(AGE, PORT, 10, &request(mac(1), v4(1)));
    assert_eq!(neighbours.addresses(AGE, OTHER_PORT, 10, mac(2)), [Address::V4(v4(5))]);
    // Another VLAN is another network.
    neighbours.handle_frame(AGE, OTHER_PORT, 11, &request(mac(2), v4(1)));
    assert_eq!(neighbours.addresses(AGE, PORT, 10, mac(1)), [Address::V4(v4(1))]);
    assert_eq!(neighbours.addresses(AGE, OTHER_PORT, 11, mac(2)), [Address::V4(v4(1))]);
}

#[test]
fn an_address_announced_beyond_the_uplink_is_given_up() {
    let mut neighbours = Neighbours::default();
    let gratuitous = |mac, ip| arp(mac, 1, (mac, ip), ip);
    for frame in [gratuitous(mac(1), v4(1)), request(mac(1), v4(2)), advertisement(mac(1), v6(1), 0x20)] {
        neighbours.handle_frame(at(0), PORT, 10, &frame);
    }
    let all = neighbours.addresses(at(1), PORT, 10, mac(1));
    assert_eq!(all.len(), 3);
    // Its own, sent back by the upstream switch; and another VLAN.
    neighbours.handle_uplink_frame(10, &gratuitous(mac(1), v4(1)));
    neighbours.handle_uplink_frame(11, &gratuitous(mac(7), v4(1)));
    assert_eq!(neighbours.addresses(at(1), PORT, 10, mac(1)), all);
    neighbours.handle_uplink_frame(10, &gratuitous(mac(7), v4(1)));
    neighbours.handle_uplink_frame(10, &advertisement(mac(7), v6(1), 0));
    assert_eq!(neighbours.addresses(at(1), PORT, 10, mac(1)), [Address::V4(v4(2))]);
    assert_eq!(neighbours.claims.len(), 1);
    neighbours.handle_frame(at(2), PORT, 10, &gratuitous(mac(1), v4(1)));
    assert_eq!(neighbours.addresses(at(2), PORT, 10, mac(1)).len(), 2);
}

#[test]
fn a_guest_that_moves_to_another_port_is_no_contradiction() {
    let mut neighbours = Neighbours::default();
    for port in [PORT, OTHER_PORT] {
        neighbours.handle_frame(at(0), port, 0, &request(mac(1), v4(1)));
    }
    assert_eq!(neighbours.addresses(at(1), OTHER_PORT, 0, mac(1)), [Address::V4(v4(1))]);
    neighbours.forget_port(PORT);
    assert_eq!(neighbours.addresses(at(1), OTHER_PORT, 0, mac(1)), [Address::V4(v4(1))]);
    assert_eq!((neighbours.len(), neighbours.claims.len()), (1, 1));
    neighbours.forget_port(OTHER_PORT);
    assert!(neighbours.is_empty() && neighbours.claims.is_empty());
}

#[test]
fn the_newest_addresses_of_a_mac_are_kept() {
    let mut neighbours = Neighbours::default();
    for n in 1..=20 {
        // Two at a time, so that some are equally old.
        let now = at(u64::from(n / 2));
        neighbours.handle_frame(now, PORT, 0, &request(mac(1), v4(n)));
        neighbours.handle_frame(now, PORT, 0, &advertisement(mac(1), v6(n.into()), 0x20));
    }
    let known = neighbours.addresses(at(20), PORT, 0, mac(1));
    assert_eq!(known.len(), MAX_IPV4 + MAX_IPV6);
    assert_eq!(neighbours.claims.len(), MAX_IPV4 + MAX_IPV6);
    let newest = (17..=20).map(|n| Address::V4(v4(n)));
    let newest6 = (13..=20).map(|n| Address::V6 { ip: v6(n), router: Some(false) });
    assert!(newest.chain(newest6).all(|address| known.contains(&address)), "{known:?}");
}

#[test]
fn a_flood_from_one_port_costs_the_others_nothing() {
    let limits = Limits { macs: 100, age: AGE };
    let mut neighbours = Neighbours::new(limits);
    for guest in 0..9 {
        neighbours.handle_frame(at(0), PortId(guest), 0, &request(mac(guest.into()), v4(guest as u8)));
    }
    let flooder = PortId(99);
    for n in 0..100_000 {
        let ip = Ipv4Addr::from_bits(0x0a01_0000 + n as u32);
        neighbours.handle_frame(at(1), flooder, (n % 4094) as u16, &request(mac(1000 + n), ip));
        assert!(neighbours.len() <= limits.macs && neighbours.claims.len() <= limits.macs);
    }
    for guest in 0..9 {
        let known = neighbours.addresses(at(2), PortId(guest), 0, mac(guest.into()));
        assert_eq!(known, [Address::V4(v4(guest as u8))]);
    }
    // One who comes while the table is full of the flood is taken in too.
    neighbours.handle_frame(at(3), PORT, 7, &request(mac(50), v4(50)));
    assert_eq!(neighbours.addresses(at(3), PORT, 7, mac(50)), [Address::V4(v4(50))]);
    assert_eq!(neighbours.len(), limits.macs);
}

#[test]
fn a_port_that_holds_just_its_share_keeps_it() {
    for flooder in 0..5 {
        let mut neighbours = Neighbours::new(Limits { macs: 10, age: AGE });
        let guests = (0..10).map(|guest| (PortId(guest % 5), guest));
        for (port, guest) in guests.clone() {
            neighbours.handle_frame(at(0), port, 0, &request(mac(guest.into()), v4(guest as u8)));
        }
        for n in 0..100 {
            neighbours.handle_frame(at(1), PortId(flooder), 0, &request(mac(1000 + n), v4(100 + n as u8)));
        }
        for (port, guest) in guests.filter(|(port, _)| *port != PortId(flooder)) {
            assert_eq!(
                neighbours.addresses(at(1), port, 0, mac(guest.into())),
                [Address::V4(v4(guest as u8))]
            );
        }
    }
}

#[test]
fn a_borrowed_mac_costs_its_owner_nothing() {
    let mut neighbours = Neighbours::default();
    neighbours.handle_frame(at(0), PORT, 0, &request(mac(1), v4(1)));
    for n in 0..200 {
        neighbours.handle_frame(at(1), OTHER_PORT, 0, &request(mac(1), Ipv4Addr::new(10, 9, 9, n)));
    }
    assert_eq!(neighbours.addresses(at(2), PORT, 0, mac(1)), [Address::V4(v4(1))]);
}

#[test]
fn a_sweep_has_an_end() {
    let mut neighbours = Neighbours::default();
    for n in 0..5000 {
        neighbours.handle_frame(
            at(0),
            PORT,
            0,
            &request(mac(n), Ipv4Addr::from_bits(0x0a00_0001 + n as u32)),
        );
    }
    neighbours.sweep(AGE);
    assert_eq!(neighbours.len(), 5000 - SWEEP_SHARE);
    for _ in 0..4 {
        neighbours.sweep(AGE);
    }
    assert!(neighbours.is_empty() && neighbours.claims.is_empty());
}

/// Everything that can happen, with few enough names that it collides.
#[derive(Debug, Clone)]
enum Step {
    Local { port: u16, vlan: u16, sender: u64, claimed: u64, ip: u8, flags: Option<u8> },
    Uplink { vlan: u16, sender: u64, ip: u8, is_v6: bool },
    Noise(Vec<u8>),
    Wait(u64),
    Forget(u16),
    Sweep,
}

fn steps() -> impl Strategy<Value = Step> {
    let flags = proptest::option::of(prop_oneof![Just(0_u8), Just(0x20), Just(0xa0)]);
    prop_oneof![
        8 => (0..4_u16, 0..2_u16, 1..9_u64, 0..9_u64, 0..9_u8, flags).prop_map(
            |(port, vlan, sender, claimed, ip, flags)| {
                // Mostly honest.
                let claimed = if claimed < 7 { sender } else { claimed };
                Step::Local { port, vlan, sender, claimed, ip, flags }
            }
        ),
        2 => (0..2_u16, 1..12_u64, 0..9_u8, any::<bool>())
            .prop_map(|(vlan, sender, ip, is_v6)| Step::Uplink { vlan, sender, ip, is_v6 }),
        1 => proptest::collection::vec(any::<u8>(), 0..120).prop_map(Step::Noise),
        1 => (0..400_u64).prop_map(Step::Wait),
        1 => (0..4_u16).prop_map(Step::Forget),
        1 => Just(Step::Sweep),
    ]
}

fn said(sender: MacAddr, claimed: MacAddr, ip: u8, flags: Option<u8>) -> Vec<u8> {
    match flags {
        None => arp(sender, 1, (claimed, v4(ip)), v4(9)),
        Some(flags) => neighbour(sender, v6(9), 136, flags, v6(ip.into()), &option(2, claimed)),
    }
}

proptest! {
    #[test]
    fn bounded_consistent_and_never_two_owners(all in proptest::collection::vec(steps(), 1..300), macs in 1..12_usize) {
        let limits = Limits { macs, age: AGE };
        let mut neighbours = Neighbours::new(limits);
        let mut now = at(0);
        for step in all {
            match step {
                Step::Local { port, vlan, sender, claimed, ip, flags } => {
                    neighbours.handle_frame(now, PortId(port), vlan, &said(mac(sender), mac(claimed), ip, flags));
                }
                Step::Uplink { vlan, sender, ip, is_v6 } => {
                    let frame = said(mac(sender), mac(sender), ip, is_v6.then_some(0x20));
                    neighbours.handle_uplink_frame(vlan, &frame);
                    for (port, guest) in (0..4).flat_map(|port| (1..9).map(move |guest| (port, guest))) {
                        let known = neighbours.addresses(now, PortId(port), vlan, mac(guest));
                        let claimed = known.iter().any(|address| match address {
                            Address::V4(own) => !is_v6 && *own == v4(ip),
                            Address::V6 { ip: own, .. } => is_v6 && *own == v6(ip.into()),
                        });
                        prop_assert!(!claimed || guest == sender);
                    }
                }
                Step::Noise(bytes) => {
                    neighbours.handle_frame(now, PORT, 0, &bytes);
                    neighbours.handle_uplink_frame(0, &bytes);
                }
                Step::Wait(seconds) => now += at(seconds),
                Step::Forget(port) => neighbours.forget_port(PortId(port)),
                Step::Sweep => neighbours.sweep(now),
            }
            check(&neighbours, limits)?;
            let mut owners = HashMap::new();
            for (port, known) in &neighbours.ports {
                for (vlan, owner) in known.hosts.keys() {
                    for address in neighbours.addresses(now, *port, *vlan, *owner) {
                        let ip = match address {
                            Address::V4(ip) => IpAddr::from(ip),
                            Address::V6 { ip, .. } => ip.into(),
                        };
                        prop_assert_eq!(*owners.entry((*vlan, ip)).or_insert(*owner), *owner);
                    }
                }
            }
        }
    }

    #[test]
    fn octets_changed_at_will_do_no_harm(at_octet in 0..86_usize, octet: u8, length in 0..87_usize) {
        for frame in [request(mac(1), v4(1)), solicitation(mac(1), v6(1)), advertisement(mac(1), v6(1), 0x20)] {
            let mut frame = frame;
            if let Some(changed) = frame.get_mut(at_octet) {
                *changed = octet;
            }
            frame.truncate(length);
            let mut neighbours = Neighbours::default();
            neighbours.handle_frame(at(0), PORT, 0, &frame);
            neighbours.handle_uplink_frame(0, &frame);
            check(&neighbours, Limits::default())?;
        }
    }
}

/// The indexes agree with each other and with the limits.
fn check(neighbours: &Neighbours, limits: Limits) -> Result<(), TestCaseError> {
    let mut claims = BTreeSet::new();
    let mut hosts = 0;
    for (port, known) in &neighbours.ports {
        prop_assert!(!known.hosts.is_empty());
        prop_assert_eq!(known.by_age.len(), known.hosts.len());
        hosts += known.hosts.len();
        for ((vlan, mac), host) in &known.hosts {
            prop_assert!(known.by_age.contains(&(host.heard, *vlan, *mac)));
            prop_assert!(host.known.iter().filter(|known| known.ip.is_ipv4()).count() <= MAX_IPV4);
            prop_assert!(host.known.iter().filter(|known| known.ip.is_ipv6()).count() <= MAX_IPV6);
            claims.extend(host.known.iter().map(|known| (*vlan, known.ip, *mac, *port)));
        }
    }
    prop_assert_eq!(&claims, &neighbours.claims);
    prop_assert_eq!(hosts, neighbours.len());
    prop_assert!(hosts <= limits.macs);
    Ok(())
}
