//! Corner cases by hand; `model.rs` compares with a second description of the hashes. The vectors of a real kernel are
//! in `tests/hash_vectors.rs`.

use super::*;
use crate::vlan::TPID_8021Q;

mod model;

const TAG: Option<VlanTag> = Some(VlanTag { tpid: TPID_8021Q, tci: 0xa064 });

fn frame(ethertype: u16, payload: &[&[u8]]) -> Vec<u8> {
    let mut bytes = vec![2, 0, 0, 0, 0xaa, 0x10, 2, 0, 0, 0, 0xbb, 0x21];
    bytes.extend(ethertype.to_be_bytes());
    payload.iter().for_each(|part| bytes.extend(*part));
    bytes
}

/// An IPv4 header from 192.0.2.1 to 198.51.100.77.
fn ipv4(protocol: u8, fragment: u16) -> [u8; 20] {
    let mut header = [0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0, 192, 0, 2, 1, 198, 51, 100, 77];
    header[6..8].copy_from_slice(&fragment.to_be_bytes());
    header
}

const UDP: [u8; 8] = [4, 0, 0, 53, 0, 16, 0, 0];
/// What the vectors say of UDP 1024 -> 53 between these hosts.
const LAYER34_OF_UDP: u32 = 0x3c8f_9617;
const LAYER2: u32 = 0x0831;
/// Without ports.
const LAYER34_OF_HOSTS: u32 = 0x2615_0c8f;

#[test]
fn names_and_numbers() {
    let names = HashPolicy::ALL.map(HashPolicy::name);
    assert_eq!(names, ["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac"]);
    assert!(HashPolicy::ALL.iter().enumerate().all(|(n, policy)| *policy as usize == n));
    let offload = HashPolicy::Offload;
    assert_eq!((offload.name(), offload as usize), ("offload", HashPolicy::ALL.len()));
    assert!(!HashPolicy::ALL.contains(&offload));
}

#[test]
fn less_than_a_header_is_0() {
    for policy in HashPolicy::ALL {
        assert_eq!(hash(policy, &[0xff; 13], TAG), 0);
    }
}

#[test]
fn a_tag_beside_the_octets_counts_for_one_policy_only() {
    let bytes = frame(0x0800, &[&ipv4(17, 0), &UDP]);
    for policy in HashPolicy::ALL {
        let alike = hash(policy, &bytes, None) == hash(policy, &bytes, TAG);
        assert_eq!(alike, policy != HashPolicy::VlanSrcMac);
    }
    assert_eq!(hash(HashPolicy::VlanSrcMac, &bytes, TAG), 0xa064 ^ 0x02_0000 ^ 0x00_bb21);
}

#[test]
fn tags_in_the_octets() {
    let bytes = frame(0x8100, &[&[0, 5, 0x08, 0x00], &ipv4(17, 0), &UDP]);
    for tag in [None, TAG] {
        assert_eq!(hash(HashPolicy::Layer34, &bytes, tag), LAYER2 ^ 0x0800 ^ 0x8100);
        assert_eq!(hash(HashPolicy::Layer23, &bytes, tag), LAYER2 ^ 0x0800 ^ 0x8100);
        assert_eq!(hash(HashPolicy::Encap34, &bytes, tag), LAYER34_OF_UDP);
    }
    assert_eq!(hash(HashPolicy::VlanSrcMac, &bytes, None), 0x02_bb21);
}

/// Linux mistakes the first tag that it meets for the one beside the octets: within a tunnel it then reads the tag as
/// a packet of the outer type.
#[test]
fn a_tag_in_a_tunnel_and_one_beside_the_octets() {
    let gre = [0, 0, 0x65, 0x58];
    let inner = [&[0; 12][..], &[0x81, 0x00, 0x00, 0x05, 0x08, 0x00]].concat();
    let bytes = frame(0x0800, &[&ipv4(47, 0), &gre, &inner, &ipv4(17, 0), &UDP]);
    assert_eq!(hash(HashPolicy::Encap34, &bytes, None), LAYER34_OF_UDP);
    assert_eq!(hash(HashPolicy::Encap34, &bytes, TAG), LAYER2, "0x00 is no length of an IPv4 header");
}

