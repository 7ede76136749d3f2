//! Work that takes long gives way now and then: a call that adds a hundred ports must not keep LACP or a failover waiting.
//!
//! Taking a device costs the kernel some 10 ms, and giving it back up to 50.

use std::time::{Duration, Instant};

use super::Switch;

/// How often work gives way.
const INTERVAL: Duration = Duration::from_millis(10);

/// When that was last done.
#[derive(Debug)]
pub(super) struct Breath {
    epoch: Instant,
    last: Duration,
    taking: bool,
}

impl Breath {
    pub(super) fn new(epoch: Instant) -> Self {
        Self { epoch, last: Duration::ZERO, taking: false }
    }

    /// The time, within work that takes long.
    pub(super) fn now(&self) -> Duration {
        self.epoch.elapsed()
    }
}

impl Switch {
    /// Lets timers, links and partners have their turn. To be called between the steps of long work, where everything
    /// there is is consistent; devices may have come, changed and gone afterwards. Returns the time.
    pub(super) fn breathe(&mut self) -> Duration {
        let now = self.breath.epoch.elapsed();
        if self.breath.taking || now < self.breath.last + INTERVAL {
            return now;
        }
        self.breath.taking = true;
        // Reads what partners have sent, too.
        self.handle_timeout(now);
        self.breath.taking = false;
        self.breath.last = self.breath.epoch.elapsed();
        self.breath.last
    }
}
