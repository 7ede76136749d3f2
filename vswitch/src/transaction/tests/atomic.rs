use super::*;

#[test]
fn a_failing_command_undoes_those_before_it() {
    let mut switch = Switch::after(&["add-br br0"]);
    assert_eq!(switch.error("add-port br0 tap0 -- add-br br1 -- add-port br0 eth9").lines().count(), 1);
    assert_eq!(switch.text("list-ports br0"), "");
}

#[test]
fn the_failing_command_is_numbered() {
    let requests = [
        Request::AddBridge { bridge: "br0".into(), may_exist: false },
        Request::ListPorts { bridge: "br1".into() },
    ];
    let error = execute(&Model::default(), &mut FakeRuntime::new(), &requests).unwrap_err();
    assert_eq!((error.index, error.message.as_str()), (1, "no bridge named br1"));
}

#[test]
fn reads_see_the_commands_before_them() {
    let mut switch = Switch::new();
    assert_eq!(
        switch
            .text("add-br br0 -- add-port br0 tap1 -- list-ports br0 -- add-port br0 tap0 -- list-ports br0"),
        "tap1\ntap0\ntap1\n"
    );
}

#[test]
fn delete_and_add_again_in_one_call() {
    let mut switch = Switch::after(&["add-br br0", "add-bond br0 bond0 e1 e2"]);
    switch.call("-- --if-exists del-port bond0 -- add-port br0 e1 -- add-bond br0 bond0 e2 e3").unwrap();
    assert_eq!(switch.text("list-ifaces br0"), "e1\ne2\ne3\n");
}

#[test]
fn a_dry_run_finds_errors_and_changes_nothing() {
    let mut switch = Switch::new();
    switch.call("--dry-run add-br br0 -- add-port br0 tap0").unwrap();
    assert_eq!(switch.model, Model::default());
    switch.error("--dry-run add-br br0 -- add-port br0 nosuch");
}

#[test]
fn the_internal_port_keeps_its_address() {
    let mut switch = Switch::after(&["add-br br0", "add-br br1"]);
    let mac = switch.model.bridges["br0"].mac;
    switch.call("add-port br0 tap0 -- set port br0 tag=5 -- --may-exist add-br br0").unwrap();
    assert_eq!(switch.model.bridges["br0"].mac, mac);
    assert_ne!(switch.model.bridges["br1"].mac, mac);
}

#[test]
fn actions_are_checked_and_handed_out() {
    let mut switch = Switch::after(&["add-br br0", "add-bond br0 bond0 e1 e2"]);
    let outcome = switch.call("bond/set-active-member bond0 e2 -- fdb/flush br0").unwrap();
    assert_eq!(cli::text(&outcome.replies), "done\ntable successfully flushed\n");
    assert_eq!(
        outcome.actions,
        [
            Action::SetActiveMember { bond: "bond0".into(), member: "e2".into() },
            Action::FlushFdb { bridge: "br0".into() },
        ]
    );
    let unchanged = switch.call("bond/set-active-member bond0 e1").unwrap();
    assert_eq!((cli::text(&unchanged.replies).as_str(), unchanged.actions), ("no change\n", vec![]));
}

#[test]
fn no_action_of_a_failed_call_is_handed_out() {
    let mut switch = Switch::after(&["add-br br0", "add-bond br0 bond0 e1 e2"]);
    let error = switch.error("bond/set-active-member bond0 e2 -- bond/set-active-member bond0 e3");
    assert_eq!(error, "no such member: e3; the members of bond bond0 are e1, e2");
    switch.runtime.bonds.get_mut("bond0").unwrap().members[1].enabled = false;
    assert_eq!(
        switch.error("fdb/flush -- bond/set-active-member bond0 e2"),
        "cannot make disabled member active"
    );
}

#[test]
fn the_hint_of_the_active_member_goes_with_the_member() {
    let mut switch = Switch::after(&["add-br br0", "add-bond br0 bond0 e1 e2"]);
    assert!(switch.model.note_active("bond0", Some("e2")));
    assert!(!switch.model.note_active("bond0", Some("e2")));
    assert!(!switch.model.note_active("bond0", Some("e3")));
    assert!(!switch.model.note_active("nosuch", Some("e2")));
    switch.call("del-bond-iface e2").unwrap();
    assert_eq!(switch.model.bond("bond0").unwrap().1.active, None);
}

