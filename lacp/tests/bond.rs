//! A bond from its caller's side: ports come and go, what is told, and what is refused.

mod sim;

use std::time::Duration;

use lacp::selection::Reason;
use lacp::slow::{self, PDU_LEN};
use lacp::{
    Duplex, Event, FrameError, Gates, Handled, Lacp, Lacpdu, Link, Marker, Options, Pdu, PduError, PortError,
    PortId, PortOptions, State,
};
use sim::{Cable, Sim, ids, ms};

const ADDRESS: [u8; 6] = [2, 0, 0, 0, 0, 0x0a];

fn bond() -> Lacp {
    Lacp::new(ADDRESS, Options::default())
}

fn numbered(port_number: u16) -> PortOptions {
    PortOptions { port_number: Some(port_number), ..PortOptions::default() }
}

#[test]
fn ports_are_numbered_as_linux_does() {
    let mut lacp = bond();
    let number =
        |lacp: &Lacp, id: u32| lacp.port(PortId(id)).map(|port| (port.actor.port, port.aggregator.0));
    for id in [10, 11, 12] {
        lacp.add_port(ms(0), PortId(id), PortOptions::default()).unwrap();
    }
    assert_eq!([10, 11, 12].map(|id| number(&lacp, id).unwrap()), [(1, 1), (2, 2), (3, 3)]);
    lacp.remove_port(ms(0), PortId(11));
    assert_eq!(number(&lacp, 11), None);
    lacp.add_port(ms(0), PortId(11), PortOptions::default()).unwrap();
    assert_eq!(number(&lacp, 11), Some((4, 4)), "one more than the last");
    lacp.remove_port(ms(0), PortId(11));
    lacp.add_port(ms(0), PortId(11), PortOptions::default()).unwrap();
    assert_eq!(number(&lacp, 11), Some((4, 5)), "aggregators are not counted down");
    for id in [10, 11, 12] {
        lacp.remove_port(ms(0), PortId(id));
    }
    lacp.add_port(ms(0), PortId(10), PortOptions::default()).unwrap();
    assert_eq!(number(&lacp, 10), Some((1, 1)));
}

#[test]
fn what_is_refused_says_why() {
    let mut lacp = bond();
    lacp.add_port(ms(0), PortId(1), numbered(7)).unwrap();
    let error = |result: Result<(), PortError>| result.unwrap_err().to_string();
    assert_eq!(error(lacp.add_port(ms(0), PortId(1), numbered(8))), "port 1 is already in the bond");
    assert_eq!(
        error(lacp.add_port(ms(0), PortId(2), numbered(7))),
        "port number 7 is taken by port 1: choose another"
    );
    assert_eq!(
        error(lacp.add_port(ms(0), PortId(2), numbered(0))),
        "port_number is 0: choose one of 1-65535, or leave it out"
    );
    lacp.add_port(ms(0), PortId(2), PortOptions::default()).unwrap();
    assert_eq!(lacp.port(PortId(2)).unwrap().actor.port, 8);
    assert_eq!(lacp.set_port_options(ms(0), PortId(3), numbered(1)), Err(PortError::Unknown(PortId(3))));
    let taken = lacp.set_port_options(ms(0), PortId(2), numbered(7));
    assert_eq!(taken, Err(PortError::Number { number: 7, by: PortId(1) }));
    let key = PortOptions { aggregation_key: Some(0), ..PortOptions::default() };
    assert_eq!(
        lacp.set_port_options(ms(0), PortId(2), key),
        Err(PortError::Zero { option: "aggregation_key" })
    );
    assert_eq!(lacp.port(PortId(2)).unwrap().actor.port, 8);
    assert_eq!(lacp.handle_frame(ms(0), PortId(9), &[0; PDU_LEN]), Err(FrameError::UnknownPort(PortId(9))));
    lacp.handle_link(ms(0), PortId(9), Link::DOWN);
    assert!(!lacp.confirm(ms(0), PortId(9), Gates::OPEN));
    assert_eq!((lacp.wanted(PortId(9)), lacp.remove_port(ms(0), PortId(9))), (None, None));
}

