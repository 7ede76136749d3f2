use super::*;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use proptest::prelude::*;

const P0: PortId = PortId(0);
const P1: PortId = PortId(1);
const P2: PortId = PortId(2);

fn fdb(capacity: usize, ageing: u16) -> Fdb {
    Fdb::new(FdbConfig { capacity, ageing, seed: 0x5eed })
}

fn mac(n: u64) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 | n)
}

fn learned(vlan: u16, n: u64, port: PortId, age: u16) -> Entry {
    Entry { vlan, mac: mac(n), port, age, is_static: false, is_locked: false }
}

/// Learns `count` addresses from number `first` on and says how many were refused.
fn flood(fdb: &Fdb, port: PortId, first: u64, count: u64, now: Tick) -> usize {
    (first..first + count).filter(|n| fdb.learn(0, mac(*n), port, now) == Learned::Full).count()
}

fn held(fdb: &Fdb, port: PortId, now: Tick) -> usize {
    fdb.entries(now).iter().filter(|e| e.port == port).count()
}

#[test]
fn learn_then_find() {
    let fdb = fdb(16, 300);
    assert_eq!(fdb.lookup(7, mac(1), Tick(0)), None);
    assert_eq!(fdb.learn(7, mac(1), P1, Tick(5)), Learned::New);
    assert_eq!(fdb.learn(7, mac(1), P1, Tick(5)), Learned::Refreshed);
    assert_eq!(fdb.lookup(7, mac(1), Tick(9)), Some(P1));
    assert_eq!(fdb.entry(7, mac(1), Tick(9)), Some(learned(7, 1, P1, 4)));
    assert_eq!(fdb.lookup(7, mac(2), Tick(9)), None);
    assert_eq!(fdb.stats().learned, 1);
}

#[test]
fn vlans_are_separate() {
    let fdb = fdb(16, 300);
    fdb.learn(0, mac(1), P1, Tick(0));
    assert_eq!(fdb.learn(4094, mac(1), P2, Tick(0)), Learned::New);
    assert_eq!(fdb.lookup(0, mac(1), Tick(0)), Some(P1));
    assert_eq!(fdb.lookup(4094, mac(1), Tick(0)), Some(P2));
    assert_eq!(fdb.lookup(1, mac(1), Tick(0)), None);
}

#[test]
fn moves_are_counted() {
    let fdb = fdb(16, 300);
    fdb.learn(0, mac(1), P1, Tick(0));
    assert_eq!(fdb.learn(0, mac(1), P2, Tick(1)), Learned::Moved { from: P1 });
    assert_eq!(fdb.lookup(0, mac(1), Tick(1)), Some(P2));
    let stats = fdb.stats();
    assert_eq!((stats.moved, stats.entries, stats.learned), (1, 1, 1));
}

#[test]
fn entries_age_out_without_a_sweep() {
    let fdb = fdb(16, 10);
    fdb.learn(0, mac(1), P1, Tick(100));
    assert_eq!(fdb.lookup(0, mac(1), Tick(110)), Some(P1));
    assert_eq!(fdb.lookup(0, mac(1), Tick(111)), None);
    assert_eq!(fdb.entry(0, mac(1), Tick(111)), None);
    assert_eq!(fdb.entries(Tick(111)), []);
    assert_eq!(fdb.stats().entries, 1, "not swept yet");
    assert_eq!(fdb.learn(0, mac(1), P2, Tick(111)), Learned::New, "not a move: it was gone");
    let stats = fdb.stats();
    assert_eq!((stats.entries, stats.learned, stats.expired, stats.moved), (1, 2, 1, 0));
}

#[test]
fn a_refresh_starts_ageing_anew() {
    let fdb = fdb(16, 10);
    fdb.learn(0, mac(1), P1, Tick(0));
    fdb.learn(0, mac(1), P1, Tick(8));
    assert_eq!(fdb.lookup(0, mac(1), Tick(18)), Some(P1));
    assert_eq!(fdb.lookup(0, mac(1), Tick(19)), None);
}

#[test]
fn ticks_wrap() {
    let fdb = fdb(16, 300);
    fdb.learn(0, mac(1), P1, Tick(65500));
    assert_eq!(fdb.entry(0, mac(1), Tick(64)).map(|e| e.age), Some(100));
    assert_eq!(fdb.sweep(Tick(264), 0, 1), 0);
    assert_eq!(fdb.sweep(Tick(265), 0, 1), 1);
    assert_eq!(Tick::at(Duration::from_millis(65_537_999)), Tick(1));
}

