//! Directories of `ifcfg-*` files.

use super::*;

/// Files by name and text.
fn import_on(host: &Host, bridge: Option<&str>, files: &[(&str, &str)]) -> Outcome {
    let sources: Vec<Source> = files.iter().map(|(name, text)| source(name, text)).collect();
    crate::import::ifcfg::plan(&sources, host, bridge)
}

fn import(files: &[(&str, &str)]) -> Outcome {
    import_on(&Host { macs: Some(BTreeMap::new()) }, None, files)
}

fn good(files: &[(&str, &str)]) -> Plan {
    import(files).unwrap_or_else(|problems| panic!("{:?}", texts(&problems)))
}

fn bad(files: &[(&str, &str)]) -> Vec<String> {
    texts(&import(files).expect_err("there are problems"))
}

const ETH0: (&str, &str) = ("ifcfg-eth0", "DEVICE=eth0\nMASTER=bond0\nSLAVE=yes\n");
const ETH1: (&str, &str) = ("ifcfg-eth1", "DEVICE=eth1\nMASTER=bond0\nSLAVE=yes\n");
const BR0: (&str, &str) = ("ifcfg-br0", "DEVICE=br0\nTYPE=Bridge\n");

/// Of a bond with two members in `br0`.
fn with_options(options: &str) -> Outcome {
    import(&[("ifcfg-bond0", &format!("DEVICE=bond0\nBRIDGE=br0\n{options}\n")), ETH0, ETH1])
}

#[test]
fn bond_members_and_bridge() {
    let plan = good(&[
        (
            "ifcfg-eth1",
            "# second\nDEVICE='eth1'\nMASTER=\"bond0\" # its bond\nSLAVE=yes\nONBOOT=yes\nUSERCTL=no\n",
        ),
        (
            "ifcfg-br0",
            "DEVICE=br0\nTYPE=Bridge\nBOOTPROTO=none\nIPADDR=192.168.1.100\nNETMASK=255.255.255.0\nONBOOT=yes\n",
        ),
        (
            "ifcfg-bond0",
            "DEVICE=bond0\nTYPE=Bond\nBONDING_MASTER=yes\nBONDING_OPTS=\"mode=1 miimon=100\"\nBRIDGE=br0\nONBOOT=yes\n",
        ),
        ETH0,
    ]);
    assert_eq!(
        commands(&plan),
        "--may-exist add-br br0 -- --may-exist add-bond br0 bond0 mode=1 miimon=100 -- --may-exist add-bond-iface bond0 eth0 -- --may-exist add-bond-iface bond0 eth1"
    );
    assert_eq!(plan.steps[1].place.to_string(), "ifcfg-bond0:1");
    assert_eq!(
        texts(&plan.notes),
        [
            "ifcfg-bond0: the network configuration must not make the same bonds and bridges in the kernel: take them down \
         first, and TYPE=, MASTER=, SLAVE= and BRIDGE= out of their files",
            "ifcfg-br0:4: IPADDR, NETMASK: addresses stay with the network configuration; br0 is the bridge's internal port \
         then",
        ]
    );
}

#[test]
fn a_xen_host() {
    let plan = good(&[
        ("ifcfg-bond0", "DEVICE=bond0\nBONDING_OPTS='miimon=100 mode=1 use_carrier=0'\nBRIDGE=xenbr0\n"),
        ETH0,
        ETH1,
        ("ifcfg-xenbr0", "DEVICE=xenbr0\nTYPE=bridge\nBOOTPROTO=dhcp\nDELAY=0\nSTP=off\n"),
    ]);
    assert_eq!(
        commands(&plan),
        "--may-exist add-br xenbr0 -- --may-exist add-bond xenbr0 bond0 miimon=100 mode=1 -- --may-exist add-bond-iface bond0 eth0 -- --may-exist add-bond-iface bond0 eth1"
    );
    assert_eq!(
        about(&plan.notes, "ifcfg-bond0:2"),
        [
            "ifcfg-bond0:2: use_carrier=0 is left out: carrier is always watched, by kernel events, and never asked for by \
         ioctl"
        ]
    );
    assert_eq!(
        about(&plan.notes, "ifcfg-xenbr0"),
        [
            "ifcfg-xenbr0:3: BOOTPROTO: addresses stay with the network configuration; xenbr0 is the bridge's internal port \
         then"
        ]
    );
}

