//! Bonds and what happens to them, and an hour of each.

use bond_port::buckets::Weighted;
use bond_port::rebalance::imbalance;

use crate::algorithm::{Algorithm, Link};
use crate::traffic::{Octets, SECONDS};

/// A bond for an hour.
pub(crate) struct Scenario {
    /// What the tables and the plot call it.
    pub(crate) name: &'static str,
    /// The links' speeds in Mb/s.
    pub(crate) speeds: &'static [u32],
    /// A flow's mean length in seconds.
    pub(crate) lifetime: usize,
    /// The last link can't carry traffic from the one second to the other.
    pub(crate) outage: Option<(usize, usize)>,
}

/// All that are compared. The links are used to 60 %.
pub(crate) const SCENARIOS: [Scenario; 5] = [
    Scenario { name: "2 x 25G, flows of 5 min", speeds: &[25_000, 25_000], lifetime: 300, outage: None },
    Scenario { name: "2 x 25G, flows of 1 min", speeds: &[25_000, 25_000], lifetime: 60, outage: None },
    Scenario { name: "4 x 10G, flows of 5 min", speeds: &[10_000; 4], lifetime: 300, outage: None },
    Scenario { name: "25G + 10G, flows of 5 min", speeds: &[25_000, 10_000], lifetime: 300, outage: None },
    Scenario {
        name: "3 x 10G, one lost from minute 20 to 25",
        speeds: &[10_000; 3],
        lifetime: 300,
        outage: Some((1200, 1500)),
    },
];

impl Scenario {
    /// What the links are to carry in octets a second.
    pub(crate) fn total(&self) -> f64 {
        self.speeds.iter().map(|mbps| f64::from(*mbps)).sum::<f64>() * 1e6 / 8.0 * 0.6
    }

    fn members(&self, second: usize) -> Vec<Weighted<Link>> {
        let lost = self.outage.is_some_and(|(from, to)| (from..to).contains(&second));
        let count = self.speeds.len() - usize::from(lost);
        let weighted = |(member, weight): (usize, &u32)| Weighted { member, weight: *weight };
        self.speeds[..count].iter().enumerate().map(weighted).collect()
    }
}

/// What an algorithm made of an hour.
pub(crate) struct Hour {
    /// For each second, by how much the most utilised link was above the mean.
    pub(crate) imbalance: Vec<f64>,
    /// For each second, how many buckets it moved that did not have to: other than those of a lost link.
    pub(crate) moves: Vec<usize>,
}

impl Hour {
    /// Lets the algorithm do its work.
    pub(crate) fn run(algorithm: &mut dyn Algorithm, scenario: &Scenario, traffic: &Octets) -> Self {
        let mut hour = Self { imbalance: Vec::new(), moves: Vec::new() };
        let mut members = Vec::new();
        for (second, octets) in traffic.iter().enumerate().take(SECONDS) {
            let now = scenario.members(second);
            let mut moves = 0;
            if now != members {
                let before = algorithm.table().to_vec();
                algorithm.members(&now);
                members = now;
                let carries = |link: Link| members.iter().any(|each| each.member == link);
                let both = before.iter().zip(algorithm.table());
                moves += both.filter(|(was, is)| was != is && carries(**was)).count();
            }
            hour.imbalance.push(imbalance(algorithm.table(), octets, &members));
            moves += algorithm.second(second as u64 + 1, octets);
            hour.moves.push(moves);
        }
        hour
    }

    /// The mean imbalance over time.
    pub(crate) fn mean(&self) -> f64 {
        self.imbalance.iter().sum::<f64>() / self.imbalance.len() as f64
    }

    /// The imbalance that was exceeded for 5 % of the time.
    pub(crate) fn exceeded_seldom(&self) -> f64 {
        let mut sorted = self.imbalance.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() * 95 / 100]
    }

    /// All moves.
    pub(crate) fn moved(&self) -> usize {
        self.moves.iter().sum()
    }
}
