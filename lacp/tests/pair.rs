//! Two bonds that speak with each other, over good cables and bad ones.

mod sim;

use std::time::Duration;

use lacp::{Lacp, LacpRate, NoCarrier, Options, PortId, PortOptions, Snapshot, State};
use sim::{Sim, fast, good, ids, ms};

#[test]
fn they_agree_within_milliseconds_and_nobody_waits_2_s() {
    for rates in [[fast(), fast()], [Options::default(); 2], [fast(), Options::default()]] {
        for coupled in [[true, true], [false, false], [true, false]] {
            for active in [[true, true], [true, false], [false, true]] {
                let side = |side: usize| Options {
                    coupled_control: coupled[side],
                    lacp_active: active[side],
                    ..rates[side]
                };
                let mut sim = Sim::up([side(0), side(1)], good(3));
                let time = sim.time_until(&[0, 1, 2], ms(2000));
                assert!(time <= ms(10), "{time:?} {coupled:?} {active:?}");
                sim.run(Duration::from_secs(300));
                assert_eq!(sim.time_until(&[0, 1, 2], ms(1)), Duration::ZERO);
            }
        }
    }
}

#[test]
fn a_silent_cut_moves_traffic_within_3_s_and_healing_takes_3_s_at_most() {
    let mut sim = Sim::up([fast(), fast()], good(2));
    sim.time_until(&[0, 1], ms(100));
    for round in 0..10u64 {
        // Cuts and heals at any phase of the periodic timers.
        sim.run(ms(5000 + 137 * round));
        sim.cables[1].cut = [true, true];
        let cut = sim.time_until(&[0], ms(3100));
        assert!(cut >= ms(1900), "{cut:?}");
        sim.run(ms(10_000 + 71 * round));
        assert!(sim.status(0, PortId(1)).actor.state.contains(State::DEFAULTED));
        assert_eq!(sim.distributing(0), [0], "a silent port carries nothing beside one that works");
        sim.cables[1].cut = [false, false];
        sim.time_until(&[0, 1], ms(3000));
    }
}

/// The end that hears nothing stops after 3 s. The other learns it at once if it minds whether its partner collects;
/// with coupled control it does not (6.4.15), and learns it when the partner goes to DEFAULTED.
#[test]
fn a_cut_in_one_direction_stops_both() {
    for (coupled_control, limit) in [(false, 3100), (true, 6100)] {
        for direction in [[true, false], [false, true]] {
            let options = Options { coupled_control, ..fast() };
            let mut sim = Sim::up([options, options], good(2));
            sim.time_until(&[0, 1], ms(100));
            sim.run(ms(2500));
            sim.cables[1].cut = direction;
            sim.time_until(&[0], ms(limit));
            sim.run(ms(20_000));
            sim.cables[1].cut = [false, false];
            sim.time_until(&[0, 1], ms(3000));
        }
    }
}

#[test]
fn when_all_is_silent_one_port_carries_and_it_heals() {
    let mut sim = Sim::up([fast(), fast()], good(2));
    sim.time_until(&[0, 1], ms(100));
    for cable in &mut sim.cables {
        cable.cut = [true, true];
    }
    sim.run(ms(4000));
    assert_eq!(sim.sides[0].no_carrier(), Some(NoCarrier::Silent));
    sim.run(ms(10_000));
    assert_eq!((sim.distributing(0), sim.distributing(1)), (vec![0], vec![0]));
    for cable in &mut sim.cables {
        cable.cut = [false, false];
    }
    sim.time_until(&[0, 1], ms(3000));
}

#[test]
fn a_port_that_joins_a_bond_already_up_carries_at_once() {
    let mut sim = Sim::up([fast(), fast()], good(2));
    sim.link(0, PortId(1), false);
    sim.link(1, PortId(1), false);
    sim.run(ms(20_000));
    assert_eq!(sim.distributing(0), [0]);
    sim.link(0, PortId(1), true);
    sim.run(ms(200));
    sim.link(1, PortId(1), true);
    assert!(sim.time_until(&[0, 1], ms(1100)) <= ms(1100));
}

