//! Names of tables and columns, as ovs-vsctl reads them: upper and lower case are alike, so are `-` and `_`, and a
//! unique beginning is enough.

use bond_port::{BondOptions, MemberOptionError, MemberOptions, OptionError};

use super::Problem;
use super::fixed::{self, Fixed};
use crate::cli::suggest::hint;

/// The kinds of things that have columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Bridge,
    Port,
    Bond,
    Interface,
}

/// One thing that can be looked at, and perhaps set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    // What follows from the configuration.
    Uuid,
    Name,
    Bridge,
    Ports,
    Interfaces,
    Members,
    Mac,
    Options,
    // What is configured.
    Carrier,
    FailMode,
    FastPath,
    MacTableSize,
    MacAgingTime,
    VlanMode,
    Tag,
    Trunks,
    Cvlans,
    LearningLimit,
    LearningLocked,
    StormBroadcast,
    StormUnknown,
    StormMulticast,
    /// A bond option in Linux's spelling, or one of Open vSwitch's that stands for some of them.
    Option(&'static str),
    /// The mode of a bond, where Open vSwitch's `balance-tcp` is called so.
    OvsMode,
    /// An option of a bond's member in Linux's spelling.
    MemberOption(&'static str),
    Type,
    ExternalIds,
    OtherConfig,
    /// Something of Open vSwitch's that has only one value here.
    Fixed(&'static Fixed),
    // What runs.
    ActiveMember,
    ActiveMac,
    BondCarrier,
    AdminState,
    LinkState,
    LinkSpeed,
    Duplex,
    LacpCurrent,
    MacInUse,
    Mtu,
    Ifindex,
    Statistics,
    Error,
}

impl Column {
    /// Whether it can be set; what can't is read-only.
    pub(super) fn is_settable(self) -> bool {
        matches!(
            self,
            Self::Carrier
                | Self::FailMode
                | Self::FastPath
                | Self::MacTableSize
                | Self::MacAgingTime
                | Self::VlanMode
                | Self::Tag
                | Self::Trunks
                | Self::Cvlans
                | Self::LearningLimit
                | Self::LearningLocked
                | Self::StormBroadcast
                | Self::StormUnknown
                | Self::StormMulticast
                | Self::Option(_)
                | Self::OvsMode
                | Self::MemberOption(_)
                | Self::Type
                | Self::ExternalIds
                | Self::OtherConfig
                | Self::Fixed(_)
        )
    }
}

type Columns = &'static [(&'static str, Column)];

const TABLES: &[(&str, Table)] = &[
    ("bridge", Table::Bridge),
    ("port", Table::Port),
    ("bond", Table::Bond),
    ("interface", Table::Interface),
];

/// Columns in the order of `list`.
const BRIDGE: Columns = &[
    ("_uuid", Column::Uuid),
    ("carrier", Column::Carrier),
    ("controller", Column::Fixed(&fixed::CONTROLLER)),
    ("datapath_type", Column::Fixed(&fixed::DATAPATH_TYPE)),
    ("external_ids", Column::ExternalIds),
    ("fail_mode", Column::FailMode),
    ("fastpath", Column::FastPath),
    ("mac", Column::Mac),
    ("mac_aging_time", Column::MacAgingTime),
    ("mac_table_size", Column::MacTableSize),
    ("mcast_snooping_enable", Column::Fixed(&fixed::MCAST_SNOOPING)),
    ("name", Column::Name),
    ("other_config", Column::OtherConfig),
    ("ports", Column::Ports),
    ("protocols", Column::Fixed(&fixed::PROTOCOLS)),
    ("rstp_enable", Column::Fixed(&fixed::SPANNING_TREE)),
    ("stp_enable", Column::Fixed(&fixed::SPANNING_TREE)),
];

