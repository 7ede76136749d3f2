//! Reading and changing columns: formats and wording are those of ovs-vsctl 3.1, where it has the column.

use super::*;
use crate::transaction::columns::Table;
use crate::transaction::rows::uuid;

fn switch() -> Switch {
    Switch::after(&[
        "add-br br0 -- add-port br0 tap0 tag=5 -- set interface tap0 external_ids:iface-id='x y' external_ids:a=1b \
         external_ids:9=q",
        "add-bond br0 bond0 e1 e2 miimon=100",
    ])
}

#[test]
fn get() {
    let mut switch = switch();
    for (line, expected) in [
        ("get interface tap0 external_ids name type", "{\"9\"=q, a=\"1b\", iface-id=\"x y\"}\ntap0\n\"\"\n"),
        ("get port tap0 tag trunks other_config name vlan_mode", "5\n[]\n{}\ntap0\naccess\n"),
        ("get interface tap0 external_ids:iface-id", "\"x y\"\n"),
        ("--if-exists get interface tap0 external_ids:nosuch name", "\ntap0\n"),
        ("--if-exists get interface nosuch name", ""),
        ("get port bond0 bond_mode bond_updelay", "active-backup\n0\n"),
        ("get port tap0 bond_mode", "[]\n"),
        (
            "get bond bond0 miimon primary members options",
            "100\n[]\n[e1, e2]\n{miimon=\"100\", mode=active-backup}\n",
        ),
        ("get bridge br0 mac-aging-time mcast_snooping_enable fail_mode", "300\nfalse\n[]\n"),
        (
            "get Interface e1 link_state admin_state mtu ifindex mac_in_use",
            "down\nup\n1500\n7\n\"02:00:00:00:05:01\"\n",
        ),
        ("get interface e1 link_speed duplex prio error", "10000000000\nfull\n0\n[]\n"),
        ("get interface br0 type", "internal\n"),
        ("--oneline get port tap0 name tag", "tap0\\n5\n"),
    ] {
        assert_eq!(switch.text(line), expected, "{line}");
    }
    let ports = switch.text("get bridge br0 ports");
    let uuids = ports.trim().trim_matches(['[', ']']).split(", ").map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(uuids.len(), 3);
    for uuid in uuids {
        let name = switch.text(&format!("get port {uuid} name"));
        assert!(["br0\n", "bond0\n", "tap0\n"].contains(&name.as_str()), "{name}");
    }
}

#[test]
fn a_uuid_belongs_to_table_and_name() {
    let port = uuid(Table::Port, "br0");
    assert_eq!(port, uuid(Table::Port, "br0"));
    assert_ne!(port, uuid(Table::Bridge, "br0"));
    assert_ne!(port, uuid(Table::Port, "br1"));
    assert_eq!((port.len(), &port[14..15]), (36, "8"), "{port}");
    assert!("89ab".contains(&port[19..20]), "{port}");
    assert_eq!(port, "016edbbc-7965-8afe-b068-9052b5dedf32", "it must never change");
}

#[test]
fn statistics() {
    let mut switch = switch();
    assert_eq!(switch.text("get interface tap0 statistics"), "{}\n");
    switch.runtime.counters = vec![DeviceCounters {
        device: "tap0".into(),
        rx_frames: 3,
        rx_bytes: 300,
        tx_frames: 4,
        tx_bytes: 400,
        drops: [("runt".to_owned(), 1), ("mtu".to_owned(), 2)].into(),
        ..DeviceCounters::default()
    }];
    assert_eq!(
        switch.text("get interface tap0 statistics"),
        "{rx_bytes=300, rx_dropped=3, rx_errors=0, rx_packets=3, tx_bytes=400, tx_dropped=0, tx_errors=0, tx_packets=4}\n"
    );
}

