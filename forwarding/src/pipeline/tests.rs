//! One test for each rule; `properties.rs` holds what is true of every frame and every table.

use std::sync::Arc;

use super::*;
use crate::fdb::{Fdb, FdbConfig, Learned};
use crate::mac::MacAddr;
use crate::tables::{BridgeEntry, DeviceEntry, FloodLists, Learning, TransmitPlan};
use crate::vlan::{TPID_8021AD, TPID_8021Q, VlanPolicy};
use crate::wire::virtio;

mod announcements;
mod balanced;
mod by_bucket;
mod limits;
mod modes;
mod plans;
mod properties;
mod receive;
mod tracing;

const NOW: Tick = Tick(1000);
const TRUNK: VlanPolicy = VlanPolicy::Trunk(None);

/// One bridge whose port `n` is device `n`, with an MTU of 1500.
struct Switch {
    tables: Tables,
    egress: Egress,
    now: Tick,
}

impl Switch {
    fn new(policies: &[VlanPolicy]) -> Self {
        let id = |n: usize| (PortId(n as u16), DeviceId(n as u16));
        let ports: Vec<_> = policies.iter().enumerate().map(|(n, vlan)| (id(n), vlan.clone())).collect();
        let bridge = BridgeEntry {
            fdb: Arc::new(Fdb::new(FdbConfig { capacity: 64, ageing: 300, seed: 1 })),
            flood: Arc::new(FloodLists::compile(ports.iter().map(|((port, _), vlan)| (*port, vlan)))),
            vlan_counters: None,
        };
        let tables = Tables {
            generation: 1,
            devices: ports
                .iter()
                .map(|((port, _), _)| {
                    Some(DeviceEntry {
                        port: *port,
                        mtu: 1500,
                        admission: Admission::All,
                        slow_protocols: false,
                        source: None,
                    })
                })
                .collect(),
            ports: ports
                .iter()
                .map(|((_, device), vlan)| {
                    let transmit = TransmitPlan::One(*device);
                    Some(port_entry(0, vlan.clone(), transmit))
                })
                .collect(),
            bridges: vec![Some(bridge)],
        };
        Self { tables, egress: Egress::default(), now: NOW }
    }

    /// `plain` ports 0.., and a bond as the last port with two members, the devices `plain` and `plain` + 1.
    fn with_bond(plain: usize, transmit: TransmitPlan, admission: [Admission; 2]) -> Self {
        let mut switch = Self::new(&vec![TRUNK; plain + 1]);
        let port = PortId(plain as u16);
        switch.tables.devices.truncate(plain);
        switch.tables.devices.extend(admission.map(|admission| {
            Some(DeviceEntry { port, mtu: 1500, admission, slow_protocols: false, source: None })
        }));
        switch.port(plain).transmit = transmit;
        switch
    }

    fn port(&mut self, n: usize) -> &mut PortEntry {
        self.tables.ports[n].as_mut().unwrap()
    }

    fn device(&mut self, n: usize) -> &mut DeviceEntry {
        self.tables.devices[n].as_mut().unwrap()
    }

    fn fdb(&self) -> &Fdb {
        &self.tables.bridges[0].as_ref().unwrap().fdb
    }

    /// What becomes of a frame: the devices and tags it leaves with.
    fn send(&mut self, ingress: &Ingress<'_>) -> Result<Vec<Output>, DropReason> {
        forward(&self.tables, self.now, ingress, &mut self.egress).map(|()| self.egress.outputs.clone())
    }

    /// The devices by which an untagged frame leaves.
    fn path(&mut self, device: u16, dst: MacAddr, src: MacAddr) -> Result<Vec<u16>, DropReason> {
        let bytes = frame(dst, src);
        self.send(&untagged(device, &bytes)).map(|outputs| outputs.iter().map(|o| o.device.0).collect())
    }
}

fn port_entry(bridge: u16, vlan: VlanPolicy, transmit: TransmitPlan) -> PortEntry {
    let learning = Learning::default();
    PortEntry { bridge: BridgeId(bridge), vlan, transmit, snoop: false, learning, storm: None, receive: None }
}

