//! Network namespaces for tests: one thread each, gone with the thread.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::thread::{UnshareFlags, unshare_unsafe};

/// Longest wait for anything that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the test in a network namespace of its own, without IPv6 chatter. Says SKIP where that is not permitted.
pub(crate) fn in_namespace(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::spawn(move || {
        // SAFETY: a new network namespace changes nothing that this process's memory depends on.
        if let Err(error) = unsafe { unshare_unsafe(UnshareFlags::NEWNET) } {
            eprintln!("SKIP can't make a network namespace: {error}; run as root or inside `unshare -Urn`");
            return;
        }
        if let Err(error) = Command::new("ip").arg("-V").output() {
            eprintln!("SKIP needs iproute2's `ip`: {error}");
            return;
        }
        for scope in ["all", "default"] {
            // A kernel without IPv6 has no such setting.
            let _missing = fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
        }
        test();
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Runs iproute2 in this thread's namespace and returns what it printed.
#[track_caller]
pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().expect("ip runs");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Makes a veth pair, both ends up. The indexes differ, so that the kernel doesn't delay carrier news.
pub(crate) fn veth(left: (&str, u32), right: (&str, u32)) {
    let ((left, l), (right, r)) = (left, right);
    ip(&format!("link add {left} index {l} type veth peer name {right} index {r}"));
    ip(&format!("link set {left} up"));
    ip(&format!("link set {right} up"));
}

/// Asks again and again until there is an answer.
#[track_caller]
pub(crate) fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} in vain: {what}");
        std::thread::sleep(Duration::from_micros(200));
    }
}
