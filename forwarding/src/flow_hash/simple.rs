//! The dissection behind `layer2+3` and `layer3+4`: one IP header right behind the Ethernet header, the layer-4 header
//! right behind that, and the packet inside an ICMP error. No tags in the octets, no tunnels, no extension headers.

use super::keys::{self, Keys, PROTOCOL_ICMP, PROTOCOL_ICMPV6};
use crate::wire::ethernet::{ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_OFFSET, HEADER_LEN};

/// Octets before the packet inside an ICMP error.
const ICMP_HEADER_LEN: usize = 8;

/// The keys of a frame; `None` unless it is IP with a whole fixed header.
pub(super) fn dissect(bytes: &[u8]) -> Option<Keys> {
    let ethertype = keys::number(bytes, ETHERTYPE_OFFSET)?;
    let outer = internet(bytes, HEADER_LEN, ethertype)?;
    let Some(protocol @ (PROTOCOL_ICMP | PROTOCOL_ICMPV6)) = outer.protocol else {
        return Some(outer.keys(bytes));
    };
    let icmp = keys::icmp(bytes, outer.l4_offset);
    if !is_error(protocol, icmp as u8) {
        return Some(Keys { icmp, ..outer.keys(bytes) });
    }
    // An error belongs to the flow of the packet that it quotes.
    internet(bytes, outer.l4_offset + ICMP_HEADER_LEN, ethertype).map(|quoted| quoted.keys(bytes))
}

/// An IP header.
struct Internet {
    addresses: u32,
    /// `None` for a fragment, be it the first one.
    protocol: Option<u8>,
    l4_offset: usize,
}

impl Internet {
    fn keys(&self, bytes: &[u8]) -> Keys {
        let ports = self.protocol.map_or(0, |protocol| keys::ports(bytes, self.l4_offset, protocol));
        Keys { addresses: self.addresses, ports, icmp: 0 }
    }
}

/// The IP header at an offset. Its version and header length are believed: the ethertype decides.
fn internet(bytes: &[u8], at: usize, ethertype: u16) -> Option<Internet> {
    match ethertype {
        ETHERTYPE_IPV4 => keys::ipv4(bytes, at).map(|header| Internet {
            addresses: keys::ipv4_addresses(&header),
            protocol: (!header.is_fragment()).then_some(header.protocol),
            l4_offset: at + header.header_len(),
        }),
        ETHERTYPE_IPV6 => keys::ipv6(bytes, at).map(|header| Internet {
            addresses: keys::ipv6_addresses(header),
            protocol: Some(header.next_header),
            l4_offset: at + size_of_val(header),
        }),
        _ => None,
    }
}

/// Types that quote the packet they complain of.
fn is_error(protocol: u8, kind: u8) -> bool {
    if protocol == PROTOCOL_ICMP { matches!(kind, 3 | 4 | 5 | 11 | 12) } else { matches!(kind, 1..=4) }
}
