//! Many LACP bonds on one thread in virtual time, each cabled to a partner by cables that lose nothing: what the
//! protocol costs a daemon that has nothing else to do.
//!
//! Frames are encoded and decoded as on a wire. Gates are confirmed at once.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use lacp::slow::{self, FRAME_LEN};
use lacp::{Duplex, Gates, Lacp, LacpRate, Link, Options, Pdu, PortId, PortOptions};

/// How long a frame is under way.
const DELAY: Duration = Duration::from_micros(200);

/// How the loop finds the bonds that are due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Wake {
    /// A heap of deadlines: only bonds that are due are called.
    Heap,
    /// Every bond is asked for its deadline at every turn of the loop; those that are due are called.
    Scan,
}

/// How often a bond was called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// `handle_timeout`.
    pub timeouts: u64,
    /// `handle_frame`, each with a LACPDU.
    pub frames: u64,
}

impl Calls {
    /// All of them.
    pub fn total(&self) -> u64 {
        self.timeouts + self.frames
    }
}

type InFlight = Reverse<(Duration, u64, usize, PortId, [u8; FRAME_LEN])>;

/// Bonds and their partners. Bond `n` has number `2 * n`, its partner the next one.
pub struct ManyBonds {
    now: Duration,
    wake: Wake,
    bonds: Vec<Lacp>,
    /// When each is to be called, as it stands in `due`.
    deadlines: Vec<Option<Duration>>,
    /// May hold deadlines that are no longer true.
    due: BinaryHeap<Reverse<(Duration, usize)>>,
    in_flight: BinaryHeap<InFlight>,
    order: u64,
    calls: Calls,
}

impl ManyBonds {
    /// So many bonds of so many members and as many partners, with all links up. They start within a second, one after
    /// the other, so that their timers are spread as those of real ones.
    pub fn new(count: usize, members: u32, lacp_rate: LacpRate, wake: Wake) -> Self {
        let options = Options { lacp_rate, ..Options::default() };
        let address = |index: usize| {
            let [.., a, b, c] = (index as u32).to_be_bytes();
            [2, 0, 0, a, b, c]
        };
        let mut this = Self {
            now: Duration::ZERO,
            wake,
            bonds: (0..2 * count).map(|index| Lacp::new(address(index), options)).collect(),
            deadlines: vec![None; 2 * count],
            due: BinaryHeap::new(),
            in_flight: BinaryHeap::new(),
            order: 0,
            calls: Calls::default(),
        };
        for index in 0..count {
            let start = Duration::from_secs(1) * index as u32 / count as u32;
            this.run_until(start);
            for bond in [2 * index, 2 * index + 1] {
                for id in (0..members).map(PortId) {
                    this.bonds[bond]
                        .add_port(start, id, PortOptions::default())
                        .expect("a new bond has room for ports of different ids");
                    this.bonds[bond].handle_link(start, id, Link::up(10_000, Duplex::Full));
                }
                this.apply(bond);
            }
        }
        this
    }

    /// Lets time pass.
    pub fn run(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    /// How often bonds were called so far.
    pub fn calls(&self) -> Calls {
        self.calls
    }

    /// Every member of every bond and partner collects and distributes.
    pub fn all_open(&self) -> bool {
        self.bonds.iter().flat_map(Lacp::ports).all(|port| port.confirmed == Gates::OPEN)
    }

    /// LACPDUs sent by bonds and partners.
    pub fn sent(&self) -> u64 {
        self.bonds.iter().flat_map(Lacp::ports).map(|port| port.stats.lacpdu_tx).sum()
    }

    fn run_until(&mut self, end: Duration) {
        while let Some(at) = self.next().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.receive();
            match self.wake {
                Wake::Heap => {
                    while let Some(bond) = self.pop_due() {
                        self.timeout(bond);
                    }
                }
                Wake::Scan => {
                    for bond in 0..self.bonds.len() {
                        if self.bonds[bond].next_deadline().is_some_and(|due| due <= self.now) {
                            self.timeout(bond);
                        }
                    }
                }
            }
        }
        self.now = end;
    }

    fn next(&mut self) -> Option<Duration> {
        let arrives = self.in_flight.peek().map(|Reverse((at, ..))| *at);
        let due = match self.wake {
            Wake::Heap => self.due.peek().map(|Reverse((at, _))| *at),
            Wake::Scan => self.bonds.iter().filter_map(Lacp::next_deadline).min(),
        };
        arrives.into_iter().chain(due).min()
    }

