//! The command lines that other programs send, word by word. They work, or fail with a reason that says what is missing.

use super::*;

fn switch() -> Switch {
    Switch::after(&["add-br br0", "add-bond br0 bond0 e1 e2"])
}

#[test]
fn libvirt() {
    let mut switch = switch();
    let mac = "external-ids:attached-mac=\\\"52:54:00:00:00:01\\\"".replace('\\', "");
    let plug = format!(
        "--timeout=5 -- --if-exists del-port tap0 -- add-port br0 tap0 vlan_mode=native-untagged tag=42 trunk=42,47 \
         -- set Interface tap0 '{mac}' -- set Interface tap0 'external-ids:iface-id=\"9d3a\"' \
         -- set Interface tap0 'external-ids:vm-id=\"6f1c8a2e-0000-4000-8000-00000000000a\"' \
         -- set Interface tap0 external-ids:iface-status=active"
    );
    switch.call(&plug).unwrap();
    switch.call(&plug).unwrap();
    assert_eq!(
        switch.text("get Interface tap0 external_ids"),
        "{attached-mac=\"52:54:00:00:00:01\", iface-id=\"9d3a\", iface-status=active, \
         vm-id=\"6f1c8a2e-0000-4000-8000-00000000000a\"}\n"
    );
    assert_eq!(switch.text("get port tap0 vlan_mode tag trunks"), "native-untagged\n42\n[42, 47]\n");
    assert_eq!(switch.text("--timeout=5 --if-exists get Interface tap0 external_ids:PortData"), "\n");
    switch.call("--timeout=5 set Interface tap0 'external_ids:PortData=\"a b\"'").unwrap();
    assert_eq!(switch.text("--timeout=5 --if-exists get Interface tap0 external_ids:PortData"), "\"a b\"\n");
    assert_eq!(switch.text("--timeout=5 --if-exists get Interface tap9 name"), "");
    switch.runtime.counters =
        vec![DeviceCounters { device: "tap0".into(), rx_bytes: 7, ..Default::default() }];
    let counters = [
        "rx_bytes",
        "rx_packets",
        "rx_errors",
        "rx_dropped",
        "tx_bytes",
        "tx_packets",
        "tx_errors",
        "tx_dropped",
    ];
    let wanted: Vec<_> = counters.iter().map(|name| format!("statistics:{name}")).collect();
    let read = format!("--timeout=5 --if-exists -- get Interface tap0 {}", wanted.join(" "));
    assert_eq!(switch.text(&read), "7\n0\n0\n0\n0\n0\n0\n0\n");
    switch.call("--timeout=5 -- --if-exists del-port tap0").unwrap();
    switch.call("--timeout=5 -- --if-exists del-port tap0").unwrap();
}

#[test]
fn xen() {
    let mut switch = switch();
    let plug = |settings: &str| {
        format!(
            "--timeout=30 -- --if-exists del-port tap1 -- add-port br0 tap1 {settings} -- set interface tap1 \
             'external-ids:\"xen-vm-name\"=\"my vm\"' -- set interface tap1 'external-ids:\"attached-mac\"=\"00:16:3e:00:00:01\"'"
        )
    };
    switch.call(&plug("tag=44")).unwrap();
    switch.call(&plug("trunk=45,46")).unwrap();
    assert_eq!(switch.text("get interface tap1 external_ids:xen-vm-name"), "\"my vm\"\n");
    // Open vSwitch takes this for an access port and leaves the trunks out.
    let error = switch.error(&plug("tag=44 trunk=45,46"));
    assert!(error.contains("tag and trunks together need vlan_mode=native-tagged"), "{error}");
    switch.call("--timeout=30 -- --if-exists del-port tap1").unwrap();
}

