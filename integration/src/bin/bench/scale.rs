//! Many addresses and ports against few, in the fast path, and what forgetting all of them costs.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Args;
use integration::crowd::Crowd;
use integration::generator::{Counter, Generator, Mac};
use integration::process::find_program;
use integration::switch::{BRIDGE, Kind, Vswitch, punted};
use integration::tcp::{Stream, Way, iperf3};
use integration::testing::reaches;
use integration::topology::{Topology, Upstream, ipv4};

use crate::present;
use crate::table::{cell, median, print};

#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; each measures few and many once, in turn.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds a measurement takes.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Addresses of the larger switch, half of them behind each of two ports.
    #[arg(long, default_value_t = 64_000)]
    addresses: u64,
    /// Ports of the larger switch.
    #[arg(long, default_value_t = 256)]
    ports: usize,
}

const FEW_ADDRESSES: u64 = 10;
const FEW_PORTS: usize = 2;
/// So long must nothing be left to workers, for traffic to count as back in the kernel.
const CALM: Duration = Duration::from_millis(20);
const DEADLINE: Duration = Duration::from_secs(30);
/// Octets a second of the TCP stream that is watched during a flush.
const PACE: u32 = 50_000_000;

/// Address `i` behind guest `side` (0 or 1).
fn address(side: u8, i: u64) -> Mac {
    [2, 0, 0x70 + side, (i >> 16) as u8, (i >> 8) as u8, i as u8]
}

/// A switch with so many addresses on wires of its own.
struct Lab {
    // Before the namespaces that it is in.
    switch: Vswitch,
    topology: Topology,
    _crowd: Option<Crowd>,
    /// On each side.
    addresses: u64,
}

impl Lab {
    fn start(kind: Kind, addresses: u64, ports: usize) -> Result<Self> {
        let topology = Topology::new(2, 0, Upstream::Bare)?;
        let switch = kind.start_empty(&topology)?;
        let size = (2 * addresses + 64).next_power_of_two().max(8192);
        switch.vsctl(&format!(
            "add-br {BRIDGE} -- set bridge {BRIDGE} mac-table-size={size} -- add-port {BRIDGE} g1 -- add-port {BRIDGE} g2"
        ))?;
        let crowd = (ports > 2).then(|| Crowd::new(&topology.host, "s", ports - 2)).transpose()?;
        if let Some(crowd) = &crowd {
            let ports: Vec<String> = crowd.names().map(|name| format!("add-port {BRIDGE} {name}")).collect();
            switch.vsctl(&ports.join(" -- "))?;
        }
        Ok(Self { switch, topology, _crowd: crowd, addresses: addresses / 2 })
    }

    /// Has every address learned: one frame from each, to an address behind the same port, until the switch has them.
    fn introduce(&self) -> Result<()> {
        let started = Instant::now();
        loop {
            for side in [0, 1] {
                let from = self.topology.guest(1 + usize::from(side));
                let count = self.addresses;
                let generator = Generator::start(from, Some(100_000.0), move |i| {
                    (address(side, 0), address(side, i % count))
                })?;
                while generator.sent() < count {
                    std::thread::sleep(Duration::from_millis(1));
                }
                generator.stop()?;
            }
            ensure!(reaches(self.topology.guest(1), ipv4(2)), "forwards nothing");
            let known = self.switch.fdb(BRIDGE)?;
            let known = known.iter().filter(|(mac, ..)| mac.starts_with("02:00:7")).count() as u64;
            if known == 2 * self.addresses {
                return Ok(());
            }
            ensure!(started.elapsed() < DEADLINE, "{known} of {} addresses are learned", 2 * self.addresses);
        }
    }

    /// 64-octet frames a second that arrive, from and to all addresses in turn, and how many of them were left to workers.
    fn frames(&self, time: Duration) -> Result<(f64, f64)> {
        let count = self.addresses;
        let before = punted(&self.topology.host)?;
        let counter = Counter::new(self.topology.guest(2))?;
        let generator = Generator::start(self.topology.guest(1), None, move |i| {
            (address(1, i % count), address(0, i % count))
        })?;
        std::thread::sleep(Duration::from_millis(100));
        let (start, _warm_up) = (Instant::now(), counter.take()?);
        std::thread::sleep(time);
        let (frames, seconds) = (counter.take()?, start.elapsed().as_secs_f64());
        let sent = generator.stop()?;
        let left = (punted(&self.topology.host)? - before) as f64 / sent as f64;
        Ok((frames as f64 / seconds, left))
    }

    fn tcp(&self, time: Duration) -> Result<f64> {
        let ends = ((self.topology.guest(1), ipv4(1)), (self.topology.guest(2), ipv4(2)));
        ensure!(reaches(ends.0.0, ipv4(2)), "forwards nothing");
        Ok(iperf3(ends.0, ends.1, Way::There, 1, time)?.bits_per_second)
    }

