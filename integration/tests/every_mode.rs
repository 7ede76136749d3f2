//! Every mode with what it needs at the other end of its wires: who reaches whom, by which members, what lost and returning
//! members cost, that nothing reaches a guest twice, and that an upstream switch does not see addresses move.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration::capture::Capture;
use integration::fdb_watch::FdbWatch;
use integration::modes::{self, Case, FarEnd, Lab, Spread};
use integration::numbered::{self, End};
use integration::packets::{BROADCAST, Station, settle};
use integration::probe::{Probe, Report};
use integration::process::eventually;
use integration::random::Random;
use integration::switch::{BOND, Kind};
use integration::sys;
use integration::testing::{Turn, fast_turn, reaches, setting, switch_turn};
use integration::topology::{REMOTE, Topology, ipv4, ipv6};

const GUESTS: usize = 2;
const MEMBERS: usize = 2;
const DEADLINE: Duration = Duration::from_secs(10);
const SETTLE: Duration = Duration::from_millis(200);
/// Most datagrams that a pulled cable may cost: 25 ms of each of the eight flows, as in the other tests of failover.
const PULL_LIMIT: u64 = 25 * 8;
/// Made-up stations on each side. With fewer, shares by hash are far from even by chance.
const STATIONS: usize = 64;
/// Frames that are counted at the far end.
const FRAMES: u32 = 640;
/// The smallest share of two that a member of a mode that shares may have. By hash each of the 64 pairs of stations is a
/// coin: 13 or fewer heads come once in a million times.
const LEAST_SHARE: f64 = 0.2;

/// Datagrams at 1 ms both ways between each guest and the remote host, over IPv4 and IPv6.
fn datagrams(topology: &Topology) -> Result<Probe> {
    let mut pairs = Vec::new();
    for i in 1..=GUESTS {
        for ip in [ipv4, ipv6] {
            pairs.push(((topology.guest(i), ip(i as u8)), (&topology.remote, ip(REMOTE))));
        }
    }
    Probe::start(&pairs, Duration::from_millis(1))
}

/// Datagrams that came to a guest more than once, and those that came to the remote host more than once.
fn duplicates(report: &Report) -> (u64, u64) {
    let of = |way: usize| report.flows.iter().skip(way).step_by(2).map(|flow| flow.duplicates).sum();
    (of(1), of(0))
}

fn once(case: Case, report: &Report) -> Result<()> {
    let (guests, remote) = duplicates(report);
    ensure!(guests == 0, "{guests} datagrams came to a guest again: {report:?}");
    // The far end of a broadcast bond gets its copies, as it wants.
    let copies = case.spread == Spread::Copies;
    ensure!(copies == (remote > 0), "{remote} datagrams came to the remote host again: {report:?}");
    Ok(())
}

/// Stations that exist only in frames, in pairs: one behind guest 1 and one behind the remote host, with random addresses.
struct Pairs {
    guest: Capture,
    remote: Capture,
    wires: Vec<Capture>,
    ends: Vec<(End, End)>,
}

impl Pairs {
    fn new(topology: &Topology) -> Result<Self> {
        // Always the same, so that a hash that spreads them badly does it always.
        let mut random = Random::new(1);
        let mut end = |side: u8| {
            let mut octet = || random.below(255) as u8;
            let mac = [2, 0, side, octet(), octet(), octet()];
            let ip = [10, side, octet(), octet()].into();
            End { mac, ip, port: 1024 + random.below(60_000) as u16 }
        };
        Ok(Self {
            guest: Capture::open(topology.guest(1), "eth0")?,
            remote: Capture::open(&topology.remote, "eth0")?,
            wires: (1..=MEMBERS)
                .map(|i| Capture::open(&topology.up, &format!("p{i}")))
                .collect::<Result<_>>()?,
            ends: (0..STATIONS).map(|_| (end(1), end(2))).collect(),
        })
    }

    fn frame(&self, number: u32, to_remote: bool) -> Vec<u8> {
        let (guest, remote) = self.ends[number as usize % STATIONS];
        if to_remote {
            numbered::between(guest, remote, number)
        } else {
            numbered::between(remote, guest, number)
        }
    }

    /// Each has spoken to its partner, so that all switches know where they are.
    fn introduce(&self, copies: usize) -> Result<()> {
        let count = STATIONS as u32;
        for (from, at, to_remote, copies) in
            [(&self.remote, &self.guest, false, 1), (&self.guest, &self.remote, true, copies)]
        {
            at.take()?;
            numbered::send(from, count, |number| self.frame(number, to_remote))?;
            arrive(at, count, copies)?;
        }
        Ok(())
    }