#[test]
fn xapi() {
    let mut switch = switch();
    switch
        .call(
            "--timeout=20 -- --may-exist add-br xenbr0 -- set bridge xenbr0 fail_mode=standalone \
             other-config:disable-in-band=true other-config:mac-table-size=10000 mcast_snooping_enable=false",
        )
        .unwrap();
    switch
        .call(
            "--timeout=20 -- --may-exist add-bond xenbr0 bond1 e3 e4 -- set port bond1 lacp=off bond_mode=active-backup \
             bond_updelay=31000 bond_downdelay=200 other-config:bond-miimon-interval=100 \
             other-config:bond-detect-mode=carrier",
        )
        .unwrap();
    assert_eq!(switch.text("get port bond1 bond_mode"), "active-backup\n");
    assert_eq!(switch.text("--bare -f table -- --columns=name find port fake_bridge=true"), "");
    assert_eq!(switch.text("br-to-parent xenbr0 -- br-to-vlan xenbr0"), "xenbr0\n0\n");
    let interfaces = switch.text("get port bond1 interfaces");
    let uuids: Vec<_> = interfaces.trim().trim_matches(['[', ']']).split(", ").map(str::to_owned).collect();
    let mut names: Vec<_> =
        uuids.iter().map(|uuid| switch.text(&format!("get interface {uuid} name"))).collect();
    names.sort();
    assert_eq!(names, ["e3\n", "e4\n"]);
    assert!(switch.text("bond/show bond1").contains("\nactive member mac: 02:00:00:00:01:00(e3)\n"));
    for (line, reason) in [
        (
            "--may-exist add-br xapi0 xenbr0 5",
            "a VLAN of a bridge is no bridge here; give ports a tag instead",
        ),
        ("set port bond1 MAC=\"00:11:22:33:44:55\"", "a port has the address of its device"),
        ("set port bond1 lacp=on", "active, passive, off"),
        ("set bridge nosuch fail_mode=secure", "no row \"nosuch\" in table Bridge"),
        ("list-ports nosuch", "no bridge named nosuch"),
    ] {
        let error = switch.error(line);
        assert!(error.contains(reason), "{line}: {error}");
    }
    let slb = "--timeout=20 -- set port bond1 lacp=off bond_mode=balance-slb \
        other-config:bond-rebalance-interval=1800000 -- get port bond1 bond_mode other-config:bond-rebalance-interval";
    assert_eq!(switch.text(slb), "balance-slb\n\"1800000\"\n");
    assert!(switch.text("bond/show bond1").contains("\nrebalance_interval: 1800000\n"));
    // What the mode has anyway is not listed.
    for (interval, listed) in [("0", ", bond-rebalance-interval=\"0\""), ("10000", "")] {
        let set = format!(
            "set port bond1 other-config:bond-rebalance-interval={interval} -- get port bond1 other-config"
        );
        assert_eq!(switch.text(&set), format!("{{bond-miimon-interval=\"100\"{listed}}}\n"));
    }
    switch.call("set port bond1 bond_mode=active-backup").unwrap();
    let lacp = "--timeout=20 -- --may-exist add-bond xenbr0 bond1 e3 e4 -- set port bond1 lacp=active \
        bond_mode=balance-tcp other-config:bond-rebalance-interval=20000 other-config:lacp-time=fast \
        other-config:lacp-fallback-ab=true -- set interface e3 other-config:lacp-aggregation-key=5 \
        -- set interface e4 other-config:lacp-aggregation-key=5";
    assert_eq!(switch.call(lacp).unwrap().warnings, [""; 0]);
    assert_eq!(switch.text("get port bond1 bond_mode lacp"), "balance-tcp\nactive\n");
    assert_eq!(switch.text("get interface e3 other_config:lacp-aggregation-key"), "\"5\"\n");
    switch.call("--timeout=20 -- --with-iface --if-exists del-port e3").unwrap();
    assert!(switch.model.bond("bond1").is_none(), "the port that has the interface");
}

