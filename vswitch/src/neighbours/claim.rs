//! What one ARP or neighbour discovery frame says about who has an IP address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use forwarding::mac::MacAddr;
use forwarding::parse::{Network, parse};
use forwarding::wire::arp::{self, ArpPacket};
use forwarding::wire::ethernet::ETHERTYPE_ARP;
use forwarding::wire::ipv6::{self, Ipv6Header};

const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// Octets of a solicitation or advertisement without options (RFC 4861 clauses 4.3 and 4.4).
const FIXED_LEN: usize = 24;
const SOURCE_LINK_ADDRESS: u8 = 1;
const TARGET_LINK_ADDRESS: u8 = 2;
const ROUTER_FLAG: u8 = 0x80;
const OVERRIDE_FLAG: u8 = 0x20;

/// "`mac` has `ip`", as said by the sender of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Claim {
    /// Source address of the frame.
    pub(super) sender: MacAddr,
    /// The address that is said to have the IP address.
    pub(super) mac: MacAddr,
    /// The IP address.
    pub(super) ip: IpAddr,
    /// Whether the host is a router, where the frame says so (neighbour advertisements).
    pub(super) router: Option<bool>,
    /// The answer may be given for somebody else, or for an address that several have: a proxy or anycast
    /// advertisement, which has no override flag (RFC 4861 clauses 7.2.7 and 7.2.8).
    pub(super) uncertain: bool,
}

/// Reads a frame without its outer VLAN tag. `None`: no claim (a probe, RARP, another protocol), one that is malformed,
/// or one behind another tag. An ICMPv6 checksum is not looked at, since a guest may have left it to the device.
pub(super) fn claim(bytes: &[u8]) -> Option<Claim> {
    let parsed = parse(bytes, None).ok().filter(|parsed| parsed.inner_tags == 0)?;
    let packet = &bytes[parsed.l3_offset..];
    let claim = match parsed.network {
        Network::Arp { .. } if parsed.ethertype == ETHERTYPE_ARP => arp_claim(parsed.src, packet),
        Network::NeighbourDiscovery { .. } => neighbour_claim(parsed.src, packet),
        _ => None,
    };
    claim.filter(|claim| claim.mac.is_valid_source() && may_be_announced(claim.ip))
}

fn arp_claim(sender: MacAddr, packet: &[u8]) -> Option<Claim> {
    let packet = ArpPacket::parse(packet)?;
    matches!(packet.operation.get(), arp::REQUEST | arp::REPLY).then_some(Claim {
        sender,
        mac: packet.sender_mac,
        ip: Ipv4Addr::from(packet.sender_ip).into(),
        router: None,
        uncertain: false,
    })
}

fn neighbour_claim(sender: MacAddr, packet: &[u8]) -> Option<Claim> {
    let header = Ipv6Header::parse(packet)?;
    // With another hop limit it comes from beyond a router (RFC 4861 clause 7.1).
    if header.hop_limit != 255 {
        return None;
    }
    let payload = packet.get(ipv6::HEADER_LEN..)?.get(..usize::from(header.payload_len.get()))?;
    let (fixed, options) = payload.split_at_checked(FIXED_LEN)?;
    let [kind, code, _, _, flags, ..] = *fixed else { return None };
    if code != 0 {
        return None;
    }
    let target: [u8; 16] = fixed[8..].try_into().ok()?;
    match kind {
        // From the unspecified address it is a question whether the target is free: the filter above sees to that.
        SOLICITATION => Some(Claim {
            sender,
            mac: link_address(options, SOURCE_LINK_ADDRESS)?.unwrap_or(sender),
            ip: Ipv6Addr::from(header.src).into(),
            router: None,
            uncertain: false,
        }),
        ADVERTISEMENT => Some(Claim {
            sender,
            mac: link_address(options, TARGET_LINK_ADDRESS)?.unwrap_or(sender),
            ip: Ipv6Addr::from(target).into(),
            router: Some(flags & ROUTER_FLAG != 0),
            uncertain: flags & OVERRIDE_FLAG == 0,
        }),
        _ => None,
    }
}

/// The link-layer address among the options (RFC 4861 clause 4.6), if there is one; `None` if they are malformed.
#[expect(clippy::option_option, reason = "malformed and absent are different")]
fn link_address(mut options: &[u8], wanted: u8) -> Option<Option<MacAddr>> {
    let mut found = None;
    while let [kind, units, ..] = *options {
        // A length of nothing is malformed (RFC 4861 clause 4.6).
        let length = usize::from(units) * 8;
        let (option, rest) = options.split_at_checked(length).filter(|_| length > 0)?;
        if kind == wanted {
            found = Some(MacAddr(option[2..8].try_into().ok()?));
        }
        options = rest;
    }
    options.is_empty().then_some(found)
}

/// Whether one host can have it: not unspecified (probes), loopback, or a group.
fn may_be_announced(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.octets()[0] != 0 && !ip.is_loopback() && ip.octets()[0] < 224,
        IpAddr::V6(ip) => !ip.is_unspecified() && !ip.is_loopback() && !ip.is_multicast(),
    }
}
