//! The committed BPF object is what its sources make.

use std::io::{self, Write as _};
use std::path::Path;
use std::process::Command;

const BUILD: &str = include_str!("../bpf/build");
const OBJECT: &[u8] = include_bytes!("../bpf/forward.bpf.o");
/// What the build script says before the compiler that made the object: its name and major version.
const MARK: &str = "# The committed object is by: ";

#[test]
fn the_object_is_made_from_these_sources() {
    let made_by =
        BUILD.lines().find_map(|line| line.strip_prefix(MARK)).expect("the script names the compiler");
    if let Err(reason) = can_build(made_by) {
        skip(&reason);
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let object = directory.path().join("forward.bpf.o");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("bpf/build");
    let output = Command::new("sh").arg(&script).arg(&object).output().unwrap();
    assert!(output.status.success(), "{}: {}", script.display(), String::from_utf8_lossy(&output.stderr));
    let made = std::fs::read(object).unwrap();
    assert!(
        made == OBJECT,
        "vswitch/bpf/forward.bpf.o ({} octets) is not what its sources make ({} octets); run vswitch/bpf/build and \
         commit the object",
        OBJECT.len(),
        made.len()
    );
}

/// Whether all programs and headers are there, and the compiler is the one that made the committed object: another one
/// makes other octets.
fn can_build(made_by: &str) -> Result<(), String> {
    let version = version_of("clang")?;
    version_of("llvm-strip")?;
    let number = version.split("version ").nth(1).and_then(|text| text.split('.').next());
    let found = format!("clang {}", number.unwrap_or("of unknown version"));
    if found != made_by {
        return Err(format!("this is {found}, and the object was made by {made_by}"));
    }
    if !Path::new("/usr/include/bpf/bpf_helpers.h").exists() {
        return Err("libbpf's headers are not installed (package libbpf-dev)".to_owned());
    }
    Ok(())
}

fn version_of(program: &str) -> Result<String, String> {
    let output = Command::new(program).arg("--version").output();
    let output = output.map_err(|error| format!("{program} does not run: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Says aloud, past cargo's capture and in the file that `VSWITCH_SKIP_LOG` names, that the test can't run.
fn skip(reason: &str) {
    let line = format!("SKIP the_object_is_made_from_these_sources: {reason}\n");
    let _ = io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("VSWITCH_SKIP_LOG") {
        let log = std::fs::File::options().create(true).append(true).open(path);
        let _ = log.and_then(|mut log| log.write_all(line.as_bytes()));
    }
}
