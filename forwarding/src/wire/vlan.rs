//! VLAN tags in a frame's octets (IEEE 802.1Q-2018 clause 9).

use zerocopy::byteorder::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::vlan::{TPID_8021AD, TPID_8021Q, VlanTag};
use crate::wire::ethernet::{ETHERTYPE_OFFSET, HEADER_LEN};

/// Octets of a tag: tag protocol and tag control information.
pub const TAG_LEN: usize = 4;

/// What follows a tag protocol identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct TagHeader {
    /// Tag control information: PCP (3 bits), DEI (1 bit), VLAN ID (12 bits).
    pub tci: U16,
    /// Type or length of what the tag encloses; may be another tag protocol.
    pub ethertype: U16,
}

impl TagHeader {
    /// The header at the start of `bytes` (behind the tag protocol); `None` if it is cut off.
    #[inline]
    pub fn parse(bytes: &[u8]) -> Option<&Self> {
        Self::ref_from_prefix(bytes).ok().map(|(header, _)| header)
    }
}

/// Whether an ethertype announces a VLAN tag: 802.1Q or 802.1ad.
#[inline]
pub const fn is_tpid(ethertype: u16) -> bool {
    ethertype == TPID_8021Q || ethertype == TPID_8021AD
}

/// Takes the outer tag out of a frame whose kernel or guest left it in the octets. If the frame begins with a whole
/// tag (18 octets are there), the two addresses move 4 octets to the right: the frame without the tag then begins at
/// offset [`TAG_LEN`]. Otherwise `None`, and nothing moved.
pub fn pop_outer(frame: &mut [u8]) -> Option<VlanTag> {
    if frame.len() < HEADER_LEN + TAG_LEN {
        return None;
    }
    let tpid = u16::from_be_bytes([frame[ETHERTYPE_OFFSET], frame[ETHERTYPE_OFFSET + 1]]);
    if !is_tpid(tpid) {
        return None;
    }
    let tci = u16::from_be_bytes([frame[HEADER_LEN], frame[HEADER_LEN + 1]]);
    frame.copy_within(..ETHERTYPE_OFFSET, TAG_LEN);
    Some(VlanTag { tpid, tci })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TAGGED: [u8; 22] = [
        0x02, 0x00, 0x00, 0x00, 0xaa, 0x10, 0x02, 0x00, 0x00, 0x00, 0xbb, 0x21, 0x81, 0x00, 0xa0, 0x64, 0x08,
        0x00, 0x45, 0x00, 0x00, 0x24,
    ];

    #[test]
    fn golden_octets() {
        let tag = TagHeader::parse(&TAGGED[14..]).unwrap();
        assert_eq!((tag.tci.get(), tag.ethertype.get()), (0xa064, 0x0800));
        assert_eq!(tag.as_bytes(), [0xa0, 0x64, 0x08, 0x00]);
        assert_eq!(TagHeader::parse(&TAGGED[14..17]), None);
    }

    #[test]
    fn pop_moves_the_addresses() {
        let mut frame = TAGGED;
        assert_eq!(pop_outer(&mut frame), Some(VlanTag { tpid: TPID_8021Q, tci: 0xa064 }));
        assert_eq!(frame[TAG_LEN..16], TAGGED[..12]);
        assert_eq!(frame[16..], TAGGED[16..]);
    }

    #[test]
    fn pop_takes_service_tags_and_only_the_outer_one() {
        let mut frame = TAGGED;
        frame[12..14].copy_from_slice(&[0x88, 0xa8]);
        frame[16..18].copy_from_slice(&[0x81, 0x00]);
        assert_eq!(pop_outer(&mut frame), Some(VlanTag { tpid: TPID_8021AD, tci: 0xa064 }));
        assert_eq!(frame[16..18], [0x81, 0x00]);
    }

    #[test]
    fn pop_leaves_untagged_and_cut_frames_alone() {
        for len in 0..18 {
            let mut frame = TAGGED[..len].to_vec();
            assert_eq!(pop_outer(&mut frame), None);
            assert_eq!(frame, TAGGED[..len]);
        }
        let mut untagged = TAGGED;
        untagged[12..14].copy_from_slice(&[0x08, 0x00]);
        let before = untagged;
        assert_eq!(pop_outer(&mut untagged), None);
        assert_eq!(untagged, before);
    }

    proptest! {
        #[test]
        fn agrees_with_etherparse(
            bytes in proptest::collection::vec(any::<u8>(), 18..40),
            service in any::<bool>(),
        ) {
            let mut frame = bytes;
            let tpid = if service { TPID_8021AD } else { TPID_8021Q };
            frame[12..14].copy_from_slice(&tpid.to_be_bytes());
            let theirs = etherparse::SingleVlanSlice::from_slice(&frame[14..]).unwrap().to_header();
            let ours = *TagHeader::parse(&frame[14..]).unwrap();
            let popped = pop_outer(&mut frame).unwrap();
            prop_assert_eq!(popped, VlanTag { tpid, tci: ours.tci.get() });
            prop_assert_eq!(ours.ethertype.get(), theirs.ether_type.0);
            prop_assert_eq!(popped.vid(), theirs.vlan_id.value());
            prop_assert_eq!(popped.tci >> 13, u16::from(theirs.pcp.value()));
            prop_assert_eq!(popped.tci >> 12 & 1 == 1, theirs.drop_eligible_indicator);
        }
    }
}
