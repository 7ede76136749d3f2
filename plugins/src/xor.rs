//! balance-xor: a hash of the frame picks the member.
//!
//! The switch on the other side holds the same links in a static aggregation group, and sends each frame by one of them
//! only. The table is Linux's array of usable slaves: members that are up, in the order in which they joined, so that
//! the same hash picks the same member as there; with `hash_buckets` or `rebalance_interval` it is a table of buckets.

use bond_port::{Balancer, Compiled, View};
use forwarding::tables::TransmitPlan;

use crate::group;
use crate::table::{Table, answers_by_table};

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

    answers_by_table!(table);
}
