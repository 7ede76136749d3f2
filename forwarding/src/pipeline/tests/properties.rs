//! What is true of every frame and every table.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::*;
use crate::bucket_loads::BUCKETS;
use crate::receive::{Guests, Receive};
use crate::rewrite::MAX_PATCHED;
use crate::storm::StormLimits;
use crate::vlan::VlanSet;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const PORTS: u16 = 6;
const DEVICES: u16 = 9;

fn vlan() -> impl Strategy<Value = u16> {
    prop_oneof![0..4u16, Just(4094)]
}

fn policy() -> impl Strategy<Value = VlanPolicy> {
    let set = || vec(vlan(), 0..4).prop_map(VlanSet::from_iter);
    prop_oneof![
        2 => vlan().prop_map(VlanPolicy::Access),
        3 => Just(VlanPolicy::Trunk(None)),
        1 => set().prop_map(|set| VlanPolicy::Trunk(Some(set))),
        1 => (vlan(), option::of(set())).prop_map(|(native, trunks)| VlanPolicy::NativeTagged { native, trunks }),
        1 => (vlan(), option::of(set())).prop_map(|(native, trunks)| VlanPolicy::NativeUntagged { native, trunks }),
        2 => (vlan(), option::of(set())).prop_map(|(vlan, cvlans)| VlanPolicy::Dot1qTunnel { vlan, cvlans }),
    ]
}

fn device_id() -> impl Strategy<Value = DeviceId> {
    (0..DEVICES + 1).prop_map(DeviceId)
}

fn plan() -> impl Strategy<Value = TransmitPlan> {
    prop_oneof![
        1 => Just(TransmitPlan::Drop(DropReason::NoMember)),
        4 => device_id().prop_map(TransmitPlan::One),
        3 => (hash_policy(), vec(device_id(), 0..4))
            .prop_map(|(hash, table)| TransmitPlan::Buckets { hash, table: table.into(), loads: None }),
        2 => (distinct_devices(), 0..4u32).prop_map(|(members, per_member)| TransmitPlan::RoundRobin {
            members,
            per_member,
            turn: Arc::default(),
        }),
        3 => (hash_policy(), vec(device_id(), 0..4), device_id()).prop_map(|(hash, table, home)| {
            TransmitPlan::Balanced { hash, table: table.into(), loads: None, home, own: Arc::from([host(6)]) }
        }),
        2 => distinct_devices().prop_map(|members| TransmitPlan::All { members }),
    ]
}

fn hash_policy() -> impl Strategy<Value = HashPolicy> {
    prop_oneof![6 => prop::sample::select(&HashPolicy::ALL), 1 => Just(HashPolicy::Offload), 1 => Just(HashPolicy::Slb)]
}

fn distinct_devices() -> impl Strategy<Value = Arc<[DeviceId]>> {
    let all: Vec<DeviceId> = (0..DEVICES + 1).map(DeviceId).collect();
    prop::sample::subsequence(all, 0..5).prop_shuffle().prop_map(Arc::from)
}

fn admission() -> impl Strategy<Value = Admission> {
    prop_oneof![
        4 => Just(Admission::All),
        2 => Just(Admission::AllButReflected),
        2 => Just(Admission::Grace),
        1 => Just(Admission::Nothing),
        2 => (vec(0..256usize, 0..200), vec(0..256usize, 0..200), any::<bool>()).prop_map(|(own, lately, groups)| {
            let (own, lately) = (own.into_iter().collect(), lately.into_iter().collect());
            Admission::Buckets { own, lately, groups }
        }),
    ]
}

/// Own addresses 1 and 2 of any devices; every guest is [`host`] 3, 4 or 5.
fn receive() -> impl Strategy<Value = Receive> {
    let table = prop_oneof![Just(None), Just(Some(host(1))), Just(Some(host(2)))];
    let guests = vec(((vlan(), ip()), (3..6u8).prop_map(host)), 0..60);
    (device_id(), device_id(), table, guests).prop_map(|(one, two, told, guests)| Receive {
        own: vec![(host(1), one), (host(2), two)],
        table: Arc::new([told; BUCKETS]),
        guests: Arc::new(Guests::new(guests)),
        loads: Arc::default(),
    })
}

