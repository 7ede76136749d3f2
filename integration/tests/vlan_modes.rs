//! The five VLAN modes of a port, with frames as they are on the wire.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use integration::capture::Capture;
use integration::crowd::Crowd;
use integration::netns::Namespace;
use integration::packets::{BROADCAST, ETHERTYPE};
use integration::process::eventually;
use integration::switch::{BRIDGE, Vswitch};
use integration::sys::Frame;
use integration::testing::switch_turn;
use integration::wire;

const C: u16 = 0x8100;
const S: u16 = 0x88a8;
const DEADLINE: Duration = Duration::from_secs(3);

/// Tags, outermost first: protocol and control information.
type Tags = Vec<(u16, u16)>;

/// The tags and the number of a test frame.
fn read(frame: &Frame) -> Option<(u32, Tags)> {
    let mut tags: Tags = frame.tpid.zip(frame.tci).into_iter().collect();
    let mut rest = frame.bytes.get(12..)?;
    loop {
        let (ethertype, after) = rest.split_first_chunk::<2>()?;
        match u16::from_be_bytes(*ethertype) {
            protocol @ (C | S) => {
                let (tci, after) = after.split_first_chunk::<2>()?;
                tags.push((protocol, u16::from_be_bytes(*tci)));
                rest = after;
            }
            ETHERTYPE => return Some((u32::from_be_bytes(*after.first_chunk()?), tags)),
            _ => return None,
        }
    }
}

struct Lab {
    switch: Vswitch,
    ends: Vec<Capture>,
    number: u32,
    _crowd: Crowd,
    _host: Namespace,
}

impl Lab {
    /// A bridge whose ports `s1`, `s2`, .. have these settings.
    fn new(ports: &[&str]) -> Result<Self> {
        let host = Namespace::new("host")?;
        let crowd = Crowd::new(&host, "s", ports.len())?;
        let switch = Vswitch::start(&host)?;
        switch.vsctl(&format!("add-br {BRIDGE}"))?;
        for (name, settings) in crowd.names().zip(ports) {
            switch.vsctl(&format!("add-port {BRIDGE} {name} {settings}"))?;
        }
        let ends = crowd.names().map(|name| Capture::open(&crowd.namespace, &name)).collect::<Result<_>>()?;
        Ok(Self { switch, ends, number: 0, _crowd: crowd, _host: host })
    }

    /// Sends a broadcast with these tags into a port, counted from 1, and checks with which tags it comes out of which
    /// ports. Nothing else may come out.
    fn check(&mut self, port: usize, tags: &[(u16, u16)], expected: &[(usize, &[(u16, u16)])]) -> Result<()> {
        self.number += 1;
        let number = self.number;
        let body = number.to_be_bytes();
        let frame = wire::ethernet(BROADCAST, [2, 0, 0, 5, 0, port as u8], tags, ETHERTYPE, &body);
        self.ends[port - 1].send(&frame)?;
        let mut seen: BTreeMap<usize, Vec<Tags>> = BTreeMap::new();
        let mut collect = || -> Result<usize> {
            for (i, end) in self.ends.iter().enumerate() {
                for (_, tags) in end.take()?.iter().filter_map(read).filter(|(seen, _)| *seen == number) {
                    seen.entry(i + 1).or_default().push(tags);
                }
            }
            Ok(seen.len())
        };
        let what = format!("{tags:x?} into s{port}");
        // What comes late is missing below, with a better message.
        let _ = eventually("it comes out", DEADLINE, || Ok((collect()? >= expected.len()).then_some(())));
        // And what comes too much comes at about the same time.
        std::thread::sleep(Duration::from_millis(30));
        collect()?;
        let expected: BTreeMap<usize, Vec<Tags>> =
            expected.iter().map(|(port, tags)| (*port, vec![tags.to_vec()])).collect();
        ensure!(seen == expected, "{what} came out as {seen:x?}, not as {expected:x?}");
        Ok(())
    }
}

#[test]
fn access_ports_and_trunks() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new(&["tag=10", "", "trunks=10,20", "trunks=0", "tag=20"])?;
    lab.check(1, &[], &[(2, &[(C, 10)]), (3, &[(C, 10)])])?;
    lab.check(1, &[(C, 10)], &[])?;
    lab.check(2, &[], &[(4, &[])])?;
    lab.check(2, &[(C, 0xe014)], &[(3, &[(C, 0xe014)]), (5, &[])])?;
    lab.check(3, &[(C, 30)], &[])?;
    lab.check(2, &[(C, 20), (C, 10)], &[(3, &[(C, 20), (C, 10)]), (5, &[(C, 10)])])
}