#[test]
fn a_configured_key_replaces_that_of_speed_and_duplex() {
    let mut lacp = bond();
    let options = PortOptions { aggregation_key: Some(5), ..PortOptions::default() };
    lacp.add_port(ms(0), PortId(1), options).unwrap();
    assert_eq!(lacp.port(PortId(1)).unwrap().actor.key, 5);
    lacp.handle_link(ms(0), PortId(1), Link::up(1000, Duplex::Full));
    assert_eq!(lacp.port(PortId(1)).unwrap().actor.key, 5);
    lacp.set_port_options(ms(0), PortId(1), PortOptions::default()).unwrap();
    assert_eq!(lacp.port(PortId(1)).unwrap().actor.key, 9);
}

#[test]
fn a_port_that_is_taken_out_tells_its_partner_at_once() {
    let mut sim = Sim::up([Options::default(); 2], vec![Cable { delay: 1, ..Cable::default() }; 2]);
    sim.time_until(&[0, 1], ms(100));
    sim.run(ms(2000));
    let farewell = sim.sides[0].remove_port(sim.now, PortId(0)).unwrap();
    assert_eq!(farewell.actor.state, State(0x01));
    sim.settle(0);
    let now = sim.now;
    sim.sides[1].handle_frame(now, PortId(0), &farewell.emit()).unwrap();
    sim.settle(1);
    assert_eq!((sim.distributing(0), sim.distributing(1)), (vec![1], vec![1]));
    assert_eq!(sim.sides[0].no_carrier(), None);
    let farewells = sim.sides[0].farewells();
    assert_eq!((farewells.len(), farewells[0].0), (1, PortId(1)));
    sim.link(0, PortId(1), false);
    assert_eq!(sim.sides[0].remove_port(sim.now, PortId(1)), None, "the link is down");
}

#[test]
fn the_story_of_a_link_is_told_in_events() {
    let mut sim = Sim::up([Options::default(); 2], vec![Cable { delay: 1, ..Cable::default() }]);
    sim.time_until(&[0], ms(100));
    sim.link(0, PortId(0), false);
    let told: Vec<String> = sim.events[0].iter().map(ToString::to_string).collect();
    let partner = "system 02:00:00:00:00:0b (priority 65535), key 15, port 1 (priority 255)";
    assert_eq!(
        told,
        [
            "LACP receive: INITIALIZE -> PORT_DISABLED",
            "LACP receive: PORT_DISABLED -> EXPIRED",
            "LACP receive: EXPIRED -> CURRENT",
            &format!("LACP partner: {partner}"),
            "LACP selection: UNSELECTED -> SELECTED",
            "LACP mux: DETACHED -> ATTACHED",
            "LACP actor churn: none",
            "aggregator 1 is active: there is no other",
            "LACP mux: ATTACHED -> COLLECTING_DISTRIBUTING",
            "LACP partner churn: none",
            "carrier up",
            "LACP receive: CURRENT -> PORT_DISABLED",
            "LACP selection: SELECTED -> UNSELECTED",
            "LACP mux: COLLECTING_DISTRIBUTING -> DETACHED",
            "LACP actor churn: monitoring",
            "LACP partner churn: monitoring",
            "no aggregator is active",
            "carrier down: no member's link is up",
        ]
    );
    assert_eq!(sim.events[0][0].port(), Some(PortId(0)));
    assert_eq!(sim.events[0].last().unwrap().port(), None);
}

