//! What is compared: ways to move buckets between members.

use core::time::Duration;

use bond_port::buckets::{Weighted, adopt, share, share_by_weight};
use bond_port::rebalance::{BUCKETS, Policy, Rebalancer};
use integration::random::Random;

use crate::ovs;

/// Seconds between two times of rebalancing; OVS's default.
pub(crate) const INTERVAL: u64 = 10;

/// A member, by its position.
pub(crate) type Link = usize;

/// A table and what moves its buckets.
pub(crate) trait Algorithm {
    /// What the tables and the plot call it.
    fn name(&self) -> &'static str;

    /// Other members can carry traffic than before; or these are the first.
    fn members(&mut self, members: &[Weighted<Link>]);

    /// A second has passed, in which the buckets sent these octets. How many buckets it moves.
    fn second(&mut self, now: u64, octets: &[u64; BUCKETS]) -> usize;

    /// The member of each bucket.
    fn table(&self) -> &[Link];
}

/// Buckets shared by weight, and moved only when members come or go.
#[derive(Default)]
pub(crate) struct Still {
    table: Vec<Link>,
}

impl Algorithm for Still {
    fn name(&self) -> &'static str {
        "none"
    }

    fn members(&mut self, members: &[Weighted<Link>]) {
        self.table = share_by_weight(&self.table, members, BUCKETS);
    }

    fn second(&mut self, _now: u64, _octets: &[u64; BUCKETS]) -> usize {
        0
    }

    fn table(&self) -> &[Link] {
        &self.table
    }
}

/// Open vSwitch, as its sources and documentation describe it.
pub(crate) struct Ovs {
    table: Vec<Link>,
    links: Vec<Link>,
    octets: [u64; BUCKETS],
    random: Random,
}

impl Ovs {
    /// With a seed for the members that it picks for the buckets of lost ones.
    pub(crate) fn new(seed: u64) -> Self {
        Self { table: Vec::new(), links: Vec::new(), octets: [0; BUCKETS], random: Random::new(seed) }
    }
}

impl Algorithm for Ovs {
    fn name(&self) -> &'static str {
        "OVS"
    }

    fn members(&mut self, members: &[Weighted<Link>]) {
        self.links = members.iter().map(|each| each.member).collect();
        if self.table.is_empty() {
            self.table = share(&[], &self.links, BUCKETS);
        }
        for holder in self.table.iter_mut().filter(|holder| !self.links.contains(*holder)) {
            *holder = *self.random.pick(&self.links);
        }
    }

    fn second(&mut self, now: u64, octets: &[u64; BUCKETS]) -> usize {
        self.octets.iter_mut().zip(octets).for_each(|(sum, octets)| *sum += octets);
        if !now.is_multiple_of(INTERVAL) {
            return 0;
        }
        let moves = ovs::rebalance(&mut self.table, &self.octets, &self.links);
        self.octets.iter_mut().for_each(|sum| *sum /= 2);
        moves
    }

    fn table(&self) -> &[Link] {
        &self.table
    }
}

/// This project's.
pub(crate) struct Ours {
    table: Vec<Link>,
    members: Vec<Weighted<Link>>,
    counters: [u64; BUCKETS],
    rebalancer: Rebalancer<Link>,
}

impl Ours {
    /// With this policy.
    pub(crate) fn new(policy: Policy) -> Self {
        let mut rebalancer = Rebalancer::new(Duration::from_secs(INTERVAL), policy);
        // The first call only sets where counting begins.
        rebalancer.handle_timeout(Duration::ZERO, &[0; BUCKETS], &[], &[]);
        Self { table: Vec::new(), members: Vec::new(), counters: [0; BUCKETS], rebalancer }
    }
}

impl Algorithm for Ours {
    fn name(&self) -> &'static str {
        "vswitch"
    }

    fn members(&mut self, members: &[Weighted<Link>]) {
        self.table = adopt(&self.table, members, BUCKETS);
        self.members = members.to_vec();
    }

    fn second(&mut self, now: u64, octets: &[u64; BUCKETS]) -> usize {
        self.counters.iter_mut().zip(octets).for_each(|(sum, octets)| *sum += octets);
        let now = Duration::from_secs(now);
        let plan = self.rebalancer.handle_timeout(now, &self.counters, &self.table, &self.members);
        self.table = plan.table;
        plan.moves.len()
    }

    fn table(&self) -> &[Link] {
        &self.table
    }
}
