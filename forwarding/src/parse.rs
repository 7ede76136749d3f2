//! One pass over a received frame: addresses, tags, and where layer 3 begins. No allocation, no copy.
//!
//! Only what a switch must understand can make a frame invalid. Layer 3 is looked at and never judged: a frame with a
//! malformed IP header is [`Network::Other`] and is forwarded like any other.

use crate::drop_reason::DropReason;
use crate::mac::MacAddr;
use crate::vlan::VlanTag;
use crate::wire::arp::ArpPacket;
use crate::wire::ethernet::{
    ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_RARP, ETHERTYPE_SLOW_PROTOCOLS, EthernetHeader,
    HEADER_LEN,
};
use crate::wire::ipv4::{Ipv4Header, PROTOCOL_IGMP};
use crate::wire::ipv6::{self, Ipv6Header};
use crate::wire::nd::{DISCOVERY, HOP_LIMIT, NeighbourMessage, PROTOCOL_ICMPV6};
use crate::wire::vlan::{TAG_LEN, TagHeader, is_tpid};

/// Most VLAN tags of a frame, the one carried beside its octets included.
pub const MAX_VLAN_TAGS: usize = 4;

/// What the frame's payload is, if it is whole enough to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// ARP or RARP for IPv4 over Ethernet.
    Arp {
        /// The sender tells everybody where it is: a gratuitous ARP or a RARP about itself, sent to a group address.
        announcement: bool,
    },
    /// IPv4 with a whole header.
    Ipv4 {
        /// Protocol of the payload.
        protocol: u8,
        /// Octets of the header with its options, 20..=60.
        header_len: usize,
    },
    /// A neighbour solicitation or advertisement right behind the IPv6 header.
    NeighbourDiscovery {
        /// The sender tells everybody where it is: an unsolicited advertisement to a group address.
        announcement: bool,
    },
    /// IPv6 with a whole fixed header; none of the above.
    Ipv6 {
        /// What follows the fixed header; may be an extension header.
        next_header: u8,
    },
    /// Anything else, or one of the above cut off or malformed.
    Other,
}

impl Network {
    /// Octets of the layer-3 header, extension headers not included; 0 if there is none that we know.
    #[inline]
    pub fn header_len(self) -> usize {
        match self {
            Self::Ipv4 { header_len, .. } => header_len,
            Self::Ipv6 { .. } | Self::NeighbourDiscovery { .. } => ipv6::HEADER_LEN,
            Self::Arp { .. } | Self::Other => 0,
        }
    }
}

/// What [`parse`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed {
    /// Destination address.
    pub dst: MacAddr,
    /// Source address; individual and not zero.
    pub src: MacAddr,
    /// Type of the payload behind all tags; below 0x0600 it is an 802.3 length.
    pub ethertype: u16,
    /// Where layer 3 begins, in octets from the start of the bytes; not beyond their end.
    pub l3_offset: usize,
    /// Tags in the bytes (the one carried beside them is not counted), 0..=[`MAX_VLAN_TAGS`].
    pub inner_tags: usize,
    /// The payload.
    pub network: Network,
}

impl Parsed {
    /// The sender tells everybody where it is; see [`Network::Arp`] and [`Network::NeighbourDiscovery`].
    #[inline]
    pub fn is_announcement(&self) -> bool {
        self.resolves_addresses() == Some(true)
    }

    /// An untagged frame of the Slow Protocols, to their own address; `tag` is the one beside the octets. (One that is
    /// sent to another address goes its way like any other frame.)
    #[inline]
    pub fn is_slow_protocol(&self, tag: Option<VlanTag>) -> bool {
        self.dst == MacAddr::SLOW_PROTOCOLS
            && self.ethertype == ETHERTYPE_SLOW_PROTOCOLS
            && self.inner_tags == 0
            && tag.is_none()
    }