#[test]
fn a_tag_to_be_put_in_counts_as_one_in_the_octets() {
    let inner = VlanTag { tpid: TPID_8021Q, tci: 5 };
    for payload in [0, 100, 2000] {
        let tail = vec![0x5a; payload];
        let without = frame(0x0800, &[&ipv4(17, 0), &UDP, &tail]);
        let with = frame(0x8100, &[&[0, 5, 0x08, 0x00], &ipv4(17, 0), &UDP, &tail]);
        for policy in HashPolicy::ALL {
            assert_eq!(hash_with_inner(policy, &without, inner, TAG), hash(policy, &with, TAG));
        }
    }
}

#[test]
fn fragments_have_no_ports() {
    for fragment in [0x2000, 0x00b9, 0x20b9] {
        let bytes = frame(0x0800, &[&ipv4(17, fragment), &UDP]);
        assert_eq!(hash(HashPolicy::Layer34, &bytes, None), LAYER34_OF_HOSTS);
        assert_eq!(hash(HashPolicy::Encap34, &bytes, None), LAYER34_OF_HOSTS);
    }
    let bytes = frame(0x0800, &[&ipv4(17, 0x4000), &UDP]);
    assert_eq!(hash(HashPolicy::Layer34, &bytes, None), LAYER34_OF_UDP);
}

#[test]
fn an_icmp_error_goes_with_the_flow_it_quotes() {
    let mut outer = ipv4(1, 0);
    outer[12..16].copy_from_slice(&[203, 0, 113, 9]);
    for kind in [3, 4, 5, 11, 12] {
        let bytes = frame(0x0800, &[&outer, &[kind, 1, 0, 0, 0, 0, 0, 0], &ipv4(17, 0), &UDP]);
        assert_eq!(hash(HashPolicy::Layer34, &bytes, None), LAYER34_OF_UDP);
        let plain = frame(0x0800, &[&ipv4(17, 0), &UDP]);
        assert_eq!(hash(HashPolicy::Layer23, &bytes, None), hash(HashPolicy::Layer23, &plain, None));
        assert_ne!(hash(HashPolicy::Encap34, &bytes, None), LAYER34_OF_UDP, "not there");
        let cut = &bytes[..14 + 20 + 8 + 19];
        assert_eq!(hash(HashPolicy::Layer34, cut, None), LAYER2);
        assert_eq!(hash(HashPolicy::Layer23, cut, None), LAYER2);
    }
}

#[test]
fn an_icmp_identifier_of_0_counts_as_1() {
    let echo = |id| frame(0x0800, &[&ipv4(1, 0), &[8, 0, 0, 0, 0, id, 0, 1]]);
    for policy in [HashPolicy::Layer34, HashPolicy::Encap34] {
        assert_eq!(hash(policy, &echo(0), None), hash(policy, &echo(1), None));
        assert_ne!(hash(policy, &echo(0), None), hash(policy, &echo(2), None));
    }
}

#[test]
fn success_without_addresses_is_always_the_first_bucket() {
    for (ethertype, len) in [(0x0806, 0), (0x8035, 0), (0x8847, 0), (0x8848, 0), (0x88f7, 34), (0x8906, 38)] {
        let bytes = frame(ethertype, &[&vec![0xee; len]]);
        assert_eq!(hash(HashPolicy::Encap34, &bytes, None), 0, "{ethertype:#x}");
        let layer2 = hash(HashPolicy::Layer2, &bytes, None);
        assert_eq!(hash(HashPolicy::Encap23, &bytes, None), fold(layer2));
        if len > 0 {
            assert_eq!(hash(HashPolicy::Encap34, &bytes[..bytes.len() - 1], None), layer2, "cut off");
        }
    }
}

#[test]
fn unknown_types_fall_back_to_layer_2() {
    for ethertype in [0x88cc, 0x88b5, 0x8863, 0x0026, 0x888e] {
        let bytes = frame(ethertype, &[&[0x45; 60]]);
        for policy in &HashPolicy::ALL[..5] {
            assert_eq!(hash(*policy, &bytes, None), LAYER2 ^ 0x0800 ^ u32::from(ethertype));
        }
    }
}

