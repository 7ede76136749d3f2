//! balance-slb, Open vSwitch's: a guest's address and VLAN pick the member by which its frames leave and come in.
//!
//! The members end at plain ports of one switch, or of several in one network, that know nothing of a group. The switch
//! learns a guest's address at the member by which the guest sends, and sends to it there. What it floods comes in by every
//! member, and each copy is let in once:
//! - to a group: by the active member;
//! - unicast: by the member that has the bucket of the *destination* ([`forwarding::flow_hash::slb`]). It is the one by
//!   which the switch sends if it knows the address, and one of those by which the frame comes if not.
//!
//! (Open vSwitch lets in unicast frames by every member, so guests get a copy by each as long as the switch floods.)
//!
//! When a bucket moves, the addresses in it are announced by its new member, and for [`GRACE`] the old one lets in frames
//! for those that are known.

use core::time::Duration;

use bond_port::{Balancer, Compiled, Member, MemberId, View};
use forwarding::bucket_set::BucketSet;
use forwarding::drop_reason::DropReason;
use forwarding::flow_hash::HashPolicy;
use forwarding::tables::{Admission, TransmitPlan};

use crate::active::{Choice, GRACE, has_link, mode_changed};
use crate::table::{Table, answers_by_table};

/// The plugin.
#[derive(Debug, Default)]
pub struct Slb {
    choice: Choice,
    table: Table,
    /// Bucket to member as of the last plan; empty if nobody sent.
    told: Vec<MemberId>,
    /// Buckets that were a member's until just now.
    lately: Vec<Lately>,
    /// Who has got which buckets with the last plan.
    moved: Vec<(MemberId, BucketSet)>,
}

#[derive(Debug)]
struct Lately {
    member: MemberId,
    buckets: BucketSet,
    until: Duration,
}

impl Balancer for Slb {
    fn compile(&mut self, view: &View<'_>) -> Compiled {
        let (selected, cause) = self.choice.select(view, Member::is_up);
        self.choice.active = selected.map(Member::id);
        let skip_updelay = if view.up().next().is_none() { view.soonest_back() } else { None };
        let usable: Vec<&Member> = view.up().chain(skip_updelay).collect();
        let plan = if usable.is_empty() {
            self.table.clear();
            TransmitPlan::Drop(DropReason::NoMember)
        } else {
            self.table.plan_by(HashPolicy::Slb, view, &usable)
        };
        self.follow(view);
        Compiled {
            plan,
            admissions: view.members.iter().map(|member| self.admission(view, member)).collect(),
            active: self.choice.active,
            cause,
            skip_updelay: skip_updelay.map(Member::id),
            announce: None,
            deadline: self.lately.iter().map(|lately| lately.until).min(),
        }
    }

    fn take_moved(&mut self) -> Vec<(MemberId, BucketSet)> {
        core::mem::take(&mut self.moved)
    }

    answers_by_table!(table);
}

impl Slb {
    /// Notes which buckets are another member's than last time.
    fn follow(&mut self, view: &View<'_>) {
        let until = view.now.saturating_add(GRACE);
        let held = self.table.held();
        let changed: Vec<usize> =
            (0..held.len()).filter(|bucket| self.told.get(*bucket) != Some(&held[*bucket])).collect();
        let of = |table: &[MemberId], id: MemberId| -> BucketSet {
            changed.iter().copied().filter(|bucket| table.get(*bucket) == Some(&id)).collect()
        };
        let other_mode = mode_changed(view);
        for member in view.members {
            let id = member.id();
            let got = of(held, id);
            if !got.is_empty() {
                self.moved.push((id, got));
            }
            // In the mode before they came by any.
            let lost = if other_mode && self.told.is_empty() && !got.is_empty() {
                BucketSet::ALL.without(got)
            } else {
                of(&self.told, id)
            };
            if !lost.is_empty() {
                self.lately.push(Lately { member: id, buckets: lost, until });
            }
        }
        self.lately
            .retain(|lately| lately.until > view.now && view.member(lately.member).is_some_and(has_link));
        if self.told != held {
            self.told = held.to_vec();
        }
    }

    fn admission(&self, view: &View<'_>, member: &Member) -> Admission {
        let id = member.id();
        let own = (0..).zip(self.table.held()).filter(|(_, holder)| **holder == id);
        let own: BucketSet = own.map(|(bucket, _)| bucket).collect();
        let lately = self.lately.iter().filter(|lately| lately.member == id);
        let lately = lately.fold(BucketSet::NONE, |all, lately| all.union(lately.buckets)).without(own);
        let groups = Some(id) == self.choice.active;
        if view.options.all_slaves_active && (member.is_up() || groups) {
            Admission::AllButReflected
        } else if own.is_empty() && lately.is_empty() && !groups {
            Admission::Nothing
        } else {
            Admission::Buckets { own, lately, groups }
        }
    }
}
