//! Cables pulled, plugged in again, and traffic moved by hand, while numbered datagrams run at 1 ms spacing.
//!
//! Bounds on losses are wide: they must hold on a busy machine. `bench failover` measures.

use std::time::Duration;

use anyhow::{Context as _, Result};
use integration::netns::format_mac;
use integration::process::eventually;
use integration::switch::{BOND, Switch as _, Vswitch};
use integration::testing::{lab, reaches, switch_turn, uplink_probe};
use integration::topology::{REMOTE, Topology, ipv4};

/// Most datagrams of the four flows that one pulled cable may cost.
const PULL_LIMIT: u64 = 100;
const SETTLE: Duration = Duration::from_millis(300);
const DEADLINE: Duration = Duration::from_secs(5);

fn active(switch: &Vswitch) -> Result<String> {
    switch.active()?.context("no active member")
}

fn until_active(switch: &Vswitch, uplink: &str) -> Result<()> {
    eventually(&format!("{uplink} is active"), DEADLINE, || {
        Ok((switch.active()?.as_deref() == Some(uplink)).then_some(()))
    })
}

fn until_enabled(switch: &Vswitch, uplink: &str) -> Result<()> {
    eventually(&format!("{uplink} is enabled"), DEADLINE, || {
        Ok(switch.bond(BOND)?.member(uplink).is_some_and(|member| member.enabled).then_some(()))
    })
}

fn other(uplink: &str) -> &'static str {
    if uplink == "u1" { "u2" } else { "u1" }
}

#[test]
fn a_pulled_cable_costs_next_to_nothing_and_its_return_nothing() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(1, 2)?;
    let mut probe = uplink_probe(&topology)?;
    for _ in 0..4 {
        let carrying = active(&switch)?;
        let failures = switch.bond(BOND)?.member(&carrying).context("no such member")?.failures;
        probe.mark("pull");
        topology.pull(&carrying)?;
        until_active(&switch, other(&carrying))?;
        std::thread::sleep(SETTLE);
        probe.mark("return");
        topology.replug(&carrying)?;
        until_enabled(&switch, &carrying)?;
        std::thread::sleep(SETTLE);
        let bond = switch.bond(BOND)?;
        assert_eq!(bond.active.as_deref(), Some(other(&carrying)), "a returning member does not take over");
        assert_eq!(bond.member(&carrying).context("no such member")?.failures, failures + 1);
    }
    let report = probe.finish()?;
    for window in &report.windows {
        let limit = if window.label == "pull" { PULL_LIMIT } else { 0 };
        assert!(window.total() <= limit, "{window:?} in {report:?}");
    }
    assert_eq!(report.duplicates(), 0, "{report:?}");
    Ok(())
}

#[test]
fn a_planned_change_loses_nothing() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(1, 2)?;
    let mut probe = uplink_probe(&topology)?;
    for _ in 0..10 {
        let next = other(&active(&switch)?);
        probe.mark("change");
        switch.activate(next)?;
        assert_eq!(active(&switch)?, next);
        std::thread::sleep(SETTLE);
    }
    let report = probe.finish()?;
    assert_eq!((report.lost(), report.duplicates()), (0, 0), "{report:?}");
    Ok(())
}

#[test]
fn a_primary_takes_over_when_it_is_back_and_that_loses_nothing() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(1, 2)?;
    switch.vsctl(&format!("set bond {BOND} primary=u2"))?;
    until_active(&switch, "u2")?;
    let mut probe = uplink_probe(&topology)?;
    for _ in 0..3 {
        probe.mark("pull");
        topology.pull("u2")?;
        until_active(&switch, "u1")?;
        std::thread::sleep(SETTLE);
        probe.mark("return");
        topology.replug("u2")?;
        until_active(&switch, "u2")?;
        std::thread::sleep(SETTLE);
    }
    let report = probe.finish()?;
    for window in &report.windows {
        let limit = if window.label == "pull" { PULL_LIMIT } else { 0 };
        assert!(window.total() <= limit, "{window:?} in {report:?}");
    }
    Ok(())
}

#[test]
fn after_a_failover_the_upstream_switch_knows_where_silent_guests_are() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(5, 2)?;
    for i in 1..=5 {
        assert!(reaches(topology.guest(i), ipv4(REMOTE)));
    }
    let all_behind = |topology: &Topology, port: &str| {
        eventually(&format!("all guests are behind {port}"), Duration::from_secs(2), || {
            let fdb = topology.upstream_fdb()?;
            let there = |i: u8| fdb.contains(&(format_mac([2, 0, 0, 0, 0, i]), port.to_owned()));
            Ok((1..=5).all(there).then_some(()))
        })
    };
    all_behind(&topology, "p1")?;
    topology.pull("u1")?;
    until_active(&switch, "u2")?;
    all_behind(&topology, "p2")?;
    topology.replug("u1")?;
    until_enabled(&switch, "u1")?;
    switch.activate("u1")?;
    all_behind(&topology, "p1")
}

#[test]
fn traffic_comes_back_when_all_cables_were_out_and_one_returns() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(1, 2)?;
    topology.pull("u1")?;
    topology.pull("u2")?;
    eventually("the bond has no carrier", DEADLINE, || Ok((!switch.bond(BOND)?.carrier).then_some(())))?;
    assert_eq!(switch.active()?, None);
    topology.replug("u2")?;
    until_active(&switch, "u2")?;
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    Ok(())
}

#[test]
fn updelay_holds_a_member_back_unless_it_is_the_only_hope() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(1, 2)?;
    switch.vsctl(&format!("set bond {BOND} miimon=100 updelay=60000 primary=u1"))?;
    topology.pull("u1")?;
    until_active(&switch, "u2")?;
    topology.replug("u1")?;
    std::thread::sleep(SETTLE);
    assert_eq!(active(&switch)?, "u2", "u1 waits for its updelay");
    topology.pull("u2")?;
    topology.pull("u1")?;
    eventually("the bond has no carrier", DEADLINE, || Ok((!switch.bond(BOND)?.carrier).then_some(())))?;
    topology.replug("u1")?;
    until_active(&switch, "u1")
}

#[test]
fn members_join_and_leave_under_traffic() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(1, 3)?;
    switch.activate("u3")?;
    let mut probe = uplink_probe(&topology)?;
    probe.mark("leave");
    switch.vsctl(&format!("del-bond-iface {BOND} u2"))?;
    std::thread::sleep(SETTLE);
    probe.mark("join");
    switch.vsctl(&format!("add-bond-iface {BOND} u2"))?;
    until_enabled(&switch, "u2")?;
    std::thread::sleep(SETTLE);
    assert_eq!(active(&switch)?, "u3");
    let report = probe.finish()?;
    assert_eq!((report.lost(), report.duplicates()), (0, 0), "{report:?}");
    Ok(())
}
