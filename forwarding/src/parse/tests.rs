use super::*;
use crate::vlan::{TPID_8021AD, TPID_8021Q};
use etherparse::{EtherType, LaxSlicedPacket, PacketBuilder};
use proptest::prelude::*;

const DST: [u8; 6] = [0x02, 0, 0, 0, 0xaa, 0x10];
const SRC: [u8; 6] = [0x02, 0, 0, 0, 0xbb, 0x21];
const TAG: Option<VlanTag> = Some(VlanTag { tpid: TPID_8021Q, tci: 100 });

/// Addresses, `tags` times an 802.1Q tag with VLAN 5, the ethertype, then `payload`.
fn frame(tags: usize, ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [DST, SRC].concat();
    for _ in 0..tags {
        bytes.extend([0x81, 0x00, 0x00, 0x05]);
    }
    bytes.extend(ethertype.to_be_bytes());
    bytes.extend(payload);
    bytes
}

#[test]
fn an_untagged_frame() {
    let parsed = parse(&frame(0, 0x88b5, &[0; 46]), None).unwrap();
    let expected = Parsed {
        dst: MacAddr(DST),
        src: MacAddr(SRC),
        ethertype: 0x88b5,
        l3_offset: 14,
        inner_tags: 0,
        network: Network::Other,
    };
    assert_eq!(parsed, expected);
}

#[test]
fn a_bare_header_is_a_frame_and_less_is_a_runt() {
    let bytes = frame(0, 0x0800, &[]);
    assert_eq!(parse(&bytes, None).unwrap().l3_offset, 14);
    for len in 0..14 {
        assert_eq!(parse(&bytes[..len], None), Err(DropReason::Runt));
    }
}

#[test]
fn a_cut_tag_is_a_runt() {
    let bytes = frame(2, 0x0800, &[]);
    for len in 14..bytes.len() {
        assert_eq!(parse(&bytes[..len], None), Err(DropReason::Runt), "{len}");
    }
    assert_eq!(parse(&bytes, None).unwrap().l3_offset, 22);
}

#[test]
fn four_tags_pass_and_five_do_not() {
    assert_eq!(parse(&frame(4, 0x0800, &[]), None).unwrap().inner_tags, 4);
    assert_eq!(parse(&frame(3, 0x0800, &[]), TAG).unwrap().inner_tags, 3);
    assert_eq!(parse(&frame(5, 0x0800, &[]), None), Err(DropReason::TooManyTags));
    assert_eq!(parse(&frame(4, 0x0800, &[]), TAG), Err(DropReason::TooManyTags));
}

#[test]
fn service_tags_are_tags() {
    let mut bytes = frame(2, 0x86dd, &[0; 46]);
    bytes[12..14].copy_from_slice(&TPID_8021AD.to_be_bytes());
    let parsed = parse(&bytes, None).unwrap();
    assert_eq!((parsed.inner_tags, parsed.ethertype, parsed.l3_offset), (2, 0x86dd, 22));
}

#[test]
fn sources_must_be_individual_addresses() {
    for (first, last) in [(0x01, 0x21), (0xff, 0xff), (0x00, 0x00)] {
        let mut bytes = frame(0, 0x0800, &[0; 46]);
        bytes[6..12].copy_from_slice(&[first, 0, 0, 0, 0, last]);
        assert_eq!(parse(&bytes, None), Err(DropReason::InvalidSource));
    }
}

#[test]
fn length_frames_are_frames() {
    let parsed = parse(&frame(0, 38, &[0x42, 0x42, 0x03, 0, 0]), None).unwrap();
    assert_eq!((parsed.ethertype, parsed.network), (38, Network::Other));
}

#[test]
fn malformed_layer_3_is_other() {
    for (ethertype, payload) in [
        (0x0800, vec![0x45; 19]),
        (0x0800, vec![0x44; 46]),
        (0x0800, vec![0x65; 46]),
        (0x0800, vec![0x4f; 59]),
        (0x86dd, vec![0x60; 39]),
        (0x86dd, vec![0x40; 46]),
        (0x0806, vec![0x00; 46]),
        (0x0806, vec![]),
    ] {
        assert_eq!(parse(&frame(0, ethertype, &payload), None).unwrap().network, Network::Other);
    }
}

#[test]
fn ip_headers() {
    let mut payload = vec![0x46; 46];
    payload[9] = 6;
    let network = parse(&frame(1, 0x0800, &payload), None).unwrap().network;
    assert_eq!(network, Network::Ipv4 { protocol: 6, header_len: 24 });
    payload[0] = 0x60;
    payload[6] = 17;
    let network = parse(&frame(0, 0x86dd, &payload), TAG).unwrap().network;
    assert_eq!(network, Network::Ipv6 { next_header: 17 });
}

