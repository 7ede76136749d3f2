use super::*;

const STATES: [State; 4] = [State::NoPeriodic, State::FastPeriodic, State::SlowPeriodic, State::PeriodicTx];

/// The arcs of the state diagram (6.4.13), global ones first.
type Arc = (Option<State>, fn(Conditions) -> bool, State);
const ARCS: &[Arc] = &[
    (None, |c| c.begin, State::NoPeriodic),
    (None, |c| !c.lacp_enabled, State::NoPeriodic),
    (None, |c| !c.port_enabled, State::NoPeriodic),
    (None, |c| !c.actor_active && !c.partner_active, State::NoPeriodic),
    (Some(State::NoPeriodic), |_| true, State::FastPeriodic),
    (Some(State::FastPeriodic), |c| c.expired, State::PeriodicTx),
    (Some(State::FastPeriodic), |c| !c.partner_short, State::SlowPeriodic),
    (Some(State::SlowPeriodic), |c| c.expired, State::PeriodicTx),
    (Some(State::SlowPeriodic), |c| c.partner_short, State::PeriodicTx),
    (Some(State::PeriodicTx), |c| c.partner_short, State::FastPeriodic),
    (Some(State::PeriodicTx), |c| !c.partner_short, State::SlowPeriodic),
];

#[test]
fn every_transition() {
    let mut seen = std::collections::HashSet::new();
    for state in STATES {
        for bits in 0..128u8 {
            let bit = |n: u8| bits >> n & 1 == 1;
            let c = Conditions {
                begin: bit(0),
                port_enabled: bit(1),
                lacp_enabled: bit(2),
                actor_active: bit(3),
                partner_active: bit(4),
                partner_short: bit(5),
                expired: bit(6),
            };
            let arc =
                ARCS.iter().position(|(from, when, _)| from.is_none_or(|from| from == state) && when(c));
            let expected = arc.map(|arc| ARCS[arc].2).filter(|to| *to != state);
            assert_eq!(next(state, c), expected, "{state:?} {c:?}");
            seen.extend(arc);
        }
    }
    assert_eq!(seen.len(), ARCS.len(), "an arc was never taken");
}
