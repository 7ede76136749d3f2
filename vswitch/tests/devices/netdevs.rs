//! Ports on existing devices.

use forwarding::drop_reason::DropReason;
use forwarding::vlan::VlanTag;
use forwarding::wire::virtio::{GSO_TCPV4, VirtioNetHeader};
use vswitch::device::{Device, DeviceError, RxBurst, TxBurst, TxFrame};
use vswitch::netlink::link;

use crate::namespace::{in_namespace, ip, until, veth};
use crate::traffic::{Got, MAC, TAG, frame, open, pair, plain, receive, send, tcp, untagged, waiting};

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
        // Nor what others send on the same device, like the host or the control thread's own socket.
        send(&open("left"), &[plain(&frames[1])]);
        receive(&right, 1);
        assert_eq!(waiting(&left), []);
    });
}

#[test]
fn a_port_stops_and_starts_receiving_and_sends_all_the_time() {
    in_namespace(|| {
        let (left, right) = pair();
        let to_send = Device::netdev_to_send("left", left.ifindex()).unwrap();
        drop(left);
        let bytes = frame(1, 46);
        for receives in [false, true, false, true, true, false] {
            to_send.set_receiving(receives).unwrap();
            send(&right, &[plain(&bytes)]);
            // A veth hands frames over before the sending call returns, or soon after; a later one shows that it has.
            send(&to_send, &[plain(&bytes)]);
            assert_eq!(receive(&right, 1), [untagged(&bytes)]);
            if receives {
                assert_eq!(receive(&to_send, 1), [untagged(&bytes)]);
            } else {
                let witness = open("left");
                send(&right, &[plain(&bytes)]);
                receive(&witness, 1);
                assert_eq!(waiting(&to_send), []);
            }
        }
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

#[test]
fn two_tags_go_into_the_bytes_in_their_order() {
    in_namespace(|| {
        let (left, right) = pair();
        let (tag, inner) = (VlanTag { tpid: 0x88a8, tci: 100 }, VlanTag { tpid: 0x8100, tci: 0x600c });
        let both = (Some(tag), Some(inner));
        let put = |bytes: &[u8]| [&bytes[..12], &[0x81, 0x00, 0x60, 0x0c], &bytes[12..]].concat();
        let bytes = frame(1, 46);
        send(&left, &[TxFrame { tag: both.0, inner: both.1, ..plain(&bytes) }]);
        assert_eq!(receive(&right, 1), [Got { tag: both.0, ..untagged(&put(&bytes)) }]);

        // Offsets of a super-frame move by both tags.
        let (bytes, header) = tcp(30_000);
        let header = VirtioNetHeader { gso_type: GSO_TCPV4, hdr_len: 54, gso_size: 1448, ..header };
        send(
            &left,
            &[TxFrame {
                bytes: &bytes,
                tag: both.0,
                inner: both.1,
                source: None,
                destination: None,
                patch: None,
                header,
            }],
        );
        let got = receive(&right, 1).remove(0);
        assert_eq!((got.tag, &got.bytes), (both.0, &put(&bytes)));
        let shifted = VirtioNetHeader { hdr_len: got.header.hdr_len, ..header.shifted(4) };
        assert_eq!(got.header, shifted, "the outer tag is metadata again, the inner one is not");

        // The kernel makes room for one 802.1Q tag beyond the MTU, and for no other.
        let long = frame(2, 1500);
        let report =
            left.send_burst([TxFrame { tag: both.0, inner: both.1, ..plain(&long) }], &mut TxBurst::new());
        assert_eq!(report.dropped().collect::<Vec<_>>(), [(DropReason::MtuExceeded, 1)]);
        ip("link set left mtu 1508");
        ip("link set right mtu 1508");
        send(&left, &[TxFrame { tag: both.0, inner: both.1, ..plain(&long) }]);
        assert_eq!(receive(&right, 1), [Got { tag: both.0, ..untagged(&put(&long)) }]);
    });
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
                TxFrame {
                    bytes: &segment,
                    tag: None,
                    inner: None,
                    source: None,
                    destination: None,
                    patch: None,
                    header: needs_csum,
                },
                TxFrame {
                    bytes: &super_frame,
                    tag: None,
                    inner: None,
                    source: None,
                    destination: None,
                    patch: None,
                    header: gso,
                },
                TxFrame {
                    bytes: &super_frame,
                    tag,
                    inner: None,
                    source: None,
                    destination: None,
                    patch: None,
                    header: gso,
                },
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
