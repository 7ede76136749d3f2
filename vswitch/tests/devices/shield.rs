//! Keeping the host's own stack away from a port, and giving the device back.

use std::fs;

use forwarding::mac::MacAddr;
use forwarding::wire::ethernet::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_SLOW_PROTOCOLS};
use vswitch::device::Device;
use vswitch::device::attach::attach;
use vswitch::netlink::hoststack::{HostStack, Shield, remove_stale};
use vswitch::netlink::link;

use crate::listener::Listener;
use crate::namespace::{in_namespace, ip, until, veth};
use crate::traffic::{RIGHT, TAG, frame, pair, plain, receive, send, sum, waiting};
use vswitch::device::TxFrame;

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

/// A frame of the Slow Protocols, and such as are none: of other types, to other addresses.
fn slow_protocol_and_others() -> (Vec<u8>, Vec<Vec<u8>>) {
    let of = |to: MacAddr, ethertype: u16| {
        let mut bytes = [&to.0[..], &RIGHT, &ethertype.to_be_bytes(), &[1, 1]].concat();
        bytes.resize(124, 0x5a);
        bytes
    };
    let slow = of(MacAddr::SLOW_PROTOCOLS, ETHERTYPE_SLOW_PROTOCOLS);
    let mut others = questions(link::find("left").unwrap().unwrap().mac).to_vec();
    let mut asks_by_group = others[0].clone();
    asks_by_group[..6].copy_from_slice(&MacAddr::SLOW_PROTOCOLS.0);
    others.push(asks_by_group);
    others.push(of(MacAddr::SLOW_PROTOCOLS, ETHERTYPE_IPV4));
    others.push(of(MacAddr::BROADCAST, ETHERTYPE_SLOW_PROTOCOLS));
    (slow, others)
}

/// Sockets for single types behind `left`, which a host's stack has too: which of the frames get there.
fn slow_protocols_alone_get_through(right: &Device, shielded: bool) {
    let hear = |ethertype| Listener::open(11, ethertype).unwrap();
    let (slow, ipv4, arp) = (hear(ETHERTYPE_SLOW_PROTOCOLS), hear(ETHERTYPE_IPV4), hear(ETHERTYPE_ARP));
    let (frame, others) = slow_protocol_and_others();
    let tagged = TxFrame { tag: Some(TAG), ..plain(&frame) };
    let frames: Vec<_> = others.iter().map(|other| plain(other)).chain([tagged, plain(&frame)]).collect();
    send(right, &frames);
    // It was sent last, and frames of one cable arrive in their order.
    let mut heard = Vec::new();
    until("the frame of the Slow Protocols", || {
        heard.extend(std::iter::from_fn(|| slow.next()));
        heard.contains(&frame).then_some(())
    });
    let all = [&ipv4, &arp].map(|socket| std::iter::from_fn(|| socket.next()).count());
    if shielded {
        assert_eq!((heard, all), (vec![frame], [0, 0]));
    } else {
        assert_eq!((heard.len(), all), (3, [2, 2]), "without a shield all arrive");
    }
}

#[test]
fn slow_protocols_reach_their_socket() {
    in_namespace(|| {
        let (_left, right) = pair();
        slow_protocols_alone_get_through(&right, false);
        let shield = Shield::install("left", 11).unwrap();
        let shielded = shield.state() == &HostStack::Shielded;
        if let HostStack::Partly(reason) = shield.state() {
            eprintln!("SKIP {reason}");
        }
        slow_protocols_alone_get_through(&right, shielded);
        shield.remove().unwrap();
        let shield = Shield::install_fallback("left", 11, "for the test").unwrap();
        slow_protocols_alone_get_through(&right, false);
        shield.remove().unwrap();
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