fn ip() -> impl Strategy<Value = IpAddr> {
    (0..4u8).prop_map(|n| if n < 2 { IpAddr::from([n; 4]) } else { IpAddr::from([n; 16]) })
}

/// A whole IPv4, IPv6, ARP or neighbour discovery packet and its ethertype.
fn packet() -> impl Strategy<Value = Vec<u8>> {
    let kinds = (0..4u8, 0..2u8, 0..4u8, 0..4u8, mac(), mac());
    kinds.prop_map(|(kind, operation, from, to, sender, target)| match kind {
        0 => [&[8, 0, 0x45][..], &[0; 8], &[17, 0, 0], &[from; 4], &[to; 4]].concat(),
        1 => [&[0x86, 0xdd, 0x60][..], &[0; 5], &[17, 64], &[from; 16], &[to; 16]].concat(),
        2 => {
            let head = [8, 6, 0, 1, 8, 0, 6, 4, 0, 1 + operation];
            [&head[..], &sender, &[from; 4], &target, &[to; 4]].concat()
        }
        _ => {
            let message =
                [&[135 + operation, 0, 1, 2, 0, 0, 0, 0][..], &[from; 16], &[1 + operation, 1], &sender];
            [&[0x86, 0xdd, 0x60][..], &[0; 3], &[32, 58, 255], &[from; 16], &[to; 16], &message.concat()]
                .concat()
        }
    })
}

/// Tables as no control thread would compile them: plans name free numbers and devices of other ports, devices belong
/// to ports that do not exist, ports vanish after the flood lists were made.
fn tables() -> impl Strategy<Value = Tables> {
    let limit = || option::weighted(0.3, 0..4u32);
    let learning = prop_oneof![
        3 => Just(Learning::default()),
        1 => (limit(), any::<bool>()).prop_map(|(limit, locked)| Learning { limit, locked }),
    ];
    let storm = (limit(), limit(), limit()).prop_map(|(broadcast, unknown, multicast)| {
        Arc::new(Storm::new(StormLimits { broadcast, unknown, multicast }))
    });
    let receive = option::weighted(0.3, receive().prop_map(Arc::new));
    let port = (0..2u16, policy(), plan(), any::<bool>(), learning, option::weighted(0.3, storm), receive)
        .prop_map(|(bridge, vlan, transmit, snoop, learning, storm, receive)| PortEntry {
            snoop,
            learning,
            storm,
            receive,
            ..port_entry(bridge, vlan, transmit)
        });
    let device = (
        0..PORTS + 1,
        prop_oneof![Just(1500), 0..2000u32],
        admission(),
        any::<bool>(),
        option::of(Just(host(77))),
    )
        .prop_map(|(port, mtu, admission, slow_protocols, source)| DeviceEntry {
            port: PortId(port),
            mtu,
            admission,
            slow_protocols,
            source,
        });
    let ports = vec(port, PORTS as usize);
    let devices = vec(option::weighted(0.9, device), DEVICES as usize);
    let gone = vec(prop::bool::weighted(0.1), PORTS as usize);
    (ports, devices, gone, 1..20usize).prop_map(|(ports, devices, gone, capacity)| {
        let bridges = (0..2).map(|bridge| {
            let own = ports.iter().enumerate().filter(|(_, port)| port.bridge == BridgeId(bridge));
            Some(BridgeEntry {
                fdb: Arc::new(Fdb::new(FdbConfig { capacity, ageing: 300, seed: 1 })),
                flood: Arc::new(FloodLists::compile(own.map(|(n, port)| (PortId(n as u16), &port.vlan)))),
                vlan_counters: None,
            })
        });
        Tables {
            generation: 1,
            devices,
            bridges: bridges.collect(),
            ports: ports.iter().zip(gone).map(|(port, gone)| (!gone).then(|| port.clone())).collect(),
        }
    })
}

