//! Moving buckets between members by load.
//!
//! A hash spreads flows evenly, but flows are not alike: a few carry most of the octets. [`plan`] looks at what each
//! bucket carried and moves few of them so that members carry load in proportion to their speed. It is a pure function,
//! shared by every mode that moves buckets by load and by whatever counts them. [`Rebalancer`] puts it to work: the
//! counters of [`Loads`], the interval, the moves so far, and moves by hand.
//!
//! # What is a move worth
//! A move reorders the frames in flight of every flow in the bucket, and where the upstream switch learns addresses from
//! them it sees them flap. So a bucket moves only if
//! - the two members are apart: the giving one's surplus (what it carries above its share) and the taking one's lack are
//!   together at least [`Policy::min_imbalance_percent`], each as part of its own share;
//! - it fits: the taking member's utilisation stays below what the giving one's was, so that no plan makes the highest
//!   utilisation higher; and both come nearer to their shares;
//! - it helps: all the buckets that fit bring at least [`Policy::min_gain_percent`] of what should go from the one to the
//!   other; and so would a whole plan of moves like this one, or it carries at least what an average bucket does. Hundreds
//!   of tiny buckets are not moved to make up for a large one that can't be.
//!
//! A bucket that is larger than what should be moved (an elephant flow) stays: moved, it would overload the other member
//! as much. If nothing of a member's surplus can move it is set aside, and the others are balanced among themselves.
//!
//! # Rest
//! Each move lowers the sum over members of load² / weight, so for constant loads a finite number of plans leads to an
//! empty one. For loads that change, [`Loads`] averages over periods; a plan begins at a larger imbalance than it goes on
//! to; and a bucket that has moved rests for [`Policy::rest_periods`], longer each time if it moves again and again.
//!
//! # Members that come and go
//! [`plan`] never touches a bucket of a member that it is not given, so call [`crate::buckets::adopt`] first whenever the
//! usable members change: it deals a lost member's buckets to the others and nothing else, and gives a member that joins
//! its share of buckets, also of idle ones, at once. ([`crate::buckets::share_by_weight`] would make the *numbers* of
//! buckets even and undo what was moved by load.) A member that holds no bucket, or only idle ones, is given load by
//! [`plan`] as well: it lacks its whole share.

mod by_hand;
mod loads;
mod rebalancer;
#[cfg(test)]
mod tests;

use crate::buckets::Weighted;

pub use self::by_hand::Stays;
pub use self::loads::Loads;
pub use self::rebalancer::{Cause, MigrateError, Moved, Rebalancer};

/// How many buckets a table has that is rebalanced: the low 8 bits of a hash, as in OVS and in Linux's balance-tlb; as many
/// as are counted.
pub use forwarding::bucket_loads::BUCKETS;

/// When a bucket is worth moving, and how many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The most moves in one plan. 0: none.
    pub max_moves: usize,
    /// How far two members must be apart, in percent of their shares, for a bucket to move between them.
    pub min_imbalance_percent: u8,
    /// The same for the first move of a plan: above it a plan begins, and it goes on down to the other. So what is left
    /// is well below what would begin the next one. Not below `min_imbalance_percent`, or that counts.
    pub start_imbalance_percent: u8,
    /// How much of what should go from one member to the other moves must bring, in percent: all that are possible; and
    /// `max_moves` of any one, unless it carries as much as an average bucket.
    pub min_gain_percent: u8,
    /// Load below which nothing is moved: what should go from one member to another must be as much. In the unit of the
    /// loads; with [`Rebalancer`] octets a second.
    pub min_load: u64,
    /// How many plans leave a bucket alone after its move. If it moves again soon afterwards it rests twice as long, up to
    /// 64 plans.
    pub rest_periods: u8,
    /// How much the last period counts in the average load, in percent, 1-100. 50 is what OVS does.
    pub newest_percent: u8,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_moves: 16,
            min_imbalance_percent: 3,
            start_imbalance_percent: 8,
            min_gain_percent: 10,
            min_load: 10_000,
            rest_periods: 4,
            newest_percent: 75,
        }
    }
}

