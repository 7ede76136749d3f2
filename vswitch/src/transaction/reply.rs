//! What commands answer. Units and spellings here are those of `vsctl -f json`.

use std::collections::BTreeMap;

use forwarding::mac::MacAddr;
use serde::{Deserialize, Serialize};

use crate::model::mac_text;

pub use self::fastpath::{FastPathBridge, FastPathDevice, FastPathProgram, FastPathStatus, FastPathTable};
pub use self::lacp::{LacpCounters, LacpMember, LacpPort, LacpStats, LacpStatus};

mod fastpath;
mod lacp;

/// The answer to one command. On the wire it is an object with one field, named after the kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reply {
    /// Done; there is nothing to tell.
    Done {},
    /// A list of names.
    Names(Vec<String>),
    /// One text.
    Text(String),
    /// Yes or no.
    Exists(bool),
    /// `show`.
    Show(ShowReply),
    /// `fdb/show`: one table a bridge.
    Fdb(Vec<FdbTable>),
    /// `bond/show`.
    Bonds(Vec<BondStatus>),
    /// `bond/list`.
    BondList(Vec<BondSummary>),
    /// `counters/show`.
    Counters(Vec<DeviceCounters>),
    /// `bond/show --proc`.
    Proc(Vec<ProcText>),
    /// `bond/explain`.
    Explanations(Vec<BondExplanation>),
    /// `lacp/show`.
    Lacp(Vec<LacpStatus>),
    /// `lacp/show-stats`.
    LacpStats(Vec<LacpStats>),
    /// `bond/hash`.
    Hash(FrameHash),
    /// `fdb/stats-show`.
    FdbStats(Vec<FdbStats>),
    /// `trace`.
    Trace(TraceReply),
    /// `fastpath/show`.
    #[serde(rename = "fastpath")]
    FastPath(FastPathStatus),
    /// `get`: a value each column; nothing for a key that is not there. Empty if there is no such record.
    Values(Vec<Option<Datum>>),
    /// `list` and `find`.
    Rows(Rows),
}

/// What stands in a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Datum {
    /// A text.
    Text(String),
    /// A number.
    Integer(i64),
    /// A truth value.
    Boolean(bool),
    /// The UUID of a record.
    Uuid(String),
    /// Several values, or none.
    Set(Vec<Datum>),
    /// Values by key.
    Map(BTreeMap<String, Datum>),
}

impl Datum {
    /// No value.
    pub fn none() -> Self {
        Self::Set(Vec::new())
    }

    /// A value, if there is one.
    pub fn option(value: Option<Self>) -> Self {
        value.unwrap_or_else(Self::none)
    }

    /// Sorted values.
    pub fn set(mut items: Vec<Self>) -> Self {
        items.sort_unstable();
        Self::Set(items)
    }
}

impl From<&str> for Datum {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Records of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rows {
    /// Names of the columns.
    pub columns: Vec<String>,
    /// Records, sorted by name; a value each column.
    pub rows: Vec<Vec<Datum>>,
}

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowReply {
    /// Bridges by name.
    pub bridges: Vec<ShowBridge>,
    /// The daemon's version.
    pub version: String,
}

/// A bridge in [`ShowReply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowBridge {
    /// Its name.
    pub name: String,
    /// Address of the internal port.
    #[serde(with = "mac_text")]
    pub mac: MacAddr,
    /// The port whose carrier the internal port follows.
    pub carrier: Option<String>,
    /// Most FDB entries.
    pub mac_table_size: u32,
    /// Ageing time in seconds.
    pub mac_aging_time: u32,
    /// Ports by name, the internal port among them.
    pub ports: Vec<ShowPort>,
}

/// A port in [`ShowReply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowPort {
    /// Its name.
    pub name: String,
    /// `access`, `trunk`, `native-tagged`, `native-untagged` or `dot1q-tunnel`.
    pub vlan_mode: String,
    /// The VLAN of an access port or tunnel, or the native VLAN.
    pub tag: Option<u16>,
    /// The VLANs of a trunk that does not carry all; empty otherwise.
    pub trunks: Vec<u16>,
    /// The customer VLANs of a tunnel that does not carry all; empty otherwise.
    pub cvlans: Vec<u16>,
    /// What the port is: `internal`, `device` or `bond`.
    pub kind: PortKind,
    /// A bond's options that differ from the defaults.
    pub options: BTreeMap<String, String>,
    /// Its devices: one, or a bond's members in joining order.
    pub interfaces: Vec<ShowInterface>,
}

/// What a port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PortKind {
    /// The bridge's own.
    Internal,
    /// A plain device.
    Device,
    /// A bond.
    Bond,
}

/// A device in [`ShowReply`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShowInterface {
    /// Its name.
    pub name: String,
    /// Why it does not work now.
    pub error: Option<String>,
}

