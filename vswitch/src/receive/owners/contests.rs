//! Addresses that two claim: their owners are asked, and lose them if they do not answer.

use std::collections::BTreeMap;
use std::time::Duration;

use forwarding::ids::PortId;
use forwarding::mac::MacAddr;

use super::{Key, Owner};

/// How often an owner is asked, and the time in which an answer to each must come.
const TIMES: u8 = 3;
const PAUSE: Duration = Duration::from_millis(300);
/// Most addresses at a time; owners of others keep them.
const MOST: usize = 256;

/// What is to be done about a contested address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The owner is to be asked.
    Ask {
        /// The address.
        key: Key,
        /// Whom.
        owner: Owner,
    },
    /// The owner has said that it has the address, which somebody beyond a bond had claimed.
    Kept {
        /// The address.
        key: Key,
    },
    /// The owner has said nothing and lost it.
    Lost {
        /// The address.
        key: Key,
        /// Who had it.
        owner: Owner,
        /// Who has it now: the guest that claimed it, or nobody here.
        to: Option<(PortId, MacAddr)>,
    },
}

#[derive(Debug)]
struct Contest {
    by: Option<(PortId, MacAddr)>,
    /// How often the owner was asked.
    asked: u8,
    next: Duration,
    defended: bool,
}

/// All that go on, and those that have just ended: there is one a second about an address at most.
#[derive(Debug, Default)]
pub(super) struct Contests(BTreeMap<Key, Contest>);

impl Contests {
    pub(super) fn begin(&mut self, now: Duration, key: Key, by: Option<(PortId, MacAddr)>) {
        if self.0.len() < MOST {
            self.0.entry(key).or_insert(Contest { by, asked: 0, next: now, defended: false });
        }
    }

    /// The owner has said that it has the address.
    pub(super) fn defend(&mut self, key: &Key) {
        if let Some(contest) = self.0.get_mut(key) {
            contest.defended = true;
        }
    }

    pub(super) fn end(&mut self, key: &Key) {
        self.0.remove(key);
    }

    /// Somebody beyond a bond claims it, and it is not clear yet who has it.
    pub(super) fn is_disputed(&self, key: &Key) -> bool {
        self.0.get(key).is_some_and(|contest| contest.by.is_none())
    }

    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.0.values().map(|contest| contest.next).min()
    }

    pub(super) fn poll(&mut self, now: Duration, owner: impl Fn(&Key) -> Option<Owner>) -> Vec<Verdict> {
        let mut verdicts = Vec::new();
        self.0.retain(|key, contest| {
            if contest.next > now {
                return true;
            }
            let Some(owner) = owner(key) else { return false };
            if contest.asked >= TIMES {
                match (contest.defended, contest.by) {
                    (false, to) => verdicts.push(Verdict::Lost { key: *key, owner, to }),
                    (true, None) => verdicts.push(Verdict::Kept { key: *key }),
                    (true, Some(_)) => {}
                }
                return false;
            }
            contest.asked += 1;
            contest.next = now + PAUSE;
            if !contest.defended {
                verdicts.push(Verdict::Ask { key: *key, owner });
            }
            true
        });
        verdicts
    }
}
