//! Tables at random: bridges, ports, bonds, and what is known about them.

use std::collections::BTreeSet;
use std::sync::Arc;

use forwarding::bucket_loads::BucketLoads;
use forwarding::bucket_set::BucketSet;
use forwarding::drop_reason::DropReason;
use forwarding::fdb::{Fdb, FdbConfig};
use forwarding::flow_hash::HashPolicy;
use forwarding::ids::{BridgeId, DeviceId, PortId};
use forwarding::mac::MacAddr;
use forwarding::storm::{Storm, StormLimits};
use forwarding::tables::{
    Admission, BridgeEntry, DeviceEntry, FloodLists, Learning, PortEntry, Tables, TransmitPlan,
};
use forwarding::vlan::{VlanPolicy, VlanSet};
use vswitch::fastpath::encode::{BridgeFacts, DeviceFacts, PortFacts};
use vswitch::fastpath::layout::{MAX_LOADS, device_flags, port_flags};
use vswitch::fastpath::{Facts, Image, encode};

use crate::choices::{Choices as _, Random};
use crate::receive::some_receive;
use crate::rig::{INTERFACES, Rig, ifindex};

/// VLANs that occur; each scene has some of them.
pub(crate) const VLANS: [u16; 8] = [0, 1, 2, 3, 63, 64, 100, 4094];
/// Stations of a scene.
const STATIONS: u8 = 12;
/// Where frames go that the program leaves to the daemon: any interface will do, as none is sent.
const PUNT: u32 = 1;

/// Tables, and what else both executors and the generator of frames need.
pub(crate) struct Scene {
    pub(crate) tables: Tables,
    pub(crate) facts: Facts,
    pub(crate) image: Image,
    pub(crate) vlans: Vec<u16>,
    pub(crate) stations: Vec<MacAddr>,
}

/// Addresses of members' own.
const OWN_ADDRESSES: [MacAddr; 3] =
    [MacAddr([6, 1, 2, 3, 4, 5]), MacAddr([0xfe; 6]), MacAddr([0, 0, 0, 0, 0, 1])];

impl Scene {
    pub(crate) fn random(random: &mut Random, rig: &mut Rig) -> Self {
        let mut scene = Self {
            tables: Tables::default(),
            facts: Facts::default(),
            image: Image::default(),
            vlans: random.some_of(&VLANS, 3),
            stations: (0..STATIONS).map(|n| MacAddr([2, 0, random.number() as u8, 0, 0, n])).collect(),
        };
        for number in 0..if random.chance(35) { 2 } else { 1 } {
            scene.add_bridge(random, rig, number as u16);
        }
        let mut interfaces: Vec<usize> = (0..INTERFACES).collect();
        random.shuffle(&mut interfaces);
        for _ in 0..3 + random.index(6) {
            scene.add_port(random, &mut interfaces);
        }
        scene.set_plans(random);
        scene.balance(random);
        scene.number_loads();
        scene.fill_flood_lists();
        scene.image = encode(&scene.tables, &scene.facts);
        scene
    }

    fn add_bridge(&mut self, random: &mut Random, rig: &mut Rig, number: u16) {
        let config = FdbConfig {
            capacity: 20 + random.index(24),
            ageing: 5 + random.index(300) as u16,
            seed: random.number(),
        };
        if random.chance(20) {
            self.tables.bridges.push(None);
            self.facts.bridges.push(None);
        }
        let fdb = Arc::new(rig.make_fdb(number, config));
        let vlan_counters = random.chance(50).then(Arc::default);
        self.tables.bridges.push(Some(BridgeEntry { fdb, flood: Arc::default(), vlan_counters }));
        // A bridge whose FDB got no map is the daemon's alone.
        let fdb = (!random.chance(3)).then_some(number);
        self.facts.bridges.push(Some(BridgeFacts { name: format!("br{number}"), fdb }));
    }

