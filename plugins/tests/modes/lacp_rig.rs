//! Two bonds in mode 802.3ad, joined by cables, in virtual time.

use core::time::Duration;

use bond_port::{Bond, BondEvent, LinkReport, Transmit};
use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;
use forwarding::tables::{Admission, TransmitPlan};
use lacp::{PortStatus, State, slow};

use crate::rig::{ms, options};

/// A bond and what its members are called: `a1`, `a2`, with the addresses 02:00:00:00:0a:01 and so on.
pub(crate) struct Side {
    pub(crate) bond: Bond,
    letter: char,
}

impl Side {
    fn new(letter: char, words: &str, members: usize, now: Duration) -> Self {
        let options = options(words);
        let balancer = plugins::balancer(options.mode);
        let mut side = Self { bond: Bond::new("bond0", options, balancer), letter };
        (0..members).for_each(|member| side.bond.add_member(now, &side.name(member)).unwrap());
        side
    }

    pub(crate) fn name(&self, member: usize) -> String {
        format!("{}{}", self.letter, member + 1)
    }

    pub(crate) fn report(&self, member: usize, up: bool) -> LinkReport {
        LinkReport {
            device: DeviceId(member as u16),
            up,
            speed_mbps: Some(10_000),
            full_duplex: Some(true),
            receive_hash: None,
            mac: MacAddr([2, 0, 0, 0, 0x0a + (self.letter as u8 - b'a'), member as u8 + 1]),
        }
    }

    /// The devices that frames leave by.
    pub(crate) fn senders(&self) -> Vec<u16> {
        match self.bond.plan() {
            TransmitPlan::Buckets { table, .. } => table.iter().map(|device| device.0).collect(),
            TransmitPlan::Drop(_) => Vec::new(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn admissions(&self) -> Vec<Admission> {
        self.bond.members().iter().map(|member| member.admission()).collect()
    }

    pub(crate) fn port(&self, member: usize) -> PortStatus {
        self.bond.port_of(&self.bond.members()[member]).unwrap()
    }

    pub(crate) fn events(&mut self) -> Vec<BondEvent> {
        core::iter::from_fn(|| self.bond.poll_event()).collect()
    }
}

/// Two bonds. Cables lead from the members of one to those of the other, in their order, and take no time.
pub(crate) struct Pair {
    pub(crate) now: Duration,
    pub(crate) sides: [Side; 2],
    /// By member: frames are lost.
    pub(crate) cut: Vec<bool>,
    /// The executors of this side follow at once.
    pub(crate) confirms: [bool; 2],
    /// What side 0 has sent: device, and what it says of itself.
    pub(crate) sent: Vec<(u16, State)>,
}

impl Pair {
    /// Members have joined, links are down.
    pub(crate) fn new(words: [&str; 2], members: usize) -> Self {
        let now = ms(1_000);
        let [a, b] = words;
        let sides = [Side::new('a', a, members, now), Side::new('b', b, members, now)];
        Self { now, sides, cut: vec![false; members], confirms: [true; 2], sent: Vec::new() }
    }

    /// All links are up for ten seconds.
    pub(crate) fn up(words: [&str; 2], members: usize) -> Self {
        let mut pair = Self::new(words, members);
        (0..members).for_each(|member| pair.link(member, true));
        pair.pass(ms(10_000));
        pair.sides.iter_mut().for_each(|side| drop(side.events()));
        pair.sent.clear();
        pair
    }

    /// Plugs or pulls a cable.
    pub(crate) fn link(&mut self, member: usize, up: bool) {
        for side in &mut self.sides {
            let report = side.report(member, up);
            side.bond.handle_link(self.now, &side.name(member), Some(report));
        }
        self.settle();
    }

    /// Does something to side 0.
    pub(crate) fn change(&mut self, change: impl FnOnce(&mut Side, Duration)) {
        change(&mut self.sides[0], self.now);
        self.settle();
    }

    pub(crate) fn set(&mut self, words: &str) {
        self.change(|side, now| {
            let options = options(words);
            let other = options.mode != side.bond.options().mode;
            side.bond.reconfigure(now, options.clone(), other.then(|| plugins::balancer(options.mode)));
        });
    }

    /// Carries frames until there are none.
    pub(crate) fn settle(&mut self) {
        for _ in 0..100 {
            let mut rests = true;
            for side in 0..2 {
                while self.confirms[side] && self.sides[side].bond.is_unconfirmed() {
                    self.sides[side].bond.confirm(self.now);
                }
                while let Some(transmit) = self.sides[side].bond.poll_transmit(self.now) {
                    rests = false;
                    self.carry(side, &transmit);
                }
            }
            if rests {
                return;
            }
        }
        panic!("frames without end");
    }

    fn carry(&mut self, from: usize, transmit: &Transmit) {
        let DeviceId(device) = transmit.device;
        if from == 0 {
            let pdu = slow::payload(&transmit.frame).unwrap();
            self.sent.push((device, lacp::Lacpdu::parse(pdu).unwrap().actor.state));
        }
        if !self.cut[usize::from(device)] {
            let far = &mut self.sides[1 - from];
            let name = far.name(device.into());
            far.bond.handle_frame(self.now, &name, &transmit.frame).unwrap();
        }
    }

    /// Lets time pass, with every deadline met to the nanosecond.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let next = self.sides.iter().filter_map(|side| side.bond.next_deadline()).min();
            let Some(deadline) = next.filter(|deadline| *deadline <= end) else { break };
            assert!(deadline > self.now, "a deadline that has passed would make the daemon spin");
            self.now = deadline;
            self.sides.iter_mut().for_each(|side| side.bond.handle_timeout(deadline));
            self.settle();
        }
        self.now = end;
    }

    /// What `bond/explain` says of side 0: the summary, and each member's sentences.
    pub(crate) fn explain(&self) -> (String, Vec<Vec<String>>) {
        let explained = self.sides[0].bond.explain(self.now);
        (explained.summary, explained.members.into_iter().map(|(_, lines)| lines).collect())
    }
}
