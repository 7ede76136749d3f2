//! What a learning VLAN switch does, over real interfaces.

use std::time::Duration;

use anyhow::Result;
use integration::packets::{BROADCAST, Station, frame, settle};
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Kind, Ovs, Vswitch};
use integration::tcp::Stream;
use integration::testing::{lab, never_reaches, reaches, skip, switch_turn};
use integration::topology::{HOST, REMOTE, Topology, Upstream, ipv4, ipv6};

const QUIET: Duration = Duration::from_millis(150);

#[test]
fn guests_and_the_remote_host_reach_each_other_over_ipv4_and_ipv6() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, _switch) = lab(3, 2)?;
    for ip in [ipv4, ipv6] {
        for from in 1..=3 {
            for to in [1, 2, 3, REMOTE] {
                assert!(reaches(topology.guest(from), ip(to)), "guest {from} to {}", ip(to));
            }
            assert!(reaches(&topology.remote, ip(from as u8)), "remote to {}", ip(from as u8));
        }
    }
    Ok(())
}

#[test]
fn access_ports_of_different_vlans_are_apart() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(3, 0, Upstream::Bare)?;
    let switch = Vswitch::start(&topology.host)?;
    switch.vsctl(&format!("add-br {BRIDGE}"))?;
    for (guest, tag) in [(1, 10), (2, 10), (3, 20)] {
        switch.vsctl(&format!("add-port {BRIDGE} g{guest} tag={tag}"))?;
    }
    assert!(reaches(topology.guest(1), ipv4(2)));
    assert!(never_reaches(topology.guest(1), ipv4(3))?);
    let mut stations =
        (1..=3).map(|i| Station::new(topology.guest(i), "eth0")).collect::<Result<Vec<_>>>()?;
    let third = stations[2].mac;
    stations[0].send_to(BROADCAST, 1)?;
    stations[0].send_to(third, 2)?;
    // A guest on an access port can't choose a VLAN by tagging its frames.
    stations[0].send(&frame(BROADCAST, stations[0].mac, Some(20), 3))?;
    settle(&mut stations.iter_mut().collect::<Vec<_>>(), QUIET)?;
    assert_eq!([stations[1].copies(1), stations[2].copies(1)], [1, 0]);
    assert_eq!(stations[2].copies(2), 0);
    assert_eq!(stations[2].copies(3), 0);
    // The same guest, moved to the other VLAN, is in it.
    switch.vsctl("set port g1 tag=20")?;
    assert!(reaches(topology.guest(1), ipv4(3)));
    assert!(never_reaches(topology.guest(1), ipv4(2))?);
    Ok(())
}

#[test]
fn a_trunk_carries_its_vlans_with_their_tags() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(4, 0, Upstream::Bare)?;
    let switch = Vswitch::start(&topology.host)?;
    switch.vsctl(&format!("add-br {BRIDGE}"))?;
    for (guest, settings) in [(1, "tag=10"), (2, "tag=20"), (3, ""), (4, "trunks=20")] {
        switch.vsctl(&format!("add-port {BRIDGE} g{guest} {settings}"))?;
    }
    let mut stations =
        (1..=4).map(|i| Station::new(topology.guest(i), "eth0")).collect::<Result<Vec<_>>>()?;
    stations[0].send_to(BROADCAST, 1)?;
    stations[2].send(&frame(BROADCAST, stations[2].mac, Some(20), 2))?;
    stations[2].send_to(BROADCAST, 3)?;
    stations[3].send(&frame(BROADCAST, stations[3].mac, Some(10), 4))?;
    settle(&mut stations.iter_mut().collect::<Vec<_>>(), QUIET)?;
    let tagged = |number, vlan| [0, 1, 2, 3].map(|i: usize| stations[i].copies_tagged(number, vlan));
    // From the access port of VLAN 10: tagged on the full trunk, nowhere else.
    assert_eq!((tagged(1, Some(10)), tagged(1, None)), ([0, 0, 1, 0], [0; 4]));
    // Tagged 20 into the full trunk: untagged at its access port, tagged on the other trunk.
    assert_eq!((tagged(2, Some(20)), tagged(2, None)), ([0, 0, 0, 1], [0, 1, 0, 0]));
    // Untagged into the full trunk: VLAN 0, which no other port here is in.
    assert_eq!((tagged(3, Some(20)), tagged(3, None)), ([0; 4], [0; 4]));
    // Tagged 10 into a trunk of VLAN 20 only: refused, and counted.
    assert_eq!((tagged(4, Some(10)), tagged(4, None)), ([0; 4], [0; 4]));
    assert!(switch.drops("g4", Some("vlan_not_allowed"))? >= 1);
    Ok(())
}

#[test]
fn an_access_guest_reaches_a_host_behind_a_tagging_upstream_switch() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    if let Some(obstacle) = Kind::Ovs.obstacle() {
        skip(&format!("Open vSwitch is the upstream switch: {obstacle}"));
        return Ok(());
    }
    let topology = Topology::new(2, 2, Upstream::Bare)?;
    let upstream = Ovs::start_empty(&topology.up)?;
    upstream.vsctl("add-br sw -- set bridge sw datapath_type=netdev")?;
    upstream.vsctl("add-port sw p1 trunks=10,20 -- add-port sw p2 trunks=10,20 -- add-port sw r tag=10")?;
    let switch = Vswitch::start(&topology.host)?;
    switch.vsctl(&format!("add-br {BRIDGE}"))?;
    switch.vsctl(&format!("add-port {BRIDGE} g1 tag=10 -- add-port {BRIDGE} g2 tag=20"))?;
    switch.vsctl(&format!("add-bond {BRIDGE} {BOND} u1 u2 mode=active-backup"))?;
    for ip in [ipv4, ipv6] {
        assert!(reaches(topology.guest(1), ip(REMOTE)));
        assert!(never_reaches(topology.guest(2), ip(REMOTE))?);
    }
    topology.pull("u1")?;
    assert!(reaches(topology.guest(1), ipv4(REMOTE)), "after the first uplink failed");
    Ok(())
}

