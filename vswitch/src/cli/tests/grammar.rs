use std::time::Duration;

use super::*;
use crate::transaction::{Request, Setting};

fn setting(name: &str, key: Option<&str>, value: &str) -> Setting {
    Setting { name: name.into(), key: key.map(str::to_owned), value: value.into() }
}

#[test]
fn options_of_the_call() {
    let plain = run("list-br");
    assert_eq!(
        (plain.style.format, plain.reach.timeout, plain.reach.rundir, plain.dry_run),
        (Format::List, None, None, false)
    );
    for line in [
        "-f json -t 5 --rundir=/x --dry-run --no-wait list-br",
        "-fjson -t5 --rundir /x --dry-run list-br",
        "--format=json --timeout=5 --rundir=/x --dry-run -- list-br",
        "--format json --timeout 5 --dry-run --rundir=/x -- list-br",
    ] {
        let run = run(line);
        assert_eq!(
            (run.style.format, run.reach.timeout, run.dry_run),
            (Format::Json, Some(Duration::from_secs(5)), true)
        );
        assert_eq!(run.reach.rundir, Some("/x".into()), "{line}");
    }
    assert_eq!(run("-t 0 list-br").reach.timeout, None);
}

#[test]
fn options_of_commands() {
    let may_exist =
        |line: &str| matches!(run(line).requests[..], [Request::AddBridge { may_exist: true, .. }]);
    assert!(may_exist("--may-exist add-br br0"));
    assert!(may_exist("-- --may-exist add-br br0"));
    assert!(may_exist("--timeout=5 -- --may-exist add-br br0"));
    assert!(may_exist("--may-exist --timeout=5 add-br br0"));
    assert!(may_exist("--may-exist -- add-br br0"));
    let both = run("--if-exists del-port tap0 -- add-port br0 tap0");
    assert!(matches!(
        &both.requests[..],
        [Request::DelPort { if_exists: true, bridge: None, .. }, Request::AddPort { may_exist: false, .. }]
    ));
}

#[test]
fn members_end_at_the_first_setting() {
    let run = run("add-bond br0 bond0 eth1 eth2 mode=balance-xor other_config:bond-primary=\"eth1\" tag=10");
    assert_eq!(
        run.requests,
        [Request::AddBond {
            bridge: "br0".into(),
            bond: "bond0".into(),
            members: vec!["eth1".into(), "eth2".into()],
            settings: vec![
                setting("mode", None, "balance-xor"),
                setting("other_config", Some("bond-primary"), "eth1"),
                setting("tag", None, "10"),
            ],
            may_exist: false,
            fake_iface: false,
        }]
    );
    assert_eq!(
        usage_error("add-bond br0 bond0 eth1 mode=1 eth2"),
        "\"eth2\" is not KEY=VALUE; usage: [--may-exist] [--fake-iface] add-bond BRIDGE BOND [MEMBER]... [KEY=VALUE]..."
    );
}

#[test]
fn settings_keep_colons_and_equal_signs_of_the_value() {
    let Request::Set { settings, .. } =
        &run("set bridge br0 other_config:hwaddr=\"02:00:00:00:00:01\" a=b=c x=").requests[0]
    else {
        panic!("not set");
    };
    assert_eq!(
        settings[..],
        [
            setting("other_config", Some("hwaddr"), "02:00:00:00:00:01"),
            setting("a", None, "b=c"),
            setting("x", None, ""),
        ]
    );
}

#[test]
fn every_command_parses_with_its_least_arguments() {
    for line in [
        "show",
        "add-br a",
        "del-br a",
        "list-br",
        "br-exists a",
        "add-port a b",
        "del-port a",
        "del-port a b",
        "list-ports a",
        "add-bond a b",
        "add-bond-iface a b",
        "del-bond-iface a",
        "del-bond-iface a b",
        "list-ifaces a",
        "port-to-br a",
        "iface-to-br a",
        "set port a b=c",
        "bond/list",
        "bond/show",
        "bond/show a",
        "bond/set-active-member a b",
        "bond/rebalance a",
        "bond/migrate a 1 b",
        "fdb/show",
        "fdb/show a b",
        "fdb/flush",
        "fdb/flush a",
        "get port a b",
        "list port",
        "find port a=b",
        "clear port a b",
        "remove port a b c",
        "add port a b c",
        "br-set-external-id a b",
        "br-get-external-id a",
        "br-to-parent a",
        "br-to-vlan a",
        "set-fail-mode a secure",
        "get-fail-mode a",
        "del-fail-mode a",
        "fdb/add a b 1 c",
        "fdb/del a 1 c",
        "fdb/stats-show",
        "fdb/stats-clear a",
        "bond/explain",
        "bond/enable-member a b",
        "bond/disable-member a b",
        "bond/hash a ff",
        "--proc bond/show",
        "trace a b ff ff",
        "counters/show",
        "counters/show a b",
        "fastpath/show",
        "fastpath/show a",
        "version",
    ] {
        assert_eq!(run(line).requests.len(), 1, "{line}");
    }
}