#[test]
fn two_bonds_that_both_keep_ports_in_reserve_keep_the_same() {
    for limits in [[2, 0], [0, 2], [2, 2], [1, 2], [2, 1], [1, 1]] {
        for prior in [[0, 1], [1, 0]] {
            let side = |side: usize| Options {
                max_links: limits[side],
                ad_actor_sys_prio: 100 + prior[side],
                ..fast()
            };
            let mut sim = Sim::new([side(0), side(1)], good(4), 1);
            // Each would keep others if it were asked alone.
            for (id, (a, b)) in ids(4).zip([(9, 1), (8, 2), (2, 8), (1, 9)]) {
                for (side, prio) in [(0, a), (1, b)] {
                    let options = PortOptions { actor_port_prio: prio, ..PortOptions::default() };
                    sim.sides[side].set_port_options(Duration::ZERO, id, options).unwrap();
                }
            }
            for id in ids(4) {
                sim.link(0, id, true);
                sim.link(1, id, true);
            }
            sim.run(ms(1000));
            let limit = limits.into_iter().filter(|limit| *limit > 0).min().unwrap() as usize;
            let (a, b) = (sim.distributing(0), sim.distributing(1));
            assert_eq!((&a, a.len()), (&b, limit), "{limits:?} {prior:?}");
            // Ports that the other side keeps in reserve are tried one after the other, a minute each by the side that
            // decides; that ends, and disturbs nothing.
            sim.run_watched(Duration::from_secs(400), |sim| {
                assert_eq!((sim.distributing(0), sim.distributing(1)), (a.clone(), b.clone()));
            });
            let before = sim.events.each_ref().map(Vec::len);
            sim.run(Duration::from_secs(100));
            assert_eq!(sim.events.each_ref().map(Vec::len), before, "{limits:?} {prior:?}: {:?}", sim.events);
        }
    }
}

#[test]
fn equal_priorities_and_crossed_numbers_still_end_in_agreement() {
    // The partner with precedence counts its ports the other way round, so the first choice differs.
    let side = |prio| Options { max_links: 1, ad_actor_sys_prio: prio, ..fast() };
    let mut sim = Sim::new([side(1), side(2)], good(3), 1);
    for id in ids(3) {
        let port_number = Some(100 - id.0 as u16);
        let options = PortOptions { port_number, ..PortOptions::default() };
        sim.sides[0].set_port_options(Duration::ZERO, id, options).unwrap();
    }
    for id in ids(3) {
        sim.link(0, id, true);
        sim.link(1, id, true);
    }
    sim.time_until(&[2], ms(4000));
    sim.run(ms(60_000));
    assert_eq!(sim.distributing(0), [2]);
}

/// The partner with precedence goes by port numbers, we by our priorities, and it does not tell: what it refuses is
/// passed over until they meet.
#[test]
fn a_port_that_the_partner_keeps_in_reserve_is_passed_over() {
    let side = |prio| Options { max_links: 1, ad_actor_sys_prio: prio, ..fast() };
    let mut sim = Sim::new([side(1), side(2)], good(3), 1);
    for id in ids(3) {
        let actor_port_prio = 9 - id.0 as u16;
        let options = PortOptions { actor_port_prio, ..PortOptions::default() };
        sim.sides[1].set_port_options(Duration::ZERO, id, options).unwrap();
        sim.link(0, id, true);
        sim.link(1, id, true);
    }
    sim.run(ms(1000));
    assert_eq!((sim.distributing(0), sim.distributing(1)), (vec![], vec![]));
    sim.time_until(&[0], ms(6000));
    let refused = &sim.sides[1].explain(sim.now).ports[2].reason;
    assert_eq!(refused, &lacp::PortReason::Standby { max_links: 1, refused: true });
    sim.run_watched(Duration::from_secs(100), |sim| {
        assert_eq!((sim.distributing(0), sim.distributing(1)), (vec![0], vec![0]));
    });
}

/// The partner speaks on the better port and never comes into sync there. It has nothing to say in the choice, so it
/// is given a minute; then the port in reserve carries.
#[test]
fn a_port_that_never_comes_into_sync_does_not_keep_the_reserve_from_carrying() {
    let side = |prio, max_links| Options { max_links, ad_actor_sys_prio: prio, ..fast() };
    let mut sim = Sim::new([side(1, 1), side(2, 0)], good(2), 1);
    for id in ids(2) {
        sim.link(0, id, true);
        sim.link(1, id, true);
    }
    sim.time_until(&[0], ms(100));
    // Side 0 is no longer heard there, so that side 1 comes out of sync, speaks, and goes on speaking.
    sim.cables[0].cut = [true, false];
    sim.run(ms(10_000));
    assert_eq!(sim.status(0, PortId(0)).receive.name(), "CURRENT");
    assert_eq!(sim.sides[0].no_carrier(), Some(NoCarrier::NotInSync));
    sim.time_until(&[1], ms(60_000));
    sim.run_watched(Duration::from_secs(200), |sim| assert_eq!(sim.distributing(0), [1]));
    sim.cables[0].cut = [false, false];
    sim.time_until(&[0], ms(3000));
}

