use std::collections::BTreeMap;

use super::super::{FdbConfig, Learned};
use super::*;
use proptest::prelude::*;

const P0: PortId = PortId(0);
const P1: PortId = PortId(1);

fn fdb(capacity: usize) -> Fdb {
    Fdb::new(FdbConfig { capacity, ageing: 10, seed: 0x5eed })
}

fn mac(n: u64) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 | n)
}

#[test]
fn static_entries_neither_age_nor_move_and_outlive_a_flush() {
    let fdb = fdb(16);
    assert!(fdb.add_static(7, mac(1), P1));
    fdb.learn(7, mac(2), P1, Tick(0));
    for now in [0, 11, 30_000, 40_000, 65_535].map(Tick) {
        assert_eq!(fdb.lookup(7, mac(1), now), Some(P1));
        assert_eq!(fdb.learn(7, mac(1), P0, now), Learned::Static);
        assert_eq!(fdb.learn(7, mac(1), P1, now), Learned::Refreshed);
    }
    assert_eq!(fdb.sweep(Tick(30_000), 0, 1), 1, "the learned one");
    fdb.learn(7, mac(2), P1, Tick(30_000));
    assert_eq!(fdb.flush(), 1);
    let entry = fdb.entry(7, mac(1), Tick(30_000)).unwrap();
    assert!(entry.is_static && entry.age == 0 && !entry.is_locked && entry.port == P1);
    assert_eq!(fdb.entries(Tick(30_000)), [entry]);
    let stats = fdb.stats();
    assert_eq!((stats.entries, stats.statics, stats.moved), (1, 1, 0));
}

#[test]
fn a_learned_entry_becomes_static_and_a_static_one_changes_its_port() {
    let fdb = fdb(16);
    fdb.learn(0, mac(1), P0, Tick(0));
    assert!(fdb.add_static(0, mac(1), P1) && fdb.add_static(0, mac(1), P1));
    assert_eq!((fdb.account.held_by(P0), fdb.account.held_by(P1)), (0, 0));
    assert!(fdb.add_static(0, mac(1), P0));
    assert_eq!(fdb.lookup(0, mac(1), Tick(99)), Some(P0));
    assert_eq!((fdb.stats().entries, fdb.stats().statics), (1, 1));
}

#[test]
fn entries_are_removed_one_by_one_or_with_their_port() {
    let fdb = fdb(16);
    fdb.add_static(0, mac(1), P0);
    fdb.learn(0, mac(2), P0, Tick(0));
    fdb.add_static(0, mac(3), P1);
    assert!(fdb.remove(0, mac(1)) && fdb.remove(0, mac(2)));
    assert!(!fdb.remove(0, mac(1)) && !fdb.remove(1, mac(3)));
    assert_eq!((fdb.stats().entries, fdb.stats().statics), (1, 1));
    assert_eq!(fdb.remove_port(P1), 1);
    assert_eq!((fdb.stats().entries, fdb.stats().statics), (0, 0));
}

#[test]
fn what_cannot_be_learned_cannot_be_static() {
    let fdb = fdb(16);
    assert!(!fdb.add_static(0, MacAddr::BROADCAST, P0));
    assert!(!fdb.add_static(0, MacAddr::ZERO, P0));
    assert!(!fdb.add_static(4095, mac(1), P0));
    assert_eq!(fdb.stats().entries, 0);
}

#[test]
fn static_entries_take_room_from_learned_ones_and_never_give_it() {
    for capacity in [1, 2, 40, 500] {
        let fdb = fdb(capacity);
        let mut all = 0..capacity as u64;
        for n in all.clone() {
            fdb.learn(0, mac(1000 + n), P0, Tick(0));
        }
        assert!(all.all(|n| fdb.add_static(0, mac(n), P1)), "{capacity}");
        assert!(!fdb.add_static(0, mac(777_777), P1), "full of static entries");
        for n in 0..1000 {
            assert_eq!(fdb.learn(0, mac(5000 + n), P0, Tick(1)), Learned::Full);
        }
        let stats = fdb.stats();
        assert_eq!((stats.entries, stats.statics, stats.evicted), (capacity, capacity, capacity as u64));
        assert_eq!(fdb.entries(Tick(30_000)).len(), capacity);
    }
}

