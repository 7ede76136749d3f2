//! The metrics that there are, and how samples of them are made. Names and labels are an interface: docs/operations.md
//! lists them.

use std::sync::Arc;

use forwarding::fdb::FdbStats;

use crate::receive::owners::Owners;
use crate::transaction::reply::{BondStatus, DeviceCounters, LacpStats, LacpStatus};

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Only grows, until the thing it counts for is made anew.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A metric: a name, and the labels that all its samples have.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Name, in Prometheus's characters.
    pub name: &'static str,
    /// One line for people.
    pub help: &'static str,
    /// Counter or gauge.
    pub kind: Kind,
    /// Names of the labels.
    pub labels: &'static [&'static str],
}

macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal $labels:tt $help:literal;)+) => {
        $(
            #[doc = $help]
            pub const $constant: Metric =
                Metric { name: $name, help: $help, kind: Kind::$kind, labels: &$labels };
        )+
        /// All metrics.
        pub const ALL: &[&Metric] = &[$(&$constant),+];
    };
}

metrics! {
    BUILD_INFO = Gauge "vswitch_build_info" ["version"] "Always 1; the version is a label.";
    DEVICE_RX_FRAMES = Counter "vswitch_device_rx_frames_total" ["bridge", "port", "device"]
        "Frames received by a device, dropped ones included.";
    DEVICE_RX_BYTES = Counter "vswitch_device_rx_bytes_total" ["bridge", "port", "device"]
        "Octets received by a device.";
    DEVICE_TX_FRAMES = Counter "vswitch_device_tx_frames_total" ["bridge", "port", "device"]
        "Frames sent by a device.";
    DEVICE_TX_BYTES = Counter "vswitch_device_tx_bytes_total" ["bridge", "port", "device"]
        "Octets sent by a device.";
    DEVICE_DROPS = Counter "vswitch_device_drops_total" ["bridge", "port", "device", "reason"]
        "Frames dropped, by reason.";
    VLAN_RX_FRAMES = Counter "vswitch_vlan_rx_frames_total" ["bridge", "vlan"]
        "Frames received in a VLAN; 0 is untagged.";
    VLAN_RX_BYTES = Counter "vswitch_vlan_rx_bytes_total" ["bridge", "vlan"]
        "Octets received in a VLAN; 0 is untagged.";
    BOND_CARRIER = Gauge "vswitch_bond_carrier" ["bridge", "bond", "mode"]
        "1 if a bond can send, otherwise 0.";
    BOND_ACTIVE_CHANGES = Counter "vswitch_bond_active_changes_total" ["bridge", "bond"]
        "How often the active member of a bond changed.";
    BOND_BUCKETS_MOVED = Counter "vswitch_bond_buckets_moved_total" ["bridge", "bond"]
        "Buckets of a bond that were moved to another member, by load and by hand.";
    MEMBER_ENABLED = Gauge "vswitch_bond_member_enabled" ["bridge", "bond", "member"]
        "1 if a member's link is up or not yet given up, and LACP, if spoken, lets it send; otherwise 0.";
    MEMBER_ACTIVE = Gauge "vswitch_bond_member_active" ["bridge", "bond", "member"]
        "1 for the active member of a bond, otherwise 0.";
    MEMBER_LINK_FAILURES = Counter "vswitch_bond_member_link_failures_total" ["bridge", "bond", "member"]
        "How often the link of a member failed.";
    MEMBER_PROBE = Gauge "vswitch_bond_member_probe_up" ["bridge", "bond", "member"]
        "1 if link probes get through by a member, otherwise 0.";
    MEMBER_HELD = Gauge "vswitch_bond_member_held" ["bridge", "bond", "member"]
        "1 if a member is held out by flap_limit, otherwise 0.";
    TARGET_ANSWERS = Gauge "vswitch_bond_target_answers" ["bridge", "bond", "target"]
        "1 if a target of link probes answers, otherwise 0.";
    LACP_NEGOTIATED = Gauge "vswitch_bond_lacp_negotiated" ["bridge", "bond"]
        "1 if a bond in mode 802.3ad has a LACP partner, otherwise 0.";
    LACP_DISTRIBUTING_MEMBERS = Gauge "vswitch_bond_lacp_distributing_members" ["bridge", "bond"]
        "Members that LACP lets send.";
    LACP_COLLECTING = Gauge "vswitch_bond_member_lacp_collecting" ["bridge", "bond", "member"]
        "1 if LACP has a member receive, otherwise 0.";
    LACP_DISTRIBUTING = Gauge "vswitch_bond_member_lacp_distributing" ["bridge", "bond", "member"]
        "1 if LACP has a member send, otherwise 0.";
    LACP_CURRENT = Gauge "vswitch_bond_member_lacp_current" ["bridge", "bond", "member"]
        "1 if a member hears its LACP partner, otherwise 0.";
    LACP_RX = Counter "vswitch_bond_member_lacp_rx_pdus_total" ["bridge", "bond", "member"]
        "Well-formed LACPDUs received by a member.";
    LACP_TX = Counter "vswitch_bond_member_lacp_tx_pdus_total" ["bridge", "bond", "member"]
        "LACPDUs sent by a member.";
    LACP_ILLEGAL = Counter "vswitch_bond_member_lacp_rx_illegal_total" ["bridge", "bond", "member"]
        "Malformed LACPDUs and Marker PDUs received by a member.";
    LACP_LOOPBACK = Counter "vswitch_bond_member_lacp_rx_loopback_total" ["bridge", "bond", "member"]
        "LACPDUs of the bond itself received by a member.";
    LACP_EXPIRED = Counter "vswitch_bond_member_lacp_expired_total" ["bridge", "bond", "member"]
        "How often the LACP partner of a member fell silent.";
    LACP_DEFAULTED = Counter "vswitch_bond_member_lacp_defaulted_total" ["bridge", "bond", "member"]
        "How often the LACP partner of a member was given up, or none was found.";
    LACP_CHURNED = Counter "vswitch_bond_member_lacp_churned_total" ["bridge", "bond", "member", "side"]
        "How often a side (actor, partner) of a member did not come into sync in time.";
    FDB_ENTRIES = Gauge "vswitch_fdb_entries" ["bridge"] "MAC addresses in the table of a bridge.";
    FDB_CAPACITY = Gauge "vswitch_fdb_capacity" ["bridge"] "Most MAC addresses in the table of a bridge.";
    FDB_CHANGES = Counter "vswitch_fdb_changes_total" ["bridge", "change"]
        "MAC addresses learned, expired, evicted for others, moved to another port, or refused.";
    FASTPATH_ACTIVE = Gauge "vswitch_fastpath_active" [] "1 if the kernel's fast path is in use, otherwise 0.";
    FASTPATH_FRAMES = Counter "vswitch_fastpath_frames_total" ["device"]
        "Frames received by a device that the kernel forwarded.";
    FASTPATH_MISSES = Counter "vswitch_fastpath_misses_total" ["reason"]
        "Frames that the kernel's fast path left to the daemon, by reason.";
    FASTPATH_QUEUE_DROPPED = Counter "vswitch_fastpath_queue_dropped_total" []
        "Frames left to the daemon that were lost because the queue to a worker was full.";
    RECEIVE_PEERS = Gauge "vswitch_bond_receive_peers" ["bridge", "bond", "member"]
        "Pairs of a guest's address and a host beyond the bond that have the member's address (balance-alb).";
    RECEIVE_UPDATES = Counter "vswitch_bond_receive_updates_total" ["bridge", "bond"]
        "ARP and neighbour discovery frames sent to hosts to tell them a member's address (balance-alb).";
    RECEIVE_MOVES = Counter "vswitch_bond_receive_moves_total" ["bridge", "bond"]
        "Buckets of peers moved to another member by load (balance-alb).";
    CLAIMS_REFUSED = Counter "vswitch_claims_refused_total" ["bridge"]
        "Claims of guests to an IP address that another guest has.";
    GUEST_ADDRESSES = Gauge "vswitch_guest_addresses" ["bridge"] "IP addresses of guests that are known.";
    NEIGHBOURS = Gauge "vswitch_neighbours" [] "MAC addresses of guests whose IP addresses are known.";
    PUNTS_LOST = Counter "vswitch_punts_lost_total" []
        "Control frames that the workers could not hand over because the queue was full.";
    EVENTS_LOST = Counter "vswitch_events_lost_total" [] "Events that were dropped for slow monitor clients.";
}

