//! Frames that ask a host whether it is there: ARP requests and neighbour solicitations.

use core::net::{Ipv4Addr, Ipv6Addr};

use zerocopy::IntoBytes;

use crate::announce::{about, broadcast, checksum};
use crate::mac::MacAddr;
use crate::wire::arp::ArpPacket;
use crate::wire::ethernet::{self, EthernetHeader};
use crate::wire::ipv6::{self, Ipv6Header};
use crate::wire::nd::{self, AddressOption, NeighbourMessage};

/// Octets of [`neighbour_solicitation`].
pub const NS_LEN: usize = ethernet::HEADER_LEN + ipv6::HEADER_LEN + NS_MESSAGE_LEN;
const NS_MESSAGE_LEN: usize = size_of::<NeighbourMessage>() + size_of::<AddressOption>();

/// The broadcast request of `mac` for `target`'s address. With 0.0.0.0 for `sender` it is an ARP probe (RFC 5227 clause
/// 2.1.1), which changes nobody's cache. Padded to the shortest frame of a wire.
pub fn arp_request(mac: MacAddr, sender: Ipv4Addr, target: Ipv4Addr) -> [u8; ethernet::MIN_FRAME] {
    let packet = ArpPacket { target_ip: target.octets(), ..about(mac, sender) };
    broadcast(mac, ethernet::ETHERTYPE_ARP, &packet)
}

/// The multicast solicitation of `source` at `mac` for `target`'s link-layer address, with its own (RFC 4861 clause 4.3).
/// `source` is not the unspecified address.
pub fn neighbour_solicitation(mac: MacAddr, source: Ipv6Addr, target: Ipv6Addr) -> [u8; NS_LEN] {
    let (src, dst) = (source.octets(), solicited_node(target).octets());
    let ethernet = EthernetHeader {
        dst: MacAddr([0x33, 0x33, dst[12], dst[13], dst[14], dst[15]]),
        src: mac,
        ethertype: ethernet::ETHERTYPE_IPV6.into(),
    };
    let ip = Ipv6Header {
        version_class_label: (6 << 28).into(),
        payload_len: (NS_MESSAGE_LEN as u16).into(),
        next_header: nd::PROTOCOL_ICMPV6,
        hop_limit: nd::HOP_LIMIT,
        src,
        dst,
    };
    let mut message = NeighbourMessage {
        kind: nd::SOLICITATION,
        code: 0,
        checksum: 0.into(),
        flags: 0.into(),
        target: target.octets(),
    };
    let option = AddressOption { kind: nd::OPTION_SOURCE_ADDRESS, units: 1, mac };
    let pseudo = [0, 0, 0, NS_MESSAGE_LEN as u8, 0, 0, 0, nd::PROTOCOL_ICMPV6];
    message.checksum =
        checksum([&src[..], &dst, &pseudo, message.as_bytes(), option.as_bytes()].into_iter()).into();
    let mut frame = [0; NS_LEN];
    let mut at = 0;
    for part in [ethernet.as_bytes(), ip.as_bytes(), message.as_bytes(), option.as_bytes()] {
        frame[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    frame
}

/// The multicast address by which a node is asked for its address (RFC 4291 clause 2.7.1).
pub fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., high, low] = address.segments();
    Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | high & 0xff, low)
}

/// The link-local address that an interface makes of its own address (RFC 4291 appendix A).
pub fn link_local(mac: MacAddr) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    let pair = |high, low| u16::from_be_bytes([high, low]);
    Ipv6Addr::new(0xfe80, 0, 0, 0, pair(a ^ 2, b), pair(c, 0xff), pair(0xfe, d), pair(e, f))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    #[test]
    fn golden_octets_of_a_request() {
        let frame = arp_request(MAC, Ipv4Addr::new(192, 0, 2, 7), Ipv4Addr::new(192, 0, 2, 1));
        let expected: [u8; 42] = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x08, 0x06, 0x00, 0x01,
            0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 192, 0, 2, 7, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 192, 0, 2, 1,
        ];
        assert_eq!(frame[..42], expected);
        assert_eq!(frame[42..], [0; 18]);
    }

    #[test]
    fn addresses_made_of_addresses() {
        let text = |address: Ipv6Addr| address.to_string();
        assert_eq!(text(solicited_node("2001:db8::1:2345:6789".parse().unwrap())), "ff02::1:ff45:6789");
        assert_eq!(text(link_local(MAC)), "fe80::5054:ff:fe12:3456");
    }

    proptest! {
        /// An independent parser reads what was meant, checksum included.
        #[test]
        fn solicitations_are_sound(mac in any::<[u8; 6]>(), from in any::<[u8; 16]>(), to in any::<[u8; 16]>()) {
            let mac = MacAddr([mac[0] & 0xfe | 2, mac[1], mac[2], mac[3], mac[4], mac[5]]);
            let frame = neighbour_solicitation(mac, from.into(), to.into());
            let parsed = crate::parse::parse(&frame, None).unwrap();
            prop_assert!(!parsed.is_announcement() && parsed.src == mac);
            prop_assert_eq!(parsed.dst, MacAddr([0x33, 0x33, 0xff, to[13], to[14], to[15]]));

            let packet = etherparse::SlicedPacket::from_ethernet(&frame).unwrap();
            let Some(etherparse::NetSlice::Ipv6(net)) = packet.net else { panic!() };
            let header = net.header();
            prop_assert_eq!((header.source(), header.hop_limit()), (from, 255));
            prop_assert_eq!(header.destination_addr(), solicited_node(to.into()));
            let Some(etherparse::TransportSlice::Icmpv6(icmp)) = packet.transport else { panic!() };
            prop_assert!(icmp.is_checksum_valid(header.source(), header.destination()));
            prop_assert_eq!(icmp.icmp_type(), etherparse::Icmpv6Type::NeighborSolicitation);
            prop_assert_eq!(&frame[62..78], &to);
            prop_assert_eq!(&frame[78..], &[&[1, 1][..], &mac.0].concat());
        }
    }
}
