//! The file's form: JSON, with the standard's names for states. Whatever the octets are, reading them gives a [`Kept`] that
//! can be worked with, or an error.

use std::collections::BTreeMap;
use std::time::Duration;

use bond_port::BondSnapshot;
use forwarding::mac::MacAddr;
use lacp::timer::LONG_TIMEOUT_TIME;
use lacp::{AggregatorId, Lacpdu, PortId, PortInfo, PortSnapshot, Selected, Snapshot, State, mux, receive};
use serde::{Deserialize, Serialize};

use super::{Kept, KeptGuest};
use crate::model::mac_text;

/// Files of another version are passed over.
const VERSION: u32 = 1;
/// No more guests are taken over, of all bridges together.
const MAX_KEPT_GUESTS: usize = 65_536;

const RECEIVE: [receive::State; 6] = [
    receive::State::Initialize,
    receive::State::PortDisabled,
    receive::State::LacpDisabled,
    receive::State::Expired,
    receive::State::Defaulted,
    receive::State::Current,
];
const MUX: [mux::State; 6] = [
    mux::State::Detached,
    mux::State::Waiting,
    mux::State::Attached,
    mux::State::Collecting,
    mux::State::Distributing,
    mux::State::CollectingDistributing,
];
const SELECTED: [Selected; 3] = [Selected::Unselected, Selected::Selected, Selected::Standby];

#[derive(Debug, Serialize, Deserialize)]
struct Root {
    version: u32,
    boot_id: String,
    /// Since boot.
    taken_ms: u64,
    bonds: BTreeMap<String, BondForm>,
    #[serde(default)]
    guests: Vec<KeptGuest>,
}

/// Only the version, which says whether the rest is known.
#[derive(Debug, Deserialize)]
struct Versioned {
    version: u32,
}

#[derive(Debug, Serialize, Deserialize)]
struct BondForm {
    #[serde(with = "mac_text::option")]
    mac: Option<MacAddr>,
    members: Vec<MemberForm>,
    /// The active aggregator.
    active: Option<u32>,
    /// LACP is spoken.
    lacp: bool,
    /// Places of members.
    buckets: Vec<u32>,
}

#[derive(Debug, Serialize, Deserialize)]
struct MemberForm {
    name: String,
    port: Option<PortForm>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PortForm {
    actor: InfoForm,
    partner: InfoForm,
    receive: String,
    current_while_ms: u64,
    mux: String,
    selected: String,
    aggregator: u32,
    heard: Option<HeardForm>,
}

#[derive(Debug, Serialize, Deserialize)]
struct InfoForm {
    system_priority: u16,
    #[serde(with = "mac_text")]
    system: MacAddr,
    key: u16,
    port_priority: u16,
    port: u16,
    state: u8,
}

#[derive(Debug, Serialize, Deserialize)]
struct HeardForm {
    version: u8,
    actor: InfoForm,
    partner: InfoForm,
    collector_max_delay: u16,
    age_ms: u64,
}

/// The boot, and what was kept.
pub(super) fn parse(bytes: &[u8]) -> Result<(String, Kept), String> {
    let Versioned { version } = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!("version {version}, and this daemon writes {VERSION}"));
    }
    let root: Root = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let mut bonds = BTreeMap::new();
    for (name, bond) in root.bonds {
        let bond = bond.read().map_err(|problem| format!("bond {name}: {problem}"))?;
        bonds.insert(name, bond);
    }
    let mut guests = root.guests;
    guests.truncate(MAX_KEPT_GUESTS);
    Ok((root.boot_id, Kept { taken: Duration::from_millis(root.taken_ms), bonds, guests }))
}

pub(super) fn to_bytes(boot: &str, kept: &Kept) -> Vec<u8> {
    let bonds = kept.bonds.iter().map(|(name, bond)| (name.clone(), BondForm::of(bond))).collect();
    let root = Root {
        version: VERSION,
        boot_id: boot.to_owned(),
        taken_ms: milliseconds(kept.taken),
        bonds,
        guests: kept.guests.clone(),
    };
    serde_json::to_vec(&root).expect("keys are texts")
}