#[test]
fn a_thread_with_an_earlier_clock_changes_no_age() {
    let fdb = fdb(16, 10);
    fdb.learn(0, mac(1), P1, Tick(100));
    assert_eq!(fdb.lookup(0, mac(1), Tick(99)), Some(P1));
    assert_eq!(fdb.learn(0, mac(1), P1, Tick(99)), Learned::Refreshed);
    fdb.learn(0, mac(1), P2, Tick(98));
    assert_eq!(fdb.entry(0, mac(1), Tick(101)), Some(learned(0, 1, P2, 1)));
}

#[test]
fn ageing_can_be_changed() {
    let fdb = fdb(16, 300);
    fdb.learn(0, mac(1), P1, Tick(0));
    fdb.set_ageing(5);
    assert_eq!(fdb.config().ageing, 5);
    assert_eq!(fdb.lookup(0, mac(1), Tick(6)), None);
    fdb.set_ageing(300);
    assert_eq!(fdb.lookup(0, mac(1), Tick(6)), Some(P1));
}

#[test]
fn settings_are_brought_into_range() {
    let fdb = Fdb::new(FdbConfig { capacity: 0, ageing: 0, seed: 3 });
    assert_eq!(fdb.config(), FdbConfig { capacity: 1, ageing: 1, seed: 3 });
    fdb.set_ageing(u16::MAX);
    assert_eq!(fdb.config().ageing, FdbConfig::MAX_AGEING);
}

#[test]
fn a_sweep_in_parts_covers_the_table_once() {
    for parts in [1, 3, 7, 1000] {
        let fdb = fdb(100, 10);
        assert_eq!(flood(&fdb, P1, 0, 100, Tick(0)), 0);
        let expired: Vec<_> = (0..parts).map(|part| fdb.sweep(Tick(11), part, parts)).collect();
        assert_eq!(expired.iter().sum::<usize>(), 100, "{parts} parts");
        assert!(parts == 1 || expired.iter().all(|n| *n < 100), "{parts} parts");
        let stats = fdb.stats();
        assert_eq!((stats.entries, stats.expired), (0, 100));
        assert_eq!(fdb.sweep(Tick(11), parts, parts), 0, "no such part");
    }
}

#[test]
fn remove_port_and_flush() {
    let fdb = fdb(100, 300);
    flood(&fdb, P1, 0, 30, Tick(0));
    flood(&fdb, P2, 100, 20, Tick(0));
    assert_eq!(fdb.remove_port(P1), 30);
    assert_eq!((held(&fdb, P1, Tick(0)), held(&fdb, P2, Tick(0))), (0, 20));
    assert_eq!(fdb.flush(), 20);
    assert_eq!(fdb.stats().entries, 0);
    assert_eq!(flood(&fdb, P1, 0, 100, Tick(0)), 0, "all room is free again");
}

#[test]
fn the_whole_capacity_can_be_used_and_no_more() {
    for capacity in [1, 2, 5, 64, 8192] {
        let fdb = fdb(capacity, 300);
        assert_eq!(flood(&fdb, P1, 0, capacity as u64, Tick(0)), 0);
        assert_eq!(fdb.stats().evicted, 0);
        assert_eq!(fdb.entries(Tick(0)).len(), capacity);
        flood(&fdb, P1, 1 << 20, capacity as u64, Tick(0));
        assert_eq!(fdb.entries(Tick(0)).len(), capacity);
        assert_eq!(fdb.stats().entries, capacity);
    }
}

#[test]
fn a_flood_takes_only_what_nobody_uses() {
    let fdb = fdb(1000, 300);
    flood(&fdb, P1, 0, 50, Tick(0));
    flood(&fdb, P2, 100, 300, Tick(0));
    let refused = flood(&fdb, P0, 1 << 20, 20_000, Tick(0));
    assert_eq!(held(&fdb, P1, Tick(0)), 50);
    assert_eq!(held(&fdb, P2, Tick(0)), 300);
    assert_eq!(held(&fdb, P0, Tick(0)), 650);
    let stats = fdb.stats();
    assert_eq!(stats.entries, 1000);
    assert_eq!(stats.refused, refused as u64);
    assert_eq!(stats.evicted + stats.refused, 20_000 - 650);
}

