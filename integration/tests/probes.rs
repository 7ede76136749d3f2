//! Link probes on real wires: a cable that fails silently is noticed though its carrier stays.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration::capture::Capture;
use integration::fastpath;
use integration::netns::{format_mac, parse_mac};
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::{reaches, skip, switch_turn};
use integration::topology::{HOST, REMOTE, Topology, Upstream, ipv4, ipv6};
use serde_json::Value;

const DEADLINE: Duration = Duration::from_secs(10);
/// Some intervals of probing.
const WHILE: Duration = Duration::from_millis(700);

/// A switch with two uplinks and a guest, and a bond with these options; workers forward, or the kernel does.
fn lab(fast: bool, options: &str) -> Result<(Topology, Vswitch)> {
    let topology = Topology::new(1, 2, Upstream::LinuxBridge)?;
    let switch = start(&topology, fast)?;
    switch.vsctl(&format!(
        "add-br {BRIDGE} -- add-port {BRIDGE} g1 -- add-bond {BRIDGE} {BOND} u1 u2 {options}"
    ))?;
    Ok((topology, switch))
}

fn start(topology: &Topology, fast: bool) -> Result<Vswitch> {
    let mut switch = Vswitch::prepare(&topology.host)?;
    switch.set("VSWITCH_FASTPATH", if fast { "on" } else { "off" });
    switch.launch()?;
    Ok(switch)
}

/// Both executors, or what there is of them here.
fn executors() -> Vec<bool> {
    match fastpath::problem() {
        None => vec![false, true],
        Some(problem) => {
            skip(&format!("the half with the fast path: {problem}"));
            vec![false]
        }
    }
}

fn bond(switch: &Vswitch) -> Result<Value> {
    Ok(switch.json(&format!("bond/show {BOND}"))?[BOND].clone())
}

fn member(switch: &Vswitch, name: &str) -> Result<Value> {
    let bond = bond(switch)?;
    let members = bond["members"].as_array().context("no members")?;
    members.iter().find(|member| member["name"] == name).cloned().context("no such member")
}

fn until_link(switch: &Vswitch, uplink: &str, link: &str) -> Result<()> {
    eventually(&format!("{uplink} is {link}"), DEADLINE, || {
        Ok((member(switch, uplink)?["link"] == link).then_some(()))
    })
}

fn until_all_alive(switch: &Vswitch) -> Result<()> {
    eventually("every member has shown a sign of life", DEADLINE, || {
        let bond = bond(switch)?;
        let members = bond["members"].as_array().context("no members")?;
        let sound = |member: &Value| {
            member["link"] == "up" && member["probe"]["alive"] == true && !member["probe"]["silent"].is_null()
        };
        Ok(members.iter().all(sound).then_some(()))
    })
}

fn other(uplink: &str) -> &'static str {
    if uplink == "u1" { "u2" } else { "u1" }
}

fn active(switch: &Vswitch) -> Result<String> {
    bond(switch)?["active"].as_str().map(str::to_owned).context("no active member")
}

/// A silent cut of the active member's cable moves traffic to the other one, and its end makes the member usable again.
fn fails_over(topology: &Topology, switch: &Vswitch) -> Result<()> {
    until_all_alive(switch)?;
    for _ in 0..2 {
        let carrying = active(switch)?;
        topology.cut(&carrying)?;
        until_link(switch, &carrying, "down")?;
        let now = bond(switch)?;
        ensure!(now["active"] == other(&carrying) && now["carrier"] == true, "{now}");
        ensure!(topology.host.has_flag(&carrying, "LOWER_UP")?, "the carrier is gone, which proves nothing");
        ensure!(reaches(topology.guest(1), ipv4(REMOTE)), "the guest is cut off");
        let why = switch.vsctl(&format!("bond/explain {BOND}"))?;
        ensure!(why.contains("carrier is there, but link probes have heard nothing"), "{why}");
        topology.mend(&carrying)?;
        until_link(switch, &carrying, "up")?;
        ensure!(active(switch)? == other(&carrying), "a member that is back does not take over");
    }
    Ok(())
}

#[test]
fn active_backup_leaves_a_cable_that_fails_silently() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    for fast in executors() {
        for validate in ["all", "active", "filter_backup"] {
            let (topology, switch) = lab(
                fast,
                &format!("mode=1 arp_interval=100 arp_ip_target=10.0.0.100 arp_validate={validate}"),
            )?;
            fails_over(&topology, &switch).with_context(|| format!("fast path {fast}, {validate}"))?;
        }
    }
    Ok(())
}

