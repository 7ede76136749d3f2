//! The desired state of the switch: what the operator asked for, as it stands in the state file. Nothing here says
//! what devices exist or what carries traffic now.
//!
//! All names live in one space: bridges (each also the name of its internal port), plain ports, bonds and members.

use std::collections::BTreeMap;

use forwarding::mac::MacAddr;
use serde::{Deserialize, Serialize};

pub use self::limits::Limits;
pub use self::options::{Settled, settle_member_option, settle_options};
pub(crate) use self::validate::out_of_range;
pub use self::validate::{Invalid, check_id, check_name};
pub use self::vlans::{Vlan, VlanError, VlanList, VlanMode, VlanParts};

mod file_form;
mod limits;
pub mod mac_text;
mod options;
mod validate;
mod vlans;

#[cfg(test)]
pub(crate) mod tests;

/// The version of the state file's layout that this program reads and writes.
pub const FORMAT_VERSION: u32 = 1;

/// Everything the operator configured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Layout of the file: [`FORMAT_VERSION`].
    pub version: u32,
    /// Bridges by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bridges: BTreeMap<String, Bridge>,
}

/// Texts by key that other programs keep here (Open vSwitch's `external_ids`); they mean nothing to the switch.
pub type Ids = BTreeMap<String, String>;

/// MAC addresses entered by hand, each with its VLAN (0..=4094), and the port behind which they are: a port or bond of
/// the bridge, or the bridge's own name for the internal port.
pub type Statics = BTreeMap<(u16, MacAddr), String>;

/// What Open vSwitch's bridge does without a controller. It is kept for those who ask, and has no effect here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FailMode {
    /// Forwards by itself, as this switch always does.
    Standalone,
    /// Waits for a controller.
    Secure,
}

impl FailMode {
    /// Open vSwitch's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Standalone => "standalone",
            Self::Secure => "secure",
        }
    }
}

/// Whether the kernel's executor forwards too: a setting of the daemon, and of each bridge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FastPathMode {
    /// If kernel and privileges allow.
    #[default]
    Auto,
    /// It must.
    On,
    /// It does not.
    Off,
}

impl FastPathMode {
    /// All of them, by name.
    pub const ALL: [Self; 3] = [Self::Auto, Self::On, Self::Off];

    /// The name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::On => "on",
            Self::Off => "off",
        }
    }

    /// The mode with a name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }
}

/// A bridge and its internal port, which has the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "file_form::Bridge", into = "file_form::Bridge")]
pub struct Bridge {
    /// Address of the internal port, chosen when the bridge was added and kept.
    pub mac: MacAddr,
    /// The port or bond of this bridge whose carrier the internal port follows. `None`: always up.
    pub carrier: Option<String>,
    /// Most FDB entries, [`Bridge::TABLE_SIZES`].
    pub mac_table_size: u32,
    /// Seconds after which a learned MAC that is not heard again is forgotten, [`Bridge::AGING_TIMES`].
    pub mac_aging_time: u32,
    /// Kept for others.
    pub fail_mode: Option<FailMode>,
    /// Whether the kernel forwards for it.
    pub fastpath: FastPathMode,
    /// VLANs of the internal port.
    pub vlan: Vlan,
    /// Limits of the internal port.
    pub limits: Limits,
    /// MAC addresses entered by hand.
    pub statics: Statics,
    /// The bridge's.
    pub external_ids: Ids,
    /// The internal port's.
    pub port_external_ids: Ids,
    /// Those of the bridge's devices (the internal one, plain ports, members of bonds) that have some.
    pub interface_external_ids: BTreeMap<String, Ids>,
    /// Ports by name, bonds among them, without the internal port.
    pub ports: BTreeMap<String, Port>,
}

impl Bridge {
    /// Default of `mac-table-size`.
    pub const DEFAULT_TABLE_SIZE: u32 = 8192;
    /// Allowed `mac-table-size`.
    pub const TABLE_SIZES: std::ops::RangeInclusive<u32> = 10..=1_048_576;
    /// Default of `mac-aging-time` in seconds.
    pub const DEFAULT_AGING_TIME: u32 = 300;
    /// Allowed `mac-aging-time` in seconds: the range that Open vSwitch documents.
    pub const AGING_TIMES: std::ops::RangeInclusive<u32> = 15..=3600;

    /// A bridge with default settings and no ports.
    pub fn new(mac: MacAddr) -> Self {
        Self {
            mac,
            carrier: None,
            mac_table_size: Self::DEFAULT_TABLE_SIZE,
            mac_aging_time: Self::DEFAULT_AGING_TIME,
            fail_mode: None,
            fastpath: FastPathMode::Auto,
            vlan: Vlan::All,
            limits: Limits::default(),
            statics: Statics::new(),
            external_ids: Ids::new(),
            port_external_ids: Ids::new(),
            interface_external_ids: BTreeMap::new(),
            ports: BTreeMap::new(),
        }
    }

    /// The ports that are plain devices.
    pub fn plain_ports(&self) -> impl Iterator<Item = (&str, &Port)> {
        self.ports.iter().filter(|(_, port)| port.bond.is_none()).map(|(name, port)| (name.as_str(), port))
    }

    /// The ports that are bonds.
    pub fn bonds(&self) -> impl Iterator<Item = (&str, &Port, &Bond)> {
        self.ports.iter().filter_map(|(name, port)| Some((name.as_str(), port, port.bond.as_ref()?)))
    }
}

/// A port of a bridge: the device of the same name, or a bond of devices.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(try_from = "file_form::Port", into = "file_form::Port")]
pub struct Port {
    /// VLAN membership and tagging.
    pub vlan: Vlan,
    /// Learning and storm control.
    pub limits: Limits,
    /// What others keep here.
    pub external_ids: Ids,
    /// What makes it a bond.
    pub bond: Option<Bond>,
}