#[test]
fn waiting_for_a_daemon() {
    assert!(!run("list-br").reach.retry);
    assert!(run("--retry -t 5 list-br").reach.retry);
}

#[test]
fn monitor() {
    let monitor = |line: &str| match parse(&words(line)) {
        Ok(Invocation::Monitor(monitor)) => monitor,
        other => panic!("{line}: {other:?}"),
    };
    assert_eq!(monitor("monitor"), Monitor { reach: Reach::default(), count: None });
    for line in [
        "monitor --count 3",
        "monitor --count=3",
        "--count=3 monitor",
        "-- --count=3 monitor",
        "--retry -- monitor --count 3",
    ] {
        assert_eq!(monitor(line).count, Some(3), "{line}");
    }
    assert_eq!(monitor("--retry -t 5 --rundir=/x monitor").reach.rundir, Some("/x".into()));
    for (line, expected) in [
        ("monitor -- list-br", "'monitor' can't be joined with other commands; usage: monitor [--count=N]"),
        ("list-br -- monitor", "'monitor' can't be joined with other commands; usage: monitor [--count=N]"),
        ("monitor --count", "--count needs a number from 1; usage: monitor [--count=N]"),
        ("monitor --count=0", "--count needs a number from 1; usage: monitor [--count=N]"),
        ("monitor br0", "'monitor' command has no 'br0' option or argument; usage: monitor [--count=N]"),
        ("--count=1 list-br", "'list-br' command has no '--count=1' option; usage: list-br"),
        ("--count=1 list-commands", "'list-commands' command has no '--count' option; usage: list-commands"),
    ] {
        assert_eq!(usage_error(line), expected, "{line}");
    }
}

#[test]
fn the_list_of_commands_is_sorted_and_complete() {
    let Ok(Invocation::Print(text)) = parse(&words("list-commands")) else { panic!("no list") };
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("The available commands are:"));
    let lines: Vec<_> = lines.collect();
    assert_eq!(lines.len(), verbs::ALL.len() + local::ALL.len());
    assert!(lines.contains(&"  monitor [--count=N]") && lines.contains(&"  [--may-exist] add-br BRIDGE"));
}

#[test]
fn import() {
    let import = |line: &str| match parse(&words(line)) {
        Ok(Invocation::Import(import)) => import,
        other => panic!("{line}: {other:?}"),
    };
    let plain = import("import ifcfg /etc/x");
    assert_eq!((plain.kind, plain.path.as_path()), (ImportKind::Ifcfg, std::path::Path::new("/etc/x")));
    assert_eq!((plain.dry_run, plain.bridge, plain.style), (false, None, Style::default()));
    assert_eq!(import("import modprobe f").kind, ImportKind::Modprobe);
    for line in [
        "import ifcfg d --bridge br5 --dry-run",
        "--dry-run import --bridge=br5 ifcfg d",
        "--dry-run --bridge=br5 import ifcfg d",
        "--dry-run -- import ifcfg --bridge br5 d",
    ] {
        let import = import(line);
        assert_eq!((import.dry_run, import.bridge.as_deref()), (true, Some("br5")), "{line}");
    }
    let import = import("-f json -t 5 --rundir=/x import ifcfg d");
    assert_eq!((import.style.format, import.reach.rundir), (Format::Json, Some("/x".into())));
    let usage = "usage: import ifcfg DIRECTORY|modprobe FILE [--bridge=BRIDGE] [--dry-run]";
    for (line, problem) in [
        ("import", "'import' command requires at least 2 arguments"),
        ("-- --bridge import", "'import' command requires at least 2 arguments"),
        ("import ifcfg", "'import' command needs the path to read"),
        ("import ifcfg a b", "'import' command takes at most 2 arguments"),
        ("import netplan a", "'import' reads ifcfg and modprobe, not \"netplan\""),
        ("import ifcfg a --force", "'import' command has no '--force' option"),
        ("import ifcfg a --bridge=", "--bridge: \"\" can't be the name of a network device: it is empty"),
        ("import ifcfg a --bridge", "--bridge: \"\" can't be the name of a network device: it is empty"),
        ("import ifcfg a -- list-br", "'import' can't be joined with other commands"),
        ("list-br -- import ifcfg a", "'import' can't be joined with other commands"),
    ] {
        assert_eq!(usage_error(line), format!("{problem}; {usage}"), "{line}");
    }
}

