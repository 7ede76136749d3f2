//! A guest that is announced elsewhere by RARP, gratuitous ARP or neighbour advertisement moves at once; its own
//! announcement that the upstream switch sends back moves nothing.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration::capture::Capture;
use integration::netns::format_mac;
use integration::packets::{BROADCAST, Station, frame};
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::switch_turn;
use integration::topology::{Topology, Upstream};
use integration::wire;

/// "At once" on a busy machine; much less than the seconds for which a reflection is suspected.
const AT_ONCE: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(5);
const MAC: [u8; 6] = [2, 0, 0, 0x77, 0, 1];

struct Lab {
    switch: Vswitch,
    local: Capture,
    other: Station,
    wires: Vec<Capture>,
    _topology: Topology,
}

impl Lab {
    fn new(mode: &str) -> Result<Self> {
        let topology = Topology::new(2, 2, Upstream::Bare)?;
        let switch = Vswitch::start(&topology.host)?;
        switch.vsctl("add-br br0 -- add-port br0 g1 -- add-port br0 g2")?;
        switch.vsctl(&format!("add-bond {BRIDGE} {BOND} u1 u2 mode={mode}"))?;
        eventually("the bond has carrier", DEADLINE, || Ok(switch.bond(BOND)?.carrier.then_some(())))?;
        let wires =
            ["p1", "p2"].map(|p| Capture::open(&topology.up, p)).into_iter().collect::<Result<_>>()?;
        let local = Capture::open(topology.guest(1), "eth0")?;
        let other = Station::new(topology.guest(2), "eth0")?;
        Ok(Self { switch, local, other, wires, _topology: topology })
    }

    fn place(&self) -> Result<Vec<String>> {
        let fdb = self.switch.fdb(BRIDGE)?;
        Ok(fdb.into_iter().filter(|(mac, ..)| *mac == format_mac(MAC)).map(|(.., port)| port).collect())
    }

    fn until_at(&self, port: &str, deadline: Duration) -> Result<()> {
        eventually(&format!("the guest is at {port}"), deadline, || {
            Ok((self.place()? == [port]).then_some(()))
        })
    }

    /// Whether a frame to the guest leaves by the bond.
    fn leaves_by_bond(&self, number: u32) -> Result<bool> {
        for wire in &self.wires {
            wire.take()?;
        }
        let test = frame(MAC, self.other.mac, None, number);
        self.other.send(&test)?;
        let arrived = eventually("the frame arrives somewhere", DEADLINE, || {
            let is_it = |frames: Vec<integration::sys::Frame>| frames.iter().any(|frame| frame.bytes == test);
            if is_it(self.local.take()?) {
                return Ok(Some(false));
            }
            let mut left = false;
            for wire in &self.wires {
                left |= is_it(wire.take()?);
            }
            Ok(left.then_some(true))
        })?;
        Ok(arrived)
    }
}

fn announcements() -> [(&'static str, Vec<u8>); 3] {
    let six = std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 7);
    [
        ("RARP", wire::rarp(MAC)),
        ("gratuitous ARP", wire::gratuitous_arp(MAC, [10, 0, 0, 7].into())),
        ("neighbour advertisement", wire::unsolicited_na(MAC, six)),
    ]
}

#[test]
fn an_announcement_beyond_the_uplink_moves_the_guest_at_once() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    for mode in ["active-backup", "balance-xor", "balance-slb"] {
        for (i, (what, announcement)) in announcements().into_iter().enumerate() {
            let lab = Lab::new(mode)?;
            lab.local.send(&frame(BROADCAST, MAC, None, 1))?;
            lab.until_at("g1", DEADLINE)?;
            lab.wires[0].send(&announcement)?;
            lab.until_at(BOND, AT_ONCE).map_err(|error| error.context(format!("{what}, {mode}")))?;
            ensure!(lab.leaves_by_bond(10 + i as u32)?, "{what}, {mode}");
            // And home again, however it is noticed.
            lab.local.send(&announcement)?;
            lab.until_at("g1", AT_ONCE).map_err(|error| error.context(format!("{what} at home, {mode}")))?;
            ensure!(!lab.leaves_by_bond(20 + i as u32)?, "{what}, {mode}");
        }
    }
    Ok(())
}

#[test]
fn a_guests_own_announcement_that_comes_back_moves_nothing() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    for (what, announcement) in announcements() {
        let lab = Lab::new("active-backup")?;
        lab.local.send(&announcement)?;
        lab.until_at("g1", DEADLINE)?;
        for _ in 0..3 {
            lab.wires[0].send(&announcement)?;
            lab.wires[1].send(&announcement)?;
        }
        let received = || -> Result<u64> {
            let counters = lab.switch.json("counters/show u1")?;
            Ok(counters["u1"]["rx_frames"].as_u64().unwrap_or_default())
        };
        eventually("they have come back", DEADLINE, || Ok((received()? >= 3).then_some(())))?;
        assert_eq!(lab.place()?, ["g1"], "{what}");
        ensure!(!lab.leaves_by_bond(1)?, "{what}");
    }
    Ok(())
}

#[test]
fn a_guest_that_speaks_at_another_port_moves_at_once() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new("active-backup")?;
    for round in 0..3 {
        lab.local.send(&frame(BROADCAST, MAC, None, round))?;
        lab.until_at("g1", AT_ONCE)?;
        lab.other.send(&frame(BROADCAST, MAC, None, round))?;
        lab.until_at("g2", AT_ONCE)?;
    }
    Ok(())
}
