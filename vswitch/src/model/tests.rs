use super::*;

fn parse(text: &str) -> Model {
    toml::from_str(text).unwrap_or_else(|e| panic!("{e}"))
}

/// A valid model with everything in it.
pub(crate) const FULL: &str = r#"version = 1

[bridges.br0]
mac = "02:00:00:00:00:01"
carrier = "bond0"
fail-mode = "standalone"
fastpath = "off"
mac-table-size = 64
mac-aging-time = 60
trunks = "0,10"

[[bridges.br0.static-macs]]
vlan = 0
mac = "02:00:00:00:07:01"
port = "br0"

[[bridges.br0.static-macs]]
vlan = 10
mac = "02:00:00:00:07:02"
port = "tap0"

[bridges.br0.external-ids]
a = "b c"

[bridges.br0.limits]
storm-broadcast = 1000

[bridges.br0.port-external-ids]
x = "y"

[bridges.br0.interface-external-ids.eth1]
"iface/id" = "1"

[bridges.br0.ports.bond0]
tag = 20

[bridges.br0.ports.bond0.limits]
storm-broadcast = 1
storm-unknown = 2
storm-multicast = 3

[bridges.br0.ports.bond0.bond]
members = [
    "eth2",
    "eth1",
]
active = "eth1"

[bridges.br0.ports.bond0.bond.options]
miimon = "100"
mode = "active-backup"

[bridges.br0.ports.bond0.bond.member-options.eth2]
prio = "-7"

[bridges.br0.ports.tap0]
tag = 10

[bridges.br0.ports.tap0.external-ids]
"netplan/x" = ""

[bridges.br0.ports.tap0.limits]
mac-learning-limit = 4
mac-learning-locked = true

[bridges.br0.ports.tap1]
vlan-mode = "native-untagged"
tag = 10
trunks = "11"

[bridges.br0.ports.tap2]
vlan-mode = "dot1q-tunnel"
tag = 10
cvlans = "11-12"

[bridges.br0.ports.tap3]
vlan-mode = "native-tagged"
tag = 10

[bridges.br0.ports."vif1.0"]
trunks = "1-3,5,4094"

[bridges.br1]
mac = "02:00:00:00:00:02"
"#;

#[test]
fn the_file_form_reads_and_writes_the_same() {
    let model = parse(FULL);
    assert_eq!(model.validate(), Ok(()));
    assert_eq!(toml::to_string_pretty(&model).unwrap(), FULL);
    let br0 = &model.bridges["br0"];
    assert_eq!(br0.bonds().map(|(name, ..)| name).collect::<Vec<_>>(), ["bond0"]);
    assert_eq!(
        br0.plain_ports().map(|(name, _)| name).collect::<Vec<_>>(),
        ["tap0", "tap1", "tap2", "tap3", "vif1.0"]
    );
    assert_eq!((br0.mac_table_size, br0.mac_aging_time), (64, 60));
    let br1 = &model.bridges["br1"];
    assert_eq!((br1.mac_table_size, br1.mac_aging_time, &br1.vlan), (8192, 300, &Vlan::All));
}

#[test]
fn places() {
    let model = parse(FULL);
    assert_eq!(model.place_of("br1"), Some(Place::Bridge));
    assert_eq!(model.place_of("tap0"), Some(Place::Port { bridge: "br0" }));
    assert_eq!(model.place_of("bond0"), Some(Place::Bond { bridge: "br0" }));
    assert_eq!(model.place_of("eth1"), Some(Place::Member { bridge: "br0", bond: "bond0" }));
    assert_eq!(model.place_of("eth3"), None);
}

