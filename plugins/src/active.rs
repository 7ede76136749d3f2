//! Which member is the active one, in modes that have one.
//!
//! It follows Linux's `bond_find_best_slave` and `bond_choose_primary_or_current`, with one difference: without a
//! primary, an active member that works stays the active one unless another has a better `prio`. (Since 6.0 Linux goes
//! back to the first member that is up whenever another device joins or `primary_reselect` is written, also from a member
//! that was set by hand.)

use core::time::Duration;

use bond_port::options::PrimaryReselect;
use bond_port::{ActiveCause, Change, LinkState, Member, MemberId, View};

/// For how long after a planned change of what a member carries it still lets in frames for known guests. A switch relearns
/// from the announcement, in much less; the time covers a switch that is busy.
pub const GRACE: Duration = Duration::from_secs(1);

/// What is remembered to choose by.
#[derive(Debug, Default)]
pub(crate) struct Choice {
    /// The active member.
    pub(crate) active: Option<MemberId>,
    /// The primary was just set or has just joined: it takes over when it is up, whatever `primary_reselect` says.
    force_primary: bool,
}

impl Choice {
    /// The member to be active, and why if it is not the present one.
    ///
    /// The present one stays for want of a reason as long as it `works`.
    pub(crate) fn select<'a>(
        &mut self,
        view: &View<'a>,
        works: impl Fn(&Member) -> bool,
    ) -> (Option<&'a Member>, ActiveCause) {
        let old = self.active.and_then(|id| view.member(id));
        let current = old.filter(|member| works(member));
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

/// The bond had another mode until now, in which frames came in by any member.
pub(crate) fn mode_changed(view: &View<'_>) -> bool {
    let other =
        |change: &Change| matches!(change, Change::Options(before) if before.mode != view.options.mode);
    view.changes.iter().any(other)
}

/// The link is up. A member that was disabled by hand gets its grace: frames for our guests are still on the way.
pub(crate) fn has_link(member: &Member) -> bool {
    member.link() == LinkState::Up
}