const PORT: Columns = &[
    ("_uuid", Column::Uuid),
    ("bond_active_slave", Column::ActiveMac),
    ("bond_downdelay", Column::Option("downdelay")),
    ("bond_fake_iface", Column::Fixed(&fixed::FAKE_IFACE)),
    ("bond_mode", Column::OvsMode),
    ("bond_updelay", Column::Option("updelay")),
    ("bridge", Column::Bridge),
    ("cvlans", Column::Cvlans),
    ("external_ids", Column::ExternalIds),
    ("fake_bridge", Column::Fixed(&fixed::FAKE_BRIDGE)),
    ("interfaces", Column::Interfaces),
    ("lacp", Column::Option("lacp")),
    ("mac", Column::Fixed(&fixed::PORT_MAC)),
    ("mac_learning_limit", Column::LearningLimit),
    ("mac_learning_locked", Column::LearningLocked),
    ("name", Column::Name),
    ("other_config", Column::OtherConfig),
    ("protected", Column::Fixed(&fixed::PROTECTED)),
    ("qos", Column::Fixed(&fixed::QOS)),
    ("storm_broadcast", Column::StormBroadcast),
    ("storm_multicast", Column::StormMulticast),
    ("storm_unknown", Column::StormUnknown),
    ("tag", Column::Tag),
    ("trunks", Column::Trunks),
    ("vlan_mode", Column::VlanMode),
];

const BOND: Columns = &[
    ("_uuid", Column::Uuid),
    ("active_member", Column::ActiveMember),
    ("bridge", Column::Bridge),
    ("carrier", Column::BondCarrier),
    ("cvlans", Column::Cvlans),
    ("external_ids", Column::ExternalIds),
    ("lacp", Column::Option("lacp")),
    ("mac_learning_limit", Column::LearningLimit),
    ("mac_learning_locked", Column::LearningLocked),
    ("members", Column::Members),
    ("mode", Column::Option("mode")),
    ("name", Column::Name),
    ("options", Column::Options),
    ("storm_broadcast", Column::StormBroadcast),
    ("storm_multicast", Column::StormMulticast),
    ("storm_unknown", Column::StormUnknown),
    ("tag", Column::Tag),
    ("trunks", Column::Trunks),
    ("vlan_mode", Column::VlanMode),
];

const INTERFACE: Columns = &[
    ("_uuid", Column::Uuid),
    ("actor_port_prio", Column::MemberOption("actor_port_prio")),
    ("admin_state", Column::AdminState),
    ("duplex", Column::Duplex),
    ("error", Column::Error),
    ("external_ids", Column::ExternalIds),
    ("ifindex", Column::Ifindex),
    ("ingress_policing_burst", Column::Fixed(&fixed::POLICING)),
    ("ingress_policing_rate", Column::Fixed(&fixed::POLICING)),
    ("lacp_aggregation_key", Column::MemberOption("lacp_aggregation_key")),
    ("lacp_current", Column::LacpCurrent),
    ("lacp_port_id", Column::MemberOption("lacp_port_id")),
    ("link_speed", Column::LinkSpeed),
    ("link_state", Column::LinkState),
    ("mac_in_use", Column::MacInUse),
    ("mtu", Column::Mtu),
    ("mtu_request", Column::Fixed(&fixed::MTU_REQUEST)),
    ("name", Column::Name),
    ("ofport_request", Column::Fixed(&fixed::OFPORT_REQUEST)),
    ("options", Column::Fixed(&fixed::OPTIONS)),
    ("other_config", Column::OtherConfig),
    ("prio", Column::MemberOption("prio")),
    ("statistics", Column::Statistics),
    ("type", Column::Type),
];

