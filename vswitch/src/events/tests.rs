use bond_port::{ActiveCause, LinkState};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn moment(seconds: u64, millis: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis)
}

fn on_the_wire(kind: EventKind) -> Value {
    let event = Event::new(Duration::from_micros(12_345_678), moment(1_000_000_000, 7), kind);
    let value = serde_json::to_value(&event).unwrap();
    assert_eq!(serde_json::from_value::<Event>(value.clone()).unwrap(), event);
    assert!(!serde_json::to_string(&event).unwrap().contains('\n'));
    value
}

#[test]
fn every_kind_as_json() {
    let text = str::to_owned;
    for (kind, expected) in [
        (
            EventKind::Link {
                device: text("eth1"),
                port: text("bond0"),
                present: true,
                admin_up: true,
                carrier: false,
            },
            json!({"type": "link", "device": "eth1", "port": "bond0", "present": true, "admin_up": true, "carrier": false}),
        ),
        (
            EventKind::MacMoved {
                bridge: text("br0"),
                vlan: 10,
                mac: "02:00:00:00:00:0a".parse().unwrap(),
                from: text("tap0"),
                to: text("bond0"),
            },
            json!({"type": "mac_moved", "bridge": "br0", "vlan": 10, "mac": "02:00:00:00:00:0a", "from": "tap0", "to": "bond0"}),
        ),
        (
            EventKind::ClaimRefused {
                bridge: text("br0"),
                vlan: 0,
                ip: "192.0.2.1".parse().unwrap(),
                mac: "02:00:00:00:00:0a".parse().unwrap(),
                port: text("tap1"),
                owner: "02:00:00:00:00:0b".parse().unwrap(),
                owner_port: text("tap0"),
            },
            json!({"type": "claim_refused", "bridge": "br0", "vlan": 0, "ip": "192.0.2.1", "mac": "02:00:00:00:00:0a", "port": "tap1", "owner": "02:00:00:00:00:0b", "owner_port": "tap0"}),
        ),
        (
            EventKind::MemberDisabled { bond: text("bond0"), member: text("eth1"), disabled: true },
            json!({"type": "member_disabled", "bond": "bond0", "member": "eth1", "disabled": true}),
        ),
        (
            EventKind::Warning { bond: Some(text("bond0")), device: None, text: text("no") },
            json!({"type": "warning", "bond": "bond0", "device": null, "text": "no"}),
        ),
        (EventKind::Config { commands: 3 }, json!({"type": "config", "commands": 3})),
        (
            EventKind::Announce { bond: text("bond0"), member: text("eth2"), macs: 8000 },
            json!({"type": "announce", "bond": "bond0", "member": "eth2", "macs": 8000}),
        ),
    ] {
        let mut expected = expected;
        expected["time"] = "2001-09-09T01:46:40.007Z".into();
        expected["monotonic_ms"] = 12_345.into();
        assert_eq!(on_the_wire(kind), expected);
    }
}

#[test]
fn events_of_bonds() {
    let member = BondEvent::MemberLink {
        member: "eth1".to_owned(),
        device: None,
        from: LinkState::Up,
        to: LinkState::GoingDown,
        delay: Duration::from_millis(200),
        speed_mbps: Some(10_000),
        full_duplex: None,
    };
    let active =
        BondEvent::ActiveChanged { old: Some("eth1".to_owned()), new: None, cause: ActiveCause::MemberDown };
    for (event, expected) in [
        (
            member,
            json!({"type": "member", "bond": "b", "member": "eth1", "from": "up", "to": "going down", "delay_ms": 200,
                "speed": 10_000, "full_duplex": null}),
        ),
        (active, json!({"type": "active", "bond": "b", "old": "eth1", "new": null, "cause": "member_down"})),
        (
            BondEvent::Probed {
                member: "eth1".to_owned(),
                alive: false,
                silent: Some(Duration::from_millis(290)),
            },
            json!({"type": "probe", "bond": "b", "member": "eth1", "alive": false, "silent_ms": 290}),
        ),
        (
            BondEvent::Target { target: [192, 0, 2, 1].into(), answers: false },
            json!({"type": "target", "bond": "b", "target": "192.0.2.1", "answers": false}),
        ),
        (
            BondEvent::Damped {
                member: "eth1".to_owned(),
                held: Some(Duration::from_secs(60)),
                needed: false,
            },
            json!({"type": "damped", "bond": "b", "member": "eth1", "held": true, "held_ms": 60_000}),
        ),
        (BondEvent::CarrierChanged(false), json!({"type": "carrier", "bond": "b", "up": false})),
    ] {
        let mut value = on_the_wire(EventKind::of_bond("b", &event).unwrap());
        for common in ["time", "monotonic_ms"] {
            value.as_object_mut().unwrap().remove(common).unwrap();
        }
        assert_eq!(value, expected);
    }
    let announce = BondEvent::Announce { member: forwarding::ids::DeviceId(1), buckets: None };
    assert_eq!(EventKind::of_bond("b", &announce), None);
}

