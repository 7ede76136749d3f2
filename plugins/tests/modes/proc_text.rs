//! The text of `/proc/net/bonding`, to the octet.

use bond_port::LinkReport;
use forwarding::mac::MacAddr;

use crate::rig::{Rig, ms};

#[test]
fn active_backup_with_a_primary_that_is_down() {
    let mut rig = Rig::up("mode=1 miimon=100 updelay=200 downdelay=300 peer_notif_delay=100 primary=eth0", 3);
    rig.link(0, false);
    rig.pass(ms(300));
    rig.link(2, false);
    let mut report = rig.report(1, true);
    (report.speed_mbps, report.full_duplex) = (Some(1000), Some(false));
    rig.bond.handle_link(rig.now, "eth1", Some(report));
    assert_eq!(
        rig.bond.proc_text("6.1.0-56-amd64"),
        "\
Ethernet Channel Bonding Driver: v6.1.0-56-amd64

Bonding Mode: fault-tolerance (active-backup)
Primary Slave: eth0 (primary_reselect always)
Currently Active Slave: eth1
MII Status: up
MII Polling Interval (ms): 100
Up Delay (ms): 200
Down Delay (ms): 300
Peer Notification Delay (ms): 100

Slave Interface: eth0
MII Status: down
Speed: 10000 Mbps
Duplex: full
Link Failure Count: 1
Permanent HW addr: 02:00:00:00:00:00
Slave queue ID: 0

Slave Interface: eth1
MII Status: up
Speed: 1000 Mbps
Duplex: half
Link Failure Count: 0
Permanent HW addr: 02:00:00:00:00:01
Slave queue ID: 0

Slave Interface: eth2
MII Status: going down
Speed: 10000 Mbps
Duplex: full
Link Failure Count: 0
Permanent HW addr: 02:00:00:00:00:02
Slave queue ID: 0
"
    );
}

#[test]
fn active_backup_without_members_and_without_links() {
    let head = "\
Ethernet Channel Bonding Driver: v7.2.13

Bonding Mode: fault-tolerance (active-backup)
Primary Slave: None
Currently Active Slave: None
MII Status: down
MII Polling Interval (ms): 0
Up Delay (ms): 0
Down Delay (ms): 0
Peer Notification Delay (ms): 0
";
    let mut rig = Rig::silent("mode=1 primary=eth0", 0);
    assert_eq!(rig.bond.proc_text("7.2.13"), head, "a primary that is no member is none");
    rig.bond.add_member(rig.now, "tap0").unwrap();
    assert_eq!(
        rig.bond.proc_text("7.2.13"),
        format!(
            "{head}
Slave Interface: tap0
MII Status: down
Speed: Unknown
Duplex: Unknown
Link Failure Count: 0
Permanent HW addr: 00:00:00:00:00:00
Slave queue ID: 0
"
        )
    );
}

#[test]
fn xor_with_every_state_of_a_link() {
    let mut rig = Rig::up("mode=2 miimon=50 updelay=275 downdelay=100 xmit_hash_policy=layer2+3", 2);
    rig.link(1, false);
    rig.pass(ms(100));
    rig.link(1, true);
    let mac = MacAddr([0x52, 0x54, 0, 0xab, 0xcd, 0xef]);
    let report = LinkReport { speed_mbps: None, full_duplex: None, mac, ..rig.report(0, true) };
    rig.bond.handle_link(rig.now, "eth0", Some(report));
    assert_eq!(
        rig.bond.proc_text("6.12.117"),
        "\
Ethernet Channel Bonding Driver: v6.12.117

Bonding Mode: load balancing (xor)
Transmit Hash Policy: layer2+3 (2)
MII Status: up
MII Polling Interval (ms): 50
Up Delay (ms): 250
Down Delay (ms): 100
Peer Notification Delay (ms): 0

Slave Interface: eth0
MII Status: up
Speed: Unknown
Duplex: Unknown
Link Failure Count: 0
Permanent HW addr: 52:54:00:ab:cd:ef
Slave queue ID: 0

Slave Interface: eth1
MII Status: going back
Speed: 10000 Mbps
Duplex: full
Link Failure Count: 1
Permanent HW addr: 02:00:00:00:00:01
Slave queue ID: 0
"
    );
    rig.bond.handle_link(rig.now, "eth0", None);
    rig.bond.handle_link(rig.now, "eth1", None);
    let text = rig.bond.proc_text("6.12.117");
    assert!(text.contains("\nMII Status: down\nMII Polling"), "{text}");
    assert!(text.contains("Slave Interface: eth0\nMII Status: down\n"), "{text}");
}