fn mac() -> impl Strategy<Value = [u8; 6]> {
    prop_oneof![
        8 => (0..8u8).prop_map(|n| [2, 0, 0, 0, 0, n]),
        2 => Just([0xff; 6]),
        1 => Just([1, 0x80, 0xc2, 0, 0, 2]),
        1 => any::<[u8; 6]>(),
    ]
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let ethertype = prop_oneof![
        4 => Just([0x08, 0x00]), 2 => Just([0x86, 0xdd]), 1 => Just([0x08, 0x06]), 1 => Just([0x81, 0x00]), 1 => Just([0x88, 0x09]), 1 => any::<[u8; 2]>(),
    ];
    let sound = (mac(), mac(), ethertype, vec(any::<u8>(), 0..120), 0..3usize).prop_map(
        |(dst, src, ethertype, payload, long)| {
            let mut bytes = [&dst[..], &src, &ethertype, &payload].concat();
            bytes.resize(bytes.len() + long * 800, 0);
            bytes
        },
    );
    let whole = (mac(), mac(), packet(), 0..60usize).prop_map(|(dst, src, packet, long)| {
        let mut bytes = [&dst[..], &src, &packet].concat();
        bytes.resize(bytes.len() + long, 0);
        bytes
    });
    prop_oneof![6 => sound, 4 => whole, 1 => vec(any::<u8>(), 0..40)]
}

fn header() -> impl Strategy<Value = VirtioNetHeader> {
    let gso = (1..6u8, any::<bool>(), 0..60u16, 0..2000u16, 0..80u16, 0..20u16).prop_map(
        |(gso_type, csum, hdr_len, gso_size, csum_start, csum_offset)| VirtioNetHeader {
            flags: csum.into(),
            gso_type,
            hdr_len,
            gso_size,
            csum_start,
            csum_offset,
        },
    );
    let any_octets = any::<[u8; 10]>().prop_map(VirtioNetHeader::from_bytes);
    prop_oneof![6 => Just(VirtioNetHeader::default()), 3 => gso, 1 => any_octets]
}

fn tag() -> impl Strategy<Value = Option<VlanTag>> {
    let tci = (vlan(), 0..16u16).prop_map(|(vlan, upper)| upper << 12 | vlan);
    let tag = (prop_oneof![Just(TPID_8021Q), Just(TPID_8021AD)], prop_oneof![9 => tci, 1 => any::<u16>()]);
    option::weighted(0.3, tag.prop_map(|(tpid, tci)| VlanTag { tpid, tci }))
}

type Arrival = (DeviceId, Vec<u8>, Option<VlanTag>, VirtioNetHeader, u16);

fn arrivals() -> impl Strategy<Value = Vec<Arrival>> {
    vec((device_id(), bytes(), tag(), header(), 0..3u16), 1..20)
}

/// How many copies a port's plan asks for.
fn wanted(tables: &Tables, port: PortId) -> usize {
    match tables.port(port).map(|port| &port.transmit) {
        Some(TransmitPlan::All { members }) => members.len(),
        _ => 1,
    }
}

/// Where a frame leaves and how many copies do not, by the plans of the ports it is for: every copy is accounted for,
/// and a port that sends nothing counts once.
fn is_accounted_for(tables: &Tables, ports: &[PortId], egress: &Egress) -> Result<(), TestCaseError> {
    let mut missing = 0;
    for port in ports {
        let by = |output: &&Output| tables.device(output.device).unwrap().port == *port;
        let left = egress.outputs.iter().filter(by).count();
        prop_assert!(left <= wanted(tables, *port));
        missing += if left == 0 { 1 } else { wanted(tables, *port) - left };
    }
    prop_assert_eq!(egress.dropped.len(), missing);
    Ok(())
}

