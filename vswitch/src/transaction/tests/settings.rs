//! `set`, and the settings of `add-port` and `add-bond`.

use super::*;
use crate::model::{FastPathMode, Vlan};

fn switch() -> Switch {
    Switch::after(&["add-br br0", "add-bond br0 bond0 e1 e2", "add-port br0 tap0"])
}

#[test]
fn vlans_of_every_kind_of_port() {
    let mut switch = switch();
    switch.call("set port tap0 tag=10 -- set Port br0 trunk=20,5-7,6 -- set bond bond0 tag=[4094]").unwrap();
    let bridge = &switch.model.bridges["br0"];
    assert_eq!(bridge.ports["tap0"].vlan, Vlan::Tag(10));
    assert_eq!(bridge.vlan, Vlan::Trunks("5-7,20".parse().unwrap()));
    assert_eq!(bridge.ports["bond0"].vlan, Vlan::Tag(4094));
    switch.call("set port tap0 tag=[] trunks=[1,2] -- set port br0 trunks=[]").unwrap();
    let bridge = &switch.model.bridges["br0"];
    assert_eq!(bridge.ports["tap0"].vlan, Vlan::Trunks("1-2".parse().unwrap()));
    assert_eq!(bridge.vlan, Vlan::All);
}

#[test]
fn bridge_settings_in_both_spellings() {
    let mut switch = switch();
    switch.call("set br br0 Carrier=bond0 mac-table-size=100 other_config:mac-aging-time=\"60\"").unwrap();
    let bridge = &switch.model.bridges["br0"];
    assert_eq!(
        (bridge.carrier.as_deref(), bridge.mac_table_size, bridge.mac_aging_time),
        (Some("bond0"), 100, 60)
    );
    switch.call("set bridge br0 carrier=[] other-config:mac-table-size=[] mac_aging_time=[]").unwrap();
    let bridge = &switch.model.bridges["br0"];
    assert_eq!((&bridge.carrier, bridge.mac_table_size, bridge.mac_aging_time), (&None, 8192, 300));
}

#[test]
fn the_fast_path_of_a_bridge() {
    let mut switch = switch();
    assert_eq!(switch.text("get bridge br0 fastpath"), "auto\n");
    switch.call("set bridge br0 fastpath=off").unwrap();
    assert_eq!(switch.model.bridges["br0"].fastpath, FastPathMode::Off);
    assert_eq!(switch.text("--columns=name,fastpath -f csv list bridge"), "name,fastpath\nbr0,off\n");
    assert_eq!(switch.text("--bare --columns=name find bridge fastpath=off"), "br0\n");
    assert_eq!(switch.text("find bridge fastpath=auto"), "");
    assert!(switch.text("list bridge").contains("fastpath            : off\n"));
    switch.call("clear bridge br0 fastpath").unwrap();
    assert_eq!(switch.model.bridges["br0"].fastpath, FastPathMode::Auto);
    switch.call("set br br0 FastPath=[on] -- set bridge br0 carrier=bond0").unwrap();
    assert_eq!(switch.text("get bridge br0 fastpath"), "on\n");
    switch.call("remove bridge br0 fastpath off").unwrap();
    assert_eq!(switch.text("get bridge br0 fastpath"), "on\n");
    switch.call("remove bridge br0 fastpath on").unwrap();
    assert_eq!(switch.text("get bridge br0 fastpath"), "auto\n");
    for (line, expected) in [
        ("set bridge br0 fastpath=onn", "fastpath: \"onn\" is none of auto, on, off; did you mean \"on\"?"),
        ("set bridge br0 fastpath=1", "fastpath: \"1\" is none of auto, on, off"),
        (
            "set bridge br0 fastpaht=on",
            "Bridge does not contain a column whose name matches \"fastpaht\"; did you mean \"fastpath\"?",
        ),
        ("set port br0 fastpath=on", "Port does not contain a column whose name matches \"fastpath\""),
        (
            "add bridge br0 fastpath on",
            "\"add\" works on sets and maps; use \"set Bridge br0 fastpath=VALUE\"",
        ),
    ] {
        let error = switch.error(line);
        assert!(error.starts_with(expected), "{line}: {error}");
    }
}

#[test]
fn without_a_fast_path_it_may_be_anything_but_on() {
    let mut switch = switch();
    switch.call("set bridge br0 fastpath=on").unwrap();
    switch.runtime.fastpath_problem = Some("the BPF maps can't be made: Operation not permitted".into());
    assert_eq!(
        switch.error("set bridge br0 carrier=bond0 fastpath=on"),
        "bridge br0 can't have fastpath=on because this daemon has no fast path: the BPF maps can't be made: Operation \
         not permitted (fastpath=auto goes on without it)"
    );
    // What it has already is no obstacle to anything else.
    switch.call("set bridge br0 mac-table-size=100").unwrap();
    switch
        .call("set bridge br0 fastpath=off -- set bridge br0 fastpath=auto -- clear bridge br0 fastpath")
        .unwrap();
}

