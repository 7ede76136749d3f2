//! What is told of a bond: the text of Linux's `/proc/net/bonding`, and in plain words why each member carries or not.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration::netns::format_mac;
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Switch as _, Vswitch};
use integration::testing::{reaches, switch_turn};
use integration::topology::{REMOTE, Topology, Upstream, ipv4};

const DEADLINE: Duration = Duration::from_secs(5);

fn start(options: &str) -> Result<(Topology, Vswitch)> {
    let topology = Topology::new(1, 2, Upstream::LinuxBridge)?;
    let switch = Vswitch::start(&topology.host)?;
    switch.vsctl(&format!("add-br {BRIDGE} -- add-port {BRIDGE} g1"))?;
    switch.vsctl(&format!("add-bond {BRIDGE} {BOND} u1 u2 {options}"))?;
    eventually("both members are up", DEADLINE, || {
        Ok(switch.bond(BOND)?.members.iter().all(|member| member.link == "up").then_some(()))
    })?;
    Ok((topology, switch))
}

/// The text that our switch has.
fn proc(switch: &Vswitch) -> Result<String> {
    switch.vsctl(&format!("--proc bond/show {BOND}"))
}

/// The text that Linux would have.
fn golden(
    head: &str,
    carrier: &str,
    delays: [u32; 4],
    members: &[(&str, &str, u32, [u8; 6])],
) -> Result<String> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let [miimon, up, down, notify] = delays;
    let mut text = format!(
        "Ethernet Channel Bonding Driver: v{}\n\n{head}MII Status: {carrier}\nMII Polling Interval (ms): {miimon}\n\
         Up Delay (ms): {up}\nDown Delay (ms): {down}\nPeer Notification Delay (ms): {notify}\n",
        release.trim()
    );
    for (name, link, failures, mac) in members {
        let (speed, duplex) = if *link == "up" { ("10000 Mbps", "full") } else { ("Unknown", "Unknown") };
        text += &format!(
            "\nSlave Interface: {name}\nMII Status: {link}\nSpeed: {speed}\nDuplex: {duplex}\n\
             Link Failure Count: {failures}\nPermanent HW addr: {}\nSlave queue ID: 0\n",
            format_mac(*mac)
        );
    }
    Ok(text)
}

const ONE: [u8; 6] = [2, 0, 0, 0, 2, 1];
const TWO: [u8; 6] = [2, 0, 0, 0, 2, 2];

#[test]
fn the_proc_text_of_active_backup_is_linuxs() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) =
        start("mode=active-backup miimon=100 updelay=200 downdelay=100 peer_notif_delay=300 primary=u1")?;
    let mode = "Bonding Mode: fault-tolerance (active-backup)\n";
    let head = format!("{mode}Primary Slave: u1 (primary_reselect always)\nCurrently Active Slave: u1\n");
    let expected = golden(&head, "up", [100, 200, 100, 300], &[("u1", "up", 0, ONE), ("u2", "up", 0, TWO)])?;
    assert_eq!(proc(&switch)?, expected);
    switch.vsctl(&format!("set bond {BOND} primary= primary_reselect=failure downdelay=0"))?;
    topology.pull("u1")?;
    eventually("u2 is active", DEADLINE, || Ok((switch.active()?.as_deref() == Some("u2")).then_some(())))?;
    let text = proc(&switch)?;
    let head = format!("{mode}Primary Slave: None\nCurrently Active Slave: u2\n");
    // What a driver tells of the speed of a dead link differs.
    let cut = |text: &str| -> Vec<String> {
        let volatile = |line: &&str| !line.starts_with("Speed:") && !line.starts_with("Duplex:");
        text.lines().filter(volatile).map(str::to_owned).collect()
    };
    let expected = golden(&head, "up", [100, 200, 0, 300], &[("u1", "down", 1, ONE), ("u2", "up", 0, TWO)])?;
    assert_eq!(cut(&text), cut(&expected));
    topology.pull("u2")?;
    eventually("no carrier", DEADLINE, || Ok((!switch.bond(BOND)?.carrier).then_some(())))?;
    let text = proc(&switch)?;
    let head = format!("{mode}Primary Slave: None\nCurrently Active Slave: None\n");
    let expected =
        golden(&head, "down", [100, 200, 0, 300], &[("u1", "down", 1, ONE), ("u2", "down", 1, TWO)])?;
    assert_eq!(cut(&text), cut(&expected));
    Ok(())
}

