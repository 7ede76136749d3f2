//! IPv6 neighbour discovery: solicitations and advertisements (RFC 4861 clauses 4.3 and 4.4).

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::mac::MacAddr;

/// ICMPv6 as a protocol number.
pub const PROTOCOL_ICMPV6: u8 = 58;
/// The hop limit that proves that no router has passed the packet on.
pub const HOP_LIMIT: u8 = 255;
/// The types of neighbour discovery: solicitations and advertisements of routers and neighbours, redirects (clause 4).
pub const DISCOVERY: core::ops::RangeInclusive<u8> = 133..=137;
/// Neighbour solicitation.
pub const SOLICITATION: u8 = 135;
/// Neighbour advertisement.
pub const ADVERTISEMENT: u8 = 136;
/// Advertisement flag: the sender is a router.
pub const FLAG_ROUTER: u32 = 1 << 31;
/// Advertisement flag: it answers a solicitation.
pub const FLAG_SOLICITED: u32 = 1 << 30;
/// Advertisement flag: it replaces what neighbours have cached.
pub const FLAG_OVERRIDE: u32 = 1 << 29;
/// Option: link-layer address of the sender (clause 4.6.1).
pub const OPTION_SOURCE_ADDRESS: u8 = 1;
/// Option: link-layer address of the target (clause 4.6.1).
pub const OPTION_TARGET_ADDRESS: u8 = 2;

/// A solicitation or advertisement without its options.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct NeighbourMessage {
    /// [`SOLICITATION`] or [`ADVERTISEMENT`].
    pub kind: u8,
    /// 0.
    pub code: u8,
    /// Over the pseudo-header and the message (RFC 4443 clause 2.3).
    pub checksum: U16,
    /// Flags of an advertisement.
    pub flags: U32,
    /// The address that is asked for or advertised.
    pub target: [u8; 16],
}

impl NeighbourMessage {
    /// The message at the start of an ICMPv6 packet; `None` if it is cut off or another one.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<&Self> {
        let (message, _) = Self::ref_from_prefix(bytes).ok()?;
        (matches!(message.kind, SOLICITATION | ADVERTISEMENT) && message.code == 0).then_some(message)
    }

    /// An advertisement that nobody has asked for (clause 7.2.6).
    #[inline]
    pub fn is_unsolicited_advertisement(&self) -> bool {
        self.kind == ADVERTISEMENT && self.flags.get() & FLAG_SOLICITED == 0
    }
}

/// An option that holds an Ethernet address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct AddressOption {
    /// [`OPTION_SOURCE_ADDRESS`], [`OPTION_TARGET_ADDRESS`] or another.
    pub kind: u8,
    /// Length in units of 8 octets: 1.
    pub units: u8,
    /// The address.
    pub mac: MacAddr,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const OCTETS: [u8; 24] =
        [136, 0, 0x12, 0x34, 0x20, 0, 0, 0, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

    #[test]
    fn golden_octets() {
        let message = NeighbourMessage::parse(&OCTETS).unwrap();
        assert_eq!((message.checksum.get(), message.flags.get()), (0x1234, FLAG_OVERRIDE));
        assert_eq!((message.target[0], message.target[15]), (0xfe, 1));
        assert_eq!(message.as_bytes(), OCTETS);
        assert!(message.is_unsolicited_advertisement());
        let mut solicited = *message;
        solicited.flags = (FLAG_SOLICITED | FLAG_OVERRIDE).into();
        assert!(!solicited.is_unsolicited_advertisement());
        let option = AddressOption { kind: 2, units: 1, mac: MacAddr([2, 0, 0, 0, 0, 1]) };
        assert_eq!(option.as_bytes(), [2, 1, 2, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn other_messages_are_not_ours() {
        for (at, octet) in [(0, 134), (0, 137), (0, 128), (1, 1)] {
            let mut octets = OCTETS;
            octets[at] = octet;
            assert_eq!(NeighbourMessage::parse(&octets), None);
        }
        assert_eq!(NeighbourMessage::parse(&OCTETS[..23]), None);
    }

    proptest! {
        #[test]
        fn agrees_with_etherparse(tail in any::<[u8; 20]>()) {
            let mut octets = OCTETS;
            octets[4..].copy_from_slice(&tail);
            let ours = NeighbourMessage::parse(&octets).unwrap();
            let theirs = etherparse::Icmpv6Slice::from_slice(&octets).unwrap();
            let etherparse::Icmpv6Type::NeighborAdvertisement(theirs) = theirs.icmp_type() else { panic!() };
            prop_assert_eq!(ours.flags.get() & FLAG_SOLICITED != 0, theirs.solicited);
            prop_assert_eq!(ours.flags.get() & FLAG_OVERRIDE != 0, theirs.r#override);
        }
    }
}
