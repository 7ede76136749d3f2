//! The contract between a bond and its mode.
//!
//! A mode is a compiler: after every change it is shown the whole bond and says how frames leave, which frames may
//! come in, and when it wants to be asked again. It does not see frames.

use core::fmt;
use core::time::Duration;

use forwarding::bucket_set::BucketSet;
use forwarding::mac::MacAddr;
use forwarding::tables::{Admission, TransmitPlan};
use lacp::Lacp;

use crate::event::ActiveCause;
use crate::member::{Member, MemberId};
use crate::monitor::LinkState;
use crate::options::BondOptions;
use crate::rebalance::{BUCKETS, MigrateError, Rebalancer, Stays};
use crate::receive::ReceivePlan;

/// What has happened since the mode was last asked. When nothing of this kind has (a deadline, a link that goes down,
/// a member that left), the view says it all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A member joined; it is the last.
    Joined(MemberId),
    /// A member's link came up, or the member, whose link is up, was enabled by hand.
    Up(MemberId),
    /// The operator wants this member, whose link is up, as the active one.
    SetActive(MemberId),
    /// A member's own options changed.
    MemberOptions(MemberId),
    /// Options changed; these were the ones before.
    Options(Box<BondOptions>),
}

/// A bond as its mode sees it.
#[derive(Debug, Clone, Copy)]
pub struct View<'a> {
    /// Time since the epoch.
    pub now: Duration,
    /// The options.
    pub options: &'a BondOptions,
    /// Members in the order in which they joined.
    pub members: &'a [Member],
    /// The bond's address, once one is known.
    pub mac: Option<MacAddr>,
    /// What has happened.
    pub changes: &'a [Change],
    /// The member that was active before a restart, as long as it is to be preferred to all others.
    pub restore: Option<MemberId>,
}

impl<'a> View<'a> {
    /// The member with this identity, if it is still one.
    pub fn member(&self, id: MemberId) -> Option<&'a Member> {
        self.members.iter().find(|member| member.id() == id)
    }

    /// The members that are up ([`Member::is_up`]), in the order in which they joined.
    pub fn up(&self) -> impl Iterator<Item = &'a Member> + use<'a> {
        self.members.iter().filter(|member| member.is_up())
    }

    /// Of the members in `updelay` the one that has waited longest: what is left when nothing is up.
    pub fn soonest_back(&self) -> Option<&'a Member> {
        let back = self
            .members
            .iter()
            .filter(|member| member.link() == LinkState::GoingBack && !member.is_disabled());
        back.min_by_key(|member| member.link_since())
    }
}

/// What a mode makes of a [`View`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compiled {
    /// How frames leave. The bond has carrier unless this is [`TransmitPlan::Drop`]. It names only devices of members
    /// that are usable, or of `skip_updelay`.
    pub plan: TransmitPlan,
    /// Which frames each member lets in: as many as there are members, in their order.
    pub admissions: Vec<Admission>,
    /// The active member, in modes that have one.
    pub active: Option<MemberId>,
    /// Why the active member is another than last time; of no meaning when it is not.
    pub cause: ActiveCause,
    /// A member in `updelay` that is used at once because there is nothing else; its link becomes up.
    pub skip_updelay: Option<MemberId>,
    /// A member by which the upstream switch is to be told where our MACs are now.
    pub announce: Option<MemberId>,
    /// When the mode must be asked again even if nothing happens: later than the view's `now`.
    pub deadline: Option<Duration>,
}

/// A bonding mode.
pub trait Balancer: fmt::Debug + Send {
    /// Makes a plan. Called after every change and at the deadline; may remember what it needs between calls.
    fn compile(&mut self, view: &View<'_>) -> Compiled;

    /// The members that have got buckets with the last plan, and which: the MACs of these
    /// ([`forwarding::flow_hash::slb`]), and no others, are to be announced by that member. Asked once after each plan.
    fn take_moved(&mut self) -> Vec<(MemberId, BucketSet)> {
        Vec::new()
    }

    /// What moves buckets of the transmit table by load, if anything does.
    fn rebalancer(&self) -> Option<&Rebalancer<MemberId>> {
        None
    }

    /// A period of the rebalancer has ended, and each bucket has sent so many octets by now. After that the mode is asked
    /// for a new plan.
    fn rebalance(&mut self, _now: Duration, _counters: &[u64; BUCKETS]) {}

    /// The same by hand, at any time; says how many buckets were moved, or why none. `None`: the mode moves no buckets.
    /// Counters that are `None` are not known. After that the mode is asked for a new plan.
    fn rebalance_now(
        &mut self,
        _now: Duration,
        _counters: Option<&[u64; BUCKETS]>,
    ) -> Option<Result<usize, Stays>> {
        None
    }

    /// Moves a bucket by hand; says whether it was elsewhere. `None`: the mode moves no buckets. After that the mode is
    /// asked for a new plan.
    fn migrate(
        &mut self,
        _now: Duration,
        _bucket: usize,
        _to: MemberId,
    ) -> Option<Result<bool, MigrateError>> {
        None
    }

    /// How what comes in is balanced with the last plan, if the mode does that.
    fn receive(&self) -> Option<&ReceivePlan> {
        None
    }

    /// What moves buckets of [`Self::receive`] by load.
    fn receive_rebalancer(&self) -> Option<&Rebalancer<MemberId>> {
        None
    }

    /// A period of [`Self::receive_rebalancer`] has ended, and so many octets have come in by each bucket by now. After that
    /// the mode is asked for a new plan.
    fn rebalance_receive(&mut self, _now: Duration, _counters: &[u64; BUCKETS]) {}

    /// So many pairs of a guest and a host beyond the bond are known by now in each bucket of [`Self::receive`]. After that the
    /// mode is asked for a new plan.
    fn occupy(&mut self, _pairs: &[u32; BUCKETS]) {}

    /// The LACP that the mode speaks, if it does. A member is the port with [`MemberId::number`] for its number.
    fn lacp(&self) -> Option<&Lacp> {
        None
    }

    /// The same, for the bond to hand it frames and to fetch some. After that the mode is asked for a new plan.
    fn lacp_mut(&mut self) -> Option<&mut Lacp> {
        None
    }

    /// The resilient table ([`crate::buckets`]) as it was last: each bucket's holder. Empty without one.
    fn buckets(&self) -> &[MemberId] {
        &[]
    }

    /// Begins with this resilient table, that of a predecessor. A holder that is no member loses its buckets when the mode
    /// is asked for a plan.
    fn restore_buckets(&mut self, _held: Vec<MemberId>) {}
}
