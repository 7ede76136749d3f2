//! What a mode costs on the fast path: its throughput as a ratio to that of active-backup.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use clap::Args;
use integration::modes::{self, Case, FarEnd};
use integration::numbered::{self, End};
use integration::pktgen;
use integration::process::find_program;
use integration::switch::{BOND, BRIDGE, Kind, Vswitch, punted};
use integration::tcp::{Way, iperf3};
use integration::testing::reaches;
use integration::topology::{REMOTE, Topology, Upstream, ipv4};

use crate::table::{cell, median, print};

#[derive(Args)]
pub(crate) struct Options {
    /// Modes to measure, by Linux's names; all that can be if none is given.
    modes: Vec<String>,
    /// Rounds; each measures every mode once, in turn. Medians are shown.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds a measurement takes.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
}

/// The mode that the others are compared with.
const YARDSTICK: &str = "active-backup";

#[derive(Clone, Copy)]
enum Measure {
    /// Gb/s of payload, one stream.
    Tcp(Way),
    /// Thousands of frames a second that are delivered, UDP over IPv4 in 64 octets.
    Frames,
}

const MEASURES: [Measure; 3] = [Measure::Tcp(Way::There), Measure::Tcp(Way::Back), Measure::Frames];

impl Measure {
    fn label(self) -> &'static str {
        match self {
            Self::Tcp(Way::There) => "TCP, guest to remote (Gb/s)",
            Self::Tcp(Way::Back) => "TCP, remote to guest (Gb/s)",
            Self::Frames => "64-octet frames delivered (thousands/s)",
        }
    }

    fn run(self, topology: &Topology, seconds: u64) -> Result<f64> {
        let (guest, remote, time) = (topology.guest(1), &topology.remote, Duration::from_secs(seconds));
        match self {
            Self::Tcp(way) => {
                let ends = ((guest, ipv4(1)), (remote, ipv4(REMOTE)));
                Ok(iperf3(ends.0, ends.1, way, 1, time)?.bits_per_second / 1e9)
            }
            Self::Frames => {
                // To an address that the remote host does not have, so that it answers nothing.
                let end = |namespace: &integration::netns::Namespace, ip: [u8; 4]| -> Result<End> {
                    Ok(End { mac: namespace.mac("eth0")?, ip: ip.into(), port: 9 })
                };
                let frame = numbered::between(end(guest, [10, 0, 0, 1])?, end(remote, [10, 9, 0, 1])?, 0);
                Ok(pktgen::flood_with(&frame, guest, remote, time)?.delivered / 1e3)
            }
        }
    }
}

/// A mode on wires of its own.
struct Lab {
    // Before the namespaces that it is in.
    _switch: Vswitch,
    topology: Topology,
    mode: &'static str,
    upstream: Upstream,
}

impl Lab {
    fn start(mode: Case, upstream: Upstream) -> Result<Self> {
        let topology = Topology::new(1, 2, upstream)?;
        let switch = Kind::FastPath.start_empty(&topology)?;
        switch.vsctl(&format!(
            "add-br {BRIDGE} -- add-port {BRIDGE} g1 -- add-bond {BRIDGE} {BOND} u1 u2 mode={} {}",
            mode.mode, mode.options
        ))?;
        integration::process::eventually("all members are up", Duration::from_secs(10), || {
            let members = switch.bond(BOND)?.members;
            Ok(members.iter().all(|member| member.link == "up").then_some(()))
        })?;
        Ok(Self { _switch: switch, topology, mode: mode.mode, upstream })
    }

    fn measure(&self, measure: Measure, seconds: u64) -> Result<f64> {
        ensure!(reaches(self.topology.guest(1), ipv4(REMOTE)), "{}: it forwards nothing", self.mode);
        let before = punted(&self.topology.host)?;
        let value = measure.run(&self.topology, seconds).with_context(|| self.mode)?;
        let left = punted(&self.topology.host)? - before;
        eprintln!("  {:<13}  {value:>8.2}  ({left} frames left to workers)", self.mode);
        Ok(value)
    }
}

