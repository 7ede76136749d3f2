//! Gratuitous ARP and unsolicited neighbour advertisements.

use std::net::{Ipv4Addr, Ipv6Addr};

use forwarding::mac::MacAddr;

/// A broadcast ARP request of `mac` for its own address.
pub(super) fn garp(mac: MacAddr, ip: Ipv4Addr) -> [u8; 60] {
    let mut frame = [0; 60];
    let head = [&[0xff; 6][..], &mac.0, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 1], &mac.0, &ip.octets()].concat();
    frame[..head.len()].copy_from_slice(&head);
    frame[38..42].copy_from_slice(&ip.octets());
    frame
}

/// A neighbour advertisement of `mac` to all nodes, with override flag and target link-layer address.
pub(super) fn unsolicited_na(mac: MacAddr, ip: Ipv6Addr) -> [u8; 86] {
    let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1).octets();
    let mut frame = [0; 86];
    let head = [&[0x33, 0x33, 0, 0, 0, 1][..], &mac.0, &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]].concat();
    frame[..22].copy_from_slice(&head);
    frame[22..38].copy_from_slice(&ip.octets());
    frame[38..54].copy_from_slice(&all_nodes);
    frame[54] = 136;
    frame[58] = 0x20;
    frame[62..78].copy_from_slice(&ip.octets());
    frame[78..80].copy_from_slice(&[2, 1]);
    frame[80..].copy_from_slice(&mac.0);
    // Pseudo-header: addresses, length, next header.
    let words = frame[22..].chunks_exact(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
    let sum = words.sum::<u32>() + 32 + 58;
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    frame[56..58].copy_from_slice(&(!(folded as u16)).to_be_bytes());
    frame
}
