use proptest::prelude::*;

use super::*;
use crate::parse::parse;
use crate::wire::nd::SOLICITATION;
use crate::wire::virtio::F_NEEDS_CSUM;

const GUEST: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x21]);
const PEER: MacAddr = MacAddr([2, 0, 0, 0, 0, 0x99]);
const MEMBER: MacAddr = MacAddr([2, 0xff, 0, 0, 0xff, 3]);

/// The guest 192.0.2.1 to the peer 192.0.2.9.
fn arp(operation: u16) -> Vec<u8> {
    let mut frame = [&PEER.0[..], &GUEST.0, &[8, 6, 0, 1, 8, 0, 6, 4], &operation.to_be_bytes()].concat();
    frame.extend([&GUEST.0[..], &[192, 0, 2, 1], &PEER.0, &[192, 0, 2, 9]].concat());
    frame
}

/// A neighbour discovery message with one option and its right checksum.
fn nd(kind: u8, option: u8, src: [u8; 16], dst: [u8; 16], target: [u8; 16], mac: MacAddr) -> Vec<u8> {
    let mut frame = [&PEER.0[..], &GUEST.0, &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]].concat();
    frame.extend([&src[..], &dst, &[kind, 0, 0, 0, 0x60, 0, 0, 0], &target, &[option, 1], &mac.0].concat());
    let sum = checksum_of(&frame);
    frame[56..58].copy_from_slice(&sum.to_be_bytes());
    frame
}

/// What etherparse says the checksum has to be.
fn checksum_of(frame: &[u8]) -> u16 {
    let ip = etherparse::Ipv6HeaderSlice::from_slice(&frame[14..]).unwrap();
    let icmp = etherparse::Icmpv6Slice::from_slice(&frame[54..]).unwrap();
    icmp.icmp_type().calc_checksum(ip.source(), ip.destination(), icmp.payload()).unwrap()
}

fn claim(frame: &[u8]) -> Option<Claim> {
    Claim::read(frame, &parse(frame, None).ok()?)
}

fn patched(frame: &[u8], header: &VirtioNetHeader, mac: MacAddr) -> Vec<u8> {
    let mut bytes = frame.to_vec();
    claim(frame).expect("it says something").patch(frame, header, mac).apply(&mut bytes);
    bytes
}

#[test]
fn arp_says_where_its_sender_is() {
    for operation in [arp::REQUEST, arp::REPLY] {
        let frame = arp(operation);
        let found = claim(&frame).unwrap();
        assert_eq!((found.ip, found.mac), ([192, 0, 2, 1].into(), GUEST));
        let mut expected = frame.clone();
        expected[22..28].copy_from_slice(&MEMBER.0);
        assert_eq!(patched(&frame, &VirtioNetHeader::default(), MEMBER), expected);
    }
    for operation in [0, arp::REVERSE_REQUEST, arp::REVERSE_REPLY] {
        assert_eq!(claim(&arp(operation)), None, "operation {operation}");
    }
    let mut rarp = arp(arp::REQUEST);
    rarp[12..14].copy_from_slice(&[0x80, 0x35]);
    assert_eq!(claim(&rarp), None, "another protocol");
}

#[test]
fn arp_names_the_address_it_is_for() {
    let frame = arp(arp::REPLY);
    let parsed = parse(&frame, None).unwrap();
    assert_eq!(destination(&frame, &parsed), Some([192, 0, 2, 9].into()));
    assert_eq!(ip_destination(&frame, &parsed), None);
    let patch = patch_target(&frame, &parsed, PEER, MEMBER).unwrap();
    let mut bytes = frame.clone();
    patch.apply(&mut bytes);
    let mut expected = frame.clone();
    expected[32..38].copy_from_slice(&MEMBER.0);
    assert_eq!(bytes, expected);
    assert_eq!(patch_target(&frame, &parsed, GUEST, MEMBER), None, "it names another");
}

#[test]
fn a_patch_stays_within_the_frame() {
    let patch = Patch { offset: 10, mac: MEMBER, checksum: Some((u16::MAX, 7)) };
    let mut bytes = [0; 15];
    patch.apply(&mut bytes);
    assert_eq!(bytes, [0; 15]);
}

