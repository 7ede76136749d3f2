//! The table of commands.

use super::Verb;
use crate::transaction::Request;

const MAY_EXIST: &[&str] = &["--may-exist"];
const IF_EXISTS: &[&str] = &["--if-exists"];
const ANY: usize = usize::MAX;

const NO_OPENFLOW: &str = "this switch forwards by itself and speaks no OpenFlow";
const NO_DATABASE: &str = "there is no database beside the bridges, ports, bonds and interfaces";

/// Commands of Open vSwitch that have no use here, and why.
pub(in crate::cli) const ELSEWHERE: &[(&str, &str)] = &[
    ("set-controller", NO_OPENFLOW),
    ("get-controller", NO_OPENFLOW),
    ("del-controller", NO_OPENFLOW),
    ("set-manager", NO_DATABASE),
    ("get-manager", NO_DATABASE),
    ("del-manager", NO_DATABASE),
    ("create", NO_DATABASE),
    ("destroy", NO_DATABASE),
    ("emer-reset", NO_DATABASE),
    ("wait-until", "use \"vsctl monitor\", or ask again"),
];

/// All commands, in the order of the help text.
pub(in crate::cli) const ALL: &[Verb] = &[
    Verb {
        name: "show",
        options: &[],
        arguments: "",
        least: 0,
        most: 0,
        summary: "print the whole configuration",
        build: |_| Ok(Request::Show {}),
    },
    Verb {
        name: "add-br",
        options: MAY_EXIST,
        arguments: "BRIDGE",
        least: 1,
        most: 3,
        summary: "add a bridge, with an internal port of the same name",
        build: |w| {
            if w.arguments.len() > 1 {
                return Err("a VLAN of a bridge is no bridge here; give ports a tag instead".to_owned());
            }
            Ok(Request::AddBridge { bridge: w.get(0), may_exist: w.has("--may-exist") })
        },
    },
    Verb {
        name: "del-br",
        options: IF_EXISTS,
        arguments: "BRIDGE",
        least: 1,
        most: 1,
        summary: "delete a bridge and all its ports",
        build: |w| Ok(Request::DelBridge { bridge: w.get(0), if_exists: w.has("--if-exists") }),
    },
    Verb {
        name: "list-br",
        options: &[],
        arguments: "",
        least: 0,
        most: 0,
        summary: "print the names of all bridges",
        build: |_| Ok(Request::ListBridges {}),
    },
    Verb {
        name: "br-exists",
        options: &[],
        arguments: "BRIDGE",
        least: 1,
        most: 1,
        summary: "exit 2 if there is no such bridge",
        build: |w| Ok(Request::BridgeExists { bridge: w.get(0) }),
    },
    Verb {
        name: "add-port",
        options: MAY_EXIST,
        arguments: "BRIDGE PORT [KEY=VALUE]...",
        least: 2,
        most: ANY,
        summary: "add a network device to a bridge",
        build: |w| {
            let (bridge, port, may_exist) = (w.get(0), w.get(1), w.has("--may-exist"));
            Ok(Request::AddPort { bridge, port, settings: w.settings(2)?, may_exist })
        },
    },
    Verb {
        name: "del-port",
        options: &["--if-exists", "--with-iface"],
        arguments: "[BRIDGE] PORT",
        least: 1,
        most: 2,
        summary: "delete a port or bond",
        build: |w| {
            let (bridge, port) = w.optional_then_last();
            let (if_exists, with_iface) = (w.has("--if-exists"), w.has("--with-iface"));
            Ok(Request::DelPort { bridge, port, if_exists, with_iface })
        },
    },
    Verb {
        name: "list-ports",
        options: &[],
        arguments: "BRIDGE",
        least: 1,
        most: 1,
        summary: "print the names of a bridge's ports and bonds",
        build: |w| Ok(Request::ListPorts { bridge: w.get(0) }),
    },
    Verb {
        name: "add-bond",
        options: &["--may-exist", "--fake-iface"],
        arguments: "BRIDGE BOND [MEMBER]... [KEY=VALUE]...",
        least: 2,
        most: ANY,
        summary: "add a bond of network devices to a bridge",
        build: |w| {
            let (bridge, bond, may_exist) = (w.get(0), w.get(1), w.has("--may-exist"));
            let members: Vec<_> =
                w.arguments[2..].iter().take_while(|word| !word.contains('=')).cloned().collect();
            let settings = w.settings(2 + members.len())?;
            let fake_iface = w.has("--fake-iface");
            Ok(Request::AddBond { bridge, bond, members, settings, may_exist, fake_iface })
        },
    },
    Verb {
        name: "add-bond-iface",
        options: MAY_EXIST,
        arguments: "BOND MEMBER",
        least: 2,
        most: 2,
        summary: "add a network device to a bond",
        build: |w| {
            Ok(Request::AddBondIface { bond: w.get(0), iface: w.get(1), may_exist: w.has("--may-exist") })
        },
    },
    Verb {
        name: "del-bond-iface",
        options: IF_EXISTS,
        arguments: "[BOND] MEMBER",
        least: 1,
        most: 2,
        summary: "take a member out of its bond",
        build: |w| {
            let (bond, iface) = w.optional_then_last();
            Ok(Request::DelBondIface { bond, iface, if_exists: w.has("--if-exists") })
        },
    },
    Verb {
        name: "list-ifaces",
        options: &[],
        arguments: "BRIDGE",
        least: 1,
        most: 1,
        summary: "print the names of a bridge's network devices",
        build: |w| Ok(Request::ListIfaces { bridge: w.get(0) }),
    },
    Verb {
        name: "port-to-br",
        options: &[],
        arguments: "PORT",
        least: 1,
        most: 1,
        summary: "print the bridge that has a port or bond",
        build: |w| Ok(Request::PortToBridge { port: w.get(0) }),
    },
    Verb {
        name: "iface-to-br",
        options: &[],
        arguments: "DEVICE",
        least: 1,
        most: 1,
        summary: "print the bridge that has a network device",
        build: |w| Ok(Request::IfaceToBridge { iface: w.get(0) }),
    },
    Verb {
        name: "set",
        options: IF_EXISTS,
        arguments: "TABLE NAME KEY=VALUE...",
        least: 3,
        most: ANY,
        summary: "change settings; TABLE is bridge, port, bond or interface; KEY=[] clears",
        build: |w| {
            let (table, record, if_exists) = (w.get(0), w.get(1), w.has("--if-exists"));
            Ok(Request::Set { table, record, settings: w.settings(2)?, if_exists })
        },
    },
    Verb {
        name: "get",
        options: IF_EXISTS,
        arguments: "TABLE NAME [COLUMN[:KEY]]...",
        least: 2,
        most: ANY,
        summary: "print values of columns, one a line",
        build: |w| {
            let (table, record, if_exists) = (w.get(0), w.get(1), w.has("--if-exists"));
            Ok(Request::Get { table, record, columns: w.arguments[2..].to_vec(), if_exists })
        },
    },
    Verb {
        name: "list",
        options: &["--if-exists", "--columns="],
        arguments: "TABLE [NAME]...",
        least: 1,
        most: ANY,
        summary: "print all columns of records",
        build: |w| {
            let (table, records) = (w.get(0), w.arguments[1..].to_vec());
            Ok(Request::List { table, records, columns: w.columns(), if_exists: w.has("--if-exists") })
        },
    },
    Verb {
        name: "find",
        options: &["--columns="],
        arguments: "TABLE [COLUMN[:KEY]=VALUE]...",
        least: 1,
        most: ANY,
        summary: "print records that fulfil all conditions; also with !=, <, <=, >, >=",
        build: |w| {
            let (table, conditions) = (w.get(0), w.arguments[1..].to_vec());
            Ok(Request::Find { table, conditions, columns: w.columns() })
        },
    },
    Verb {
        name: "clear",
        options: IF_EXISTS,
        arguments: "TABLE NAME COLUMN...",
        least: 3,
        most: ANY,
        summary: "set columns back to their defaults",
        build: |w| {
            let (table, record, if_exists) = (w.get(0), w.get(1), w.has("--if-exists"));
            Ok(Request::Clear { table, record, columns: w.arguments[2..].to_vec(), if_exists })
        },
    },
    Verb {
        name: "remove",
        options: IF_EXISTS,
        arguments: "TABLE NAME COLUMN VALUE|KEY|KEY=VALUE...",
        least: 4,
        most: ANY,
        summary: "take values out of a set, or keys out of a map",
        build: |w| {
            let (table, record, column, if_exists) = (w.get(0), w.get(1), w.get(2), w.has("--if-exists"));
            Ok(Request::Remove { table, record, column, values: w.arguments[3..].to_vec(), if_exists })
        },
    },
    Verb {
        name: "add",
        options: IF_EXISTS,
        arguments: "TABLE NAME COLUMN VALUE|KEY=VALUE...",
        least: 4,
        most: ANY,
        summary: "add values to a set, or keys to a map",
        build: |w| {
            let (table, record, column, if_exists) = (w.get(0), w.get(1), w.get(2), w.has("--if-exists"));
            Ok(Request::Add { table, record, column, values: w.arguments[3..].to_vec(), if_exists })
        },
    },
    Verb {
        name: "br-set-external-id",
        options: &[],
        arguments: "BRIDGE KEY [VALUE]",
        least: 2,
        most: 3,
        summary: "set one of a bridge's external_ids, or clear it",
        build: |w| {
            let (bridge, key, value) = (w.get(0), w.get(1), w.arguments.get(2).cloned());
            Ok(Request::BridgeSetExternalId { bridge, key, value })
        },
    },
    Verb {
        name: "br-get-external-id",
        options: &[],
        arguments: "BRIDGE [KEY]",
        least: 1,
        most: 2,
        summary: "print a bridge's external_ids",
        build: |w| Ok(Request::BridgeGetExternalId { bridge: w.get(0), key: w.arguments.get(1).cloned() }),
    },
    Verb {
        name: "br-to-parent",
        options: &[],
        arguments: "BRIDGE",
        least: 1,
        most: 1,
        summary: "print BRIDGE (for callers that know Open vSwitch's fake bridges)",
        build: |w| Ok(Request::BridgeToParent { bridge: w.get(0) }),
    },
    Verb {
        name: "br-to-vlan",
        options: &[],
        arguments: "BRIDGE",
        least: 1,
        most: 1,
        summary: "print 0 (likewise)",
        build: |w| Ok(Request::BridgeToVlan { bridge: w.get(0) }),
    },
    Verb {
        name: "set-fail-mode",
        options: &[],
        arguments: "BRIDGE standalone|secure",
        least: 2,
        most: 2,
        summary: "keep a fail mode for others; it has no effect, for there is no controller",
        build: |w| Ok(Request::SetFailMode { bridge: w.get(0), mode: w.get(1) }),
    },
    Verb {
        name: "get-fail-mode",
        options: &[],
        arguments: "BRIDGE",
        least: 1,
        most: 1,
        summary: "print the fail mode that was set",
        build: |w| Ok(Request::GetFailMode { bridge: w.get(0) }),
    },
    Verb {
        name: "del-fail-mode",
        options: &[],
        arguments: "BRIDGE",
        least: 1,
        most: 1,
        summary: "forget it",
        build: |w| Ok(Request::DelFailMode { bridge: w.get(0) }),
    },
    Verb {
        name: "bond/list",
        options: &[],
        arguments: "",
        least: 0,
        most: 0,
        summary: "print all bonds with their modes and members",
        build: |_| Ok(Request::BondList {}),
    },
    Verb {
        name: "bond/show",
        options: &["--proc"],
        arguments: "[BOND]",
        least: 0,
        most: 1,
        summary: "print the state of bonds and their members; --proc: as Linux's /proc/net/bonding does",
        build: |w| Ok(Request::BondShow { bond: w.first(), proc: w.has("--proc") }),
    },
    Verb {
        name: "bond/explain",
        options: &[],
        arguments: "[BOND]",
        least: 0,
        most: 1,
        summary: "tell in plain words why each member carries traffic or not",
        build: |w| Ok(Request::BondExplain { bond: w.first() }),
    },
    Verb {
        name: "lacp/show",
        options: &[],
        arguments: "[BOND]",
        least: 0,
        most: 1,
        summary: "print the state of LACP on bonds in mode 802.3ad and their members",
        build: |w| Ok(Request::LacpShow { bond: w.first() }),
    },
    Verb {
        name: "lacp/show-stats",
        options: &[],
        arguments: "[BOND]",
        least: 0,
        most: 1,
        summary: "print how many LACPDUs were sent and received, and how often a partner fell silent",
        build: |w| Ok(Request::LacpShowStats { bond: w.first() }),
    },
    Verb {
        name: "bond/hash",
        options: &[],
        arguments: "BOND FRAME_HEX...",
        least: 2,
        most: ANY,
        summary: "print a frame's transmit hash and the member by which it would leave",
        build: |w| Ok(Request::BondHash { bond: w.get(0), frame: w.arguments[1..].concat() }),
    },
    Verb {
        name: "bond/enable-member",
        options: &[],
        arguments: "BOND MEMBER",
        least: 2,
        most: 2,
        summary: "let a member carry traffic again that was disabled by hand",
        build: |w| Ok(Request::BondEnableMember { bond: w.get(0), member: w.get(1) }),
    },
    Verb {
        name: "bond/disable-member",
        options: &[],
        arguments: "BOND MEMBER",
        least: 2,
        most: 2,
        summary: "take a member out of use until it is enabled, or the daemon starts again",
        build: |w| Ok(Request::BondDisableMember { bond: w.get(0), member: w.get(1) }),
    },
    Verb {
        name: "bond/set-active-member",
        options: &[],
        arguments: "BOND MEMBER",
        least: 2,
        most: 2,
        summary: "make a member the active one",
        build: |w| Ok(Request::BondSetActiveMember { bond: w.get(0), member: w.get(1) }),
    },
    Verb {
        name: "bond/rebalance",
        options: &[],
        arguments: "BOND",
        least: 1,
        most: 1,
        summary: "move buckets of the transmit table from busy members to idle ones now",
        build: |w| Ok(Request::BondRebalance { bond: w.get(0) }),
    },
    Verb {
        name: "bond/migrate",
        options: &[],
        arguments: "BOND BUCKET MEMBER",
        least: 3,
        most: 3,
        summary: "move a bucket of the transmit table (bond/show lists them) to a member",
        build: |w| Ok(Request::BondMigrate { bond: w.get(0), bucket: w.get(1), member: w.get(2) }),
    },
    Verb {
        name: "fdb/show",
        options: &[],
        arguments: "[BRIDGE]...",
        least: 0,
        most: ANY,
        summary: "print learned MAC addresses",
        build: |w| Ok(Request::FdbShow { bridges: w.arguments.to_vec() }),
    },
    Verb {
        name: "fdb/flush",
        options: &[],
        arguments: "[BRIDGE]",
        least: 0,
        most: 1,
        summary: "forget learned MAC addresses",
        build: |w| Ok(Request::FdbFlush { bridge: w.first() }),
    },
    Verb {
        name: "fdb/add",
        options: &[],
        arguments: "BRIDGE PORT VLAN MAC",
        least: 4,
        most: 4,
        summary: "enter a MAC address by hand; it does not age or move, and is kept over restarts",
        build: |w| Ok(Request::FdbAdd { bridge: w.get(0), port: w.get(1), vlan: w.get(2), mac: w.get(3) }),
    },
    Verb {
        name: "fdb/del",
        options: &[],
        arguments: "BRIDGE VLAN MAC",
        least: 3,
        most: 3,
        summary: "take out a MAC address that was entered by hand",
        build: |w| Ok(Request::FdbDel { bridge: w.get(0), vlan: w.get(1), mac: w.get(2) }),
    },
    Verb {
        name: "fdb/stats-show",
        options: &[],
        arguments: "[BRIDGE]",
        least: 0,
        most: 1,
        summary: "print how many MAC addresses were learned, expired, moved, ...",
        build: |w| Ok(Request::FdbStatsShow { bridge: w.first() }),
    },
    Verb {
        name: "fdb/stats-clear",
        options: &[],
        arguments: "[BRIDGE]",
        least: 0,
        most: 1,
        summary: "set these numbers back to 0",
        build: |w| Ok(Request::FdbStatsClear { bridge: w.first() }),
    },
    Verb {
        name: "trace",
        options: &[],
        arguments: "BRIDGE DEVICE FRAME_HEX...",
        least: 3,
        most: ANY,
        summary: "tell what would be done with a frame that arrives on a device, and why",
        build: |w| {
            Ok(Request::Trace { bridge: w.get(0), in_port: w.get(1), frame: w.arguments[2..].concat() })
        },
    },
    Verb {
        name: "counters/show",
        options: &[],
        arguments: "[DEVICE]...",
        least: 0,
        most: ANY,
        summary: "print frames, octets and drops by device",
        build: |w| Ok(Request::CountersShow { devices: w.arguments.to_vec() }),
    },
    Verb {
        name: "fastpath/show",
        options: &[],
        arguments: "[BRIDGE]",
        least: 0,
        most: 1,
        summary: "tell whether the kernel forwards too, why not, and what it leaves to the daemon",
        build: |w| Ok(Request::FastPathShow { bridge: w.first() }),
    },
    Verb {
        name: "version",
        options: &[],
        arguments: "",
        least: 0,
        most: 0,
        summary: "print the version of the daemon",
        build: |_| Ok(Request::Version {}),
    },
];
