//! What replies look like, as text and as JSON.

use forwarding::mac::MacAddr;

use crate::transaction::reply::{
    BucketMove, DeviceCounters, FdbRow, MemberProbe, ProbeTarget, ReceiveMember, ReceiveStatus,
};
use crate::transaction::tests::Switch;

fn switch() -> Switch {
    let mut switch = Switch::after(&[
        "add-br br0 -- add-br br1",
        "add-bond br0 bond0 e2 e1 miimon=100 primary=e1",
        "add-port br0 tap0 tag=10",
        "add-port br1 tap1 trunks=0,5-7",
        "set bridge br0 carrier=bond0",
    ]);
    let row = |port: &str, vlan, last, age| FdbRow {
        port: port.into(),
        vlan,
        mac: MacAddr([2, 0, 0, 0, 9, last]),
        age,
        is_static: false,
    };
    switch.runtime.fdb.insert("br0".into(), vec![row("tap0", 10, 1, 5), row("bond0", 0, 2, 299)]);
    switch.runtime.counters = vec![DeviceCounters {
        device: "e1".into(),
        port: "bond0".into(),
        bridge: "br0".into(),
        rx_frames: 10,
        rx_bytes: 1000,
        tx_frames: 20,
        tx_bytes: 2000,
        drops: [("inactive_member".to_owned(), 3), ("runt".to_owned(), 1)].into(),
    }];
    switch
}

fn json(switch: &mut Switch, line: &str) -> String {
    super::json(&switch.call(line).unwrap().replies)
}

#[test]
fn lists() {
    let mut switch = switch();
    assert_eq!(switch.text("list-br"), "br0\nbr1\n");
    assert_eq!(switch.text("list-ports br0"), "bond0\ntap0\n");
    assert_eq!(switch.text("list-ifaces br0"), "e1\ne2\ntap0\n");
    assert_eq!(json(&mut switch, "list-br"), "[\"br0\",\"br1\"]\n");
    assert_eq!(
        json(&mut switch, "list-ports br1 -- list-ifaces br0"),
        "[[\"tap1\"],[\"e1\",\"e2\",\"tap0\"]]\n"
    );
}

#[test]
fn single_values() {
    let mut switch = switch();
    assert_eq!(
        switch.text("br-exists br0 -- br-exists nosuch -- port-to-br tap0 -- version"),
        "br0\n0.1.0\n"
    );
    assert_eq!(
        json(&mut switch, "br-exists br0 -- br-exists nosuch -- port-to-br tap0 -- --may-exist add-br br0"),
        "[true,false,\"br0\",null]\n"
    );
    assert_eq!(json(&mut switch, "--may-exist add-br br0"), "null\n");
}

#[test]
fn show() {
    let mut switch = switch();
    switch.runtime.devices.remove("tap0");
    let expected = "\
vswitch
    Bridge br0
        carrier: bond0
        Port bond0
            miimon: 100
            mode: active-backup
            primary: e1
            Interface e2
            Interface e1
        Port br0
            Interface br0
                type: internal
        Port tap0
            tag: 10
            Interface tap0
                error: \"could not open network device tap0 (No such device)\"
    Bridge br1
        Port br1
            Interface br1
                type: internal
        Port tap1
            trunks: [0, 5, 6, 7]
            Interface tap1
    version: \"0.1.0\"
";
    assert_eq!(switch.text("show"), expected);
    let value: serde_json::Value = serde_json::from_str(&json(&mut switch, "show")).unwrap();
    assert_eq!(value["version"], "0.1.0");
    assert_eq!(value["bridges"][0]["name"], "br0");
    assert_eq!(value["bridges"][0]["ports"][0]["interfaces"][0]["name"], "e2");
    assert_eq!(value["bridges"][0]["ports"][2]["tag"], 10);
    assert_eq!(value["bridges"][1]["ports"][1]["trunks"], serde_json::json!([0, 5, 6, 7]));
}

#[test]
fn fdb() {
    let mut switch = switch();
    let table = " port  VLAN  MAC                Age
 tap0    10  02:00:00:00:09:01    5
bond0     0  02:00:00:00:09:02  299
";
    assert_eq!(switch.text("fdb/show br0"), table);
    assert_eq!(
        switch.text("fdb/show"),
        format!("---- br0 ----\n{table}---- br1 ----\n port  VLAN  MAC                Age\n")
    );
    assert_eq!(
        json(&mut switch, "fdb/show br0"),
        "{\"br0\":[{\"age\":5,\"mac\":\"02:00:00:00:09:01\",\"port\":\"tap0\",\"static\":false,\"vlan\":10},\
         {\"age\":299,\"mac\":\"02:00:00:00:09:02\",\"port\":\"bond0\",\"static\":false,\"vlan\":0}]}\n"
    );
    assert_eq!(switch.text("fdb/flush"), "table successfully flushed\n");
}

