//! The daemon.

use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::Context as _;
use clap::Parser as _;
use signal_hook::consts::{SIGINT, SIGTERM};
use tracing_subscriber::EnvFilter;
use vswitch::control::{Control, Places};
use vswitch::datapath::Datapath;
use vswitch::netlink::monitor::LinkMonitor;
use vswitch::rpc::listener::Listener;
use vswitch::settings::{Flags, LogFormat, Settings};
use vswitch::switch::Switch;
use vswitch::worker::WorkerThread;
use vswitch::{punt, random, state_file};

/// Notices of workers that may wait for the control thread.
const NOTICES: usize = 1024;

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
    let epoch = Instant::now();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let (settings, warnings) = Settings::load(flags, std::env::vars_os(), cpus)?;
    start_log(&settings)?;
    for warning in warnings {
        tracing::warn!("{warning}");
    }
    raise_priority();
    // First of all the lock on the run directory: no file is read that another daemon is writing.
    let listener = Listener::bind(&settings.rundir)?;
    let model = state_file::load(&settings.state)?;
    let (signals, signal_end) = UnixStream::pair().context("socket pair")?;
    signals.set_nonblocking(true).context("socket pair")?;
    for signal in [SIGTERM, SIGINT] {
        signal_hook::low_level::pipe::register(signal, signal_end.try_clone()?).context("signal handler")?;
    }

    let mut monitor = LinkMonitor::open().context("can't open a netlink socket")?;
    let links = monitor.dump()?;
    let mut datapath = Datapath::new();
    let (notices, inbox) = punt::channel(NOTICES);
    let workers: Vec<_> = (0..settings.workers)
        .map(|index| WorkerThread::start(index, &mut datapath, epoch, notices.clone()))
        .collect::<Result<_, _>>()
        .context("can't start a worker thread")?;
    let mut switch = Switch::new(datapath, links, random::number(), settings.metrics.is_some());
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
    let places = Places { state: settings.state, metrics: settings.metrics };
    let control = Control::new(epoch, switch, monitor, listener, signals, inbox, places)?;
    if let Err(error) = sd_notify::notify(&[sd_notify::NotifyState::Ready]) {
        tracing::warn!(%error, "systemd can't be told that we are ready");
    }
    control.run()?;
    drop(workers);
    Ok(())
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
