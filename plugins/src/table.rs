//! The transmit table of modes that pick the member by a hash.
//!
//! Without buckets it is Linux's array of usable slaves, in the order in which they joined, so that the same hash picks
//! the same member as there. With `hash_buckets` it is a resilient table ([`bond_port::buckets::share`]); with
//! `rebalance_interval`, and in balance-slb and balance-tlb, one in which buckets move by load or by hand besides
//! ([`bond_port::rebalance`]).

use core::time::Duration;
use std::sync::Arc;

use bond_port::buckets::{self, Weighted};
use bond_port::rebalance::{BUCKETS, MigrateError, Policy, Rebalancer, Stays};
use bond_port::{BondOptions, Member, MemberId, View};
use forwarding::bucket_loads::BucketLoads;
use forwarding::flow_hash::HashPolicy;
use forwarding::ids::DeviceId;
use forwarding::tables::TransmitPlan;

/// A table, as it is from one plan to the next.
#[derive(Debug, Default)]
pub(crate) struct Table {
    /// Bucket to member; empty without buckets.
    held: Vec<MemberId>,
    /// Those that it was made for.
    members: Vec<Weighted<MemberId>>,
    balance: Option<Balance>,
}

/// What moves buckets by load.
#[derive(Debug)]
struct Balance {
    rebalancer: Rebalancer<MemberId>,
    loads: Arc<BucketLoads>,
}

impl Table {
    /// The plan by which `usable`, not empty, send, by the hash that was chosen.
    pub(crate) fn plan(&mut self, view: &View<'_>, usable: &[&Member]) -> TransmitPlan {
        self.plan_by(view.options.xmit_hash_policy, view, usable)
    }

    /// The same by this hash.
    pub(crate) fn plan_by(&mut self, hash: HashPolicy, view: &View<'_>, usable: &[&Member]) -> TransmitPlan {
        let (hash, table, loads) = self.parts(hash, view, usable);
        TransmitPlan::Buckets { hash, table, loads }
    }

    /// What such a plan consists of: the hash, bucket to device, counters.
    pub(crate) fn parts(
        &mut self,
        hash: HashPolicy,
        view: &View<'_>,
        usable: &[&Member],
    ) -> (HashPolicy, Arc<[DeviceId]>, Option<Arc<BucketLoads>>) {
        let options = view.options;
        self.configure(options);
        let count = options.buckets();
        let members = buckets::by_speed(usable.iter().map(|member| (member.id(), member.speed_mbps())));
        if count == 0 {
            self.held.clear();
        } else if self.balance.is_some() {
            let ids = |list: &[Weighted<MemberId>]| list.iter().map(|each| each.member).collect::<Vec<_>>();
            if self.held.len() != count || ids(&self.members) != ids(&members) {
                self.held = buckets::adopt(&self.held, &members, count);
            }
        } else {
            let ids: Vec<MemberId> = usable.iter().map(|member| member.id()).collect();
            self.held = buckets::share(&self.held, &ids, count);
        }
        self.members = members;
        let device = |id: &MemberId| view.member(*id).and_then(Member::device);
        let table = match count {
            0 => usable.iter().filter_map(|member| member.device()).collect(),
            _ => self.held.iter().filter_map(device).collect(),
        };
        let by_load = self.balance.as_ref().filter(|balance| !balance.rebalancer.interval().is_zero());
        let loads = by_load.map(|balance| Arc::clone(&balance.loads));
        (hash, table, loads)
    }

    /// Nobody sends. Who has sent by which bucket is forgotten.
    pub(crate) fn clear(&mut self) {
        self.held.clear();
        self.members.clear();
    }

    /// Bucket to member as it was last; empty without buckets.
    pub(crate) fn held(&self) -> &[MemberId] {
        &self.held
    }

    /// Begins with a predecessor's buckets. The next plan keeps them as far as their holders send.
    pub(crate) fn restore(&mut self, held: Vec<MemberId>) {
        self.held = held;
        self.members.clear();
    }

    /// What moves buckets by load, if anything does.
    pub(crate) fn rebalancer(&self) -> Option<&Rebalancer<MemberId>> {
        self.balance.as_ref().map(|balance| &balance.rebalancer)
    }

    /// A period has ended with these counters. The next plan has the table after it.
    pub(crate) fn rebalance(&mut self, now: Duration, counters: &[u64; BUCKETS]) {
        let Some(Balance { rebalancer, .. }) = &mut self.balance else { return };
        let plan = rebalancer.handle_timeout(now, counters, &self.held, &self.members);
        self.held = plan.table;
    }

    /// The same by hand: how many buckets were moved, or why none. `None`: none are moved at all.
    pub(crate) fn rebalance_now(
        &mut self,
        now: Duration,
        counters: Option<&[u64; BUCKETS]>,
    ) -> Option<Result<usize, Stays>> {
        let Balance { rebalancer, .. } = self.balance.as_mut()?;
        let plan = rebalancer.rebalance_now(now, counters, &self.held, &self.members);
        Some(plan.map(|plan| {
            self.held = plan.table;
            plan.moves.len()
        }))
    }

    /// Moves a bucket by hand. The next plan has the table after it.
    pub(crate) fn migrate(
        &mut self,
        now: Duration,
        bucket: usize,
        to: MemberId,
    ) -> Option<Result<bool, MigrateError>> {
        let Balance { rebalancer, .. } = self.balance.as_mut()?;
        let moved = rebalancer.migrate(now, &mut self.held, bucket, to, &self.members);
        Some(moved.map(|moved| moved.is_some()))
    }

    fn configure(&mut self, options: &BondOptions) {
        let interval = options.rebalancing();
        match &mut self.balance {
            Some(balance) if options.moves_buckets() => {
                if balance.rebalancer.interval() != interval {
                    balance.rebalancer.set_interval(interval);
                }
            }
            None if options.moves_buckets() => {
                let rebalancer = Rebalancer::new(interval, Policy::default());
                self.balance = Some(Balance { rebalancer, loads: Arc::default() });
            }
            balance => *balance = None,
        }
    }
}

/// What a mode answers a bond of its [`Table`]: the methods of [`bond_port::Balancer`] that are about buckets.
macro_rules! answers_by_table {
    ($($table:ident).+) => {
        fn rebalancer(&self) -> Option<&bond_port::rebalance::Rebalancer<bond_port::MemberId>> {
            self.$($table).+.rebalancer()
        }

        fn rebalance(
            &mut self,
            now: core::time::Duration,
            counters: &[u64; bond_port::rebalance::BUCKETS],
        ) {
            self.$($table).+.rebalance(now, counters);
        }

        fn rebalance_now(
            &mut self,
            now: core::time::Duration,
            counters: Option<&[u64; bond_port::rebalance::BUCKETS]>,
        ) -> Option<Result<usize, bond_port::rebalance::Stays>> {
            self.$($table).+.rebalance_now(now, counters)
        }

        fn migrate(
            &mut self,
            now: core::time::Duration,
            bucket: usize,
            to: bond_port::MemberId,
        ) -> Option<Result<bool, bond_port::rebalance::MigrateError>> {
            self.$($table).+.migrate(now, bucket, to)
        }

        fn buckets(&self) -> &[bond_port::MemberId] {
            self.$($table).+.held()
        }

        fn restore_buckets(&mut self, held: Vec<bond_port::MemberId>) {
            self.$($table).+.restore(held);
        }
    };
}

pub(crate) use answers_by_table;
