//! Devices and netlink against a real kernel, each test in a network namespace of its own.
//!
//! Where a test closes something and looks for the effect, it must wait: another test may be starting a program just
//! then, whose process holds a copy of every descriptor until it is `ip`.

mod common;

use std::fs;
use std::time::{Duration, Instant};

use common::{in_namespace, ip, until, veth};
use forwarding::drop_reason::DropReason;
use forwarding::mac::MacAddr;
use forwarding::vlan::VlanTag;
use forwarding::wire::virtio::{GSO_TCPV4, VirtioNetHeader};
use rustix::net::sockopt;
use vswitch::device::attach::attach;
use vswitch::device::{Device, DeviceError, RxBurst, TxBurst, TxFrame};
use vswitch::netlink::hoststack::{HostStack, Shield, remove_stale};
use vswitch::netlink::link::{self, Link, LinkSpeed};
use vswitch::netlink::monitor::{LinkEvent, LinkMonitor};

const LEFT: [u8; 6] = [2, 0, 0, 0, 0, 0xaa];
const RIGHT: [u8; 6] = [2, 0, 0, 0, 0, 0xbb];
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0xcc, 1]);
const TAG: VlanTag = VlanTag { tpid: 0x8100, tci: 0x6064 };

/// A received frame, owned.
#[derive(Debug, PartialEq)]
struct Got {
    bytes: Vec<u8>,
    tag: Option<VlanTag>,
    header: VirtioNetHeader,
}

fn open(name: &str) -> Device {
    let link = link::find(name).unwrap().unwrap();
    Device::netdev(name, link.ifindex).unwrap()
}

/// An Ethernet frame of an experimental ethertype with `len` octets of payload, numbered so that it is recognised.
fn frame(number: u32, len: usize) -> Vec<u8> {
    let mut bytes = [&RIGHT[..], &LEFT, &[0x88, 0xb5], &number.to_be_bytes()].concat();
    bytes.resize(14 + len, 0x5a);
    bytes
}

fn plain(bytes: &[u8]) -> TxFrame<'_> {
    TxFrame { bytes, tag: None, header: VirtioNetHeader::default() }
}

#[track_caller]
fn send(device: &Device, frames: &[TxFrame<'_>]) {
    let report = device.send_burst(frames, &mut TxBurst::new());
    assert_eq!((report.sent as usize, report.dropped_total()), (frames.len(), 0), "{report:?}");
}

/// What waits now.
fn waiting(device: &Device) -> Vec<Got> {
    let mut burst = RxBurst::new().unwrap();
    device.recv_burst(&mut burst).unwrap();
    let got = burst.frames().map(|frame| {
        let frame = frame.unwrap();
        Got { bytes: frame.bytes.to_vec(), tag: frame.tag, header: frame.header }
    });
    got.collect()
}

#[track_caller]
fn receive(device: &Device, count: usize) -> Vec<Got> {
    let mut got = Vec::new();
    until(&format!("{count} frames on {}", device.name()), || {
        got.extend(waiting(device));
        (got.len() >= count).then_some(())
    });
    assert_eq!(got.len(), count);
    got
}

fn untagged(bytes: &[u8]) -> Got {
    Got { bytes: bytes.to_vec(), tag: None, header: VirtioNetHeader::default() }
}

fn pair() -> (Device, Device) {
    veth(("left", 11), ("right", 22));
    (open("left"), open("right"))
}

#[test]
fn frames_cross_a_veth_whole_and_do_not_come_back_to_their_sender() {
    in_namespace(|| {
        let (left, right) = pair();
        let frames = [frame(1, 46), frame(2, 1500), frame(3, 4)];
        send(&left, &frames.each_ref().map(|f| plain(f)));
        assert_eq!(receive(&right, 3), frames.each_ref().map(|f| untagged(f)));
        send(&right, &[plain(&frames[0])]);
        assert_eq!(receive(&left, 1), [untagged(&frames[0])]);
        assert_eq!(waiting(&left), []);
        assert_eq!(waiting(&right), []);
    });
}

#[test]
fn long_bursts_keep_their_order() {
    in_namespace(|| {
        let (left, right) = pair();
        let frames: Vec<_> = (0..200).map(|n| frame(n, 46)).collect();
        let report = left.send_burst(frames.iter().map(|f| plain(f)), &mut TxBurst::new());
        assert_eq!((report.sent, report.bytes), (200, 200 * 60));
        assert_eq!(receive(&right, 200), frames.iter().map(|f| untagged(f)).collect::<Vec<_>>());
    });
}

#[test]
fn the_outermost_tag_is_metadata() {
    in_namespace(|| {
        let (left, right) = pair();
        // (tag protocol, tag control) in the bytes, outermost first. VLAN 0 is a priority tag, and a tag.
        let inner = [0x81, 0, 0, 7];
        for (tpid, tci) in [(0x8100, 0x6064), (0x88a8, 0x0005), (0x8100, 0xe000), (0x8100, 0x0000)] {
            let outer: [u8; 4] = [u16::to_be_bytes(tpid), u16::to_be_bytes(tci)].concat().try_into().unwrap();
            for in_band in [&[&outer[..]][..], &[&outer, &inner]] {
                let bytes = frame(1, 46);
                let on_wire = [&bytes[..12], &in_band.concat(), &bytes[12..]].concat();
                let rest = [&bytes[..12], &in_band[1..].concat(), &bytes[12..]].concat();
                let tag = Some(VlanTag { tpid, tci });
                send(&left, &[plain(&on_wire)]);
                assert_eq!(receive(&right, 1), [Got { tag, ..untagged(&rest) }]);
                // The other way round: the tag goes out of the metadata into the bytes.
                send(&left, &[TxFrame { tag, ..plain(&rest) }]);
                assert_eq!(receive(&right, 1), [Got { tag, ..untagged(&rest) }]);
            }
        }
    });
}

/// A TCP segment over IPv4 with a partial checksum (the sum of the pseudo-header) and its virtio header.
fn tcp(payload: usize) -> (Vec<u8>, VirtioNetHeader) {
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
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|w| u32::from(w[0]) << 8 | w.get(1).map_or(0, |b| u32::from(*b)));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    ((folded & 0xffff) + (folded >> 16)) as u16
}

