//! The configurations of the classic bonding how-tos, as their readers have them in files, and what those promise.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration::capture::Capture;
use integration::modes::{FarEnd, Lab};
use integration::netns::{Namespace, format_mac};
use integration::numbered;
use integration::probe::Probe;
use integration::process::eventually;
use integration::radio::{Radio, SPEED};
use integration::switch::{BOND, BRIDGE, Kind, Switch as _, Vswitch, finish_checksums};
use integration::testing::{reaches, switch_turn};
use integration::topology::{HOST, REMOTE, Topology, Upstream, ipv4, ipv6};

const DEADLINE: Duration = Duration::from_secs(10);
const SETTLE: Duration = Duration::from_millis(300);
/// What a busy machine may be late.
const SLACK: Duration = Duration::from_millis(1500);
/// Most datagrams that a pulled cable may cost each flow: 25 ms.
const PULL_LIMIT: u64 = 25;

/// Uplinks have the names that how-tos give them: `u1` is `eth0`, and so on.
fn rename(host: &Namespace, from: &str, to: &str) -> Result<()> {
    host.ip(&format!("link set {from} down"))?;
    host.ip(&format!("link set {from} name {to}"))?;
    host.ip(&format!("link set {to} up"))
}

/// Writes files into a directory of the switch's own.
fn write(switch: &Vswitch, files: &[(&str, &str)]) -> Result<PathBuf> {
    let directory = switch.directory().join("network-scripts");
    std::fs::create_dir_all(&directory)?;
    for (name, text) in files {
        std::fs::write(directory.join(name), text)?;
    }
    Ok(directory)
}

fn import_modprobe(switch: &Vswitch, text: &str) -> Result<()> {
    let directory = write(switch, &[("bonding.conf", text)])?;
    let file = directory.join("bonding.conf");
    switch.vsctl(&format!("import modprobe {} --bridge={BRIDGE}", file.display()))?;
    switch.vsctl(&format!("add-bond-iface {BOND} eth0 -- add-bond-iface {BOND} eth1")).map(drop)
}

fn link(switch: &Vswitch, member: &str) -> Result<String> {
    Ok(switch.bond(BOND)?.member(member).with_context(|| format!("no member {member}"))?.link.clone())
}

fn until_link(switch: &Vswitch, member: &str, state: &str) -> Result<()> {
    eventually(&format!("{member} is {state}"), DEADLINE, || {
        Ok((link(switch, member)? == state).then_some(()))
    })
}

fn until_active(switch: &Vswitch, member: &str) -> Result<()> {
    eventually(&format!("{member} is active"), DEADLINE, || {
        Ok((switch.active()?.as_deref() == Some(member)).then_some(()))
    })
}

/// Datagrams at 1 ms both ways between each station and the remote host.
fn probe(topology: &Topology, stations: &[(&Namespace, u8)]) -> Result<Probe> {
    let mut pairs = Vec::new();
    for (station, octet) in stations {
        for ip in [ipv4, ipv6] {
            ensure!(reaches(station, ip(REMOTE)), "{} can't reach {}", station.name(), ip(REMOTE));
            pairs.push(((*station, ip(*octet)), (&topology.remote, ip(REMOTE))));
        }
    }
    Probe::start(&pairs, Duration::from_millis(1))
}

fn took(what: &str, since: Instant, wanted: Duration) -> Result<()> {
    let time = since.elapsed();
    println!("{what}: {:.2} s", time.as_secs_f64());
    // Less by what passed between the event and the start of the clock.
    let least = wanted.saturating_sub(Duration::from_millis(100));
    ensure!((least..wanted + SLACK).contains(&time), "{what} took {time:?} instead of {wanted:?}");
    Ok(())
}

