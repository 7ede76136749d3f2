//! A resilient transmit table: buckets that members hold, of which as few as possible move when members come and go.
//!
//! A flow's hash picks a bucket for ever; the bucket's holder sends it. With `hash % n` about half of the flows of two
//! surviving members move when a third is lost; here none does.
//!
//! With members of different speeds each has buckets in proportion to its own ([`share_by_weight`]). Where buckets are also
//! moved by load ([`crate::rebalance`]) the numbers are no longer in proportion, and that is meant: [`adopt`] then follows
//! the members that come and go without undoing it.

/// A member that may be given buckets, and how much it can carry compared with the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Weighted<M> {
    /// The member.
    pub member: M,
    /// Its weight: the link's speed in Mb/s, or 1 for all. 0 counts as 1.
    pub weight: u32,
}

/// Weights by link speed, in Mb/s.
///
/// A member of unknown speed (`None` or 0) counts as fast as the slowest whose speed is known: a guess too low costs
/// some balance, one too high drops frames, and a speed that is unknown for a moment moves no other member's share much.
/// If no speed is known all weigh the same.
pub fn by_speed<M>(members: impl IntoIterator<Item = (M, Option<u32>)>) -> Vec<Weighted<M>> {
    let known = |speed: Option<u32>| speed.filter(|mbps| *mbps > 0);
    let members: Vec<(M, Option<u32>)> =
        members.into_iter().map(|(member, speed)| (member, known(speed))).collect();
    let slowest = members.iter().filter_map(|(_, speed)| *speed).min().unwrap_or(1);
    members.into_iter().map(|(member, speed)| Weighted { member, weight: speed.unwrap_or(slowest) }).collect()
}

/// Shares `count` buckets evenly among `usable`, with the fewest moves from `held`, the table before.
///
/// Every member gets `count / n` buckets or one more. A bucket whose holder is not usable any more, or holds more than
/// its share, moves; no other does. From a table that this function made, the loss of members therefore moves just
/// their buckets, and a member that joins takes its share and nothing else moves. Depends on nothing but its arguments.
///
/// `held` may be of another length (nothing is kept then), or empty. `usable` holds no member twice; if it is empty so
/// is the answer.
pub fn share<M: Copy + PartialEq>(held: &[M], usable: &[M], count: usize) -> Vec<M> {
    let usable: Vec<Weighted<M>> =
        usable.iter().map(|member| Weighted { member: *member, weight: 1 }).collect();
    share_by_weight(held, &usable, count)
}

/// As [`share`], but each member's number of buckets is in proportion to its weight.
///
/// Rounded by highest averages (Sainte-Laguë), because then, unlike with largest remainders, no member's number falls
/// when another is lost, nor grows when one joins: what is said of [`share`]'s moves holds here too, as long as the
/// weights stay. A member with less than about half a bucket's worth of weight gets none.
pub fn share_by_weight<M: Copy + PartialEq>(held: &[M], usable: &[Weighted<M>], count: usize) -> Vec<M> {
    let (table, holds) = kept(held, usable, count);
    let weights: Vec<u64> = usable.iter().map(|each| u64::from(each.weight.max(1))).collect();
    let shares = apportion(&weights, &holds, count);
    deal(table, holds, &shares, usable)
}

/// The table after members came or went, where buckets are also moved by load: keeps what the load has decided.
///
/// - A member that has buckets keeps them. Those of members not usable any more are dealt to the ones that hold least for
///   their weight. So a loss moves the lost member's buckets only.
/// - A member that holds none has joined or returned. It takes its share by weight, from each of the others in proportion
///   to what that holds. [`crate::rebalance::plan`] then does the rest, by load.
///
/// From an empty table, or one of another length, it is [`share_by_weight`].
pub fn adopt<M: Copy + PartialEq>(held: &[M], usable: &[Weighted<M>], count: usize) -> Vec<M> {
    let (table, holds) = kept(held, usable, count);
    if holds.iter().all(|holds| *holds == 0) {
        return share_by_weight(held, usable, count);
    }
    let weights: Vec<u64> = usable.iter().map(|each| u64::from(each.weight.max(1))).collect();
    let mut even = apportion(&weights, &holds, count);
    let fresh = |member: usize| holds[member] == 0;
    let olds = (0..usable.len()).filter(|member| !fresh(*member)).count();
    let wanted = loop {
        let news = (0..usable.len()).filter(|member| fresh(*member));
        let wanted: usize = news.clone().map(|member| even[member]).sum();
        // Each of the others keeps one: without any it would count as new next time.
        match news.max_by_key(|member| even[*member]).filter(|_| wanted > count.saturating_sub(olds)) {
            Some(most) => even[most] -= 1,
            None => break wanted,
        }
    };
    let orphans = count - holds.iter().sum::<usize>();
    let mut shares = holds.clone();
    if wanted >= orphans {
        // The others give what the orphans don't make up for, each down to one.
        let above: Vec<u64> = holds.iter().map(|holds| holds.saturating_sub(1) as u64).collect();
        shares = apportion(&above, &holds, count - wanted - olds);
        let old = |member: &usize| holds[*member] > 0;
        (0..usable.len()).filter(old).for_each(|member| shares[member] += 1);
    } else {
        let of_old = orphans - wanted;
        for _ in 0..of_old {
            let old = (0..usable.len()).filter(|member| !fresh(*member));
            let least = old.min_by_key(|member| {
                // The highest average again, in whole numbers.
                core::cmp::Reverse((weights[*member] << 24) / (2 * shares[*member] as u64 + 1))
            });
            least.into_iter().for_each(|member| shares[member] += 1);
        }
    }
    (0..usable.len()).filter(|member| fresh(*member)).for_each(|member| shares[member] = even[member]);
    deal(table, holds, &shares, usable)
}

