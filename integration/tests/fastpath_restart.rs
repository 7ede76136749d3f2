//! The daemon dies, stays dead for a while and comes back: what was known goes on being forwarded, unless it was changed
//! meanwhile; and when it is to be gone for good, nothing of it stays.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use integration::capture::Capture;
use integration::fastpath::{hooked, left_to_workers};
use integration::packets::{self, BROADCAST};
use integration::probe::{Endpoint, Probe, Report};
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch, Wiring};
use integration::tcp::Stream;
use integration::testing::{fast_turn, look, never_reaches, reaches, setting};
use integration::topology::{HOST, REMOTE, Topology, Upstream, ipv4, ipv6};

const DEADLINE: Duration = Duration::from_secs(5);
const MS: Duration = Duration::from_millis(1);
const SETTLE: Duration = Duration::from_millis(500);
/// Most datagrams of the twelve flows that may be lost when a bridge leaves the fast path.
const LEAVING_LIMIT: u64 = 12 * 10;
/// And when it gets onto it: closing a packet socket's ear takes the kernel some 10 ms for each device.
const JOINING_LIMIT: u64 = 12 * 100;
const TCP_RATE: u32 = 20_000_000;

/// How long the daemon is dead.
fn dead() -> Duration {
    Duration::from_secs(setting("VSWITCH_DEAD_SECONDS", 3) as u64)
}

fn lab(guests: usize, uplinks: usize, wiring: Wiring) -> Result<(Topology, Vswitch)> {
    let topology = Topology::new(guests, uplinks, Upstream::LinuxBridge)?;
    let switch = Vswitch::start_fast(&topology.host)?;
    switch.connect(&topology, wiring)?;
    Ok((topology, switch))
}

/// The bond of three in balance-xor, with a static LAG behind it that is another switch.
fn lag_lab(guests: usize) -> Result<(Topology, Vswitch, Vswitch)> {
    let topology = Topology::new(guests, 3, Upstream::Bare)?;
    let near = Vswitch::start_fast(&topology.host)?;
    near.vsctl(&format!(
        "add-br {BRIDGE} -- add-bond {BRIDGE} {BOND} u1 u2 u3 mode=balance-xor xmit_hash_policy=layer3+4"
    ))?;
    for i in 1..=guests {
        near.vsctl(&format!("add-port {BRIDGE} g{i}"))?;
    }
    let far = Vswitch::start(&topology.up)?;
    far.vsctl("add-br sw -- add-port sw r -- add-bond sw lag p1 p2 p3 mode=balance-xor")?;
    eventually("the bond has carrier", DEADLINE, || Ok(near.bond(BOND)?.carrier.then_some(())))?;
    Ok((topology, near, far))
}

/// Guest 1 with guest 2, and both with the remote host, over both IP versions. All have heard of each other.
fn pairs(topology: &Topology) -> Result<Vec<(Endpoint<'_>, Endpoint<'_>)>> {
    let (one, two) = (topology.guest(1), topology.guest(2));
    let mut pairs: Vec<(Endpoint<'_>, Endpoint<'_>)> = Vec::new();
    for ip in [ipv4, ipv6] {
        pairs.push(((one, ip(1)), (two, ip(2))));
        pairs.push(((one, ip(1)), (&topology.remote, ip(REMOTE))));
        pairs.push(((two, ip(2)), (&topology.remote, ip(REMOTE))));
    }
    for (a, b) in &pairs {
        ensure!(reaches(a.0, b.1) && reaches(b.0, a.1), "no way between {} and {}", a.1, b.1);
    }
    Ok(pairs)
}

/// What `fdb/show` says, without ages.
fn known(switch: &Vswitch) -> Result<BTreeSet<(String, u16, String)>> {
    Ok(switch.fdb(BRIDGE)?.into_iter().collect())
}

/// Kills the daemon under datagrams and a TCP stream, starts it again after a while, and checks that nothing was lost.
fn dies_unnoticed(topology: &Topology, switch: &mut Vswitch) -> Result<Report> {
    let mut probe = Probe::start(&pairs(topology)?, MS)?;
    let tcp = Stream::start((topology.guest(1), ipv4(1)), (&topology.remote, ipv4(REMOTE)), Some(TCP_RATE))?;
    std::thread::sleep(SETTLE);
    probe.mark("kill");
    switch.kill()?;
    let at_death = tcp.received();
    std::thread::sleep(dead());
    let while_dead = tcp.received() - at_death;
    probe.mark("start");
    switch.launch()?;
    std::thread::sleep(SETTLE);
    let at_end = tcp.received();
    eventually("the stream goes on", DEADLINE, || Ok((tcp.received() > at_end).then_some(())))?;
    let report = probe.finish()?;
    for window in &report.windows {
        println!("{}: {} lost", window.label, window.total());
    }
    println!("{while_dead} octets by TCP while dead; {:?}", report.punctuality);
    ensure!((report.lost(), report.duplicates(), report.reordered()) == (0, 0, 0), "{report:?}");
    let wanted = u64::from(TCP_RATE) * dead().as_secs() / 2;
    ensure!(while_dead > wanted && tcp.alive(), "{while_dead} octets while dead");
    Ok(report)
}