#[test]
fn list_in_every_form() {
    let mut switch = Switch::after(&[
        "add-br br0 -- add-port br0 tap0 tag=5 -- set interface tap0 external_ids:a=1b external_ids:iface-id='x y'",
    ]);
    for (line, expected) in [
        (
            "--columns=name,tag,trunks list port",
            "name                : br0\ntag                 : []\ntrunks              : []\n\n\
             name                : tap0\ntag                 : 5\ntrunks              : []\n",
        ),
        ("--columns=name,tag -f table list port", "name tag\n---- ---\nbr0  []\ntap0 5\n"),
        (
            "--columns=name,external-ids -f csv list interface",
            "name,external_ids\nbr0,{}\ntap0,\"{a=\"\"1b\"\", iface-id=\"\"x y\"\"}\"\n",
        ),
        (
            "--columns=name,external_ids -f csv -d bare --no-headings list Interface",
            "br0,\ntap0,a=1b iface-id=x y\n",
        ),
        ("--columns=name,external_ids,tag --bare list port", "br0\n\n\n\ntap0\n\n5\n"),
        ("--bare -f table -- --columns=name,tag find port fake_bridge=false", "br0\ntap0 5\n"),
        ("--if-exists --columns=name list port nosuch", ""),
        ("--columns=name list port tap0", "name                : tap0\n"),
        (
            "-f json --columns=name,tag,external_ids,mac_learning_locked list port tap0",
            "[{\"external_ids\":{},\"mac_learning_locked\":false,\"name\":\"tap0\",\"tag\":5}]\n",
        ),
        ("-f json get port tap0 tag", "5\n"),
        ("-f json get port tap0 tag trunks", "[5,[]]\n"),
    ] {
        assert_eq!(switch.text(line), expected, "{line}");
    }
    for table in ["bridge", "port", "bond", "interface"] {
        let text = switch.text(&format!("list {table}"));
        let names: Vec<_> = text.lines().map(|line| line.split([' ', ':']).next().unwrap()).collect();
        assert!(names.iter().all(|name| name.is_empty() || name.len() <= 22));
        let sorted = names.split(|name| name.is_empty()).all(<[_]>::is_sorted);
        assert!(sorted && (table == "bond" || names[0] == "_uuid"), "{text}");
    }
}

#[test]
fn find() {
    let mut switch = switch();
    let mut names = |condition: &str| {
        switch.text(&format!("--bare --columns=name find {condition}")).replace("\n\n", " ")
    };
    for (condition, expected) in [
        ("port tag=5", "tap0\n"),
        ("port tag!=5", "bond0 br0\n"),
        ("port tag=[]", "bond0 br0\n"),
        ("port tag<6", "tap0\n"),
        ("port tag>5", ""),
        ("port tag>=5", "tap0\n"),
        ("interface external_ids:a=1b", "tap0\n"),
        ("interface external_ids:a!=zz", "tap0\n"),
        ("interface external_ids:nosuch!=zz", ""),
        ("interface 'external_ids={a=1b}'", ""),
        ("interface 'external_ids={a=1b,iface-id=\"x y\",9=q}'", "tap0\n"),
        ("interface 'type!=\"\"'", "br0\n"),
        ("interface type=internal", "br0\n"),
        ("port fake_bridge=true", ""),
        ("port name=bond0", "bond0\n"),
        ("bond members=e2,e1", "bond0\n"),
        ("bond", "bond0\n"),
        ("port vlan_mode=access tag=5", "tap0\n"),
        ("port vlan_mode=trunk tag=5", ""),
    ] {
        assert_eq!(names(condition), expected, "{condition}");
    }
}