#[test]
fn what_only_looks_like_it_says_nothing() {
    let [a, b] = [[0x20; 16], [0x21; 16]];
    let good = nd(SOLICITATION, OPTION_SOURCE_ADDRESS, a, b, b, GUEST);
    assert_eq!(claim(&good).map(|claim| claim.ip), Some(a.into()));
    let spoilt = |at: usize, octet: u8| {
        let mut frame = good.clone();
        frame[at] = octet;
        claim(&frame)
    };
    assert_eq!(spoilt(14, 0x50), None, "another version");
    assert_eq!(spoilt(19, 31), None, "the option is not in the packet");
    assert_eq!(spoilt(20, 0), None, "an extension header");
    assert_eq!(spoilt(21, 254), None, "came through a router");
    assert_eq!(spoilt(54, 133), None, "a router's message");
    assert_eq!(spoilt(55, 1), None, "another code");
    assert_eq!(spoilt(78, OPTION_TARGET_ADDRESS), None, "of a solicitation not the sender's");
    assert_eq!(spoilt(79, 2), None, "a longer address");
    let advertisement = nd(ADVERTISEMENT, OPTION_SOURCE_ADDRESS, a, b, a, GUEST);
    assert_eq!(claim(&advertisement), None, "of an advertisement not the target's");
}

fn mac() -> impl Strategy<Value = MacAddr> {
    any::<[u8; 6]>().prop_map(MacAddr)
}

proptest! {
    /// Against a checksum that is computed from nothing.
    #[test]
    fn checksums_stay_right(
        is_advertisement: bool,
        src: [u8; 16],
        dst: [u8; 16],
        target: [u8; 16],
        (old, new) in (mac(), mac()),
    ) {
        let (kind, option) =
            if is_advertisement { (ADVERTISEMENT, OPTION_TARGET_ADDRESS) } else { (SOLICITATION, OPTION_SOURCE_ADDRESS) };
        let frame = nd(kind, option, src, dst, target, old);
        let found = claim(&frame).unwrap();
        prop_assert_eq!(found.ip, IpAddr::from(if is_advertisement { target } else { src }));
        prop_assert_eq!(found.mac, old);
        let bytes = patched(&frame, &VirtioNetHeader::default(), new);
        prop_assert_eq!(&bytes, &nd(kind, option, src, dst, target, new));
        prop_assert_eq!(patched(&bytes, &VirtioNetHeader::default(), old), frame);
    }

    /// The sum of the pseudo-header, which stands in the checksum's place, is of other octets.
    #[test]
    fn partial_checksums_are_left(src: [u8; 16], dst: [u8; 16], (old, new) in (mac(), mac())) {
        let frame = nd(ADVERTISEMENT, OPTION_TARGET_ADDRESS, src, dst, src, old);
        let header =
            VirtioNetHeader { flags: F_NEEDS_CSUM, csum_start: 54, csum_offset: 2, ..VirtioNetHeader::default() };
        let mut expected = frame.clone();
        expected[80..86].copy_from_slice(&new.0);
        prop_assert_eq!(patched(&frame, &header, new), expected);
    }

    /// Cut off anywhere, nothing is said; whatever follows changes nothing.
    #[test]
    fn cut_off_packets_say_nothing(is_arp: bool, len in 14..120_usize, tail in any::<u8>()) {
        let (frame, whole) = match is_arp {
            true => (arp(arp::REQUEST), 42),
            false => (nd(SOLICITATION, OPTION_SOURCE_ADDRESS, [1; 16], [2; 16], [2; 16], GUEST), 86),
        };
        let mut cut = frame.clone();
        cut.resize(len, tail);
        let expected = if len >= whole { claim(&frame) } else { None };
        prop_assert_eq!(claim(&cut), expected);
    }

    /// Addresses are where etherparse finds them, in any octets.
    #[test]
    fn agrees_with_etherparse(
        start in prop_oneof![Just(vec![8, 0, 0x45]), Just(vec![8, 0, 0x4f]), Just(vec![0x86, 0xdd, 0x60])],
        tail in proptest::collection::vec(any::<u8>(), 0..90),
    ) {
        let frame = [&MEMBER.0[..], &PEER.0, &start, &tail].concat();
        let parsed = parse(&frame, None).unwrap();
        let four = etherparse::Ipv4HeaderSlice::from_slice(&frame[14..]).ok().map(|ip| ip.destination().into());
        let six = etherparse::Ipv6HeaderSlice::from_slice(&frame[14..]).ok().map(|ip| ip.destination().into());
        let expected: Option<IpAddr> = if start[0] == 8 { four } else { six };
        prop_assert_eq!(destination(&frame, &parsed), expected);
        prop_assert_eq!(ip_destination(&frame, &parsed), expected);
    }

    #[test]
    fn any_octets_do_no_harm(bytes in proptest::collection::vec(any::<u8>(), 14..120)) {
        if let Ok(parsed) = parse(&bytes, None) {
            let mut copy = bytes.clone();
            if let Some(claim) = Claim::read(&bytes, &parsed) {
                claim.patch(&bytes, &VirtioNetHeader::default(), MEMBER).apply(&mut copy);
            }
            if let Some(patch) = patch_target(&bytes, &parsed, parsed.dst, MEMBER) {
                patch.apply(&mut copy);
            }
            prop_assert_eq!(copy.len(), bytes.len());
        }
    }
}