#[test]
fn options_by_number_or_name_are_the_option_parsers() {
    for words in [
        "mode=1 miimon=100 downdelay=2000 updelay=5000",
        "mode=0 downdelay=0 updelay=5000",
        "mode=active-backup primary=eth1 primary_reselect=failure",
        "mode=balance-xor xmit_hash_policy=layer2+3",
        "mode=broadcast",
        "mode=1 arp_interval=100 arp_ip_target=192.168.1.1",
        "mode=0 miimon=100 arp_interval=100 arp_ip_target=192.168.1.1,10.0.0.1 arp_validate=3",
    ] {
        let plan = with_options(&format!("BONDING_OPTS=\"{words}\"")).unwrap();
        assert_eq!(
            commands(&plan),
            format!(
                "--may-exist add-br br0 -- --may-exist add-bond br0 bond0 {words} -- --may-exist add-bond-iface bond0 eth0 -- --may-exist add-bond-iface bond0 eth1"
            )
        );
    }
    // What the parser has to say is told with file and line, whichever modes there are.
    for words in [
        "mode=6 miimon=100",
        "mode=4 lacp_rate=1",
        "arp_interval=100 arp_ip_target=192.168.1.1,10.0.0.1 mode=2",
    ] {
        let mut options = bond_port::BondOptions::default();
        let pairs = words.split(' ').filter_map(|word| word.split_once('='));
        let refused: Vec<String> = pairs
            .filter_map(|(key, value)| options.set(key, value).err())
            .map(|error| format!("ifcfg-bond0:3: bond0: {error}"))
            .collect();
        match with_options(&format!("BONDING_OPTS=\"{words}\"")) {
            Ok(plan) => {
                assert_eq!(refused, [""; 0], "{words}");
                assert!(commands(&plan).contains(&format!("add-bond br0 bond0 {words} -- ")), "{words}");
            }
            Err(problems) => {
                let mut refused = refused;
                refused.sort();
                assert_eq!(texts(&problems), refused, "{words}");
            }
        }
    }
}

#[test]
fn wrong_options_are_named_by_file_and_line() {
    let problems = |options: &str| texts(&with_options(options).expect_err(options));
    let allowed = problems("\nBONDING_OPTS=\"mode=7 miimon=x\"");
    assert_eq!(allowed.len(), 2, "{allowed:?}");
    assert!(
        allowed[0].starts_with("ifcfg-bond0:4: bond0: bond option miimon: \"x\" is not a valid value"),
        "{allowed:?}"
    );
    assert!(
        allowed[1].starts_with("ifcfg-bond0:4: bond0: bond option mode: \"7\" is not a valid value"),
        "{allowed:?}"
    );
    assert_eq!(
        problems("BONDING_OPTS=moed=1"),
        ["ifcfg-bond0:3: bond0: unknown bond option \"moed\"; did you mean \"mode\"?"]
    );
    assert_eq!(
        problems("BONDING_OPTS='mode 1'"),
        ["ifcfg-bond0:3: \"1\" is not OPTION=VALUE", "ifcfg-bond0:3: \"mode\" is not OPTION=VALUE"]
    );
    assert_eq!(
        problems("BONDING_OPTS='mode=balance-rr primary=eth0'"),
        [
            "ifcfg-bond0:3: bond0: bond option primary is not supported in mode balance-rr; clear it (primary=) or choose \
         another mode"
        ]
    );
    assert_eq!(
        problems("BONDING_OPTS=mode=1 miimon=100"),
        ["ifcfg-bond0:3: miimon stands alone; options of a bond belong together between the quotes of \
         BONDING_OPTS=\"...\""]
    );
    assert_eq!(
        problems("BONDING_OPTS=\"$OPTS\""),
        [
            "ifcfg-bond0:3: \"$OPTS\" is not OPTION=VALUE",
            "ifcfg-bond0:3: BONDING_OPTS: nothing is expanded here; write the value itself instead of $ or `"
        ]
    );
}

#[test]
fn linuxs_mode_is_the_default_and_the_last_of_two_words_counts() {
    let plan = with_options("BONDING_OPTS=miimon=100").unwrap();
    assert!(commands(&plan).contains("bond0 mode=balance-rr miimon=100 -- "));
    assert_eq!(
        about(&plan.notes, "ifcfg-bond0:3"),
        ["ifcfg-bond0:3: no mode is given for bond0; Linux's default is taken, balance-rr"]
    );
    let plan =
        with_options("BONDING_OPTS='mode=0 miimon=50 mode=1'\nBONDING_OPTS='mode=0 mode=1 miimon=100'")
            .unwrap();
    assert!(commands(&plan).contains("bond0 mode=1 miimon=100 -- "));
    let plan = with_options("").unwrap();
    assert!(commands(&plan).contains("add-bond br0 bond0 -- --may-exist add-bond-iface bond0 eth0 -- "));
    assert!(
        about(&plan.notes, "ifcfg-bond0:1")[0]
            .contains("has no BONDING_OPTS=; a new bond is active-backup here")
    );
}

