//! What an operator of the kernel's bonding driver expects to be told is told: by `vsctl`, in the log and in
//! `bond/explain`. docs/operations.md lists the messages with cause and cure.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration::netns::format_mac;
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::switch_turn;
use integration::topology::{Topology, Upstream};

const DEADLINE: Duration = Duration::from_secs(5);

struct Lab {
    topology: Topology,
    switch: Vswitch,
}

impl Lab {
    fn new(uplinks: usize, options: &str) -> Result<Self> {
        let topology = Topology::new(1, uplinks, Upstream::Bare)?;
        let switch = Vswitch::start(&topology.host)?;
        switch.vsctl(&format!("add-br {BRIDGE} -- add-bond {BRIDGE} {BOND} u1 u2 {options}"))?;
        Ok(Self { topology, switch })
    }

    /// What `vsctl` warns of, of a command that succeeds.
    fn warned(&self, line: &str, words: &[&str]) -> Result<()> {
        let done = self.switch.try_vsctl(line)?;
        ensure!(done.status.success(), "`{line}`: {}", done.stderr);
        let told = words.iter().all(|word| done.stderr.contains(word));
        ensure!(told, "`{line}` does not warn of {words:?}: {}", done.stderr);
        Ok(())
    }

    fn refused(&self, line: &str, words: &[&str]) -> Result<()> {
        let done = self.switch.try_vsctl(line)?;
        let told = words.iter().all(|word| done.stderr.contains(word));
        ensure!(!done.status.success() && told, "`{line}` does not tell {words:?}: {}", done.stderr);
        Ok(())
    }

    fn logged(&self, words: &[&str]) -> Result<()> {
        eventually(&format!("the log has {words:?}"), DEADLINE, || {
            let log = self.switch.log_tail(200);
            let told = |line: &str| words.iter().all(|word| line.contains(word));
            Ok(log.lines().any(told).then_some(()))
        })
    }
}

#[test]
fn devices_that_can_not_be_used_are_refused_by_name() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new(4, "mode=1")?;
    lab.topology.host.ip("link add brk type bridge")?;
    lab.topology.host.ip("link set u4 master brk")?;
    eventually("the daemon knows of it", DEADLINE, || {
        let done = lab.switch.try_vsctl(&format!("add-bond-iface {BOND} u4"))?;
        if done.status.success() {
            lab.switch.vsctl(&format!("del-bond-iface {BOND} u4"))?;
        }
        Ok((!done.status.success()).then_some(()))
    })?;
    for (line, words) in [
        (
            "add-bond-iface bond0 u4",
            &["u4 belongs to the kernel's bridge brk", "ip link set u4 nomaster"][..],
        ),
        ("add-bond-iface bond0 brk", &["brk is itself a switch (kind bridge)"]),
        ("add-bond-iface bond0 lo", &["lo is the loopback device"]),
        ("add-bond-iface bond0 br0", &["a bridge named br0 already exists"]),
        ("add-bond br0 bond1 u3 u1", &["u1", "a member of bond bond0", "del-bond-iface bond0 u1"]),
        (
            "add-bond br0 bond1 u3 mode=actve-backup",
            &["allowed: balance-rr (0), ", "did you mean \"active-backup\"?"],
        ),
        ("bond/set-active-member bond0 u9", &["the members of bond bond0 are u1, u2"]),
    ] {
        lab.refused(line, words)?;
    }
    Ok(())
}

#[test]
fn a_port_that_the_kernel_enslaves_is_told() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new(2, "mode=1")?;
    lab.topology.host.ip("link add brk type bridge")?;
    lab.topology.host.ip("link set u2 master brk")?;
    lab.logged(&["WARN", "belongs to the kernel's bridge brk too", "device=\"u2\""])
}

#[test]
fn a_primary_that_is_none_and_a_link_that_is_down() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new(2, "mode=1")?;
    lab.warned(&format!("set bond {BOND} primary=u9"), &["primary u9 is not a member"])?;
    lab.logged(&["WARN", "primary u9 is not a member", "bond=\"bond0\""])?;
    lab.switch.terminate()?;
    lab.switch.launch()?;
    lab.logged(&["WARN", "primary u9 is not a member", "bond=\"bond0\""])?;
    lab.topology.pull("u2")?;
    lab.logged(&["u2: link status definitely down, disabling it", "bond=\"bond0\""])?;
    lab.refused(
        &format!("bond/set-active-member {BOND} u2"),
        &["cannot make u2 the active member", "link is down"],
    )?;
    let why = lab.switch.vsctl(&format!("bond/explain {BOND}"))?;
    ensure!(why.contains("sends nothing: its link is down for"), "{why}");
    Ok(())
}

#[test]
fn members_with_one_address_are_told() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new(3, "mode=1")?;
    let mac = format_mac(lab.topology.host.mac("u1")?);
    lab.topology.host.ip(&format!("link set u3 address {mac}"))?;
    let problem = format!("u3 has the same address as u1, {mac}");
    eventually("it is warned of", DEADLINE, || {
        let done = lab.switch.try_vsctl(&format!("add-bond-iface {BOND} u3"))?;
        let warned = done.stderr.contains(&problem);
        if !warned {
            // The news of the address was not there yet.
            lab.switch.vsctl(&format!("del-bond-iface {BOND} u3"))?;
        }
        Ok(warned.then_some(()))
    })?;
    lab.logged(&["WARN", &problem, "bond=\"bond0\""])?;
    let why = lab.switch.vsctl(&format!("bond/explain {BOND}"))?;
    ensure!(why.contains(&problem), "{why}");
    Ok(())
}
