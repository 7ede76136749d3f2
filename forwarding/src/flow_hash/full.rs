//! The dissection behind `encap2+3` and `encap3+4`: walks tags, tunnels and IPv6 extension headers to the innermost IP
//! header, as the kernel's generic flow dissector does when the bonding driver calls it. UDP tunnels are not entered.

use super::keys::{self, Keys, PROTOCOL_ICMP, PROTOCOL_ICMPV6, number, octets};
use crate::wire::ethernet::{
    ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_OFFSET, ETHERTYPE_RARP, HEADER_LEN,
};
use crate::wire::ipv4::MIN_HEADER_LEN;
use crate::wire::ipv6::FRAGMENT_HEADER_LEN;
use crate::wire::vlan::{TAG_LEN, is_tpid};

mod tunnel;

/// Transitions from one header to the next that are followed; then the keys found so far stand.
const MAX_TRANSITIONS: usize = 15;

const ETHERTYPE_BATMAN: u16 = 0x4305;
const ETHERTYPE_MPLS: u16 = 0x8847;
const ETHERTYPE_MPLS_MULTICAST: u16 = 0x8848;
const ETHERTYPE_PPPOE_SESSION: u16 = 0x8864;
const ETHERTYPE_TIPC: u16 = 0x88ca;
const ETHERTYPE_PTP: u16 = 0x88f7;
const ETHERTYPE_PRP: u16 = 0x88fb;
const ETHERTYPE_FCOE: u16 = 0x8906;
const ETHERTYPE_HSR: u16 = 0x892f;

/// What to look at next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// A packet of this ethertype.
    Ethertype(u16),
    /// A header of this IP protocol, within IPv6 or not.
    Protocol { number: u8, ipv6: bool },
    /// Nothing.
    End,
}

/// The keys of a frame; `None` if a header is cut off or unknown. `tagged`: the frame has a tag beside its octets.
pub(super) fn dissect(bytes: &[u8], tagged: bool) -> Option<Keys> {
    let outer_type = number(bytes, ETHERTYPE_OFFSET)?;
    let mut walk = Walk { bytes, at: HEADER_LEN, keys: Keys::default(), pending_tag: tagged, outer_type };
    let mut next = Next::Ethertype(outer_type);
    for _ in 0..=MAX_TRANSITIONS {
        next = match next {
            Next::Ethertype(ethertype) => walk.packet(ethertype)?,
            Next::Protocol { number, ipv6 } => walk.protocol(number, ipv6)?,
            Next::End => break,
        }
    }
    Some(walk.keys)
}

/// A position in a frame.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    keys: Keys,
    /// The frame has a tag beside its octets, and no tag was met so far.
    pending_tag: bool,
    outer_type: u16,
}

impl Walk<'_> {
    fn packet(&mut self, ethertype: u16) -> Option<Next> {
        match ethertype {
            ETHERTYPE_IPV4 => self.ipv4(),
            ETHERTYPE_IPV6 => self.ipv6(),
            _ if is_tpid(ethertype) => self.tag(),
            ETHERTYPE_PPPOE_SESSION => self.pppoe(),
            ETHERTYPE_BATMAN => self.batman(),
            ETHERTYPE_PRP | ETHERTYPE_HSR => self.redundancy_tag(),
            ETHERTYPE_TIPC => self.tipc(),
            ETHERTYPE_PTP => octets::<34>(self.bytes, self.at).map(|_| Next::End),
            ETHERTYPE_FCOE => octets::<38>(self.bytes, self.at).map(|_| Next::End),
            ETHERTYPE_ARP | ETHERTYPE_RARP | ETHERTYPE_MPLS | ETHERTYPE_MPLS_MULTICAST => Some(Next::End),
            _ => None,
        }
    }

    fn ipv4(&mut self) -> Option<Next> {
        let header = keys::ipv4(self.bytes, self.at).filter(|h| h.header_len() >= MIN_HEADER_LEN)?;
        self.keys.addresses = keys::ipv4_addresses(&header);
        self.at += header.header_len();
        if header.is_fragment() { Some(Next::End) } else { self.protocol(header.protocol, false) }
    }

    fn ipv6(&mut self) -> Option<Next> {
        let header = keys::ipv6(self.bytes, self.at)?;
        self.keys.addresses = keys::ipv6_addresses(header);
        self.at += size_of_val(header);
        self.protocol(header.next_header, true)
    }

    /// A tag in the octets. The kernel takes the first one it meets for the one beside the octets, if there is one,
    /// and begins again with the frame's own type without moving on.
    fn tag(&mut self) -> Option<Next> {
        if core::mem::take(&mut self.pending_tag) {
            return Some(Next::Ethertype(self.outer_type));
        }
        let enclosed = number(self.bytes, self.at + 2)?;
        self.at += TAG_LEN;
        Some(Next::Ethertype(enclosed))
    }

    /// TIPC: the source node is the only key. (For keep-alive messages the kernel draws it by lot; here they are
    /// like others.)
    fn tipc(&mut self) -> Option<Next> {
        let [.., a, b, c, d] = octets::<16>(self.bytes, self.at)?;
        self.keys.addresses = u32::from_le_bytes([a, b, c, d]);
        Some(Next::End)
    }

    /// What stands behind an IP header or an IPv6 extension header. Ports are those of the last protocol met.
    fn protocol(&mut self, number: u8, ipv6: bool) -> Option<Next> {
        self.keys.ports = keys::ports(self.bytes, self.at, number);
        match number {
            4 => Some(Next::Ethertype(ETHERTYPE_IPV4)),
            41 => Some(Next::Ethertype(ETHERTYPE_IPV6)),
            137 => Some(Next::Ethertype(ETHERTYPE_MPLS)),
            47 => self.gre(),
            0 | 43 | 60 if ipv6 => {
                let [next, len] = octets(self.bytes, self.at)?;
                self.at += (usize::from(len) + 1) * 8;
                self.keys.ports = keys::ports(self.bytes, self.at, next);
                Some(Next::Protocol { number: next, ipv6 })
            }
            44 if ipv6 => octets::<FRAGMENT_HEADER_LEN>(self.bytes, self.at).map(|_| Next::End),
            PROTOCOL_ICMP | PROTOCOL_ICMPV6 => {
                self.keys.icmp = keys::icmp(self.bytes, self.at);
                Some(Next::End)
            }
            _ => Some(Next::End),
        }
    }
}
