use super::*;
use crate::port::{AggregatorId, PortId};
use crate::{Duplex, Link, Options, PortOptions};

const STATES: [State; 6] = [
    State::Initialize,
    State::PortDisabled,
    State::LacpDisabled,
    State::Expired,
    State::Defaulted,
    State::Current,
];

/// The arcs of the state diagram (6.4.12), global ones first: from (`None`: anywhere), when, to.
type Arc = (Option<State>, fn(Conditions) -> bool, State);
const ARCS: &[Arc] = &[
    (None, |c| c.begin, State::Initialize),
    (Some(State::Initialize), |_| true, State::PortDisabled),
    (Some(State::PortDisabled), |c| c.port_moved, State::Initialize),
    (Some(State::PortDisabled), |c| c.port_enabled && c.lacp_enabled, State::Expired),
    (Some(State::PortDisabled), |c| c.port_enabled && !c.lacp_enabled, State::LacpDisabled),
    (Some(State::PortDisabled), |_| true, State::PortDisabled),
    (None, |c| !c.port_enabled && !c.port_moved, State::PortDisabled),
    (Some(State::LacpDisabled), |c| c.lacp_enabled, State::PortDisabled),
    (Some(State::Expired), |c| c.lacpdu, State::Current),
    (Some(State::Expired), |c| c.expired, State::Defaulted),
    (Some(State::Defaulted), |c| c.lacpdu, State::Current),
    (Some(State::Current), |c| c.lacpdu, State::Current),
    (Some(State::Current), |c| c.expired, State::Expired),
];

#[test]
fn every_transition() {
    let mut seen = std::collections::HashSet::new();
    for state in STATES {
        for bits in 0..64u8 {
            let bit = |n: u8| bits >> n & 1 == 1;
            let c = Conditions {
                begin: bit(0),
                port_enabled: bit(1),
                port_moved: bit(2),
                lacp_enabled: bit(3),
                lacpdu: bit(4),
                expired: bit(5),
            };
            let arc =
                ARCS.iter().position(|(from, when, _)| from.is_none_or(|from| from == state) && when(c));
            let expected = arc.map(|arc| ARCS[arc].2);
            // To stay in PORT_DISABLED is no arc of the diagram; it is listed since it comes before the global one.
            let expected = expected.filter(|to| (state, *to) != (State::PortDisabled, State::PortDisabled));
            assert_eq!(next(state, c), expected, "{state:?} {c:?}");
            seen.extend(arc);
        }
    }
    assert_eq!(seen.len(), ARCS.len(), "an arc was never taken");
}

const T0: Duration = Duration::from_secs(100);
const SYSTEM: [u8; 6] = [2, 0, 0, 0, 0, 1];
const OTHER: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn port(fast: bool) -> Port {
    let mut port = Port::new(PortId(7), 1, AggregatorId(1), PortOptions::default());
    let lacp_rate = if fast { crate::LacpRate::Fast } else { crate::LacpRate::Slow };
    port.set_link(Link::up(1000, Duplex::Full));
    port.configure(SYSTEM, &Options { lacp_rate, ..Options::default() });
    step(&mut port, T0, None);
    port.begin = false;
    port.ntt = false;
    port
}

/// What a partner sends that knows us and is in sync.
fn heard(port: &Port) -> Lacpdu {
    let actor =
        PortInfo { system_priority: 1, system: OTHER, key: 9, port_priority: 2, port: 3, state: Flags(0x3d) };
    Lacpdu::new(actor, port.actor_oper)
}

#[test]
fn a_link_that_comes_up_asks_the_partner_to_hurry_for_3_s_and_then_defaults() {
    for fast in [false, true] {
        let mut port = port(fast);
        assert_eq!(port.receive.state, State::Expired);
        assert_eq!(port.actor_oper.state.0 & 0xc0, 0xc0);
        assert!(port.partner_oper.state.contains(Flags::TIMEOUT));
        assert!(!port.partner_oper.state.contains(Flags::SYNCHRONIZATION));
        assert!(!step(&mut port, T0 + Duration::from_millis(2999), None));
        assert!(step(&mut port, T0 + SHORT_TIMEOUT_TIME, None));
        assert_eq!(port.receive.state, State::Defaulted);
        assert_eq!(port.actor_oper.state.0 & 0xc0, 0x40);
        assert_eq!(port.partner_oper, port.partner_admin());
        assert_eq!(port.partner_oper.state.contains(Flags::TIMEOUT), fast, "sends every second if fast");
        assert_eq!((port.stats.expired, port.stats.defaulted), (0, 1));
        assert!(!step(&mut port, T0 + LONG_TIMEOUT_TIME, None));
    }
}

#[test]
fn the_timeout_is_the_one_that_we_ask_for() {
    for (fast, timeout) in [(false, LONG_TIMEOUT_TIME), (true, SHORT_TIMEOUT_TIME)] {
        let mut port = port(fast);
        let lacpdu = heard(&port);
        step(&mut port, T0, Some(&lacpdu));
        assert_eq!(port.receive.state, State::Current);
        assert_eq!(port.partner_oper, lacpdu.actor);
        assert_eq!(port.actor_oper.state.0 & 0xc0, 0);
        let again = T0 + timeout - Duration::from_millis(1);
        step(&mut port, again, Some(&lacpdu));
        assert!(!step(&mut port, again + timeout - Duration::from_millis(1), None), "each LACPDU counts");
        assert!(step(&mut port, again + timeout, None));
        assert_eq!((port.receive.state, port.stats.expired), (State::Expired, 1));
        assert_eq!(port.actor_oper.state.0 & 0xc0, 0x80, "the partner is not forgotten yet");
        assert_eq!(port.partner_oper.system, OTHER);
        port.selected = Selected::Selected;
        assert!(step(&mut port, again + timeout + SHORT_TIMEOUT_TIME, None));
        assert_eq!((port.receive.state, port.selected), (State::Defaulted, Selected::Unselected));
    }
}

