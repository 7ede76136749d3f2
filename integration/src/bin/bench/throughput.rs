//! How fast: TCP, small frames, round trips.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use clap::{Args, ValueEnum};
use integration::ping_pong;
use integration::pktgen;
use integration::process::find_program;
use integration::switch::{Kind, Mode, Switch, Wiring, punted};
use integration::tcp::{Way, iperf3};
use integration::testing::reaches;
use integration::topology::{REMOTE, Topology, Upstream, ipv4, ipv6};

use crate::table::{cell, median, print};
use crate::{chosen, present};

#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; each measures every switch once, in turn. Medians are shown.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds a TCP measurement takes.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Rows whose label contains this text; all if not given. May be given several times.
    #[arg(long)]
    only: Vec<String>,
    /// Switches to measure, by their names in the table; all if not given. May be given several times.
    #[arg(long = "switch")]
    switches: Vec<String>,
    /// The bond's mode; both, a table each, if not given.
    #[arg(long, value_enum)]
    mode: Option<ModeName>,
}

#[derive(Clone, Copy, ValueEnum)]
enum ModeName {
    /// Upstream is a Linux bridge that holds both uplinks.
    ActiveBackup,
    /// By layer3+4, and upstream is a static link aggregation group.
    BalanceXor,
}

/// One line of the table.
#[derive(Clone, Copy)]
enum Measure {
    /// Gb/s of payload.
    Tcp { v6: bool, way: Way, streams: usize, tagged: bool },
    /// Thousands of 64-octet frames a second delivered to the other side.
    Frames,
    /// Half of all round trips are at most this long, in microseconds.
    RoundTrip,
}

impl Measure {
    fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for (tagged, streams) in [(false, 1), (false, 4), (true, 1)] {
            for v6 in [false, true] {
                for way in [Way::There, Way::Back] {
                    all.push(Self::Tcp { v6, way, streams, tagged });
                }
            }
        }
        all.extend([Self::Frames, Self::RoundTrip]);
        all
    }

    fn tagged(self) -> bool {
        matches!(self, Self::Tcp { tagged: true, .. })
    }

    fn label(self) -> String {
        match self {
            Self::Tcp { v6, way, streams, tagged } => {
                let ip = if v6 { "IPv6" } else { "IPv4" };
                let way = if way == Way::There { "guest to remote" } else { "remote to guest" };
                let streams = if streams == 1 { "1 stream" } else { "4 streams" };
                let tag = if tagged { ", access ports of VLAN 10" } else { "" };
                format!("TCP {ip}, {way}, {streams}{tag} (Gb/s)")
            }
            Self::Frames => "64-octet frames delivered (thousands/s)".to_owned(),
            Self::RoundTrip => "UDP round trip, median (us, less is better)".to_owned(),
        }
    }

    fn run(self, topology: &Topology, seconds: u64) -> Result<f64> {
        let (guest, remote) = (topology.guest(1), &topology.remote);
        match self {
            Self::Tcp { v6, way, streams, .. } => {
                let ip = if v6 { ipv6 } else { ipv4 };
                let ends = ((guest, ip(1)), (remote, ip(REMOTE)));
                let result = iperf3(ends.0, ends.1, way, streams, Duration::from_secs(seconds))?;
                Ok(result.bits_per_second / 1e9)
            }
            Self::Frames => Ok(pktgen::flood(guest, remote, Duration::from_secs(seconds))?.delivered / 1e3),
            Self::RoundTrip => Ok(ping_pong::measure((guest, ipv4(1)), (remote, ipv4(REMOTE)), 5000)?.median),
        }
    }
}

/// A switch on wires of its own.
struct Lab {
    // Before the namespaces that it is in.
    _switch: Box<dyn Switch>,
    topology: Topology,
    kind: Kind,
}

impl Lab {
    fn start(kind: Kind, wiring: Wiring) -> Result<Self> {
        let upstream = match wiring.mode {
            Mode::ActiveBackup => Upstream::LinuxBridge,
            Mode::BalanceXor => Upstream::StaticLag,
        };
        let topology = Topology::new(1, 2, upstream)?;
        let lab = Self { _switch: kind.start(&topology, wiring)?, topology, kind };
        lab.warm_up()?;
        Ok(lab)
    }

    /// Has all addresses learned, and learned lately.
    fn warm_up(&self) -> Result<()> {
        for ip in [ipv4, ipv6] {
            ensure!(reaches(self.topology.guest(1), ip(REMOTE)), "it forwards nothing");
        }
        Ok(())
    }

