//! What can be asked of the switch: one value for each command.

use serde::{Deserialize, Serialize};

use super::words;

/// One command. In JSON it is an object whose `command` names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", deny_unknown_fields)]
pub enum Request {
    /// Adds a bridge and its internal port.
    #[serde(rename = "add-br")]
    AddBridge {
        /// The new bridge.
        bridge: String,
        /// An existing bridge of this name is all right.
        #[serde(default, skip_serializing_if = "is_false")]
        may_exist: bool,
    },
    /// Deletes a bridge and everything in it.
    #[serde(rename = "del-br")]
    DelBridge {
        /// The bridge.
        bridge: String,
        /// A missing bridge is all right.
        #[serde(default, skip_serializing_if = "is_false")]
        if_exists: bool,
    },
    /// Names of all bridges.
    #[serde(rename = "list-br")]
    ListBridges {},
    /// Whether there is such a bridge.
    #[serde(rename = "br-exists")]
    BridgeExists {
        /// The name to look for.
        bridge: String,
    },
    /// Adds a device to a bridge as a plain port.
    #[serde(rename = "add-port")]
    AddPort {
        /// The bridge.
        bridge: String,
        /// The device.
        port: String,
        /// Columns of table `port`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        settings: Vec<Setting>,
        /// A plain port of this name on this bridge is all right; the settings are applied to it.
        #[serde(default, skip_serializing_if = "is_false")]
        may_exist: bool,
    },
    /// Deletes a port or bond.
    #[serde(rename = "del-port")]
    DelPort {
        /// The bridge that must have it; any if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bridge: Option<String>,
        /// The port or bond.
        port: String,
        /// A missing port is all right.
        #[serde(default, skip_serializing_if = "is_false")]
        if_exists: bool,
        /// The name may be a member's; then its bond is deleted.
        #[serde(default, skip_serializing_if = "is_false")]
        with_iface: bool,
    },
    /// Names of a bridge's ports and bonds, without the internal port.
    #[serde(rename = "list-ports")]
    ListPorts {
        /// The bridge.
        bridge: String,
    },
    /// Adds a bond of devices to a bridge.
    #[serde(rename = "add-bond")]
    AddBond {
        /// The bridge.
        bridge: String,
        /// The new bond.
        bond: String,
        /// Its members in joining order; there may be none yet.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        members: Vec<String>,
        /// Columns of table `bond`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        settings: Vec<Setting>,
        /// A bond of this name with these members on this bridge is all right; the settings are applied to it.
        #[serde(default, skip_serializing_if = "is_false")]
        may_exist: bool,
        /// Open vSwitch would make a network device for the bond; here there is a warning.
        #[serde(default, skip_serializing_if = "is_false")]
        fake_iface: bool,
    },
    /// Adds a member to a bond.
    #[serde(rename = "add-bond-iface")]
    AddBondIface {
        /// The bond.
        bond: String,
        /// The device.
        iface: String,
        /// Being a member of this bond already is all right.
        #[serde(default, skip_serializing_if = "is_false")]
        may_exist: bool,
    },
    /// Takes a member out of its bond.
    #[serde(rename = "del-bond-iface")]
    DelBondIface {
        /// The bond that must have it; any if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bond: Option<String>,
        /// The member.
        iface: String,
        /// Being no member is all right.
        #[serde(default, skip_serializing_if = "is_false")]
        if_exists: bool,
    },
    /// Names of a bridge's devices, without the internal port.
    #[serde(rename = "list-ifaces")]
    ListIfaces {
        /// The bridge.
        bridge: String,
    },
    /// The bridge that has a port.
    #[serde(rename = "port-to-br")]
    PortToBridge {
        /// The port or bond.
        port: String,
    },
    /// The bridge that has a device.
    #[serde(rename = "iface-to-br")]
    IfaceToBridge {
        /// The device.
        iface: String,
    },
    /// The whole configuration.
    #[serde(rename = "show")]
    Show {},
    /// Changes settings of one thing.
    #[serde(rename = "set")]
    Set {
        /// `bridge`, `port`, `bond` or `interface`, or an abbreviation.
        table: String,
        /// The name of the bridge, port, ...
        record: String,
        /// What to set, in this order.
        settings: Vec<Setting>,
        /// A missing record is all right.
        #[serde(default, skip_serializing_if = "is_false")]
        if_exists: bool,
    },
    /// Values of columns.
    #[serde(rename = "get")]
    Get {
        /// The table, or an abbreviation.
        table: String,
        /// The record's name or UUID.
        record: String,
        /// `column` or `column:key`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        columns: Vec<String>,
        /// A missing record or key is all right.
        #[serde(default, skip_serializing_if = "is_false")]
        if_exists: bool,
    },
    /// Records of a table.
    #[serde(rename = "list")]
    List {
        /// The table, or an abbreviation.
        table: String,
        /// Names or UUIDs of the records; all if empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        records: Vec<String>,
        /// The columns; all if empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        columns: Vec<String>,
        /// Missing records are all right.
        #[serde(default, skip_serializing_if = "is_false")]
        if_exists: bool,
    },
    /// Records of a table that fulfil conditions.
    #[serde(rename = "find")]
    Find {
        /// The table, or an abbreviation.
        table: String,
        /// `column[:key]=value`, also with `!=`, `<`, `<=`, `>`, `>=`.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        conditions: Vec<String>,
        /// The columns; all if empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        columns: Vec<String>,
    },
    /// Sets columns back to their defaults.
    #[serde(rename = "clear")]
    Clear {
        /// The table, or an abbreviation.
        table: String,
        /// The record's name or UUID.
        record: String,
        /// The columns.
        columns: Vec<String>,
        /// A missing record is all right.
        #[serde(default, skip_serializing_if = "is_false")]
        if_exists: bool,
    },
    /// Takes values out of a set, or keys out of a map.
    #[serde(rename = "remove")]
    Remove {
        /// The table, or an abbreviation.
        table: String,
        /// The record's name or UUID.
        record: String,
        /// The column.
        column: String,
        /// Values, keys, or `key=value`.
        values: Vec<String>,
        /// A missing record is all right.
        #[serde(default, skip_serializing_if = "is_false")]
        if_exists: bool,
    },
    /// Adds values to a set, or keys to a map.
    #[serde(rename = "add")]
    Add {
        /// The table, or an abbreviation.
        table: String,
        /// The record's name or UUID.
        record: String,
        /// The column.
        column: String,
        /// Values, or `key=value`.
        values: Vec<String>,
        /// A missing record is all right.
        #[serde(default, skip_serializing_if = "is_false")]
        if_exists: bool,
    },
    /// Sets or clears one of a bridge's `external_ids`.
    #[serde(rename = "br-set-external-id")]
    BridgeSetExternalId {
        /// The bridge.
        bridge: String,
        /// The key.
        key: String,
        /// The value; clears if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        value: Option<String>,
    },
    /// A bridge's `external_ids`.
    #[serde(rename = "br-get-external-id")]
    BridgeGetExternalId {
        /// The bridge.
        bridge: String,
        /// Only this key.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
    },
    /// The bridge itself: there are no bridges within bridges.
    #[serde(rename = "br-to-parent")]
    BridgeToParent {
        /// The bridge.
        bridge: String,
    },
    /// 0: there are no bridges within bridges.
    #[serde(rename = "br-to-vlan")]
    BridgeToVlan {
        /// The bridge.
        bridge: String,
    },
    /// Keeps Open vSwitch's fail mode, which has no effect.
    #[serde(rename = "set-fail-mode")]
    SetFailMode {
        /// The bridge.
        bridge: String,
        /// `standalone` or `secure`.
        mode: String,
    },
    /// The fail mode that was set.
    #[serde(rename = "get-fail-mode")]
    GetFailMode {
        /// The bridge.
        bridge: String,
    },
    /// Forgets the fail mode.
    #[serde(rename = "del-fail-mode")]
    DelFailMode {
        /// The bridge.
        bridge: String,
    },
    /// Learned MAC addresses.
    #[serde(rename = "fdb/show")]
    FdbShow {
        /// Of these bridges; of all if empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        bridges: Vec<String>,
    },
    /// Forgets learned MAC addresses.
    #[serde(rename = "fdb/flush")]
    FdbFlush {
        /// Of this bridge; of all if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bridge: Option<String>,
    },
    /// State of bonds and their members.
    #[serde(rename = "bond/show")]
    BondShow {
        /// Of this bond; of all if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bond: Option<String>,
        /// As the text that Linux has in /proc/net/bonding.
        #[serde(default, skip_serializing_if = "is_false")]
        proc: bool,
    },
    /// Bonds with their modes and members.
    #[serde(rename = "bond/list")]
    BondList {},
    /// Makes a member the active one.
    #[serde(rename = "bond/set-active-member")]
    BondSetActiveMember {
        /// The bond.
        bond: String,
        /// The member.
        member: String,
    },
    /// Moves buckets of a bond's transmit table by load now.
    #[serde(rename = "bond/rebalance")]
    BondRebalance {
        /// The bond.
        bond: String,
    },
    /// Moves a bucket of a bond's transmit table to a member.
    #[serde(rename = "bond/migrate")]
    BondMigrate {
        /// The bond.
        bond: String,
        /// The bucket's position in the table, 0..=255.
        bucket: String,
        /// The member.
        member: String,
    },
    /// Enters a MAC address by hand.
    #[serde(rename = "fdb/add")]
    FdbAdd {
        /// The bridge.
        bridge: String,
        /// The port or bond behind which it is; the bridge's name for the internal port.
        port: String,
        /// The VLAN, a number 0..=4094; 0 for untagged frames.
        vlan: String,
        /// The address.
        mac: String,
    },
    /// Takes out a MAC address that was entered by hand.
    #[serde(rename = "fdb/del")]
    FdbDel {
        /// The bridge.
        bridge: String,
        /// The VLAN, a number 0..=4094.
        vlan: String,
        /// The address.
        mac: String,
    },
    /// Counters of FDBs.
    #[serde(rename = "fdb/stats-show")]
    FdbStatsShow {
        /// Of this bridge; of all if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bridge: Option<String>,
    },
    /// Sets the counters of FDBs back to 0.
    #[serde(rename = "fdb/stats-clear")]
    FdbStatsClear {
        /// Of this bridge; of all if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bridge: Option<String>,
    },
    /// Lets a member carry traffic again that was disabled by hand.
    #[serde(rename = "bond/enable-member")]
    BondEnableMember {
        /// The bond.
        bond: String,
        /// The member.
        member: String,
    },
    /// Takes a member out of use, until it is enabled or the daemon starts again.
    #[serde(rename = "bond/disable-member")]
    BondDisableMember {
        /// The bond.
        bond: String,
        /// The member.
        member: String,
    },
    /// Why each member carries traffic or not.
    #[serde(rename = "bond/explain")]
    BondExplain {
        /// Of this bond; of all if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bond: Option<String>,
    },
    /// LACP of bonds and their members.
    #[serde(rename = "lacp/show")]
    LacpShow {
        /// Of this bond; of all that speak LACP if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bond: Option<String>,
    },
    /// LACP's counters.
    #[serde(rename = "lacp/show-stats")]
    LacpShowStats {
        /// Of this bond; of all that speak LACP if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bond: Option<String>,
    },
    /// The hash of a frame, and the member by which it would leave.
    #[serde(rename = "bond/hash")]
    BondHash {
        /// The bond.
        bond: String,
        /// The frame's octets in hexadecimal, from the destination address on.
        frame: String,
    },
    /// What would be done with a frame, and why.
    #[serde(rename = "trace")]
    Trace {
        /// The bridge.
        bridge: String,
        /// The device on which the frame arrives: a plain port, a bond's member, or the bridge's name.
        in_port: String,
        /// The frame's octets in hexadecimal, from the destination address on.
        frame: String,
    },
    /// Frames, octets and drops by device.
    #[serde(rename = "counters/show")]
    CountersShow {
        /// Of these devices; of all if empty.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        devices: Vec<String>,
    },
    /// The kernel's fast path: whether it is in use, and what it does.
    #[serde(rename = "fastpath/show")]
    FastPathShow {
        /// Bridges and devices of this one only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bridge: Option<String>,
    },
    /// The daemon's version.
    #[serde(rename = "version")]
    Version {},
}

/// `name[:key]=value`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// The column, or an abbreviation.
    pub name: String,
    /// The key within a column that is a map (`other_config:mac-table-size`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The value as written; `[]` clears.
    pub value: String,
}

impl Setting {
    /// Splits `name[:key]=value`, each of them perhaps in double quotes; `None` if there is no `=` or no name. A colon after the `=` belongs to the value.
    pub fn parse(text: &str) -> Option<Self> {
        let (left, value) = text.split_once('=')?;
        let (name, key) = match left.split_once(':') {
            Some((name, key)) => (name, Some(words::text(key))),
            None => (left, None),
        };
        (!name.is_empty()).then(|| Self { name: name.to_owned(), key, value: words::text(value) })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
fn is_false(flag: &bool) -> bool {
    !*flag
}
