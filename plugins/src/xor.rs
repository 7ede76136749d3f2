//! balance-xor: a hash of the frame picks the member.
//!
//! The switch on the other side holds the same links in a static aggregation group, and sends each frame by one of them
//! only. The table is Linux's array of usable slaves: members that are up, in the order in which they joined, so that
//! the same hash picks the same member as there; with `hash_buckets` or `rebalance_interval` it is a table of buckets.

use core::time::Duration;

use bond_port::rebalance::{BUCKETS, MigrateError, Rebalancer, Stays};
use bond_port::{Balancer, Compiled, MemberId, View};
use forwarding::tables::TransmitPlan;

use crate::group;
use crate::table::Table;

/// The plugin.
#[derive(Debug, Default)]
pub struct Xor {
    table: Table,
}

impl Balancer for Xor {
    fn compile(&mut self, view: &View<'_>) -> Compiled {
        let compiled = group::compile(view, |usable| self.table.plan(view, usable));
        // Without a usable member there is no table, and none is held.
        if matches!(compiled.plan, TransmitPlan::Drop(_)) {
            self.table.clear();
        }
        compiled
    }

    fn rebalancer(&self) -> Option<&Rebalancer<MemberId>> {
        self.table.rebalancer()
    }

    fn rebalance(&mut self, now: Duration, counters: &[u64; BUCKETS]) {
        self.table.rebalance(now, counters);
    }

    fn rebalance_now(
        &mut self,
        now: Duration,
        counters: Option<&[u64; BUCKETS]>,
    ) -> Option<Result<usize, Stays>> {
        self.table.rebalance_now(now, counters)
    }

    fn migrate(&mut self, now: Duration, bucket: usize, to: MemberId) -> Option<Result<bool, MigrateError>> {
        self.table.migrate(now, bucket, to)
    }

    fn buckets(&self) -> &[MemberId] {
        self.table.held()
    }

    fn restore_buckets(&mut self, held: Vec<MemberId>) {
        self.table.restore(held);
    }
}