fn host(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

fn frame(dst: MacAddr, src: MacAddr) -> Vec<u8> {
    let mut bytes = [dst.0, src.0].concat();
    bytes.extend([0x88, 0xb5]);
    bytes.resize(60, 0);
    bytes
}

fn untagged(device: u16, bytes: &[u8]) -> Ingress<'_> {
    Ingress { device: DeviceId(device), bytes, tag: None, header: VirtioNetHeader::default() }
}

fn tagged(device: u16, bytes: &[u8], tci: u16) -> Ingress<'_> {
    Ingress { tag: Some(VlanTag { tpid: TPID_8021Q, tci }), ..untagged(device, bytes) }
}

fn output(device: u16, tci: Option<u16>) -> Output {
    Output {
        device: DeviceId(device),
        tag: tci.map(|tci| VlanTag { tpid: TPID_8021Q, tci }),
        inner: None,
        source: None,
        destination: None,
        patch: None,
    }
}

#[test]
fn unknown_destinations_are_flooded_and_known_ones_are_not() {
    let mut switch = Switch::new(&[TRUNK, TRUNK, TRUNK]);
    assert_eq!(switch.path(0, host(2), host(1)), Ok(vec![1, 2]));
    assert_eq!(switch.path(2, host(1), host(2)), Ok(vec![0]));
    assert_eq!(switch.path(0, host(2), host(1)), Ok(vec![2]));
    assert_eq!(switch.path(0, MacAddr::BROADCAST, host(1)), Ok(vec![1, 2]));
}

#[test]
fn group_destinations_are_flooded_but_for_the_reserved_ones() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    assert_eq!(switch.path(0, MacAddr([1, 0, 0x5e, 0, 0, 1]), host(1)), Ok(vec![1]));
    assert_eq!(switch.path(0, MacAddr([1, 0x80, 0xc2, 0, 0, 0x10]), host(1)), Ok(vec![1]));
    for last in 0..16 {
        let dst = MacAddr([1, 0x80, 0xc2, 0, 0, last]);
        assert_eq!(switch.path(0, dst, host(9)), Err(DropReason::ReservedMulticast));
    }
    assert_eq!(switch.fdb().lookup(0, host(9), NOW), None, "nothing is learned from a refused frame");
}

/// On a member of a bond that speaks LACP, admitted or not. Others of the reserved addresses stay what they are.
#[test]
fn slow_protocols_are_for_lacp() {
    let plan = TransmitPlan::Drop(DropReason::NoMember);
    let mut switch = Switch::with_bond(1, plan, [Admission::All, Admission::Nothing]);
    let mut lacpdu = frame(MacAddr::SLOW_PROTOCOLS, host(9));
    lacpdu[12..14].copy_from_slice(&[0x88, 0x09]);
    for device in 0..3 {
        assert_eq!(switch.send(&untagged(device, &lacpdu)), Err(DropReason::ReservedMulticast));
        switch.device(device.into()).slow_protocols = true;
        assert_eq!(switch.send(&untagged(device, &lacpdu)), Err(DropReason::SlowProtocol));
        assert_eq!((switch.egress.vlan, switch.egress.punt), (None, None));
        // With a tag, beside the octets or in them, it is none.
        assert_eq!(switch.send(&tagged(device, &lacpdu, 5)), Err(DropReason::ReservedMulticast));
        assert_eq!(switch.send(&tagged(device, &lacpdu, 0)), Err(DropReason::ReservedMulticast));
        let within = [&lacpdu[..12], &[0x81, 0, 0, 5], &lacpdu[12..]].concat();
        assert_eq!(switch.send(&untagged(device, &within)), Err(DropReason::ReservedMulticast));
        // Nor is another type, another address, or a frame that is no sound one.
        let other = frame(MacAddr::SLOW_PROTOCOLS, host(9));
        assert_eq!(switch.send(&untagged(device, &other)), Err(DropReason::ReservedMulticast));
        let mut other = lacpdu.clone();
        other[5] = 3;
        assert_eq!(switch.send(&untagged(device, &other)), Err(DropReason::ReservedMulticast));
        other[..12].copy_from_slice(&[host(2).0, host(9).0].concat());
        assert_ne!(switch.send(&untagged(device, &other)), Err(DropReason::SlowProtocol));
        let unsound = [&lacpdu[..6], &[1; 6], &lacpdu[12..]].concat();
        assert_eq!(switch.send(&untagged(device, &unsound)), Err(DropReason::InvalidSource));
    }
    assert_eq!(switch.fdb().stats().entries, 1, "of the frame to a guest's address");
}