impl BondForm {
    fn of(bond: &BondSnapshot) -> Self {
        let port = |place: usize| {
            let ports = bond.lacp.as_ref()?.ports.iter();
            ports.clone().find(|port| port.port.0 as usize == place).map(PortForm::of)
        };
        let member = |(place, name): (usize, &String)| MemberForm { name: name.clone(), port: port(place) };
        Self {
            mac: bond.mac,
            members: bond.members.iter().enumerate().map(member).collect(),
            active: bond.lacp.as_ref().and_then(|lacp| lacp.active).map(|id| id.0),
            lacp: bond.lacp.is_some(),
            buckets: bond.buckets.clone(),
        }
    }

    fn read(self) -> Result<BondSnapshot, String> {
        let (mut members, mut ports) = (Vec::new(), Vec::new());
        for (place, member) in (0..).zip(self.members) {
            if members.contains(&member.name) {
                return Err(format!("member {} is there twice", member.name));
            }
            if let Some(port) = member.port {
                ports.push(
                    port.read(PortId(place))
                        .map_err(|problem| format!("member {}: {problem}", member.name))?,
                );
            }
            members.push(member.name);
        }
        let active = self.active.map(AggregatorId);
        let lacp = self.lacp.then_some(Snapshot { active, ports });
        Ok(BondSnapshot { mac: self.mac, members, lacp, buckets: self.buckets })
    }
}

impl PortForm {
    fn of(port: &PortSnapshot) -> Self {
        Self {
            actor: InfoForm::of(&port.actor),
            partner: InfoForm::of(&port.partner),
            receive: port.receive.name().to_owned(),
            current_while_ms: milliseconds(port.current_while),
            mux: port.mux.name().to_owned(),
            selected: port.selected.name().to_owned(),
            aggregator: port.aggregator.0,
            heard: port.heard.map(|(lacpdu, age)| HeardForm {
                version: lacpdu.version,
                actor: InfoForm::of(&lacpdu.actor),
                partner: InfoForm::of(&lacpdu.partner),
                collector_max_delay: lacpdu.collector_max_delay,
                age_ms: milliseconds(age),
            }),
        }
    }

    fn read(&self, port: PortId) -> Result<PortSnapshot, String> {
        let heard = self.heard.as_ref().map(|heard| {
            let lacpdu = Lacpdu {
                version: heard.version,
                actor: heard.actor.read(),
                partner: heard.partner.read(),
                collector_max_delay: heard.collector_max_delay,
            };
            (lacpdu, Duration::from_millis(heard.age_ms))
        });
        Ok(PortSnapshot {
            port,
            actor: self.actor.read(),
            partner: self.partner.read(),
            receive: named(&RECEIVE, receive::State::name, &self.receive)?,
            // No such timer runs longer.
            current_while: Duration::from_millis(self.current_while_ms).min(LONG_TIMEOUT_TIME),
            mux: named(&MUX, mux::State::name, &self.mux)?,
            selected: named(&SELECTED, Selected::name, &self.selected)?,
            aggregator: AggregatorId(self.aggregator),
            heard,
        })
    }
}

impl InfoForm {
    fn of(info: &PortInfo) -> Self {
        Self {
            system_priority: info.system_priority,
            system: MacAddr(info.system),
            key: info.key,
            port_priority: info.port_priority,
            port: info.port,
            state: info.state.0,
        }
    }

    fn read(&self) -> PortInfo {
        PortInfo {
            system_priority: self.system_priority,
            system: self.system.0,
            key: self.key,
            port_priority: self.port_priority,
            port: self.port,
            state: State(self.state),
        }
    }
}

fn named<T: Copy>(all: &[T], name: fn(T) -> &'static str, text: &str) -> Result<T, String> {
    let found = all.iter().copied().find(|one| name(*one) == text);
    found.ok_or_else(|| format!("no such state: {text:?}"))
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
