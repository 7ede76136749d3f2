//! Which IP addresses are behind which MAC, as heard in the ARP and neighbour discovery frames of local ports. After a
//! failover they are announced by gratuitous ARP and unsolicited neighbour advertisements instead of RARP.
//!
//! A guest is believed only about itself, and only as long as nobody contradicts: an address that two MACs of a VLAN
//! claim is reported for neither, and one that somebody beyond the uplink announces is forgotten here. So an
//! announcement of ours never takes an address from its owner; the worst that a liar gets is RARP for his victim.
//!
//! What is kept is bounded. Guests are told apart by port, VLAN and MAC, so that a guest that uses another one's MAC
//! changes nothing for that one. When the table is full, a port that holds more than its share loses its oldest MAC.

mod claim;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use forwarding::ids::PortId;
use forwarding::mac::MacAddr;

use self::claim::{Claim, claim};

/// Most IPv4 addresses kept for one MAC.
pub const MAX_IPV4: usize = 4;
/// Most IPv6 addresses kept for one MAC.
pub const MAX_IPV6: usize = 8;
/// Most MACs that one [`Neighbours::sweep`] forgets.
const SWEEP_SHARE: usize = 1024;

/// How much is kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most MACs, at least 1. A MAC on two ports or in two VLANs counts twice.
    pub macs: usize,
    /// For how long an address is believed after it was last heard.
    pub age: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { macs: 16_384, age: Duration::from_secs(600) }
    }
}

/// An IP address of a guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// Heard in ARP.
    V4(Ipv4Addr),
    /// Heard in neighbour discovery.
    V6 {
        /// The address.
        ip: Ipv6Addr,
        /// Whether the guest advertises itself as a router. `None`: it has not said. An advertisement without the flag
        /// would make hosts give up a default router (RFC 4861 clause 7.2.5), so it must not be guessed.
        router: Option<bool>,
    },
}

/// The addresses of all guests.
#[derive(Debug)]
pub struct Neighbours {
    limits: Limits,
    ports: HashMap<PortId, Port>,
    /// Sum of the ports' hosts.
    len: usize,
    /// Who claims an address: in each VLAN, sorted so that contradicting claims are neighbours.
    claims: BTreeSet<(u16, IpAddr, MacAddr, PortId)>,
}

#[derive(Debug, Default)]
struct Port {
    hosts: HashMap<(u16, MacAddr), Host>,
    /// The hosts by when they were last heard.
    by_age: BTreeSet<(Duration, u16, MacAddr)>,
}

#[derive(Debug)]
struct Host {
    heard: Duration,
    known: Vec<Known>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    ip: IpAddr,
    heard: Duration,
    router: Option<bool>,
}

impl Default for Neighbours {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Neighbours {
    /// With nothing known.
    pub fn new(limits: Limits) -> Self {
        let limits = Limits { macs: limits.macs.max(1), ..limits };
        Self { limits, ports: HashMap::new(), len: 0, claims: BTreeSet::new() }
    }

    /// How many MACs are known, a MAC on two ports or in two VLANs counting twice; at most [`Limits::macs`].
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes a frame that a local port received: without its outer tag, in the VLAN it was put in (0: none). Anything
    /// but a guest's word about an address of its own is passed over.
    pub fn handle_frame(&mut self, now: Duration, port: PortId, vlan: u16, bytes: &[u8]) {
        let Some(claim) = claim(bytes).filter(|claim| claim.mac == claim.sender) else { return };
        let known = self.host(port, vlan, claim.mac).is_some_and(|host| host.knows(claim.ip));
        if claim.uncertain && !known {
            return;
        }
        if self.host(port, vlan, claim.mac).is_none() {
            self.make_room(port);
        }
        self.believe(now, port, vlan, &claim);
    }

    /// Takes a frame that came from beyond an uplink: an address that somebody there claims is no longer any guest's,
    /// until the guest is heard again.
    pub fn handle_uplink_frame(&mut self, vlan: u16, bytes: &[u8]) {
        let Some(claim) = claim(bytes) else { return };
        let wrong: Vec<_> = self.claimants(vlan, claim.ip).filter(|(mac, _)| *mac != claim.mac).collect();
        for (mac, port) in wrong {
            self.claims.remove(&(vlan, claim.ip, mac, port));
            let host = self.ports.get_mut(&port).and_then(|port| port.hosts.get_mut(&(vlan, mac)));
            if let Some(host) = host {
                host.known.retain(|known| known.ip != claim.ip);
            }
        }
    }

    /// The addresses of a MAC that was heard on this port, IPv4 first; without those that are too old or contested.
    pub fn addresses(&self, now: Duration, port: PortId, vlan: u16, mac: MacAddr) -> Vec<Address> {
        let Some(host) = self.host(port, vlan, mac) else { return Vec::new() };
        let mut addresses: Vec<_> = (host.known.iter())
            .filter(|known| now < known.heard + self.limits.age)
            .filter(|known| self.claimants(vlan, known.ip).all(|(claimant, _)| claimant == mac))
            .map(|known| match known.ip {
                IpAddr::V4(ip) => Address::V4(ip),
                IpAddr::V6(ip) => Address::V6 { ip, router: known.router },
            })
            .collect();
        addresses.sort_unstable();
        addresses
    }