#[test]
fn a_frame_to_where_it_came_from_is_dropped() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    switch.fdb().learn(0, host(2), PortId(0), NOW);
    assert_eq!(switch.path(0, host(2), host(1)), Err(DropReason::SamePort));
    assert_eq!(switch.path(0, host(1), host(1)), Err(DropReason::SamePort), "to itself");
}

#[test]
fn unsound_frames_are_refused() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    let bytes = frame(host(2), host(1));
    assert_eq!(switch.send(&untagged(0, &bytes[..13])), Err(DropReason::Runt));
    assert_eq!(switch.path(0, host(2), MacAddr::BROADCAST), Err(DropReason::InvalidSource));
    assert_eq!(switch.path(0, host(2), MacAddr::ZERO), Err(DropReason::InvalidSource));
    let header = VirtioNetHeader { gso_type: 77, ..Default::default() };
    assert_eq!(switch.send(&Ingress { header, ..untagged(0, &bytes) }), Err(DropReason::BadOffload));
    let mut many = bytes.clone();
    (12..28).step_by(4).for_each(|at| many[at..at + 2].copy_from_slice(&[0x81, 0]));
    assert_eq!(switch.send(&tagged(0, &many, 1)), Err(DropReason::TooManyTags));
    assert_eq!(switch.fdb().stats().learned, 0);
}

#[test]
fn frames_of_unknown_devices_are_dropped() {
    let bytes = frame(host(2), host(1));
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    assert_eq!(switch.send(&untagged(7, &bytes)), Err(DropReason::NoPort));
    switch.device(0).port = PortId(9);
    assert_eq!(switch.send(&untagged(0, &bytes)), Err(DropReason::NoPort));
    switch.port(1).bridge = BridgeId(9);
    assert_eq!(switch.send(&untagged(1, &bytes)), Err(DropReason::NoPort));
    switch.tables.devices[1] = None;
    assert_eq!(switch.send(&untagged(1, &bytes)), Err(DropReason::NoPort));
}

#[test]
fn access_ports_and_trunks() {
    let some = |vlans: &[u16]| VlanPolicy::Trunk(Some(vlans.iter().copied().collect()));
    let mut switch = Switch::new(&[
        VlanPolicy::Access(10),
        VlanPolicy::Access(20),
        TRUNK,
        some(&[10, 30]),
        VlanPolicy::Access(10),
    ]);
    let bytes = frame(MacAddr::BROADCAST, host(1));
    let vlan_10 = vec![output(2, Some(10)), output(3, Some(10)), output(4, None)];
    assert_eq!(switch.send(&untagged(0, &bytes)), Ok(vlan_10));
    assert_eq!(switch.send(&tagged(2, &bytes, 20)), Ok(vec![output(1, None)]));
    assert_eq!(switch.send(&tagged(2, &bytes, 30)), Ok(vec![output(3, Some(30))]));
    assert_eq!(switch.send(&untagged(2, &bytes)), Err(DropReason::NoEgress), "VLAN 0 has one port");
    assert_eq!(switch.send(&tagged(0, &bytes, 10)), Err(DropReason::VlanNotAllowed));
    assert_eq!(switch.send(&tagged(3, &bytes, 20)), Err(DropReason::VlanNotAllowed));
    assert_eq!(switch.send(&untagged(3, &bytes)), Err(DropReason::VlanNotAllowed));
    assert_eq!(switch.send(&tagged(2, &bytes, 4095)), Err(DropReason::VlanNotAllowed));
}

#[test]
fn priority_and_tag_protocol_survive() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    let bytes = frame(MacAddr::BROADCAST, host(1));
    assert_eq!(switch.send(&tagged(0, &bytes, 0xa00a)), Ok(vec![output(1, Some(0xa00a))]));
    let tag = Some(VlanTag { tpid: TPID_8021AD, tci: 0x600a });
    let outputs = switch.send(&Ingress { tag, ..untagged(0, &bytes) }).unwrap();
    assert_eq!(
        outputs,
        [Output { device: DeviceId(1), tag, inner: None, source: None, destination: None, patch: None }]
    );
}

