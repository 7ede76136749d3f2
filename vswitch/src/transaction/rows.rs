//! The records of a table, and what stands in their columns.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use bond_port::{BondOptions, MemberOptions, Mode};
use forwarding::flow_hash::HashPolicy;

use super::columns::{Column, Table};
use super::reply::{BondStatus, Datum, DeviceCounters, MemberStatus};
use super::{Draft, words};
use crate::model::{Bridge, Ids, Limits, Place, Port, Vlan, VlanList};

/// Looks at records. Within one command the counters are read once.
pub(super) struct Reader<'a, 'r> {
    draft: &'a Draft<'r>,
    counters: OnceCell<Vec<DeviceCounters>>,
}

impl Draft<'_> {
    /// Names of a table's records, sorted.
    pub(super) fn row_names(&self, table: Table) -> Vec<String> {
        let bridges = &self.model.bridges;
        let ports = || bridges.values().flat_map(|bridge| bridge.ports.iter());
        let owned = |name: &String| name.to_owned();
        let mut names: Vec<String> = match table {
            Table::Bridge => bridges.keys().map(owned).collect(),
            Table::Port => bridges.keys().chain(ports().map(|(name, _)| name)).map(owned).collect(),
            Table::Bond => {
                ports().filter(|(_, port)| port.bond.is_some()).map(|(name, _)| name.clone()).collect()
            }
            Table::Interface => {
                let devices = ports().flat_map(|(name, port)| devices(name, port));
                bridges.keys().cloned().chain(devices.map(str::to_owned)).collect()
            }
        };
        names.sort_unstable();
        names
    }

    /// The record that is named, or whose UUID is given.
    pub(super) fn find_row(&self, table: Table, record: &str) -> Option<String> {
        if self.has_row(table, record) {
            return Some(record.to_owned());
        }
        let is_uuid = record.len() == 36 && record.as_bytes()[8] == b'-';
        let mut names = is_uuid.then(|| self.row_names(table))?.into_iter();
        names.find(|name| uuid(table, name) == record.to_ascii_lowercase())
    }
}

/// Whether this stands in a column when nothing was set. The default of one option depends on the bond's mode.
fn is_default(column: Column, value: &Datum, mode: Mode) -> bool {
    match column {
        Column::MacTableSize => *value == Datum::Integer(Bridge::DEFAULT_TABLE_SIZE.into()),
        Column::MacAgingTime => *value == Datum::Integer(Bridge::DEFAULT_AGING_TIME.into()),
        Column::Option(option) => {
            let mode = if option == "rebalance_interval" { mode } else { Mode::default() };
            let unset = BondOptions { mode, ..BondOptions::default() };
            *value == option_datum(unset.get(option).ok())
        }
        Column::MemberOption(option) => *value == option_datum(MemberOptions::default().get(option).ok()),
        _ => false,
    }
}

/// The text of an option as a value; nothing if it is empty.
fn option_datum(text: Option<String>) -> Datum {
    match text {
        None => Datum::none(),
        Some(text) if text.is_empty() => Datum::none(),
        Some(text) => text.parse().map_or(Datum::Text(text), Datum::Integer),
    }
}

/// The mode of a bond as Open vSwitch calls it. `balance-tcp` is what gives these options when it is set.
fn ovs_mode(options: &BondOptions) -> &'static str {
    let as_tcp = options.mode == Mode::Ieee8023ad
        && !options.rebalancing().is_zero()
        && options.xmit_hash_policy == HashPolicy::Layer34;
    if as_tcp { "balance-tcp" } else { options.mode.name() }
}

/// The devices of a port that is not internal.
fn devices<'a>(name: &'a str, port: &'a Port) -> impl Iterator<Item = &'a str> {
    let own = port.bond.is_none().then_some(name);
    own.into_iter().chain(port.bond.iter().flat_map(|bond| bond.members.iter().map(String::as_str)))
}

impl<'a, 'r> Reader<'a, 'r> {
    pub(super) fn new(draft: &'a Draft<'r>) -> Self {
        Self { draft, counters: OnceCell::new() }
    }

    /// What stands in a column of a record that is there.
    pub(super) fn read(&self, table: Table, record: &str, column: Column) -> Datum {
        let bridge_of = self.draft.bridge_of(record);
        let bridge = bridge_of.and_then(|name| self.draft.model.bridges.get(name));
        let Some(bridge) = bridge else { return Datum::Set(Vec::new()) };
        match column {
            Column::Uuid => Datum::Uuid(uuid(table, record)),
            Column::Name => Datum::from(record),
            Column::Bridge => Datum::from(bridge_of.unwrap_or_default()),
            Column::ExternalIds => map(self.ids(table, record, bridge)),
            Column::OtherConfig => self.other_config(table, record),
            Column::Fixed(fixed) => fixed_datum(fixed.shown),
            _ => match table {
                Table::Bridge => read_bridge(record, bridge, column),
                Table::Port | Table::Bond => self.read_port(record, bridge, column),
                Table::Interface => self.read_interface(record, column),
            },
        }
    }

