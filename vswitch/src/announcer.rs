//! Tells the upstream switch where our MACs are now: learning frames, paced so that thousands of guests make no burst.

use std::collections::VecDeque;
use std::time::Duration;

use forwarding::ids::{DeviceId, PortId};
use forwarding::mac::MacAddr;
use forwarding::vlan::VlanTag;

/// Frames sent at once.
const BATCH: usize = 64;
/// Time between two batches.
const PACE: Duration = Duration::from_millis(1);

/// One learning frame to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// The bond for which it is sent.
    pub bond: PortId,
    /// The member by which it leaves.
    pub device: DeviceId,
    /// The address announced.
    pub mac: MacAddr,
    /// The tag the frame carries.
    pub tag: Option<VlanTag>,
}

/// The queue of learning frames of all bonds.
#[derive(Debug, Default)]
pub struct Announcer {
    queue: VecDeque<Announcement>,
    due: Duration,
}

impl Announcer {
    /// Queues a bond's announcements; what is left of an earlier round of the same bond is forgotten.
    pub fn announce(&mut self, bond: PortId, all: impl IntoIterator<Item = Announcement>) {
        self.queue.retain(|waiting| waiting.bond != bond);
        self.queue.extend(all);
    }

    /// Forgets what waits for a bond (it is gone, or has no usable member).
    pub fn cancel(&mut self, bond: PortId) {
        self.queue.retain(|waiting| waiting.bond != bond);
    }

    /// When the next batch is due, if anything waits.
    pub fn next_deadline(&self) -> Option<Duration> {
        (!self.queue.is_empty()).then_some(self.due)
    }

    /// The batch that is due, empty if none is. All its frames leave by the same device.
    pub fn poll_batch(&mut self, now: Duration) -> Vec<Announcement> {
        if now < self.due {
            return Vec::new();
        }
        let Some(device) = self.queue.front().map(|first| first.device) else { return Vec::new() };
        let size = self.queue.iter().take(BATCH).take_while(|next| next.device == device).count();
        self.due = now + PACE;
        self.queue.drain(..size).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn announcement(bond: u16, device: u16, mac: u64) -> Announcement {
        Announcement { bond: PortId(bond), device: DeviceId(device), mac: MacAddr::from_u64(mac), tag: None }
    }

    #[test]
    fn batches_are_paced_and_complete() {
        let mut announcer = Announcer::default();
        announcer.announce(PortId(1), (0..200).map(|mac| announcement(1, 7, mac)));
        let (mut now, mut sent) = (Duration::from_secs(5), Vec::new());
        while let Some(due) = announcer.next_deadline() {
            now = now.max(due);
            let batch = announcer.poll_batch(now);
            assert!(batch.len() <= BATCH);
            assert!(announcer.poll_batch(now).is_empty(), "a second batch at the same time");
            sent.extend(batch);
        }
        assert_eq!(sent.len(), 200);
        assert_eq!(now, Duration::from_secs(5) + 3 * PACE);
    }

    #[test]
    fn a_new_round_replaces_the_old_one_of_the_same_bond_only() {
        let mut announcer = Announcer::default();
        announcer.announce(PortId(1), [announcement(1, 7, 1), announcement(1, 7, 2)]);
        announcer.announce(PortId(2), [announcement(2, 9, 3)]);
        announcer.announce(PortId(1), [announcement(1, 8, 1)]);
        assert_eq!(announcer.poll_batch(PACE), [announcement(2, 9, 3)]);
        assert_eq!(announcer.poll_batch(2 * PACE), [announcement(1, 8, 1)]);
        announcer.announce(PortId(1), [announcement(1, 7, 1)]);
        announcer.cancel(PortId(1));
        assert_eq!(announcer.next_deadline(), None);
    }
}
