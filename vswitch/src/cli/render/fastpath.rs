//! The fast path in the kernel.

use super::line;
use crate::transaction::reply::{FastPathBridge, FastPathDevice, FastPathProgram, FastPathStatus};

pub(super) fn fastpath_text(out: &mut String, status: &FastPathStatus) {
    match &status.problem {
        Some(problem) => line(out, format_args!("fast path: not in use: {problem}")),
        None => line(out, "fast path: in use"),
    }
    line(out, format_args!("kernel: {}", status.kernel));
    if let Some(hook) = &status.hook {
        line(out, format_args!("hook: {hook}"));
    }
    if let Some(pins) = &status.pins {
        line(out, format_args!("pinned in: {pins}"));
    }
    if let Some(program) = &status.program {
        program_text(out, program);
    }
    if status.active {
        let fill = |table: &crate::transaction::reply::FastPathTable| {
            format!("{} {}/{}", table.name, table.used, table.maximum)
        };
        let tables: Vec<_> = status.tables.iter().map(fill).collect();
        line(out, format_args!("tables: generation {}; {}", status.generation, tables.join(", ")));
        let none = || "nothing".to_owned();
        let left_out =
            Some(status.left_out.join(", ")).filter(|names| !names.is_empty()).unwrap_or_else(none);
        line(out, format_args!("left out for lack of room: {left_out}"));
        misses_text(out, status);
    }
    for bridge in &status.bridges {
        line(out, "");
        bridge_text(out, bridge);
        let devices: Vec<_> = status.devices.iter().filter(|device| device.bridge == bridge.bridge).collect();
        if status.active {
            devices_text(out, &devices);
        }
    }
}

fn program_text(out: &mut String, program: &FastPathProgram) {
    let length = program.instructions.map(|n| format!(", {n} instructions")).unwrap_or_default();
    line(out, format_args!("program: {}, id {}{length}", program.name, program.id));
    match program.run_ns.checked_div(program.runs) {
        Some(each) => {
            line(out, format_args!("run time: {each} ns a frame, {} frames measured", program.runs));
        }
        None => line(out, "run time: not measured; turn it on with sysctl kernel.bpf_stats_enabled=1"),
    }
}

fn misses_text(out: &mut String, status: &FastPathStatus) {
    let mut misses: Vec<_> = status.misses.iter().collect();
    misses.sort_by_key(|(_, frames)| std::cmp::Reverse(**frames));
    line(out, format_args!("left to the daemon: {} frames", status.misses.values().sum::<u64>()));
    for (reason, frames) in misses {
        let dropped = if matches!(reason.as_str(), "no_device" | "error") { " (dropped)" } else { "" };
        line(out, format_args!("  {reason}: {frames}{dropped}"));
    }
    line(out, format_args!("lost in full queues to the daemon: {} frames", status.queue_dropped));
}

fn bridge_text(out: &mut String, bridge: &FastPathBridge) {
    line(out, format_args!("---- {} ----", bridge.bridge));
    let state = match &bridge.problem {
        _ if bridge.active => "in use".to_owned(),
        Some(problem) => format!("not in use: {problem}"),
        None => "not in use".to_owned(),
    };
    line(out, format_args!("fastpath={}, {state}", bridge.setting));
    line(out, format_args!("MAC addresses: {}/{}", bridge.fdb_entries, bridge.fdb_capacity));
}

fn devices_text(out: &mut String, devices: &[&FastPathDevice]) {
    let width = devices.iter().map(|device| device.device.chars().count()).max().unwrap_or(0);
    for device in devices {
        let hook = device.hook.as_deref().unwrap_or("none, a worker receives");
        let peer = if device.peer_redirect { ", redirects to the veth's other end" } else { "" };
        line(out, format_args!("{:width$}  hook: {hook}{peer}", device.device));
        let indent = width + 2;
        for (what, frames, bytes) in
            [("received", device.rx_frames, device.rx_bytes), ("sent", device.tx_frames, device.tx_bytes)]
        {
            line(out, format_args!("{:indent$}{what}: {frames} frames, {bytes} bytes", ""));
        }
    }
}
