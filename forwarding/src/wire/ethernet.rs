//! Ethernet II and 802.3 headers (IEEE 802.3-2018 clause 3).

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::mac::MacAddr;

/// Octets of the header: two addresses and the type or length field.
pub const HEADER_LEN: usize = 14;
/// Offset of the type or length field.
pub const ETHERTYPE_OFFSET: usize = 12;
/// Shortest frame on a wire, without the frame check sequence.
pub const MIN_FRAME: usize = 60;
/// Smallest value of the field that is a type; below, it is a length (IEEE 802.3-2018 clause 3.2.6).
pub const FIRST_ETHERTYPE: u16 = 0x0600;

/// Internet Protocol version 4.
pub const ETHERTYPE_IPV4: u16 = 0x0800;
/// Address Resolution Protocol.
pub const ETHERTYPE_ARP: u16 = 0x0806;
/// Reverse ARP (RFC 903).
pub const ETHERTYPE_RARP: u16 = 0x8035;
/// Internet Protocol version 6.
pub const ETHERTYPE_IPV6: u16 = 0x86dd;
/// Slow Protocols: LACP, markers (IEEE 802.3-2018 annex 57A.4).
pub const ETHERTYPE_SLOW_PROTOCOLS: u16 = 0x8809;
/// Ethernet configuration testing (loopback), which nobody answers any more: what learning frames are.
pub const ETHERTYPE_LOOPBACK: u16 = 0x9000;

/// The header as it stands in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct EthernetHeader {
    /// Destination address.
    pub dst: MacAddr,
    /// Source address.
    pub src: MacAddr,
    /// Type of the payload, or its length if below [`FIRST_ETHERTYPE`].
    pub ethertype: U16,
}

impl EthernetHeader {
    /// The header at the start of a frame; `None` if the frame is shorter than [`HEADER_LEN`].
    #[inline]
    pub fn parse(frame: &[u8]) -> Option<&Self> {
        Self::ref_from_prefix(frame).ok().map(|(header, _)| header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const FRAME: [u8; 16] =
        [0x02, 0x00, 0x00, 0x00, 0xaa, 0x10, 0x02, 0x00, 0x00, 0x00, 0xbb, 0x21, 0x86, 0xdd, 0x60, 0x00];

    #[test]
    fn golden_octets() {
        let header = EthernetHeader::parse(&FRAME).unwrap();
        assert_eq!(header.dst, MacAddr([0x02, 0, 0, 0, 0xaa, 0x10]));
        assert_eq!(header.src, MacAddr([0x02, 0, 0, 0, 0xbb, 0x21]));
        assert_eq!(header.ethertype.get(), ETHERTYPE_IPV6);
        assert_eq!(header.as_bytes(), &FRAME[..HEADER_LEN]);
        assert_eq!(EthernetHeader::parse(&FRAME[..13]), None);
    }

    proptest! {
        #[test]
        fn agrees_with_etherparse(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            match (EthernetHeader::parse(&bytes), etherparse::Ethernet2Slice::from_slice_without_fcs(&bytes)) {
                (None, Err(_)) => {}
                (Some(ours), Ok(theirs)) => {
                    prop_assert_eq!(ours.dst.0, theirs.destination());
                    prop_assert_eq!(ours.src.0, theirs.source());
                    prop_assert_eq!(ours.ethertype.get(), theirs.ether_type().0);
                }
                (ours, theirs) => prop_assert!(false, "{ours:?} against {theirs:?}"),
            }
        }
    }
}
