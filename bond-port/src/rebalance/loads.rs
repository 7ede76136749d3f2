//! What each bucket carries, averaged over periods.

use core::time::Duration;

use super::BUCKETS;

/// The average load of each bucket, in octets a second, from counters that only grow.
///
/// Each period counts for some percent of the average and the periods before for the rest (an exponentially weighted
/// average), so that a burst in one period does not move buckets that the next would move back. Rates, not octets a
/// period, so that a change of the interval changes nothing.
#[derive(Debug, Clone)]
pub struct Loads {
    last: Option<(Duration, [u64; BUCKETS])>,
    average: Option<[u64; BUCKETS]>,
}

impl Default for Loads {
    fn default() -> Self {
        Self::new()
    }
}

impl Loads {
    /// Nothing known yet.
    pub const fn new() -> Self {
        Self { last: None, average: None }
    }

    /// Takes the counters, octets sent by each bucket since some start, as read at `now`. `newest_percent` is how much
    /// the time since the last call counts, 1-100 (others are taken as the nearest of these).
    ///
    /// The first call is only the point to count from; the second gives the first loads. A counter that is less than
    /// before was restarted, and has counted its whole value since. Ignored if no time has passed.
    pub fn observe(&mut self, now: Duration, counters: &[u64; BUCKETS], newest_percent: u8) {
        if let Some((then, before)) = self.last {
            let elapsed = now.saturating_sub(then).as_nanos();
            if elapsed == 0 {
                return;
            }
            let rate = |bucket: usize| {
                let (is, was) = (counters[bucket], before[bucket]);
                let octets = if is < was { is } else { is - was };
                u128::from(octets) * 1_000_000_000 / elapsed
            };
            let newest = u128::from(newest_percent.clamp(1, 100));
            let old = self.average;
            self.average = Some(core::array::from_fn(|bucket| {
                let new = rate(bucket);
                let average =
                    old.map_or(new, |old| (u128::from(old[bucket]) * (100 - newest) + new * newest) / 100);
                u64::try_from(average).unwrap_or(u64::MAX)
            }));
        }
        self.last = Some((now, *counters));
    }

    /// Octets a second, each bucket. `None` before the second observation.
    pub fn average(&self) -> Option<&[u64; BUCKETS]> {
        self.average.as_ref()
    }
}
