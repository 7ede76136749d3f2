//! What `kill -9`, a pause and a new start cost.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use integration::netns::format_mac;
use integration::probe::Probe;
use integration::switch::{Kind, Wiring};
use integration::tcp::Stream;
use integration::testing::reaches;
use integration::topology::{REMOTE, Topology, Upstream, ipv4};

use crate::table::{cell, median, print, worst};
use crate::{chosen, present};

#[derive(Args)]
pub(crate) struct Options {
    /// How often each is killed.
    #[arg(long, default_value_t = 3)]
    events: usize,
    /// Seconds from its death to its new start.
    #[arg(long, default_value_t = 10)]
    pause: u64,
    /// The stations never ask for each other's hardware address again, so that all there is to forward is known traffic.
    #[arg(long)]
    fixed_neighbours: bool,
    /// Switches to measure, by their names in the table; all if not given. May be given several times.
    #[arg(long = "switch")]
    switches: Vec<String>,
}

/// How long is watched after the new start.
const AFTER: Duration = Duration::from_secs(2);
/// Octets a second of the TCP stream: it is to notice a hole, not to fill the machine.
const PACE: u32 = 50_000_000;

/// What one event cost.
struct Cost {
    /// Datagrams lost while there was no process.
    dead: f64,
    /// And from its start on.
    restart: f64,
    gap_ms: f64,
    /// Octets of the TCP stream that arrived while there was no process, as a share of those that should have.
    tcp: f64,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let head = [
        "",
        "restarts",
        "sent",
        "lost while dead: median",
        "worst",
        "lost on restart: median",
        "worst",
        "longest gap (ms)",
        "TCP while dead (%)",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for kind in chosen(present(&[Kind::Ovs, Kind::Workers, Kind::FastPath]), &options.switches)? {
        eprintln!("{}", kind.name());
        let costs = measure(kind, options).context(kind.name())?;
        let of = |value: fn(&Cost) -> f64| costs.iter().map(value).collect::<Vec<_>>();
        let (dead, restart) = (of(|cost| cost.dead), of(|cost| cost.restart));
        rows.push(vec![
            kind.name().to_owned(),
            costs.len().to_string(),
            (2000 * (options.pause + AFTER.as_secs())).to_string(),
            cell(median(&dead), 0),
            cell(worst(&dead), 0),
            cell(median(&restart), 0),
            cell(worst(&restart), 0),
            cell(worst(&of(|cost| cost.gap_ms)), 0),
            cell(median(&of(|cost| cost.tcp * 100.0)), 0),
        ]);
    }
    println!(
        "Killed, and started again after {} s. Datagrams at one per millisecond and way, both ways together, and a TCP \
         stream of {} MB/s; each event is on new wires:",
        options.pause,
        PACE / 1_000_000
    );
    print(&rows);
    Ok(())
}

fn measure(kind: Kind, options: &Options) -> Result<Vec<Cost>> {
    (0..options.events).map(|_| once(kind, options)).collect()
}

fn once(kind: Kind, options: &Options) -> Result<Cost> {
    let topology = Topology::new(1, 2, Upstream::LinuxBridge)?;
    let mut switch = kind.start(&topology, Wiring::default())?;
    let ends = ((topology.guest(1), ipv4(1)), (&topology.remote, ipv4(REMOTE)));
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)), "forwards nothing");
    if options.fixed_neighbours {
        for ((near, _), (far, address)) in [ends, (ends.1, ends.0)] {
            let mac = format_mac(far.mac("eth0")?);
            near.ip(&format!("neighbour replace {address} lladdr {mac} dev eth0 nud permanent"))?;
        }
    }
    let stream = Stream::start(ends.0, ends.1, Some(PACE))?;
    let mut probe = Probe::start(&[ends], Duration::from_millis(1))?;
    std::thread::sleep(Duration::from_millis(500));
    probe.mark("dead");
    let (before, began) = (stream.received(), Instant::now());
    switch.crash()?;
    std::thread::sleep(Duration::from_secs(options.pause));
    let arrived = (stream.received() - before) as f64;
    let tcp = arrived / (began.elapsed().as_secs_f64() * f64::from(PACE));
    probe.mark("restart");
    switch.restart()?;
    std::thread::sleep(AFTER);
    let report = probe.finish()?;
    let lost = |label| report.windows.iter().filter(|w| w.label == label).map(|w| w.total() as f64).sum();
    let gap_ms = report.flows.iter().map(|flow| flow.longest_gap_ms).fold(0.0, f64::max);
    Ok(Cost { dead: lost("dead"), restart: lost("restart"), gap_ms, tcp })
}
