//! balance-alb: what comes in is spread too, by the members' addresses that guests name to their peers.

use bond_port::rebalance::BUCKETS;
use bond_port::{LinkReport, ReceivePlan};
use forwarding::flow_hash::HashPolicy;
use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;
use forwarding::tables::{Admission, TransmitPlan};
use plugins::active_backup::GRACE;

use crate::rig::{Rig, mac, ms, name};

const ALB: &str = "mode=balance-alb";

fn receive(rig: &Rig) -> &ReceivePlan {
    rig.bond.receive().expect("a receive plan")
}

/// How many of these buckets have the address of each of the first so many members.
fn named(rig: &Rig, buckets: impl IntoIterator<Item = usize> + Clone, members: usize) -> Vec<usize> {
    let table = &receive(rig).table;
    let of =
        |member| buckets.clone().into_iter().filter(|bucket| table[*bucket] == Some(mac(member))).count();
    (0..members).map(of).collect()
}

/// The devices by which frames to members' own addresses come in.
fn own(rig: &Rig) -> Vec<(MacAddr, u16)> {
    receive(rig).own.iter().map(|(mac, device)| (*mac, device.0)).collect()
}

fn occupy(rig: &mut Rig, pairs: &mut [u32; BUCKETS], bucket: usize) {
    pairs[bucket] += 1;
    rig.bond.occupy(rig.now, pairs);
    rig.settle();
}

#[test]
fn each_member_receives_for_its_own_address_and_the_active_one_for_the_guests() {
    let mut rig = Rig::up(ALB, 2);
    assert_eq!(own(&rig), [(mac(0), 0), (mac(1), 1)]);
    assert_eq!(named(&rig, 0..BUCKETS, 2), [128, 128]);
    assert_eq!(rig.admissions(), [Admission::All, Admission::Nothing]);
    assert!(matches!(
        rig.bond.plan(),
        TransmitPlan::Balanced { hash: HashPolicy::Layer34, loads: Some(_), home: DeviceId(0), .. }
    ));
    rig.set("mode=balance-alb xmit_hash_policy=layer2+3");
    assert!(matches!(rig.bond.plan(), TransmitPlan::Balanced { hash: HashPolicy::Layer23, .. }));
    // Another one is home: nobody's pairs are moved for that, and the old one lets in guests' frames for a while.
    let table = receive(&rig).table.clone();
    rig.set_active(1);
    assert_eq!((own(&rig), &receive(&rig).table), (vec![(mac(0), 0), (mac(1), 1)], &table));
    assert_eq!(rig.admissions(), [Admission::Grace, Admission::AllButReflected]);
    rig.pass(GRACE);
    assert_eq!(rig.admissions(), [Admission::Nothing, Admission::All]);
}

#[test]
fn a_lost_members_address_is_received_for_by_the_active_one() {
    let mut rig = Rig::up(ALB, 3);
    let before = receive(&rig).table.clone();
    let revision = rig.bond.revision();
    rig.link(1, false);
    assert!(rig.bond.revision() > revision);
    assert_eq!(own(&rig), [(mac(0), 0), (mac(1), 0), (mac(2), 2)]);
    assert_eq!(named(&rig, 0..BUCKETS, 3), [128, 0, 128]);
    let after = receive(&rig).table.clone();
    for bucket in 0..BUCKETS {
        assert!(before[bucket] == Some(mac(1)) || after[bucket] == before[bucket], "only its own move");
    }
    rig.link(0, false);
    assert_eq!(own(&rig), [(mac(0), 2), (mac(1), 2), (mac(2), 2)]);
    assert_eq!(named(&rig, 0..BUCKETS, 3), [0, 0, 256]);
    rig.link(2, false);
    assert_eq!(rig.bond.receive(), None);
    rig.link(1, true);
    assert_eq!(own(&rig), [(mac(0), 1), (mac(1), 1), (mac(2), 1)]);
    rig.bond.disable_member(rig.now, &name(1)).unwrap();
    assert_eq!(rig.bond.receive(), None);
}

