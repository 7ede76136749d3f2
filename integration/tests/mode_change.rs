//! The mode of a bond changed under numbered datagrams both ways, from each mode to each other one.
//!
//! A change is to cost nothing. Only 802.3ad may: entering it, no member carries until the partner has answered or has been
//! given up, and a partner is left with nobody to speak to.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration::modes::{self, Case, FarEnd, Lab};
use integration::probe::{Probe, Report, Window};
use integration::process::eventually;
use integration::switch::{BOND, Kind};
use integration::testing::{fast_turn, setting, switch_turn};
use integration::topology::{REMOTE, ipv4, ipv6};

const LACP: &str = "802.3ad";
/// For as long each mode carries before the next change. The grace in which a mode is not yet by itself is a second long.
fn stay() {
    std::thread::sleep(Duration::from_millis(setting("VSWITCH_STAY_MS", 120) as u64));
}

/// Most datagrams of four flows that a change from or to 802.3ad may cost: 5 s, of which LACP waits 3 s for a partner.
const LACP_LIMIT: u64 = 5_000 * 4;

fn start(lab: &Lab) -> Result<Probe> {
    lab.reach(lab.topology.guest(1))?;
    let pairs = [ipv4, ipv6].map(|ip| ((lab.topology.guest(1), ip(1)), (&lab.topology.remote, ip(REMOTE))));
    Probe::start(&pairs, Duration::from_millis(1))
}

/// Changes the mode and lets it carry for a while.
fn change(lab: &Lab, probe: &mut Probe, from: &str, to: &str) -> Result<()> {
    probe.mark(format!("{from} to {to}"));
    lab.near.vsctl(&format!("set bond {BOND} mode={to}"))?;
    if to == LACP {
        // Without a partner one member carries in the end.
        eventually("a member carries", Duration::from_secs(15), || {
            Ok(lab.near.bond(BOND)?.carrier.then_some(()))
        })?;
    }
    stay();
    Ok(())
}

/// A closed way through `count` things that takes each step from one to another once (an Eulerian circuit of the complete
/// graph): one number less than there are steps and one comes again.
fn every_step(count: usize) -> Vec<usize> {
    let mut left: Vec<Vec<usize>> =
        (0..count).map(|from| (0..count).filter(|to| *to != from).collect()).collect();
    let (mut stack, mut way) = (vec![0], Vec::new());
    while let Some(last) = stack.last().copied() {
        match left[last].pop() {
            Some(next) => stack.push(next),
            None => way.extend(stack.pop()),
        }
    }
    way.reverse();
    way
}

#[test]
fn every_step_is_taken_once() {
    for count in 2..9 {
        let way = every_step(count);
        let mut steps: Vec<_> = way.windows(2).map(|step| (step[0], step[1])).collect();
        steps.sort_unstable();
        steps.dedup();
        assert_eq!((way.len(), steps.len()), (count * (count - 1) + 1, count * (count - 1)), "{way:?}");
        assert!(steps.iter().all(|(from, to)| from != to));
    }
}

/// Nothing lost but by 802.3ad, and nothing twice but copies of a broadcast bond at the remote host.
fn judge(report: &Report) -> Result<()> {
    let lossy: Vec<&Window> = report.windows.iter().filter(|window| window.total() > 0).collect();
    for window in &lossy {
        println!("{}: {} lost {:?}", window.label, window.total(), window.lost);
    }
    println!("{} changes, {} with losses; {:?}", report.windows.len(), lossy.len(), report.punctuality);
    for window in &report.windows {
        let limit = if window.label.contains(LACP) { LACP_LIMIT } else { 0 };
        ensure!(window.total() <= limit, "{window:?} in {report:?}");
        let to_guests: u64 = window.repeated.iter().skip(1).step_by(2).sum();
        ensure!(to_guests == 0, "{window:?}");
        let copies = window.label.contains("broadcast");
        ensure!(copies || window.repeated.iter().sum::<u64>() == 0, "{window:?}");
    }
    let sent: u64 = report.flows.iter().map(|flow| flow.sent).sum();
    ensure!(report.lost() < sent, "nothing came through at all: {report:?}");
    Ok(())
}

/// A switch that knows nothing of the bond lets each mode through: every wire leads to the same place, and where it has
/// seen a guest last is one that carries. Modes that need a group make addresses flap there, which costs nothing.
fn at_a_plain_switch(executor: Kind) -> Result<()> {
    let lab = Lab::start(modes::of("active-backup")?, executor, 1, 2)?;
    // Each step once, and 802.3ad, which takes 3 s to do without a partner, only once at the end.
    let names: Vec<&str> = modes::all()?.iter().map(|case| case.mode).filter(|mode| *mode != LACP).collect();
    let first = names.iter().position(|mode| *mode == "active-backup").context("no active-backup")?;
    let mut probe = start(&lab)?;
    let way = every_step(names.len()).into_iter().map(|i| names[(i + first) % names.len()]);
    let way: Vec<&str> = way.chain([LACP, "active-backup"]).collect();
    for step in way.windows(2) {
        change(&lab, &mut probe, step[0], step[1])?;
    }
    judge(&probe.finish()?)?;
    lab.reach(lab.topology.guest(1))
}

/// The modes of a static group among themselves, and 802.3ad when the other end has it too.
fn at_a_group(executor: Kind) -> Result<()> {
    let cases = modes::all()?;
    let group: Vec<&Case> = cases.iter().filter(|case| case.far_end == FarEnd::Lag).collect();
    let lab = Lab::start(*group[0], executor, 1, 2)?;
    let far = lab.far.as_ref().context("no far end")?;
    let mut probe = start(&lab)?;
    let way: Vec<&str> = every_step(group.len()).into_iter().map(|i| group[i].mode).collect();
    for step in way.windows(2) {
        change(&lab, &mut probe, step[0], step[1])?;
    }
    probe.mark(format!("the other end to {LACP}"));
    far.vsctl("set bond lag mode=802.3ad lacp_rate=fast")?;
    probe.mark(format!("{} to {LACP}", group[0].mode));
    lab.near.vsctl(&format!("set bond {BOND} mode={LACP} lacp_rate=fast"))?;
    lab.until_ready(FarEnd::Lacp, 2)?;
    stay();
    probe.mark(format!("{LACP} to {}", group[0].mode));
    lab.near.vsctl(&format!("set bond {BOND} mode={} lacp_rate=default", group[0].mode))?;
    probe.mark(format!("the other end from {LACP}"));
    far.vsctl("set bond lag mode=balance-xor lacp_rate=default")?;
    lab.until_ready(FarEnd::Lag, 2)?;
    stay();
    probe.mark("at rest");
    stay();
    judge(&probe.finish()?)
}

#[test]
fn at_a_plain_switch_on_the_fast_path() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    at_a_plain_switch(Kind::FastPath)
}

#[test]
fn at_a_plain_switch_by_workers() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    at_a_plain_switch(Kind::Workers)
}

#[test]
fn at_a_group_on_the_fast_path() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    at_a_group(Kind::FastPath)
}

#[test]
fn at_a_group_by_workers() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    at_a_group(Kind::Workers)
}
