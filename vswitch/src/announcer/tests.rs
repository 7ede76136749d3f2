use std::collections::HashSet;

use forwarding::parse::parse;
use forwarding::vlan::TPID_8021Q;

use super::*;

fn mac(n: u64) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 + n)
}

fn v6(n: u16) -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, n)
}

fn unknown(n: u64) -> Host {
    Host::new(mac(n), None, &[])
}

/// Sends everything; returns what was sent, with the times.
fn run(announcer: &mut Announcer, mut now: Duration) -> Vec<(Duration, Announcement)> {
    let mut sent = Vec::new();
    while let Some(due) = announcer.next_deadline() {
        now = now.max(due);
        let batch = announcer.poll_batch(now);
        assert!(!batch.is_empty() && batch.len() <= BATCH);
        assert!(batch.iter().all(|next| next.device == batch[0].device));
        assert!(announcer.poll_batch(now).is_empty(), "a second batch at the same time");
        sent.extend(batch.into_iter().map(|announcement| (now, announcement)));
    }
    sent
}

#[test]
fn the_kinds_follow_from_what_is_known() {
    let v4 = Ipv4Addr::new(10, 0, 0, 1);
    let address6 = |router| Address::V6 { ip: v6(1), router };
    let kinds = |addresses: &[Address]| Host::new(mac(1), None, addresses).kinds;
    assert_eq!(kinds(&[]), [Kind::Rarp]);
    assert_eq!(kinds(&[Address::V4(v4)]), [Kind::GratuitousArp(v4)]);
    let advertisement = |router| Kind::NeighbourAdvertisement { ip: v6(1), router };
    let both = [Address::V4(v4), address6(Some(true))];
    assert_eq!(kinds(&both), [Kind::GratuitousArp(v4), advertisement(true)]);
    assert_eq!(kinds(&[address6(Some(false))]), [advertisement(false)]);
    // Whether it is a router is not known: an advertisement could do harm.
    assert_eq!(kinds(&[address6(None)]), [Kind::Rarp]);
}

#[test]
fn frames_come_from_the_guest_and_are_announcements() {
    let announcement =
        |kind| Announcement { bond: PortId(1), device: DeviceId(7), mac: mac(1), tag: None, kind };
    for kind in [Kind::Rarp, Kind::GratuitousArp(Ipv4Addr::new(10, 0, 0, 1))] {
        let frame = announcement(kind).frame();
        let parsed = parse(&frame, None).unwrap();
        assert!(parsed.is_announcement() && parsed.src == mac(1) && frame.len() == 60);
    }
    for router in [false, true] {
        for n in 0..=u16::MAX {
            let frame = announcement(Kind::NeighbourAdvertisement { ip: v6(n), router }).frame();
            let ethernet = etherparse::Ethernet2Slice::from_slice_without_fcs(&frame).unwrap();
            assert_eq!((ethernet.source(), ethernet.destination()), (mac(1).0, [0x33, 0x33, 0, 0, 0, 1]));
            let ip = etherparse::Ipv6Slice::from_slice(ethernet.payload().payload).unwrap();
            let header = ip.header();
            assert_eq!((header.source_addr(), header.hop_limit()), (v6(n), 255));
            let icmp = etherparse::Icmpv6Slice::from_slice(ip.payload().payload).unwrap();
            assert!(icmp.is_checksum_valid(header.source(), header.destination()), "{n} {router}");
            assert_eq!((icmp.type_u8(), frame[58]), (136, if router { 0xa0 } else { 0x20 }));
            assert_eq!(frame[62..78], v6(n).octets());
            assert_eq!(frame[78..], [&[2, 1][..], &mac(1).0].concat());
        }
    }
}

#[test]
fn batches_are_paced_and_complete() {
    let mut announcer = Announcer::default();
    announcer.announce(PortId(1), DeviceId(7), (0..200).map(unknown));
    let start = Duration::from_secs(5);
    let sent = run(&mut announcer, start);
    assert_eq!(sent.len(), 200);
    assert_eq!(sent.last().unwrap().0, start + 3 * PACE);
}

