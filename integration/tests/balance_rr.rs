//! Balance-rr against a static link aggregation group, which is a second `vswitchd` in balance-rr behind the cables.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration::capture::Capture;
use integration::numbered;
use integration::probe::Probe;
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::{reaches, switch_turn};
use integration::topology::{REMOTE, Topology, Upstream, ipv4, ipv6};

const GUESTS: usize = 2;
const MEMBERS: usize = 3;
const GUEST_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const REMOTE_MAC: [u8; 6] = [2, 0, 0, 0, 0, REMOTE];
const DEADLINE: Duration = Duration::from_secs(5);
const SETTLE: Duration = Duration::from_millis(300);
/// Most datagrams that a pulled cable may cost: 25 ms of each of the eight flows.
const PULL_LIMIT: u64 = 25 * 8;

/// Our switch and, at the other end of its uplinks, the peer.
fn lag() -> Result<(Topology, Vswitch, Vswitch)> {
    let topology = Topology::new(GUESTS, MEMBERS, Upstream::Bare)?;
    let near = Vswitch::start(&topology.host)?;
    let far = Vswitch::start(&topology.up)?;
    near.vsctl(&format!("add-br {BRIDGE} -- add-bond {BRIDGE} {BOND} u1 u2 u3 mode=balance-rr"))?;
    for i in 1..=GUESTS {
        near.vsctl(&format!("add-port {BRIDGE} g{i}"))?;
    }
    far.vsctl("add-br sw -- add-port sw r -- add-bond sw lag p1 p2 p3 mode=0")?;
    until_usable(&near, MEMBERS)?;
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)));
    Ok((topology, near, far))
}

fn until_usable(near: &Vswitch, members: usize) -> Result<()> {
    eventually(&format!("{members} members are up"), DEADLINE, || {
        let up = near.bond(BOND)?.members.iter().filter(|member| member.link == "up").count();
        Ok((up == members).then_some(()))
    })
}

/// The wires' far ends, the guest and the remote host.
struct Ends {
    wires: Vec<Capture>,
    guest: Capture,
    remote: Capture,
}

impl Ends {
    fn open(topology: &Topology) -> Result<Self> {
        Ok(Self {
            wires: (1..=MEMBERS)
                .map(|i| Capture::open(&topology.up, &format!("p{i}")))
                .collect::<Result<_>>()?,
            guest: Capture::open(topology.guest(1), "eth0")?,
            remote: Capture::open(&topology.remote, "eth0")?,
        })
    }

    /// Sends numbered frames from the guest to the remote host: each arrives once. Returns the member of each.
    fn members(&self, frames: u32, frame: impl Fn(u32) -> Vec<u8>) -> Result<Vec<usize>> {
        for capture in self.wires.iter().chain([&self.remote]) {
            capture.take()?;
        }
        numbered::send(&self.guest, frames, frame)?;
        let mut arrived = Vec::new();
        eventually("all frames have come through", DEADLINE, || {
            arrived.extend(numbered::take(&self.remote)?);
            Ok((arrived.len() >= frames as usize).then_some(()))
        })?;
        arrived.sort_unstable();
        ensure!(arrived.iter().copied().eq(0..frames), "not each once: {arrived:?}");
        let mut seen = vec![Vec::new(); frames as usize];
        for (member, wire) in self.wires.iter().enumerate() {
            numbered::take(wire)?.iter().for_each(|number| seen[*number as usize].push(member));
        }
        let one = |(number, by): (usize, Vec<usize>)| {
            ensure!(by.len() == 1, "frame {number} left by {by:?}");
            Ok(by[0])
        };
        seen.into_iter().enumerate().map(one).collect()
    }
}

fn shares(members: &[usize]) -> Vec<usize> {
    (0..MEMBERS).map(|member| members.iter().filter(|by| **by == member).count()).collect()
}