    fn ids(&self, table: Table, record: &str, bridge: &'a Bridge) -> Option<&'a Ids> {
        match table {
            Table::Bridge => Some(&bridge.external_ids),
            Table::Interface => bridge.interface_external_ids.get(record),
            Table::Port | Table::Bond => match bridge.ports.get(record) {
                Some(port) => Some(&port.external_ids),
                None => Some(&bridge.port_external_ids),
            },
        }
    }

    /// The keys of `other_config` that differ from their defaults.
    fn other_config(&self, table: Table, record: &str) -> Datum {
        let options = self.draft.model.bond(record).map(|(_, bond)| bond.typed_options().unwrap_or_default());
        let (bond, mode) = (options.is_some(), options.unwrap_or_default().mode);
        let value = |column| match self.read(table, record, column) {
            value if is_default(column, &value, mode) => None,
            Datum::Set(_) | Datum::Boolean(false) => None,
            Datum::Integer(number) => Some(number.to_string()),
            Datum::Boolean(truth) => Some(truth.to_string()),
            Datum::Text(text) => Some(text),
            Datum::Uuid(_) | Datum::Map(_) => None,
        };
        let keys = table.keys(bond).filter(|(_, column)| !matches!(column, Column::Fixed(_)));
        let set = keys.filter_map(|(key, column)| Some((key.to_owned(), Datum::Text(value(column)?))));
        Datum::Map(set.collect())
    }

    fn read_port(&self, record: &str, bridge: &Bridge, column: Column) -> Datum {
        let internal = (&bridge.vlan, &bridge.limits);
        let port = bridge.ports.get(record);
        let (vlan, limits) = port.map_or(internal, |port| (&port.vlan, &port.limits));
        let bond = port.and_then(|port| port.bond.as_ref());
        let status = || bond.and_then(|_| self.draft.runtime.bond(record));
        let uuids =
            |names: Vec<&str>| names.into_iter().map(|n| Datum::Uuid(uuid(Table::Interface, n))).collect();
        match column {
            Column::Interfaces => {
                let names = port.map_or(vec![record], |port| devices(record, port).collect());
                Datum::set(uuids(names))
            }
            Column::Members => {
                Datum::Set(bond.iter().flat_map(|b| &b.members).map(|m| Datum::from(m.as_str())).collect())
            }
            Column::Options => map(bond.map(|bond| &bond.options)),
            Column::Option(option) => {
                let options = bond.and_then(|bond| bond.typed_options().ok());
                option_datum(options.and_then(|options| options.get(option).ok()))
            }
            Column::OvsMode => {
                let options = bond.and_then(|bond| bond.typed_options().ok());
                Datum::option(options.map(|options| Datum::from(ovs_mode(&options))))
            }
            Column::ActiveMember => Datum::option(status().and_then(|s| s.active).map(Datum::Text)),
            Column::ActiveMac => Datum::option(status().and_then(|s| active_mac(&s)).map(Datum::Text)),
            Column::BondCarrier => {
                Datum::option(status().map(|s| Datum::from(if s.carrier { "up" } else { "down" })))
            }
            _ => read_vlans(vlan, column).or_else(|| read_limits(limits, column)).unwrap_or_else(Datum::none),
        }
    }

    fn read_interface(&self, device: &str, column: Column) -> Datum {
        let runtime = &*self.draft.runtime;
        let facts = runtime.device(device);
        let state = |up: bool| Datum::from(if up { "up" } else { "down" });
        match column {
            Column::Type if self.draft.model.bridges.contains_key(device) => Datum::from("internal"),
            Column::Type => Datum::from(""),
            Column::AdminState => Datum::option(facts.map(|facts| state(facts.admin_up))),
            Column::LinkState => Datum::option(facts.map(|facts| state(facts.carrier))),
            Column::MacInUse => Datum::option(facts.map(|facts| Datum::Text(facts.mac.to_string()))),
            Column::Mtu => Datum::option(facts.map(|facts| Datum::Integer(facts.mtu.into()))),
            Column::Ifindex => Datum::option(facts.map(|facts| Datum::Integer(facts.ifindex.into()))),
            Column::Error if facts.is_none() => {
                Datum::Text(format!("could not open network device {device} (No such device)"))
            }
            Column::LinkSpeed => {
                let speed = self.member(device).and_then(|member| member.speed);
                Datum::option(speed.map(|mbps| Datum::Integer(i64::from(mbps) * 1_000_000)))
            }
            Column::Duplex => {
                let full = self.member(device).and_then(|member| member.full_duplex);
                Datum::option(full.map(|full| Datum::from(if full { "full" } else { "half" })))
            }
            Column::LacpCurrent => {
                let current = self.member(device).and_then(|member| member.lacp_current);
                Datum::option(current.map(Datum::Boolean))
            }
            Column::MemberOption(option) => match self.draft.model.place_of(device) {
                Some(Place::Member { bond, .. }) => {
                    let bond = self.draft.model.bond(bond).map(|(_, bond)| bond);
                    let options = bond.and_then(|bond| bond.typed_member_options(device).ok());
                    option_datum(options.and_then(|(options, _)| options.get(option).ok()))
                }
                _ => Datum::none(),
            },
            Column::Statistics => self.statistics(device),
            _ => Datum::none(),
        }
    }

    fn member(&self, device: &str) -> Option<MemberStatus> {
        let Some(Place::Member { bond, .. }) = self.draft.model.place_of(device) else { return None };
        self.draft.runtime.bond(bond)?.members.into_iter().find(|member| member.name == device)
    }

    /// Open vSwitch's names. The switch sees no errors; those are the device's own.
    fn statistics(&self, device: &str) -> Datum {
        let all = self.counters.get_or_init(|| self.draft.runtime.counters());
        let Some(counters) = all.iter().find(|counters| counters.device == device) else {
            return Datum::Map(BTreeMap::new());
        };
        let numbers = [
            ("rx_bytes", counters.rx_bytes),
            ("rx_dropped", counters.drops.values().sum()),
            ("rx_errors", 0),
            ("rx_packets", counters.rx_frames),
            ("tx_bytes", counters.tx_bytes),
            ("tx_dropped", 0),
            ("tx_errors", 0),
            ("tx_packets", counters.tx_frames),
        ];
        let number = |n: u64| Datum::Integer(n.try_into().unwrap_or(i64::MAX));
        Datum::Map(numbers.into_iter().map(|(name, n)| (name.to_owned(), number(n))).collect())
    }
}

fn active_mac(status: &BondStatus) -> Option<String> {
    let active = status.active.as_ref()?;
    Some(status.members.iter().find(|member| member.name == *active)?.mac?.to_string())
}

fn read_bridge(name: &str, bridge: &Bridge, column: Column) -> Datum {
    match column {
        Column::Carrier => Datum::option(bridge.carrier.clone().map(Datum::Text)),
        Column::FailMode => Datum::option(bridge.fail_mode.map(|mode| Datum::from(mode.name()))),
        Column::FastPath => Datum::from(bridge.fastpath.name()),
        Column::Mac => Datum::Text(bridge.mac.to_string()),
        Column::MacAgingTime => Datum::Integer(bridge.mac_aging_time.into()),
        Column::MacTableSize => Datum::Integer(bridge.mac_table_size.into()),
        Column::Ports => {
            let names = bridge.ports.keys().map(String::as_str).chain([name]);
            Datum::set(names.map(|port| Datum::Uuid(uuid(Table::Port, port))).collect())
        }
        _ => Datum::none(),
    }
}

fn read_vlans(vlan: &Vlan, column: Column) -> Option<Datum> {
    let list = |list: Option<VlanList>| {
        let vlans = list.iter().flat_map(VlanList::iter).map(|vlan| Datum::Integer(vlan.into()));
        Datum::set(vlans.collect())
    };
    Some(match column {
        Column::VlanMode => Datum::from(vlan.mode().name()),
        Column::Tag => Datum::option(vlan.tag().map(|tag| Datum::Integer(tag.into()))),
        Column::Trunks => list(vlan.parts().trunks),
        Column::Cvlans => list(vlan.parts().cvlans),
        _ => return None,
    })
}

fn read_limits(limits: &Limits, column: Column) -> Option<Datum> {
    let number = |limit: Option<u32>| Datum::option(limit.map(|n| Datum::Integer(n.into())));
    Some(match column {
        Column::LearningLimit => number(limits.mac_learning_limit),
        Column::LearningLocked => Datum::Boolean(limits.mac_learning_locked),
        Column::StormBroadcast => number(limits.storm_broadcast),
        Column::StormUnknown => number(limits.storm_unknown),
        Column::StormMulticast => number(limits.storm_multicast),
        _ => return None,
    })
}

fn map(texts: Option<&BTreeMap<String, String>>) -> Datum {
    let pairs = texts.into_iter().flatten().map(|(key, value)| (key.clone(), Datum::Text(value.clone())));
    Datum::Map(pairs.collect())
}

fn fixed_datum(shown: &str) -> Datum {
    match shown {
        "[]" => Datum::none(),
        "{}" => Datum::Map(BTreeMap::new()),
        "true" | "false" => Datum::Boolean(shown == "true"),
        _ => shown.parse().map_or_else(|_| Datum::Text(words::text(shown)), Datum::Integer),
    }
}

/// A name of its own for each record, always the same: the 128-bit FNV-1a hash of table and name, marked as a UUID of
/// version 8 (RFC 9562, section 5.8).
pub(super) fn uuid(table: Table, name: &str) -> String {
    let mut hash: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    for byte in table.name().bytes().chain([0]).chain(name.bytes()) {
        hash = (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    }
    let hash = hash & !(0xf << 76 | 0x3 << 62) | 0x8 << 76 | 0x2 << 62;
    let text = format!("{hash:032x}");
    [&text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..]].join("-")
}
