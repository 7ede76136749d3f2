//! LACP, in the shapes of `ovs-appctl lacp/show` and `lacp/show-stats`. What Open vSwitch does not tell stands at the end
//! of the bond's and of each member's lines.

use super::line;
use crate::transaction::reply::{LacpCounters, LacpMember, LacpPort, LacpStats, LacpStatus};

pub(super) fn lacp_text(out: &mut String, bond: &LacpStatus) {
    line(out, format_args!("---- {} ----", bond.name));
    let activity = if bond.active { "active" } else { "passive" };
    line(out, format_args!("  status: {activity}{}", if bond.negotiated { " negotiated" } else { "" }));
    line(out, format_args!("  sys_id: {}", bond.sys_id));
    line(out, format_args!("  sys_priority: {}", bond.sys_priority));
    line(out, format_args!("  aggregation key: {}", bond.aggregation_key));
    line(out, format_args!("  lacp_time: {}", if bond.fast { "fast" } else { "slow" }));
    match (bond.aggregator, &bond.aggregator_reason) {
        (Some(id), Some(reason)) => line(out, format_args!("  aggregator in use: {id} ({reason})")),
        _ => line(out, "  aggregator in use: none"),
    }
    let most = if bond.max_links > 0 { format!(", max_links {}", bond.max_links) } else { String::new() };
    line(
        out,
        format_args!("  distributing members: {} (min_links {}{most})", bond.distributing, bond.min_links),
    );
    match &bond.no_carrier {
        None => line(out, "  carrier: up"),
        Some(reason) => line(out, format_args!("  carrier: down ({reason})")),
    }
    let mut members: Vec<_> = bond.members.iter().collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    members.into_iter().for_each(|member| member_text(out, member));
}

fn member_text(out: &mut String, member: &LacpMember) {
    let attached = if member.attached { "attached" } else { "detached" };
    line(out, "");
    line(out, format_args!("member: {}: {} {attached}", member.name, member.status));
    line(out, format_args!("  port_id: {}", member.actor.port_id));
    line(out, format_args!("  port_priority: {}", member.actor.port_priority));
    line(out, format_args!("  may_enable: {}", member.may_enable));
    for (side, port) in [("actor", &member.actor), ("partner", &member.partner)] {
        line(out, "");
        port_text(out, side, port);
    }
    line(out, "");
    line(out, format_args!("  aggregator: {}", member.aggregator));
    let machines = [&member.selected, &member.receive, &member.periodic, &member.mux].map(String::as_str);
    line(out, format_args!("  machines: {}", machines.join(" ")));
    line(out, format_args!("  churn: actor {}, partner {}", member.actor_churn, member.partner_churn));
    match member.last_lacpdu_age {
        Some(age) => line(out, format_args!("  last LACPDU: {age} ms ago")),
        None => line(out, "  last LACPDU: none since the link came up"),
    }
    line(out, format_args!("  reason: {}", member.reason));
    for mismatch in &member.mismatches {
        line(out, format_args!("  partner's view: {mismatch}"));
    }
}

fn port_text(out: &mut String, side: &str, port: &LacpPort) {
    line(out, format_args!("  {side} sys_id: {}", port.sys_id));
    line(out, format_args!("  {side} sys_priority: {}", port.sys_priority));
    line(out, format_args!("  {side} port_id: {}", port.port_id));
    line(out, format_args!("  {side} port_priority: {}", port.port_priority));
    line(out, format_args!("  {side} key: {}", port.key));
    line(out, format_args!("  {side} state: {}", port.flags.join(" ")));
}

pub(super) fn lacp_stats_text(out: &mut String, bond: &LacpStats) {
    line(out, format_args!("---- {} statistics ----", bond.name));
    let mut members: Vec<_> = bond.members.iter().collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    members.into_iter().for_each(|member| counters_text(out, member));
}

fn counters_text(out: &mut String, counters: &LacpCounters) {
    line(out, "");
    line(out, format_args!("member: {}:", counters.name));
    for (what, count) in [
        ("TX PDUs", counters.lacpdu_tx),
        ("RX PDUs", counters.lacpdu_rx),
        ("RX Bad PDUs", counters.illegal_rx),
        ("RX Marker Request PDUs", counters.marker_rx),
        ("Link Expired", counters.expired),
        ("Link Defaulted", counters.defaulted),
        ("Carrier Status Changed", counters.link_changes),
        ("RX Own PDUs", counters.loopback_rx),
        ("RX Unknown PDUs", counters.unknown_rx),
        ("TX Marker Response PDUs", counters.marker_response_tx),
        ("RX Marker Response PDUs", counters.marker_response_rx),
        ("RX Unknown Marker PDUs", counters.marker_unknown_rx),
        ("Markers Dropped", counters.marker_dropped),
        ("Actor Churned", counters.actor_churn),
        ("Partner Churned", counters.partner_churn),
    ] {
        line(out, format_args!("  {what}: {count}"));
    }
}