/// `mode=1 miimon=100 downdelay=2000 updelay=5000`: a link may be gone for two seconds, and one that is back is not trusted
/// for five, unless there is no other.
#[test]
fn active_backup_with_a_slow_switch() -> Result<()> {
    const DOWN: Duration = Duration::from_millis(2000);
    const UP: Duration = Duration::from_millis(5000);
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::without_bond(FarEnd::Ports, Kind::Workers, 1, 2)?;
    let (topology, switch) = (&lab.topology, &lab.near);
    rename(&topology.host, "u1", "eth0")?;
    rename(&topology.host, "u2", "eth1")?;
    import_modprobe(
        switch,
        "alias bond0 bonding\noptions bond0 mode=1 miimon=100 downdelay=2000 updelay=5000\n",
    )?;
    until_link(switch, "eth0", "up")?;
    until_link(switch, "eth1", "up")?;
    until_active(switch, "eth0")?;
    let mut probe = probe(topology, &[(topology.guest(1), 1)])?;

    // A short interruption, on the member that carries, is waited out.
    topology.pull("u1")?;
    until_link(switch, "eth0", "going down")?;
    topology.replug("u1")?;
    until_link(switch, "eth0", "up")?;
    assert_eq!(switch.active()?.as_deref(), Some("eth0"));
    assert_eq!(switch.bond(BOND)?.member("eth0").map(|member| member.failures), Some(0));

    probe.mark("pull eth0");
    topology.pull("u1")?;
    let pulled = Instant::now();
    until_active(switch, "eth1")?;
    took("downdelay", pulled, DOWN)?;
    std::thread::sleep(SETTLE);
    probe.mark("return eth0");
    topology.replug("u1")?;
    let returned = Instant::now();
    until_link(switch, "eth0", "going back")?;
    std::thread::sleep(SETTLE);
    assert_eq!(switch.active()?.as_deref(), Some("eth1"));

    // The only one left is used at once.
    probe.mark("pull eth1");
    topology.pull("u2")?;
    let pulled = Instant::now();
    until_active(switch, "eth0")?;
    took("downdelay", pulled, DOWN)?;
    ensure!(returned.elapsed() < UP, "it was up anyway");
    std::thread::sleep(SETTLE);
    probe.mark("return eth1");
    topology.replug("u2")?;
    let returned = Instant::now();
    until_link(switch, "eth1", "up")?;
    took("updelay", returned, UP)?;
    let report = probe.finish()?;
    for window in &report.windows {
        println!("{}: {:?} lost", window.label, window.lost);
        let (least, most) = match window.label.starts_with("pull") {
            true => ((DOWN.as_millis() - 200) as u64, (DOWN + SLACK).as_millis() as u64),
            false => (0, 0),
        };
        ensure!(window.lost.iter().all(|lost| (least..=most).contains(lost)), "{window:?}");
    }
    ensure!(report.duplicates() == 0, "{report:?}");
    Ok(())
}

/// `mode=0 downdelay=0 updelay=5000`: the other end uses a link at once that is back, this end five seconds later.
#[test]
fn round_robin_with_a_slow_switch() -> Result<()> {
    const FRAMES: u32 = 200;
    const GUEST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
    const REMOTE_MAC: [u8; 6] = [2, 0, 0, 0, 0, REMOTE];
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::without_bond(FarEnd::Lag, Kind::Workers, 1, 2)?;
    let (topology, switch) = (&lab.topology, &lab.near);
    rename(&topology.host, "u1", "eth0")?;
    rename(&topology.host, "u2", "eth1")?;
    import_modprobe(switch, "options bonding mode=0 downdelay=0 updelay=5000 max_bonds=1\n")?;
    lab.until_ready(FarEnd::Lag, 2)?;
    let mut probe = probe(topology, &[(topology.guest(1), 1)])?;
    let guest = Capture::open(topology.guest(1), "eth0")?;
    let wires = ["p1", "p2"].map(|port| Capture::open(&topology.up, port));
    let shares = || -> Result<[usize; 2]> {
        let mut shares = [0; 2];
        let wires = || shares_of(&wires);
        wires()?;
        numbered::send(&guest, FRAMES, |number| numbered::frame(REMOTE_MAC, GUEST_MAC, number))?;
        eventually("all frames have left", DEADLINE, || {
            shares.iter_mut().zip(wires()?).for_each(|(share, more)| *share += more);
            Ok((shares.iter().sum::<usize>() >= FRAMES as usize).then_some(()))
        })?;
        Ok(shares)
    };
    let even = |shares: [usize; 2]| shares.iter().all(|share| share.abs_diff(FRAMES as usize / 2) <= 10);
    let before = shares()?;
    ensure!(even(before), "{before:?}");
    probe.mark("pull eth0");
    topology.pull("u1")?;
    until_link(switch, "eth0", "down")?;
    assert_eq!(shares()?, [0, FRAMES as usize]);
    probe.mark("return eth0");
    topology.replug("u1")?;
    let returned = Instant::now();
    until_link(switch, "eth0", "going back")?;
    assert_eq!(shares()?, [0, FRAMES as usize]);
    until_link(switch, "eth0", "up")?;
    took("updelay", returned, Duration::from_millis(5000))?;
    let after = shares()?;
    ensure!(even(after), "{after:?}");
    let report = probe.finish()?;
    for window in &report.windows {
        println!("{}: {:?} lost", window.label, window.lost);
        let limit = if window.label.starts_with("pull") { PULL_LIMIT } else { 0 };
        ensure!(window.lost.iter().all(|lost| *lost <= limit), "{window:?} in {report:?}");
    }
    ensure!(report.duplicates() == 0, "{report:?}");
    Ok(())
}

