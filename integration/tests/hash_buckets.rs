//! A lost member and its return in balance-xor: with Linux's modulo about half of the flows on the members that stayed
//! move, with a table of buckets none does.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration::capture::Capture;
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::switch_turn;
use integration::topology::{Topology, Upstream};
use integration::wire;

const MEMBERS: usize = 3;
const FLOWS: u16 = 600;
const DEADLINE: Duration = Duration::from_secs(5);

struct Lab {
    topology: Topology,
    switch: Vswitch,
    guest: Capture,
    wires: Vec<Capture>,
}

impl Lab {
    /// With a table of so many buckets; 0: Linux's modulo.
    fn new(buckets: u32) -> Result<Self> {
        let topology = Topology::new(1, MEMBERS, Upstream::Bare)?;
        let switch = Vswitch::start(&topology.host)?;
        switch.vsctl(&format!("add-br {BRIDGE} -- add-port {BRIDGE} g1"))?;
        let buckets = if buckets == 0 { String::new() } else { format!("hash_buckets={buckets}") };
        let options = format!("mode=balance-xor xmit_hash_policy=layer3+4 {buckets}");
        switch.vsctl(&format!("add-bond {BRIDGE} {BOND} u1 u2 u3 {options}"))?;
        let guest = Capture::open(topology.guest(1), "eth0")?;
        let wires =
            (1..=MEMBERS).map(|i| Capture::open(&topology.up, &format!("p{i}"))).collect::<Result<_>>()?;
        let lab = Self { topology, switch, guest, wires };
        lab.until_usable(MEMBERS)?;
        Ok(lab)
    }

    fn until_usable(&self, members: usize) -> Result<()> {
        eventually(&format!("{members} members are up"), DEADLINE, || {
            let bond = self.switch.bond(BOND)?;
            Ok((bond.members.iter().filter(|member| member.link == "up").count() == members).then_some(()))
        })
    }

    /// The member by which each flow leaves now.
    fn map(&self) -> Result<BTreeMap<u16, usize>> {
        for wire in &self.wires {
            wire.take()?;
        }
        let (here, there) = ([10, 0, 0, 1].into(), [10, 0, 0, 9].into());
        for flow in 0..FLOWS {
            let body = [b"flow".as_slice(), &flow.to_be_bytes()].concat();
            let frame = wire::udp(
                [2, 0, 0, 0, 0, 9],
                [2, 0, 0, 0, 0, 1],
                (here, 2000 + flow * 7),
                (there, 53),
                &body,
            );
            self.guest.send(&frame)?;
        }
        let mut map = BTreeMap::new();
        eventually("every flow has left by some member", DEADLINE, || {
            for (member, wire) in self.wires.iter().enumerate() {
                for frame in wire.take()? {
                    let body = frame.bytes.get(42..).and_then(|body| body.strip_prefix(b"flow"));
                    if let Some(flow) = body.and_then(|body| body.first_chunk()) {
                        ensure!(map.insert(u16::from_be_bytes(*flow), member).is_none(), "a flow left twice");
                    }
                }
            }
            Ok((map.len() == usize::from(FLOWS)).then_some(()))
        })?;
        Ok(map)
    }

    /// The share of the surviving members' flows that moved when the second failed, the share of all that its return
    /// moved between others, and how many flows it has then.
    fn churn(&self) -> Result<(f64, f64, usize)> {
        let before = self.map()?;
        self.topology.pull("u2")?;
        self.until_usable(MEMBERS - 1)?;
        let without = self.map()?;
        ensure!(without.values().all(|member| *member != 1), "a flow leaves by the lost member");
        let survivors: Vec<_> = before.iter().filter(|(_, member)| **member != 1).collect();
        let moved = survivors.iter().filter(|(flow, member)| without[*flow] != **member).count();
        self.topology.replug("u2")?;
        self.until_usable(MEMBERS)?;
        let after = self.map()?;
        let unneeded =
            after.iter().filter(|(flow, member)| **member != 1 && without[flow] != **member).count();
        let back = after.values().filter(|member| **member == 1).count();
        let all = f64::from(FLOWS);
        Ok((moved as f64 / survivors.len() as f64, unneeded as f64 / all, back))
    }
}

#[test]
fn with_buckets_only_the_lost_members_flows_move() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (moved, unneeded, back) = Lab::new(256)?.churn()?;
    println!("buckets: {moved:.3} of the surviving flows moved, {unneeded:.3} between others at the return");
    ensure!(moved == 0.0 && unneeded == 0.0, "{moved} and {unneeded}");
    // A third, give or take.
    ensure!((130..=270).contains(&back), "{back} of {FLOWS} flows came back to the member");
    Ok(())
}

#[test]
fn with_linuxs_modulo_about_half_of_the_surviving_flows_move() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (moved, ..) = Lab::new(0)?.churn()?;
    println!("modulo: {moved:.3} of the surviving flows moved");
    ensure!((0.35..=0.65).contains(&moved), "{moved}");
    Ok(())
}

#[test]
fn the_shares_are_told_and_wrong_sizes_are_refused() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new(256)?;
    let answer = lab.switch.json(&format!("bond/show {BOND}"))?;
    let members = answer[BOND]["members"].as_array().with_context(|| format!("no members: {answer}"))?;
    let shares: Vec<u64> = members.iter().filter_map(|member| member["buckets"].as_u64()).collect();
    ensure!(
        shares.iter().sum::<u64>() == 256 && shares.iter().all(|share| (85..=86).contains(share)),
        "{shares:?}"
    );
    for wrong in ["hash_buckets=100000", "hash_buckets=-1", "hash_buckets=many"] {
        let done = lab.switch.try_vsctl(&format!("set bond {BOND} {wrong}"))?;
        ensure!(!done.status.success() && !done.stderr.is_empty(), "{wrong} was accepted");
    }
    Ok(())
}