    /// How many of the frames from the guests' side came by each wire.
    fn spread(&self, copies: usize) -> Result<Vec<usize>> {
        for capture in self.wires.iter().chain([&self.remote]) {
            capture.take()?;
        }
        numbered::send(&self.guest, FRAMES, |number| self.frame(number, true))?;
        arrive(&self.remote, FRAMES, copies)?;
        self.wires.iter().map(|wire| Ok(numbered::take(wire)?.len())).collect()
    }
}

/// Waits until each numbered frame has come so many times.
fn arrive(at: &Capture, count: u32, copies: usize) -> Result<()> {
    let mut seen = vec![0; count as usize];
    let what = format!("{copies} of each of {count} frames have arrived at {}", at.name());
    let done = eventually(&what, DEADLINE, || {
        numbered::take(at)?.into_iter().for_each(|number| seen[number as usize] += 1);
        Ok((seen.iter().sum::<usize>() >= count as usize * copies).then_some(()))
    });
    done.with_context(|| format!("{seen:?}"))?;
    ensure!(seen.iter().all(|times| *times == copies), "not {copies} of each at {}: {seen:?}", at.name());
    Ok(())
}

fn check_spread(case: Case, lab: &Lab) -> Result<()> {
    let pairs = Pairs::new(&lab.topology)?;
    let copies = if case.spread == Spread::Copies { MEMBERS } else { 1 };
    pairs.introduce(copies)?;
    let shares = pairs.spread(copies)?;
    println!("{}: {shares:?} frames by member", case.mode);
    let all = FRAMES as usize;
    match case.spread {
        Spread::One => ensure!(shares.contains(&all) && shares.contains(&0), "{shares:?}"),
        Spread::Copies => ensure!(shares == [all; MEMBERS], "{shares:?}"),
        Spread::Shared => {
            ensure!(shares.iter().sum::<usize>() == all, "{shares:?}");
            let least = all as f64 * LEAST_SHARE;
            ensure!(shares.iter().all(|share| *share as f64 >= least), "{shares:?}");
        }
    }
    Ok(())
}

/// What guests and the remote host send to everybody comes once to everybody else.
fn check_floods(case: Case, lab: &Lab) -> Result<()> {
    const ROUNDS: u32 = 20;
    let namespaces = lab.topology.guests.iter().chain([&lab.topology.remote]);
    let mut stations = namespaces.map(|n| Station::new(n, "eth0")).collect::<Result<Vec<_>>>()?;
    for from in 0..stations.len() {
        stations.iter_mut().try_for_each(Station::forget)?;
        for number in 0..ROUNDS {
            stations[from].send_to(BROADCAST, number)?;
        }
        settle(&mut stations.iter_mut().collect::<Vec<_>>(), Duration::from_millis(100))?;
        for (at, station) in stations.iter().enumerate() {
            let remote = at == GUESTS;
            let copies = if case.spread == Spread::Copies && remote { MEMBERS as u32 } else { 1 };
            let wanted = if at == from { 0 } else { copies };
            for number in 0..ROUNDS {
                let seen = station.copies(number);
                ensure!(seen == wanted, "{seen} copies at {} from {}", station.name(), stations[from].name());
            }
        }
    }
    Ok(())
}

/// Watches the upstream bridge, if there is one. To another far end the members are one port.
fn upstream(far_end: FarEnd, lab: &Lab) -> Result<Option<FdbWatch>> {
    let start = || FdbWatch::start(&lab.topology.up, lab.topology.upstream_fdb()?);
    (far_end == FarEnd::Ports).then(start).transpose()
}

