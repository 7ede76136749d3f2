//! Announcements that are repeated (`num_grat_arp`, `peer_notif_delay`), because a switch that has just seen a link
//! come up may lose the first.

use core::time::Duration;

use crate::member::MemberId;
use crate::options::BondOptions;

/// What is left to be announced after a change of the active member.
#[derive(Debug, Clone, Default)]
pub(crate) struct Announcements {
    pending: Option<Pending>,
}

#[derive(Debug, Clone, Copy)]
struct Pending {
    member: MemberId,
    left: u8,
    next: Duration,
}

impl Announcements {
    /// Begins a new series; what was left of another is forgotten.
    pub(crate) fn start(&mut self, now: Duration, member: MemberId, options: &BondOptions) {
        self.pending = Some(Pending { member, left: options.num_grat_arp, next: now });
    }

    /// Forgets what was left.
    pub(crate) fn stop(&mut self) {
        self.pending = None;
    }

    /// When the next announcement is due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.pending.filter(|pending| pending.left > 0).map(|pending| pending.next)
    }

    /// The member to announce by, if it is time.
    pub(crate) fn due(&mut self, now: Duration, options: &BondOptions) -> Option<MemberId> {
        let pending = self.pending.as_mut().filter(|pending| pending.left > 0 && pending.next <= now)?;
        pending.left -= 1;
        pending.next = now.saturating_add(options.peer_notif_delay());
        Some(pending.member)
    }
}