#[test]
fn a_bond_without_a_bridge_gets_one_of_its_own() {
    let bond0 = ("ifcfg-bond0", "DEVICE=bond0\nTYPE=Bond\nIPADDR=10.0.0.1\nBONDING_OPTS=mode=1\n");
    let plan = good(&[bond0, ETH0]);
    assert_eq!(
        commands(&plan),
        "--may-exist add-br br0 -- --may-exist add-bond br0 bond0 mode=1 -- --may-exist add-bond-iface bond0 eth0"
    );
    assert_eq!(
        about(&plan.notes, "ifcfg-bond0:"),
        [
            "ifcfg-bond0: the network configuration must not make the same bonds and bridges in the kernel: take them down \
         first, and TYPE=, MASTER=, SLAVE= and BRIDGE= out of their files",
            "ifcfg-bond0:1: bond0 has no BRIDGE=; here every bond is in a bridge, and it gets br0 (otherwise: --bridge=NAME)",
            "ifcfg-bond0:3: IPADDR: addresses stay with the network configuration; put them on br0, the bridge's internal port",
        ]
    );
    let bond1 = ("ifcfg-bond1", "DEVICE=bond1\nBONDING_OPTS=mode=1\n");
    let plan = good(&[bond0, bond1, ETH0]);
    assert_eq!(
        commands(&plan),
        "--may-exist add-br br0 -- --may-exist add-bond br0 bond0 mode=1 -- --may-exist add-bond-iface bond0 eth0 -- \
         --may-exist add-br br1 -- --may-exist add-bond br1 bond1 mode=1"
    );
    let host = Host::default();
    let plan = import_on(&host, Some("lan"), &[bond0, ETH0]).unwrap();
    assert_eq!(
        commands(&plan),
        "--may-exist add-br lan -- --may-exist add-bond lan bond0 mode=1 -- --may-exist add-bond-iface bond0 eth0"
    );
    // Never into a bridge that is described and does not mention it: that may be a loop.
    let problems = bad(&[bond0, ETH0, BR0]);
    assert_eq!(
        problems,
        [
            "ifcfg-bond0:1: bond0 has no BRIDGE=, and br0, which it would get, is described without it; if it belongs there \
         or elsewhere, write BRIDGE=NAME in its file, or import with --bridge=NAME"
        ]
    );
    let uplink = ("ifcfg-uplink", "DEVICE=uplink\nTYPE=Bond\nBONDING_OPTS=mode=1\n");
    assert_eq!(
        bad(&[uplink]),
        [
            "ifcfg-uplink:1: uplink has no BRIDGE=, but here every bond is in a bridge; write BRIDGE=NAME in its file, or \
         import with --bridge=NAME"
        ]
    );
    assert!(import_on(&host, Some("br9"), &[uplink]).is_ok());
}

#[test]
fn a_bond_that_only_its_members_name_and_ports_without_bonds() {
    let plan = good(&[ETH1, ETH0]);
    assert_eq!(
        commands(&plan),
        "--may-exist add-br br0 -- --may-exist add-bond br0 bond0 -- --may-exist add-bond-iface bond0 eth0 -- --may-exist add-bond-iface bond0 eth1"
    );
    assert_eq!(plan.steps[1].place.to_string(), "ifcfg-eth0:2");
    let plan = good(&[
        BR0,
        ("ifcfg-eth5", "DEVICE=eth5\nBRIDGE=br0\n"),
        ("ifcfg-eth6", "DEVICE=eth6\nBRIDGE=br6\n"),
    ]);
    assert_eq!(
        commands(&plan),
        "--may-exist add-br br0 -- --may-exist add-port br0 eth5 -- --may-exist add-br br6 -- --may-exist add-port br6 eth6"
    );
    assert_eq!(commands(&good(&[BR0])), "--may-exist add-br br0");
}

