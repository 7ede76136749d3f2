//! Link probes and flap damping inside a bond: cables that fail silently, delays, what is told and explained.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use bond_port::{BondEvent, LinkState};
use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;
use forwarding::solicit::arp_request;
use forwarding::tables::TransmitPlan;

use super::rig::{Rig, ms};

const TARGET: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const TARGET_MAC: MacAddr = MacAddr([2, 0, 0, 0, 9, 1]);
const PROBES: &str = "arp_interval=100 arp_ip_target=192.0.2.1 arp_validate=all";

/// A bond whose members end at a switch behind which the target is.
struct Lan {
    rig: Rig,
    /// Members whose cable does not carry anything.
    cut: Vec<usize>,
    answers: bool,
}

impl Lan {
    fn new(words: &str, members: usize) -> Self {
        let mut lan = Self { rig: Rig::silent(words, members), cut: Vec::new(), answers: true };
        for member in 0..members {
            let report = lan.rig.report(member, true);
            lan.rig.bond.handle_link(lan.rig.now, &name(member), Some(report));
        }
        lan.pass(2_000);
        lan.rig.events();
        lan
    }

    /// Lets time pass. What is sent arrives at once: the switch floods requests, the target answers.
    fn pass(&mut self, milliseconds: u64) {
        let end = self.rig.now + ms(milliseconds);
        self.carry();
        while let Some(deadline) = self.rig.bond.next_deadline().filter(|deadline| *deadline <= end) {
            assert!(deadline > self.rig.now, "a deadline that has passed would make the daemon spin");
            self.rig.now = deadline;
            self.rig.bond.handle_timeout(deadline);
            self.carry();
        }
        self.rig.now = end;
    }

    fn carry(&mut self) {
        // An answer takes its time.
        let at = self.rig.now + Duration::from_micros(1);
        while let Some(transmit) = self.rig.bond.poll_transmit(self.rig.now) {
            let DeviceId(from) = transmit.device;
            if self.cut.contains(&from.into()) {
                continue;
            }
            let others = (0..self.rig.bond.members().len()).filter(|it| *it != usize::from(from));
            for other in others.filter(|other| !self.cut.contains(other)).collect::<Vec<_>>() {
                self.rig.bond.handle_frame(at, &name(other), &transmit.frame).unwrap();
            }
            let sender = MacAddr(transmit.frame[6..12].try_into().unwrap());
            let mut answer = arp_request(TARGET_MAC, TARGET, Ipv4Addr::UNSPECIFIED);
            answer[..6].copy_from_slice(&sender.0);
            answer[20..22].copy_from_slice(&[0, 2]);
            answer[32..38].copy_from_slice(&sender.0);
            if self.answers {
                self.rig.bond.handle_frame(at, &name(from.into()), &answer).unwrap();
            }
        }
    }

    fn links(&self) -> Vec<LinkState> {
        self.rig.bond.members().iter().map(|member| member.link()).collect()
    }

    fn why(&self, member: usize) -> String {
        self.rig.bond.explain(self.rig.now).members[member].1.join("\n")
    }
}

fn name(member: usize) -> String {
    format!("eth{member}")
}

use LinkState::{Down, GoingBack, GoingDown, Up};

#[test]
fn active_backup_leaves_a_silent_cable_and_takes_it_back() {
    let mut lan = Lan::new(&format!("mode=1 {PROBES}"), 2);
    assert_eq!((lan.links(), lan.rig.bond.active()), (vec![Up, Up], Some("eth0")));
    lan.cut = vec![0];
    lan.pass(200);
    assert_eq!(lan.links(), [Up, Up], "2.5 intervals are not over");
    lan.pass(100);
    assert_eq!((lan.links(), lan.rig.bond.active()), (vec![Down, Up], Some("eth1")));
    let told: Vec<String> = lan.rig.events().iter().map(ToString::to_string).collect();
    assert_eq!(
        told[..3],
        [
            "eth0: link probes have heard nothing for 299 ms",
            "eth0: link status definitely down, disabling it",
            "making eth1 the new active member (was eth0): active member down",
        ]
    );
    lan.pass(1_000);
    assert_eq!(lan.links(), [Down, Up]);
    assert!(
        lan.why(0)
            .starts_with("sends nothing: carrier is there, but link probes have heard nothing for 1.3 s"),
        "{}",
        lan.why(0)
    );
    assert!(lan.why(1).contains("link probes: asks 192.0.2.1 every 100 ms, last heard "), "{}", lan.why(1));
    lan.cut.clear();
    lan.pass(200);
    assert_eq!((lan.links(), lan.rig.bond.active()), (vec![Up, Up], Some("eth1")));
    assert!(lan.why(0).contains("link probes: listens, last heard "), "{}", lan.why(0));
}

