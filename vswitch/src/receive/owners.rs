//! Which guest has an IP address: a frame that comes in by a member's own address is given to that guest.
//!
//! Learned from what guests themselves say of their addresses (ARP, neighbour discovery), never from beyond a bond. The first
//! who claims an address has it until it is gone: a guest that claims another's is refused as long as the FDB knows that one
//! where it was. But the owner is then asked whether it still has the address, which may have been passed on (VRRP, DHCP):
//! if it does not say so within a second, it has lost it. The same when somebody beyond a bond claims it. What is kept is
//! bounded; when it is full, a port that holds more than its share loses what it has not used for longest.

mod contests;

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use forwarding::ids::PortId;
use forwarding::mac::MacAddr;
use forwarding::receive::{Guests, MAX_GUESTS};

use self::contests::Contests;
pub use self::contests::Verdict;

/// A VLAN of the bridge, and an address in it.
pub type Key = (u16, IpAddr);

/// After so long beyond a bond a guest is taken for one that has gone there; before that the FDB may have been misled.
const BEYOND: Duration = Duration::from_secs(10);

/// Who has an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The guest.
    pub mac: MacAddr,
    /// The port behind which it said so.
    pub port: PortId,
    /// When it, or the FDB for it, last gave a sign of life.
    pub seen: Duration,
}

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most addresses, at least 1 and at most [`MAX_GUESTS`].
    pub addresses: usize,
    /// For how long an address is kept after its guest's last sign of life.
    pub age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { addresses: MAX_GUESTS, age: Duration::from_secs(600) }
    }
}

/// What the FDB knows of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It is behind this port of ours.
    Here(PortId),
    /// It is beyond a bond.
    Beyond,
    /// Nothing.
    Unknown,
}

/// What became of a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claimed {
    /// The guest has the address from now on.
    New,
    /// It had it already.
    Known,
    /// Another guest has it.
    Refused(Owner),
}

/// The addresses of a bridge's guests.
#[derive(Debug, Default)]
pub struct Owners {
    limits: Limits,
    all: HashMap<Key, Owner>,
    /// How many each port has.
    by_port: HashMap<PortId, usize>,
    contests: Contests,
    /// Addresses that nobody has any more, to be fetched.
    gone: Vec<Key>,
    refused: u64,
}

impl Owners {
    /// With nothing known.
    pub fn new(limits: Limits) -> Self {
        let addresses = limits.addresses.clamp(1, MAX_GUESTS);
        Self { limits: Limits { addresses, ..limits }, ..Self::default() }
    }

    /// How many addresses are known.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// None is known.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many claims were refused.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Who has an address.
    pub fn owner(&self, vlan: u16, ip: IpAddr) -> Option<&Owner> {
        self.all.get(&(vlan, ip))
    }

