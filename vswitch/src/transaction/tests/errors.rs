//! Golden errors. Where Open vSwitch has a wording, the text begins with it.

use super::*;

fn switch() -> Switch {
    Switch::after(&["add-br br0", "add-br br1", "add-bond br0 bond0 e1 e2", "add-port br0 tap0"])
}

#[test]
fn golden() {
    let mut switch = switch();
    for (line, expected) in [
        // names in use
        ("add-br br0", "cannot create a bridge named br0 because a bridge named br0 already exists"),
        (
            "add-br tap0",
            "cannot create a bridge named tap0 because a port named tap0 already exists on bridge br0",
        ),
        (
            "add-br e1",
            "cannot create a bridge named e1 because an interface named e1 already exists on bridge br0 (it is a member \
             of bond bond0; \"del-bond-iface bond0 e1\" takes it out)",
        ),
        (
            "add-port br1 tap0",
            "cannot create a port named tap0 because a port named tap0 already exists on bridge br0",
        ),
        ("add-port br0 br1", "cannot create a port named br1 because a bridge named br1 already exists"),
        (
            "add-bond br0 bond0 e3 e4",
            "cannot create a port named bond0 because a port named bond0 already exists on bridge br0 (it is a bond)",
        ),
        (
            "add-bond br1 bond1 e1 e3",
            "cannot create an interface named e1 because an interface named e1 already exists on bridge br0 (it is a \
             member of bond bond0; \"del-bond-iface bond0 e1\" takes it out)",
        ),
        (
            "add-bond-iface bond0 tap0",
            "cannot create an interface named tap0 because a port named tap0 already exists on bridge br0",
        ),
        (
            "add-bond br0 bond1 e3 e3",
            "cannot create an interface named e3 because an interface named e3 already exists on bridge br0 (it is a \
             member of bond bond1; \"del-bond-iface bond1 e3\" takes it out)",
        ),
        (
            "add-bond br0 bond1 bond1",
            "cannot create an interface named bond1 because a port named bond1 already exists on bridge br0 (it is a \
             bond)",
        ),
        // --may-exist with something else there
        (
            "--may-exist add-bond br0 bond0 e1 e3",
            "\"--may-exist add-bond br0 bond0 e1 e3\" but bond0 actually has interface(s) e1, e2",
        ),
        (
            "--may-exist add-bond br1 bond0 e1 e2",
            "\"--may-exist add-bond br1 bond0 e1 e2\" but bond0 is actually attached to bridge br0",
        ),
        (
            "--may-exist add-bond br0 tap0",
            "\"--may-exist add-bond br0 tap0\" but tap0 is a plain port on bridge br0",
        ),
        (
            "--may-exist add-port br1 tap0",
            "\"--may-exist add-port br1 tap0\" but tap0 is actually attached to bridge br0",
        ),
        (
            "--may-exist add-port br0 bond0",
            "\"--may-exist add-port br0 bond0\" but bond0 is a bond on bridge br0 and actually has interface(s) e1, e2",
        ),
        (
            "--may-exist add-port br0 e1",
            "\"--may-exist add-port br0 e1\" but e1 is actually a member of bond bond0",
        ),
        (
            "--may-exist add-br tap0",
            "cannot create a bridge named tap0 because a port named tap0 already exists on bridge br0",
        ),
        // things that are not there
        ("del-br nobr", "no bridge named nobr"),
        ("list-ports br2", "no bridge named br2"),
        ("add-port nobr tap1", "no bridge named nobr"),
        ("add-bond nobr bond1 e3", "no bridge named nobr"),
        ("del-port nosuch", "no port named nosuch"),
        ("del-port tap1", "no port named tap1"),
        ("del-port e1", "no port named e1; it is a member of bond bond0"),
        ("port-to-br zz", "no port named zz"),
        ("iface-to-br zz", "no interface named zz"),
        ("iface-to-br e3", "no interface named e3"),
        (
            "iface-to-br bond0",
            "no interface named bond0; it is a bond (port-to-br finds its bridge, bond/show its members)",
        ),
        ("del-bond-iface zz", "no interface named zz"),
        ("del-bond-iface bond0 zz", "port bond0 does not have an interface zz"),
        ("add-bond-iface nosuch e3", "no port named nosuch"),
        ("add-bond-iface tap0 e3", "port tap0 is not a bond"),
        (
            "del-bond-iface tap0",
            "tap0 is a plain port of bridge br0, not a member of a bond; use \"del-port tap0\"",
        ),
        ("bond/show nosuch", "no such bond: nosuch"),
        ("bond/show bond1", "no such bond: bond1"),
        ("bond/show tap0", "no such bond: tap0 is a plain port of bridge br0"),
        ("fdb/show nobr", "no such bridge: nobr"),
        ("fdb/flush nobr", "no such bridge: nobr"),
        ("counters/show e7", "no counters for e7: it is not a device of this switch"),
        // devices
        ("add-port br0 eth9", "no network device named eth9; create it or check the spelling (ip link)"),
        (
            "add-bond br0 bond1 e3 eth9",
            "no network device named eth9; create it or check the spelling (ip link)",
        ),
        (
            "set interface e1 queue_id=1",
            "member option \"queue_id\" exists in Linux but is not supported by this version: the switch has no transmit \
             queues that a member could be chosen by; leave it out",
        ),
        (
            "set interface e1 miimon=100",
            "\"miimon\" is an option of the bond, not of a member; set it on the bond",
        ),
        ("add-port br0 lo", "lo is the loopback device, which can't be a port; use a veth pair"),
        ("add-port br0 wg0", "wg0 (kind wireguard) carries no Ethernet frames and can't be a port"),
        (
            "add-port br0 vnet0",
            "vnet0 belongs to the kernel's bridge virbr0; take it out first (ip link set vnet0 nomaster)",
        ),
        (
            "add-bond-iface bond0 vnet0",
            "vnet0 belongs to the kernel's bridge virbr0; take it out first (ip link set vnet0 nomaster)",
        ),
        (
            "add-bond br0 bond1 e3 eth7",
            "eth7 belongs to the kernel's openvswitch ovs-system; take it out first (ovs-vsctl del-port eth7)",
        ),
        (
            "add-port br0 virbr0",
            "virbr0 is itself a switch (kind bridge), and only its host's frames can be had from it; add its ports here in \
             its place, or join the two by a veth pair",
        ),
        (
            "add-br virbr0",
            "cannot create a bridge named virbr0 because the host has a network device of kind bridge of that name; \
             choose another name or remove the device (ip link del virbr0)",
        ),
        // names that can't be
        ("add-br a/b", "\"a/b\" can't be the name of a network device: it contains '/'"),
        ("add-br tap%d", "\"tap%d\" can't be the name of a network device: it contains '%'"),
        (
            "add-bond br0 a-very-long-name e3",
            "\"a-very-long-name\" can't be the name of a network device: it has 16 characters, but a network device's \
             name has at most 15",
        ),
        // places
        (
            "del-port br0",
            "cannot delete port br0 because it is the local port for bridge br0 (deleting this port requires deleting \
             the entire bridge)",
        ),
        ("del-port br1 tap0", "bridge br1 does not have a port tap0; it is on bridge br0"),
        (
            "--may-exist add-bond-iface bond0 e3 -- add-bond br0 bond1 -- --may-exist add-bond-iface bond1 e3",
            "\"--may-exist add-bond-iface bond1 e3\" but e3 is actually attached to port bond0",
        ),
        (
            "add-bond br0 bond1 -- del-bond-iface bond1 e1",
            "port bond1 does not have an interface e1; it is a member of bond bond0",
        ),
        // what is new has no state yet
        (
            "add-bond br0 bond1 e3 -- bond/show bond1",
            "bond bond1 is new in this call and has no state yet; ask in a call of its own",
        ),
    ] {
        assert_eq!(switch.error(line), expected, "{line}");
    }
}

#[test]
fn control_characters_are_not_echoed() {
    let request = Request::AddBridge { bridge: "a\u{1b}[2J".into(), may_exist: false };
    let error = execute(&Model::default(), &mut FakeRuntime::new(), &[request]).unwrap_err();
    assert!(!error.message.contains('\u{1b}'), "{error}");
}
