//! Balance-xor against a static link aggregation group, which is a second `vswitchd` in balance-xor behind the cables.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use integration::capture::Capture;
use integration::hash::{POLICIES, udp_hash};
use integration::probe::Probe;
use integration::process::eventually;
use integration::random::Random;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::sys;
use integration::testing::{reaches, switch_turn};
use integration::topology::{REMOTE, Topology, Upstream, ipv4, ipv6};
use integration::wire;

const GUESTS: usize = 3;
const MEMBERS: usize = 3;
const DEADLINE: Duration = Duration::from_secs(5);
const SETTLE: Duration = Duration::from_millis(300);
/// Most datagrams that a pulled cable may cost: 25 ms of each of the twelve flows.
const PULL_LIMIT: u64 = 25 * 12;

/// Our switch and, at the other end of its uplinks, the peer.
fn lag() -> Result<(Topology, Vswitch, Vswitch)> {
    let topology = Topology::new(GUESTS, MEMBERS, Upstream::Bare)?;
    let near = Vswitch::start(&topology.host)?;
    let far = Vswitch::start(&topology.up)?;
    near.vsctl(&format!("add-br {BRIDGE} -- add-bond {BRIDGE} {BOND} u1 u2 u3 mode=balance-xor"))?;
    for i in 1..=GUESTS {
        near.vsctl(&format!("add-port {BRIDGE} g{i}"))?;
    }
    far.vsctl("add-br sw -- add-port sw r -- add-bond sw lag p1 p2 p3 mode=balance-xor")?;
    until_usable(&near, MEMBERS)?;
    Ok((topology, near, far))
}

fn until_usable(near: &Vswitch, members: usize) -> Result<()> {
    eventually(&format!("{members} members are up"), DEADLINE, || {
        let up = near.bond(BOND)?.members.iter().filter(|member| member.link == "up").count();
        Ok((up == members).then_some(()))
    })
}

fn set_policy(near: &Vswitch, far: &Vswitch, policy: &str) -> Result<()> {
    near.vsctl(&format!("set bond {BOND} xmit_hash_policy={policy}"))?;
    far.vsctl(&format!("set bond lag xmit_hash_policy={policy}")).map(drop)
}

/// Datagrams at 1 ms both ways between every guest and the remote host, over IPv4 and IPv6.
fn datagrams(topology: &Topology) -> Result<Probe> {
    let mut pairs = Vec::new();
    for i in 1..=GUESTS {
        for ip in [ipv4, ipv6] {
            ensure!(reaches(topology.guest(i), ip(REMOTE)), "guest {i} can't reach {}", ip(REMOTE));
            pairs.push(((topology.guest(i), ip(i as u8)), (&topology.remote, ip(REMOTE))));
        }
    }
    Probe::start(&pairs, Duration::from_millis(1))
}

#[test]
fn everybody_reaches_everybody_in_order_under_every_policy() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, near, far) = lag()?;
    for policy in POLICIES {
        set_policy(&near, &far, policy)?;
        let probe = datagrams(&topology)?;
        std::thread::sleep(Duration::from_millis(500));
        let report = probe.finish()?;
        let bad = (report.lost(), report.duplicates(), report.reordered());
        ensure!(bad == (0, 0, 0), "{policy}: lost, duplicated, reordered: {bad:?} in {report:?}");
    }
    Ok(())
}

#[test]
fn every_datagram_leaves_by_the_member_that_linux_would_choose() -> Result<()> {
    const FRAMES: u32 = 600;
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, near, far) = lag()?;
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)));
    let guest = Capture::open(topology.guest(1), "eth0")?;
    let wires: Vec<Capture> =
        (1..=MEMBERS).map(|i| Capture::open(&topology.up, &format!("p{i}"))).collect::<Result<_>>()?;
    let remote = Capture::open(&topology.remote, "eth0")?;
    let mut random = Random::of_test();
    for policy in POLICIES {
        set_policy(&near, &far, policy)?;
        let mut expected = Vec::new();
        for capture in wires.iter().chain([&remote]) {
            capture.take()?;
        }
        for number in 0..FRAMES {
            let (to, from) = ([2, 0, 0, 0, 0, REMOTE], [2, 0, 0, random.any() as u8, 0, random.any() as u8]);
            let mut end = |net: u8| {
                let ip = Ipv4Addr::new(10, net, random.any() as u8, random.any() as u8);
                (ip, 1024 + random.below(60_000) as u16)
            };
            let (source, target) = (end(8), end(9));
            expected.push(udp_hash(policy, to, from, source, target) as usize % MEMBERS);
            let body = [b"xor!".as_slice(), &number.to_be_bytes()].concat();
            guest.send(&wire::udp(to, from, source, target, &body))?;
            if number % 64 == 63 {
                sys::sleep_until(sys::monotonic() + Duration::from_millis(1));
            }
        }
        let mut seen = vec![Vec::new(); FRAMES as usize];
        let mut arrived = 0;
        eventually("all frames have come through", DEADLINE, || {
            arrived += remote.take()?.iter().filter(|frame| number(&frame.bytes).is_some()).count();
            Ok((arrived >= FRAMES as usize).then_some(()))
        })?;
        for (member, wire) in wires.iter().enumerate() {
            for number in wire.take()?.iter().filter_map(|frame| number(&frame.bytes)) {
                seen[number as usize].push(member);
            }
        }
        for (number, members) in seen.iter().enumerate() {
            let wanted = expected[number];
            ensure!(*members == [wanted], "{policy}: frame {number} left by {members:?}, not by {wanted}");
        }
        let share = |member: usize| expected.iter().filter(|chosen| **chosen == member).count();
        let shares: Vec<usize> = (0..MEMBERS).map(share).collect();
        println!("{policy}: {shares:?} frames by member");
        // Random fields: each member's third is far from none and from all.
        ensure!(shares.iter().all(|share| (120..=280).contains(share)), "{policy}: {shares:?}");
    }
    Ok(())
}

/// The number in the body of one of our datagrams.
fn number(bytes: &[u8]) -> Option<u32> {
    let body = bytes.get(42..)?.strip_prefix(b"xor!")?;
    Some(u32::from_be_bytes(body.get(..4)?.try_into().ok()?))
}

#[test]
fn a_lost_member_costs_next_to_nothing_and_its_return_no_order() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, near, far) = lag()?;
    set_policy(&near, &far, "layer3+4")?;
    let mut probe = datagrams(&topology)?;
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
    Ok(())
}

#[test]
fn the_last_member_carries_everything() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, near, far) = lag()?;
    set_policy(&near, &far, "layer3+4")?;
    topology.pull("u1")?;
    topology.pull("u3")?;
    until_usable(&near, 1)?;
    for i in 1..=GUESTS {
        for ip in [ipv4, ipv6] {
            ensure!(reaches(topology.guest(i), ip(REMOTE)), "guest {i}");
        }
    }
    topology.pull("u2")?;
    eventually("the bond has no carrier", DEADLINE, || Ok((!near.bond(BOND)?.carrier).then_some(())))?;
    topology.replug("u3")?;
    ensure!(reaches(topology.guest(1), ipv4(REMOTE)));
    Ok(())
}
