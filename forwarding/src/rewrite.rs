//! Link-layer addresses within ARP and IPv6 neighbour discovery: where a packet says whose IP address is behind which MAC,
//! and how another MAC is put there.
//!
//! A packet that is cut off, of another form or behind extension headers says nothing here, and stays as it is.

use core::net::IpAddr;

use crate::mac::MacAddr;
use crate::parse::{Network, Parsed};
use crate::wire::arp::{self, ArpPacket};
use crate::wire::ethernet::{ETHERTYPE_ARP, HEADER_LEN};
use crate::wire::ipv4::Ipv4Header;
use crate::wire::ipv6::{self, Ipv6Header};
use crate::wire::nd::{
    ADVERTISEMENT, AddressOption, NeighbourMessage, OPTION_SOURCE_ADDRESS, OPTION_TARGET_ADDRESS,
};
use crate::wire::virtio::VirtioNetHeader;

/// Offsets of the hardware addresses in an ARP packet.
const ARP_SENDER: usize = core::mem::offset_of!(ArpPacket, sender_mac);
const ARP_TARGET: usize = core::mem::offset_of!(ArpPacket, target_mac);
/// Octets of a neighbour discovery message before its options.
const MESSAGE_LEN: usize = size_of::<NeighbourMessage>();
/// Octets of an option with an Ethernet address.
const OPTION_LEN: usize = size_of::<AddressOption>();

/// Octets from a frame's start within which everything is that a [`Patch`] changes: up to the end of a neighbour discovery
/// message's first option, with no tag in the bytes.
pub const MAX_PATCHED: usize = HEADER_LEN + ipv6::HEADER_LEN + MESSAGE_LEN + OPTION_LEN;

/// Octets of a frame that are replaced. Offsets count from the start of the frame's bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patch {
    /// Where the address is.
    pub offset: u16,
    /// The address to put there.
    pub mac: MacAddr,
    /// The checksum that covers it, if it is not to be computed later anyway: where it is, and its new value.
    pub checksum: Option<(u16, u16)>,
}

impl Patch {
    /// Puts it into a frame. What would be beyond the frame's end is left.
    pub fn apply(&self, bytes: &mut [u8]) {
        let mut put = |offset: u16, octets: &[u8]| {
            let start = usize::from(offset);
            if let Some(place) = bytes.get_mut(start..start + octets.len()) {
                place.copy_from_slice(octets);
            }
        };
        put(self.offset, &self.mac.0);
        if let Some((offset, value)) = self.checksum {
            put(offset, &value.to_be_bytes());
        }
    }
}

/// What an ARP request or reply says of its sender, a neighbour solicitation of its source, or a neighbour advertisement of
/// its target: this IP address is behind this MAC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// The IP address.
    pub ip: IpAddr,
    /// The MAC.
    pub mac: MacAddr,
    /// Where the MAC is in the frame's bytes.
    offset: usize,
    /// Where the checksum is that covers it.
    checksum: Option<usize>,
}

impl Claim {
    /// Reads the claim of a frame without tags in its bytes. Of neighbour discovery only the first option is looked at, which
    /// is where hosts put the address (RFC 4861 clauses 4.3 and 4.4 know no other option that could be before it).
    pub fn read(bytes: &[u8], parsed: &Parsed) -> Option<Self> {
        let l3 = parsed.l3_offset;
        let packet = bytes.get(l3..)?;
        match parsed.network {
            Network::Arp { .. } => {
                let arp = resolution(packet, parsed)?;
                let (ip, mac) = (arp.sender_ip.into(), arp.sender_mac);
                Some(Self { ip, mac, offset: l3 + ARP_SENDER, checksum: None })
            }
            Network::NeighbourDiscovery { .. } => {
                let header = Ipv6Header::parse(packet)?;
                let message = NeighbourMessage::parse(&packet[ipv6::HEADER_LEN..])?;
                let option = ipv6::HEADER_LEN + MESSAGE_LEN;
                let [kind, 1, mac @ ..] = *packet.get(option..)?.first_chunk::<OPTION_LEN>()? else {
                    return None;
                };
                if usize::from(header.payload_len.get()) < MESSAGE_LEN + OPTION_LEN {
                    return None;
                }
                let ip = match (message.kind, kind) {
                    (ADVERTISEMENT, OPTION_TARGET_ADDRESS) => message.target,
                    (ADVERTISEMENT, _) => return None,
                    (_, OPTION_SOURCE_ADDRESS) => header.src,
                    _ => return None,
                };
                let checksum = l3 + ipv6::HEADER_LEN + core::mem::offset_of!(NeighbourMessage, checksum);
                Some(Self {
                    ip: ip.into(),
                    mac: MacAddr(mac),
                    offset: l3 + option + core::mem::offset_of!(AddressOption, mac),
                    checksum: Some(checksum),
                })
            }
            _ => None,
        }
    }