#[test]
fn partial_checksums_and_super_frames_pass_through_unfinished() {
    in_namespace(|| {
        let (left, right) = pair();
        veth(("third", 33), ("fourth", 44));
        let (third, fourth) = (open("third"), open("fourth"));

        let (segment, needs_csum) = tcp(100);
        let (super_frame, gso) = tcp(60_000);
        let gso = VirtioNetHeader { gso_type: GSO_TCPV4, hdr_len: 54, gso_size: 1448, ..gso };
        let tag = Some(TAG);
        send(
            &left,
            &[
                TxFrame { bytes: &segment, tag: None, header: needs_csum },
                TxFrame { bytes: &super_frame, tag: None, header: gso },
                TxFrame { bytes: &super_frame, tag, header: gso },
            ],
        );
        // Through a switch: what `right` gets leaves by `third`.
        let mut burst = RxBurst::new().unwrap();
        let (mut received, mut scratch) = (0, TxBurst::new());
        until("frames to pass on", || {
            received += right.recv_burst(&mut burst).unwrap();
            let frames = burst.frames().map(|frame| TxFrame::from(frame.unwrap()));
            assert_eq!(third.send_burst(frames, &mut scratch).dropped_total(), 0);
            (received == 3).then_some(())
        });
        let got = receive(&fourth, 3);
        let expected = [(&segment, None, needs_csum), (&super_frame, None, gso), (&super_frame, tag, gso)];
        for (got, (bytes, tag, header)) in got.iter().zip(expected) {
            assert_eq!((&got.bytes, got.tag), (bytes, tag));
            // The length of the headers is a hint that each kernel sets to what lies in one piece.
            assert_eq!(VirtioNetHeader { hdr_len: header.hdr_len, ..got.header }, header);
            assert_eq!(got.header.check(got.bytes.len()), Ok(()));
        }
    });
}

#[test]
fn a_refused_frame_does_not_stop_the_burst() {
    in_namespace(|| {
        let (left, right) = pair();
        let (good, long) = (frame(1, 46), frame(2, 1501 + 4));
        let bad_offload = VirtioNetHeader { flags: 1, csum_start: 5000, ..VirtioNetHeader::default() };
        let frames = [
            plain(&long),
            plain(&good),
            TxFrame { header: bad_offload, ..plain(&good) },
            plain(&good[..13]),
            plain(&good),
            plain(&long),
        ];
        let report = left.send_burst(frames, &mut TxBurst::new());
        assert_eq!((report.sent, report.bytes), (2, 120));
        assert_eq!(
            report.dropped().collect::<Vec<_>>(),
            [(DropReason::Runt, 1), (DropReason::MtuExceeded, 2), (DropReason::SendError, 1)]
        );
        assert_eq!(receive(&right, 2), [untagged(&good), untagged(&good)]);
    });
}

