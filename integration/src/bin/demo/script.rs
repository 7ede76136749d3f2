//! What happens when.

use std::time::Duration;

/// Something that is done to the switch or its traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// TCP slows down and the numbered datagrams begin.
    StartProbe,
    /// The cable of the member that carries is pulled.
    Pull,
    /// It is plugged in again.
    Replug,
    /// An operator moves the traffic to the other member.
    Change,
}

/// The steps in order, each with its share of the whole time.
const STEPS: [(f64, Step); 7] = [
    (0.14, Step::StartProbe),
    (0.26, Step::Pull),
    (0.40, Step::Replug),
    (0.52, Step::Change),
    (0.64, Step::Pull),
    (0.76, Step::Replug),
    (0.88, Step::Change),
];

/// The steps that are still to come.
pub(crate) struct Script {
    total: Duration,
    next: usize,
}

impl Script {
    pub(crate) fn new(total: Duration) -> Self {
        Self { total, next: 0 }
    }

    /// The next step if its time has come.
    pub(crate) fn poll(&mut self, elapsed: Duration) -> Option<Step> {
        let (share, step) = STEPS.get(self.next)?;
        let due = elapsed >= self.total.mul_f64(*share);
        self.next += usize::from(due);
        due.then_some(*step)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_come_once_and_in_order() {
        let mut script = Script::new(Duration::from_secs(100));
        assert_eq!(script.poll(Duration::from_secs(10)), None);
        assert_eq!(script.poll(Duration::from_secs(14)), Some(Step::StartProbe));
        assert_eq!(script.poll(Duration::from_secs(14)), None);
        let rest: Vec<_> = std::iter::from_fn(|| script.poll(Duration::from_secs(100))).collect();
        assert_eq!(rest, [Step::Pull, Step::Replug, Step::Change, Step::Pull, Step::Replug, Step::Change]);
    }
}
