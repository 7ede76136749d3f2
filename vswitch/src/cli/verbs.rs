//! The commands: one entry each, so that parsing and help can't disagree.

use crate::transaction::{Request, Setting};

/// A command.
pub(super) struct Verb {
    pub(super) name: &'static str,
    /// The options it takes, before its name. One that ends with `=` has a value.
    pub(super) options: &'static [&'static str],
    /// Its arguments, for people.
    pub(super) arguments: &'static str,
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) summary: &'static str,
    pub(super) build: fn(Words<'_>) -> Result<Request, String>,
}

/// The words of one command; there are as many arguments as its verb allows.
pub(super) struct Words<'a> {
    pub(super) options: &'a [&'a str],
    pub(super) arguments: &'a [String],
}

impl Words<'_> {
    fn has(&self, option: &str) -> bool {
        self.options.contains(&option)
    }

    fn get(&self, index: usize) -> String {
        self.arguments[index].clone()
    }

    fn first(&self) -> Option<String> {
        self.arguments.first().cloned()
    }

    /// `[A] B`: the first word if there are two, and the last.
    fn optional_then_last(&self) -> (Option<String>, String) {
        let last = self.arguments.len() - 1;
        ((last > 0).then(|| self.get(0)), self.get(last))
    }

    fn settings(&self, from: usize) -> Result<Vec<Setting>, String> {
        let parse =
            |word: &String| Setting::parse(word).ok_or_else(|| format!("\"{word}\" is not KEY=VALUE"));
        self.arguments[from..].iter().map(parse).collect()
    }
}

impl Verb {
    /// Whether the command takes this option.
    pub(super) fn takes(&self, word: &str) -> bool {
        self.options.iter().any(|option| is(word, option))
    }

    /// `[--may-exist] add-br BRIDGE`.
    pub(super) fn usage(&self) -> String {
        let value = |option: &str| if option == "--columns=" { "COLUMN,..." } else { "" };
        let options = self.options.iter().map(|option| format!("[{option}{}] ", value(option)));
        format!("{}{} {}", options.collect::<String>(), self.name, self.arguments).trim_end().to_owned()
    }
}

/// Whether `word` is this option, or gives a value to it.
fn is(word: &str, option: &str) -> bool {
    if option.ends_with('=') { word.starts_with(option) } else { word == option }
}

pub(super) fn find(name: &str) -> Option<&'static Verb> {
    ALL.iter().find(|verb| verb.name == name)
}

/// The options that some command takes.
pub(super) fn command_options() -> impl Iterator<Item = &'static str> {
    let local = super::local::ALL.iter().flat_map(|verb| verb.options.iter());
    ALL.iter().flat_map(|verb| verb.options.iter()).chain(local).copied()
}

pub(super) fn is_command_option(word: &str) -> bool {
    command_options().any(|option| is(word, option))
}

const MAY_EXIST: &[&str] = &["--may-exist"];
const IF_EXISTS: &[&str] = &["--if-exists"];
const ANY: usize = usize::MAX;

/// All commands, in the order of the help text.
pub(super) const ALL: &[Verb] = &[
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
        most: 1,
        summary: "add a bridge, with an internal port of the same name",
        build: |w| Ok(Request::AddBridge { bridge: w.get(0), may_exist: w.has("--may-exist") }),
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
        arguments: "BRIDGE PORT [tag=VLAN | trunks=VLAN,...]",
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
        options: IF_EXISTS,
        arguments: "[BRIDGE] PORT",
        least: 1,
        most: 2,
        summary: "delete a port or bond",
        build: |w| {
            let (bridge, port) = w.optional_then_last();
            Ok(Request::DelPort { bridge, port, if_exists: w.has("--if-exists") })
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
        options: MAY_EXIST,
        arguments: "BRIDGE BOND [MEMBER]... [KEY=VALUE]...",
        least: 2,
        most: ANY,
        summary: "add a bond of network devices to a bridge",
        build: |w| {
            let (bridge, bond, may_exist) = (w.get(0), w.get(1), w.has("--may-exist"));
            let members: Vec<_> =
                w.arguments[2..].iter().take_while(|word| !word.contains('=')).cloned().collect();
            let settings = w.settings(2 + members.len())?;
            Ok(Request::AddBond { bridge, bond, members, settings, may_exist })
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
        name: "version",
        options: &[],
        arguments: "",
        least: 0,
        most: 0,
        summary: "print the version of the daemon",
        build: |_| Ok(Request::Version {}),
    },
];
