//! `clear`, `remove` and `add`, and ovs-vsctl's short cuts for columns of a bridge.

use super::columns::{Column, Table, Target};
use super::reply::Datum;
use super::rows::Reader;
use super::settings::{no_row, read_fail_mode, read_only};
use super::{Draft, Problem, Reply, words};
use crate::model::{Vlan, VlanList, VlanParts};

impl Draft<'_> {
    pub(super) fn clear(
        &mut self,
        table: &str,
        record: &str,
        columns: &[String],
        if_exists: bool,
    ) -> Result<Reply, Problem> {
        let table = Table::parse(table)?;
        let Some(record) = self.find_row(table, record) else {
            return if if_exists { Ok(Reply::Done {}) } else { Err(no_row(table, record)) };
        };
        let bond = self.model.bond(&record).is_some();
        let change = |name: &'_ String| -> Result<(Target, String), Problem> {
            Ok((table.target(bond, name, None)?, name.clone()))
        };
        let changes = columns.iter().map(change).collect::<Result<Vec<_>, _>>()?;
        let changes: Vec<_> =
            changes.iter().map(|(target, name)| (target.clone(), name.as_str(), "[]")).collect();
        self.change(table, &record, &changes)?;
        Ok(Reply::Done {})
    }

    pub(super) fn remove(
        &mut self,
        table: &str,
        record: &str,
        column: &str,
        values: &[String],
        if_exists: bool,
    ) -> Result<Reply, Problem> {
        let table = Table::parse(table)?;
        let Some(record) = self.find_row(table, record) else {
            return if if_exists { Ok(Reply::Done {}) } else { Err(no_row(table, record)) };
        };
        let bond = self.model.bond(&record).is_some();
        let target = table.target(bond, column, None)?;
        match target.column {
            Column::ExternalIds => {
                for value in values {
                    for (key, value) in keys(value)? {
                        let Some(ids) = self.ids_mut(table, &record) else { continue };
                        if value.is_none_or(|value| ids.get(&key) == Some(&value)) {
                            ids.remove(&key);
                        }
                    }
                }
            }
            Column::OtherConfig => {
                for (key, value) in
                    values.iter().map(|value| keys(value)).collect::<Result<Vec<_>, _>>()?.concat()
                {
                    let target = table.target(bond, column, Some(&key))?;
                    let found = self.text_of(table, &record, &target);
                    if value.is_none_or(|value| found == Some(value)) {
                        self.change(table, &record, &[(target, &key, "[]")])?;
                    }
                }
            }
            Column::Trunks | Column::Cvlans => {
                let less: VlanList = values.join(",").parse().map_err(|e| format!("{column}: {e}"))?;
                let name = if target.column == Column::Trunks { "trunks" } else { "cvlans" };
                let emptied = self.change_list(&record, target.column, |list| {
                    VlanList::new(list?.iter().filter(|vlan| less.iter().all(|gone| gone != *vlan)))
                })?;
                if emptied {
                    self.warnings.push(format!(
                        "port {record}: {name} has no VLAN left; without any the port carries every VLAN"
                    ));
                }
            }
            Column::Tag
            | Column::VlanMode
            | Column::Carrier
            | Column::FailMode
            | Column::FastPath
            | Column::Option(_)
            | Column::OvsMode => {
                let found = self.text_of(table, &record, &target);
                if found.is_some_and(|found| values.iter().any(|value| words::text(value) == found)) {
                    self.change(table, &record, &[(target, column, "[]")])?;
                }
            }
            Column::Fixed(_) => (),
            column_kind if column_kind.is_settable() => {
                return Err(format!(
                    "\"remove\" works on sets and maps; use \"clear {} {record} {column}\"",
                    table.name()
                ));
            }
            _ => return Err(read_only(table, column)),
        }
        Ok(Reply::Done {})
    }

    pub(super) fn add_values(
        &mut self,
        table: &str,
        record: &str,
        column: &str,
        values: &[String],
        if_exists: bool,
    ) -> Result<Reply, Problem> {
        let table = Table::parse(table)?;
        let Some(record) = self.find_row(table, record) else {
            return if if_exists { Ok(Reply::Done {}) } else { Err(no_row(table, record)) };
        };
        let bond = self.model.bond(&record).is_some();
        let target = table.target(bond, column, None)?;
        match target.column {
            Column::ExternalIds | Column::OtherConfig => {
                let pairs =
                    values.iter().map(|value| words::pairs(value)).collect::<Result<Vec<_>, _>>()?.concat();
                for (key, value) in pairs {
                    let target = table.target(bond, column, Some(&key))?;
                    self.change(table, &record, &[(target, &key, &value)])?;
                }
            }
            Column::Trunks | Column::Cvlans => {
                let more: VlanList = values.join(",").parse().map_err(|e| format!("{column}: {e}"))?;
                self.change_list(&record, target.column, |list| {
                    VlanList::new(list.iter().flat_map(VlanList::iter).chain(more.iter()))
                })?;
            }
            column_kind if column_kind.is_settable() => {
                return Err(format!(
                    "\"add\" works on sets and maps; use \"set {} {record} {column}=VALUE\"",
                    table.name()
                ));
            }
            _ => return Err(read_only(table, column)),
        }
        Ok(Reply::Done {})
    }

    /// Changes a port's set of VLANs; says whether that has become empty.
    fn change_list(
        &mut self,
        port: &str,
        column: Column,
        change: impl FnOnce(Option<VlanList>) -> Option<VlanList>,
    ) -> Result<bool, Problem> {
        let Some(vlan) = self.model.vlan_mut(port) else { return Ok(false) };
        let VlanParts { mode, tag, trunks, cvlans } = vlan.parts();
        let before = if column == Column::Trunks { trunks.clone() } else { cvlans.clone() };
        let had = before.is_some();
        let after = change(before);
        let emptied = had && after.is_none();
        let parts = match column {
            Column::Trunks => VlanParts { mode, tag, trunks: after, cvlans },
            _ => VlanParts { mode, tag, trunks, cvlans: after },
        };
        *vlan = Vlan::try_from(parts).map_err(|problem| format!("port {port}: {problem}"))?;
        Ok(emptied)
    }

    /// What stands in a column with one value, as text.
    fn text_of(&self, table: Table, record: &str, target: &Target) -> Option<String> {
        match Reader::new(self).read(table, record, target.column) {
            Datum::Text(text) => Some(text),
            Datum::Integer(number) => Some(number.to_string()),
            Datum::Boolean(truth) => Some(truth.to_string()),
            Datum::Uuid(_) | Datum::Set(_) | Datum::Map(_) => None,
        }
    }

    pub(super) fn set_fail_mode(&mut self, bridge: &str, mode: Option<&str>) -> Result<Reply, Problem> {
        self.bridge(bridge)?;
        let mode = mode.map(read_fail_mode).transpose()?;
        self.bridge_mut(bridge)?.fail_mode = mode;
        Ok(Reply::Done {})
    }

    pub(super) fn get_fail_mode(&self, bridge: &str) -> Result<Reply, Problem> {
        let mode = self.bridge(bridge)?.fail_mode;
        Ok(Reply::Names(mode.map(|mode| mode.name().to_owned()).into_iter().collect()))
    }

    pub(super) fn set_bridge_id(
        &mut self,
        bridge: &str,
        key: &str,
        value: Option<&str>,
    ) -> Result<Reply, Problem> {
        self.bridge(bridge)?;
        let target = Target { column: Column::ExternalIds, key: Some(key.to_owned()) };
        self.change(Table::Bridge, bridge, &[(target, key, value.unwrap_or("[]"))])?;
        Ok(Reply::Done {})
    }

    pub(super) fn get_bridge_id(&self, bridge: &str, key: Option<&str>) -> Result<Reply, Problem> {
        let ids = &self.bridge(bridge)?.external_ids;
        Ok(Reply::Names(match key {
            Some(key) => ids.get(key).cloned().into_iter().collect(),
            None => ids.iter().map(|(key, value)| format!("{key}={value}")).collect(),
        }))
    }
}

/// `key`, or `key=value`, as arguments of `remove`.
fn keys(text: &str) -> Result<Vec<(String, Option<String>)>, Problem> {
    if let Ok(pairs) = words::pairs(text) {
        return Ok(pairs.into_iter().map(|(key, value)| (key, Some(value))).collect());
    }
    Ok(words::atoms(text)?.into_iter().map(|key| (key, None)).collect())
}
