use std::sync::Arc;

use forwarding::drop_reason::DropReason;
use forwarding::fdb::{Fdb, FdbConfig};
use forwarding::flow_hash::HashPolicy;
use forwarding::ids::{BridgeId, PortId};
use forwarding::receive::Guests;
use forwarding::tables::{Admission, BridgeEntry, DeviceEntry, Learning};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::*;

fn port(vlan: VlanPolicy, transmit: TransmitPlan) -> PortEntry {
    let (bridge, learning) = (BridgeId(0), Learning::default());
    PortEntry { bridge, vlan, transmit, snoop: false, learning, storm: None, receive: None }
}

/// Ports of a bridge, without devices.
fn image_of(ports: Vec<PortEntry>) -> Image {
    let facts = |n| Some(PortFacts { name: format!("p{n}"), ..PortFacts::default() });
    let facts = Facts { ports: (0..ports.len()).map(facts).collect(), ..Facts::default() };
    encode(&Tables { ports: ports.into_iter().map(Some).collect(), ..Tables::default() }, &facts)
}

fn trunk(vlans: impl IntoIterator<Item = u16>) -> VlanPolicy {
    VlanPolicy::Trunk(Some(vlans.into_iter().collect()))
}

fn by(device: u16) -> TransmitPlan {
    TransmitPlan::One(DeviceId(device))
}

fn devices(numbers: impl IntoIterator<Item = u16>) -> Arc<[DeviceId]> {
    numbers.into_iter().map(DeviceId).collect()
}

fn buckets(members: impl IntoIterator<Item = u16>) -> TransmitPlan {
    TransmitPlan::Buckets { hash: HashPolicy::Layer34, table: devices(members), loads: None }
}

fn turns(members: impl IntoIterator<Item = u16>) -> TransmitPlan {
    TransmitPlan::RoundRobin { members: devices(members), per_member: 3, turn: Arc::default() }
}

fn has_no_room(port: &Port) -> bool {
    port.flags & port_flags::NO_ROOM != 0
}

#[test]
fn a_set_of_vlans_is_there_once() {
    let native = VlanPolicy::NativeTagged { native: 9, trunks: Some([7, 5].into_iter().collect()) };
    let tunnel = VlanPolicy::Dot1qTunnel { vlan: 9, cvlans: Some([5, 7].into_iter().collect()) };
    let policies = [trunk([5, 7]), native, tunnel, trunk([5]), VlanPolicy::Trunk(None)];
    let image = image_of(policies.into_iter().map(|vlan| port(vlan, by(0))).collect());
    assert_eq!(image.vlan_sets.len(), 2);
    assert_eq!(image.vlan_sets[0][0], 1 << 5 | 1 << 7);
    let every = layout::EVERY_VLAN;
    let sets: Vec<_> = image.ports.iter().map(|port| (port.trunks, port.cvlans)).collect();
    assert_eq!(sets, [(0, every), (0, every), (every, 0), (1, every), (every, every)]);
    assert_eq!(image.left_out, [""; 0]);
}

#[test]
fn ports_whose_vlans_do_not_fit_are_left_out() {
    let sets = (0..MAX_VLAN_SETS as u16 + 2).map(|n| trunk([n]));
    let more = [trunk([0]), VlanPolicy::Trunk(None), VlanPolicy::Access(5)];
    let image = image_of(sets.chain(more).map(|vlan| port(vlan, by(0))).collect());
    assert_eq!(image.vlan_sets.len(), MAX_VLAN_SETS);
    assert_eq!(image.left_out, [format!("p{MAX_VLAN_SETS}"), format!("p{}", MAX_VLAN_SETS + 1)]);
    for (number, port) in image.ports.iter().enumerate() {
        let left_out = image.left_out.contains(&format!("p{number}"));
        assert_eq!((port.used, has_no_room(port)), (1, left_out), "p{number}");
    }
}

