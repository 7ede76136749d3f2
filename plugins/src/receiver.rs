//! Modes in which one member, the active one, lets frames in: which one it is, and what the others do.
//!
//! A planned change, from a member whose link is up, loses nothing: until the upstream switch has relearned, the old
//! member still lets in what is for our guests ([`GRACE`]).

use core::time::Duration;

use bond_port::{ActiveCause, BondOptions, Member, MemberId, View};
use forwarding::tables::Admission;

use crate::active::{Choice, GRACE, has_link, mode_changed};

/// The active member and those before it.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    choice: Choice,
    /// Until then the active member refuses our own broadcasts that the old one sent just before the change and the switch
    /// brings back.
    settling: Option<Duration>,
    /// Members that ceased to carry frames with their link up, and until when they are in grace.
    graced: Vec<(MemberId, Duration)>,
}

/// What was chosen.
pub(crate) struct Chosen<'a> {
    /// The active member, if there is one.
    pub(crate) member: Option<&'a Member>,
    /// Why it is another than last time; of no meaning when it is not.
    pub(crate) cause: ActiveCause,
    /// It is another than last time.
    pub(crate) changed: bool,
}

impl Chosen<'_> {
    pub(crate) fn id(&self) -> Option<MemberId> {
        self.member.map(Member::id)
    }

    /// The member, if it is used before its `updelay` has ended.
    pub(crate) fn skip_updelay(&self) -> Option<MemberId> {
        self.member.filter(|member| !member.link().is_usable()).map(Member::id)
    }
}

impl Receiver {
    /// Chooses the active member.
    pub(crate) fn choose<'a>(&mut self, view: &View<'a>) -> Chosen<'a> {
        let (member, cause) = self.choice.select(view, Member::is_usable);
        let new = member.map(Member::id);
        let changed = new != self.choice.active;
        if changed {
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
        self.settling = self.settling.filter(|until| *until > view.now);
        self.graced.retain(|(id, until)| *until > view.now && view.member(*id).is_some_and(has_link));
        Chosen { member, cause, changed }
    }

    /// Which frames the members let in, in their order.
    pub(crate) fn admissions(&self, view: &View<'_>) -> Vec<Admission> {
        view.members.iter().map(|member| self.admission(member, view.options)).collect()
    }

    /// When admissions change by themselves.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.graced.iter().map(|(_, until)| *until).chain(self.settling).min()
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
