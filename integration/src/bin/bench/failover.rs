//! What an event costs: datagrams lost per pulled cable, per returning cable, per planned change.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use integration::probe::{Probe, Punctuality, Window};
use integration::switch::{Kind, Wiring};
use integration::testing::reaches;
use integration::topology::{REMOTE, Topology, Upstream, ipv4};

mod loaded;

use crate::present;
use crate::table::{cell, median, print, worst};

#[derive(Args)]
pub(crate) struct Options {
    /// Events of each sort.
    #[arg(long, default_value_t = 20)]
    events: usize,
    /// Milliseconds from one event to the next.
    #[arg(long, default_value_t = 500)]
    pause: u64,
    /// Pull cables under a load of small frames instead, and compare the fast path with workers.
    #[arg(long)]
    fastpath: bool,
    /// That load, in frames a second.
    #[arg(long, default_value_t = 200_000)]
    rate: u32,
}

const SPACING: Duration = Duration::from_millis(1);
const SORTS: [&str; 3] = ["cable pulled", "cable back", "planned change"];

pub(crate) fn run(options: &Options) -> Result<()> {
    if options.fastpath {
        return loaded::run(options.events, options.rate.into());
    }
    let mut rows = vec![
        ["", "switch", "events", "median", "worst", "worst out", "worst in", "total"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for kind in present(&[Kind::Ovs, Kind::Workers, Kind::FastPath]) {
        eprintln!("{}", kind.name());
        let (windows, punctuality) = measure(kind, options).context(kind.name())?;
        rows.extend(SORTS.iter().map(|sort| summary(sort, kind, &windows)));
        let Punctuality { worst_ms, late, realtime } = punctuality;
        println!(
            "{}: the probe's own worst lateness {worst_ms:.1} ms, {late} sendings late, real-time priority: {realtime}",
            kind.name()
        );
    }
    println!("Datagrams lost per event, both ways together, at one per millisecond and way:");
    print(&rows);
    Ok(())
}

fn measure(kind: Kind, options: &Options) -> Result<(Vec<Window>, Punctuality)> {
    let topology = Topology::new(1, 2, Upstream::LinuxBridge)?;
    let switch = kind.start(&topology, Wiring::default())?;
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)), "forwards nothing");
    let active = || switch.active()?.context("no active member");
    let pause = || std::thread::sleep(Duration::from_millis(options.pause));
    let mut probe =
        Probe::start(&[((topology.guest(1), ipv4(1)), (&topology.remote, ipv4(REMOTE)))], SPACING)?;
    pause();
    for _ in 0..options.events {
        let carrying = active()?;
        probe.mark(SORTS[0]);
        topology.pull(&carrying)?;
        pause();
        probe.mark(SORTS[1]);
        topology.replug(&carrying)?;
        pause();
    }
    for _ in 0..options.events {
        let next = if active()? == "u1" { "u2" } else { "u1" };
        probe.mark(SORTS[2]);
        switch.activate(next)?;
        pause();
        ensure!(active()? == next, "the planned change to {next} did not happen");
    }
    let report = probe.finish()?;
    Ok((report.windows, report.punctuality))
}

fn summary(sort: &str, kind: Kind, windows: &[Window]) -> Vec<String> {
    let of_sort: Vec<_> = windows.iter().filter(|window| window.label == sort).collect();
    let totals: Vec<f64> = of_sort.iter().map(|window| window.total() as f64).collect();
    let way = |i: usize| of_sort.iter().map(|window| window.lost[i] as f64).collect::<Vec<_>>();
    vec![
        sort.to_owned(),
        kind.name().to_owned(),
        totals.len().to_string(),
        cell(median(&totals), 1),
        cell(worst(&totals), 0),
        cell(worst(&way(0)), 0),
        cell(worst(&way(1)), 0),
        cell(Some(totals.iter().sum()), 0),
    ]
}
