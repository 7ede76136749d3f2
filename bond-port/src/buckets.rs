//! A resilient transmit table: buckets that members hold, of which as few as possible move when members come and go.
//!
//! A flow's hash picks a bucket for ever; the bucket's holder sends it. With `hash % n` about half of the flows of two
//! surviving members move when a third is lost; here none does.

/// Shares `count` buckets among `usable`, with the fewest moves from `held`, the table before.
///
/// Every member gets `count / n` buckets or one more. A bucket whose holder is not usable any more, or holds more than
/// its share, moves; no other does. From a table that this function made, the loss of members therefore moves just
/// their buckets, and a member that joins takes its share and nothing else moves. Depends on nothing but its arguments.
///
/// `held` may be of another length (nothing is kept then), or empty. `usable` holds no member twice; if it is empty so
/// is the answer.
pub fn share<M: Copy + PartialEq>(held: &[M], usable: &[M], count: usize) -> Vec<M> {
    if usable.is_empty() {
        return Vec::new();
    }
    let position = |holder: &M| usable.iter().position(|member| member == holder);
    let mut table: Vec<Option<usize>> =
        if held.len() == count { held.iter().map(position).collect() } else { vec![None; count] };
    let mut holds = vec![0; usable.len()];
    table.iter().flatten().for_each(|holder| holds[*holder] += 1);
    let shares = shares(&holds, count);
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
    table.into_iter().flatten().map(|member| usable[member]).collect()
}

/// How many buckets each is to hold. Where they can't be even, those that hold most get one more.
fn shares(holds: &[usize], count: usize) -> Vec<usize> {
    let (even, over) = (count / holds.len(), count % holds.len());
    let mut by_held: Vec<usize> = (0..holds.len()).collect();
    by_held.sort_by_key(|member| core::cmp::Reverse(holds[*member]));
    let mut shares = vec![even; holds.len()];
    by_held.into_iter().take(over).for_each(|member| shares[member] += 1);
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
