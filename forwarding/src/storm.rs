//! Storm control: at most so many flooded frames a second from one port.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use crate::drop_reason::DropReason;
use crate::fdb::Tick;

/// Frames a second that one port may bring in of each kind; `None` is no limit, 0 lets none in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StormLimits {
    /// To the broadcast address.
    pub broadcast: Option<u32>,
    /// To an individual address that is not known, and so flooded.
    pub unknown: Option<u32>,
    /// To any other group address.
    pub multicast: Option<u32>,
}

/// What a flooded frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StormKind {
    /// To the broadcast address.
    Broadcast,
    /// To an individual address that is not known.
    Unknown,
    /// To any other group address.
    Multicast,
}

impl StormKind {
    /// The reason for which a frame beyond the limit is dropped.
    pub const fn drop_reason(self) -> DropReason {
        match self {
            Self::Broadcast => DropReason::StormBroadcast,
            Self::Unknown => DropReason::StormUnknown,
            Self::Multicast => DropReason::StormMulticast,
        }
    }
}

/// The limits of one port and how much of them this second has used. Workers share it without a lock: one
/// compare-and-swap for a flooded frame of a limited kind.
#[derive(Debug, Default)]
pub struct Storm {
    limits: StormLimits,
    /// By [`StormKind`]: the second (upper half, a tick) and the frames let in within it (lower half).
    windows: [AtomicU64; 3],
}

impl Storm {
    /// Nothing used yet.
    pub fn new(limits: StormLimits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// The limits.
    pub fn limits(&self) -> StormLimits {
        self.limits
    }

    /// Whether one more frame may come in now; if so it is counted.
    pub fn admit(&self, kind: StormKind, now: Tick) -> bool {
        let limit = match kind {
            StormKind::Broadcast => self.limits.broadcast,
            StormKind::Unknown => self.limits.unknown,
            StormKind::Multicast => self.limits.multicast,
        };
        let Some(limit) = limit else { return true };
        let count = |window: u64| {
            let of_window = (window >> 32) as u16;
            // A thread whose clock is a tick or two behind counts into the window of those ahead.
            let ahead = of_window.wrapping_sub(now.0);
            let (second, used) = if ahead <= 2 { (of_window, window as u32) } else { (now.0, 0) };
            (used < limit).then_some(u64::from(second) << 32 | u64::from(used + 1))
        };
        self.windows[kind as usize].fetch_update(Relaxed, Relaxed, count).is_ok()
    }

    /// One of its own that has used as much.
    pub fn copy(&self) -> Self {
        let windows = self.windows.each_ref().map(|window| AtomicU64::new(window.load(Relaxed)));
        Self { limits: self.limits, windows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [StormKind; 3] = [StormKind::Broadcast, StormKind::Unknown, StormKind::Multicast];

    fn admitted(storm: &Storm, kind: StormKind, tick: u16, frames: u32) -> usize {
        (0..frames).filter(|_| storm.admit(kind, Tick(tick))).count()
    }

    #[test]
    fn each_second_has_its_share_of_each_kind() {
        let storm = Storm::new(StormLimits { broadcast: Some(10), unknown: Some(3), multicast: Some(0) });
        for tick in [0, 1, 2, 500, 40_000, 65_535, 0, 7] {
            assert_eq!(KINDS.map(|kind| admitted(&storm, kind, tick, 50)), [10, 3, 0], "tick {tick}");
        }
    }

    #[test]
    fn no_limit_lets_everything_in() {
        let storm = Storm::new(StormLimits::default());
        assert_eq!(KINDS.map(|kind| admitted(&storm, kind, 5, 1000)), [1000; 3]);
    }

    #[test]
    fn a_clock_that_is_behind_opens_no_new_window() {
        let storm = Storm::new(StormLimits { broadcast: Some(4), ..Default::default() });
        let kind = StormKind::Broadcast;
        assert_eq!(admitted(&storm, kind, 9, 3), 3);
        assert_eq!((admitted(&storm, kind, 8, 5), admitted(&storm, kind, 9, 5)), (1, 0));
        assert_eq!(admitted(&storm, kind, 10, 5), 4);
    }

    #[test]
    fn threads_together_get_no_more() {
        let storm = Storm::new(StormLimits { unknown: Some(1000), ..Default::default() });
        let got: usize = std::thread::scope(|scope| {
            let threads: Vec<_> =
                (0..4).map(|_| scope.spawn(|| admitted(&storm, StormKind::Unknown, 3, 700))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(got, 1000);
    }

    #[test]
    fn a_copy_goes_its_own_way() {
        let storm = Storm::new(StormLimits { broadcast: Some(2), ..Default::default() });
        storm.admit(StormKind::Broadcast, Tick(1));
        let copy = storm.copy();
        assert_eq!(admitted(&copy, StormKind::Broadcast, 1, 5), 1);
        assert_eq!(admitted(&storm, StormKind::Broadcast, 1, 5), 1);
    }
}