#[test]
fn a_device_that_was_down_works_again_and_loses_nothing_sent_after() {
    in_namespace(|| {
        let (left, right) = pair();
        let bytes = frame(1, 46);
        link::set_admin_up(11, false).unwrap();
        let report = left.send_burst([plain(&bytes), plain(&bytes)], &mut TxBurst::new());
        assert_eq!(report.dropped().collect::<Vec<_>>(), [(DropReason::DeviceDown, 2)]);
        link::set_admin_up(11, true).unwrap();
        until("carrier", || link::get(22).unwrap().carrier.then_some(()));
        send(&left, &[plain(&bytes)]);
        assert_eq!(receive(&right, 1), [untagged(&bytes)]);
        send(&right, &[plain(&bytes)]);
        let mut burst = RxBurst::new().unwrap();
        // The news that it was down may come first.
        until("a frame after the device came up", || left.recv_burst(&mut burst).ok().filter(|n| *n == 1));
    });
}

#[test]
fn a_device_that_is_down_can_be_opened_before_it_is_set_up() {
    in_namespace(|| {
        veth(("left", 11), ("right", 22));
        link::set_admin_up(11, false).unwrap();
        let (left, right) = (open("left"), open("right"));
        assert_eq!(waiting(&left), []);
        link::set_admin_up(11, true).unwrap();
        until("carrier", || link::get(22).unwrap().carrier.then_some(()));
        send(&right, &[plain(&frame(1, 46))]);
        receive(&left, 1);
    });
}

#[test]
fn a_deleted_device_is_an_error_and_not_a_hang() {
    in_namespace(|| {
        let (left, _right) = pair();
        ip("link del left");
        let mut burst = RxBurst::new().unwrap();
        let error = until("an error", || left.recv_burst(&mut burst).err());
        assert_eq!(error.raw_os_error(), Some(libc::ENETDOWN));
        assert_eq!(left.recv_burst(&mut burst).unwrap(), 0);
        let report = left.send_burst([plain(&frame(1, 46))], &mut TxBurst::new());
        assert_eq!(report.dropped().collect::<Vec<_>>(), [(DropReason::DeviceDown, 1)]);
    });
}

#[test]
fn devices_that_cannot_be_ports_are_refused() {
    in_namespace(|| {
        assert!(matches!(Device::netdev("gone", 4711), Err(DeviceError::NoSuchDevice { .. })));
        assert!(matches!(Device::netdev("lo", 1), Err(DeviceError::NotEthernet { .. })));
        for name in ["", "sixteen-octets-x", "a/b", "a b", "..", "tap%d"] {
            assert!(matches!(Device::tap(name, MAC), Err(DeviceError::InvalidName { .. })), "{name}");
        }
    });
}

fn promiscuity(name: &str) -> String {
    let text = ip(&format!("-d link show {name}"));
    text.split_whitespace().skip_while(|word| *word != "promiscuity").nth(1).unwrap().to_owned()
}

#[test]
fn promiscuous_mode_ends_with_the_device() {
    in_namespace(|| {
        let (left, _right) = pair();
        assert_eq!(promiscuity("left"), "1");
        drop(left);
        until("the end of promiscuous mode", || (promiscuity("left") == "0").then_some(()));
    });
}

/// Runs a test that needs /dev/net/tun.
fn with_tap(test: impl FnOnce() + Send + 'static) {
    in_namespace(|| match Device::tap("probe", MAC).map(Device::remove) {
        Err(DeviceError::NoTunDriver) => eprintln!("SKIP no /dev/net/tun"),
        Err(error @ DeviceError::Permission { .. }) => eprintln!("SKIP {error}"),
        removed => {
            removed.unwrap().unwrap();
            test();
        }
    });
}

