//! balance-alb: what goes out as in balance-tlb, and hosts beyond the bond that are told of different members.

use bond_port::rebalance::BUCKETS;
use bond_port::{LinkReport, ReceivePlan};
use forwarding::flow_hash::HashPolicy;
use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;
use forwarding::tables::{Admission, TransmitPlan};
use plugins::active_backup::GRACE;

use crate::rig::{Rig, mac, ms, name, options};

const ALB: &str = "mode=balance-alb";

fn plan(rig: &Rig) -> &ReceivePlan {
    rig.bond.receive().expect("a plan")
}

/// How many buckets of hosts each of these members has.
fn held<const N: usize>(rig: &Rig) -> [usize; N] {
    core::array::from_fn(|member| plan(rig).table.iter().filter(|told| **told == Some(mac(member))).count())
}

/// So many pairs in the first buckets, one each.
fn pairs(count: usize) -> [u32; BUCKETS] {
    core::array::from_fn(|bucket| u32::from(bucket < count))
}

/// How many of these pairs each member has.
fn pairs_of<const N: usize>(rig: &Rig, pairs: &[u32; BUCKETS]) -> [u32; N] {
    let table = &plan(rig).table;
    core::array::from_fn(|member| {
        (0..BUCKETS).filter(|bucket| table[*bucket] == Some(mac(member))).map(|bucket| pairs[bucket]).sum()
    })
}

#[test]
fn each_member_has_its_share_and_receives_for_itself_alone() {
    let mut rig = Rig::silent(ALB, 2);
    assert!(rig.bond.receive().is_none());
    rig.link(0, true);
    assert_eq!(held(&rig), [256, 0]);
    assert_eq!(plan(&rig).own, [(mac(0), DeviceId(0))], "the other one has never been seen");
    rig.link(1, true);
    rig.pass(GRACE);
    assert_eq!(held(&rig), [128, 128]);
    assert_eq!(plan(&rig).own, [(mac(0), DeviceId(0)), (mac(1), DeviceId(1))]);
    assert_eq!(rig.admissions(), [Admission::All, Admission::Nothing]);
    assert_eq!(rig.bond.receive_rebalancer().unwrap().interval(), ms(1_000));
    rig.set("lp_interval=7");
    assert_eq!(rig.bond.receive_rebalancer().unwrap().interval(), ms(7_000));
    rig.set("mode=balance-tlb");
    assert!(rig.bond.receive().is_none() && rig.bond.receive_deadline().is_none());
}

#[test]
fn flows_are_spread_unless_the_hash_is_told() {
    let mut rig = Rig::up(ALB, 2);
    let policy = |rig: &Rig| match rig.bond.plan() {
        TransmitPlan::Balanced { hash, .. } => *hash,
        other => panic!("{other:?}"),
    };
    assert_eq!(policy(&rig), HashPolicy::Layer34);
    rig.set("xmit_hash_policy=layer2+3");
    assert_eq!(policy(&rig), HashPolicy::Layer23);
    rig.set("mode=balance-tlb xmit_hash_policy=layer2");
    assert_eq!(policy(&rig), HashPolicy::Layer2);
}

/// Linux: `rlb_next_rx_slave`, in turn.
#[test]
fn few_hosts_are_spread_from_the_start() {
    let mut rig = Rig::up(ALB, 3);
    let mut known = [0; BUCKETS];
    for (n, bucket) in (0..BUCKETS).step_by(17).take(9).enumerate() {
        known[bucket] = 1;
        rig.bond.occupy(rig.now, &known);
        let shares: [u32; 3] = pairs_of(&rig, &known);
        let most = shares.iter().max().unwrap() - shares.iter().min().unwrap();
        assert!(most <= 1, "{n}: {shares:?}");
    }
    let before = plan(&rig).table.clone();
    known[0] = 5;
    rig.bond.occupy(rig.now, &known);
    assert_eq!(plan(&rig).table, before, "hosts in a bucket in use don't move it");
}

#[test]
fn hosts_are_spread_by_speed() {
    let mut rig = Rig::silent(ALB, 2);
    for (member, mbps) in [(0, 20_000), (1, 10_000)] {
        let report = LinkReport { speed_mbps: Some(mbps), ..rig.report(member, true) };
        rig.bond.handle_link(rig.now, &name(member), Some(report));
    }
    let known = pairs(30);
    rig.bond.occupy(rig.now, &known);
    assert_eq!(pairs_of(&rig, &known), [20, 10]);
}