#[test]
fn announcements_are_sent_to_everybody() {
    let mut gratuitous = frame(0, 0x0806, &[0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01]);
    gratuitous.extend(SRC);
    gratuitous.extend([192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2, 1]);
    assert!(!parse(&gratuitous, None).unwrap().is_announcement(), "to one host");
    gratuitous[..6].fill(0xff);
    assert!(parse(&gratuitous, None).unwrap().is_announcement());
    *gratuitous.last_mut().unwrap() = 2;
    assert_eq!(parse(&gratuitous, None).unwrap().network, Network::Arp { announcement: false });
}

#[test]
fn neighbour_discovery() {
    let na = crate::announce::unsolicited_na(MacAddr(SRC), [0xfd; 16]);
    let network = |change: &[(usize, u8)]| {
        let mut bytes = na;
        change.iter().for_each(|(at, octet)| bytes[*at] = *octet);
        parse(&bytes, None).unwrap().network
    };
    assert_eq!(network(&[]), Network::NeighbourDiscovery { announcement: true });
    for not_to_all in [&[(0, 2)][..], &[(38, 0xfe)], &[(58, 0x60)], &[(54, 135)]] {
        assert_eq!(network(not_to_all), Network::NeighbourDiscovery { announcement: false });
    }
    for other in [(21, 254), (54, 128), (54, 134), (55, 1)] {
        assert_eq!(network(&[other]), Network::Ipv6 { next_header: 58 }, "{other:?}");
    }
    let cut = parse(&na[..77], None).unwrap();
    assert_eq!(cut.network, Network::Ipv6 { next_header: 58 });
    assert_eq!(parse(&na, None).unwrap().resolves_addresses(), Some(true));
    assert_eq!(cut.resolves_addresses(), None);
}

/// Frames with 0..=5 tags, any ethertype (the known ones often), any payload.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let ethertype = prop_oneof![Just(0x0800), Just(0x86dd), Just(0x0806), any::<u16>()];
    (0..6usize, ethertype, proptest::collection::vec(any::<u8>(), 0..80))
        .prop_map(|(tags, ethertype, payload)| frame(tags, ethertype, &payload))
}

proptest! {
    #[test]
    fn arbitrary_octets_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..120), tagged in any::<bool>()) {
        if let Ok(parsed) = parse(&bytes, TAG.filter(|_| tagged)) {
            prop_assert!(parsed.l3_offset + parsed.network.header_len() <= bytes.len());
            prop_assert!(parsed.src.is_valid_source());
        }
    }

    #[test]
    fn agrees_with_etherparse(bytes in any_frame()) {
        let theirs = LaxSlicedPacket::from_ethernet(&bytes).unwrap();
        let Ok(ours) = parse(&bytes, None) else { return Ok(()) };
        // etherparse stops after three link extensions and knows two more.
        prop_assume!(ours.inner_tags <= 3 && !matches!(ours.ethertype, 0x9100 | 0x88e5));
        let tags = theirs.link_exts.iter().filter(|e| matches!(e, etherparse::LaxLinkExtSlice::Vlan(_))).count();
        prop_assert_eq!(ours.inner_tags, tags);
        let ip = theirs.net.as_ref().and_then(|net| match net {
            // etherparse goes by the version in the packet alone.
            etherparse::LaxNetSlice::Ipv4(_) if ours.ethertype != ETHERTYPE_IPV4 => None,
            etherparse::LaxNetSlice::Ipv6(_) if ours.ethertype != ETHERTYPE_IPV6 => None,
            etherparse::LaxNetSlice::Ipv4(ip) => {
                let header_len = ip.header().slice().len();
                Some(Network::Ipv4 { protocol: ip.header().protocol().0, header_len })
            }
            etherparse::LaxNetSlice::Ipv6(ip) => Some(Network::Ipv6 { next_header: ip.header().next_header().0 }),
            etherparse::LaxNetSlice::Arp(_) => None,
        });
        match ours.network {
            Network::Ipv4 { .. } | Network::Ipv6 { .. } => prop_assert_eq!(Some(ours.network), ip),
            Network::NeighbourDiscovery { .. } => prop_assert_eq!(Some(Network::Ipv6 { next_header: 58 }), ip),
            Network::Arp { .. } | Network::Other => prop_assert_eq!(None, ip),
        }
    }

    #[test]
    fn reads_what_etherparse_builds(vlan in 0..4096u16, inner in 0..4096u16, payload in proptest::collection::vec(any::<u8>(), 0..64)) {
        let builder = PacketBuilder::ethernet2(SRC, DST)
            .double_vlan(vlan.try_into().unwrap(), inner.try_into().unwrap())
            .ipv6([1; 16], [2; 16], 64)
            .udp(1024, 53);
        let mut bytes = Vec::new();
        builder.write(&mut bytes, &payload).unwrap();
        let parsed = parse(&bytes, None).unwrap();
        prop_assert_eq!((parsed.inner_tags, parsed.l3_offset), (2, 22));
        prop_assert_eq!(EtherType(parsed.ethertype), EtherType::IPV6);
        prop_assert_eq!(parsed.network, Network::Ipv6 { next_header: 17 });
    }
}
