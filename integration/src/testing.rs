//! What the black-box tests share.

use std::io::Write as _;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use crate::fastpath;
use crate::netns::Namespace;
use crate::probe::Probe;
use crate::process::{self, COMMAND_DEADLINE, find_program};
use crate::switch::{Vswitch, Wiring};
use crate::topology::{REMOTE, Topology, Upstream, ipv4, ipv6};

/// Tests of one program take turns: each needs the machine's few cores for itself.
static TURN: Mutex<()> = Mutex::new(());

/// The right to run now.
pub struct Turn(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

/// Waits for this test's turn. `None`, after saying why, if this machine lacks something the test needs: namespaces,
/// `ip`, or one of `programs`.
#[must_use]
pub fn turn(programs: &[&str]) -> Option<Turn> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let missing =
        ["ip", "bridge", "ping"].iter().chain(programs).find(|program| find_program(program).is_none());
    if let Some(missing) = missing {
        skip(&format!("{missing} is not installed"));
        return None;
    }
    if let Err(error) = Namespace::new("trial") {
        skip(&format!("needs root or `unshare -Urn`: {error:#}"));
        return None;
    }
    Some(Turn(turn))
}

/// [`turn`] for a test that runs `vswitchd`. If the program has not been built, that is an error and no reason to skip.
pub fn switch_turn(programs: &[&str]) -> Result<Option<Turn>> {
    crate::switch::binary("vswitchd")?;
    crate::switch::binary("vsctl")?;
    if let Some(problem) = tun_problem() {
        skip(&problem);
        return Ok(None);
    }
    Ok(turn(programs))
}

/// [`turn`] for a test that boots a virtual machine. A wrong setting of its kernel is an error and no reason to skip.
pub fn vm_turn(programs: &[&str]) -> Result<Option<Turn>> {
    if let Some(problem) = crate::qemu::obstacle()? {
        skip(&problem);
        return Ok(None);
    }
    Ok(turn(programs))
}

/// [`switch_turn`] for a test of the kernel fast path.
pub fn fast_turn(programs: &[&str]) -> Result<Option<Turn>> {
    if let Some(problem) = fastpath::problem() {
        skip(&problem);
        return Ok(None);
    }
    switch_turn(programs)
}

/// Runs a test with the workers forwarding, and then (`true`) with the kernel's fast path; each in a turn of its own, or skipped
/// with the reason.
pub fn by_both(test: impl Fn(bool) -> Result<()>) -> Result<()> {
    {
        let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
        test(false).context("by workers")?;
    }
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    test(true).context("by the kernel")
}

/// All that a switch may change in its namespace: the devices' flags, promiscuity, address, MTU and master, and
/// nftables' tables.
pub fn look(host: &Namespace) -> Result<serde_json::Value> {
    let mut links = host.ip_json("-d link show")?;
    for link in links.as_array_mut().into_iter().flatten() {
        // Counters are no state.
        for volatile in ["stats", "stats64"] {
            link.as_object_mut().map(|link| link.remove(volatile));
        }
    }
    Ok(serde_json::json!({ "links": links, "tables": crate::netfilter::tables(host)? }))
}

/// The standard topology with a running `vswitchd`: every guest a port, the uplinks an active-backup bond, an upstream
/// Linux bridge; the first guest has reached the remote host. The topology comes first, so that it is dropped last.
pub fn lab(guests: usize, uplinks: usize) -> Result<(Topology, Vswitch)> {
    lab_with(guests, uplinks, Wiring::default())
}

/// [`lab`] with VLANs.
pub fn lab_with(guests: usize, uplinks: usize, wiring: Wiring) -> Result<(Topology, Vswitch)> {
    let topology = Topology::new(guests, uplinks, Upstream::LinuxBridge)?;
    let switch = Vswitch::start(&topology.host)?;
    switch.connect(&topology, wiring)?;
    if guests > 0 && uplinks > 0 {
        ensure!(reaches(topology.guest(1), ipv4(REMOTE)), "guest 1 can't reach the remote host");
    }
    Ok((topology, switch))
}

/// A probe at 1 ms spacing between guest 1 and the remote host, over IPv4 and IPv6.
pub fn uplink_probe(topology: &Topology) -> Result<Probe> {
    for ip in [ipv4, ipv6] {
        ensure!(reaches(topology.guest(1), ip(REMOTE)), "guest 1 can't reach {}", ip(REMOTE));
    }
    let pairs = [ipv4, ipv6].map(|ip| ((topology.guest(1), ip(1)), (&topology.remote, ip(REMOTE))));
    Probe::start(&pairs, Duration::from_millis(1))
}

/// Why no TAP, and so no bridge, can be made here.
pub fn tun_problem() -> Option<String> {
    let error = std::fs::File::options().read(true).write(true).open("/dev/net/tun").err()?;
    Some(format!("needs /dev/net/tun: {error}"))
}

/// A number from the environment, for running a bounded test at full length.
pub fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// The middle one of some numbers, which it sorts; 0 if there are none.
pub fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_unstable_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or_default()
}

/// Says aloud that the running test can't run and why: on standard error, past cargo's capture, and in the file that
/// `VSWITCH_SKIP_LOG` names.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let line = format!("SKIP {}: {reason}\n", thread.name().unwrap_or("?"));
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("VSWITCH_SKIP_LOG") {
        let log = std::fs::File::options().create(true).append(true).open(path);
        let _ = log.and_then(|mut log| log.write_all(line.as_bytes()));
    }
}

/// Pings until one answer comes, for at most 3 s: for reachability and for warming up.
pub fn reaches(from: &Namespace, to: IpAddr) -> bool {
    from.run(&format!("ping -n -q -c 1 -i 0.1 -w 3 -W 0.3 {to}")).is_ok()
}

/// Pings for half a second; true if not one answer comes.
pub fn never_reaches(from: &Namespace, to: IpAddr) -> Result<bool> {
    let ping = format!("-n -q -c 5 -i 0.1 -W 0.2 {to}");
    let done = process::finish(from.command("ping").args(ping.split_whitespace()), COMMAND_DEADLINE)?;
    Ok(done.stdout.contains(" 0 received"))
}
