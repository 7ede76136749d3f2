//! Measures this switch beside the Linux bridge and Open vSwitch, on the same wires in one run.
//!
//! Everything runs in network namespaces of its own, as root or inside `unshare -Urn`. Numbers are of this machine and
//! of veth pairs; the ratios are what carries over.

mod failover;
mod lacp;
mod modes;
mod restart;
mod scale;
mod table;
mod throughput;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use integration::netns::Namespace;
use integration::switch::Kind;

#[derive(Parser)]
#[command(about = "Measures vswitch beside the Linux bridge and Open vSwitch")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// TCP both ways, small frames a second, round-trip times.
    Throughput(throughput::Options),
    /// TCP and small frames in each mode on the fast path, as ratios to active-backup.
    Modes(modes::Options),
    /// Datagrams lost when cables are pulled and plugged in again, and when traffic is moved by hand.
    Failover(failover::Options),
    /// Many addresses and ports against few, in the fast path; what a flush costs.
    Scale(scale::Options),
    /// What is lost when the process is killed, stays away for a while and comes back.
    Restart(restart::Options),
    /// CPU time of many LACP bonds in virtual time; needs no namespaces.
    Lacp(lacp::Options),
}

fn main() -> ExitCode {
    match run(&Arguments::parse().what) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(what: &What) -> Result<()> {
    // This one needs no namespaces.
    if let What::Lacp(options) = what {
        return lacp::run(options);
    }
    if let Err(error) = Namespace::new("trial") {
        println!("SKIP needs root or `unshare -Urn`: {error:#}");
        return Ok(());
    }
    match what {
        What::Throughput(options) => throughput::run(options),
        What::Modes(options) => modes::run(options),
        What::Failover(options) => failover::run(options),
        What::Scale(options) => scale::run(options),
        What::Restart(options) => restart::run(options),
        What::Lacp(options) => lacp::run(options),
    }
}

/// Those of `kinds` that can run here. Says what the others lack.
fn present(kinds: &[Kind]) -> Vec<Kind> {
    let able = |kind: &&Kind| {
        let obstacle = kind.obstacle();
        if let Some(obstacle) = &obstacle {
            println!("SKIP {}: {obstacle}", kind.name());
        }
        obstacle.is_none()
    };
    kinds.iter().filter(able).copied().collect()
}

/// Those of `kinds` that are named; all if no name is given.
///
/// # Errors
/// A name that no switch has.
fn chosen(kinds: Vec<Kind>, names: &[String]) -> Result<Vec<Kind>> {
    if let Some(name) = names.iter().find(|name| Kind::ALL.iter().all(|kind| kind.name() != **name)) {
        let known: Vec<_> = Kind::ALL.iter().map(|kind| format!("\"{}\"", kind.name())).collect();
        anyhow::bail!("no switch is named \"{name}\"; there are {}", known.join(", "));
    }
    let wanted = |kind: &Kind| names.is_empty() || names.iter().any(|name| name == kind.name());
    Ok(kinds.into_iter().filter(wanted).collect())
}
