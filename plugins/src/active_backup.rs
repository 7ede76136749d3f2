//! active-backup: one member carries everything, the others stand by.
//!
//! Which member is the active one follows Linux's `bond_find_best_slave` and `bond_choose_primary_or_current`, with
//! one difference: without a primary, an active member that works stays the active one unless another has a better
//! `prio`. (Since 6.0 Linux goes back to the first member that is up whenever another device joins or
//! `primary_reselect` is written, also from a member that was set by hand.)
//!
//! A planned change, from a member whose link is up or from another mode, loses nothing: until the upstream switch has
//! relearned, the old members still let in what is for our guests ([`GRACE`]).

use core::time::Duration;

use bond_port::options::PrimaryReselect;
use bond_port::{ActiveCause, Balancer, BondOptions, Change, Compiled, LinkState, Member, MemberId, View};
use forwarding::drop_reason::DropReason;
use forwarding::tables::{Admission, TransmitPlan};

/// For how long after a change of the active member the old one still lets frames in, and the new one refuses our own
/// broadcasts that the old one sent just before and the switch brings back. A switch relearns from the announcement, in
/// much less; the time covers a switch that is busy.
pub const GRACE: Duration = Duration::from_secs(1);

/// The plugin.
#[derive(Debug, Default)]
pub struct ActiveBackup {
    active: Option<MemberId>,
    /// Until then reflections are refused on the active member.
    settling: Option<Duration>,
    /// Members that ceased to be active with their link up, and until when they are in grace.
    graced: Vec<(MemberId, Duration)>,
    /// The primary was just set or has just joined: it takes over when it is up, whatever `primary_reselect` says.
    force_primary: bool,
}

impl Balancer for ActiveBackup {
    fn compile(&mut self, view: &View<'_>) -> Compiled {
        let (selected, cause) = self.select(view);
        let new = selected.map(Member::id);
        let changed = new != self.active;
        if changed {
            self.change(view, new);
        }
        if is_new_mode(view) {
            // In the mode before frames came by any member.
            let others = view.members.iter().map(Member::id).filter(|id| Some(*id) != new);
            self.graced.extend(others.map(|id| (id, view.now.saturating_add(GRACE))));
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
        self.graced.extend(self.active.map(|old| (old, until)));
        self.settling = new.map(|_| until);
        self.active = new;
    }

    fn admission(&self, member: &Member, options: &BondOptions) -> Admission {
        let id = member.id();
        if Some(id) == self.active {
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

    /// The member to be active, and why if it is not the present one.
    fn select<'a>(&mut self, view: &View<'a>) -> (Option<&'a Member>, ActiveCause) {
        let old = self.active.and_then(|id| view.member(id));
        let current = old.filter(|member| member.is_usable());
        let lost = match (self.active, old) {
            (None, _) => ActiveCause::FirstUsable,
            (Some(_), None) => ActiveCause::MemberRemoved,
            (Some(_), Some(old)) if old.is_disabled() => ActiveCause::MemberDisabled,
            (Some(_), Some(_)) => ActiveCause::MemberDown,
        };
        if let Some(by_hand) = view.changes.iter().find_map(set_by_hand).and_then(|id| view.member(id)) {
            return (Some(by_hand), ActiveCause::SetByHand);
        }
        let primary =
            view.members.iter().find(|member| Some(member.name()) == view.options.primary.as_deref());
        let occasion = self.occasion(view, primary.map(Member::id), current);
        if let Some(restored) = view.restore.and_then(|id| view.member(id)).filter(|member| member.is_up()) {
            self.force_primary = false;
            return (Some(restored), ActiveCause::Restored);
        }
        let policy = view.options.primary_reselect;
        let primary = primary.filter(|member| member.is_up());
        match (primary.or_else(|| best(view)), current) {
            (Some(preferred), None) => {
                self.force_primary &= primary.is_none();
                (Some(preferred), lost)
            }
            (Some(preferred), Some(current)) => {
                let Some(occasion) = occasion else { return (Some(current), lost) };
                let forced = primary.is_some() && core::mem::take(&mut self.force_primary);
                let is_better = primary.is_some() || prio(preferred) > prio(current);
                if forced || is_better && takes_over(preferred, current, policy) {
                    (Some(preferred), occasion.cause(primary.is_some()))
                } else {
                    (Some(current), lost)
                }
            }
            (None, current) => (current.or_else(|| view.soonest_back()), lost),
        }
    }

    /// Whether something happened on which a preferred member may take over from one that works, and what.
    fn occasion(
        &mut self,
        view: &View<'_>,
        primary: Option<MemberId>,
        current: Option<&Member>,
    ) -> Option<Occasion> {
        let is_better = |id| view.member(id).zip(current).is_some_and(|(up, old)| prio(up) > prio(old));
        let mut occasion = None;
        for change in view.changes {
            match change {
                Change::Joined(id) => {
                    self.force_primary |= Some(*id) == primary;
                    occasion = Some(Occasion::Member);
                }
                Change::Up(id) if Some(*id) == primary || is_better(*id) => occasion = Some(Occasion::Member),
                Change::Options(before) if before.primary != view.options.primary => {
                    self.force_primary = view.options.primary.is_some();
                    occasion = Some(Occasion::Options);
                }
                Change::Options(before) if before.primary_reselect != view.options.primary_reselect => {
                    occasion = Some(Occasion::Options);
                }
                Change::MemberOptions(_) if primary.is_none() => occasion = Some(Occasion::Options),
                Change::Up(_) | Change::Options(_) | Change::MemberOptions(_) | Change::SetActive(_) => {}
            }
        }
        occasion
    }
}

/// When a preferred member may take over from one that works.
#[derive(Debug, Clone, Copy)]
enum Occasion {
    /// It came up, or a member joined.
    Member,
    /// An option that decides about it was changed.
    Options,
}

impl Occasion {
    fn cause(self, primary: bool) -> ActiveCause {
        match self {
            Self::Member if primary => ActiveCause::PrimaryReturned,
            Self::Member => ActiveCause::BetterPrio,
            Self::Options => ActiveCause::OptionsChanged,
        }
    }
}

fn prio(member: &Member) -> i32 {
    member.options().prio
}

/// Of the members that are up the one with the highest `prio`, and of several the first.
fn best<'a>(view: &View<'a>) -> Option<&'a Member> {
    view.up().min_by_key(|member| core::cmp::Reverse(prio(member)))
}

/// The link is up. A member that was disabled by hand gets its grace: frames for our guests are still on the way.
fn has_link(member: &Member) -> bool {
    member.link() == LinkState::Up
}

fn is_new_mode(view: &View<'_>) -> bool {
    let from_another =
        |change: &Change| matches!(change, Change::Options(before) if before.mode != view.options.mode);
    view.changes.iter().any(from_another)
}

fn set_by_hand(change: &Change) -> Option<MemberId> {
    match change {
        Change::SetActive(id) => Some(*id),
        Change::Joined(_) | Change::Up(_) | Change::Options(_) | Change::MemberOptions(_) => None,
    }
}

/// Whether a preferred member, which is up, takes over (Linux: `bond_choose_primary_or_current`).
fn takes_over(preferred: &Member, current: &Member, policy: PrimaryReselect) -> bool {
    let quality = |member: &Member| (member.speed_mbps().unwrap_or(0), member.full_duplex().unwrap_or(false));
    match policy {
        _ if !current.is_up() => true,
        PrimaryReselect::Always => true,
        PrimaryReselect::Better => quality(preferred) > quality(current),
        PrimaryReselect::Failure => false,
    }
}
