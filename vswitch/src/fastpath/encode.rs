//! The tables as the BPF program reads them: flat, of fixed sizes. A pure function; what does not fit is left out in such
//! a way that the program leaves its frames to the daemon, and is reported.

use std::collections::{BTreeMap, HashMap};

use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;
use forwarding::receive::Receive;
use forwarding::tables::{PortEntry, Tables, TransmitPlan};
use forwarding::vlan::{VlanPolicy, VlanSet};

use super::layout::{
    self, Bridge, BucketTable, Device, GuestKey, INDEX_BUCKETS, INDEX_WAYS, IndexBucket, MAX_BRIDGES,
    MAX_BUCKET_TABLES, MAX_BUCKETS, MAX_COPIES, MAX_DEVICES, MAX_GUESTS, MAX_OWN, MAX_PORTS, MAX_RECEIVES,
    MAX_VLAN_SETS, Name, Port, bridge_flags, device_flags, plan, port_flags, vlan_mode,
};

/// What the tables don't say about a device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeviceFacts {
    /// Its name.
    pub name: String,
    /// Its interface index.
    pub ifindex: u32,
    /// [`device_flags`].
    pub flags: u8,
    /// Where its frames go that the daemon decides about.
    pub punt_ifindex: u32,
    /// How they are marked.
    pub punt_tci: u16,
    /// Workers receive from it: the program is to drop its frames for as long as it is still attached.
    pub for_workers: bool,
    /// Address of a veth's other end in another network namespace, as a number; 0: none.
    pub peer_mac: u64,
}

/// What the tables don't say about a port.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortFacts {
    /// Its name.
    pub name: String,
    /// It is a bond.
    pub is_bond: bool,
    /// The number of the program's counters for the loads of its buckets, if its plan has such and there is room.
    pub loads: Option<u8>,
    /// The same for the buckets of its receive balancing.
    pub receive_loads: Option<u8>,
}

/// What the tables don't say about a bridge.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BridgeFacts {
    /// Its name.
    pub name: String,
    /// Number of its FDB; `None` if that is not in a map.
    pub fdb: Option<u16>,
}

/// What the tables don't say; indexed like them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Of devices.
    pub devices: Vec<Option<DeviceFacts>>,
    /// Of ports.
    pub ports: Vec<Option<PortFacts>>,
    /// Of bridges.
    pub bridges: Vec<Option<BridgeFacts>>,
}

/// Flat tables.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Indexed by device number.
    pub devices: Vec<Device>,
    /// Indexed by port number.
    pub ports: Vec<Port>,
    /// Indexed by bridge number.
    pub bridges: Vec<Bridge>,
    /// Different sets of VLANs.
    pub vlan_sets: Vec<layout::VlanSet>,
    /// Tables of members.
    pub tables: Vec<BucketTable>,
    /// Receive balancing of bonds.
    pub receives: Vec<layout::Receive>,
    /// Whose the IP addresses are: MACs as numbers in the upper 48 bits.
    pub guests: BTreeMap<GuestKey, u64>,
    /// From interface index to device: the buckets that hold any.
    pub index: Vec<IndexBucket>,
    /// Names of ports, bridges and devices that did not fit.
    pub left_out: Vec<String>,
}

