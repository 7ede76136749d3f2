//! TCP between guests whose kernels leave checksums and segmentation to the device, as every guest does by default.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::Result;
use integration::netns::Namespace;
use integration::switch::Wiring;
use integration::tcp::{Way, bad_checksums, iperf3};
use integration::testing::{lab, lab_with, switch_turn};
use integration::topology::{REMOTE, ipv4, ipv6};

/// Far below what the switch does, far above what it does when something is wrong.
const FLOOR: f64 = 1e9;

fn runs_well(a: (&Namespace, IpAddr), b: (&Namespace, IpAddr)) -> Result<()> {
    let before = bad_checksums(a.0)? + bad_checksums(b.0)?;
    for way in [Way::There, Way::Back] {
        let result = iperf3(a, b, way, 1, Duration::from_secs(2))?;
        assert!(result.bits_per_second >= FLOOR, "{} {way:?} {}: {result:?}", a.1, b.1);
    }
    assert_eq!(bad_checksums(a.0)? + bad_checksums(b.0)? - before, 0, "wrong checksums arrived");
    Ok(())
}

#[test]
fn tcp_through_the_bond_runs_at_speed_over_ipv4() -> Result<()> {
    let Some(_turn) = switch_turn(&["iperf3"])? else { return Ok(()) };
    let (topology, _switch) = lab(1, 2)?;
    runs_well((topology.guest(1), ipv4(1)), (&topology.remote, ipv4(REMOTE)))
}

#[test]
fn tcp_through_the_bond_runs_at_speed_over_ipv6() -> Result<()> {
    let Some(_turn) = switch_turn(&["iperf3"])? else { return Ok(()) };
    let (topology, _switch) = lab(1, 2)?;
    runs_well((topology.guest(1), ipv6(1)), (&topology.remote, ipv6(REMOTE)))
}

#[test]
fn tcp_between_access_ports_of_a_vlan_runs_at_speed() -> Result<()> {
    let Some(_turn) = switch_turn(&["iperf3"])? else { return Ok(()) };
    let (topology, _switch) = lab_with(2, 2, Wiring { tag: Some(10), ..Wiring::default() })?;
    for ip in [ipv4, ipv6] {
        runs_well((topology.guest(1), ip(1)), (topology.guest(2), ip(2)))?;
    }
    Ok(())
}

#[test]
fn tcp_from_an_access_guest_through_an_access_bond_runs_at_speed() -> Result<()> {
    let Some(_turn) = switch_turn(&["iperf3"])? else { return Ok(()) };
    let (topology, _switch) = lab_with(1, 2, Wiring { tag: Some(10), ..Wiring::default() })?;
    for ip in [ipv4, ipv6] {
        runs_well((topology.guest(1), ip(1)), (&topology.remote, ip(REMOTE)))?;
    }
    Ok(())
}