#[test]
fn vlans_learn_apart() {
    let mut switch = Switch::new(&[TRUNK, TRUNK, TRUNK]);
    let bytes = frame(MacAddr::BROADCAST, host(1));
    switch.send(&tagged(0, &bytes, 10)).unwrap();
    let back = frame(host(1), host(2));
    assert_eq!(switch.send(&tagged(1, &back, 10)), Ok(vec![output(0, Some(10))]));
    assert_eq!(switch.send(&tagged(1, &back, 11)).unwrap().len(), 2, "unknown in VLAN 11");
}

#[test]
fn a_destination_whose_port_left_the_vlan_is_not_reached() {
    let mut switch = Switch::new(&[TRUNK, VlanPolicy::Access(10)]);
    switch.fdb().learn(20, host(2), PortId(1), NOW);
    let bytes = frame(host(2), host(1));
    assert_eq!(switch.send(&tagged(0, &bytes, 20)), Err(DropReason::EgressVlan));
}

#[test]
fn a_destination_whose_port_is_gone_is_unknown() {
    let mut switch = Switch::new(&[TRUNK, TRUNK, TRUNK]);
    switch.fdb().learn(0, host(2), PortId(77), NOW);
    assert_eq!(switch.path(0, host(2), host(1)), Ok(vec![1, 2]));
    switch.fdb().learn(0, host(2), PortId(2), NOW);
    switch.port(2).bridge = BridgeId(1);
    assert_eq!(switch.path(0, host(2), host(1)), Ok(vec![1]), "the port is now another bridge's");
    assert_eq!(switch.egress.dropped, [DropReason::NoPort]);
}

#[test]
fn a_bridge_with_one_port_has_no_egress() {
    let mut switch = Switch::new(&[TRUNK]);
    assert_eq!(switch.path(0, host(2), host(1)), Err(DropReason::NoEgress));
}

#[test]
fn copies_of_a_flood_that_cannot_leave_are_listed() {
    let mut switch = Switch::new(&[TRUNK, TRUNK, TRUNK, TRUNK]);
    switch.port(1).transmit = TransmitPlan::Drop(DropReason::NoMember);
    switch.device(2).mtu = 45;
    assert_eq!(switch.path(0, host(2), host(1)), Ok(vec![3]));
    assert_eq!(switch.egress.dropped, [DropReason::NoMember, DropReason::MtuExceeded]);
    switch.tables.devices[3] = None;
    assert_eq!(switch.path(0, host(2), host(1)), Err(DropReason::NoMember), "the first copy's reason");
    assert_eq!(switch.egress, Egress { vlan: Some(0), ..Egress::default() });
    switch.fdb().learn(0, host(2), PortId(3), NOW);
    assert_eq!(switch.path(0, host(2), host(1)), Err(DropReason::DeviceDown));
}

#[test]
fn a_device_of_another_port_is_never_used() {
    let mut switch = Switch::new(&[TRUNK, TRUNK, TRUNK]);
    switch.port(1).transmit = TransmitPlan::One(DeviceId(0));
    assert_eq!(switch.path(0, MacAddr::BROADCAST, host(1)), Ok(vec![2]));
    assert_eq!(switch.egress.dropped, [DropReason::DeviceDown]);
}

#[test]
fn buckets_pick_by_hash() {
    let members = |devices: &[u16]| TransmitPlan::Buckets {
        hash: HashPolicy::Layer2,
        table: devices.iter().map(|d| DeviceId(*d)).collect(),
        loads: None,
    };
    let mut switch = Switch::with_bond(1, members(&[1, 2]), [Admission::All; 2]);
    for (dst, src) in [(10, 1), (11, 1), (10, 2), (12, 7)] {
        let bytes = frame(host(dst), host(src));
        let expected = 1 + (u16::from(dst ^ src) ^ 0x88b5) % 2;
        assert_eq!(switch.send(&untagged(0, &bytes)), Ok(vec![output(expected, None)]));
    }
    switch.port(1).transmit = members(&[]);
    assert_eq!(switch.path(0, host(10), host(1)), Err(DropReason::NoMember));
}