#[test]
fn a_tap_carries_frames_between_us_and_the_host() {
    with_tap(|| {
        let tap = Device::tap("br0", MAC).unwrap();
        link::set_admin_up(tap.ifindex(), true).unwrap();
        assert_eq!(link::get(tap.ifindex()).unwrap().mac, MAC);
        let host = open("br0");
        let (super_frame, gso) = tcp(30_000);
        let gso = VirtioNetHeader { gso_type: GSO_TCPV4, hdr_len: 54, gso_size: 1448, ..gso };
        let small = frame(1, 46);
        let frames = [
            TxFrame { tag: Some(TAG), ..plain(&small) },
            TxFrame { bytes: &super_frame, tag: None, header: gso },
            TxFrame { bytes: &super_frame, tag: Some(TAG), header: gso },
        ];
        for (from, to) in [(&host, &tap), (&tap, &host)] {
            send(from, &frames);
            for (got, sent) in receive(to, 3).iter().zip(&frames) {
                assert_eq!((&got.bytes[..], got.tag), (sent.bytes, sent.tag));
                assert_eq!(VirtioNetHeader { hdr_len: sent.header.hdr_len, ..got.header }, sent.header);
                assert_eq!(got.header.check(got.bytes.len()), Ok(()));
            }
        }
        let many: Vec<_> = (0..150).map(|n| frame(n, 46)).collect();
        let report = tap.send_burst(many.iter().map(|f| plain(f)), &mut TxBurst::new());
        assert_eq!(report.sent, 150);
        receive(&host, 150);

        link::set_admin_up(tap.ifindex(), false).unwrap();
        let report = tap.send_burst(frames, &mut TxBurst::new());
        assert_eq!(report.dropped().collect::<Vec<_>>(), [(DropReason::DeviceDown, 3)]);
        ip("link del br0");
        assert!(tap.recv_burst(&mut RxBurst::new().unwrap()).is_err());
        let report = tap.send_burst(frames, &mut TxBurst::new());
        assert_eq!(report.dropped().collect::<Vec<_>>(), [(DropReason::DeviceDown, 3)]);
    });
}

#[test]
fn a_tap_outlives_its_daemon_until_it_is_removed() {
    with_tap(|| {
        let tap = Device::tap("br0", MAC).unwrap();
        let ifindex = tap.ifindex();
        ip("address add 192.0.2.1/24 dev br0");
        ip("link set br0 up");
        assert!(matches!(Device::tap("br0", MAC), Err(DeviceError::Busy { .. })));
        drop(tap);

        let other = MacAddr([2, 0, 0, 0, 0xcc, 2]);
        let tap = until("the TAP to be free", || Device::tap("br0", other).ok());
        assert_eq!(tap.ifindex(), ifindex);
        assert_eq!(link::get(ifindex).unwrap().mac, other);
        assert!(ip("address show br0").contains("192.0.2.1/24"));
        tap.remove().unwrap();
        until("the TAP to vanish", || link::find("br0").unwrap().is_none().then_some(()));
    });
}

#[test]
fn a_tap_does_not_take_another_devices_name() {
    with_tap(|| {
        let (left, _right) = pair();
        let error = Device::tap("left", MAC).unwrap_err();
        assert!(matches!(error, DeviceError::NotATap { .. }), "{error}");
        assert!(left.set_carrier(false).is_err());
    });
}

#[test]
fn the_hosts_view_of_a_taps_carrier_is_ours() {
    with_tap(|| {
        let tap = Device::tap("br0", MAC).unwrap();
        link::set_admin_up(tap.ifindex(), true).unwrap();
        assert!(link::get(tap.ifindex()).unwrap().carrier);
        for carrier in [false, true] {
            tap.set_carrier(carrier).unwrap();
            let link = link::get(tap.ifindex()).unwrap();
            assert_eq!((link.admin_up, link.carrier), (true, carrier));
        }
    });
}

/// Waits for news of one device, and returns it with the time it took.
#[track_caller]
fn news(monitor: &mut LinkMonitor, ifindex: u32, wanted: impl Fn(&LinkEvent) -> bool) -> Duration {
    let start = Instant::now();
    until(&format!("news of the device with index {ifindex}"), || {
        let events = monitor.drain().unwrap();
        let mut about_it = events.iter().filter(|event| match event {
            LinkEvent::New(link) | LinkEvent::Changed(link) | LinkEvent::Deleted(link) => {
                link.ifindex == ifindex
            }
            LinkEvent::Resync => false,
        });
        about_it.any(&wanted).then_some(())
    });
    start.elapsed()
}

