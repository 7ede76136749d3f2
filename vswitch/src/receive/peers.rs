//! Hosts beyond a bond that know a guest: by which MAC each of them knows it, and by which it is to know it.
//!
//! A pair is an IP address of a guest and a host. What the host has is known from what was last told to it, or from where it
//! sends its own ARP and neighbour discovery. Where that is not what the table of the bond says, the host is told: at once,
//! and twice more, since the first may be lost. A host that goes on to differ is told again when it is heard to.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use forwarding::bucket_loads::BUCKETS;
use forwarding::mac::MacAddr;
use forwarding::receive::bucket;

/// How long after one another a host is told the same.
const REPEATS: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(1)];
/// The shortest time between two updates of one host about one address.
const SPACING: Duration = Duration::from_millis(50);
/// After so long without a word it is asked whether the host is still there.
const QUIET: Duration = Duration::from_secs(60);
/// Most pairs that one [`Peers::sweep`] looks at.
const SWEEP_SHARE: usize = 1024;

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most pairs, at least 1.
    pub pairs: usize,
    /// For how long a pair is kept after the host's last sign of life.
    pub age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { pairs: 16_384, age: Duration::from_secs(600) }
    }
}

/// A guest's address and a host that knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The bridge's VLAN.
    pub vlan: u16,
    /// The guest's address.
    pub guest: IpAddr,
    /// The host.
    pub peer: MacAddr,
}

impl Key {
    fn bucket(&self) -> usize {
        bucket(self.peer, self.guest).into()
    }

    /// The member's address that the table has for the pair; `None`: the guest's own.
    pub fn named(&self, table: &Table) -> Option<MacAddr> {
        table[self.bucket()]
    }
}

/// What is said of a pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// The guest's MAC.
    pub mac: MacAddr,
    /// An address of the host, of the same family as the guest's.
    pub peer_ip: IpAddr,
    /// By which MAC the host knows the guest after this; `None`: that can't be seen.
    pub has: Option<MacAddr>,
}

#[derive(Debug, Clone, Copy)]
struct Pair {
    word: Word,
    heard: Duration,
    told: Option<Duration>,
    /// When it is to be told next, and how often it was told the same.
    next: Option<(Duration, usize)>,
}

/// A host is to be told where a guest's address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Update {
    /// Whom, and about which address.
    pub key: Key,
    /// The guest's MAC.
    pub mac: MacAddr,
    /// The host's own address.
    pub peer_ip: IpAddr,
    /// The MAC it is to send to.
    pub tell: MacAddr,
}

/// By which MAC hosts are to know guests: that of a bucket, or the guest's own.
pub type Table = [Option<MacAddr>; BUCKETS];

/// The pairs of a bond.
#[derive(Debug)]
pub struct Peers {
    limits: Limits,
    pairs: BTreeMap<Key, Pair>,
    by_age: BTreeSet<(Duration, Key)>,
    due: BTreeSet<(Duration, Key)>,
    occupied: [u32; BUCKETS],
    updates: u64,
}