#[test]
fn eight_thousand_guests_make_no_burst_and_none_waits_for_anothers_second_address() {
    let mut announcer = Announcer::default();
    let guest = |n: u64| {
        let tag = VlanTag { tpid: TPID_8021Q, tci: (n % 4000) as u16 + 1 };
        let v4 = Address::V4(Ipv4Addr::from_bits(0x0a00_0000 + n as u32));
        let v6 = [1, 2].map(|k| Address::V6 { ip: v6(n as u16 * 2 + k), router: Some(false) });
        Host::new(mac(n), Some(tag), &[v4, v6[0], v6[1]])
    };
    announcer.announce(PortId(1), DeviceId(7), (0..8000).map(guest));
    let start = Duration::from_secs(5);
    let sent = run(&mut announcer, start);
    assert_eq!(sent.len(), 24_000);
    let first: HashSet<_> = sent[..8000].iter().map(|(_, announcement)| announcement.mac).collect();
    assert_eq!(first.len(), 8000);
    assert!(sent[7999].0 <= start + Duration::from_millis(125));
    assert!(sent[23_999].0 <= start + Duration::from_millis(375));
    for window in sent.windows(BATCH + 1) {
        assert!(window[BATCH].0 - window[0].0 >= PACE, "more than {BATCH} frames in {PACE:?}");
    }
    for (_, announcement) in &sent {
        let n = announcement.mac.to_u64() - mac(0).to_u64();
        assert_eq!(announcement.tag, guest(n).tag);
    }
}

#[test]
fn another_member_ends_the_round_of_its_own_bond_only() {
    let mut announcer = Announcer::default();
    announcer.announce(PortId(1), DeviceId(7), [unknown(1), unknown(2)]);
    announcer.announce(PortId(2), DeviceId(9), [unknown(3)]);
    announcer.announce(PortId(1), DeviceId(8), [unknown(1)]);
    let sent: Vec<_> = run(&mut announcer, PACE).iter().map(|(_, a)| (a.bond, a.device, a.mac)).collect();
    assert_eq!(sent, [(PortId(2), DeviceId(9), mac(3)), (PortId(1), DeviceId(8), mac(1))]);
    announcer.announce(PortId(1), DeviceId(7), [unknown(1)]);
    announcer.cancel(PortId(1));
    assert_eq!(announcer.next_deadline(), None);
    announcer.announce(PortId(1), DeviceId(7), []);
    assert_eq!(announcer.next_deadline(), None);
}

#[test]
fn guests_that_have_moved_are_announced_by_their_new_member_only() {
    let mut announcer = Announcer::default();
    announcer.announce(PortId(1), DeviceId(7), (0..100).map(unknown));
    let first = announcer.poll_batch(PACE);
    assert_eq!(first.len(), BATCH);
    announcer.announce_moved(PortId(2), DeviceId(9), [unknown(99)]);
    announcer.announce_moved(PortId(1), DeviceId(8), [unknown(1), unknown(99)]);
    announcer.announce_moved(PortId(1), DeviceId(8), [unknown(2)]);
    let sent: HashSet<_> = run(&mut announcer, 2 * PACE).iter().map(|(_, a)| (a.device.0, a.mac)).collect();
    let others = (64..99).map(|n| (7, mac(n)));
    let moved = [(9, mac(99)), (8, mac(1)), (8, mac(99)), (8, mac(2))];
    assert_eq!(sent, others.chain(moved).collect());
    announcer.announce_moved(PortId(1), DeviceId(8), []);
    assert_eq!(announcer.next_deadline(), None);
    // All of them move on before anything was sent.
    announcer.announce_moved(PortId(1), DeviceId(7), [unknown(1)]);
    announcer.announce_moved(PortId(1), DeviceId(8), [unknown(1)]);
    let sent: Vec<_> = run(&mut announcer, 3 * PACE + PACE).iter().map(|(_, a)| a.device.0).collect();
    assert_eq!(sent, [8]);
}

#[test]
fn a_repetition_that_comes_too_early_waits_and_is_not_lost() {
    let mut announcer = Announcer::default();
    for _ in 0..3 {
        announcer.announce(PortId(1), DeviceId(7), (0..100).map(unknown));
    }
    // A guest that came since then.
    announcer.announce(PortId(1), DeviceId(7), (0..101).map(unknown));
    let sent: Vec<_> = run(&mut announcer, PACE).into_iter().map(|(_, a)| a.mac).collect();
    assert_eq!(sent.len(), 100 + 3 * 101);
    for guest in 0..100 {
        assert_eq!(sent.iter().filter(|sent| **sent == mac(guest)).count(), 4);
    }
    assert_eq!(sent[..100], (0..100).map(mac).collect::<Vec<_>>());
}

#[test]
fn bonds_take_turns() {
    let mut announcer = Announcer::default();
    announcer.announce(PortId(1), DeviceId(7), (0..8000).map(unknown));
    announcer.announce(PortId(2), DeviceId(9), (0..8).map(unknown));
    let start = Duration::from_secs(5);
    let sent = run(&mut announcer, start);
    let (last_of_small, _) = sent.iter().rfind(|(_, a)| a.bond == PortId(2)).unwrap();
    assert!(*last_of_small <= start + 2 * PACE);
    assert_eq!(sent.len(), 8008);
}
