//! What a trace says. That it agrees with what happens is in `properties.rs`.

use super::*;
use crate::storm::StormLimits;

fn told(trace: &Trace) -> Vec<String> {
    trace.steps.iter().map(Step::to_string).collect()
}

#[test]
fn a_frame_into_a_bond() {
    let plan = TransmitPlan::Buckets {
        hash: HashPolicy::Layer2,
        table: [DeviceId(1), DeviceId(2)].into(),
        loads: None,
    };
    let mut switch = Switch::with_bond(1, plan, [Admission::All; 2]);
    switch.fdb().learn(5, host(2), PortId(1), NOW);
    let bytes = frame(host(2), host(1));
    let trace = trace(&switch.tables, NOW, &tagged(0, &bytes, 0xa005));
    assert_eq!(
        told(&trace),
        [
            "received on device 0, which belongs to port 0",
            "02:00:00:00:00:01 to 02:00:00:00:00:02, tag 0x8100 VLAN 5 priority 5, type 0x88b5",
            "in VLAN 5",
            "let in: the port takes every frame",
            "would learn 02:00:00:00:00:01 in VLAN 5 behind port 0",
            "02:00:00:00:00:02 is behind port 1",
            "port 1: layer2 hash 34998 (0x000088b6), bucket 0 of 2: device 1",
            "leaves port 1 by device 1 with tag 0x8100 VLAN 5 priority 5 (46 octets, MTU 1500)",
        ]
    );
    assert_eq!((trace.hash, trace.vlan), (Some(0x88b6), Some(5)));
    assert_eq!(trace.result, switch.send(&tagged(0, &bytes, 0xa005)));
}

#[test]
fn a_frame_for_lacp() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    switch.device(0).slow_protocols = true;
    let mut bytes = frame(MacAddr::SLOW_PROTOCOLS, host(1));
    bytes[12..14].copy_from_slice(&[0x88, 0x09]);
    let trace = trace(&switch.tables, NOW, &untagged(0, &bytes));
    assert_eq!(
        told(&trace)[1..],
        [
            "02:00:00:00:00:01 to 01:80:c2:00:00:02, untagged, type 0x8809",
            "of the Slow Protocols: for the bond's LACP, which hears it by a socket of its own, and for no port",
            "dropped: slow_protocol",
        ]
    );
    assert_eq!(trace.result, Err(DropReason::SlowProtocol));
}

#[test]
fn a_flood_and_its_lost_copies() {
    let mut switch = Switch::new(&[TRUNK, TRUNK, TRUNK, TRUNK]);
    switch.device(1).mtu = 40;
    switch.port(2).transmit = TransmitPlan::Drop(DropReason::NoMember);
    let bytes = frame(MacAddr::BROADCAST, host(1));
    let trace = trace(&switch.tables, NOW, &untagged(0, &bytes));
    assert_eq!(
        told(&trace)[5..],
        [
            "ff:ff:ff:ff:ff:ff is everybody",
            "flooded to the 3 other ports of the VLAN",
            "46 octets are more than the MTU of device 1, 40",
            "no copy to port 1: mtu_exceeded",
            "no copy to port 2: no_member",
            "leaves port 3 by device 3 untagged (46 octets, MTU 1500)",
        ]
    );
    assert_eq!((trace.result, trace.hash), (Ok(vec![output(3, None)]), None));
}

#[test]
fn drops_end_with_their_reason() {
    let switch = Switch::new(&[VlanPolicy::Access(3), TRUNK]);
    let bytes = frame(host(2), host(1));
    for (ingress, steps, reason, vlan) in [
        (untagged(9, &bytes), 1, DropReason::NoPort, None),
        (untagged(0, &bytes[..9]), 2, DropReason::Runt, None),
        (tagged(0, &bytes, 4), 3, DropReason::VlanNotAllowed, None),
        (tagged(1, &bytes, 7), 8, DropReason::NoEgress, Some(7)),
    ] {
        let trace = trace(&switch.tables, NOW, &ingress);
        assert_eq!((trace.result, trace.vlan, trace.steps.len()), (Err(reason), vlan, steps));
        assert_eq!(trace.steps.last(), Some(&Step::Dropped(reason)));
    }
}

#[test]
fn a_trace_takes_nothing_and_leaves_nothing() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    let limits = StormLimits { broadcast: Some(1), ..StormLimits::default() };
    switch.port(0).storm = Some(Arc::new(Storm::new(limits)));
    let bytes = frame(MacAddr::BROADCAST, host(1));
    let before = switch.fdb().stats();
    for _ in 0..3 {
        assert!(trace(&switch.tables, NOW, &untagged(0, &bytes)).result.is_ok());
    }
    assert_eq!((switch.fdb().stats(), switch.fdb().entries(NOW)), (before, vec![]));
    assert!(switch.send(&untagged(0, &bytes)).is_ok());
    assert_eq!(trace(&switch.tables, NOW, &untagged(0, &bytes)).result, Err(DropReason::StormBroadcast));
}

#[test]
fn names_are_used_where_they_are_known() {
    struct Called;
    impl Names for Called {
        fn port(&self, id: PortId) -> String {
            ["tap0", "bond0"][usize::from(id.0)].into()
        }
        fn device(&self, id: DeviceId) -> String {
            ["tap0", "eth1", "eth2"][usize::from(id.0)].into()
        }
    }
    let switch = Switch::with_bond(1, TransmitPlan::One(DeviceId(2)), [Admission::All; 2]);
    let bytes = frame(host(2), host(1));
    let there = trace(&switch.tables, NOW, &untagged(0, &bytes));
    let back = trace(&switch.tables, NOW, &untagged(1, &bytes));
    let last = |trace: &Trace| trace.steps.last().unwrap().named(&Called);
    assert_eq!(last(&there), "leaves bond0 by eth2 untagged (46 octets, MTU 1500)");
    assert_eq!(last(&back), "leaves tap0 untagged (46 octets, MTU 1500)");
}
