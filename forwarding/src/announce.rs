//! Frames that tell the network where a MAC address is.

use zerocopy::IntoBytes;

use crate::mac::MacAddr;
use crate::wire::arp::{self, ArpPacket};
use crate::wire::ethernet::{self, EthernetHeader};

/// A broadcast RARP request of `mac` about itself: what hypervisors send for a guest that has moved, so every switch
/// on the way learns the address anew and no host minds. Padded to the shortest frame of a wire.
pub fn rarp(mac: MacAddr) -> [u8; ethernet::MIN_FRAME] {
    let header =
        EthernetHeader { dst: MacAddr::BROADCAST, src: mac, ethertype: ethernet::ETHERTYPE_RARP.into() };
    let packet = ArpPacket {
        hardware_type: arp::HARDWARE_ETHERNET.into(),
        protocol_type: ethernet::ETHERTYPE_IPV4.into(),
        hardware_len: 6,
        protocol_len: 4,
        operation: arp::REVERSE_REQUEST.into(),
        sender_mac: mac,
        sender_ip: [0; 4],
        target_mac: mac,
        target_ip: [0; 4],
    };
    let mut frame = [0; ethernet::MIN_FRAME];
    let (head, rest) = frame.split_at_mut(ethernet::HEADER_LEN);
    head.copy_from_slice(header.as_bytes());
    rest[..arp::PACKET_LEN].copy_from_slice(packet.as_bytes());
    frame
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden_octets() {
        let frame = rarp(MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]));
        let expected: [u8; 42] = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x80, 0x35, 0x00, 0x01,
            0x08, 0x00, 0x06, 0x04, 0x00, 0x03, 0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x00, 0x00, 0x00, 0x00,
            0x52, 0x54, 0x00, 0x12, 0x34, 0x56, 0x00, 0x00, 0x00, 0x00,
        ];
        assert_eq!(frame[..42], expected);
        assert_eq!(frame[42..], [0; 18]);
    }

    #[test]
    fn is_an_announcement() {
        let mac = MacAddr([0x52, 0x54, 0, 0x12, 0x34, 0x56]);
        let parsed = crate::parse::parse(&rarp(mac), None).unwrap();
        assert!(parsed.is_announcement());
        assert_eq!(parsed.src, mac);
    }
}