    fn add_port(&mut self, random: &mut Random, interfaces: &mut Vec<usize>) {
        if random.chance(10) {
            self.tables.ports.push(None);
            self.facts.ports.push(None);
        }
        let id = PortId(self.tables.ports.len() as u16);
        let is_bond = random.chance(55);
        let internal = !is_bond && random.chance(15);
        for _ in 0..if is_bond { 1 + random.index(5) } else { 1 } {
            if random.chance(5) {
                self.tables.devices.push(None);
                self.facts.devices.push(None);
            }
            let Some(interface) = interfaces.pop() else { break };
            let admission = match random.index(20) {
                0..9 => Admission::All,
                9..12 => by_bucket(random),
                12..18 => Admission::AllButReflected,
                18 => Admission::Nothing,
                _ => Admission::Grace,
            };
            let mtu = match random.index(10) {
                0..6 => 1500,
                6 => 9000,
                _ => 68 + random.index(400) as u32,
            };
            self.tables.devices.push(Some(DeviceEntry {
                port: id,
                mtu,
                admission,
                slow_protocols: is_bond && random.chance(50),
                source: random.chance(70).then(|| random.pick(&OWN_ADDRESSES).to_owned()),
            }));
            self.facts.devices.push(Some(DeviceFacts {
                for_workers: false,
                name: crate::rig::name(interface),
                ifindex: ifindex(interface),
                flags: if internal { device_flags::INTERNAL } else { 0 },
                punt_ifindex: if random.chance(95) { PUNT } else { 0 },
                punt_tci: random.number() as u16,
                peer_mac: if random.chance(20) { random.pick(&self.stations).to_u64() } else { 0 },
            }));
        }
        let bridges: Vec<_> =
            (0..).zip(&self.tables.bridges).filter(|(_, bridge)| bridge.is_some()).collect();
        let storm = StormLimits { broadcast: Some(1), unknown: Some(2), multicast: None };
        self.tables.ports.push(Some(PortEntry {
            bridge: BridgeId(random.pick(&bridges).0),
            vlan: policy(random, &self.vlans),
            transmit: TransmitPlan::Drop(DropReason::NoMember),
            snoop: random.chance(40),
            learning: Learning {
                limit: random.chance(20).then(|| random.index(3) as u32),
                locked: random.chance(15),
            },
            storm: random.chance(15).then(|| Arc::new(Storm::new(storm))),
            receive: None,
        }));
        self.facts.ports.push(Some(PortFacts {
            name: format!("p{}", id.0),
            is_bond,
            loads: None,
            receive_loads: None,
        }));
    }

    fn set_plans(&mut self, random: &mut Random) {
        let devices = self.tables.devices.clone();
        let numbered = || (0..).zip(&devices).filter_map(|(n, device)| Some((DeviceId(n), device.as_ref()?)));
        let foreign = DeviceId(random.index(devices.len() + 2) as u16);
        for (port, facts) in self.tables.ports.iter_mut().zip(&self.facts.ports) {
            let (Some(port), Some(facts)) = (port, facts) else { continue };
            let id = facts.name[1..].parse().map(PortId).expect("a number");
            let mut members: Vec<_> =
                numbered().filter(|(_, device)| device.port == id).map(|(n, _)| n).collect();
            random.shuffle(&mut members);
            if random.chance(4) {
                // A device that is another's, or nobody's: the tables lost it.
                members.push(foreign);
            }
            members.dedup();
            port.transmit = if facts.is_bond {
                bond_plan(random, members)
            } else if random.chance(4) {
                TransmitPlan::Drop(DropReason::DeviceDown)
            } else {
                members.last().map_or(TransmitPlan::Drop(DropReason::NoMember), |one| TransmitPlan::One(*one))
            };
        }
    }

    /// Receive balancing for some of the bonds.
    fn balance(&mut self, random: &mut Random) {
        for n in 0..self.tables.ports.len() {
            let is_bond = self.facts.ports[n].as_ref().is_some_and(|facts| facts.is_bond);
            if !is_bond || random.chance(50) {
                continue;
            }
            let members: Vec<_> = (0..)
                .zip(&self.tables.devices)
                .filter_map(|(id, device)| Some((DeviceId(id), device.as_ref()?)))
                .filter(|(_, device)| usize::from(device.port.0) == n)
                .map(|(id, _)| id)
                .collect();
            if members.is_empty() {
                continue;
            }
            let receive = some_receive(random, self, &members);
            self.tables.ports[n].as_mut().expect("it has facts").receive = Some(Arc::new(receive));
        }
    }

    /// Counters of the program's for the ports that count by bucket, in no special order.
    fn number_loads(&mut self) {
        let mut numbers = (0..MAX_LOADS as u8).rev().step_by(5);
        for (port, facts) in self.tables.ports.iter().zip(&mut self.facts.ports) {
            if let (Some(_), Some(facts)) =
                (port.as_ref().and_then(|port| port.transmit.loads()), &mut *facts)
            {
                facts.loads = numbers.next();
            }
            if let (Some(_), Some(facts)) = (port.as_ref().and_then(|port| port.receive.as_ref()), facts) {
                facts.receive_loads = numbers.next();
            }
        }
    }

    /// The pipeline's counters of a port by bucket, if it counts.
    pub(crate) fn loads(&self, port: PortId) -> Option<&BucketLoads> {
        self.tables.port(port)?.transmit.loads().map(|loads| &**loads)
    }

    fn fill_flood_lists(&mut self) {
        let numbered =
            (0..).zip(&self.tables.ports).filter_map(|(n, port)| Some((PortId(n), port.as_ref()?)));
        let ports: Vec<_> = numbered.collect();
        for (number, bridge) in (0..).zip(&mut self.tables.bridges) {
            let Some(bridge) = bridge else { continue };
            let own = ports.iter().filter(|(_, port)| port.bridge == BridgeId(number));
            bridge.flood = Arc::new(FloodLists::compile(own.map(|(id, port)| (*id, &port.vlan))));
        }
    }

    pub(crate) fn port(&self, id: PortId) -> &PortEntry {
        self.tables.port(id).expect("the port is in the tables")
    }

    pub(crate) fn fdb(&self, bridge: BridgeId) -> &Fdb {
        &self.tables.bridge(bridge).expect("the bridge is in the tables").fdb
    }