/// What a sample says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value {
    /// Of a counter.
    Count(u64),
    /// Of a gauge.
    Level(f64),
}

/// One number.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Of what.
    pub metric: &'static Metric,
    /// Values of the metric's labels, in their order.
    pub labels: Vec<Arc<str>>,
    /// The number.
    pub value: Value,
}

/// Adds a sample of a counter. `labels` are as many as the metric has.
pub fn count<const N: usize>(
    into: &mut Vec<Sample>,
    metric: &'static Metric,
    labels: [&Arc<str>; N],
    count: u64,
) {
    debug_assert!(metric.kind == Kind::Counter && metric.labels.len() == N, "{metric:?} {labels:?}");
    into.push(Sample { metric, labels: labels.map(Arc::clone).to_vec(), value: Value::Count(count) });
}

/// Adds a sample of a gauge. `labels` are as many as the metric has.
pub fn level<const N: usize>(
    into: &mut Vec<Sample>,
    metric: &'static Metric,
    labels: [&Arc<str>; N],
    level: f64,
) {
    debug_assert!(metric.kind == Kind::Gauge && metric.labels.len() == N, "{metric:?} {labels:?}");
    into.push(Sample { metric, labels: labels.map(Arc::clone).to_vec(), value: Value::Level(level) });
}

