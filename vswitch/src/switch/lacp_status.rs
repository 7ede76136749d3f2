//! What LACP tells about itself, for `lacp/show` and `lacp/show-stats`.

use std::time::Duration;

use bond_port::{Bond, Member};
use forwarding::mac::MacAddr;
use lacp::{Lacp, PortId, PortInfo, PortStatus, Stats, mux, receive};

use crate::transaction::reply::{LacpCounters, LacpMember, LacpPort, LacpStats, LacpStatus};

/// LACP of a bond; `None` if its mode speaks none.
pub(super) fn status(bond: &Bond, bridge: &str, now: Duration) -> Option<LacpStatus> {
    let lacp = bond.lacp()?;
    // LACP hears of the options when there is a member.
    let (explained, options) = (lacp.explain(now), &bond.options().lacp);
    let (_, sys_id) = lacp.system();
    let sys_id = if options.ad_actor_system == [0; 6] { sys_id } else { options.ad_actor_system };
    let first_key = || lacp.ports().next().map(|port| port.actor.key);
    let member = |member: &Member| self::member(lacp, member, &explained, now);
    Some(LacpStatus {
        name: bond.name().to_owned(),
        bridge: bridge.to_owned(),
        active: options.lacp_active,
        negotiated: lacp.negotiated(),
        fast: options.lacp_rate.is_fast(),
        sys_id: MacAddr(sys_id),
        sys_priority: options.ad_actor_sys_prio,
        aggregation_key: lacp.active().map(|active| active.actor_key).or_else(first_key).unwrap_or(0),
        aggregator: explained.active.map(|(id, _)| id.0),
        aggregator_reason: explained.active.map(|(_, reason)| reason.to_string()),
        distributing: explained.distributing,
        min_links: options.min_links,
        max_links: options.max_links,
        no_carrier: explained.no_carrier.map(|reason| reason.to_string()),
        members: bond.members().iter().filter_map(member).collect(),
    })
}

fn member(lacp: &Lacp, member: &Member, all: &lacp::Explanation, now: Duration) -> Option<LacpMember> {
    let id = PortId(member.id().number());
    let port = lacp.port(id)?;
    let explained = all.ports.iter().find(|port| port.port == id)?;
    let hears = port.receive == receive::State::Current;
    Some(LacpMember {
        name: member.name().to_owned(),
        status: status_word(&port).to_owned(),
        attached: !matches!(port.mux, mux::State::Detached | mux::State::Waiting),
        may_enable: port.wanted.distributing,
        link: port.link.up,
        actor: self::port(&port.actor),
        partner: self::port(&port.partner),
        aggregator: port.aggregator.0,
        selected: port.selected.name().to_owned(),
        receive: port.receive.name().to_owned(),
        periodic: port.periodic.name().to_owned(),
        mux: port.mux.name().to_owned(),
        actor_churn: port.actor_churn.name().to_owned(),
        partner_churn: port.partner_churn.name().to_owned(),
        collecting: port.confirmed.collecting,
        distributing: port.confirmed.distributing,
        looped: port.looped,
        last_lacpdu_age: lacp.last_lacpdu(now, id).map(|age| age.as_millis() as u64),
        reason: explained.reason.to_string(),
        mismatches: if hears {
            explained.mismatches.iter().map(ToString::to_string).collect()
        } else {
            Vec::new()
        },
    })
}

/// What Open vSwitch calls the state of the Receive machine. It has three words, and to it a link that is down has
/// nobody at its other end.
fn status_word(port: &PortStatus) -> &'static str {
    match port.receive {
        receive::State::Current => "current",
        receive::State::Expired => "expired",
        receive::State::Initialize
        | receive::State::PortDisabled
        | receive::State::LacpDisabled
        | receive::State::Defaulted => "defaulted",
    }
}

fn port(info: &PortInfo) -> LacpPort {
    // Of the eight flags only this one has another name in Open vSwitch.
    let flag = |flag: &str| if flag == "synchronization" { "synchronized" } else { flag }.to_owned();
    LacpPort {
        sys_id: MacAddr(info.system),
        sys_priority: info.system_priority,
        port_id: info.port,
        port_priority: info.port_priority,
        key: info.key,
        state: info.state.0,
        flags: info.state.to_string().split_whitespace().map(flag).collect(),
    }
}

/// The counters of a bond's LACP; `None` if its mode speaks none.
pub(super) fn stats(bond: &Bond) -> Option<LacpStats> {
    let lacp = bond.lacp()?;
    let member = |member: &Member| {
        let port = lacp.port(PortId(member.id().number()))?;
        Some(counters(member.name(), &port.stats))
    };
    Some(LacpStats {
        name: bond.name().to_owned(),
        members: bond.members().iter().filter_map(member).collect(),
    })
}

fn counters(name: &str, stats: &Stats) -> LacpCounters {
    LacpCounters {
        name: name.to_owned(),
        lacpdu_tx: stats.lacpdu_tx,
        lacpdu_rx: stats.lacpdu_rx,
        illegal_rx: stats.illegal_rx,
        unknown_rx: stats.unknown_rx,
        loopback_rx: stats.loopback_rx,
        marker_rx: stats.marker_rx,
        marker_response_rx: stats.marker_response_rx,
        marker_response_tx: stats.marker_response_tx,
        marker_unknown_rx: stats.marker_unknown_rx,
        marker_dropped: stats.marker_dropped,
        link_changes: stats.link_changes,
        expired: stats.expired,
        defaulted: stats.defaulted,
        actor_churn: stats.actor_churn,
        partner_churn: stats.partner_churn,
    }
}