/// The ports that a flood of the frame is for.
fn candidates(tables: &Tables, ingress: &Ingress<'_>) -> Vec<PortId> {
    let own = tables.device(ingress.device).unwrap().port;
    let port = tables.port(own).unwrap();
    let vlan = port.vlan.classify(ingress.tag).unwrap();
    let flood = &tables.bridge(port.bridge).unwrap().flood;
    flood.ports(vlan).iter().copied().filter(|id| *id != own).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_frame_is_forwarded_or_counted(tables in tables(), arrivals in arrivals()) {
        let mut egress = Egress::default();
        let mut clock = 100;
        for (device, bytes, tag, header, pause) in arrivals {
            clock += pause;
            let now = Tick(clock);
            let ingress = Ingress { device, bytes: &bytes, tag, header };
            let learned_before: Vec<_> =
                tables.bridges.iter().flatten().map(|bridge| bridge.fdb.entries(now)).collect();
            let traced = trace(&tables, now, &ingress);
            let untouched: Vec<_> =
                tables.bridges.iter().flatten().map(|bridge| bridge.fdb.entries(now)).collect();
            prop_assert_eq!(&untouched, &learned_before, "a trace learned");
            let result = forward(&tables, now, &ingress, &mut egress);

            prop_assert_eq!(traced.result, result.map(|()| egress.outputs.clone()));
            prop_assert_eq!(traced.vlan, egress.vlan);
            let refused = result.err().map(Step::Dropped);
            prop_assert_eq!(traced.steps.last().filter(|step| matches!(step, Step::Dropped(_))), refused.as_ref());
            let copies = traced.steps.iter().filter(|step| matches!(step, Step::Leaves { .. })).count();
            prop_assert_eq!(copies, egress.outputs.len());
            prop_assert_eq!(result.is_ok(), !egress.outputs.is_empty());
            prop_assert!(result.is_ok() || egress.dropped.is_empty());

            let entry = tables.device(device);
            let is_own = |mac: Option<&[u8]>| {
                let receive = tables.port(entry?.port)?.receive.as_ref()?;
                receive.device_of(MacAddr(mac?.try_into().ok()?))
            };
            let (to_own, from_own) = (is_own(bytes.get(..6)), is_own(bytes.get(6..12)));
            prop_assert!(result.is_err() || from_own.is_none(), "a member's own frame is let in");
            prop_assert!(result.is_err() || to_own.is_none_or(|by| by == device), "by another member");
            let refused = entry.is_none_or(|entry| matches!(entry.admission, Admission::Grace | Admission::Nothing));
            if refused && to_own.is_none() {
                let learned: Vec<_> =
                    tables.bridges.iter().flatten().map(|bridge| bridge.fdb.entries(now)).collect();
                prop_assert_eq!(learned, learned_before, "learned from a frame that was not let in");
            }
            let (Ok(()), Some(entry)) = (result, entry) else { continue };
            prop_assert!(entry.admission != Admission::Nothing || to_own.is_some());
            let in_grace = entry.admission == Admission::Grace && to_own.is_none();

            let port = tables.port(entry.port).unwrap();
            let vlan = port.vlan.classify(tag).unwrap();
            let parsed = parse(&bytes, tag).unwrap();
            let fdb = &tables.bridge(port.bridge).unwrap().fdb;
            let known = fdb.lookup(vlan, parsed.src, now);
            let full = fdb.stats().refused > 0;
            prop_assert!(!port.learning.locked || known == Some(entry.port) || in_grace);
            prop_assert!(known == Some(entry.port) || in_grace || full);

            let placed = port.vlan.place(tag).unwrap();
            let guest = egress.outputs[0].destination;
            prop_assert_eq!(guest.is_some(), to_own.is_some());
            prop_assert!(guest.is_none_or(|guest| (3..6).any(|n| guest == host(n))));
            let (mut left_by, mut devices) = (BTreeSet::new(), BTreeSet::new());
            for output in &egress.outputs {
                prop_assert!(output.device != device);
                let egress_port = tables.device(output.device).unwrap().port;
                prop_assert!(egress_port != entry.port, "out of the ingress port");
                prop_assert!(devices.insert(output.device), "twice out of one device");
                let first = left_by.insert(egress_port);
                let egress_port = tables.port(egress_port).unwrap();
                let of_plan = match &egress_port.transmit {
                    TransmitPlan::Drop(_) => false,
                    TransmitPlan::One(device) => *device == output.device,
                    TransmitPlan::Buckets { table: members, .. }
                    | TransmitPlan::RoundRobin { members, .. }
                    | TransmitPlan::All { members } => members.contains(&output.device),
                    TransmitPlan::Balanced { table, home, .. } => {
                        let balanced = parsed.is_ip_of_stations(&bytes) && placed.inner.is_none();
                        if balanced { table.contains(&output.device) } else { *home == output.device }
                    }
                };
                let own = match &egress_port.transmit {
                    TransmitPlan::Balanced { home, .. } if *home != output.device => {
                        tables.device(output.device).unwrap().source
                    }
                    _ => None,
                };
                prop_assert_eq!(output.source, own);
                prop_assert_eq!(output.destination, guest);
                if let Some(patch) = output.patch {
                    let end = usize::from(patch.offset) + 6;
                    prop_assert!(end <= bytes.len() && end <= MAX_PATCHED);
                    prop_assert!(guest == Some(patch.mac) || egress_port.receive.is_some());
                }
                prop_assert!(of_plan, "by a device that the plan does not name");
                prop_assert!(
                    first || matches!(egress_port.transmit, TransmitPlan::All { .. }),
                    "twice out of one port"
                );
                prop_assert_eq!(egress_port.bridge, port.bridge);
                prop_assert!(egress_port.vlan.contains(vlan), "out of the VLAN");
                prop_assert_eq!((output.tag, output.inner), egress_port.vlan.egress_tags(placed));
                prop_assert!(output.inner.is_none() || output.tag.is_some());
            }
            let target = fdb.lookup(vlan, guest.unwrap_or(parsed.dst), now).filter(|port| tables.port(*port).is_some());
            if target.is_none() {
                let candidates = candidates(&tables, &ingress);
                is_accounted_for(&tables, &candidates, &egress)?;
                prop_assert!(left_by.iter().all(|port| candidates.contains(port)));
            } else {
                is_accounted_for(&tables, target.as_slice(), &egress)?;
                prop_assert!(left_by.iter().eq(&target));
            }
        }
    }

    /// Whatever else happens in between: the frames that a bond sends go by its members in turn.
    #[test]
    fn turns_are_those_of_linux(
        members in prop::sample::subsequence(vec![DeviceId(1), DeviceId(2), DeviceId(3)], 1..4).prop_shuffle(),
        per_member in 1..5u32,
        traced in vec(any::<bool>(), 0..60),
    ) {
        let plan = TransmitPlan::RoundRobin { members: members.clone().into(), per_member, turn: Arc::default() };
        let mut switch = Switch::with_bond(1, plan, [Admission::All; 2]);
        switch.tables.devices.push(switch.tables.devices[1].clone());
        let bytes = frame(host(2), host(1));
        for (counter, traced) in traced.into_iter().enumerate() {
            let expected = output(members[counter / per_member as usize % members.len()].0, None);
            if traced {
                prop_assert_eq!(trace(&switch.tables, NOW, &untagged(0, &bytes)).result, Ok(vec![expected]));
            }
            prop_assert_eq!(switch.send(&untagged(0, &bytes)), Ok(vec![expected]));
        }
    }

    /// Frames of one table that is as it should be are answered where they came from.
    #[test]
    fn an_answer_finds_its_way(asker in 0..5u16, answerer in 0..5u16, tci in option::of(vlan())) {
        prop_assume!(asker != answerer);
        let mut switch = Switch::new(&vec![TRUNK; 5]);
        let (question, answer) = (frame(MacAddr::BROADCAST, host(1)), frame(host(1), host(2)));
        let ingress = |device, bytes| match tci {
            Some(tci) => tagged(device, bytes, tci),
            None => untagged(device, bytes),
        };
        prop_assert_eq!(switch.send(&ingress(asker, &question)).unwrap().len(), 4);
        let tci = tci.filter(|tci| *tci != 0);
        prop_assert_eq!(switch.send(&ingress(answerer, &answer)), Ok(vec![output(asker, tci)]));
    }
}
