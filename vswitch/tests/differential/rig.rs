//! The program in the kernel, and interfaces for it to find: in a network namespace of the test's own.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use aya::programs::{TestRun as _, TestRunOptions};
use forwarding::fdb::{Fdb, FdbConfig, Tick};
use forwarding::vlan::VlanTag;
use rustix::thread::{CpuSet, UnshareFlags, sched_setaffinity, unshare_unsafe};
use vswitch::fastpath::layout::MISSES;
use vswitch::fastpath::{Kernel, LoadOptions, Pins};

/// Verdicts of the program (linux/pkt_cls.h).
pub(crate) const OK: u32 = 0;
pub(crate) const SHOT: u32 = 2;
pub(crate) const REDIRECT: u32 = 7;

/// Longest wait for anything that must happen.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pairs of interfaces.
const PAIRS: usize = 20;
/// Interfaces for devices of the tables.
pub(crate) const INTERFACES: usize = 2 * PAIRS;
/// Octets of the kernel's `struct __sk_buff` and then some; where interface index and control block are in it.
const CONTEXT_LEN: usize = 256;
const IFINDEX: usize = 40;
const CONTROL_BLOCK: usize = 48;
/// Longer than any frame that the kernel takes from a test.
const LONGEST: usize = 4096;

/// What the program did with a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ran {
    /// The program's verdict.
    pub(crate) action: u32,
    /// Index into [`MISSES`]; its length if the frame was forwarded, and one more if it was passed on, for LACP.
    pub(crate) miss: usize,
    /// The device by which it leaves, and its port.
    pub(crate) device: u16,
    pub(crate) port: u16,
    pub(crate) vlan: u16,
    /// The tag beside the octets when the decision was made.
    pub(crate) tag: Option<VlanTag>,
    pub(crate) hash: u32,
    /// The daemon gets a copy to look at.
    pub(crate) snooped: bool,
    /// Counted as the load of its bucket: 1 and the number of the counters; 0: not.
    pub(crate) loads: u8,
    /// The octets afterwards.
    pub(crate) bytes: Vec<u8>,
}

impl Ran {
    pub(crate) fn is_forwarded(&self) -> bool {
        self.miss == MISSES.len()
    }

    pub(crate) fn is_passed(&self) -> bool {
        self.miss == MISSES.len() + 1
    }
}

pub(crate) struct Rig {
    pub(crate) kernel: Kernel,
}

impl Rig {
    /// Runs a test with the program loaded, on one CPU. `None`, after saying SKIP and why, where that is not permitted.
    pub(crate) fn with<T: Send + 'static>(test: impl FnOnce(&mut Self) -> T + Send + 'static) -> Option<T> {
        let name = std::thread::current().name().unwrap_or("?").to_owned();
        let thread = std::thread::spawn(move || {
            let result = Self::load().map(|rig| rig.map(|mut rig| test(&mut rig)));
            match result.unwrap_or_else(|error| panic!("{error:?}")) {
                Ok(result) => Some(result),
                Err(reason) => {
                    skip(&name, &reason);
                    None
                }
            }
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// The inner error is the reason for which the test can't run here.
    fn load() -> anyhow::Result<Result<Self, String>> {
        // SAFETY: a new network namespace changes nothing that this process's memory depends on.
        if let Err(error) = unsafe { unshare_unsafe(UnshareFlags::NEWNET) } {
            return Ok(Err(format!("can't make a network namespace: {error}; run as root")));
        }
        let mut cpu = CpuSet::new();
        cpu.set(rustix::thread::sched_getcpu());
        sched_setaffinity(None, &cpu)?;
        let pins = Pins::of(&rundir());
        let created = {
            let _alone = pinning();
            pins.create()
        };
        if let Err(error) = created {
            return if may_not(&error, true) { Ok(Err(format!("{error:#}"))) } else { Err(error) };
        }
        let kernel = match Kernel::load(pins.clone(), LoadOptions { show_verdict: true }) {
            Ok(kernel) => kernel,
            Err(error) => {
                let _alone = pinning();
                pins.remove_all()?;
                return if may_not(&error, false) { Ok(Err(format!("{error:#}"))) } else { Err(error) };
            }
        };
        let rig = Self { kernel };
        Ok(if make_interfaces()? { Ok(rig) } else { Err("needs iproute2's `ip`".to_owned()) })
    }

    pub(crate) fn make_fdb(&mut self, number: u16, config: FdbConfig) -> Fdb {
        self.kernel.make_fdb(number, config).expect("a new FDB")
    }

    /// Runs the program on a frame as it is on the wire, tags and all, received on an interface. `None`: the kernel takes
    /// no such frame from a test.
    pub(crate) fn run(&self, ifindex: u32, frame: &[u8]) -> Option<Ran> {
        let mut context = [0; CONTEXT_LEN];
        context[IFINDEX..IFINDEX + 4].copy_from_slice(&ifindex.to_ne_bytes());
        let (mut after, mut bytes) = ([0; CONTEXT_LEN], vec![0; LONGEST]);
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut bytes),
            ctx_in: Some(&context),
            ctx_out: Some(&mut after),
            ..Default::default()
        };
        let run = match self.kernel.loaded_program().expect("it is loaded").test_run(options) {
            Ok(run) => run,
            Err(_) if lacks_ip_header(frame) => return None,
            Err(error) => panic!("the kernel does not run it: {error:?}"),
        };
        bytes.truncate(run.data_size_out as usize);
        let word = |n: usize| {
            let at = CONTROL_BLOCK + 4 * n;
            u32::from_ne_bytes(after[at..at + 4].try_into().expect("four octets"))
        };
        let tag = VlanTag { tpid: (word(2) >> 16) as u16, tci: word(2) as u16 };
        Some(Ran {
            action: run.return_value,
            miss: (word(0) >> 16) as usize,
            device: word(0) as u16,
            port: (word(1) >> 16) as u16,
            vlan: word(1) as u16,
            tag: (tag.tpid != 0).then_some(tag),
            hash: word(3),
            snooped: word(4) & 1 != 0,
            loads: (word(4) >> 8) as u8,
            bytes,
        })
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        let _alone = pinning();
        if let Err(error) = self.kernel.pins().remove_all() {
            eprintln!("pins are left behind: {error}");
        }
    }
}