/// The table with the holders that are still usable, as positions in `usable`; and how many buckets each holds.
fn kept<M: Copy + PartialEq>(
    held: &[M],
    usable: &[Weighted<M>],
    count: usize,
) -> (Vec<Option<usize>>, Vec<usize>) {
    let position = |holder: &M| usable.iter().position(|each| each.member == *holder);
    let table: Vec<Option<usize>> =
        if held.len() == count { held.iter().map(position).collect() } else { vec![None; count] };
    let mut holds = vec![0; usable.len()];
    table.iter().flatten().for_each(|holder| holds[*holder] += 1);
    (table, holds)
}

/// Takes from each what it holds above its share and gives what is free to those below. The shares add up to the table.
fn deal<M: Copy>(
    mut table: Vec<Option<usize>>,
    mut holds: Vec<usize>,
    shares: &[usize],
    usable: &[Weighted<M>],
) -> Vec<M> {
    for (member, share) in shares.iter().enumerate() {
        if holds[member] > *share {
            give_back(&mut table, member, holds[member], holds[member] - share);
            holds[member] = *share;
        }
    }
    for bucket in table.iter_mut().filter(|bucket| bucket.is_none()) {
        // The member with the smallest part of its share comes first, so that neighbouring buckets go to different
        // members: hashes of neighbouring addresses are often neighbours.
        let lacking = (0..usable.len()).filter(|member| holds[*member] < shares[*member]);
        let least = lacking.min_by(|a, b| (holds[*a] * shares[*b]).cmp(&(holds[*b] * shares[*a])));
        let Some(member) = least else { continue };
        holds[member] += 1;
        *bucket = Some(member);
    }
    table.into_iter().flatten().map(|member| usable[member].member).collect()
}

/// How many of `count` buckets each is to hold, by highest averages: each bucket in turn to the one with the highest
/// `weight / (2 * buckets + 1)`. Of equals to one that would have to give a bucket back otherwise, then to the one that
/// holds most. A weight of 0 gets nothing, unless all are 0.
fn apportion(weights: &[u64], holds: &[usize], count: usize) -> Vec<usize> {
    let mut shares = vec![0; weights.len()];
    for _ in 0..count {
        let highest = (0..weights.len()).reduce(|best, next| {
            // weight / (2 * share + 1), compared without the division; shares are below 2^32 and weights too.
            let by_best = u128::from(weights[best]) * (2 * shares[next] as u128 + 1);
            let by_next = u128::from(weights[next]) * (2 * shares[best] as u128 + 1);
            let need = |member: usize| (holds[member] > shares[member], holds[member]);
            if (by_next, need(next)) > (by_best, need(best)) { next } else { best }
        });
        highest.into_iter().for_each(|member| shares[member] += 1);
    }
    shares
}

