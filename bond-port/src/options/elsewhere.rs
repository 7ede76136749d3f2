//! Options of Linux's driver and of OVS's bonds that this version does not have, and why.
//!
//! What a tool sends only because it always does, Linux's or OVS's default, is taken: it is what happens here. (Linux
//! refuses an option that the mode doesn't have whatever its value.)

/// One option, without the prefix `bond_`.
pub(super) struct Elsewhere {
    pub(super) name: &'static str,
    /// Values that ask for what happens anyway; the first is Linux's or OVS's default. `default` is one of them, if
    /// there are any.
    pub(super) neutral: &'static [&'static str],
    /// Why any other is refused.
    pub(super) reason: &'static str,
}

impl Elsewhere {
    pub(super) fn is_neutral(&self, value: &str) -> bool {
        self.neutral.contains(&value) || value == "default" && !self.neutral.is_empty()
    }
}

const fn of(name: &'static str, neutral: &'static [&'static str], reason: &'static str) -> Elsewhere {
    Elsewhere { name, neutral, reason }
}

const POLLED: &str = "links are watched by kernel events, there is nothing to be polled";
const BUCKETS: &str = "a table of buckets is always used by the fast path";

pub(super) const ELSEWHERE: &[Elsewhere] = &[
    of(
        "broadcast_neighbor",
        &["off", "0"],
        "it is for a bond whose members end at two switches that are no pair (Linux 6.17); LACP has one partner",
    ),
    of("detect_mode", &["carrier"], POLLED),
    of("fake_iface", &["false"], "no device stands for the bond; \"vsctl bond/show\" tells its state"),
    of("hash_basis", &["0"], "the transmit hash is Linux's, which has no basis"),
    of("lb_output_action", &["false"], BUCKETS),
    of("miimon_interval", &["200"], POLLED),
    of("tx_queues", &["16"], "the bond is not a network device and has no transmit queues"),
];

/// What Linux sets like an option of the bond and what is done in another way here.
pub(super) const COMMANDS: &[(&str, &str)] = &[
    ("active_slave", "use \"vsctl bond/set-active-member BOND MEMBER\""),
    ("active_member", "use \"vsctl bond/set-active-member BOND MEMBER\""),
    ("slaves", "use \"vsctl add-bond-iface BOND MEMBER\" and \"vsctl del-bond-iface BOND MEMBER\""),
    ("max_bonds", "any number of bonds can be made with \"vsctl add-bond\""),
    ("prio", "it is an option of a member; set it on the interface"),
    ("actor_port_prio", "it is an option of a member; set it on the interface"),
    ("lacp_port_id", "it is an option of a member; set it on the interface"),
    ("lacp_port_priority", "it is an option of a member; set it on the interface"),
    ("lacp_aggregation_key", "it is an option of a member; set it on the interface"),
    (
        "queue_id",
        "it is an option of a member, and the switch has no transmit queues that one could be chosen by",
    ),
];

/// Other names of an option: Linux's netlink attributes', one of two for one number, and Open vSwitch's.
pub(super) const ALIASES: &[(&str, &str)] = &[
    ("num_unsol_na", "num_grat_arp"),
    ("num_peer_notif", "num_grat_arp"),
    ("peer_notify_delay", "peer_notif_delay"),
    ("all_members_active", "all_slaves_active"),
    ("missed_max", "arp_missed_max"),
    ("broadcast_neigh", "broadcast_neighbor"),
    ("lacp_time", "lacp_rate"),
    ("lacp_system_id", "ad_actor_system"),
    ("lacp_system_priority", "ad_actor_sys_prio"),
];
