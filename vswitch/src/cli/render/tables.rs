//! MAC tables, counters, and what would be done with a frame.

use super::line;
use crate::transaction::reply::{DeviceCounters, FdbStats, FdbTable, FrameHash, TraceReply};

pub(super) fn fdb_text(out: &mut String, table: &FdbTable, heading: bool) {
    if heading {
        line(out, format_args!("---- {} ----", table.bridge));
    }
    let width = table.entries.iter().map(|row| row.port.chars().count()).max().unwrap_or(0).max(5);
    line(out, format_args!("{:>width$}  VLAN  MAC                Age", "port"));
    for row in &table.entries {
        let age = if row.is_static { "static".to_owned() } else { format!("{:3}", row.age) };
        line(out, format_args!("{:>width$}  {:4}  {}  {age}", row.port, row.vlan, row.mac));
    }
}

pub(super) fn fdb_stats_text(out: &mut String, stats: &FdbStats) {
    line(out, format_args!("Statistics for bridge \"{}\":", stats.bridge));
    let (current, maximum) = (stats.current, stats.maximum);
    line(out, format_args!("  Current/maximum MAC entries in the table: {current}/{maximum}"));
    for (what, count) in [
        ("Current static MAC entries in the table ", stats.statics),
        ("Total number of learned MAC entries     ", stats.learned),
        ("Total number of expired MAC entries     ", stats.expired),
        ("Total number of evicted MAC entries     ", stats.evicted),
        ("Total number of port moved MAC entries  ", stats.moved),
        ("Total number of refused MAC entries     ", stats.refused),
    ] {
        line(out, format_args!("  {what}: {count}"));
    }
}

pub(super) fn hash_text(out: &mut String, hash: &FrameHash) {
    line(out, format_args!("hash: {:#010x} ({})", hash.hash, hash.policy));
    if let Some(bucket) = hash.bucket {
        line(out, format_args!("bucket: {bucket}"));
    }
    line(out, format_args!("member: {}", hash.member.as_deref().unwrap_or("none")));
}

pub(super) fn trace_text(out: &mut String, trace: &TraceReply) {
    trace.steps.iter().enumerate().for_each(|(n, step)| line(out, format_args!("{:2}. {step}", n + 1)));
    match &trace.drop_reason {
        Some(reason) => line(out, format_args!("verdict: {} ({reason})", trace.verdict)),
        None => line(out, format_args!("verdict: {}", trace.verdict)),
    }
    if !trace.egress.is_empty() {
        line(out, format_args!("egress: {}", trace.egress.join(", ")));
    }
}

pub(super) fn counters_text(out: &mut String, device: &DeviceCounters) {
    let port = if device.port == device.device { String::new() } else { format!(" of {}", device.port) };
    line(out, format_args!("{}{port} on {}", device.device, device.bridge));
    line(out, format_args!("  received: {} frames, {} bytes", device.rx_frames, device.rx_bytes));
    line(out, format_args!("  sent: {} frames, {} bytes", device.tx_frames, device.tx_bytes));
    for (reason, count) in &device.drops {
        line(out, format_args!("  dropped, {reason}: {count}"));
    }
}
