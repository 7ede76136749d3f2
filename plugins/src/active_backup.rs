//! active-backup: one member carries everything, the others stand by.
//!
//! Which member is the active one follows Linux's `bond_find_best_slave` and `bond_choose_primary_or_current`, with
//! one difference: without a primary, an active member that works stays the active one. (Since 6.0 Linux goes back to
//! the first member that is up whenever another device joins or `primary_reselect` is written, also from a member
//! that was set by hand.)
//!
//! A planned change, from a member whose link is up, loses nothing: until the upstream switch has relearned, the old
//! member still lets in what is for our guests ([`GRACE`]).

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
        let occasion = self.occasion(view, primary.map(Member::id));
        if let Some(restored) = view.restore.and_then(|id| view.member(id)).filter(|member| member.is_up()) {
            self.force_primary = false;
            return (Some(restored), ActiveCause::Restored);
        }
        if let Some(primary) = primary.filter(|member| member.is_up()) {
            let Some(current) = current else {
                self.force_primary = false;
                return (Some(primary), lost);
            };
            if let Some(cause) = occasion {
                let forced = core::mem::take(&mut self.force_primary);
                if forced || primary_wins(primary, current, view.options.primary_reselect) {
                    return (Some(primary), cause);
                }
            }
        }
        (current.or_else(|| view.up().next()).or_else(|| view.soonest_back()), lost)
    }

    /// Whether something happened on which the primary may take over from a member that works, and what.
    fn occasion(&mut self, view: &View<'_>, primary: Option<MemberId>) -> Option<ActiveCause> {
        let mut occasion = None;
        for change in view.changes {
            match change {
                Change::Joined(id) => {
                    self.force_primary |= Some(*id) == primary;
                    occasion = Some(ActiveCause::PrimaryReturned);
                }
                Change::Up(id) if Some(*id) == primary => occasion = Some(ActiveCause::PrimaryReturned),
                Change::Options(before) if before.primary != view.options.primary => {
                    self.force_primary = view.options.primary.is_some();
                    occasion = Some(ActiveCause::OptionsChanged);
                }
                Change::Options(before) if before.primary_reselect != view.options.primary_reselect => {
                    occasion = Some(ActiveCause::OptionsChanged);
                }
                Change::Up(_) | Change::Options(_) | Change::SetActive(_) => {}
            }
        }
        occasion
    }
}

/// The link is up. A member that was disabled by hand gets its grace: frames for our guests are still on the way.
fn has_link(member: &Member) -> bool {
    member.link() == LinkState::Up
}

fn set_by_hand(change: &Change) -> Option<MemberId> {
    match change {
        Change::SetActive(id) => Some(*id),
        Change::Joined(_) | Change::Up(_) | Change::Options(_) => None,
    }
}

/// Whether a primary that is up takes over (Linux: `bond_choose_primary_or_current`).
fn primary_wins(primary: &Member, current: &Member, policy: PrimaryReselect) -> bool {
    let quality = |member: &Member| (member.speed_mbps().unwrap_or(0), member.full_duplex().unwrap_or(false));
    match policy {
        _ if !current.is_up() => true,
        PrimaryReselect::Always => true,
        PrimaryReselect::Better => quality(primary) > quality(current),
        PrimaryReselect::Failure => false,
    }
}
