//! Settings and columns of LACP, in the spellings of Linux and of Open vSwitch.

use super::*;

fn switch() -> Switch {
    Switch::after(&["add-br br0", "add-bond br0 bond0 e1 e2 mode=802.3ad", "add-port br0 tap0"])
}

#[test]
fn what_was_set_is_read_and_what_is_read_can_be_set() {
    let mut switch = switch();
    assert_eq!(switch.text("get port bond0 lacp bond_mode"), "active\n\"802.3ad\"\n");
    switch.call("set port bond0 bond_mode=balance-tcp").unwrap();
    assert_eq!(switch.text("get port bond0 bond_mode -- get bond bond0 mode"), "balance-tcp\n\"802.3ad\"\n");
    for (setting, column, read) in [
        ("other_config:bond-rebalance-interval=3000", "bond_mode", "balance-tcp"),
        ("lacp=passive", "lacp", "passive"),
        ("lacp=active", "lacp", "active"),
        ("lacp_active=off", "lacp", "passive"),
        ("lacp=active", "lacp", "active"),
        ("other_config:bond-rebalance-interval=0", "bond_mode", "802.3ad"),
        ("mode=balance-tcp", "bond_mode", "balance-tcp"),
        ("xmit_hash_policy=layer2", "bond_mode", "802.3ad"),
    ] {
        switch.call(&format!("set port bond0 {setting}")).unwrap();
        let found = switch.text(&format!("get port bond0 {column}"));
        assert_eq!(found.trim().trim_matches('"'), read, "{setting}");
        let before = switch.model.clone();
        switch.call(&format!("set port bond0 {column}={read}")).unwrap();
        assert_eq!(switch.model, before, "{column}={read} after {setting}");
    }
}

#[test]
fn fallback_is_the_contrary_of_strict() {
    let mut switch = switch();
    let strict = |switch: &mut Switch| switch.text("get bond bond0 lacp_strict");
    assert_eq!(switch.text("get port bond0 other_config"), "{lacp-fallback-ab=\"true\"}\n");
    switch.call("set port bond0 other_config:lacp-fallback-ab=false").unwrap();
    assert_eq!(strict(&mut switch), "on\n");
    assert_eq!(switch.text("get port bond0 other_config"), "{}\n", "as in Open vSwitch");
    switch.call("set port bond0 other_config:lacp-fallback-ab=true").unwrap();
    assert_eq!(strict(&mut switch), "off\n");
    switch.call("set port bond0 lacp_strict=on -- clear port bond0 other_config").unwrap();
    assert_eq!(strict(&mut switch), "off\n");
    switch.call("set port bond0 lacp_strict=on -- remove port bond0 other_config lacp-fallback-ab").unwrap();
    assert_eq!(strict(&mut switch), "off\n");
}

#[test]
fn members() {
    let mut switch = switch();
    switch.call("set interface e1 actor_port_prio=10").unwrap();
    switch.call("set interface e2 other_config:lacp-port-id=9 other_config:lacp-aggregation-key=7").unwrap();
    assert_eq!(
        switch.text("get interface e1 actor_port_prio lacp_port_id lacp_current other_config"),
        "10\n[]\n[]\n{lacp-port-priority=\"10\"}\n"
    );
    assert_eq!(
        switch.text("get interface e2 actor_port_prio lacp_port_id lacp_aggregation_key other_config"),
        "255\n9\n7\n{lacp-aggregation-key=\"7\", lacp-port-id=\"9\"}\n"
    );
    assert_eq!(switch.text("--columns=name find interface lacp_port_id=9"), "name                : e2\n");
    switch.runtime.bonds.get_mut("bond0").unwrap().members[0].lacp_current = Some(true);
    assert_eq!(switch.text("get interface e1 lacp_current"), "true\n");
    switch.call("clear interface e2 other_config").unwrap();
    assert_eq!(switch.text("get interface e2 lacp_port_id other_config"), "[]\n{}\n");
    assert_eq!(
        switch.error("set interface tap0 other_config:lacp-port-id=9"),
        "lacp_port_id: tap0 is not a member of a bond"
    );
    let error = switch.error("set interface e1 actor_port_prio=65536");
    assert!(error.contains("allowed: 0-65535"), "{error}");
}

#[test]
fn ports_and_bonds_that_speak_none() {
    let mut switch = Switch::after(&["add-br br0", "add-bond br0 bond0 e1", "add-port br0 tap0"]);
    switch.call("set port tap0 lacp=off -- set port bond0 lacp=off").unwrap();
    assert_eq!(switch.text("get port tap0 lacp -- get port bond0 lacp other_config"), "[]\noff\n{}\n");
    assert!(switch.error("set port tap0 lacp=active").contains("tap0 is not a bond"));
    assert_eq!(
        switch.error("lacp/show bond0"),
        "no such lacp object: bond bond0 has mode active-backup, which speaks no LACP; it is mode 802.3ad that does"
    );
    assert_eq!(switch.error("lacp/show-stats nosuch"), "no such bond: nosuch");
    assert_eq!(switch.text("lacp/show -- lacp/show-stats"), "");
    assert!(
        switch
            .error("set port bond0 mode=802.3ad -- set port bond0 lacp=off")
            .contains("mode 802.3ad is LACP")
    );
    assert!(
        switch.error("set port bond0 mode=802.3ad -- clear port bond0 lacp").contains("mode 802.3ad is LACP")
    );
    switch.call("clear port bond0 lacp").unwrap();
}
