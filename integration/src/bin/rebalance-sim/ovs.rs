//! Open vSwitch's way to rebalance, written from a description of it, to compare with.

use bond_port::rebalance::BUCKETS;

use crate::algorithm::Link;

/// Less difference in octets is left alone.
const LEAST: u64 = 100_000;

/// Moves buckets until the most and the least loaded member are alike; how many.
///
/// The most loaded gives to the least loaded, as long as they differ by more than a 32nd of the less loaded and by
/// 100 kB. What it gives are buckets, large ones first, that come up to half of the difference but not above it; if all
/// are larger, the smallest. It must lower the load of the more loaded of the two by a tenth of that half, or the
/// most loaded is left out from then on, as it is if it has only one bucket with load. A bucket moves once at most.
pub(crate) fn rebalance(table: &mut [Link], octets: &[u64; BUCKETS], links: &[Link]) -> usize {
    let mut loads: Vec<(Link, u64)> = links
        .iter()
        .map(|link| {
            (*link, table.iter().zip(octets).filter(|(holder, _)| *holder == link).map(|(_, o)| o).sum())
        })
        .collect();
    let mut moved = [false; BUCKETS];
    while loads.len() > 1 {
        loads.sort_by_key(|(link, load)| (core::cmp::Reverse(*load), *link));
        let (from, most) = loads[0];
        let (to, least) = loads[loads.len() - 1];
        let difference = most - least;
        if difference < (least / 32).max(LEAST) {
            break;
        }
        let chosen = choose(table, octets, from, &moved, most, least);
        if chosen.is_empty() {
            loads.remove(0);
            continue;
        }
        for bucket in chosen {
            table[bucket] = to;
            moved[bucket] = true;
            loads[0].1 -= octets[bucket];
            loads.last_mut().into_iter().for_each(|(_, load)| *load += octets[bucket]);
        }
    }
    moved.iter().filter(|moved| **moved).count()
}

/// The buckets that go from the most to the least loaded.
fn choose(
    table: &[Link],
    octets: &[u64; BUCKETS],
    from: Link,
    moved: &[bool; BUCKETS],
    most: u64,
    least: u64,
) -> Vec<usize> {
    let ideal = (most - least) / 2;
    let mut loaded: Vec<usize> =
        (0..table.len()).filter(|bucket| table[*bucket] == from && octets[*bucket] > 0).collect();
    if loaded.len() < 2 {
        return Vec::new();
    }
    loaded.retain(|bucket| !moved[*bucket]);
    loaded.sort_by_key(|bucket| core::cmp::Reverse(octets[*bucket]));
    let mut chosen = Vec::new();
    let mut sum = 0;
    for bucket in &loaded {
        if sum + octets[*bucket] <= ideal {
            sum += octets[*bucket];
            chosen.push(*bucket);
        }
        if sum >= ideal - ideal / 10 {
            break;
        }
    }
    if chosen.is_empty() {
        chosen.extend(loaded.last());
        sum = chosen.iter().map(|bucket| octets[*bucket]).sum();
    }
    let after = (most - sum).max(least + sum);
    if most.saturating_sub(after) < ideal / 10 { Vec::new() } else { chosen }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets(first: &[u64]) -> [u64; BUCKETS] {
        core::array::from_fn(|bucket| first.get(bucket).map_or(0, |mega| mega * 1_000_000))
    }

    #[test]
    fn half_of_the_difference_goes_over() {
        let mut table = vec![0; BUCKETS];
        assert_eq!(rebalance(&mut table, &octets(&[8, 4, 3, 1]), &[0, 1]), 1);
        assert_eq!(table[..4], [1, 0, 0, 0]);
        assert_eq!(rebalance(&mut table, &octets(&[8, 4, 3, 1]), &[0, 1]), 0, "at rest");
    }

    #[test]
    fn a_single_bucket_stays() {
        let mut table = vec![0; BUCKETS];
        assert_eq!(rebalance(&mut table, &octets(&[8]), &[0, 1]), 0);
        assert_eq!(rebalance(&mut table, &octets(&[100, 1]), &[0, 1]), 0, "too little to gain");
        assert_eq!(rebalance(&mut table, &octets(&[100, 10]), &[0, 1]), 1);
    }
}
