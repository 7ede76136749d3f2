//! Whatever is asked, in whatever order: the model stays valid, and a failed call leaves it as it was.

use proptest::prelude::*;

use super::*;

const NAMES: &[&str] =
    &["br0", "br1", "bond0", "bond1", "e1", "e2", "e3", "tap0", "tap1", "lo", "vnet0", "nosuch", "a/b", ""];

fn name() -> impl Strategy<Value = String> {
    proptest::sample::select(NAMES).prop_map(str::to_owned)
}

fn vlan() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["0", "10", "5", "4095", "x"]).prop_map(str::to_owned)
}

fn mac() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["02:00:00:00:00:01", "02:00:00:00:00:02", "01:00:5e:00:00:01", "x"])
        .prop_map(str::to_owned)
}

fn setting() -> impl Strategy<Value = Setting> {
    let texts = [
        "tag=10",
        "tag=[]",
        "tag=x",
        "trunks=1-5,9",
        "trunks=[]",
        "mode=1",
        "mode=2",
        "mode=x",
        "miimon=100",
        "updelay=250",
        "primary=e1",
        "primary=[]",
        "carrier=bond0",
        "carrier=tap0",
        "carrier=[]",
        "mac-table-size=64",
        "other_config:mac-aging-time=20",
        "nosuch=1",
        "vlan_mode=native-tagged",
        "vlan_mode=dot1q-tunnel",
        "vlan_mode=[]",
        "cvlans=7-9",
        "cvlans=[]",
        "mac-learning-limit=3",
        "mac_learning_locked=true",
        "other_config:storm-broadcast=100",
        "storm_unknown=[]",
        "external_ids:k=v w",
        "external_ids={\"a b\"=c}",
        "external_ids:\u{7}=x",
        "external_ids=[]",
        "fail_mode=secure",
        "fastpath=on",
        "fastpath=off",
        "prio=7",
        "prio=[]",
    ];
    proptest::sample::select(texts.to_vec()).prop_map(|text| Setting::parse(text).unwrap())
}

fn column() -> impl Strategy<Value = String> {
    let names = [
        "tag",
        "trunks",
        "cvlans",
        "external_ids",
        "other_config",
        "name",
        "prio",
        "mode",
        "fastpath",
        "statistics",
        "x",
        "",
    ];
    proptest::sample::select(names.to_vec()).prop_map(str::to_owned)
}

fn value() -> impl Strategy<Value = String> {
    proptest::sample::select(vec!["5", "7-9", "k", "k=v", "mac-aging-time=20", "[]", "\"", ""])
        .prop_map(str::to_owned)
}

fn settings() -> impl Strategy<Value = Vec<Setting>> {
    proptest::collection::vec(setting(), 0..3)
}

