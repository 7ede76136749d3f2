//! The daemon is restarted while LACP runs: Open vSwitch, the partner, notices nothing as long as it must not.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use integration::fastpath;
use integration::lacp_lab::{LacpLab, Listeners};
use integration::lacpdu::{self, Lacpdu};
use integration::probe::Probe;
use integration::process::eventually;
use integration::switch::BOND;
use integration::testing::{Turn, switch_turn};

const SECOND: Duration = Duration::from_secs(1);
const SETTLE: Duration = Duration::from_millis(300);
/// How long each daemon lives: long enough to hear a partner once that speaks every second.
const LIFE: Duration = Duration::from_millis(1_200);
/// From the start of the process to its first LACPDU.
const FIRST: Duration = Duration::from_millis(500);
const PROGRAMS: [&str; 4] = ["ovs-vswitchd", "ovsdb-server", "ovs-vsctl", "ethtool"];
const CARRIES: u8 = lacpdu::AGGREGATION | lacpdu::SYNCHRONIZATION | lacpdu::COLLECTING | lacpdu::DISTRIBUTING;

/// With the fast path where it can be had, and without.
fn ways() -> Vec<bool> {
    if fastpath::problem().is_none() { vec![true, false] } else { vec![false] }
}

fn turn() -> Result<Option<Turn>> {
    switch_turn(&PROGRAMS)
}

/// Numbered datagrams, one a millisecond and flow, that leave by both members. So few that a partner in userspace, which may
/// have to wait 50 ms for a processor, does not lose any in its queues.
fn probe(lab: &LacpLab) -> Result<Probe> {
    for _ in 0..20 {
        let probe = Probe::start(&lab.pairs(4), Duration::from_millis(1))?;
        let before = lab.arrived()?;
        std::thread::sleep(SETTLE);
        if lab.arrived()?.iter().zip(before).all(|(now, before)| now.to_them > before.to_them + 100) {
            return Ok(probe);
        }
        probe.finish()?;
    }
    bail!("all flows leave by one member")
}

/// Starts the daemon; returns how long each member waited for its first LACPDU.
fn start(lab: &mut LacpLab, ears: &Listeners) -> Result<Vec<(Duration, Lacpdu)>> {
    ears.all_in_the_bundle()?;
    let begin = SystemTime::now().duration_since(UNIX_EPOCH)?;
    lab.switch.launch()?;
    let mut first = Vec::new();
    for (i, ear) in ears.ours.iter().enumerate() {
        let said = eventually("a first LACPDU comes", SECOND, || Ok(ear.take()?.into_iter().next()))?;
        println!("member {}: first LACPDU after {:?}", i + 1, said.at - begin);
        first.push((said.at.saturating_sub(begin), said));
    }
    Ok(first)
}

/// Nobody has left the bundle since the beginning, in anybody's eyes.
fn untouched(lab: &LacpLab, ears: &Listeners) -> Result<()> {
    ears.all_in_the_bundle()?;
    let (theirs, silences) = (lab.theirs()?, lab.ovs.silences(BOND)?);
    ensure!(theirs.whole(2), "{theirs:?}");
    ensure!(
        silences.len() == 2 && silences.iter().all(|(_, expired, defaulted)| expired + defaulted == 0),
        "{silences:?}"
    );
    let ours = lab.switch.bond(BOND)?;
    ensure!(ours.carrier && ours.members.iter().all(|member| member.enabled), "{ours:?}");
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum End {
    HandOver,
    Crash,
}

/// So many restarts under traffic, each with so long without a daemon.
fn survives(fast_path: bool, rate: &str, restarts: usize, end: End, away: Duration) -> Result<()> {
    let what = format!("fast path {fast_path}, {rate}, {end:?}, {away:?} away");
    println!("{what}");
    let mut lab = LacpLab::new(fast_path)?;
    lab.ovs.favour();
    lab.bond(rate)?;
    let ears = lab.listen()?;
    let mut probe = probe(&lab)?;
    for _ in 0..restarts {
        std::thread::sleep(LIFE);
        probe.mark("end");
        match end {
            End::HandOver => ensure!(lab.switch.hand_over()?.success()),
            End::Crash => lab.switch.kill()?,
        }
        std::thread::sleep(away);
        probe.mark("start");
        for (waited, first) in start(&mut lab, &ears)? {
            ensure!(waited < FIRST, "{what}: {waited:?}");
            ensure!(first.actor.state & CARRIES == CARRIES, "{what}: {first:?}");
        }
        untouched(&lab, &ears).with_context(|| what.clone())?;
    }
    // The periodic ones of both sides, and the timeouts that would have been.
    std::thread::sleep(4 * SECOND);
    untouched(&lab, &ears).with_context(|| what.clone())?;
    let report = probe.finish()?;
    println!("{what}: {} lost", report.lost());
    if fast_path {
        ensure!((report.lost(), report.duplicates(), report.reordered()) == (0, 0, 0), "{what}: {report:?}");
    }
    ensure!(report.flows.iter().all(|flow| flow.received > 0), "{what}: {report:?}");
    Ok(())
}

#[test]
fn ten_hand_overs_at_the_fast_rate_under_traffic() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    // Without the fast path traffic stops meanwhile; what is left to see is seen after a few.
    let times = |fast_path| if fast_path { 10 } else { 3 };
    ways().into_iter().try_for_each(|way| survives(way, "fast", times(way), End::HandOver, Duration::ZERO))
}

