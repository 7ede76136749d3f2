//! The harness itself, with the kernel's bridge and Open vSwitch as switches: what it reports must be so.

use std::time::Duration;

use anyhow::Result;
use integration::packets::{BROADCAST, Station, settle};
use integration::probe::Probe;
use integration::process::eventually;
use integration::switch::{Kind, Ovs, Switch as _, Wiring};
use integration::tcp::{Way, bad_checksums, iperf3};
use integration::testing::{never_reaches, reaches, skip, turn};
use integration::topology::{REMOTE, Topology, Upstream, ipv4, ipv6};

const SPACING: Duration = Duration::from_millis(1);

#[test]
fn a_probe_over_good_wires_loses_nothing() -> Result<()> {
    let Some(_turn) = turn(&[]) else { return Ok(()) };
    let topology = Topology::new(1, 1, Upstream::LinuxBridge)?;
    let _switch = Kind::LinuxBridge.start(&topology, Wiring::default())?;
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    assert!(reaches(topology.guest(1), ipv6(REMOTE)));
    let pairs = [ipv4, ipv6].map(|ip| ((topology.guest(1), ip(1)), (&topology.remote, ip(REMOTE))));
    let probe = Probe::start(&pairs, SPACING)?;
    std::thread::sleep(Duration::from_secs(1));
    let report = probe.finish()?;
    assert_eq!(report.flows.len(), 4);
    for flow in &report.flows {
        assert!(flow.sent >= 900, "{flow:?}");
        assert_eq!((flow.lost, flow.duplicates, flow.reordered), (0, 0, 0), "{flow:?}");
    }
    Ok(())
}

#[test]
fn a_silent_cut_costs_what_it_lasts_and_is_seen_in_its_window_only() -> Result<()> {
    let Some(_turn) = turn(&[]) else { return Ok(()) };
    let topology = Topology::new(1, 1, Upstream::LinuxBridge)?;
    let _switch = Kind::LinuxBridge.start(&topology, Wiring::default())?;
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    let mut probe =
        Probe::start(&[((topology.guest(1), ipv4(1)), (&topology.remote, ipv4(REMOTE)))], SPACING)?;
    let phase = Duration::from_millis(300);
    for label in ["before", "cut", "after"] {
        probe.mark(label);
        match label {
            "cut" => topology.cut("u1")?,
            "after" => topology.mend("u1")?,
            _ => {}
        }
        std::thread::sleep(phase);
    }
    let report = probe.finish()?;
    let lost: Vec<u64> = report.windows.iter().map(|window| window.total()).collect();
    assert_eq!(lost[0], 0, "{report:?}");
    // Two flows of 300 datagrams each; `ip` takes some milliseconds to cut, and as many to mend.
    assert!((400..=700).contains(&lost[1]), "{report:?}");
    assert!(lost[2] < 150, "{report:?}");
    assert!(report.flows.iter().all(|flow| flow.longest_gap_ms >= 200.0), "{report:?}");
    Ok(())
}

#[test]
fn what_is_lost_at_the_end_counts() -> Result<()> {
    let Some(_turn) = turn(&[]) else { return Ok(()) };
    let topology = Topology::new(1, 1, Upstream::LinuxBridge)?;
    let _switch = Kind::LinuxBridge.start(&topology, Wiring::default())?;
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    let probe = Probe::start(&[((topology.guest(1), ipv4(1)), (&topology.remote, ipv4(REMOTE)))], SPACING)?;
    std::thread::sleep(Duration::from_millis(100));
    topology.cut("u1")?;
    std::thread::sleep(Duration::from_millis(200));
    let report = probe.finish()?;
    assert!(report.flows.iter().all(|flow| flow.lost >= 150), "{report:?}");
    Ok(())
}

