//! Where Linux's driver is known to fail, and we don't. (A member set by hand that survives others joining is in
//! `active_backup`, round-robin's even shares in `round_robin`, loads without overflow in bond-port's `rebalance`.)

use bond_port::Mode;
use bond_port::rebalance::BUCKETS;

use crate::lacp_rig::Pair;
use crate::rig::{Rig, ms, name};

fn held(table: &[u16], member: u16) -> usize {
    table.iter().filter(|holder| **holder == member).count()
}

/// Resilient buckets by choice in every mode that hashes.
#[test]
fn only_a_lost_members_buckets_move_in_802_3ad_too() {
    let words = "mode=4 lacp_rate=fast hash_buckets=256";
    let mut pair = Pair::up([words; 2], 3);
    let before = pair.sides[0].senders();
    assert_eq!((before.len(), held(&before, 1).abs_diff(85) <= 1), (BUCKETS, true));
    pair.link(1, false);
    pair.pass(ms(1_000));
    let after = pair.sides[0].senders();
    assert_eq!(held(&after, 1), 0);
    let mut both = before.iter().zip(&after);
    assert!(both.all(|(before, after)| *before == 1 || before == after), "a survivor's bucket moved");
    pair.link(1, true);
    pair.pass(ms(10_000));
    let again = pair.sides[0].senders();
    assert!(held(&again, 1) >= 85, "it has its share again");
    let mut both = after.iter().zip(&again);
    assert!(both.all(|(before, after)| *after == 1 || before == after), "what moves, moves to who is back");
}

/// Members of 25 and 10 Gb/s.
fn of_two_speeds(words: &str) -> Vec<u16> {
    let mut rig = Rig::silent(words, 2);
    for (member, speed) in [25_000, 10_000].into_iter().enumerate() {
        let mut report = rig.report(member, true);
        report.speed_mbps = Some(speed);
        rig.bond.handle_link(rig.now, &name(member), Some(report));
    }
    rig.pass(ms(1_000));
    rig.table()
}

/// Who asks for load to be considered gets it by speed from the first frame on; who does not has Linux's equal shares.
#[test]
fn speeds_count_where_load_does() {
    let table = of_two_speeds("mode=2 rebalance_interval=10000");
    assert_eq!([held(&table, 0), held(&table, 1)], [183, 73], "5 to 2");
    let table = of_two_speeds("mode=2 hash_buckets=256");
    assert_eq!([held(&table, 0), held(&table, 1)], [128, 128]);
    assert_eq!(of_two_speeds("mode=2"), [0, 1]);
}

/// Linux reshuffles by fixed periods and needs ten seconds to begin with.
#[test]
fn load_is_on_all_members_at_once_and_rests_when_it_is_even() {
    let mut rig = Rig::up("mode=2 rebalance_interval=10000", 4);
    let table = rig.table();
    assert!((0..4).all(|member| held(&table, member) == 64), "at once");
    let mut counters = [0; BUCKETS];
    for period in 0..20 {
        // Each bucket's load varies a little.
        for (bucket, counter) in counters.iter_mut().enumerate() {
            *counter += 10_000_000 + (bucket * 7919 + period * 104_729) as u64 % 500_000;
        }
        rig.now = rig.bond.loads_deadline().unwrap().max(rig.now);
        rig.bond.handle_loads(rig.now, &counters);
    }
    assert_eq!((rig.table(), rig.bond.rebalancer().unwrap().moved()), (table, 0));
}

/// `resend_igmp`: whoever receives groups now, the guests are asked.
#[test]
fn groups_are_asked_for_when_another_member_receives_them() {
    let asked = |words: &str, change: fn(&mut Rig)| {
        let mut rig = Rig::up(words, 3);
        let mode = rig.bond.options().mode;
        let by_one = mode == Mode::BalanceRr || mode.has_active_member();
        assert_eq!(rig.bond.asks_memberships(), by_one, "at the start");
        change(&mut rig);
        let mut times = usize::from(rig.bond.asks_memberships());
        for _ in 0..20 {
            rig.pass(ms(100));
            times += usize::from(rig.bond.asks_memberships());
        }
        times
    };
    assert_eq!(asked("mode=1", |rig| rig.link(0, false)), 1);
    assert_eq!(asked("mode=1 resend_igmp=5", |rig| rig.set_active(2)), 5);
    assert_eq!(asked("mode=1 resend_igmp=5", |rig| rig.link(2, false)), 0, "it was not the active one");
    assert_eq!(asked("mode=0", |rig| rig.link(0, false)), 1);
    assert_eq!(asked("mode=0", |rig| rig.link(1, false)), 0, "IGMP leaves by the first");
    for mode in ["balance-tlb", "balance-alb", "balance-slb"] {
        let words = format!("mode={mode}");
        assert_eq!(asked(&words, |rig| rig.link(0, false)), 1, "{mode}");
        assert_eq!(asked(&words, |rig| rig.link(2, false)), 0, "{mode}");
    }
    assert_eq!(asked("mode=2", |rig| rig.link(0, false)), 0);
    assert_eq!(asked("mode=3", |rig| rig.link(0, false)), 0);
    assert_eq!(asked("mode=2", |rig| rig.set("mode=1")), 1, "one alone receives now");
}