#[test]
fn a_lock_lasts_five_ticks_and_survives_refreshes() {
    let fdb = fdb(16);
    let is_locked = |now| fdb.entry(0, mac(1), Tick(now)).unwrap().is_locked;
    assert!(!fdb.lock(0, mac(1), Tick(0)), "not known");
    fdb.learn(0, mac(1), P0, Tick(0));
    assert!(!is_locked(0) && fdb.lock(0, mac(1), Tick(3)));
    fdb.learn(0, mac(1), P0, Tick(7));
    assert!(is_locked(7) && is_locked(8) && !is_locked(9));
    fdb.learn(0, mac(1), P1, Tick(8));
    assert!(!is_locked(8), "a move takes the lock off");
    fdb.lock(0, mac(1), Tick(8));
    assert!(!fdb.lock(0, mac(1), Tick(19)), "aged out");
}

#[test]
fn a_lock_does_not_come_round() {
    let swept = fdb(16);
    swept.set_ageing(1000);
    swept.learn(0, mac(1), P0, Tick(0));
    swept.lock(0, mac(1), Tick(0));
    swept.sweep(Tick(200), 0, 1);
    assert!(!swept.entry(0, mac(1), Tick(256)).unwrap().is_locked);
    assert_eq!(swept.entry(0, mac(1), Tick(256)).unwrap().age, 256, "a lock is no sign of life");
}

#[test]
fn a_port_learns_no_more_than_its_limit() {
    let fdb = fdb(100);
    let learn = |n, port, now| fdb.learn_within(0, mac(n), port, Tick(now), 3);
    assert!((0..3).all(|n| learn(n, P0, 0) == Learned::New));
    assert_eq!((learn(3, P0, 0), learn(0, P0, 1)), (Learned::Full, Learned::Refreshed));
    fdb.learn(0, mac(50), P1, Tick(0));
    assert_eq!(learn(50, P0, 0), Learned::Full, "nor by moves");
    assert_eq!(fdb.lookup(0, mac(50), Tick(0)), Some(P1));
    assert_eq!(fdb.stats().refused, 2);
    assert!(fdb.add_static(0, mac(60), P0), "static entries don't count");
    assert_eq!(fdb.learn_within(0, mac(60), P0, Tick(0), 0), Learned::Refreshed);
    assert!(fdb.remove(0, mac(1)));
    assert_eq!(learn(50, P0, 2), Learned::Moved { from: P1 });
    assert_eq!(fdb.account.held_by(P0), 3);
    assert_eq!(fdb.learn_within(0, mac(70), P1, Tick(0), 0), Learned::Full);
}

#[test]
fn a_reflection_changes_nothing() {
    let fdb = fdb(16);
    let learn = |port, now, veto| {
        fdb.learn_unless(0, mac(1), port, Tick(now), u32::MAX, |known| {
            assert_eq!((known.port, known.age), (P0, now));
            veto
        })
    };
    assert_eq!(learn(P0, 0, true), Learned::New, "not known: nobody is asked");
    assert_eq!(learn(P0, 0, true), Learned::Refreshed);
    assert_eq!(learn(P1, 2, true), Learned::Reflected);
    assert_eq!(fdb.entry(0, mac(1), Tick(2)).map(|entry| (entry.port, entry.age)), Some((P0, 2)));
    assert_eq!(learn(P1, 2, false), Learned::Moved { from: P0 });
    fdb.learn(0, mac(1), P0, Tick(2));
    assert_eq!(learn(P1, 13, true), Learned::New, "aged out");
}

#[test]
fn events_are_counted_from_0_again() {
    let fdb = fdb(16);
    fdb.learn(0, mac(1), P0, Tick(0));
    fdb.learn(0, mac(1), P1, Tick(0));
    fdb.add_static(0, mac(2), P1);
    fdb.clear_stats();
    let stats = fdb.stats();
    assert_eq!((stats.learned, stats.moved, stats.entries, stats.statics), (0, 0, 2, 1));
}

#[test]
fn a_copy_goes_its_own_way() {
    let fdb = fdb(16);
    fdb.learn(0, mac(1), P0, Tick(0));
    fdb.add_static(0, mac(2), P1);
    fdb.lock(0, mac(1), Tick(0));
    let copy = fdb.copy();
    assert_eq!((copy.entries(Tick(1)), copy.config()), (fdb.entries(Tick(1)), fdb.config()));
    assert_eq!((copy.stats().entries, copy.stats().statics), (2, 1));
    copy.learn(0, mac(1), P1, Tick(1));
    copy.learn(0, mac(3), P1, Tick(1));
    assert_eq!(fdb.lookup(0, mac(1), Tick(1)), Some(P0));
    assert_eq!(fdb.lookup(0, mac(3), Tick(1)), None);
}

#[derive(Debug, Clone)]
enum Op {
    Learn { n: u64, port: u16, limit: u32 },
    Add { n: u64, port: u16 },
    Remove { n: u64 },
    RemovePort { port: u16 },
    Pass { ticks: u16 },
    Flush,
}