    /// Forgets everything heard on a port: it lost its link, or is gone.
    pub fn forget_port(&mut self, port: PortId) {
        let Some(gone) = self.ports.remove(&port) else { return };
        self.len -= gone.hosts.len();
        for ((vlan, mac), host) in gone.hosts {
            for known in host.known {
                self.claims.remove(&(vlan, known.ip, mac, port));
            }
        }
    }

    /// Forgets MACs that were not heard for [`Limits::age`]; at most about a thousand a call, the others at the next.
    pub fn sweep(&mut self, now: Duration) {
        let expired: Vec<_> = (self.ports.iter())
            .flat_map(|(port, known)| {
                let old = known.by_age.iter().take_while(|(heard, ..)| *heard + self.limits.age <= now);
                old.map(|(_, vlan, mac)| (*port, *vlan, *mac))
            })
            .take(SWEEP_SHARE)
            .collect();
        for (port, vlan, mac) in expired {
            self.forget_host(port, vlan, mac);
        }
    }

    fn host(&self, port: PortId, vlan: u16, mac: MacAddr) -> Option<&Host> {
        self.ports.get(&port)?.hosts.get(&(vlan, mac))
    }

    fn claimants(&self, vlan: u16, ip: IpAddr) -> impl Iterator<Item = (MacAddr, PortId)> + '_ {
        let first = (vlan, ip, MacAddr::ZERO, PortId(0));
        let last = (vlan, ip, MacAddr::BROADCAST, PortId(u16::MAX));
        self.claims.range(first..=last).map(|(_, _, mac, port)| (*mac, *port))
    }

    /// Makes sure that one more MAC of this port fits.
    fn make_room(&mut self, port: PortId) {
        if self.len < self.limits.macs {
            return;
        }
        let own = self.ports.get(&port).map_or(0, |port| port.hosts.len());
        let ports = self.ports.len() + usize::from(own == 0);
        let share = (self.limits.macs / ports).max(1);
        // If this port is below its share, another one is above.
        let from = if own >= share {
            Some(port)
        } else {
            self.ports.iter().max_by_key(|(_, port)| port.hosts.len()).map(|(port, _)| *port)
        };
        let oldest = from.and_then(|port| Some((port, self.ports.get(&port)?.by_age.first()?)));
        if let Some((port, &(_, vlan, mac))) = oldest {
            self.forget_host(port, vlan, mac);
        }
    }

    fn forget_host(&mut self, port: PortId, vlan: u16, mac: MacAddr) {
        let Some(known) = self.ports.get_mut(&port) else { return };
        let Some(host) = known.hosts.remove(&(vlan, mac)) else { return };
        known.by_age.remove(&(host.heard, vlan, mac));
        if known.hosts.is_empty() {
            self.ports.remove(&port);
        }
        self.len -= 1;
        for known in host.known {
            self.claims.remove(&(vlan, known.ip, mac, port));
        }
    }

    fn believe(&mut self, now: Duration, port: PortId, vlan: u16, claim: &Claim) {
        let mac = claim.mac;
        let of_port = self.ports.entry(port).or_default();
        let host = of_port.hosts.entry((vlan, mac)).or_insert_with(|| {
            self.len += 1;
            Host { heard: now, known: Vec::new() }
        });
        of_port.by_age.remove(&(host.heard, vlan, mac));
        of_port.by_age.insert((now, vlan, mac));
        host.heard = now;
        self.claims.insert((vlan, claim.ip, mac, port));
        for forgotten in host.hear(now, self.limits.age, claim) {
            self.claims.remove(&(vlan, forgotten, mac, port));
        }
    }
}

impl Host {
    fn knows(&self, ip: IpAddr) -> bool {
        self.known.iter().any(|known| known.ip == ip)
    }

    /// Notes an address; returns those that are forgotten instead: what is too old, and the oldest if there are too
    /// many.
    fn hear(&mut self, now: Duration, age: Duration, claim: &Claim) -> Vec<IpAddr> {
        match self.known.iter_mut().find(|known| known.ip == claim.ip) {
            Some(known) => {
                known.heard = now;
                known.router = claim.router.or(known.router);
            }
            None => self.known.push(Known { ip: claim.ip, heard: now, router: claim.router }),
        }
        let mut forgotten: Vec<_> = self.known.extract_if(.., |known| known.heard + age <= now).collect();
        let most = if claim.ip.is_ipv4() { MAX_IPV4 } else { MAX_IPV6 };
        let alike = |known: &&Known| known.ip.is_ipv4() == claim.ip.is_ipv4();
        if self.known.iter().filter(alike).count() > most {
            // Of equally old ones not the one just heard.
            let oldest = self.known.iter().filter(alike).min_by_key(|k| (k.heard, k.ip == claim.ip)).copied();
            self.known.retain(|known| Some(known.ip) != oldest.map(|oldest| oldest.ip));
            forgotten.extend(oldest);
        }
        forgotten.into_iter().map(|known| known.ip).collect()
    }
}