/// The daemon itself.
pub fn build(into: &mut Vec<Sample>) {
    level(into, &BUILD_INFO, [&env!("CARGO_PKG_VERSION").into()], 1.0);
}

/// A device's counters.
pub fn device(into: &mut Vec<Sample>, counters: &DeviceCounters) {
    let labels: [Arc<str>; 3] =
        [&counters.bridge, &counters.port, &counters.device].map(|text| text.as_str().into());
    let [bridge, port, device] = &labels;
    for (metric, value) in [
        (&DEVICE_RX_FRAMES, counters.rx_frames),
        (&DEVICE_RX_BYTES, counters.rx_bytes),
        (&DEVICE_TX_FRAMES, counters.tx_frames),
        (&DEVICE_TX_BYTES, counters.tx_bytes),
    ] {
        count(into, metric, [bridge, port, device], value);
    }
    for (reason, frames) in &counters.drops {
        count(into, &DEVICE_DROPS, [bridge, port, device, &reason.as_str().into()], *frames);
    }
}

/// Whether there is a fast path in the kernel.
pub fn fastpath(into: &mut Vec<Sample>, active: bool) {
    level(into, &FASTPATH_ACTIVE, [], f64::from(u8::from(active)));
}

/// Frames received by a device that the kernel forwarded.
pub fn fastpath_device(into: &mut Vec<Sample>, device: &str, frames: u64) {
    count(into, &FASTPATH_FRAMES, [&device.into()], frames);
}

/// Frames that the kernel left to the daemon for one reason.
pub fn fastpath_misses(into: &mut Vec<Sample>, reason: &str, frames: u64) {
    count(into, &FASTPATH_MISSES, [&reason.into()], frames);
}

/// A VLAN of a bridge: what was received in it.
pub fn vlan(into: &mut Vec<Sample>, bridge: &str, vlan: u16, frames: u64, bytes: u64) {
    let labels: [Arc<str>; 2] = [bridge.into(), vlan.to_string().into()];
    count(into, &VLAN_RX_FRAMES, labels.each_ref(), frames);
    count(into, &VLAN_RX_BYTES, labels.each_ref(), bytes);
}

