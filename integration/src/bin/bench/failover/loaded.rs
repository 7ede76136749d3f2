//! Cables pulled under a load of small frames.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration::generator::{Counter, Generator};
use integration::netns::Namespace;
use integration::process::eventually;
use integration::switch::{BOND, Kind, Switch as _, Vswitch, Wiring, punted};
use integration::testing::reaches;
use integration::topology::{REMOTE, Topology, Upstream, ipv4};

use crate::present;
use crate::table::{cell, median, print, worst};

/// From the load's start to the event.
const BEFORE: Duration = Duration::from_millis(100);
/// From the event to the load's end.
const AFTER: Duration = Duration::from_millis(300);
const QUIET: Duration = Duration::from_millis(50);
const DEADLINE: Duration = Duration::from_secs(10);
const ROWS: [&str; 4] =
    ["out, nothing pulled", "out, cable pulled", "in, nothing pulled", "in, cable pulled"];

/// What one event cost.
#[derive(Clone, Copy)]
struct Cost {
    lost: f64,
    /// Frames a second that were sent.
    rate: f64,
    /// Frames that the fast path left to workers.
    punted: f64,
}

pub(super) fn run(events: usize, rate: f64) -> Result<()> {
    let kinds = present(&[Kind::Workers, Kind::FastPath]);
    let mut labs = Vec::new();
    for kind in &kinds {
        let topology = Topology::new(1, 2, Upstream::LinuxBridge)?;
        let switch = kind.start_empty(&topology)?;
        switch.connect(&topology, Wiring::default())?;
        labs.push((switch, topology));
    }
    let mut costs = vec![vec![Vec::new(); kinds.len()]; ROWS.len()];
    for event in 1..=events {
        eprintln!("event {event}");
        for (row, of_row) in costs.iter_mut().enumerate() {
            for ((kind, lab), of_kind) in kinds.iter().zip(&labs).zip(of_row.iter_mut()) {
                of_kind.push(once(lab, row < 2, row % 2 == 1, rate).context(kind.name())?);
            }
        }
    }
    let head = [
        "",
        "switch",
        "events",
        "frames/s",
        "lost: median",
        "worst",
        "ms: median",
        "worst",
        "left to workers",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (label, of_row) in ROWS.iter().zip(&costs) {
        for (kind, costs) in kinds.iter().zip(of_row) {
            let of = |value: fn(&Cost) -> f64| costs.iter().map(value).collect::<Vec<_>>();
            let (lost, ms) = (of(|cost| cost.lost), of(|cost| cost.lost / cost.rate * 1e3));
            rows.push(vec![
                (*label).to_owned(),
                kind.name().to_owned(),
                costs.len().to_string(),
                cell(median(&of(|cost| cost.rate)), 0),
                cell(median(&lost), 0),
                cell(worst(&lost), 0),
                cell(median(&ms), 2),
                cell(worst(&ms), 2),
                cell(median(&of(|cost| cost.punted)), 0),
            ]);
        }
    }
    println!(
        "64-octet frames lost in {} ms around an event, one way at a time:",
        (BEFORE + AFTER).as_millis()
    );
    print(&rows);
    Ok(())
}

/// Frames from guest 1 to the remote host (`out`) or back, and the active member's cable pulled or not.
fn once((switch, topology): &(Vswitch, Topology), out: bool, pull: bool, rate: f64) -> Result<Cost> {
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)), "forwards nothing");
    let (guest, remote): (&Namespace, &Namespace) = (topology.guest(1), &topology.remote);
    let (from, to) = if out { (guest, remote) } else { (remote, guest) };
    let pair = (to.mac("eth0")?, from.mac("eth0")?);
    let active = switch.active()?.context("no active member")?;
    let left = punted(&topology.host)?;
    let counter = Counter::new(to)?;
    let start = integration::sys::monotonic();
    let generator = Generator::start(from, Some(rate), move |_| pair)?;
    std::thread::sleep(BEFORE);
    if pull {
        topology.pull(&active)?;
    }
    std::thread::sleep(AFTER);
    let sent = generator.stop()? as f64;
    let rate = sent / (integration::sys::monotonic() - start).as_secs_f64();
    let lost = sent - counter.settle(QUIET)? as f64;
    let punted = (punted(&topology.host)? - left) as f64;
    if pull {
        ensure!(switch.active()?.is_some_and(|now| now != active), "no failover from {active}");
        topology.replug(&active)?;
        eventually("the cable is back", DEADLINE, || {
            let bond = switch.bond(BOND)?;
            Ok(bond.members.iter().all(|member| member.link == "up").then_some(()))
        })?;
    }
    Ok(Cost { lost, rate, punted })
}