    /// IP from one station to another, the kind of frame of which the receiver doesn't mind the Ethernet source: IPv4 but
    /// IGMP, and IPv6 but neighbour discovery (RFC 4861: ICMPv6 types 133 to 137), to no group, with no tag in `bytes`, and
    /// whole enough to tell. (Linux: `bond_xmit_tlb_slave_get` and `alb_determine_nd`.)
    #[inline]
    pub fn is_ip_of_stations(&self, bytes: &[u8]) -> bool {
        if self.dst.is_multicast() || self.inner_tags > 0 {
            return false;
        }
        match self.network {
            Network::Ipv4 { protocol, .. } => protocol != PROTOCOL_IGMP,
            Network::Ipv6 { next_header: PROTOCOL_ICMPV6 } => {
                let kind = bytes.get(self.l3_offset + ipv6::HEADER_LEN);
                kind.is_some_and(|kind| !DISCOVERY.contains(kind))
            }
            Network::Ipv6 { .. } => true,
            Network::Arp { .. } | Network::NeighbourDiscovery { .. } | Network::Other => false,
        }
    }

    /// For ARP, RARP and neighbour discovery: whether it is an announcement.
    #[inline]
    pub fn resolves_addresses(&self) -> Option<bool> {
        match self.network {
            Network::Arp { announcement } | Network::NeighbourDiscovery { announcement } => {
                Some(announcement)
            }
            _ => None,
        }
    }
}

/// Reads a frame whose outer tag, if it had one, is carried as `tag` and not in `bytes`.
///
/// # Errors
/// [`DropReason::Runt`]: shorter than an Ethernet header, or a tag is cut off.
/// [`DropReason::InvalidSource`]: the source is a group address or zero.
/// [`DropReason::TooManyTags`]: more than [`MAX_VLAN_TAGS`], `tag` included.
#[inline]
pub fn parse(bytes: &[u8], tag: Option<VlanTag>) -> Result<Parsed, DropReason> {
    let header = EthernetHeader::parse(bytes).ok_or(DropReason::Runt)?;
    if !header.src.is_valid_source() {
        return Err(DropReason::InvalidSource);
    }
    let mut ethertype = header.ethertype.get();
    let mut l3_offset = HEADER_LEN;
    let mut inner_tags = 0;
    while is_tpid(ethertype) {
        inner_tags += 1;
        if inner_tags + usize::from(tag.is_some()) > MAX_VLAN_TAGS {
            return Err(DropReason::TooManyTags);
        }
        ethertype = TagHeader::parse(&bytes[l3_offset..]).ok_or(DropReason::Runt)?.ethertype.get();
        l3_offset += TAG_LEN;
    }
    let network = network(ethertype, header.dst, &bytes[l3_offset..]);
    Ok(Parsed { dst: header.dst, src: header.src, ethertype, l3_offset, inner_tags, network })
}

#[inline]
fn network(ethertype: u16, dst: MacAddr, packet: &[u8]) -> Network {
    let known = match ethertype {
        ETHERTYPE_IPV4 => Ipv4Header::parse(packet)
            .map(|h| Network::Ipv4 { protocol: h.protocol, header_len: h.header_len() }),
        ETHERTYPE_IPV6 => Ipv6Header::parse(packet).map(|header| match header.next_header {
            PROTOCOL_ICMPV6 => icmpv6(header, dst, packet),
            next_header => Network::Ipv6 { next_header },
        }),
        ETHERTYPE_ARP => ArpPacket::parse(packet)
            .map(|p| Network::Arp { announcement: dst.is_multicast() && p.is_gratuitous() }),
        ETHERTYPE_RARP => ArpPacket::parse(packet)
            .map(|p| Network::Arp { announcement: dst.is_multicast() && p.is_reverse_announcement() }),
        _ => None,
    };
    known.unwrap_or(Network::Other)
}

/// Tells neighbour discovery from other ICMPv6. A packet that came from farther than this link is none (RFC 4861 clause
/// 7.1); its checksum is not judged.
fn icmpv6(header: &Ipv6Header, dst: MacAddr, packet: &[u8]) -> Network {
    let message = NeighbourMessage::parse(&packet[ipv6::HEADER_LEN..]);
    match message.filter(|_| header.hop_limit == HOP_LIMIT) {
        Some(message) => Network::NeighbourDiscovery {
            announcement: message.is_unsolicited_advertisement()
                && dst.is_multicast()
                && header.dst[0] == 0xff,
        },
        None => Network::Ipv6 { next_header: PROTOCOL_ICMPV6 },
    }
}

#[cfg(test)]
mod tests;
