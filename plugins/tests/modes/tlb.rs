//! balance-tlb: IP by all members, everything else by the active one.

use bond_port::rebalance::BUCKETS;
use bond_port::{ActiveCause, BondEvent, LinkReport};
use forwarding::flow_hash::HashPolicy;
use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;
use forwarding::tables::{Admission, TransmitPlan};
use plugins::active_backup::GRACE;

use crate::rig::{Rig, mac, ms, name, options};

const TLB: &str = "mode=balance-tlb";

/// How many buckets each of the first two members holds.
fn shares(rig: &Rig) -> [usize; 2] {
    let table = rig.table();
    [0, 1].map(|member| table.iter().filter(|holder| **holder == member).count())
}

fn announced(rig: &mut Rig) -> Vec<u16> {
    let of = |event| match event {
        BondEvent::Announce { member, buckets: None } => Some(member.0),
        _ => None,
    };
    rig.events().into_iter().filter_map(of).collect()
}

#[test]
fn every_member_sends_from_the_first_frame_on_and_one_receives() {
    let mut rig = Rig::silent(TLB, 2);
    rig.link(0, true);
    assert_eq!((shares(&rig), announced(&mut rig)), ([256, 0], vec![0]));
    rig.link(1, true);
    assert_eq!(
        (shares(&rig), announced(&mut rig)),
        ([128, 128], vec![]),
        "no warm-up, and no address has moved"
    );
    let TransmitPlan::Balanced { hash: HashPolicy::Layer2, loads: Some(_), home: DeviceId(0), .. } =
        rig.bond.plan()
    else {
        panic!("{:?}", rig.bond.plan())
    };
    assert_eq!(rig.admissions(), [Admission::AllButReflected, Admission::Nothing]);
    rig.pass(GRACE);
    assert_eq!(rig.admissions(), [Admission::All, Admission::Nothing]);
    assert_eq!(rig.bond.rebalancer().unwrap().interval(), ms(10_000));
    let TransmitPlan::Balanced { own, .. } = rig.bond.plan() else { unreachable!() };
    assert_eq!(**own, [mac(0), mac(1)], "what comes from these is our own");
    rig.set("xmit_hash_policy=layer2+3");
    assert!(matches!(rig.bond.plan(), TransmitPlan::Balanced { hash: HashPolicy::Layer23, .. }));
}

/// Linux's driver computes a slave's free capacity in 32 bits, and a 25G slave gets less than a 10G one.
#[test]
fn shares_are_by_speed() {
    let mut rig = Rig::silent(TLB, 2);
    for (member, mbps) in [(0, 25_000), (1, 10_000)] {
        let report = LinkReport { speed_mbps: Some(mbps), ..rig.report(member, true) };
        rig.bond.handle_link(rig.now, &name(member), Some(report));
    }
    assert_eq!(shares(&rig), [183, 73], "5 to 2");
}

/// Loads beyond 4 Gb/s, whose octets in 10 s don't fit into 32 bits.
#[test]
fn buckets_move_by_load_of_any_size() {
    let mut rig = Rig::up(TLB, 2);
    let table = rig.table();
    // Four flows of 6 Gb/s each happen to lie on the first member.
    let busy: Vec<usize> = (0..BUCKETS).filter(|bucket| table[*bucket] == 0).take(4).collect();
    let mut counters = [0; BUCKETS];
    for _ in 0..6 {
        busy.iter().for_each(|bucket| counters[*bucket] += 7_500_000_000);
        rig.now = rig.bond.loads_deadline().unwrap().max(rig.now);
        rig.bond.handle_loads(rig.now, &counters);
    }
    let table = rig.table();
    assert_eq!(busy.iter().filter(|bucket| table[**bucket] == 1).count(), 2);
    assert!(
        rig.events().iter().all(|event| matches!(event, BondEvent::BucketMoved { .. })),
        "nothing to announce"
    );
    let held = table[9];
    assert_eq!(rig.bond.migrate(rig.now, 9, &name(usize::from(1 - held))), Ok(true));
    assert_eq!(rig.table()[9], 1 - held);
}

#[test]
fn without_dynamic_balancing_it_is_linuxs_table() {
    let mut rig = Rig::up("mode=5 tlb_dynamic_lb=0 xmit_hash_policy=layer3+4", 3);
    assert_eq!((rig.table(), rig.bond.loads_deadline()), (vec![0, 1, 2], None));
    assert!(rig.bond.migrate(rig.now, 0, "eth1").is_err());
    rig.link(1, false);
    assert_eq!(rig.table(), [0, 2]);
    rig.set("hash_buckets=256");
    assert_eq!((rig.table().len(), rig.active()), (256, Some(0)));
    rig.set("tlb_dynamic_lb=1 rebalance_interval=0");
    assert_eq!(
        (rig.table().len(), rig.bond.loads_deadline()),
        (256, None),
        "dealt by speed, moved by hand only"
    );
    assert_eq!(rig.bond.migrate(rig.now, 0, "eth2"), Ok(true));
}

#[test]
fn a_lost_member_that_is_not_active_loses_its_buckets_and_nothing_else_happens() {
    let mut rig = Rig::up(TLB, 3);
    let before = rig.table();
    rig.link(2, false);
    for (was, is) in before.iter().zip(rig.table()) {
        assert!(*was == 2 && is < 2 || *was == is);
    }
    assert_eq!((rig.active(), announced(&mut rig)), (Some(0), vec![]));
    assert_eq!(rig.admissions(), [Admission::All, Admission::Nothing, Admission::Nothing]);
    rig.link(2, true);
    let held = rig.table().iter().filter(|holder| **holder == 2).count();
    assert_eq!((held, announced(&mut rig)), (85, vec![]));
}