#[test]
fn bond() {
    let mut switch = switch();
    let e2 = &mut switch.runtime.bonds.get_mut("bond0").unwrap().members[0];
    (e2.enabled, e2.link, e2.link_failures, e2.delay_left) = (false, "going back".into(), 3, Some(120));
    let bond = switch.runtime.bonds.get_mut("bond0").unwrap();
    (bond.active, bond.active_cause) = (Some("e1".into()), Some("member_down".into()));
    (bond.active_age, bond.active_changes, bond.updelay) = (Some(1500), 2, 200);
    let expected = "\
---- bond0 ----
bridge: br0
bond_mode: active-backup
miimon: 100
updelay: 200 ms
downdelay: 0 ms
lacp_status: off
lacp_fallback_ab: false
active-backup primary: e1
carrier: up
mac: 02:00:00:00:01:00
active member mac: 02:00:00:00:01:01(e1)
active member changes: 2, last 1500 ms ago: member_down

member e1: enabled
  active member
  may_enable: true
  link: up
  link failures: 0
  speed: 10000 Mb/s, full duplex
  mac: 02:00:00:00:01:01

member e2: disabled
  updelay expires in 120 ms
  may_enable: true
  link: going back
  link failures: 3
  speed: 10000 Mb/s, full duplex
  mac: 02:00:00:00:01:00

";
    assert_eq!(switch.text("bond/show bond0"), expected);
    assert_eq!(switch.text("bond/show"), expected);
    let value: serde_json::Value = serde_json::from_str(&json(&mut switch, "bond/show bond0")).unwrap();
    assert_eq!(value["bond0"]["active"], "e1");
    assert_eq!(value["bond0"]["members"][0]["link"], "going back");
    assert_eq!(
        json(&mut switch, "bond/list"),
        "[{\"bridge\":\"br0\",\"members\":[\"e2\",\"e1\"],\"mode\":\"active-backup\",\"name\":\"bond0\"}]\n"
    );
}

#[test]
fn receive_hashes_are_told_when_they_count() {
    let mut switch = Switch::after(&["add-br br0", "add-bond br0 bond0 e1 e2 e3 mode=balance-xor"]);
    let report = |switch: &mut Switch| {
        let members = &mut switch.runtime.bonds.get_mut("bond0").unwrap().members;
        (members[0].receive_hash, members[1].receive_hash) = (Some(true), Some(false));
    };
    report(&mut switch);
    assert!(!switch.text("bond/show").contains("receive hash"));
    switch.call("set bond bond0 xmit_hash_policy=offload").unwrap();
    report(&mut switch);
    let text = switch.text("bond/show");
    let told: Vec<_> = text.lines().filter(|line| line.contains("receive hash")).collect();
    assert_eq!(told, ["  receive hash: yes", "  receive hash: no"], "of e3 nothing is known: {text}");
    let value: serde_json::Value = serde_json::from_str(&json(&mut switch, "bond/show")).unwrap();
    let member = |n: usize| &value["bond0"]["members"][n]["receive_hash"];
    assert_eq!([member(0), member(1)], [true, false]);
    assert!(member(2).is_null());
}

#[test]
fn an_empty_bond_with_a_primary_that_is_no_member() {
    let mut switch = Switch::after(&["add-br br0", "add-bond br0 bond0 primary=e7"]);
    let text = switch.text("bond/show bond0");
    for line in [
        "active-backup primary: e7 (no such member)",
        "carrier: down",
        "mac: none",
        "active member mac: 00:00:00:00:00:00(none)",
    ] {
        assert!(text.lines().any(|found| found == line), "{text}");
    }
}

#[test]
fn counters() {
    let mut switch = switch();
    let expected = "\
e1 of bond0 on br0
  received: 10 frames, 1000 bytes
  sent: 20 frames, 2000 bytes
  dropped, inactive_member: 3
  dropped, runt: 1
";
    assert_eq!(switch.text("counters/show"), expected);
    assert_eq!(switch.text("counters/show e1"), expected);
    let value: serde_json::Value = serde_json::from_str(&json(&mut switch, "counters/show")).unwrap();
    assert_eq!(value["e1"]["drops"]["runt"], 1);
}