#[test]
fn ports_whose_members_do_not_fit_are_left_out() {
    let full = MAX_BUCKET_TABLES as u16;
    let plans = (0..full + 1).map(|n| buckets([n])).chain([
        by(7),
        turns([1]),
        TransmitPlan::All { members: devices([1]) },
    ]);
    let image = image_of(plans.map(|plan| port(VlanPolicy::Access(0), plan)).collect());
    assert_eq!(image.tables.len(), MAX_BUCKET_TABLES);
    let left_out = [full, full + 2, full + 3];
    assert_eq!(image.left_out, left_out.map(|n| format!("p{n}")));
    for (number, port) in image.ports.iter().enumerate() {
        assert_eq!(has_no_room(port), left_out.contains(&(number as u16)), "p{number}");
    }
}

#[test]
fn a_plan_has_so_many_members() {
    let (most, copies) = (MAX_BUCKETS as u16, MAX_COPIES as u16);
    let all = |count| TransmitPlan::All { members: devices(0..count) };
    for (plan, fits) in [
        (buckets(0..most), true),
        (buckets(0..most + 1), false),
        (turns(0..most), true),
        (turns(0..most + 1), false),
        (all(copies), true),
        (all(copies + 1), false),
    ] {
        let image =
            image_of(vec![port(VlanPolicy::Access(0), plan.clone()), port(VlanPolicy::Access(0), by(1))]);
        assert_eq!(has_no_room(&image.ports[0]), !fits, "{plan:?}");
        assert_eq!((image.left_out.is_empty(), image.tables.len()), (fits, usize::from(fits)), "{plan:?}");
        assert!(!has_no_room(&image.ports[1]));
    }
}

#[test]
fn each_plan() {
    let plans = [
        TransmitPlan::Drop(DropReason::NoMember),
        by(4),
        buckets([3, 1]),
        turns([1, 2, 3]),
        TransmitPlan::All { members: devices([2]) },
    ];
    let image = image_of(plans.map(|plan| port(VlanPolicy::Access(0), plan)).into());
    let flat: Vec<_> =
        image.ports.iter().map(|p| (p.plan, p.device, p.table, p.buckets, p.per_member)).collect();
    let expected = [
        (plan::DROP, 0, 0, 0, 0),
        (plan::ONE, 4, 0, 0, 0),
        (plan::BUCKETS, 0, 0, 2, 0),
        (plan::ROUND_ROBIN, 0, 1, 3, 3),
        (plan::ALL, 0, 2, 1, 0),
    ];
    assert_eq!(flat, expected);
    let tables: Vec<_> = image.tables.iter().map(|table| table[..4].to_vec()).collect();
    assert_eq!(tables, [[3, 1, 0, 0], [1, 2, 3, 0], [2, 0, 0, 0]]);
}

/// Devices whose interface indexes are these, all of port 0.
fn image_of_devices(indexes: &[u32]) -> Image {
    let entry = DeviceEntry {
        port: PortId(0),
        mtu: 1500,
        admission: Admission::All,
        slow_protocols: false,
        source: None,
    };
    let facts = |ifindex: &u32| {
        Some(DeviceFacts { name: format!("d{ifindex}"), ifindex: *ifindex, ..DeviceFacts::default() })
    };
    let tables = Tables { devices: vec![Some(entry); indexes.len()], ..Tables::default() };
    encode(&tables, &Facts { devices: indexes.iter().map(facts).collect(), ..Facts::default() })
}

#[test]
fn ports_that_count_by_bucket_have_their_counters() {
    let counts = |counts: bool| TransmitPlan::Buckets {
        hash: HashPolicy::Layer2,
        table: devices([1, 2]),
        loads: counts.then(Arc::default),
    };
    let facts = |loads| Some(PortFacts { name: "p".to_owned(), is_bond: true, loads, receive_loads: None });
    let plans =
        [(counts(true), Some(0)), (counts(true), None), (counts(false), Some(7)), (counts(true), Some(63))];
    let entries = plans.iter().map(|(plan, _)| Some(port(VlanPolicy::Access(0), plan.clone())));
    let tables = Tables { ports: entries.collect(), ..Tables::default() };
    let facts = plans.iter().map(|(_, loads)| facts(*loads)).collect();
    let image = encode(&tables, &Facts { ports: facts, ..Facts::default() });
    assert_eq!(image.ports.iter().map(|port| port.loads).collect::<Vec<_>>(), [1, 0, 0, 64]);
}

