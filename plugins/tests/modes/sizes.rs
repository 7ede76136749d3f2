//! Bonds of no member, of one, and of eight.

use bond_port::{BondEvent, Mode};
use forwarding::drop_reason::DropReason;
use forwarding::tables::{Admission, TransmitPlan};

use crate::lacp_rig::Pair;
use crate::rig::{Rig, ms, name};

const MODES: [&str; 9] = [
    "mode=0",
    "mode=1",
    "mode=2",
    "mode=2 hash_buckets=256",
    "mode=3",
    "mode=4",
    "mode=balance-slb",
    "mode=5",
    "mode=5 tlb_dynamic_lb=0",
];

#[test]
fn a_bond_without_members_is_there_and_waits() {
    for words in MODES {
        let mut rig = Rig::silent(words, 0);
        rig.pass(ms(10_000));
        rig.set("updelay=100 primary_reselect=failure");
        let status = rig.bond.status(rig.now);
        assert_eq!(*rig.bond.plan(), TransmitPlan::Drop(DropReason::NoMember));
        assert_eq!((status.carrier, status.mac, status.members.len()), (false, None, 0), "{words}");
        assert_eq!((rig.events(), rig.bond.next_deadline()), (vec![], None));
        assert!(rig.bond.explain(rig.now).summary.contains("has no members"));
        rig.bond.handle_link(rig.now, "eth0", Some(rig.report(0, true)));
        assert!(!rig.bond.carrier(), "{words}: a device that is no member");
        rig.bond.add_member(rig.now, "eth0").unwrap();
        rig.link(0, true);
        wait_for_a_partner(&mut rig);
        assert!(rig.bond.carrier(), "{words}: updelay is skipped");
        rig.bond.remove_member(rig.now, "eth0").unwrap();
        assert!(!rig.bond.carrier());
        rig.pass(ms(10_000));
        assert_eq!(rig.bond.next_deadline(), None, "{words}");
    }
}

#[test]
fn a_bond_of_one() {
    for words in MODES {
        let mut rig = Rig::up(words, 1);
        assert!(rig.senders().iter().all(|device| *device == 0) && rig.bond.carrier(), "{words}");
        rig.link(0, false);
        assert_eq!(rig.senders(), [] as [u16; 0], "{words}");
        let group = matches!(rig.bond.options().mode, Mode::BalanceRr | Mode::BalanceXor | Mode::Broadcast);
        assert_eq!(rig.admissions() == [Admission::Nothing], !group, "{words}");
        rig.link(0, true);
        wait_for_a_partner(&mut rig);
        assert!(rig.bond.carrier(), "{words}");
        let carrier: Vec<_> = rig.events().into_iter().filter_map(carrier).collect();
        assert_eq!(carrier, [false, true], "{words}");
    }
}

/// LACP looks for a partner before it goes without.
fn wait_for_a_partner(rig: &mut Rig) {
    if rig.bond.lacp().is_some() {
        rig.pass(ms(3_000));
    }
}

fn carrier(event: BondEvent) -> Option<bool> {
    match event {
        BondEvent::CarrierChanged(carrier) => Some(carrier),
        _ => None,
    }
}

#[test]
fn eight_members_of_active_backup_fail_one_after_the_other() {
    let mut rig = Rig::up("mode=1", 8);
    for member in 0..8 {
        assert_eq!(rig.active(), Some(member));
        let receiving = rig.admissions().iter().filter(|admission| **admission != Admission::Nothing).count();
        assert_eq!(receiving, 1);
        rig.link(member, false);
        rig.pass(ms(2_000));
    }
    assert_eq!(rig.active(), None);
    for member in [5, 2, 7] {
        rig.link(member, true);
        assert_eq!(rig.active(), Some(5));
    }
}

#[test]
fn eight_members_of_xor_in_any_state() {
    let mut rig = Rig::up("mode=2", 8);
    assert_eq!(rig.table(), [0, 1, 2, 3, 4, 5, 6, 7]);
    for up in (0..256_u32).map(|n| n ^ (n >> 1)) {
        (0..8).for_each(|member| rig.link(member, up >> member & 1 == 1));
        let expected: Vec<u16> = (0..8).filter(|member| up >> member & 1 == 1).collect();
        assert_eq!(rig.table(), expected);
        assert_eq!(rig.bond.carrier(), up != 0);
        let status = rig.bond.status(rig.now);
        let held = status.members.iter().filter_map(|member| member.buckets).sum::<usize>();
        assert_eq!(held, expected.len());
    }
    rig.bond.remove_member(rig.now, &name(3)).unwrap();
    (0..8).for_each(|member| rig.link(member, true));
    assert_eq!(rig.table(), [0, 1, 2, 4, 5, 6, 7]);
}

#[test]
fn eight_members_of_802_3ad_in_any_state() {
    let mut pair = Pair::up(["mode=4 lacp_rate=fast", "mode=4 lacp_rate=fast"], 8);
    assert_eq!(pair.sides[0].senders(), [0, 1, 2, 3, 4, 5, 6, 7]);
    let mut before = 255;
    for up in (0..256_u32).map(|n| n ^ (n >> 1)) {
        (0..8)
            .filter(|member| (up ^ before) >> member & 1 == 1)
            .for_each(|member| pair.link(member, up >> member & 1 == 1));
        before = up;
        pair.pass(ms(2_100));
        let expected: Vec<u16> = (0..8).filter(|member| up >> member & 1 == 1).collect();
        assert_eq!(pair.sides.each_ref().map(|side| side.senders()), [expected.clone(), expected]);
    }
}

#[test]
fn eight_members_of_balance_rr_and_broadcast_in_any_state() {
    for words in ["mode=0 packets_per_slave=7", "mode=3"] {
        let mut rig = Rig::up(words, 8);
        for up in (0..256_u32).map(|n| n ^ (n >> 1)) {
            (0..8).for_each(|member| rig.link(member, up >> member & 1 == 1));
            let expected: Vec<u16> = (0..8).filter(|member| up >> member & 1 == 1).collect();
            assert_eq!(rig.senders(), expected, "{words}");
            assert_eq!(rig.bond.carrier(), up != 0, "{words}");
            let explained = rig.bond.explain(rig.now).members;
            let sending =
                explained.iter().filter(|(_, lines)| !lines[0].starts_with("sends nothing")).count();
            assert_eq!(sending, expected.len(), "{words}");
        }
    }
}