#[test]
fn what_validation_refuses_and_where() {
    let full = parse(FULL);
    let broken = |change: fn(&mut Model)| {
        let mut model = full.clone();
        change(&mut model);
        model.validate().expect_err("it is broken").to_string()
    };
    fn br0(model: &mut Model) -> &mut Bridge {
        model.bridges.get_mut("br0").unwrap()
    }
    fn br1(model: &mut Model) -> &mut Bridge {
        model.bridges.get_mut("br1").unwrap()
    }
    fn bond0(model: &mut Model) -> &mut Bond {
        model.bond_mut("bond0").unwrap()
    }
    type Change = fn(&mut Model);
    let cases: [(Change, &str); 23] = [
        (
            |m| drop(br0(m).statics.insert((1, MacAddr::BROADCAST), "tap0".into())),
            "bridges.br0.static-macs: ff:ff:ff:ff:ff:ff is not the address of one device",
        ),
        (
            |m| drop(br0(m).statics.insert((1, MacAddr([2; 6])), "eth1".into())),
            "bridges.br0.static-macs: this bridge has no port or bond named eth1",
        ),
        (
            |m| drop(br1(m).interface_external_ids.insert("eth1".into(), Ids::new())),
            "bridges.br1.interface-external-ids.eth1: this bridge has no device eth1",
        ),
        (
            |m| drop(br1(m).external_ids.insert("k".into(), "\u{1b}".into())),
            "bridges.br1.external-ids: a text contains '\\u{1b}'",
        ),
        (
            |m| br1(m).limits.storm_unknown = Some(u32::MAX),
            "bridges.br1.limits.storm-unknown: 4294967295 is out of range; use 0 to 1000000000",
        ),
        (
            |m| drop(bond0(m).member_options.insert("eth3".into(), BTreeMap::new())),
            "bridges.br0.ports.bond0.bond.member-options.eth3: eth3 is not a member of this bond",
        ),
        (
            |m| drop(bond0(m).member_options.insert("eth1".into(), [("prio".into(), "0".into())].into())),
            "bridges.br0.ports.bond0.bond.member-options.eth1: prio = \"0\" is the default or not in its usual form",
        ),
        (|m| m.version = 2, "version: is 2; this program knows version 1"),
        (
            |m| br0(m).mac = MacAddr::BROADCAST,
            "bridges.br0.mac: ff:ff:ff:ff:ff:ff is not the address of one device",
        ),
        (
            |m| br0(m).mac = MacAddr::ZERO,
            "bridges.br0.mac: 00:00:00:00:00:00 is not the address of one device",
        ),
        (|m| br0(m).mac_table_size = 9, "bridges.br0.mac-table-size: 9 is out of range; use 10 to 1048576"),
        (
            |m| br0(m).mac_table_size = 1_048_577,
            "bridges.br0.mac-table-size: 1048577 is out of range; use 10 to 1048576",
        ),
        (
            |m| br0(m).mac_aging_time = 3601,
            "bridges.br0.mac-aging-time: 3601 is out of range; use 15 to 3600",
        ),
        (
            |m| br0(m).carrier = Some("tap9".into()),
            "bridges.br0.carrier: this bridge has no port or bond named tap9",
        ),
        (
            |m| br1(m).carrier = Some("tap0".into()),
            "bridges.br1.carrier: this bridge has no port or bond named tap0",
        ),
        (
            |m| bond0(m).members.push("tap0".into()),
            "bridges.br0.ports.tap0: the name tap0 is already used by bridges.br0.ports.bond0.bond.members",
        ),
        (
            |m| bond0(m).members.push("eth1".into()),
            "bridges.br0.ports.bond0.bond.members: the name eth1 is already used by bridges.br0.ports.bond0.bond.members",
        ),
        (
            |m| drop(br1(m).ports.insert("eth2".into(), Port::default())),
            "bridges.br1.ports.eth2: the name eth2 is already used by bridges.br0.ports.bond0.bond.members",
        ),
        (
            |m| drop(br1(m).ports.insert("br0".into(), Port::default())),
            "bridges.br1.ports.br0: the name br0 is already used by bridges.br0",
        ),
        (
            |m| bond0(m).active = Some("eth3".into()),
            "bridges.br0.ports.bond0.bond.active: eth3 is not a member of this bond",
        ),
        (
            |m| drop(br1(m).ports.insert(String::new(), Port::default())),
            "bridges.br1.ports.: \"\" can't be the name of a network device: it is empty",
        ),
        (
            |m| bond0(m).members.push("a b".into()),
            "bridges.br0.ports.bond0.bond.members: \"a b\" can't be the name of a network device: it contains ' '",
        ),
        (
            |m| {
                let bridge = br1(m);
                (0..4092).for_each(|n| drop(bridge.ports.insert(format!("p{n}"), Port::default())));
            },
            "bridges: 4100 ports are too many; the limit is 4096",
        ),
    ];
    for (change, expected) in cases {
        assert_eq!(broken(change), expected);
    }
    let mut model = full.clone();
    bond0(&mut model).options.insert("mode".into(), "nosuch".into());
    let error = model.validate().unwrap_err();
    assert_eq!(error.place, "bridges.br0.ports.bond0.bond.options");
    assert!(error.problem.contains("nosuch"), "{error}");
}

#[test]
fn too_many_members_are_too_many_devices() {
    let mut model = parse(FULL);
    let bond = model.bond_mut("bond0").unwrap();
    bond.members.extend((0..4096).map(|n| format!("m{n}")));
    assert_eq!(
        model.validate().unwrap_err().to_string(),
        "bridges: 4105 devices are too many; the limit is 4096"
    );
}

#[test]
fn names() {
    for good in ["br0", "a", "fifteen-letters", "eth0.10", "vif1.0-emu", "höchst", "..."] {
        assert_eq!(check_name(good), Ok(()), "{good}");
    }
    for bad in ["", ".", "..", "sixteen-letters-", "a/b", "a b", "a\tb", "a:b", "tap%d", "a\nb", "a\u{7f}b"] {
        assert!(check_name(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn vlan_lists() {
    for (text, canonical) in [
        ("10", "10"),
        ("3,1,2", "1-3"),
        ("10, 20 ,30-40", "10,20,30-40"),
        ("0,4094", "0,4094"),
        ("5-5,6", "5-6"),
    ] {
        assert_eq!(text.parse::<VlanList>().unwrap().to_string(), canonical);
    }
    for bad in ["", ",", "4095", "1,,2", "-3", "3-", "2-1", "1-4095", "x", "+1", "99999999"] {
        assert!(bad.parse::<VlanList>().is_err(), "{bad:?}");
    }
}

#[test]
fn policies_of_the_forwarding_tables() {
    assert!(Vlan::All.policy().carries_every_vlan());
    assert!(Vlan::Tag(10).policy().contains(10) && !Vlan::Tag(10).policy().contains(11));
    let trunk = Vlan::Trunks("1,5-6".parse().unwrap()).policy();
    assert_eq!(trunk.named_vlans(), [1, 5, 6]);
}