fn receive(own: u8, guests: u32) -> Arc<Receive> {
    let mac = |n: u8| MacAddr([6, 0, 0, 0, 0, n]);
    let mut table = [None; MAX_BUCKETS];
    table[3] = Some(mac(1));
    Arc::new(Receive {
        own: (0..own).map(|n| (mac(n), DeviceId(u16::from(n) + 0x100))).collect(),
        table: Arc::new(table),
        guests: Arc::new(Guests::new((0..guests).map(|n| ((n as u16 & 1, n.to_be_bytes().into()), mac(9))))),
        loads: Arc::default(),
    })
}

fn balanced(receive: Arc<Receive>) -> PortEntry {
    PortEntry { receive: Some(receive), ..port(VlanPolicy::Access(0), by(0)) }
}

#[test]
fn receive_balancing_of_a_bond() {
    let image =
        image_of(vec![port(VlanPolicy::Access(0), by(1)), balanced(receive(2, 3)), balanced(receive(0, 0))]);
    assert!(image.left_out.is_empty());
    let flags = |n: usize| image.ports[n].flags & (port_flags::TRANSLATE | port_flags::SNOOP);
    assert_eq!([flags(0), flags(1), flags(2)], [0, 10, 10]);
    assert_eq!((image.ports[1].receive, image.ports[2].receive, image.receives.len()), (0, 1, 2));
    let encoded = &image.receives[0];
    assert_eq!(encoded.own[..3], [0x0600_0000_0000_0100, 0x0600_0000_0001_0101, 0]);
    assert_eq!(encoded.told[2..5], [0, 0x0600_0000_0001_0000, 0]);
    let key = |vlan, last| {
        let mut ip = [0; 16];
        (ip[10], ip[11], ip[15]) = (0xff, 0xff, last);
        GuestKey { port: 1, vlan, ip }
    };
    let expected = [key(0, 0), key(0, 2), key(1, 1)];
    assert!(
        image.guests.keys().eq(&expected) && image.guests.values().all(|mac| *mac == 0x0600_0000_0009_0000)
    );
}

#[test]
fn receive_balancing_that_does_not_fit_is_left_to_workers() {
    let rooms = |ports: Vec<PortEntry>| {
        let image = image_of(ports);
        (image.ports.iter().map(|port| !has_no_room(port)).collect::<Vec<_>>(), image.guests.len())
    };
    let most = MAX_OWN as u8;
    assert_eq!(
        rooms(vec![balanced(receive(most, 1)), balanced(receive(most + 1, 1))]),
        (vec![true, false], 1)
    );
    let many = vec![balanced(receive(1, 0)); MAX_RECEIVES + 1];
    assert_eq!(rooms(many).0.iter().filter(|fits| **fits).count(), MAX_RECEIVES);
    // Four bonds with as many guests as there may be of each fill the map.
    let full = vec![balanced(receive(1, 4096)); 5];
    assert_eq!(rooms(full), (vec![true, true, true, true, false], MAX_GUESTS));
}

#[test]
fn devices_that_do_not_fit_by_their_index_are_reported() {
    let alike = |n: usize| (5 + n * INDEX_BUCKETS) as u32;
    let indexes: Vec<u32> = (0..INDEX_WAYS + 2).map(alike).chain([6]).collect();
    let image = image_of_devices(&indexes);
    let (left_out, there) =
        ([alike(INDEX_WAYS), alike(INDEX_WAYS + 1)], |ifindex| is_indexed(&image, ifindex));
    assert_eq!(image.left_out, left_out.map(|ifindex| format!("d{ifindex}")));
    for (number, ifindex) in indexes.iter().enumerate() {
        assert_eq!(there(*ifindex), !left_out.contains(ifindex), "{ifindex}");
        // Frames may still be sent by it.
        assert_eq!(image.devices[number].ifindex, *ifindex);
    }
    assert!(!there(7) && !there(6 + INDEX_BUCKETS as u32));
    let expected: Vec<_> = (0..INDEX_WAYS).map(|n| [alike(n), n as u32]).collect();
    assert_eq!(image.index[5].ways[..], expected);
}