    /// Gives the bridge of a port another FDB, and returns the one it had.
    pub(crate) fn exchange_fdb(&mut self, port: PortId, fdb: Arc<Fdb>) -> Arc<Fdb> {
        let bridge = self.port(port).bridge;
        let bridge =
            self.tables.bridges[usize::from(bridge.0)].as_mut().expect("the bridge is in the tables");
        std::mem::replace(&mut bridge.fdb, fdb)
    }

    /// Lets it always be the turn of one member of a round robin, and returns all members. `None`: it is none, or not a
    /// member of it.
    pub(crate) fn exchange_turns(&mut self, port: PortId, member: DeviceId) -> Option<Arc<[DeviceId]>> {
        match &mut self.tables.ports.get_mut(usize::from(port.0))?.as_mut()?.transmit {
            TransmitPlan::RoundRobin { members, .. } if members.contains(&member) => {
                Some(std::mem::replace(members, Arc::new([member])))
            }
            _ => None,
        }
    }

    /// Sets the members of a round robin.
    pub(crate) fn set_members(&mut self, port: PortId, all: Arc<[DeviceId]>) {
        if let Some(Some(PortEntry { transmit: TransmitPlan::RoundRobin { members, .. }, .. })) =
            self.tables.ports.get_mut(usize::from(port.0))
        {
            *members = all;
        }
    }

    /// Whether there is such a port in the bridge of another.
    pub(crate) fn is_of_bridge(&self, id: PortId, other: PortId) -> bool {
        self.tables.port(id).is_some_and(|port| port.bridge == self.port(other).bridge)
    }

    /// Whether the program has a port's rules, and its bridge.
    pub(crate) fn has_room(&self, port: PortId) -> bool {
        let Some(port) = self.image.ports.get(usize::from(port.0)) else { return false };
        let bridge = &self.image.bridges[usize::from(port.bridge)];
        port.used == 1 && port.flags & port_flags::NO_ROOM == 0 && bridge.used == 1
    }

    /// Devices by which frames may come in.
    pub(crate) fn inputs(&self) -> Vec<DeviceId> {
        (0..)
            .zip(&self.tables.devices)
            .filter(|(_, device)| device.is_some())
            .map(|(n, _)| DeviceId(n))
            .collect()
    }
}

/// Most buckets are the member's own or were until just now, so that most frames are let in.
fn by_bucket(random: &mut Random) -> Admission {
    let mut some = |percent| (0..256).filter(|_| random.chance(percent)).collect::<BucketSet>();
    let (own, lately) = (some(60), some(40));
    Admission::Buckets { own, lately, groups: random.chance(50) }
}

fn bond_plan(random: &mut Random, members: Vec<DeviceId>) -> TransmitPlan {
    let Some(first) = members.first().copied() else { return TransmitPlan::Drop(DropReason::NoMember) };
    match random.index(20) {
        0 => TransmitPlan::Drop(DropReason::NoMember),
        1..4 => TransmitPlan::One(first),
        4..14 => {
            let policies = [&HashPolicy::ALL[..], &[HashPolicy::Offload, HashPolicy::Slb]].concat();
            let table = match random.index(20) {
                0 => Vec::new(),
                1..8 => (0..256).map(|_| *random.pick(&members)).collect(),
                _ => members,
            };
            let loads = random.chance(60).then(Arc::default);
            let (hash, table) = (*random.pick(&policies), table.into());
            match random.index(3) {
                0 => TransmitPlan::Balanced { hash, table, loads, home: first, own: OWN_ADDRESSES.into() },
                _ => TransmitPlan::Buckets { hash, table, loads },
            }
        }
        14..17 => {
            // More members than fit: the port is the daemon's alone.
            let members = if random.chance(4) { members.repeat(260) } else { members };
            let per_member = *random.pick(&[0, 1, 2, 10]);
            TransmitPlan::RoundRobin { members: members.into(), per_member, turn: Arc::default() }
        }
        _ => {
            let distinct: BTreeSet<u16> = members.iter().map(|device| device.0).collect();
            let mut members: Vec<_> = distinct.into_iter().map(DeviceId).collect();
            random.shuffle(&mut members);
            TransmitPlan::All { members: members.into() }
        }
    }
}

fn set(random: &mut Random, vlans: &[u16]) -> Option<VlanSet> {
    if random.chance(40) {
        return None;
    }
    let others = if random.chance(50) { random.some_of(&VLANS, 4) } else { Vec::new() };
    let named = vlans.iter().filter(|_| random.chance(80)).copied().collect::<Vec<_>>();
    Some(named.into_iter().chain(others).collect())
}

fn policy(random: &mut Random, vlans: &[u16]) -> VlanPolicy {
    let own = *random.pick(vlans);
    match random.index(10) {
        0..2 => VlanPolicy::Access(own),
        2..5 => VlanPolicy::Trunk(set(random, vlans)),
        5 | 6 => VlanPolicy::NativeTagged { native: own, trunks: set(random, vlans) },
        7 => VlanPolicy::NativeUntagged { native: own, trunks: set(random, vlans) },
        _ => VlanPolicy::Dot1qTunnel { vlan: own, cvlans: set(random, vlans) },
    }
}