#[test]
fn numbered_frames_go_by_the_members_in_turn() -> Result<()> {
    const FRAMES: u32 = 600;
    /// Frames of others (ARP, neighbour discovery) that may take a turn in between.
    const STRAYS: usize = 12;
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, near, _far) = lag()?;
    let ends = Ends::open(&topology)?;
    for per_member in [1, 3] {
        near.vsctl(&format!("set bond {BOND} packets_per_slave={per_member}"))?;
        let members = ends.members(FRAMES, |number| numbered::frame(REMOTE_MAC, GUEST_MAC, number))?;
        let shares = shares(&members);
        println!("packets_per_slave={per_member}: {shares:?} frames by member");
        let even = FRAMES as usize / MEMBERS;
        ensure!(shares.iter().all(|share| share.abs_diff(even) <= STRAYS), "{per_member}: {shares:?}");
        let runs: Vec<(usize, usize)> =
            members.chunk_by(|one, next| one == next).map(|run| (run[0], run.len())).collect();
        let odd_runs = runs.iter().filter(|(_, length)| *length != per_member).count();
        let odd_steps = runs.windows(2).filter(|two| two[1].0 != (two[0].0 + 1) % MEMBERS).count();
        // The first run and the last may be parts of one.
        ensure!(
            odd_runs <= STRAYS + 2 && odd_steps <= STRAYS,
            "{per_member}: {odd_runs}, {odd_steps}: {runs:?}"
        );
    }
    near.vsctl(&format!("set bond {BOND} packets_per_slave=0"))?;
    let members = ends.members(FRAMES, |number| numbered::frame(REMOTE_MAC, GUEST_MAC, number))?;
    println!("packets_per_slave=0: {:?} frames by member", shares(&members));
    ensure!(shares(&members).iter().all(|share| (140..=260).contains(share)), "{:?}", shares(&members));
    let again = members.windows(2).filter(|two| two[0] == two[1]).count();
    ensure!((140..=260).contains(&again), "{again} times the same member twice in a row");
    Ok(())
}

#[test]
fn igmp_goes_by_the_first_member() -> Result<()> {
    const IPV4_PROTOCOL: usize = 23;
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, _near, _far) = lag()?;
    let ends = Ends::open(&topology)?;
    let members = ends.members(30, |number| {
        let mut frame = numbered::frame([1, 0, 0x5e, 0, 0, 22], GUEST_MAC, number);
        frame[IPV4_PROTOCOL] = 2;
        frame
    })?;
    ensure!(members == [0; 30], "{members:?}");
    Ok(())
}

#[test]
fn a_lost_member_costs_next_to_nothing_and_the_others_share_its_frames() -> Result<()> {
    const FRAMES: u32 = 400;
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, near, _far) = lag()?;
    let mut pairs = Vec::new();
    for i in 1..=GUESTS {
        for ip in [ipv4, ipv6] {
            ensure!(reaches(topology.guest(i), ip(REMOTE)), "guest {i} can't reach {}", ip(REMOTE));
            pairs.push(((topology.guest(i), ip(i as u8)), (&topology.remote, ip(REMOTE))));
        }
    }
    let mut probe = Probe::start(&pairs, Duration::from_millis(1))?;
    for uplink in ["u1", "u2", "u3"] {
        probe.mark(format!("pull {uplink}"));
        topology.pull(uplink)?;
        until_usable(&near, MEMBERS - 1)?;
        std::thread::sleep(SETTLE);
        probe.mark(format!("return {uplink}"));
        topology.replug(uplink)?;
        until_usable(&near, MEMBERS)?;
        std::thread::sleep(SETTLE);
    }
    let report = probe.finish()?;
    for window in &report.windows {
        println!("{}: {} lost", window.label, window.total());
        ensure!(window.total() <= PULL_LIMIT, "{window:?} in {report:?}");
    }
    ensure!(report.duplicates() == 0, "{report:?}");
    let ends = Ends::open(&topology)?;
    topology.pull("u2")?;
    until_usable(&near, MEMBERS - 1)?;
    let members = ends.members(FRAMES, |number| numbered::frame(REMOTE_MAC, GUEST_MAC, number))?;
    let shares = shares(&members);
    // (Linux: 1/3, 0, 2/3.)
    ensure!(shares[1] == 0 && shares[0].abs_diff(shares[2]) <= 20, "{shares:?}");
    Ok(())
}