#[test]
fn a_lacpdu_that_waited_in_the_socket_counts() {
    let mut port = port(true);
    let lacpdu = heard(&port);
    step(&mut port, T0, Some(&lacpdu));
    step(&mut port, T0 + Duration::from_secs(10), Some(&lacpdu));
    assert_eq!((port.receive.state, port.stats.expired), (State::Current, 0));
}

/// What a LACPDU says otherwise, and whether that matters.
type Change = (&'static str, fn(&mut PortInfo), bool);

#[test]
fn what_unselects_the_port() {
    let changes: [Change; 9] = [
        ("nothing", |_| {}, false),
        ("system", |i| i.system[5] = 9, true),
        ("system priority", |i| i.system_priority = 9, true),
        ("key", |i| i.key = 8, true),
        ("port", |i| i.port = 9, true),
        ("port priority", |i| i.port_priority = 9, true),
        ("aggregation", |i| i.state = i.state.without(Flags::AGGREGATION), true),
        ("synchronization", |i| i.state = i.state.without(Flags::SYNCHRONIZATION), false),
        ("all other flags", |i| i.state = Flags(i.state.0 ^ 0xfb), false),
    ];
    for (what, change, unselects) in changes {
        let mut port = port(true);
        let mut lacpdu = heard(&port);
        step(&mut port, T0, Some(&lacpdu));
        port.selected = Selected::Selected;
        change(&mut lacpdu.actor);
        step(&mut port, T0, Some(&lacpdu));
        assert_eq!(port.selected == Selected::Unselected, unselects, "{what}");
    }
}

#[test]
fn what_sets_ntt() {
    let changes: [Change; 10] = [
        ("nothing", |_| {}, false),
        ("system", |i| i.system[5] = 9, true),
        ("system priority", |i| i.system_priority = 9, true),
        ("key", |i| i.key = 8, true),
        ("port", |i| i.port = 9, true),
        ("port priority", |i| i.port_priority = 9, true),
        ("activity", |i| i.state = Flags(i.state.0 ^ 0x01), true),
        ("timeout", |i| i.state = Flags(i.state.0 ^ 0x02), true),
        ("aggregation or synchronization", |i| i.state = Flags(i.state.0 ^ 0x0c), true),
        ("collecting, distributing, defaulted, expired", |i| i.state = Flags(i.state.0 ^ 0xf0), false),
    ];
    for (what, change, ntt) in changes {
        let mut port = port(true);
        let mut lacpdu = heard(&port);
        change(&mut lacpdu.partner);
        step(&mut port, T0, Some(&lacpdu));
        assert_eq!(port.ntt, ntt, "{what}");
    }
}

#[test]
fn when_the_partner_is_in_sync() {
    let (sync, aggregation, active) = (Flags::SYNCHRONIZATION, Flags::AGGREGATION, Flags::ACTIVITY);
    for bits in 0..32u8 {
        let bit = |n: u8| bits >> n & 1 == 1;
        let (says_sync, aggregates, knows_us, they_active, we_active) =
            (bit(0), bit(1), bit(2), bit(3), bit(4));
        let mut port = port(true);
        port.set_actor(active, we_active);
        let mut lacpdu = heard(&port);
        let mut state = Flags(0);
        for (on, flag) in [(says_sync, sync), (aggregates, aggregation), (they_active, active)] {
            state = if on { state.with(flag) } else { state };
        }
        lacpdu.actor.state = state;
        lacpdu.partner.key ^= u16::from(!knows_us);
        step(&mut port, T0, Some(&lacpdu));
        let expected = says_sync && (knows_us || !aggregates) && (they_active || we_active);
        assert_eq!(port.partner_oper.state.contains(sync), expected, "{bits:#b}");
    }
}

#[test]
fn a_port_that_goes_down_remembers_its_partner_until_it_is_seen_elsewhere() {
    let mut port = port(true);
    let lacpdu = heard(&port);
    step(&mut port, T0, Some(&lacpdu));
    port.link.up = false;
    step(&mut port, T0, None);
    assert_eq!((port.receive.state, port.partner_oper.system), (State::PortDisabled, OTHER));
    assert!(!port.partner_oper.state.contains(Flags::SYNCHRONIZATION));
    port.port_moved = true;
    step(&mut port, T0, None);
    assert_eq!((port.receive.state, port.port_moved), (State::PortDisabled, false));
    assert_eq!(port.partner_oper.system, [0; 6]);
}

#[test]
fn half_duplex_speaks_no_lacp() {
    let mut port = Port::new(PortId(7), 1, AggregatorId(1), PortOptions::default());
    port.set_link(Link::up(100, Duplex::Half));
    port.configure(SYSTEM, &Options::default());
    step(&mut port, T0, None);
    assert_eq!(port.receive.state, State::LacpDisabled);
    assert_eq!(port.actor_oper.state.0 & 0xc4, 0x40);
    port.begin = false;
    let lacpdu = heard(&port);
    assert!(!step(&mut port, T0, Some(&lacpdu)));
}
