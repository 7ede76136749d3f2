//! Which guest has an IP address: a frame that comes in by a member's own address is given to that guest.
//!
//! Learned from what guests themselves say of their addresses (ARP, neighbour discovery), never from beyond a bond. The first
//! who claims an address has it until it is gone: a guest that claims another's is refused as long as the FDB knows that one
//! where it was. What is kept is bounded; when it is full, a port that holds more than its share loses what it has not used
//! for longest.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use forwarding::ids::PortId;
use forwarding::mac::MacAddr;
use forwarding::receive::{Guests, MAX_GUESTS};

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
    all: HashMap<(u16, IpAddr), Owner>,
    /// How many each port has.
    by_port: HashMap<PortId, usize>,
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
    pub fn iter(&self) -> impl Iterator<Item = ((u16, IpAddr), &Owner)> {
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
        (vlan, ip): (u16, IpAddr),
        (port, mac): (PortId, MacAddr),
        is_alive: impl Fn(u16, &Owner) -> bool,
    ) -> Claimed {
        let fresh = Owner { mac, port, seen: now };
        match self.all.get(&(vlan, ip)).copied() {
            Some(owner) if owner.mac == mac => {
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
    pub fn restore(&mut self, known: impl IntoIterator<Item = ((u16, IpAddr), Owner)>) {
        for (key, owner) in known {
            if self.all.len() < self.limits.addresses && !self.all.contains_key(&key) {
                self.put(key, owner);
            }
        }
    }

    /// Forgets everything of a port that is no more; returns whether there was anything.
    pub fn forget_port(&mut self, port: PortId) -> bool {
        if self.by_port.remove(&port).is_none() {
            return false;
        }
        self.all.retain(|_, owner| owner.port != port);
        true
    }

    /// Forgets what is too old; a guest that `is_alive` keeps its addresses however little it speaks of them. Returns whether
    /// anything was forgotten.
    pub fn sweep(&mut self, now: Duration, is_alive: impl Fn(u16, &Owner) -> bool) -> bool {
        let mut expired = Vec::new();
        for ((vlan, ip), owner) in &mut self.all {
            if is_alive(*vlan, owner) {
                owner.seen = now;
            } else if owner.seen + self.limits.age <= now {
                expired.push((*vlan, *ip));
            }
        }
        expired.iter().for_each(|key| self.remove(*key));
        !expired.is_empty()
    }

    fn put(&mut self, key: (u16, IpAddr), owner: Owner) {
        self.remove(key);
        self.all.insert(key, owner);
        *self.by_port.entry(owner.port).or_default() += 1;
    }

    fn remove(&mut self, key: (u16, IpAddr)) {
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
        oldest.into_iter().for_each(|key| self.remove(key));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    const AGE: Duration = Duration::from_secs(600);
    const VLAN: u16 = 7;

    fn ip(n: u16) -> IpAddr {
        let [high, low] = n.to_be_bytes();
        [10, 0, high, low].into()
    }

    fn mac(n: u8) -> MacAddr {
        MacAddr([2, 0, 0, 0, 0, n])
    }

    fn at(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    fn says(owners: &mut Owners, now: u64, guest: u8, n: u16, alive: bool) -> Claimed {
        owners.claim(at(now), (VLAN, ip(n)), (PortId(guest.into()), mac(guest)), |_, _| alive)
    }

    #[test]
    fn the_first_has_it_until_it_is_gone() {
        let mut owners = Owners::default();
        assert_eq!(says(&mut owners, 1, 1, 9, true), Claimed::New);
        assert_eq!(says(&mut owners, 2, 1, 9, true), Claimed::Known);
        let first = Owner { mac: mac(1), port: PortId(1), seen: at(2) };
        assert_eq!(says(&mut owners, 3, 2, 9, true), Claimed::Refused(first));
        assert_eq!((owners.owner(VLAN, ip(9)), owners.refused()), (Some(&first), 1));
        // In another VLAN it is another address.
        assert_eq!(owners.owner(VLAN + 1, ip(9)), None);
        // The FDB has forgotten the first.
        assert_eq!(says(&mut owners, 4, 2, 9, false), Claimed::New);
        assert_eq!(owners.guests().owner(VLAN, ip(9)), Some(mac(2)));
        assert_eq!(owners.len(), 1);
    }

    #[test]
    fn a_guest_may_change_its_port() {
        let mut owners = Owners::default();
        assert_eq!(says(&mut owners, 1, 1, 9, true), Claimed::New);
        let moved = owners.claim(at(2), (VLAN, ip(9)), (PortId(5), mac(1)), |_, _| true);
        assert_eq!((moved, owners.owner(VLAN, ip(9)).unwrap().port), (Claimed::Known, PortId(5)));
        assert!(!owners.forget_port(PortId(1)));
        assert!(owners.forget_port(PortId(5)) && owners.is_empty());
    }

    #[test]
    fn silence_ends_it_but_life_does_not() {
        let mut owners = Owners::default();
        says(&mut owners, 0, 1, 9, true);
        says(&mut owners, 0, 2, 8, true);
        let first_lives = |_: u16, owner: &Owner| owner.mac == mac(1);
        assert!(!owners.sweep(AGE - at(1), first_lives));
        assert!(owners.sweep(AGE, first_lives));
        assert_eq!((owners.len(), owners.owner(VLAN, ip(9)).map(|owner| owner.seen)), (1, Some(AGE)));
        // Too old to be defended, though nobody has swept yet.
        assert_eq!(says(&mut owners, 1300, 2, 9, true), Claimed::New);
    }

    #[test]
    fn a_loud_port_loses_its_own() {
        let mut owners = Owners::new(Limits { addresses: 4, age: AGE });
        says(&mut owners, 0, 1, 1, true);
        says(&mut owners, 0, 1, 2, true);
        for n in 10..30 {
            assert_eq!(says(&mut owners, n.into(), 2, n, true), Claimed::New);
        }
        let mut left: Vec<_> = owners.iter().map(|((_, ip), _)| ip).collect();
        left.sort();
        assert_eq!(left, [ip(1), ip(2), ip(28), ip(29)]);
        // A third port takes from the one that has most, or, where all have the same, from any.
        assert_eq!(says(&mut owners, 40, 3, 40, true), Claimed::New);
        assert_eq!(owners.len(), 4);
    }

    #[test]
    fn what_a_predecessor_knew_gives_way_to_what_is_heard() {
        let mut owners = Owners::default();
        says(&mut owners, 5, 1, 9, true);
        let old = Owner { mac: mac(3), port: PortId(3), seen: at(0) };
        owners.restore([((VLAN, ip(9)), old), ((VLAN, ip(8)), old)]);
        assert_eq!(owners.guests().owner(VLAN, ip(9)), Some(mac(1)));
        assert_eq!(owners.guests().owner(VLAN, ip(8)), Some(mac(3)));
    }

    proptest! {
        /// Whatever is claimed: bounded, counted right, and an address never changes hands while its owner is alive.
        #[test]
        fn bounded_and_fair(claims in vec((0..4u8, 0..12u16, any::<bool>()), 1..200)) {
            let mut owners = Owners::new(Limits { addresses: 6, age: AGE });
            for (now, (guest, n, alive)) in claims.into_iter().enumerate() {
                let before = owners.owner(VLAN, ip(n)).copied();
                let claimed = says(&mut owners, now as u64, guest, n, alive);
                let after = owners.owner(VLAN, ip(n)).unwrap();
                match before {
                    Some(before) if before.mac != mac(guest) && alive => {
                        prop_assert_eq!((claimed, *after), (Claimed::Refused(before), before));
                    }
                    _ => prop_assert_eq!(after.mac, mac(guest)),
                }
                prop_assert!(owners.len() <= 6);
                prop_assert_eq!(owners.by_port.values().sum::<usize>(), owners.len());
            }
        }
    }
}