/// Makes flat tables.
pub fn encode(tables: &Tables, facts: &Facts) -> Image {
    let mut image = Image { index: vec![IndexBucket::default(); INDEX_BUCKETS], ..Image::default() };
    let mut sets = HashMap::new();
    for (number, bridge) in tables.bridges.iter().enumerate() {
        let facts = facts.bridges.get(number).and_then(Option::as_ref);
        let encoded = bridge.as_ref().zip(facts).and_then(|(bridge, facts)| {
            let fdb = facts.fdb.filter(|_| number < MAX_BRIDGES);
            if fdb.is_none() {
                image.left_out.push(facts.name.clone());
            }
            let (config, layout) = (bridge.fdb.config(), bridge.fdb.layout());
            Some(Bridge {
                secret: layout.secret,
                fdb_buckets: layout.buckets,
                fdb: fdb?,
                ageing: config.ageing,
                used: 1,
                flags: flag(bridge.vlan_counters.is_some(), bridge_flags::COUNT_VLANS),
                seed: config.seed,
                name: Name::new(&facts.name),
                capacity: config.capacity as u32,
                ..Bridge::default()
            })
        });
        image.bridges.push(encoded.unwrap_or_default());
    }
    image.bridges.truncate(MAX_BRIDGES);
    for (number, device) in tables.devices.iter().enumerate().take(MAX_DEVICES) {
        let facts = facts.devices.get(number).and_then(Option::as_ref);
        let encoded = device.as_ref().zip(facts).map(|(device, facts)| {
            if !facts.for_workers && !index(&mut image.index, facts.ifindex, number) {
                image.left_out.push(facts.name.clone());
            }
            Device {
                ifindex: facts.ifindex,
                port: device.port.0,
                admission: layout::admission(device.admission),
                buckets: layout::admitted_buckets(device.admission),
                flags: facts.flags
                    | flag(device.slow_protocols, device_flags::SLOW_PROTOCOLS)
                    | flag(
                        tables.port(device.port).is_some_and(|port| port.receive.is_some()),
                        device_flags::TRANSLATE,
                    ),
                mtu: device.mtu,
                punt_ifindex: facts.punt_ifindex,
                punt_tci: facts.punt_tci,
                peer_mac: facts.peer_mac,
                source_mac: device.source.map_or(0, MacAddr::to_u64),
                name: Name::new(&facts.name),
                ..Device::default()
            }
        });
        image.devices.push(encoded.unwrap_or_default());
    }
    for (number, port) in tables.ports.iter().enumerate().take(MAX_PORTS) {
        let facts = facts.ports.get(number).and_then(Option::as_ref);
        let encoded = port.as_ref().zip(facts).map(|(port, facts)| {
            let encoded = encode_port(number as u16, port, facts, &mut image, &mut sets);
            if encoded.flags & port_flags::NO_ROOM != 0 {
                image.left_out.push(facts.name.clone());
            }
            encoded
        });
        image.ports.push(encoded.unwrap_or_default());
    }
    image
}

fn flag(set: bool, flag: u8) -> u8 {
    if set { flag } else { 0 }
}

/// Enters a device into the table from interface index to device; false: its bucket is full.
fn index(buckets: &mut [IndexBucket], ifindex: u32, device: usize) -> bool {
    let bucket = &mut buckets[ifindex as usize % INDEX_BUCKETS];
    match bucket.ways.iter_mut().find(|way| way[0] == 0) {
        Some(way) => *way = [ifindex, device as u32],
        None => return false,
    }
    true
}

fn encode_port(
    number: u16,
    port: &PortEntry,
    facts: &PortFacts,
    image: &mut Image,
    sets: &mut HashMap<layout::VlanSet, u16>,
) -> Port {
    let mut flat = Port {
        bridge: port.bridge.0,
        used: 1,
        flags: flag(facts.is_bond, port_flags::BOND)
            | flag(port.snoop || port.receive.is_some(), port_flags::SNOOP),
        trunks: layout::EVERY_VLAN,
        cvlans: layout::EVERY_VLAN,
        name: Name::new(&facts.name),
        ..Port::default()
    };
    let mut room = true;
    let mut set = |vlans: &Option<VlanSet>| match vlans {
        None => layout::EVERY_VLAN,
        Some(vlans) => number_of(vlans, &mut image.vlan_sets, sets).unwrap_or_else(|| {
            room = false;
            layout::EVERY_VLAN
        }),
    };
    (flat.vlan_mode, flat.vlan) = match &port.vlan {
        VlanPolicy::Access(vlan) => (vlan_mode::ACCESS, *vlan),
        VlanPolicy::Trunk(trunks) => {
            flat.trunks = set(trunks);
            (vlan_mode::TRUNK, 0)
        }
        VlanPolicy::NativeTagged { native, trunks } => {
            flat.trunks = set(trunks);
            (vlan_mode::NATIVE_TAGGED, *native)
        }
        VlanPolicy::NativeUntagged { native, trunks } => {
            flat.trunks = set(trunks);
            (vlan_mode::NATIVE_UNTAGGED, *native)
        }
        VlanPolicy::Dot1qTunnel { vlan, cvlans } => {
            flat.cvlans = set(cvlans);
            (vlan_mode::TUNNEL, *vlan)
        }
    };
    room &= encode_plan(&port.transmit, &mut flat, &mut image.tables);
    if port.transmit.loads().is_some() {
        flat.loads = facts.loads.map_or(0, |number| number + 1);
    }
    if let Some(receive) = &port.receive {
        room &= encode_receive(number, receive, &mut flat, image);
        flat.receive_loads = facts.receive_loads.map_or(0, |number| number + 1);
    }
    if !room {
        flat.flags |= port_flags::NO_ROOM;
    }
    flat
}

