//! The octets of learning frames.

use std::ops::Deref;

use forwarding::announce::{garp, rarp, unsolicited_na};
use forwarding::wire::ethernet;
use forwarding::wire::ipv6;

use super::{Announcement, Kind};

/// Octets of a neighbour advertisement with the target's link-layer address.
const ADVERTISEMENT_LEN: usize = 86;
const ICMPV6_OFFSET: usize = ethernet::HEADER_LEN + ipv6::HEADER_LEN;
/// The router flag, in the 16 bits behind the checksum (RFC 4861 clause 4.4).
const ROUTER_FLAG: u16 = 0x8000;

/// A learning frame without its VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// ARP or RARP, padded to the shortest frame of a wire.
    Arp([u8; ethernet::MIN_FRAME]),
    /// A neighbour advertisement.
    Advertisement([u8; ADVERTISEMENT_LEN]),
}

impl Announcement {
    /// The frame.
    pub fn frame(&self) -> Frame {
        match self.kind {
            Kind::Rarp => Frame::Arp(rarp(self.mac)),
            Kind::GratuitousArp(ip) => Frame::Arp(garp(self.mac, ip)),
            Kind::NeighbourAdvertisement { ip, router: false } => {
                Frame::Advertisement(unsolicited_na(self.mac, ip))
            }
            Kind::NeighbourAdvertisement { ip, router: true } => {
                Frame::Advertisement(of_router(unsolicited_na(self.mac, ip)))
            }
        }
    }
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Arp(octets) => octets,
            Self::Advertisement(octets) => octets,
        }
    }
}

/// Sets the router flag, which is clear, and brings the checksum up to date (RFC 1624 clause 3).
fn of_router(mut advertisement: [u8; ADVERTISEMENT_LEN]) -> [u8; ADVERTISEMENT_LEN] {
    let [_, _, high, low, flags, ..] = &mut advertisement[ICMPV6_OFFSET..] else { return advertisement };
    let (sum, carry) = (!u16::from_be_bytes([*high, *low])).overflowing_add(ROUTER_FLAG);
    [*high, *low] = (!(sum + u16::from(carry))).to_be_bytes();
    *flags |= ROUTER_FLAG.to_be_bytes()[0];
    advertisement
}