#[test]
fn two_bonds_hash_one_frame_alike() {
    let mut switch = Switch::new(&[TRUNK, TRUNK, TRUNK]);
    for (port, members) in [(1, [1, 3]), (2, [2, 4])] {
        let table = members.iter().map(|d| DeviceId(*d)).collect();
        switch.port(port).transmit = TransmitPlan::Buckets { hash: HashPolicy::Layer2, table, loads: None };
        let entry = DeviceEntry {
            port: PortId(port as u16),
            mtu: 1500,
            admission: Admission::All,
            slow_protocols: false,
            source: None,
        };
        switch.tables.devices.push(Some(entry));
    }
    assert_eq!(switch.path(0, host(4), host(1)), Ok(vec![1, 2]), "4 ^ 1 ^ 0x88b5 is even");
    assert_eq!(switch.path(0, host(4), host(2)), Ok(vec![3, 4]));
}

#[test]
fn inactive_members_bring_nothing_in() {
    let plan = TransmitPlan::One(DeviceId(1));
    let mut switch = Switch::with_bond(1, plan, [Admission::AllButReflected, Admission::Nothing]);
    assert_eq!(switch.path(2, host(1), host(9)), Err(DropReason::InactiveMember));
    assert_eq!(switch.fdb().stats().learned, 0);
    assert_eq!(switch.path(1, host(1), host(9)), Ok(vec![0]));
}

#[test]
fn reflections_are_neither_delivered_nor_learned() {
    let plan = TransmitPlan::One(DeviceId(2));
    let mut switch = Switch::with_bond(2, plan, [Admission::AllButReflected; 2]);
    assert_eq!(switch.path(0, MacAddr::BROADCAST, host(1)), Ok(vec![1, 2]));
    for member in [2, 3] {
        assert_eq!(switch.path(member, MacAddr::BROADCAST, host(1)), Err(DropReason::Reflected));
    }
    assert_eq!(switch.fdb().lookup(0, host(1), NOW), Some(PortId(0)));
    assert_eq!(switch.path(3, MacAddr::BROADCAST, host(9)), Ok(vec![0, 1]), "others pass");
    assert_eq!(switch.path(2, MacAddr::BROADCAST, host(9)), Ok(vec![0, 1]), "known on the bond itself");
}

#[test]
fn a_guest_that_moved_behind_the_bond_is_believed_after_a_while() {
    let plan = TransmitPlan::One(DeviceId(1));
    let mut switch = Switch::with_bond(1, plan, [Admission::AllButReflected; 2]);
    switch.fdb().learn(0, host(1), PortId(0), Tick(NOW.0 - REFLECTION_TICKS));
    assert_eq!(switch.path(1, MacAddr::BROADCAST, host(1)), Err(DropReason::Reflected));
    switch.fdb().flush();
    switch.fdb().learn(0, host(1), PortId(0), Tick(NOW.0 - REFLECTION_TICKS - 1));
    assert_eq!(switch.path(1, MacAddr::BROADCAST, host(1)), Ok(vec![0]));
    assert_eq!(switch.fdb().lookup(0, host(1), NOW), Some(PortId(1)));
}

#[test]
fn grace_takes_known_unicast_and_learns_nothing() {
    let plan = TransmitPlan::One(DeviceId(1));
    let mut switch = Switch::with_bond(1, plan, [Admission::All, Admission::Grace]);
    switch.fdb().learn(0, host(1), PortId(0), NOW);
    switch.fdb().learn(0, host(8), PortId(1), NOW);
    assert_eq!(switch.path(2, host(1), host(9)), Ok(vec![0]));
    for dst in [MacAddr::BROADCAST, host(5), host(8)] {
        assert_eq!(switch.path(2, dst, host(9)), Err(DropReason::InactiveMember), "{dst}");
    }
    assert_eq!(switch.path(2, host(1), host(1)), Err(DropReason::Reflected));
    assert_eq!(switch.fdb().lookup(0, host(9), NOW), None);
}

#[test]
fn a_full_table_forwards_all_the_same() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    let fdb = Fdb::new(FdbConfig { capacity: 64, ageing: 300, seed: 1 });
    let stuck = (0..=255).map(host).find(|mac| fdb.learn(0, *mac, PortId(0), NOW) == Learned::Full).unwrap();
    switch.tables.bridges[0].as_mut().unwrap().fdb = Arc::new(fdb);
    assert_eq!(switch.path(0, MacAddr::BROADCAST, stuck), Ok(vec![1]));
    assert_eq!(switch.fdb().stats().refused, 2);
}