    fn measure(&self, measure: Measure, seconds: u64) -> Result<f64> {
        self.warm_up()?;
        let before = punted(&self.topology.host)?;
        let value = measure.run(&self.topology, seconds)?;
        let left = punted(&self.topology.host)? - before;
        eprintln!(
            "  {:<9}  {value:>8.2}{}",
            self.kind.name(),
            if self.kind == Kind::FastPath {
                format!("  ({left} frames left to workers)")
            } else {
                String::new()
            }
        );
        Ok(value)
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if find_program("iperf3").is_none() {
        println!("SKIP iperf3 is not installed");
        return Ok(());
    }
    let mut kinds = chosen(present(&Kind::ALL), &options.switches)?;
    kinds.retain(|kind| {
        // Whether Open vSwitch can use AF_XDP shows when it is tried.
        let trial =
            if *kind == Kind::OvsAfXdp { Lab::start(*kind, Wiring::default()).map(drop) } else { Ok(()) };
        if let Err(error) = &trial {
            println!("SKIP {}: {error:#}", kind.name());
        }
        trial.is_ok()
    });
    match options.mode {
        Some(ModeName::ActiveBackup) => table(&kinds, Mode::ActiveBackup, options),
        Some(ModeName::BalanceXor) => table(&kinds, Mode::BalanceXor, options),
        None => {
            table(&kinds, Mode::ActiveBackup, options)?;
            table(&kinds, Mode::BalanceXor, options)
        }
    }
}

/// Values of a row: by round and column.
type Rounds = Vec<Vec<Option<f64>>>;

fn table(kinds: &[Kind], mode: Mode, options: &Options) -> Result<()> {
    let mut measures = Measure::all();
    let wanted = |measure: &Measure| {
        options.only.is_empty() || options.only.iter().any(|text| measure.label().contains(text))
    };
    measures.retain(wanted);
    let mut values: Vec<Rounds> = vec![vec![vec![None; kinds.len()]; options.rounds]; measures.len()];
    for tagged in [false, true] {
        let rows: Vec<usize> = (0..measures.len()).filter(|row| measures[*row].tagged() == tagged).collect();
        if rows.is_empty() {
            continue;
        }
        let wiring = Wiring { tag: tagged.then_some(10), mode };
        // The bridge's VLAN filter may be missing from the kernel.
        let taking_part = |kind: &Kind| !(tagged && *kind == Kind::LinuxBridge);
        let column = |kind: Kind| kinds.iter().position(|k| *k == kind).context("a kind without a column");
        let start = |kind: Kind| Lab::start(kind, wiring).with_context(|| kind.name());
        // One that polls would take a core from the others: it runs alone, at the end of a round.
        let (polling, quiet): (Vec<Kind>, Vec<Kind>) =
            kinds.iter().filter(|kind| taking_part(kind)).partition(|kind| **kind == Kind::OvsAfXdp);
        let mut labs = quiet.iter().map(|kind| start(*kind)).collect::<Result<Vec<_>>>()?;
        for round in 1..=options.rounds {
            let mut measure = |row: usize, lab: &Lab| -> Result<()> {
                match lab.measure(measures[row], options.seconds) {
                    Ok(value) => values[row][round - 1][column(lab.kind)?] = Some(value),
                    Err(error) => println!("{}: {}: {error:#}", lab.kind.name(), measures[row].label()),
                }
                Ok(())
            };
            for row in &rows {
                eprintln!("round {round}: {}", measures[*row].label());
                labs.iter().try_for_each(|lab| measure(*row, lab))?;
                // Nobody is always the first.
                let next = 1.min(labs.len());
                labs.rotate_left(next);
            }
            for kind in &polling {
                let lab = start(*kind)?;
                for row in &rows {
                    eprintln!("round {round}: {}", measures[*row].label());
                    measure(*row, &lab)?;
                }
            }
        }
    }
    println!("{}:", if mode == Mode::ActiveBackup { "active-backup" } else { "balance-xor, layer3+4" });
    show(kinds, &measures, &values);
    Ok(())
}

fn show(kinds: &[Kind], measures: &[Measure], values: &[Rounds]) {
    const RATIOS: [(&str, Kind, Kind); 4] = [
        ("fast/bridge", Kind::FastPath, Kind::LinuxBridge),
        ("fast/OVS", Kind::FastPath, Kind::Ovs),
        ("fast/AF_XDP", Kind::FastPath, Kind::OvsAfXdp),
        ("workers/bridge", Kind::Workers, Kind::LinuxBridge),
    ];
    let mut head = vec![String::new()];
    head.extend(kinds.iter().map(|kind| kind.name().to_owned()));
    head.extend(RATIOS.iter().map(|(name, ..)| (*name).to_owned()));
    let mut rows = vec![head];
    for (measure, rounds) in measures.iter().zip(values) {
        let of =
            |round: &[Option<f64>], kind: Kind| kinds.iter().position(|k| *k == kind).and_then(|i| round[i]);
        let digits = if matches!(measure, Measure::Frames) { 0 } else { 2 };
        let mut line = vec![measure.label()];
        line.extend(kinds.iter().map(|kind| {
            let values: Vec<f64> = rounds.iter().filter_map(|round| of(round, *kind)).collect();
            cell(median(&values), digits)
        }));
        line.extend(RATIOS.iter().map(|(_, one, other)| {
            let ratio = |round: &Vec<Option<f64>>| Some(of(round, *one)? / of(round, *other)?);
            cell(median(&rounds.iter().filter_map(ratio).collect::<Vec<_>>()), 2)
        }));
        rows.push(line);
    }
    print(&rows);
    println!(
        "Medians of {} rounds; a ratio is the median of the rounds' ratios. Offloads at their defaults, except with OVS: \
         there the stations' kernels finish checksums and segments.",
        values.first().map_or(0, Vec::len)
    );
}