#[test]
fn events_that_nobody_fetches_do_not_pile_up() {
    let mut lacp = bond();
    lacp.add_port(ms(0), PortId(0), PortOptions::default()).unwrap();
    for n in 0..2000 {
        lacp.handle_link(ms(n), PortId(0), Link::up(1000, Duplex::Full));
        lacp.handle_link(ms(n), PortId(0), Link::DOWN);
    }
    let kept: Vec<Event> = std::iter::from_fn(|| lacp.poll_event()).collect();
    assert_eq!(kept.len(), 1024);
    assert!(matches!(kept.last(), Some(Event::Receive { to: lacp::receive::State::PortDisabled, .. })));
}

#[test]
fn frames_are_told_apart() {
    let mut lacp = bond();
    lacp.add_port(ms(0), PortId(0), PortOptions::default()).unwrap();
    let marker = Marker { response: false, requester_port: 1, requester_system: [2; 6], transaction: 7 };
    let frame = slow::frame([2; 6], &marker.emit());
    let pdu = slow::payload(&frame).unwrap();
    assert_eq!(lacp.handle_frame(ms(0), PortId(0), pdu), Ok(Handled::Ignored), "the link is down");
    assert_eq!(lacp.poll_transmit(ms(0)), None);
    lacp.handle_link(ms(0), PortId(0), Link::up(1000, Duplex::Full));
    assert!(matches!(lacp.poll_transmit(ms(0)), Some((PortId(0), Pdu::Lacp(_)))));
    assert_eq!(lacp.handle_frame(ms(0), PortId(0), pdu), Ok(Handled::Taken));
    let answer = Pdu::Marker(Marker { response: true, ..marker });
    assert_eq!(lacp.poll_transmit(ms(0)), Some((PortId(0), answer)));
    assert_eq!(answer.emit()[..2], [2, 1]);
    let oam = lacp.handle_frame(ms(0), PortId(0), &[3; PDU_LEN]);
    assert_eq!(oam, Err(FrameError::Pdu(PduError::Subtype { found: 3 })));
    let own = Lacpdu::new(lacp.port(PortId(0)).unwrap().actor, lacp::PortInfo::default());
    assert_eq!(lacp.handle_frame(ms(0), PortId(0), &own.emit()), Ok(Handled::Ignored));
    assert!(lacp.port(PortId(0)).unwrap().looped);

    let mut other = frame;
    other[5] = 3;
    assert_eq!(slow::payload(&other), None);
    other = frame;
    other[13] = 8;
    assert_eq!((slow::payload(&other), slow::payload(&frame[..13])), (None, None));
}

#[test]
fn the_active_aggregator_as_proc_shows_it() {
    let mut sim = Sim::up([Options::default(); 2], vec![Cable { delay: 1, ..Cable::default() }; 3]);
    assert_eq!(sim.sides[0].active(), None);
    assert!(!sim.sides[0].negotiated());
    sim.time_until(&[0, 1, 2], ms(100));
    let active = sim.sides[0].active().unwrap();
    assert_eq!((active.id.0, active.ports, active.actor_key, active.partner_key), (1, 3, 15, 15));
    assert_eq!(active.partner_system, [2, 0, 0, 0, 0, 0x0b]);
    assert!(sim.sides[0].negotiated());
    assert_eq!(sim.sides[0].system(), (65535, ADDRESS));
    let idle = sim.sides[0].next_deadline().unwrap() - sim.now;
    assert!(idle > Duration::from_secs(29), "nothing is due before the next periodic LACPDU: {idle:?}");
    sim.run(ms(10_000));
    let explanation = sim.sides[0].explain(sim.now);
    assert_eq!((explanation.no_carrier, explanation.distributing), (None, 3));
    assert_eq!(explanation.active, Some((active.id, Reason::Only)));
    let age = explanation.ports[0].last_lacpdu.unwrap();
    assert!((9..11).contains(&age.as_secs()), "{age:?}");
    assert_eq!(sim.sides[0].last_lacpdu(sim.now, PortId(0)), Some(age));
}

