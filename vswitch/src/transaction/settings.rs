//! `set`, and the settings at the end of `add-port` and `add-bond`.

use super::columns::{Column, Table, Target};
use super::{Draft, Problem, Reply, Setting, words};
use crate::cli::suggest::hint;
use crate::model::{
    Bridge, FailMode, FastPathMode, Ids, Limits, Place, Vlan, VlanMode, VlanParts, check_id, out_of_range,
    settle_member_option, settle_options,
};

/// Changes to one record, which take effect together: their order is free.
#[derive(Default)]
struct Pending<'a> {
    vlan: Option<VlanParts>,
    options: Vec<(&'static str, Value<'a>)>,
}

impl Draft<'_> {
    pub(super) fn set(
        &mut self,
        table: &str,
        record: &str,
        settings: &[Setting],
        if_exists: bool,
    ) -> Result<Reply, Problem> {
        let table = Table::parse(table)?;
        match self.find_row(table, record) {
            Some(record) => self.apply(table, &record, settings),
            None if if_exists => Ok(Reply::Done {}),
            None => Err(no_row(table, record)),
        }
    }

    /// Whether a table has a record of this name.
    pub(super) fn has_row(&self, table: Table, record: &str) -> bool {
        match (table, self.model.place_of(record)) {
            (_, None) => false,
            (Table::Bridge, Some(place)) => place == Place::Bridge,
            (Table::Port, Some(place)) => !matches!(place, Place::Member { .. }),
            (Table::Bond, Some(place)) => matches!(place, Place::Bond { .. }),
            (Table::Interface, Some(place)) => !matches!(place, Place::Bond { .. }),
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
        let changes = settings.iter().map(|setting| {
            let target = table.target(bond, &setting.name, setting.key.as_deref())?;
            Ok((target, setting.name.as_str(), setting.value.as_str()))
        });
        let changes = changes.collect::<Result<Vec<_>, Problem>>()?;
        self.change(table, record, &changes)?;
        Ok(Reply::Done {})
    }

    /// Gives columns new values: target, how it was called, and the text.
    pub(super) fn change(
        &mut self,
        table: Table,
        record: &str,
        changes: &[(Target, &str, &str)],
    ) -> Result<(), Problem> {
        let mut pending = Pending::default();
        for (target, name, text) in changes {
            self.change_one(table, record, target, name, text, &mut pending)?;
        }
        if let Some(parts) = pending.vlan {
            let vlan = Vlan::try_from(parts).map_err(|problem| format!("port {record}: {problem}"))?;
            if let Some(slot) = self.model.vlan_mut(record) {
                *slot = vlan;
            }
        }
        self.set_options(record, &pending.options)
    }

    fn change_one<'a>(
        &mut self,
        table: Table,
        record: &str,
        target: &Target,
        name: &str,
        text: &'a str,
        pending: &mut Pending<'a>,
    ) -> Result<(), Problem> {
        let value = Value::new(text);
        match target.column {
            Column::Carrier => return self.set_carrier(record, value),
            Column::FailMode => {
                let mode = value.0.map(read_fail_mode).transpose()?;
                self.bridge_mut(record)?.fail_mode = mode;
            }
            Column::FastPath => {
                let mode = value.0.map(read_fast_path).transpose()?.unwrap_or_default();
                if mode == FastPathMode::On
                    && let Some(problem) = self.runtime.fastpath_problem()
                {
                    return Err(format!(
                        "bridge {record} can't have fastpath=on because this daemon has no fast path: {problem} \
                         (fastpath=auto goes on without it)"
                    ));
                }
                self.bridge_mut(record)?.fastpath = mode;
            }
            Column::MacTableSize => {
                let size = value.number("mac-table-size", &Bridge::TABLE_SIZES)?;
                self.bridge_mut(record)?.mac_table_size = size.unwrap_or(Bridge::DEFAULT_TABLE_SIZE);
            }
            Column::MacAgingTime => {
                let seconds = value.number("mac-aging-time", &Bridge::AGING_TIMES)?;
                self.bridge_mut(record)?.mac_aging_time = seconds.unwrap_or(Bridge::DEFAULT_AGING_TIME);
            }
            Column::VlanMode | Column::Tag | Column::Trunks | Column::Cvlans => {
                let now = self.model.vlan(record).map(Vlan::parts).unwrap_or_default();
                let parts = pending.vlan.get_or_insert(now);
                let list = || value.0.map(str::parse).transpose().map_err(|e| format!("{name}: {e}"));
                match target.column {
                    Column::VlanMode => parts.mode = value.0.map(read_vlan_mode).transpose()?,
                    Column::Tag => {
                        parts.tag =
                            value.0.map(Vlan::parse_tag).transpose().map_err(|e| format!("tag: {e}"))?;
                    }
                    Column::Trunks => parts.trunks = list()?,
                    _ => parts.cvlans = list()?,
                }
            }
            Column::LearningLimit
            | Column::LearningLocked
            | Column::StormBroadcast
            | Column::StormUnknown
            | Column::StormMulticast => {
                let Some(limits) = self.model.limits_mut(record) else { return Ok(()) };
                match target.column {
                    Column::LearningLimit => {
                        limits.mac_learning_limit = value.number("mac-learning-limit", &Limits::LEARNED)?;
                    }
                    Column::LearningLocked => {
                        limits.mac_learning_locked = value.boolean("mac-learning-locked")?;
                    }
                    Column::StormBroadcast => {
                        limits.storm_broadcast = value.number("storm-broadcast", &Limits::FRAMES)?;
                    }
                    Column::StormUnknown => {
                        limits.storm_unknown = value.number("storm-unknown", &Limits::FRAMES)?;
                    }
                    _ => limits.storm_multicast = value.number("storm-multicast", &Limits::FRAMES)?,
                }
            }
            // Open vSwitch's default, which tools set for any port.
            Column::Option("lacp") if self.model.bond(record).is_none() && value.0 == Some("off") => (),
            Column::Option(_) | Column::OvsMode if self.model.bond(record).is_none() => match value.0 {
                None => (),
                Some(_) => return Err(format!("{name}: port {record} is not a bond")),
            },
            Column::Option(option) => pending.options.push((option, value)),
            Column::OvsMode => pending.options.push(("mode", value)),
            Column::MemberOption(option) => return self.set_member_option(record, option, value),
            Column::Type => return self.set_type(record, text),
            Column::ExternalIds => return self.set_ids(table, record, target.key.as_deref(), text),
            Column::OtherConfig if value.0.is_none() || text.trim() == "{}" => {
                let keys: Vec<_> = table.keys(self.model.bond(record).is_some()).collect();
                for (key, column) in keys {
                    self.change_one(table, record, &column.into(), key, "[]", pending)?;
                }
            }
            Column::OtherConfig => return Err(format!("{name} is a map; write {name}:KEY=VALUE")),
            Column::Fixed(fixed) => return fixed.check(name, value.0),
            _ => return Err(read_only(table, name)),
        }
        Ok(())
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

    /// Applies options to a bond. Without any, a new bond still gets its mode written down.
    fn set_options(&mut self, name: &str, changes: &[(&'static str, Value<'_>)]) -> Result<(), Problem> {
        let Some(bond) = self.model.bond_mut(name) else { return Ok(()) };
        let kept = bond.options.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let mut wanted: Vec<(&str, &str)> = kept.collect();
        for (key, value) in changes {
            // Open vSwitch's options that say in another way what one of Linux's says.
            let (stored, cleared) = match *key {
                "lacp" => ("lacp_active", Some("off")),
                "lacp_fallback_ab" => ("lacp_strict", None),
                key => (key, None),
            };
            wanted.retain(|(old, _)| old != key && *old != stored);
            wanted.extend(value.0.or(cleared).map(|value| (*key, value)));
        }
        let settled = settle_options(wanted).map_err(|problem| format!("bond {name}: {problem}"))?;
        bond.options = settled.options;
        if !changes.is_empty() {
            self.warnings
                .extend(settled.warnings.into_iter().map(|warning| format!("bond {name}: {warning}")));
        }
        Ok(())
    }

    fn set_member_option(&mut self, device: &str, option: &str, value: Value<'_>) -> Result<(), Problem> {
        let Some(Place::Member { bond, .. }) = self.model.place_of(device) else {
            return match value.0 {
                None => Ok(()),
                Some(_) => Err(format!("{option}: {device} is not a member of a bond")),
            };
        };
        let bond = bond.to_owned();
        let settled = value.0.map(|value| settle_member_option(option, value)).transpose();
        let settled = settled.map_err(|problem| format!("{device}: {problem}"))?.flatten();
        let Some(bond) = self.model.bond_mut(&bond) else { return Ok(()) };
        let options = bond.member_options.entry(device.to_owned()).or_default();
        match settled {
            Some(text) => drop(options.insert(option.to_owned(), text)),
            None => drop(options.remove(option)),
        }
        if let Ok((member, bond_options)) = bond.typed_member_options(device) {
            let warnings = member.warnings(&bond_options, bond.members.iter().map(String::as_str));
            self.warnings.extend(warnings.into_iter().map(|warning| format!("{device}: {warning}")));
        }
        Ok(())
    }

    /// An interface is what it is; saying so is all right.
    fn set_type(&self, device: &str, text: &str) -> Result<(), Problem> {
        let internal = self.model.bridges.contains_key(device);
        match words::text(text).as_str() {
            "internal" if internal => Ok(()),
            "" | "[]" | "system" | "tap" if !internal => Ok(()),
            "internal" => Err(format!(
                "type: {device} can't be internal: only a bridge's own interface is; add-br makes one"
            )),
            other => Err(format!("type: \"{other}\" is not possible here: interfaces are network devices")),
        }
    }

    fn set_ids(&mut self, table: Table, record: &str, key: Option<&str>, text: &str) -> Result<(), Problem> {
        let wrong = |problem: Problem| format!("external_ids: {problem}");
        let clears = matches!(text.trim(), "[]" | "{}");
        let pairs = match key {
            Some("") => return Err(wrong("the key is empty".to_owned())),
            Some(key) => vec![(key.to_owned(), text.to_owned())],
            None if clears => Vec::new(),
            None => words::pairs(text).map_err(wrong)?,
        };
        for text in pairs.iter().flat_map(|(key, value)| [key, value]) {
            check_id(text).map_err(wrong)?;
        }
        if pairs.iter().any(|(key, _)| key.is_empty()) {
            return Err(wrong("a key is empty".to_owned()));
        }
        let Some(ids) = self.ids_mut(table, record) else { return Ok(()) };
        match key {
            Some(key) if clears => drop(ids.remove(key)),
            Some(_) => ids.extend(pairs),
            None => *ids = pairs.into_iter().collect(),
        }
        Ok(())
    }

    /// The `external_ids` of a record, to be changed. A bond's are its port's.
    pub(super) fn ids_mut(&mut self, table: Table, record: &str) -> Option<&mut Ids> {
        match table {
            Table::Bridge => self.model.bridges.get_mut(record).map(|bridge| &mut bridge.external_ids),
            Table::Port | Table::Bond if self.model.bridges.contains_key(record) => {
                self.model.bridges.get_mut(record).map(|bridge| &mut bridge.port_external_ids)
            }
            Table::Port | Table::Bond => {
                let port = self.model.bridges.values_mut().find_map(|bridge| bridge.ports.get_mut(record));
                port.map(|port| &mut port.external_ids)
            }
            Table::Interface => {
                let bridge = self.bridge_of(record)?.to_owned();
                let bridge = self.model.bridges.get_mut(&bridge)?;
                Some(bridge.interface_external_ids.entry(record.to_owned()).or_default())
            }
        }
    }

    /// The bridge that has a bridge's internal port, a port, a bond or a member.
    pub(super) fn bridge_of(&self, name: &str) -> Option<&str> {
        match self.model.place_of(name)? {
            Place::Bridge => self.model.bridges.get_key_value(name).map(|(name, _)| name.as_str()),
            Place::Port { bridge } | Place::Bond { bridge } | Place::Member { bridge, .. } => Some(bridge),
        }
    }
}

