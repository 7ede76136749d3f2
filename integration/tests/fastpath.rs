//! The kernel fast path at work: known traffic leaves the workers alone and still arrives as it should, whoever the
//! receiver is: a guest in a container, a station behind a guest's interface, the host on its internal port.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration::capture::Capture;
use integration::fastpath::{hooked, left_to_workers};
use integration::netns::Namespace;
use integration::packets::{self, BROADCAST};
use integration::probe::{Endpoint, Probe};
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Switch as _, Vswitch, Wiring};
use integration::sys::Frame;
use integration::tcp::{Stream, bad_checksums};
use integration::testing::{fast_turn, median, reaches};
use integration::topology::{HOST, REMOTE, Topology, Upstream, ipv4, ipv6};
use integration::{numbered, sys};

const DEADLINE: Duration = Duration::from_secs(5);
const MS: Duration = Duration::from_millis(1);
/// Most frames that stations' kernels may send meanwhile that no switch forwards by itself: ARP, neighbour discovery.
const CHATTER: u64 = 40;

/// As [`integration::testing::lab`], and without the fast path the daemon does not start.
fn lab(guests: usize, uplinks: usize, wiring: Wiring) -> Result<(Topology, Vswitch)> {
    let topology = Topology::new(guests, uplinks, Upstream::LinuxBridge)?;
    let switch = Vswitch::start_fast(&topology.host)?;
    switch.connect(&topology, wiring)?;
    Ok((topology, switch))
}

fn warm_up(pairs: &[(Endpoint<'_>, Endpoint<'_>)]) -> Result<()> {
    for (a, b) in pairs {
        ensure!(reaches(a.0, b.1) && reaches(b.0, a.1), "no way between {} and {}", a.1, b.1);
    }
    Ok(())
}

/// Datagrams both ways between the pairs, at 1 ms for half a second: none may be lost, and the workers may see none.
fn only_the_kernel_forwards(topology: &Topology, pairs: &[(Endpoint<'_>, Endpoint<'_>)]) -> Result<()> {
    warm_up(pairs)?;
    let before = left_to_workers(&topology.host)?;
    let probe = Probe::start(pairs, MS)?;
    std::thread::sleep(Duration::from_millis(500));
    let report = probe.finish()?;
    let sent: u64 = report.flows.iter().map(|flow| flow.sent).sum();
    let left = left_to_workers(&topology.host)? - before;
    println!("{sent} datagrams, {left} frames left to the workers");
    ensure!((report.lost(), report.duplicates(), report.reordered()) == (0, 0, 0), "{report:?}");
    ensure!(sent > 10 * CHATTER && left < CHATTER, "{sent} datagrams, {left} frames left to the workers");
    Ok(())
}

#[test]
fn known_traffic_leaves_the_workers_alone() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    for tag in [None, Some(10)] {
        let (topology, _switch) = lab(2, 2, Wiring { tag, ..Wiring::default() })?;
        let every = BTreeSet::from(["g1", "g2", "u1", "u2", BRIDGE].map(str::to_owned));
        let hooked = hooked(&topology.host)?;
        ensure!(hooked == every, "attached to {hooked:?}");
        let (one, two) = (topology.guest(1), topology.guest(2));
        let mut pairs = Vec::new();
        for ip in [ipv4, ipv6] {
            pairs.push(((one, ip(1)), (two, ip(2))));
            pairs.push(((one, ip(1)), (&topology.remote, ip(REMOTE))));
            pairs.push(((two, ip(2)), (&topology.remote, ip(REMOTE))));
        }
        only_the_kernel_forwards(&topology, &pairs)?;
    }
    Ok(())
}

