//! Frames to send and frames received.

use forwarding::mac::MacAddr;
use forwarding::vlan::VlanTag;
use forwarding::wire::virtio::VirtioNetHeader;
use vswitch::device::{Device, RxBurst, TxBurst, TxFrame};
use vswitch::netlink::link;

use crate::namespace::{until, veth};

pub(crate) const LEFT: [u8; 6] = [2, 0, 0, 0, 0, 0xaa];
pub(crate) const RIGHT: [u8; 6] = [2, 0, 0, 0, 0, 0xbb];
pub(crate) const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0xcc, 1]);
pub(crate) const TAG: VlanTag = VlanTag { tpid: 0x8100, tci: 0x6064 };

/// A received frame, owned.
#[derive(Debug, PartialEq)]
pub(crate) struct Got {
    pub(crate) bytes: Vec<u8>,
    pub(crate) tag: Option<VlanTag>,
    pub(crate) header: VirtioNetHeader,
}

pub(crate) fn open(name: &str) -> Device {
    let link = link::find(name).unwrap().unwrap();
    Device::netdev(name, link.ifindex).unwrap()
}

/// An Ethernet frame of an experimental ethertype with `len` octets of payload, numbered so that it is recognised.
pub(crate) fn frame(number: u32, len: usize) -> Vec<u8> {
    let mut bytes = [&RIGHT[..], &LEFT, &[0x88, 0xb5], &number.to_be_bytes()].concat();
    bytes.resize(14 + len, 0x5a);
    bytes
}

pub(crate) fn plain(bytes: &[u8]) -> TxFrame<'_> {
    TxFrame {
        bytes,
        tag: None,
        inner: None,
        source: None,
        destination: None,
        patch: None,
        header: VirtioNetHeader::default(),
    }
}

#[track_caller]
pub(crate) fn send(device: &Device, frames: &[TxFrame<'_>]) {
    let report = device.send_burst(frames, &mut TxBurst::new());
    assert_eq!((report.sent as usize, report.dropped_total()), (frames.len(), 0), "{report:?}");
}

/// What waits now.
pub(crate) fn waiting(device: &Device) -> Vec<Got> {
    let mut burst = RxBurst::new().unwrap();
    device.recv_burst(&mut burst).unwrap();
    let got = burst.frames().map(|frame| {
        let frame = frame.unwrap();
        Got { bytes: frame.bytes.to_vec(), tag: frame.tag, header: frame.header }
    });
    got.collect()
}

#[track_caller]
pub(crate) fn receive(device: &Device, count: usize) -> Vec<Got> {
    let mut got = Vec::new();
    until(&format!("{count} frames on {}", device.name()), || {
        got.extend(waiting(device));
        (got.len() >= count).then_some(())
    });
    assert_eq!(got.len(), count);
    got
}

pub(crate) fn untagged(bytes: &[u8]) -> Got {
    Got { bytes: bytes.to_vec(), tag: None, header: VirtioNetHeader::default() }
}

pub(crate) fn pair() -> (Device, Device) {
    veth(("left", 11), ("right", 22));
    (open("left"), open("right"))
}

/// A TCP segment over IPv4 with a partial checksum (the sum of the pseudo-header) and its virtio header.
pub(crate) fn tcp(payload: usize) -> (Vec<u8>, VirtioNetHeader) {
    let mut bytes = [&RIGHT[..], &LEFT, &[0x08, 0]].concat();
    let total = (40 + payload) as u16;
    let mut ipv4 = [0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    ipv4[2..4].copy_from_slice(&total.to_be_bytes());
    let checksum = !sum(&ipv4);
    ipv4[10..12].copy_from_slice(&checksum.to_be_bytes());
    bytes.extend(ipv4);
    let pseudo = [&ipv4[12..20], &[0, 6], &(total - 20).to_be_bytes()].concat();
    let mut tcp = [0x30, 0x39, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x18, 0xff, 0xff, 0, 0, 0, 0];
    tcp[16..18].copy_from_slice(&sum(&pseudo).to_be_bytes());
    bytes.extend(tcp);
    bytes.extend((0..payload).map(|i| i as u8));
    let header = VirtioNetHeader { flags: 1, csum_start: 34, csum_offset: 16, ..VirtioNetHeader::default() };
    (bytes, header)
}

/// The Internet checksum's sum (RFC 1071), not complemented.
pub(crate) fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | w.get(1).map_or(0, |b| u32::from(*b)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    ((folded & 0xffff) + (folded >> 16)) as u16
}