/// Numbered frames that have come by each wire.
fn shares_of(wires: &[Result<Capture>; 2]) -> Result<Vec<usize>> {
    let count = |wire: &Result<Capture>| match wire {
        Ok(wire) => Ok(numbered::take(wire)?.len()),
        Err(error) => anyhow::bail!("{error:#}"),
    };
    wires.iter().map(count).collect()
}

/// A small machine with Ethernet and Wi-Fi: the cable when it is in, else the radio.
#[test]
fn a_cable_and_a_radio() -> Result<()> {
    let Some(_turn) = switch_turn(&["ethtool"])? else { return Ok(()) };
    let lab = Lab::without_bond(FarEnd::Ports, Kind::Workers, 1, 2)?;
    let (topology, switch) = (&lab.topology, &lab.near);
    for station in [topology.guest(1), &topology.remote] {
        finish_checksums(station)?;
    }
    rename(&topology.host, "u1", "eth0")?;
    let _radio = Radio::start(&topology.host, "wlan0", "u2")?;
    let directory = write(
        switch,
        &[
            (
                "ifcfg-bond0",
                "DEVICE=bond0\nTYPE=Bond\nBONDING_MASTER=yes\nBRIDGE=br0\n\
                 BONDING_OPTS=\"mode=active-backup miimon=100 primary=eth0 fail_over_mac=active\"\n",
            ),
            ("ifcfg-br0", "DEVICE=br0\nTYPE=Bridge\nBOOTPROTO=dhcp\n"),
            ("ifcfg-eth0", "DEVICE=eth0\nMASTER=bond0\nSLAVE=yes\n"),
            ("ifcfg-wlan0", "DEVICE=wlan0\nTYPE=Wireless\nMASTER=bond0\nSLAVE=yes\n"),
        ],
    )?;
    switch.vsctl(&format!("import ifcfg {}", directory.display()))?;
    until_link(switch, "wlan0", "up")?;
    until_active(switch, "eth0")?;
    let answer = switch.json(&format!("bond/show {BOND}"))?;
    let radio = &answer[BOND]["members"][1];
    ensure!(radio["speed"] == SPEED && radio["full_duplex"] == false, "{radio}");

    let mut probe = probe(topology, &[(topology.guest(1), 1)])?;
    probe.mark("pull eth0");
    topology.pull("u1")?;
    until_active(switch, "wlan0")?;
    std::thread::sleep(SETTLE);
    probe.mark("return eth0");
    topology.replug("u1")?;
    until_active(switch, "eth0")?;
    std::thread::sleep(SETTLE);
    // Out of reach of the access point, and near again: nobody notices.
    probe.mark("radio off");
    topology.host.ip("link set wlan0 carrier off")?;
    until_link(switch, "wlan0", "down")?;
    topology.host.ip("link set wlan0 carrier on")?;
    until_link(switch, "wlan0", "up")?;
    let report = probe.finish()?;
    for window in &report.windows {
        println!("{}: {:?} lost", window.label, window.lost);
        let limit = if window.label.starts_with("pull") { PULL_LIMIT } else { 0 };
        ensure!(window.lost.iter().all(|lost| *lost <= limit), "{window:?} in {report:?}");
    }
    ensure!(report.duplicates() == 0, "{report:?}");
    // The faster of the two without being named.
    switch.vsctl(&format!("set bond {BOND} primary=default primary_reselect=better"))?;
    ensure!(switch.active()?.as_deref() == Some("eth0"));
    topology.pull("u1")?;
    until_active(switch, "wlan0")?;
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)), "by the radio alone");
    Ok(())
}