/// Keys of `other_config` in Open vSwitch's tables.
const BRIDGE_KEYS: Columns = &[
    ("mac-aging-time", Column::MacAgingTime),
    ("mac-table-size", Column::MacTableSize),
    ("disable-in-band", Column::Fixed(&fixed::IN_BAND)),
];
const PORT_KEYS: Columns = &[
    ("mac-learning-limit", Column::LearningLimit),
    ("mac-learning-locked", Column::LearningLocked),
    ("storm-broadcast", Column::StormBroadcast),
    ("storm-multicast", Column::StormMulticast),
    ("storm-unknown", Column::StormUnknown),
];
const BOND_KEYS: Columns = &[
    ("bond-detect-mode", Column::Fixed(&fixed::DETECT_MODE)),
    ("bond-miimon-interval", Column::Option("miimon")),
    ("bond-primary", Column::Option("primary")),
    ("bond-rebalance-interval", Column::Option("rebalance_interval")),
    ("lacp-fallback-ab", Column::Option("lacp_fallback_ab")),
    ("lacp-system-id", Column::Option("ad_actor_system")),
    ("lacp-system-priority", Column::Option("ad_actor_sys_prio")),
    ("lacp-time", Column::Option("lacp_rate")),
];
const INTERFACE_KEYS: Columns = &[
    ("lacp-aggregation-key", Column::MemberOption("lacp_aggregation_key")),
    ("lacp-port-id", Column::MemberOption("lacp_port_id")),
    ("lacp-port-priority", Column::MemberOption("actor_port_prio")),
];

/// A column, and the key within it if it is a map with free keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) column: Column,
    pub(super) key: Option<String>,
}

impl From<Column> for Target {
    fn from(column: Column) -> Self {
        Self { column, key: None }
    }
}

impl Table {
    pub(super) fn parse(name: &str) -> Result<Self, Problem> {
        match find(name, TABLES.iter().copied()) {
            Found::One(table) => Ok(table),
            Found::Many => Err(format!("multiple table names match \"{name}\"")),
            Found::None => Err(format!(
                "unknown table \"{name}\"; the tables are {}",
                TABLES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
            )),
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bridge => "Bridge",
            Self::Port => "Port",
            Self::Bond => "Bond",
            Self::Interface => "Interface",
        }
    }

    pub(super) fn columns(self) -> Columns {
        match self {
            Self::Bridge => BRIDGE,
            Self::Port => PORT,
            Self::Bond => BOND,
            Self::Interface => INTERFACE,
        }
    }

    /// The known keys of `other_config`. `bond`: the record is a bond.
    pub(super) fn keys(self, bond: bool) -> impl Iterator<Item = (&'static str, Column)> + Clone {
        let (own, more): (Columns, Columns) = match self {
            Self::Bridge => (BRIDGE_KEYS, &[]),
            Self::Port | Self::Bond => (PORT_KEYS, if bond { BOND_KEYS } else { &[] }),
            Self::Interface => (INTERFACE_KEYS, &[]),
        };
        own.iter().chain(more).copied()
    }

    /// The name and meaning of a column that is to be read; a bond option is one too.
    pub(super) fn readable(self, name: &str) -> Result<(&'static str, Column), Problem> {
        match find(name, self.columns().iter().map(|(name, column)| (*name, (*name, *column)))) {
            Found::One(found) => Ok(found),
            Found::Many => Err(self.ambiguous(name)),
            Found::None => match (self, BondOptions::canonical(name)) {
                (Self::Bond, Ok(option)) => Ok((option, Column::Option(option))),
                _ => Err(self.unknown(name)),
            },
        }
    }

    /// What is to be changed. `bond`: the record is a bond, so that a port has bond options too. These can't be
    /// abbreviated, so that a slip of the pen is not taken for one.
    pub(super) fn target(self, bond: bool, name: &str, key: Option<&str>) -> Result<Target, Problem> {
        let options = bond && matches!(self, Self::Port | Self::Bond);
        let option = options.then(|| BondOptions::canonical(name));
        if let (Some(Ok(option)), None) = (&option, key) {
            return Ok(Column::Option(option).into());
        }
        let column = match (find(name, self.writable()), option) {
            (_, Some(Err(error @ OptionError::Command { .. }))) => return Err(error.to_string()),
            (Found::One(column), _) => column,
            (Found::None | Found::Many, Some(Ok(_))) => {
                return Err(format!("cannot specify key to set for non-map column {name}"));
            }
            (Found::None | Found::Many, Some(Err(error))) => return Err(self.unknown_option(name, &error)),
            (Found::Many, None) => return Err(self.ambiguous(name)),
            (Found::None, None) => return Err(self.unknown(name)),
        };
        match (column, key) {
            (Column::ExternalIds, key) => Ok(Target { column, key: key.map(str::to_owned) }),
            (Column::OtherConfig, Some(key)) => self.key(bond, key).map(Target::from),
            (Column::Fixed(fixed), Some(_)) if fixed.is_map() => Ok(column.into()),
            (_, Some(_)) => Err(format!("cannot specify key to set for non-map column {name}")),
            (_, None) => Ok(column.into()),
        }
    }