#[test]
fn bridges_without_a_map_are_left_out_and_free_numbers_stay_free() {
    let config = FdbConfig { capacity: 100, ageing: 77, seed: 5 };
    let fdb = Arc::new(Fdb::new(config));
    let bridge = |counts: bool| BridgeEntry {
        fdb: Arc::clone(&fdb),
        flood: Arc::default(),
        vlan_counters: counts.then(Arc::default),
    };
    let facts = |name: &str, fdb| Some(BridgeFacts { name: name.to_owned(), fdb });
    let tables = Tables {
        bridges: vec![Some(bridge(true)), None, Some(bridge(false)), Some(bridge(false))],
        ..Tables::default()
    };
    let facts = Facts {
        bridges: vec![facts("br0", Some(9)), None, facts("br2", None), facts("br3", Some(4))],
        ..Facts::default()
    };
    let image = encode(&tables, &facts);
    assert_eq!(image.left_out, ["br2"]);
    let used: Vec<_> = image.bridges.iter().map(|bridge| (bridge.used, bridge.fdb, bridge.flags)).collect();
    assert_eq!(used, [(1, 9, bridge_flags::COUNT_VLANS), (0, 0, 0), (0, 0, 0), (1, 4, 0)]);
    let br0 = &image.bridges[0];
    assert_eq!((br0.secret, br0.fdb_buckets), (fdb.layout().secret, fdb.layout().buckets));
    assert_eq!((br0.ageing, br0.seed, br0.capacity, br0.name.text()), (77, 5, 100, "br0".to_owned()));
}

/// The set of VLANs with a number.
fn set_of(image: &Image, number: u16) -> Option<VlanSet> {
    if number == layout::EVERY_VLAN {
        return None;
    }
    let words = image.vlan_sets[usize::from(number)];
    Some((0..4096).filter(|vlan| words[usize::from(vlan / 64)] >> (vlan % 64) & 1 == 1).collect())
}

/// The policy that the program reads.
fn policy_of(image: &Image, port: &Port) -> VlanPolicy {
    let (native, trunks) = (port.vlan, set_of(image, port.trunks));
    match port.vlan_mode {
        vlan_mode::ACCESS => VlanPolicy::Access(native),
        vlan_mode::TRUNK => VlanPolicy::Trunk(trunks),
        vlan_mode::NATIVE_TAGGED => VlanPolicy::NativeTagged { native, trunks },
        vlan_mode::NATIVE_UNTAGGED => VlanPolicy::NativeUntagged { native, trunks },
        vlan_mode::TUNNEL => VlanPolicy::Dot1qTunnel { vlan: native, cvlans: set_of(image, port.cvlans) },
        other => panic!("VLAN mode {other}"),
    }
}

/// The plan that the program reads. It drops without a reason.
fn plan_of(image: &Image, port: &Port) -> TransmitPlan {
    let members = || {
        let table = &image.tables[usize::from(port.table)];
        devices(table[..usize::from(port.buckets)].iter().copied())
    };
    let policies = HashPolicy::ALL.into_iter().chain([HashPolicy::Offload, HashPolicy::Slb]);
    match port.plan {
        plan::DROP => TransmitPlan::Drop(DropReason::NoMember),
        plan::ONE => by(port.device),
        plan::BUCKETS => TransmitPlan::Buckets {
            hash: { policies }.nth(port.hash.into()).expect("a policy"),
            table: members(),
            loads: None,
        },
        plan::BALANCED => TransmitPlan::Balanced {
            hash: { policies }.nth(port.hash.into()).expect("a policy"),
            table: members(),
            loads: None,
            home: DeviceId(port.device),
            own: Arc::default(),
        },
        plan::ROUND_ROBIN => {
            TransmitPlan::RoundRobin { members: members(), per_member: port.per_member, turn: Arc::default() }
        }
        plan::ALL => TransmitPlan::All { members: members() },
        other => panic!("plan {other}"),
    }
}

