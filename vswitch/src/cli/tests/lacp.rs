//! What `lacp/show` and `lacp/show-stats` print: Open vSwitch's lines, to the letter, and ours after them.

use forwarding::mac::MacAddr;

use crate::transaction::reply::{LacpCounters, LacpMember, LacpPort, LacpStats, LacpStatus};
use crate::transaction::tests::Switch;

fn port(last: u8, port_id: u16, state: u8, flags: &str) -> LacpPort {
    LacpPort {
        sys_id: MacAddr([2, 0, 0, 0, 0, last]),
        sys_priority: 65534,
        port_id,
        port_priority: 65535,
        key: 1,
        state,
        flags: flags.split_whitespace().map(str::to_owned).collect(),
    }
}

fn switch() -> Switch {
    let mut switch = Switch::after(&["add-br br0", "add-bond br0 bond0 e2 e1 mode=802.3ad lacp_rate=fast"]);
    let carries = "activity timeout aggregation synchronized collecting distributing";
    let e1 = LacpMember {
        name: "e1".into(),
        status: "current".into(),
        attached: true,
        may_enable: true,
        link: true,
        actor: port(1, 2, 63, carries),
        partner: port(9, 7, 63, carries),
        aggregator: 1,
        selected: "SELECTED".into(),
        receive: "CURRENT".into(),
        periodic: "FAST_PERIODIC".into(),
        mux: "COLLECTING_DISTRIBUTING".into(),
        actor_churn: "none".into(),
        partner_churn: "none".into(),
        collecting: true,
        distributing: true,
        looped: false,
        last_lacpdu_age: Some(310),
        reason: "carries frames".into(),
        mismatches: vec![],
    };
    let e2 = LacpMember {
        name: "e2".into(),
        status: "defaulted".into(),
        actor: port(1, 1, 71, "activity timeout aggregation defaulted"),
        partner: port(0, 1, 0, ""),
        aggregator: 2,
        selected: "UNSELECTED".into(),
        receive: "PORT_DISABLED".into(),
        periodic: "NO_PERIODIC".into(),
        mux: "DETACHED".into(),
        actor_churn: "monitoring".into(),
        partner_churn: "churned".into(),
        reason: "link down".into(),
        mismatches: vec!["key 3 instead of 1".into()],
        ..LacpMember::default()
    };
    let status = LacpStatus {
        name: "bond0".into(),
        bridge: "br0".into(),
        active: true,
        negotiated: true,
        fast: true,
        sys_id: MacAddr([2, 0, 0, 0, 0, 1]),
        sys_priority: 65534,
        aggregation_key: 1,
        aggregator: Some(1),
        aggregator_reason: Some("there is no other".into()),
        distributing: 1,
        min_links: 2,
        max_links: 0,
        no_carrier: Some("1 of at least 2 members (min_links) carry frames".into()),
        members: vec![e2, e1],
    };
    let counters = |name: &str, rx| LacpCounters {
        name: name.into(),
        lacpdu_tx: 7,
        lacpdu_rx: rx,
        expired: 2,
        ..LacpCounters::default()
    };
    let stats = LacpStats { name: "bond0".into(), members: vec![counters("e2", 0), counters("e1", 6)] };
    switch.runtime.lacp.insert("bond0".into(), (status, stats));
    switch
}

