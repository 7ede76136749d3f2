//! Replies as text in Open vSwitch's shapes, or as JSON.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::transaction::Reply;
use crate::transaction::reply::{
    BondStatus, BondSummary, DeviceCounters, FdbTable, MemberStatus, PortKind, ShowBridge, ShowPort,
    ShowReply,
};

/// Replies as people read them.
pub fn text(replies: &[Reply]) -> String {
    let mut out = String::new();
    for reply in replies {
        match reply {
            Reply::Done {} | Reply::Exists(_) => (),
            Reply::Names(names) => names.iter().for_each(|name| line(&mut out, name)),
            Reply::Text(text) => line(&mut out, text),
            Reply::Show(show) => show_text(&mut out, show),
            Reply::Fdb(tables) => tables.iter().for_each(|table| fdb_text(&mut out, table, tables.len() > 1)),
            Reply::Bonds(bonds) => bonds.iter().for_each(|bond| bond_text(&mut out, bond)),
            Reply::BondList(bonds) => bond_list_text(&mut out, bonds),
            Reply::Counters(devices) => devices.iter().for_each(|device| counters_text(&mut out, device)),
        }
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

fn show_text(out: &mut String, show: &ShowReply) {
    line(out, "vswitch");
    show.bridges.iter().for_each(|bridge| show_bridge(out, bridge));
    line(out, format_args!("    version: {:?}", show.version));
}

fn show_bridge(out: &mut String, bridge: &ShowBridge) {
    line(out, format_args!("    Bridge {}", bridge.name));
    if let Some(carrier) = &bridge.carrier {
        line(out, format_args!("        carrier: {carrier}"));
    }
    for port in &bridge.ports {
        show_port(out, port);
    }
}

fn show_port(out: &mut String, port: &ShowPort) {
    line(out, format_args!("        Port {}", port.name));
    if let Some(tag) = port.tag {
        line(out, format_args!("            tag: {tag}"));
    }
    if !port.trunks.is_empty() {
        let vlans: Vec<_> = port.trunks.iter().map(u16::to_string).collect();
        line(out, format_args!("            trunks: [{}]", vlans.join(", ")));
    }
    for (name, value) in &port.options {
        line(out, format_args!("            {name}: {value}"));
    }
    for interface in &port.interfaces {
        line(out, format_args!("            Interface {}", interface.name));
        if port.kind == PortKind::Internal {
            line(out, "                type: internal");
        }
        if let Some(error) = &interface.error {
            line(out, format_args!("                error: {error:?}"));
        }
    }
}

fn fdb_text(out: &mut String, table: &FdbTable, heading: bool) {
    if heading {
        line(out, format_args!("---- {} ----", table.bridge));
    }
    let width = table.entries.iter().map(|row| row.port.chars().count()).max().unwrap_or(0).max(5);
    line(out, format_args!("{:>width$}  VLAN  MAC                Age", "port"));
    for row in &table.entries {
        line(out, format_args!("{:>width$}  {:4}  {}  {:3}", row.port, row.vlan, row.mac, row.age));
    }
}

fn bond_text(out: &mut String, bond: &BondStatus) {
    line(out, format_args!("---- {} ----", bond.name));
    line(out, format_args!("bridge: {}", bond.bridge));
    line(out, format_args!("bond_mode: {}", bond.mode));
    for (name, value) in &bond.options {
        let printed_elsewhere = matches!(name.as_str(), "mode" | "updelay" | "downdelay" | "primary");
        if !printed_elsewhere {
            line(out, format_args!("{name}: {value}"));
        }
    }
    line(out, format_args!("updelay: {} ms", bond.updelay));
    line(out, format_args!("downdelay: {} ms", bond.downdelay));
    line(out, "lacp_status: off");
    match &bond.primary {
        None => line(out, "active-backup primary: <none>"),
        Some(name) if bond.members.iter().any(|member| member.name == *name) => {
            line(out, format_args!("active-backup primary: {name}"));
        }
        Some(name) => line(out, format_args!("active-backup primary: {name} (no such member)")),
    }
    line(out, format_args!("carrier: {}", if bond.carrier { "up" } else { "down" }));
    line(out, format_args!("mac: {}", bond.mac.map_or("none".to_owned(), |mac| mac.to_string())));
    let active = bond.members.iter().find(|member| Some(&member.name) == bond.active.as_ref());
    let active_mac = active.and_then(|member| member.mac).unwrap_or_default();
    let active_name = bond.active.as_deref().unwrap_or("none");
    line(out, format_args!("active member mac: {active_mac}({active_name})"));
    if let Some(cause) = &bond.active_cause {
        let ago = bond.active_age.map(|ms| format!(" {} ms ago", ms)).unwrap_or_default();
        line(out, format_args!("active member changes: {}, last{ago}: {cause}", bond.active_changes));
    }
    let mut members: Vec<_> = bond.members.iter().collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    for member in members {
        line(out, "");
        member_text(out, member, bond.active.as_ref() == Some(&member.name));
    }
    line(out, "");
}

fn member_text(out: &mut String, member: &MemberStatus, active: bool) {
    let state = if member.enabled { "enabled" } else { "disabled" };
    line(out, format_args!("member {}: {state}", member.name));
    if active {
        line(out, "  active member");
    }
    if let Some(left) = member.delay_left {
        let delay = if member.enabled { "downdelay" } else { "updelay" };
        line(out, format_args!("  {delay} expires in {left} ms"));
    }
    line(out, format_args!("  may_enable: {}", member.may_enable));
    let missing = if member.present { "" } else { " (no such device)" };
    line(out, format_args!("  link: {}{missing}", member.link));
    line(out, format_args!("  link failures: {}", member.link_failures));
    let duplex = match member.full_duplex {
        Some(true) => ", full duplex",
        Some(false) => ", half duplex",
        None => "",
    };
    match member.speed {
        Some(speed) => line(out, format_args!("  speed: {speed} Mb/s{duplex}")),
        None => line(out, format_args!("  speed: unknown{duplex}")),
    }
    if let Some(mac) = member.mac {
        line(out, format_args!("  mac: {mac}"));
    }
}

fn bond_list_text(out: &mut String, bonds: &[BondSummary]) {
    line(out, "bond\ttype\trecircID\tmembers");
    for bond in bonds {
        line(out, format_args!("{}\t{}\t0\t{}", bond.name, bond.mode, bond.members.join(", ")));
    }
}

fn counters_text(out: &mut String, device: &DeviceCounters) {
    let port = if device.port == device.device { String::new() } else { format!(" of {}", device.port) };
    line(out, format_args!("{}{port} on {}", device.device, device.bridge));
    line(out, format_args!("  received: {} frames, {} bytes", device.rx_frames, device.rx_bytes));
    line(out, format_args!("  sent: {} frames, {} bytes", device.tx_frames, device.tx_bytes));
    for (reason, count) in &device.drops {
        line(out, format_args!("  dropped, {reason}: {count}"));
    }
}
