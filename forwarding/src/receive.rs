//! Receive balancing of a bond for the guests of its bridge (balance-alb): guests tell their peers a member's own address
//! as theirs, another one for other peers, so that what the peers send arrives by all members. Here is what executors go
//! by: whose addresses the members' are, what is told to whom, and which guest a frame to a member is for.
//!
//! Linux does this for the bond's own IP addresses alone (`rlb_choose_channel`, `rlb_arp_xmit` in `bond_alb.c`).

use core::net::IpAddr;
use std::sync::Arc;

use crate::bucket_loads::{BUCKETS, BucketLoads};
use crate::ids::DeviceId;
use crate::mac::MacAddr;

/// Most addresses in [`Guests`].
pub const MAX_GUESTS: usize = 4096;

/// The receive balancing of a bond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receive {
    /// Each member's own address, and the device by which frames to it are let in, whatever that device's admission is: the
    /// member's, or for a member that is down that of the active one. No address twice. No frame from the bond has one of
    /// them as its source ([`crate::drop_reason::DropReason::Reflected`]).
    pub own: Vec<(MacAddr, DeviceId)>,
    /// [`bucket`] to the address that guests give as theirs to the peers in it; `None`: the guest's own.
    pub table: Arc<[Option<MacAddr>; BUCKETS]>,
    /// Who has an IP address.
    pub guests: Arc<Guests>,
    /// Octets of the unicast IP frames that came in, by [`bucket`] of source MAC and destination IP: from the destination
    /// address on, with all tags. The same counters for as long as the bond balances.
    pub loads: Arc<BucketLoads>,
}

impl Receive {
    /// The device by which frames to an address are let in, if it is a member's own.
    #[inline]
    pub fn device_of(&self, mac: MacAddr) -> Option<DeviceId> {
        self.own.iter().find(|(own, _)| *own == mac).map(|(_, device)| *device)
    }

    /// The address that a guest gives to a peer instead of its own.
    #[inline]
    pub fn told(&self, peer: MacAddr, guest: IpAddr) -> Option<MacAddr> {
        self.table[usize::from(bucket(peer, guest))]
    }
}

/// The bucket of a peer (its MAC) and a guest (its IP address): all octets of both, XORed.
#[inline]
pub fn bucket(peer: MacAddr, guest: IpAddr) -> u8 {
    let guest = match guest {
        IpAddr::V4(ip) => u64::from(u32::from(ip)),
        IpAddr::V6(ip) => {
            let bits = u128::from(ip);
            (bits >> 64) as u64 ^ bits as u64
        }
    };
    (peer.to_u64() ^ guest).to_be_bytes().into_iter().fold(0, |sum, octet| sum ^ octet)
}

/// A key's IP address: IPv4 as the IPv6 address that maps it, `::ffff:a.b.c.d` (RFC 4291 clause 2.5.5.2), which no frame
/// has as its own.
#[inline]
fn mapped(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => 0xffff_0000_0000 | u128::from(u32::from(ip)),
        IpAddr::V6(ip) => ip.into(),
    }
}

/// Which guest has an IP address in a VLAN of the bridge: sorted, and never changed (24 octets and padding each).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guests(Vec<(u128, u16, MacAddr)>);

impl Guests {
    /// From (VLAN, IP address) and MAC. Of the same address in one VLAN the last counts. At most [`MAX_GUESTS`] are kept,
    /// those with the lowest addresses; who needs another choice makes it before.
    pub fn new(bindings: impl IntoIterator<Item = ((u16, IpAddr), MacAddr)>) -> Self {
        let mut all: Vec<_> = bindings.into_iter().map(|((vlan, ip), mac)| (mapped(ip), vlan, mac)).collect();
        // Stable, so that the last one of equals stays the last.
        all.sort_by_key(|(ip, vlan, _)| (*ip, *vlan));
        all.dedup_by(|next, kept| {
            let same = (next.0, next.1) == (kept.0, kept.1);
            if same {
                kept.2 = next.2;
            }
            same
        });
        all.truncate(MAX_GUESTS);
        Self(all)
    }

    /// The guest that has an IP address: a binary search, at most 12 steps.
    #[inline]
    pub fn owner(&self, vlan: u16, ip: IpAddr) -> Option<MacAddr> {
        let key = (mapped(ip), vlan);
        self.0.binary_search_by_key(&key, |(ip, vlan, _)| (*ip, *vlan)).ok().map(|found| self.0[found].2)
    }

    /// How many addresses.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// None at all.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// VLAN, IP address (IPv4 as `::ffff:a.b.c.d`, octets in network order) and MAC of each, sorted by address and VLAN.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (u16, [u8; 16], MacAddr)> + '_ {
        self.0.iter().map(|(ip, vlan, mac)| (*vlan, ip.to_be_bytes(), *mac))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn mac(n: u64) -> MacAddr {
        MacAddr::from_u64(0x0200_0000_0000 | n)
    }

