//! The daemon.

use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Parser as _;
use signal_hook::consts::{SIGINT, SIGTERM, SIGUSR2};
use tracing_subscriber::EnvFilter;
use vswitch::control::{Control, Places, Signals};
use vswitch::datapath::Datapath;
use vswitch::device::Device;
use vswitch::fastpath::cleanup::{self, InternalPorts};
use vswitch::fastpath::{Kernel, LoadOptions, Pins};
use vswitch::model::FastPathMode;
use vswitch::netlink::monitor::LinkMonitor;
use vswitch::restart::early::Early;
use vswitch::restart::keeper::Keeper;
use vswitch::rpc::listener::Listener;
use vswitch::settings::{Flags, LogFormat, Settings};
use vswitch::switch::Switch;
use vswitch::switch::fast::FastPath;
use vswitch::worker::WorkerThread;
use vswitch::{privileges, punt, random, restart, state_file};

/// Notices of workers that may wait for the control thread.
const NOTICES: usize = 1024;

/// Frames that may wait for each worker where the kernel's executor leaves them to it.
const MISSES: i32 = 4096;

/// Nice value of all our threads, -20..=19; lower runs first.
const NICENESS: i32 = -10;

fn main() -> ExitCode {
    let flags = Flags::parse();
    match run(&flags) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("vswitchd: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(flags: &Flags) -> anyhow::Result<()> {
    let epoch = boot();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let (settings, warnings) = Settings::load(flags, std::env::vars_os(), cpus)?;
    start_log(&settings)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    raise_priority();
    // First of all the lock on the run directory: no file is read that another daemon is writing.
    let listener = Listener::bind(&settings.rundir)?;
    if flags.cleanup {
        return clean_up(&settings);
    }
    let model = state_file::load(&settings.state)?;
    let signals = Signals { stop: on_signals(&[SIGTERM, SIGINT])?, hand_over: on_signals(&[SIGUSR2])? };

    let mut monitor = LinkMonitor::open().context("can't open a netlink socket")?;
    let links = monitor.dump()?;
    let boot = restart::boot_id();
    let earlier = earlier_bonds(&settings, boot.as_deref(), epoch);
    let earlier = earlier.map(|kept| (Early::begin(epoch.elapsed(), &kept, &model, &links), kept));
    let mut datapath = Datapath::new();
    let (notices, inbox) = punt::channel(NOTICES);
    let kernel = load_fast_path(&settings)?;
    let places = [Some(settings.rundir.as_path()), settings.state.parent()];
    let kept = privileges::drop_unneeded(&places.map(|path| path.unwrap_or(Path::new("/"))))
        .context("capabilities can't be dropped")?;
    tracing::debug!(?kept, "capabilities left");
    let (mut workers, mut queues) = (Vec::new(), Vec::new());
    for index in 0..settings.workers {
        let misses = kernel.is_ok().then(|| Device::miss_queue(MISSES)).transpose()?;
        queues.extend(misses.as_ref().map(Device::ifindex));
        let worker = WorkerThread::start(index, &mut datapath, epoch, notices.clone(), misses);
        workers.push(worker.context("can't start a worker thread")?);
    }
    let fast = FastPath { kernel, queues };
    let mut switch = Switch::new(epoch, datapath, links, random::number(), settings.metrics.is_some(), fast)
        .context("can't watch members' protocols")?;
    if let Some((mut early, kept)) = earlier {
        early.repeat(epoch.elapsed());
        switch.resume(kept, early);
    }
    let prepared = switch.prepare_restored(model).map_err(anyhow::Error::msg)?;
    switch.commit(epoch.elapsed(), prepared, 0);

    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        socket = %listener.path().display(),
        state = %settings.state.display(),
        workers = settings.workers,
        "vswitchd runs"
    );
    drop(notices);
    let path = restart::path(&settings.rundir);
    let keeper =
        boot.map(|boot| Keeper::start(path, boot)).transpose().context("thread for the bonds' state")?;
    let places = Places { state: settings.state, metrics: settings.metrics, keeper };
    let control = Control::new(epoch, switch, monitor, listener, signals, inbox, places)?;
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::warn!(%error, "systemd can't be told that we are ready");
    }
    control.run()?;
    drop(workers);
    Ok(())
}

