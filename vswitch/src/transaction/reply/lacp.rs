//! What `lacp/show` and `lacp/show-stats` answer.

use forwarding::mac::MacAddr;
use serde::{Deserialize, Serialize};

use crate::model::mac_text;

/// A bond's LACP.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LacpStatus {
    /// The bond.
    pub name: String,
    /// Its bridge.
    pub bridge: String,
    /// LACPDUs are sent unasked (`lacp_active`).
    pub active: bool,
    /// There is a partner.
    pub negotiated: bool,
    /// LACPDUs are asked for every second (`lacp_rate=fast`).
    pub fast: bool,
    /// The System.
    #[serde(with = "mac_text")]
    pub sys_id: MacAddr,
    /// Its priority.
    pub sys_priority: u16,
    /// Key of the members in use; of the first member if none is; 0 without members.
    pub aggregation_key: u16,
    /// Number of the aggregator in use.
    pub aggregator: Option<u32>,
    /// Why it is better than others, in words.
    pub aggregator_reason: Option<String>,
    /// Members that LACP lets send.
    pub distributing: u32,
    /// The option.
    pub min_links: u32,
    /// The option; 0 for no limit.
    pub max_links: u32,
    /// Why the bond can't carry frames, in words; `null` if it can.
    pub no_carrier: Option<String>,
    /// Members in joining order.
    pub members: Vec<LacpMember>,
}

/// LACP on a member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LacpMember {
    /// The member.
    pub name: String,
    /// Open vSwitch's word: `current`, `expired` or `defaulted`.
    pub status: String,
    /// It belongs to the aggregate (OVS: attached).
    pub attached: bool,
    /// LACP lets it send.
    pub may_enable: bool,
    /// Its link is up, as LACP is told.
    pub link: bool,
    /// What we say of it.
    pub actor: LacpPort,
    /// What its partner last said of itself; defaults if there is none.
    pub partner: LacpPort,
    /// Number of its aggregator.
    pub aggregator: u32,
    /// The Selection Logic: `SELECTED`, `UNSELECTED` or `STANDBY`.
    pub selected: String,
    /// State of the Receive machine, `CURRENT`.
    pub receive: String,
    /// State of the Periodic Transmission machine, `FAST_PERIODIC`.
    pub periodic: String,
    /// State of the Mux machine, `COLLECTING_DISTRIBUTING`.
    pub mux: String,
    /// `none`, `monitoring` or `churned`, of this side.
    pub actor_churn: String,
    /// The same, of the partner.
    pub partner_churn: String,
    /// What it brings in is let in, by every executor.
    pub collecting: bool,
    /// Frames leave by it, by every executor.
    pub distributing: bool,
    /// It receives the bond's own LACPDUs.
    pub looped: bool,
    /// Milliseconds since the last LACPDU, if one has come since its link came up.
    pub last_lacpdu_age: Option<u64>,
    /// Why it does what it does, in words.
    pub reason: String,
    /// In what the partner's last LACPDU does not tell this port as it is, in words.
    pub mismatches: Vec<String>,
}

/// A port, as one of the two sides says that it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LacpPort {
    /// Its System.
    #[serde(with = "mac_text")]
    pub sys_id: MacAddr,
    /// Priority of the System.
    pub sys_priority: u16,
    /// Its number.
    pub port_id: u16,
    /// Its priority.
    pub port_priority: u16,
    /// Its key.
    pub key: u16,
    /// Its state, as the octet on the wire.
    pub state: u8,
    /// The flags that are set in it, in the words of Open vSwitch.
    pub flags: Vec<String>,
}

/// A bond's LACP counters.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LacpStats {
    /// The bond.
    pub name: String,
    /// Members in joining order.
    pub members: Vec<LacpCounters>,
}

/// LACP counters of a member, since it joined or the mode was set.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LacpCounters {
    /// The member.
    pub name: String,
    /// LACPDUs sent.
    pub lacpdu_tx: u64,
    /// Well-formed LACPDUs received.
    pub lacpdu_rx: u64,
    /// LACPDUs and Marker PDUs that were malformed.
    pub illegal_rx: u64,
    /// Other slow protocols.
    pub unknown_rx: u64,
    /// The bond's own LACPDUs that came back; `lacpdu_rx` has them too.
    pub loopback_rx: u64,
    /// Markers received.
    pub marker_rx: u64,
    /// Answers to markers received.
    pub marker_response_rx: u64,
    /// Answers to markers sent.
    pub marker_response_tx: u64,
    /// Marker PDUs that are neither.
    pub marker_unknown_rx: u64,
    /// Markers that were not answered because there were too many.
    pub marker_dropped: u64,
    /// How often the link went up or down.
    pub link_changes: u64,
    /// How often the partner fell silent.
    pub expired: u64,
    /// How often it was given up.
    pub defaulted: u64,
    /// How often this side did not come into sync in time.
    pub actor_churn: u64,
    /// How often the partner did not.
    pub partner_churn: u64,
}