pub(super) fn no_row(table: Table, record: &str) -> Problem {
    format!("no row \"{record}\" in table {}", table.name())
}

pub(super) fn read_only(table: Table, name: &str) -> Problem {
    format!("cannot modify read-only column {name} in table {}", table.name())
}

pub(super) fn read_fail_mode(text: &str) -> Result<FailMode, Problem> {
    match text {
        "standalone" => Ok(FailMode::Standalone),
        "secure" => Ok(FailMode::Secure),
        _ => Err("fail-mode must be \"standalone\" or \"secure\"".to_owned()),
    }
}

fn read_fast_path(text: &str) -> Result<FastPathMode, Problem> {
    let text = words::text(text);
    FastPathMode::from_name(&text).ok_or_else(|| {
        let names = FastPathMode::ALL.map(FastPathMode::name);
        format!("fastpath: \"{text}\" is none of {}{}", names.join(", "), hint(&text, names))
    })
}

fn read_vlan_mode(text: &str) -> Result<VlanMode, Problem> {
    let text = words::text(text);
    VlanMode::ALL.into_iter().find(|mode| mode.name() == text).ok_or_else(|| {
        let names: Vec<_> = VlanMode::ALL.iter().map(|mode| mode.name()).collect();
        format!("constraint violation: {text} is not one of the allowed values ([{}])", names.join(", "))
    })
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

    fn number(self, what: &str, range: &std::ops::RangeInclusive<u32>) -> Result<Option<u32>, Problem> {
        let Some(text) = self.0 else { return Ok(None) };
        match text.parse() {
            Ok(number) if range.contains(&number) => Ok(Some(number)),
            _ => Err(format!("{what}: {}", out_of_range(format_args!("\"{text}\""), range))),
        }
    }

    /// No value is false.
    fn boolean(self, what: &str) -> Result<bool, Problem> {
        match self.0 {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(text) => {
                Err(format!("{what}: \"{text}\" is not a valid boolean (use \"true\" or \"false\")"))
            }
        }
    }
}