#[test]
fn netplan() {
    let mut switch = switch();
    switch.call("--may-exist add-br br1").unwrap();
    switch.call("--may-exist add-bond br1 bond1 e3 e4 -- set Port bond1 external-ids:netplan=true").unwrap();
    switch.call("set Port bond1 lacp=off -- set Port bond1 external-ids:netplan/lacp=off").unwrap();
    switch.call("set Port bond1 bond_mode=active-backup -- set Port bond1 external-ids:netplan/bond_mode=active-backup").unwrap();
    switch.call("set-fail-mode br1 standalone -- set Bridge br1 mcast_snooping_enable=false -- set Bridge br1 rstp_enable=false").unwrap();
    switch.call("set Bridge br1 external-ids:netplan=true").unwrap();
    assert_eq!(
        switch.text("--columns=name,external-ids -f csv -d bare --no-headings list Port"),
        "bond0,\nbond1,netplan=true netplan/bond_mode=active-backup netplan/lacp=off\nbr0,\nbr1,\n"
    );
    switch.call("set Port bond1 lacp=active -- set Port bond1 external-ids:netplan/lacp=active").unwrap();
    switch.call("set Port bond1 bond_mode=balance-tcp -- set Port bond1 external-ids:netplan/bond_mode=balance-tcp").unwrap();
    assert_eq!(switch.text("get Port bond1 lacp bond_mode"), "active\nbalance-tcp\n");
    let error = switch.error("set Bridge br1 protocols=OpenFlow13");
    assert_eq!(
        error,
        "protocols: \"OpenFlow13\" is not possible here: this switch forwards by itself and speaks no OpenFlow"
    );
    let error = switch.error("add-port br1 p0 -- set Interface p0 type=patch options:peer=p1");
    assert!(error.starts_with("no network device named p0"), "{error}");
    assert_eq!(
        switch.error("set-controller br1 tcp:1.2.3.4"),
        "'set-controller' is not possible here: this switch forwards by itself and speaks no OpenFlow"
    );
}

#[test]
fn ansible() {
    let mut switch = switch();
    assert_eq!(switch.text("-t 5 list-ports br0"), "bond0\n");
    switch.call("-t 5 add-bond br0 bond1 e3 e4 bond_mode=active-backup lacp=off bond_updelay=100 bond_downdelay=200").unwrap();
    switch.call("-t 5 set port bond1 other_config:bond-primary=e3").unwrap();
    assert_eq!(switch.text("-t 5 get Port bond1 other_config"), "{bond-primary=e3}\n");
    assert_eq!(switch.text("-t 5 get Port bond1 external_ids"), "{}\n");
    switch.call("-t 5 del-port br0 bond1").unwrap();
    switch.call("-t 5 add-bond br0 bond1 e3 e4 bond_mode=balance-tcp lacp=active").unwrap();
    for (key, value) in [
        ("lacp-time", "fast"),
        ("lacp-system-id", "02:00:00:00:00:77"),
        ("lacp-system-priority", "7"),
        ("bond-rebalance-interval", "5000"),
        ("lacp-fallback-ab", "true"),
    ] {
        switch.call(&format!("-t 5 set port bond1 other_config:{key}={value}")).unwrap();
        assert_eq!(
            switch.text(&format!("get port bond1 other_config:{key}")).trim().trim_matches('"'),
            value
        );
    }
    assert_eq!(
        switch.text("-t 5 get Port bond1 other_config"),
        "{bond-rebalance-interval=\"5000\", lacp-fallback-ab=\"true\", lacp-system-id=\"02:00:00:00:00:77\", \
         lacp-system-priority=\"7\", lacp-time=fast}\n"
    );
    switch.call("-t 5 del-port br0 bond1").unwrap();
}

#[test]
fn debian_and_red_hat() {
    let mut switch = switch();
    let outcome =
        switch.call("-t 5 -- --fake-iface add-bond br0 bond1 e3 e4 bond_mode=active-backup tag=5").unwrap();
    assert_eq!(outcome.warnings, ["--fake-iface: bond bond1 gets no network device of its own"]);
    switch
        .call("-t 10 -- --if-exists del-port br0 bond1 -- add-bond br0 bond1 e3 e4 bond_mode=active-backup")
        .unwrap();
    switch.call("-t 10 -- --may-exist add-br br1 -- --if-exists del-port br1 e9 -- add-port br1 e9").unwrap();
}

#[test]
fn openstack() {
    let mut switch = switch();
    switch
        .call(
            "--timeout=120 --oneline --format=json --db=tcp:127.0.0.1:6640 -- --may-exist add-port br0 tap2 -- set Interface tap2 \
             external_ids:iface-id=ab external_ids:iface-status=active external_ids:attached-mac=fa:16:3e:00:00:01 \
             external_ids:vm-uuid=cd",
        )
        .unwrap();
    let error = switch.error("-- set Port tap2 tag=4095");
    assert_eq!(error, "tag: \"4095\" is not a VLAN ID; use a number from 1 to 4094");
    let error = switch.error("set Interface tap2 mtu_request=1450");
    assert!(error.contains("ip link set DEVICE mtu N"), "{error}");
}
