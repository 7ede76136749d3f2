//! Devices that vanish and come back.

use std::time::Duration;

use anyhow::Result;
use integration::process::eventually;
use integration::switch::{BOND, Switch as _};
use integration::testing::{lab, reaches, switch_turn, uplink_probe};
use integration::topology::{REMOTE, Topology, UPSTREAM, ipv4};

const DEADLINE: Duration = Duration::from_secs(5);

#[test]
fn a_guest_that_is_unplugged_and_plugged_in_again_is_back_and_disturbs_nobody() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, _switch) = lab(2, 2)?;
    assert!(reaches(topology.guest(2), ipv4(REMOTE)));
    let probe = uplink_probe(&topology)?;
    for _ in 0..3 {
        topology.host.ip("link del g2")?;
        std::thread::sleep(Duration::from_millis(100));
        topology.plug_guest(2)?;
        assert!(reaches(topology.guest(2), ipv4(REMOTE)));
        assert!(reaches(&topology.remote, ipv4(2)));
    }
    let report = probe.finish()?;
    assert_eq!((report.lost(), report.duplicates()), (0, 0), "{report:?}");
    Ok(())
}

#[test]
fn a_bond_member_that_is_deleted_and_made_again_joins_again() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(1, 2)?;
    let until = |wanted: (bool, &str)| {
        eventually(&format!("u2 is {wanted:?}"), DEADLINE, || {
            let bond = switch.bond(BOND)?;
            Ok(bond.member("u2").is_some_and(|u2| (u2.present, u2.link.as_str()) == wanted).then_some(()))
        })
    };
    let probe = uplink_probe(&topology)?;
    topology.host.ip("link del u2")?;
    until((false, "down"))?;
    topology.plug_uplink(2)?;
    topology.up.ip(&format!("link set p2 master {UPSTREAM}"))?;
    until((true, "up"))?;
    let report = probe.finish()?;
    assert_eq!((report.lost(), report.duplicates()), (0, 0), "{report:?}");
    switch.activate("u2")?;
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    Ok(())
}

#[test]
fn the_active_member_may_vanish_too() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(1, 2)?;
    assert_eq!(switch.active()?.as_deref(), Some("u1"));
    topology.host.ip("link del u1")?;
    eventually("u2 is active", DEADLINE, || Ok((switch.active()?.as_deref() == Some("u2")).then_some(())))?;
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    Ok(())
}

#[test]
fn a_device_that_is_set_down_and_up_by_hand_works_again() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(2, 1)?;
    topology.host.ip("link set g2 down")?;
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    topology.host.ip("link set g2 up")?;
    assert!(reaches(topology.guest(2), ipv4(REMOTE)));
    assert!(switch.vsctl("show").is_ok());
    Ok(())
}

#[test]
fn a_port_that_does_not_exist_when_the_daemon_starts_is_taken_when_it_appears() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, mut switch) = lab(2, 2)?;
    switch.terminate()?;
    topology.host.ip("link del g2")?;
    switch.launch()?;
    let still_wanted = |_: &Topology| -> Result<()> {
        assert!(switch.vsctl("list-ports br0")?.lines().any(|line| line == "g2"));
        Ok(())
    };
    still_wanted(&topology)?;
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    topology.plug_guest(2)?;
    assert!(reaches(topology.guest(2), ipv4(REMOTE)));
    still_wanted(&topology)
}