#[test]
fn the_example_of_the_how_tos() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    for fast in executors() {
        // By its name, by its number, with what Linux takes for a contradiction.
        for options in ["mode=active-backup", "mode=1 miimon=100"] {
            let options = format!("{options} arp_interval=100 arp_ip_target=192.168.1.1");
            let (topology, switch) = lab(fast, &options)?;
            topology.remote.ip("addr add 192.168.1.1/24 dev eth0")?;
            fails_over(&topology, &switch).with_context(|| format!("fast path {fast}, {options}"))?;
            let text = switch.vsctl(&format!("bond/show --proc {BOND}"))?;
            let lines = "ARP Polling Interval (ms): 100\nARP Missed Max: 2\n\
                         ARP IP target/s (n.n.n.n form): 192.168.1.1\nNS IPv6 target/s (xx::xx form):\n";
            ensure!(text.contains(lines), "{text}");
        }
    }
    Ok(())
}

#[test]
fn members_that_share_the_load_are_probed_each_for_itself() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    for fast in executors() {
        for mode in ["balance-xor", "balance-rr", "broadcast"] {
            let (topology, switch) = lab(
                fast,
                &format!("mode={mode} arp_interval=100 arp_ip_target=10.0.0.100 arp_validate=all"),
            )?;
            until_all_alive(&switch)?;
            topology.cut("u2")?;
            until_link(&switch, "u2", "down")?;
            ensure!(member(&switch, "u1")?["link"] == "up", "{mode}");
            ensure!(reaches(topology.guest(1), ipv4(REMOTE)), "{mode}: the guest is cut off");
            topology.mend("u2")?;
            until_link(&switch, "u2", "up")?;
            ensure!(member(&switch, "u1")?["link_failures"] == 0, "{mode}");
        }
    }
    Ok(())
}

#[test]
fn neighbour_solicitations_do_the_same() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    for fast in executors() {
        for mode in ["mode=1", "mode=2"] {
            let options = format!("{mode} arp_interval=100 ns_ip6_target={} arp_validate=all", ipv6(REMOTE));
            let (topology, switch) = lab(fast, &options)?;
            if mode == "mode=1" {
                fails_over(&topology, &switch)?;
                continue;
            }
            until_all_alive(&switch)?;
            // Longer than the target takes for us what it has not confirmed (delay_first_probe_time and three probes).
            std::thread::sleep(Duration::from_secs(10));
            for uplink in ["u1", "u2"] {
                ensure!(member(&switch, uplink)?["link_failures"] == 0, "{uplink} flaps: {}", bond(&switch)?);
            }
            topology.cut("u1")?;
            until_link(&switch, "u1", "down")?;
            topology.mend("u1")?;
            until_link(&switch, "u1", "up")?;
        }
    }
    Ok(())
}

#[test]
fn probes_in_a_vlan() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    for fast in executors() {
        // The cables' middles can be cut, and what is upstream knows VLANs: the remote host is in VLAN 10.
        let topology = Topology::new(1, 2, Upstream::BareCuttable)?;
        let far = Vswitch::start(&topology.up)?;
        far.vsctl("add-br sw -- add-port sw r tag=10 -- add-port sw p1 -- add-port sw p2")?;
        let switch = start(&topology, fast)?;
        switch.vsctl(&format!(
            "add-br {BRIDGE} -- add-port {BRIDGE} g1 tag=10 -- add-bond {BRIDGE} {BOND} u1 u2 mode=1 arp_interval=100 \
             arp_ip_target=10.0.0.100 arp_validate=all arp_vlan=10"
        ))?;
        fails_over(&topology, &switch)?;
        // Without a tag the target is not there.
        switch.vsctl(&format!("set bond {BOND} arp_vlan=0"))?;
        eventually("the target does not answer", DEADLINE, || {
            Ok((bond(&switch)?["targets"][0]["answers"] == false).then_some(()))
        })?;
    }
    Ok(())
}

#[test]
fn guests_and_tables_see_nothing_of_the_answers() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    for fast in executors() {
        for mode in ["mode=1", "mode=2"] {
            let (topology, mut switch) =
                lab(fast, &format!("{mode} arp_interval=100 arp_ip_target=10.0.0.100 arp_validate=active"))?;
            until_all_alive(&switch)?;
            let guest = Capture::open(topology.guest(1), "eth0")?;
            let own = ["u1", "u2"].map(|uplink| topology.host.mac(uplink));
            let own = [own[0].as_ref().ok(), own[1].as_ref().ok()].map(|mac| *mac.unwrap());
            let flooded = guest.take_for(WHILE)?;
            let to_members =
                flooded.iter().filter(|frame| own.iter().any(|mac| frame.bytes.starts_with(mac)));
            ensure!(to_members.count() == 0, "{mode}: answers to members were flooded to the guest");
            for (mac, _, port) in switch.fdb(BRIDGE)? {
                let mac = parse_mac(&mac)?;
                ensure!(!own.contains(&mac) || port == BOND, "{mode}: {} is behind {port}", format_mac(mac));
            }
            // The same after a crash: the next daemon takes the table over, or makes it anew.
            switch.kill()?;
            switch.launch()?;
            until_all_alive(&switch)?;
            guest.take()?;
            let flooded = guest.take_for(WHILE)?;
            let to_members =
                flooded.iter().filter(|frame| own.iter().any(|mac| frame.bytes.starts_with(mac)));
            ensure!(to_members.count() == 0, "{mode}: answers are flooded after a restart");
            // Guests' own ARP goes its way, through the filter's eyes too.
            topology.guest(1).ip("neigh flush all")?;
            ensure!(reaches(topology.guest(1), ipv4(REMOTE)), "{mode}: the guest's ARP does not get through");
            // Without probes the addresses are forgotten.
            switch.vsctl(&format!("set bond {BOND} arp_interval=0 arp_validate=none"))?;
            let left = switch.json(&format!("fdb/show {BRIDGE}"))?;
            let rows = left[BRIDGE].as_array().context("no rows")?;
            ensure!(rows.iter().all(|row| row["static"] == false), "{mode}: {left}");
        }
    }
    Ok(())
}

