//! The demo runs, without any right beyond a user namespace of its own, and leaves nothing behind.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;
use integration::process::{Daemon, eventually, finish};
use integration::testing::{skip, switch_turn};
use rustix::process::{Pid, Signal, kill_process};

fn demo(temporary: &Path, seconds: u32) -> Command {
    let mut command = Command::new("unshare");
    command.args(["-Urn", env!("CARGO_BIN_EXE_demo"), "--plain", "--seconds", &seconds.to_string()]);
    // A group of its own, so that whatever it leaves running can be found.
    command.env("TMPDIR", temporary).process_group(0);
    command
}

fn may_unshare() -> bool {
    let allowed = finish(Command::new("unshare").args(["-Urn", "true"]), Duration::from_secs(5));
    let allowed = allowed.is_ok_and(|done| done.status.success());
    if !allowed {
        skip("this kernel does not allow `unshare -Urn`");
    }
    allowed
}

fn nothing_left(temporary: &Path, group: i32) -> Result<()> {
    let files: Vec<_> =
        std::fs::read_dir(temporary)?.map(|file| file.map(|file| file.path())).collect::<Result<_, _>>()?;
    assert_eq!(files, [] as [std::path::PathBuf; 0]);
    eventually("no process of the demo is left", Duration::from_secs(2), || {
        let group = Pid::from_raw(group).expect("a process number is not 0");
        Ok(rustix::process::test_kill_process_group(group).is_err().then_some(()))
    })
}

#[test]
fn the_demo_runs_in_a_user_namespace_and_tells_what_each_event_cost() -> Result<()> {
    let Some(_turn) = switch_turn(&["unshare"])? else { return Ok(()) };
    if !may_unshare() {
        return Ok(());
    }
    let temporary = tempfile::tempdir()?;
    let log = tempfile::NamedTempFile::new()?;
    let mut demo = Daemon::start("demo", &mut demo(temporary.path(), 10), log.path())?;
    let group = demo.id() as i32;
    let status = eventually("the demo ends", Duration::from_secs(40), || demo.ended())?;
    let said = std::fs::read_to_string(log.path())?;
    assert!(status.success(), "{said}");
    for part in ["cable of u1 pulled", "cable of u1 plugged in again", "set-active-member", "Lost per event"]
    {
        assert!(said.contains(part), "no `{part}` in:\n{said}");
    }
    nothing_left(temporary.path(), group)
}

#[test]
fn the_demo_ends_at_once_and_cleanly_when_interrupted() -> Result<()> {
    let Some(_turn) = switch_turn(&["unshare"])? else { return Ok(()) };
    if !may_unshare() {
        return Ok(());
    }
    let temporary = tempfile::tempdir()?;
    let log = tempfile::NamedTempFile::new()?;
    let mut demo = Daemon::start("demo", &mut demo(temporary.path(), 60), log.path())?;
    eventually("the demo runs", Duration::from_secs(20), || {
        Ok(std::fs::read_to_string(log.path())?.contains("full speed").then_some(()))
    })?;
    let id = demo.id() as i32;
    kill_process(Pid::from_raw(id).expect("a process number is not 0"), Signal::INT)?;
    let status = eventually("the demo ends", Duration::from_secs(10), || demo.ended())?;
    assert!(status.success(), "{}", demo.log_tail(20));
    nothing_left(temporary.path(), id)
}
