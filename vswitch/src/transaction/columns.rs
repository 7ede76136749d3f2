//! Names of tables and columns, as ovs-vsctl reads them: upper and lower case are alike, so are `-` and `_`, and a
//! unique beginning is enough.

use bond_port::{BondOptions, OptionError};

use super::{Problem, Setting};
use crate::cli::suggest::hint;

/// What `set` can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Table {
    Bridge,
    Port,
    Bond,
    Interface,
}

/// One thing that can be set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Column {
    Carrier,
    MacTableSize,
    MacAgingTime,
    Tag,
    Trunks,
    /// A bond option in Linux's spelling.
    Option(&'static str),
}

const TABLES: &[(&str, Table)] = &[
    ("bridge", Table::Bridge),
    ("port", Table::Port),
    ("bond", Table::Bond),
    ("interface", Table::Interface),
];

const BRIDGE: &[(&str, Column)] = &[
    ("carrier", Column::Carrier),
    ("mac-table-size", Column::MacTableSize),
    ("mac-aging-time", Column::MacAgingTime),
];

const PORT: &[(&str, Column)] = &[("tag", Column::Tag), ("trunks", Column::Trunks)];

/// Keys of `other_config` in Open vSwitch's table Bridge.
const BRIDGE_KEYS: &[(&str, Column)] =
    &[("mac-table-size", Column::MacTableSize), ("mac-aging-time", Column::MacAgingTime)];

/// Open vSwitch's column for everything that has no column.
const OTHER_CONFIG: &str = "other_config";

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

    /// The column that a setting means. `bond`: the record is a bond, so that a port has bond options too.
    pub(super) fn column(self, bond: bool, setting: &Setting) -> Result<Column, Problem> {
        match self {
            Self::Bridge => self.plain_column(BRIDGE, BRIDGE_KEYS, setting),
            Self::Port if !bond => self.plain_column(PORT, &[], setting),
            Self::Port | Self::Bond => bond_column(setting),
            Self::Interface => self.plain_column(&[], &[], setting),
        }
    }

    fn plain_column(self, columns: Columns, keys: Columns, setting: &Setting) -> Result<Column, Problem> {
        let (table, name) = (self.name(), &setting.name);
        let maps = (!keys.is_empty()).then_some((OTHER_CONFIG, None));
        let named = columns.iter().map(|(name, column)| (*name, Some(*column))).chain(maps);
        match (find(name, named), &setting.key) {
            (Found::One(Some(column)), None) => Ok(column),
            (Found::One(Some(_)), Some(_)) => {
                Err(format!("cannot specify key to set for non-map column {name}"))
            }
            (Found::One(None), None) => Err(format!("{name} is a map; write {name}:KEY=VALUE")),
            (Found::One(None), Some(key)) => match find(key, keys.iter().copied()) {
                Found::One(column) => Ok(column),
                _ => Err(format!("{OTHER_CONFIG} of table {table} has no key \"{key}\"{}", known(key, keys))),
            },
            (Found::Many, _) => {
                Err(format!("{table} contains more than one column whose name matches \"{name}\""))
            }
            (Found::None, _) => {
                let known = known(name, columns);
                Err(format!("{table} does not contain a column whose name matches \"{name}\"{known}"))
            }
        }
    }
}

/// A column of any port, also abbreviated, or a bond option in any spelling of its own. Options can't be abbreviated, so
/// that a slip of the pen is not taken for one.
fn bond_column(setting: &Setting) -> Result<Column, Problem> {
    let name = &setting.name;
    let Some(key) = &setting.key else {
        return match (BondOptions::canonical(name), find(name, PORT.iter().copied())) {
            (Ok(option), _) => Ok(Column::Option(option)),
            (Err(_), Found::One(column)) => Ok(column),
            (Err(error), _) => Err(unknown_option(name, &error)),
        };
    };
    match find(name, [(OTHER_CONFIG, ())].into_iter()) {
        Found::One(()) => BondOptions::canonical(&format!("{OTHER_CONFIG}:{key}"))
            .map(Column::Option)
            .map_err(|error| error.to_string()),
        _ => Err(format!("cannot specify key to set for non-map column {name}")),
    }
}

/// The error about an option, with a port's column if one of those was meant.
fn unknown_option(name: &str, error: &OptionError) -> Problem {
    match error {
        OptionError::Unknown { suggestion: None, .. } => {
            format!("{error}{}", hint(name, PORT.iter().map(|(name, _)| *name)))
        }
        _ => error.to_string(),
    }
}

/// What might have been meant, or all that there is.
fn known(name: &str, columns: Columns) -> String {
    let names = columns.iter().map(|(name, _)| *name);
    match hint(name, names.clone()) {
        hint if hint.is_empty() && !columns.is_empty() => {
            format!("; it has {}", names.collect::<Vec<_>>().join(", "))
        }
        hint => hint,
    }
}

type Columns = &'static [(&'static str, Column)];

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

fn canonical(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}
