//! Choices that look random and that a seed repeats.

pub(crate) use crate::hash_frames::Random;

pub(crate) trait Choices {
    /// A number below `limit`, which is not 0.
    fn index(&mut self, limit: usize) -> usize;

    /// True in so many of 100 cases.
    fn chance(&mut self, percent: usize) -> bool {
        self.index(100) < percent
    }

    fn shuffle<T>(&mut self, things: &mut [T]) {
        for end in (1..things.len()).rev() {
            things.swap(end, self.index(end + 1));
        }
    }

    /// So many different ones.
    fn some_of<T: Copy>(&mut self, things: &[T], count: usize) -> Vec<T> {
        let mut things = things.to_vec();
        self.shuffle(&mut things);
        things.truncate(count);
        things
    }

    fn octets_of(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.index(256) as u8).collect()
    }
}

impl Choices for Random {
    fn index(&mut self, limit: usize) -> usize {
        (self.number() % limit as u64) as usize
    }
}

/// The seed of a test: `VSWITCH_SEED`, else the clock's. It is printed, so that a failed test can be repeated.
pub(crate) fn seed() -> u64 {
    let given =
        std::env::var("VSWITCH_SEED").ok().map(|text| text.parse().expect("VSWITCH_SEED is a number"));
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let seed = given.unwrap_or_else(|| since.map_or(0, |time| time.as_micros() as u64));
    println!("VSWITCH_SEED={seed}");
    seed
}