#[test]
fn clear_remove_add() {
    let mut switch = switch();
    for (line, columns, expected) in [
        ("clear port tap0 tag", "port tap0 tag", "[]\n"),
        ("clear interface tap0 error_", "", ""),
        ("--if-exists clear port nosuch tag", "port tap0 tag", "[]\n"),
        ("set port tap0 trunks=1,2,3", "port tap0 trunks", "[1, 2, 3]\n"),
        ("remove port tap0 trunks 2", "port tap0 trunks", "[1, 3]\n"),
        ("remove port tap0 tag 6", "port tap0 tag", "[]\n"),
        ("add port tap0 trunks 7 9-10", "port tap0 trunks", "[1, 3, 7, 9, 10]\n"),
        (
            "remove interface tap0 external_ids a",
            "interface tap0 external_ids",
            "{\"9\"=q, iface-id=\"x y\"}\n",
        ),
        ("remove interface tap0 external_ids 9=zz", "interface tap0 external_ids:9", "q\n"),
        ("remove interface tap0 external_ids 9=q", "interface tap0 external_ids", "{iface-id=\"x y\"}\n"),
        ("add interface tap0 external_ids k=v", "interface tap0 external_ids", "{iface-id=\"x y\", k=v}\n"),
        ("set interface tap0 external_ids={x=y}", "interface tap0 external_ids", "{x=y}\n"),
        ("set interface tap0 external_ids:x=[]", "interface tap0 external_ids", "{}\n"),
        (
            "set bridge br0 other_config:mac-aging-time=60",
            "bridge br0 other_config",
            "{mac-aging-time=\"60\"}\n",
        ),
        (
            "remove bridge br0 other_config mac-aging-time",
            "bridge br0 other_config mac_aging_time",
            "{}\n300\n",
        ),
        ("add port tap0 other_config mac-learning-limit=4", "port tap0 mac_learning_limit", "4\n"),
        ("clear port tap0 other_config", "port tap0 mac_learning_limit other_config", "[]\n{}\n"),
        (
            "set port bond0 other_config:bond-primary=e2",
            "port bond0 other_config",
            "{bond-miimon-interval=\"100\", bond-primary=e2}\n",
        ),
        ("remove bond bond0 primary e1", "bond bond0 primary", "e2\n"),
        ("remove port bond0 other_config bond-primary", "bond bond0 primary", "[]\n"),
        ("clear bond bond0 miimon", "bond bond0 miimon", "0\n"),
        (
            "set bridge br0 external_ids:u=6f1c8a2e-0000-4000-8000-00000000000a",
            "bridge br0 external_ids:u",
            "\"6f1c8a2e-0000-4000-8000-00000000000a\"\n",
        ),
        ("clear bridge br0 external_ids mcast_snooping_enable", "bridge br0 external_ids", "{}\n"),
    ] {
        if columns.is_empty() {
            switch.error(line);
            continue;
        }
        switch.call(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(switch.text(&format!("get {columns}")), expected, "{line}");
    }
    let warnings = switch.call("remove port tap0 trunks 1-10").unwrap().warnings;
    assert_eq!(warnings, ["port tap0: trunks has no VLAN left; without any the port carries every VLAN"]);
}

#[test]
fn golden_errors() {
    let mut switch = switch();
    for (line, expected) in [
        (
            "get interface tap0 external_ids:nosuch",
            "no key \"nosuch\" in Interface record \"tap0\" column external_ids",
        ),
        ("get interface nosuch name", "no row \"nosuch\" in table Interface"),
        ("get port tap0 tag:x", "cannot specify key to get for non-map column tag"),
        ("get port tap0 :x", ":x: missing column name"),
        ("list port nosuch", "no row \"nosuch\" in table Port"),
        (
            "find port tag",
            "tag: argument does not end in \"=\", \"!=\", \"<\", \">\", \"<=\" or \">=\" followed by a value",
        ),
        ("find port tag:x=3", "cannot specify key to find for non-map column tag"),
        ("clear port tap0 name", "cannot modify read-only column name in table Port"),
        ("clear port nosuch tag", "no row \"nosuch\" in table Port"),
        ("remove port tap0 name foo", "cannot modify read-only column name in table Port"),
        ("remove port nosuch tag 5", "no row \"nosuch\" in table Port"),
        ("remove port tap0 trunks x", "trunks: \"x\" is not a VLAN ID; use a number from 0 to 4094"),
        (
            "remove bridge br0 mac_table_size 5",
            "\"remove\" works on sets and maps; use \"clear Bridge br0 mac_table_size\"",
        ),
        ("add port tap0 tag 5", "\"add\" works on sets and maps; use \"set Port tap0 tag=VALUE\""),
        ("set port tap0 name=foo", "cannot modify read-only column name in table Port"),
        ("set interface tap0 link_state=up", "cannot modify read-only column link_state in table Interface"),
        ("set interface tap0 external_ids=5", "external_ids: 5: \"5\" is not followed by = and a value"),
        ("set interface tap0 external_ids:=5", "external_ids: the key is empty"),
        (
            "set port tap0 vlan_mode=bogus",
            "constraint violation: bogus is not one of the allowed values ([access, dot1q-tunnel, native-tagged, \
             native-untagged, trunk])",
        ),
        ("set-fail-mode br0 bogus", "fail-mode must be \"standalone\" or \"secure\""),
        ("br-set-external-id nobr k v", "no bridge named nobr"),
        ("set interface tap0 prio=5", "prio: tap0 is not a member of a bond"),
        (
            "set interface e1 prio=x",
            "e1: member option prio: \"x\" is not a valid value; allowed: -2147483648 to 2147483647",
        ),
        ("set port tap0 bond_mode=1", "bond_mode: port tap0 is not a bond"),
        (
            "set port tap0 mac_learning_locked=maybe",
            "mac-learning-locked: \"maybe\" is not a valid boolean (use \"true\" or \"false\")",
        ),
        ("set port tap0 storm-broadcast=-1", "storm-broadcast: \"-1\" is out of range; use 0 to 1000000000"),
        (
            "set port tap0 other_config:storm-brodcast=1",
            "other_config of table Port has no key \"storm-brodcast\"; did you mean \"storm-broadcast\"?",
        ),
        (
            "set bridge br0 stp_enable=true",
            "stp_enable: \"true\" is not possible here: there is no spanning tree; bonds are the only redundant links",
        ),
        (
            "set interface tap0 type=patch",
            "type: \"patch\" is not possible here: interfaces are network devices",
        ),
    ] {
        assert_eq!(switch.error(line), expected, "{line}");
    }
    for (line, begin) in [
        ("get port tap0 bogus", "Port does not contain a column whose name matches \"bogus\""),
        (
            "find port tagg=3",
            "Port does not contain a column whose name matches \"tagg\"; did you mean \"tag\"?",
        ),
        ("clear port tap0 bogus", "Port does not contain a column whose name matches \"bogus\""),
        ("--columns=bogus list port", "Port does not contain a column whose name matches \"bogus\""),
    ] {
        assert!(switch.error(line).starts_with(begin), "{line}");
    }
}

#[test]
fn limits_and_vlan_modes() {
    let mut switch = switch();
    switch.call("set port tap0 mac-learning-limit=10 mac_learning_locked=true storm_broadcast=100").unwrap();
    switch.call("set port br0 other_config:storm-unknown=5 -- set bond bond0 storm-multicast=7").unwrap();
    let bridge = &switch.model.bridges["br0"];
    let limits = &bridge.ports["tap0"].limits;
    assert_eq!(
        (limits.mac_learning_limit, limits.mac_learning_locked, limits.storm_broadcast),
        (Some(10), true, Some(100))
    );
    assert_eq!(bridge.limits.storm_unknown, Some(5));
    assert_eq!(bridge.ports["bond0"].limits.storm_multicast, Some(7));
    for (line, shown) in [
        ("set port tap0 tag=3 vlan_mode=native-tagged trunk=1,2", "native-tagged\n3\n[1, 2]\n[]\n"),
        ("set port tap0 vlan-mode=native-untagged", "native-untagged\n3\n[1, 2]\n[]\n"),
        ("set port tap0 trunks=[] vlan_mode=dot1q-tunnel cvlans=7-9", "dot1q-tunnel\n3\n[]\n[7, 8, 9]\n"),
        ("clear port tap0 cvlans -- set port tap0 vlan_mode=access", "access\n3\n[]\n[]\n"),
        ("set port tap0 vlan_mode=trunk tag=[]", "trunk\n[]\n[]\n[]\n"),
    ] {
        switch.call(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        assert_eq!(switch.text("get port tap0 vlan_mode tag trunks cvlans"), shown, "{line}");
    }
    for (line, expected) in [
        (
            "set port tap0 vlan_mode=access",
            "port tap0: vlan_mode=access needs a VLAN; add \"tag=VLAN\", or clear the mode (vlan_mode=[])",
        ),
        (
            "set port tap0 cvlans=5",
            "port tap0: cvlans are for vlan_mode=dot1q-tunnel only; add \"cvlans=[]\"",
        ),
        (
            "set port tap0 vlan_mode=trunk tag=5",
            "port tap0: vlan_mode=trunk goes without a tag; add \"tag=[]\", or use native-tagged or native-untagged",
        ),
        (
            "set port tap0 vlan_mode=access tag=5 trunks=6",
            "port tap0: vlan_mode=access goes without trunks; add \"trunks=[]\"",
        ),
    ] {
        assert_eq!(switch.error(line), expected, "{line}");
    }
}

#[test]
fn options_of_members_go_with_them() {
    let mut switch = switch();
    switch.call("set interface e1 prio=10 -- set interface e1 external_ids:k=v").unwrap();
    assert_eq!(switch.text("get interface e1 prio external_ids"), "10\n{k=v}\n");
    switch.call("set interface e1 prio=0 -- set interface e2 prio=-5").unwrap();
    let options = &switch.model.bond("bond0").unwrap().1.member_options;
    assert_eq!(options.len(), 1, "{options:?}");
    switch.call("del-bond-iface e2 -- del-bond-iface e1").unwrap();
    assert!(switch.model.bond("bond0").unwrap().1.member_options.is_empty());
    assert_eq!(switch.model.bridges["br0"].interface_external_ids.len(), 1, "tap0's");
    switch.call("add-bond-iface bond0 e1").unwrap();
    assert_eq!(switch.text("get interface e1 prio external_ids"), "0\n{}\n");
}

#[test]
fn short_cuts_for_bridges() {
    let mut switch = switch();
    for (line, expected) in [
        ("br-set-external-id br0 k v -- br-get-external-id br0", "k=v\n"),
        ("br-get-external-id br0 k", "v\n"),
        ("br-get-external-id br0 nosuch", ""),
        ("br-set-external-id br0 k -- br-get-external-id br0", ""),
        ("set-fail-mode br0 secure -- get-fail-mode br0", "secure\n"),
        ("get bridge br0 fail_mode", "secure\n"),
        ("del-fail-mode br0 -- get-fail-mode br0", ""),
        ("br-to-vlan br0 -- br-to-parent br0", "0\nbr0\n"),
        ("--oneline list-ports br0 -- br-exists br0", "bond0\\ntap0\n\n"),
    ] {
        assert_eq!(switch.text(line), expected, "{line}");
    }
}
