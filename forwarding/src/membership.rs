//! Queries that make hosts report again which groups they are members of (IGMP, RFC 3376; MLD, RFC 3810), from one who
//! is no querier: who hears them must not take the sender for one, nor give way to it.
//!
//! IGMP: from 0.0.0.0, which no election counts (RFC 4541 clause 2.1.1). MLD must have a link-local source (RFC 3810 clause
//! 5.1.14), and the lowest is elected, so that here is above those of hosts. Both suppress the timers of routers (S flag).
//! Hosts answer within 100 ms. Hosts of older versions of the protocols understand them.

use crate::mac::MacAddr;
use crate::wire::ethernet::{HEADER_LEN, MIN_FRAME};

/// Octets of [`mld_query`].
pub const MLD_QUERY_LEN: usize = 90;

/// To 224.0.0.1, by 01:00:5e:00:00:01.
const IGMP_QUERY: [u8; 50] = [
    0x01, 0x00, 0x5e, 0x00, 0x00, 0x01, 0, 0, 0, 0, 0, 0, 0x08, 0x00, //
    // IPv4: 6 words, class internetwork control, 36 octets, TTL 1, IGMP, with the option router alert (RFC 2113).
    0x46, 0xc0, 0x00, 0x24, 0x00, 0x00, 0x00, 0x00, 0x01, 0x02, 0x44, 0x13, //
    0, 0, 0, 0, 224, 0, 0, 1, 0x94, 0x04, 0x00, 0x00, //
    // RFC 3376 clause 4.1: query, within a tenth of a second, any group; S, QRV 2, QQIC 125, no sources.
    0x11, 0x01, 0xe4, 0x81, 0, 0, 0, 0, 0x0a, 0x7d, 0x00, 0x00,
];

/// From fe80::ffff:ffff:ffff:0 to ff02::1, by 33:33:00:00:00:01.
const MLD_QUERY: [u8; MLD_QUERY_LEN] = [
    0x33, 0x33, 0x00, 0x00, 0x00, 0x01, 0, 0, 0, 0, 0, 0, 0x86, 0xdd, //
    // IPv6: 36 octets, hop-by-hop options, hop limit 1.
    0x60, 0x00, 0x00, 0x00, 0x00, 0x24, 0x00, 0x01, //
    0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, //
    0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, //
    // Router alert (RFC 2711) and padding; then ICMPv6.
    0x3a, 0x00, 0x05, 0x02, 0x00, 0x00, 0x01, 0x00, //
    // RFC 3810 clause 5.1: query, within 100 ms, any group; S, QRV 2, QQIC 125, no sources.
    0x82, 0x00, 0x75, 0x43, 0x00, 0x64, 0, 0, //
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x0a, 0x7d, 0x00, 0x00,
];

/// A general IGMPv3 query, padded to the shortest frame of a wire. `mac`: of the sender.
pub fn igmp_query(mac: MacAddr) -> [u8; MIN_FRAME] {
    let mut frame = [0; MIN_FRAME];
    frame[..IGMP_QUERY.len()].copy_from_slice(&IGMP_QUERY);
    frame[6..HEADER_LEN - 2].copy_from_slice(&mac.0);
    frame
}

/// A general MLDv2 query. `mac`: of the sender.
pub fn mld_query(mac: MacAddr) -> [u8; MLD_QUERY_LEN] {
    let mut frame = MLD_QUERY;
    frame[6..HEADER_LEN - 2].copy_from_slice(&mac.0);
    frame
}

#[cfg(test)]
mod tests {
    use core::net::{Ipv4Addr, Ipv6Addr};

    use super::*;

    const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 7]);

    #[test]
    fn igmp_is_sound_and_elects_nobody() {
        let frame = igmp_query(MAC);
        let ethernet = etherparse::Ethernet2Slice::from_slice_without_fcs(&frame).unwrap();
        assert_eq!((ethernet.source(), ethernet.destination()), (MAC.0, [1, 0, 0x5e, 0, 0, 1]));
        let ip = etherparse::Ipv4Slice::from_slice(ethernet.payload().payload).unwrap();
        let header = ip.header().to_header();
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        assert_eq!((header.time_to_live, header.protocol), (1, etherparse::IpNumber::IGMP));
        assert_eq!(Ipv4Addr::from(header.source), Ipv4Addr::UNSPECIFIED);
        assert_eq!(Ipv4Addr::from(header.destination), Ipv4Addr::new(224, 0, 0, 1));
        let igmp = ip.payload().payload;
        let sum: u32 = igmp.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
        assert_eq!((igmp.len(), (sum >> 16) + (sum & 0xffff)), (12, 0xffff));
    }

    #[test]
    fn mld_is_sound_and_gives_way() {
        let frame = mld_query(MAC);
        let ethernet = etherparse::Ethernet2Slice::from_slice_without_fcs(&frame).unwrap();
        assert_eq!((ethernet.source(), ethernet.destination()), (MAC.0, [0x33, 0x33, 0, 0, 0, 1]));
        let ip = etherparse::Ipv6Slice::from_slice(ethernet.payload().payload).unwrap();
        let header = ip.header();
        assert_eq!((header.hop_limit(), header.destination_addr()), (1, "ff02::1".parse().unwrap()));
        let source = header.source_addr();
        assert!(
            source.is_unicast_link_local()
                && source > "fe80::fdff:ffff:ffff:ffff".parse::<Ipv6Addr>().unwrap()
        );
        let icmp = etherparse::Icmpv6Slice::from_slice(ip.payload().payload).unwrap();
        assert!(icmp.is_checksum_valid(header.source(), header.destination()));
        assert_eq!((icmp.type_u8(), ip.payload().payload.len()), (130, 28));
    }
}