fn request() -> impl Strategy<Value = Request> {
    let flag = any::<bool>;
    let some_name = || proptest::option::of(name());
    let table = proptest::sample::select(vec!["bridge", "port", "bond", "interface", "x"]);
    prop_oneof![
        3 => (name(), flag()).prop_map(|(bridge, may_exist)| Request::AddBridge { bridge, may_exist }),
        1 => (name(), flag()).prop_map(|(bridge, if_exists)| Request::DelBridge { bridge, if_exists }),
        4 => (name(), name(), settings(), flag()).prop_map(|(bridge, port, settings, may_exist)| {
            Request::AddPort { bridge, port, settings, may_exist }
        }),
        2 => (some_name(), name(), flag()).prop_map(|(bridge, port, if_exists)| {
            Request::DelPort { bridge, port, if_exists, with_iface: if_exists }
        }),
        4 => (name(), name(), proptest::collection::vec(name(), 0..4), settings(), flag()).prop_map(
            |(bridge, bond, members, settings, may_exist)| {
                Request::AddBond { bridge, bond, members, settings, may_exist, fake_iface: false }
            }
        ),
        3 => (name(), name(), flag()).prop_map(|(bond, iface, may_exist)| {
            Request::AddBondIface { bond, iface, may_exist }
        }),
        2 => (some_name(), name(), flag()).prop_map(|(bond, iface, if_exists)| {
            Request::DelBondIface { bond, iface, if_exists }
        }),
        4 => (table.clone(), name(), settings(), flag()).prop_map(|(table, record, settings, if_exists)| {
            Request::Set { table: table.to_owned(), record, settings, if_exists }
        }),
        2 => (table.clone(), name(), column(), flag()).prop_map(|(table, record, column, if_exists)| {
            Request::Clear { table: table.to_owned(), record, columns: vec![column], if_exists }
        }),
        2 => (table.clone(), name(), column(), value(), flag()).prop_map(
            |(table, record, column, value, if_exists)| {
                Request::Remove { table: table.to_owned(), record, column, values: vec![value], if_exists }
            }
        ),
        2 => (table.clone(), name(), column(), value(), flag()).prop_map(
            |(table, record, column, value, if_exists)| {
                Request::Add { table: table.to_owned(), record, column, values: vec![value], if_exists }
            }
        ),
        1 => (table.clone(), name(), column(), flag()).prop_map(|(table, record, column, if_exists)| {
            Request::Get { table: table.to_owned(), record, columns: vec![column], if_exists }
        }),
        1 => (table.clone(), column(), value()).prop_map(|(table, column, value)| {
            Request::Find { table: table.to_owned(), conditions: vec![format!("{column}={value}")], columns: vec![] }
        }),
        1 => table.prop_map(|table| {
            Request::List { table: table.to_owned(), records: vec![], columns: vec![], if_exists: false }
        }),
        1 => (name(), some_name()).prop_map(|(bridge, value)| {
            Request::BridgeSetExternalId { bridge, key: "k".to_owned(), value }
        }),
        1 => (name(), name()).prop_map(|(bond, member)| Request::BondSetActiveMember { bond, member }),
        1 => Just(Request::Show {}),
        1 => name().prop_map(|bridge| Request::ListIfaces { bridge }),
        1 => (some_name(), flag()).prop_map(|(bond, proc)| Request::BondShow { bond, proc }),
        3 => (name(), name(), vlan(), mac()).prop_map(|(bridge, port, vlan, mac)| {
            Request::FdbAdd { bridge, port, vlan, mac }
        }),
        1 => (name(), vlan(), mac()).prop_map(|(bridge, vlan, mac)| Request::FdbDel { bridge, vlan, mac }),
        1 => (name(), name()).prop_map(|(bond, member)| Request::BondDisableMember { bond, member }),
        1 => (name(), name()).prop_map(|(bridge, in_port)| {
            Request::Trace { bridge, in_port, frame: "02".repeat(14) }
        }),
        1 => some_name().prop_map(|bridge| Request::FdbFlush { bridge }),
        1 => Just(Request::BondList {}),
    ]
}

proptest! {
    #[test]
    fn any_commands(calls in proptest::collection::vec(proptest::collection::vec(request(), 1..4), 1..40)) {
        let mut switch = Switch::new();
        for requests in calls {
            let before = switch.model.clone();
            match execute(&before, &mut switch.runtime, &requests) {
                Ok(outcome) => {
                    prop_assert_eq!(outcome.replies.len(), requests.len());
                    prop_assert_eq!(outcome.model.validate(), Ok(()));
                    let text = crate::state_file::to_text(&outcome.model);
                    prop_assert_eq!(&toml::from_str::<Model>(&text).unwrap(), &outcome.model);
                    let wire = serde_json::to_string(&outcome.replies).unwrap();
                    prop_assert_eq!(&serde_json::from_str::<Vec<Reply>>(&wire).unwrap(), &outcome.replies);
                    switch.model = outcome.model;
                    switch.runtime.run(&switch.model);
                }
                Err(error) => {
                    prop_assert!(error.index < requests.len());
                    prop_assert!(!error.message.is_empty());
                }
            }
            let wire = serde_json::to_string(&requests).unwrap();
            prop_assert_eq!(serde_json::from_str::<Vec<Request>>(&wire).unwrap(), requests);
        }
    }
}