/// Every port gets its turn, however much the others have to say.
#[test]
fn ports_take_turns() {
    let mut lacp = bond();
    for id in ids(4) {
        lacp.add_port(ms(0), id, PortOptions::default()).unwrap();
        lacp.handle_link(ms(0), id, Link::up(1000, Duplex::Full));
    }
    let mut order = Vec::new();
    for _ in 0..12 {
        order.push(lacp.poll_transmit(ms(0)).unwrap().0.0);
        let mut options = *lacp.options();
        options.ad_actor_sys_prio -= 1;
        lacp.set_options(ms(0), options);
    }
    assert_eq!(order, [0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
    assert_eq!(lacp.poll_transmit(ms(0)), None, "three in a second");
    assert_eq!(lacp.next_deadline(), Some(Duration::from_secs(1)));
}

/// The port hears a partner that knows it and is in sync.
fn hear(lacp: &mut Lacp, now: Duration, id: u32, last_octet: u8) {
    let us = lacp.port(PortId(id)).unwrap().actor;
    let (system, port) = ([2, 0, 0, 0, 0, last_octet], id as u16);
    let partner = lacp::PortInfo { system, port, key: 1, state: State(0x0f), ..us };
    lacp.handle_frame(now, PortId(id), &Lacpdu::new(partner, us).emit()).unwrap();
}

fn open(lacp: &Lacp) -> Vec<u32> {
    lacp.ports().filter(|port| port.wanted == Gates::OPEN).map(|port| port.port.0).collect()
}

/// Ports 0 and 3 are cabled to one partner, 1 and 2 to another that is as good.
#[test]
fn the_choice_between_two_partners_does_not_depend_on_who_speaks_first() {
    for order in (0..256u32).map(|n| [n & 3, n >> 2 & 3, n >> 4 & 3, n >> 6]) {
        if ids(4).any(|id| !order.contains(&id.0)) {
            continue;
        }
        let mut lacp = bond();
        for id in ids(4) {
            lacp.add_port(ms(0), id, PortOptions::default()).unwrap();
            lacp.handle_link(ms(0), id, Link::up(1000, Duplex::Full));
        }
        for (time, id) in order.into_iter().enumerate() {
            hear(&mut lacp, ms(time as u64), id, if matches!(id, 0 | 3) { 0xaa } else { 0x0b });
        }
        assert_eq!(lacp.active().unwrap().partner_system[5], 0xaa, "{order:?}");
        assert_eq!(open(&lacp), [0, 3], "{order:?}");
    }
}

/// Port 0 was there first; ports 1 and 2 to another partner would be better. Port 3 is new to the successor, and
/// nothing is heard on it.
#[test]
fn a_successor_goes_on_with_what_its_predecessor_used() {
    let up = Link::up(1000, Duplex::Full);
    let mut lacp = bond();
    for id in ids(3) {
        lacp.add_port(ms(0), id, PortOptions::default()).unwrap();
    }
    lacp.handle_link(ms(0), PortId(0), up);
    hear(&mut lacp, ms(0), 0, 0xaa);
    for id in [1, 2] {
        lacp.handle_link(ms(10), PortId(id), up);
        hear(&mut lacp, ms(10), id, 0xbb);
    }
    assert_eq!(open(&lacp), [0], "ad_select=stable");
    let snapshot = lacp.snapshot(ms(20));
    let mut successor = bond();
    for id in ids(4) {
        successor.add_port(ms(0), id, PortOptions::default()).unwrap();
        successor.handle_link(ms(0), id, up);
    }
    assert_eq!(successor.restore(ms(0), &snapshot, ms(200)), [PortId(0), PortId(1), PortId(2)]);
    assert_eq!(open(&successor), [0]);
    let port = successor.port(PortId(0)).unwrap();
    assert_eq!((port.actor.port, port.partner.system[5], port.receive.name()), (1, 0xaa, "CURRENT"));
    assert_eq!(successor.last_lacpdu(ms(5), PortId(0)), Some(ms(20 + 200 + 5)));
}

#[test]
fn a_configured_number_is_had_whoever_had_it_by_chance() {
    let mut lacp = Lacp::new([2, 0, 0, 0, 0, 1], Options::default());
    let numbers = |lacp: &Lacp| lacp.ports().map(|port| port.actor.port).collect::<Vec<_>>();
    let with = |number| PortOptions { port_number: number, ..PortOptions::default() };
    for id in [0, 1] {
        lacp.add_port(Duration::ZERO, PortId(id), with(None)).unwrap();
    }
    assert_eq!(numbers(&lacp), [1, 2]);
    lacp.set_port_options(Duration::ZERO, PortId(0), with(Some(2))).unwrap();
    assert_eq!(numbers(&lacp), [2, 3]);
    lacp.add_port(Duration::ZERO, PortId(2), with(Some(3))).unwrap();
    assert_eq!(numbers(&lacp), [2, 4, 3]);
    lacp.set_port_options(Duration::ZERO, PortId(1), with(Some(1))).unwrap();
    // Its number of old is the second port's now.
    lacp.set_port_options(Duration::ZERO, PortId(0), with(None)).unwrap();
    let mut all = numbers(&lacp);
    assert_eq!(all[1..], [1, 3]);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 3);
}

/// Whatever the calls in between are that have nothing to do with timers: a timer that runs out meanwhile is still due.
#[test]
fn nothing_that_is_due_is_forgotten() {
    let marker = Marker { response: false, requester_port: 1, requester_system: [2; 6], transaction: 7 };
    let calls: [fn(&mut Lacp, Pdu); 4] = [
        |lacp, _| while lacp.poll_transmit(ms(3500)).is_some() {},
        |lacp, marker| {
            lacp.handle_frame(ms(3500), PortId(0), &marker.emit()).unwrap();
            while lacp.poll_transmit(ms(3500)).is_some() {}
        },
        |lacp, _| assert!(lacp.handle_frame(ms(3500), PortId(0), &[1; 9]).is_err()),
        |lacp, _| assert!(lacp.handle_frame(ms(3500), PortId(0), &[9; PDU_LEN]).is_err()),
    ];
    for call in calls {
        let mut lacp = bond();
        lacp.add_port(ms(0), PortId(0), PortOptions::default()).unwrap();
        lacp.handle_link(ms(0), PortId(0), Link::up(1000, Duplex::Full));
        while lacp.poll_transmit(ms(0)).is_some() {}
        lacp.handle_timeout(ms(2500));
        while lacp.poll_transmit(ms(2500)).is_some() {}
        assert_eq!(lacp.next_deadline(), Some(ms(3000)), "the end of EXPIRED");
        call(&mut lacp, Pdu::Marker(marker));
        assert_eq!(lacp.next_deadline(), Some(ms(3000)));
        lacp.handle_timeout(ms(3600));
        assert_eq!(lacp.port(PortId(0)).unwrap().receive.name(), "DEFAULTED");
    }
}

/// To ask every bond whether time has run out for it changes nothing where it has not.
#[test]
fn a_timeout_that_is_not_due_changes_nothing() {
    let mut often = Sim::up([Options::default(); 2], vec![Cable { delay: 1, ..Cable::default() }; 2]);
    let mut seldom = Sim::up([Options::default(); 2], vec![Cable { delay: 1, ..Cable::default() }; 2]);
    for _ in 0..400 {
        for _ in 0..5 {
            often.run(ms(50));
            let now = often.now;
            often.sides[0].handle_timeout(now);
            assert_eq!(often.sides[0].unconfirmed().count(), 0);
            assert_eq!(often.sides[0].poll_transmit(now), None);
        }
        seldom.run(ms(250));
        let state = |sim: &Sim| {
            let lacp = &sim.sides[0];
            (lacp.ports().collect::<Vec<_>>(), lacp.next_deadline(), lacp.snapshot(sim.now))
        };
        assert_eq!(state(&often), state(&seldom));
    }
}