#[test]
fn what_is_not_known_is_left_to_the_workers() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let (topology, _switch) = lab(2, 0, Wiring::default())?;
    let (one, two) = (Capture::open(topology.guest(1), "eth0")?, Capture::open(topology.guest(2), "eth0")?);
    let (stranger, from) = ([2, 0, 0, 0, 7, 7], [2, 0, 0, 0, 0, 1]);
    let before = left_to_workers(&topology.host)?;
    numbered::send(&one, 300, |number| numbered::frame(stranger, from, number))?;
    let mut arrived = Vec::new();
    eventually("all are flooded", DEADLINE, || {
        arrived.extend(numbered::take(&two)?);
        Ok((arrived.len() >= 300).then_some(()))
    })?;
    ensure!(arrived == (0..300).collect::<Vec<_>>(), "{arrived:?}");
    ensure!(left_to_workers(&topology.host)? - before >= 300);
    Ok(())
}

/// Frames of ours, by number, with the time at which each arrived.
fn numbers(frames: &[Frame]) -> Vec<u32> {
    frames.iter().filter_map(|frame| numbered::number(&frame.bytes)).collect()
}

/// Sends numbered frames, and each must arrive once and in order, without the workers.
fn passes(host: &Namespace, from: (&Capture, [u8; 6]), to: (&Capture, [u8; 6])) -> Result<()> {
    const COUNT: u32 = 300;
    to.0.take()?;
    let before = left_to_workers(host)?;
    numbered::send(from.0, COUNT, |number| numbered::frame(to.1, from.1, number))?;
    let mut arrived = Vec::new();
    eventually(&format!("all frames arrive at {}", to.0.name()), DEADLINE, || {
        arrived.extend(numbers(&to.0.take()?));
        Ok((arrived.len() >= COUNT as usize).then_some(()))
    })
    .with_context(|| format!("{} of {COUNT}", arrived.len()))?;
    arrived.extend(numbers(&to.0.take_for(Duration::from_millis(50))?));
    ensure!(arrived == (0..COUNT).collect::<Vec<_>>(), "at {}: {arrived:?}", to.0.name());
    let left = left_to_workers(host)? - before;
    ensure!(left < CHATTER, "{left} frames left to the workers on the way to {}", to.0.name());
    Ok(())
}

#[test]
fn a_station_behind_a_guests_interface_gets_its_frames() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(2, 0, Wiring::default())?;
    let (one, two) = (Capture::open(topology.guest(1), "eth0")?, Capture::open(topology.guest(2), "eth0")?);
    // As of a macvlan or a nested bridge: another address behind the same veth.
    let (nested, of_one, of_two) = ([2, 0, 0, 0xaa, 0, 2], [2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    one.send(&packets::frame(BROADCAST, of_one, None, 0))?;
    two.send(&packets::frame(BROADCAST, of_two, None, 0))?;
    two.send(&packets::frame(BROADCAST, nested, None, 0))?;
    eventually("all are learned", DEADLINE, || Ok((switch.fdb(BRIDGE)?.len() >= 3).then_some(())))?;
    passes(&topology.host, (&one, of_one), (&two, nested))?;
    passes(&topology.host, (&two, nested), (&one, of_one))?;
    passes(&topology.host, (&one, of_one), (&two, of_two))
}

#[test]
fn a_guests_interface_may_move_to_the_host_and_back() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(2, 0, Wiring::default())?;
    let (of_one, of_two) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
    let one = Capture::open(topology.guest(1), "eth0")?;
    let mut place = topology.guest(2);
    for next in [&topology.host, topology.guest(2), &topology.host, topology.guest(2)] {
        let two = Capture::open(place, "eth0")?;
        one.send(&packets::frame(BROADCAST, of_one, None, 0))?;
        two.send(&packets::frame(BROADCAST, of_two, None, 0))?;
        eventually("both are learned", DEADLINE, || {
            let known = switch.fdb(BRIDGE)?;
            Ok(["g1", "g2"].iter().all(|g| known.iter().any(|(_, _, port)| port == g)).then_some(()))
        })?;
        passes(&topology.host, (&one, of_one), (&two, of_two))?;
        place.ip(&format!("link set eth0 netns {}", next.path()))?;
        next.ip("link set eth0 up")?;
        place = next;
        // From here on the kernel must send as to any device, or again straight to the other end.
        let two = Capture::open(place, "eth0")?;
        let mut number = 0;
        eventually("frames arrive where the interface is now", DEADLINE, || {
            number += 1;
            two.send(&packets::frame(BROADCAST, of_two, None, 0))?;
            one.send(&numbered::frame(of_two, of_one, number))?;
            sys::sleep_until(sys::monotonic() + 5 * MS);
            Ok((!numbers(&two.take()?).is_empty()).then_some(()))
        })?;
        passes(&topology.host, (&one, of_one), (&two, of_two))?;
    }
    Ok(())
}