    /// Columns that a name in a setting may mean. A bond's row in table `bond` has its port's columns too.
    fn writable(self) -> impl Iterator<Item = (&'static str, Column)> {
        let more: Columns = if self == Self::Bond { PORT } else { &[] };
        let own = self.columns();
        let more = more.iter().filter(|(name, _)| own.iter().all(|(other, _)| other != name));
        own.iter().chain(more).copied()
    }

    /// The column that stands for a key of `other_config`.
    fn key(self, bond: bool, key: &str) -> Result<Column, Problem> {
        if let Found::One(column) = exact(key, self.keys(bond)) {
            return Ok(column);
        }
        let error = match BondOptions::canonical(&format!("other_config:{key}")) {
            _ if !bond || self == Self::Interface => None,
            Ok(option) => return Ok(Column::Option(option)),
            Err(error) => Some(error),
        };
        let known = known(key, self.keys(bond).map(|(name, _)| name));
        match error {
            Some(error @ OptionError::Unknown { suggestion: Some(_), .. }) => Err(error.to_string()),
            Some(error) if !matches!(error, OptionError::Unknown { .. }) => Err(error.to_string()),
            _ => Err(format!("other_config of table {} has no key \"{key}\"{known}", self.name())),
        }
    }

    fn ambiguous(self, name: &str) -> Problem {
        format!("{} contains more than one column whose name matches \"{name}\"", self.name())
    }

    fn unknown(self, name: &str) -> Problem {
        // What Linux has for a member and we have not, or what belongs to the bond.
        if self == Self::Interface
            && let Err(error @ (MemberOptionError::Elsewhere { .. } | MemberOptionError::OfBond { .. })) =
                MemberOptions::canonical(name)
        {
            return error.to_string();
        }
        let columns = self.columns().iter().map(|(name, _)| *name).filter(|name| *name != "_uuid");
        let known = known(name, columns);
        format!("{} does not contain a column whose name matches \"{name}\"{known}", self.name())
    }

    /// The error about an option, with a column if one of those was meant.
    fn unknown_option(self, name: &str, error: &OptionError) -> Problem {
        match error {
            OptionError::Unknown { suggestion: None, .. } => {
                format!("{error}{}", hint(name, self.columns().iter().map(|(name, _)| *name)))
            }
            _ => error.to_string(),
        }
    }
}

/// What might have been meant, or all that there is.
fn known(name: &str, names: impl Iterator<Item = &'static str> + Clone) -> String {
    let all = || names.clone().collect::<Vec<_>>().join(", ");
    match hint(name, names.clone()) {
        hint if hint.is_empty() && names.clone().next().is_some() => format!("; it has {}", all()),
        hint => hint,
    }
}

enum Found<T> {
    None,
    One(T),
    Many,
}

/// The item of this name, or the only one whose name begins so.
fn find<T>(name: &str, items: impl Iterator<Item = (&'static str, T)>) -> Found<T> {
    let name = canonical(name);
    let mut found = Found::None;
    if name.is_empty() {
        return found;
    }
    for (candidate, item) in items {
        let candidate = canonical(candidate);
        if candidate == name {
            return Found::One(item);
        }
        if candidate.starts_with(&name) {
            found = if matches!(found, Found::None) { Found::One(item) } else { Found::Many };
        }
    }
    found
}

/// The item of this name.
fn exact<T>(name: &str, items: impl Iterator<Item = (&'static str, T)>) -> Found<T> {
    let name = canonical(name);
    items
        .into_iter()
        .find(|(item, _)| canonical(item) == name)
        .map_or(Found::None, |(_, item)| Found::One(item))
}

fn canonical(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}
