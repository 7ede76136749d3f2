//! What the modes have in common that use all links at once.
//!
//! The other side uses each link as soon as it has carrier, and may know of it before we do: members let frames in whatever
//! is known of their links, as in Linux. They send when they are up, in the order in which they joined, as in Linux's array
//! of usable slaves. When none is up the one that has waited longest in `updelay` is used at once.
//!
//! A member that was disabled by hand gets no frames to send. What the other side goes on sending by it, because its
//! link has carrier, is let in.

use bond_port::{ActiveCause, Compiled, Member, View};
use forwarding::drop_reason::DropReason;
use forwarding::tables::{Admission, TransmitPlan};

/// Compiles a group; `plan` makes the transmit plan of the members that send, of which there is at least one.
pub(crate) fn compile(view: &View<'_>, plan: impl FnOnce(&[&Member]) -> TransmitPlan) -> Compiled {
    let skip_updelay = if view.up().next().is_none() { view.soonest_back() } else { None };
    let usable: Vec<&Member> = view.up().chain(skip_updelay).collect();
    Compiled {
        plan: if usable.is_empty() { TransmitPlan::Drop(DropReason::NoMember) } else { plan(&usable) },
        admissions: vec![Admission::AllButReflected; view.members.len()],
        active: None,
        cause: ActiveCause::ModeChanged,
        skip_updelay: skip_updelay.map(Member::id),
        announce: None,
        deadline: None,
    }
}
