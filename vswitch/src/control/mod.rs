//! The control thread: one loop over netlink, RPC, the saver, signals and timers.
//!
//! Between two turns of the loop nothing is waited for but the workers' taking over of new tables (microseconds, bounded),
//! so that timers and link events are served in time whatever disks and clients do.

mod connections;
mod transactions;

use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context as _;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use self::connections::Connections;
use self::transactions::Transactions;
use crate::events::Event;
use crate::metrics::address::MetricsAddress;
use crate::metrics::samples;
use crate::metrics::server::Server;
use crate::netlink::monitor::{LinkEvent, LinkMonitor};
use crate::punt;
use crate::restart::keeper::Keeper;
use crate::rpc::listener::Listener;
use crate::saver::Saver;
use crate::switch::{Moment, Switch};

const NETLINK: Token = Token(0);
const LISTENER: Token = Token(1);
const STOP: Token = Token(2);
/// The threads that work for us: workers, the saver and the metrics server.
const HELPERS: Token = Token(3);
/// Notices of the workers that are taken in one turn; those that still wait are taken in the next.
const MAX_NOTICES: usize = 1024;
/// A turn of the loop comes at least this often.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);
const HAND_OVER: Token = Token(4);
/// What the partners of bonds have to say.
const PROTOCOLS: Token = Token(5);
/// Connections have this and higher tokens.
const FIRST_CONNECTION: usize = 6;

/// Everything the control thread works with.
#[derive(Debug)]
pub struct Control {
    epoch: Instant,
    poll: Poll,
    monitor: LinkMonitor,
    signals: Signals,
    switch: Switch,
    connections: Connections,
    transactions: Transactions,
    notices: punt::Receiver,
    metrics: Option<Server>,
    keeper: Option<Keeper>,
}

/// Streams that become readable when the daemon is to end.
#[derive(Debug)]
pub struct Signals {
    /// Devices are given back.
    pub stop: UnixStream,
    /// Everything stays as it is for the next daemon; the kernel goes on forwarding what is known.
    pub hand_over: UnixStream,
}

/// Where the control thread keeps and offers things.
#[derive(Debug)]
pub struct Places {
    /// The state file.
    pub state: PathBuf,
    /// Where metrics are offered, if anywhere.
    pub metrics: Option<MetricsAddress>,
    /// What writes what bonds hand to the next daemon, if anything does.
    pub keeper: Option<Keeper>,
}

impl Control {
    /// Takes everything it needs; `epoch` is what `now` counts from. `signals` becomes readable when the daemon is to
    /// stop.
    ///
    /// # Errors
    /// The kernel refuses to watch one of the descriptors, or a thread.
    pub fn new(
        epoch: Instant,
        switch: Switch,
        monitor: LinkMonitor,
        listener: Listener,
        signals: Signals,
        notices: punt::Receiver,
        places: Places,
    ) -> anyhow::Result<Self> {
        let poll = Poll::new().context("epoll")?;
        let waker = Arc::new(Waker::new(poll.registry(), HELPERS)?);
        notices.wake_with(Arc::clone(&waker))?;
        let metrics = places.metrics.map(|at| Server::start(&at, Arc::clone(&waker))).transpose()?;
        let saver = Saver::start(places.state, waker).context("thread for the state file")?;
        for (token, fd) in [
            (NETLINK, monitor.fd().as_raw_fd()),
            (LISTENER, listener.as_raw_fd()),
            (STOP, signals.stop.as_raw_fd()),
            (HAND_OVER, signals.hand_over.as_raw_fd()),
            (PROTOCOLS, switch.protocols_fd()),
        ] {
            watch(&poll, token, fd)?;
        }
        let connections = Connections::new(listener, poll.registry().try_clone()?, FIRST_CONNECTION);
        Ok(Self {
            epoch,
            poll,
            monitor,
            signals,
            switch,
            connections,
            transactions: Transactions::new(saver),
            notices,
            metrics,
            keeper: places.keeper,
        })
    }