#[test]
fn show() {
    let expected = "\
---- bond0 ----
  status: active negotiated
  sys_id: 02:00:00:00:00:01
  sys_priority: 65534
  aggregation key: 1
  lacp_time: fast
  aggregator in use: 1 (there is no other)
  distributing members: 1 (min_links 2)
  carrier: down (1 of at least 2 members (min_links) carry frames)

member: e1: current attached
  port_id: 2
  port_priority: 65535
  may_enable: true

  actor sys_id: 02:00:00:00:00:01
  actor sys_priority: 65534
  actor port_id: 2
  actor port_priority: 65535
  actor key: 1
  actor state: activity timeout aggregation synchronized collecting distributing

  partner sys_id: 02:00:00:00:00:09
  partner sys_priority: 65534
  partner port_id: 7
  partner port_priority: 65535
  partner key: 1
  partner state: activity timeout aggregation synchronized collecting distributing

  aggregator: 1
  machines: SELECTED CURRENT FAST_PERIODIC COLLECTING_DISTRIBUTING
  churn: actor none, partner none
  last LACPDU: 310 ms ago
  reason: carries frames

member: e2: defaulted detached
  port_id: 1
  port_priority: 65535
  may_enable: false

  actor sys_id: 02:00:00:00:00:01
  actor sys_priority: 65534
  actor port_id: 1
  actor port_priority: 65535
  actor key: 1
  actor state: activity timeout aggregation defaulted

  partner sys_id: 02:00:00:00:00:00
  partner sys_priority: 65534
  partner port_id: 1
  partner port_priority: 65535
  partner key: 1
  partner state:

  aggregator: 2
  machines: UNSELECTED PORT_DISABLED NO_PERIODIC DETACHED
  churn: actor monitoring, partner churned
  last LACPDU: none since the link came up
  reason: link down
  partner's view: key 3 instead of 1
";
    let mut switch = switch();
    let text = switch.text("lacp/show bond0").replace("partner state: \n", "partner state:\n");
    assert_eq!(text, expected);
    assert_eq!(switch.text("lacp/show"), switch.text("lacp/show bond0"));
    let json = super::json(&switch.call("lacp/show").unwrap().replies);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["bond0"]["members"][1]["partner"]["port_id"], 7);
    assert_eq!(value["bond0"]["members"][1]["actor"]["flags"][3], "synchronized");
    assert_eq!(value["bond0"]["members"][0]["last_lacpdu_age"], serde_json::Value::Null);
}

#[test]
fn show_stats() {
    let expected = "\
---- bond0 statistics ----

member: e1:
  TX PDUs: 7
  RX PDUs: 6
  RX Bad PDUs: 0
  RX Marker Request PDUs: 0
  Link Expired: 2
  Link Defaulted: 0
  Carrier Status Changed: 0
  RX Own PDUs: 0
  RX Unknown PDUs: 0
  TX Marker Response PDUs: 0
  RX Marker Response PDUs: 0
  RX Unknown Marker PDUs: 0
  Markers Dropped: 0
  Actor Churned: 0
  Partner Churned: 0

member: e2:
  TX PDUs: 7
  RX PDUs: 0
";
    let mut switch = switch();
    let text = switch.text("lacp/show-stats bond0");
    assert!(text.starts_with(expected), "{text}");
    let json = super::json(&switch.call("lacp/show-stats bond0").unwrap().replies);
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["bond0"]["members"][1]["lacpdu_rx"], 6);
}

#[test]
fn bond_show_of_a_bond_that_speaks_lacp() {
    let mut switch = switch();
    switch.runtime.bonds.get_mut("bond0").unwrap().lacp_status = "negotiated".into();
    let text = switch.text("bond/show bond0");
    assert!(text.contains("\nlacp_rate: fast\n"), "{text}");
    assert!(
        text.contains("\nlacp_status: negotiated\nlacp_fallback_ab: true\nactive-backup primary: <none>\n"),
        "{text}"
    );
    switch.call("set bond bond0 lacp_strict=on").unwrap();
    assert!(switch.text("bond/show").contains("\nlacp_status: configured\nlacp_fallback_ab: false\n"));
    let value: serde_json::Value =
        serde_json::from_str(&super::json(&switch.call("bond/show").unwrap().replies)).unwrap();
    assert_eq!(value["bond0"]["lacp_status"], "configured");
    switch.call("set bond bond0 lacp_strict=off lacp_rate=slow mode=2 min_links=1").unwrap();
    let text = switch.text("bond/show");
    assert!(text.contains("lacp_status: off") && !text.contains("min_links"), "{text}");
}
