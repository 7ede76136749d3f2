//! What LACP costs: bonds with partners in virtual time, on one thread.

use std::time::Duration;

use ::lacp::LacpRate;
use anyhow::{Result, ensure};
use clap::Args;
use integration::many_bonds::{ManyBonds, Wake};
use rustix::time::{ClockId, clock_gettime};

use crate::table::{cell, median, print};

#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; the middle value of each number is shown.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Simulated seconds a measurement takes.
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// How many bonds, each beside a partner on the same thread.
    #[arg(long, value_delimiter = ',', default_values_t = [50, 100, 200, 500])]
    bonds: Vec<usize>,
    /// Members of each bond.
    #[arg(long, default_value_t = 2)]
    members: u32,
    /// How the loop finds the bonds that are due.
    #[arg(long, value_enum, default_value_t = Wake::Heap)]
    wake: Wake,
}

/// CPU time of this thread.
fn cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Microseconds of CPU and LACPDUs sent in a simulated second, by bonds and partners.
fn measure(options: &Options, bonds: usize, rate: LacpRate) -> Result<(f64, f64)> {
    let mut crowd = ManyBonds::new(bonds, options.members, rate, options.wake);
    crowd.run(Duration::from_secs(10));
    ensure!(crowd.all_open(), "after 10 s not all of {bonds} bonds carry frames on all members");
    let (sent, start) = (crowd.sent(), cpu());
    crowd.run(Duration::from_secs(options.seconds.into()));
    let used = cpu().saturating_sub(start);
    ensure!(crowd.all_open(), "of {bonds} bonds some do not carry frames on all members");
    let seconds = f64::from(options.seconds);
    Ok((used.as_secs_f64() * 1e6 / seconds, (crowd.sent() - sent) as f64 / seconds))
}

pub(crate) fn run(options: &Options) -> Result<()> {
    ensure!(options.seconds > 0 && options.rounds > 0 && options.members > 0, "there is nothing to measure");
    ensure!(options.bonds.iter().all(|count| *count > 0), "0 bonds can't be measured");
    println!(
        "LACP on one thread, bonds and their partners, {} members each, {:?} of deadlines",
        options.members, options.wake
    );
    let head = ["rate", "bonds", "LACPDUs/s", "CPU us per s", "per bond or partner", "growth", "of linear"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for (name, rate) in [("fast", LacpRate::Fast), ("slow", LacpRate::Slow)] {
        let mut samples: Vec<Vec<f64>> = vec![Vec::new(); options.bonds.len()];
        let mut sent = vec![0.0; options.bonds.len()];
        for _ in 0..options.rounds {
            for (index, bonds) in options.bonds.iter().enumerate() {
                let (used, rate) = measure(options, *bonds, rate)?;
                samples[index].push(used);
                sent[index] = rate;
            }
        }
        let middle: Vec<Option<f64>> = samples.iter().map(|samples| median(samples)).collect();
        for (index, bonds) in options.bonds.iter().enumerate() {
            let more = *bonds as f64 / options.bonds[0] as f64;
            let growth = middle[index].zip(middle[0]).map(|(here, first)| here / first);
            rows.push(vec![
                name.to_owned(),
                bonds.to_string(),
                cell(Some(sent[index]), 0),
                cell(middle[index], 0),
                cell(middle[index].map(|used| used / (2.0 * *bonds as f64)), 2),
                cell(growth, 2),
                cell(growth.map(|growth| growth / more), 2),
            ]);
        }
    }
    print(&rows);
    Ok(())
}
