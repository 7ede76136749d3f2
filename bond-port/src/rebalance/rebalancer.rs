//! When buckets are moved, and which were.

use core::time::Duration;
use std::collections::VecDeque;

use crate::buckets::Weighted;

use super::{BUCKETS, Loads, Move, Plan, Policy, plan};

/// How many moves are remembered.
const REMEMBERED: usize = 32;

/// The most plans that leave a bucket alone after a move.
const LONGEST_REST: u8 = 64;

/// A bucket's rest from moves.
///
/// One that moves again soon after its rest is likely to be moved to and fro, by loads that come and go: it rests twice as
/// long each time. If it has stayed for four times as long as it rested, the next rest is a first one.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Rest {
    /// How many more plans leave it alone.
    pub(super) left: u8,
    /// How long it rested after the last move.
    length: u8,
    /// How many plans could have moved it since.
    stayed: u8,
}

impl Rest {
    fn begin(&mut self, least: u8) {
        let soon = self.stayed <= self.length.saturating_mul(4);
        self.length = if soon { self.length.saturating_mul(2).min(LONGEST_REST).max(least) } else { least };
        self.left = self.length;
        self.stayed = 0;
    }

    fn period(&mut self) {
        if self.left > 0 {
            self.left -= 1;
        } else {
            self.stayed = self.stayed.saturating_add(1);
        }
    }
}

/// Why a bucket was moved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// By load.
    Load,
    /// By hand.
    Hand,
}

/// A move that was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved<M> {
    /// When.
    pub at: Duration,
    /// Why.
    pub cause: Cause,
    /// What. The load is in octets a second.
    pub what: Move<M>,
}

/// Why a bucket can't be moved by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MigrateError {
    /// There is no such bucket.
    #[error("there is no bucket {bucket}: the bond has {count}, counted from 0")]
    NoBucket {
        /// What was asked for.
        bucket: usize,
        /// How many there are.
        count: usize,
    },
    /// The member to move it to is not one that carries traffic.
    #[error("the member to move the bucket to does not carry traffic now; bond/show tells which do")]
    NotUsable,
}

/// Rebalances one table of [`BUCKETS`] buckets each interval.
///
/// The caller has the table and the counters. It calls [`Rebalancer::handle_timeout`] at
/// [`Rebalancer::next_deadline`] and puts the table of the answer in place of its own. Whenever the usable members change
/// it calls [`crate::buckets::adopt`] on the table; nothing needs to be told here.
#[derive(Debug, Clone)]
pub struct Rebalancer<M> {
    policy: Policy,
    interval: Option<Duration>,
    /// The last timeout; if there was none, the start. The interval counts from it.
    pub(super) since: Option<Duration>,
    pub(super) loads: Loads,
    pub(super) rests: [Rest; BUCKETS],
    moved: u64,
    last: VecDeque<Moved<M>>,
}

impl<M: Copy + PartialEq> Rebalancer<M> {
    /// One that moves buckets each `interval`; or, if that is zero, only by hand.
    pub fn new(interval: Duration, policy: Policy) -> Self {
        Self {
            policy,
            interval: (!interval.is_zero()).then_some(interval),
            since: None,
            loads: Loads::new(),
            rests: [Rest::default(); BUCKETS],
            moved: 0,
            last: VecDeque::new(),
        }
    }

    /// When to call [`Rebalancer::handle_timeout`]; a time that has passed means now. `None`: never.
    ///
    /// The first call, at once, only reads the counters that the first period counts from.
    pub fn next_deadline(&self) -> Option<Duration> {
        let interval = self.interval?;
        Some(self.since.map_or(Duration::ZERO, |since| since.saturating_add(interval)))
    }

    /// The interval, zero if buckets are moved only by hand.
    pub fn interval(&self) -> Duration {
        self.interval.unwrap_or_default()
    }

    /// Changes the interval. The period that runs keeps its beginning: if it has already lasted as long as the new
    /// interval it ends now. Zero forgets the loads; what was moved stays where it is.
    pub fn set_interval(&mut self, interval: Duration) {
        self.interval = (!interval.is_zero()).then_some(interval);
        if self.interval.is_none() {
            self.since = None;
            self.loads = Loads::new();
            self.rests = [Rest::default(); BUCKETS];
        }
    }

    /// What is worth a move.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Changes what is worth a move, from the next plan on.
    pub fn set_policy(&mut self, policy: Policy) {
        self.policy = policy;
    }

    /// A period has ended: takes the counters (octets that each bucket has sent, as in [`Loads::observe`]) and answers
    /// with the moves to make and the table after them. Before the deadline, or without one, it does nothing and the
    /// plan is empty.
    ///
    /// `table` is the member of each bucket, `members` those that can carry traffic ([`crate::buckets::by_speed`]).
    pub fn handle_timeout(
        &mut self,
        now: Duration,
        counters: &[u64; BUCKETS],
        table: &[M],
        members: &[Weighted<M>],
    ) -> Plan<M> {
        let nothing = || Plan { moves: Vec::new(), table: table.to_vec() };
        if self.next_deadline().is_none_or(|deadline| now < deadline) {
            return nothing();
        }
        self.since = Some(now);
        self.loads.observe(now, counters, self.policy.newest_percent);
        let Some(loads) = self.loads.average() else { return nothing() };
        let rests = self.rests;
        let stays = |bucket: usize| rests.get(bucket).is_some_and(|rest| rest.left > 0);
        let plan = plan(table, loads, stays, members, &self.policy);
        self.rests.iter_mut().for_each(Rest::period);
        plan.moves.iter().for_each(|what| self.remember(now, Cause::Load, *what));
        plan
    }

    /// Moves a bucket by hand, in `table`. It rests afterwards like any other that was moved, then it may be moved by
    /// load. `None` if it is there already.
    pub fn migrate(
        &mut self,
        now: Duration,
        table: &mut [M],
        bucket: usize,
        to: M,
        members: &[Weighted<M>],
    ) -> Result<Option<Move<M>>, MigrateError> {
        let count = table.len();
        let holder = table.get_mut(bucket).ok_or(MigrateError::NoBucket { bucket, count })?;
        if members.iter().all(|each| each.member != to) {
            return Err(MigrateError::NotUsable);
        }
        if *holder == to {
            return Ok(None);
        }
        let load = self.loads().and_then(|loads| loads.get(bucket).copied()).unwrap_or(0);
        let what = Move { bucket, from: *holder, to, load };
        *holder = to;
        self.remember(now, Cause::Hand, what);
        Ok(Some(what))
    }

    pub(super) fn remember(&mut self, at: Duration, cause: Cause, what: Move<M>) {
        if let Some(rest) = self.rests.get_mut(what.bucket) {
            rest.begin(self.policy.rest_periods);
        }
        self.moved += 1;
        if self.last.len() == REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(Moved { at, cause, what });
    }

    /// The average load of each bucket in octets a second; `None` until a whole period has passed.
    pub fn loads(&self) -> Option<&[u64; BUCKETS]> {
        self.loads.average()
    }

    /// Moves since the start, by load and by hand.
    pub fn moved(&self) -> u64 {
        self.moved
    }

    /// The last moves, at most 32, oldest first.
    pub fn last_moves(&self) -> impl ExactSizeIterator<Item = &Moved<M>> {
        self.last.iter()
    }
}