#[test]
fn a_backup_whose_cable_is_cut_is_down_before_it_is_needed() {
    let mut lan = Lan::new(&format!("mode=1 {PROBES}"), 2);
    lan.cut = vec![1];
    lan.pass(500);
    assert_eq!((lan.links(), lan.rig.bond.active()), (vec![Up, Down], Some("eth0")));
    assert!(lan.why(1).contains("does the switch flood broadcasts to it"), "{}", lan.why(1));
}

#[test]
fn when_the_target_dies_nobody_is_active_and_its_return_is_found() {
    let mut lan = Lan::new(&format!("mode=1 {PROBES}"), 3);
    lan.answers = false;
    lan.pass(3_000);
    assert_eq!((lan.links(), lan.rig.bond.active()), (vec![Down, Down, Down], None));
    assert!(!lan.rig.bond.carrier());
    let events = lan.rig.events();
    let silent = |answers| BondEvent::Target { target: IpAddr::V4(TARGET), answers };
    assert_eq!(events.iter().filter(|event| **event == silent(false)).count(), 1);
    let summary = lan.rig.bond.explain(lan.rig.now).summary;
    assert!(summary.contains("these don't answer: 192.0.2.1 for "), "{summary}");
    lan.answers = true;
    lan.pass(700);
    assert_eq!(lan.links(), [Up, Up, Up]);
    assert!(lan.rig.bond.active().is_some());
    assert!(lan.rig.events().contains(&silent(true)));
}

#[test]
fn updelay_and_downdelay_run_on_the_verdict() {
    let mut lan = Lan::new(&format!("mode=2 downdelay=400 updelay=1000 {PROBES}"), 2);
    lan.cut = vec![1];
    lan.pass(300);
    assert_eq!(lan.links(), [Up, GoingDown]);
    lan.cut.clear();
    lan.pass(200);
    assert_eq!(lan.links(), [Up, Up], "back within downdelay");
    lan.cut = vec![1];
    lan.pass(800);
    assert_eq!(lan.links(), [Up, Down]);
    lan.cut.clear();
    lan.pass(200);
    assert_eq!(lan.links(), [Up, GoingBack]);
    lan.pass(1_000);
    assert_eq!(lan.links(), [Up, Up]);
}

#[test]
fn a_cut_member_leaves_every_mode_that_shares_the_load() {
    for mode in ["balance-rr", "balance-xor", "broadcast"] {
        let mut lan = Lan::new(&format!("mode={mode} {PROBES}"), 3);
        let members = |lan: &Lan| match lan.rig.bond.plan() {
            TransmitPlan::RoundRobin { members, .. } | TransmitPlan::All { members } => members.len(),
            TransmitPlan::Buckets { table, .. } => table.len(),
            _ => 0,
        };
        assert_eq!(members(&lan), 3, "{mode}");
        lan.cut = vec![1];
        lan.pass(400);
        assert_eq!((lan.links(), members(&lan)), (vec![Up, Down, Up], 2), "{mode}");
        lan.cut.clear();
        lan.pass(400);
        assert_eq!(members(&lan), 3, "{mode}");
    }
}

#[test]
fn carrier_is_watched_all_the_same() {
    let mut lan = Lan::new(&format!("mode=1 {PROBES}"), 2);
    lan.rig.link(0, false);
    assert_eq!(lan.rig.bond.active(), Some("eth1"), "at once");
}

#[test]
fn turned_on_and_off_while_it_runs() {
    let mut lan = Lan::new("mode=1", 2);
    lan.cut = vec![0];
    lan.pass(2_000);
    assert_eq!(lan.links(), [Up, Up], "nobody looks");
    lan.rig.set(PROBES);
    assert_eq!(lan.links(), [Up, Up], "it has its time");
    lan.pass(1_000);
    assert_eq!(lan.links(), [Down, Up]);
    lan.rig.set("arp_interval=0");
    assert_eq!(lan.links(), [Up, Up], "carrier is all there is again");
    lan.pass(10_000);
    assert_eq!(lan.rig.bond.next_deadline(), None);
}