#[test]
fn members_are_in_the_order_of_file_names() {
    let plan = good(&[
        ("ifcfg-z", "DEVICE=eth0\nMASTER=bond0\nSLAVE=yes"),
        ("ifcfg-eth2", "DEVICE=eth2\nMASTER=bond0\nSLAVE=yes"),
        ("ifcfg-eth10", "DEVICE=eth10\nMASTER=bond0\nSLAVE=yes"),
    ]);
    assert!(commands(&plan).ends_with(
        "add-bond-iface bond0 eth10 -- --may-exist add-bond-iface bond0 eth2 -- --may-exist add-bond-iface bond0 eth0"
    ));
}

#[test]
fn copies_and_files_of_other_things_are_passed_over() {
    let other = "DEVICE=eth9\nMASTER=bond0\nSLAVE=yes";
    let plan = good(&[
        ETH0,
        ("ifcfg-lo", "DEVICE=lo\nBRIDGE=br0"),
        ("ifcfg-eth9.bak", other),
        ("ifcfg-eth9~", other),
        ("ifcfg-eth9.rpmnew", other),
        ("ifcfg-eth9.rpmsave", other),
        ("ifcfg-eth0:1", "DEVICE=eth0:1\nIPADDR=1.2.3.4"),
        ("ifcfg-eth0-range", other),
        ("route-eth0", "rubbish ("),
        ("ifcfg-", other),
    ]);
    assert!(commands(&plan).ends_with("bond0 eth0"));
    let copies = about(&plan.notes, "ifcfg-eth9");
    assert_eq!(copies.len(), 4);
    assert_eq!(copies[0], "ifcfg-eth9.bak: passed over, as the network scripts do: it is a copy");
}

#[test]
fn networkmanagers_files() {
    let plan = good(&[
        (
            "ifcfg-Bond_connection_1",
            "DEVICE=bond0\nTYPE=Bond\nUUID=aa-1\nBRIDGE_UUID=BB-2\nBONDING_OPTS=\"mode=active-backup\"",
        ),
        ("ifcfg-Bridge_1", "DEVICE=br7\nTYPE=Bridge\nUUID=bb-2"),
        (
            "ifcfg-bond0_slave_1",
            "DEVICE=ens3\nTYPE=Ethernet\nMASTER_UUID=aa-1\nMASTER=bond0\nSLAVE=yes\nNAME='bond0 slave 1'",
        ),
        ("ifcfg-bond0_slave_2", "DEVICE=ens4\nMASTER=aa-1"),
    ]);
    assert_eq!(
        commands(&plan),
        "--may-exist add-br br7 -- --may-exist add-bond br7 bond0 mode=active-backup -- --may-exist add-bond-iface bond0 ens3 -- --may-exist add-bond-iface bond0 ens4"
    );
    assert_eq!(
        about(&plan.notes, "ifcfg-bond0_slave_2"),
        ["ifcfg-bond0_slave_2:2: there is no SLAVE=yes; ens4 is taken for a member of bond0 all the same"]
    );
}

#[test]
fn what_is_not_imported_is_told() {
    let plan = good(&[
        (
            "ifcfg-eth0",
            "DEVICE=eth0\nMASTER=bond0\nSLAVE=yes\nMTU=9000\nBRDGE=x\nONBOOT=no\nNM_CONTROLLED=no\n",
        ),
        ("ifcfg-eth7", "DEVICE=eth7\nBOOTPROTO=dhcp\n"),
        ("ifcfg-br0", "DEVICE=br0\nTYPE=Bridge\nSTP=yes\nFOO=1"),
        ("ifcfg-bond0", "DEVICE=bond0\nBRIDGE=br0\nBONDING_OPTS=mode=1"),
    ]);
    assert_eq!(
        about(&plan.notes, "ifcfg-eth"),
        [
            "ifcfg-eth0:4: MTU=9000 is not imported: the switch sets no MTU: set it on every device of the bridge, and on \
         the bridge's internal port (ip link set DEVICE mtu N)",
            "ifcfg-eth0:5: unknown key BRDGE is ignored; did you mean \"BRIDGE\"?",
            "ifcfg-eth0:6: eth0 is imported although it is not started at boot (ONBOOT)",
            "ifcfg-eth7:1: eth7 is in no bond and no bridge; it is left alone",
        ]
    );
    assert_eq!(
        about(&plan.notes, "ifcfg-br0"),
        [
            "ifcfg-br0:3: STP=yes is not imported: there is no spanning tree here; see that there is no loop",
            "ifcfg-br0:4: unknown key FOO is ignored",
        ]
    );
}