#[test]
fn carrier_news_of_a_veth_comes_at_once() {
    in_namespace(|| {
        let mut monitor = LinkMonitor::open().unwrap();
        veth(("left", 11), ("right", 22));
        until("carrier", || link::get(11).unwrap().carrier.then_some(()));
        let links = monitor.dump().unwrap();
        let left = links.iter().find(|link| link.name == "left").unwrap();
        assert_eq!((left.ifindex, left.mtu, left.admin_up, left.carrier), (11, 1500, true, true));
        assert_eq!((left.kind.as_deref(), left.master), (Some("veth"), None));
        assert_eq!(link::speed("left"), LinkSpeed { mbps: Some(10_000), full_duplex: Some(true) });
        assert_eq!(link::speed("gone"), LinkSpeed::default());

        for up in [false, true, false, true] {
            link::set_admin_up(22, up).unwrap();
            let took = news(
                &mut monitor,
                11,
                |event| matches!(event, LinkEvent::Changed(link) if link.carrier == up && link.admin_up),
            );
            assert!(took < Duration::from_millis(100), "{took:?}");
        }
        link::set_admin_up(11, false).unwrap();
        news(&mut monitor, 11, |event| matches!(event, LinkEvent::Changed(l) if !l.carrier && !l.admin_up));
    });
}

#[test]
fn news_tells_of_devices_that_come_change_and_go() {
    in_namespace(|| {
        let mut monitor = LinkMonitor::open().unwrap();
        monitor.dump().unwrap();
        veth(("left", 11), ("right", 22));
        let named = |name: &'static str| move |link: &Link| link.name == name;
        news(&mut monitor, 11, |e| matches!(e, LinkEvent::New(link) if named("left")(link)));
        link::set_mtu(11, 9000).unwrap();
        news(&mut monitor, 11, |e| matches!(e, LinkEvent::Changed(link) if link.mtu == 9000));
        link::set_mac(11, MAC).unwrap();
        news(&mut monitor, 11, |e| matches!(e, LinkEvent::Changed(link) if link.mac == MAC));
        ip("link set left down");
        ip("link set left name renamed");
        news(&mut monitor, 11, |e| matches!(e, LinkEvent::Changed(link) if named("renamed")(link)));

        // Leaving a bridge is told with an RTM_DELLINK too, and is not the end of the device.
        ip("link add bridge index 33 type bridge");
        ip("link set renamed master bridge");
        news(&mut monitor, 11, |e| matches!(e, LinkEvent::Changed(link) if link.master == Some(33)));
        ip("link set renamed nomaster");
        news(&mut monitor, 11, |e| {
            assert!(!matches!(e, LinkEvent::Deleted(_)), "{e:?}");
            matches!(e, LinkEvent::Changed(link) if link.master.is_none())
        });
        ip("link del renamed");
        news(&mut monitor, 11, |e| matches!(e, LinkEvent::Deleted(link) if named("renamed")(link)));
        assert_eq!(link::find("renamed").unwrap(), None);
        assert!(link::get(11).unwrap_err().is(libc::ENODEV));
        assert!(link::set_admin_up(11, true).unwrap_err().is(libc::ENODEV));
    });
}

#[test]
fn lost_news_is_told_and_a_dump_makes_it_good() {
    in_namespace(|| {
        veth(("left", 11), ("right", 22));
        let mut monitor = LinkMonitor::open().unwrap();
        monitor.dump().unwrap();
        sockopt::set_socket_recv_buffer_size(monitor.fd(), 4096).unwrap();
        for mtu in 1000..1010 {
            link::set_mtu(11, mtu).unwrap();
        }
        assert!(monitor.drain().unwrap().contains(&LinkEvent::Resync));
        link::set_mtu(11, 1234).unwrap();
        let links = monitor.dump().unwrap();
        assert!(links.iter().any(|link| link.ifindex == 11 && link.mtu == 1234), "{links:?}");
        assert_eq!(monitor.drain().unwrap(), []);
    });
}

/// An ARP request for `10.0.0.1` and an ICMP echo request to it, from 10.0.0.2.
fn questions(to: MacAddr) -> [Vec<u8>; 2] {
    let arp = [
        &[0xff; 6][..],
        &RIGHT,
        &[0x08, 6, 0, 1, 8, 0, 6, 4, 0, 1],
        &RIGHT,
        &[10, 0, 0, 2],
        &[0; 6],
        &[10, 0, 0, 1],
    ]
    .concat();
    let mut ipv4 = [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 2, 10, 0, 0, 1];
    let checksum = !sum(&ipv4);
    ipv4[10..12].copy_from_slice(&checksum.to_be_bytes());
    let mut icmp = [8, 0, 0, 0, 0, 1, 0, 1];
    let checksum = !sum(&icmp);
    icmp[2..4].copy_from_slice(&checksum.to_be_bytes());
    [arp, [&to.0[..], &RIGHT, &[0x08, 0], &ipv4, &icmp].concat()]
}