/// A TCP super-frame over IPv4: header lengths 14, 20 and 32.
fn super_frame(inner_tag: bool) -> (Vec<u8>, VirtioNetHeader) {
    let mut bytes = [host(2).0, host(1).0].concat();
    if inner_tag {
        bytes.extend([0x81, 0, 0, 5]);
    }
    let l3 = bytes.len() + 2;
    bytes.extend([0x08, 0x00, 0x45]);
    bytes.resize(l3 + 20, 0);
    bytes[l3 + 9] = 6;
    bytes.resize(l3 + 9000, 0);
    bytes[l3 + 32] = 0x80;
    let header = VirtioNetHeader {
        flags: virtio::F_NEEDS_CSUM,
        gso_type: virtio::GSO_TCPV4,
        hdr_len: 0,
        gso_size: 1448,
        csum_start: l3 as u16 + 20,
        csum_offset: 16,
    };
    (bytes, header)
}

#[test]
fn frames_are_measured_by_their_layer_3() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    let mut bytes = frame(MacAddr::BROADCAST, host(1));
    bytes.resize(14 + 1500, 0);
    assert!(switch.send(&untagged(0, &bytes)).is_ok());
    assert!(switch.send(&tagged(0, &bytes, 5)).is_ok(), "the tag does not count");
    bytes.push(0);
    assert_eq!(switch.send(&untagged(0, &bytes)), Err(DropReason::MtuExceeded));
    bytes[12..18].copy_from_slice(&[0x81, 0, 0, 5, 0x88, 0xb5]);
    bytes.resize(18 + 1500, 0);
    assert!(switch.send(&tagged(0, &bytes, 5)).is_ok(), "nor does an inner tag");
}

#[test]
fn super_frames_are_measured_by_their_segments() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    for inner_tag in [false, true] {
        let (bytes, header) = super_frame(inner_tag);
        let ingress = Ingress { header, ..untagged(0, &bytes) };
        assert!(switch.send(&ingress).is_ok());
        switch.device(1).mtu = 1499;
        assert_eq!(switch.send(&ingress), Err(DropReason::MtuExceeded));
        let verified = VirtioNetHeader { flags: 0, ..header };
        assert_eq!(switch.send(&Ingress { header: verified, ..ingress }), Err(DropReason::MtuExceeded));
        switch.device(1).mtu = 1500;
        assert!(switch.send(&Ingress { header: verified, ..ingress }).is_ok(), "found by the IP header");
        let bigger = VirtioNetHeader { gso_size: 1449, ..header };
        assert_eq!(switch.send(&Ingress { header: bigger, ..ingress }), Err(DropReason::MtuExceeded));
    }
}

#[test]
fn a_super_frame_without_headers_is_measured_whole() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    let mut bytes = frame(host(2), host(1));
    bytes.resize(14 + 1501, 0);
    let header = VirtioNetHeader { gso_type: virtio::GSO_TCPV4, gso_size: 100, ..Default::default() };
    assert_eq!(switch.send(&Ingress { header, ..untagged(0, &bytes) }), Err(DropReason::MtuExceeded));
    bytes.pop();
    assert!(switch.send(&Ingress { header, ..untagged(0, &bytes) }).is_ok());
}

#[test]
fn udp_super_frames() {
    let mut switch = Switch::new(&[TRUNK, TRUNK]);
    let (mut bytes, header) = super_frame(false);
    bytes[14 + 9] = 17;
    for (gso_type, fits) in [(virtio::GSO_UDP_L4, 1472), (virtio::GSO_UDP, 1480)] {
        let header = VirtioNetHeader { gso_type, gso_size: fits, csum_offset: 6, ..header };
        assert!(switch.send(&Ingress { header, ..untagged(0, &bytes) }).is_ok());
        let header = VirtioNetHeader { gso_size: fits + 1, ..header };
        assert_eq!(switch.send(&Ingress { header, ..untagged(0, &bytes) }), Err(DropReason::MtuExceeded));
    }
}