    /// Puts another MAC into the claim. `bytes` is the frame that it was read from, `header` its offloads: a checksum that is
    /// still to be computed is left, as the pseudo-header's sum stands there, which does not change.
    pub fn patch(&self, bytes: &[u8], header: &VirtioNetHeader, mac: MacAddr) -> Patch {
        let checksum = self.checksum.filter(|_| !header.needs_csum()).and_then(|offset| {
            let old = u16::from_be_bytes(*bytes.get(offset..)?.first_chunk()?);
            Some((offset as u16, updated_checksum(old, self.mac, mac)))
        });
        Patch { offset: self.offset as u16, mac, checksum }
    }
}

/// The ARP request or reply in a packet.
fn resolution<'a>(packet: &'a [u8], parsed: &Parsed) -> Option<&'a ArpPacket> {
    let arp = ArpPacket::parse(packet)?;
    let resolves = matches!(arp.operation.get(), arp::REQUEST | arp::REPLY);
    (resolves && parsed.ethertype == ETHERTYPE_ARP).then_some(arp)
}

/// The IP address that a frame without tags in its bytes is for: destination of an IP packet, target of an ARP request or
/// reply.
pub fn destination(bytes: &[u8], parsed: &Parsed) -> Option<IpAddr> {
    let packet = bytes.get(parsed.l3_offset..)?;
    match parsed.network {
        Network::Arp { .. } => Some(resolution(packet, parsed)?.target_ip.into()),
        _ => ip_destination(bytes, parsed),
    }
}

/// The destination of an IP packet.
pub fn ip_destination(bytes: &[u8], parsed: &Parsed) -> Option<IpAddr> {
    let packet = bytes.get(parsed.l3_offset..)?;
    match parsed.network {
        Network::Ipv4 { .. } => Some(Ipv4Header::parse(packet)?.dst.into()),
        Network::Ipv6 { .. } | Network::NeighbourDiscovery { .. } => {
            Some(Ipv6Header::parse(packet)?.dst.into())
        }
        Network::Arp { .. } | Network::Other => None,
    }
}

/// Puts `mac` in the place of the target's hardware address of an ARP request or reply, if that is `old`.
pub fn patch_target(bytes: &[u8], parsed: &Parsed, old: MacAddr, mac: MacAddr) -> Option<Patch> {
    let Network::Arp { .. } = parsed.network else { return None };
    let arp = resolution(bytes.get(parsed.l3_offset..)?, parsed)?;
    let offset = (parsed.l3_offset + ARP_TARGET) as u16;
    (arp.target_mac == old).then_some(Patch { offset, mac, checksum: None })
}

/// An Internet checksum after one address was replaced by another, at an even offset of what it covers (RFC 1624
/// equation 3).
fn updated_checksum(checksum: u16, old: MacAddr, new: MacAddr) -> u16 {
    let words = |mac: MacAddr| {
        let [a, b, c, d, e, f] = mac.0;
        [[a, b], [c, d], [e, f]].map(|word| u32::from(u16::from_be_bytes(word)))
    };
    let mut sum = u32::from(!checksum);
    for (old, new) in words(old).into_iter().zip(words(new)) {
        sum += (!old & 0xffff) + new;
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests;
