//! Frames of the protocols that a switch looks into, made and recognised here independently of the switch's own code.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::packets::BROADCAST;
use crate::sys::Frame;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const RARP: u16 = 0x8035;
const IPV6: u16 = 0x86dd;

/// An Ethernet frame, padded to 60 octets; the tags (protocol and control information) come outermost first.
pub fn ethernet(to: [u8; 6], from: [u8; 6], tags: &[(u16, u16)], ethertype: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [to, from].concat();
    for (protocol, tci) in tags {
        frame.extend(protocol.to_be_bytes());
        frame.extend(tci.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame.extend(payload);
    if frame.len() < 60 {
        frame.resize(60, 0);
    }
    frame
}

/// An ARP packet (RFC 826) without its Ethernet header.
fn arp(operation: u16, sender: ([u8; 6], Ipv4Addr), target: ([u8; 6], Ipv4Addr)) -> Vec<u8> {
    let mut packet = vec![0, 1, 8, 0, 6, 4];
    packet.extend(operation.to_be_bytes());
    for (mac, ip) in [sender, target] {
        packet.extend(mac);
        packet.extend(ip.octets());
    }
    packet
}

/// A broadcast ARP request for `target`.
pub fn arp_request(sender: ([u8; 6], Ipv4Addr), target: Ipv4Addr) -> Vec<u8> {
    ethernet(BROADCAST, sender.0, &[], ARP, &arp(1, sender, ([0; 6], target)))
}

/// A gratuitous ARP request: whoever hears it learns that the address is here.
pub fn gratuitous_arp(mac: [u8; 6], ip: Ipv4Addr) -> Vec<u8> {
    arp_request((mac, ip), ip)
}

/// A broadcast RARP request as hypervisors send it after a migration.
pub fn rarp(mac: [u8; 6]) -> Vec<u8> {
    let nobody = Ipv4Addr::UNSPECIFIED;
    ethernet(BROADCAST, mac, &[], RARP, &arp(3, (mac, nobody), (mac, nobody)))
}

/// An unsolicited neighbour advertisement to all nodes (RFC 4861 7.2.6) with override flag and link-layer option.
pub fn unsolicited_na(mac: [u8; 6], ip: Ipv6Addr) -> Vec<u8> {
    let mut message = vec![136, 0, 0, 0, 0x20, 0, 0, 0];
    message.extend(ip.octets());
    message.extend([2, 1]);
    message.extend(mac);
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let sum = icmpv6_sum(ip, all_nodes, &message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0, 0, message.len() as u8, 58, 255];
    packet.extend(ip.octets());
    packet.extend(all_nodes.octets());
    packet.extend(message);
    ethernet([0x33, 0x33, 0, 0, 0, 1], mac, &[], IPV6, &packet)
}

/// The checksum of an ICMPv6 message whose checksum field is zero; of a received one it is 0 if all is well.
fn icmpv6_sum(from: Ipv6Addr, to: Ipv6Addr, message: &[u8]) -> u16 {
    let mut octets = [from.octets(), to.octets()].concat();
    octets.extend((message.len() as u32).to_be_bytes());
    octets.extend([0, 0, 0, 58]);
    octets.extend(message);
    internet_sum(&octets)
}

/// The Internet checksum (RFC 1071).
fn internet_sum(octets: &[u8]) -> u16 {
    let words =
        octets.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |b| u32::from(*b)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A UDP datagram over IPv4 without UDP checksum.
pub fn udp(
    to: [u8; 6],
    from: [u8; 6],
    source: (Ipv4Addr, u16),
    target: (Ipv4Addr, u16),
    body: &[u8],
) -> Vec<u8> {
    let length = 28 + body.len() as u16;
    let mut packet = vec![0x45, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    packet.extend(source.0.octets());
    packet.extend(target.0.octets());
    let sum = internet_sum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    for half in [source.1, target.1, length - 20, 0] {
        packet.extend(half.to_be_bytes());
    }
    packet.extend(body);
    ethernet(to, from, &[], IPV4, &packet)
}

/// What a frame tells of where an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Announcement {
    /// A gratuitous ARP request.
    Arp([u8; 6], Ipv4Addr),
    /// An unsolicited neighbour advertisement with a right checksum.
    Neighbour([u8; 6], Ipv6Addr),
    /// A RARP request for itself.
    Rarp([u8; 6]),
}

impl Announcement {
    /// Who is announced.
    pub const fn mac(&self) -> [u8; 6] {
        match self {
            Self::Arp(mac, _) | Self::Neighbour(mac, _) | Self::Rarp(mac) => *mac,
        }
    }
}

/// The announcement that a received frame is, if it is one.
pub fn announcement(frame: &Frame) -> Option<Announcement> {
    let bytes = &frame.bytes;
    let source: [u8; 6] = bytes.get(6..12)?.try_into().ok()?;
    match u16::from_be_bytes(bytes.get(12..14)?.try_into().ok()?) {
        ARP => {
            let (operation, sender, target) = parse_arp(bytes.get(14..42)?)?;
            let gratuitous = operation == 1 && sender.1 == target.1 && sender.0 == source;
            gratuitous.then_some(Announcement::Arp(source, sender.1))
        }
        RARP => {
            let (operation, sender, target) = parse_arp(bytes.get(14..42)?)?;
            (operation == 3 && sender.0 == source && target.0 == source).then_some(Announcement::Rarp(source))
        }
        IPV6 => {
            let packet = bytes.get(14..)?;
            let length = usize::from(u16::from_be_bytes(packet.get(4..6)?.try_into().ok()?));
            let address = |at: usize| -> Option<Ipv6Addr> {
                Some(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?.into())
            };
            let message = packet.get(40..40 + length)?;
            let good = packet[6..8] == [58, 255]
                && icmpv6_sum(address(8)?, address(24)?, message) == 0
                && message.get(..2)? == [136, 0]
                // Solicited is off.
                && message.get(4)? & 0x40 == 0
                && message.get(24..26)? == [2, 1]
                && message.get(26..32)? == source;
            good.then_some(Announcement::Neighbour(source, address(48)?))
        }
        _ => None,
    }
}

type ArpHalf = ([u8; 6], Ipv4Addr);

fn parse_arp(packet: &[u8]) -> Option<(u16, ArpHalf, ArpHalf)> {
    let half = |at: usize| -> Option<ArpHalf> {
        let ip: [u8; 4] = packet.get(at + 6..at + 10)?.try_into().ok()?;
        Some((packet.get(at..at + 6)?.try_into().ok()?, ip.into()))
    };
    if packet.get(..6)? != [0, 1, 8, 0, 6, 4] {
        return None;
    }
    Some((u16::from_be_bytes(packet[6..8].try_into().ok()?), half(8)?, half(18)?))
}

/// A frame as hexadecimal digits.
pub fn hex(frame: &[u8]) -> String {
    frame.iter().map(|octet| format!("{octet:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

    fn received(bytes: Vec<u8>) -> Frame {
        Frame { bytes, tci: None, tpid: None, at: std::time::Duration::ZERO }
    }

    #[test]
    fn announcements_are_recognised_and_other_frames_are_not() {
        let (four, six) = (Ipv4Addr::new(10, 0, 0, 1), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));
        for (frame, expected) in [
            (gratuitous_arp(MAC, four), Some(Announcement::Arp(MAC, four))),
            (rarp(MAC), Some(Announcement::Rarp(MAC))),
            (unsolicited_na(MAC, six), Some(Announcement::Neighbour(MAC, six))),
            (arp_request((MAC, four), Ipv4Addr::new(10, 0, 0, 2)), None),
            (udp(BROADCAST, MAC, (four, 1), (four, 2), b"x"), None),
        ] {
            assert_eq!(announcement(&received(frame)), expected);
        }
        let mut broken = unsolicited_na(MAC, six);
        broken[60] ^= 1;
        assert_eq!(announcement(&received(broken)), None);
    }

    #[test]
    fn a_datagram_has_a_right_header_checksum() {
        let frame = udp(BROADCAST, MAC, ([10, 0, 0, 1].into(), 1), ([10, 0, 0, 2].into(), 2), b"body");
        assert_eq!(internet_sum(&frame[14..34]), 0);
        assert_eq!(frame.len(), 60);
    }
}