/// Takes `surplus` of the `held` buckets from a member, evenly spread over the table.
fn give_back(table: &mut [Option<usize>], member: usize, held: usize, surplus: usize) {
    let of_member = table.iter_mut().filter(|bucket| **bucket == Some(member));
    for (nth, bucket) in of_member.enumerate() {
        if (nth + 1) * surplus / held > nth * surplus / held {
            *bucket = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const COUNT: usize = 256;

    fn moved(before: &[u8], after: &[u8]) -> usize {
        before.iter().zip(after).filter(|(a, b)| a != b).count()
    }

    fn held(table: &[u8], member: u8) -> usize {
        table.iter().filter(|holder| **holder == member).count()
    }

    fn is_even(table: &[u8], usable: &[u8]) -> bool {
        let even = table.len() / usable.len();
        let most = table.len().div_ceil(usable.len());
        table.len() == COUNT && usable.iter().all(|member| (even..=most).contains(&held(table, *member)))
    }

    /// The fewest moves that lead from `table` to even shares, whoever gets the odd ones: a bucket can stay only with a
    /// member that is usable, and no member can keep more than its share; the odd ones are best given where they save
    /// a move.
    fn fewest(table: &[u8], usable: &[u8]) -> usize {
        let (even, odd) = (COUNT / usable.len(), COUNT % usable.len());
        let kept: usize = usable.iter().map(|member| held(table, *member).min(even)).sum();
        let above = usable.iter().filter(|member| held(table, **member) > even).count();
        COUNT - kept - above.min(odd)
    }

    #[test]
    fn a_first_table_is_the_modulo() {
        assert_eq!(share(&[], &[7, 8, 9], 7), [7, 8, 9, 7, 8, 9, 7]);
        assert_eq!(share(&[1; 5], &[1], 5), [1; 5]);
        assert_eq!(share::<u8>(&[1, 2], &[], 2), []);
        assert_eq!(share(&[1, 1, 1], &[2, 3], 2), [2, 3], "a table of another length is no table");
    }

    #[test]
    fn one_of_three_lost_and_back() {
        let three = share(&[], &[0, 1, 2], COUNT);
        let two = share(&three, &[0, 2], COUNT);
        for (before, after) in three.iter().zip(&two) {
            assert!(*before == 1 || before == after, "only the lost member's buckets move");
        }
        assert_eq!((held(&two, 0), held(&two, 2)), (128, 128));
        let again = share(&two, &[0, 1, 2], COUNT);
        for (before, after) in two.iter().zip(&again) {
            assert!(*after == 1 || before == after, "what moves, moves to the member that is back");
        }
        assert!(is_even(&again, &[0, 1, 2]));
        // Its buckets are spread over the table, not a run that a run of addresses would fall into.
        assert!(again.chunks(32).all(|part| held(part, 1) >= 8), "{again:?}");
    }

    /// Slow members next to one that is 500 times as fast: each keeps its last bucket when that joins.
    #[test]
    fn the_last_bucket_stays() {
        let weighted = |members: &[(u8, u32)]| -> Vec<_> {
            members.iter().map(|(member, weight)| Weighted { member: *member, weight: *weight }).collect()
        };
        let before = adopt(&[], &weighted(&[(0, 42), (1, 10_000), (4, 51)]), COUNT);
        let after = weighted(&[(0, 42), (4, 51), (7, 25_000)]);
        let table = adopt(&before, &after, COUNT);
        assert_eq!([0, 4, 7].map(|member| held(&table, member)), [1, 1, 254]);
        assert_eq!(adopt(&table, &after, COUNT), table, "at rest");
    }

    proptest! {
        /// Members come and go, any number at once.
        #[test]
        fn any_history(sets in proptest::collection::vec(proptest::collection::btree_set(0..12u8, 1..=12), 1..20)) {
            let mut table: Vec<u8> = Vec::new();
            let mut usable: Vec<u8> = Vec::new();
            for next in sets {
                let next: Vec<u8> = next.into_iter().collect();
                let after = share(&table, &next, COUNT);
                prop_assert!(is_even(&after, &next));
                prop_assert_eq!(&share(&table, &next, COUNT), &after, "the same again");
                prop_assert_eq!(&share(&after, &next, COUNT), &after, "at rest");
                if !table.is_empty() {
                    prop_assert_eq!(moved(&table, &after), fewest(&table, &next));
                    for (was, is) in table.iter().zip(&after) {
                        if next.iter().all(|member| usable.contains(member)) {
                            prop_assert!(was == is || !next.contains(was), "only a lost member's buckets move");
                        }
                        if usable.iter().all(|member| next.contains(member)) {
                            prop_assert!(was == is || !usable.contains(is), "only to members that are new");
                        }
                    }
                }
                (table, usable) = (after, next);
            }
        }

        /// Also from a table that it did not make: as few moves as there can be.
        #[test]
        fn any_table(
            table in proptest::collection::vec(0..8u8, COUNT),
            next in proptest::collection::btree_set(0..8u8, 1..=8),
        ) {
            let next: Vec<u8> = next.into_iter().collect();
            let after = share(&table, &next, COUNT);
            prop_assert!(is_even(&after, &next));
            prop_assert_eq!(moved(&table, &after), fewest(&table, &next));
        }
    }
}
