//! active-backup: one member carries everything, the others stand by.
//!
//! A planned change, from a member whose link is up, loses nothing: until the upstream switch has relearned, the old
//! member still lets in what is for our guests ([`GRACE`]).

use core::time::Duration;

use bond_port::{Balancer, BondOptions, Compiled, Member, MemberId, View};
use forwarding::drop_reason::DropReason;
use forwarding::tables::{Admission, TransmitPlan};

pub use crate::active::GRACE;
use crate::active::{Choice, has_link, mode_changed};

/// The plugin.
#[derive(Debug, Default)]
pub struct ActiveBackup {
    choice: Choice,
    /// Until then the active member refuses our own broadcasts that the old one sent just before the change and the switch
    /// brings back.
    settling: Option<Duration>,
    /// Members that ceased to carry frames with their link up, and until when they are in grace.
    graced: Vec<(MemberId, Duration)>,
}

impl Balancer for ActiveBackup {
    fn compile(&mut self, view: &View<'_>) -> Compiled {
        let (selected, cause) = self.choice.select(view, Member::is_usable);
        let new = selected.map(Member::id);
        let changed = new != self.choice.active;
        if changed {
            self.change(view, new);
        }
        self.settling = self.settling.filter(|until| *until > view.now);
        self.graced.retain(|(id, until)| *until > view.now && view.member(*id).is_some_and(has_link));
        Compiled {
            plan: selected
                .and_then(Member::device)
                .map_or(TransmitPlan::Drop(DropReason::NoMember), TransmitPlan::One),
            admissions: view.members.iter().map(|member| self.admission(member, view.options)).collect(),
            active: new,
            cause,
            skip_updelay: new.filter(|_| selected.is_some_and(|member| !member.link().is_usable())),
            announce: new.filter(|_| changed),
            deadline: self.graced.iter().map(|(_, until)| *until).chain(self.settling).min(),
        }
    }
}

impl ActiveBackup {
    fn change(&mut self, view: &View<'_>, new: Option<MemberId>) {
        let until = view.now.saturating_add(GRACE);
        // One that is removed or has no link is sorted out below, with those whose time is over.
        self.graced.extend(self.choice.active.map(|old| (old, until)));
        if mode_changed(view) {
            let others = view.members.iter().map(Member::id).filter(|id| Some(*id) != new);
            self.graced.extend(others.map(|id| (id, until)));
        }
        self.settling = new.map(|_| until);
        self.choice.active = new;
    }

    fn admission(&self, member: &Member, options: &BondOptions) -> Admission {
        let id = member.id();
        if Some(id) == self.choice.active {
            return if self.settling.is_some() { Admission::AllButReflected } else { Admission::All };
        }
        if options.all_slaves_active && member.is_up() {
            Admission::AllButReflected
        } else if self.graced.iter().any(|(graced, _)| *graced == id) {
            Admission::Grace
        } else {
            Admission::Nothing
        }
    }
}