/// What a bridge has learned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdbTable {
    /// The bridge.
    pub bridge: String,
    /// In the order they are to be printed.
    pub entries: Vec<FdbRow>,
}

/// One learned MAC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FdbRow {
    /// The port behind which it is.
    pub port: String,
    /// VLAN, 0 for untagged.
    pub vlan: u16,
    /// The address.
    #[serde(with = "mac_text")]
    pub mac: MacAddr,
    /// Seconds since it was last heard; 0 if it was entered by hand.
    pub age: u64,
    /// It was entered by hand.
    #[serde(rename = "static")]
    pub is_static: bool,
}

/// A bond as it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BondStatus {
    /// Its name.
    pub name: String,
    /// Its bridge.
    pub bridge: String,
    /// Name of the mode, `active-backup`.
    pub mode: String,
    /// Milliseconds that a link must be up before the member is used, as in force.
    pub updelay: u64,
    /// Milliseconds that a link must be down before the member is given up, as in force.
    pub downdelay: u64,
    /// All options and their values, in Linux's spelling.
    pub options: BTreeMap<String, String>,
    /// The member that is preferred, whether or not it is one now.
    pub primary: Option<String>,
    /// The member that carries, in modes that have one.
    pub active: Option<String>,
    /// Why it is the active one, or why there is none: a word such as `member_down`.
    pub active_cause: Option<String>,
    /// Milliseconds since the active member changed.
    pub active_age: Option<u64>,
    /// How often the active member changed.
    pub active_changes: u64,
    /// Address of the bond: its first member's.
    #[serde(with = "mac_text::option")]
    pub mac: Option<MacAddr>,
    /// Whether frames can leave.
    pub carrier: bool,
    /// What LACP does: `off`, `configured` or `negotiated` (OVS's words).
    pub lacp_status: String,
    /// What moves buckets by load, if anything does.
    pub rebalancing: Option<Rebalancing>,
    /// How what comes in is balanced, in mode balance-alb.
    pub receive: Option<ReceiveStatus>,
    /// Targets of link probes; none without these.
    pub targets: Vec<ProbeTarget>,
    /// Members in joining order.
    pub members: Vec<MemberStatus>,
}

/// How what comes in by a bond is balanced: guests name members' addresses to the hosts beyond it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReceiveStatus {
    /// IP addresses of the bridge's guests that are known.
    pub guests: u64,
    /// Claims of guests to an address that another one has, refused since the start.
    pub refused: u64,
    /// Pairs of a guest's address and a host beyond that are known.
    pub peers: u64,
    /// Updates sent to hosts since the bond has this mode.
    pub updates: u64,
    /// Buckets of pairs that were moved by load.
    pub moved: u64,
    /// The last of these moves, 32 at most, oldest first.
    pub last: Vec<BucketMove>,
    /// Members whose addresses are named, in joining order.
    pub members: Vec<ReceiveMember>,
}

/// A member whose address guests name.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ReceiveMember {
    /// Its name.
    pub member: String,
    /// By which member's device frames to its address are let in: its own, or the active one's while it is down.
    pub received_by: String,
    /// Buckets of pairs that have it.
    pub buckets: u32,
    /// Pairs in these.
    pub peers: u64,
    /// What these bring in, in octets a second, averaged over the last periods.
    pub load: u64,
}

/// What moves buckets of a bond's transmit table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Rebalancing {
    /// Milliseconds until the loads are looked at again.
    pub next: u64,
    /// Moves since the bond began to rebalance.
    pub moved: u64,
    /// Buckets that carry anything.
    pub loads: Vec<BucketLoad>,
    /// The last moves, 32 at most, oldest first.
    pub last: Vec<BucketMove>,
}

/// What a bucket carries.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BucketLoad {
    /// Its position in the table, from 0.
    pub bucket: u32,
    /// The member that has it.
    pub member: String,
    /// Octets a second.
    pub load: u64,
}

/// A bucket that was moved.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BucketMove {
    /// Milliseconds ago.
    pub age: u64,
    /// By the operator, not by load.
    pub by_hand: bool,
    /// Its position in the table, from 0.
    pub bucket: u32,
    /// Who had it; empty if that is no member any more.
    pub from: String,
    /// Who got it.
    pub to: String,
    /// What it carried, in octets a second.
    pub load: u64,
}

/// A target of link probes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProbeTarget {
    /// Its IP address.
    pub target: String,
    /// It has answered in time, or not yet had the time to.
    pub answers: bool,
    /// Milliseconds since it last answered by any member; nothing if it never did.
    pub age: Option<u64>,
}

/// What link probes say of a member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemberProbe {
    /// It is up as far as they can tell.
    pub alive: bool,
    /// It asks, and does not only listen.
    pub asks: bool,
    /// Milliseconds since it last showed a sign of life; nothing if it never did.
    pub silent: Option<u64>,
}

