//! Headers that carry whole packets of other protocols.

use super::{
    ETHERTYPE_IPV4, ETHERTYPE_IPV6, ETHERTYPE_MPLS, ETHERTYPE_MPLS_MULTICAST, HEADER_LEN, Next, Walk,
};
use crate::flow_hash::keys::{number, octets};

const PPP_IPV4: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;
const PPP_MPLS: u16 = 0x0281;
const PPP_MPLS_MULTICAST: u16 = 0x0283;

const GRE_CSUM: u16 = 0x8000;
const GRE_ROUTING: u16 = 0x4000;
const GRE_KEY: u16 = 0x2000;
const GRE_SEQUENCE: u16 = 0x1000;
const GRE_ACK: u16 = 0x0080;
const GRE_VERSION: u16 = 0x0007;
const ETHERTYPE_PPP: u16 = 0x880b;
const ETHERTYPE_BRIDGED: u16 = 0x6558;

impl Walk<'_> {
    /// GRE (RFC 2784, RFC 2890), Ethernet in it, and PPP in its version 1 (PPTP, RFC 2637). What has a routing field or
    /// another version is not looked into.
    pub(super) fn gre(&mut self) -> Option<Next> {
        let flags = number(self.bytes, self.at)?;
        let ethertype = number(self.bytes, self.at + 2)?;
        let present = |flag, len| if flags & flag != 0 { len } else { 0 };
        match flags & GRE_VERSION {
            _ if flags & GRE_ROUTING != 0 => return Some(Next::End),
            0 => {}
            1 if ethertype == ETHERTYPE_PPP && flags & GRE_KEY != 0 => {}
            _ => return Some(Next::End),
        }
        self.at += 4 + present(GRE_CSUM, 4);
        if flags & GRE_KEY != 0 {
            octets::<4>(self.bytes, self.at)?;
        }
        self.at += present(GRE_KEY, 4) + present(GRE_SEQUENCE, 4);
        if flags & GRE_VERSION == 1 {
            self.at += present(GRE_ACK, 4);
            let [_, _, protocol @ ..] = octets::<4>(self.bytes, self.at)?;
            self.at += 4;
            return Some(Next::Ethertype(match u16::from_be_bytes(protocol) {
                PPP_IPV4 => ETHERTYPE_IPV4,
                PPP_IPV6 => ETHERTYPE_IPV6,
                _ => ETHERTYPE_PPP,
            }));
        }
        if ethertype == ETHERTYPE_BRIDGED { self.ethernet() } else { Some(Next::Ethertype(ethertype)) }
    }

    /// A session packet of PPP over Ethernet (RFC 2516), its protocol field whole or compressed to one octet.
    pub(super) fn pppoe(&mut self) -> Option<Next> {
        let [version_type, code, _, _, _, _, first, second] = octets::<8>(self.bytes, self.at)?;
        if (version_type, code) != (0x11, 0) {
            return None;
        }
        let compressed = first & 1 == 1;
        let protocol = if compressed { u16::from(first) } else { u16::from_be_bytes([first, second]) };
        self.at += if compressed { 7 } else { 8 };
        match protocol {
            PPP_IPV4 => Some(Next::Ethertype(ETHERTYPE_IPV4)),
            PPP_IPV6 => Some(Next::Ethertype(ETHERTYPE_IPV6)),
            PPP_MPLS => Some(Next::Ethertype(ETHERTYPE_MPLS)),
            PPP_MPLS_MULTICAST => Some(Next::Ethertype(ETHERTYPE_MPLS_MULTICAST)),
            _ => (protocol & 1 == 1).then_some(Next::End),
        }
    }

    /// A unicast packet of B.A.T.M.A.N. advanced, version 15: 10 octets before the Ethernet frame.
    pub(super) fn batman(&mut self) -> Option<Next> {
        let [kind, version] = octets(self.bytes, self.at)?;
        if (kind, version) != (0x40, 15) {
            return None;
        }
        self.at += 10;
        self.ethernet()
    }

    /// The tag of PRP and HSR (IEC 62439-3): 6 octets, the last two an ethertype.
    pub(super) fn redundancy_tag(&mut self) -> Option<Next> {
        let ethertype = number(self.bytes, self.at + 4)?;
        self.at += 6;
        Some(Next::Ethertype(ethertype))
    }

    /// An Ethernet frame within.
    fn ethernet(&mut self) -> Option<Next> {
        let ethertype = number(self.bytes, self.at + HEADER_LEN - 2)?;
        self.at += HEADER_LEN;
        Some(Next::Ethertype(ethertype))
    }
}
