//! Commands with a deadline, and long-running children that never outlive us.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, set_parent_process_death_signal};

/// Long enough for any command of the harness on a busy machine.
pub const COMMAND_DEADLINE: Duration = Duration::from_secs(20);

/// What a finished command left.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// A command that dies with the thread that started it, started in network namespace `net` if one is given.
pub fn command(program: impl AsRef<Path>, net: Option<Arc<OwnedFd>>) -> Command {
    let mut command = Command::new(program.as_ref());
    let enter = move || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if let Some(net) = &net {
            rustix::thread::move_into_link_name_space(
                net.as_fd(),
                Some(rustix::thread::LinkNameSpaceType::Network),
            )?;
        }
        Ok(())
    };
    // SAFETY: the closure makes two system calls and touches no lock and no heap, which is all that is allowed
    // between fork and exec.
    unsafe { command.pre_exec(enter) };
    command
}

/// Runs a command to its end. An error means that it could not be started or was killed at the deadline; a non-zero
/// exit status is not an error here.
pub fn finish(command: &mut Command, deadline: Duration) -> Result<Finished> {
    let mut stdout = tempfile::tempfile()?;
    let mut stderr = tempfile::tempfile()?;
    command.stdin(Stdio::null()).stdout(stdout.try_clone()?).stderr(stderr.try_clone()?);
    let mut child = command.spawn().with_context(|| format!("cannot start {}", line(command)))?;
    let Some(status) = wait_until(&mut child, deadline)? else {
        child.kill()?;
        child.wait()?;
        let said = tail(&content(&mut stderr)?);
        bail!("{} did not end within {} s{said}", line(command), deadline.as_secs_f32());
    };
    Ok(Finished { status, stdout: content(&mut stdout)?, stderr: content(&mut stderr)? })
}

/// Runs a command to its end and returns its standard output; a non-zero exit status is an error that quotes what it
/// said.
pub fn output(command: &mut Command) -> Result<String> {
    let done = finish(command, COMMAND_DEADLINE)?;
    if !done.status.success() {
        bail!("{}: {}{}{}", line(command), done.status, tail(&done.stderr), tail(&done.stdout));
    }
    Ok(done.stdout)
}

/// The command as one would type it.
fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}

fn tail(text: &str) -> String {
    let text = text.trim();
    if text.is_empty() { String::new() } else { format!("\n{text}") }
}

fn content(file: &mut File) -> Result<String> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Waits for a child to end; `None` when the deadline passed first.
fn wait_until(child: &mut Child, deadline: Duration) -> Result<Option<ExitStatus>> {
    let end = Instant::now() + deadline;
    let fd = pidfd_open(pid(child), PidfdFlags::empty())?;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(None);
        }
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn pid(child: &Child) -> Pid {
    Pid::from_child(child)
}

/// A child that runs until told otherwise; its output goes to a file. Killed when dropped.
pub struct Daemon {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command`, appending what it writes to the file `log`.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("cannot start {}", line(command)))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Sends SIGTERM and waits until it is gone.
    pub fn terminate(&mut self, deadline: Duration) -> Result<ExitStatus> {
        self.end_by(Signal::TERM, deadline)
    }

    /// Sends a signal that ends it, and waits for the end.
    pub fn end_by(&mut self, signal: Signal, deadline: Duration) -> Result<ExitStatus> {
        kill_process(pid(&self.child), signal)?;
        match wait_until(&mut self.child, deadline)? {
            Some(status) => Ok(status),
            None => bail!("{} is still running {} s after {signal:?}", self.name, deadline.as_secs_f32()),
        }
    }

    /// The last lines of what it wrote.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<_> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- last lines of {} ---\n{}\n---", self.name, self.log_tail(60));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Polls `probe` until it returns something. Errors name what was waited for.
pub fn eventually<T>(
    what: &str,
    deadline: Duration,
    mut probe: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let end = Instant::now() + deadline;
    let mut pause = Duration::from_millis(1);
    loop {
        if let Some(value) = probe()? {
            return Ok(value);
        }
        if Instant::now() >= end {
            bail!("waited {} s in vain until {what}", deadline.as_secs_f32());
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}

/// Whether a program of this name is in `PATH` (or in the `sbin` directories that a plain user's `PATH` lacks).
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let extra = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    std::env::split_paths(&path).chain(extra).map(|dir| dir.join(name)).find(|file| file.is_file())
}

/// The number of an open file, for a `/proc` path that names it.
pub(crate) fn fd_path(fd: &OwnedFd) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), fd.as_raw_fd())
}