#[test]
fn round_robin_and_broadcast() {
    for (words, mode) in [
        ("mode=0 packets_per_slave=3", "load balancing (round-robin)"),
        ("mode=3", "fault-tolerance (broadcast)"),
    ] {
        let mut rig = Rig::up(&format!("{words} miimon=100 updelay=200"), 2);
        rig.link(1, false);
        assert_eq!(
            rig.bond.proc_text("6.1.0"),
            format!(
                "\
Ethernet Channel Bonding Driver: v6.1.0

Bonding Mode: {mode}
MII Status: up
MII Polling Interval (ms): 100
Up Delay (ms): 200
Down Delay (ms): 0
Peer Notification Delay (ms): 0

Slave Interface: eth0
MII Status: up
Speed: 10000 Mbps
Duplex: full
Link Failure Count: 0
Permanent HW addr: 02:00:00:00:00:00
Slave queue ID: 0

Slave Interface: eth1
MII Status: down
Speed: 10000 Mbps
Duplex: full
Link Failure Count: 1
Permanent HW addr: 02:00:00:00:00:01
Slave queue ID: 0
"
            )
        );
    }
}

#[test]
fn lines_that_depend_on_options() {
    let line = |words: &str, start: &str| {
        let text = Rig::up(words, 2).bond.proc_text("6.1");
        text.lines().find(|line| line.starts_with(start)).map(str::to_owned)
    };
    for (policy, expected) in [
        ("none", "fault-tolerance (active-backup)"),
        ("active", "fault-tolerance (active-backup) (fail_over_mac active)"),
        ("follow", "fault-tolerance (active-backup) (fail_over_mac follow)"),
    ] {
        let mode = line(&format!("mode=1 fail_over_mac={policy}"), "Bonding Mode");
        assert_eq!(mode.unwrap(), format!("Bonding Mode: {expected}"));
    }
    let mode = line("mode=2 fail_over_mac=active", "Bonding Mode");
    assert_eq!(mode.as_deref(), Some("Bonding Mode: load balancing (xor)"));
    for (policy, number) in [
        ("layer2", 0),
        ("layer3+4", 1),
        ("layer2+3", 2),
        ("encap2+3", 3),
        ("encap3+4", 4),
        ("vlan+srcmac", 5),
    ] {
        let hash = line(&format!("mode=2 xmit_hash_policy={policy}"), "Transmit Hash Policy");
        assert_eq!(hash.unwrap(), format!("Transmit Hash Policy: {policy} ({number})"));
    }
    let hash = line("mode=2 xmit_hash_policy=offload", "Transmit Hash Policy");
    assert_eq!(hash.as_deref(), Some("Transmit Hash Policy: layer3+4 (1)"), "a policy that Linux has");
    for reselect in ["always", "better", "failure"] {
        let primary = line(&format!("mode=1 primary=eth1 primary_reselect={reselect}"), "Primary Slave");
        assert_eq!(primary.unwrap(), format!("Primary Slave: eth1 (primary_reselect {reselect})"));
    }
    assert_eq!(line("mode=1", "Transmit Hash Policy"), None);
    assert_eq!(line("mode=2", "Primary Slave"), None);
}
