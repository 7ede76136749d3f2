//! A plan by hand, between two periods, and why it moves nothing if it doesn't.

use core::fmt;
use core::time::Duration;

use crate::buckets::Weighted;

use super::rebalancer::Rest;
use super::{BUCKETS, Cause, Plan, Policy, Rebalancer, imbalance, plan};

/// What is counted in less time says little of the load.
const SHORTEST: Duration = Duration::from_secs(1);

/// Why no bucket is worth a move now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stays {
    /// The load is not known yet, or not counted.
    Unknown,
    /// Fewer than two members send.
    NoChoice {
        /// How many.
        members: usize,
    },
    /// Nothing is sent.
    Idle,
    /// The load is spread well enough.
    Even {
        /// By how much the most utilised member is above its share, in percent of that.
        above_percent: u64,
    },
    /// What should go from one member to another is too little.
    Light {
        /// What would be enough, in octets a second.
        least: u64,
    },
    /// Those that could move were moved lately.
    Resting {
        /// How many buckets rest.
        buckets: usize,
        /// For how many periods at most.
        periods: u8,
    },
    /// The load is uneven, but lies on buckets that would overload another member as much.
    TooLarge {
        /// By how much the most utilised member is above its share, in percent of that.
        above_percent: u64,
    },
}

/// For people.
impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str(
                "the load is not known yet, or not counted (fastpath/show); try again in a second",
            ),
            Self::NoChoice { members: 0 } => f.write_str("no member sends"),
            Self::NoChoice { .. } => f.write_str("only one member sends"),
            Self::Idle => f.write_str("nothing is sent"),
            Self::Even { above_percent } => {
                write!(f, "the load is even: the busiest member is {above_percent} % above its share")
            }
            Self::Light { least } => {
                write!(
                    f,
                    "less than {least} octets/s would have to go to another member, which is not worth a move"
                )
            }
            Self::Resting { buckets, periods } => write!(
                f,
                "{buckets} buckets were moved lately and rest, for {periods} more periods at most; bond/migrate moves any"
            ),
            Self::TooLarge { above_percent } => write!(
                f,
                "the busiest member is {above_percent} % above its share, but by buckets that would overload another as \
                 much"
            ),
        }
    }
}

impl<M: Copy + PartialEq> Rebalancer<M> {
    /// A plan now, from the loads up to the last period and, if at least a second has passed, those since. The period that
    /// runs goes on. The moves count as made by hand; the policy is the same.
    ///
    /// `counters`: as in [`Rebalancer::handle_timeout`]; `None`: not known.
    ///
    /// # Errors
    /// Why nothing is moved.
    pub fn rebalance_now(
        &mut self,
        now: Duration,
        counters: Option<&[u64; BUCKETS]>,
        table: &[M],
        members: &[Weighted<M>],
    ) -> Result<Plan<M>, Stays> {
        let (Some(since), Some(counters)) = (self.since, counters) else { return Err(Stays::Unknown) };
        if members.len() < 2 {
            return Err(Stays::NoChoice { members: members.len() });
        }
        let mut loads = self.loads.clone();
        if now.saturating_sub(since) >= SHORTEST {
            loads.observe(now, counters, self.policy().newest_percent);
        }
        let loads = loads.average().ok_or(Stays::Unknown)?;
        let rests = self.rests;
        let stays = |bucket: usize| rests.get(bucket).is_some_and(|rest| rest.left > 0);
        let plan = plan(table, loads, stays, members, self.policy());
        if plan.moves.is_empty() {
            return Err(why(table, loads, &rests, members, self.policy()));
        }
        plan.moves.iter().for_each(|what| self.remember(now, Cause::Hand, *what));
        Ok(plan)
    }
}

