//! balance-slb: each bucket's member sends for its addresses and lets in frames to them.

use bond_port::rebalance::BUCKETS;
use bond_port::{ActiveCause, BondError, BondEvent};
use forwarding::bucket_set::BucketSet;
use forwarding::flow_hash::HashPolicy;
use forwarding::ids::DeviceId;
use forwarding::tables::{Admission, TransmitPlan};
use plugins::active_backup::GRACE;

use crate::rig::{Rig, ms, name};

const SLB: &str = "mode=balance-slb";

/// The buckets of a member.
fn held(rig: &Rig, member: u16) -> BucketSet {
    held_in(&rig.table(), member)
}

fn held_in(table: &[u16], member: u16) -> BucketSet {
    (0..).zip(table).filter(|(_, holder)| **holder == member).map(|(bucket, _)| bucket).collect()
}

/// By which member the addresses of how many buckets are announced, and the buckets.
fn announced(rig: &mut Rig) -> Vec<(u16, BucketSet)> {
    let of = |event| match event {
        BondEvent::Announce { member, buckets } => Some((member.0, buckets.expect("never all addresses"))),
        _ => None,
    };
    rig.events().into_iter().filter_map(of).collect()
}

fn rule(rig: &Rig, member: usize) -> (BucketSet, BucketSet, bool) {
    match rig.admissions()[member] {
        Admission::Buckets { own, lately, groups } => (own, lately, groups),
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_address_has_one_member() {
    let mut rig = Rig::up(SLB, 3);
    let TransmitPlan::Buckets { hash: HashPolicy::Slb, table, loads: Some(_) } = rig.bond.plan() else {
        panic!("{:?}", rig.bond.plan())
    };
    assert_eq!(table.len(), BUCKETS);
    // Neighbouring addresses leave by different members.
    assert_eq!(Rig::up(SLB, 2).table()[..6], [0, 1, 0, 1, 0, 1]);
    for member in 0..3 {
        assert_eq!(rule(&rig, member), (held(&rig, member as u16), BucketSet::NONE, member == 0));
    }
    assert_eq!((rig.active(), rig.bond.loads_deadline().is_some()), (Some(0), true));
    assert!(rig.events().is_empty());
    let shown = rig.bond.explain(rig.now);
    assert_eq!(
        shown.summary,
        "bond0 (balance-slb) has carrier: 3 of 3 members send, picked by the hash of source address and VLAN and a \
         table of 256 buckets"
    );
    assert!(shown.members[0].1[2].starts_with("is the active member: receives broadcasts"), "{shown:?}");
    assert!(shown.members[1].1[0].starts_with("sends: it holds 85 of 256 buckets"), "{shown:?}");
    assert!(shown.members[1].1[2].starts_with("receives unicast frames to the addresses of its 85 buckets"));
    assert!(rig.bond.proc_text("6.1").contains("\nBonding Mode: source load balancing (balance-slb)\n"));
}

#[test]
fn at_first_every_address_is_announced_by_its_member() {
    let mut rig = Rig::silent(SLB, 2);
    rig.link(0, true);
    assert_eq!(announced(&mut rig), [(0, BucketSet::ALL)]);
    rig.link(1, true);
    assert_eq!(announced(&mut rig), [(1, held(&rig, 1))]);
    assert_eq!(held(&rig, 1).len(), 128);
}

#[test]
fn only_a_lost_members_addresses_move() {
    for (member, active) in [(0, 1), (1, 0)] {
        let mut rig = Rig::up(SLB, 3);
        let before = rig.table();
        rig.link(member, false);
        let after = rig.table();
        let moved: BucketSet = (0..BUCKETS).filter(|bucket| before[*bucket] != after[*bucket]).collect();
        assert_eq!(moved, held_in(&before, member as u16));
        let mut told = announced(&mut rig);
        told.sort_by_key(|(member, _)| *member);
        assert_eq!(told.len(), 2);
        for (by, buckets) in &told {
            assert_eq!(buckets.without(held(&rig, *by)), BucketSet::NONE);
        }
        assert_eq!(told[0].1.union(told[1].1), moved);
        assert_eq!((rig.active(), rig.admissions()[member]), (Some(active), Admission::Nothing));
        assert!(rule(&rig, active).2 && !rule(&rig, 2).2);

        rig.pass(ms(5_000));
        assert!(announced(&mut rig).is_empty());
        rig.link(member, true);
        let back = announced(&mut rig);
        assert_eq!(back, [(member as u16, held(&rig, member as u16))]);
        assert!(back[0].1.len() >= 85);
        // For a moment the others let in what the switch has already sent.
        let returned = [1, 2].map(|n| rule(&rig, (member + n) % 3).1);
        assert_eq!(returned[0].union(returned[1]), back[0].1);
        rig.pass(GRACE);
        assert!((0..3).all(|member| rule(&rig, member).1.is_empty()));
        assert_eq!((rig.bond.next_deadline(), rig.active()), (None, Some(active)));
    }
}

#[test]
fn announcements_are_repeated_for_what_is_still_there() {
    let mut rig = Rig::up("mode=balance-slb num_grat_arp=3 peer_notif_delay=200", 3);
    let moved = held(&rig, 1);
    rig.link(1, false);
    let first = announced(&mut rig);
    rig.pass(ms(200));
    assert_eq!(announced(&mut rig), first);
    // Half of it moves on.
    let gone = held(&rig, 2);
    rig.link(2, false);
    assert_eq!(announced(&mut rig), [(0, gone)]);
    rig.pass(ms(1_000));
    let told = announced(&mut rig);
    assert!(told.iter().all(|(by, _)| *by == 0));
    let times = |bucket: u32| told.iter().filter(|(_, buckets)| buckets.has(bucket)).count();
    for bucket in 0..256 {
        // Member 2's are repeated twice; what member 0 had got first has had two of its three.
        let expected = if gone.has(bucket) { 2 } else { usize::from(moved.has(bucket)) };
        assert_eq!(times(bucket), expected, "{bucket}");
    }
}

#[test]
fn what_was_not_yet_announced_and_moves_on_is_announced_once() {
    let mut rig = Rig::up(SLB, 3);
    rig.link(1, false);
    rig.link(2, false);
    let told = announced(&mut rig);
    assert!(told.iter().all(|(by, _)| *by == 0), "{told:?}");
    let count = |bucket| told.iter().filter(|(_, buckets)| buckets.has(bucket)).count();
    assert!((0..256).all(|bucket| count(bucket) <= 1));
}

#[test]
fn a_bucket_moved_by_hand_is_announced_and_no_other() {
    for words in [SLB, "mode=balance-slb rebalance_interval=0"] {
        let mut rig = Rig::up(words, 2);
        assert_eq!(rig.table()[7], 1);
        assert_eq!(rig.bond.migrate(rig.now, 7, &name(0)), Ok(true));
        let only = BucketSet::from_iter([7]);
        assert_eq!((rig.table()[7], announced(&mut rig)), (0, vec![(0, only)]), "{words}");
        assert_eq!((rule(&rig, 1).1, rule(&rig, 0).1), (only, BucketSet::NONE));
        rig.pass(GRACE);
        assert_eq!(rule(&rig, 1), (held(&rig, 1), BucketSet::NONE, false));
        assert_eq!(rig.bond.migrate(rig.now, 7, &name(0)), Ok(false));
        assert!(rig.events().is_empty());
        // A member that comes and goes leaves what was moved.
        rig.link(1, false);
        assert!(matches!(rig.bond.migrate(rig.now, 7, &name(1)), Err(BondError::Migrate { .. })));
        assert_eq!(rig.bond.loads_deadline().is_some(), words == SLB);
        assert_eq!(rig.bond.status(rig.now).rebalancing.unwrap().moved, 1);
    }
}

#[test]
fn buckets_move_by_load_and_are_announced() {
    let mut rig = Rig::up(SLB, 2);
    let busy = held(&rig, 0);
    let mut counters = [0; BUCKETS];
    let mut told = BucketSet::NONE;
    for _ in 0..4 {
        (0..BUCKETS).filter(|bucket| busy.has(*bucket as u32)).for_each(|bucket| counters[bucket] += 1 << 30);
        rig.now = rig.bond.loads_deadline().unwrap().max(rig.now);
        rig.bond.handle_loads(rig.now, &counters);
        for (by, buckets) in announced(&mut rig) {
            assert_eq!(by, 1);
            told = told.union(buckets);
        }
    }
    assert!(told.len() >= 16);
    assert_eq!(told, busy.without(held(&rig, 0)), "what has moved");
}

#[test]
fn the_active_member_is_chosen_as_in_active_backup() {
    let mut rig = Rig::up("mode=balance-slb primary=eth1", 3);
    assert_eq!(rig.active(), Some(1));
    rig.set_active(2);
    assert!(rule(&rig, 2).2 && !rule(&rig, 1).2 && !rule(&rig, 0).2);
    // Only who lets in groups has changed.
    let events = rig.events();
    let cause = ActiveCause::SetByHand;
    assert_eq!(events, [BondEvent::ActiveChanged { old: Some(name(1)), new: Some(name(2)), cause }]);
    rig.link(2, false);
    assert_eq!(rig.active(), Some(1));
    rig.set("primary= all_slaves_active=1");
    assert_eq!(rig.admissions()[..2], [Admission::AllButReflected; 2]);
}

#[test]
fn a_member_whose_carrier_is_lost_gets_nothing_during_downdelay() {
    let mut rig = Rig::up("mode=balance-slb downdelay=500 updelay=500", 2);
    rig.link(0, false);
    assert_eq!((held(&rig, 1), rig.active()), (BucketSet::ALL, Some(1)));
    rig.link(0, true);
    assert_eq!(held(&rig, 0).len(), 128, "the link is as if it had never failed");
    rig.link(0, false);
    rig.pass(ms(600));
    rig.link(0, true);
    assert_eq!((held(&rig, 0), rig.admissions()[0]), (BucketSet::NONE, Admission::Nothing), "updelay");
    rig.pass(ms(500));
    assert_eq!(held(&rig, 0).len(), 128);
}

#[test]
fn disabled_by_hand_it_goes_on_receiving_for_a_moment() {
    let mut rig = Rig::up(SLB, 2);
    let own = held(&rig, 0);
    rig.bond.disable_member(rig.now, "eth0").unwrap();
    assert_eq!((held(&rig, 1), rule(&rig, 0)), (BucketSet::ALL, (BucketSet::NONE, own, false)));
    rig.pass(GRACE);
    assert_eq!(rig.admissions()[0], Admission::Nothing);
}

#[test]
fn in_and_out_of_the_mode() {
    let mut rig = Rig::up("mode=1", 2);
    rig.set(SLB);
    let told = announced(&mut rig);
    assert_eq!(told, [(0, held(&rig, 0)), (1, held(&rig, 1))]);
    // Until now everything came by eth0, and may for a moment.
    assert_eq!(rule(&rig, 0), (held(&rig, 0), held(&rig, 1), true));
    rig.set("mode=1");
    let announce = BondEvent::Announce { member: DeviceId(0), buckets: None };
    assert!(rig.events().contains(&announce));
    // Until the switch has relearned, frames come by eth1 too.
    assert_eq!(rig.admissions(), [Admission::AllButReflected, Admission::Grace]);
    rig.pass(GRACE);
    assert_eq!(rig.admissions(), [Admission::All, Admission::Nothing]);
}

#[test]
fn the_option_says_what_is_in_force() {
    let mut rig = Rig::up(SLB, 2);
    let interval = |rig: &Rig| rig.bond.options().get("rebalance_interval").unwrap();
    assert_eq!((interval(&rig), rig.bond.options().to_string()), ("10000".into(), SLB.into()));
    rig.set("bond-rebalance-interval=0");
    assert_eq!((interval(&rig), rig.bond.loads_deadline()), ("0".into(), None));
    assert_eq!(rig.bond.options().to_string(), "mode=balance-slb rebalance_interval=0");
    assert!(matches!(rig.bond.plan(), TransmitPlan::Buckets { loads: None, .. }));
    rig.set("rebalance_interval=default");
    assert_eq!((interval(&rig), rig.bond.options().to_string()), ("10000".into(), SLB.into()));
    rig.set("mode=balance-xor");
    assert_eq!((interval(&rig), rig.bond.options().to_string()), ("0".into(), "mode=balance-xor".into()));
}