#[test]
fn vlan_devices() {
    let bond = ("ifcfg-bond0", "DEVICE=bond0\nBRIDGE=br0\nBONDING_OPTS=mode=1");
    let plan = good(&[bond, ETH0, ("ifcfg-bond0.10", "DEVICE=bond0.10\nVLAN=yes\nIPADDR=10.0.0.1")]);
    assert_eq!(
        about(&plan.notes, "ifcfg-bond0.10"),
        [
            "ifcfg-bond0.10:1: bond0.10 can't be above bond0 any more; make it above br0 (ip link add link br0 name br0.10 \
         type vlan id 10)"
        ]
    );
    let problems = bad(&[bond, ETH0, ("ifcfg-v", "DEVICE=vlan10\nVLAN=yes\nPHYSDEV=bond0\nBRIDGE=br10")]);
    assert_eq!(
        problems,
        [
            "ifcfg-v:4: vlan10 can't be used: bond0 is the switch's, which carries every VLAN of it. Other ports of its \
         bridge take part in VLAN 10 by their tag (vsctl add-port BRIDGE PORT tag=10), the host by a VLAN device on the \
         bridge; import without this line"
        ]
    );
    // The kernel's VLAN device above a NIC that stays with the host is a device like any other.
    let plan = good(&[bond, ETH0, ("ifcfg-eth5.10", "DEVICE=eth5.10\nVLAN=yes\nBRIDGE=br10")]);
    assert!(commands(&plan).ends_with("--may-exist add-br br10 -- --may-exist add-port br10 eth5.10"));
}

#[test]
fn hardware_addresses() {
    let mac = |last| MacAddr([2, 0, 0, 0, 0, last]);
    let macs = [("eth0", 1), ("eth1", 2), ("eth1.5", 2), ("enp3s0", 3)];
    let host = Host { macs: Some(macs.map(|(name, last)| (name.to_owned(), mac(last))).into()) };
    let eth = |device: &str, last| {
        let text = format!("DEVICE={device}\nHWADDR=02:00:00:00:00:0{last}\nMASTER=bond0\nSLAVE=yes");
        import_on(&host, None, &[("ifcfg-x", text.as_str())])
    };
    let problems = |device, last| texts(&eth(device, last).expect_err(device));
    assert!(eth("eth0", 1).is_ok());
    assert!(eth("eth1", 2).is_ok());
    assert!(eth("eth8", 8).is_ok(), "the daemon will say that there is none");
    assert_eq!(
        problems("eth0", 3),
        [
            "ifcfg-x:2: HWADDR is 02:00:00:00:00:03, but eth0 has 02:00:00:00:00:01; the device with that address is \
         enp3s0; correct DEVICE or HWADDR, or take HWADDR out"
        ]
    );
    assert_eq!(
        problems("eth0", 2),
        [
            "ifcfg-x:2: HWADDR is 02:00:00:00:00:02, but eth0 has 02:00:00:00:00:01; correct DEVICE or HWADDR, or take \
         HWADDR out"
        ]
    );
    assert_eq!(
        problems("eth3", 3),
        [
            "ifcfg-x:2: there is no device \"eth3\"; the device with that address is enp3s0; correct DEVICE, or rename the \
         device"
        ]
    );
    let only =
        import_on(&host, None, &[("ifcfg-x", "HWADDR=02:00:00:00:00:03\nMASTER=bond0\nSLAVE=yes")]).unwrap();
    assert!(commands(&only).ends_with("bond0 enp3s0"));
    let unknown = import_on(
        &Host::default(),
        None,
        &[("ifcfg-eth4", "HWADDR=02:00:00:00:00:03\nMASTER=bond0\nSLAVE=yes")],
    );
    let unknown = unknown.unwrap();
    assert!(commands(&unknown).ends_with("bond0 eth4"));
    assert_eq!(
        about(&unknown.notes, "ifcfg-eth4:1"),
        ["ifcfg-eth4:1: HWADDR is not checked: the devices can't be listed"]
    );
    assert_eq!(
        bad(&[("ifcfg-x", "DEVICE=eth0\nMASTER=bond0\nSLAVE=yes\nHWADDR=aa:bb")]),
        ["ifcfg-x:4: HWADDR: \"aa:bb\" is not a MAC address; write six octets like 02:00:00:00:00:01"]
    );
}