/// Asks the host's stack behind `left` 20 times by ARP and ping; returns how many answers arrive at `right` before a
/// frame sent afterwards.
fn answers(left: &Device, right: &Device) -> usize {
    let questions = questions(link::find("left").unwrap().unwrap().mac);
    let marker = frame(99, 46);
    let mut answers = 0;
    for _ in 0..20 {
        send(right, &questions.each_ref().map(|q| plain(q)));
        // The packet socket gets the frames in any case.
        let got = receive(left, 2);
        assert_eq!([&got[0].bytes, &got[1].bytes], [&questions[0], &questions[1]]);
        send(left, &[plain(&marker)]);
        until("the marker", || {
            let got = waiting(right);
            answers += got.iter().filter(|got| got.bytes != marker).count();
            got.iter().any(|got| got.bytes == marker).then_some(())
        });
    }
    answers
}

#[test]
fn the_hosts_own_stack_does_not_answer_on_a_shielded_device() {
    in_namespace(|| {
        let (left, right) = pair();
        // The host owns the address elsewhere; Linux would still answer on every device.
        ip("link set lo up");
        ip("address add 10.0.0.1/32 dev lo");
        ip("route add 10.0.0.2/32 dev left");
        ip("neighbour add 10.0.0.2 lladdr 02:00:00:00:00:bb dev left nud permanent");
        assert!(answers(&left, &right) >= 38);

        let attached = attach("left", 11).unwrap();
        if let HostStack::Partly(reason) = attached.host_stack() {
            eprintln!("SKIP {reason}");
            return;
        }
        assert_eq!(answers(&left, &right), 0);
        // Nobody else takes it away, where the kernel knows owners of tables.
        if remove_stale("left").is_ok() {
            eprintln!("SKIP this kernel does not protect tables");
            attach("left", 11).unwrap().detach().unwrap();
            return;
        }
        // A daemon that was killed leaves the shield; the next one takes it over.
        drop(attached);
        assert_eq!(answers(&left, &right), 0);
        let again = until("the table to be free", || attach("left", 11).ok());
        assert_eq!(again.host_stack(), &HostStack::Shielded);
        assert_eq!(answers(&left, &right), 0);
        again.detach().unwrap();
        assert!(answers(&left, &right) >= 38);
        // What a killed daemon left can also be cleared away; twice is no error.
        drop(attach("left", 11).unwrap());
        until("the table to be free", || remove_stale("left").ok());
        remove_stale("left").unwrap();
        assert!(answers(&left, &right) >= 38);
        // Nor is a device that is gone.
        let attached = attach("left", 11).unwrap();
        ip("link del left");
        attached.detach().unwrap();
        assert!(attach("left", 11).unwrap_err().is(libc::ENODEV));
    });
}

#[test]
fn without_nftables_arp_and_ipv6_are_turned_off_and_on_again() {
    in_namespace(|| {
        let (_left, _right) = pair();
        let setting = "/proc/sys/net/ipv6/conf/left/disable_ipv6";
        let has_ipv6 = fs::write(setting, "0").is_ok();
        let noarp = || ip("link show left").contains("NOARP");
        let ipv6_is = |text: &str| !has_ipv6 || fs::read_to_string(setting).unwrap().trim() == text;
        let shield = Shield::install_fallback("left", 11, "for the test").unwrap();
        assert!(matches!(shield.state(), HostStack::Partly(reason) if reason.contains("for the test")));
        assert!(noarp() && ipv6_is("1"));
        shield.remove().unwrap();
        assert!(!noarp() && ipv6_is("0"));
        if has_ipv6 {
            // An address of the administrator's is not taken away.
            ip("address add 2001:db8::1/64 dev left nodad");
            let shield = Shield::install_fallback("left", 11, "for the test").unwrap();
            assert!(noarp() && ipv6_is("0"));
            shield.remove().unwrap();
            assert!(ip("address show left").contains("2001:db8::1"));
        }
    });
}

#[test]
fn detaching_restores_what_was_found() {
    in_namespace(|| {
        veth(("left", 11), ("right", 22));
        for up in [false, true] {
            link::set_admin_up(11, up).unwrap();
            let before = link::get(11).unwrap();
            let attached = attach("left", 11).unwrap();
            assert_eq!(attached.was_admin_up(), up);
            assert!(link::get(11).unwrap().admin_up);
            attached.detach().unwrap();
            assert_eq!(link::get(11).unwrap(), before);
        }
    });
}