/// A bucket that changes its member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Move<M> {
    /// Its position in the table.
    pub bucket: usize,
    /// Who has it now.
    pub from: M,
    /// Who is to have it.
    pub to: M,
    /// What it carries, in the unit of the loads.
    pub load: u64,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan<M> {
    /// In the order in which they were found, those that bring most mostly first. No bucket twice.
    pub moves: Vec<Move<M>>,
    /// The table after them.
    pub table: Vec<M>,
}

/// Plans which buckets to move.
///
/// - `table`: the member of each bucket. A bucket of a member that is not in `members` stays and counts for nothing.
/// - `loads`: what each bucket carries, in any unit, the same for all. Buckets without one are idle.
/// - `stays`: whether a bucket, by its position, must not move.
/// - `members`: those that can carry traffic, with their weights; none twice.
///
/// Depends on nothing but its arguments. See the module for what is moved.
pub fn plan<M: Copy + PartialEq>(
    table: &[M],
    loads: &[u64],
    stays: impl Fn(usize) -> bool,
    members: &[Weighted<M>],
    policy: &Policy,
) -> Plan<M> {
    let mut plan = Plan { moves: Vec::new(), table: table.to_vec() };
    let mut state = State::new(table, loads, stays, members, policy);
    while plan.moves.len() < policy.max_moves {
        let first = plan.moves.is_empty();
        let start = if first { policy.start_imbalance_percent } else { 0 };
        let Some((bucket, to)) = state.next(policy, start.max(policy.min_imbalance_percent)) else { break };
        let to = members[to].member;
        plan.moves.push(Move { bucket, from: plan.table[bucket], to, load: loads[bucket] });
        plan.table[bucket] = to;
    }
    plan
}

/// How uneven the load is: by how much the most utilised member's load exceeds its share, as a part of that share. 0 is
/// even, 1 is twice its share. For reports; no decision hangs on it.
pub fn imbalance<M: Copy + PartialEq>(table: &[M], loads: &[u64], members: &[Weighted<M>]) -> f64 {
    let (carried, total) = carried(table, loads, members);
    let weights = members.iter().map(|member| f64::from(member.weight.max(1)));
    let weight: f64 = weights.clone().sum();
    let even = total as f64 / weight;
    let most = carried.iter().zip(weights).map(|(load, weight)| *load as f64 / weight).fold(0.0, f64::max);
    if total == 0 { 0.0 } else { most / even - 1.0 }
}

/// What each member carries, and all together.
fn carried<M: Copy + PartialEq>(table: &[M], loads: &[u64], members: &[Weighted<M>]) -> (Vec<u128>, u128) {
    let mut carried = vec![0; members.len()];
    for (holder, load) in table.iter().zip(loads) {
        if let Some(member) = members.iter().position(|each| each.member == *holder) {
            carried[member] += u128::from(*load);
        }
    }
    let total = carried.iter().sum();
    (carried, total)
}

/// Bits of the sum of all loads while a plan is made. They are scaled to it, up or down, so that products of two fit in
/// an `i128` with room for percents, and rounding never shows.
const SCALE: u32 = 56;

/// A plan in the making. Members are positions in the list of members, loads are scaled.
struct State {
    holders: Vec<Option<usize>>,
    loads: Vec<i128>,
    /// Moved already, or not to be moved.
    stays: Vec<bool>,
    weights: Vec<i128>,
    carried: Vec<i128>,
    /// Nothing of its surplus can move.
    aside: Vec<bool>,
    min_load: i128,
    /// What an average bucket carries.
    average: i128,
}

impl State {
    fn new<M: Copy + PartialEq>(
        table: &[M],
        loads: &[u64],
        stays: impl Fn(usize) -> bool,
        members: &[Weighted<M>],
        policy: &Policy,
    ) -> Self {
        let (carried, total) = carried(table, loads, members);
        let bits = u128::BITS - total.leading_zeros();
        // Below 2^56 for all members' together; another bucket's load may be larger, but is not looked at.
        let scaled = |load: u128| {
            if bits > SCALE { load >> (bits - SCALE) } else { load << (SCALE - bits) }.cast_signed()
        };
        let position = |holder: &M| members.iter().position(|each| each.member == *holder);
        let holders: Vec<Option<usize>> =
            table.iter().zip(loads).map(|(holder, _)| position(holder)).collect();
        let loads: Vec<i128> = loads.iter().map(|load| scaled(u128::from(*load))).collect();
        Self {
            stays: (0..holders.len()).map(stays).collect(),
            average: scaled(total) / holders.len().max(1) as i128,
            holders,
            loads,
            weights: members.iter().map(|member| i128::from(member.weight.max(1))).collect(),
            carried: carried.into_iter().map(scaled).collect(),
            aside: vec![false; members.len()],
            min_load: scaled(u128::from(policy.min_load)).max(1),
        }
    }

