//! Each VLAN mode: what comes in, what goes out, where a flood goes.

use super::*;
use crate::vlan::VlanSet;

fn set(vlans: &[u16]) -> Option<VlanSet> {
    Some(vlans.iter().copied().collect())
}

fn c_tag(tci: u16) -> Option<VlanTag> {
    Some(VlanTag { tpid: TPID_8021Q, tci })
}

fn s_tag(tci: u16) -> Option<VlanTag> {
    Some(VlanTag { tpid: TPID_8021AD, tci })
}

fn both(device: u16, tag: Option<VlanTag>, inner: Option<VlanTag>) -> Output {
    Output { device: DeviceId(device), tag, inner, source: None, destination: None, patch: None }
}

/// A broadcast frame with a tag beside it, and perhaps one in its octets.
fn flood(
    switch: &mut Switch,
    device: u16,
    tag: Option<VlanTag>,
    within: Option<u16>,
) -> Result<Vec<Output>, DropReason> {
    let mut bytes = frame(MacAddr::BROADCAST, host(device as u8 + 1));
    if let Some(tci) = within {
        bytes.splice(12..12, [&[0x81, 0x00][..], &tci.to_be_bytes()].concat());
    }
    switch.send(&Ingress { tag, ..untagged(device, &bytes) })
}

/// 0: access 10; 1: trunk; 2: native-tagged 10, trunks 20; 3: native-untagged 10, trunks 20; 4: native-untagged 20.
fn native_switch() -> Switch {
    Switch::new(&[
        VlanPolicy::Access(10),
        TRUNK,
        VlanPolicy::NativeTagged { native: 10, trunks: set(&[20]) },
        VlanPolicy::NativeUntagged { native: 10, trunks: set(&[20]) },
        VlanPolicy::NativeUntagged { native: 20, trunks: None },
    ])
}

#[test]
fn the_native_vlan_goes_in_untagged_and_out_as_the_mode_says() {
    let mut switch = native_switch();
    for (from, tag) in [(2, None), (3, None), (2, c_tag(0xa000)), (2, c_tag(10)), (3, c_tag(10)), (0, None)] {
        let priority = tag.map_or(0, |tag| tag.tci & 0xf000);
        let all = [
            output(0, None),
            output(1, Some(priority | 10)),
            output(2, Some(priority | 10)),
            output(3, None),
            output(4, Some(priority | 10)),
        ];
        let others: Vec<_> = all.into_iter().filter(|output| output.device.0 != from).collect();
        assert_eq!(flood(&mut switch, from, tag, None), Ok(others), "{from} {tag:?}");
    }
    assert_eq!(switch.fdb().lookup(10, host(3), NOW), Some(PortId(2)));
}

#[test]
fn other_vlans_of_a_native_port_are_those_of_a_trunk() {
    let mut switch = native_switch();
    let vlan_20 = vec![output(1, Some(20)), output(3, Some(20)), output(4, None)];
    assert_eq!(flood(&mut switch, 2, c_tag(20), None), Ok(vlan_20));
    assert_eq!(flood(&mut switch, 2, c_tag(30), None), Err(DropReason::VlanNotAllowed));
    assert_eq!(flood(&mut switch, 4, c_tag(30), None), Ok(vec![output(1, Some(30))]));
    assert_eq!(
        flood(&mut switch, 1, None, None),
        Ok(vec![output(4, None)]),
        "VLAN 0 is one that trunks of all carry"
    );
    switch.fdb().learn(30, host(9), PortId(2), NOW);
    let bytes = frame(host(9), host(8));
    assert_eq!(switch.send(&tagged(1, &bytes, 30)), Err(DropReason::EgressVlan));
}

/// 0, 1: tunnels of service VLAN 100; 2: trunk; 3: access 100; 4: tunnel of 100 with customer VLANs 12 and 13; 5: tunnel
/// of another service VLAN.
fn tunnel_switch() -> Switch {
    let tunnel = |vlan, cvlans| VlanPolicy::Dot1qTunnel { vlan, cvlans };
    Switch::new(&[
        tunnel(100, None),
        tunnel(100, None),
        TRUNK,
        VlanPolicy::Access(100),
        tunnel(100, set(&[12, 13])),
        tunnel(200, None),
    ])
}