/// A member as it runs.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemberStatus {
    /// Its name.
    pub name: String,
    /// There is such a device.
    pub present: bool,
    /// The link is up, or not yet given up, and LACP, if it is spoken, lets it send (OVS: `enabled`).
    pub enabled: bool,
    /// Carrier is all it needs to be enabled (OVS's word).
    pub may_enable: bool,
    /// LACP hears its partner (OVS's word); nothing if the mode speaks no LACP.
    pub lacp_current: Option<bool>,
    /// The bond's opinion of the link: `up`, `down`, `going down`, `going back`.
    pub link: String,
    /// Milliseconds for which it has been so.
    pub link_age: u64,
    /// Milliseconds until a running updelay (going back) or downdelay (going down) ends.
    pub delay_left: Option<u64>,
    /// Times that its link failed.
    pub link_failures: u64,
    /// Speed in Mb/s, if known.
    pub speed: Option<u32>,
    /// Duplex, if known.
    pub full_duplex: Option<bool>,
    /// Its device computes a flow hash of what it receives, if known (for `xmit_hash_policy=offload`).
    pub receive_hash: Option<bool>,
    /// Its own address, if it was ever seen.
    #[serde(with = "mac_text::option")]
    pub mac: Option<MacAddr>,
    /// What link probes say, if they are on.
    pub probe: Option<MemberProbe>,
    /// Milliseconds for which it is held out at least because its link keeps going down (`flap_limit`), if it is.
    pub held: Option<u64>,
    /// It was disabled by hand.
    pub disabled: bool,
    /// Its option `prio`.
    pub prio: i32,
    /// How many of the bond's hash buckets it has, in modes that have some.
    pub buckets: Option<u32>,
}

/// A bond as Linux's bonding driver would tell of it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ProcText {
    /// The bond.
    pub name: String,
    /// What /proc/net/bonding/NAME would hold.
    pub text: String,
}

/// Why a bond works as it does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BondExplanation {
    /// The bond.
    pub name: String,
    /// About the whole bond, in one sentence.
    pub summary: String,
    /// Members in joining order.
    pub members: Vec<MemberExplanation>,
}

/// Why a member carries traffic or does not.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct MemberExplanation {
    /// The member.
    pub name: String,
    /// One sentence each, the weightiest first.
    pub reasons: Vec<String>,
}

/// A frame's transmit hash in a bond.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FrameHash {
    /// The hash, before it is reduced to a bucket.
    pub hash: u32,
    /// Name of the hash policy.
    pub policy: String,
    /// The bucket, from 0.
    pub bucket: Option<u32>,
    /// The member that has the bucket now.
    pub member: Option<String>,
}

/// Counters of one FDB, since the bridge was added or they were cleared.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FdbStats {
    /// The bridge.
    pub bridge: String,
    /// Entries now, static ones included.
    pub current: u64,
    /// Most entries.
    pub maximum: u64,
    /// Entries that were made by hand.
    pub statics: u64,
    /// Addresses learned.
    pub learned: u64,
    /// Addresses that aged out.
    pub expired: u64,
    /// Addresses that made room for others.
    pub evicted: u64,
    /// Addresses that moved to another port.
    pub moved: u64,
    /// Addresses that were not learned because the table, or what the port may have of it, was full.
    pub refused: u64,
}

/// What would be done with a frame.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TraceReply {
    /// `forward` (by one port), `flood` (by several) or `drop`.
    pub verdict: String,
    /// The devices by which it would leave, in this order.
    pub egress: Vec<String>,
    /// The transmit hash, before it is reduced to a bucket, if a bond's member was chosen by it.
    pub hash: Option<u32>,
    /// Why it would be dropped: a word as in the counters.
    pub drop_reason: Option<String>,
    /// The VLAN in which it would be forwarded, 0 for untagged.
    pub vlan: Option<u16>,
    /// What is decided one after the other, in plain words.
    pub steps: Vec<String>,
}

/// A line of `bond/list`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BondSummary {
    /// Its name.
    pub name: String,
    /// Its bridge.
    pub bridge: String,
    /// Name of the mode.
    pub mode: String,
    /// Members in joining order.
    pub members: Vec<String>,
}

/// Counters of one device since it was added.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceCounters {
    /// The device.
    pub device: String,
    /// Its port: itself, or the bond.
    pub port: String,
    /// Its bridge.
    pub bridge: String,
    /// Frames received, dropped ones included.
    pub rx_frames: u64,
    /// Octets received.
    pub rx_bytes: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Octets sent.
    pub tx_bytes: u64,
    /// Frames dropped, by reason ([`forwarding::drop_reason::DropReason::label`]); reasons that did not occur are left out.
    pub drops: BTreeMap<String, u64>,
}