#[test]
fn passive_ends_carry_by_one_port_and_say_nothing() {
    let passive = Options { lacp_active: false, ..fast() };
    let mut sim = Sim::up([passive, passive], good(2));
    sim.run(ms(100_000));
    assert!(sim.sent.iter().flatten().all(Vec::is_empty), "{:?}", sim.sent);
    assert_eq!((sim.distributing(0), sim.distributing(1)), (vec![0], vec![0]));
    sim.change(1, |options| options.lacp_active = true);
    sim.time_until(&[0, 1], ms(3000));
}

#[test]
fn options_change_while_frames_flow() {
    let mut sim = Sim::up([fast(), fast()], good(2));
    sim.time_until(&[0, 1], ms(100));
    sim.run(ms(3000));
    // These disturb nothing.
    let changes: [fn(&mut Options); 5] = [
        |o| o.lacp_rate = LacpRate::Slow,
        |o| o.coupled_control = false,
        |o| o.lacp_active = false,
        |o| o.lacp_strict = true,
        |o| o.coupled_control = true,
    ];
    for change in changes {
        sim.change(0, change);
        sim.run_watched(ms(40_000), |sim| {
            assert_eq!((sim.distributing(0), sim.distributing(1)), (vec![0, 1], vec![0, 1]));
        });
    }
    sim.change(0, |options| options.ad_user_port_key = 5);
    sim.time_until(&[0, 1], ms(1100));
    sim.change(1, |options| options.ad_actor_system = [2, 0, 0, 0, 0, 0xff]);
    sim.time_until(&[0, 1], ms(1100));
}

/// Replaces side 1 by a successor that begins after `elapsed`.
fn restart(sim: &mut Sim, elapsed: Duration) {
    let snapshot = sim.sides[1].snapshot(sim.now);
    successor(sim, &snapshot, elapsed);
}

/// The same with a snapshot that may be older.
fn successor(sim: &mut Sim, snapshot: &Snapshot, elapsed: Duration) {
    let options = *sim.sides[1].options();
    let count = sim.cables.len();
    // Nobody is there.
    let mut successor = Lacp::new([2, 0, 0, 0, 0, 0x0b], options);
    std::mem::swap(&mut successor, &mut sim.sides[1]);
    sim.run_watched_deaf(elapsed);
    for id in ids(count) {
        sim.sides[1].add_port(sim.now, id, PortOptions::default()).unwrap();
        sim.sides[1].handle_link(sim.now, id, lacp::Link::up(10_000, lacp::Duplex::Full));
    }
    assert_eq!(sim.sides[1].restore(sim.now, snapshot, elapsed).len(), count);
    let changing: Vec<PortId> = sim.sides[1].unconfirmed().map(|(id, _)| id).collect();
    while let Some((id, pdu)) = sim.sides[1].poll_transmit(sim.now) {
        assert!(!changing.contains(&id), "not before the tables are there");
        sim.send(1, id, &pdu);
    }
    sim.settle(1);
}

#[test]
fn an_orderly_restart_loses_no_port() {
    for options in [fast(), Options { coupled_control: false, ..fast() }, Options::default()] {
        let mut sim =
            Sim::up([Options { coupled_control: options.coupled_control, ..fast() }, options], good(2));
        sim.time_until(&[0, 1], ms(100));
        sim.run(ms(3000));
        for round in 0..10u64 {
            sim.run(ms(1500 + 173 * round));
            let sent = sim.sent[1].clone();
            let mut carries = true;
            restart(&mut sim, ms(100 + 40 * round));
            for id in ids(2) {
                let new = &sim.sent[1][id.0 as usize][sent[id.0 as usize].len()..];
                assert_eq!(new.len(), 1, "one LACPDU at once");
                assert_eq!(
                    new[0].1,
                    sent[id.0 as usize].last().unwrap().1,
                    "that says what the last one said"
                );
            }
            sim.run_watched(ms(10_000), |sim| {
                carries &= sim.distributing(0) == [0, 1] && sim.distributing(1) == [0, 1];
            });
            assert!(carries, "round {round}");
        }
        let defaulted = sim.sides[1].ports().map(|port| port.stats.defaulted).sum::<u64>();
        assert_eq!((defaulted, sim.status(0, PortId(0)).stats.expired), (0, 0));
    }
}

