use super::*;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bond_port::probe::Validate;
use forwarding::mac::MacAddr;
use forwarding::solicit;
use proptest::collection::vec;
use proptest::prelude::*;

const OCTETS: u32 = 256;
const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 1]);

/// What the kernel has beside the octets.
#[derive(Debug, Clone, Copy, Default)]
struct Meta {
    tag: Option<u16>,
    packet_type: u32,
}

/// Runs a program as the kernel does: a load beyond the end refuses the frame.
fn run(program: &[libc::sock_filter], frame: &[u8], meta: Meta) -> u32 {
    let (mut a, mut at) = (0u32, 0);
    loop {
        let instruction = program[at];
        at += 1;
        let k = instruction.k;
        match u32::from(instruction.code) {
            LOAD_WORD if k == TAG_PRESENT => a = meta.tag.is_some().into(),
            LOAD_WORD if k == TAG => a = meta.tag.unwrap_or(0).into(),
            LOAD_WORD if k == PACKET_TYPE => a = meta.packet_type,
            code @ (LOAD_WORD | LOAD_HALF | LOAD_BYTE) => {
                let length = match code {
                    LOAD_WORD => 4,
                    LOAD_HALF => 2,
                    _ => 1,
                };
                let Some(octets) = frame.get(k as usize..k as usize + length) else { return 0 };
                a = octets.iter().fold(0, |word, octet| word << 8 | u32::from(*octet));
            }
            AND => a &= k,
            IF_EQUAL => at += usize::from(if a == k { instruction.jt } else { instruction.jf }),
            JUMP => at += k as usize,
            RETURN => return k,
            code => panic!("unknown instruction {code:#x}"),
        }
    }
}

fn options(targets: &[&str], vlan: u16, validate: Validate) -> Hears {
    let mut options = ProbeOptions { vlan, validate, ..ProbeOptions::default() };
    for target in targets {
        match target.parse().unwrap() {
            IpAddr::V4(ip) => options.ip_targets.push(ip),
            IpAddr::V6(ip) => options.ip6_targets.push(ip),
        }
    }
    Hears::Probes(Probes::new(&options))
}

fn hears(hears: &Hears, frame: &[u8], tag: Option<u16>) -> bool {
    run(&program(hears, OCTETS), frame, Meta { tag, packet_type: 0 }) != 0
}

fn arp(from: [u8; 4], to: [u8; 4]) -> Vec<u8> {
    solicit::arp_request(MAC, from.into(), to.into()).to_vec()
}

fn ns(from: &str, to: &str) -> Vec<u8> {
    solicit::neighbour_solicitation(MAC, from.parse().unwrap(), to.parse().unwrap()).to_vec()
}

#[test]
fn arp_of_targets_only() {
    let both = options(&["192.0.2.1", "192.0.2.2"], 0, Validate::All);
    assert!(hears(&both, &arp([192, 0, 2, 1], [192, 0, 2, 9]), None), "from a target");
    assert!(hears(&both, &arp([192, 0, 2, 9], [192, 0, 2, 2]), None), "to a target");
    assert!(!hears(&both, &arp([192, 0, 2, 9], [192, 0, 2, 8]), None), "of guests");
    assert!(!hears(&both, &ns("fe80::1", "fe80::2"), None));
    assert!(!hears(&both, &arp([192, 0, 2, 1], [192, 0, 2, 9])[..30], None), "cut off");
    let every = options(&["192.0.2.1"], 0, Validate::Filter);
    assert!(hears(&every, &arp([192, 0, 2, 9], [192, 0, 2, 8]), None));
    assert!(!hears(&every, &ns("fe80::1", "fe80::2"), None), "no target is asked so");
}