#[test]
fn a_dead_daemon_goes_unnoticed_and_the_next_one_knows_what_it_knew() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    for tag in [None, Some(10)] {
        let (topology, mut switch) = lab(3, 2, Wiring { tag, ..Wiring::default() })?;
        let tag = tag.map(|tag| format!("tag={tag}")).unwrap_or_default();
        // Ports whose numbers are not those that they would get in order.
        switch.vsctl(&format!("del-port g1 -- del-port g2 -- add-port {BRIDGE} g2 {tag}"))?;
        switch.vsctl(&format!("add-port {BRIDGE} g1 {tag}"))?;
        // One that will not be heard of again.
        let silent = Capture::open(topology.guest(3), "eth0")?;
        silent.send(&packets::frame(BROADCAST, [2, 0, 0, 0xbb, 0, 1], None, 0))?;
        pairs(&topology)?;
        let before = known(&switch)?;
        ensure!(before.iter().any(|(mac, _, port)| mac == "02:00:00:bb:00:01" && port == "g3"), "{before:?}");
        dies_unnoticed(&topology, &mut switch)?;
        let after = known(&switch)?;
        ensure!(before.is_subset(&after), "before {before:?}, after {after:?}");
        let left = left_to_workers(&topology.host)?;
        ensure!(left < 100, "{left} frames left to the workers since the start");
    }
    Ok(())
}

/// The members by which the flows of each UDP source port have left since the last call.
fn members(wires: &[Capture]) -> Result<BTreeMap<u16, BTreeSet<usize>>> {
    let mut by_flow: BTreeMap<u16, BTreeSet<usize>> = BTreeMap::new();
    for (member, wire) in wires.iter().enumerate() {
        for frame in wire.take()? {
            let udp = frame.bytes.get(12..14) == Some(&[8, 0]) && frame.bytes.get(23) == Some(&17);
            if let Some(port) = frame.bytes.get(34..36).filter(|_| udp) {
                by_flow.entry(u16::from_be_bytes([port[0], port[1]])).or_default().insert(member);
            }
        }
    }
    Ok(by_flow)
}

#[test]
fn flows_stay_on_their_members_while_the_daemon_is_dead_and_after() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let (topology, mut near, _far) = lag_lab(2)?;
    let mut all = pairs(&topology)?;
    // More flows, so that every member has some.
    let extra = all[1];
    all.extend([extra; 8]);
    let wires: Vec<Capture> =
        (1..=3).map(|i| Capture::open(&topology.up, &format!("p{i}"))).collect::<Result<_>>()?;
    let mut probe = Probe::start(&all, MS)?;
    std::thread::sleep(SETTLE);
    let before = members(&wires)?;
    probe.mark("kill");
    near.kill()?;
    members(&wires)?;
    std::thread::sleep(dead());
    let meanwhile = members(&wires)?;
    probe.mark("start");
    near.launch()?;
    std::thread::sleep(SETTLE);
    let after = members(&wires)?;
    let report = probe.finish()?;
    ensure!((report.lost(), report.duplicates(), report.reordered()) == (0, 0, 0), "{report:?}");
    ensure!(before.len() >= 10 && before.values().all(|members| members.len() == 1), "{before:?}");
    ensure!(before == meanwhile && before == after, "before {before:?}, dead {meanwhile:?}, after {after:?}");
    let used: BTreeSet<usize> = before.values().flatten().copied().collect();
    ensure!(used.len() > 1, "all flows by one member: {before:?}");
    Ok(())
}

/// Changes the state file of a switch that is not running.
fn edit(switch: &Vswitch, from: &str, to: &str) -> Result<()> {
    let text = std::fs::read_to_string(switch.state_file())?;
    let Some((head, tail)) = text.split_once(from) else { bail!("no {from:?} in {text}") };
    std::fs::write(switch.state_file(), [head, to, tail].concat())?;
    Ok(())
}

