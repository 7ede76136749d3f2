//! IPv4 headers (RFC 791 clause 3.1).

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// Octets of a header without options.
pub const MIN_HEADER_LEN: usize = 20;

/// Protocol number of IGMP (RFC 3376 clause 4).
pub const PROTOCOL_IGMP: u8 = 2;

/// The fixed part of a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Ipv4Header {
    /// Version (upper 4 bits) and header length in units of 4 octets.
    pub version_ihl: u8,
    /// DSCP and ECN.
    pub tos: u8,
    /// Octets of header and payload.
    pub total_len: U16,
    /// Identification of a datagram's fragments.
    pub id: U16,
    /// Flags (3 bits: reserved, DF, MF) and fragment offset in units of 8 octets.
    pub flags_fragment: U16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Header checksum.
    pub checksum: U16,
    /// Source address.
    pub src: [u8; 4],
    /// Destination address.
    pub dst: [u8; 4],
}

impl Ipv4Header {
    /// The header at the start of `bytes`; `None` if it is cut off (options included), of another version or shorter
    /// than a header can be. Lengths and checksum are not judged.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<&Self> {
        let (header, _) = Self::ref_from_prefix(bytes).ok()?;
        let whole = header.version_ihl >> 4 == 4
            && header.header_len() >= MIN_HEADER_LEN
            && header.header_len() <= bytes.len();
        whole.then_some(header)
    }

    /// Octets of the header with its options.
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(self.version_ihl & 0x0f) * 4
    }

    /// A fragment, the first one included.
    #[inline]
    pub fn is_fragment(&self) -> bool {
        self.flags_fragment.get() & 0x3fff != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// UDP, 192.0.2.1 to 198.51.100.77, 36 octets.
    const OCTETS: [u8; MIN_HEADER_LEN] = [
        0x45, 0x00, 0x00, 0x24, 0x00, 0x01, 0x00, 0x00, 0x40, 0x11, 0x00, 0x00, 0xc0, 0x00, 0x02, 0x01, 0xc6,
        0x33, 0x64, 0x4d,
    ];

    #[test]
    fn golden_octets() {
        let header = Ipv4Header::parse(&OCTETS).unwrap();
        assert_eq!((header.header_len(), header.total_len.get(), header.protocol), (20, 36, 17));
        assert_eq!((header.src, header.dst), ([192, 0, 2, 1], [198, 51, 100, 77]));
        assert!(!header.is_fragment());
        assert_eq!(header.as_bytes(), OCTETS);
    }

    #[test]
    fn fragments() {
        for (flags, fragment) in [(0x40, false), (0x20, true), (0x00, false), (0x01, true), (0x80, false)] {
            let mut octets = OCTETS;
            octets[6] = flags;
            assert_eq!(Ipv4Header::parse(&octets).unwrap().is_fragment(), fragment, "{flags:#x}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_etherparse(first in 0x30..0x5fu8, tail in proptest::collection::vec(any::<u8>(), 0..70)) {
            let bytes: Vec<u8> = core::iter::once(first).chain(tail).collect();
            match (Ipv4Header::parse(&bytes), etherparse::Ipv4HeaderSlice::from_slice(&bytes)) {
                (None, Err(_)) => {}
                (Some(ours), Ok(theirs)) => {
                    prop_assert_eq!(ours.header_len(), theirs.slice().len());
                    prop_assert_eq!(ours.total_len.get(), theirs.total_len());
                    prop_assert_eq!(ours.protocol, theirs.protocol().0);
                    prop_assert_eq!(ours.is_fragment(), theirs.is_fragmenting_payload());
                    prop_assert_eq!((ours.src, ours.dst), (theirs.source(), theirs.destination()));
                }
                (ours, theirs) => prop_assert!(false, "{ours:?} against {theirs:?}"),
            }
        }
    }
}