    /// Everything, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (Key, &Owner)> {
        self.all.iter().map(|(key, owner)| (*key, owner))
    }

    /// What executors go by.
    pub fn guests(&self) -> Guests {
        Guests::new(self.all.iter().map(|(key, owner)| (*key, owner.mac)))
    }

    /// A guest says that it has an address. `is_alive` tells whether a guest is known where it was.
    pub fn claim(
        &mut self,
        now: Duration,
        (vlan, ip): Key,
        (port, mac): (PortId, MacAddr),
        is_alive: impl Fn(u16, &Owner) -> bool,
    ) -> Claimed {
        let fresh = Owner { mac, port, seen: now };
        match self.all.get(&(vlan, ip)).copied() {
            Some(owner) if owner.mac == mac => {
                self.contests.defend(&(vlan, ip));
                self.put((vlan, ip), fresh);
                Claimed::Known
            }
            Some(owner) if owner.seen + self.limits.age > now && is_alive(vlan, &owner) => {
                self.refused += 1;
                Claimed::Refused(owner)
            }
            found => {
                if found.is_none() {
                    self.make_room(port);
                }
                self.put((vlan, ip), fresh);
                Claimed::New
            }
        }
    }

    /// Takes over what a predecessor knew, unless it is known better by now.
    pub fn restore(&mut self, known: impl IntoIterator<Item = (Key, Owner)>) {
        for (key, owner) in known {
            if self.all.len() < self.limits.addresses && !self.all.contains_key(&key) {
                self.put(key, owner);
            }
        }
    }

    /// Somebody else claims the address of a guest that seems alive: `by` is a guest of ours, or somebody beyond a bond.
    /// [`Self::poll_contests`] tells what comes of it.
    pub fn contest(&mut self, now: Duration, key: Key, by: Option<(PortId, MacAddr)>) {
        if self.all.contains_key(&key) {
            self.contests.begin(now, key, by);
        }
    }

    /// The owner is not to lose a contested address.
    pub fn defend(&mut self, key: &Key) {
        self.contests.defend(key);
    }

    /// Somebody beyond a bond claims an address, and it is not clear yet whether it has gone there.
    pub fn is_disputed(&self, key: &Key) -> bool {
        self.contests.is_disputed(key)
    }

    /// When [`Self::poll_contests`] has something to say.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.contests.next_deadline()
    }

    /// Which owners are to be asked now whether they have their addresses still, and which have lost them.
    pub fn poll_contests(&mut self, now: Duration) -> Vec<Verdict> {
        let Self { contests, all, .. } = self;
        let verdicts = contests.poll(now, |key| all.get(key).copied());
        for verdict in &verdicts {
            match *verdict {
                Verdict::Lost { key, to: Some((port, mac)), .. } => {
                    self.put(key, Owner { mac, port, seen: now });
                }
                Verdict::Lost { key, to: None, .. } => self.lose(key),
                Verdict::Ask { .. } | Verdict::Kept { .. } => {}
            }
        }
        verdicts
    }

    /// The addresses that nobody has any more since this was last called.
    pub fn take_gone(&mut self) -> Vec<Key> {
        let mut gone = std::mem::take(&mut self.gone);
        gone.retain(|key| !self.all.contains_key(key));
        gone
    }

    /// Forgets everything of a port that is no more.
    pub fn forget_port(&mut self, port: PortId) {
        if self.by_port.contains_key(&port) {
            let of_port = self.all.iter().filter(|(_, owner)| owner.port == port).map(|(key, _)| *key);
            of_port.collect::<Vec<_>>().into_iter().for_each(|key| self.lose(key));
        }
    }

    /// Forgets what is too old. A guest that the FDB knows behind a port keeps its addresses however little it speaks of them,
    /// and one that has gone beyond a bond loses them soon.
    pub fn sweep(&mut self, now: Duration, life: impl Fn(u16, &Owner) -> Life) {
        let mut changed = Vec::new();
        for ((vlan, ip), owner) in &self.all {
            let age = match life(*vlan, owner) {
                Life::Here(port) => {
                    changed.push(((*vlan, *ip), Some(Owner { port, seen: now, ..*owner })));
                    continue;
                }
                Life::Beyond => BEYOND,
                Life::Unknown => self.limits.age,
            };
            if owner.seen + age <= now {
                changed.push(((*vlan, *ip), None));
            }
        }
        for (key, owner) in changed {
            match owner {
                Some(owner) => self.put(key, owner),
                None => self.lose(key),
            }
        }
    }

    fn put(&mut self, key: Key, owner: Owner) {
        self.remove(key);
        self.all.insert(key, owner);
        *self.by_port.entry(owner.port).or_default() += 1;
    }

    fn lose(&mut self, key: Key) {
        self.remove(key);
        self.contests.end(&key);
        self.gone.push(key);
    }

    fn remove(&mut self, key: Key) {
        let Some(owner) = self.all.remove(&key) else { return };
        if let Some(count) = self.by_port.get_mut(&owner.port) {
            *count -= 1;
            if *count == 0 {
                self.by_port.remove(&owner.port);
            }
        }
    }

    /// Makes sure that one more address of this port fits.
    fn make_room(&mut self, port: PortId) {
        if self.all.len() < self.limits.addresses {
            return;
        }
        let own = self.by_port.get(&port).copied().unwrap_or_default();
        let ports = self.by_port.len() + usize::from(own == 0);
        // If this port is below its share, another one is above.
        let from = if own >= (self.limits.addresses / ports).max(1) {
            Some(port)
        } else {
            self.by_port.iter().max_by_key(|(_, count)| **count).map(|(port, _)| *port)
        };
        let of_port = self.all.iter().filter(|(_, owner)| Some(owner.port) == from);
        let oldest = of_port.min_by_key(|(key, owner)| (owner.seen, **key)).map(|(key, _)| *key);
        oldest.into_iter().for_each(|key| self.lose(key));
    }
}

#[cfg(test)]
mod tests;
