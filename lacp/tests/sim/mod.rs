//! Two bonds joined by cables in virtual time. Cables delay, lose, duplicate and (by delaying differently) reorder.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use lacp::slow::PDU_LEN;
use lacp::{
    Duplex, Event, Gates, Lacp, LacpRate, Link, Options, Pdu, PortId, PortOptions, PortStatus, State,
};

/// A cable between the ports of the same id; directions are named by their sender.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cable {
    /// In percent.
    pub(crate) loss: u64,
    /// In percent.
    pub(crate) duplicates: u64,
    /// The least delay, in ms.
    pub(crate) delay: u64,
    /// The delay is up to so much longer, in ms.
    pub(crate) jitter: u64,
    /// Carries nothing from side 0, from side 1.
    pub(crate) cut: [bool; 2],
}

type InFlight = Reverse<(Duration, u64, usize, PortId, [u8; PDU_LEN])>;

pub(crate) struct Sim {
    pub(crate) now: Duration,
    pub(crate) sides: [Lacp; 2],
    pub(crate) cables: Vec<Cable>,
    pub(crate) events: [Vec<Event>; 2],
    /// The last LACPDUs of each side, port by port: time and state.
    pub(crate) sent: [Vec<Vec<(Duration, State)>>; 2],
    in_flight: BinaryHeap<InFlight>,
    order: u64,
    random: u64,
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) fn ids(count: usize) -> impl Iterator<Item = PortId> {
    (0..count as u32).map(PortId)
}

#[allow(dead_code, reason = "each test file uses a part of it")]
pub(crate) fn fast() -> Options {
    Options { lacp_rate: LacpRate::Fast, ..Options::default() }
}

#[allow(dead_code, reason = "each test file uses a part of it")]
pub(crate) fn good(count: usize) -> Vec<Cable> {
    vec![Cable { delay: 1, ..Cable::default() }; count]
}

#[allow(dead_code, reason = "each test file uses a part of it")]
impl Sim {
    /// Two bonds of as many ports as there are cables, with all links down.
    pub(crate) fn new(options: [Options; 2], cables: Vec<Cable>, seed: u64) -> Self {
        let bond = |side: usize| {
            let mut lacp = Lacp::new([2, 0, 0, 0, 0, 0x0a + side as u8], options[side]);
            for id in ids(cables.len()) {
                lacp.add_port(Duration::ZERO, id, PortOptions::default()).unwrap();
            }
            lacp
        };
        Self {
            now: Duration::ZERO,
            sides: [bond(0), bond(1)],
            events: [Vec::new(), Vec::new()],
            sent: [vec![Vec::new(); cables.len()], vec![Vec::new(); cables.len()]],
            cables,
            in_flight: BinaryHeap::new(),
            order: 0,
            random: seed | 1,
        }
    }

    /// With all links up at time 0.
    pub(crate) fn up(options: [Options; 2], cables: Vec<Cable>) -> Self {
        let mut sim = Self::new(options, cables, 1);
        for id in ids(sim.cables.len()) {
            sim.link(0, id, true);
            sim.link(1, id, true);
        }
        sim
    }

    fn random(&mut self, below: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % below
    }

    pub(crate) fn link(&mut self, side: usize, id: PortId, up: bool) {
        let link = if up { Link::up(10_000, Duplex::Full) } else { Link::DOWN };
        let now = self.now;
        self.sides[side].handle_link(now, id, link);
        self.settle(side);
    }

    pub(crate) fn change(&mut self, side: usize, change: impl FnOnce(&mut Options)) {
        let mut options = *self.sides[side].options();
        change(&mut options);
        self.sides[side].set_options(self.now, options);
        self.settle(side);
    }

    /// Confirms, sends, and checks what must always be true.
    pub(crate) fn settle(&mut self, side: usize) {
        let now = self.now;
        loop {
            let wanted: Vec<(PortId, Gates)> = self.sides[side].unconfirmed().collect();
            if wanted.is_empty() {
                break;
            }
            for (id, gates) in wanted {
                assert!(self.sides[side].confirm(now, id, gates));
            }
        }
        while let Some((id, pdu)) = self.sides[side].poll_transmit(now) {
            self.send(side, id, &pdu);
        }
        while let Some(event) = self.sides[side].poll_event() {
            self.events[side].push(event);
        }
        for port in self.sides[side].ports() {
            always(&port, self.sides[side].options());
        }
    }

