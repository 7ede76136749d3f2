//! A bond in virtual time, driven as the daemon drives it.

use core::time::Duration;

use bond_port::{Bond, BondEvent, BondOptions, LinkReport, LinkState};
use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;
use forwarding::tables::{Admission, TransmitPlan};

/// Milliseconds.
pub(crate) const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Options from `key=value` words.
pub(crate) fn options(words: &str) -> BondOptions {
    let mut options = BondOptions::default();
    for word in words.split_whitespace() {
        let (key, value) = word.split_once('=').expect("key=value");
        options.set(key, value).unwrap_or_else(|error| panic!("{error}"));
    }
    options.check().expect("options that go together");
    options
}

/// A bond with members eth0, eth1, ... and a clock.
pub(crate) struct Rig {
    pub(crate) bond: Bond,
    pub(crate) now: Duration,
}

impl Rig {
    /// A bond whose members have joined and were never heard of.
    pub(crate) fn silent(words: &str, members: usize) -> Self {
        let options = options(words);
        let balancer = plugins::balancer(options.mode);
        let mut rig = Self { bond: Bond::new("bond0", options, balancer), now: ms(1_000) };
        for member in 0..members {
            rig.bond.add_member(rig.now, &name(member)).unwrap();
        }
        rig
    }

    /// A bond whose members are all up, with what that caused already polled and settled.
    pub(crate) fn up(words: &str, members: usize) -> Self {
        let mut rig = Self::silent(words, members);
        (0..members).for_each(|member| rig.link(member, true));
        rig.pass(ms(60_000));
        rig.events();
        rig
    }

    pub(crate) fn report(&self, member: usize, up: bool) -> LinkReport {
        LinkReport {
            device: DeviceId(member as u16),
            up,
            speed_mbps: Some(10_000),
            full_duplex: Some(true),
            receive_hash: Some(member == 0),
            mac: mac(member),
        }
    }

    pub(crate) fn link(&mut self, member: usize, up: bool) {
        let report = self.report(member, up);
        self.bond.handle_link(self.now, &name(member), Some(report));
        self.settle();
    }

    /// The executors follow at once, and what a mode sends is sent (to nobody).
    pub(crate) fn settle(&mut self) {
        while self.bond.is_unconfirmed() {
            self.bond.confirm(self.now);
        }
        while self.bond.poll_transmit(self.now).is_some() {}
    }

    /// Lets time pass, with every deadline met to the nanosecond.
    pub(crate) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        self.settle();
        while let Some(deadline) = self.bond.next_deadline().filter(|deadline| *deadline <= end) {
            assert!(deadline > self.now, "a deadline that has passed would make the daemon spin");
            self.now = deadline;
            self.bond.handle_timeout(deadline);
            self.settle();
        }
        self.now = end;
    }

    pub(crate) fn set(&mut self, words: &str) {
        let before = self.bond.options().mode;
        let mut options = self.bond.options().clone();
        for word in words.split_whitespace() {
            let (key, value) = word.split_once('=').expect("key=value");
            options.set(key, value).unwrap();
        }
        options.check().unwrap();
        let balancer = (options.mode != before).then(|| plugins::balancer(options.mode));
        self.bond.reconfigure(self.now, options, balancer);
    }

    pub(crate) fn set_active(&mut self, member: usize) {
        assert_eq!(self.bond.set_active_member(self.now, &name(member)), Ok(true));
    }

    pub(crate) fn events(&mut self) -> Vec<BondEvent> {
        core::iter::from_fn(|| self.bond.poll_event()).collect()
    }

    /// Number of the active member.
    pub(crate) fn active(&self) -> Option<usize> {
        let active = self.bond.active().map(|name| name["eth".len()..].parse().unwrap());
        if self.bond.options().mode.has_active_member() {
            let expected = active.map(|n: usize| self.bond.member(&name(n)).unwrap().device().unwrap());
            let plan = match self.bond.plan() {
                TransmitPlan::Buckets { .. } => expected,
                TransmitPlan::One(device) | TransmitPlan::Balanced { home: device, .. } => Some(*device),
                TransmitPlan::Drop(_) => None,
                other => panic!("{other:?}"),
            };
            assert_eq!(plan, expected);
        }
        active
    }

    pub(crate) fn link_state(&self, member: usize) -> LinkState {
        self.bond.member(&name(member)).unwrap().link()
    }

    pub(crate) fn failures(&self, member: usize) -> u64 {
        self.bond.member(&name(member)).unwrap().link_failure_count()
    }

    pub(crate) fn admissions(&self) -> Vec<Admission> {
        self.bond.members().iter().map(|member| member.admission()).collect()
    }

    /// The members of the plan, in its order; empty if frames are dropped.
    pub(crate) fn senders(&self) -> Vec<u16> {
        let devices = match self.bond.plan() {
            TransmitPlan::Drop(_) => &[][..],
            TransmitPlan::One(device) => core::slice::from_ref(device),
            TransmitPlan::Buckets { table: members, .. }
            | TransmitPlan::Balanced { table: members, .. }
            | TransmitPlan::RoundRobin { members, .. }
            | TransmitPlan::All { members } => members,
        };
        devices.iter().map(|device| device.0).collect()
    }

    /// The bucket table, as member numbers; empty if frames are dropped.
    pub(crate) fn table(&self) -> Vec<u16> {
        match self.bond.plan() {
            TransmitPlan::Buckets { table, .. } | TransmitPlan::Balanced { table, .. } => {
                table.iter().map(|device| device.0).collect()
            }
            TransmitPlan::Drop(_) => Vec::new(),
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn name(member: usize) -> String {
    format!("eth{member}")
}

pub(crate) fn mac(member: usize) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, member as u8])
}
