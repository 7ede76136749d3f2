//! A member's link state, with `updelay` and `downdelay`.
//!
//! The states are those of the Linux driver's MII monitor (`bond_miimon_inspect`), but nothing is polled: a report of
//! the carrier acts at once, and a delay runs from that report to the millisecond.

use core::fmt;
use core::time::Duration;

/// The bond's opinion of a member's link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkState {
    /// In use.
    Up,
    /// Carrier lost, `downdelay` is running: still taken for up (Linux: `BOND_LINK_FAIL`).
    GoingDown,
    /// Not in use.
    Down,
    /// Carrier is back, `updelay` is running: not yet in use (Linux: `BOND_LINK_BACK`).
    GoingBack,
}

impl LinkState {
    /// May carry frames: up, or not yet given up. (What Linux reports as the lower device's `link_up`.)
    pub const fn is_usable(self) -> bool {
        matches!(self, Self::Up | Self::GoingDown)
    }
}

/// As `/proc/net/bonding` prints it.
impl fmt::Display for LinkState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Up => "up",
            Self::GoingDown => "going down",
            Self::Down => "down",
            Self::GoingBack => "going back",
        })
    }
}

/// `updelay` and `downdelay` in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Delays {
    /// From carrier to [`LinkState::Up`].
    pub up: Duration,
    /// From loss of carrier to [`LinkState::Down`].
    pub down: Duration,
}

/// The state machine of one member's link.
#[derive(Debug, Clone)]
pub struct Monitor {
    state: LinkState,
    since: Duration,
    failures: u64,
}

impl Monitor {
    /// A link of which nothing is known yet: down.
    pub const fn new(now: Duration) -> Self {
        Self { state: LinkState::Down, since: now, failures: 0 }
    }

    /// The state.
    pub const fn state(&self) -> LinkState {
        self.state
    }

    /// When the state was entered.
    pub const fn since(&self) -> Duration {
        self.since
    }

    /// How often the link went down after it had been up (Linux's `link_failure_count`). What a delay swallowed does
    /// not count.
    pub const fn failures(&self) -> u64 {
        self.failures
    }

    /// The device says whether it is up and has carrier. A change inside a delay cancels the delay.
    pub fn report(&mut self, now: Duration, up: bool, delays: Delays) {
        let next = match (self.state, up) {
            (LinkState::Up, false) if delays.down.is_zero() => LinkState::Down,
            (LinkState::Up, false) => LinkState::GoingDown,
            (LinkState::GoingDown, true) => LinkState::Up,
            (LinkState::Down, true) if delays.up.is_zero() => LinkState::Up,
            (LinkState::Down, true) => LinkState::GoingBack,
            (LinkState::GoingBack, false) => LinkState::Down,
            (unchanged, _) => unchanged,
        };
        self.enter(now, next);
    }

    /// The device is gone: down at once, whatever `downdelay` says.
    pub fn device_gone(&mut self, now: Duration) {
        self.enter(now, LinkState::Down);
    }

    /// When the delay that is running ends. It follows a change of the options.
    pub fn deadline(&self, delays: Delays) -> Option<Duration> {
        match self.state {
            LinkState::Up | LinkState::Down => None,
            LinkState::GoingDown => Some(self.since.saturating_add(delays.down)),
            LinkState::GoingBack => Some(self.since.saturating_add(delays.up)),
        }
    }

    /// Ends a delay whose time has come.
    pub fn handle_timeout(&mut self, now: Duration, delays: Delays) {
        if self.deadline(delays).is_some_and(|deadline| deadline <= now) {
            let next = if self.state == LinkState::GoingDown { LinkState::Down } else { LinkState::Up };
            self.enter(now, next);
        }
    }

    /// Skips the rest of `updelay`.
    pub fn skip_updelay(&mut self, now: Duration) {
        if self.state == LinkState::GoingBack {
            self.enter(now, LinkState::Up);
        }
    }

    fn enter(&mut self, now: Duration, next: LinkState) {
        if self.state == next {
            return;
        }
        if next == LinkState::Down && self.state.is_usable() {
            self.failures += 1;
        }
        self.state = next;
        self.since = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    const DELAYS: Delays = Delays { up: ms(200), down: ms(100) };

    fn up_at(now: Duration) -> Monitor {
        let mut monitor = Monitor::new(now);
        monitor.report(now, true, Delays::default());
        assert_eq!(monitor.state(), LinkState::Up);
        monitor
    }

    #[test]
    fn without_delays_a_report_acts_at_once() {
        let mut monitor = up_at(ms(5));
        assert_eq!((monitor.since(), monitor.failures()), (ms(5), 0));
        monitor.report(ms(7), false, Delays::default());
        assert_eq!((monitor.state(), monitor.since(), monitor.failures()), (LinkState::Down, ms(7), 1));
        monitor.report(ms(9), false, Delays::default());
        assert_eq!((monitor.since(), monitor.failures()), (ms(7), 1), "a repeated report changes nothing");
        assert_eq!(monitor.deadline(Delays::default()), None);
    }

    #[test]
    fn downdelay_ends_to_the_millisecond() {
        let mut monitor = up_at(ms(0));
        monitor.report(ms(50), false, DELAYS);
        assert_eq!((monitor.state(), monitor.deadline(DELAYS)), (LinkState::GoingDown, Some(ms(150))));
        monitor.handle_timeout(ms(149), DELAYS);
        assert_eq!((monitor.state(), monitor.failures()), (LinkState::GoingDown, 0));
        monitor.handle_timeout(ms(150), DELAYS);
        assert_eq!((monitor.state(), monitor.failures()), (LinkState::Down, 1));
    }

    #[test]
    fn a_flap_inside_downdelay_is_not_a_failure() {
        let mut monitor = up_at(ms(0));
        monitor.report(ms(50), false, DELAYS);
        monitor.report(ms(149), true, DELAYS);
        monitor.handle_timeout(ms(1000), DELAYS);
        assert_eq!((monitor.state(), monitor.failures()), (LinkState::Up, 0));
    }

    #[test]
    fn a_flap_inside_updelay_starts_it_anew() {
        let mut monitor = Monitor::new(ms(0));
        monitor.report(ms(10), true, DELAYS);
        assert_eq!((monitor.state(), monitor.deadline(DELAYS)), (LinkState::GoingBack, Some(ms(210))));
        monitor.report(ms(100), false, DELAYS);
        assert_eq!((monitor.state(), monitor.failures()), (LinkState::Down, 0), "it was never up");
        monitor.report(ms(150), true, DELAYS);
        monitor.handle_timeout(ms(210), DELAYS);
        assert_eq!(monitor.state(), LinkState::GoingBack);
        monitor.handle_timeout(ms(350), DELAYS);
        assert_eq!((monitor.state(), monitor.since()), (LinkState::Up, ms(350)));
    }

    #[test]
    fn a_device_that_goes_is_not_waited_for() {
        let mut monitor = up_at(ms(0));
        monitor.device_gone(ms(1));
        assert_eq!((monitor.state(), monitor.failures()), (LinkState::Down, 1));
        monitor.device_gone(ms(2));
        assert_eq!(monitor.failures(), 1);
    }

    #[test]
    fn a_shorter_delay_acts_on_the_one_that_is_running() {
        let mut monitor = up_at(ms(0));
        monitor.report(ms(10), false, DELAYS);
        let shorter = Delays { down: ms(5), ..DELAYS };
        assert_eq!(monitor.deadline(shorter), Some(ms(15)));
        monitor.handle_timeout(ms(20), shorter);
        assert_eq!(monitor.state(), LinkState::Down);
    }
}