#[test]
fn the_host_takes_part_on_its_internal_port() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    for tag in [None, Some(10)] {
        let (topology, switch) = lab(1, 2, Wiring { tag, ..Wiring::default() })?;
        let host = &topology.host;
        host.ip(&format!("link set {BRIDGE} up"))?;
        host.ip(&format!("addr add {}/24 dev {BRIDGE}", ipv4(HOST)))?;
        if let Some(tag) = tag {
            switch.vsctl(&format!("set port {BRIDGE} tag={tag}"))?;
        }
        let stations = [(topology.guest(1), ipv4(1)), (&topology.remote, ipv4(REMOTE))];
        let me: Endpoint<'_> = (host, ipv4(HOST));
        let pairs: Vec<_> = stations.iter().map(|station| (me, *station)).collect();
        warm_up(&pairs)?;
        // What the host sends and the kernel leaves to the worker is what its TAP transmits.
        let transmitted = || -> Result<u64> {
            let counters = host.frame_counters()?;
            let tap = counters.iter().find(|(name, _, _)| name == BRIDGE).context("no internal port")?;
            Ok(tap.2)
        };
        let before = (left_to_workers(host)?, transmitted()?);
        let bad = bad_checksums(host)?;
        let probe = Probe::start(&pairs, MS)?;
        for station in stations {
            for (from, to) in [(me, station), (station, me)] {
                let stream = Stream::start(from, to, None)?;
                eventually("10 MB have come through", DEADLINE, || {
                    Ok((stream.received() > 10_000_000).then_some(()))
                })
                .with_context(|| format!("from {} to {}, tag {tag:?}", from.1, to.1))?;
            }
        }
        let report = probe.finish()?;
        ensure!(report.duplicates() == 0, "{report:?}");
        ensure!(bad_checksums(host)? == bad, "wrong checksums at the host");
        for (station, _) in stations {
            ensure!(bad_checksums(station)? == 0, "wrong checksums at {}", station.name());
        }
        let left = (left_to_workers(host)? - before.0, transmitted()? - before.1);
        println!("tag {tag:?}: left to the workers: {} of others, {} of the host", left.0, left.1);
        ensure!(left.0 < CHATTER && left.1 < CHATTER, "left to the workers: {left:?}");
    }
    Ok(())
}

#[test]
fn a_lost_member_costs_five_datagrams_at_most() -> Result<()> {
    const PULLS: usize = 10;
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(1, 2, Wiring::default())?;
    let pair = ((topology.guest(1), ipv4(1)), (&topology.remote, ipv4(REMOTE)));
    warm_up(&[pair])?;
    let mut probe = Probe::start(&[pair], MS)?;
    for _ in 0..PULLS {
        let carrying = switch.active()?.context("no active member")?;
        probe.mark("pull");
        topology.pull(&carrying)?;
        eventually("another member is active", DEADLINE, || {
            let active = switch.active()?;
            Ok(active.is_some_and(|active| active != carrying).then_some(()))
        })?;
        std::thread::sleep(Duration::from_millis(200));
        probe.mark("return");
        topology.replug(&carrying)?;
        eventually("the member is back", DEADLINE, || {
            Ok(switch.bond(BOND)?.member(&carrying).is_some_and(|member| member.enabled).then_some(()))
        })?;
        std::thread::sleep(Duration::from_millis(200));
    }
    let report = probe.finish()?;
    let there = |label: &str, flow: usize| -> Vec<f64> {
        let windows = report.windows.iter().filter(|window| window.label == label);
        windows.map(|window| window.lost[flow] as f64).collect()
    };
    for (way, flow) in [("out", 0), ("back", 1)] {
        let mut lost = there("pull", flow);
        println!("{way}: lost {lost:?}, median {}; {:?}", median(&mut lost.clone()), report.punctuality);
        ensure!(median(&mut lost) <= 5.0, "{way}: {report:?}");
        ensure!(there("return", flow).iter().all(|lost| *lost == 0.0), "{way}: {report:?}");
    }
    ensure!(report.duplicates() == 0, "{report:?}");
    Ok(())
}