#[test]
fn a_header_length_too_small_stops_one_dissector_only() {
    let mut header = ipv4(17, 0);
    header[0] = 0x40;
    let bytes = frame(0x0800, &[&header, &UDP]);
    assert_eq!(hash(HashPolicy::Encap34, &bytes, None), LAYER2);
    let ports = u32::from_le_bytes([0x40, 0, 0, 0]);
    let addresses = u32::from_le_bytes([192, 0, 2, 1]) ^ u32::from_le_bytes([198, 51, 100, 77]);
    assert_eq!(hash(HashPolicy::Layer34, &bytes, None), fold(ports ^ addresses) >> 1);
}

#[test]
fn fifteen_transitions_and_no_more() {
    let nested = |depth: usize| {
        let mut payload = vec![ipv4(4, 0).to_vec(); depth];
        payload.push([&ipv4(17, 0)[..], &UDP].concat());
        frame(0x0800, &[&payload.concat()])
    };
    assert_eq!(hash(HashPolicy::Encap34, &nested(15), None), LAYER34_OF_UDP);
    assert_eq!(hash(HashPolicy::Encap34, &nested(16), None), LAYER34_OF_HOSTS);
}

#[test]
fn gre_that_is_not_looked_into() {
    for flags in [0x4000u16, 0x0002, 0x0001, 0x2001] {
        let bytes = frame(0x0800, &[&ipv4(47, 0), &flags.to_be_bytes(), &[0x08, 0x00], &ipv4(17, 0), &UDP]);
        assert_eq!(hash(HashPolicy::Encap34, &bytes, None), LAYER34_OF_HOSTS, "{flags:#x}");
    }
}

#[test]
fn ppp_in_gre() {
    let gre = |flags: u16, more: usize, protocol: u8| {
        let head =
            [&flags.to_be_bytes()[..], &[0x88, 0x0b], &vec![0; more], &[0xff, 3, 0, protocol]].concat();
        frame(0x0800, &[&ipv4(47, 0), &head, &ipv4(17, 0), &UDP])
    };
    assert_eq!(hash(HashPolicy::Encap34, &gre(0x2001, 4, 0x21), None), LAYER34_OF_UDP);
    assert_eq!(hash(HashPolicy::Encap34, &gre(0x3081, 12, 0x21), None), LAYER34_OF_UDP, "sequence and ack");
    assert_eq!(hash(HashPolicy::Encap34, &gre(0x2001, 4, 0x23), None), LAYER2, "neither IPv4 nor IPv6");
}

#[test]
fn pppoe_sessions() {
    let session = |head: &[u8]| {
        let bytes = frame(0x8864, &[head, &ipv4(17, 0), &UDP]);
        (hash(HashPolicy::Encap34, &bytes, None), hash(HashPolicy::Layer2, &bytes, None))
    };
    assert_eq!(session(&[0x11, 0, 0, 1, 0, 30, 0, 0x21]).0, LAYER34_OF_UDP);
    assert_eq!(session(&[0x11, 0, 0, 1, 0, 30, 0x21]).0, LAYER34_OF_UDP, "compressed");
    assert_eq!(session(&[0x11, 0, 0, 1, 0, 30, 0xc0, 0x21]).0, 0, "link control has no addresses");
    for bad in
        [[0x21, 0, 0, 1, 0, 30, 0, 0x21], [0x11, 9, 0, 1, 0, 30, 0, 0x21], [0x11, 0, 0, 1, 0, 30, 0, 0x20]]
    {
        let (encap, layer2) = session(&bad);
        assert_eq!(encap, layer2);
    }
}

#[test]
fn batman_hsr_and_tipc() {
    let batman = [&[0x40, 15, 1, 1][..], &[0; 18], &[0x08, 0x00]].concat();
    let bytes = frame(0x4305, &[&batman, &ipv4(17, 0), &UDP]);
    assert_eq!(hash(HashPolicy::Encap34, &bytes, None), LAYER34_OF_UDP);
    for ethertype in [0x88fb, 0x892f] {
        let bytes = frame(ethertype, &[&[0, 0, 0, 0, 0x08, 0x00], &ipv4(17, 0), &UDP]);
        assert_eq!(hash(HashPolicy::Encap34, &bytes, None), LAYER34_OF_UDP);
    }
    let bytes = frame(0x88ca, &[&[0; 12], &[1, 2, 3, 4]]);
    assert_eq!(hash(HashPolicy::Encap34, &bytes, None), fold(0x0403_0201) >> 1);
}
