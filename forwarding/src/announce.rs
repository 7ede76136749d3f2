//! Frames that tell the network where a MAC address is. Those to everybody are of `mac` about itself, so every switch on the way
//! learns it anew, and no host's idea of an IP address changes. The directed ones tell one host where an IP address is.

use core::net::{Ipv4Addr, Ipv6Addr};

use zerocopy::IntoBytes;

use crate::mac::MacAddr;
use crate::wire::arp::{self, ArpPacket};
use crate::wire::ethernet::{self, EthernetHeader};
use crate::wire::ipv6::{self, Ipv6Header};
use crate::wire::nd::{self, AddressOption, NeighbourMessage};

/// Octets of [`unsolicited_na`].
pub const NA_LEN: usize = ethernet::HEADER_LEN + ipv6::HEADER_LEN + NA_MESSAGE_LEN;
const NA_MESSAGE_LEN: usize = size_of::<NeighbourMessage>() + size_of::<AddressOption>();

/// A broadcast RARP request of `mac` about itself: what hypervisors send for a guest that has moved. Padded to the
/// shortest frame of a wire.
pub fn rarp(mac: MacAddr) -> [u8; ethernet::MIN_FRAME] {
    let packet = ArpPacket {
        operation: arp::REVERSE_REQUEST.into(),
        target_mac: mac,
        ..about(mac, Ipv4Addr::UNSPECIFIED)
    };
    broadcast(mac, ethernet::ETHERTYPE_RARP, &packet)
}

/// A gratuitous ARP: the broadcast request of `mac` for its own address (RFC 5227 clause 3). Padded to the shortest
/// frame of a wire.
pub fn garp(mac: MacAddr, ip: impl Into<Ipv4Addr>) -> [u8; ethernet::MIN_FRAME] {
    broadcast(mac, ethernet::ETHERTYPE_ARP, &about(mac, ip.into()))
}

/// An unsolicited neighbour advertisement of `ip` at `mac` to all nodes, with the override flag, the target's link-layer
/// address and its checksum (RFC 4861 clause 7.2.6). It says that `ip` is no router's.
pub fn unsolicited_na(mac: MacAddr, ip: impl Into<Ipv6Addr>) -> [u8; NA_LEN] {
    let (ip, dst) = (ip.into(), Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
    let ends = Ends { dst_mac: MacAddr([0x33, 0x33, 0, 0, 0, 1]), src_mac: mac, src: ip, dst };
    discovery(&ends, nd::ADVERTISEMENT, nd::FLAG_OVERRIDE, ip, (nd::OPTION_TARGET_ADDRESS, mac))
}

/// Who tells whom where an IP address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told<I> {
    /// The guest that has the address, from which the frame comes.
    pub guest: MacAddr,
    /// Its address.
    pub ip: I,
    /// The host that is told, and nobody else.
    pub peer: MacAddr,
    /// The MAC at which it is to find the address.
    pub at: MacAddr,
}

/// A gratuitous ARP reply to one host. It names sender and target alike, for Linux believes a second reply within a second
/// only if it is gratuitous (`arp_process`, `arp_is_garp`). Padded to the shortest frame of a wire.
pub fn directed_arp(told: &Told<Ipv4Addr>) -> [u8; ethernet::MIN_FRAME] {
    let packet = ArpPacket { operation: arp::REPLY.into(), target_mac: told.at, ..about(told.at, told.ip) };
    arp_frame(told.peer, told.guest, ethernet::ETHERTYPE_ARP, &packet)
}

/// An unsolicited neighbour advertisement with the override flag to one host, which has the address `peer_ip`. The guest is a
/// `router` or not: a host gives up a default router that says it is none (RFC 4861 clause 7.2.5).
pub fn directed_na(told: &Told<Ipv6Addr>, peer_ip: Ipv6Addr, router: bool) -> [u8; NA_LEN] {
    let flags = nd::FLAG_OVERRIDE | if router { nd::FLAG_ROUTER } else { 0 };
    discovery(&told.ends(peer_ip), nd::ADVERTISEMENT, flags, told.ip, (nd::OPTION_TARGET_ADDRESS, told.at))
}

/// The same by a neighbour solicitation, where it isn't known whether the guest is a router: its source link-layer address
/// is taken over as well (RFC 4861 clause 7.2.3). The host answers it.
pub fn directed_ns(told: &Told<Ipv6Addr>, peer_ip: Ipv6Addr) -> [u8; NA_LEN] {
    discovery(&told.ends(peer_ip), nd::SOLICITATION, 0, peer_ip, (nd::OPTION_SOURCE_ADDRESS, told.at))
}

/// A frame of `mac` to itself, which any switch learns from and none passes on (Linux's `alb_send_lp_vid`). Padded to the
/// shortest frame of a wire.
pub fn learning(mac: MacAddr) -> [u8; ethernet::MIN_FRAME] {
    let header = EthernetHeader { dst: mac, src: mac, ethertype: ethernet::ETHERTYPE_LOOPBACK.into() };
    let mut frame = [0; ethernet::MIN_FRAME];
    frame[..ethernet::HEADER_LEN].copy_from_slice(header.as_bytes());
    frame
}