impl Default for Peers {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Peers {
    /// With nobody known.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits: Limits { pairs: limits.pairs.max(1), ..limits },
            pairs: BTreeMap::new(),
            by_age: BTreeSet::new(),
            due: BTreeSet::new(),
            occupied: [0; BUCKETS],
            updates: 0,
        }
    }

    /// How many pairs are known.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// None is known.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// How many updates were made.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// How many pairs are in each bucket.
    pub fn occupied(&self) -> &[u32; BUCKETS] {
        &self.occupied
    }

    /// Whether a pair is known.
    pub fn knows(&self, key: &Key) -> bool {
        self.pairs.contains_key(key)
    }

    /// A pair has shown itself: the guest spoke to the host alone, or the host to the guest.
    pub fn hear(&mut self, now: Duration, key: Key, word: Word, table: &Table) {
        if !self.pairs.contains_key(&key) {
            self.make_room();
            self.occupied[key.bucket()] += 1;
        }
        let before = self.pairs.get(&key).copied();
        if let Some(before) = before {
            self.by_age.remove(&(before.heard, key));
        }
        self.by_age.insert((now, key));
        let has = word.has.or_else(|| before?.word.has);
        let (told, next) = before.map_or((None, None), |before| (before.told, before.next));
        self.pairs.insert(key, Pair { word: Word { has, ..word }, heard: now, told, next });
        self.check(now, key, table);
    }

    /// A guest has told everybody where its address is: each host that knows it has that MAC now.
    pub fn overhear(&mut self, now: Duration, vlan: u16, guest: IpAddr, mac: MacAddr, table: &Table) {
        for key in self.of_guest(vlan, guest) {
            if let Some(pair) = self.pairs.get_mut(&key) {
                pair.word.has = Some(mac);
                pair.word.mac = mac;
            }
            self.check(now, key, table);
        }
    }

    /// Somebody who does not have the address has told everybody that it has it: each host that knows it has this MAC now, or
    /// `None`: nobody knows which, and is to be put right.
    pub fn contradict(
        &mut self,
        now: Duration,
        vlan: u16,
        guest: IpAddr,
        mac: Option<MacAddr>,
        table: &Table,
    ) {
        for key in self.of_guest(vlan, guest) {
            if let Some(pair) = self.pairs.get_mut(&key) {
                pair.word.has = mac;
            }
            self.check(now, key, table);
        }
    }

    /// Another guest has the address now. Who was told a member's address need not be told anew.
    pub fn hand_over(&mut self, now: Duration, vlan: u16, guest: IpAddr, mac: MacAddr, table: &Table) {
        for key in self.of_guest(vlan, guest) {
            if let Some(pair) = self.pairs.get_mut(&key).filter(|pair| pair.word.mac != mac) {
                pair.word.has = pair.word.has.filter(|has| *has != pair.word.mac);
                pair.word.mac = mac;
                self.check(now, key, table);
            }
        }
    }

    /// The table has changed.
    pub fn retable(&mut self, now: Duration, table: &Table) {
        let all: Vec<_> = self.pairs.keys().copied().collect();
        all.into_iter().for_each(|key| self.check(now, key, table));
    }

    /// Forgets an address that no guest has any more.
    pub fn forget_guest(&mut self, vlan: u16, guest: IpAddr) {
        self.of_guest(vlan, guest).into_iter().for_each(|key| self.remove(key));
    }

    /// When [`Self::poll`] has something to say.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Who is to be told now, at most so many at once.
    pub fn poll(&mut self, now: Duration, most: usize, table: &Table) -> Vec<Update> {
        let due: Vec<_> =
            self.due.iter().take_while(|(at, _)| *at <= now).take(most).map(|(_, key)| *key).collect();
        let mut updates = Vec::new();
        for key in due {
            let Some(pair) = self.pairs.get_mut(&key) else { continue };
            let Some((at, repeat)) = pair.next.take() else { continue };
            self.due.remove(&(at, key));
            let tell = key.named(table).unwrap_or(pair.word.mac);
            pair.word.has = Some(tell);
            pair.told = Some(now);
            pair.next = REPEATS.get(repeat).map(|pause| (now + *pause, repeat + 1));
            self.due.extend(pair.next.map(|(at, _)| (at, key)));
            updates.push(Update { key, mac: pair.word.mac, peer_ip: pair.word.peer_ip, tell });
        }
        self.updates += updates.len() as u64;
        updates
    }

    /// Forgets hosts that were not heard for long, unless they still are alive; looks at about a thousand a call.
    pub fn sweep(&mut self, now: Duration, is_alive: impl Fn(u16, MacAddr) -> bool) {
        let quiet = self.by_age.iter().take_while(|(heard, _)| *heard + QUIET <= now).take(SWEEP_SHARE);
        for (heard, key) in quiet.copied().collect::<Vec<_>>() {
            if is_alive(key.vlan, key.peer) {
                self.by_age.remove(&(heard, key));
                self.by_age.insert((now, key));
                if let Some(pair) = self.pairs.get_mut(&key) {
                    pair.heard = now;
                }
            } else if heard + self.limits.age <= now {
                self.remove(key);
            }
        }
    }

    /// Begins to tell a host, if it has, or may have, another MAC than it should, and is not being told.
    fn check(&mut self, now: Duration, key: Key, table: &Table) {
        let Some(pair) = self.pairs.get_mut(&key) else { return };
        let wanted = key.named(table).unwrap_or(pair.word.mac);
        if pair.word.has == Some(wanted) || pair.next.is_some_and(|(_, repeat)| repeat == 0) {
            return;
        }
        if let Some((at, _)) = pair.next.take() {
            self.due.remove(&(at, key));
        }
        let at = pair.told.map_or(now, |told| now.max(told + SPACING));
        pair.next = Some((at, 0));
        self.due.insert((at, key));
    }

    fn of_guest(&self, vlan: u16, guest: IpAddr) -> Vec<Key> {
        let key = |peer| Key { vlan, guest, peer };
        self.pairs.range(key(MacAddr::ZERO)..=key(MacAddr::BROADCAST)).map(|(key, _)| *key).collect()
    }

    fn make_room(&mut self) {
        if self.pairs.len() >= self.limits.pairs
            && let Some((_, oldest)) = self.by_age.first().copied()
        {
            self.remove(oldest);
        }
    }

    fn remove(&mut self, key: Key) {
        let Some(pair) = self.pairs.remove(&key) else { return };
        self.by_age.remove(&(pair.heard, key));
        if let Some((at, _)) = pair.next {
            self.due.remove(&(at, key));
        }
        self.occupied[key.bucket()] -= 1;
    }
}

#[cfg(test)]
mod tests;
