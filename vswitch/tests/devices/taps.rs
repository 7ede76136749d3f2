//! TAPs of our own.

use forwarding::drop_reason::DropReason;
use forwarding::mac::MacAddr;
use forwarding::wire::virtio::{GSO_TCPV4, VirtioNetHeader};
use vswitch::device::{Device, DeviceError, RxBurst, TxBurst, TxFrame};
use vswitch::netlink::link;

use crate::namespace::{in_namespace, ip, until};
use crate::traffic::{MAC, TAG, frame, open, pair, plain, receive, send, tcp, waiting};

/// Runs a test that needs /dev/net/tun.
fn with_tap(test: impl FnOnce() + Send + 'static) {
    in_namespace(|| match Device::tap("probe", MAC).map(|tap| tap.unpersist()) {
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
                tag: Some(TAG),
                inner: None,
                source: None,
                destination: None,
                patch: None,
                header: gso,
            },
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
        tap.unpersist().unwrap();
        drop(tap);
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

#[test]
fn what_a_full_miss_queue_drops_is_counted() {
    with_tap(|| {
        let queue = Device::miss_queue(4).unwrap();
        assert_eq!(link::tx_dropped(queue.ifindex()).unwrap(), 0);
        let host = Device::netdev_to_send(queue.name(), queue.ifindex()).unwrap();
        let bytes = frame(1, 46);
        for sent in 1..=4_u64 {
            send(&host, &[plain(&bytes); 4]);
            // Nobody fetches them, so that at most as many as fit wait.
            until("drops of all but those that wait", || {
                (link::tx_dropped(queue.ifindex()).unwrap() >= (4 * sent).saturating_sub(5)).then_some(())
            });
        }
        let dropped = link::tx_dropped(queue.ifindex()).unwrap();
        let fetched = until("those that wait", || {
            let waiting = waiting(&queue).len() as u64;
            (waiting > 0).then_some(waiting)
        });
        assert_eq!(fetched + dropped, 16);
        assert!(link::tx_dropped(u32::MAX >> 1).is_err());
    });
}
