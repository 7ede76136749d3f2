//! The virtio network header that packet sockets (`PACKET_VNET_HDR`) and TAPs (`IFF_VNET_HDR`) put before a frame:
//! which checksum is still to be computed and how a super-frame is to be cut (virtio 1.2 clause 5.1.6).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::drop_reason::DropReason;
use crate::wire::ethernet::HEADER_LEN;

/// Flag: the checksum from `csum_start` to the end is to be stored at `csum_start + csum_offset`.
pub const F_NEEDS_CSUM: u8 = 1;
/// Flag: the checksum was verified.
pub const F_DATA_VALID: u8 = 2;

/// Not a super-frame.
pub const GSO_NONE: u8 = 0;
/// TCP over IPv4.
pub const GSO_TCPV4: u8 = 1;
/// UDP to be cut into IP fragments (UFO).
pub const GSO_UDP: u8 = 3;
/// TCP over IPv6.
pub const GSO_TCPV6: u8 = 4;
/// UDP to be cut into datagrams (USO).
pub const GSO_UDP_L4: u8 = 5;
/// May be added to the TCP types: the first segment carries CWR.
pub const GSO_ECN: u8 = 0x80;

/// The 10 octets of the header without `num_buffers`. Numbers are in the host's byte order, as packet sockets and TAPs
/// use them unless told otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct VirtioNetHeader {
    /// [`F_NEEDS_CSUM`], [`F_DATA_VALID`] or others, which are passed on.
    pub flags: u8,
    /// One of the `GSO_` types.
    pub gso_type: u8,
    /// Hint: octets of all headers, from the start of the frame.
    pub hdr_len: u16,
    /// Payload octets of each segment.
    pub gso_size: u16,
    /// Where checksumming begins, in octets from the start of the frame.
    pub csum_start: u16,
    /// Where the checksum is stored, in octets from `csum_start`.
    pub csum_offset: u16,
}

impl VirtioNetHeader {
    /// Octets of the header.
    pub const LEN: usize = 10;

    /// Reads a header.
    #[inline]
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        zerocopy::transmute!(bytes)
    }

    /// Writes the header.
    #[inline]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        zerocopy::transmute!(self)
    }

    /// A super-frame, to be cut into segments of `gso_size` payload octets.
    #[inline]
    pub fn is_gso(&self) -> bool {
        self.gso_type != GSO_NONE
    }

    /// The GSO type without the ECN bit.
    #[inline]
    pub fn gso_kind(&self) -> u8 {
        self.gso_type & !GSO_ECN
    }

    /// The checksum is still to be computed.
    #[inline]
    pub fn needs_csum(&self) -> bool {
        self.flags & F_NEEDS_CSUM != 0
    }

    /// Whether the header fits a frame of `frame_len` octets: the checksum lies within it and behind the Ethernet
    /// header, the GSO type is known and its segment size not 0, the headers are not longer than the frame. A kernel
    /// answers anything else with `EINVAL`, for the whole burst at worst.
    ///
    /// # Errors
    /// [`DropReason::BadOffload`].
    #[inline]
    pub fn check(&self, frame_len: usize) -> Result<(), DropReason> {
        let csum_fits = || {
            let start = usize::from(self.csum_start);
            start >= HEADER_LEN && start + usize::from(self.csum_offset) + 2 <= frame_len
        };
        let gso_known = match self.gso_type {
            GSO_NONE => true,
            GSO_UDP | GSO_UDP_L4 => self.gso_size != 0,
            _ => matches!(self.gso_kind(), GSO_TCPV4 | GSO_TCPV6) && self.gso_size != 0,
        };
        let fits = gso_known && (!self.needs_csum() || csum_fits()) && usize::from(self.hdr_len) <= frame_len;
        if fits { Ok(()) } else { Err(DropReason::BadOffload) }
    }

    /// The header of the same frame after `by` octets were put into (or, if negative, taken out of) its layer-2
    /// header: `csum_start` (if in use) and `hdr_len` (if set) move along, staying within 0..=65535.
    #[inline]
    pub fn shifted(&self, by: i16) -> Self {
        let mut moved = *self;
        if self.needs_csum() {
            moved.csum_start = self.csum_start.saturating_add_signed(by);
        }
        if self.hdr_len != 0 {
            moved.hdr_len = self.hdr_len.saturating_add_signed(by);
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp() -> VirtioNetHeader {
        VirtioNetHeader {
            flags: F_NEEDS_CSUM,
            gso_type: GSO_TCPV4,
            hdr_len: 66,
            gso_size: 1448,
            csum_start: 34,
            csum_offset: 16,
        }
    }

    #[test]
    fn golden_octets() {
        let mut octets = vec![1, 1];
        for number in [66u16, 1448, 34, 16] {
            octets.extend(number.to_ne_bytes());
        }
        let octets: [u8; VirtioNetHeader::LEN] = octets.try_into().unwrap();
        assert_eq!(tcp().to_bytes(), octets);
        assert_eq!(VirtioNetHeader::from_bytes(octets), tcp());
        assert_eq!(VirtioNetHeader::default().to_bytes(), [0; 10]);
    }

    #[test]
    fn sound_headers_pass() {
        assert_eq!(VirtioNetHeader::default().check(14), Ok(()));
        assert_eq!(tcp().check(9000), Ok(()));
        assert_eq!(VirtioNetHeader { gso_type: GSO_TCPV6 | GSO_ECN, ..tcp() }.check(9000), Ok(()));
        assert_eq!(VirtioNetHeader { gso_type: GSO_UDP_L4, ..tcp() }.check(9000), Ok(()));
        assert_eq!(VirtioNetHeader { hdr_len: 0, ..tcp() }.check(52), Ok(()));
        let verified = VirtioNetHeader { flags: F_DATA_VALID, csum_start: 9999, ..Default::default() };
        assert_eq!(verified.check(60), Ok(()), "csum_start means nothing without NEEDS_CSUM");
    }

    #[test]
    fn contradictions_are_refused() {
        let bad = [
            (VirtioNetHeader { gso_size: 0, ..tcp() }, 9000, "segment size 0"),
            (VirtioNetHeader { gso_type: 2, ..tcp() }, 9000, "unknown type"),
            (VirtioNetHeader { gso_type: GSO_ECN, ..tcp() }, 9000, "ECN alone"),
            (VirtioNetHeader { gso_type: GSO_UDP_L4 | GSO_ECN, ..tcp() }, 9000, "ECN with UDP"),
            (VirtioNetHeader { hdr_len: 0, ..tcp() }, 51, "checksum ends behind the frame"),
            (VirtioNetHeader { csum_start: u16::MAX, csum_offset: u16::MAX, ..tcp() }, 65535, "far outside"),
            (VirtioNetHeader { csum_start: 12, ..tcp() }, 9000, "checksum of the Ethernet header"),
            (VirtioNetHeader { hdr_len: 61, ..Default::default() }, 60, "headers longer than the frame"),
        ];
        for (header, len, why) in bad {
            assert_eq!(header.check(len), Err(DropReason::BadOffload), "{why}");
        }
    }

    #[test]
    fn offsets_follow_a_tag() {
        let tagged = tcp().shifted(4);
        assert_eq!((tagged.csum_start, tagged.hdr_len, tagged.csum_offset), (38, 70, 16));
        assert_eq!(tagged.shifted(-4), tcp());
        assert_eq!(VirtioNetHeader::default().shifted(4), VirtioNetHeader::default());
        assert_eq!(VirtioNetHeader { csum_start: 2, ..tcp() }.shifted(-4).csum_start, 0);
    }
}
