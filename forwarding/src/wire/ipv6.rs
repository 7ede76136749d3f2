//! IPv6 headers (RFC 8200 clause 3).

use zerocopy::byteorder::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Octets of the fixed header.
pub const HEADER_LEN: usize = 40;
/// Octets of a fragment header (RFC 8200 clause 4.5).
pub const FRAGMENT_HEADER_LEN: usize = 8;

/// The fixed header; extension headers are not walked here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Ipv6Header {
    /// Version (4 bits), traffic class (8 bits), flow label (20 bits).
    pub version_class_label: U32,
    /// Octets behind this header.
    pub payload_len: U16,
    /// Protocol of what follows.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source address.
    pub src: [u8; 16],
    /// Destination address.
    pub dst: [u8; 16],
}

impl Ipv6Header {
    /// The header at the start of `bytes`; `None` if it is cut off or of another version.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<&Self> {
        let (header, _) = Self::ref_from_prefix(bytes).ok()?;
        (header.version_class_label.get() >> 28 == 6).then_some(header)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_octets() {
        let octets: [u8; HEADER_LEN] = [
            0x60, 0x01, 0x23, 0x45, 0x00, 0x10, 0x11, 0x40, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x00, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x20, 0x01, 0x0d, 0xb8, 0x00, 0x01, 0x00, 0x02,
            0x00, 0x03, 0x00, 0x04, 0x00, 0x05, 0x00, 0x06,
        ];
        let header = Ipv6Header::parse(&octets).unwrap();
        assert_eq!(header.version_class_label.get() & 0xf_ffff, 0x12345);
        assert_eq!((header.payload_len.get(), header.next_header, header.hop_limit), (16, 17, 64));
        assert_eq!((header.src[15], header.dst[15]), (1, 6));
        assert_eq!(header.as_bytes(), octets);
        assert_eq!(Ipv6Header::parse(&octets[..39]), None);
    }

    proptest! {
        #[test]
        fn agrees_with_etherparse(first in 0x50..0x7fu8, tail in proptest::collection::vec(any::<u8>(), 0..60)) {
            let bytes: Vec<u8> = core::iter::once(first).chain(tail).collect();
            match (Ipv6Header::parse(&bytes), etherparse::Ipv6HeaderSlice::from_slice(&bytes)) {
                (None, Err(_)) => {}
                (Some(ours), Ok(theirs)) => {
                    prop_assert_eq!(ours.payload_len.get(), theirs.payload_length());
                    prop_assert_eq!(ours.next_header, theirs.next_header().0);
                    prop_assert_eq!((ours.src, ours.dst), (theirs.source(), theirs.destination()));
                }
                (ours, theirs) => prop_assert!(false, "{ours:?} against {theirs:?}"),
            }
        }
    }
}