#[test]
fn the_fast_path() {
    let mut switch = switch();
    let head = "\
fast path: in use
kernel: 6.18.0
hook: tcx
pinned in: /sys/fs/bpf/vswitch/run
program: vsw_forward, id 42, 4321 instructions
run time: not measured; turn it on with sysctl kernel.bpf_stats_enabled=1
tables: generation 7; devices 3/4096
left out for lack of room: nothing
left to the daemon: 14 frames
  group_destination: 9
  unknown_source: 5
lost in full queues to the daemon: 1 frames
";
    let br0 = "
---- br0 ----
fastpath=auto, in use
MAC addresses: 2/8192
br0   hook: tcx egress
      received: 0 frames, 0 bytes
      sent: 0 frames, 0 bytes
tap0  hook: tcx ingress, redirects to the veth's other end
      received: 10 frames, 1000 bytes
      sent: 20 frames, 2000 bytes
";
    let br1 = "
---- br1 ----
fastpath=auto, in use
MAC addresses: 2/8192
e1  hook: none, a worker receives
    received: 0 frames, 0 bytes
    sent: 0 frames, 0 bytes
";
    assert_eq!(switch.text("fastpath/show"), format!("{head}{br0}{br1}"));
    assert_eq!(switch.text("fastpath/show br1"), format!("{head}{br1}"));
    let value: serde_json::Value = serde_json::from_str(&json(&mut switch, "fastpath/show br0")).unwrap();
    assert_eq!(value["misses"]["unknown_source"], 5);
    assert_eq!(value["devices"][1]["hook"], "tcx ingress");
    assert_eq!(value["devices"].as_array().unwrap().len(), 2);
    assert!(value["problem"].is_null());
    assert_eq!(switch.error("fastpath/show nobr"), "no such bridge: nobr");
    switch.runtime.fastpath_problem = Some("the kernel refuses the BPF program".into());
    let expected = "\
fast path: not in use: the kernel refuses the BPF program
kernel: 6.18.0

---- br0 ----
fastpath=auto, not in use: there is none
MAC addresses: 2/8192
";
    assert_eq!(switch.text("fastpath/show br0"), expected);
}

#[test]
fn static_entries_have_no_age() {
    let mut switch = switch();
    switch.runtime.fdb.get_mut("br0").unwrap()[0].is_static = true;
    assert!(switch.text("fdb/show br0").contains(" tap0    10  02:00:00:00:09:01  static\n"));
}

#[test]
fn fdb_stats() {
    let mut switch = switch();
    let expected = "\
Statistics for bridge \"br0\":
  Current/maximum MAC entries in the table: 2/8192
  Current static MAC entries in the table : 1
  Total number of learned MAC entries     : 7
  Total number of expired MAC entries     : 0
  Total number of evicted MAC entries     : 0
  Total number of port moved MAC entries  : 0
  Total number of refused MAC entries     : 0
";
    assert_eq!(switch.text("fdb/stats-show br0"), expected);
    let value: serde_json::Value = serde_json::from_str(&json(&mut switch, "fdb/stats-show")).unwrap();
    assert_eq!(value["br1"]["learned"], 7);
}

#[test]
fn explanations_and_the_text_of_linux() {
    let mut switch = switch();
    let expected = "\
---- bond0 ----
the bond has carrier
member e2:
  carries all traffic: it is the active member
member e1:
  standby: another member is active
  its link is up

";
    assert_eq!(switch.text("bond/explain bond0"), expected);
    let value: serde_json::Value = serde_json::from_str(&json(&mut switch, "bond/explain")).unwrap();
    assert_eq!(value["bond0"]["members"][1]["reasons"][1], "its link is up");
    let proc = "Ethernet Channel Bonding Driver: v6.1\n\nBonding Mode: active-backup\n";
    assert_eq!(switch.text("--proc bond/show bond0"), proc);
    switch.call("add-bond br1 bond1").unwrap();
    assert_eq!(switch.text("--proc bond/show"), format!("---- bond0 ----\n{proc}---- bond1 ----\n{proc}"));
    let value: serde_json::Value =
        serde_json::from_str(&json(&mut switch, "--proc bond/show bond0")).unwrap();
    assert_eq!(value["bond0"], proc);
}

