//! Buckets that move by load, in virtual time.

use bond_port::rebalance::Stays;
use bond_port::{BondError, BondEvent};

use crate::rig::{Rig, ms, name};

const BUCKETS: usize = 256;

/// Counters that each period add `load` octets to the buckets that `busy` picks.
struct Counters([u64; BUCKETS]);

impl Counters {
    fn period(&mut self, rig: &mut Rig, busy: impl Fn(usize) -> u64) {
        (0..BUCKETS).for_each(|bucket| self.0[bucket] += busy(bucket));
        rig.now = rig.bond.loads_deadline().unwrap().max(rig.now);
        rig.bond.handle_loads(rig.now, &self.0);
    }
}

fn moves(rig: &mut Rig) -> Vec<(usize, String, String, bool)> {
    let moved = |event| match event {
        BondEvent::BucketMoved { bucket, from, to, by_hand, .. } => Some((bucket, from, to, by_hand)),
        _ => None,
    };
    rig.events().into_iter().filter_map(moved).collect()
}

#[test]
fn load_is_spread_and_a_loss_moves_only_the_lost_members_buckets() {
    let mut rig = Rig::up("mode=2 rebalance_interval=10000", 3);
    let even = rig.table();
    assert_eq!(even.len(), BUCKETS);
    let mut counters = Counters([0; BUCKETS]);
    // Everything that is busy happens to lie on the first member.
    let held: Vec<bool> = even.iter().map(|member| *member == 0).collect();
    let busy = |bucket: usize| if held[bucket] { 1_000_000_000 } else { 0 };
    for _ in 0..8 {
        counters.period(&mut rig, busy);
    }
    let moved = moves(&mut rig);
    assert!(
        !moved.is_empty() && moved.iter().all(|(_, from, _, hand)| *from == name(0) && !hand),
        "{moved:?}"
    );
    assert_eq!(rig.bond.rebalancer().unwrap().moved(), moved.len() as u64);
    let table = rig.table();
    let carried = |member| (0..BUCKETS).filter(|bucket| table[*bucket] == member).map(busy).sum::<u64>();
    let loads = [carried(0), carried(1), carried(2)];
    assert!(loads.iter().all(|load| load.abs_diff(loads[0]) * 5 <= loads[0]), "{loads:?}");

    let revision = rig.bond.revision();
    rig.set("num_grat_arp=3");
    assert_eq!((rig.table(), rig.bond.revision()), (table.clone(), revision), "nothing to do with it");
    rig.link(1, false);
    for (before, after) in table.iter().zip(rig.table()) {
        assert!(*before == 1 || *before == after, "a survivor keeps its buckets");
    }
    rig.link(1, true);
    assert!(rig.table().contains(&1), "who returns gets its share");
}

#[test]
fn nothing_moves_without_load_or_interval() {
    let mut rig = Rig::up("mode=2 rebalance_interval=1000", 2);
    let mut counters = Counters([0; BUCKETS]);
    let table = rig.table();
    for _ in 0..4 {
        counters.period(&mut rig, |_| 0);
        counters.period(&mut rig, |_| 10_000);
    }
    assert_eq!((rig.table(), moves(&mut rig)), (table, vec![]));
    rig.set("rebalance_interval=0");
    assert_eq!((rig.bond.loads_deadline(), rig.table()), (None, vec![0, 1]), "hash modulo n again");
    for mode in ["mode=1", "mode=0", "mode=3", "mode=2 hash_buckets=256"] {
        let rig = Rig::up(mode, 2);
        assert_eq!(rig.bond.loads_deadline(), None);
    }
}

#[test]
fn a_bucket_is_moved_by_hand() {
    let mut rig = Rig::up("mode=2 rebalance_interval=10000", 2);
    let held = rig.table()[7];
    let other = 1 - held;
    rig.events();
    assert_eq!(rig.bond.migrate(rig.now, 7, &name(other.into())), Ok(true));
    assert_eq!(rig.table()[7], other);
    assert_eq!(moves(&mut rig), [(7, name(held.into()), name(other.into()), true)]);
    assert_eq!(rig.bond.migrate(rig.now, 7, &name(other.into())), Ok(false));
    for (bucket, member, error) in [
        (256, "eth0", "cannot move a bucket of bond0 to eth0: there is no bucket 256"),
        (0, "eth9", "bond0 has no member eth9"),
    ] {
        assert!(rig.bond.migrate(rig.now, bucket, member).unwrap_err().to_string().starts_with(error));
    }
    rig.link(1, false);
    assert!(matches!(rig.bond.migrate(rig.now, 0, "eth1"), Err(BondError::Migrate { .. })));
    rig.set("rebalance_interval=0");
    rig.pass(ms(1));
    assert!(matches!(rig.bond.migrate(rig.now, 0, "eth0"), Err(BondError::NoRebalancing { .. })));
}

#[test]
fn load_is_spread_by_hand() {
    let mut rig = Rig::up("mode=2 rebalance_interval=3600000", 2);
    let mut counters = Counters([0; BUCKETS]);
    counters.period(&mut rig, |_| 0);
    let held = rig.table();
    (0..BUCKETS).for_each(|bucket| counters.0[bucket] += if held[bucket] == 0 { 1_000_000 } else { 0 });
    rig.pass(ms(2_000));
    let moved = rig.bond.rebalance_now(rig.now, Some(&counters.0)).unwrap().unwrap();
    assert!(
        moved.iter().all(|moved| moved.by_hand && moved.from == name(0) && moved.to == name(1)),
        "{moved:?}"
    );
    let told: Vec<_> = moved.into_iter().map(|m| (m.bucket, m.from, m.to, m.by_hand)).collect();
    assert_eq!((told.len(), moves(&mut rig)), (16, told.clone()));
    assert!(told.iter().all(|(bucket, ..)| rig.table()[*bucket] == 1));
    assert_eq!(rig.bond.rebalance_now(rig.now, None), Ok(Err(Stays::Unknown)));
    rig.link(1, false);
    let alone = rig.bond.rebalance_now(rig.now, Some(&counters.0));
    assert_eq!(alone, Ok(Err(Stays::NoChoice { members: 1 })));
    let mut other = Rig::up("mode=2 hash_buckets=256", 2);
    let none = other.bond.rebalance_now(other.now, Some(&counters.0));
    assert!(matches!(none, Err(BondError::NoRebalancing { .. })), "{none:?}");
}
