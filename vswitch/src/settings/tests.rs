use std::fs;

use super::*;

fn load(
    file: Option<&str>,
    environment: &[(&str, &str)],
    flags: &[&str],
) -> Result<(Settings, Vec<String>), String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vswitchd.toml");
    let mut words = vec!["vswitchd"];
    // A file that is named, so that the machine's own has no say.
    fs::write(&path, file.unwrap_or_default()).unwrap();
    let config = format!("--config={}", path.display());
    words.push(&config);
    words.extend(flags);
    let flags = Flags::try_parse_from(words).map_err(|error| error.to_string())?;
    let environment = environment.iter().map(|(name, text)| ((*name).into(), (*text).into()));
    Settings::load(&flags, environment, 6)
        .map_err(|e| e.to_string().replace(&path.display().to_string(), "FILE"))
}

#[test]
fn defaults() {
    let (settings, warnings) = load(None, &[], &[]).unwrap();
    let expected = Settings {
        rundir: "/run/vswitch".into(),
        state: "/var/lib/vswitch/state.toml".into(),
        workers: 3,
        log: "info".into(),
        log_format: LogFormat::Text,
        metrics: None,
        fastpath: FastPathMode::Auto,
    };
    assert_eq!((settings, warnings), (expected, vec![]));
    for (cpus, workers) in [(0, 1), (1, 1), (2, 1), (4, 2), (8, 4), (128, 4)] {
        let flags = Flags { config: Some("/dev/null".into()), ..Flags::default() };
        assert_eq!(Settings::load(&flags, [], cpus).unwrap().0.workers, workers);
    }
}

#[test]
fn the_file_then_the_environment_then_flags() {
    let file =
        Some("rundir = \"/a\"\nstate = \"/a/s\"\nworkers = 1\nlog = \"warn\"\nlog-format = \"json\"\n");
    let (settings, _) = load(file, &[], &[]).unwrap();
    assert_eq!((settings.rundir, settings.workers, settings.log_format), ("/a".into(), 1, LogFormat::Json));
    let environment = [("VSWITCH_RUNDIR", "/b"), ("VSWITCH_WORKERS", "2"), ("VSWITCH_LOG_FORMAT", "text")];
    let (settings, _) = load(file, &environment, &[]).unwrap();
    assert_eq!((settings.rundir, settings.workers, settings.log_format), ("/b".into(), 2, LogFormat::Text));
    let (settings, _) =
        load(file, &environment, &["--rundir=/c", "--workers", "5", "--log-format=json"]).unwrap();
    assert_eq!((settings.rundir, settings.workers, settings.log_format), ("/c".into(), 5, LogFormat::Json));
    assert_eq!((settings.state, settings.log.as_str()), ("/a/s".into(), "warn"));
}

#[test]
fn metrics_can_be_switched_off_again() {
    let file = Some("metrics = \"127.0.0.1:9464\"\n");
    let tcp = MetricsAddress::Tcp("127.0.0.1:9464".parse().unwrap());
    assert_eq!(load(file, &[], &[]).unwrap().0.metrics, Some(tcp));
    assert_eq!(load(file, &[("VSWITCH_METRICS", "off")], &[]).unwrap().0.metrics, None);
    let unix = load(file, &[("VSWITCH_METRICS", "off")], &["--metrics=unix:/run/m"]).unwrap().0.metrics;
    assert_eq!(unix, Some(MetricsAddress::Unix("/run/m".into())));
}

#[test]
fn the_fast_path_from_every_source() {
    let mode = |file, environment: &[_], flags: &[_]| load(file, environment, flags).unwrap().0.fastpath;
    assert_eq!(mode(Some("fastpath = \"on\"\n"), &[], &[]), FastPathMode::On);
    assert_eq!(mode(Some("fastpath = \"on\"\n"), &[("VSWITCH_FASTPATH", "off")], &[]), FastPathMode::Off);
    assert_eq!(mode(None, &[("VSWITCH_FASTPATH", "off")], &["--fastpath=auto"]), FastPathMode::Auto);
}