#[test]
fn bond_options_in_linux_and_ovs_spelling() {
    let mut switch = switch();
    let options = |switch: &Switch| {
        let (_, bond) = switch.model.bond("bond0").unwrap();
        bond.options.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(options(&switch), "mode=active-backup");
    switch.call("set bond bond0 mode=1 miimon=100 updelay=200").unwrap();
    assert_eq!(options(&switch), "miimon=100 mode=active-backup updelay=200");
    switch
        .call("set port bond0 bond_mode=active-backup bond_updelay=300 other_config:bond-primary=e2")
        .unwrap();
    assert_eq!(options(&switch), "miimon=100 mode=active-backup primary=e2 updelay=300");
    switch.call("set bond bond0 primary=[] updelay=0 miimon=[] mode=balance-xor").unwrap();
    assert_eq!(options(&switch), "mode=balance-xor");
    switch.call("add-bond br0 bond1 e3 e4 tag=7 mode=2").unwrap();
    assert_eq!(switch.model.bridges["br0"].ports["bond1"].vlan, Vlan::Tag(7));
}

#[test]
fn a_primary_that_is_no_member_is_warned_of_once() {
    let mut switch = switch();
    let warning = "bond bond0: primary e9 is not a member; it will be preferred once it joins";
    assert_eq!(switch.call("set bond bond0 primary=e9").unwrap().warnings, [warning]);
    assert_eq!(switch.call("add-port br0 tap1").unwrap().warnings, [""; 0]);
    assert_eq!(switch.call("add-bond-iface bond0 e9").unwrap().warnings, [""; 0]);
}

#[test]
fn a_value_that_is_not_taken_literally_is_warned_of_when_it_is_given() {
    let mut switch = switch();
    let warnings = switch.call("set bond bond0 miimon=100 updelay=250").unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert!(
        warnings[0].starts_with("bond bond0: bond option updelay: 250 ms is not a multiple"),
        "{warnings:?}"
    );
    assert_eq!(switch.call("set port bond0 tag=5").unwrap().warnings, [""; 0]);
}

#[test]
fn options_may_come_in_any_order_and_must_go_together() {
    let mut switch = switch();
    switch.call("set bond bond0 updelay=200 miimon=100 primary=e1").unwrap();
    assert_eq!(
        switch.error("set bond bond0 mode=2"),
        "bond bond0: bond option primary is not supported in mode balance-xor; clear it (primary=) or choose another mode"
    );
    switch.call("set bond bond0 mode=2 primary=").unwrap();
    assert_eq!(switch.model.bond("bond0").unwrap().1.mode(), "balance-xor");
    switch.error("set bond bond0 primary=e1");
    switch.call("set bond bond0 primary=e1 mode=[]").unwrap();
}

#[test]
fn golden_errors_of_bond_options() {
    let mut switch = switch();
    for (line, expected) in [
        ("set bond bond0 mimon=100", "unknown bond option \"mimon\"; did you mean \"miimon\"?"),
        ("set port bond0 tga=5", "unknown bond option \"tga\"; did you mean \"tag\"?"),
        ("add-bond br0 bond1 e3 nosuch=1", "unknown bond option \"nosuch\""),
        ("set bond bond0 t=1", "unknown bond option \"t\""),
        ("set bond bond0 mode:x=1", "cannot specify key to set for non-map column mode"),
        (
            "set bond bond0 other_config:bond-primry=e1",
            "unknown bond option \"other_config:bond-primry\"; did you mean \"primary\"?",
        ),
        (
            "set bond bond0 active_slave=e1",
            "\"active_slave\" is not a bond option here; use \"vsctl bond/set-active-member BOND MEMBER\"",
        ),
        (
            "set port bond0 lacp=active bond_mode=balance-xor",
            "bond bond0: bond option lacp: \"active\" is refused: this mode does not speak LACP; choose mode=802.3ad \
             (Open vSwitch's balance-tcp) or leave the option out",
        ),
        (
            "add-bond br0 bond1 e3 miimon=-1",
            "bond bond1: bond option miimon: \"-1\" is not a valid value; allowed: 0-2147483647 (milliseconds)",
        ),
    ] {
        assert_eq!(switch.error(line), expected, "{line}");
    }
}

#[test]
fn golden_errors() {
    let mut switch = switch();
    for (line, expected) in [
        ("set port nosuch tag=1", "no row \"nosuch\" in table Port"),
        ("set bridge tap0 carrier=bond0", "no row \"tap0\" in table Bridge"),
        ("set bond tap0 mode=1", "no row \"tap0\" in table Bond"),
        ("set interface bond0 x=1", "no row \"bond0\" in table Interface"),
        ("set bond bond0 miimo=100", "unknown bond option \"miimo\"; did you mean \"miimon\"?"),
        ("set b br0 carrier=bond0", "multiple table names match \"b\""),
        ("set qos br0 carrier=bond0", "unknown table \"qos\"; the tables are bridge, port, bond, interface"),
        (
            "set port tap0 nosuch=1",
            "Port does not contain a column whose name matches \"nosuch\"; it has bond_active_slave, bond_downdelay, \
             bond_fake_iface, bond_mode, bond_updelay, bridge, cvlans, external_ids, fake_bridge, interfaces, lacp, mac, \
             mac_learning_limit, mac_learning_locked, name, other_config, protected, qos, storm_broadcast, \
             storm_multicast, storm_unknown, tag, trunks, vlan_mode",
        ),
        (
            "set port tap0 tga=1",
            "Port does not contain a column whose name matches \"tga\"; did you mean \"tag\"?",
        ),
        ("set port tap0 t=1", "Port contains more than one column whose name matches \"t\""),
        (
            "set interface tap0 mtuu=1",
            "Interface does not contain a column whose name matches \"mtuu\"; did you mean \"mtu\"?",
        ),
        ("set port tap0 tag:a=1", "cannot specify key to set for non-map column tag"),
        ("set bridge br0 other_config=1", "other_config is a map; write other_config:KEY=VALUE"),
        (
            "set bridge br0 other_config:mac-tabel-size=1",
            "other_config of table Bridge has no key \"mac-tabel-size\"; did you mean \"mac-table-size\"?",
        ),
        ("set port tap0 tag=0", "tag: \"0\" is not a VLAN ID; use a number from 1 to 4094"),
        ("add-port br0 tap1 tag=4095", "tag: \"4095\" is not a VLAN ID; use a number from 1 to 4094"),
        ("set port tap0 tag=+5", "tag: \"+5\" is not a VLAN ID; use a number from 1 to 4094"),
        ("set port tap0 trunks=1,x", "trunks: \"x\" is not a VLAN ID; use a number from 0 to 4094"),
        ("set port tap0 trunks=9-3", "trunks: the VLAN range \"9-3\" ends before it begins"),
        (
            "set port tap0 tag=1 trunks=2",
            "port tap0: tag and trunks together need vlan_mode=native-tagged or vlan_mode=native-untagged; for an access \
             port add \"trunks=[]\", for a trunk \"tag=[]\"",
        ),
        (
            "set port tap0 trunks=2,3 tag=1",
            "port tap0: tag and trunks together need vlan_mode=native-tagged or vlan_mode=native-untagged; for an access \
             port add \"trunks=[]\", for a trunk \"tag=[]\"",
        ),
        (
            "set bridge br0 carrier=nosuch",
            "carrier: bridge br0 has no port or bond named nosuch; add it first",
        ),
        ("set bridge br0 carrier=br0", "carrier: bridge br0 has no port or bond named br0; add it first"),
        ("set bridge br0 carrier=e1", "carrier: bridge br0 has no port or bond named e1; add it first"),
        ("set bridge br0 mac-table-size=9", "mac-table-size: \"9\" is out of range; use 10 to 1048576"),
        ("set bridge br0 mac-aging-time=x", "mac-aging-time: \"x\" is out of range; use 15 to 3600"),
    ] {
        assert_eq!(switch.error(line), expected, "{line}");
    }
}

#[test]
fn unusual_members_are_warned_of_once() {
    let mut switch = switch();
    let warnings = switch.call("add-bond-iface bond0 wlan0").unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("wlan0 is wireless"), "{warnings:?}");
    let warnings = switch.call("add-bond-iface bond0 kbond").unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("kbond is a bond of the kernel's"), "{warnings:?}");
    let same = switch.runtime.devices["e3"].mac;
    switch.runtime.devices.get_mut("e4").unwrap().mac = same;
    let warnings = switch.call("add-bond br0 bond1 e3 e4").unwrap().warnings;
    let expected = format!("bond bond1: e4 has the same address as e3, {same}, so that");
    assert!(warnings.len() == 1 && warnings[0].starts_with(&expected), "{warnings:?}");
    assert_eq!(switch.call("set bond bond1 miimon=100").unwrap().warnings, [""; 0]);
    switch.runtime.devices.get_mut("e5").unwrap().mac = same;
    let warnings = switch.call("add-bond-iface bond1 e5").unwrap().warnings;
    assert!(warnings.len() == 1 && warnings[0].contains("e5 has the same address as e3"), "{warnings:?}");
}