#[test]
fn a_customers_tag_crosses_the_tunnel_unchanged() {
    let mut switch = tunnel_switch();
    let customer = c_tag(0x600c);
    let copies = vec![
        both(1, customer, None),
        both(2, s_tag(100), customer),
        both(3, customer, None),
        both(4, customer, None),
    ];
    assert_eq!(flood(&mut switch, 0, customer, None), Ok(copies));
    let priority = c_tag(0xa000);
    let copies = vec![both(1, priority, None), both(2, s_tag(100), priority), both(3, priority, None)];
    assert_eq!(flood(&mut switch, 0, priority, None), Ok(copies));
    assert_eq!(switch.egress.dropped, [DropReason::EgressVlan], "customer VLAN 0 is not in the list");
    let service = s_tag(7);
    let copies = vec![both(1, service, None), both(2, s_tag(100), service), both(3, service, None)];
    assert_eq!(flood(&mut switch, 0, service, None), Ok(copies), "whatever the customer's tag is");
    assert_eq!(switch.fdb().lookup(100, host(1), NOW), Some(PortId(0)));
}

#[test]
fn untagged_frames_of_a_tunnel_get_the_service_tag_alone() {
    let mut switch = tunnel_switch();
    let copies = vec![output(1, None), both(2, s_tag(100), None), output(3, None)];
    assert_eq!(flood(&mut switch, 0, None, None), Ok(copies));
}

#[test]
fn the_service_tag_comes_off_and_what_is_within_stays() {
    let mut switch = tunnel_switch();
    let out = [output(0, None), output(1, None), output(3, None), output(4, None)];
    for tag in [s_tag(100), c_tag(100)] {
        assert_eq!(
            flood(&mut switch, 2, tag, Some(0x600d)),
            Ok(out.to_vec()),
            "the customer's tag is in the octets"
        );
        assert_eq!(flood(&mut switch, 2, tag, Some(14)), Ok(out[..3].to_vec()));
        assert_eq!(flood(&mut switch, 2, tag, None), Ok(out[..3].to_vec()), "no tag is customer VLAN 0");
    }
    assert_eq!(flood(&mut switch, 2, s_tag(200), Some(12)), Ok(vec![output(5, None)]));
    assert_eq!(flood(&mut switch, 2, s_tag(300), Some(12)), Err(DropReason::NoEgress));
}

#[test]
fn a_tunnel_with_a_list_takes_just_those_customer_vlans() {
    let mut switch = tunnel_switch();
    assert!(flood(&mut switch, 4, c_tag(13), None).is_ok());
    for refused in [None, c_tag(0), c_tag(14), c_tag(100), c_tag(4095)] {
        assert_eq!(flood(&mut switch, 4, refused, None), Err(DropReason::VlanNotAllowed));
    }
    switch.fdb().learn(100, host(9), PortId(4), NOW);
    let bytes = frame(host(9), host(1));
    assert_eq!(switch.send(&tagged(0, &bytes, 13)), Ok(vec![both(4, c_tag(13), None)]));
    assert_eq!(switch.send(&tagged(0, &bytes, 14)), Err(DropReason::EgressVlan));
}

/// What Linux computes for a frame with both tags: the inner one stands in the octets.
#[test]
fn a_bond_hashes_the_frame_with_its_inner_tag() {
    for (policy, within) in [(HashPolicy::Layer34, 0x8100u32), (HashPolicy::Layer2, 0x8100)] {
        let plan = TransmitPlan::Buckets { hash: policy, table: (1..4).map(DeviceId).collect(), loads: None };
        let mut switch = Switch::with_bond(1, plan, [Admission::All; 2]);
        switch.tables.devices.push(switch.tables.devices[1].clone());
        switch.port(0).vlan = VlanPolicy::Dot1qTunnel { vlan: 100, cvlans: None };
        let bytes = frame(host(2), host(1));
        let (hash, outputs) = (2 ^ 1 ^ within, switch.send(&tagged(0, &bytes, 12)).unwrap());
        assert_eq!(outputs, [both(1 + (hash % 3) as u16, s_tag(100), c_tag(12))]);
        assert_eq!(trace(&switch.tables, NOW, &tagged(0, &bytes, 12)).hash, Some(hash));
    }
}