/// A link that is back and waits for its `updelay` is not received by, though the other side has seen it.
#[test]
fn a_member_in_updelay_is_named_when_it_is_over() {
    let mut rig = Rig::up("mode=balance-alb updelay=1000", 2);
    rig.link(1, false);
    rig.link(1, true);
    assert_eq!((own(&rig), named(&rig, 0..BUCKETS, 2)), (vec![(mac(0), 0), (mac(1), 0)], vec![256, 0]));
    rig.pass(ms(1000));
    assert_eq!((own(&rig), named(&rig, 0..BUCKETS, 2)), (vec![(mac(0), 0), (mac(1), 1)], vec![128, 128]));
    // There is nothing else: it is used at once.
    rig.link(0, false);
    rig.link(1, false);
    rig.link(0, true);
    assert_eq!((own(&rig), named(&rig, 0..BUCKETS, 2)), (vec![(mac(0), 0), (mac(1), 0)], vec![256, 0]));
}

/// Whatever buckets they are in, the first pairs are shared out evenly, and so is what a member takes that comes back.
#[test]
fn a_few_pairs_are_spread_from_the_start() {
    let mut rig = Rig::up(ALB, 2);
    let mut pairs = [0; BUCKETS];
    // All of these are the first member's as the table was dealt.
    let used: Vec<usize> =
        (0..BUCKETS).filter(|bucket| receive(&rig).table[*bucket] == Some(mac(0))).take(16).collect();
    for (n, bucket) in used.iter().enumerate() {
        occupy(&mut rig, &mut pairs, *bucket);
        let [first, second] = named(&rig, used[..=n].iter().copied(), 2)[..] else { unreachable!() };
        assert!(first.abs_diff(second) <= 1, "{first} and {second} after {}", n + 1);
    }
    let before = receive(&rig).table.clone();
    // A second pair in a bucket moves nothing.
    occupy(&mut rig, &mut pairs, used[3]);
    assert_eq!(receive(&rig).table, before);
    rig.link(1, false);
    assert_eq!(named(&rig, used.iter().copied(), 2), [16, 0]);
    rig.link(1, true);
    let [first, second] = named(&rig, used.iter().copied(), 2)[..] else { unreachable!() };
    assert!(first.abs_diff(second) <= 2, "{first} and {second} with the member back");
}

#[test]
fn shares_are_by_speed() {
    let mut rig = Rig::silent(ALB, 2);
    for (member, mbps) in [(0, 25_000), (1, 10_000)] {
        let report = LinkReport { speed_mbps: Some(mbps), ..rig.report(member, true) };
        rig.bond.handle_link(rig.now, &name(member), Some(report));
        rig.settle();
    }
    let mut pairs = [0; BUCKETS];
    for bucket in 0..70 {
        occupy(&mut rig, &mut pairs, bucket * 3);
    }
    assert_eq!(named(&rig, (0..70).map(|bucket| bucket * 3), 2), [50, 20]);
}

/// Each `lp_interval` the loads are looked at.
#[test]
fn pairs_move_by_load() {
    let mut rig = Rig::up("mode=balance-alb lp_interval=3", 2);
    let mut pairs = [0; BUCKETS];
    (0..16).for_each(|bucket| occupy(&mut rig, &mut pairs, bucket));
    assert_eq!(rig.bond.receive_rebalancer().unwrap().interval(), ms(3000));
    let busy: Vec<usize> = (0..16).filter(|bucket| receive(&rig).table[*bucket] == Some(mac(1))).collect();
    let mut counters = [0_u64; BUCKETS];
    let start = rig.now;
    for _ in 0..8 {
        busy.iter().for_each(|bucket| counters[*bucket] += 3_000_000_000);
        rig.now = rig.bond.receive_deadline().unwrap().max(rig.now);
        rig.bond.handle_receive_loads(rig.now, &counters);
        rig.settle();
    }
    assert!(rig.now - start <= ms(8 * 3000));
    let [first, second] = named(&rig, busy.iter().copied(), 2)[..] else { unreachable!() };
    assert!(first.abs_diff(second) <= 2, "of the busy ones {first} and {second}");
    let moves = rig.bond.last_receive_moves(rig.now);
    assert_eq!(moves.len() as u64, rig.bond.receive_rebalancer().unwrap().moved());
    assert!(
        !moves.is_empty()
            && moves.iter().all(|moved| (moved.from.as_str(), moved.to.as_str()) == ("eth1", "eth0"))
    );
}