#[test]
fn native_tagged_and_native_untagged_ports() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new(&[
        "tag=10",
        "",
        "vlan_mode=native-tagged tag=10",
        "vlan_mode=native-untagged tag=10",
        "vlan_mode=native-tagged tag=10 trunks=20",
        "vlan_mode=native-untagged tag=10 trunks=20",
        "vlan_mode=access tag=20",
        "vlan_mode=trunk trunks=20",
    ])?;
    let ten: &[(u16, u16)] = &[(C, 10)];
    let twenty: &[(u16, u16)] = &[(C, 20)];
    // Untagged into each port of VLAN 10.
    lab.check(1, &[], &[(2, ten), (3, ten), (4, &[]), (5, ten), (6, &[])])?;
    lab.check(3, &[], &[(1, &[]), (2, ten), (4, &[]), (5, ten), (6, &[])])?;
    lab.check(4, &[], &[(1, &[]), (2, ten), (3, ten), (5, ten), (6, &[])])?;
    lab.check(6, &[], &[(1, &[]), (2, ten), (3, ten), (4, &[]), (5, ten)])?;
    // Tagged with the native VLAN: the same VLAN.
    lab.check(4, ten, &[(1, &[]), (2, ten), (3, ten), (5, ten), (6, &[])])?;
    lab.check(5, ten, &[(1, &[]), (2, ten), (3, ten), (4, &[]), (6, &[])])?;
    // Another VLAN of the trunk.
    lab.check(5, twenty, &[(2, twenty), (3, twenty), (4, twenty), (6, twenty), (7, &[]), (8, twenty)])?;
    lab.check(7, &[], &[(2, twenty), (3, twenty), (4, twenty), (5, twenty), (6, twenty), (8, twenty)])?;
    // A VLAN that the list does not name is refused; without a list every one is carried.
    let before = lab.switch.drops("s6", Some("vlan_not_allowed"))?;
    lab.check(6, &[(C, 30)], &[])?;
    ensure!(lab.switch.drops("s6", Some("vlan_not_allowed"))? == before + 1);
    lab.check(3, &[(C, 30)], &[(2, &[(C, 30)]), (4, &[(C, 30)])])?;
    Ok(())
}

#[test]
fn priority_tagged_frames_are_in_the_ports_own_vlan_and_keep_their_priority() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab =
        Lab::new(&["tag=10", "", "vlan_mode=native-untagged tag=10", "vlan_mode=native-tagged tag=10"])?;
    let priority: &[(u16, u16)] = &[(C, 0xa000)];
    let tagged: &[(u16, u16)] = &[(C, 0xa00a)];
    lab.check(1, priority, &[(2, tagged), (3, &[]), (4, tagged)])?;
    lab.check(3, priority, &[(1, &[]), (2, tagged), (4, tagged)])?;
    lab.check(4, priority, &[(1, &[]), (2, tagged), (3, &[])])?;
    lab.check(2, tagged, &[(1, &[]), (3, &[]), (4, tagged)])?;
    Ok(())
}

#[test]
fn a_tunnel_carries_the_customers_tags_within_a_service_tag() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new(&[
        "vlan_mode=dot1q-tunnel tag=100",
        "vlan_mode=dot1q-tunnel tag=100",
        "",
        "vlan_mode=dot1q-tunnel tag=100 cvlans=5",
        "vlan_mode=dot1q-tunnel tag=200",
        "tag=12",
    ])?;
    // Out of another tunnel as it came, on the trunk with the service tag around it.
    lab.check(1, &[(C, 12)], &[(2, &[(C, 12)]), (3, &[(S, 100), (C, 12)])])?;
    lab.check(1, &[], &[(2, &[]), (3, &[(S, 100)])])?;
    lab.check(1, &[(C, 5)], &[(2, &[(C, 5)]), (3, &[(S, 100), (C, 5)]), (4, &[(C, 5)])])?;
    // Customer VLANs that are not listed don't get in.
    lab.check(4, &[(C, 5)], &[(1, &[(C, 5)]), (2, &[(C, 5)]), (3, &[(S, 100), (C, 5)])])?;
    lab.check(4, &[(C, 12)], &[])?;
    // From the trunk back to the customers, and only those of the service VLAN.
    lab.check(3, &[(S, 100), (C, 12)], &[(1, &[(C, 12)]), (2, &[(C, 12)])])?;
    lab.check(3, &[(S, 100), (C, 0xa005)], &[(1, &[(C, 0xa005)]), (2, &[(C, 0xa005)]), (4, &[(C, 0xa005)])])?;
    lab.check(3, &[(S, 200)], &[(5, &[])])?;
    // The customer's VLAN 12 is not the switch's.
    lab.check(6, &[], &[(3, &[(C, 12)])])?;
    Ok(())
}

#[test]
fn modes_change_under_way_and_wrong_combinations_are_refused() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new(&["tag=10", ""])?;
    lab.check(1, &[], &[(2, &[(C, 10)])])?;
    lab.switch.vsctl("set port s2 vlan_mode=native-untagged tag=10")?;
    lab.check(1, &[], &[(2, &[])])?;
    lab.switch.vsctl("set port s2 vlan_mode=native-tagged")?;
    lab.check(1, &[], &[(2, &[(C, 10)])])?;
    lab.switch.vsctl("set port s2 vlan_mode=dot1q-tunnel tag=10")?;
    lab.check(1, &[], &[(2, &[])])?;
    for wrong in ["vlan_mode=native", "tag=4095", "trunks=1,x", "vlan_mode=access tag=[]", "cvlans=4096"] {
        let before = lab.switch.json("show")?;
        let done = lab.switch.try_vsctl(&format!("set port s2 {wrong}"))?;
        ensure!(!done.status.success() && !done.stderr.is_empty(), "{wrong} was accepted");
        ensure!(lab.switch.json("show")? == before, "{wrong} changed something");
    }
    Ok(())
}