#[test]
fn contradictions() {
    assert_eq!(
        bad(&[("ifcfg-eth0", "DEVICE=eth0\nSLAVE=yes\nMASTRE=bond0")]),
        ["ifcfg-eth0:1: eth0 has SLAVE=yes, but no MASTER= that names its bond"]
    );
    assert_eq!(
        bad(&[ETH0, ("ifcfg-eth1", "DEVICE=eth1\nMASTER=bond0\nSLAVE=yes\nBRIDGE=br5")]),
        ["ifcfg-eth1:4: eth1 is a member of bond0; BRIDGE= belongs to the bond, in its file"]
    );
    assert_eq!(
        bad(&[BR0, ("ifcfg-eth0", "DEVICE=eth0\nMASTER=br0\nSLAVE=yes")]),
        ["ifcfg-eth0:2: br0 is a bridge and no bond; see ifcfg-br0:1"]
    );
    assert_eq!(
        bad(&[(
            "ifcfg-bond0",
            "DEVICE=bond0\nTYPE=Bond\nBONDING_OPTS=mode=1\nMASTER=bond1\nSLAVE=yes\nBRIDGE=br0"
        )])[0],
        "ifcfg-bond0:4: bond0 is a bond and can't be a member of bond1"
    );
    assert_eq!(
        bad(&[ETH0, ("ifcfg-eth0-old", ETH0.1)]),
        ["ifcfg-eth0-old:1: eth0 is described in ifcfg-eth0:1 too; keep one"]
    );
    let both = "is named in one file as MASTER=, a bond, and in another as BRIDGE=";
    assert_eq!(
        bad(&[("ifcfg-eth0", "DEVICE=eth0\nBRIDGE=bond0"), ETH1]),
        [format!("ifcfg-eth0:2: bond0 {both}"), format!("ifcfg-eth1:2: bond0 {both}")]
    );
    assert_eq!(
        bad(&[("ifcfg-bond0", "DEVICE=bond0\nTYPE=Bond"), ("ifcfg-eth0", "DEVICE=eth0\nBRIDGE=bond0")]),
        ["ifcfg-eth0:2: bond0 is a bond and no bridge; see ifcfg-bond0:1"]
    );
    for (name, what) in [
        ("--", "begins with -"),
        ("a=b", "has a = in it"),
        ("a/b", "contains '/'"),
        ("averylongname123", "at most 15"),
    ] {
        let problems = bad(&[("ifcfg-x", &format!("DEVICE='{name}'\nMASTER=bond0\nSLAVE=yes"))]);
        assert!(problems[0].starts_with("ifcfg-x:1: ") && problems[0].contains(what), "{problems:?}");
    }
    assert_eq!(
        bad(&[("ifcfg-eth7", "DEVICE=eth7\nBOOTPROTO=dhcp")]),
        ["ifcfg-*: nothing to import: no file describes a bond or a bridge (MASTER=, BRIDGE=, TYPE=)"]
    );
}

#[test]
fn malformed_files_are_named_by_line_and_all_at_once() {
    let problems = bad(&[
        ("ifcfg-bond0", "DEVICE=bond0\nBONDING_OPTS=\"mode=1 miimon=100\nBRIDGE=br0\n"),
        ("ifcfg-eth0", "DEVICE=eth0\n\nMASTER = bond0\n"),
        ("ifcfg-eth1", "DEVICE=eth1\nMASTER=bond0\nSLAVE=yes\0\n"),
        ("ifcfg-eth2", "DEVICE=eth2\r\nMASTER=bond0\r\n"),
    ]);
    assert_eq!(
        problems,
        [
            "ifcfg-bond0:2: the quote \" before \"mode=1 miimon=100\" is never closed",
            "ifcfg-eth0:3: \"MASTER\" is not KEY=VALUE; there are no spaces around the =",
            "ifcfg-eth1:3: there is a NUL octet; this is no text file, or it is damaged",
            "ifcfg-eth2:1: the line ends with CR LF, as under DOS; take out the CR (sed -i 's/\\r$//' FILE)",
        ]
    );
    let long = "#".repeat(MAX_FILE + 1);
    assert_eq!(
        bad(&[("ifcfg-eth0", &long)]),
        ["ifcfg-eth0: the file is longer than 131072 octets, which no such file is"]
    );
    let names: Vec<String> = (0..=MAX_FILES).map(|n| format!("ifcfg-eth{n:05}")).collect();
    let files: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    assert_eq!(bad(&files), ["ifcfg-eth01024: there are more than 1024 files"]);
}
