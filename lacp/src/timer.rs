//! A timer of a state machine, and the standard's constants (IEEE 802.1AX-2014 clause 6.4.4).

use core::time::Duration;

/// Fast_Periodic_Time: between LACPDUs to a partner that asks for short timeouts.
pub const FAST_PERIODIC_TIME: Duration = Duration::from_secs(1);
/// Slow_Periodic_Time: between LACPDUs to a partner that asks for long timeouts.
pub const SLOW_PERIODIC_TIME: Duration = Duration::from_secs(30);
/// Short_Timeout_Time: how long the partner may be silent, with `lacp_rate=fast`.
pub const SHORT_TIMEOUT_TIME: Duration = Duration::from_secs(3);
/// Long_Timeout_Time: how long the partner may be silent, with `lacp_rate=slow`.
pub const LONG_TIMEOUT_TIME: Duration = Duration::from_secs(90);
/// Churn_Detection_Time: how long a side may take to get into SYNC.
pub const CHURN_DETECTION_TIME: Duration = Duration::from_secs(60);
/// Aggregate_Wait_Time: how long the first ports wait for others that may join the same aggregator.
pub const AGGREGATE_WAIT_TIME: Duration = Duration::from_secs(2);

/// A time at which something is due, or nothing. It stays expired until it is started again or stopped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Timer(Option<Duration>);

impl Timer {
    /// Due `period` after `now`.
    pub(crate) fn start(&mut self, now: Duration, period: Duration) {
        self.0 = Some(now.saturating_add(period));
    }

    pub(crate) fn stop(&mut self) {
        self.0 = None;
    }

    pub(crate) fn expired(self, now: Duration) -> bool {
        self.0.is_some_and(|due| due <= now)
    }

    /// When it is or was due; zero if it does not run.
    pub(crate) fn due(self) -> Duration {
        self.0.unwrap_or_default()
    }

    /// When it is due, if it is running and not yet expired.
    pub(crate) fn due_after(self, now: Duration) -> Option<Duration> {
        self.0.filter(|due| *due > now)
    }

    /// How long it still runs.
    pub(crate) fn left(self, now: Duration) -> Duration {
        self.0.unwrap_or(now).saturating_sub(now)
    }
}
