//! Whatever is wrong is said, nothing is changed, and the exit status shows it.

use anyhow::Result;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::{lab, reaches, switch_turn};
use integration::topology::{REMOTE, Topology, ipv4};

/// A command line and words that its error message must contain.
const BAD: &[(&str, &[&str])] = &[
    ("add-port br0 nosuch", &["nosuch"]),
    ("add-port nosuch g2", &["nosuch"]),
    ("add-port br0 g1", &["g1", "br0"]),
    ("add-port br0 u1", &["u1", "bond0"]),
    ("add-br br0", &["br0"]),
    ("add-br u1", &["u1"]),
    ("add-bond br0 bond1 u1 u2", &["u1", "bond0"]),
    ("add-bond br0 bond0 g2 u3", &["bond0"]),
    ("add-bond br0 bond1 g2 u3 mode=9", &["mode", "9"]),
    ("add-bond br0 bond1 g2 u3 mode=active-backupp", &["active-backupp", "active-backup"]),
    ("add-bond br0 bond1 g2 u3 miimom=100", &["miimom", "miimon"]),
    ("add-bond br0 bond1 g2 u3 miimon=-1", &["miimon", "-1"]),
    ("add-bond br0 bond1 g2 u3 miimon=soon", &["miimon", "soon"]),
    ("add-bond br0 bond1 g2 nosuch mode=1", &["nosuch"]),
    ("add-bond-iface bond0 g1", &["g1"]),
    ("add-bond-iface nosuch g2", &["nosuch"]),
    ("del-bond-iface bond0 g2", &["g2"]),
    ("set bond bond0 primery=u1", &["primery", "primary"]),
    ("set bond bond0 updelay=x", &["updelay", "x"]),
    ("set port g1 tag=4095", &["tag", "4095"]),
    ("set port g1 tag=ten", &["tag", "ten"]),
    ("set port nosuch tag=1", &["nosuch"]),
    ("set bridge br0 carrier=nosuch", &["nosuch"]),
    ("bond/set-active-member bond0 g1", &["g1"]),
    ("bond/set-active-member nosuch u1", &["nosuch"]),
    ("bond/show nosuch", &["nosuch"]),
    ("fdb/show nosuch", &["nosuch"]),
    ("del-br nosuch", &["nosuch"]),
    ("del-port br0 nosuch", &["nosuch"]),
    ("list-ports nosuch", &["nosuch"]),
    ("ad-port br0 g2", &["ad-port"]),
    ("add-port br0", &["add-port"]),
    ("--no-such-option list-br", &["no-such-option"]),
    ("add-port br0 g2 -- add-port br0 nosuch", &["nosuch"]),
    ("add-port br0 g2 -- set port g2 tag=9999", &["9999"]),
    ("add-port br0 g2 -- bogus", &["bogus"]),
];

#[test]
fn a_bad_command_says_what_is_wrong_and_changes_nothing() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(2, 3, integration::topology::Upstream::LinuxBridge)?;
    let switch = Vswitch::start(&topology.host)?;
    switch.vsctl(&format!(
        "add-br {BRIDGE} -- add-port {BRIDGE} g1 -- add-bond {BRIDGE} {BOND} u1 u2 mode=1"
    ))?;
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    let before = (switch.json("show")?, std::fs::read(switch.state_file())?);
    let mut failures = Vec::new();
    for (line, words) in BAD {
        let done = switch.try_vsctl(line)?;
        let said = format!("exit {:?}, {:?}", done.status.code(), done.stderr);
        if done.status.success() {
            failures.push(format!("`{line}` was accepted: {said}"));
        }
        if let Some(missing) = words.iter().find(|word| !done.stderr.contains(**word)) {
            failures.push(format!("`{line}` does not mention `{missing}`: {said}"));
        }
        if done.stderr.contains("panicked") {
            failures.push(format!("`{line}` panicked: {said}"));
        }
        let after = (switch.json("show")?, std::fs::read(switch.state_file())?);
        if after != before {
            failures.push(format!("`{line}` changed something: {} to {}", before.0, after.0));
            break;
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    Ok(())
}

#[test]
fn the_idempotent_forms_are_no_errors() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (_topology, switch) = lab(1, 2)?;
    let before = switch.json("show")?;
    for line in [
        "--may-exist add-br br0",
        "-- --may-exist add-port br0 g1",
        "--may-exist add-bond br0 bond0 u1 u2",
        "--may-exist add-bond-iface bond0 u1",
        "--if-exists del-port br0 nosuch",
        "--if-exists del-br nosuch",
    ] {
        switch.vsctl(line)?;
    }
    assert_eq!(switch.json("show")?, before);
    Ok(())
}

#[test]
fn a_client_without_a_daemon_says_so() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let namespace = integration::netns::Namespace::new("empty")?;
    let switch = Vswitch::prepare(&namespace)?;
    let done = switch.try_vsctl("list-br")?;
    assert!(!done.status.success());
    assert!(done.stderr.contains("vswitchd"), "{}", done.stderr);
    Ok(())
}