#[test]
fn what_was_changed_while_the_daemon_was_dead_takes_effect() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let (topology, mut switch) = lab(4, 2, Wiring { tag: Some(10), ..Wiring::default() })?;
    let guest = |i| topology.guest(i);
    for i in [2, 3, 4] {
        ensure!(reaches(guest(1), ipv4(i)) && reaches(guest(i as usize), ipv4(1)));
    }
    let silent = Capture::open(guest(2), "eth0")?;
    silent.send(&packets::frame(BROADCAST, [2, 0, 0, 0xbb, 0, 2], None, 0))?;
    eventually("it is learned", DEADLINE, || {
        Ok(switch.fdb(BRIDGE)?.iter().any(|(mac, _, _)| mac == "02:00:00:bb:00:02").then_some(()))
    })?;
    switch.kill()?;
    ensure!(reaches(guest(1), ipv4(2)), "forwarded without a daemon");
    edit(&switch, "[bridges.br0.ports.g2]\ntag = 10\n", "")?;
    edit(&switch, "[bridges.br0.ports.g3]\ntag = 10\n", "[bridges.br0.ports.g3]\ntag = 30\n")?;
    switch.launch()?;
    let attached = hooked(&topology.host)?;
    let every = BTreeSet::from([BRIDGE, "g1", "g3", "g4", "u1", "u2"].map(str::to_owned));
    ensure!(attached == every, "attached to {attached:?}");
    let stale = known(&switch)?.into_iter().find(|(_, _, port)| port == "g2" || port == "g3");
    ensure!(stale.is_none(), "still known: {stale:?}");
    for gone in [2, 3] {
        ensure!(never_reaches(guest(1), ipv4(gone))? && never_reaches(guest(gone as usize), ipv4(1))?);
    }
    ensure!(reaches(guest(1), ipv4(4)) && reaches(guest(1), ipv4(REMOTE)));
    // In its new VLAN it has a neighbour.
    switch.vsctl("set port g4 tag=30")?;
    ensure!(reaches(guest(3), ipv4(4)) && never_reaches(guest(1), ipv4(4))?);
    let promiscuous = topology.host.link("g2")?.context("no g2")?["promiscuity"].clone();
    ensure!(promiscuous == 0, "g2 has promiscuity {promiscuous}");
    Ok(())
}

#[test]
fn cleanup_leaves_nothing_of_a_killed_daemon() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(3, 2, Upstream::LinuxBridge)?;
    topology.host.ip("link set g3 down")?;
    let before = look(&topology.host)?;
    let mut switch = Vswitch::start_fast(&topology.host)?;
    switch.connect(&topology, Wiring::default())?;
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)));
    ensure!(!switch.pins().is_empty() && !hooked(&topology.host)?.is_empty());
    let refused = switch.run_with(&["--cleanup"], DEADLINE)?;
    ensure!(!refused.status.success(), "cleaned up under a daemon that runs: {}", refused.stdout);
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)));
    switch.kill()?;
    ensure!(!switch.pins().is_empty(), "nothing would outlive the daemon");
    let done = switch.run_with(&["--cleanup"], DEADLINE)?;
    ensure!(done.status.success(), "{}{}", done.stdout, done.stderr);
    ensure!(switch.pins().is_empty(), "still pinned: {:?}", switch.pins());
    let attached = hooked(&topology.host)?;
    ensure!(attached.is_empty(), "still attached to {attached:?}");
    let after = look(&topology.host)?;
    ensure!(after == before, "before {before:#}\nafter {after:#}\n{}{}", done.stdout, done.stderr);
    // Once more is no error, and the daemon may come again.
    ensure!(switch.run_with(&["--cleanup"], DEADLINE)?.status.success());
    switch.launch()?;
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)));
    Ok(())
}

#[test]
fn sigterm_leaves_nothing() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(3, 2, Upstream::LinuxBridge)?;
    topology.host.ip("link set g3 down")?;
    let before = look(&topology.host)?;
    let mut switch = Vswitch::start_fast(&topology.host)?;
    switch.connect(&topology, Wiring::default())?;
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)));
    // Also if it is the second daemon: what was changed is what the first had changed.
    switch.kill()?;
    switch.launch()?;
    ensure!(switch.terminate()?.success());
    ensure!(switch.pins().is_empty(), "still pinned: {:?}", switch.pins());
    let attached = hooked(&topology.host)?;
    ensure!(attached.is_empty(), "still attached to {attached:?}");
    let after = look(&topology.host)?;
    ensure!(after == before, "before {before:#}\nafter {after:#}");
    Ok(())
}