impl Told<Ipv6Addr> {
    fn ends(&self, peer_ip: Ipv6Addr) -> Ends {
        Ends { dst_mac: self.peer, src_mac: self.guest, src: self.ip, dst: peer_ip }
    }
}

/// From whom to whom.
struct Ends {
    dst_mac: MacAddr,
    src_mac: MacAddr,
    src: Ipv6Addr,
    dst: Ipv6Addr,
}

/// A message of neighbour discovery with one link-layer address as its option.
fn discovery(
    ends: &Ends,
    kind: u8,
    flags: u32,
    target: Ipv6Addr,
    (option, mac): (u8, MacAddr),
) -> [u8; NA_LEN] {
    let (src, dst) = (ends.src.octets(), ends.dst.octets());
    let ethernet =
        EthernetHeader { dst: ends.dst_mac, src: ends.src_mac, ethertype: ethernet::ETHERTYPE_IPV6.into() };
    let ip = Ipv6Header {
        version_class_label: (6 << 28).into(),
        payload_len: (NA_MESSAGE_LEN as u16).into(),
        next_header: nd::PROTOCOL_ICMPV6,
        hop_limit: nd::HOP_LIMIT,
        src,
        dst,
    };
    let mut message =
        NeighbourMessage { kind, code: 0, checksum: 0.into(), flags: flags.into(), target: target.octets() };
    let option = AddressOption { kind: option, units: 1, mac };
    let pseudo = [0, 0, 0, NA_MESSAGE_LEN as u8, 0, 0, 0, nd::PROTOCOL_ICMPV6];
    message.checksum =
        checksum([&src[..], &dst, &pseudo, message.as_bytes(), option.as_bytes()].into_iter()).into();
    let mut frame = [0; NA_LEN];
    let mut at = 0;
    for part in [ethernet.as_bytes(), ip.as_bytes(), message.as_bytes(), option.as_bytes()] {
        frame[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    frame
}

/// An ARP request of a host for its own address.
pub(crate) fn about(mac: MacAddr, ip: Ipv4Addr) -> ArpPacket {
    ArpPacket {
        hardware_type: arp::HARDWARE_ETHERNET.into(),
        protocol_type: ethernet::ETHERTYPE_IPV4.into(),
        hardware_len: 6,
        protocol_len: 4,
        operation: arp::REQUEST.into(),
        sender_mac: mac,
        sender_ip: ip.octets(),
        target_mac: MacAddr::ZERO,
        target_ip: ip.octets(),
    }
}

pub(crate) fn broadcast(src: MacAddr, ethertype: u16, packet: &ArpPacket) -> [u8; ethernet::MIN_FRAME] {
    arp_frame(MacAddr::BROADCAST, src, ethertype, packet)
}

fn arp_frame(dst: MacAddr, src: MacAddr, ethertype: u16, packet: &ArpPacket) -> [u8; ethernet::MIN_FRAME] {
    let header = EthernetHeader { dst, src, ethertype: ethertype.into() };
    let mut frame = [0; ethernet::MIN_FRAME];
    let (head, rest) = frame.split_at_mut(ethernet::HEADER_LEN);
    head.copy_from_slice(header.as_bytes());
    rest[..arp::PACKET_LEN].copy_from_slice(packet.as_bytes());
    frame
}

/// The Internet checksum (RFC 1071) of parts of an even number of octets each.
pub(crate) fn checksum<'a>(parts: impl Iterator<Item = &'a [u8]>) -> u16 {
    let words = parts.flat_map(|part| part.chunks_exact(2)).map(|w| u32::from(w[0]) << 8 | u32::from(w[1]));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_octets() {
        let frame = rarp(MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]));
        let expected: [u8; 42] = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x80, 0x35, 0x00, 0x01,
            0x08, 0x00, 0x06, 0x04, 0x00, 0x03, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x00, 0x00, 0x00, 0x00,
            0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x00, 0x00, 0x00, 0x00,
        ];
        assert_eq!(frame[..42], expected);
        assert_eq!(frame[42..], [0; 18]);
    }

    #[test]
    fn is_an_announcement() {
        let mac = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        let parsed = crate::parse::parse(&rarp(mac), None).unwrap();
        assert!(parsed.is_announcement());
        assert_eq!(parsed.src, mac);
    }

    const MAC: MacAddr = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);

    #[test]
    fn golden_octets_of_a_gratuitous_arp() {
        let frame = garp(MAC, [192, 0, 2, 1]);
        let expected: [u8; 42] = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x08, 0x06, 0x00, 0x01,
            0x08, 0x00, 0x06, 0x04, 0x00, 0x01, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 192, 0, 2, 1, 0x00, 0x00,
            0x00, 0x00, 0x00, 0x00, 192, 0, 2, 1,
        ];
        assert_eq!(frame[..42], expected);
        assert_eq!(frame[42..], [0; 18]);
        let parsed = crate::parse::parse(&frame, None).unwrap();
        assert!(parsed.is_announcement() && parsed.src == MAC);
    }

    const AT: MacAddr = MacAddr([2, 0, 0, 0, 2, 1]);
    const PEER: MacAddr = MacAddr([2, 0, 0, 0, 1, 9]);

    #[test]
    fn golden_octets_of_a_directed_arp() {
        let told = Told { guest: MAC, ip: Ipv4Addr::new(192, 0, 2, 1), peer: PEER, at: AT };
        let frame = directed_arp(&told);
        let expected: [u8; 42] = [
            2, 0, 0, 0, 1, 9, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x08, 0x06, 0x00, 0x01, 0x08, 0x00, 0x06,
            0x04, 0x00, 0x02, 2, 0, 0, 0, 2, 1, 192, 0, 2, 1, 2, 0, 0, 0, 2, 1, 192, 0, 2, 1,
        ];
        assert_eq!(frame[..42], expected);
        assert_eq!(frame[42..], [0; 18]);
    }

    #[test]
    fn a_learning_frame_is_for_its_sender() {
        let frame = learning(AT);
        assert_eq!(frame[..14], [2, 0, 0, 0, 2, 1, 2, 0, 0, 0, 2, 1, 0x90, 0x00]);
        assert_eq!(frame[14..], [0; 46]);
    }

    proptest! {
        /// An independent parser reads what was meant, checksum included; and so does what rewrites guests' own.
        #[test]
        fn directed_discovery_is_sound(ip in any::<[u8; 16]>(), peer_ip in any::<[u8; 16]>(), router: bool) {
            let told = Told { guest: MAC, ip: ip.into(), peer: PEER, at: AT };
            let advertised = directed_na(&told, peer_ip.into(), router);
            let solicited = directed_ns(&told, peer_ip.into());
            for frame in [&advertised, &solicited] {
                prop_assert_eq!(&frame[..12], &[PEER.0, MAC.0].concat());
                let packet = etherparse::SlicedPacket::from_ethernet(frame).unwrap();
                let Some(etherparse::NetSlice::Ipv6(net)) = packet.net else { panic!() };
                let header = net.header();
                prop_assert_eq!((header.source(), header.destination(), header.hop_limit()), (ip, peer_ip, 255));
                let Some(etherparse::TransportSlice::Icmpv6(icmp)) = packet.transport else { panic!() };
                prop_assert!(icmp.is_checksum_valid(header.source(), header.destination()));
                let parsed = crate::parse::parse(frame, None).unwrap();
                let claim = crate::rewrite::Claim::read(frame, &parsed).unwrap();
                prop_assert_eq!((claim.ip, claim.mac), (core::net::IpAddr::from(ip), AT));
            }
            prop_assert_eq!((advertised[54], solicited[54]), (136, 135));
            prop_assert_eq!(advertised[58], if router { 0xa0 } else { 0x20 });
            prop_assert_eq!((&advertised[62..78], &solicited[62..78]), (&ip[..], &peer_ip[..]));
        }

        /// An independent parser reads what was meant, checksum included.
        #[test]
        fn advertisements_are_sound(mac in any::<[u8; 6]>(), ip in any::<[u8; 16]>()) {
            let mac = MacAddr([mac[0] & 0xfe | 2, mac[1], mac[2], mac[3], mac[4], mac[5]]);
            let frame = unsolicited_na(mac, ip);
            let parsed = crate::parse::parse(&frame, None).unwrap();
            prop_assert!(parsed.is_announcement() && parsed.src == mac);
            prop_assert_eq!(parsed.dst, MacAddr([0x33, 0x33, 0, 0, 0, 1]));

            let packet = etherparse::SlicedPacket::from_ethernet(&frame).unwrap();
            let Some(etherparse::NetSlice::Ipv6(net)) = packet.net else { panic!() };
            let header = net.header();
            prop_assert_eq!((header.source(), header.hop_limit()), (ip, 255));
            prop_assert_eq!(header.destination_addr(), "ff02::1".parse::<Ipv6Addr>().unwrap());
            let Some(etherparse::TransportSlice::Icmpv6(icmp)) = packet.transport else { panic!() };
            prop_assert!(icmp.is_checksum_valid(header.source(), header.destination()));
            let etherparse::Icmpv6Type::NeighborAdvertisement(flags) = icmp.icmp_type() else { panic!() };
            prop_assert!(flags.r#override && !flags.solicited && !flags.router);
            prop_assert_eq!(&frame[62..78], &ip);
            prop_assert_eq!(&frame[78..], &[&[2, 1][..], &mac.0].concat());
        }
    }
}
