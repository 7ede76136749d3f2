//! balance-xor: a hash of the frame picks the member.
//!
//! The switch on the other side holds the same links in a static aggregation group. It therefore sends each frame by
//! one link only, any of them, and as soon as the link has carrier: members let frames in during `updelay` too. The
//! table is Linux's array of usable slaves: members that are up, in the order in which they joined, so that the same
//! hash picks the same member as there. With `hash_buckets` it is a resilient table instead: [`bond_port::buckets`].
//!
//! A member that was disabled by hand gets no frames to send. What the switch goes on sending by it, because its link
//! has carrier, is let in.

use bond_port::{ActiveCause, Balancer, Compiled, LinkState, Member, MemberId, View, buckets};
use forwarding::drop_reason::DropReason;
use forwarding::ids::DeviceId;
use forwarding::tables::{Admission, TransmitPlan};

/// The plugin.
#[derive(Debug, Default)]
pub struct Xor {
    /// The resilient table as it was last; empty without one.
    held: Vec<MemberId>,
}

impl Balancer for Xor {
    fn compile(&mut self, view: &View<'_>) -> Compiled {
        let skip_updelay = if view.up().next().is_none() { view.soonest_back() } else { None };
        let usable: Vec<&Member> = view.up().chain(skip_updelay).collect();
        let table = self.table(view, &usable);
        let admission = |member: &Member| match member.link() {
            LinkState::Up | LinkState::GoingBack => Admission::AllButReflected,
            LinkState::GoingDown | LinkState::Down => Admission::Nothing,
        };
        Compiled {
            plan: if table.is_empty() {
                TransmitPlan::Drop(DropReason::NoMember)
            } else {
                TransmitPlan::Buckets { hash: view.options.xmit_hash_policy, table: table.into() }
            },
            admissions: view.members.iter().map(admission).collect(),
            active: None,
            cause: ActiveCause::ModeChanged,
            skip_updelay: skip_updelay.map(Member::id),
            announce: None,
            deadline: None,
        }
    }
}

impl Xor {
    /// Bucket to device.
    fn table(&mut self, view: &View<'_>, usable: &[&Member]) -> Vec<DeviceId> {
        let count = usize::from(view.options.hash_buckets);
        if count == 0 {
            self.held.clear();
            return usable.iter().filter_map(|member| member.device()).collect();
        }
        let ids: Vec<MemberId> = usable.iter().map(|member| member.id()).collect();
        self.held = buckets::share(&self.held, &ids, count);
        let device = |id: &MemberId| view.member(*id).and_then(Member::device);
        self.held.iter().filter_map(device).collect()
    }
}
