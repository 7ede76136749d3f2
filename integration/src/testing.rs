//! What the black-box tests share.

use std::io::Write as _;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use crate::netns::Namespace;
use crate::process::{self, COMMAND_DEADLINE, find_program};

/// Tests of one program take turns: each needs the machine's few cores for itself.
static TURN: Mutex<()> = Mutex::new(());

/// The right to run now.
pub struct Turn(#[expect(dead_code, reason = "held, not read")] MutexGuard<'static, ()>);

/// Waits for this test's turn. `None`, after saying why, if this machine lacks something the test needs: namespaces,
/// `ip`, or one of `programs`.
#[must_use]
pub fn turn(programs: &[&str]) -> Option<Turn> {
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let missing =
        ["ip", "bridge", "ping"].iter().chain(programs).find(|program| find_program(program).is_none());
    if let Some(missing) = missing {
        skip(&format!("{missing} is not installed"));
        return None;
    }
    if let Err(error) = Namespace::new("trial") {
        skip(&format!("needs root or `unshare -Urn`: {error:#}"));
        return None;
    }
    Some(Turn(turn))
}

/// Says aloud that the running test can't run and why: on standard error, past cargo's capture, and in the file that
/// `VSWITCH_SKIP_LOG` names.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let line = format!("SKIP {}: {reason}\n", thread.name().unwrap_or("?"));
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("VSWITCH_SKIP_LOG") {
        let log = std::fs::File::options().create(true).append(true).open(path);
        let _ = log.and_then(|mut log| log.write_all(line.as_bytes()));
    }
}

/// Pings until one answer comes, for at most 3 s: for reachability and for warming up.
pub fn reaches(from: &Namespace, to: IpAddr) -> bool {
    from.run(&format!("ping -n -q -c 1 -i 0.1 -w 3 -W 0.3 {to}")).is_ok()
}

/// Pings for half a second; true if not one answer comes.
pub fn never_reaches(from: &Namespace, to: IpAddr) -> Result<bool> {
    let ping = format!("-n -q -c 5 -i 0.1 -W 0.2 {to}");
    let done = process::finish(from.command("ping").args(ping.split_whitespace()), COMMAND_DEADLINE)?;
    Ok(done.stdout.contains(" 0 received"))
}
