//! balance-xor: a hash of the frame picks the member.
//!
//! The switch on the other side holds the same links in a static aggregation group. It therefore sends each frame by
//! one link only, any of them, and as soon as the link has carrier: members let frames in during `updelay` too. The
//! table is Linux's array of usable slaves: members that are up, in the order in which they joined, so that the same
//! hash picks the same member as there.

use bond_port::{ActiveCause, Balancer, Compiled, LinkState, Member, View};
use forwarding::drop_reason::DropReason;
use forwarding::ids::DeviceId;
use forwarding::tables::{Admission, TransmitPlan};

/// The plugin. It remembers nothing.
#[derive(Debug, Default)]
pub struct Xor;

impl Balancer for Xor {
    fn compile(&mut self, view: &View<'_>) -> Compiled {
        let mut table: Vec<DeviceId> = view.up().filter_map(Member::device).collect();
        let skip_updelay = if table.is_empty() { view.soonest_back() } else { None };
        table.extend(skip_updelay.and_then(Member::device));
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