#[test]
fn the_proc_text_of_balance_xor_is_linuxs() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (_topology, switch) = start("mode=balance-xor miimon=100 xmit_hash_policy=layer3+4")?;
    let head = "Bonding Mode: load balancing (xor)\nTransmit Hash Policy: layer3+4 (1)\n";
    let expected = golden(head, "up", [100, 0, 0, 0], &[("u1", "up", 0, ONE), ("u2", "up", 0, TWO)])?;
    assert_eq!(proc(&switch)?, expected);
    // All bonds, in one text each.
    switch.vsctl(&format!("add-bond {BRIDGE} empty mode=balance-xor"))?;
    let all = switch.vsctl("--proc bond/show")?;
    assert_eq!(all.matches("Ethernet Channel Bonding Driver").count(), 2, "{all}");
    Ok(())
}

#[test]
fn the_proc_texts_of_balance_rr_and_broadcast_are_linuxs() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (_topology, switch) = start("mode=balance-rr miimon=100 packets_per_slave=3")?;
    let members = [("u1", "up", 0, ONE), ("u2", "up", 0, TWO)];
    let head = "Bonding Mode: load balancing (round-robin)\n";
    assert_eq!(proc(&switch)?, golden(head, "up", [100, 0, 0, 0], &members)?);
    let (summary, one, _) = explain(&switch)?;
    says(&summary, &["carrier", "2 of 2 members", "3 frames each in turn"])?;
    says(&one, &["sends", "one of 2 members"])?;
    let shown = switch.vsctl(&format!("bond/show {BOND}"))?;
    for line in ["bond_mode: balance-rr", "packets_per_slave: 3", "carrier: up"] {
        ensure!(shown.lines().any(|shown| shown == line), "{line} is not in: {shown}");
    }
    let refused = switch.try_vsctl(&format!("set bond {BOND} mode=broadcast"))?;
    says(&refused.stderr, &["packets_per_slave is not supported in mode broadcast", "packets_per_slave=1"])?;
    switch.vsctl(&format!("set bond {BOND} mode=broadcast packets_per_slave=1"))?;
    let head = "Bonding Mode: fault-tolerance (broadcast)\n";
    assert_eq!(proc(&switch)?, golden(head, "up", [100, 0, 0, 0], &members)?);
    let (summary, one, _) = explain(&switch)?;
    says(&summary, &["carrier", "2 of 2 members", "copy"])?;
    says(&one, &["copy of every frame"])?;
    Ok(())
}

#[test]
fn with_offloaded_hashes_each_member_says_whether_its_device_has_them() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = start("mode=balance-xor xmit_hash_policy=offload")?;
    // A veth computes none.
    let shown = switch.vsctl(&format!("bond/show {BOND}"))?;
    ensure!(shown.matches("  receive hash: no\n").count() == 2, "{shown}");
    let answer = switch.json(&format!("bond/show {BOND}"))?;
    ensure!(answer[BOND]["members"][0]["receive_hash"] == false, "{answer}");
    says(&proc(&switch)?, &["transmit hash policy: layer3+4 (1)"])?;
    says(&explain(&switch)?.0, &["layer3+4", "modulo 2"])?;
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)));
    switch.vsctl(&format!("set bond {BOND} xmit_hash_policy=layer2"))?;
    let shown = switch.vsctl(&format!("bond/show {BOND}"))?;
    ensure!(!shown.contains("receive hash"), "{shown}");
    let refused = switch.try_vsctl(&format!("set bond {BOND} xmit_hash_policy=offloaded"))?;
    says(&refused.stderr, &["vlan+srcmac (5), offload (6)"])
}

#[test]
fn the_option_for_it_may_follow_the_command() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (_topology, switch) = start("mode=active-backup miimon=100")?;
    assert_eq!(switch.vsctl(&format!("bond/show --proc {BOND}"))?, proc(&switch)?);
    Ok(())
}

/// `bond/explain`: the summary, and what is said of each member.
fn explain(switch: &Vswitch) -> Result<(String, String, String)> {
    let answer = switch.json(&format!("bond/explain {BOND}"))?;
    let bond = &answer[BOND];
    let of = |name: &str| -> Result<String> {
        let members = bond["members"].as_array().with_context(|| format!("no members: {answer}"))?;
        let member = members.iter().find(|member| member["name"] == name);
        let reasons = member.and_then(|member| member["reasons"].as_array());
        let reasons = reasons.with_context(|| format!("nothing of {name}: {answer}"))?;
        Ok(reasons.iter().filter_map(|reason| reason.as_str()).collect::<Vec<_>>().join("\n"))
    };
    let summary = bond["summary"].as_str().with_context(|| format!("no summary: {answer}"))?.to_owned();
    // The text for people says the same.
    let text = switch.vsctl(&format!("bond/explain {BOND}"))?;
    ensure!(text.contains("u1") && text.contains("u2") && text.lines().count() >= 3, "{text}");
    Ok((summary, of("u1")?.to_lowercase(), of("u2")?.to_lowercase()))
}