#[test]
fn a_light_port_can_always_learn() {
    let fdb = fdb(1000, 300);
    flood(&fdb, P0, 1 << 20, 5_000, Tick(0));
    assert_eq!(held(&fdb, P0, Tick(0)), 1000);
    assert_eq!(flood(&fdb, P1, 0, 400, Tick(0)), 0);
    assert_eq!(held(&fdb, P1, Tick(0)), 400);
    assert_eq!(held(&fdb, P0, Tick(0)), 600);
    assert_eq!(fdb.stats().entries, 1000);
}

#[test]
fn a_light_port_takes_from_the_heaviest_only() {
    let fdb = fdb(1000, 300);
    flood(&fdb, P0, 1 << 20, 700, Tick(0));
    flood(&fdb, P1, 1 << 21, 300, Tick(0));
    assert_eq!(flood(&fdb, P2, 0, 100, Tick(0)), 0);
    assert_eq!([P0, P1, P2].map(|p| held(&fdb, p, Tick(0))), [600, 300, 100]);
}

#[test]
fn the_heaviest_evicts_its_oldest() {
    let fdb = fdb(1, 300);
    fdb.learn(0, mac(1), P1, Tick(0));
    assert_eq!(fdb.learn(0, mac(2), P1, Tick(1)), Learned::New);
    assert_eq!(fdb.entries(Tick(1)).iter().map(|e| e.mac).collect::<Vec<_>>(), [mac(2)]);
    let fdb = self::fdb(2, 300);
    fdb.learn(0, mac(1), P1, Tick(3));
    fdb.learn(0, mac(2), P1, Tick(2));
    fdb.learn(0, mac(3), P1, Tick(4));
    let left: BTreeSet<_> = fdb.entries(Tick(4)).iter().map(|e| e.mac).collect();
    assert_eq!(left, BTreeSet::from([mac(1), mac(3)]));
}

#[test]
fn expired_entries_make_room_before_live_ones() {
    let fdb = fdb(2, 10);
    fdb.learn(0, mac(1), P1, Tick(0));
    fdb.learn(0, mac(2), P1, Tick(8));
    assert_eq!(fdb.learn(0, mac(3), P2, Tick(12)), Learned::New);
    let stats = fdb.stats();
    assert_eq!((stats.evicted, stats.expired), (0, 1));
    assert_eq!(fdb.lookup(0, mac(2), Tick(12)), Some(P1));
}

/// Memory that outlives a table, as a map of the kernel's does.
struct Kept(Arc<[Bucket]>);

impl Memory for Kept {
    fn buckets(&self) -> &[Bucket] {
        &self.0
    }
}

#[test]
fn a_table_in_shared_memory_outlives_its_owner() {
    let config = FdbConfig { capacity: 100, ageing: 300, seed: 7 };
    let memory: Arc<[Bucket]> = (0..Fdb::buckets_for(100)).map(|_| Bucket::default()).collect();
    let table = |config| Fdb::shared(config, Box::new(Kept(Arc::clone(&memory))));
    assert!(table(FdbConfig { capacity: 200, ..config }).is_none(), "other sizes");
    let first = table(config).unwrap();
    assert_eq!(flood(&first, P0, 0, 60, Tick(3)), 0);
    assert!(first.add_static(5, mac(1000), P1));
    // A writer died between claiming a slot and filling it.
    let claimed = first.claim_free(&first.place(0, mac(2000))).unwrap();
    let before = first.entries(Tick(4));
    drop(first);

    let second = table(config).unwrap();
    assert_eq!(second.entries(Tick(4)), before);
    let stats = second.stats();
    assert_eq!((stats.entries, stats.statics, second.account.held_by(P0)), (61, 1, 60));
    assert!(second.value(claimed).is_free());
    assert_eq!(second.learn(0, mac(5), P2, Tick(4)), Learned::Moved { from: P0 });
    assert_eq!(second.remove_ports(|port| port == P0), 59);
    assert_eq!(second.stats().entries, 2);

    // With another secret nothing would be found where it stands.
    let third = table(FdbConfig { seed: 8, ..config }).unwrap();
    assert_eq!((third.stats().entries, third.entries(Tick(4))), (0, vec![]));
}

