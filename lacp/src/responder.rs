//! The Marker Responder (IEEE 802.1AX-2014 clause 6.5.4): answers each marker with its own transaction.

use core::time::Duration;
use std::collections::VecDeque;

use crate::marker::Marker;
use crate::stats::Stats;

/// Answers in a second. Annex 57A of IEEE 802.3 allows ten frames a second for a Slow Protocol; more markers than this
/// are a fault of the partner, and must not keep LACPDUs waiting.
const LIMIT: u32 = 10;
const SECOND: Duration = Duration::from_secs(1);

/// The responder of one port.
#[derive(Debug, Clone, Default)]
pub(crate) struct Responder {
    answers: VecDeque<Marker>,
    second: Duration,
    count: u32,
}

impl Responder {
    /// A Marker PDU has arrived.
    pub(crate) fn receive(&mut self, now: Duration, marker: &Marker, stats: &mut Stats) {
        let Some(answer) = marker.answer() else {
            stats.marker_response_rx += 1;
            return;
        };
        stats.marker_rx += 1;
        if now.saturating_sub(self.second) >= SECOND {
            (self.second, self.count) = (now, 0);
        }
        if self.count < LIMIT && self.answers.len() < LIMIT as usize {
            self.count += 1;
            self.answers.push_back(answer);
        } else {
            stats.marker_dropped += 1;
        }
    }

    pub(crate) fn waiting(&self) -> bool {
        !self.answers.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.answers.clear();
    }

    /// The next answer to be sent.
    pub(crate) fn poll(&mut self, stats: &mut Stats) -> Option<Marker> {
        let answer = self.answers.pop_front()?;
        stats.marker_response_tx += 1;
        Some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marker(transaction: u32) -> Marker {
        Marker { response: false, requester_port: 1, requester_system: [2; 6], transaction }
    }

    #[test]
    fn ten_answers_in_a_second_and_answers_are_not_answered() {
        let (mut responder, mut stats) = (Responder::default(), Stats::default());
        for transaction in 0..12 {
            responder.receive(Duration::from_secs(7), &marker(transaction), &mut stats);
        }
        for transaction in 0..10 {
            let answer = responder.poll(&mut stats).unwrap();
            assert_eq!(answer, Marker { response: true, ..marker(transaction) });
        }
        assert_eq!(responder.poll(&mut stats), None);
        responder.receive(Duration::from_millis(7999), &marker(12), &mut stats);
        assert!(!responder.waiting());
        responder.receive(Duration::from_secs(8), &marker(13), &mut stats);
        assert_eq!(responder.poll(&mut stats).unwrap().transaction, 13);
        responder.receive(Duration::from_secs(8), &Marker { response: true, ..marker(14) }, &mut stats);
        assert!(!responder.waiting());
        let counted =
            (stats.marker_rx, stats.marker_dropped, stats.marker_response_rx, stats.marker_response_tx);
        assert_eq!(counted, (14, 3, 1, 11));
    }
}
