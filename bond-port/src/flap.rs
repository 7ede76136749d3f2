//! Flap damping: a member whose link keeps going down is held out until it has been quiet for a while.

use core::fmt;
use core::time::Duration;
use std::collections::VecDeque;

/// `flap_limit`: a member that goes down so many times in so many seconds is held out until it has not gone down for as
/// long. Not an option of Linux.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlapLimit {
    /// How often, 2..=100.
    pub times: u8,
    /// In how many seconds, 1..=86400.
    pub seconds: u32,
}

impl FlapLimit {
    const MAX_TIMES: u8 = 100;
    const MAX_SECONDS: u32 = 86_400;

    /// What is allowed, for an error message.
    pub(crate) fn allowed() -> String {
        format!(
            "0 (off), TIMES/SECONDS such as 5/60 (2-{} times, 1-{} seconds)",
            Self::MAX_TIMES,
            Self::MAX_SECONDS
        )
    }

    /// `TIMES/SECONDS`; `Some(None)` for `0` or `off`, `None` for anything else.
    pub(crate) fn parse(text: &str) -> Option<Option<Self>> {
        if matches!(text, "0" | "off") {
            return Some(None);
        }
        let (times, seconds) = text.split_once('/')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(times) || !digits(seconds) {
            return None;
        }
        let limit = Self { times: times.parse().ok()?, seconds: seconds.parse().ok()? };
        let sound =
            (2..=Self::MAX_TIMES).contains(&limit.times) && (1..=Self::MAX_SECONDS).contains(&limit.seconds);
        sound.then_some(Some(limit))
    }

    fn window(self) -> Duration {
        Duration::from_secs(self.seconds.into())
    }
}

impl fmt::Display for FlapLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.times, self.seconds)
    }
}

/// What is remembered of one member.
#[derive(Debug, Clone, Default)]
pub struct Flaps {
    /// When the link went down, oldest first; as many as the limit's times at most.
    downs: VecDeque<Duration>,
    /// Held out until then.
    until: Option<Duration>,
}

impl Flaps {
    /// The link has gone down. `true`: from now on the member is held out.
    pub fn went_down(&mut self, now: Duration, limit: FlapLimit) -> bool {
        self.downs.push_back(now);
        while self.downs.len() > limit.times.into() {
            self.downs.pop_front();
        }
        let first = self.downs.front().copied().unwrap_or(now);
        let often = self.downs.len() == limit.times.into() && now.saturating_sub(first) <= limit.window();
        if !often {
            return false;
        }
        let begins = self.until.is_none();
        self.until = Some(now.saturating_add(limit.window()));
        begins
    }

    /// The link went down once more while the member was held out: it is so for longer.
    pub fn still_flaps(&mut self, now: Duration, limit: FlapLimit) {
        if self.until.is_some() {
            self.until = Some(now.saturating_add(limit.window()));
        }
    }

    /// Until when the member is held out.
    pub fn until(&self) -> Option<Duration> {
        self.until
    }

    /// Ends the time of being held out if it has come to its end; says whether it has.
    pub fn handle_timeout(&mut self, now: Duration) -> bool {
        let over = self.until.is_some_and(|until| until <= now);
        if over {
            self.forget();
        }
        over
    }

    /// Begins anew.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: FlapLimit = FlapLimit { times: 3, seconds: 10 };

    const fn s(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn text() {
        assert_eq!(FlapLimit::parse("5/60"), Some(Some(FlapLimit { times: 5, seconds: 60 })));
        assert_eq!(FlapLimit::parse("5/60").unwrap().unwrap().to_string(), "5/60");
        assert_eq!((FlapLimit::parse("0"), FlapLimit::parse("off")), (Some(None), Some(None)));
        for bad in
            ["", "5", "5/", "/60", "1/60", "101/60", "5/0", "5/86401", "5/60/1", "-5/60", "5/+6", "a/b"]
        {
            assert_eq!(FlapLimit::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn often_within_the_window_and_no_less() {
        let mut flaps = Flaps::default();
        let told: Vec<bool> = [0, 6, 12, 18, 20].map(|at| flaps.went_down(s(at), LIMIT)).into();
        assert_eq!(told, [false, false, false, false, true], "12, 18, 20 are three in 10 s");
        assert_eq!(flaps.until(), Some(s(30)));
    }

    #[test]
    fn quiet_ends_it_and_noise_makes_it_longer() {
        let mut flaps = Flaps::default();
        assert!([1, 2, 3].map(|at| flaps.went_down(s(at), LIMIT))[2]);
        assert!(!flaps.handle_timeout(s(12)));
        flaps.still_flaps(s(12), LIMIT);
        assert!(!flaps.handle_timeout(s(13)));
        assert!(flaps.handle_timeout(s(22)));
        assert_eq!(flaps.until(), None);
        assert!(!flaps.went_down(s(23), LIMIT), "the count begins anew");
        flaps.still_flaps(s(24), LIMIT);
        assert_eq!(flaps.until(), None, "it is not held out");
    }
}