    fn receive(&mut self) {
        let arrived = |frame: &InFlight, now| frame.0.0 <= now;
        while self.in_flight.peek().is_some_and(|frame| arrived(frame, self.now)) {
            let Some(Reverse((_, _, bond, id, frame))) = self.in_flight.pop() else { return };
            let pdu = slow::payload(&frame).expect("frames are made by slow::frame");
            self.calls.frames += 1;
            self.bonds[bond].handle_frame(self.now, id, pdu).expect("it is a LACPDU for a port of the bond");
            self.apply(bond);
        }
    }

    fn pop_due(&mut self) -> Option<usize> {
        while let Some(Reverse((at, bond))) = self.due.peek().copied().filter(|due| due.0.0 <= self.now) {
            self.due.pop();
            if self.deadlines[bond] == Some(at) {
                self.deadlines[bond] = None;
                return Some(bond);
            }
        }
        None
    }

    fn timeout(&mut self, bond: usize) {
        self.calls.timeouts += 1;
        self.bonds[bond].handle_timeout(self.now);
        self.apply(bond);
    }

    /// What a daemon does after any call.
    fn apply(&mut self, bond: usize) {
        let now = self.now;
        let lacp = &mut self.bonds[bond];
        loop {
            let changed = lacp.unconfirmed().next();
            let Some((id, gates)) = changed else { break };
            lacp.confirm(now, id, gates);
        }
        while let Some((id, pdu)) = lacp.poll_transmit(now) {
            let frame = slow::frame([2, 0, 0, 0, 0, 1], &Pdu::emit(&pdu));
            self.order += 1;
            self.in_flight.push(Reverse((now + DELAY, self.order, bond ^ 1, id, frame)));
        }
        while lacp.poll_event().is_some() {}
        if self.wake == Wake::Heap {
            let deadline = lacp.next_deadline();
            if deadline != self.deadlines[bond] {
                self.deadlines[bond] = deadline;
                self.due.extend(deadline.map(|at| Reverse((at, bond))));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minute(count: usize, rate: LacpRate) -> (Calls, u64) {
        let mut bonds = ManyBonds::new(count, 2, rate, Wake::Heap);
        bonds.run(Duration::from_secs(10));
        assert!(bonds.all_open());
        let (calls, sent) = (bonds.calls(), bonds.sent());
        bonds.run(Duration::from_secs(60));
        assert!(bonds.all_open());
        let calls = Calls {
            timeouts: bonds.calls().timeouts - calls.timeouts,
            frames: bonds.calls().frames - calls.frames,
        };
        (calls, bonds.sent() - sent)
    }

    /// Ten times the bonds are ten times the calls: a bond costs the same among 200 as among 20.
    #[test]
    fn calls_grow_with_the_number_of_bonds_and_no_faster() {
        for (rate, per_member) in [(LacpRate::Fast, 60), (LacpRate::Slow, 2)] {
            let (few, many) = (minute(20, rate), minute(200, rate));
            // Bonds and partners, two members each.
            let (sent_few, sent_many) = (20 * 4 * per_member, 200 * 4 * per_member);
            assert!(few.1.abs_diff(sent_few) <= sent_few / 20, "{rate:?}: {} sent, not {sent_few}", few.1);
            assert!(
                many.1.abs_diff(sent_many) <= sent_many / 20,
                "{rate:?}: {} sent, not {sent_many}",
                many.1
            );
            let growth = many.0.total() as f64 / few.0.total() as f64;
            assert!((8.0..=11.0).contains(&growth), "{rate:?}: {few:?}, {many:?}");
            // Besides its LACPDUs there is little to do.
            assert!(many.0.timeouts <= 2 * many.1, "{rate:?}: {many:?}");
        }
    }

    /// Both loops lead to the same.
    #[test]
    fn the_loop_that_asks_every_bond_sends_the_same() {
        let run = |wake| {
            let mut bonds = ManyBonds::new(5, 2, LacpRate::Fast, wake);
            bonds.run(Duration::from_secs(20));
            assert!(bonds.all_open());
            bonds.sent()
        };
        assert_eq!(run(Wake::Heap), run(Wake::Scan));
    }
}
