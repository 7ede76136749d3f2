use super::*;
use crate::port::{AggregatorId, PortId};
use crate::{Lacpdu, PortOptions};

const STATES: [State; 6] = [
    State::Detached,
    State::Waiting,
    State::Attached,
    State::Collecting,
    State::Distributing,
    State::CollectingDistributing,
];

type Arc = (Option<State>, fn(Conditions) -> bool, State);

fn selected(c: Conditions) -> bool {
    c.selected == Selected::Selected
}

fn dropped(c: Conditions) -> bool {
    c.selected != Selected::Selected || !c.partner_sync
}

/// The arcs that both state diagrams (6.4.15) share.
const COMMON: &[Arc] = &[
    (None, |c| c.begin, State::Detached),
    (Some(State::Detached), |c| c.selected == Selected::Selected, State::Waiting),
    (Some(State::Detached), |c| c.selected == Selected::Standby, State::Waiting),
    (Some(State::Waiting), |c| c.selected == Selected::Unselected, State::Detached),
    (Some(State::Waiting), |c| selected(c) && c.ready, State::Attached),
    (Some(State::Attached), |c| c.selected == Selected::Unselected, State::Detached),
    (Some(State::Attached), |c| c.selected == Selected::Standby, State::Detached),
];

/// Coupled control, and the ways out of the other diagram's states after `coupled_control` was turned on.
const COUPLED: &[Arc] = &[
    (Some(State::Attached), |c| selected(c) && c.partner_sync, State::CollectingDistributing),
    (Some(State::CollectingDistributing), dropped, State::Attached),
    (Some(State::Collecting), dropped, State::Attached),
    (Some(State::Collecting), |_| true, State::CollectingDistributing),
    (Some(State::Distributing), dropped, State::Collecting),
    (Some(State::Distributing), |_| true, State::CollectingDistributing),
];

/// Independent control, and the ways out of COLLECTING_DISTRIBUTING after `coupled_control` was turned off.
const INDEPENDENT: &[Arc] = &[
    (Some(State::Attached), |c| selected(c) && c.partner_sync, State::Collecting),
    (Some(State::Collecting), dropped, State::Attached),
    (Some(State::Collecting), |c| c.partner_collecting, State::Distributing),
    (Some(State::Distributing), dropped, State::Collecting),
    (Some(State::Distributing), |c| !c.partner_collecting, State::Collecting),
    (Some(State::CollectingDistributing), dropped, State::Attached),
    (Some(State::CollectingDistributing), |c| c.partner_collecting, State::Distributing),
    (Some(State::CollectingDistributing), |_| true, State::Collecting),
];

fn all_conditions() -> impl Iterator<Item = Conditions> {
    let values = [Selected::Unselected, Selected::Selected, Selected::Standby];
    values.into_iter().flat_map(|selected| {
        (0..32u8).map(move |bits| {
            let bit = |n: u8| bits >> n & 1 == 1;
            Conditions {
                begin: bit(0),
                coupled: bit(1),
                selected,
                ready: bit(2),
                partner_sync: bit(3),
                partner_collecting: bit(4),
            }
        })
    })
}

#[test]
fn every_transition() {
    let mut seen = std::collections::HashSet::new();
    for state in STATES {
        for c in all_conditions() {
            let arcs = COMMON.iter().chain(if c.coupled { COUPLED } else { INDEPENDENT });
            let taken =
                |(_, (from, when, _)): &(usize, &Arc)| from.is_none_or(|from| from == state) && when(c);
            let arc = arcs.enumerate().find(taken);
            let expected = arc.map(|(_, (.., to))| *to).filter(|to| *to != state);
            assert_eq!(next(state, c), expected, "{state:?} {c:?}");
            seen.extend(arc.map(|(index, _)| (c.coupled, index)));
        }
    }
    let arcs = 2 * COMMON.len() + COUPLED.len() + INDEPENDENT.len();
    assert_eq!(seen.len(), arcs, "an arc was never taken");
}

