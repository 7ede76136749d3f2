//! Learning limits, locked ports, storm control.

use super::*;
use crate::storm::StormLimits;

const MULTICAST: MacAddr = MacAddr([1, 0, 0x5e, 0, 0, 1]);

#[test]
fn a_limit_stops_learning_and_not_forwarding() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    switch.port(0).learning.limit = Some(2);
    for n in 1..5 {
        assert_eq!(switch.path(0, host(9), host(n)), Ok(vec![1]));
    }
    assert_eq!(
        [1, 2, 3, 4].map(|n| switch.fdb().lookup(0, host(n), NOW)),
        [Some(PortId(0)), Some(PortId(0)), None, None]
    );
    assert_eq!(switch.fdb().stats().refused, 2);
    assert_eq!(switch.path(0, host(9), host(1)), Ok(vec![1]));
}

#[test]
fn a_locked_port_with_a_limit_takes_the_first_that_come() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    switch.port(0).learning = Learning { limit: Some(1), locked: true };
    assert_eq!(switch.path(0, host(9), host(1)), Ok(vec![1]));
    assert_eq!(switch.path(0, host(9), host(2)), Err(DropReason::PortLocked));
    assert_eq!(switch.path(0, host(9), host(1)), Ok(vec![1]));
    assert!(switch.fdb().add_static(0, host(2), PortId(0)));
    assert_eq!(switch.path(0, host(9), host(2)), Ok(vec![1]));
}

#[test]
fn a_locked_port_without_a_limit_learns_nothing() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    assert!(switch.path(0, host(9), host(1)).is_ok());
    switch.fdb().learn(0, host(3), PortId(1), NOW);
    switch.port(0).learning.locked = true;
    for stranger in [2, 3] {
        assert_eq!(switch.path(0, host(9), host(stranger)), Err(DropReason::PortLocked), "{stranger}");
    }
    assert_eq!(switch.fdb().lookup(0, host(3), NOW), Some(PortId(1)), "not moved");
    assert_eq!(switch.path(0, host(9), host(1)), Ok(vec![1]), "known before");
    assert!(switch.fdb().add_static(0, host(1), PortId(1)));
    assert_eq!(switch.path(0, host(9), host(1)), Err(DropReason::PortLocked));
}

#[test]
fn each_kind_of_flood_has_its_limit() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    let limits = StormLimits { broadcast: Some(2), unknown: Some(1), multicast: Some(0) };
    switch.port(0).storm = Some(Arc::new(Storm::new(limits)));
    let kinds = [
        (MacAddr::BROADCAST, 2, DropReason::StormBroadcast),
        (host(9), 1, DropReason::StormUnknown),
        (MULTICAST, 0, DropReason::StormMulticast),
    ];
    for second in 0..3 {
        switch.now = Tick(NOW.0 + second);
        for (dst, limit, reason) in kinds {
            (0..limit).for_each(|_| assert_eq!(switch.path(0, dst, host(1)), Ok(vec![1])));
            assert_eq!(switch.path(0, dst, host(1)), Err(reason));
            assert_eq!(switch.path(1, dst, host(2)), Ok(vec![0]), "another port");
        }
        assert_eq!(switch.path(0, host(2), host(1)), Ok(vec![1]), "known unicast has no limit");
    }
}

#[test]
fn a_storm_of_arp_does_not_reach_the_control_thread() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    switch.port(0).snoop = true;
    let limits = StormLimits { broadcast: Some(1), ..StormLimits::default() };
    switch.port(0).storm = Some(Arc::new(Storm::new(limits)));
    let bytes = crate::announce::garp(host(1), [192, 0, 2, 1]);
    assert!(switch.send(&untagged(0, &bytes)).is_ok() && switch.egress.punt.is_some());
    assert_eq!(switch.send(&untagged(0, &bytes)), Err(DropReason::StormBroadcast));
    assert_eq!(switch.egress.punt, None);
}
