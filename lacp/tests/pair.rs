//! Two bonds that speak with each other, over good cables and bad ones.

mod sim;

use std::time::Duration;

use lacp::{Lacp, LacpRate, NoCarrier, Options, PortId, PortOptions, State};
use proptest::prelude::*;
use sim::{Cable, Sim, ids, ms};

fn fast() -> Options {
    Options { lacp_rate: LacpRate::Fast, ..Options::default() }
}

fn good(count: usize) -> Vec<Cable> {
    vec![Cable { delay: 1, ..Cable::default() }; count]
}

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
            // Ports that the other side keeps in reserve are tried one after the other; that ends, and disturbs nothing.
            sim.run_watched(Duration::from_secs(100), |sim| {
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
    assert_eq!(sim.sides[1].restore(sim.now, &snapshot, elapsed).len(), count);
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

/// What may happen to two bonds.
#[derive(Debug, Clone)]
enum Op {
    Run(u64),
    Link(usize, u32, bool),
    Cable(u32, u64, u64, u64, [bool; 2]),
    Rate(usize, bool),
    Coupled(usize, bool),
    Strict(usize, bool),
    Key(usize, u16),
    Limit(usize, u32),
    Priority(usize, u32, u16),
    System(usize, u8),
    Active(bool),
}

const PORTS: usize = 3;

fn op() -> impl Strategy<Value = Op> {
    let (side, port) = (0..2usize, 0..PORTS as u32);
    let cable = (0..90u64, 0..50u64, 0..400u64, any::<[bool; 2]>());
    prop_oneof![
        6 => (0..9000u64).prop_map(Op::Run),
        3 => (0..300u64).prop_map(Op::Run),
        4 => (side.clone(), port.clone(), any::<bool>()).prop_map(|(s, p, up)| Op::Link(s, p, up)),
        4 => (port.clone(), cable).prop_map(|(p, (loss, dup, jitter, cut))| Op::Cable(p, loss, dup, jitter, cut)),
        1 => (side.clone(), any::<bool>()).prop_map(|(s, fast)| Op::Rate(s, fast)),
        1 => (side.clone(), any::<bool>()).prop_map(|(s, on)| Op::Coupled(s, on)),
        1 => (side.clone(), any::<bool>()).prop_map(|(s, on)| Op::Strict(s, on)),
        1 => (side.clone(), 0..3u16).prop_map(|(s, key)| Op::Key(s, key)),
        1 => (side.clone(), 0..=PORTS as u32).prop_map(|(s, limit)| Op::Limit(s, limit)),
        1 => (side.clone(), port, 0..4u16).prop_map(|(s, p, prio)| Op::Priority(s, p, prio)),
        1 => (side, 1..4u8).prop_map(|(s, system)| Op::System(s, system)),
        1 => any::<bool>().prop_map(Op::Active),
    ]
}

fn apply(sim: &mut Sim, op: Op) {
    match op {
        Op::Run(time) => sim.run(ms(time)),
        Op::Link(side, port, up) => sim.link(side, PortId(port), up),
        Op::Cable(port, loss, duplicates, jitter, cut) => {
            sim.cables[port as usize] = Cable { loss, duplicates, jitter, cut, delay: 1 };
        }
        Op::Rate(side, fast) => sim.change(side, |options| {
            options.lacp_rate = if fast { LacpRate::Fast } else { LacpRate::Slow };
        }),
        Op::Coupled(side, on) => sim.change(side, |options| options.coupled_control = on),
        Op::Strict(side, on) => sim.change(side, |options| options.lacp_strict = on),
        Op::Key(side, key) => sim.change(side, |options| options.ad_user_port_key = key),
        Op::Limit(side, limit) => sim.change(side, |options| options.max_links = limit),
        Op::Priority(side, port, actor_port_prio) => {
            let options = PortOptions { actor_port_prio, ..PortOptions::default() };
            sim.sides[side].set_port_options(sim.now, PortId(port), options).unwrap();
            sim.settle(side);
        }
        Op::System(side, system) => sim.change(side, |options| {
            options.ad_actor_system = [2, 0, 0, 0, side as u8 + 1, system];
        }),
        // One end is always active: two passive ones have nothing to agree on.
        Op::Active(on) => sim.change(0, |options| options.lacp_active = on),
    }
}

/// A case is minutes of virtual time. PROPTEST_CASES still counts.
fn fewer_cases() -> ProptestConfig {
    let default = ProptestConfig::default();
    ProptestConfig { cases: default.cases / 4, ..default }
}

proptest! {
    #![proptest_config(fewer_cases())]

    /// After whatever happened, on quiet cables both sides come to the same view: on each cable both distribute or
    /// neither does, each knows what the other is, and as many ports carry as the limits let.
    #[test]
    fn after_it_goes_quiet_both_sides_agree(
        ops in proptest::collection::vec(op(), 0..40),
        seed: u64,
    ) {
        let mut sim = Sim::new([fast(), Options::default()], good(PORTS), seed);
        for op in ops {
            apply(&mut sim, op);
        }
        for id in ids(PORTS) {
            sim.cables[id.0 as usize] = Cable { delay: 1, ..Cable::default() };
            sim.link(0, id, true);
            sim.link(1, id, true);
        }
        sim.run(Duration::from_secs(200));
        let limits = sim.sides.each_ref().map(|side| side.options().max_links);
        let limit = limits.into_iter().filter(|limit| *limit > 0).min().map_or(PORTS, |limit| limit as usize);
        prop_assert_eq!(sim.distributing(0).len(), limit, "{:#?}", sim.sides[0].explain(sim.now));
        prop_assert_eq!(sim.distributing(0), sim.distributing(1));
        for id in ids(PORTS) {
            let (a, b) = (sim.status(0, id), sim.status(1, id));
            for (one, other) in [(a, b), (b, a)] {
                prop_assert_eq!(one.confirmed, one.wanted);
                prop_assert!(!one.confirmed.distributing || other.confirmed.collecting);
                let known = one.partner.state.with(State::SYNCHRONIZATION);
                prop_assert_eq!(known, other.actor.state.with(State::SYNCHRONIZATION));
                prop_assert_eq!(lacp::PortInfo { state: State(0), ..one.partner },
                    lacp::PortInfo { state: State(0), ..other.actor });
            }
        }
        prop_assert_eq!(sim.sides[0].no_carrier(), None);
        prop_assert_eq!(sim.sides[1].no_carrier(), None);
        // And then nothing moves any more.
        let before = sim.events.each_ref().map(Vec::len);
        sim.run(Duration::from_secs(200));
        prop_assert_eq!(sim.events.each_ref().map(Vec::len), before, "{:?}", sim.events);
    }

    /// With independent control, while links come up in whatever order, nobody ever sends to a partner whose tables do
    /// not yet accept.
    #[test]
    fn independent_control_never_sends_to_a_partner_that_does_not_collect(
        ups in proptest::collection::vec((0..2usize, 0..PORTS as u32, 0..1500u64), 0..12),
        delays in proptest::collection::vec(1..200u64, PORTS),
        rates: [bool; 2],
    ) {
        let options = rates.map(|fast| Options {
            coupled_control: false,
            lacp_strict: true,
            lacp_rate: if fast { LacpRate::Fast } else { LacpRate::Slow },
            ..Options::default()
        });
        let cables = delays.iter().map(|delay| Cable { delay: *delay, ..Cable::default() }).collect();
        let mut sim = Sim::new(options, cables, 1);
        let check = |sim: &Sim| {
            for id in ids(PORTS) {
                let (a, b) = (sim.status(0, id).confirmed, sim.status(1, id).confirmed);
                assert!(!a.distributing || b.collecting, "port {id:?}");
                assert!(!b.distributing || a.collecting, "port {id:?}");
            }
        };
        for (side, port, wait) in ups {
            sim.link(side, PortId(port), true);
            sim.run_watched(ms(wait), check);
        }
        for id in ids(PORTS) {
            sim.link(0, id, true);
            sim.link(1, id, true);
        }
        sim.run_watched(Duration::from_secs(40), check);
        prop_assert_eq!(sim.distributing(0), vec![0, 1, 2]);
        prop_assert_eq!(sim.distributing(1), vec![0, 1, 2]);
    }

    /// Octets that are no LACPDU change nothing but a counter, and others never make the bond stumble.
    #[test]
    fn corrupted_pdus(
        frames in proptest::collection::vec(
            (proptest::collection::vec((0..110usize, any::<u8>()), 0..6), 0..140usize, 0..4000u64), 1..30),
    ) {
        let mut sim = Sim::up([fast(), fast()], good(2));
        sim.time_until(&[0, 1], ms(100));
        let mut refused = 0;
        for (changes, len, wait) in frames {
            let (partner, us) = (sim.status(1, PortId(0)).actor, sim.status(0, PortId(0)).actor);
            let mut pdu = lacp::Lacpdu::new(partner, us).emit().to_vec();
            for (at, octet) in changes {
                pdu[at] = octet;
            }
            pdu.resize(if len < 110 { len } else { 110 }, 0);
            let state = |lacp: &Lacp| {
                let ports = lacp.ports().map(|port| lacp::PortStatus { stats: lacp::Stats::default(), ..port });
                (ports.collect::<Vec<_>>(), lacp.next_deadline(), lacp.snapshot(sim.now), lacp.no_carrier())
            };
            let before = state(&sim.sides[0]);
            let bad = sim.sides[0].handle_frame(sim.now, PortId(0), &pdu).is_err();
            refused += u64::from(bad);
            if bad {
                prop_assert_eq!(&state(&sim.sides[0]), &before);
                prop_assert_eq!(sim.sides[0].poll_transmit(sim.now), None);
                prop_assert_eq!(sim.sides[0].poll_event(), None);
            }
            sim.settle(0);
            sim.run(ms(wait));
        }
        let stats = sim.status(0, PortId(0)).stats;
        prop_assert_eq!(stats.illegal_rx + stats.unknown_rx + stats.marker_unknown_rx, refused);
        // Unless the last ones looked like a loop, all is well again soon.
        sim.run(Duration::from_secs(100));
        prop_assert_eq!(sim.distributing(0), vec![0, 1]);
    }
}
