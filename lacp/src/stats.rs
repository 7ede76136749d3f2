//! Counters of a port.

/// Counters of a port since it was added. Linux's names (`bond_3ad_stats`) and OVS's (`lacp/show-stats`) are given
/// where they have one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stats {
    /// Well-formed LACPDUs received. (OVS: RX PDUs.)
    pub lacpdu_rx: u64,
    /// LACPDUs sent. (OVS: TX PDUs.)
    pub lacpdu_tx: u64,
    /// LACPDUs with our own system id: a loop. They are in `lacpdu_rx` too.
    pub loopback_rx: u64,
    /// LACPDUs or Marker PDUs that are cut off, or have a TLV of an illegal length. (OVS: RX Bad PDUs; Linux: LACPDU
    /// Illegal Rx.)
    pub illegal_rx: u64,
    /// Other slow protocols. (Linux: LACPDU Unknown Rx.)
    pub unknown_rx: u64,
    /// Markers received. (OVS: RX Marker Request PDUs; Linux: Marker Rx.)
    pub marker_rx: u64,
    /// Answers to markers received, though none was sent. (Linux: Marker Response Rx.)
    pub marker_response_rx: u64,
    /// Answers to markers sent. (Linux: Marker Response Tx.)
    pub marker_response_tx: u64,
    /// Marker PDUs that are neither marker nor answer. (Linux: Marker Unknown Rx.)
    pub marker_unknown_rx: u64,
    /// Markers not answered since there were more than ten in a second.
    pub marker_dropped: u64,
    /// How often the link went up or down. (OVS: Carrier Status Changed.)
    pub link_changes: u64,
    /// How often a partner fell silent: from CURRENT to EXPIRED. (OVS: Link Expired.)
    pub expired: u64,
    /// How often it was given up: entries to DEFAULTED. (OVS: Link Defaulted.)
    pub defaulted: u64,
    /// How often we did not come into SYNC in time. (Linux: Actor Churned Count.)
    pub actor_churn: u64,
    /// How often the partner did not come into SYNC in time. (Linux: Partner Churned Count.)
    pub partner_churn: u64,
}