#[test]
fn hand_overs_at_the_slow_rate() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    ways().into_iter().try_for_each(|way| survives(way, "slow", 2, End::HandOver, 2 * SECOND))
}

#[test]
fn a_crash_at_the_fast_rate_and_a_start_at_once() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    ways().into_iter().try_for_each(|way| survives(way, "fast", 3, End::Crash, Duration::ZERO))
}

#[test]
fn a_crash_at_the_slow_rate_and_a_start_after_seconds() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    ways().into_iter().try_for_each(|way| survives(way, "slow", 1, End::Crash, 5 * SECOND))
}

#[test]
fn a_crash_at_the_fast_rate_for_too_long_is_negotiated_again() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    for fast_path in ways() {
        let mut lab = LacpLab::new(fast_path)?;
        lab.bond("fast")?;
        lab.switch.kill()?;
        let silent = Instant::now();
        eventually("Open vSwitch takes both out", 5 * SECOND, || {
            Ok(lab.theirs()?.members.iter().all(|member| !member.enabled).then_some(()))
        })?;
        println!("fast path {fast_path}: given up after {:?}", silent.elapsed());
        let begin = Instant::now();
        lab.switch.launch()?;
        lab.until_whole(3 * SECOND)?;
        println!("fast path {fast_path}: whole {:?} after the start", begin.elapsed());
    }
    Ok(())
}

#[test]
fn a_stop_tells_the_partner_at_once_and_the_next_start_begins_anew() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    for fast_path in ways() {
        let mut lab = LacpLab::new(fast_path)?;
        lab.bond("fast")?;
        let ears = lab.listen()?;
        let kept = lab.switch.directory().join("run/bonds.json");
        ensure!(kept.exists(), "nothing was kept");
        let stop = Instant::now();
        ensure!(lab.switch.terminate()?.success());
        eventually("Open vSwitch takes both out", SECOND, || {
            Ok(lab.theirs()?.members.iter().all(|member| !member.enabled).then_some(()))
        })?;
        println!("fast path {fast_path}: out after {:?}", stop.elapsed());
        for ear in &ears.ours {
            let last = ear.take()?.pop().context("no farewell")?;
            ensure!(last.actor.state & CARRIES == 0, "{last:?}");
        }
        ensure!(!kept.exists(), "it is of no use any more");
        lab.switch.launch()?;
        lab.until_whole(3 * SECOND)?;
    }
    Ok(())
}

/// The bond's address was that of its first member, and the second one's number is 2.
#[test]
fn a_bond_whose_first_member_has_left_is_the_same_after_a_hand_over() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    let mut lab = LacpLab::new(false)?;
    lab.bond("fast")?;
    lab.switch.vsctl(&format!("del-bond-iface {BOND} u1"))?;
    let ear = &lab.listen()?.ours[1];
    let before = eventually("a LACPDU comes", 2 * SECOND, || Ok(ear.take()?.pop()))?;
    ensure!(before.actor.port == 2 && before.actor.state & CARRIES == CARRIES, "{before:?}");
    ensure!(lab.switch.hand_over()?.success());
    ear.take()?;
    lab.switch.launch()?;
    let first = eventually("a LACPDU comes", SECOND, || Ok(ear.take()?.into_iter().next()))?;
    ensure!((&first.actor, &first.partner) == (&before.actor, &before.partner), "{first:?} after {before:?}");
    Ok(())
}

/// A file that is damaged is passed over.
#[test]
fn a_damaged_file_is_no_obstacle() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    let mut lab = LacpLab::new(false)?;
    lab.bond("fast")?;
    ensure!(lab.switch.hand_over()?.success());
    let kept = lab.switch.directory().join("run/bonds.json");
    let text = std::fs::read(&kept)?;
    std::fs::write(&kept, &text[..text.len() / 2])?;
    lab.switch.launch()?;
    let log = lab.switch.log_tail(100);
    ensure!(log.contains("bonds begin anew"), "{log}");
    lab.until_whole(5 * SECOND)
}
