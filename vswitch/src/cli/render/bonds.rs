//! Bonds and their members.

use bond_port::Mode;

use super::line;
use crate::transaction::reply::{
    BondExplanation, BondStatus, BondSummary, BucketMove, MemberProbe, MemberStatus, ProbeTarget, ProcText,
    ReceiveMember, ReceiveStatus,
};

pub(super) fn bond_text(out: &mut String, bond: &BondStatus) {
    line(out, format_args!("---- {} ----", bond.name));
    line(out, format_args!("bridge: {}", bond.bridge));
    line(out, format_args!("bond_mode: {}", bond.mode));
    let speaks_lacp = bond.mode == Mode::Ieee8023ad.name();
    let probes = bond.options.get("arp_interval").is_some_and(|interval| interval != "0");
    for (name, value) in &bond.options {
        let printed_elsewhere = matches!(name.as_str(), "mode" | "updelay" | "downdelay" | "primary");
        if !printed_elsewhere && (speaks_lacp || !is_of_lacp(name)) && (probes || !is_of_probes(name)) {
            line(out, format_args!("{name}: {value}"));
        }
    }
    line(out, format_args!("updelay: {} ms", bond.updelay));
    line(out, format_args!("downdelay: {} ms", bond.downdelay));
    if let Some(rebalancing) = &bond.rebalancing {
        // Without an interval buckets move by hand only.
        if bond.options.get("rebalance_interval").is_none_or(|interval| interval != "0") {
            line(out, format_args!("next rebalance: {} ms", rebalancing.next));
        }
        line(out, format_args!("buckets moved: {}", rebalancing.moved));
    }
    if let Some(receive) = &bond.receive {
        let ReceiveStatus { guests, refused, peers, updates, moved, .. } = receive;
        line(out, format_args!("guests' addresses: {guests}, {refused} claims refused"));
        line(
            out,
            format_args!("peers: {peers}, {updates} updates sent, {moved} buckets of peers moved by load"),
        );
    }
    for ProbeTarget { target, answers, age } in &bond.targets {
        let state = if *answers { "answers" } else { "does not answer" };
        let last = age.map_or("no answer so far".to_owned(), |age| format!("last answer {age} ms ago"));
        line(out, format_args!("target {target}: {state} ({last})"));
    }
    line(out, format_args!("lacp_status: {}", bond.lacp_status));
    let strict = bond.options.get("lacp_strict").is_some_and(|strict| strict == "on");
    line(out, format_args!("lacp_fallback_ab: {}", speaks_lacp && !strict));
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
    let offload = bond.options.get("xmit_hash_policy").is_some_and(|policy| policy == "offload");
    let mut members: Vec<_> = bond.members.iter().collect();
    members.sort_by(|a, b| a.name.cmp(&b.name));
    for member in members {
        line(out, "");
        member_text(out, member, bond.active.as_ref() == Some(&member.name));
        if let Some(hash) = member.receive_hash.filter(|_| offload) {
            line(out, format_args!("  receive hash: {}", if hash { "yes" } else { "no" }));
        }
        if let Some(receive) =
            bond.receive.iter().flat_map(|receive| &receive.members).find(|of| of.member == member.name)
        {
            let ReceiveMember { received_by, buckets, peers, load, member } = receive;
            let kilobytes = load.div_ceil(1000);
            line(out, format_args!("  receives from: {peers} peers in {buckets} buckets, {kilobytes} kB/s"));
            if received_by != member {
                line(out, format_args!("  frames to its address come in by: {received_by}"));
            }
        }
        let loads = bond.rebalancing.iter().flat_map(|rebalancing| &rebalancing.loads);
        for load in loads.filter(|load| load.member == member.name) {
            let kilobytes = load.load.div_ceil(1000);
            line(out, format_args!("  hash {}: {kilobytes} kB/s load", load.bucket));
        }
    }
    let moves = bond.rebalancing.iter().flat_map(|rebalancing| &rebalancing.last);
    moves.for_each(|moved| move_text(out, "hash", moved));
    let moves = bond.receive.iter().flat_map(|receive| &receive.last);
    moves.for_each(|moved| move_text(out, "peers' hash", moved));
    line(out, "");
}

fn move_text(out: &mut String, what: &str, moved: &BucketMove) {
    let BucketMove { age, bucket, from, to, load, by_hand } = moved;
    let (why, kilobytes) = (if *by_hand { "by hand" } else { "by load" }, load.div_ceil(1000));
    line(
        out,
        format_args!("moved {age} ms ago {why}: {what} {bucket} ({kilobytes} kB/s) from {from} to {to}"),
    );
}

/// Options that mean something in mode 802.3ad only.
fn is_of_lacp(option: &str) -> bool {
    lacp::Options::names().any(|name| name == option)
}

/// Options that mean something with link probes only.
fn is_of_probes(option: &str) -> bool {
    bond_port::ProbeOptions::NAMES.contains(&option)
}

fn member_text(out: &mut String, member: &MemberStatus, active: bool) {
    let state = if member.enabled { "enabled" } else { "disabled" };
    line(out, format_args!("member {}: {state}", member.name));
    if active {
        line(out, "  active member");
    }
    if member.disabled {
        line(out, "  disabled by hand (bond/enable-member)");
    }
    if let Some(left) = member.held {
        line(out, format_args!("  held out by flap_limit, {left} ms left"));
    }
    if let Some(MemberProbe { alive, asks, silent }) = &member.probe {
        let (does, state) = (if *asks { "asks" } else { "listens" }, if *alive { "up" } else { "down" });
        let last = silent.map_or("nothing heard".to_owned(), |ms| format!("last heard {ms} ms ago"));
        line(out, format_args!("  link probes: {state} ({does}, {last})"));
    }
    if let Some(left) = member.delay_left {
        let delay = if member.link == "going down" { "downdelay" } else { "updelay" };
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
    if member.prio != 0 {
        line(out, format_args!("  prio: {}", member.prio));
    }
    if let Some(buckets) = member.buckets {
        line(out, format_args!("  hash buckets: {buckets}"));
    }
}

pub(super) fn bond_list_text(out: &mut String, bonds: &[BondSummary]) {
    line(out, "bond\ttype\trecircID\tmembers");
    for bond in bonds {
        line(out, format_args!("{}\t{}\t0\t{}", bond.name, bond.mode, bond.members.join(", ")));
    }
}

pub(super) fn proc_text(out: &mut String, proc: &ProcText, heading: bool) {
    if heading {
        line(out, format_args!("---- {} ----", proc.name));
    }
    out.push_str(&proc.text);
}

pub(super) fn explanation_text(out: &mut String, bond: &BondExplanation) {
    line(out, format_args!("---- {} ----", bond.name));
    line(out, &bond.summary);
    for member in &bond.members {
        line(out, format_args!("member {}:", member.name));
        member.reasons.iter().for_each(|reason| line(out, format_args!("  {reason}")));
    }
    line(out, "");
}