#[test]
fn golden_errors() {
    for (line, expected) in [
        ("", "missing command name (use --help for help)"),
        ("--", "missing command name (use --help for help)"),
        ("--dry-run", "missing command name (use --help for help)"),
        ("bogus", "unknown command 'bogus'; use --help for help"),
        ("add-prot br0 tap0", "unknown command 'add-prot'; did you mean \"add-port\"? (use --help for help)"),
        ("list-br -- bogus", "unknown command 'bogus'; use --help for help"),
        (
            "--tiemout=5 list-br",
            "unknown option \"--tiemout\"; did you mean \"--timeout\"? (use --help for help)",
        ),
        (
            "--may-exits add-br br0",
            "unknown option \"--may-exits\"; did you mean \"--may-exist\"? (use --help for help)",
        ),
        ("-x list-br", "unknown option \"-x\" (use --help for help)"),
        ("-t", "option --timeout needs a value"),
        ("--timeout", "option --timeout needs a value"),
        ("--timeout=soon list-br", "\"soon\" is not a time-out; use whole seconds, or 0 to wait for ever"),
        ("--timeout=-1 list-br", "\"-1\" is not a time-out; use whole seconds, or 0 to wait for ever"),
        ("--format=xml list-br", "unknown output format \"xml\"; use table, list, csv or json"),
        ("--rundir= list-br", "option --rundir needs a directory"),
        ("--dry-run=yes list-br", "option --dry-run takes no value"),
        ("--may-exist", "option \"--may-exist\" is not followed by a command (use --help for help)"),
        (
            "list-br -- --may-exist",
            "option \"--may-exist\" is not followed by a command (use --help for help)",
        ),
        ("--may-exist list-br", "'list-br' command has no '--may-exist' option; usage: list-br"),
        (
            "list-br -- --timeout=5 add-br br0",
            "option --timeout belongs to the whole call; write it before the first command; usage: [--may-exist] add-br \
             BRIDGE",
        ),
        ("show -f json", "\"-f\" after 'show': options come before the command; usage: show"),
        (
            "add-br br0 --if-exists",
            "\"--if-exists\" after 'add-br': options come before the command; usage: [--may-exist] add-br BRIDGE",
        ),
        ("add-br", "'add-br' command requires at least 1 argument; usage: [--may-exist] add-br BRIDGE"),
        (
            "add-bond br0",
            "'add-bond' command requires at least 2 arguments; usage: [--may-exist] [--fake-iface] add-bond BRIDGE BOND [MEMBER]... \
             [KEY=VALUE]...",
        ),
        ("list-br br0", "'list-br' command takes at most 0 arguments; usage: list-br"),
        (
            "del-port a b c",
            "'del-port' command takes at most 2 arguments; usage: [--if-exists] [--with-iface] del-port [BRIDGE] PORT",
        ),
        (
            "add-port br0 tap0 tag",
            "\"tag\" is not KEY=VALUE; usage: [--may-exist] add-port BRIDGE PORT [KEY=VALUE]...",
        ),
        ("set port tap0 =5", "\"=5\" is not KEY=VALUE; usage: [--if-exists] set TABLE NAME KEY=VALUE..."),
    ] {
        assert_eq!(usage_error(line), expected, "{line}");
    }
}

#[test]
fn help_tells_every_command_and_option() {
    let Ok(Invocation::Print(help)) = parse(&words("--help")) else { panic!("no help") };
    for verb in verbs::ALL {
        assert!(help.contains(&format!("  {}\n        {}\n", verb.usage(), verb.summary)));
    }
    assert!(help.lines().all(|line| line.len() <= 100), "{help}");
    assert_eq!(parse(&words("-h")), Ok(Invocation::Print(help)));
    assert!(matches!(parse(&words("--version")), Ok(Invocation::Print(text)) if text.starts_with("vsctl ")));
}

#[test]
fn arbitrary_words_never_panic() {
    use proptest::prelude::*;
    let word = prop_oneof![
        proptest::sample::select(vec![
            "--",
            "-",
            "-t",
            "-f",
            "json",
            "=",
            "a=",
            "add-bond",
            "set",
            "--may-exist",
            "-fx"
        ])
        .prop_map(str::to_owned),
        "\\PC{0,6}",
    ];
    proptest!(|(words in proptest::collection::vec(word, 0..8))| {
        let _ = parse(&words);
    });
}