#[test]
fn may_exist_and_if_exists_make_commands_repeatable() {
    let line = "--may-exist add-br br0 -- --may-exist add-port br0 tap0 tag=10 \
                -- --may-exist add-bond br0 bond0 e1 e2 miimon=100 -- --may-exist add-bond-iface bond0 e2";
    let mut switch = Switch::after(&[line]);
    let first = switch.model.clone();
    switch.call(line).unwrap();
    assert_eq!(switch.model, first);
    let line = "--if-exists del-bond-iface bond0 e2 -- --if-exists del-port tap0 -- --if-exists del-port br1x \
                -- --if-exists set port nosuch tag=1";
    switch.call(line).unwrap();
    switch.call(line).unwrap();
    switch.call("--if-exists del-br br0").unwrap();
    switch.call("--if-exists del-br br0").unwrap();
    assert_eq!(switch.model, Model::default());
}

#[test]
fn a_bond_may_exist_with_whatever_members_if_none_are_named() {
    let mut switch = Switch::after(&["add-br br0 -- add-bond br0 bond0 e1 e2"]);
    switch.call("--may-exist add-bond br0 bond0 miimon=50 -- --may-exist add-bond-iface bond0 e3").unwrap();
    assert_eq!(switch.text("get bond bond0 miimon -- list-ifaces br0"), "50\ne1\ne2\ne3\n");
}

#[test]
fn may_exist_applies_the_settings() {
    let mut switch = Switch::after(&["add-br br0", "add-port br0 tap0 tag=10"]);
    switch.call("--may-exist add-port br0 tap0 tag=20").unwrap();
    assert_eq!(switch.model.bridges["br0"].ports["tap0"].vlan.tag(), Some(20));
}

#[test]
fn a_bridge_stops_following_a_deleted_carrier_unless_it_comes_back() {
    let mut switch = Switch::after(&["add-br br0", "add-bond br0 bond0 e1", "set bridge br0 carrier=bond0"]);
    let outcome = switch.call("del-port bond0 -- add-bond br0 bond0 e2").unwrap();
    assert_eq!(outcome.warnings, [""; 0]);
    assert_eq!(switch.model.bridges["br0"].carrier.as_deref(), Some("bond0"));
    let outcome = switch.call("del-port bond0").unwrap();
    assert_eq!(
        outcome.warnings,
        ["bridge br0 followed the carrier of bond0, which was deleted; its internal port is now always up"]
    );
    assert_eq!(switch.model.bridges["br0"].carrier, None);
}

#[test]
fn bonds_of_one_member_and_of_none() {
    let mut switch = Switch::after(&["add-br br0", "add-bond br0 bond0 mode=2", "add-bond br0 bond1 e1"]);
    assert_eq!(switch.model.bond("bond0").unwrap().1.members, [""; 0]);
    switch.call("add-bond-iface bond0 e2 -- del-bond-iface bond0 e2 -- del-bond-iface e1").unwrap();
    assert_eq!(switch.text("list-ifaces br0"), "");
    assert_eq!(switch.text("list-ports br0"), "bond0\nbond1\n");
}

#[test]
fn members_keep_their_joining_order() {
    let mut switch = Switch::after(&["add-br br0", "add-bond br0 bond0 e3 e1", "add-bond-iface bond0 e2"]);
    assert_eq!(switch.model.bond("bond0").unwrap().1.members, ["e3", "e1", "e2"]);
    assert_eq!(
        switch.text("bond/list"),
        "bond\ttype\trecircID\tmembers\nbond0\tactive-backup\t0\te3, e1, e2\n"
    );
}

#[test]
fn which_bridge_has_it() {
    let mut switch = Switch::after(&["add-br br0", "add-bond br0 bond0 e1", "add-port br0 tap0"]);
    assert_eq!(
        switch.text(
            "port-to-br bond0 -- port-to-br tap0 -- port-to-br br0 -- iface-to-br e1 -- iface-to-br br0"
        ),
        "br0\nbr0\nbr0\nbr0\nbr0\n"
    );
}
