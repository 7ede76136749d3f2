//! Broadcast mode: a copy by each member. The other end is a second `vswitchd` in broadcast mode, or a Linux bridge
//! that sends every copy back by the other uplinks.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration::capture::Capture;
use integration::netns::format_mac;
use integration::numbered;
use integration::probe::Probe;
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::{reaches, switch_turn};
use integration::topology::{REMOTE, Topology, Upstream, ipv4, ipv6};

const GUESTS: usize = 2;
const MEMBERS: usize = 3;
const FRAMES: u32 = 300;
const GUEST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const REMOTE_MAC: [u8; 6] = [2, 0, 0, 0, 0, REMOTE];
const EVERYBODY: [u8; 6] = [0xff; 6];
const DEADLINE: Duration = Duration::from_secs(5);
const SETTLE: Duration = Duration::from_millis(300);

fn start(upstream: Upstream) -> Result<(Topology, Vswitch)> {
    let topology = Topology::new(GUESTS, MEMBERS, upstream)?;
    let near = Vswitch::start(&topology.host)?;
    near.vsctl(&format!("add-br {BRIDGE} -- add-bond {BRIDGE} {BOND} u1 u2 u3 mode=broadcast"))?;
    for i in 1..=GUESTS {
        near.vsctl(&format!("add-port {BRIDGE} g{i}"))?;
    }
    until_usable(&near, MEMBERS)?;
    Ok((topology, near))
}

/// With a peer that sends copies, too.
fn with_peer() -> Result<(Topology, Vswitch, Vswitch)> {
    let (topology, near) = start(Upstream::Bare)?;
    let far = Vswitch::start(&topology.up)?;
    far.vsctl("add-br sw -- add-port sw r -- add-bond sw lag p1 p2 p3 mode=3")?;
    for i in 1..=GUESTS {
        ensure!(reaches(topology.guest(i), ipv4(REMOTE)), "guest {i}");
    }
    Ok((topology, near, far))
}

fn until_usable(near: &Vswitch, members: usize) -> Result<()> {
    eventually(&format!("{members} members are up"), DEADLINE, || {
        let up = near.bond(BOND)?.members.iter().filter(|member| member.link == "up").count();
        Ok((up == members).then_some(()))
    })
}

/// Waits until `copies` of each of the numbered frames have come, and for what else may come.
fn expect(at: &Capture, copies: usize) -> Result<()> {
    let mut seen = vec![0; FRAMES as usize];
    let (mut count, wanted) = (0, copies * FRAMES as usize);
    eventually(&format!("{wanted} frames have arrived at {}", at.name()), DEADLINE, || {
        for number in numbered::take(at)? {
            seen[number as usize] += 1;
            count += 1;
        }
        Ok((count >= wanted).then_some(()))
    })?;
    for frame in at.take_for(Duration::from_millis(100))? {
        numbered::number(&frame.bytes).into_iter().for_each(|number| seen[number as usize] += 1);
    }
    ensure!(seen.iter().all(|count| *count == copies), "not {copies} copies at {}: {seen:?}", at.name());
    Ok(())
}

#[test]
fn every_member_sends_a_copy_and_the_peers_copies_all_come_in() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, near, _far) = with_peer()?;
    let guest = Capture::open(topology.guest(1), "eth0")?;
    let remote = Capture::open(&topology.remote, "eth0")?;
    let wires: Vec<Capture> =
        (1..=MEMBERS).map(|i| Capture::open(&topology.up, &format!("p{i}"))).collect::<Result<_>>()?;
    for to in [REMOTE_MAC, EVERYBODY] {
        numbered::send(&guest, FRAMES, |number| numbered::frame(to, GUEST_MAC, number))?;
        wires.iter().try_for_each(|wire| expect(wire, 1))?;
        expect(&remote, MEMBERS)?;
    }
    numbered::send(&remote, FRAMES, |number| numbered::frame(GUEST_MAC, REMOTE_MAC, number))?;
    expect(&guest, MEMBERS)?;
    topology.pull("u2")?;
    until_usable(&near, MEMBERS - 1)?;
    numbered::send(&guest, FRAMES, |number| numbered::frame(REMOTE_MAC, GUEST_MAC, number))?;
    expect(&wires[0], 1)?;
    expect(&wires[2], 1)?;
    expect(&remote, MEMBERS - 1)
}

#[test]
fn as_long_as_one_member_is_left_nothing_is_lost() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, near, _far) = with_peer()?;
    let pairs: Vec<_> = [ipv4, ipv6]
        .map(|ip| ((topology.guest(1), ip(1)), (&topology.remote, ip(REMOTE))))
        .into_iter()
        .collect();
    ensure!(reaches(topology.guest(1), ipv6(REMOTE)));
    let mut probe = Probe::start(&pairs, Duration::from_millis(1))?;
    for (pulled, left) in [("u1", 2), ("u3", 1)] {
        probe.mark(format!("pull {pulled}"));
        topology.pull(pulled)?;
        until_usable(&near, left)?;
        std::thread::sleep(SETTLE);
    }
    for (back, left) in [("u3", 2), ("u1", 3)] {
        probe.mark(format!("return {back}"));
        topology.replug(back)?;
        until_usable(&near, left)?;
        std::thread::sleep(SETTLE);
    }
    probe.mark("pull u2");
    topology.pull("u2")?;
    until_usable(&near, 2)?;
    let report = probe.finish()?;
    ensure!(report.lost() == 0, "{report:?}");
    ensure!(report.duplicates() > 0, "no copies at all: {report:?}");
    for uplink in ["u1", "u3"] {
        topology.pull(uplink)?;
    }
    eventually("the bond has no carrier", DEADLINE, || Ok((!near.bond(BOND)?.carrier).then_some(())))?;
    topology.replug("u2")?;
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)));
    Ok(())
}

#[test]
fn our_own_frames_that_come_back_are_neither_delivered_nor_learned() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, near) = start(Upstream::LinuxBridge)?;
    let stations = [topology.guest(1), topology.guest(2), &topology.remote];
    let [guest, neighbour, remote] = stations.map(|station| Capture::open(station, "eth0"));
    let (guest, neighbour, remote) = (guest?, neighbour?, remote?);
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)));
    let before = near.drops("u1", Some("reflected"))?;
    numbered::send(&guest, FRAMES, |number| numbered::frame(EVERYBODY, GUEST_MAC, number))?;
    expect(&neighbour, 1)?;
    expect(&remote, MEMBERS)?;
    let fdb = near.fdb(BRIDGE)?;
    let at = fdb.iter().find(|(mac, ..)| *mac == format_mac(GUEST_MAC)).map(|(.., port)| port.as_str());
    ensure!(at == Some("g1"), "{fdb:?}");
    // What the other two members sent.
    let reflected = near.drops("u1", Some("reflected"))? - before;
    ensure!(reflected >= 2 * u64::from(FRAMES), "{reflected}");
    ensure!(numbered::take(&guest)?.is_empty(), "the guest hears itself");
    Ok(())
}