    #[test]
    fn guests_are_found_in_their_vlan() {
        let guests = Guests::new([
            ((0, ip("192.0.2.1")), mac(1)),
            ((10, ip("192.0.2.1")), mac(2)),
            ((0, ip("2001:db8::1")), mac(1)),
            ((0, ip("192.0.2.1")), mac(3)),
        ]);
        assert_eq!(guests.len(), 3);
        assert_eq!(guests.owner(0, ip("192.0.2.1")), Some(mac(3)));
        assert_eq!(guests.owner(10, ip("192.0.2.1")), Some(mac(2)));
        assert_eq!(guests.owner(0, ip("2001:db8::1")), Some(mac(1)));
        assert_eq!(guests.owner(10, ip("2001:db8::1")), None);
        assert_eq!(guests.owner(0, ip("192.0.2.2")), None);
        let listed: Vec<_> =
            guests.iter().map(|(vlan, ip, _)| (vlan, IpAddr::from(ip).to_canonical())).collect();
        assert_eq!(listed, [(0, ip("192.0.2.1")), (10, ip("192.0.2.1")), (0, ip("2001:db8::1"))]);
        assert!(Guests::default().is_empty());
    }

    #[test]
    fn they_are_bounded() {
        let all = (0..5000_u32).rev().map(|n| ((1, IpAddr::from(n.to_be_bytes())), mac(n.into())));
        let guests = Guests::new(all);
        assert_eq!(guests.len(), MAX_GUESTS);
        assert_eq!(guests.owner(1, ip("0.0.15.255")), Some(mac(4095)));
        assert_eq!(guests.owner(1, ip("0.0.16.0")), None);
    }

    #[test]
    fn peers_and_guests_spread_over_buckets() {
        let peer = MacAddr([2, 0, 0, 0, 0, 7]);
        assert_eq!(bucket(peer, ip("192.0.2.1")), 2 ^ 7 ^ 192 ^ 2 ^ 1);
        assert_eq!(bucket(peer, ip("2001:db8::1")), 2 ^ 7 ^ 0x20 ^ 0x01 ^ 0x0d ^ 0xb8 ^ 1);
        assert_ne!(bucket(mac(8), ip("192.0.2.1")), bucket(mac(9), ip("192.0.2.1")));
        let mut table = [None; BUCKETS];
        table[usize::from(bucket(peer, ip("192.0.2.1")))] = Some(mac(99));
        let receive = Receive {
            own: vec![(mac(99), DeviceId(4))],
            table: Arc::new(table),
            guests: Arc::default(),
            loads: Arc::default(),
        };
        assert_eq!(receive.told(peer, ip("192.0.2.1")), Some(mac(99)));
        assert_eq!(receive.told(peer, ip("192.0.2.2")), None);
        assert_eq!((receive.device_of(mac(99)), receive.device_of(peer)), (Some(DeviceId(4)), None));
    }

    proptest! {
        #[test]
        fn a_map(bindings in vec(((0..3_u16, 0..40_u8, any::<bool>()), 0..9_u64), 0..90)) {
            let key = |(vlan, n, four)| match four {
                true => (vlan, IpAddr::from([10, 0, 0, n])),
                false => (vlan, IpAddr::from([0x2001, 0, 0, 0, 0, 0, 0, u16::from(n)])),
            };
            let bindings: Vec<_> = bindings.into_iter().map(|(k, n)| (key(k), mac(n))).collect();
            let map: BTreeMap<_, _> = bindings.iter().copied().collect();
            let guests = Guests::new(bindings);
            prop_assert_eq!(guests.len(), map.len());
            for vlan in 0..4 {
                for n in 0..42 {
                    for four in [false, true] {
                        let (vlan, ip) = key((vlan, n, four));
                        prop_assert_eq!(guests.owner(vlan, ip), map.get(&(vlan, ip)).copied());
                    }
                }
            }
        }

        /// The kernel's executor has keys in which IPv4 is mapped: the bucket is the same.
        #[test]
        fn a_mapped_address_has_the_same_bucket(peer: [u8; 6], ip: [u8; 4]) {
            let sum = |octets: &[u8]| octets.iter().fold(0, |sum, octet| sum ^ octet);
            let mapped = std::net::Ipv4Addr::from(ip).to_ipv6_mapped();
            prop_assert_eq!(bucket(MacAddr(peer), ip.into()), sum(&peer) ^ sum(&ip));
            prop_assert_eq!(bucket(MacAddr(peer), mapped.into()), sum(&peer) ^ sum(&ip));
        }
    }
}