#[test]
fn it_always_comes_to_rest_and_only_opens_to_a_partner_in_sync() {
    for start in STATES {
        for c in all_conditions() {
            let (mut state, mut steps) = (start, 0);
            while let Some(to) = next(state, c) {
                (state, steps) = (to, steps + 1);
                assert!(steps < 6, "{start:?} {c:?} does not rest");
            }
            let in_sync = c.selected == Selected::Selected && c.partner_sync && !c.begin;
            assert!(in_sync || state.gates() == Gates::CLOSED, "{start:?} {c:?}");
            assert!(c.coupled || c.partner_collecting || !state.gates().distributing, "{start:?} {c:?}");
        }
    }
}

fn port() -> Port {
    let mut port = Port::new(PortId(1), 1, AggregatorId(1), PortOptions::default());
    port.begin = false;
    port
}

fn told(port: &mut Port) -> Option<Lacpdu> {
    std::mem::take(&mut port.ntt).then(|| Lacpdu::new(port.actor_oper, port.partner_oper))
}

#[test]
fn the_partner_is_told_after_the_tables_have_changed_and_not_before() {
    let (now, coupled) = (Duration::ZERO, true);
    let mut port = port();
    port.selected = Selected::Selected;
    step(&mut port, now, coupled, true);
    assert_eq!(told(&mut port).unwrap().actor.state, Flags::SYNCHRONIZATION);
    port.set_partner(Flags::SYNCHRONIZATION, true);
    step(&mut port, now, coupled, true);
    assert_eq!(port.mux.state, State::CollectingDistributing);
    assert_eq!((told(&mut port), port.unconfirmed()), (None, Some(Gates::OPEN)));
    assert!(!confirm(&mut port, Gates::CLOSED), "not what is wanted");
    assert!(confirm(&mut port, Gates::OPEN));
    assert_eq!(told(&mut port).unwrap().actor.state.0, 0x38);
    assert_eq!(port.unconfirmed(), None);
    assert!(confirm(&mut port, Gates::OPEN), "twice is no harm");
    assert_eq!(told(&mut port), None);

    port.set_partner(Flags::SYNCHRONIZATION, false);
    step(&mut port, now, coupled, true);
    assert_eq!(told(&mut port).unwrap().actor.state.0, 0x08, "taken back at once");
    assert_eq!(port.unconfirmed(), Some(Gates::CLOSED));
    port.set_partner(Flags::SYNCHRONIZATION, true);
    step(&mut port, now, coupled, true);
    assert_eq!(told(&mut port).unwrap().actor.state.0, 0x38, "the tables have not been changed meanwhile");
}

#[test]
fn independent_control_tells_collecting_first() {
    let (now, coupled) = (Duration::ZERO, false);
    let mut port = port();
    port.selected = Selected::Selected;
    port.set_partner(Flags::SYNCHRONIZATION, true);
    step(&mut port, now, coupled, true);
    let collecting = Gates { collecting: true, distributing: false };
    assert_eq!((port.mux.state, port.unconfirmed()), (State::Collecting, Some(collecting)));
    told(&mut port);
    assert!(confirm(&mut port, collecting));
    assert_eq!(told(&mut port).unwrap().actor.state.0, 0x18);
    port.set_partner(Flags::COLLECTING, true);
    step(&mut port, now, coupled, true);
    assert_eq!((port.mux.state, port.unconfirmed()), (State::Distributing, Some(Gates::OPEN)));
    assert!(confirm(&mut port, Gates::OPEN));
    assert_eq!((port.actor_oper.state.0, told(&mut port)), (0x38, None), "goes with the next one");
    port.set_partner(Flags::COLLECTING, false);
    step(&mut port, now, coupled, true);
    assert_eq!(port.actor_oper.state.0, 0x18);
    assert_eq!((told(&mut port).is_some(), port.unconfirmed()), (true, Some(collecting)));
}

#[test]
fn waiting_starts_the_timer() {
    let mut port = port();
    port.selected = Selected::Standby;
    step(&mut port, Duration::from_secs(5), true, true);
    assert_eq!(port.mux.state, State::Waiting, "standby does not attach");
    assert!(!port.mux.wait_while_timer.expired(Duration::from_millis(6999)));
    assert!(port.mux.wait_while_timer.expired(Duration::from_secs(7)));
    port.selected = Selected::Selected;
    step(&mut port, Duration::from_secs(5), true, false);
    assert_eq!(port.mux.state, State::Waiting);
    step(&mut port, Duration::from_secs(5), true, true);
    assert_eq!(port.mux.state, State::Attached);
}
