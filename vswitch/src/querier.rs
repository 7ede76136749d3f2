//! Asks guests for their group memberships after a failover (`resend_igmp`), so that switches upstream which watch for
//! reports send groups to the new member. Paced like announcements, so that thousands of guests make no burst.

use std::collections::VecDeque;
use std::time::Duration;

use forwarding::ids::{DeviceId, PortId};
use forwarding::mac::MacAddr;
use forwarding::vlan::VlanTag;

/// Guests asked at once.
const BATCH: usize = 32;
/// Time between two batches.
const PACE: Duration = Duration::from_millis(1);

/// The guests behind a device, in one VLAN, to be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Query {
    /// The bond for which it is asked.
    pub bond: PortId,
    /// The guests' device.
    pub device: DeviceId,
    /// The tag that frames to them carry.
    pub tag: Option<VlanTag>,
    /// Who asks.
    pub mac: MacAddr,
}

/// Those that wait to be asked. Bounded by one question for each device, VLAN and bond.
#[derive(Debug, Default)]
pub struct Querier {
    waiting: VecDeque<Query>,
    due: Duration,
}

impl Querier {
    /// Queues the questions for a bond. Those of it that still wait are in place of, not besides.
    pub fn ask(&mut self, bond: PortId, queries: impl IntoIterator<Item = Query>) {
        self.waiting.retain(|query| query.bond != bond);
        self.waiting.extend(queries);
    }

    /// When the next batch is due, if anything waits.
    pub fn next_deadline(&self) -> Option<Duration> {
        (!self.waiting.is_empty()).then_some(self.due)
    }

    /// The batch that is due, empty if none is.
    pub fn poll_batch(&mut self, now: Duration) -> Vec<Query> {
        if now < self.due || self.waiting.is_empty() {
            return Vec::new();
        }
        self.due = now + PACE;
        self.waiting.drain(..self.waiting.len().min(BATCH)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paced_and_never_more_than_one_round_of_a_bond() {
        let query = |bond, device| Query {
            bond: PortId(bond),
            device: DeviceId(device),
            tag: None,
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
        };
        let mut querier = Querier::default();
        assert_eq!(querier.next_deadline(), None);
        querier.ask(PortId(1), (0..40).map(|n| query(1, n)));
        querier.ask(PortId(2), [query(2, 7)]);
        querier.ask(PortId(1), (0..40).map(|n| query(1, n)));
        let mut now = Duration::from_secs(1);
        let mut sent = Vec::new();
        while let Some(due) = querier.next_deadline() {
            now = now.max(due);
            let batch = querier.poll_batch(now);
            assert!(!batch.is_empty() && batch.len() <= BATCH);
            assert!(querier.poll_batch(now).is_empty());
            sent.extend(batch);
        }
        assert_eq!((sent.len(), now), (41, Duration::from_millis(1001)));
        assert_eq!(sent.iter().filter(|query| query.bond == PortId(2)).count(), 1);
    }
}