    pub(crate) fn send(&mut self, side: usize, id: PortId, pdu: &Pdu) {
        let now = self.now;
        if let Pdu::Lacp(lacpdu) = pdu {
            let sent = &mut self.sent[side][id.0 as usize];
            sent.push((now, lacpdu.actor.state));
            if let [.., third, _, _, _] = sent[..] {
                assert!(now - third.0 >= ms(1000), "four LACPDUs in a second: {:?}", &sent[sent.len() - 4..]);
            }
        }
        let cable = self.cables[id.0 as usize];
        for copy in 0..2 {
            let wanted = copy == 0 || self.random(100) < cable.duplicates;
            if !wanted || cable.cut[side] || self.random(100) < cable.loss {
                continue;
            }
            let delay = ms(cable.delay + self.random(cable.jitter + 1));
            self.order += 1;
            self.in_flight.push(Reverse((now + delay, self.order, 1 - side, id, pdu.emit())));
        }
    }

    /// When something happens next.
    fn next(&self) -> Option<Duration> {
        let arrives = self.in_flight.peek().map(|Reverse((at, ..))| *at);
        self.sides.iter().filter_map(Lacp::next_deadline).chain(arrives).min()
    }

    /// Lets time pass; `watch` looks at every moment at which something happened.
    pub(crate) fn run_watched(&mut self, time: Duration, mut watch: impl FnMut(&Self)) {
        let end = self.now + time;
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            while let Some(Reverse((_, _, side, id, pdu))) =
                self.in_flight.peek().copied().filter(|Reverse((at, ..))| *at <= self.now)
            {
                self.in_flight.pop();
                self.sides[side].handle_frame(self.now, id, &pdu).unwrap();
                self.settle(side);
            }
            for side in 0..2 {
                self.sides[side].handle_timeout(self.now);
                self.settle(side);
                let next = self.sides[side].next_deadline();
                assert!(
                    next.is_none_or(|next| next > self.now),
                    "{next:?} is due at {:?} and was done",
                    self.now
                );
            }
            watch(self);
        }
        self.now = end;
    }

    /// Lets time pass while side 1 has no ports: what arrives there is lost.
    pub(crate) fn run_watched_deaf(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            while let Some(Reverse((_, _, side, id, pdu))) =
                self.in_flight.peek().copied().filter(|Reverse((at, ..))| *at <= self.now)
            {
                self.in_flight.pop();
                let _ = self.sides[side].handle_frame(self.now, id, &pdu);
            }
            self.sides[0].handle_timeout(self.now);
            self.settle(0);
        }
        self.now = end;
    }

    pub(crate) fn run(&mut self, time: Duration) {
        self.run_watched(time, |_| {});
    }

    pub(crate) fn status(&self, side: usize, id: PortId) -> PortStatus {
        self.sides[side].port(id).unwrap()
    }

    /// Ports that send, by what their tables do.
    pub(crate) fn distributing(&self, side: usize) -> Vec<u32> {
        let sends = self.sides[side].ports().filter(|port| port.confirmed.distributing);
        sends.map(|port| port.port.0).collect()
    }

    /// How long it takes until both sides distribute on these ports.
    pub(crate) fn time_until(&mut self, ports: &[u32], limit: Duration) -> Duration {
        let start = self.now;
        while self.now - start < limit {
            if (0..2).all(|side| self.distributing(side) == ports) {
                return self.now - start;
            }
            self.run(ms(1));
        }
        panic!(
            "not {ports:?} after {limit:?} but {:?} and {:?}:\n{:#?}\n{:#?}",
            self.distributing(0),
            self.distributing(1),
            self.sides[0].explain(self.now),
            self.sides[1].explain(self.now)
        );
    }
}

/// What is true at any time.
fn always(port: &PortStatus, options: &Options) {
    let (wanted, confirmed) = (port.wanted, port.confirmed);
    let says = |flag| port.actor.state.contains(flag);
    assert!(!says(State::COLLECTING) || wanted.collecting && confirmed.collecting, "{port:#?}");
    assert!(!says(State::DISTRIBUTING) || wanted.distributing && confirmed.distributing, "{port:#?}");
    assert!(!wanted.collecting || says(State::SYNCHRONIZATION), "{port:#?}");
    assert!(!wanted.collecting || port.partner.state.contains(State::SYNCHRONIZATION), "{port:#?}");
    let may = options.coupled_control || port.partner.state.contains(State::COLLECTING);
    assert!(!wanted.distributing || may, "{port:#?}");
    assert!(!wanted.distributing || wanted.collecting, "{port:#?}");
}
