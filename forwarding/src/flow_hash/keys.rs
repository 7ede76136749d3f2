//! What both dissectors collect, and the few reads that they share. Addresses and ports are taken as little-endian
//! numbers, as the kernel of a little-endian host loads them.

use crate::wire::ipv4::{self, Ipv4Header};
use crate::wire::ipv6::Ipv6Header;
use zerocopy::FromBytes;

/// ICMP (RFC 792).
pub(super) const PROTOCOL_ICMP: u8 = 1;
/// ICMPv6 (RFC 4443).
pub(super) const PROTOCOL_ICMPV6: u8 = 58;

/// The parts of a flow's identity that go into a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Keys {
    /// Source and destination address, all their words folded by XOR.
    pub(super) addresses: u32,
    /// Source port (lower half) and destination port, or the SPI of IPsec.
    pub(super) ports: u32,
    /// ICMP type (octet 0), code (octet 1) and identifier (upper half, 0 = has none).
    pub(super) icmp: u32,
}

impl Keys {
    /// The layer-4 share of a hash: type, code and identifier of an ICMP query, otherwise the ports.
    pub(super) fn transport(&self) -> u32 {
        if self.icmp >> 16 != 0 { self.icmp } else { self.ports }
    }
}

/// `N` octets at an offset, if they are there.
pub(super) fn octets<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}

/// A number in network byte order at an offset.
pub(super) fn number(bytes: &[u8], at: usize) -> Option<u16> {
    octets(bytes, at).map(u16::from_be_bytes)
}

/// The IPv4 header at an offset. Unlike [`Ipv4Header::parse`] this asks for 20 octets and nothing else.
pub(super) fn ipv4(bytes: &[u8], at: usize) -> Option<Ipv4Header> {
    octets::<{ ipv4::MIN_HEADER_LEN }>(bytes, at).map(|octets| zerocopy::transmute!(octets))
}

/// The fixed IPv6 header at an offset, whatever its version says.
pub(super) fn ipv6(bytes: &[u8], at: usize) -> Option<&Ipv6Header> {
    Ipv6Header::ref_from_prefix(bytes.get(at..)?).ok().map(|(header, _)| header)
}

/// Both addresses of an IPv4 header.
pub(super) fn ipv4_addresses(header: &Ipv4Header) -> u32 {
    u32::from_le_bytes(header.src) ^ u32::from_le_bytes(header.dst)
}

/// Both addresses of an IPv6 header.
pub(super) fn ipv6_addresses(header: &Ipv6Header) -> u32 {
    let words = header.src.chunks_exact(4).chain(header.dst.chunks_exact(4));
    words.fold(0, |folded, word| folded ^ word.iter().rev().fold(0, |n, octet| n << 8 | u32::from(*octet)))
}

/// The four octets that a protocol has in the place of ports: real ports (TCP, UDP, DCCP, SCTP, UDP-Lite) or the SPI of
/// IPsec (ESP, AH); 0 for other protocols and for a cut-off header. `at` is where layer 4 begins.
pub(super) fn ports(bytes: &[u8], at: usize, protocol: u8) -> u32 {
    let offset = match protocol {
        6 | 17 | 33 | 50 | 132 | 136 => 0,
        51 => 4,
        _ => return 0,
    };
    octets(bytes, at + offset).map_or(0, u32::from_le_bytes)
}

/// Type, code and identifier of the ICMP or ICMPv6 message at an offset, laid out as [`Keys::icmp`]; 0 if it is cut
/// off. Only queries have an identifier, and one that is 0 on the wire counts as 1.
pub(super) fn icmp(bytes: &[u8], at: usize) -> u32 {
    let Some([kind, code, _, _, id @ .., _, _]) = octets::<8>(bytes, at) else { return 0 };
    let id = match kind {
        0 | 8 | 13 | 14 | 128 | 129 => u32::from(u16::from_be_bytes(id)).max(1),
        _ => 0,
    };
    u32::from(kind) | u32::from(code) << 8 | id << 16
}