#[test]
fn from_mode_to_mode_without_a_gap() {
    let mut lan = Lan::new(&format!("mode=1 {PROBES}"), 2);
    for mode in ["balance-xor", "active-backup", "balance-rr", "broadcast", "active-backup"] {
        lan.rig.set(&format!("mode={mode}"));
        for _ in 0..20 {
            lan.pass(50);
            assert_eq!(lan.links(), [Up, Up], "{mode}");
        }
    }
}

#[test]
fn text_as_linux_prints_it() {
    let lan = Lan::new(
        "mode=1 arp_interval=250 arp_missed_max=3 arp_ip_target=192.0.2.1,192.0.2.2 ns_ip6_target=fe80::1",
        1,
    );
    let text = lan.rig.bond.proc_text("6.1.0");
    let expected = "Peer Notification Delay (ms): 0\nARP Polling Interval (ms): 250\nARP Missed Max: 3\n\
                    ARP IP target/s (n.n.n.n form): 192.0.2.1, 192.0.2.2\nNS IPv6 target/s (xx::xx form): fe80::1\n\n\
                    Slave Interface: eth0\n";
    assert!(text.contains(expected), "{text}");
}

// --- flap_limit.

fn flap(rig: &mut Rig, member: usize) {
    rig.link(member, false);
    rig.pass(ms(100));
    rig.link(member, true);
    rig.pass(ms(100));
}

fn link(rig: &Rig, member: usize) -> LinkState {
    rig.bond.members()[member].link()
}

#[test]
fn a_link_that_keeps_going_down_is_held_out_until_it_is_quiet() {
    let mut rig = Rig::up("mode=1 flap_limit=3/10", 2);
    flap(&mut rig, 1);
    flap(&mut rig, 1);
    assert_eq!(link(&rig, 1), Up);
    flap(&mut rig, 1);
    assert_eq!(link(&rig, 1), Down);
    let held = |held| BondEvent::Damped { member: "eth1".to_owned(), held, needed: false };
    assert!(rig.events().contains(&held(Some(ms(10_000)))));
    let why = rig.bond.explain(rig.now).members[1].1.join("\n");
    assert!(
        why.contains("its link keeps going down, so it is held out until that has been quiet (9.8 s left"),
        "{why}"
    );
    rig.pass(ms(9_000));
    flap(&mut rig, 1);
    rig.pass(ms(9_000));
    assert_eq!(link(&rig, 1), Down, "it went down once more");
    rig.pass(ms(2_000));
    assert_eq!(link(&rig, 1), Up);
    assert!(rig.events().contains(&held(None)));
    flap(&mut rig, 1);
    assert_eq!(link(&rig, 1), Up, "the count began anew");
    assert_eq!(rig.bond.next_deadline(), None);
}

#[test]
fn what_a_delay_swallows_is_no_flap_and_off_is_off() {
    let mut swallowed = Rig::up("mode=1 flap_limit=2/60 downdelay=200", 2);
    let mut off = Rig::up("mode=1", 2);
    for _ in 0..10 {
        flap(&mut swallowed, 1);
        flap(&mut off, 1);
    }
    assert_eq!((link(&swallowed, 1), link(&off, 1)), (Up, Up));
}

#[test]
fn a_link_that_flaps_is_better_than_none() {
    let mut rig = Rig::up("mode=1 flap_limit=2/60", 2);
    flap(&mut rig, 1);
    flap(&mut rig, 1);
    assert_eq!((link(&rig, 1), rig.bond.active()), (Down, Some("eth0")));
    rig.link(0, false);
    assert_eq!((link(&rig, 1), rig.bond.active()), (Up, Some("eth1")));
    assert!(rig.events().iter().any(|event| matches!(event, BondEvent::Damped { needed: true, .. })));
}

#[test]
fn probes_that_come_and_go_are_flaps_too() {
    let mut lan = Lan::new(&format!("mode=2 flap_limit=2/60 {PROBES}"), 2);
    for _ in 0..2 {
        lan.cut = vec![1];
        lan.pass(500);
        lan.cut.clear();
        lan.pass(500);
    }
    assert_eq!(lan.links(), [Up, Down]);
    lan.rig.set("flap_limit=off");
    assert_eq!(lan.links(), [Up, Up]);
}