/// Finds out by asking the planner under which easier conditions it would move something.
fn why<M: Copy + PartialEq>(
    table: &[M],
    loads: &[u64],
    rests: &[Rest; BUCKETS],
    members: &[Weighted<M>],
    policy: &Policy,
) -> Stays {
    if loads.iter().all(|load| *load == 0) {
        return Stays::Idle;
    }
    let moves = |policy: &Policy| !plan(table, loads, |_| false, members, policy).moves.is_empty();
    let above_percent = (imbalance(table, loads, members) * 100.0).round() as u64;
    if moves(policy) {
        let left = rests.iter().map(|rest| rest.left).filter(|left| *left > 0);
        return Stays::Resting { buckets: left.clone().count(), periods: left.max().unwrap_or(0) };
    }
    if moves(&Policy { min_load: 0, ..*policy }) {
        return Stays::Light { least: policy.min_load };
    }
    let any_imbalance =
        Policy { min_imbalance_percent: 0, start_imbalance_percent: 0, min_load: 0, ..*policy };
    if moves(&any_imbalance) || above_percent < u64::from(policy.start_imbalance_percent) {
        return Stays::Even { above_percent };
    }
    Stays::TooLarge { above_percent }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buckets::share;

    const SECOND: Duration = Duration::from_secs(1);

    struct Lab {
        rebalancer: Rebalancer<u8>,
        counters: [u64; BUCKETS],
        table: Vec<u8>,
        members: Vec<Weighted<u8>>,
        now: Duration,
    }

    impl Lab {
        /// Buckets of even numbers are member 0's.
        fn new() -> Self {
            let mut lab = Self {
                rebalancer: Rebalancer::new(10 * SECOND, Policy::default()),
                counters: [0; BUCKETS],
                table: share(&[], &[0, 1], BUCKETS),
                members: [0, 1].map(|member| Weighted { member, weight: 10_000 }).into(),
                now: SECOND,
            };
            lab.rebalancer.handle_timeout(lab.now, &lab.counters, &lab.table, &lab.members);
            lab
        }

        /// In `time` every bucket sends so many octets a second.
        fn pass(&mut self, time: Duration, rate: impl Fn(usize) -> u64) {
            self.now += time;
            let sent = |bucket| rate(bucket) * time.as_millis() as u64 / 1000;
            (0..BUCKETS).for_each(|bucket| self.counters[bucket] += sent(bucket));
        }

        fn rebalance(&mut self) -> Result<usize, Stays> {
            let plan =
                self.rebalancer.rebalance_now(self.now, Some(&self.counters), &self.table, &self.members)?;
            self.table = plan.table;
            Ok(plan.moves.len())
        }
    }

    #[test]
    fn moves_between_two_periods_and_leaves_the_period_alone() {
        let mut lab = Lab::new();
        let deadline = lab.rebalancer.next_deadline();
        lab.pass(SECOND / 2, |bucket| if bucket % 2 == 0 { 1_000_000 } else { 0 });
        assert_eq!(lab.rebalance(), Err(Stays::Unknown), "too early to tell");
        lab.pass(2 * SECOND, |bucket| if bucket % 2 == 0 { 1_000_000 } else { 0 });
        assert_eq!(lab.rebalance(), Ok(Policy::default().max_moves));
        assert_eq!(lab.table.iter().filter(|member| **member == 0).count(), 112);
        assert_eq!(lab.rebalancer.next_deadline(), deadline);
        assert!(lab.rebalancer.last_moves().all(|moved| moved.cause == Cause::Hand));
        assert_eq!(lab.rebalancer.moved(), 16);
    }

    #[test]
    fn each_reason_for_no_move() {
        let after = |rate: fn(usize) -> u64| {
            let mut lab = Lab::new();
            lab.pass(2 * SECOND, rate);
            lab.rebalance()
        };
        assert_eq!(after(|_| 0), Err(Stays::Idle));
        assert_eq!(after(|_| 1_000_000), Err(Stays::Even { above_percent: 0 }));
        assert_eq!(
            after(|bucket| if bucket % 2 == 0 { 1_020_000 } else { 1_000_000 }),
            Err(Stays::Even { above_percent: 1 })
        );
        assert_eq!(after(|bucket| if bucket % 2 == 0 { 50 } else { 0 }), Err(Stays::Light { least: 10_000 }));
        assert_eq!(
            after(|bucket| if bucket == 4 { 9_000_000 } else { 0 }),
            Err(Stays::TooLarge { above_percent: 100 })
        );
        // What was moved just now carries most, where it is now.
        let mut lab = Lab::new();
        let before = lab.table.clone();
        lab.pass(2 * SECOND, |bucket| if bucket % 2 == 0 { 1_000_000 } else { 0 });
        assert_eq!(lab.rebalance(), Ok(16));
        let after = lab.table.clone();
        lab.pass(2 * SECOND, |bucket| if before[bucket] == after[bucket] { 0 } else { 900_000_000 });
        assert_eq!(lab.rebalance(), Err(Stays::Resting { buckets: 16, periods: 4 }));
        lab.members.pop();
        assert_eq!(lab.rebalance(), Err(Stays::NoChoice { members: 1 }));
        let nothing = lab.rebalancer.rebalance_now(lab.now, None, &lab.table, &lab.members);
        assert_eq!(nothing, Err(Stays::Unknown));
    }
}