#[test]
fn the_hosts_own_address_is_not_taken_away_from_it() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    for fast in executors() {
        for mode in ["mode=1", "mode=2"] {
            let (topology, switch) =
                lab(fast, &format!("{mode} arp_interval=100 arp_ip_target=10.0.0.100 arp_validate=all"))?;
            topology.host.ip(&format!("addr add {}/24 dev {BRIDGE}", ipv4(HOST)))?;
            topology.host.ip(&format!("link set {BRIDGE} up"))?;
            until_all_alive(&switch)?;
            // By now its address is known to the probes.
            std::thread::sleep(Duration::from_millis(1500));
            until_all_alive(&switch)?;
            let own = topology.host.mac(BRIDGE)?;
            let host = format_mac(own);
            let flooded = Capture::open(topology.guest(1), "eth0")?.take_for(WHILE)?;
            let to_host = flooded.iter().filter(|frame| frame.bytes.starts_with(&own)).count();
            ensure!(
                to_host == 0,
                "{mode}: {to_host} answers to the host, which is silent, were flooded to the guest"
            );
            if mode == "mode=1" {
                ensure!(
                    reaches(&topology.host, ipv4(REMOTE)),
                    "{mode}: the host can't reach the remote host"
                );
            }
            let neighbours = topology.remote.run("ip neigh show")?;
            let line = neighbours.lines().find(|line| line.starts_with(&format!("{} ", ipv4(HOST))));
            if let Some(line) = line {
                ensure!(line.contains(&host), "{mode}: {line}, but {BRIDGE} is {host}");
            }
            ensure!(line.is_some() || mode == "mode=2", "{mode}: the host is unknown: {neighbours}");
            for uplink in ["u1", "u2"] {
                ensure!(member(&switch, uplink)?["link_failures"] == 0, "{mode}: {}", bond(&switch)?);
            }
        }
    }
    Ok(())
}

#[test]
fn lacp_and_probes_refuse_each_other() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (_topology, switch) = lab(false, "mode=1 arp_interval=100 arp_ip_target=10.0.0.100")?;
    for line in [
        format!("set bond {BOND} mode=802.3ad"),
        format!(
            "del-port {BOND} -- add-bond {BRIDGE} {BOND} u1 u2 mode=4 arp_interval=100 arp_ip_target=10.0.0.100"
        ),
    ] {
        let done = switch.try_vsctl(&line)?;
        ensure!(!done.status.success(), "{line} was accepted");
        let reason = "arp_interval is not supported in mode 802.3ad; clear it (arp_interval=0) or choose another mode: \
                      LACP itself watches every link";
        ensure!(done.stderr.contains(reason), "{}", done.stderr);
    }
    ensure!(bond(&switch)?["mode"] == "active-backup");
    switch.vsctl(&format!("set bond {BOND} mode=802.3ad arp_interval=0"))?;
    ensure!(bond(&switch)?["targets"].as_array().is_some_and(Vec::is_empty));
    Ok(())
}

#[test]
fn a_cable_that_flaps_is_held_out() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(false, "mode=1 flap_limit=3/4 primary=u1")?;
    until_link(&switch, "u1", "up")?;
    until_link(&switch, "u2", "up")?;
    for _ in 0..3 {
        topology.pull("u1")?;
        until_link(&switch, "u1", "down")?;
        topology.replug("u1")?;
        if member(&switch, "u1")?["held"].is_null() {
            until_link(&switch, "u1", "up")?;
        }
    }
    let held = member(&switch, "u1")?;
    ensure!(held["link"] == "down" && held["held"].as_u64().is_some_and(|left| left > 0), "{held}");
    let why = switch.vsctl(&format!("bond/explain {BOND}"))?;
    ensure!(why.contains("its link keeps going down, so it is held out"), "{why}");
    ensure!(active(&switch)? == "u2");
    until_link(&switch, "u1", "up")?;
    ensure!(active(&switch)? == "u1", "the primary is back");
    Ok(())
}