fn op() -> impl Strategy<Value = Op> {
    let limit = prop_oneof![Just(u32::MAX), 0..5u32];
    prop_oneof![
        20 => (0..30u64, 0..3u16, limit).prop_map(|(n, port, limit)| Op::Learn { n, port, limit }),
        6 => (0..30u64, 0..3u16).prop_map(|(n, port)| Op::Add { n, port }),
        3 => (0..30u64).prop_map(|n| Op::Remove { n }),
        1 => (0..3u16).prop_map(|port| Op::RemovePort { port }),
        3 => (0..9u16).prop_map(|ticks| Op::Pass { ticks }),
        1 => Just(Op::Flush),
    ]
}

proptest! {
    /// Whatever is learned, static entries are exactly those that were added and not removed, limits hold, and a copy
    /// answers as its original does.
    #[test]
    fn statics_are_the_operators(capacity in 1..40usize, ops in proptest::collection::vec(op(), 0..120)) {
        let fdb = fdb(capacity);
        let mut statics: BTreeMap<u64, u16> = BTreeMap::new();
        let mut clock = 0;
        for op in ops {
            let now = Tick(clock);
            match op {
                Op::Learn { n, port, limit } => {
                    let before = fdb.account.held_by(PortId(port));
                    let copied = fdb.copy().learn_within(0, mac(n), PortId(port), now, limit);
                    let learned = fdb.learn_within(0, mac(n), PortId(port), now, limit);
                    prop_assert_eq!(learned, copied);
                    prop_assert!(fdb.account.held_by(PortId(port)) <= before.max(limit));
                    let fixed = statics.get(&n);
                    prop_assert_eq!(learned == Learned::Static, fixed.is_some_and(|at| *at != port));
                }
                Op::Add { n, port } => {
                    if fdb.add_static(0, mac(n), PortId(port)) {
                        statics.insert(n, port);
                    } else {
                        prop_assert!(!statics.contains_key(&n) && !statics.is_empty());
                    }
                }
                Op::Remove { n } => {
                    let known = fdb.entry(0, mac(n), now).is_some();
                    prop_assert!(fdb.remove(0, mac(n)) || !known);
                    statics.remove(&n);
                }
                Op::RemovePort { port } => {
                    fdb.remove_port(PortId(port));
                    statics.retain(|_, at| *at != port);
                }
                Op::Pass { ticks } => clock += ticks,
                Op::Flush => drop(fdb.flush()),
            }
            let now = Tick(clock);
            let entries = fdb.entries(now);
            let found: BTreeMap<_, _> = (entries.iter().filter(|entry| entry.is_static))
                .map(|entry| (entry.mac.to_u64() & 0xff, entry.port.0))
                .collect();
            prop_assert_eq!(&found, &statics);
            prop_assert_eq!(fdb.stats().statics, statics.len());
            prop_assert!(fdb.stats().entries <= capacity && entries.len() <= fdb.stats().entries);
            fdb.sweep(now, 0, 1);
            prop_assert_eq!(fdb.stats().entries, entries.len());
        }
    }
}

/// While threads learn the same addresses, static entries are added and removed; at the end each address stands once
/// and all counts are exact.
#[test]
fn statics_beside_learning_threads() {
    let fdb = fdb(256);
    std::thread::scope(|scope| {
        for port in 0..2u16 {
            let fdb = &fdb;
            scope.spawn(move || {
                for n in 0..40_000u64 {
                    fdb.learn(0, mac(n * 7 % 300), PortId(port), Tick(0));
                }
            });
        }
        for n in 0..8_000u64 {
            fdb.add_static(0, mac(n % 64), PortId(2));
            if n % 3 == 0 {
                fdb.remove(0, mac(n % 64));
            }
            fdb.lock(0, mac(n % 300), Tick(0));
        }
        (0..64).for_each(|n| assert!(fdb.add_static(0, mac(n), PortId(2))));
    });
    assert!((0..64).all(|n| fdb.lookup(0, mac(n), Tick(0)) == Some(PortId(2))));
    let stood: Vec<_> =
        (0..fdb.buckets.len()).flat_map(slots_of).filter_map(|slot| fdb.read(slot, Tick(0))).collect();
    assert_eq!(stood.len(), fdb.entries(Tick(0)).len(), "an address stands twice");
    assert_eq!((fdb.stats().entries, fdb.stats().statics), (stood.len(), 64));
    for port in 0..2 {
        let held = stood.iter().filter(|entry| entry.port == PortId(port)).count();
        assert_eq!(fdb.account.held_by(PortId(port)) as usize, held);
    }
}