    /// Runs until a signal says stop; then the devices are given back and the state is saved.
    ///
    /// # Errors
    /// The event loop itself fails.
    pub fn run(mut self) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(256);
        loop {
            let until_due = |at: Duration| ceil_to_millisecond(at.saturating_sub(self.epoch.elapsed()));
            let timeout = self.switch.next_deadline().map_or(LONGEST_SLEEP, until_due).min(LONGEST_SLEEP);
            let timeout = if self.transactions.is_waiting() { Duration::ZERO } else { timeout };
            match self.poll.poll(&mut events, Some(timeout)) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error).context("epoll"),
            }
            // Links first: they decide about traffic, everything else can wait its turn.
            if events.iter().any(|event| event.token() == NETLINK) {
                self.read_links();
            }
            if events.iter().any(|event| event.token() == PROTOCOLS) {
                self.switch.read_protocols(self.epoch.elapsed());
            }
            for event in &events {
                match event.token() {
                    NETLINK | PROTOCOLS => {}
                    LISTENER => self.connections.accept(),
                    STOP => {
                        if has_come(&mut self.signals.stop) {
                            tracing::info!("stopping");
                            return self.stop();
                        }
                    }
                    HAND_OVER => {
                        if has_come(&mut self.signals.hand_over) {
                            tracing::info!("stopping; everything stays in place for the next daemon");
                            return self.hand_over();
                        }
                    }
                    HELPERS => {
                        let now = self.epoch.elapsed();
                        self.read_notices(now);
                        self.transactions.handle_saved(now, &mut self.switch, &mut self.connections);
                        if let Some(server) = self.metrics.as_ref().filter(|server| server.take_request()) {
                            let mut samples = Moment { switch: &self.switch, now }.samples();
                            samples::count(&mut samples, &samples::PUNTS_LOST, [], self.notices.dropped());
                            server.deliver(samples);
                        }
                    }
                    token => self.transactions.drive(token.0, &mut self.connections),
                }
            }
            self.connections.accept_overdue();
            let now = self.epoch.elapsed();
            if self.switch.next_deadline().is_some_and(|at| at <= now) {
                self.switch.handle_timeout(now);
            }
            self.transactions.advance(now, &mut self.switch, &mut self.connections);
            if let (Some(keeper), Some(kept)) = (&mut self.keeper, self.switch.poll_kept(now)) {
                keeper.keep(kept);
            }
            self.tell_events(now);
        }
    }

    /// Tells those who watch what happened in this turn.
    fn tell_events(&mut self, now: Duration) {
        let events = self.switch.take_events();
        if events.is_empty() || !self.connections.anybody_watches() {
            return;
        }
        let wall = SystemTime::now();
        for kind in events {
            self.connections.tell(&Event::new(now, wall, kind));
        }
        for watcher in self.connections.watchers() {
            self.transactions.drive(watcher, &mut self.connections);
        }
    }

    /// Takes what the workers have told. As much as may wait at most, so that a flood of it can't hold up the rest.
    fn read_notices(&mut self, now: Duration) {
        self.notices.begin();
        for _ in 0..MAX_NOTICES {
            let Some(notice) = self.notices.try_recv() else { break };
            self.switch.handle_notice(now, notice);
        }
        self.switch.tend_receive(now);
    }

    fn read_links(&mut self) {
        let events = match self.monitor.drain() {
            Ok(events) => events,
            Err(error) => {
                tracing::error!(%error, "reading link news failed");
                vec![LinkEvent::Resync]
            }
        };
        let now = self.epoch.elapsed();
        if events.contains(&LinkEvent::Resync) {
            tracing::warn!("link news was lost; reading all devices");
            match self.monitor.dump() {
                Ok(all) => self.switch.resync_links(now, all),
                Err(error) => tracing::error!(%error, "all devices can't be read"),
            }
        } else if !events.is_empty() {
            self.switch.handle_links(now, events);
        }
    }

    fn stop(mut self) -> anyhow::Result<()> {
        self.finish();
        Ok(())
    }

    fn hand_over(mut self) -> anyhow::Result<()> {
        self.finish();
        let now = self.epoch.elapsed();
        self.switch.read_protocols(now);
        self.switch.hand_over(now);
        if let Some(keeper) = self.keeper.take() {
            keeper.hand_over(self.switch.kept(now));
        }
        Ok(())
    }

    fn finish(&mut self) {
        let _ = sd_notify::notify(&[sd_notify::NotifyState::Stopping]);
        self.transactions.finish(self.epoch.elapsed(), &mut self.switch, &mut self.connections);
    }
}

fn has_come(signals: &mut UnixStream) -> bool {
    let mut octets = [0; 16];
    matches!(signals.read(&mut octets), Ok(1..))
}

fn watch(poll: &Poll, token: Token, fd: RawFd) -> anyhow::Result<()> {
    poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE).context("epoll")
}

/// epoll counts milliseconds and mio rounds down; a timer that is woken too early would spin.
fn ceil_to_millisecond(timeout: Duration) -> Duration {
    timeout + Duration::from_micros(999)
}
