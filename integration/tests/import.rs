//! Configuration as people already have it: imported into a running switch, it runs.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use integration::netns::format_mac;
use integration::process::eventually;
use integration::switch::{BOND, Switch as _, Vswitch};
use integration::testing::{reaches, switch_turn};
use integration::topology::{REMOTE, Topology, Upstream, ipv4};

const DEADLINE: Duration = Duration::from_secs(5);

/// Writes files into a directory of the switch's own.
fn write(switch: &Vswitch, files: &[(&str, &str)]) -> Result<PathBuf> {
    let directory = switch.directory().join("network-scripts");
    std::fs::create_dir_all(&directory)?;
    for (name, text) in files {
        std::fs::write(directory.join(name), text)?;
    }
    Ok(directory)
}

#[test]
fn a_directory_of_the_network_scripts_becomes_a_running_switch() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(1, 2, Upstream::LinuxBridge)?;
    let switch = Vswitch::start(&topology.host)?;
    let hwaddr = format_mac(topology.host.mac("u2")?).to_uppercase();
    let directory = write(
        &switch,
        &[
            ("ifcfg-lo", "DEVICE=lo\nIPADDR=127.0.0.1\n"),
            ("ifcfg-xenbr0", "DEVICE=xenbr0\nTYPE=Bridge\nBOOTPROTO=none\nIPADDR=10.0.0.9\nDELAY=0\n"),
            (
                "ifcfg-bond0",
                "# the uplink\nDEVICE=bond0\nTYPE=Bond\nBONDING_MASTER=yes\nONBOOT=yes\nBRIDGE=xenbr0\n\
                 BONDING_OPTS=\"miimon=100 mode=1 use_carrier=0 updelay=200 primary=u2\"\n",
            ),
            ("ifcfg-u1", "DEVICE=u1\nMASTER=bond0\nSLAVE=yes\nONBOOT=yes\n"),
            ("ifcfg-u2", &format!("DEVICE='u2'\nHWADDR={hwaddr}\nMASTER=\"bond0\"\nSLAVE=yes # member\n")),
            ("ifcfg-u1.rpmsave", "DEVICE=u1\nMASTER=bond9\nSLAVE=yes\n"),
            ("ifcfg-guest", "DEVICE=g1\nBRIDGE=xenbr0\n"),
        ],
    )?;
    let line = format!("import ifcfg {}", directory.display());
    let dry = switch.vsctl(&format!("--dry-run {line}"))?;
    let script = "vsctl -- --may-exist add-br xenbr0 \\\n    \
                  -- --may-exist add-bond xenbr0 bond0 miimon=100 mode=1 updelay=200 primary=u2 \\\n    \
                  -- --may-exist add-bond-iface bond0 u1 \\\n    \
                  -- --may-exist add-bond-iface bond0 u2 \\\n    \
                  -- --may-exist add-port xenbr0 g1\n# ";
    ensure!(dry.starts_with(script), "{dry}");
    ensure!(switch.vsctl("list-br")?.is_empty(), "a dry run changes nothing");

    let told = switch.vsctl(&line)?;
    let notes = |text: &str, mark: &str| -> Vec<String> {
        text.lines().filter_map(|line| line.strip_prefix(mark)).map(str::to_owned).collect()
    };
    assert_eq!(notes(&told, "note: "), notes(&dry, "# "));
    eventually("the primary is active", DEADLINE, || {
        Ok((switch.active()?.as_deref() == Some("u2")).then_some(()))
    })?;
    let members: Vec<_> = switch.bond(BOND)?.members.into_iter().map(|member| member.name).collect();
    assert_eq!(members, ["u1", "u2"]);
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)), "the guest has its uplink");
    topology.pull("u2")?;
    eventually("u1 is active", DEADLINE, || Ok((switch.active()?.as_deref() == Some("u1")).then_some(())))?;
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)), "and still has after a failover");

    // Once more is no change; another option is one.
    let before = switch.vsctl("show")?;
    switch.vsctl(&line)?;
    assert_eq!(switch.vsctl("show")?, before);
    write(
        &switch,
        &[("ifcfg-bond0", "DEVICE=bond0\nBRIDGE=xenbr0\nBONDING_OPTS='mode=active-backup miimon=50'\n")],
    )?;
    switch.vsctl(&line)?;
    ensure!(switch.vsctl(&format!("get bond {BOND} miimon"))?.trim() == "50");
    // Options of the driver's module for a bond that has its members already.
    let file = switch.directory().join("modprobe.conf");
    std::fs::write(&file, "alias bond0 bonding\noptions bond0 mode=1 miimon=100 \\\n  downdelay=200\n")?;
    switch.vsctl(&format!("import modprobe {} --bridge=xenbr0", file.display()))?;
    ensure!(switch.vsctl(&format!("get bond {BOND} downdelay"))?.trim() == "200");
    assert_eq!(switch.bond(BOND)?.members.len(), 2);
    Ok(())
}

#[test]
fn one_wrong_line_and_nothing_is_imported() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(0, 2, Upstream::Bare)?;
    let switch = Vswitch::start(&topology.host)?;
    let bond = ("ifcfg-bond0", "DEVICE=bond0\nBONDING_OPTS=\"mode=1 miimon=100\"\n");
    let u1 = ("ifcfg-u1", "DEVICE=u1\nMASTER=bond0\nSLAVE=yes\n");
    let refused = |files: &[(&str, &str)], expected: &str| -> Result<()> {
        let directory = write(&switch, files)?;
        let done = switch.try_vsctl(&format!("import ifcfg {}", directory.display()))?;
        ensure!(!done.status.success() && done.stderr.contains(expected), "{}", done.stderr);
        ensure!(done.stderr.ends_with("vsctl: nothing was changed\n"), "{}", done.stderr);
        ensure!(switch.vsctl("list-br")?.is_empty(), "something was imported");
        Ok(())
    };
    // Known before the daemon is asked.
    refused(
        &[bond, u1, ("ifcfg-u2", "DEVICE=u2\nMASTER=bond0\nSLAVE=yes\nHWADDR=02:00:00:00:02:01\n")],
        "ifcfg-u2:4: HWADDR is 02:00:00:00:02:01, but u2 has 02:00:00:00:02:02; the device with that address is u1;",
    )?;
    // Only the daemon knows it.
    refused(
        &[("ifcfg-u2", "DEVICE=u3\nMASTER=bond0\nSLAVE=yes\n")],
        "vsctl: ifcfg-u2:1: no network device named u3;",
    )?;
    topology.host.ip("link add kbr type bridge")?;
    topology.host.ip("link set u2 master kbr")?;
    refused(
        &[("ifcfg-u2", "DEVICE=u2\nMASTER=bond0\nSLAVE=yes\n")],
        "vsctl: ifcfg-u2:1: u2 belongs to the kernel's bridge kbr; take it out first",
    )
}
