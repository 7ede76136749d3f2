//! Flows of very unequal size that come and go.

use bond_port::rebalance::BUCKETS;
use integration::random::Random;

/// One hour, in seconds.
pub(crate) const SECONDS: usize = 3600;

/// How many flows there are at any time.
const FLOWS: usize = 1000;

/// Octets that each bucket sends, for each second.
pub(crate) type Octets = Vec<[u64; BUCKETS]>;

/// The traffic of an hour.
///
/// There are always 1000 flows; the n-th largest sends `1 / n` of what the largest does (Zipf), which is 13 % of all, and
/// together they send `total` octets a second on average. Each second a flow's rate is between half and one and a half
/// times that. A flow ends after `lifetime` seconds on average (exponential), and another of its size begins in a bucket
/// of its own.
pub(crate) fn zipf(random: &mut Random, total: f64, lifetime: usize) -> Octets {
    let sum: f64 = (1..=FLOWS).map(|rank| 1.0 / rank as f64).sum();
    let rates: Vec<f64> = (1..=FLOWS).map(|rank| total / sum / rank as f64).collect();
    let mut buckets: Vec<usize> = rates.iter().map(|_| random.below(BUCKETS)).collect();
    (0..SECONDS)
        .map(|_| {
            let mut octets = [0; BUCKETS];
            for (bucket, rate) in buckets.iter_mut().zip(&rates) {
                if random.one_in(lifetime) {
                    *bucket = random.below(BUCKETS);
                }
                octets[*bucket] += (rate * (0.5 + random.below(1001) as f64 / 1000.0)) as u64;
            }
            octets
        })
        .collect()
}
