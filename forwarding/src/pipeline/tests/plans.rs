//! Plans that use several members at once.

use super::*;
use crate::bucket_loads::BucketLoads;

fn ids(devices: &[u16]) -> Arc<[DeviceId]> {
    devices.iter().map(|device| DeviceId(*device)).collect()
}

fn round_robin(members: &[u16], per_member: u32) -> TransmitPlan {
    TransmitPlan::RoundRobin { members: ids(members), per_member, turn: Arc::default() }
}

fn all(members: &[u16]) -> TransmitPlan {
    TransmitPlan::All { members: ids(members) }
}

/// Two plain ports, 0 and 1, and a bond with the devices 2 and 3, behind which [`host`] 9 is known.
fn switch(plan: TransmitPlan) -> Switch {
    let switch = Switch::with_bond(2, plan, [Admission::AllButReflected; 2]);
    switch.fdb().learn(0, host(9), PortId(2), NOW);
    switch
}

/// An IPv4 packet of a protocol.
fn packet(dst: MacAddr, protocol: u8) -> Vec<u8> {
    let mut bytes = [dst.0, host(1).0].concat();
    bytes.extend([0x08, 0x00, 0x45, 0, 0, 28, 0, 0, 0, 0, 1, protocol]);
    bytes.resize(60, 0);
    bytes
}

fn devices(sent: Result<Vec<Output>, DropReason>) -> Vec<u16> {
    sent.unwrap().iter().map(|output| output.device.0).collect()
}

/// Of what leaves by a bucket its octets are counted, with the tags; of what does not, and of a trace, nothing.
#[test]
fn octets_are_counted_by_bucket() {
    let loads = Arc::new(BucketLoads::new());
    let (table, counters) = (ids(&[2, 3, 3, 2]), Some(Arc::clone(&loads)));
    let mut switch = switch(TransmitPlan::Buckets { hash: HashPolicy::Layer2, table, loads: counters });
    let read = || loads.read()[..5].to_vec();
    let bytes = frame(host(9), host(1));
    trace(&switch.tables, NOW, &untagged(0, &bytes));
    assert_eq!(read(), [0; 5]);
    // Layer 2 hashes 0xb5 (the type) with the last octets of both addresses: bucket 1 for 9 and 1, and 0 for 9 and 0.
    assert_eq!(switch.path(0, host(9), host(1)), Ok(vec![3]));
    assert_eq!(read(), [0, 60, 0, 0, 0]);
    assert_eq!(switch.path(0, host(9), host(0)), Ok(vec![2]));
    assert_eq!(read(), [60, 60, 0, 0, 0]);
    switch.fdb().learn(5, host(9), PortId(2), NOW);
    assert_eq!(devices(switch.send(&tagged(0, &bytes, 5))), [3]);
    assert_eq!(read(), [60, 124, 0, 0, 0], "with its tag");
    switch.port(0).vlan = VlanPolicy::Dot1qTunnel { vlan: 5, cvlans: None };
    assert_eq!(devices(switch.send(&tagged(0, &bytes, 7))).len(), 1);
    let tunnelled: u64 = read().iter().sum::<u64>() - 184;
    assert_eq!(tunnelled, 68, "with both its tags");
    switch.port(0).vlan = TRUNK;
    // A flood has a copy for the bond, in bucket 3.
    let before = read();
    assert_eq!(switch.path(0, MacAddr::BROADCAST, host(1)), Ok(vec![1, 2]));
    assert_eq!(read(), [before[0], before[1], before[2], before[3] + 60, 0]);
    let before = read();
    switch.device(3).mtu = 40;
    assert_eq!(switch.path(0, host(9), host(1)), Err(DropReason::MtuExceeded));
    assert_eq!(switch.path(2, host(1), host(7)), Ok(vec![0]), "in by the bond");
    assert_eq!(read(), before);
}

#[test]
fn frames_take_turns() {
    for (per_member, expected) in [(1, [2, 3, 2, 3, 2, 3, 2, 3]), (3, [2, 2, 2, 3, 3, 3, 2, 2])] {
        let mut switch = switch(round_robin(&[2, 3], per_member));
        let left: Vec<u16> = (0..8).map(|_| switch.path(0, host(9), host(1)).unwrap()[0]).collect();
        assert_eq!(left, expected, "{per_member} by one member");
    }
}

#[test]
fn a_turn_is_taken_only_by_frames_that_get_as_far_as_the_bond() {
    let mut switch = switch(round_robin(&[2, 3], 1));
    assert_eq!(switch.path(0, host(9), host(1)), Ok(vec![2]));
    assert_eq!(switch.path(1, host(1), host(8)), Ok(vec![0]));
    assert_eq!(switch.path(2, host(1), host(7)), Ok(vec![0]), "in by the bond");
    assert_eq!(switch.path(0, host(9), MacAddr::ZERO), Err(DropReason::InvalidSource));
    assert_eq!(switch.path(0, MacAddr::BROADCAST, host(1)), Ok(vec![1, 3]), "a flood takes one");
    assert_eq!(switch.path(0, host(9), host(1)), Ok(vec![2]));
}

