use super::*;
use crate::port::{AggregatorId, PortId};
use crate::{Duplex, Link, PortOptions};

fn at(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn port() -> Port {
    let mut port = Port::new(PortId(1), 1, AggregatorId(1), PortOptions::default());
    port.link = Link::up(1000, Duplex::Full);
    port.periodic.state = periodic::State::FastPeriodic;
    port.ntt = true;
    port
}

#[test]
fn three_in_any_second_and_the_fourth_is_not_lost() {
    let mut port = port();
    let mut sent = Vec::new();
    for ms in 0..5000 {
        port.ntt = true;
        step(&mut port);
        if poll(&mut port, at(ms * 10 + 7)).is_some() {
            sent.push(ms * 10 + 7);
        }
    }
    assert_eq!(sent[..7], [7, 17, 27, 1007, 1017, 1027, 2007]);
    for window in sent.windows(4) {
        assert!(window[3] - window[0] >= 1000, "{window:?}");
    }
    assert_eq!(port.stats.lacpdu_tx, sent.len() as u64);
}

#[test]
fn what_waits_is_sent_as_it_is_then() {
    let mut port = port();
    for _ in 0..3 {
        port.ntt = true;
        assert!(poll(&mut port, at(0)).is_some());
    }
    port.ntt = true;
    port.actor_oper.key = 1;
    assert_eq!((due(&port), poll(&mut port, at(999))), (Some(at(1000)), None));
    port.actor_oper.key = 2;
    assert_eq!(poll(&mut port, at(1000)).map(|lacpdu| lacpdu.actor.key), Some(2));
    assert_eq!((due(&port), poll(&mut port, at(5000))), (None, None));
}

#[test]
fn nothing_is_sent_where_nothing_may_be() {
    let both_passive = |port: &mut Port| port.periodic.state = periodic::State::NoPeriodic;
    let half_duplex = |port: &mut Port| port.link.duplex = Duplex::Half;
    let forbidding: [fn(&mut Port); 2] = [both_passive, half_duplex];
    for forbid in forbidding {
        let mut port = port();
        forbid(&mut port);
        step(&mut port);
        assert_eq!((port.ntt, poll(&mut port, at(0))), (false, None));
    }
    let mut port = port();
    port.held = true;
    assert_eq!((due(&port), poll(&mut port, at(0))), (None, None));
    port.held = false;
    assert!(poll(&mut port, at(0)).is_some());
}

/// NTT, what may forbid to send, and how many were sent in the last second: every combination.
#[test]
fn every_condition() {
    for bits in 0..64u8 {
        let bit = |n: u8| bits >> n & 1 == 1;
        let (ntt, silent, half, held, selected, waiting) = (bit(0), bit(1), bit(2), bit(3), bit(4), bit(5));
        for sent in 0..=LIMIT as u64 {
            let mut port = port();
            for n in 0..sent {
                port.ntt = true;
                assert!(poll(&mut port, at(1000 + 10 * n)).is_some());
            }
            port.ntt = ntt;
            port.held = held;
            if silent {
                port.periodic.state = periodic::State::NoPeriodic;
            }
            if half {
                port.link.duplex = Duplex::Half;
            }
            port.selected = if selected { Selected::Selected } else { Selected::Standby };
            if waiting {
                port.mux.state = mux::State::Waiting;
                port.mux.wait_while_timer.start(at(1500), crate::timer::AGGREGATE_WAIT_TIME);
            }
            step(&mut port);
            let wants = ntt && !silent && !half;
            assert_eq!(port.ntt, wants, "{bits:#b}");
            let full = if sent == 3 { 2000 } else { 0 };
            let hold = if selected && waiting { 1600 } else { 0 };
            let expected = (wants && !held).then_some(at(full.max(hold)));
            assert_eq!(due(&port), expected, "{bits:#b}, {sent} sent");
            for ms in [1550, 1599, 1600, 1999, 2000] {
                let mut port = port.clone();
                let due = expected.is_some_and(|due| due <= at(ms));
                assert_eq!(poll(&mut port, at(ms)).is_some(), due, "{bits:#b}, {sent} sent, at {ms} ms");
                assert_eq!(port.ntt, wants && !due, "what is not sent is not forgotten");
            }
        }
    }
}
