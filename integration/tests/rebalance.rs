//! Buckets that move by load, on real wires: what is busy lies on one member at first, and is spread after a few looks;
//! workers and the kernel both count for it. And a bucket moved by hand.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration::capture::Capture;
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::{fast_turn, switch_turn};
use integration::topology::{Topology, Upstream};
use integration::wire;
use serde_json::Value;

const FLOWS: u16 = 64;
const DEADLINE: Duration = Duration::from_secs(5);
/// Looks at the load are a second apart; the first only begins to count.
const PATIENCE: Duration = Duration::from_secs(20);
const GUEST: [u8; 6] = [2, 0, 0, 0, 0, 1];
const STATION: [u8; 6] = [2, 0, 0, 0, 0, 9];

struct Lab {
    _topology: Topology,
    switch: Vswitch,
    guest: Capture,
    wires: [Capture; 2],
}

impl Lab {
    fn new(fastpath: bool) -> Result<Self> {
        let topology = Topology::new(1, 2, Upstream::Bare)?;
        let switch = Vswitch::start(&topology.host)?;
        let mode = if fastpath { "auto" } else { "off" };
        switch.vsctl(&format!(
            "add-br {BRIDGE} -- set bridge {BRIDGE} fastpath={mode} -- add-port {BRIDGE} g1 \
             -- add-bond {BRIDGE} {BOND} u1 u2 mode=balance-xor xmit_hash_policy=layer3+4 rebalance_interval=1000"
        ))?;
        let guest = Capture::open(topology.guest(1), "eth0")?;
        let wires = [Capture::open(&topology.up, "p1")?, Capture::open(&topology.up, "p2")?];
        let lab = Self { _topology: topology, switch, guest, wires };
        eventually("both members are up", DEADLINE, || {
            let bond = lab.switch.bond(BOND)?;
            Ok(bond.members.iter().all(|member| member.link == "up").then_some(()))
        })?;
        // The station is known to be behind the bond, so that the kernel forwards to it.
        let hello =
            wire::udp(GUEST, STATION, ([10, 0, 0, 9].into(), 53), ([10, 0, 0, 1].into(), 1), b"hello");
        lab.wires[0].send(&hello)?;
        lab.guest.wait_for("the station's frame", DEADLINE, |frame| {
            (frame.bytes[6..12] == STATION).then_some(())
        })?;
        Ok(lab)
    }

    fn send(&self, flow: u16, octets: usize) -> Result<()> {
        let mut body = [b"flow".as_slice(), &flow.to_be_bytes()].concat();
        body.resize(octets, 0);
        let (here, there) = ([10, 0, 0, 1].into(), [10, 0, 0, 9].into());
        self.guest.send(&wire::udp(STATION, GUEST, (here, 2000 + flow * 7), (there, 53), &body))
    }

    /// What `bond/show` tells of the buckets.
    fn rebalancing(&self) -> Result<Value> {
        let shown: Value = serde_json::from_str(&self.switch.vsctl(&format!("-f json bond/show {BOND}"))?)?;
        Ok(shown[BOND]["rebalancing"].clone())
    }

    /// Frames of each flow that have arrived at each wire since the last call.
    fn arrived(&self) -> Result<[BTreeMap<u16, u64>; 2]> {
        let mut all = [BTreeMap::new(), BTreeMap::new()];
        for (wire, counts) in self.wires.iter().zip(&mut all) {
            for frame in wire.take()? {
                let body = frame.bytes.get(42..).and_then(|body| body.strip_prefix(b"flow"));
                if let Some(flow) = body.and_then(|body| body.first_chunk()) {
                    *counts.entry(u16::from_be_bytes(*flow)).or_default() += 1;
                }
            }
        }
        Ok(all)
    }

    /// The flows that leave by the first member.
    fn of_first(&self) -> Result<BTreeSet<u16>> {
        self.arrived()?;
        (0..FLOWS).try_for_each(|flow| self.send(flow, 64))?;
        let mut found = BTreeMap::new();
        eventually("every flow has left by some member", DEADLINE, || {
            for (member, counts) in self.arrived()?.into_iter().enumerate() {
                found.extend(counts.into_keys().map(|flow| (flow, member)));
            }
            Ok((found.len() == usize::from(FLOWS)).then_some(()))
        })?;
        Ok(found.into_iter().filter(|(_, member)| *member == 0).map(|(flow, _)| flow).collect())
    }

