//! Where a key may stand: two buckets, chosen by a keyed hash.

use super::word::Key;

/// A key with the buckets it may stand in and the digest its value carries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) key: Key,
    pub(super) digest: u64,
    /// The same one twice only in a table of one bucket.
    pub(super) buckets: [usize; 2],
}

/// A keyed hash: two rounds of multiply and shift with three secret words. Whoever does not know the secret can't find
/// addresses that share buckets. Nothing in it is wider than 64 bits: the kernel's executor computes it too.
#[derive(Debug, Clone)]
pub(super) struct Hasher {
    /// To be added without carry, to multiply by (odd), to multiply by (odd).
    pub(super) secret: [u64; 3],
    pub(super) buckets: usize,
}

impl Hasher {
    /// `buckets` is 1..=2^32.
    pub(super) fn new(seed: u64, buckets: usize) -> Self {
        let mut state = seed;
        let secret = [split_mix(&mut state), split_mix(&mut state) | 1, split_mix(&mut state) | 1];
        Self { secret, buckets }
    }

    #[inline]
    pub(super) fn place(&self, key: Key) -> Place {
        let [add, multiply, again] = self.secret;
        let hash = (key.0 ^ add).wrapping_mul(multiply);
        let hash = (hash ^ hash >> 32).wrapping_mul(again);
        let hash = hash ^ hash >> 29;
        let first = self.reduce(hash as u32);
        let second = self.reduce((hash >> 32) as u32);
        let second = if second != first { second } else { (first + 1) % self.buckets };
        Place { key, digest: hash.wrapping_mul(multiply) >> 44, buckets: [first, second] }
    }

    /// Maps 32 bits evenly to 0..buckets without a division.
    #[inline]
    fn reduce(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.buckets as u64) >> 32) as usize
    }
}

const ODD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads a seed over the words of a secret (Steele, Lea, Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(ODD);
    let z = (*state ^ *state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mac::MacAddr;

    fn key(n: u64) -> Key {
        Key::new(n as u16 % 16, MacAddr::from_u64(0x0200_0000_0000 | n))
    }

    #[test]
    fn the_two_buckets_differ_and_are_in_range() {
        for buckets in [1, 2, 3, 7, 6144] {
            let hasher = Hasher::new(1, buckets);
            for place in (0..1000).map(|n| hasher.place(key(n))) {
                assert!(place.buckets.iter().all(|b| *b < buckets));
                assert!(buckets == 1 || place.buckets[0] != place.buckets[1]);
            }
        }
    }

    /// Consecutive addresses, as a vendor or a hypervisor gives them out, spread like random ones: the fullest of 1024
    /// buckets holds little more than the mean.
    #[test]
    fn consecutive_addresses_spread() {
        for seed in 0..8 {
            let hasher = Hasher::new(seed, 1024);
            for choice in 0..2 {
                let mut load = [0u32; 1024];
                (0..64 * 1024).for_each(|n| load[hasher.place(key(n)).buckets[choice]] += 1);
                // Mean 64, standard deviation 8.
                let (least, most) = (load.iter().min().unwrap(), load.iter().max().unwrap());
                assert!(*least > 24 && *most < 112, "seed {seed} choice {choice}: {least}..{most}");
            }
        }
    }

    #[test]
    fn seeds_change_everything() {
        let (a, b) = (Hasher::new(1, 4096), Hasher::new(2, 4096));
        let same = (0..1000).filter(|n| a.place(key(*n)).buckets[0] == b.place(key(*n)).buckets[0]).count();
        assert!(same < 10, "{same} of 1000");
    }
}