fn says(text: &str, words: &[&str]) -> Result<()> {
    let missing: Vec<_> = words.iter().filter(|word| !text.to_lowercase().contains(**word)).collect();
    ensure!(missing.is_empty(), "{missing:?} are not said in: {text}");
    Ok(())
}

#[test]
fn explain_tells_active_and_standby_links_delays_hands_and_absent_devices_apart() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = start("mode=active-backup miimon=100")?;
    let until = |link: &str, member: &str| {
        eventually(&format!("{member} is {link}"), DEADLINE, || {
            Ok(switch.bond(BOND)?.member(member).is_some_and(|m| m.link == link).then_some(()))
        })
    };
    let (summary, one, two) = explain(&switch)?;
    says(&summary, &["u1", "carrier"])?;
    says(&one, &["active"])?;
    says(&two, &["stand", "u1", "inactive_member"])?;
    // A dead link.
    topology.pull("u2")?;
    until("down", "u2")?;
    says(&explain(&switch)?.2, &["link", "down"])?;
    // Held back by its updelay.
    switch.vsctl(&format!("set bond {BOND} updelay=60000"))?;
    topology.replug("u2")?;
    until("going back", "u2")?;
    says(&explain(&switch)?.2, &["updelay"])?;
    switch.vsctl(&format!("set bond {BOND} updelay=0"))?;
    until("up", "u2")?;
    // Still used for its downdelay.
    switch.vsctl(&format!("set bond {BOND} downdelay=60000"))?;
    topology.pull("u1")?;
    until("going down", "u1")?;
    says(&explain(&switch)?.1, &["downdelay"])?;
    topology.replug("u1")?;
    until("up", "u1")?;
    switch.vsctl(&format!("set bond {BOND} downdelay=0"))?;
    // Disabled by hand.
    switch.vsctl(&format!("bond/disable-member {BOND} u2"))?;
    says(&explain(&switch)?.2, &["disabled", "hand"])?;
    switch.vsctl(&format!("bond/enable-member {BOND} u2"))?;
    // No such device.
    topology.host.ip("link del u2")?;
    eventually("u2 is gone", DEADLINE, || {
        Ok(switch.bond(BOND)?.member("u2").is_some_and(|u2| !u2.present).then_some(()))
    })?;
    says(&explain(&switch)?.2, &["no", "device"])?;
    // No carrier at all.
    topology.pull("u1")?;
    until("down", "u1")?;
    says(&explain(&switch)?.0, &["no carrier", "u1", "u2"])?;
    Ok(())
}

#[test]
fn explain_tells_the_shares_of_a_hashed_bond() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = start("mode=balance-xor miimon=100 xmit_hash_policy=layer3+4")?;
    let (summary, one, two) = explain(&switch)?;
    says(&summary, &["layer3+4"])?;
    says(&one, &["bucket"])?;
    says(&two, &["bucket"])?;
    topology.pull("u2")?;
    eventually("u2 is down", DEADLINE, || {
        Ok(switch.bond(BOND)?.member("u2").is_some_and(|m| m.link == "down").then_some(()))
    })?;
    says(&explain(&switch)?.2, &["link", "down"])
}

#[test]
fn a_member_disabled_by_hand_stays_out_until_it_is_enabled() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, mut switch) = start("mode=active-backup miimon=100")?;
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)));
    let until_active = |switch: &Vswitch, wanted: Option<&str>| {
        eventually(&format!("{wanted:?} is active"), DEADLINE, || {
            Ok((switch.active()?.as_deref() == wanted).then_some(()))
        })
    };
    switch.vsctl(&format!("bond/disable-member {BOND} u1"))?;
    until_active(&switch, Some("u2"))?;
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)));
    // A flap of its link does not bring it back, not even when it is the only hope.
    topology.pull("u1")?;
    topology.replug("u1")?;
    topology.pull("u2")?;
    until_active(&switch, None)?;
    switch.vsctl(&format!("bond/enable-member {BOND} u1"))?;
    until_active(&switch, Some("u1"))?;
    topology.replug("u2")?;
    // It is not remembered over a restart.
    switch.vsctl(&format!("bond/disable-member {BOND} u2"))?;
    switch.terminate()?;
    switch.launch()?;
    topology.pull("u1")?;
    until_active(&switch, Some("u2"))?;
    for wrong in ["bond/disable-member bond0 u9", "bond/disable-member bond9 u1", "bond/enable-member br0 u1"]
    {
        let done = switch.try_vsctl(wrong)?;
        ensure!(!done.status.success() && !done.stderr.is_empty(), "{wrong}");
    }
    Ok(())
}