    /// Sends these flows for so long, at the same rate. Frames sent, and of them those by the first and the second member.
    fn run(&self, flows: &BTreeSet<u16>, time: Duration) -> Result<(u64, [u64; 2])> {
        self.arrived()?;
        let (start, mut sent, mut by) = (Instant::now(), 0, [0; 2]);
        let count = |by: &mut [u64; 2]| -> Result<()> {
            for (sum, counts) in by.iter_mut().zip(self.arrived()?) {
                *sum += counts.values().sum::<u64>();
            }
            Ok(())
        };
        while start.elapsed() < time {
            for flow in flows {
                self.send(*flow, 1000)?;
                sent += 1;
            }
            count(&mut by)?;
            std::thread::sleep(Duration::from_millis(5));
        }
        eventually("everything has arrived", DEADLINE, || {
            count(&mut by)?;
            Ok((by[0] + by[1] >= sent).then_some(()))
        })?;
        Ok((sent, by))
    }
}

fn spreads(fastpath: bool) -> Result<()> {
    let lab = Lab::new(fastpath)?;
    let busy = lab.of_first()?;
    ensure!(busy.len() >= 10, "only {} of {FLOWS} flows leave by u1", busy.len());
    let began = Instant::now();
    let (sent, by) = eventually("the load is spread", PATIENCE, || {
        let (sent, by) = lab.run(&busy, Duration::from_millis(700))?;
        let share = by[0] as f64 / sent as f64;
        println!(
            "after {:.1} s: {share:.2} of {sent} frames by the first member",
            began.elapsed().as_secs_f64()
        );
        Ok((0.35..=0.65).contains(&share).then_some((sent, by)))
    })?;
    ensure!(by[0] + by[1] == sent, "{sent} frames sent, {by:?} arrived: some came twice");
    let shown = lab.rebalancing()?;
    let last = shown["last"].as_array().context("no list of moves")?;
    ensure!(shown["moved"].as_u64() >= Some(1) && !last.is_empty(), "{shown}");
    ensure!(last.iter().all(|moved| moved["by_hand"] == false), "{shown}");
    Ok(())
}

#[test]
fn load_is_spread_by_workers_counters() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    spreads(false)
}

#[test]
fn load_is_spread_by_the_kernels_counters() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    spreads(true)
}

#[test]
fn a_bucket_is_moved_by_hand() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new(false)?;
    let flow = BTreeSet::from([*lab.of_first()?.first().context("no flow by u1")?]);
    let load = eventually("the flow's bucket has a load", PATIENCE, || {
        lab.run(&flow, Duration::from_millis(500))?;
        let shown = lab.rebalancing()?;
        let loads = shown["loads"].as_array().context("no list of loads")?;
        let busiest = loads.iter().max_by_key(|load| load["load"].as_u64());
        Ok(busiest.filter(|load| load["load"].as_u64() > Some(10_000)).cloned())
    })?;
    ensure!(load["member"] == "u1", "{load}: to move the only busy bucket is no gain");
    let bucket = &load["bucket"];
    let (_, by) = lab.run(&flow, Duration::from_millis(100))?;
    ensure!(by[1] == 0, "{by:?}");
    let said = lab.switch.vsctl(&format!("bond/migrate {BOND} {bucket} u2"))?;
    ensure!(said == "migrated\n", "{said}");
    let (_, by) = lab.run(&flow, Duration::from_millis(100))?;
    ensure!(by[0] == 0, "{by:?}");
    let said = lab.switch.vsctl(&format!("bond/migrate {BOND} {bucket} u2"))?;
    ensure!(said == "no change\n", "{said}");
    for wrong in ["bond/migrate bond0 256 u2", "bond/migrate bond0 x u2", "bond/migrate bond0 1 u9"] {
        ensure!(lab.switch.vsctl(wrong).is_err(), "{wrong} was accepted");
    }
    Ok(())
}

#[test]
fn the_load_is_looked_at_by_hand() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new(false)?;
    let busy = lab.of_first()?;
    // The first look, which only begins to count, is over. The next one is far away.
    lab.switch.vsctl(&format!("set bond {BOND} rebalance_interval=3600000"))?;
    let said = eventually("buckets move", PATIENCE, || {
        lab.run(&busy, Duration::from_millis(1200))?;
        let said = lab.switch.vsctl(&format!("bond/rebalance {BOND}"))?;
        Ok((!said.starts_with("no change: ")).then_some(said))
    })?;
    let each = |line: &str| line.starts_with("moved hash ") && line.ends_with(" from u1 to u2");
    ensure!(said.lines().all(each) && said.ends_with('\n'), "{said}");
    let shown = lab.rebalancing()?;
    let last = shown["last"].as_array().context("no list of moves")?;
    ensure!(last.iter().filter(|moved| moved["by_hand"] == true).count() == said.lines().count(), "{shown}");
    let (sent, by) = lab.run(&busy, Duration::from_millis(300))?;
    ensure!(by[1] > 0 && by[0] + by[1] == sent, "{by:?} of {sent}");
    lab.switch.vsctl(&format!("set bond {BOND} rebalance_interval=0"))?;
    ensure!(lab.switch.vsctl(&format!("bond/rebalance {BOND}")).is_err(), "nothing rebalances");
    Ok(())
}
