//! A set of buckets of a transmit table.

use crate::bucket_loads::BUCKETS;

/// Some of the [`BUCKETS`] buckets of a transmit table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct BucketSet {
    /// Bit `n % 64` of word `n / 64` is bucket `n`.
    words: [u64; BUCKETS / 64],
}

impl BucketSet {
    /// None of them.
    pub const NONE: Self = Self { words: [0; BUCKETS / 64] };
    /// All of them.
    pub const ALL: Self = Self { words: [u64::MAX; BUCKETS / 64] };

    /// Whether the bucket of a hash is in it: the hash modulo [`BUCKETS`].
    #[inline]
    pub const fn has(&self, hash: u32) -> bool {
        let bucket = hash as usize % BUCKETS;
        self.words[bucket / 64] >> (bucket % 64) & 1 == 1
    }

    /// Puts a bucket in, modulo [`BUCKETS`].
    pub const fn insert(&mut self, bucket: usize) {
        let bucket = bucket % BUCKETS;
        self.words[bucket / 64] |= 1 << (bucket % 64);
    }

    /// Those that are in either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        self.with(other, |a, b| a | b)
    }

    /// Those that are not in the other.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        self.with(other, |a, b| a & !b)
    }

    /// There is none in it.
    pub fn is_empty(&self) -> bool {
        *self == Self::NONE
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// As words: bit `n % 64` of word `n / 64` is bucket `n`.
    pub const fn words(&self) -> &[u64; BUCKETS / 64] {
        &self.words
    }

    fn with(self, other: Self, op: impl Fn(u64, u64) -> u64) -> Self {
        let mut words = self.words;
        words.iter_mut().zip(other.words).for_each(|(word, more)| *word = op(*word, more));
        Self { words }
    }
}

impl FromIterator<usize> for BucketSet {
    fn from_iter<I: IntoIterator<Item = usize>>(buckets: I) -> Self {
        let mut set = Self::NONE;
        buckets.into_iter().for_each(|bucket| set.insert(bucket));
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn is_a_set(a in btree_set(0..BUCKETS, 0..40), b in btree_set(0..BUCKETS, 0..40)) {
            let (x, y): (BucketSet, BucketSet) = (a.iter().copied().collect(), b.iter().copied().collect());
            prop_assert_eq!((x.len(), x.is_empty()), (a.len(), a.is_empty()));
            for bucket in 0..BUCKETS {
                let hash = bucket as u32 + 0x0102_0300;
                prop_assert_eq!(x.has(hash), a.contains(&bucket));
                prop_assert_eq!(x.union(y).has(hash), a.contains(&bucket) || b.contains(&bucket));
                prop_assert_eq!(x.without(y).has(hash), a.contains(&bucket) && !b.contains(&bucket));
                prop_assert_eq!(x.words()[bucket / 64] >> (bucket % 64) & 1 == 1, a.contains(&bucket));
            }
            prop_assert_eq!(BucketSet::ALL.without(x).len(), BUCKETS - a.len());
        }
    }
}