#[test]
fn daemons_with_other_run_directories_are_left_alone() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(4, 0, Upstream::Bare)?;
    let (mut first, mut second) =
        (Vswitch::start_fast(&topology.host)?, Vswitch::start_fast(&topology.host)?);
    first.vsctl("add-br br0 -- add-port br0 g1 -- add-port br0 g2")?;
    second.vsctl("add-br br1 -- add-port br1 g3 -- add-port br1 g4")?;
    let pair = ((topology.guest(3), ipv4(3)), (topology.guest(4), ipv4(4)));
    ensure!(reaches(pair.0.0, ipv4(4)) && reaches(topology.guest(1), ipv4(2)));
    let probe = Probe::start(&[pair], MS)?;
    let pinned = second.pins();
    for _ in 0..2 {
        first.kill()?;
        ensure!(first.run_with(&["--cleanup"], DEADLINE)?.status.success());
        ensure!(first.pins().is_empty() && second.pins() == pinned && pinned.len() == 1);
        first.launch()?;
    }
    ensure!(first.terminate()?.success());
    let attached = hooked(&topology.host)?;
    ensure!(attached == BTreeSet::from(["br1", "g3", "g4"].map(str::to_owned)), "{attached:?}");
    second.kill()?;
    first.launch()?;
    second.launch()?;
    let report = probe.finish()?;
    ensure!((report.lost(), report.duplicates()) == (0, 0), "{report:?}");
    ensure!(reaches(topology.guest(1), ipv4(2)));
    Ok(())
}

#[test]
fn without_the_fast_path_the_workers_take_over_what_a_crash_left() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let (topology, mut switch) = lab(2, 2, Wiring::default())?;
    let pairs = pairs(&topology)?;
    topology.host.ip(&format!("addr add {}/24 dev {BRIDGE}", ipv4(HOST)))?;
    topology.host.ip(&format!("link set {BRIDGE} up"))?;
    let probe = Probe::start(&pairs, MS)?;
    switch.kill()?;
    switch.set("VSWITCH_FASTPATH", "off");
    switch.launch()?;
    // The internal port is still the one with the host's address.
    ensure!(reaches(topology.guest(1), ipv4(HOST)));
    ensure!(switch.pins().is_empty(), "still pinned: {:?}", switch.pins());
    let attached = hooked(&topology.host)?;
    ensure!(attached.is_empty(), "still attached to {attached:?}");
    let report = probe.finish()?;
    ensure!(report.duplicates() == 0, "{report:?}");
    for (a, b) in &pairs {
        ensure!(reaches(a.0, b.1) && reaches(b.0, a.1), "no way between {} and {}", a.1, b.1);
    }
    let probe = Probe::start(&pairs, MS)?;
    std::thread::sleep(SETTLE);
    let report = probe.finish()?;
    ensure!((report.lost(), report.duplicates()) == (0, 0), "{report:?}");
    // And back: the next one has it again.
    switch.kill()?;
    switch.set("VSWITCH_FASTPATH", "on");
    switch.launch()?;
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)));
    let probe = Probe::start(&pairs, MS)?;
    std::thread::sleep(SETTLE);
    let report = probe.finish()?;
    ensure!((report.lost(), report.duplicates()) == (0, 0), "{report:?}");
    ensure!(hooked(&topology.host)?.len() == 5);
    Ok(())
}

#[test]
fn a_bridge_that_was_taken_off_the_fast_path_while_the_daemon_was_dead() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let (topology, mut switch) = lab(2, 2, Wiring::default())?;
    let mut probe = Probe::start(&pairs(&topology)?, MS)?;
    switch.kill()?;
    edit(&switch, "[bridges.br0]\n", "[bridges.br0]\nfastpath = \"off\"\n")?;
    probe.mark("start");
    switch.launch()?;
    let attached = hooked(&topology.host)?;
    ensure!(attached.is_empty(), "still attached to {attached:?}");
    std::thread::sleep(SETTLE);
    let report = probe.finish()?;
    for window in &report.windows {
        println!("{}: {} lost", window.label, window.total());
        ensure!(window.total() <= LEAVING_LIMIT, "{window:?} in {report:?}");
    }
    ensure!(report.duplicates() == 0, "{report:?}");
    ensure!(switch.terminate()?.success() && switch.pins().is_empty());
    Ok(())
}

#[test]
fn a_bridge_may_leave_the_fast_path_and_come_back_under_traffic() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(2, 2, Wiring::default())?;
    let mut probe = Probe::start(&pairs(&topology)?, MS)?;
    for mode in ["off", "auto", "off", "auto"] {
        probe.mark(mode);
        switch.vsctl(&format!("set bridge {BRIDGE} fastpath={mode}"))?;
        let attached = hooked(&topology.host)?;
        ensure!(attached.is_empty() == (mode == "off"), "fastpath={mode}: attached to {attached:?}");
        std::thread::sleep(SETTLE);
    }
    let report = probe.finish()?;
    for window in &report.windows {
        println!("fastpath={}: {} lost", window.label, window.total());
        let limit = if window.label == "off" { LEAVING_LIMIT } else { JOINING_LIMIT };
        ensure!(window.total() <= limit, "{window:?} in {report:?}");
    }
    ensure!(report.duplicates() == 0, "{report:?}");
    Ok(())
}
