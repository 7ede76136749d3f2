//! The committed description says what is really on the wire.

use super::*;
use crate::transaction::reply::*;

/// Names of the fields of a type or method parameter list in the description: what follows `head` up to the matching
/// parenthesis.
fn fields(head: &str) -> Vec<&'static str> {
    let start = DESCRIPTION.find(head).unwrap_or_else(|| panic!("no {head}")) + head.len();
    let body = &DESCRIPTION[start..];
    let body = &body[..body.find("\n)").or_else(|| body.find(')')).unwrap()];
    let names = body.split([',', '\n', '(']).filter_map(|field| field.split_once(": "));
    names.map(|(name, _)| name.trim()).collect()
}

/// Every key of the JSON object is a field of the type, and, if `all`, the other way round.
fn check(head: &str, value: Value, all: bool) {
    let described = fields(head);
    let found: Vec<_> = value.as_object().unwrap().keys().map(String::as_str).collect();
    for name in &found {
        assert!(described.contains(name), "{head} lacks {name}");
    }
    if all {
        assert_eq!(described.len(), found.len(), "{head}: {described:?} {found:?}");
    }
}

fn json(value: impl Serialize) -> Value {
    serde_json::to_value(value).unwrap()
}

#[test]
fn replies_are_described() {
    let interface = ShowInterface { name: "e1".into(), error: None };
    check("type Interface (", json(&interface), true);
    let port = ShowPort {
        name: "e1".into(),
        vlan_mode: String::new(),
        tag: None,
        trunks: vec![],
        cvlans: vec![],
        kind: PortKind::Device,
        options: Default::default(),
        interfaces: vec![interface],
    };
    check("type Port (", json(&port), true);
    let bridge = ShowBridge {
        name: "br0".into(),
        mac: forwarding::mac::MacAddr([2, 0, 0, 0, 0, 1]),
        carrier: None,
        mac_table_size: 1,
        mac_aging_time: 1,
        ports: vec![],
    };
    check("type Bridge (", json(&bridge), true);
    let show = ShowReply { bridges: vec![], version: String::new() };
    check("type Configuration (", json(&show), true);
    let row = FdbRow { port: String::new(), vlan: 0, mac: bridge.mac, age: 0, is_static: true };
    check("type FdbEntry (", json(row), true);
    check("type FdbTable (", json(FdbTable { bridge: String::new(), entries: vec![] }), true);
    check("type BondStatus (", json(BondStatus::default()), true);
    check("type MemberStatus (", json(MemberStatus::default()), true);
    check("type ProbeTarget (", json(ProbeTarget::default()), true);
    check("type MemberProbe (", json(MemberProbe::default()), true);
    let summary =
        BondSummary { name: String::new(), bridge: String::new(), mode: String::new(), members: vec![] };
    check("type BondSummary (", json(summary), true);
    check("type DeviceCounters (", json(DeviceCounters::default()), true);
    let kinds = [
        Reply::Done {},
        Reply::Names(vec![]),
        Reply::Text(String::new()),
        Reply::Exists(true),
        Reply::Show(show),
        Reply::Fdb(vec![]),
        Reply::Bonds(vec![]),
        Reply::BondList(vec![]),
        Reply::Counters(vec![]),
        Reply::Proc(vec![]),
        Reply::Explanations(vec![]),
        Reply::Lacp(vec![]),
        Reply::LacpStats(vec![]),
        Reply::Hash(FrameHash::default()),
        Reply::FdbStats(vec![]),
        Reply::Trace(TraceReply::default()),
        Reply::FastPath(FastPathStatus::default()),
        Reply::Values(vec![None]),
        Reply::Rows(Rows::default()),
    ];
    check("type Rows (", json(Rows::default()), true);
    let data = [
        Datum::from(""),
        Datum::Integer(1),
        Datum::Boolean(true),
        Datum::Uuid(String::new()),
        Datum::none(),
        Datum::Map(Default::default()),
    ];
    assert_eq!(fields("type Value (").len(), data.len());
    data.into_iter().for_each(|datum| check("type Value (", json(datum), false));
    check("type ProcText (", json(ProcText::default()), true);
    check("type BondExplanation (", json(BondExplanation::default()), true);
    check("type MemberExplanation (", json(MemberExplanation::default()), true);
    check("type Rebalancing (", json(Rebalancing::default()), true);
    check("type BucketLoad (", json(BucketLoad::default()), true);
    check("type BucketMove (", json(BucketMove::default()), true);
    check("type LacpStatus (", json(LacpStatus::default()), true);
    check("type LacpMember (", json(LacpMember::default()), true);
    check("type LacpPort (", json(LacpPort::default()), true);
    check("type LacpStats (", json(LacpStats::default()), true);
    check("type LacpCounters (", json(LacpCounters::default()), true);
    check("type FrameHash (", json(FrameHash::default()), true);
    check("type FdbStats (", json(FdbStats::default()), true);
    check("type Trace (", json(TraceReply::default()), true);
    check("type FastPath (", json(FastPathStatus::default()), true);
    check("type FastPathProgram (", json(FastPathProgram::default()), true);
    check("type FastPathTable (", json(FastPathTable::default()), true);
    check("type FastPathBridge (", json(FastPathBridge::default()), true);
    check("type FastPathDevice (", json(FastPathDevice::default()), true);
    assert_eq!(fields("type Reply (").len(), kinds.len());
    kinds.into_iter().for_each(|kind| check("type Reply (", json(kind), false));
}