/// A Xen host: `bond0` under the bridge `xenbr0`, which has the host's address. Each NIC is unplugged in turn while the host
/// and a guest talk to a neighbour.
#[test]
fn a_xen_host() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(1, 2, Upstream::LinuxBridge)?;
    let switch = Vswitch::start(&topology.host)?;
    for (from, to) in [("u1", "eth0"), ("u2", "eth1"), ("g1", "vif1.0")] {
        rename(&topology.host, from, to)?;
    }
    let directory = write(
        &switch,
        &[
            (
                "ifcfg-bond0",
                "DEVICE=bond0\nONBOOT=yes\nBOOTPROTO=none\nBRIDGE=xenbr0\n\
                 BONDING_OPTS=\"miimon=100 mode=1 use_carrier=0\"\n",
            ),
            ("ifcfg-eth0", "DEVICE=eth0\nONBOOT=yes\nMASTER=bond0\nSLAVE=yes\nBOOTPROTO=none\n"),
            ("ifcfg-eth1", "DEVICE=eth1\nONBOOT=yes\nMASTER=bond0\nSLAVE=yes\nBOOTPROTO=none\n"),
            (
                "ifcfg-xenbr0",
                "DEVICE=xenbr0\nTYPE=Bridge\nONBOOT=yes\nBOOTPROTO=static\nIPADDR=10.0.0.200\n\
                 NETMASK=255.255.255.0\n",
            ),
        ],
    )?;
    switch.vsctl(&format!("import ifcfg {}", directory.display()))?;
    // Xen's script puts the guests' interfaces in, and the network's configuration gives the bridge its address.
    switch.vsctl("add-port xenbr0 vif1.0")?;
    topology.host.sysctl("ipv6/conf/xenbr0/disable_ipv6", "0")?;
    topology.host.ip(&format!("addr add {}/24 dev xenbr0", ipv4(HOST)))?;
    topology.host.ip(&format!("addr add {}/64 dev xenbr0 nodad", ipv6(HOST)))?;
    topology.host.ip("link set xenbr0 up")?;
    until_active(&switch, "eth0")?;
    until_link(&switch, "eth1", "up")?;
    let mac = format_mac(topology.host.mac("xenbr0")?);

    let mut probe = probe(&topology, &[(&topology.host, HOST), (topology.guest(1), 1)])?;
    for (uplink, nic, other, port) in [("u1", "eth0", "eth1", "p2"), ("u2", "eth1", "eth0", "p1")] {
        probe.mark(format!("unplug {nic}"));
        topology.pull(uplink)?;
        until_active(&switch, other)?;
        eventually("the neighbour's switch finds the host by the other NIC", DEADLINE, || {
            let fdb = topology.upstream_fdb()?;
            Ok(fdb.contains(&(mac.clone(), port.to_owned())).then_some(()))
        })?;
        let text = switch.vsctl(&format!("--proc bond/show {BOND}"))?;
        ensure!(text.contains(&format!("Currently Active Slave: {other}\n")), "{text}");
        std::thread::sleep(SETTLE);
        probe.mark(format!("plug {nic} in"));
        topology.replug(uplink)?;
        until_link(&switch, nic, "up")?;
        std::thread::sleep(SETTLE);
        ensure!(switch.active()?.as_deref() == Some(other), "it came back by itself");
    }
    let report = probe.finish()?;
    for window in &report.windows {
        println!("{}: {:?} lost", window.label, window.lost);
        let limit = if window.label.starts_with("unplug") { PULL_LIMIT } else { 0 };
        ensure!(window.lost.iter().all(|lost| *lost <= limit), "{window:?} in {report:?}");
    }
    ensure!(report.duplicates() == 0, "{report:?}");
    let failures: Vec<u64> = switch.bond(BOND)?.members.iter().map(|member| member.failures).collect();
    assert_eq!(failures, [1, 1]);
    Ok(())
}

/// `mode=6 arp_interval=100 arp_ip_target=192.168.1.1`, which how-tos advise and Linux refuses: a wire that is cut where
/// nobody sees it is noticed, and found again.
#[test]
fn adaptive_load_balancing_with_arp_probes() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::without_bond(FarEnd::Ports, Kind::Workers, 1, 2)?;
    let (topology, switch) = (&lab.topology, &lab.near);
    rename(&topology.host, "u1", "eth0")?;
    rename(&topology.host, "u2", "eth1")?;
    topology.remote.ip("addr add 192.168.1.1/24 dev eth0")?;
    topology.guest(1).ip("addr add 192.168.1.7/24 dev eth0")?;
    import_modprobe(switch, "options bond0 mode=6 arp_interval=100 arp_ip_target=192.168.1.1\n")?;
    let target = "192.168.1.1".parse()?;
    for member in ["eth0", "eth1"] {
        until_link(switch, member, "up")?;
    }
    ensure!(reaches(topology.guest(1), target));
    for (uplink, nic) in [("u1", "eth0"), ("u2", "eth1")] {
        topology.cut(uplink)?;
        until_link(switch, nic, "down")?;
        ensure!(reaches(topology.guest(1), target), "without {nic}");
        topology.mend(uplink)?;
        until_link(switch, nic, "up")?;
        ensure!(reaches(topology.guest(1), target), "{nic} is back");
    }
    Ok(())
}