#[test]
fn the_host_has_addresses_on_the_bridge_and_tcp_works_from_there() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, _switch) = lab(1, 2)?;
    let host = &topology.host;
    host.sysctl(&format!("ipv6/conf/{BRIDGE}/disable_ipv6"), "0")?;
    host.ip(&format!("link set {BRIDGE} up"))?;
    host.ip(&format!("addr add {}/24 dev {BRIDGE}", ipv4(HOST)))?;
    host.ip(&format!("addr add {}/64 dev {BRIDGE} nodad", ipv6(HOST)))?;
    for ip in [ipv4, ipv6] {
        assert!(reaches(topology.guest(1), ip(HOST)));
        assert!(reaches(&topology.remote, ip(HOST)));
        let ends = [(host, ip(HOST)), (topology.guest(1), ip(1)), (&topology.remote, ip(REMOTE))];
        for (from, to) in [(0, 1), (1, 0), (0, 2), (2, 0)] {
            let stream = Stream::start(ends[from], ends[to], None)?;
            eventually("64 MiB have come through", Duration::from_secs(10), || {
                Ok((stream.received() >= 64 << 20).then_some(()))
            })?;
        }
    }
    Ok(())
}

#[test]
fn the_hosts_own_stack_does_not_hear_what_arrives_on_ports() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(1, 0, Upstream::Bare)?;
    // An address on the port itself, and a guest that knows it without asking: only the host's stack could answer.
    topology.host.ip(&format!("addr add {}/24 dev g1", ipv4(HOST)))?;
    let mac = integration::netns::format_mac(topology.host.mac("g1")?);
    topology.guest(1).ip(&format!("neigh replace {} lladdr {mac} nud permanent dev eth0", ipv4(HOST)))?;
    assert!(reaches(topology.guest(1), ipv4(HOST)), "it answers as long as the device is no port");
    let switch = Vswitch::start(&topology.host)?;
    switch.vsctl(&format!("add-br {BRIDGE} -- add-port {BRIDGE} g1"))?;
    assert!(never_reaches(topology.guest(1), ipv4(HOST))?);
    switch.vsctl(&format!("del-port {BRIDGE} g1"))?;
    assert!(reaches(topology.guest(1), ipv4(HOST)), "it answers again when the device is no port any more");
    Ok(())
}

#[test]
fn frames_for_bridges_themselves_are_dropped_and_counted() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(2, 1)?;
    let mut stations = [Station::new(topology.guest(1), "eth0")?, Station::new(topology.guest(2), "eth0")?];
    let mut remote = Station::new(&topology.remote, "eth0")?;
    let before = switch.drops("g1", Some("reserved_multicast"))?;
    for last in 0..=0x10 {
        stations[0].send_to([0x01, 0x80, 0xc2, 0, 0, last], u32::from(last))?;
    }
    let [one, two] = &mut stations;
    settle(&mut [one, two, &mut remote], QUIET)?;
    for last in 0..0x10 {
        assert_eq!((two.copies(last), remote.copies(last)), (0, 0), "01:80:c2:00:00:{last:02x}");
    }
    // The first address after the reserved ones is an ordinary group address.
    assert_eq!((two.copies(0x10), remote.copies(0x10)), (1, 1));
    assert_eq!(switch.drops("g1", Some("reserved_multicast"))? - before, 16);
    Ok(())
}

#[test]
fn malformed_frames_are_counted_drops_and_nothing_else_stops() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(1, 1)?;
    let station = Station::new(topology.guest(1), "eth0")?;
    let before = switch.drops("g1", None)?;
    let zero_source = frame(BROADCAST, [0; 6], None, 1);
    let group_source = frame(BROADCAST, [3, 0, 0, 0, 0, 1], None, 2);
    let mut tagged_to_death = [BROADCAST, station.mac].concat();
    tagged_to_death.extend([0x81, 0x00, 0, 10].repeat(12));
    for bad in [&zero_source, &group_source, &tagged_to_death] {
        station.send(bad)?;
    }
    eventually("three drops are counted", Duration::from_secs(5), || {
        Ok((switch.drops("g1", None)? >= before + 3).then_some(()))
    })?;
    assert!(reaches(topology.guest(1), ipv4(REMOTE)));
    Ok(())
}

#[test]
fn what_is_longer_than_the_way_out_allows_is_dropped_and_counted() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(2, 1)?;
    topology.host.ip("link set g2 mtu 1400")?;
    assert!(reaches(topology.guest(1), ipv4(2)));
    let counted = || -> Result<u64> {
        Ok(switch.drops("g1", Some("mtu_exceeded"))? + switch.drops("g2", Some("mtu_exceeded"))?)
    };
    let before = counted()?;
    let long = format!("ping -n -q -c 2 -i 0.1 -W 0.3 -M do -s 1472 {}", ipv4(2));
    assert!(topology.guest(1).run(&long).is_err());
    assert!(counted()? >= before + 2);
    assert!(reaches(topology.guest(1), ipv4(2)), "short frames still pass");
    Ok(())
}
