//! What a received frame says about the targets. Frames are untrusted: whatever does not fit says nothing.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use forwarding::mac::MacAddr;
use forwarding::solicit::solicited_node;
use forwarding::wire::arp::{self, ArpPacket};
use forwarding::wire::ethernet::{self, EthernetHeader};
use forwarding::wire::ipv6::{self, Ipv6Header};
use forwarding::wire::nd::{self, NeighbourMessage};

/// What a frame is to a prober.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
    /// ARP or neighbour discovery from one station to another. The addresses are those that say who asks and who
    /// answers: ARP's own ones, of neighbour discovery those of the IPv6 header and the message.
    Talk(Talk),
    /// Anything else.
    Other,
}

/// An ARP packet, or a neighbour discovery message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Talk {
    /// It answers.
    pub(super) reply: bool,
    /// Who speaks.
    pub(super) from: IpAddr,
    /// To whom. Of an advertisement to all nodes that is `ff02::1`, of a solicitation whom it asks for.
    pub(super) to: IpAddr,
    /// The Ethernet address that speaks.
    pub(super) from_mac: MacAddr,
    /// The Ethernet address that is spoken to; of a request zero or a group.
    pub(super) to_mac: MacAddr,
}

/// Reads a frame from its destination address on, without its VLAN tag.
pub(super) fn read(frame: &[u8]) -> Heard {
    let Some(header) = EthernetHeader::parse(frame) else { return Heard::Other };
    let payload = frame.get(ethernet::HEADER_LEN..).unwrap_or_default();
    let talk = match header.ethertype.get() {
        ethernet::ETHERTYPE_ARP => arp(payload),
        ethernet::ETHERTYPE_IPV6 => neighbour_discovery(header, payload),
        _ => None,
    };
    talk.map_or(Heard::Other, Heard::Talk)
}

fn arp(payload: &[u8]) -> Option<Talk> {
    let packet = ArpPacket::parse(payload)?;
    let reply = match packet.operation.get() {
        arp::REQUEST => false,
        arp::REPLY => true,
        _ => return None,
    };
    Some(Talk {
        reply,
        from: Ipv4Addr::from(packet.sender_ip).into(),
        to: Ipv4Addr::from(packet.target_ip).into(),
        from_mac: packet.sender_mac,
        to_mac: packet.target_mac,
    })
}

fn neighbour_discovery(ethernet: &EthernetHeader, payload: &[u8]) -> Option<Talk> {
    let ip = Ipv6Header::parse(payload)?;
    // A router has passed on what is less (RFC 4861 clause 7.1).
    if ip.next_header != nd::PROTOCOL_ICMPV6 || ip.hop_limit != nd::HOP_LIMIT {
        return None;
    }
    let message = NeighbourMessage::parse(payload.get(ipv6::HEADER_LEN..)?)?;
    let (source, target) = (Ipv6Addr::from(ip.src), Ipv6Addr::from(message.target));
    let destination = Ipv6Addr::from(ip.dst);
    let reply = message.kind == nd::ADVERTISEMENT;
    let (from, to) = if reply {
        (target, destination)
    } else if destination == target || destination == solicited_node(target) {
        (source, target)
    } else {
        return None;
    };
    Some(Talk { reply, from: from.into(), to: to.into(), from_mac: ethernet.src, to_mac: ethernet.dst })
}