#[test]
fn the_active_member_is_lost_and_another_is_home() {
    let mut rig = Rig::up(TLB, 3);
    let before = rig.table();
    rig.link(0, false);
    for (was, is) in before.iter().zip(rig.table()) {
        assert!(*was == 0 && is > 0 || *was == is, "only the lost member's buckets move");
    }
    assert_eq!((rig.active(), announced(&mut rig)), (Some(1), vec![1]));
    assert_eq!(rig.admissions(), [Admission::Nothing, Admission::AllButReflected, Admission::Nothing]);
    rig.link(0, true);
    assert_eq!((rig.active(), announced(&mut rig)), (Some(1), vec![]), "it stays home");
    assert!(rig.table().contains(&0));
}

/// The switch sends to the old member until it has relearned.
#[test]
fn a_planned_change_has_its_grace() {
    let mut rig = Rig::up("mode=5 primary=eth1", 2);
    assert_eq!(rig.active(), Some(1));
    rig.set_active(0);
    assert_eq!(rig.admissions(), [Admission::AllButReflected, Admission::Grace]);
    assert_eq!((shares(&rig), announced(&mut rig)), ([128, 128], vec![0]), "its buckets are its own still");
    rig.pass(GRACE);
    assert_eq!(rig.admissions(), [Admission::All, Admission::Nothing]);
    rig.link(1, false);
    rig.link(1, true);
    assert_eq!((rig.active(), rig.bond.active().is_some()), (Some(1), true));
    assert_eq!(rig.bond.status(rig.now).active_cause, Some(ActiveCause::PrimaryReturned));
}

/// Its guests are at the active member's port until `downdelay` ends; the other frames need not wait.
#[test]
fn a_link_in_downdelay_carries_what_only_it_can() {
    let mut rig = Rig::up("mode=5 downdelay=500", 2);
    rig.link(0, false);
    assert_eq!((rig.active(), shares(&rig)), (Some(0), [0, 256]));
    let lines = rig.bond.explain(rig.now).members[0].1.clone();
    assert!(
        lines[0].starts_with("sends: it holds no bucket; and all other frames: it is the active member"),
        "{lines:?}"
    );
    rig.pass(ms(500));
    assert_eq!((rig.active(), shares(&rig)), (Some(1), [0, 256]));
    let mut alone = Rig::up("mode=5 downdelay=500", 1);
    alone.link(0, false);
    assert_eq!((alone.active(), shares(&alone)), (Some(0), [256, 0]));
    alone.pass(ms(500));
    assert_eq!((alone.active(), alone.table()), (None, vec![]));
}

/// Nothing can be sent in the name of a device without an address.
#[test]
fn a_member_without_an_address_sends_nothing_but_at_home() {
    let mut rig = Rig::up(TLB, 2);
    let report = LinkReport { mac: MacAddr::ZERO, ..rig.report(1, true) };
    rig.bond.handle_link(rig.now, "eth1", Some(report));
    assert_eq!(shares(&rig), [256, 0]);
    rig.set_active(1);
    assert_eq!(shares(&rig), [128, 128]);
}

#[test]
fn what_is_shown() {
    let rig = Rig::up(TLB, 2);
    let shown = rig.bond.explain(rig.now);
    assert_eq!(
        shown.summary,
        "bond0 (balance-tlb) has carrier: IP between stations leaves by 2 of 2 members, picked by the layer2 hash and \
         a table of 256 buckets; everything else leaves, and everything comes in, by eth0, active for 60.0 s (reason: \
         first usable member)"
    );
    let first = |member: usize| shown.members[member].1[0].clone();
    assert!(
        first(0).starts_with(
            "sends: it holds 128 of 256 buckets (50.0 %) for IP between stations; and all other frames: it is the active \
             member, for 60.0 s"
        ),
        "{shown:?}"
    );
    assert_eq!(
        first(1),
        format!(
            "sends: it holds 128 of 256 buckets (50.0 %) for IP between stations; they leave with its own address {} for \
             the source",
            mac(1)
        )
    );
    let text = rig.bond.proc_text("6.1");
    assert!(text.contains("\nBonding Mode: transmit load balancing\n"), "{text}");
    assert!(text.contains("\nCurrently Active Slave: eth0\n"), "{text}");
    assert!(!text.contains("Transmit Hash Policy"), "{text}");
}

#[test]
fn options_of_it() {
    assert_eq!(options("mode=5 tlb_dynamic_lb=0").to_string(), "mode=balance-tlb tlb_dynamic_lb=0");
    assert_eq!(options("mode=5").get("rebalance_interval").unwrap(), "10000");
    assert_eq!(options("mode=5 rebalance_interval=10000 tlb_dynamic_lb=on").to_string(), "mode=balance-tlb");
    assert_eq!(options("mode=5 rebalance_interval=0").to_string(), "mode=balance-tlb rebalance_interval=0");
    let mut other = options("mode=2");
    other.set("tlb_dynamic_lb", "0").unwrap();
    let refused = other.check().unwrap_err().to_string();
    assert!(refused.contains("tlb_dynamic_lb") && refused.contains("balance-xor"), "{refused}");
    let still = options("mode=5 tlb_dynamic_lb=0 rebalance_interval=5000").warnings();
    assert_eq!(
        still,
        ["bond option rebalance_interval: it is stored, but with tlb_dynamic_lb=0 no buckets move by load"]
    );
}
