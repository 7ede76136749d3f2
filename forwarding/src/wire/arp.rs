//! ARP (RFC 826) and RARP (RFC 903) for IPv4 over Ethernet.

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::mac::MacAddr;

/// Octets of a packet.
pub const PACKET_LEN: usize = 28;

/// Hardware type of Ethernet.
pub const HARDWARE_ETHERNET: u16 = 1;
/// Who has the target address? (ARP)
pub const REQUEST: u16 = 1;
/// The sender has the sender address. (ARP)
pub const REPLY: u16 = 2;
/// What is the target's protocol address? (RARP)
pub const REVERSE_REQUEST: u16 = 3;
/// The target's protocol address. (RARP)
pub const REVERSE_REPLY: u16 = 4;

/// A packet; RARP has the same layout under another ethertype.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct ArpPacket {
    /// [`HARDWARE_ETHERNET`].
    pub hardware_type: U16,
    /// 0x0800.
    pub protocol_type: U16,
    /// 6.
    pub hardware_len: u8,
    /// 4.
    pub protocol_len: u8,
    /// [`REQUEST`], [`REPLY`], [`REVERSE_REQUEST`], [`REVERSE_REPLY`] or another.
    pub operation: U16,
    /// Hardware address of the sender.
    pub sender_mac: MacAddr,
    /// IPv4 address of the sender.
    pub sender_ip: [u8; 4],
    /// Hardware address of the target.
    pub target_mac: MacAddr,
    /// IPv4 address of the target.
    pub target_ip: [u8; 4],
}

impl ArpPacket {
    /// A packet for IPv4 over Ethernet at the start of `bytes`; `None` if it is cut off or for other protocols.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<&Self> {
        let (packet, _) = Self::ref_from_prefix(bytes).ok()?;
        (packet.hardware_type.get() == HARDWARE_ETHERNET
            && packet.protocol_type.get() == 0x0800
            && packet.hardware_len == 6
            && packet.protocol_len == 4)
            .then_some(packet)
    }

    /// Whether an ARP packet tells everybody where its sender is without being asked: a request or reply about the
    /// sender's own address (RFC 5227 clause 1.1, RFC 5944 clause 4.6).
    #[inline]
    pub fn is_gratuitous(&self) -> bool {
        matches!(self.operation.get(), REQUEST | REPLY) && self.sender_ip == self.target_ip
    }

    /// Whether a RARP packet tells everybody where its sender is: a request of a host about itself, as hypervisors
    /// send when a guest has moved.
    #[inline]
    pub fn is_reverse_announcement(&self) -> bool {
        self.operation.get() == REVERSE_REQUEST && self.sender_mac == self.target_mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 02:00:00:00:bb:21 (192.0.2.1) asks who has 198.51.100.77.
    const REQUEST_OCTETS: [u8; PACKET_LEN] = [
        0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0xbb, 0x21, 0xc0, 0x00, 0x02,
        0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xc6, 0x33, 0x64, 0x4d,
    ];

    #[test]
    fn golden_octets() {
        let packet = ArpPacket::parse(&REQUEST_OCTETS).unwrap();
        assert_eq!(packet.operation.get(), REQUEST);
        assert_eq!(packet.sender_mac, MacAddr([0x02, 0, 0, 0, 0xbb, 0x21]));
        assert_eq!(packet.sender_ip, [192, 0, 2, 1]);
        assert_eq!(packet.target_mac, MacAddr::ZERO);
        assert_eq!(packet.target_ip, [198, 51, 100, 77]);
        assert_eq!(packet.as_bytes(), REQUEST_OCTETS);
        assert!(!packet.is_gratuitous() && !packet.is_reverse_announcement());
    }

    #[test]
    fn announcements() {
        let mut packet = *ArpPacket::parse(&REQUEST_OCTETS).unwrap();
        packet.target_ip = packet.sender_ip;
        assert!(packet.is_gratuitous());
        packet.operation = REPLY.into();
        assert!(packet.is_gratuitous());
        packet.operation = REVERSE_REQUEST.into();
        assert!(!packet.is_gratuitous() && !packet.is_reverse_announcement());
        packet.target_mac = packet.sender_mac;
        assert!(packet.is_reverse_announcement());
    }

    #[test]
    fn other_protocols_and_cut_packets_are_not_ours() {
        for (offset, octet) in [(1, 6), (3, 1), (4, 8), (5, 16)] {
            let mut octets = REQUEST_OCTETS;
            octets[offset] = octet;
            assert_eq!(ArpPacket::parse(&octets), None);
        }
        assert_eq!(ArpPacket::parse(&REQUEST_OCTETS[..27]), None);
    }

    proptest! {
        #[test]
        fn agrees_with_etherparse(tail in any::<[u8; 22]>()) {
            let mut bytes = REQUEST_OCTETS;
            bytes[6..].copy_from_slice(&tail);
            let ours = ArpPacket::parse(&bytes).unwrap();
            let theirs = etherparse::ArpPacketSlice::from_slice(&bytes).unwrap();
            prop_assert_eq!(ours.operation.get(), theirs.operation().0);
            prop_assert_eq!(&ours.sender_mac.0[..], theirs.sender_hw_addr());
            prop_assert_eq!(&ours.sender_ip[..], theirs.sender_protocol_addr());
            prop_assert_eq!(&ours.target_mac.0[..], theirs.target_hw_addr());
            prop_assert_eq!(&ours.target_ip[..], theirs.target_protocol_addr());
        }
    }
}