    /// Forgets all addresses while a TCP stream runs: milliseconds until the command has returned, and until the stream is
    /// in the kernel again.
    fn flush(&self) -> Result<(f64, f64)> {
        let ends = ((self.topology.guest(1), ipv4(1)), (self.topology.guest(2), ipv4(2)));
        ensure!(reaches(ends.0.0, ipv4(2)), "forwards nothing");
        let stream = Stream::start(ends.0, ends.1, Some(PACE))?;
        std::thread::sleep(Duration::from_millis(200));
        let host = &self.topology.host;
        let start = Instant::now();
        let (done, back) = std::thread::scope(|scope| -> Result<_> {
            let flush =
                scope.spawn(|| self.switch.vsctl(&format!("fdb/flush {BRIDGE}")).map(|_| start.elapsed()));
            let (mut last, mut last_at, mut last_octets) = (punted(host)?, Duration::ZERO, stream.received());
            let mut done = None;
            loop {
                if done.is_none() && flush.is_finished() {
                    done = Some(start.elapsed());
                }
                let (count, octets, at) = (punted(host)?, stream.received(), start.elapsed());
                if count != last {
                    (last, last_at, last_octets) = (count, at, octets);
                }
                if done.is_some_and(|done| at > done + CALM) && at > last_at + CALM && octets > last_octets {
                    break;
                }
                ensure!(at < DEADLINE, "traffic is not in the kernel again");
                std::thread::sleep(Duration::from_micros(300));
            }
            let done = flush.join().map_err(|_| anyhow::anyhow!("the flush died"))??;
            Ok((done, last_at))
        })?;
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        Ok((ms(done), ms(back)))
    }
}

pub(crate) fn run(options: &Options) -> Result<()> {
    if find_program("iperf3").is_none() {
        println!("SKIP iperf3 is not installed");
        return Ok(());
    }
    let Some(kind) = present(&[Kind::FastPath]).first().copied() else { return Ok(()) };
    let few = Lab::start(kind, FEW_ADDRESSES, FEW_PORTS)?;
    let many = Lab::start(kind, options.addresses, options.ports).context("the larger switch")?;
    let labs = [&few, &many];
    let time = Duration::from_secs(options.seconds);
    // By measure and lab.
    let mut values = [const { [const { Vec::new() }; 2] }; 5];
    for round in 1..=options.rounds {
        eprintln!("round {round}");
        for lab in labs {
            lab.introduce()?;
        }
        // Few, many, many, few: what the machine does besides, and does ever more or ever less of, falls on both.
        let mut sums = [[0.0; 2]; 3];
        for i in [0, 1, 1, 0] {
            let (rate, left) = labs[i].frames(time / 2)?;
            let tcp = labs[i].tcp(time / 2)?;
            eprintln!("  {} addresses: {rate:.0} frames/s, {:.1} Gb/s", 2 * labs[i].addresses, tcp / 1e9);
            for (sum, value) in sums.iter_mut().zip([rate / 1e3, left * 100.0, tcp / 1e9]) {
                sum[i] += value / 2.0;
            }
        }
        for (row, sum) in sums.iter().enumerate() {
            (0..2).for_each(|i| values[row][i].push(sum[i]));
        }
        for (i, lab) in labs.into_iter().enumerate() {
            let (done, back) = lab.flush()?;
            values[3][i].push(done);
            values[4][i].push(back);
        }
    }
    let names = |addresses: u64, ports: usize| format!("{addresses} addresses, {ports} ports");
    let mut rows = vec![vec![
        String::new(),
        names(FEW_ADDRESSES, FEW_PORTS),
        names(options.addresses, options.ports),
        "many/few".to_owned(),
    ]];
    let labels = [
        "64-octet frames delivered (thousands/s)",
        "of them left to workers (%)",
        "TCP IPv4, 1 stream (Gb/s)",
        "fdb/flush returns after (ms)",
        "a TCP stream is in the kernel again after (ms)",
    ];
    for (row, (label, of_labs)) in labels.iter().zip(&values).enumerate() {
        let ratios: Vec<f64> = of_labs[0].iter().zip(&of_labs[1]).map(|(few, many)| many / few).collect();
        let ratio = if row == 0 || row == 2 { median(&ratios) } else { None };
        rows.push(vec![
            (*label).to_owned(),
            cell(median(&of_labs[0]), 2),
            cell(median(&of_labs[1]), 2),
            cell(ratio, 2),
        ]);
    }
    print(&rows);
    println!("Medians of {} rounds; a ratio is the median of the rounds' ratios.", options.rounds);
    Ok(())
}