/// What a bond is made of.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bond {
    /// Member devices in the order in which they joined.
    pub members: Vec<String>,
    /// The member that was active last: a hint for the next start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active: Option<String>,
    /// Options in the spelling of the Linux bonding driver: the mode, and what else differs from the defaults.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// Options of members, by member: what differs from the defaults, in the driver's spelling.
    #[serde(default, rename = "member-options", skip_serializing_if = "BTreeMap::is_empty")]
    pub member_options: BTreeMap<String, BTreeMap<String, String>>,
}

impl Bridge {
    /// Whether a device is one of this bridge, whose name is `name`: its internal one, a plain port or a member.
    fn has_device(&self, name: &str, device: &str) -> bool {
        device == name
            || self.ports.get(device).is_some_and(|port| port.bond.is_none())
            || self.bonds().any(|(_, _, bond)| bond.members.iter().any(|member| member == device))
    }

    /// Forgets what is kept of ports and devices that are gone. `name` is the bridge's.
    pub fn drop_orphans(&mut self, name: &str) {
        let devices = std::mem::take(&mut self.interface_external_ids);
        self.interface_external_ids = devices
            .into_iter()
            .filter(|(device, ids)| !ids.is_empty() && self.has_device(name, device))
            .collect();
        self.statics.retain(|_, port| port == name || self.ports.contains_key(port));
        for bond in self.ports.values_mut().filter_map(|port| port.bond.as_mut()) {
            bond.member_options
                .retain(|member, options| !options.is_empty() && bond.members.contains(member));
        }
    }
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place<'a> {
    /// A bridge and its internal port.
    Bridge,
    /// A plain port of this bridge.
    Port {
        /// Its bridge.
        bridge: &'a str,
    },
    /// A bond of this bridge.
    Bond {
        /// Its bridge.
        bridge: &'a str,
    },
    /// A member of this bond.
    Member {
        /// The bond's bridge.
        bridge: &'a str,
        /// The bond.
        bond: &'a str,
    },
}

impl Default for Model {
    fn default() -> Self {
        Self { version: FORMAT_VERSION, bridges: BTreeMap::new() }
    }
}

impl Model {
    /// What `name` stands for, if it is in use.
    pub fn place_of(&self, name: &str) -> Option<Place<'_>> {
        if self.bridges.contains_key(name) {
            return Some(Place::Bridge);
        }
        self.bridges.iter().find_map(|(bridge, b)| match b.ports.get(name) {
            Some(Port { bond: None, .. }) => Some(Place::Port { bridge }),
            Some(Port { bond: Some(_), .. }) => Some(Place::Bond { bridge }),
            None => b
                .bonds()
                .find(|(_, _, bond)| bond.members.iter().any(|member| member == name))
                .map(|(bond, _, _)| Place::Member { bridge, bond }),
        })
    }

    /// Names of all devices, and whether each is a bridge's internal port.
    pub fn devices(&self) -> impl Iterator<Item = (String, bool)> + '_ {
        let internal = self.bridges.keys().map(|name| (name.clone(), true));
        let others = self.bridges.values().flat_map(|bridge| &bridge.ports).flat_map(|(name, port)| {
            let members = port.bond.as_ref().map_or(std::slice::from_ref(name), |bond| &bond.members);
            members.iter().map(|member| (member.clone(), false))
        });
        internal.chain(others)
    }

    /// The bond of this name, and its bridge.
    pub fn bond(&self, name: &str) -> Option<(&str, &Bond)> {
        self.bridges.iter().find_map(|(bridge, b)| Some((bridge.as_str(), b.ports.get(name)?.bond.as_ref()?)))
    }

    /// The bond of this name, to be changed.
    pub fn bond_mut(&mut self, name: &str) -> Option<&mut Bond> {
        self.bridges.values_mut().find_map(|b| b.ports.get_mut(name)?.bond.as_mut())
    }

    /// The VLANs of a port: internal, plain or bond.
    pub fn vlan_mut(&mut self, port: &str) -> Option<&mut Vlan> {
        if self.bridges.contains_key(port) {
            return self.bridges.get_mut(port).map(|bridge| &mut bridge.vlan);
        }
        self.bridges.values_mut().find_map(|b| b.ports.get_mut(port)).map(|port| &mut port.vlan)
    }

    /// The VLANs of a port: internal, plain or bond.
    pub fn vlan(&self, port: &str) -> Option<&Vlan> {
        let internal = self.bridges.get(port).map(|bridge| &bridge.vlan);
        internal.or_else(|| self.bridges.values().find_map(|b| b.ports.get(port)).map(|port| &port.vlan))
    }

    /// The limits of a port: internal, plain or bond.
    pub fn limits_mut(&mut self, port: &str) -> Option<&mut Limits> {
        if self.bridges.contains_key(port) {
            return self.bridges.get_mut(port).map(|bridge| &mut bridge.limits);
        }
        self.bridges.values_mut().find_map(|b| b.ports.get_mut(port)).map(|port| &mut port.limits)
    }

    /// Notes which member of a bond is active, for the next start. Says whether the model changed; a name that is no
    /// member of such a bond changes nothing.
    pub fn note_active(&mut self, bond: &str, member: Option<&str>) -> bool {
        let Some(bond) = self.bond_mut(bond) else { return false };
        let known = member.is_none_or(|name| bond.members.iter().any(|m| m == name));
        if !known || bond.active.as_deref() == member {
            return false;
        }
        bond.active = member.map(str::to_owned);
        true
    }
}