#[test]
#[cfg(debug_assertions)]
fn unlearnable_sources_are_a_fault_of_the_caller() {
    for (vlan, source) in [(0, MacAddr::BROADCAST), (0, MacAddr::ZERO), (4095, mac(1))] {
        let fdb = fdb(16, 300);
        assert!(std::panic::catch_unwind(AssertUnwindSafe(|| fdb.learn(vlan, source, P1, Tick(0)))).is_err());
    }
}

#[derive(Debug, Clone)]
enum Op {
    Learn { vlan: u16, mac: u64, port: u16 },
    Pass { ticks: u16 },
    Sweep { part: usize },
    RemovePort { port: u16 },
    Flush,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        20 => (0..3u16, 0..40u64, 0..5u16).prop_map(|(vlan, mac, port)| Op::Learn { vlan, mac, port }),
        4 => (0..40u16).prop_map(|ticks| Op::Pass { ticks }),
        2 => (0..3usize).prop_map(|part| Op::Sweep { part }),
        1 => (0..5u16).prop_map(|port| Op::RemovePort { port }),
        1 => Just(Op::Flush),
    ]
}

proptest! {
    /// With room for everybody the table is a map with ageing.
    #[test]
    fn behaves_like_a_map(start in any::<u16>(), ops in proptest::collection::vec(op(), 0..200)) {
        const AGEING: u16 = 60;
        let fdb = Fdb::new(FdbConfig { capacity: 512, ageing: AGEING, seed: 1 });
        let mut model: BTreeMap<(u16, u64), (u16, u64)> = BTreeMap::new();
        let mut clock = u64::from(start);
        for op in ops {
            let now = Tick(clock as u16);
            let live = |seen: u64| clock - seen <= u64::from(AGEING);
            match op {
                Op::Learn { vlan, mac: n, port } => {
                    let expected = match model.insert((vlan, n), (port, clock)) {
                        Some((from, seen)) if live(seen) && from == port => Learned::Refreshed,
                        Some((from, seen)) if live(seen) => Learned::Moved { from: PortId(from) },
                        _ => Learned::New,
                    };
                    prop_assert_eq!(fdb.learn(vlan, mac(n), PortId(port), now), expected);
                }
                Op::Pass { ticks } => clock += u64::from(ticks),
                Op::Sweep { part } => {
                    fdb.sweep(now, part, 3);
                }
                Op::RemovePort { port } => {
                    fdb.remove_port(PortId(port));
                    model.retain(|_, (p, _)| *p != port);
                }
                Op::Flush => {
                    fdb.flush();
                    model.clear();
                }
            }
            let now = Tick(clock as u16);
            model.retain(|_, (_, seen)| clock - *seen <= u64::from(AGEING));
            let expected: Vec<_> = model
                .iter()
                .map(|((vlan, n), (port, seen))| learned(*vlan, *n, PortId(*port), (clock - seen) as u16))
                .collect();
            for entry in &expected {
                prop_assert_eq!(fdb.entry(entry.vlan, entry.mac, now), Some(*entry));
                prop_assert_eq!(fdb.lookup(entry.vlan, entry.mac, now), Some(entry.port));
            }
            prop_assert_eq!(fdb.entries(now), expected);
        }
    }

    /// Whatever happens, the bound holds, the counts are those of the entries, and who is not the heaviest loses nothing.
    #[test]
    fn bounded_and_fair(capacity in 1..40usize, ops in proptest::collection::vec(op(), 0..200)) {
        let fdb = Fdb::new(FdbConfig { capacity, ageing: 60, seed: 2 });
        let mut clock = 0u16;
        for op in ops {
            let now = Tick(clock);
            let before: Vec<_> = (0..5).map(|p| held(&fdb, PortId(p), now)).collect();
            match op {
                Op::Learn { vlan, mac: n, port } => {
                    let swept = fdb.sweep(now, 0, 1);
                    let learned = fdb.learn(vlan, mac(n), PortId(port), now);
                    let after: Vec<_> = (0..5).map(|p| held(&fdb, PortId(p), now)).collect();
                    let most = before.iter().max().unwrap();
                    for p in 0..5u16 {
                        let lost = after[usize::from(p)] < before[usize::from(p)];
                        let moved = learned == Learned::Moved { from: PortId(p) };
                        prop_assert!(!lost || moved || before[usize::from(p)] == *most || swept > 0);
                    }
                    prop_assert_eq!(fdb.lookup(vlan, mac(n), now).is_some(), learned != Learned::Full);
                }
                Op::Pass { ticks } => clock = clock.wrapping_add(ticks),
                Op::Sweep { part } => {
                    fdb.sweep(now, part, 3);
                }
                Op::RemovePort { port } => {
                    prop_assert!(fdb.remove_port(PortId(port)) >= before[usize::from(port)]);
                }
                Op::Flush => {
                    fdb.flush();
                }
            }
            fdb.sweep(Tick(clock), 0, 1);
            let entries = fdb.entries(Tick(clock));
            prop_assert!(entries.len() <= capacity);
            prop_assert_eq!(fdb.stats().entries, entries.len());
            for p in 0..5 {
                prop_assert_eq!(fdb.account.held_by(PortId(p)) as usize, held(&fdb, PortId(p), Tick(clock)));
            }
        }
    }
}