#[test]
fn trace_and_hash() {
    let mut switch = switch();
    let frame = "ffffffffffff0200000000010800";
    assert_eq!(
        switch.text(&format!("trace br0 tap0 {frame}")),
        " 1. 14 octets on tap0 of br0\n 2. to e1\nverdict: forward\negress: e1\n"
    );
    let value: serde_json::Value =
        serde_json::from_str(&json(&mut switch, &format!("trace br0 tap0 {frame}"))).unwrap();
    assert_eq!(value["verdict"], "forward");
    assert_eq!(value["egress"], serde_json::json!(["e1"]));
    assert_eq!(value["hash"], 0xdead_beef_u32);
    assert_eq!(value["drop_reason"], serde_json::Value::Null);
    assert_eq!(
        switch.text(&format!("bond/hash bond0 {frame}")),
        "hash: 0x1234000e (layer2)\nbucket: 0\nmember: e2\n"
    );
}

#[test]
fn what_is_unusual_about_a_member() {
    let mut switch = switch();
    let e2 = &mut switch.runtime.bonds.get_mut("bond0").unwrap().members[0];
    (e2.disabled, e2.prio, e2.buckets) = (true, -3, Some(128));
    let text = switch.text("bond/show");
    for line in ["  disabled by hand (bond/enable-member)", "  prio: -3", "  hash buckets: 128"] {
        assert!(text.lines().any(|found| found == line), "{text}");
    }
}

#[test]
fn link_probes_and_a_member_that_is_held_out() {
    let mut switch = Switch::after(&[
        "add-br br0",
        "add-bond br0 bond0 e1 e2 arp_interval=100 arp_ip_target=192.0.2.1,192.0.2.2",
    ]);
    let bond = switch.runtime.bonds.get_mut("bond0").unwrap();
    bond.targets = vec![
        ProbeTarget { target: "192.0.2.1".into(), answers: true, age: Some(40) },
        ProbeTarget { target: "192.0.2.2".into(), answers: false, age: None },
    ];
    bond.members[0].probe = Some(MemberProbe { alive: true, asks: true, silent: Some(40) });
    bond.members[1].probe = Some(MemberProbe { alive: false, asks: false, silent: None });
    bond.members[1].held = Some(9_000);
    let text = switch.text("bond/show bond0");
    for line in [
        "arp_interval: 100\n",
        "arp_ip_target: 192.0.2.1,192.0.2.2\n",
        "target 192.0.2.1: answers (last answer 40 ms ago)\n",
        "target 192.0.2.2: does not answer (no answer so far)\n",
        "  link probes: up (asks, last heard 40 ms ago)\n",
        "  link probes: down (listens, nothing heard)\n",
        "  held out by flap_limit, 9000 ms left\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    let value: serde_json::Value = serde_json::from_str(&json(&mut switch, "bond/show bond0")).unwrap();
    assert_eq!(
        value["bond0"]["targets"][1],
        serde_json::json!({"target": "192.0.2.2", "answers": false, "age": null})
    );
    switch.call("set bond bond0 arp_interval=0").unwrap();
    assert!(!switch.text("bond/show bond0").contains("arp_"), "what is off is not listed");
}

#[test]
fn what_comes_in_by_whose_address() {
    let mut switch = Switch::after(&["add-br br0", "add-bond br0 bond0 e1 e2 mode=balance-alb"]);
    let member = |name: &str, by: &str, peers, load| ReceiveMember {
        member: name.into(),
        received_by: by.into(),
        buckets: 128,
        peers,
        load,
    };
    let bond = switch.runtime.bonds.get_mut("bond0").unwrap();
    bond.receive = Some(ReceiveStatus {
        guests: 4,
        refused: 1,
        peers: 9,
        updates: 30,
        moved: 1,
        last: vec![BucketMove {
            age: 700,
            bucket: 12,
            from: "e1".into(),
            to: "e2".into(),
            load: 2_000_000,
            by_hand: false,
        }],
        members: vec![member("e1", "e1", 5, 3_000_000), member("e2", "e1", 4, 0)],
    });
    let text = switch.text("bond/show bond0");
    for line in [
        "guests' addresses: 4, 1 claims refused\n",
        "peers: 9, 30 updates sent, 1 buckets of peers moved by load\n",
        "  receives from: 5 peers in 128 buckets, 3000 kB/s\n",
        "  receives from: 4 peers in 128 buckets, 0 kB/s\n  frames to its address come in by: e1\n",
        "moved 700 ms ago by load: peers' hash 12 (2000 kB/s) from e1 to e2\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    let value: serde_json::Value = serde_json::from_str(&json(&mut switch, "bond/show bond0")).unwrap();
    assert_eq!(value["bond0"]["receive"]["members"][1]["received_by"], "e1");
}