/// False: there is no room for the receive balancing of a port, or for all of its guests.
fn encode_receive(number: u16, receive: &Receive, flat: &mut Port, image: &mut Image) -> bool {
    let guests = receive.guests.len();
    if receive.own.len() > MAX_OWN
        || image.receives.len() >= MAX_RECEIVES
        || image.guests.len() + guests > MAX_GUESTS
    {
        return false;
    }
    let upper = |mac: MacAddr| mac.to_u64() << 16;
    let mut encoded = layout::Receive::default();
    for (place, (mac, DeviceId(device))) in encoded.own.iter_mut().zip(&receive.own) {
        *place = upper(*mac) | u64::from(*device);
    }
    for (place, told) in encoded.told.iter_mut().zip(receive.table.iter()) {
        *place = told.map_or(0, upper);
    }
    let key = |vlan, ip| GuestKey { port: number, vlan, ip };
    image.guests.extend(receive.guests.iter().map(|(vlan, ip, mac)| (key(vlan, ip), upper(mac))));
    flat.flags |= port_flags::TRANSLATE;
    flat.receive = image.receives.len() as u16;
    image.receives.push(encoded);
    true
}

/// False: there is no room for the plan.
fn encode_plan(transmit: &TransmitPlan, flat: &mut Port, tables: &mut Vec<BucketTable>) -> bool {
    let members = match transmit {
        TransmitPlan::Drop(_) => {
            flat.plan = plan::DROP;
            return true;
        }
        TransmitPlan::One(device) => {
            (flat.plan, flat.device) = (plan::ONE, device.0);
            return true;
        }
        TransmitPlan::Buckets { hash, table, .. } => {
            (flat.plan, flat.hash) = (plan::BUCKETS, layout::hash(*hash));
            table
        }
        TransmitPlan::Balanced { hash, table, home, .. } => {
            (flat.plan, flat.hash, flat.device) = (plan::BALANCED, layout::hash(*hash), home.0);
            table
        }
        TransmitPlan::RoundRobin { members, per_member, .. } => {
            (flat.plan, flat.per_member) = (plan::ROUND_ROBIN, *per_member);
            members
        }
        TransmitPlan::All { members } => {
            flat.plan = plan::ALL;
            members
        }
    };
    let most = if flat.plan == plan::ALL { MAX_COPIES } else { MAX_BUCKETS };
    if members.len() > most || tables.len() >= MAX_BUCKET_TABLES {
        return false;
    }
    let mut table: BucketTable = [0; MAX_BUCKETS];
    for (bucket, DeviceId(device)) in table.iter_mut().zip(members.iter()) {
        *bucket = *device;
    }
    (flat.table, flat.buckets) = (tables.len() as u16, members.len() as u16);
    tables.push(table);
    true
}

/// The number of a set of VLANs; a set that several ports have is there once.
fn number_of(
    vlans: &VlanSet,
    sets: &mut Vec<layout::VlanSet>,
    numbers: &mut HashMap<layout::VlanSet, u16>,
) -> Option<u16> {
    let words = *vlans.words();
    if let Some(number) = numbers.get(&words) {
        return Some(*number);
    }
    if sets.len() >= MAX_VLAN_SETS {
        return None;
    }
    let number = sets.len() as u16;
    sets.push(words);
    numbers.insert(words, number);
    Some(number)
}

/// Whether a port of flat tables has this place in the VLANs.
pub fn is_policy(image: &Image, port: &Port, policy: &VlanPolicy) -> bool {
    let same_set = |number: u16, set: &Option<VlanSet>| match set {
        None => number == layout::EVERY_VLAN,
        Some(set) => image.vlan_sets.get(usize::from(number)) == Some(set.words()),
    };
    match policy {
        VlanPolicy::Access(vlan) => (port.vlan_mode, port.vlan) == (vlan_mode::ACCESS, *vlan),
        VlanPolicy::Trunk(trunks) => port.vlan_mode == vlan_mode::TRUNK && same_set(port.trunks, trunks),
        VlanPolicy::NativeTagged { native, trunks } => {
            (port.vlan_mode, port.vlan) == (vlan_mode::NATIVE_TAGGED, *native)
                && same_set(port.trunks, trunks)
        }
        VlanPolicy::NativeUntagged { native, trunks } => {
            (port.vlan_mode, port.vlan) == (vlan_mode::NATIVE_UNTAGGED, *native)
                && same_set(port.trunks, trunks)
        }
        VlanPolicy::Dot1qTunnel { vlan, cvlans } => {
            (port.vlan_mode, port.vlan) == (vlan_mode::TUNNEL, *vlan) && same_set(port.cvlans, cvlans)
        }
    }
}

/// Whether a device is one that the program finds by its interface index.
pub fn is_indexed(image: &Image, ifindex: u32) -> bool {
    image.index[ifindex as usize % INDEX_BUCKETS].ways.iter().any(|way| way[0] == ifindex)
}

const _: () = assert!(INDEX_WAYS * INDEX_BUCKETS >= MAX_DEVICES && device_flags::INTERNAL == 1);

#[cfg(test)]
#[path = "encode/tests.rs"]
mod tests;
