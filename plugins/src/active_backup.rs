//! active-backup: one member carries everything, the others stand by.

use bond_port::{Balancer, Compiled, Member, View};
use forwarding::drop_reason::DropReason;
use forwarding::tables::TransmitPlan;

pub use crate::active::GRACE;
use crate::receiver::Receiver;

/// The plugin.
#[derive(Debug, Default)]
pub struct ActiveBackup {
    receiver: Receiver,
}

impl Balancer for ActiveBackup {
    fn compile(&mut self, view: &View<'_>) -> Compiled {
        let chosen = self.receiver.choose(view);
        Compiled {
            plan: (chosen.member)
                .and_then(Member::device)
                .map_or(TransmitPlan::Drop(DropReason::NoMember), TransmitPlan::One),
            admissions: self.receiver.admissions(view),
            active: chosen.id(),
            cause: chosen.cause,
            skip_updelay: chosen.skip_updelay(),
            announce: chosen.id().filter(|_| chosen.changed),
            deadline: self.receiver.deadline(),
        }
    }
}