#[test]
fn a_pulled_cable_takes_the_carrier_at_once_and_a_cut_one_keeps_it() -> Result<()> {
    let Some(_turn) = turn(&[]) else { return Ok(()) };
    let topology = Topology::new(0, 2, Upstream::LinuxBridge)?;
    let carrier = |wanted: bool| {
        eventually("carrier news come", Duration::from_millis(200), || {
            Ok((topology.host.has_flag("u1", "LOWER_UP")? == wanted).then_some(()))
        })
    };
    carrier(true)?;
    topology.cut("u1")?;
    carrier(true)?;
    topology.mend("u1")?;
    for _ in 0..5 {
        topology.pull("u1")?;
        carrier(false)?;
        topology.replug("u1")?;
        carrier(true)?;
    }
    Ok(())
}

#[test]
fn stations_count_copies_and_never_their_own_frames() -> Result<()> {
    let Some(_turn) = turn(&[]) else { return Ok(()) };
    let topology = Topology::new(2, 1, Upstream::LinuxBridge)?;
    let _switch = Kind::LinuxBridge.start(&topology, Wiring::default())?;
    let mut one = Station::new(topology.guest(1), "eth0")?;
    let mut two = Station::new(topology.guest(2), "eth0")?;
    let mut remote = Station::new(&topology.remote, "eth0")?;
    one.send_to(BROADCAST, 1)?;
    two.send_to(one.mac, 2)?;
    two.send_to(one.mac, 2)?;
    one.send(&integration::packets::frame(BROADCAST, one.mac, Some(10), 3))?;
    settle(&mut [&mut one, &mut two, &mut remote], Duration::from_millis(100))?;
    assert_eq!([one.copies(1), two.copies(1), remote.copies(1)], [0, 1, 1]);
    assert_eq!([one.copies(2), two.copies(2), remote.copies(2)], [2, 0, 0]);
    assert_eq!([two.copies_tagged(3, None), two.copies_tagged(3, Some(10))], [0, 1]);
    Ok(())
}

#[test]
fn namespaces_are_apart_and_gone_when_dropped() -> Result<()> {
    let Some(_turn) = turn(&[]) else { return Ok(()) };
    let topology = Topology::new(2, 0, Upstream::Bare)?;
    assert!(never_reaches(topology.guest(1), ipv4(2))?);
    let path = topology.host.path();
    assert!(std::path::Path::new(&path).exists());
    drop(topology);
    // The number may name another file by now, but no namespace of ours.
    assert!(!std::fs::read_link(path).is_ok_and(|target| target.to_string_lossy().starts_with("net:")));
    Ok(())
}

#[test]
fn iperf3_runs_both_ways() -> Result<()> {
    let Some(_turn) = turn(&["iperf3"]) else { return Ok(()) };
    let topology = Topology::new(1, 1, Upstream::LinuxBridge)?;
    let _switch = Kind::LinuxBridge.start(&topology, Wiring::default())?;
    for way in [Way::There, Way::Back] {
        let ends = ((topology.guest(1), ipv4(1)), (&topology.remote, ipv4(REMOTE)));
        let result = iperf3(ends.0, ends.1, way, 1, Duration::from_secs(1))?;
        assert!(result.bits_per_second > 1e8, "{result:?}");
    }
    assert_eq!(bad_checksums(&topology.remote)?, 0);
    Ok(())
}

#[test]
fn open_vswitch_forwards_fails_over_and_survives_a_crash() -> Result<()> {
    let Some(_turn) = turn(&[]) else { return Ok(()) };
    if let Some(obstacle) = Kind::Ovs.obstacle() {
        skip(&obstacle);
        return Ok(());
    }
    let topology = Topology::new(1, 2, Upstream::LinuxBridge)?;
    let mut ovs = Ovs::start(&topology, Wiring::default())?;
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    let first = ovs.active()?.expect("waited for above");
    let other = if first == "u1" { "u2" } else { "u1" };
    ovs.activate(other)?;
    assert_eq!(ovs.active()?.as_deref(), Some(other));
    topology.pull(other)?;
    eventually("the bond fails over", Duration::from_secs(5), || {
        Ok((ovs.active()?.as_ref() == Some(&first)).then_some(()))
    })?;
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    ovs.crash_and_restart()?;
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    Ok(())
}