/// Linux exchanges addresses between members (`alb_swap_mac_addr`) and thereby cuts off hosts of the one that works.
#[test]
fn only_hosts_of_a_lost_member_are_told_anew_and_their_frames_are_let_in_by_the_active_one() {
    let mut rig = Rig::up(ALB, 3);
    let known = pairs(30);
    rig.bond.occupy(rig.now, &known);
    for lost in [2, 0] {
        let before = plan(&rig).table.clone();
        rig.link(lost, false);
        for (was, is) in before.iter().zip(plan(&rig).table.iter()) {
            assert!(*was == Some(mac(lost)) && *is != *was || *was == *is);
        }
        let home = DeviceId(rig.active().unwrap() as u16);
        assert_eq!(plan(&rig).own[lost], (mac(lost), home), "adopted");
        let shares: [u32; 3] = pairs_of(&rig, &known);
        assert_eq!(shares, core::array::from_fn(|member| if member == lost { 0 } else { 15 }));
        rig.link(lost, true);
        assert_eq!(plan(&rig).own[lost], (mac(lost), DeviceId(lost as u16)), "its own again");
        let shares: [u32; 3] = pairs_of(&rig, &known);
        assert_eq!(shares, [10, 10, 10], "a member that is back gets its share");
    }
    (0..3).for_each(|member| rig.link(member, false));
    assert!(rig.bond.receive().is_none());
}

#[test]
fn hosts_move_by_load() {
    let mut rig = Rig::up(ALB, 2);
    let known = pairs(16);
    rig.bond.occupy(rig.now, &known);
    let busy: Vec<usize> =
        (0..16).filter(|bucket| plan(&rig).table[*bucket] == Some(mac(1))).take(4).collect();
    let mut counters = [0; BUCKETS];
    for _ in 0..12 {
        busy.iter().for_each(|bucket| counters[*bucket] += 100_000_000);
        rig.now = rig.bond.receive_deadline().unwrap().max(rig.now);
        rig.bond.handle_receive_loads(rig.now, &counters);
    }
    let left = busy.iter().filter(|bucket| plan(&rig).table[**bucket] == Some(mac(1))).count();
    assert_eq!(left, 2);
    let transmit = rig.table();
    rig.bond.handle_receive_loads(rig.now, &counters);
    assert_eq!(rig.table(), transmit, "what is received moves nothing that is sent");
}

/// The network could not tell whose an address is.
#[test]
fn an_address_that_another_has_too_is_nobodys() {
    let mut rig = Rig::up(ALB, 3);
    let report = LinkReport { mac: mac(1), ..rig.report(2, true) };
    rig.bond.handle_link(rig.now, "eth2", Some(report));
    assert_eq!(held(&rig), [256, 0, 0]);
    assert_eq!((plan(&rig).own.len(), rig.table().contains(&1)), (1, false));
    let report = rig.report(2, true);
    rig.bond.handle_link(rig.now, "eth2", Some(report));
    assert!(held::<3>(&rig).iter().all(|held| *held > 80));

    assert!(rig.bond.set_taken(rig.now, "eth1", Some("tap0")));
    assert!(!rig.bond.set_taken(rig.now, "eth1", Some("tap0")), "no news");
    assert_eq!((held::<3>(&rig)[1], rig.table().contains(&1)), (0, false));
    let lines = rig.bond.explain(rig.now).members[1].1.clone();
    assert!(lines.iter().any(|line| line.contains("the same address as a guest on tap0")), "{lines:?}");
    assert!(lines.iter().any(|line| line.ends_with("no host is told to send to it")), "{lines:?}");
    // As the active one it sends in guests' names.
    rig.set_active(1);
    assert!(rig.table().contains(&1));
    assert_eq!(held::<3>(&rig)[1], 0);
    assert!(rig.bond.set_taken(rig.now, "eth1", None));
    assert!(held::<3>(&rig)[1] > 80);
    let report = LinkReport { mac: MacAddr::ZERO, ..rig.report(0, true) };
    rig.bond.handle_link(rig.now, "eth0", Some(report));
    assert_eq!((plan(&rig).own.len(), held::<3>(&rig)[0]), (2, 0));
}

#[test]
fn what_is_shown() {
    let mut rig = Rig::up(ALB, 3);
    rig.link(2, false);
    let shown = rig.bond.explain(rig.now);
    assert_eq!(
        shown.summary,
        "bond0 (balance-alb) has carrier: IP between stations leaves by 2 of 3 members, picked by the layer3+4 hash and a \
         table of 256 buckets; everything else leaves by eth0, active for 60.0 s (reason: first usable member); hosts are \
         told to send to 2 of 3 members by these members' own addresses"
    );
    let has = |member: usize, text: String| {
        let lines = &shown.members[member].1;
        assert!(lines.contains(&text), "{text}: {lines:?}");
    };
    let buckets = "128 of 256 buckets of hosts are told so";
    has(0, format!("receives every frame, frames for its own address {} among them: {buckets}", mac(0)));
    has(1, format!("receives frames for its own address {}, and no others: {buckets}", mac(1)));
    has(2, format!("receives nothing; what hosts still send to its own address {} comes in by eth0", mac(2)));
    let text = rig.bond.proc_text("6.1");
    assert!(text.contains("\nBonding Mode: adaptive load balancing\n"), "{text}");
}

#[test]
fn options_of_it() {
    assert_eq!(options("mode=6").to_string(), ALB);
    assert_eq!(options("mode=6 lp_interval=3").to_string(), "mode=balance-alb lp_interval=3");
    assert_eq!(options("mode=6 lp_interval=3 tlb_dynamic_lb=0").warnings(), [""; 0]);
}
