//! `get`, `list` and `find`.

use std::cmp::Ordering;

use super::columns::{Column, Table};
use super::reply::{Datum, Rows};
use super::rows::Reader;
use super::settings::no_row;
use super::{Draft, Problem, Reply, words};

impl Draft<'_> {
    pub(super) fn get(
        &self,
        table: &str,
        record: &str,
        columns: &[String],
        if_exists: bool,
    ) -> Result<Reply, Problem> {
        let table = Table::parse(table)?;
        let found = self.find_row(table, record);
        if found.is_none() && !if_exists {
            return Err(no_row(table, record));
        }
        let reader = Reader::new(self);
        let value = |text: &String| {
            let (name, key) = split(text);
            if name.is_empty() {
                return Err(format!("{text}: missing column name"));
            }
            let (name, column) = table.readable(name)?;
            let Some(record) = &found else { return Ok(None) };
            let datum = reader.read(table, record, column);
            let Some(key) = key else { return Ok(Some(datum)) };
            let Datum::Map(mut map) = datum else {
                return Err(format!("cannot specify key to get for non-map column {name}"));
            };
            match map.remove(&key) {
                None if !if_exists => {
                    Err(format!("no key \"{key}\" in {} record \"{record}\" column {name}", table.name()))
                }
                value => Ok(value),
            }
        };
        let values = columns.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        Ok(Reply::Values(if found.is_some() { values } else { Vec::new() }))
    }

    pub(super) fn list(
        &self,
        table: &str,
        records: &[String],
        columns: &[String],
        if_exists: bool,
    ) -> Result<Reply, Problem> {
        let table = Table::parse(table)?;
        let mut names = Vec::new();
        for record in records {
            match self.find_row(table, record) {
                Some(name) => names.push(name),
                None if if_exists => (),
                None => return Err(no_row(table, record)),
            }
        }
        let names = if records.is_empty() { self.row_names(table) } else { names };
        self.rows(table, names, columns)
    }

    pub(super) fn find(
        &self,
        table: &str,
        conditions: &[String],
        columns: &[String],
    ) -> Result<Reply, Problem> {
        let table = Table::parse(table)?;
        let conditions = conditions.iter().map(|text| Condition::parse(table, text));
        let conditions = conditions.collect::<Result<Vec<_>, _>>()?;
        let reader = Reader::new(self);
        let matches = |record: &String| {
            conditions.iter().all(|condition| condition.holds(reader.read(table, record, condition.column)))
        };
        let names = self.row_names(table).into_iter().filter(matches).collect();
        self.rows(table, names, columns)
    }

    fn rows(&self, table: Table, names: Vec<String>, columns: &[String]) -> Result<Reply, Problem> {
        let wanted: Vec<(&str, Column)> = if columns.is_empty() {
            table.columns().to_vec()
        } else {
            columns.iter().map(|name| table.readable(name)).collect::<Result<_, _>>()?
        };
        let reader = Reader::new(self);
        let row =
            |name: &String| wanted.iter().map(|(_, column)| reader.read(table, name, *column)).collect();
        let rows = names.iter().map(row).collect();
        Ok(Reply::Rows(Rows { columns: wanted.iter().map(|(name, _)| (*name).to_owned()).collect(), rows }))
    }
}

/// `column[:key]`.
fn split(text: &str) -> (&str, Option<String>) {
    match text.split_once(':') {
        Some((name, key)) => (name, Some(words::text(key))),
        None => (text, None),
    }
}

/// What a record must fulfil: `column[:key]OPERATORvalue`.
struct Condition {
    column: Column,
    key: Option<String>,
    operator: Operator,
    /// As pairs, if the column is a map.
    value: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Condition {
    fn parse(table: Table, text: &str) -> Result<Self, Problem> {
        let end = text.find(['=', '!', '<', '>']).unwrap_or(text.len());
        let (left, rest) = text.split_at(end);
        let (name, key) = split(left);
        let (name, column) = table.readable(name)?;
        let operators = [
            ("!=", Operator::Unequal),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("=", Operator::Equal),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        let found =
            operators.into_iter().find_map(|(sign, operator)| Some((rest.strip_prefix(sign)?, operator)));
        let Some((value, operator)) = found else {
            return Err(format!(
                "{left}: argument does not end in \"=\", \"!=\", \"<\", \">\", \"<=\" or \">=\" followed by a value"
            ));
        };
        let is_map = matches!(
            column,
            Column::ExternalIds | Column::OtherConfig | Column::Statistics | Column::Options
        ) || matches!(column, Column::Fixed(fixed) if fixed.is_map());
        match (is_map, &key) {
            (false, Some(_)) => return Err(format!("cannot specify key to find for non-map column {name}")),
            (true, None) => drop(words::pairs(value)?),
            _ => drop(words::atoms(value)?),
        }
        Ok(Self { column, key, operator, value: value.to_owned() })
    }

    fn holds(&self, datum: Datum) -> bool {
        let datum = match (datum, &self.key) {
            // A key that is not there fulfils nothing, not even "unequal".
            (Datum::Map(mut map), Some(key)) => match map.remove(key) {
                Some(datum) => datum,
                None => return false,
            },
            (datum, _) => datum,
        };
        let wanted = match &datum {
            Datum::Map(_) => {
                let pairs = words::pairs(&self.value).unwrap_or_default();
                let mut pairs: Vec<_> = pairs.into_iter().map(|(k, v)| format!("{k}\0{v}")).collect();
                pairs.sort_unstable();
                pairs
            }
            _ => sorted(words::atoms(&self.value).unwrap_or_default()),
        };
        let found = sorted(plain(&datum));
        match self.operator {
            Operator::Equal => found == wanted,
            Operator::Unequal => found != wanted,
            operator => match (&found[..], &wanted[..]) {
                ([found], [wanted]) => {
                    let ordering = match (found.parse::<i64>(), wanted.parse::<i64>()) {
                        (Ok(found), Ok(wanted)) => found.cmp(&wanted),
                        _ => found.cmp(wanted),
                    };
                    match operator {
                        Operator::Less => ordering == Ordering::Less,
                        Operator::LessOrEqual => ordering != Ordering::Greater,
                        Operator::Greater => ordering == Ordering::Greater,
                        _ => ordering != Ordering::Less,
                    }
                }
                _ => false,
            },
        }
    }
}

/// The items of a value as texts.
fn plain(datum: &Datum) -> Vec<String> {
    match datum {
        Datum::Text(text) | Datum::Uuid(text) => vec![text.clone()],
        Datum::Integer(number) => vec![number.to_string()],
        Datum::Boolean(truth) => vec![truth.to_string()],
        Datum::Set(items) => items.iter().flat_map(plain).collect(),
        Datum::Map(map) => {
            map.iter().map(|(key, value)| format!("{key}\0{}", plain(value).concat())).collect()
        }
    }
}

/// Sorted; numbers in their usual form.
fn sorted(mut items: Vec<String>) -> Vec<String> {
    for item in &mut items {
        if let Ok(number) = item.parse::<i64>() {
            *item = number.to_string();
        }
    }
    items.sort_unstable();
    items
}