/// Several threads learn, move, look up, sweep and remove at once on a table that is too small for them. Afterwards
/// every count is exact and no address stands in it twice.
#[test]
fn threads_leave_the_table_in_order() {
    const THREADS: u64 = 4;
    const ROUNDS: u64 = 20_000;
    const ADDRESSES: u64 = 700;
    let fdb = fdb(512, 50);
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let fdb = &fdb;
            scope.spawn(move || {
                let mut state = thread + 1;
                for round in 0..ROUNDS {
                    state =
                        state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let now = Tick((round / 64) as u16);
                    let n = (state >> 33) % ADDRESSES;
                    // Most addresses stay at one port; every eighth wanders.
                    let port = if n.is_multiple_of(8) { state >> 60 } else { n % 8 };
                    fdb.learn((n % 3) as u16, mac(n), PortId(port as u16), now);
                    if let Some(found) = fdb.lookup(((n + 1) % 3) as u16, mac(n + 1), now) {
                        let home = (n + 1) % 8;
                        assert!(
                            home == 0 || found == PortId(home as u16),
                            "{} found at {found:?}",
                            mac(n + 1)
                        );
                    }
                    match round % 1024 {
                        100 => drop(fdb.sweep(now, (round / 1024 % 4) as usize, 4)),
                        200 => drop(fdb.remove_port(PortId((round / 1024 % 8) as u16))),
                        300 if round > 15_000 => drop(fdb.flush()),
                        400 => assert!(fdb.stats().entries <= 512),
                        _ => {}
                    }
                }
            });
        }
    });
    let now = Tick((ROUNDS / 64) as u16);
    fdb.sweep(now, 0, 1);
    let stood =
        (0..fdb.buckets.len()).flat_map(slots_of).filter_map(|slot| fdb.read(slot, now)).collect::<Vec<_>>();
    let distinct: BTreeSet<_> = stood.iter().map(|e| (e.vlan, e.mac)).collect();
    assert_eq!(distinct.len(), stood.len(), "an address stands twice");
    assert_eq!(fdb.stats().entries, stood.len());
    assert!(stood.len() <= 512 && fdb.stats().evicted > 0 && fdb.stats().moved > 0);
    for port in 0..16 {
        assert_eq!(fdb.account.held_by(PortId(port)) as usize, held(&fdb, PortId(port), now), "{port}");
    }
}

/// Threads that learn the same new address at the same moment leave one entry.
#[test]
fn simultaneous_inserts_leave_one_entry() {
    const ROUNDS: u64 = 5_000;
    let fdb = fdb(64, 300);
    let (arrived, left_over) = (AtomicU64::new(0), AtomicUsize::new(0));
    // Spins, because threads that a lock wakes come out of it one after the other.
    let meet = |round: u64, point: u64| {
        arrived.fetch_add(1, SeqCst);
        let all_here = (round * 2 + point) * 2;
        for spins in 0u64.. {
            match arrived.load(SeqCst) >= all_here {
                true => break,
                false if spins % 1000 == 999 => std::thread::yield_now(),
                false => core::hint::spin_loop(),
            }
        }
    };
    std::thread::scope(|scope| {
        for thread in 0..2u16 {
            let (fdb, meet, left_over) = (&fdb, &meet, &left_over);
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    meet(round, 1);
                    fdb.learn(0, mac(round), PortId(thread), Tick(0));
                    meet(round, 2);
                    if thread == 0 {
                        left_over.fetch_max(fdb.stats().entries, SeqCst);
                        fdb.flush();
                    }
                }
            });
        }
    });
    assert_eq!(left_over.into_inner(), 1);
}