/// A stream that becomes readable when one of the signals has come.
fn on_signals(signals: &[i32]) -> anyhow::Result<UnixStream> {
    let (stream, end) = UnixStream::pair().context("socket pair")?;
    stream.set_nonblocking(true).context("socket pair")?;
    for signal in signals {
        signal_hook::low_level::pipe::register(*signal, end.try_clone()?).context("signal handler")?;
    }
    Ok(stream)
}

/// What the daemon before has left of its bonds, if it is of use.
fn earlier_bonds(settings: &Settings, boot: Option<&str>, epoch: Instant) -> Option<restart::Kept> {
    let path = restart::path(&settings.rundir);
    let Some(boot) = boot else {
        tracing::warn!("no boot id in /proc; LACP begins anew at every start");
        return None;
    };
    restart::load(&path, boot, epoch.elapsed()).unwrap_or_else(|reason| {
        tracing::warn!(file = %path.display(), %reason, "bonds begin anew, not where the last daemon left them");
        None
    })
}

/// Removes what a daemon that is gone has left. The lock on the run directory, which we have, says that it is.
fn clean_up(settings: &Settings) -> anyhow::Result<()> {
    let devices = cleanup::remove(&Pins::of(&settings.rundir), InternalPorts::Delete);
    // Without a fast path nothing tells which devices were in use but the state file.
    let model = state_file::load(&settings.state)?;
    for (name, internal) in model.devices().filter(|(name, _)| !devices.contains(name)) {
        cleanup::give_up_by_name(&name, internal);
    }
    restart::remove(&restart::path(&settings.rundir)).context("the bonds' state can't be removed")?;
    println!("removed what vswitchd with run directory {} has left", settings.rundir.display());
    for name in devices {
        println!("{name}: detached");
    }
    Ok(())
}

/// The moment of which the kernel's monotonic clock counts from, so that its executor and ours have the same ticks.
fn boot() -> Instant {
    let now = Instant::now();
    let since = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.checked_sub(Duration::new(since.tv_sec as u64, since.tv_nsec as u32)).unwrap_or(now)
}

/// The kernel's executor as the settings want it, or why there is none.
fn load_fast_path(settings: &Settings) -> anyhow::Result<Result<Kernel, String>> {
    let pins = Pins::of(&settings.rundir);
    if settings.fastpath == FastPathMode::Off {
        cleanup::remove(&pins, InternalPorts::Keep);
        return Ok(Err("vswitchd runs with fastpath=off".to_owned()));
    }
    match Kernel::load(pins.clone(), LoadOptions::default()) {
        Ok(kernel) => Ok(Ok(kernel)),
        Err(error) if settings.fastpath == FastPathMode::On => {
            Err(error
                .context("fastpath=on, but the fast path can't be used (fastpath=auto goes on without it)"))
        }
        Err(error) => {
            let reason = format!("{error:#}");
            tracing::info!(reason, "no fast path in the kernel; workers forward");
            cleanup::remove(&pins, InternalPorts::Keep);
            Ok(Err(reason))
        }
    }
}

/// Lets a failover not wait behind guests' work on a busy host. What Open vSwitch's start script does too.
fn raise_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, NICENESS) {
        tracing::debug!(%error, "the scheduling priority can't be raised; this needs CAP_SYS_NICE");
    }
}

fn start_log(settings: &Settings) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&settings.log)
        .with_context(|| format!("setting log: \"{}\" is not a log filter", settings.log))?;
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log_format {
        LogFormat::Text => log.with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr())).init(),
        LogFormat::Json => log.json().init(),
    }
    Ok(())
}
