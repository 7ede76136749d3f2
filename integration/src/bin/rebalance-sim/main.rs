//! What rebalancing is worth: an hour of skewed traffic in virtual time, without it, with Open vSwitch's algorithm, and
//! with this project's.
//!
//! `cargo run --release -p integration --bin rebalance-sim` prints a table and draws docs/rebalancing.svg. The same seed
//! gives the same figures.

mod algorithm;
mod ovs;
mod plot;
mod scenario;
mod traffic;

use std::path::PathBuf;

use anyhow::Context;
use bond_port::rebalance::Policy;
use clap::Parser;
use integration::random::Random;

use crate::algorithm::{Algorithm, Ours, Ovs, Still};
use crate::scenario::{Hour, SCENARIOS, Scenario};

/// Compares ways to rebalance a bond, in virtual time.
#[derive(Parser)]
struct Arguments {
    /// The first seed of the traffic.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many hours of each, with a seed each; the table shows their means and the plot the first.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    hours: u64,
    /// Where the plot goes.
    #[arg(long, default_value = "docs/rebalancing.svg")]
    plot: PathBuf,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    println!(
        "| links and flows | rebalancing | imbalance, mean | exceeded 5 % of the time | moves an hour |"
    );
    println!("|---|---|---|---|---|");
    let mut panels = Vec::new();
    for scenario in &SCENARIOS {
        let hours: Vec<_> =
            (arguments.seed..).take(arguments.hours as usize).map(|seed| run(scenario, seed)).collect();
        for (nth, (name, _)) in hours[0].iter().enumerate() {
            let mean = |of: fn(&Hour) -> f64| {
                hours.iter().map(|hour| of(&hour[nth].1)).sum::<f64>() / arguments.hours as f64
            };
            println!(
                "| {} | {name} | {:.1} % | {:.1} % | {:.0} |",
                scenario.name,
                mean(Hour::mean) * 100.0,
                mean(Hour::exceeded_seldom) * 100.0,
                mean(|hour| hour.moved() as f64)
            );
        }
        panels.extend(hours.into_iter().next().map(|first| (scenario.name, first)));
    }
    let path = &arguments.plot;
    std::fs::write(path, plot::svg(&panels)).with_context(|| {
        format!("cannot write {}; run it in the source tree or say --plot FILE", path.display())
    })?;
    println!("\nThe plot of seed {} is in {}.", arguments.seed, path.display());
    Ok(())
}

/// The same hour with each algorithm.
fn run(scenario: &Scenario, seed: u64) -> Vec<(&'static str, Hour)> {
    let traffic = traffic::zipf(&mut Random::new(seed), scenario.total(), scenario.lifetime);
    let algorithms: [Box<dyn Algorithm>; 3] =
        [Box::<Still>::default(), Box::new(Ovs::new(seed)), Box::new(Ours::new(Policy::default()))];
    algorithms
        .into_iter()
        .map(|mut algorithm| (algorithm.name(), Hour::run(algorithm.as_mut(), scenario, &traffic)))
        .collect()
}
