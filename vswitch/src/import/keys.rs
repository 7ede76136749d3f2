//! The keys of `ifcfg-*` files, and what becomes of them.

use crate::cli::suggest::hint;

/// What a key is to an import.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// It is read.
    Read,
    /// It gives the host an address, or belongs to one.
    Address,
    /// It asks for something that an import does not do; the text says who does, or why nobody.
    NotDone(&'static str),
    /// It says nothing that concerns a switch.
    Other,
}

const READ: &[&str] = &[
    "BONDING_MASTER",
    "BONDING_OPTS",
    "BRIDGE",
    "BRIDGE_UUID",
    "DEVICE",
    "HWADDR",
    "MASTER",
    "MASTER_UUID",
    "ONBOOT",
    "PHYSDEV",
    "SLAVE",
    "TYPE",
    "UUID",
    "VLAN",
    "VLAN_ID",
];

/// With a number behind them or not.
const ADDRESS: &[&str] = &[
    "BROADCAST",
    "DHCPV6C",
    "DNS",
    "DOMAIN",
    "GATEWAY",
    "GATEWAYDEV",
    "IPADDR",
    "IPV6ADDR",
    "IPV6ADDR_SECONDARIES",
    "IPV6_DEFAULTGW",
    "NETMASK",
    "NETWORK",
    "PREFIX",
    "SRCADDR",
];

const MTU: &str = "the switch sets no MTU: set it on every device of the bridge, and on the bridge's internal port \
                   (ip link set DEVICE mtu N)";
const NO_STP: &str = "there is no spanning tree here; see that there is no loop";

const NOT_DONE: &[(&str, &str)] = &[
    ("MTU", MTU),
    (
        "MACADDR",
        "members and ports keep their own addresses, and a bridge's internal port has one that is kept",
    ),
    ("STP", NO_STP),
    (
        "BRIDGING_OPTS",
        "options of the kernel's bridge are not read; the switch's are set with vsctl set bridge",
    ),
    ("AGEING", "the time is set with vsctl set bridge BRIDGE mac_aging_time=SECONDS"),
    ("ETHTOOL_OPTS", "options of the card stay with the network configuration (ethtool)"),
    ("TEAM_MASTER", "team devices are not imported; describe a bond"),
    ("TEAM_CONFIG", "team devices are not imported; describe a bond"),
    ("OVS_BRIDGE", "files of Open vSwitch are not imported; its own commands work with vsctl"),
];

/// What is met often and is nothing to a switch.
const OTHER: &[&str] = &[
    "ACD_TIMEOUT",
    "ARPCHECK",
    "ARPING_WAIT",
    "AUTOCONNECT_PRIORITY",
    "AUTOCONNECT_RETRIES",
    "AUTOCONNECT_SLAVES",
    "AUTONEG",
    "BOOTPROTO",
    "BROWSER_ONLY",
    "CHECK_LINK_DOWN",
    "CONNECTION_METERED",
    "CTCPROT",
    "DEFROUTE",
    "DELAY",
    "DHCPRELEASE",
    "DHCP_CLIENT_ID",
    "DHCP_HOSTNAME",
    "DHCP_SEND_HOSTNAME",
    "DHCP_TIMEOUT",
    "DEVICETYPE",
    "FIREWALL_ROLE",
    "GVRP",
    "HOTPLUG",
    "HOSTNAME",
    "IPV4_DHCP_TIMEOUT",
    "IPV4_FAILURE_FATAL",
    "IPV4_ROUTE_METRIC",
    "IPV6FORWARDING",
    "IPV6INIT",
    "IPV6_ADDR_GEN_MODE",
    "IPV6_AUTOCONF",
    "IPV6_DEFROUTE",
    "IPV6_DISABLED",
    "IPV6_FAILURE_FATAL",
    "IPV6_PEERDNS",
    "IPV6_PEERROUTES",
    "IPV6_PRIVACY",
    "IPV6_ROUTE_METRIC",
    "IPV6_ROUTER",
    "IPX",
    "ISALIAS",
    "LINKDELAY",
    "LLDP",
    "METRIC",
    "MVRP",
    "NAME",
    "NETTYPE",
    "NM_CONTROLLED",
    "NM_USER",
    "NO_ALIASROUTING",
    "NOZEROCONF",
    "ONPARENT",
    "OPTIONS",
    "PEERDNS",
    "PEERNTP",
    "PEERROUTES",
    "PERSISTENT_DHCLIENT",
    "PORTNAME",
    "PROXY_METHOD",
    "REORDER_HDR",
    "SEARCH",
    "STARTMODE",
    "SUBCHANNELS",
    "USERCTL",
    "USERS",
    "VLAN_EGRESS_PRIORITY_MAP",
    "VLAN_FLAGS",
    "VLAN_INGRESS_PRIORITY_MAP",
    "VLAN_NAME_TYPE",
    "WAIT_UNTIL_REACHABLE",
    "ZONE",
];

/// What a key is; `None` for one that is unknown.
pub(super) fn meaning(key: &str) -> Option<Meaning> {
    if READ.contains(&key) {
        return Some(Meaning::Read);
    }
    if let Some((_, text)) = NOT_DONE.iter().find(|(name, _)| *name == key) {
        return Some(Meaning::NotDone(text));
    }
    if ADDRESS.contains(&key.trim_end_matches(|c: char| c.is_ascii_digit())) {
        return Some(Meaning::Address);
    }
    OTHER.contains(&key).then_some(Meaning::Other)
}

/// `; did you mean "MASTER"?`, or nothing.
pub(super) fn suggestion(key: &str) -> String {
    hint_of(key, READ)
}

fn hint_of(key: &str, names: &[&str]) -> String {
    // The nearest word is looked for in lower case.
    let lower: Vec<String> = names.iter().map(|name| name.to_lowercase()).collect();
    let found = hint(key, lower.iter().map(String::as_str));
    match found.split('"').nth(1) {
        Some(name) => format!("; did you mean \"{}\"?", name.to_uppercase()),
        None => String::new(),
    }
}