#[test]
fn igmp_goes_by_the_first_member_and_takes_no_turn() {
    let mut switch = switch(round_robin(&[3, 2], 1));
    let (group, udp, igmp) = (MacAddr([1, 0, 0x5e, 0, 0, 22]), 17, 2);
    for _ in 0..5 {
        assert_eq!(devices(switch.send(&untagged(0, &packet(group, igmp)))), [1, 3]);
        assert_eq!(devices(switch.send(&tagged(0, &packet(group, igmp), 0xa007))), [1, 3], "behind a tag");
    }
    for member in [3, 2, 3, 2] {
        assert_eq!(devices(switch.send(&untagged(0, &packet(group, udp)))), [1, member]);
    }
    // In a tag of the octets nobody looks, as in Linux.
    let mut within = packet(group, igmp);
    within.splice(12..12, [0x81, 0x00, 0, 5]);
    assert_eq!(devices(switch.send(&tagged(0, &within, 7))), [1, 3]);
    assert_eq!(devices(switch.send(&tagged(0, &within, 7))), [1, 2]);
}

#[test]
fn a_bond_that_sends_by_all_makes_a_copy_for_each_member() {
    let mut switch = switch(all(&[2, 3]));
    assert_eq!(switch.path(0, host(9), host(1)), Ok(vec![2, 3]));
    assert_eq!(switch.path(0, MacAddr::BROADCAST, host(1)), Ok(vec![1, 2, 3]));
    let bytes = frame(host(9), host(1));
    switch.fdb().learn(7, host(9), PortId(2), NOW);
    assert_eq!(
        switch.send(&tagged(0, &bytes, 0xa007)),
        Ok(vec![output(2, Some(0xa007)), output(3, Some(0xa007))])
    );
}

#[test]
fn copies_that_cannot_leave_are_listed_and_the_others_leave() {
    let mut switch = switch(all(&[2, 3]));
    switch.device(2).mtu = 45;
    assert_eq!(switch.path(0, host(9), host(1)), Ok(vec![3]));
    assert_eq!(switch.egress.dropped, [DropReason::MtuExceeded]);
    assert_eq!(switch.path(0, MacAddr::BROADCAST, host(1)), Ok(vec![1, 3]));
    assert_eq!(switch.egress.dropped, [DropReason::MtuExceeded]);
    switch.tables.devices[3] = None;
    assert_eq!(switch.path(0, host(9), host(1)), Err(DropReason::MtuExceeded), "the first reason");
    assert_eq!(switch.egress.dropped, []);
    assert_eq!(switch.path(0, MacAddr::BROADCAST, host(1)), Ok(vec![1]));
    assert_eq!(switch.egress.dropped, [DropReason::MtuExceeded], "one for the port");
}

#[test]
fn without_members_nothing_leaves() {
    for plan in [round_robin(&[], 1), round_robin(&[], 0), all(&[])] {
        let mut switch = switch(plan);
        assert_eq!(switch.path(0, host(9), host(1)), Err(DropReason::NoMember));
        assert_eq!(switch.path(0, MacAddr::BROADCAST, host(1)), Ok(vec![1]));
        assert_eq!(switch.egress.dropped, [DropReason::NoMember]);
    }
}

#[test]
fn a_trace_tells_the_next_turn_and_leaves_it() {
    let mut switch = switch(round_robin(&[2, 3], 3));
    for _ in 0..4 {
        switch.path(0, host(9), host(1)).unwrap();
    }
    let bytes = frame(host(9), host(1));
    for _ in 0..5 {
        let trace = trace(&switch.tables, NOW, &untagged(0, &bytes));
        let told: Vec<_> = trace.steps[6..].iter().map(Step::to_string).collect();
        assert_eq!(
            told,
            [
                "port 2: 3 frames each in turn, frame 4, member 2 of 2: device 3",
                "leaves port 2 by device 3 untagged (46 octets, MTU 1500)"
            ]
        );
        assert_eq!((trace.result, trace.hash), (Ok(vec![output(3, None)]), None));
    }
    let said = |plan: TransmitPlan, bytes: &[u8]| {
        let switch = self::switch(plan);
        trace(&switch.tables, NOW, &untagged(0, bytes)).steps[6].to_string()
    };
    let lot = said(round_robin(&[2], 0), &bytes);
    assert_eq!(lot, "port 2: a member for each by lot, frame 0, member 1 of 1: device 2");
    let one = said(round_robin(&[3, 2], 1), &bytes);
    assert_eq!(one, "port 2: a frame each in turn, frame 0, member 1 of 2: device 3");
    let igmp = said(round_robin(&[3, 2], 1), &packet(host(9), 2));
    assert_eq!(igmp, "port 2: IGMP takes no turn and goes by the first member: device 3");
}

#[test]
fn a_trace_tells_of_each_member() {
    let mut switch = switch(all(&[2, 3]));
    switch.device(2).mtu = 40;
    let trace = trace(&switch.tables, NOW, &untagged(0, &frame(host(9), host(1))));
    let told: Vec<_> = trace.steps[6..].iter().map(Step::to_string).collect();
    assert_eq!(
        told,
        [
            "port 2: a copy by each of 2 members",
            "46 octets are more than the MTU of device 2, 40",
            "no copy by device 2: mtu_exceeded",
            "leaves port 2 by device 3 untagged (46 octets, MTU 1500)",
        ]
    );
}

#[test]
fn plans_are_the_same_whatever_turn_it_is() {
    let (one, other) = (round_robin(&[2, 3], 1), round_robin(&[2, 3], 1));
    switch(one.clone()).path(0, host(9), host(1)).unwrap();
    assert_eq!(one, other);
    assert_ne!(one, round_robin(&[2, 3], 2));
    assert_ne!(one, round_robin(&[3, 2], 1));
}
