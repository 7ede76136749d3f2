//! After SIGTERM the interfaces are as they were found.

use anyhow::Result;
use integration::fastpath::MISS_QUEUE;
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::{look, reaches, switch_turn};
use integration::topology::{HOST, REMOTE, Topology, Upstream, ipv4};

#[test]
fn sigterm_leaves_every_interface_as_it_was_found() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(2, 2, Upstream::LinuxBridge)?;
    // One device that is down: whoever sets it up for forwarding must set it down again.
    topology.host.ip("link set g2 down")?;
    let before = look(&topology.host)?;
    let mut switch = Vswitch::start(&topology.host)?;
    switch.vsctl(&format!(
        "add-br {BRIDGE} -- add-port {BRIDGE} g1 -- add-port {BRIDGE} g2 -- add-bond {BRIDGE} {BOND} u1 u2 mode=1"
    ))?;
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    assert_ne!(look(&topology.host)?, before, "the comparison sees a switch at work");
    assert!(switch.terminate()?.success());
    assert!(topology.host.link(BRIDGE)?.is_none());
    assert_eq!(look(&topology.host)?, before);
    Ok(())
}

#[test]
fn deleting_a_port_and_a_bridge_restores_their_devices() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(2, 2, Upstream::LinuxBridge)?;
    let before = look(&topology.host)?;
    let switch = Vswitch::start(&topology.host)?;
    let idle = look(&topology.host)?;
    let mut of_others = idle.clone();
    if let Some(links) = of_others["links"].as_array_mut() {
        links.retain(|link| !link["ifname"].as_str().is_some_and(|name| name.starts_with(MISS_QUEUE)));
    }
    assert_eq!(of_others, before, "a daemon without bridges touches nothing");
    switch.vsctl(&format!(
        "add-br {BRIDGE} -- add-port {BRIDGE} g1 -- add-bond {BRIDGE} {BOND} u1 u2 mode=1"
    ))?;
    switch.vsctl(&format!("del-br {BRIDGE}"))?;
    assert_eq!(look(&topology.host)?, idle);
    Ok(())
}

#[test]
fn a_crash_does_not_keep_the_next_run_from_cleaning_up() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(1, 2, Upstream::LinuxBridge)?;
    let before = look(&topology.host)?;
    let mut switch = Vswitch::start(&topology.host)?;
    switch.connect(&topology, integration::switch::Wiring::default())?;
    // The host's address on the internal port survives the crash: a restart must not take the host off the network.
    topology.host.ip(&format!("link set {BRIDGE} up"))?;
    topology.host.ip(&format!("addr add {}/24 dev {BRIDGE}", ipv4(HOST)))?;
    assert!(reaches(&topology.host, ipv4(1)));
    switch.kill()?;
    assert!(topology.host.link(BRIDGE)?.is_some(), "the internal port outlives a crash");
    switch.launch()?;
    eventually("the host reaches its guest again", std::time::Duration::from_secs(5), || {
        Ok(reaches(&topology.host, ipv4(1)).then_some(()))
    })?;
    assert!(switch.terminate()?.success());
    assert_eq!(look(&topology.host)?, before);
    Ok(())
}
