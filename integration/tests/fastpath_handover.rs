//! The daemon ends to be replaced by a newer one; and what it may do while it runs.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration::fastpath::hooked;
use integration::probe::Probe;
use integration::switch::{BRIDGE, Vswitch, Wiring};
use integration::testing::{fast_turn, reaches};
use integration::topology::{REMOTE, Topology, Upstream, ipv4};

const MS: Duration = Duration::from_millis(1);
const SETTLE: Duration = Duration::from_millis(300);
/// CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF.
const NEEDED: u64 = 1 << 12 | 1 << 13 | 1 << 39;

fn lab() -> Result<(Topology, Vswitch)> {
    let topology = Topology::new(2, 2, Upstream::LinuxBridge)?;
    let switch = Vswitch::start_fast(&topology.host)?;
    switch.connect(&topology, Wiring::default())?;
    Ok((topology, switch))
}

#[test]
fn a_hand_over_loses_nothing_and_leaves_nothing_undone() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let (topology, mut switch) = lab()?;
    let (one, two, remote) = (topology.guest(1), topology.guest(2), &topology.remote);
    ensure!(reaches(one, ipv4(2)) && reaches(one, ipv4(REMOTE)) && reaches(two, ipv4(REMOTE)));
    let pairs = [((one, ipv4(1)), (two, ipv4(2))), ((one, ipv4(1)), (remote, ipv4(REMOTE)))];
    let mut probe = Probe::start(&pairs, MS)?;
    for _ in 0..5 {
        std::thread::sleep(SETTLE);
        probe.mark("hand-over");
        ensure!(switch.hand_over()?.success());
        ensure!(hooked(&topology.host)?.contains("g1"), "it was detached");
        std::thread::sleep(SETTLE);
        probe.mark("start");
        switch.launch()?;
    }
    std::thread::sleep(SETTLE);
    let report = probe.finish()?;
    ensure!((report.lost(), report.duplicates(), report.reordered()) == (0, 0, 0), "{report:?}");
    // The last one gives back what the first one took.
    switch.terminate()?;
    ensure!(hooked(&topology.host)?.is_empty());
    Ok(())
}

/// A line of `/proc/PID/task/TID/status` as a number.
fn capabilities(status: &str, line: &str) -> Result<u64> {
    let value = status.lines().find_map(|text| text.strip_prefix(line)).context("no such line")?;
    Ok(u64::from_str_radix(value.trim_start_matches(':').trim(), 16)?)
}

#[test]
fn it_keeps_the_capabilities_that_it_needs_and_no_other() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab()?;
    let process = switch.id().context("vswitchd is not running")?;
    for task in std::fs::read_dir(format!("/proc/{process}/task"))? {
        let status = std::fs::read_to_string(task?.path().join("status"))?;
        for line in ["CapEff", "CapPrm", "CapBnd"] {
            ensure!(capabilities(&status, line)? == NEEDED, "{status}");
        }
        ensure!(capabilities(&status, "CapInh")? == 0 && status.contains("NoNewPrivs:\t1"), "{status}");
    }
    // They are enough for what comes later: bridges with FDBs in maps, ports with hooks, and the way back.
    switch.vsctl("add-br br1 -- set bridge br1 mac-table-size=100")?;
    switch.vsctl(&format!("set bridge {BRIDGE} mac-table-size=20000 -- del-port g2 -- add-port br1 g2"))?;
    ensure!(hooked(&topology.host)?.contains("g2"), "{}", switch.log_tail(20));
    switch.vsctl(&format!("del-br br1 -- add-port {BRIDGE} g2"))?;
    ensure!(reaches(topology.guest(1), ipv4(2)));
    let log = switch.log_tail(1000);
    ensure!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
    Ok(())
}
