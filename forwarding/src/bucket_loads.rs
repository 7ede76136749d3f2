//! What left by each bucket of a bond's table, for those who plan which member a bucket shall have.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

/// Counters there are. A bucket beyond has none.
pub const BUCKETS: usize = 256;

/// Octets by bucket, since the counters were made (2 KiB). Shared by all workers without a lock, and by all generations of
/// tables. A counter wraps at 2^64; who plans takes differences.
pub struct BucketLoads([AtomicU64; BUCKETS]);

impl BucketLoads {
    /// All zero.
    pub const fn new() -> Self {
        Self([const { AtomicU64::new(0) }; BUCKETS])
    }

    /// Adds the octets of a frame: from its destination address on, with the tags it leaves with. Buckets from [`BUCKETS`]
    /// on are ignored.
    #[inline]
    pub fn add(&self, bucket: usize, octets: u64) {
        if let Some(sum) = self.0.get(bucket) {
            sum.fetch_add(octets, Relaxed);
        }
    }

    /// Octets by bucket.
    pub fn read(&self) -> [u64; BUCKETS] {
        core::array::from_fn(|bucket| self.0[bucket].load(Relaxed))
    }
}

impl Default for BucketLoads {
    fn default() -> Self {
        Self::new()
    }
}

/// The buckets that carried anything.
impl core::fmt::Debug for BucketLoads {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_map().entries(self.read().into_iter().enumerate().filter(|(_, octets)| *octets > 0)).finish()
    }
}

/// Counters are equal to themselves only: a plan that counts elsewhere is another plan, and must be published.
impl PartialEq for BucketLoads {
    fn eq(&self, other: &Self) -> bool {
        core::ptr::eq(self, other)
    }
}

impl Eq for BucketLoads {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_counted_apart() {
        let loads = BucketLoads::new();
        assert_eq!(loads.read(), [0; BUCKETS]);
        loads.add(0, 60);
        loads.add(255, 1514);
        loads.add(255, 4);
        loads.add(256, 1);
        loads.add(usize::MAX, 1);
        let mut expected = [0; BUCKETS];
        (expected[0], expected[255]) = (60, 1518);
        assert_eq!(loads.read(), expected);
        assert_eq!(format!("{loads:?}"), "{0: 60, 255: 1518}");
    }

    #[test]
    fn counters_are_equal_to_themselves_only() {
        let (one, other) = (BucketLoads::new(), BucketLoads::new());
        assert_eq!(one, one);
        assert_ne!(one, other);
    }

    #[test]
    fn no_thread_takes_octets_from_another() {
        const EACH: u64 = 20_000;
        let loads = BucketLoads::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..EACH).for_each(|n| loads.add(n as usize % 2, 3)));
            }
        });
        assert_eq!(loads.read()[..3], [6 * EACH, 6 * EACH, 0]);
    }
}