/// What stands at the other end. A static group is made of `tc` redirects, so that it costs as little as it can.
fn upstream(mode: Case) -> Option<Upstream> {
    match mode.far_end {
        FarEnd::Ports => Some(Upstream::LinuxBridge),
        FarEnd::Lag => Some(Upstream::StaticLag),
        FarEnd::Lacp => None,
    }
}

fn chosen(names: &[String]) -> Result<Vec<Case>> {
    if names.is_empty() {
        let mut all = modes::all()?;
        all.retain(|mode| upstream(*mode).is_some() && mode.mode != YARDSTICK);
        return Ok(all);
    }
    let of = |name: &String| {
        let mode = modes::all()?.into_iter().find(|mode| mode.mode == name);
        let mode = mode.with_context(|| format!("there is no mode {name}; use Linux's names"))?;
        if upstream(mode).is_none() {
            bail!("{name} needs a partner that speaks LACP; it sends as balance-xor does: measure that");
        }
        Ok(mode)
    };
    names.iter().map(of).collect()
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let modes = chosen(&options.modes)?;
    let obstacle = Kind::FastPath.obstacle().or_else(integration::fastpath::problem);
    let missing = ["iperf3", "tc"].iter().find(|program| find_program(program).is_none());
    if let Some(obstacle) = obstacle.or_else(|| missing.map(|program| format!("{program} is not installed")))
    {
        println!("SKIP {obstacle}");
        return Ok(());
    }
    let yardstick = modes::of(YARDSTICK)?;
    let mut labs = Vec::new();
    for far_end in [Upstream::LinuxBridge, Upstream::StaticLag] {
        let here: Vec<Case> = modes.iter().copied().filter(|mode| upstream(*mode) == Some(far_end)).collect();
        if !here.is_empty() {
            labs.push(Lab::start(yardstick, far_end)?);
            for mode in here {
                labs.push(Lab::start(mode, far_end).with_context(|| mode.mode)?);
            }
        }
    }
    // By measure, lab and round.
    let mut values = vec![vec![vec![0.0; options.rounds]; labs.len()]; MEASURES.len()];
    for round in 0..options.rounds {
        for (measure, values) in MEASURES.iter().zip(&mut values) {
            eprintln!("round {}: {}", round + 1, measure.label());
            for turn in 0..labs.len() {
                // Nobody is always the first.
                let lab = (round + turn) % labs.len();
                values[lab][round] = labs[lab].measure(*measure, options.seconds)?;
            }
        }
    }
    show(&labs, &values, options.rounds);
    Ok(())
}

fn show(labs: &[Lab], values: &[Vec<Vec<f64>>], rounds: usize) {
    let head = ["", "mode", "active-backup", "ratio", "least"].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    for (measure, values) in MEASURES.iter().zip(values) {
        let digits = if matches!(measure, Measure::Frames) { 0 } else { 2 };
        for (lab, own) in labs.iter().zip(values).filter(|(lab, _)| lab.mode != YARDSTICK) {
            let beside = labs
                .iter()
                .zip(values)
                .find(|(other, _)| other.mode == YARDSTICK && other.upstream == lab.upstream);
            let Some((_, beside)) = beside else { continue };
            let ratios: Vec<f64> = own.iter().zip(beside).map(|(own, beside)| own / beside).collect();
            let least = ratios.iter().copied().reduce(f64::min);
            rows.push(vec![
                format!("{}: {}", lab.mode, measure.label()),
                cell(median(own), digits),
                cell(median(beside), digits),
                cell(median(&ratios), 2),
                cell(least, 2),
            ]);
        }
    }
    print(&rows);
    println!(
        "Medians of {rounds} rounds on the fast path; the ratio is the median of the rounds' ratios to active-backup at \
         the same other end: a Linux bridge with both uplinks, or a static group. Of broadcast each copy is counted."
    );
}
