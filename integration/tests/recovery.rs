//! The kernel's selftests `mode-1-recovery-updelay.sh` and `mode-2-recovery-updelay.sh`: two nodes joined by two links,
//! one fails, and while it waits for its updelay the other fails too. Connectivity must be back within 2 s however long
//! the updelay, since a link that is up is better than none.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration::netns::Namespace;
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::{reaches, switch_turn};
use integration::topology::{Topology, Upstream, ipv4};

const DEADLINE: Duration = Duration::from_secs(5);
/// What the selftest allows, and for a busy machine half as much again.
const BACK_WITHIN: Duration = Duration::from_secs(3);

/// Two switches, each with a bond of both links; guest 1 on one side, the remote host on the other.
struct Nodes {
    topology: Topology,
    near: Vswitch,
    far: Vswitch,
}

impl Nodes {
    fn new(mode: &str) -> Result<Self> {
        let topology = Topology::new(1, 2, Upstream::Bare)?;
        let near = Vswitch::start(&topology.host)?;
        let far = Vswitch::start(&topology.up)?;
        near.vsctl(&format!("add-br {BRIDGE} -- add-port {BRIDGE} g1"))?;
        near.vsctl(&format!("add-bond {BRIDGE} {BOND} u1 u2 mode={mode} miimon=100"))?;
        far.vsctl(&format!("add-br sw -- add-port sw r -- add-bond sw {BOND} p1 p2 mode={mode} miimon=100"))?;
        let nodes = Self { topology, near, far };
        nodes.until_links(["up", "up"])?;
        Ok(nodes)
    }

    /// Waits until both sides see the links so.
    fn until_links(&self, wanted: [&str; 2]) -> Result<()> {
        for (side, switch) in [("near", &self.near), ("far", &self.far)] {
            eventually(&format!("the links are {wanted:?} at the {side} side"), DEADLINE, || {
                let bond = switch.bond(BOND)?;
                Ok(bond.members.iter().zip(wanted).all(|(member, link)| member.link == link).then_some(()))
            })?;
        }
        Ok(())
    }

    fn set_updelay(&self, updelay: u32) -> Result<()> {
        for switch in [&self.near, &self.far] {
            switch.vsctl(&format!("set bond {BOND} updelay={updelay}"))?;
        }
        Ok(())
    }

    fn far_end(&self) -> (&Namespace, std::net::IpAddr) {
        (self.topology.guest(1), ipv4(integration::topology::REMOTE))
    }

    fn connected(&self) -> bool {
        let (guest, remote) = self.far_end();
        reaches(guest, remote)
    }
}

fn recovers(mode: &str) -> Result<()> {
    let nodes = Nodes::new(mode)?;
    for updelay in [0, 100, 500, 1000, 10_000] {
        nodes.set_updelay(updelay)?;
        ensure!(nodes.connected(), "before, updelay {updelay}");
        nodes.topology.pull("u1")?;
        nodes.until_links(["down", "up"])?;
        ensure!(nodes.connected(), "by the second link, updelay {updelay}");
        // The first is back, but for its updelay, and the second fails.
        nodes.topology.replug("u1")?;
        nodes.topology.pull("u2")?;
        let started = std::time::Instant::now();
        eventually(&format!("connectivity is back, updelay {updelay}"), BACK_WITHIN, || {
            let (guest, remote) = nodes.far_end();
            Ok(guest.run(&format!("ping -n -q -c 1 -w 1 {remote}")).is_ok().then_some(()))
        })?;
        println!("{mode}, updelay {updelay}: back after {:?}", started.elapsed());
        nodes.set_updelay(0)?;
        nodes.topology.replug("u2")?;
        nodes.until_links(["up", "up"])?;
    }
    Ok(())
}

#[test]
fn mode_1_recovers_whatever_the_updelay() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    recovers("active-backup")
}

#[test]
fn mode_2_recovers_whatever_the_updelay() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    recovers("balance-xor")
}
