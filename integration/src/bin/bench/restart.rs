//! The hole that `kill -9` and an immediate restart leave.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use integration::probe::Probe;
use integration::switch::{Kind, Wiring};
use integration::testing::reaches;
use integration::topology::{REMOTE, Topology, Upstream, ipv4};

use crate::present;
use crate::table::{cell, median, print, worst};

#[derive(Args)]
pub(crate) struct Options {
    /// How often each is killed.
    #[arg(long, default_value_t = 10)]
    events: usize,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let mut rows = vec![["", "restarts", "median (ms)", "worst (ms)"].map(str::to_owned).to_vec()];
    for kind in present(&[Kind::Ovs, Kind::Vswitch]) {
        eprintln!("{}", kind.name());
        let gaps = measure(kind, options.events).context(kind.name())?;
        rows.push(vec![
            kind.name().to_owned(),
            gaps.len().to_string(),
            cell(median(&gaps), 0),
            cell(worst(&gaps), 0),
        ]);
    }
    println!("Longest time without an arrival, in the worse direction:");
    print(&rows);
    Ok(())
}

fn measure(kind: Kind, events: usize) -> Result<Vec<f64>> {
    let topology = Topology::new(1, 2, Upstream::LinuxBridge)?;
    let mut switch = kind.start(&topology, Wiring::default())?;
    let mut gaps = Vec::new();
    for _ in 0..events {
        ensure!(reaches(topology.guest(1), ipv4(REMOTE)), "forwards nothing");
        let pair = ((topology.guest(1), ipv4(1)), (&topology.remote, ipv4(REMOTE)));
        let probe = Probe::start(&[pair], Duration::from_millis(1))?;
        std::thread::sleep(Duration::from_millis(300));
        switch.crash_and_restart()?;
        std::thread::sleep(Duration::from_secs(1));
        let report = probe.finish()?;
        gaps.extend(report.flows.iter().map(|flow| flow.longest_gap_ms).reduce(f64::max));
    }
    Ok(gaps)
}