#[test]
fn events_of_lacp() {
    use lacp::{AggregatorId, Event, NoCarrier, PortId, mux, selection::Reason};
    let port = PortId(0);
    let mux = Event::Mux { port, from: mux::State::Attached, to: mux::State::CollectingDistributing };
    let active =
        Event::Active { from: Some(AggregatorId(1)), to: Some((AggregatorId(2), Reason::Bandwidth)) };
    let carrier = Event::Carrier { down: Some(NoCarrier::NoLink) };
    for (member, event, expected) in [
        (
            Some("eth1"),
            mux,
            json!({"type": "lacp", "bond": "b", "member": "eth1", "what": "mux", "from": "ATTACHED",
                "to": "COLLECTING_DISTRIBUTING", "text": "LACP mux: ATTACHED -> COLLECTING_DISTRIBUTING"}),
        ),
        (
            Some("eth1"),
            Event::Loopback { port },
            json!({"type": "lacp", "bond": "b", "member": "eth1", "what": "loopback", "from": null, "to": null,
                "text": Event::Loopback { port }.to_string()}),
        ),
        (
            None,
            active,
            json!({"type": "lacp", "bond": "b", "member": null, "what": "active", "from": "1", "to": "2",
                "text": "aggregator 2 is active: it has more bandwidth"}),
        ),
        (
            None,
            carrier,
            json!({"type": "lacp", "bond": "b", "member": null, "what": "carrier", "from": "up", "to": "down",
                "text": "carrier down: no member's link is up"}),
        ),
    ] {
        let event = BondEvent::Lacp { member: member.map(str::to_owned), event };
        let mut value = on_the_wire(EventKind::of_bond("b", &event).unwrap());
        for common in ["time", "monotonic_ms"] {
            value.as_object_mut().unwrap().remove(common).unwrap();
        }
        assert_eq!(value, expected);
    }
}

#[test]
fn known_dates() {
    // Seconds from `date -u -d ... +%s`.
    for (seconds, expected) in [
        (0, "1970-01-01T00:00:00.000Z"),
        (951_782_400, "2000-02-29T00:00:00.000Z"),
        (1_709_251_199, "2024-02-29T23:59:59.000Z"),
        (1_735_689_599, "2024-12-31T23:59:59.000Z"),
        (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        (13_574_563_200, "2400-02-29T00:00:00.000Z"),
    ] {
        assert_eq!(rfc3339(moment(seconds, 0)), expected);
    }
    assert_eq!(rfc3339(UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00.000Z");
}

proptest! {
    #[test]
    fn each_day_follows_the_one_before(days in 0..1_000_000_u64) {
        let ((year, month, day), next) = (date(days), date(days + 1));
        let follows = [(year, month, day + 1), (year, month + 1, 1), (year + 1, 1, 1)];
        prop_assert!(follows.contains(&next), "{next:?} after {:?}", (year, month, day));
        prop_assert!(next != (year + 1, 1, 1) || (month, day) == (12, 31));
        prop_assert!((1..=12).contains(&month) && (1..=31).contains(&day));
    }
}