#[test]
fn requests_are_described() {
    let lines = "--may-exist add-br a -- --if-exists del-br a -- list-br -- br-exists a \
        -- --may-exist add-port a b tag=1 -- --if-exists del-port a b -- list-ports a \
        -- --may-exist add-bond a b c tag=1 -- --may-exist add-bond-iface a b -- --if-exists del-bond-iface a b \
        -- list-ifaces a -- port-to-br a -- iface-to-br a -- show -- --if-exists set a b c:d=e -- fdb/show a \
        -- fdb/flush a -- bond/show a -- bond/list -- bond/set-active-member a b -- bond/rebalance a -- bond/migrate a 1 b -- counters/show a -- version \
        -- --proc bond/show -- trace a b ff -- fdb/add a b 1 c -- bond/explain a -- bond/hash a ff \
        -- --columns=x list a b -- find a b=c -- remove a b c d -- br-set-external-id a b c -- set-fail-mode a b \
        -- fastpath/show a -- lacp/show a -- lacp/show-stats a -- --with-iface del-port a -- --fake-iface add-bond a b";
    let words: Vec<String> = lines.split_whitespace().map(str::to_owned).collect();
    let Ok(crate::cli::Invocation::Run(run)) = crate::cli::parse(&words) else { panic!("{lines}") };
    let mut used = std::collections::BTreeSet::new();
    for request in &run.requests {
        let value = json(request);
        used.extend(value.as_object().unwrap().keys().cloned());
        if let Request::Set { settings, .. } = request {
            check("type Setting (", json(&settings[0]), true);
        }
        check("type Request (", value, false);
    }
    assert_eq!(used.len(), fields("type Request (").len(), "{used:?}");
    check("method Transact(", json(Transact { requests: vec![], dry_run: true }), false);
}

#[test]
fn events_are_described() {
    let monitored = Monitored { event: Some(json(1)), lost: Some(1) };
    check("method Monitor() -> (", json(monitored), true);
}

#[test]
fn errors_are_described() {
    for failure in [
        TransactionError { index: 0, message: String::new() }.into(),
        Failure::not_applied(""),
        Failure::permission_denied(""),
        Failure::malformed(""),
        Failure::reply_too_large(""),
    ] {
        let name = failure.error.strip_prefix("io.vswitch.").unwrap();
        check(&format!("error {name} ("), failure.parameters, true);
    }
}

#[test]
fn the_service_describes_itself() {
    let mut connection = Connection::new();
    connection.feed(&call("org.varlink.service.GetInfo", json!({})));
    for interface in ["io.vswitch", "org.varlink.service", "no.such"] {
        connection
            .feed(&call("org.varlink.service.GetInterfaceDescription", json!({ "interface": interface })));
    }
    assert_eq!(connection.next_call(), None);
    let answers = answers(&mut connection);
    assert_eq!(answers[0].parameters["interfaces"], json!(["org.varlink.service", "io.vswitch"]));
    assert_eq!(answers[1].parameters["description"], DESCRIPTION);
    assert!(answers[2].parameters["description"].as_str().unwrap().contains("interface org.varlink.service"));
    assert_eq!(answers[3].error.as_deref(), Some("org.varlink.service.InterfaceNotFound"));
}
