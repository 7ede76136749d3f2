//! Records of a table, in Open vSwitch's notations.

use serde_json::{Map, Value};

use super::line;
use crate::cli::{Format, Style};
use crate::transaction::reply::{Datum, Rows};

/// `a`, `"b c"`, `5`, `[a, b]`, `{k=v}`.
pub(super) fn datum_text(datum: &Datum) -> String {
    match datum {
        Datum::Text(text) => quoted(text),
        Datum::Uuid(uuid) => uuid.clone(),
        Datum::Integer(number) => number.to_string(),
        Datum::Boolean(truth) => truth.to_string(),
        Datum::Set(items) => format!("[{}]", items.iter().map(datum_text).collect::<Vec<_>>().join(", ")),
        Datum::Map(map) => {
            let pairs = map.iter().map(|(key, value)| format!("{}={}", quoted(key), datum_text(value)));
            format!("{{{}}}", pairs.collect::<Vec<_>>().join(", "))
        }
    }
}

/// The same without quotes, brackets, braces and commas.
fn bare(datum: &Datum) -> String {
    match datum {
        Datum::Text(text) => text.clone(),
        Datum::Uuid(_) | Datum::Integer(_) | Datum::Boolean(_) => datum_text(datum),
        Datum::Set(items) => items.iter().map(bare).collect::<Vec<_>>().join(" "),
        Datum::Map(map) => {
            map.iter().map(|(key, value)| format!("{key}={}", bare(value))).collect::<Vec<_>>().join(" ")
        }
    }
}

/// A text in quotes, unless it is a word that can't be taken for anything else.
fn quoted(text: &str) -> String {
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    let is_word =
        text.starts_with(letter) && text.chars().all(|c| letter(c) || c.is_ascii_digit() || "-.".contains(c));
    let hex =
        |(at, c): (usize, char)| if [8, 13, 18, 23].contains(&at) { c == '-' } else { c.is_ascii_hexdigit() };
    let is_uuid = text.len() == 36 && text.char_indices().all(hex);
    if is_word && !is_uuid && !matches!(text, "true" | "false") {
        text.to_owned()
    } else {
        Value::String(text.to_owned()).to_string()
    }
}

/// A set is an array, a map an object, and no value an empty array.
pub(super) fn datum_json(datum: &Datum) -> Value {
    match datum {
        Datum::Text(text) | Datum::Uuid(text) => text.clone().into(),
        Datum::Integer(number) => (*number).into(),
        Datum::Boolean(truth) => (*truth).into(),
        Datum::Set(items) => items.iter().map(datum_json).collect(),
        Datum::Map(map) => Value::Object(
            map.iter().map(|(key, value)| (key.clone(), datum_json(value))).collect::<Map<_, _>>(),
        ),
    }
}

pub(super) fn rows_text(out: &mut String, table: &Rows, style: Style) {
    let cell = if style.bare { bare } else { datum_text };
    let rows: Vec<Vec<String>> = table.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    let headings = (!style.no_headings).then_some(&table.columns);
    match style.format {
        Format::List | Format::Json => list(out, headings, &rows),
        Format::Table => aligned(out, headings, &rows),
        Format::Csv => headings.into_iter().chain(&rows).for_each(|row| {
            let cells: Vec<_> = row.iter().map(|cell| csv(cell)).collect();
            line(out, cells.join(","));
        }),
    }
}

fn list(out: &mut String, headings: Option<&Vec<String>>, rows: &[Vec<String>]) {
    for (n, row) in rows.iter().enumerate() {
        if n > 0 {
            line(out, "");
        }
        for (at, cell) in row.iter().enumerate() {
            match headings {
                Some(names) => line(out, format_args!("{:<20}: {cell}", names[at])),
                None => line(out, cell),
            }
        }
    }
}

fn aligned(out: &mut String, headings: Option<&Vec<String>>, rows: &[Vec<String>]) {
    let all = || headings.into_iter().chain(rows);
    let columns = all().map(Vec::len).max().unwrap_or(0);
    let width = |at: usize| all().map(|row| row[at].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut print = |row: &[String]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        line(out, cells.collect::<Vec<_>>().join(" ").trim_end());
    };
    if let Some(names) = headings {
        print(names);
        print(&widths.iter().map(|width| "-".repeat(*width)).collect::<Vec<_>>());
    }
    rows.iter().for_each(|row| print(row));
}

/// A cell as RFC 4180 has it.
fn csv(cell: &str) -> String {
    if cell.contains(['"', ',', '\r', '\n']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}
