//! What survives the end of the daemon, planned or not.

use std::time::Duration;

use anyhow::Result;
use integration::switch::{BOND, BRIDGE, Switch as _, Vswitch};
use integration::testing::{lab, reaches, switch_turn, uplink_probe};
use integration::topology::{REMOTE, Topology, Upstream, ipv4};

/// Far above what a restart takes here, far below what an operator would call an outage.
const BLACKOUT_LIMIT_MS: f64 = 1000.0;

#[test]
fn a_restart_restores_everything_and_keeps_the_active_member() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, mut switch) = lab(2, 2)?;
    switch.vsctl("set port g2 tag=10")?;
    switch.vsctl(&format!("set bond {BOND} updelay=200 miimon=100"))?;
    switch.activate("u2")?;
    let before = switch.json("show")?;
    assert!(switch.terminate()?.success());
    switch.launch()?;
    assert_eq!(switch.json("show")?, before);
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    assert_eq!(switch.active()?.as_deref(), Some("u2"));
    Ok(())
}

#[test]
fn a_killed_daemon_comes_back_as_it_was() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, mut switch) = lab(2, 2)?;
    switch.activate("u2")?;
    let before = switch.json("show")?;
    let probe = uplink_probe(&topology)?;
    std::thread::sleep(Duration::from_millis(200));
    switch.crash_and_restart()?;
    std::thread::sleep(Duration::from_millis(500));
    let report = probe.finish()?;
    assert!(report.flows.iter().all(|flow| flow.longest_gap_ms < BLACKOUT_LIMIT_MS), "{report:?}");
    assert_eq!(report.duplicates(), 0, "{report:?}");
    assert_eq!(switch.json("show")?, before);
    assert_eq!(switch.active()?.as_deref(), Some("u2"));
    Ok(())
}

#[test]
fn a_change_that_was_answered_survives_a_kill_at_once() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(2, 0, Upstream::Bare)?;
    let mut switch = Vswitch::start(&topology.host)?;
    switch.vsctl(&format!("add-br {BRIDGE}"))?;
    switch.vsctl(&format!("add-port {BRIDGE} g1 tag=7"))?;
    switch.kill()?;
    switch.launch()?;
    assert_eq!(switch.vsctl(&format!("list-ports {BRIDGE}"))?.trim(), "g1");
    assert_eq!(std::fs::read_to_string(switch.state_file())?.matches("g1").count(), 1);
    Ok(())
}

#[test]
fn a_corrupt_state_file_is_refused_with_line_and_column_and_left_as_it_is() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(1, 0, Upstream::Bare)?;
    let switch = Vswitch::prepare(&topology.host)?;
    let links = topology.host.ip_json("link show")?;
    for corrupt in
        ["version = 1\n[bridges.br0\n", "version = 1\nnonsense = true\n", "\u{0}\u{0}\u{0}\u{0}", ""]
    {
        std::fs::write(switch.state_file(), corrupt)?;
        let done = switch.run_to_end(Duration::from_secs(10))?;
        let said = format!("{}{}", done.stdout, done.stderr);
        assert!(!done.status.success(), "{corrupt:?}: {said}");
        assert!(said.contains("state.toml"), "{corrupt:?}: {said}");
        if !corrupt.is_empty() {
            assert!(said.contains("line") && said.contains("column"), "{corrupt:?}: {said}");
        }
        assert_eq!(std::fs::read_to_string(switch.state_file())?, corrupt);
    }
    assert_eq!(topology.host.ip_json("link show")?, links, "nothing was touched");
    Ok(())
}

#[test]
fn two_daemons_side_by_side_do_not_touch_each_other() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(4, 0, Upstream::Bare)?;
    let mut first = Vswitch::start(&topology.host)?;
    let second = Vswitch::start(&topology.host)?;
    first.vsctl("add-br br0 -- add-port br0 g1 -- add-port br0 g2")?;
    second.vsctl("add-br br1 -- add-port br1 g3 -- add-port br1 g4")?;
    assert_eq!([first.vsctl("list-br")?.trim(), second.vsctl("list-br")?.trim()], ["br0", "br1"]);
    assert!(reaches(topology.guest(1), ipv4(2)));
    assert!(reaches(topology.guest(3), ipv4(4)));
    assert!(integration::testing::never_reaches(topology.guest(1), ipv4(3))?);
    assert!(first.terminate()?.success());
    assert!(reaches(topology.guest(3), ipv4(4)));
    assert!(topology.host.link("br1")?.is_some());
    assert!(topology.host.link("br0")?.is_none());
    Ok(())
}

#[test]
fn a_second_daemon_with_the_same_run_directory_is_refused() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(1, 1)?;
    let done = switch.run_to_end(Duration::from_secs(10))?;
    assert!(!done.status.success(), "{}{}", done.stdout, done.stderr);
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    assert_eq!(switch.vsctl("list-br")?.trim(), BRIDGE);
    Ok(())
}
