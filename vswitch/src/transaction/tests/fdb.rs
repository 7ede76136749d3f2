//! Static entries and counters of the FDB.

use super::*;

fn switch() -> Switch {
    Switch::after(&["add-br br0 -- add-br br1", "add-bond br0 bond0 e1", "add-port br0 tap0 tag=10"])
}

fn statics(switch: &Switch) -> Vec<String> {
    let entries = switch.model.bridges["br0"].statics.iter();
    entries.map(|((vlan, mac), port)| format!("{vlan} {mac} {port}")).collect()
}

#[test]
fn entries_made_by_hand() {
    let mut switch = switch();
    switch.call("fdb/add br0 tap0 10 02:00:00:00:09:01 -- fdb/add br0 bond0 0 02:00:00:00:09:02").unwrap();
    switch.call("fdb/add br0 br0 0 02:00:00:00:09:03").unwrap();
    assert_eq!(
        statics(&switch),
        ["0 02:00:00:00:09:02 bond0", "0 02:00:00:00:09:03 br0", "10 02:00:00:00:09:01 tap0"]
    );
    switch.call("fdb/add br0 bond0 0 02:00:00:00:09:03").unwrap();
    switch.call("fdb/del br0 0 02:00:00:00:09:02").unwrap();
    assert_eq!(statics(&switch), ["0 02:00:00:00:09:03 bond0", "10 02:00:00:00:09:01 tap0"]);
    switch.call("fdb/flush br0").unwrap();
    assert_eq!(statics(&switch).len(), 2, "flushing is for learned entries");
    switch.call("del-port tap0").unwrap();
    assert_eq!(statics(&switch), ["0 02:00:00:00:09:03 bond0"], "they go with their port");
}

#[test]
fn golden_errors() {
    let mut switch = switch();
    for (line, expected) in [
        ("fdb/add nosuch tap0 1 02:00:00:00:09:01", "no such bridge: nosuch"),
        ("fdb/add br0 nosuch 1 02:00:00:00:09:01", "no port named nosuch"),
        ("fdb/add br0 e1 1 02:00:00:00:09:01", "no port named e1; it is a member of bond bond0"),
        ("fdb/add br1 tap0 1 02:00:00:00:09:01", "bridge br1 does not have a port tap0; it is on bridge br0"),
        (
            "fdb/add br0 tap0 20 02:00:00:00:09:01",
            "port tap0 does not carry VLAN 20; change its tag or trunks first",
        ),
        (
            "fdb/add br0 tap0 4095 02:00:00:00:09:01",
            "invalid vlan: \"4095\" is not a VLAN ID; use a number from 0 to 4094",
        ),
        (
            "fdb/add br0 tap0 10 02:00",
            "invalid mac: \"02:00\" is not a MAC address; write six octets like 02:00:00:00:00:01",
        ),
        (
            "fdb/add br0 tap0 10 01:00:5e:00:00:01",
            "invalid mac: 01:00:5e:00:00:01 is not the address of one device",
        ),
        (
            "fdb/del br0 10 02:00:00:00:09:01",
            "bridge br0 has no static entry for 02:00:00:00:09:01 in VLAN 10 (fdb/flush forgets learned ones)",
        ),
        ("fdb/stats-show nosuch", "no such bridge: nosuch"),
        ("fdb/stats-clear nosuch", "no such bridge: nosuch"),
    ] {
        assert_eq!(switch.error(line), expected, "{line}");
    }
}

#[test]
fn clearing_statistics_is_an_action() {
    let mut switch = switch();
    let outcome = switch.call("fdb/stats-clear br1").unwrap();
    assert_eq!(cli::text(&outcome.replies), "statistics successfully cleared\n");
    assert_eq!(outcome.actions, [Action::ClearFdbStats { bridge: "br1".into() }]);
    assert_eq!(switch.call("fdb/stats-clear").unwrap().actions.len(), 2);
}
