//! Replies as text in Open vSwitch's shapes, or as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use self::bonds::{bond_list_text, bond_text, explanation_text, proc_text};
use self::fastpath::fastpath_text;
use self::lacp::{lacp_stats_text, lacp_text};
use self::rows::{datum_json, datum_text, rows_text};
use self::show::show_text;
use self::tables::{counters_text, fdb_stats_text, fdb_text, hash_text, trace_text};
use super::{Format, Style};
use crate::transaction::Reply;
use crate::transaction::reply::Rows;

mod bonds;
mod fastpath;
mod lacp;
mod rows;
mod show;
mod tables;

/// Replies as asked for.
pub fn styled(replies: &[Reply], style: Style) -> String {
    if style.format == Format::Json {
        return json(replies);
    }
    let oneline = |text: String| {
        format!("{}\n", text.trim_end_matches('\n').replace('\\', "\\\\").replace('\n', "\\n"))
    };
    let one = |reply| {
        let text = one(reply, style);
        if style.oneline { oneline(text) } else { text }
    };
    replies.iter().map(one).collect()
}

/// Replies as people read them.
pub fn text(replies: &[Reply]) -> String {
    styled(replies, Style::default())
}

fn one(reply: &Reply, style: Style) -> String {
    let mut out = String::new();
    match reply {
        Reply::Done {} | Reply::Exists(_) => (),
        Reply::Names(names) => names.iter().for_each(|name| line(&mut out, name)),
        Reply::Text(text) => line(&mut out, text),
        Reply::Show(show) => show_text(&mut out, show),
        Reply::Fdb(tables) => tables.iter().for_each(|table| fdb_text(&mut out, table, tables.len() > 1)),
        Reply::Bonds(bonds) => bonds.iter().for_each(|bond| bond_text(&mut out, bond)),
        Reply::BondList(bonds) => bond_list_text(&mut out, bonds),
        Reply::Counters(devices) => devices.iter().for_each(|device| counters_text(&mut out, device)),
        Reply::Proc(bonds) => bonds.iter().for_each(|bond| proc_text(&mut out, bond, bonds.len() > 1)),
        Reply::Explanations(bonds) => bonds.iter().for_each(|bond| explanation_text(&mut out, bond)),
        Reply::Lacp(bonds) => bonds.iter().for_each(|bond| lacp_text(&mut out, bond)),
        Reply::LacpStats(bonds) => bonds.iter().for_each(|bond| lacp_stats_text(&mut out, bond)),
        Reply::Hash(hash) => hash_text(&mut out, hash),
        Reply::FdbStats(all) => all.iter().for_each(|stats| fdb_stats_text(&mut out, stats)),
        Reply::Trace(trace) => trace_text(&mut out, trace),
        Reply::FastPath(status) => fastpath_text(&mut out, status),
        Reply::Values(values) => {
            let text = |value: &Option<_>| value.as_ref().map(datum_text).unwrap_or_default();
            values.iter().for_each(|value| line(&mut out, text(value)));
        }
        Reply::Rows(rows) => rows_text(&mut out, rows, style),
    }
    out
}

/// Replies as one JSON document and a newline: the value of a single reply, or an array of the values of several.
/// Bonds, learned MACs and counters are objects by name; a command without an answer is null.
pub fn json(replies: &[Reply]) -> String {
    let mut values: Vec<_> = replies.iter().map(value).collect();
    let document = if values.len() == 1 { values.remove(0) } else { Value::Array(values) };
    format!("{document}\n")
}

fn value(reply: &Reply) -> Value {
    match reply {
        Reply::Done {} => Value::Null,
        Reply::Names(names) => names.iter().cloned().collect(),
        Reply::Text(text) => Value::String(text.clone()),
        Reply::Exists(exists) => Value::Bool(*exists),
        Reply::Show(show) => plain(show),
        Reply::Fdb(tables) => by_name(tables.iter().map(|table| (&table.bridge, plain(&table.entries)))),
        Reply::Bonds(bonds) => by_name(bonds.iter().map(|bond| (&bond.name, plain(bond)))),
        Reply::BondList(bonds) => plain(bonds),
        Reply::Counters(devices) => by_name(devices.iter().map(|device| (&device.device, plain(device)))),
        Reply::Proc(bonds) => by_name(bonds.iter().map(|bond| (&bond.name, plain(&bond.text)))),
        Reply::Explanations(bonds) => by_name(bonds.iter().map(|bond| (&bond.name, plain(bond)))),
        Reply::Lacp(bonds) => by_name(bonds.iter().map(|bond| (&bond.name, plain(bond)))),
        Reply::LacpStats(bonds) => by_name(bonds.iter().map(|bond| (&bond.name, plain(bond)))),
        Reply::Hash(hash) => plain(hash),
        Reply::FdbStats(all) => by_name(all.iter().map(|stats| (&stats.bridge, plain(stats)))),
        Reply::Trace(trace) => plain(trace),
        Reply::FastPath(status) => plain(status),
        Reply::Values(values) => match &values[..] {
            [] => Value::Null,
            [one] => one.as_ref().map_or(Value::Null, datum_json),
            several => several.iter().map(|v| v.as_ref().map_or(Value::Null, datum_json)).collect(),
        },
        Reply::Rows(Rows { columns, rows }) => {
            let row = |row: &Vec<_>| by_name(columns.iter().zip(row.iter().map(datum_json)));
            rows.iter().map(row).collect()
        }
    }
}

fn plain(reply: &impl serde::Serialize) -> Value {
    serde_json::to_value(reply).expect("replies are structs, texts and numbers")
}

fn by_name<'a>(items: impl Iterator<Item = (&'a String, Value)>) -> Value {
    Value::Object(items.map(|(name, value)| (name.clone(), value)).collect::<Map<_, _>>())
}

fn line(out: &mut String, text: impl std::fmt::Display) {
    writeln!(out, "{text}").expect("writing to a string does not fail");
}