#[test]
fn neighbour_discovery_of_targets_only() {
    let six = options(&["2001:db8::1"], 0, Validate::All);
    assert!(hears(&six, &ns("fe80::9", "2001:db8::1"), None));
    assert!(hears(&six, &ns("2001:db8::1", "fe80::9"), None));
    assert!(!hears(&six, &ns("fe80::9", "2001:db8::2"), None));
    assert!(!hears(&six, &arp([192, 0, 2, 1], [192, 0, 2, 9]), None));
    let mut other = ns("fe80::9", "2001:db8::1");
    other[54] = 128;
    assert!(!hears(&six, &other, None), "an echo request");
    let both = options(&["192.0.2.1", "2001:db8::1"], 0, Validate::FilterActive);
    assert!(hears(&both, &ns("fe80::9", "fe80::8"), None));
    assert!(hears(&both, &arp([192, 0, 2, 7], [192, 0, 2, 9]), None));
    assert!(!hears(&both, &other, None));
}

#[test]
fn the_tag_is_that_of_the_vlan() {
    let frame = arp([192, 0, 2, 1], [192, 0, 2, 9]);
    let (none, ten) = (options(&["192.0.2.1"], 0, Validate::All), options(&["192.0.2.1"], 10, Validate::All));
    let cases = [
        (None, true, false),
        (Some(0), true, false),
        (Some(5 << 13), true, false),
        (Some(10), false, true),
        (Some(5 << 13 | 10), false, true),
        (Some(11), false, false),
    ];
    for (tag, untagged, tagged) in cases {
        assert_eq!((hears(&none, &frame, tag), hears(&ten, &frame, tag)), (untagged, tagged), "{tag:?}");
    }
}

#[test]
fn slow_protocols_only() {
    let lacp = program(&Hears::SlowProtocols, OCTETS);
    let frame = slow::frame([2, 0, 0, 0, 0, 1], &[0; slow::PDU_LEN]);
    let packet_type = u32::from(libc::PACKET_MULTICAST);
    assert_eq!(run(&lacp, &frame, Meta { tag: None, packet_type }), OCTETS);
    assert_eq!(run(&lacp, &frame, Meta { tag: Some(0), packet_type }), 0);
    assert_eq!(run(&lacp, &frame, Meta { tag: None, packet_type: 3 }), 0);
    assert_eq!(run(&lacp, &arp([1, 2, 3, 4], [1, 2, 3, 5]), Meta { tag: None, packet_type }), 0);
}

proptest! {
    /// With as many targets as may be no jump is too far, and each of them is heard, and no other.
    #[test]
    fn every_target_is_heard(
        four in vec(any::<u32>(), 0..=16),
        six in vec(any::<u128>(), 0..=16),
        other in any::<u32>(),
        vlan in 0..4095u16,
    ) {
        let probes = Probes {
            vlan,
            all: false,
            four: four.iter().map(|ip| Ipv4Addr::from(*ip)).collect(),
            six: six.iter().map(|ip| Ipv6Addr::from(*ip)).collect(),
        };
        let hears_probes = Hears::Probes(probes.clone());
        prop_assert!(program(&hears_probes, OCTETS).len() < 256);
        let tag = (vlan != 0).then_some(vlan);
        let stranger = Ipv4Addr::from(other);
        for ip in &probes.four {
            let frame = solicit::arp_request(MAC, Ipv4Addr::UNSPECIFIED, *ip);
            prop_assert!(hears(&hears_probes, &frame, tag));
        }
        for ip in &probes.six {
            let frame = solicit::neighbour_solicitation(MAC, solicit::link_local(MAC), *ip);
            prop_assert!(hears(&hears_probes, &frame, tag));
        }
        if !four.contains(&other) && !four.contains(&0) {
            let frame = solicit::arp_request(MAC, Ipv4Addr::UNSPECIFIED, stranger);
            prop_assert!(!hears(&hears_probes, &frame, tag));
        }
    }

    #[test]
    fn no_frame_makes_it_stumble(frame in vec(any::<u8>(), 0..120), tag in proptest::option::of(any::<u16>())) {
        let both = options(&["192.0.2.1", "2001:db8::1"], 0, Validate::All);
        hears(&both, &frame, tag);
    }
}
