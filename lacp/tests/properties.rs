//! Two bonds to which anything may happen.

mod sim;

use std::time::Duration;

use lacp::{Lacp, LacpRate, Options, PortId, PortOptions, State};
use proptest::prelude::*;
use sim::{Cable, Sim, fast, good, ids, ms};

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

    /// With independent control, whatever happens to links and cables: a partner that stops to collect is not sent to
    /// for long. It says so in its next LACPDU. What it sent before is over after the longest delay of a cable, and if
    /// nothing comes, the timeout ends it.
    #[test]
    fn independent_control_soon_stops_sending_to_a_partner_that_does_not_collect(
        ops in proptest::collection::vec(op(), 1..60),
        seed: u64,
    ) {
        const LONGEST_DELAY: u64 = 401;
        const SHORT_TIMEOUT: u64 = 3000;
        let options = Options { coupled_control: false, lacp_strict: true, ..fast() };
        let mut sim = Sim::new([options; 2], good(PORTS), seed);
        // Since when each port has been sending to a partner that does not collect.
        let mut since = [[None; PORTS]; 2];
        let mut check = |sim: &Sim| {
            for (side, id) in (0..2).flat_map(|side| ids(PORTS).map(move |id| (side, id))) {
                let (us, them) = (sim.status(side, id).confirmed, sim.status(1 - side, id).confirmed);
                let since = &mut since[side][id.0 as usize];
                if us.distributing && !them.collecting {
                    let time = sim.now - *since.get_or_insert(sim.now);
                    assert!(time <= ms(LONGEST_DELAY + SHORT_TIMEOUT), "{time:?} on port {id:?} of side {side}");
                } else {
                    *since = None;
                }
            }
        };
        for op in ops {
            match op {
                // A slow rate would be as right, and take 90 s.
                Op::Rate(..) | Op::Coupled(..) | Op::Strict(..) => {}
                Op::Run(time) => sim.run_watched(ms(time), &mut check),
                op => {
                    apply(&mut sim, op);
                    check(&sim);
                }
            }
        }
        sim.run_watched(ms(10_000), &mut check);
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
