//! How fast: TCP, small frames, round trips.

use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::Args;
use integration::ping_pong;
use integration::pktgen;
use integration::process::find_program;
use integration::switch::{Kind, Wiring};
use integration::tcp::{Way, iperf3};
use integration::testing::reaches;
use integration::topology::{REMOTE, Topology, Upstream, ipv4, ipv6};

use crate::present;
use crate::table::{cell, median, print};

#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; each measures every switch once, in turn. Medians are shown.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds a TCP measurement takes.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
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

pub(crate) fn run(options: &Options) -> Result<()> {
    if find_program("iperf3").is_none() {
        println!("SKIP iperf3 is not installed");
        return Ok(());
    }
    let kinds = present(&Kind::ALL);
    let measures = Measure::all();
    let mut values = vec![vec![Vec::new(); kinds.len()]; measures.len()];
    for round in 1..=options.rounds {
        for (column, kind) in kinds.iter().enumerate() {
            for tagged in [false, true] {
                if tagged && *kind == Kind::LinuxBridge {
                    continue; // Its VLAN filter may be missing from the kernel.
                }
                eprintln!("round {round}: {}{}", kind.name(), if tagged { ", VLAN 10" } else { "" });
                let topology = Topology::new(1, 2, Upstream::LinuxBridge)?;
                let wiring = Wiring { tag: tagged.then_some(10) };
                let _switch = kind.start(&topology, wiring).context(kind.name())?;
                for ip in [ipv4, ipv6] {
                    anyhow::ensure!(
                        reaches(topology.guest(1), ip(REMOTE)),
                        "{} forwards nothing",
                        kind.name()
                    );
                }
                for (row, measure) in measures.iter().enumerate().filter(|(_, m)| m.tagged() == tagged) {
                    match measure.run(&topology, options.seconds) {
                        Ok(value) => values[row][column].push(value),
                        Err(error) => println!("{}: {}: {error:#}", kind.name(), measure.label()),
                    }
                }
            }
        }
    }
    show(&kinds, &measures, &values);
    Ok(())
}

fn show(kinds: &[Kind], measures: &[Measure], values: &[Vec<Vec<f64>>]) {
    let column = |kind| kinds.iter().position(|k| *k == kind);
    let mut head = vec![String::new()];
    head.extend(kinds.iter().map(|kind| kind.name().to_owned()));
    head.extend(["vs bridge", "vs OVS"].map(str::to_owned));
    let mut rows = vec![head];
    for (measure, row) in measures.iter().zip(values) {
        let medians: Vec<_> = row.iter().map(|cell| median(cell)).collect();
        let of = |kind| column(kind).and_then(|i: usize| medians[i]);
        let ratio = |peer| Some(of(Kind::Vswitch)? / of(peer)?);
        let mut line = vec![measure.label()];
        line.extend(
            medians.iter().map(|value| cell(*value, if matches!(measure, Measure::Frames) { 0 } else { 2 })),
        );
        line.push(cell(ratio(Kind::LinuxBridge), 2));
        line.push(cell(ratio(Kind::Ovs), 1));
        rows.push(line);
    }
    print(&rows);
    println!(
        "Offloads at their defaults, except with OVS: the stations' transmit checksums are finished by their kernels."
    );
}