#[test]
fn an_address_that_two_members_have_is_named_to_nobody() {
    let mut rig = Rig::up(ALB, 3);
    let report = LinkReport { mac: mac(1), ..rig.report(2, true) };
    rig.bond.handle_link(rig.now, &name(2), Some(report));
    rig.settle();
    assert_eq!(own(&rig), [(mac(0), 0)]);
    let table = &receive(&rig).table;
    assert!(table.iter().all(|told| told.is_none_or(|told| told == mac(0))), "the guest's own instead");
    let TransmitPlan::Balanced { table, .. } = rig.bond.plan() else { panic!("{:?}", rig.bond.plan()) };
    assert!(table.iter().all(|device| *device == DeviceId(0)), "nor does one of them send with it");
}

/// The switch beyond could not tell the two apart.
#[test]
fn an_address_that_a_guest_has_is_named_to_nobody() {
    let mut rig = Rig::up(ALB, 3);
    assert!(rig.bond.set_taken(rig.now, &name(1), Some("tap0")));
    assert!(!rig.bond.set_taken(rig.now, &name(1), Some("tap0")), "no news");
    assert_eq!(own(&rig), [(mac(0), 0), (mac(2), 2)]);
    assert_eq!(named(&rig, 0..BUCKETS, 3), [128, 0, 128], "the others share all");
    assert!(!rig.table().contains(&1));
    let problem = rig.bond.address_problem(&name(1)).unwrap();
    assert!(problem.starts_with("eth1 has the same address as a guest on tap0"), "{problem}");
    // As the active one it sends in guests' names.
    rig.set_active(1);
    assert!(rig.table().contains(&1));
    assert_eq!(named(&rig, 0..BUCKETS, 3), [128, 0, 128]);
    assert!(rig.bond.set_taken(rig.now, &name(1), None));
    assert!(named(&rig, 0..BUCKETS, 3)[1] > 80);
    assert_eq!(rig.bond.address_problem(&name(1)), None);
}

#[test]
fn other_modes_receive_by_no_address() {
    let mut rig = Rig::up(ALB, 2);
    for mode in ["balance-tlb", "active-backup", "balance-slb"] {
        let revision = rig.bond.revision();
        rig.set(&format!("mode={mode}"));
        assert_eq!((rig.bond.receive(), rig.bond.receive_deadline()), (None, None), "{mode}");
        rig.set(ALB);
        assert!(rig.bond.receive().is_some() && rig.bond.revision() > revision, "{mode}");
    }
}

#[test]
fn it_is_told_who_receives_what() {
    let mut rig = Rig::up(ALB, 2);
    let said = |rig: &Rig| -> Vec<String> {
        let explanation = rig.bond.explain(rig.now);
        let members = explanation.members.into_iter().flat_map(|(_, lines)| lines);
        core::iter::once(explanation.summary).chain(members).collect()
    };
    let has = |lines: &[String], wanted: &str| {
        assert!(lines.iter().any(|line| line.contains(wanted)), "{wanted}: {lines:#?}");
    };
    let lines = said(&rig);
    has(&lines, "and everything comes in that is not sent to another member's address, by eth0, active for");
    has(
        &lines,
        "receives also what is sent to its own address, 02:00:00:00:00:00: guests name it to the peers in 128 of 256",
    );
    has(
        &lines,
        "receives what is sent to its own address, 02:00:00:00:00:01: guests name it to the peers in 128 of 256 buckets; \
         nothing else",
    );
    rig.link(1, false);
    has(&said(&rig), "what is sent to its own address, 02:00:00:00:00:01, comes in by eth0");
    let report = LinkReport { mac: mac(0), ..rig.report(1, true) };
    rig.bond.handle_link(rig.now, &name(1), Some(report));
    has(&said(&rig), "is named to no peer: it has no address that is its alone");
}