    /// The members that are still balanced.
    fn taking_part(&self) -> impl Iterator<Item = usize> + Clone {
        (0..self.weights.len()).filter(|member| !self.aside[*member])
    }

    /// What each should carry: their load by weight. Those set aside have no share.
    fn shares(&self) -> Vec<i128> {
        let total: i128 = self.taking_part().map(|member| self.carried[member]).sum();
        let weight: i128 = self.taking_part().map(|member| self.weights[member]).sum();
        self.weights.iter().map(|each| total * each / weight.max(1)).collect()
    }

    /// The next bucket to move and where to, made so; or nothing is worth a move.
    fn next(&mut self, policy: &Policy, least_imbalance_percent: u8) -> Option<(usize, usize)> {
        loop {
            let shares = self.shares();
            // The most utilised; of equals the first.
            let from = self.taking_part().reduce(|most, next| {
                let higher = self.carried[next] * shares[most] > self.carried[most] * shares[next];
                if higher { next } else { most }
            })?;
            let surplus = self.carried[from] - shares[from];
            let mut apart = false;
            let mut best: Option<(i128, usize, usize)> = None;
            for to in self.taking_part() {
                let lack = shares[to] - self.carried[to];
                let together = surplus * shares[to] + lack * shares[from];
                let least = i128::from(least_imbalance_percent) * shares[from] * shares[to];
                if surplus <= 0 || lack <= 0 || together * 100 < least {
                    continue;
                }
                apart = true;
                if let Some((gain, bucket)) = self.best_bucket(from, to, &shares, policy)
                    && best.is_none_or(|(most, _, _)| gain > most)
                {
                    best = Some((gain, bucket, to));
                }
            }
            if let Some((_, bucket, to)) = best {
                self.carried[from] -= self.loads[bucket];
                self.carried[to] += self.loads[bucket];
                self.holders[bucket] = Some(to);
                self.stays[bucket] = true;
                return Some((bucket, to));
            }
            if !apart {
                return None;
            }
            self.aside[from] = true;
        }
    }

    /// The bucket of `from` that is best moved to `to`, and how much nearer it brings the two to their shares.
    fn best_bucket(&self, from: usize, to: usize, shares: &[i128], policy: &Policy) -> Option<(i128, usize)> {
        let (carried, share) = ((self.carried[from], self.carried[to]), (shares[from], shares[to]));
        // What should go from one to the other: no more than the one has too much or the other too little.
        let amount = (carried.0 - share.0).min(share.1 - carried.1);
        if amount < self.min_load {
            return None;
        }
        // With more, the one would be as utilised as the other was.
        let most = (carried.0 * share.1 - carried.1 * share.0) / share.0;
        let fits = |bucket: &usize| {
            let load = self.loads[*bucket];
            !self.stays[*bucket]
                && self.holders[*bucket] == Some(from)
                && load > 0
                && load < most.min(2 * amount)
        };
        let gain = |bucket: usize| self.loads[bucket].min(2 * amount - self.loads[bucket]);
        let worth = |gain: i128| gain * 100 >= amount * i128::from(policy.min_gain_percent);
        let buckets = (0..self.holders.len()).filter(fits);
        if !worth(buckets.clone().map(gain).sum()) {
            return None;
        }
        let plan_of = policy.max_moves.min(BUCKETS) as i128;
        buckets
            .map(|bucket| (gain(bucket), bucket))
            .filter(|(gain, _)| worth(gain * plan_of) || *gain >= self.average)
            .reduce(|best, next| if next.0 > best.0 { next } else { best })
    }
}
