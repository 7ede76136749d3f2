use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::model::tests::FULL;

fn refused(bytes: &[u8]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.toml");
    fs::write(&path, bytes).unwrap();
    let error = load(&path).expect_err("it is corrupt").to_string();
    assert_eq!(fs::read(&path).unwrap(), bytes, "the file is left as it is");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    error.replace(&path.display().to_string(), "FILE")
}

#[test]
fn a_missing_file_is_an_empty_switch() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(load(&directory.path().join("no/such")).unwrap(), Model::default());
}

#[test]
fn round_trip_with_identical_octets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("deep/er/state.toml");
    let model: Model = toml::from_str(FULL).unwrap();
    save(&path, &model).unwrap();
    let first = fs::read(&path).unwrap();
    assert!(first.starts_with(b"# Written by vswitchd"));
    assert_eq!(load(&path).unwrap(), model);
    save(&path, &load(&path).unwrap()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), first);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1, "nothing else is left");
}

#[test]
fn an_empty_model_round_trips() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.toml");
    save(&path, &Model::default()).unwrap();
    assert_eq!(load(&path).unwrap(), Model::default());
}

#[test]
fn what_a_crash_left_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.toml");
    fs::write(directory.path().join("state.toml.new"), "half a fi").unwrap();
    save(&path, &Model::default()).unwrap();
    assert_eq!(load(&path).unwrap(), Model::default());
    assert!(!directory.path().join("state.toml.new").exists());
}

#[test]
fn a_failed_write_leaves_the_old_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.toml");
    // A directory of that name: the rename fails.
    fs::create_dir(&path).unwrap();
    let error = save(&path, &Model::default()).unwrap_err().to_string();
    assert!(error.contains("rename"), "{error}");
    assert!(!directory.path().join("state.toml.new").exists());
    assert!(path.is_dir());
}

#[test]
fn corrupt_files_are_refused_with_their_place() {
    let rest = "; correct the file, or move it away to start with an empty switch (it was left as it is)";
    for (text, expected) in [
        ("", "the state file FILE, line 1, column 1: missing field `version`"),
        (
            "version = 1\nbridges = 5\n",
            "the state file FILE, line 2, column 11: invalid type: integer `5`, expected a map",
        ),
        (
            "version = 1\n[bridges.br0]\nmac = \"02:00:00:00:00:01\"\ntga = 5\n",
            "the state file FILE, line 4, column 1: unknown field `tga`, expected one of `mac`, `carrier`, \
             `fail-mode`, `fastpath`, `mac-table-size`, `mac-aging-time`, `vlan-mode`, `tag`, `trunks`, `cvlans`, \
             `static-macs`, `external-ids`, `limits`, `port-external-ids`, `interface-external-ids`, `ports`",
        ),
        (
            "version = 1\n[bridges.br0]\nmac = \"02:00:00\"\n",
            "the state file FILE, line 3, column 7: \"02:00:00\" is not a MAC address; write six octets like \
             02:00:00:00:00:01",
        ),
        ("version = 2\n", "the state file FILE: version: is 2; this program knows version 1"),
    ] {
        assert_eq!(refused(text.as_bytes()), format!("{expected}{rest}"), "{text}");
    }
    for (text, place) in [
        (&b"version = 1\n[bridges.br0\n"[..], "line 2, column 13"),
        (b"version = 1\nversion = 1\n", "line 2, column 1"),
        (b"version = 1\n# \xc3\xa4\xff\n", "line 2, column 4: not UTF-8 text"),
        (
            b"version = 1\n[bridges.br0]\nmac = \"02:00:00:00:00:01\"\ntag = 5000\n",
            "line 2, column 1: \"5000\" is not a",
        ),
        (b"version = 1\n[bridges.br0]\nmac = \"02:00:00:00:00:01\"\ntrunks = \"x\"\n", "line 4, column 10"),
        (
            b"version = 1\n[bridges.br0]\nmac = \"02:00:00:00:00:01\"\ntag = 5\ntrunks = \"1\"\n",
            "line 2, column 1: tag and trunks together need",
        ),
        (b"\0\0\0\0", "line 1, column 5"),
    ] {
        let error = refused(text);
        assert!(error.contains(place), "{error}");
    }
}

#[test]
fn the_file_of_an_older_version_still_loads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.toml");
    let old = "version = 1\n\n[bridges.br0]\nmac = \"02:00:00:00:00:01\"\ncarrier = \"bond0\"\nmac-table-size = 64\n\
        trunks = \"0,10\"\n\n[bridges.br0.ports.bond0]\ntag = 20\n\n[bridges.br0.ports.bond0.bond]\n\
        members = [\"eth2\"]\nactive = \"eth2\"\n\n[bridges.br0.ports.bond0.bond.options]\n\
        mode = \"active-backup\"\n\n[bridges.br0.ports.tap0]\ntrunks = \"1-3\"\n";
    fs::write(&path, old).unwrap();
    let model = load(&path).unwrap();
    assert_eq!(model.bridges["br0"].ports["bond0"].vlan.tag(), Some(20));
    assert_eq!(toml::to_string_pretty(&model).unwrap(), old, "what is not used takes no place");
}

#[test]
fn truncation_anywhere_is_refused_or_a_valid_model() {
    for end in 0..FULL.len() {
        let _ = parse(&FULL.as_bytes()[..end]).map(|model| model.validate());
    }
}

#[test]
fn what_could_not_be_read_again_is_not_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.toml");
    let mut model: Model = toml::from_str(FULL).unwrap();
    save(&path, &model).unwrap();
    let ids = &mut model.bridges.get_mut("br0").unwrap().external_ids;
    ids.extend((0..1025).map(|n| (n.to_string(), "x".repeat(64 << 10))));
    assert_eq!(model.validate(), Ok(()));
    let error = save(&path, &model).unwrap_err().to_string();
    assert!(error.contains("too large"), "{error}");
    assert_eq!(load(&path).unwrap(), toml::from_str(FULL).unwrap());
}

#[test]
fn a_directory_or_huge_file_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let error = load(directory.path()).unwrap_err().to_string();
    assert!(error.starts_with("can't read the state file"), "{error}");
    let path = directory.path().join("huge");
    File::create(&path).unwrap().set_len(MAX_LEN + 1).unwrap();
    let error = load(&path).unwrap_err().to_string();
    assert!(error.contains("too large"), "{error}");
}