#[test]
fn connections_of_a_container_spread_by_their_sockets_hash_and_stay() -> Result<()> {
    const CONNECTIONS: usize = 60;
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(1, 2, Upstream::Bare)?;
    let near = Vswitch::start_fast(&topology.host)?;
    near.vsctl(&format!("add-br {BRIDGE} -- add-port {BRIDGE} g1"))?;
    near.vsctl(&format!("add-bond {BRIDGE} {BOND} u1 u2 mode=balance-xor xmit_hash_policy=offload"))?;
    let far = Vswitch::start_fast(&topology.up)?;
    far.vsctl("add-br sw -- add-port sw r -- add-bond sw lag p1 p2 mode=balance-xor")?;
    let guest = topology.guest(1);
    ensure!(reaches(guest, ipv4(REMOTE)) && reaches(&topology.remote, ipv4(1)));
    let wires = ["p1", "p2"].map(|p| Capture::open(&topology.up, p));
    let listener = topology.remote.enter(|| TcpListener::bind((ipv4(REMOTE), 0)))?;
    let address = listener.local_addr()?;
    let (mut streams, mut accepted) = (Vec::new(), Vec::new());
    for _ in 0..CONNECTIONS {
        streams.push(guest.enter(|| TcpStream::connect_timeout(&address, DEADLINE))?);
        accepted.push(listener.accept()?.0);
    }
    for round in 0..20 {
        for stream in &mut streams {
            stream.write_all(&[round; 500])?;
        }
        sys::sleep_until(sys::monotonic() + 2 * MS);
    }
    let ports: BTreeSet<u16> =
        streams.iter().map(|stream| Ok(stream.local_addr()?.port())).collect::<Result<_>>()?;
    let mut members: BTreeMap<u16, BTreeMap<usize, u32>> = BTreeMap::new();
    for (member, wire) in wires.into_iter().enumerate() {
        for frame in wire?.take()? {
            if let Some(port) = tcp_source(&frame.bytes, ipv4(1)).filter(|port| ports.contains(port)) {
                *members.entry(port).or_default().entry(member).or_default() += 1;
            }
        }
    }
    ensure!(members.len() == CONNECTIONS, "{} connections seen", members.len());
    for (port, by) in &members {
        ensure!(
            by.len() == 1 && by.values().all(|frames| *frames >= 20),
            "port {port}: frames by member {by:?}"
        );
    }
    let first = members.values().filter(|by| by.contains_key(&0)).count();
    println!("{first} of {CONNECTIONS} connections by u1");
    // By chance: 60 throws of a coin.
    ensure!((12..=48).contains(&first), "{first} of {CONNECTIONS} connections by u1");
    Ok(())
}

/// The source port of a TCP segment from this address.
fn tcp_source(frame: &[u8], from: IpAddr) -> Option<u16> {
    let IpAddr::V4(from) = from else { return None };
    let tcp = frame.get(12..14)? == [8, 0] && *frame.get(23)? == 6 && frame.get(26..30)? == from.octets();
    tcp.then_some(u16::from_be_bytes(frame.get(34..36)?.try_into().ok()?))
}
