//! The Actor and Partner Churn machines (IEEE 802.1AX-2014 clause 6.4.17): tell that a side
//! has not come into SYNC within Churn_Detection_Time. Nothing else depends on them.

use core::time::Duration;

use crate::timer::{CHURN_DETECTION_TIME, Timer};

/// States of a churn machine. The actor's are ACTOR_CHURN_MONITOR, NO_ACTOR_CHURN and ACTOR_CHURN.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// The side is not in SYNC and still has time.
    #[default]
    Monitor,
    /// In SYNC.
    NoChurn,
    /// Out of SYNC for too long.
    Churn,
}

impl State {
    /// As `/proc/net/bonding` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Monitor => "monitoring",
            Self::NoChurn => "none",
            Self::Churn => "churned",
        }
    }
}

/// The machine of one side of a port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) state: State,
    pub(crate) timer: Timer,
}

/// The next state, `None` to stay. `disabled`: BEGIN, or the port is not enabled.
pub(crate) fn next(state: State, disabled: bool, in_sync: bool, expired: bool) -> Option<State> {
    match state {
        State::Monitor if disabled => None,
        _ if disabled => Some(State::Monitor),
        State::Monitor if in_sync => Some(State::NoChurn),
        State::Monitor => expired.then_some(State::Churn),
        State::NoChurn => (!in_sync).then_some(State::Monitor),
        State::Churn => in_sync.then_some(State::NoChurn),
    }
}

impl Machine {
    /// Runs the machine until it rests. True if it has just found churn.
    pub(crate) fn step(&mut self, now: Duration, disabled: bool, in_sync: bool) -> bool {
        if disabled {
            *self = Self::default();
            return false;
        }
        if self.state == State::Monitor && self.timer == Timer::default() {
            self.timer.start(now, CHURN_DETECTION_TIME);
        }
        let before = self.state;
        while let Some(state) = next(self.state, disabled, in_sync, self.timer.expired(now)) {
            self.state = state;
            match state {
                State::Monitor => self.timer.start(now, CHURN_DETECTION_TIME),
                State::NoChurn | State::Churn => self.timer.stop(),
            }
        }
        before != State::Churn && self.state == State::Churn
    }
}

#[cfg(test)]
mod tests;