/// The program's present tick.
pub(crate) fn tick() -> Tick {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid place for the answer.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now) };
    assert_eq!(result, 0, "there is a monotonic clock");
    Tick(now.tv_sec as u16)
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

/// Tests make and remove their directories one after the other: the last one removes what is above them too.
fn pinning() -> MutexGuard<'static, ()> {
    static PINNING: Mutex<()> = Mutex::new(());
    PINNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A run directory that nobody else has.
fn rundir() -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    Path::new("/differential").join(format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed)))
}

/// The kernel takes no untagged IP frame from a test whose IP header is cut off.
fn lacks_ip_header(frame: &[u8]) -> bool {
    match frame[12..14] {
        [0x08, 0x00] => frame.len() < 14 + 20,
        [0x86, 0xdd] => frame.len() < 14 + 40,
        _ => false,
    }
}

/// The interface index of an interface. Eight each are alike in their lower ten bits, which the program's table of
/// interfaces goes by.
pub(crate) fn ifindex(interface: usize) -> u32 {
    assert!(interface < INTERFACES);
    (1000 + interface / 8 + 1024 * (interface % 8)) as u32
}

/// Its name. The two of a pair, `2 n` and `2 n + 1`, are the ends of one cable.
pub(crate) fn name(interface: usize) -> String {
    format!("v{interface}")
}

/// Makes the interfaces; false if there is no program to do it.
fn make_interfaces() -> anyhow::Result<bool> {
    for scope in ["all", "default"] {
        // A kernel without IPv6 has no such setting.
        let _missing = fs::write(format!("/proc/sys/net/ipv6/conf/{scope}/disable_ipv6"), "1");
    }
    let mut lines = String::new();
    for left in (0..INTERFACES).step_by(2) {
        let end = |n| format!("{} index {} mtu 9000", name(n), ifindex(n));
        lines += &format!("link add {} type veth peer name {}\n", end(left), end(left + 1));
    }
    (0..INTERFACES).for_each(|n| lines += &format!("link set {} up\n", name(n)));
    let ip = Command::new("ip").args(["-batch", "-"]).stdin(Stdio::piped()).spawn();
    let Ok(mut ip) = ip else { return Ok(false) };
    ip.stdin.take().context("a pipe")?.write_all(lines.as_bytes())?;
    anyhow::ensure!(ip.wait()?.success(), "ip could not make the interfaces");
    Ok(true)
}

/// The right is lacking. What the verifier refuses has the same kind of error (EACCES) as files that we may not write.
fn may_not(error: &anyhow::Error, files: bool) -> bool {
    let code = |cause: &(dyn std::error::Error + 'static)| {
        let io = cause.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error);
        io.or_else(|| cause.downcast_ref::<rustix::io::Errno>().map(|errno| errno.raw_os_error()))
    };
    error.chain().filter_map(code).any(|code| code == libc::EPERM || files && code == libc::EACCES)
}

/// Says aloud, past cargo's capture and in the file that `VSWITCH_SKIP_LOG` names, that a test can't run.
fn skip(test: &str, reason: &str) {
    let line = format!("SKIP {test}: {reason}\n");
    let _ = io::stderr().write_all(line.as_bytes());
    if let Some(path) = std::env::var_os("VSWITCH_SKIP_LOG") {
        let log = fs::File::options().create(true).append(true).open(path);
        let _ = log.and_then(|mut log| log.write_all(line.as_bytes()));
    }
}