fn some_policy() -> impl Strategy<Value = VlanPolicy> {
    let vlan = || prop_oneof![0..4u16, 0..=forwarding::vlan::MAX_VLAN];
    let set = move || option::of(vec(vlan(), 0..5).prop_map(VlanSet::from_iter));
    prop_oneof![
        vlan().prop_map(VlanPolicy::Access),
        set().prop_map(VlanPolicy::Trunk),
        (vlan(), set()).prop_map(|(native, trunks)| VlanPolicy::NativeTagged { native, trunks }),
        (vlan(), set()).prop_map(|(native, trunks)| VlanPolicy::NativeUntagged { native, trunks }),
        (vlan(), set()).prop_map(|(vlan, cvlans)| VlanPolicy::Dot1qTunnel { vlan, cvlans }),
    ]
}

fn some_plan() -> impl Strategy<Value = TransmitPlan> {
    let members =
        |most| vec((0..MAX_DEVICES as u16).prop_map(DeviceId), 0..=most).prop_map(Arc::<[DeviceId]>::from);
    let policies: Vec<_> =
        HashPolicy::ALL.into_iter().chain([HashPolicy::Offload, HashPolicy::Slb]).collect();
    prop_oneof![
        Just(TransmitPlan::Drop(DropReason::NoMember)),
        (0..MAX_DEVICES as u16).prop_map(by),
        (prop::sample::select(policies.clone()), prop_oneof![members(8), members(MAX_BUCKETS)])
            .prop_map(|(hash, table)| TransmitPlan::Buckets { hash, table, loads: None }),
        (
            prop::sample::select(policies),
            prop_oneof![members(8), members(MAX_BUCKETS)],
            0..MAX_DEVICES as u16
        )
            .prop_map(|(hash, table, home)| TransmitPlan::Balanced {
                hash,
                table,
                loads: None,
                home: DeviceId(home),
                own: Arc::default(),
            }),
        (members(8), any::<u32>()).prop_map(|(members, per_member)| TransmitPlan::RoundRobin {
            members,
            per_member,
            turn: Arc::default()
        }),
        members(MAX_COPIES).prop_map(|members| TransmitPlan::All { members }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Nothing of a policy or a plan is lost.
    #[test]
    fn the_program_reads_what_was_meant(ports in vec(option::of((some_policy(), some_plan(), any::<bool>())), 0..12)) {
        let entries = ports.iter().map(|p| p.as_ref().map(|(vlan, transmit, _)| port(vlan.clone(), transmit.clone())));
        let facts_of = |is_bond: bool| PortFacts { name: "p".to_owned(), is_bond, loads: None, receive_loads: None };
        let facts = ports.iter().map(|p| p.as_ref().map(|(.., is_bond)| facts_of(*is_bond)));
        let tables = Tables { ports: entries.collect(), ..Tables::default() };
        let image = encode(&tables, &Facts { ports: facts.collect(), ..Facts::default() });
        prop_assert_eq!(image.ports.len(), ports.len());
        prop_assert!(image.left_out.is_empty());
        for (flat, meant) in image.ports.iter().zip(&ports) {
            let Some((vlan, transmit, is_bond)) = meant else {
                prop_assert_eq!(flat, &Port::default());
                continue;
            };
            prop_assert_eq!(flat.used, 1);
            prop_assert_eq!(flat.flags, if *is_bond { port_flags::BOND } else { 0 });
            prop_assert_eq!(&policy_of(&image, flat), vlan);
            prop_assert_eq!(&plan_of(&image, flat), transmit);
        }
    }
}
