//! `set`, and the settings at the end of `add-port` and `add-bond`.

use super::columns::{Column, Table};
use super::{Draft, Problem, Reply, Setting};
use crate::model::{Bridge, Place, Vlan, out_of_range, settle_options};

impl Draft<'_> {
    pub(super) fn set(
        &mut self,
        table: &str,
        record: &str,
        settings: &[Setting],
        if_exists: bool,
    ) -> Result<Reply, Problem> {
        let table = Table::parse(table)?;
        let there = match (table, self.model.place_of(record)) {
            (_, None) => false,
            (Table::Bridge, Some(place)) => place == Place::Bridge,
            (Table::Port, Some(place)) => !matches!(place, Place::Member { .. }),
            (Table::Bond, Some(place)) => matches!(place, Place::Bond { .. }),
            (Table::Interface, Some(place)) => !matches!(place, Place::Bond { .. }),
        };
        match there {
            true => self.apply(table, record, settings),
            false if if_exists => Ok(Reply::Done {}),
            false => Err(format!("no row \"{record}\" in table {}", table.name())),
        }
    }

    /// Applies settings to a record that is there.
    pub(super) fn apply(
        &mut self,
        table: Table,
        record: &str,
        settings: &[Setting],
    ) -> Result<Reply, Problem> {
        let bond = self.model.bond(record).is_some();
        let mut options = Vec::new();
        for setting in settings {
            let value = Value::new(&setting.value);
            match table.column(bond, setting)? {
                Column::Carrier => self.set_carrier(record, value)?,
                Column::MacTableSize => self.set_mac_table_size(record, value)?,
                Column::MacAgingTime => self.set_mac_aging_time(record, value)?,
                Column::Tag => self.set_tag(record, value)?,
                Column::Trunks => self.set_trunks(record, value)?,
                Column::Option(key) => options.push((key, value)),
            }
        }
        self.set_options(record, &options)?;
        Ok(Reply::Done {})
    }

    fn set_carrier(&mut self, name: &str, value: Value<'_>) -> Result<(), Problem> {
        let bridge = self.bridge_mut(name)?;
        bridge.carrier = value.0.map(str::to_owned);
        match &bridge.carrier {
            Some(port) if !bridge.ports.contains_key(port) => {
                Err(format!("carrier: bridge {name} has no port or bond named {port}; add it first"))
            }
            _ => Ok(()),
        }
    }

    fn set_mac_table_size(&mut self, name: &str, value: Value<'_>) -> Result<(), Problem> {
        let size = value.number("mac-table-size", Bridge::DEFAULT_TABLE_SIZE, &Bridge::TABLE_SIZES)?;
        self.bridge_mut(name)?.mac_table_size = size;
        Ok(())
    }

    fn set_mac_aging_time(&mut self, name: &str, value: Value<'_>) -> Result<(), Problem> {
        let seconds = value.number("mac-aging-time", Bridge::DEFAULT_AGING_TIME, &Bridge::AGING_TIMES)?;
        self.bridge_mut(name)?.mac_aging_time = seconds;
        Ok(())
    }

    fn set_tag(&mut self, port: &str, value: Value<'_>) -> Result<(), Problem> {
        let tag = value.0.map(Vlan::parse_tag).transpose().map_err(|e| format!("tag: {e}"))?;
        let Some(vlan) = self.model.vlan_mut(port) else { return Ok(()) };
        match (tag, &*vlan) {
            (Some(_), Vlan::Trunks(trunks)) => {
                return Err(format!(
                    "port {port} is a trunk (trunks={trunks}) and can't have a tag too; add \"trunks=[]\" before it"
                ));
            }
            (Some(tag), _) => *vlan = Vlan::Tag(tag),
            (None, Vlan::Tag(_)) => *vlan = Vlan::All,
            (None, _) => (),
        }
        Ok(())
    }

    fn set_trunks(&mut self, port: &str, value: Value<'_>) -> Result<(), Problem> {
        let trunks = value.0.map(str::parse).transpose().map_err(|e| format!("trunks: {e}"))?;
        let Some(vlan) = self.model.vlan_mut(port) else { return Ok(()) };
        match (trunks, &*vlan) {
            (Some(_), Vlan::Tag(tag)) => {
                return Err(format!(
                    "port {port} is an access port (tag={tag}) and can't have trunks too; add \"tag=[]\" before it"
                ));
            }
            (Some(trunks), _) => *vlan = Vlan::Trunks(trunks),
            (None, Vlan::Trunks(_)) => *vlan = Vlan::All,
            (None, _) => (),
        }
        Ok(())
    }

    /// Applies options to a bond. Without any, a new bond still gets its mode written down.
    fn set_options(&mut self, name: &str, changes: &[(&'static str, Value<'_>)]) -> Result<(), Problem> {
        let Some(bond) = self.model.bond_mut(name) else { return Ok(()) };
        let kept = bond.options.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut wanted: Vec<(&str, &str)> = kept.collect();
        for (key, value) in changes {
            wanted.retain(|(old, _)| old != key);
            wanted.extend(value.0.map(|value| (*key, value)));
        }
        let settled = settle_options(wanted).map_err(|problem| format!("bond {name}: {problem}"))?;
        bond.options = settled.options;
        if !changes.is_empty() {
            self.warnings
                .extend(settled.warnings.into_iter().map(|warning| format!("bond {name}: {warning}")));
        }
        Ok(())
    }
}

/// A value as written in a setting; `None` clears. Brackets around a set of one are optional.
#[derive(Clone, Copy)]
struct Value<'a>(Option<&'a str>);

impl<'a> Value<'a> {
    fn new(text: &'a str) -> Self {
        let text = text.trim();
        let inner = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text).trim();
        Self((!inner.is_empty()).then_some(inner))
    }

    fn number(self, what: &str, default: u32, range: &std::ops::RangeInclusive<u32>) -> Result<u32, Problem> {
        let Some(text) = self.0 else { return Ok(default) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(number),
            _ => Err(format!("{what}: {}", out_of_range(format_args!("\"{text}\""), range))),
        }
    }
}
