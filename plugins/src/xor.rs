//! balance-xor: a hash of the frame picks the member.
//!
//! The switch on the other side holds the same links in a static aggregation group, and sends each frame by one of them
//! only. The table is Linux's array of usable slaves: members that are up, in the order in which they joined, so that
//! the same hash picks the same member as there. With `hash_buckets` it is a resilient table instead:
//! [`bond_port::buckets`].

use bond_port::{Balancer, Compiled, Member, MemberId, View, buckets};
use forwarding::ids::DeviceId;
use forwarding::tables::TransmitPlan;

use crate::group;

/// The plugin.
#[derive(Debug, Default)]
pub struct Xor {
    /// The resilient table as it was last; empty without one.
    held: Vec<MemberId>,
}

impl Balancer for Xor {
    fn compile(&mut self, view: &View<'_>) -> Compiled {
        // Without a usable member there is no table, and none is held.
        let held = core::mem::take(&mut self.held);
        group::compile(view, |usable| TransmitPlan::Buckets {
            hash: view.options.xmit_hash_policy,
            table: self.table(view, usable, &held).into(),
        })
    }

    fn buckets(&self) -> &[MemberId] {
        &self.held
    }

    fn restore_buckets(&mut self, held: Vec<MemberId>) {
        self.held = held;
    }
}

impl Xor {
    /// Bucket to device; `held` is the resilient table as it was.
    fn table(&mut self, view: &View<'_>, usable: &[&Member], held: &[MemberId]) -> Vec<DeviceId> {
        let count = usize::from(view.options.hash_buckets);
        if count == 0 {
            return usable.iter().filter_map(|member| member.device()).collect();
        }
        let ids: Vec<MemberId> = usable.iter().map(|member| member.id()).collect();
        self.held = buckets::share(held, &ids, count);
        let device = |id: &MemberId| view.member(*id).and_then(Member::device);
        self.held.iter().filter_map(device).collect()
    }
}