/// Side 1 dies and comes back with a snapshot that was saved at the last change, long ago.
#[test]
fn a_crash_loses_no_port_if_the_partner_is_heard_in_time() {
    // At the fast rate there is a second, at the slow one half a minute, wherever in its period the partner is.
    for (lacp_rate, alive, away) in [(LacpRate::Fast, 1000, 950), (LacpRate::Slow, 30_000, 29_900)] {
        for phase in 0..10u64 {
            let options = Options { lacp_rate, ..Options::default() };
            // The partner is slow to give us up, so it is all up to us.
            let mut sim = Sim::up([Options::default(), options], good(2));
            sim.time_until(&[0, 1], ms(100));
            sim.run(ms(500_000 + phase * alive / 10));
            let snapshot = sim.sides[1].snapshot(sim.now);
            sim.run(ms(200_000 + phase * 777));
            successor(&mut sim, &snapshot, ms(away));
            sim.run_watched(Duration::from_secs(100), |sim| {
                assert_eq!((sim.distributing(0), sim.distributing(1)), (vec![0, 1], vec![0, 1]));
            });
            assert_eq!(sim.status(1, PortId(0)).stats.expired, 0);
        }
    }
}

/// The successor was started with another `lacp_rate`.
#[test]
fn a_restart_may_change_the_rate() {
    for (before, after) in [(LacpRate::Fast, LacpRate::Slow), (LacpRate::Slow, LacpRate::Fast)] {
        let options = |lacp_rate| Options { lacp_rate, ..Options::default() };
        let mut sim = Sim::up([Options::default(), options(before)], good(2));
        sim.time_until(&[0, 1], ms(100));
        sim.run(ms(20_000));
        let snapshot = sim.sides[1].snapshot(sim.now);
        sim.sides[1].set_options(sim.now, options(after));
        successor(&mut sim, &snapshot, ms(500));
        sim.run_watched(Duration::from_secs(200), |sim| {
            assert_eq!((sim.distributing(0), sim.distributing(1)), (vec![0, 1], vec![0, 1]));
        });

        // Nobody speaks any more, and it restarts again, the other way round.
        for cable in &mut sim.cables {
            cable.cut = [true, true];
        }
        sim.run(ms(100_000));
        let snapshot = sim.sides[1].snapshot(sim.now);
        sim.sides[1].set_options(sim.now, options(before));
        successor(&mut sim, &snapshot, ms(500));
        assert_eq!(sim.distributing(1), [0]);
        let sent = sim.sent[1][0].len();
        sim.run(ms(30_500));
        let rate = if before.is_fast() { 30 } else { 1 };
        assert_eq!(sim.sent[1][0].len() - sent, rate, "{before:?}");
    }
}

#[test]
fn a_restart_that_takes_too_long_is_a_silent_partner() {
    let mut sim = Sim::up([fast(), fast()], good(1));
    sim.time_until(&[0], ms(100));
    sim.run(ms(5000));
    restart(&mut sim, ms(10_000));
    assert!(!sim.status(1, PortId(0)).confirmed.distributing);
    sim.time_until(&[0], ms(3000));
}

#[test]
fn a_fallback_port_goes_on_after_a_restart() {
    let mut sim = Sim::up([fast(), fast()], good(2));
    for cable in &mut sim.cables {
        cable.cut = [true, true];
    }
    sim.run(ms(10_000));
    assert_eq!(sim.distributing(1), [0]);
    restart(&mut sim, ms(300));
    assert_eq!(sim.distributing(1), [0]);
}

#[test]
fn a_snapshot_of_another_identity_or_a_link_that_is_down_is_not_taken_over() {
    let mut sim = Sim::up([fast(), fast()], good(2));
    sim.time_until(&[0, 1], ms(100));
    let snapshot = sim.sides[1].snapshot(sim.now);
    let begin = |address, options, up: bool| {
        let mut lacp = Lacp::new(address, options);
        for id in ids(2) {
            lacp.add_port(ms(0), id, PortOptions::default()).unwrap();
            if up {
                lacp.handle_link(ms(0), id, lacp::Link::up(10_000, lacp::Duplex::Full));
            }
        }
        let restored = lacp.restore(ms(0), &snapshot, ms(100)).len();
        assert!(restored > 0 || lacp.unconfirmed().next().is_none());
        restored
    };
    let address = [2, 0, 0, 0, 0, 0x0b];
    assert_eq!(begin(address, fast(), true), 2);
    assert_eq!(begin(address, fast(), false), 0);
    assert_eq!(begin([2, 0, 0, 0, 0, 0x0c], fast(), true), 0);
    assert_eq!(begin(address, Options { ad_user_port_key: 1, ..fast() }, true), 0);
}