#[test]
fn the_environment_names_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("x.toml");
    fs::write(&path, "log = \"debug\"").unwrap();
    let environment = [("VSWITCH_CONFIG".into(), path.into_os_string())];
    assert_eq!(Settings::load(&Flags::default(), environment, 2).unwrap().0.log, "debug");
}

#[test]
fn errors_name_the_key_and_where_it_came_from() {
    for (file, environment, flags, expected) in [
        (
            "worker = 2",
            &[][..],
            &[][..],
            "the settings file FILE has an unknown key \"worker\"; did you mean \"workers\"? (known: rundir, state, \
             workers, log, log-format, metrics, fastpath)",
        ),
        (
            "workers = \"many\"",
            &[],
            &[],
            "setting workers (from FILE): \"many\" is not a number from 1 to 64",
        ),
        ("workers = true", &[], &[], "setting workers (from FILE): \"true\" is not a number from 1 to 64"),
        ("rundir = 5", &[], &[], "setting rundir (from FILE): \"5\" is not a path"),
        (
            "log-format = \"xml\"",
            &[],
            &[],
            "setting log-format (from FILE): \"xml\" is neither \"text\" nor \"json\"",
        ),
        (
            "",
            &[("VSWITCH_WORKERS", "0")],
            &[],
            "setting workers (from environment variable VSWITCH_WORKERS): \"0\" is not a number from 1 to 64",
        ),
        ("", &[], &["--workers=65"], "setting workers (from --workers): \"65\" is not a number from 1 to 64"),
        (
            "",
            &[("VSWITCH_STATE", "")],
            &[],
            "setting state (from environment variable VSWITCH_STATE): \"\" is not a path",
        ),
        (
            "fastpath = true",
            &[],
            &[],
            "setting fastpath (from FILE): \"true\" is none of \"auto\", \"on\" and \"off\"",
        ),
        (
            "",
            &[("VSWITCH_FASTPATH", "On")],
            &[],
            "setting fastpath (from environment variable VSWITCH_FASTPATH): \"On\" is none of \"auto\", \"on\" and \
             \"off\"",
        ),
        (
            "metrics = \"0.0.0.0:9464\"",
            &[],
            &[],
            "setting metrics (from FILE): \"0.0.0.0:9464\" is not a loopback address; metrics are served to this host \
             only: use 127.0.0.1 or [::1], and a proxy if others are to read them",
        ),
        (
            "metrics = 9464",
            &[],
            &[],
            "setting metrics (from FILE): \"9464\" is neither a loopback address with a port like 127.0.0.1:9464 nor a \
             socket like unix:/run/vswitch/metrics.sock",
        ),
        (
            "",
            &[],
            &["--metrics=unix:metrics.sock"],
            "setting metrics (from --metrics): \"unix:metrics.sock\" names no usable socket: the path must be absolute \
             and at most 107 octets long",
        ),
    ] {
        assert_eq!(load(Some(file), environment, flags).unwrap_err(), expected);
    }
    let error = load(Some("a = 1\nb = = 2\n"), &[], &[]).unwrap_err();
    assert!(error.starts_with("can't read the settings file FILE: ") && error.contains("line 2"), "{error}");
}

#[test]
fn a_named_file_must_exist() {
    let flags = Flags { config: Some("/no/such/file".into()), ..Flags::default() };
    let error = Settings::load(&flags, [], 2).unwrap_err().to_string();
    assert!(error.starts_with("can't read the settings file /no/such/file: No such file"), "{error}");
}

#[test]
fn misspelt_variables_are_warned_of() {
    let (_, warnings) =
        load(None, &[("VSWITCH_WORKER", "2"), ("VSWITCHX", "1"), ("HOME", "/")], &[]).unwrap();
    assert_eq!(
        warnings,
        ["environment variable VSWITCH_WORKER is no setting of vswitchd; did you mean \"VSWITCH_WORKERS\"?"]
    );
}
