//! Frames by which a guest tells where it is: what is punted, what moves, what is locked.

use super::*;
use crate::announce::{garp, rarp, unsolicited_na};

/// Two local ports with `snoop` and a bond of two members, the devices 2 and 3.
fn switch() -> Switch {
    let mut switch = Switch::with_bond(2, TransmitPlan::One(DeviceId(2)), [Admission::AllButReflected; 2]);
    switch.port(0).snoop = true;
    switch.port(1).snoop = true;
    switch
}

fn announcements() -> [Vec<u8>; 3] {
    let mac = host(1);
    [garp(mac, [192, 0, 2, 1]).to_vec(), rarp(mac).to_vec(), unsolicited_na(mac, [0xfd; 16]).to_vec()]
}

/// Asks for another address, or answers for its own.
fn arp(operation: u8) -> Vec<u8> {
    let mut bytes = garp(host(1), [192, 0, 2, 1]).to_vec();
    (bytes[21], bytes[41]) = (operation, 99);
    bytes
}

#[test]
fn an_announcement_on_a_bond_moves_a_fresh_address_at_once() {
    for bytes in announcements() {
        let mut switch = switch();
        assert!(switch.path(0, MacAddr::BROADCAST, host(1)).is_ok());
        assert_eq!(switch.path(2, MacAddr::BROADCAST, host(1)), Err(DropReason::Reflected));
        let egress = |device| vec![output(device, None), output(1 - device, None)];
        let mut left = switch.send(&untagged(2, &bytes)).unwrap();
        left.sort_by_key(|output| output.device);
        assert_eq!(left, egress(0));
        let moved = Moved { vlan: 0, mac: host(1), from: PortId(0), to: PortId(2) };
        assert_eq!(switch.egress.moved, Some(moved));
        assert_eq!(switch.egress.punt, Some(Punt { port: PortId(2), vlan: 0 }));
        assert_eq!(switch.fdb().lookup(0, host(1), NOW), Some(PortId(2)));
    }
}

#[test]
fn a_guests_own_announcement_is_known_when_it_comes_back() {
    for bytes in announcements() {
        let mut switch = switch();
        assert!(switch.send(&untagged(0, &bytes)).is_ok());
        for later in 0..=5 {
            switch.now = Tick(NOW.0 + later);
            assert_eq!(switch.send(&untagged(3, &bytes)), Err(DropReason::Reflected), "after {later} s");
            assert_eq!(switch.egress.moved, None);
        }
        switch.now = Tick(NOW.0 + 6);
        assert!(switch.send(&untagged(3, &bytes)).is_ok(), "the lock is over");
    }
}

#[test]
fn what_we_announced_for_a_silent_guest_is_known_when_it_comes_back() {
    let mut switch = switch();
    switch.fdb().learn(0, host(1), PortId(0), Tick(NOW.0 - 100));
    assert!(switch.fdb().lock(0, host(1), NOW));
    for bytes in announcements() {
        assert_eq!(switch.send(&untagged(2, &bytes)), Err(DropReason::Reflected));
    }
    assert_eq!(switch.fdb().lookup(0, host(1), NOW), Some(PortId(0)));
}

#[test]
fn a_guest_that_moves_between_local_ports_is_believed_in_spite_of_the_lock() {
    for bytes in announcements() {
        let mut switch = switch();
        assert!(switch.send(&untagged(0, &bytes)).is_ok());
        assert!(switch.send(&untagged(1, &bytes)).is_ok());
        assert_eq!(switch.egress.moved.map(|moved| moved.to), Some(PortId(1)));
        assert_eq!(switch.send(&untagged(2, &bytes)), Err(DropReason::Reflected), "locked anew");
    }
}

#[test]
fn without_snoop_nothing_is_locked() {
    let mut switch = switch();
    switch.port(0).snoop = false;
    let [bytes, ..] = announcements();
    assert!(switch.send(&untagged(0, &bytes)).is_ok());
    assert!(switch.egress.punt.is_some(), "an announcement of any port");
    assert!(switch.send(&untagged(2, &bytes)).is_ok());
}

#[test]
fn a_static_address_stays_where_it_is() {
    let mut switch = switch();
    assert!(switch.fdb().add_static(0, host(1), PortId(0)));
    for bytes in announcements() {
        assert_eq!(switch.send(&untagged(2, &bytes)), Err(DropReason::Reflected));
        assert!(switch.send(&untagged(1, &bytes)).is_ok(), "forwarded all the same");
        assert_eq!(switch.egress.moved, None);
    }
    assert_eq!(switch.path(2, MacAddr::BROADCAST, host(1)), Err(DropReason::Reflected));
    assert_eq!(switch.fdb().lookup(0, host(1), NOW), Some(PortId(0)));
}

#[test]
fn a_member_in_grace_brings_no_announcement_in() {
    let mut switch = switch();
    switch.device(3).admission = Admission::Grace;
    switch.fdb().learn(0, host(1), PortId(0), NOW);
    for bytes in announcements() {
        assert_eq!(switch.send(&untagged(3, &bytes)), Err(DropReason::InactiveMember));
    }
    assert_eq!(switch.fdb().lookup(0, host(1), NOW), Some(PortId(0)));
}

#[test]
fn snooping_ports_punt_all_address_resolution_and_others_announcements_only() {
    let mut switch = switch();
    let mut solicitation = unsolicited_na(host(1), [0xfd; 16]);
    solicitation[54] = 135;
    for bytes in [arp(1), arp(2), solicitation.to_vec()] {
        assert!(switch.send(&untagged(0, &bytes)).is_ok());
        assert_eq!(switch.egress.punt, Some(Punt { port: PortId(0), vlan: 0 }));
        switch.fdb().flush();
        assert!(switch.send(&untagged(2, &bytes)).is_ok());
        assert_eq!(switch.egress.punt, None);
        switch.fdb().flush();
    }
    let ordinary = frame(MacAddr::BROADCAST, host(1));
    assert!(switch.send(&untagged(0, &ordinary)).is_ok());
    assert_eq!(switch.egress.punt, None);
}

#[test]
fn a_frame_that_finds_no_way_out_is_punted_all_the_same() {
    let mut switch = Switch::new(&[VlanPolicy::Access(7)]);
    switch.port(0).snoop = true;
    assert_eq!(switch.send(&untagged(0, &arp(1))), Err(DropReason::NoEgress));
    assert_eq!(switch.egress.punt, Some(Punt { port: PortId(0), vlan: 7 }));
    assert_eq!(switch.send(&tagged(0, &arp(1), 7)), Err(DropReason::VlanNotAllowed));
    assert_eq!((switch.egress.punt, switch.egress.vlan), (None, None));
}

#[test]
fn customers_frames_are_not_punted() {
    let mut switch = switch();
    let mut within = arp(1);
    within.splice(12..12, [0x81, 0, 0, 5]);
    assert!(switch.send(&tagged(0, &within, 7)).is_ok());
    assert_eq!(switch.egress.punt, None);
    switch.port(0).vlan = VlanPolicy::Dot1qTunnel { vlan: 0, cvlans: None };
    assert!(switch.send(&tagged(0, &arp(1), 7)).is_ok());
    assert_eq!(switch.egress.punt, None);
    assert!(switch.send(&untagged(0, &arp(1))).is_ok());
    assert!(switch.egress.punt.is_some());
}
