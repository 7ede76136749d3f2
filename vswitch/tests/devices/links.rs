//! What netlink tells of devices.

use std::time::{Duration, Instant};

use rustix::net::sockopt;
use vswitch::netlink::ethtool::{self, LinkSpeed};
use vswitch::netlink::link::{self, Link};
use vswitch::netlink::monitor::{LinkEvent, LinkMonitor};

use crate::namespace::{in_namespace, ip, until, veth};
use crate::traffic::MAC;

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
        assert_eq!(ethtool::speed("left"), LinkSpeed { mbps: Some(10_000), full_duplex: Some(true) });
        assert_eq!(ethtool::speed("gone"), LinkSpeed::default());
        assert!(!ethtool::large_receive("left").unwrap());
        ethtool::set_large_receive("left", false).unwrap();
        assert!(ethtool::large_receive("gone").is_err());
        assert_eq!((ethtool::receive_hash("left"), ethtool::receive_hash("gone")), (Some(false), None));

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
