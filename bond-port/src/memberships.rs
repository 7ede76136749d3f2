//! When guests are asked for their group memberships again (`resend_igmp`): whenever another member takes over what the
//! upstream switch sends to groups, that has yet to learn of them there.
//!
//! (Linux repeats the joins of the host's own stack: `bond_resend_igmp_join_requests_delayed`. A switch has none of its
//! own, so it asks those who have.)

use core::time::Duration;

use crate::member::MemberId;

/// Between two questions, as in Linux.
const PAUSE: Duration = Duration::from_millis(200);

/// What is left to be asked.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Memberships {
    /// The member by which groups are received.
    member: Option<MemberId>,
    left: u8,
    next: Duration,
    /// It is time to ask.
    asks: bool,
}

impl Memberships {
    /// Notes the member by which groups are received now. If it is another than before there is to be asked `times`.
    pub(crate) fn follow(&mut self, now: Duration, member: Option<MemberId>, times: u8) {
        if member != self.member {
            *self = Self { member, left: if member.is_some() { times } else { 0 }, next: now, asks: false };
            self.handle_timeout(now, times);
        }
    }

    /// When the next question is due.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        (self.left > 0).then_some(self.next)
    }

    /// Sees whether it is time to ask. `times`: as the option says by now.
    pub(crate) fn handle_timeout(&mut self, now: Duration, times: u8) {
        self.left = self.left.min(times);
        if self.left > 0 && self.next <= now {
            self.left -= 1;
            self.next = now.saturating_add(PAUSE);
            self.asks = true;
        }
    }

    /// Whether it was time to ask since the last call.
    pub(crate) fn take(&mut self) -> bool {
        core::mem::take(&mut self.asks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The times, in milliseconds, at which it asks from now on.
    fn asked(memberships: &mut Memberships, times: u8) -> Vec<u128> {
        core::iter::from_fn(|| {
            let at = memberships.deadline()?;
            memberships.handle_timeout(at, times);
            memberships.take().then_some(at.as_millis())
        })
        .collect()
    }

    #[test]
    fn so_many_times_a_fifth_of_a_second_apart_for_each_other_member() {
        let at = Duration::from_millis;
        let mut memberships = Memberships::default();
        memberships.follow(at(5), Some(MemberId(1)), 3);
        assert!(memberships.take(), "at once");
        assert_eq!(asked(&mut memberships, 3), [205, 405]);
        memberships.follow(at(500), Some(MemberId(1)), 3);
        assert_eq!(memberships.deadline(), None, "it is the same");
        memberships.follow(at(600), Some(MemberId(2)), 200);
        memberships.follow(at(650), Some(MemberId(1)), 1);
        assert!(memberships.take() && !memberships.take());
        assert_eq!(memberships.deadline(), None, "what was left of the other is forgotten");
    }

    #[test]
    fn nothing_without_a_member_or_if_the_option_says_so() {
        let mut memberships = Memberships::default();
        memberships.follow(Duration::ZERO, Some(MemberId(1)), 5);
        memberships.follow(Duration::ZERO, None, 5);
        assert!(memberships.deadline().is_none() && !memberships.take());
        memberships.follow(Duration::ZERO, Some(MemberId(1)), 0);
        assert!(memberships.deadline().is_none() && !memberships.take());
        memberships.follow(Duration::ZERO, Some(MemberId(2)), 5);
        memberships.handle_timeout(Duration::ZERO, 0);
        assert_eq!(memberships.deadline(), None, "written meanwhile");
    }
}
