//! Round robin: whose turn it is.
//!
//! Follows Linux's `bond_xmit_roundrobin_slave_get` and `bond_rr_gen_slave_id`, with two differences. Linux counts on
//! each CPU apart; here all executors share one counter, so that the order of turns is that of the frames. And where
//! Linux draws a random number, the counter is hashed, because nothing here may ask for randomness.

use core::sync::atomic::{AtomicU32, Ordering};

/// How many frames have had their turn. Shared by all executors without a lock, and by all generations of tables.
///
/// It wraps at 2^32 frames; a member's run of frames may then be cut short, as in Linux.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Turn(AtomicU32);

impl Turn {
    /// Nobody has had a turn.
    pub const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    /// Takes the next turn; no two callers get the same. Turns count from 0.
    #[inline]
    pub fn take(&self) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// The turn that the next caller of [`Self::take`] would get, left for that caller.
    #[inline]
    pub fn peek(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Two plans that differ in nothing but the frames that have passed are the same plan.
impl PartialEq for Turn {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Turn {}

/// Which of `members` has this turn: each gets `per_member` turns in a row. With 0 (Linux: a random member for each
/// frame) the turn is hashed. `None` if there are no members.
#[inline]
pub fn member_of(turn: u32, per_member: u32, members: u32) -> Option<u32> {
    turn.checked_div(per_member).unwrap_or_else(|| mix(turn)).checked_rem(members)
}

/// The finalizer of MurmurHash3: each bit of the input changes half of the bits of the output. One to one.
#[inline]
fn mix(mut n: u32) -> u32 {
    n ^= n >> 16;
    n = n.wrapping_mul(0x85eb_ca6b);
    n ^= n >> 13;
    n = n.wrapping_mul(0xc2b2_ae35);
    n ^ n >> 16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn runs_of_so_many_frames() {
        let members =
            |per_member| (0..8).map(|turn| member_of(turn, per_member, 3).unwrap()).collect::<Vec<_>>();
        assert_eq!(members(1), [0, 1, 2, 0, 1, 2, 0, 1]);
        assert_eq!(members(3), [0, 0, 0, 1, 1, 1, 2, 2]);
        assert_eq!(member_of(5, 1, 0), None);
        assert_eq!(member_of(5, 0, 0), None);
        assert_eq!(member_of(u32::MAX, 65_535, 1), Some(0));
    }

    #[test]
    fn the_counter_wraps() {
        let turn = Turn(AtomicU32::new(u32::MAX));
        assert_eq!([turn.peek(), turn.take(), turn.peek(), turn.take()], [u32::MAX, u32::MAX, 0, 0]);
    }

    /// Each member's share within 3 %; runs are as long as those of a coin; and no member is picked by a rule as simple
    /// as that of the turn before.
    #[test]
    fn by_lot_each_gets_its_share_and_no_order_is_seen() {
        const TURNS: u32 = 100_000;
        for members in 2..=8 {
            let picked: Vec<u32> = (0..TURNS).map(|turn| member_of(turn, 0, members).unwrap()).collect();
            let even = f64::from(TURNS) / f64::from(members);
            for member in 0..members {
                let share = picked.iter().filter(|one| **one == member).count() as f64;
                assert!((share / even - 1.0).abs() < 0.03, "{members}: member {member} has {share}");
            }
            for step in 0..members {
                let steps =
                    picked.windows(2).filter(|two| (two[0] + step) % members == two[1]).count() as f64;
                assert!((steps / even - 1.0).abs() < 0.04, "{members}: {steps} steps of {step}");
            }
        }
    }

    #[test]
    fn threads_get_each_turn_once() {
        const EACH: u32 = 20_000;
        let turn = Turn::new();
        let mut taken: Vec<u32> = std::thread::scope(|scope| {
            let take = || (0..EACH).map(|_| turn.take()).collect::<Vec<_>>();
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        taken.sort_unstable();
        assert!(taken.into_iter().eq(0..4 * EACH));
    }

    proptest! {
        /// As long as the counter doesn't wrap each member has its run, one after the other.
        #[test]
        fn each_in_its_turn(start in 0..u32::MAX / 2, per_member in 1..65_536u32, members in 1..9u32) {
            let first = start - start % (per_member * members);
            for member in 0..members {
                let run = first + member * per_member;
                prop_assert_eq!(member_of(run, per_member, members), Some(member));
                prop_assert_eq!(member_of(run + per_member - 1, per_member, members), Some(member));
            }
        }
    }
}
