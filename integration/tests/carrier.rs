//! Carrier tells the truth: a bond has it exactly if some member can carry, from its first moment, and the internal
//! port shows it to whoever asks, for example keepalived's `track_interface`.

use std::time::Duration;

use anyhow::Result;
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::switch_turn;
use integration::topology::{Topology, Upstream};

const DEADLINE: Duration = Duration::from_secs(3);

fn until_carrier(topology: &Topology, wanted: bool) -> Result<()> {
    eventually(&format!("{BRIDGE} has carrier: {wanted}"), DEADLINE, || {
        let lower_up = topology.host.has_flag(BRIDGE, "LOWER_UP")?;
        let no_carrier = topology.host.has_flag(BRIDGE, "NO-CARRIER")?;
        Ok((lower_up == wanted && no_carrier != wanted).then_some(()))
    })
}

#[test]
fn a_bond_whose_cables_were_never_plugged_has_no_carrier() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(0, 2, Upstream::LinuxBridge)?;
    topology.pull("u1")?;
    topology.pull("u2")?;
    let switch = Vswitch::start(&topology.host)?;
    switch.vsctl(&format!("add-br {BRIDGE} -- add-bond {BRIDGE} {BOND} u1 u2 mode=1"))?;
    let bond = switch.bond(BOND)?;
    assert!(!bond.carrier && bond.active.is_none(), "{bond:?}");
    topology.host.ip(&format!("link set {BRIDGE} up"))?;
    until_carrier(&topology, true)?;
    switch.vsctl(&format!("set bridge {BRIDGE} carrier={BOND}"))?;
    until_carrier(&topology, false)
}

#[test]
fn the_internal_port_follows_the_bond_it_is_told_to_follow() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(0, 2, Upstream::LinuxBridge)?;
    let switch = Vswitch::start(&topology.host)?;
    switch.vsctl(&format!("add-br {BRIDGE} -- add-bond {BRIDGE} {BOND} u1 u2 mode=1"))?;
    topology.host.ip(&format!("link set {BRIDGE} up"))?;
    switch.vsctl(&format!("set bridge {BRIDGE} carrier={BOND}"))?;
    until_carrier(&topology, true)?;
    topology.pull("u1")?;
    topology.pull("u2")?;
    until_carrier(&topology, false)?;
    topology.replug("u2")?;
    until_carrier(&topology, true)?;
    topology.pull("u2")?;
    until_carrier(&topology, false)?;
    switch.vsctl(&format!("set bridge {BRIDGE} carrier=[]"))?;
    until_carrier(&topology, true)
}

#[test]
fn a_member_that_joins_brings_the_carrier_and_the_last_to_leave_takes_it() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(0, 2, Upstream::LinuxBridge)?;
    topology.pull("u1")?;
    let switch = Vswitch::start(&topology.host)?;
    switch.vsctl(&format!("add-br {BRIDGE} -- add-bond {BRIDGE} {BOND} u1 mode=1"))?;
    topology.host.ip(&format!("link set {BRIDGE} up"))?;
    switch.vsctl(&format!("set bridge {BRIDGE} carrier={BOND}"))?;
    until_carrier(&topology, false)?;
    switch.vsctl(&format!("add-bond-iface {BOND} u2"))?;
    until_carrier(&topology, true)?;
    switch.vsctl(&format!("del-bond-iface {BOND} u2"))?;
    until_carrier(&topology, false)
}
