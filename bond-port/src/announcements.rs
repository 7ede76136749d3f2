//! Announcements that are repeated (`num_grat_arp`, `peer_notif_delay`), because a switch that has just seen a link
//! come up may lose the first.

use core::time::Duration;

use forwarding::bucket_set::BucketSet;

use crate::member::MemberId;
use crate::options::BondOptions;

/// What is left to be announced after a change of the active member, or after moves of buckets.
#[derive(Debug, Clone, Default)]
pub(crate) struct Announcements {
    pending: Vec<Pending>,
}

/// A series of announcements by one member.
#[derive(Debug, Clone, Copy)]
struct Pending {
    member: MemberId,
    /// Whose MACs; `None`: all.
    buckets: Option<BucketSet>,
    left: u8,
    next: Duration,
}

impl Announcements {
    /// Begins a new series for all MACs; what was left of others is forgotten.
    pub(crate) fn start(&mut self, now: Duration, member: MemberId, options: &BondOptions) {
        self.pending = vec![Pending { member, buckets: None, left: options.num_grat_arp, next: now }];
    }

    /// Begins a new series for each member that has got buckets, `all` of them together; what was left of others is
    /// forgotten as far as it is about these.
    pub(crate) fn start_moved(
        &mut self,
        now: Duration,
        moved: &[(MemberId, BucketSet)],
        all: BucketSet,
        options: &BondOptions,
    ) {
        self.pending.retain_mut(|pending| {
            pending.buckets = pending.buckets.map(|buckets| buckets.without(all));
            pending.left > 0 && pending.buckets.is_none_or(|buckets| !buckets.is_empty())
        });
        let left = options.num_grat_arp;
        self.pending.extend(moved.iter().map(|(member, buckets)| Pending {
            member: *member,
            buckets: Some(*buckets),
            left,
            next: now,
        }));
    }

    /// Forgets what was left for all MACs.
    pub(crate) fn stop(&mut self) {
        self.pending.retain(|pending| pending.buckets.is_some());
    }

    /// When the next announcement is due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.pending.iter().filter(|pending| pending.left > 0).map(|pending| pending.next).min()
    }

    /// The members to announce by, and whose MACs, if it is time.
    pub(crate) fn due(&mut self, now: Duration, options: &BondOptions) -> Vec<(MemberId, Option<BucketSet>)> {
        let due = self.pending.iter_mut().filter(|pending| pending.left > 0 && pending.next <= now);
        due.map(|pending| {
            pending.left -= 1;
            pending.next = now.saturating_add(options.peer_notif_delay());
            (pending.member, pending.buckets)
        })
        .collect()
    }
}