/// Datagrams and broadcasts for so long: nothing is lost or doubled, and the upstream bridge sees no address move.
fn check_steady(case: Case, lab: &Lab, time: Duration) -> Result<()> {
    let watch = upstream(case.far_end, lab)?;
    let stations = (1..=GUESTS).map(|i| Station::new(lab.topology.guest(i), "eth0"));
    let mut stations = stations.collect::<Result<Vec<_>>>()?;
    let probe = datagrams(&lab.topology)?;
    let end = sys::monotonic() + time;
    while sys::monotonic() < end {
        for station in &mut stations {
            station.send_to(BROADCAST, 0)?;
            station.forget()?;
        }
        if let Some(watch) = &watch {
            watch.moves()?;
        }
        sys::sleep_until(end.min(sys::monotonic() + Duration::from_millis(100)));
    }
    let report = probe.finish()?;
    let moves = watch.map_or(Ok(Vec::new()), |watch| watch.moves())?;
    let sent: u64 = report.flows.iter().map(|flow| flow.sent).sum();
    println!("{}: {} of {sent} lost, {} moves in {time:?}", case.mode, report.lost(), moves.len());
    ensure!(report.lost() == 0, "{report:?}");
    once(case, &report)?;
    ensure!(moves.is_empty(), "{moves:?}");
    Ok(())
}

/// Each wire is pulled and plugged in again under datagrams.
fn check_failover(case: Case, lab: &Lab) -> Result<()> {
    let mut probe = datagrams(&lab.topology)?;
    for uplink in ["u1", "u2"] {
        let failures =
            || -> Result<u64> { Ok(lab.near.bond(BOND)?.member(uplink).context("no such member")?.failures) };
        let before = failures()?;
        probe.mark(format!("pull {uplink}"));
        lab.topology.pull(uplink)?;
        lab.until_ready(case.far_end, MEMBERS - 1)?;
        ensure!(failures()? == before + 1, "{uplink}: the failure is not counted");
        std::thread::sleep(SETTLE);
        probe.mark(format!("return {uplink}"));
        lab.topology.replug(uplink)?;
        lab.until_ready(case.far_end, MEMBERS)?;
        std::thread::sleep(SETTLE);
    }
    let report = probe.finish()?;
    for window in &report.windows {
        println!("{}: {}: {} lost {:?}", case.mode, window.label, window.total(), window.lost);
    }
    for window in &report.windows {
        let limit = if window.label.starts_with("pull") { PULL_LIMIT } else { 0 };
        ensure!(window.total() <= limit, "{window:?} in {report:?}");
    }
    once(case, &report)
}

fn check(case: Case, executor: Kind, steady: Duration) -> Result<()> {
    let lab = Lab::start(case, executor, GUESTS, MEMBERS)?;
    for (from, to) in [(1, 2), (2, 1)] {
        for ip in [ipv4, ipv6] {
            ensure!(reaches(lab.topology.guest(from), ip(to)), "guest {from} can't reach {}", ip(to));
        }
    }
    check_steady(case, &lab, steady)?;
    check_floods(case, &lab)?;
    check_spread(case, &lab)?;
    check_failover(case, &lab).with_context(|| lab.drops())?;
    check_floods(case, &lab)
}

fn check_all(executor: Kind, steady: Duration) -> Result<()> {
    let only = std::env::var("VSWITCH_MODE").ok();
    let cases = modes::all()?.into_iter().filter(|case| only.as_deref().is_none_or(|only| only == case.mode));
    for case in cases {
        check(case, executor, steady).with_context(|| format!("{} on {}", case.mode, executor.name()))?;
    }
    Ok(())
}

fn turn(executor: Kind) -> Result<Option<Turn>> {
    if executor == Kind::FastPath { fast_turn(&[]) } else { switch_turn(&[]) }
}

#[test]
fn on_the_fast_path() -> Result<()> {
    let Some(_turn) = turn(Kind::FastPath)? else { return Ok(()) };
    check_all(Kind::FastPath, Duration::from_secs(setting("VSWITCH_FDB_SECONDS", 2) as u64))
}

#[test]
fn by_workers_alone() -> Result<()> {
    let Some(_turn) = turn(Kind::Workers)? else { return Ok(()) };
    check_all(Kind::Workers, Duration::from_secs(1))
}

/// The counter is not blind: a mode that needs a static group, at a switch that has none.
#[test]
fn an_upstream_switch_without_a_group_sees_addresses_move() -> Result<()> {
    let Some(_turn) = turn(Kind::Workers)? else { return Ok(()) };
    let case = Case { far_end: FarEnd::Ports, ..modes::of("balance-rr")? };
    let lab = Lab::start(case, Kind::Workers, GUESTS, MEMBERS)?;
    let watch = upstream(case.far_end, &lab)?.context("no bridge")?;
    let probe = datagrams(&lab.topology)?;
    eventually("addresses have moved a hundred times", DEADLINE, || {
        Ok((watch.moves()?.len() >= 100).then_some(()))
    })?;
    drop(probe);
    Ok(())
}