/// A bond and its members.
pub fn bond(into: &mut Vec<Sample>, status: &BondStatus) {
    let bridge: Arc<str> = status.bridge.as_str().into();
    let bond: Arc<str> = status.name.as_str().into();
    let one_if = |yes: bool| f64::from(u8::from(yes));
    level(into, &BOND_CARRIER, [&bridge, &bond, &status.mode.as_str().into()], one_if(status.carrier));
    count(into, &BOND_ACTIVE_CHANGES, [&bridge, &bond], status.active_changes);
    if let Some(rebalancing) = &status.rebalancing {
        count(into, &BOND_BUCKETS_MOVED, [&bridge, &bond], rebalancing.moved);
    }
    for member in &status.members {
        let name: Arc<str> = member.name.as_str().into();
        let labels = [&bridge, &bond, &name];
        let active = status.active.as_ref() == Some(&member.name);
        level(into, &MEMBER_ENABLED, labels, one_if(member.enabled));
        level(into, &MEMBER_ACTIVE, labels, one_if(active));
        count(into, &MEMBER_LINK_FAILURES, labels, member.link_failures);
        level(into, &MEMBER_HELD, labels, one_if(member.held.is_some()));
        if let Some(probe) = &member.probe {
            level(into, &MEMBER_PROBE, labels, one_if(probe.alive));
        }
    }
    for target in &status.targets {
        let labels = [&bridge, &bond, &target.target.as_str().into()];
        level(into, &TARGET_ANSWERS, labels, one_if(target.answers));
    }
    if let Some(receive) = &status.receive {
        for of in &receive.members {
            let name: Arc<str> = of.member.as_str().into();
            level(into, &RECEIVE_PEERS, [&bridge, &bond, &name], of.peers as f64);
        }
        count(into, &RECEIVE_UPDATES, [&bridge, &bond], receive.updates);
        count(into, &RECEIVE_MOVES, [&bridge, &bond], receive.moved);
    }
}

/// A bond's LACP.
pub fn lacp(into: &mut Vec<Sample>, status: &LacpStatus, stats: &LacpStats) {
    let bridge: Arc<str> = status.bridge.as_str().into();
    let bond: Arc<str> = status.name.as_str().into();
    let one_if = |yes: bool| f64::from(u8::from(yes));
    level(into, &LACP_NEGOTIATED, [&bridge, &bond], one_if(status.negotiated));
    level(into, &LACP_DISTRIBUTING_MEMBERS, [&bridge, &bond], status.distributing.into());
    for member in &status.members {
        let name: Arc<str> = member.name.as_str().into();
        for (metric, yes) in [
            (&LACP_COLLECTING, member.collecting),
            (&LACP_DISTRIBUTING, member.distributing),
            (&LACP_CURRENT, member.status == "current"),
        ] {
            level(into, metric, [&bridge, &bond, &name], one_if(yes));
        }
    }
    for member in &stats.members {
        let name: Arc<str> = member.name.as_str().into();
        for (metric, times) in [
            (&LACP_RX, member.lacpdu_rx),
            (&LACP_TX, member.lacpdu_tx),
            (&LACP_ILLEGAL, member.illegal_rx),
            (&LACP_LOOPBACK, member.loopback_rx),
            (&LACP_EXPIRED, member.expired),
            (&LACP_DEFAULTED, member.defaulted),
        ] {
            count(into, metric, [&bridge, &bond, &name], times);
        }
        for (side, times) in [("actor", member.actor_churn), ("partner", member.partner_churn)] {
            count(into, &LACP_CHURNED, [&bridge, &bond, &name, &side.into()], times);
        }
    }
}

/// Which of a bridge's guests has which IP address.
pub fn owners(into: &mut Vec<Sample>, bridge: &str, owners: &Owners) {
    let bridge: Arc<str> = bridge.into();
    level(into, &GUEST_ADDRESSES, [&bridge], owners.len() as f64);
    count(into, &CLAIMS_REFUSED, [&bridge], owners.refused());
}

/// A bridge's FDB.
pub fn fdb(into: &mut Vec<Sample>, bridge: &str, stats: &FdbStats) {
    let bridge: Arc<str> = bridge.into();
    level(into, &FDB_ENTRIES, [&bridge], stats.entries as f64);
    level(into, &FDB_CAPACITY, [&bridge], stats.capacity as f64);
    for (change, macs) in [
        ("learned", stats.learned),
        ("expired", stats.expired),
        ("evicted", stats.evicted),
        ("moved", stats.moved),
        ("refused", stats.refused),
    ] {
        count(into, &FDB_CHANGES, [&bridge, &change.into()], macs);
    }
}
