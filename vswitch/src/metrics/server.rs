//! The thread that serves metrics.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, TryRecvError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use mio::{Events, Interest, Poll, Token, Waker};

use super::address::MetricsAddress;
use super::connection::Connection;
use super::listener::{Listener, Stream};
use super::samples::Sample;
use super::text::render;

/// Most clients at once; for another one goes one that has its answer, or the one that is there for the longest time.
pub const MAX_CLIENTS: usize = 16;
/// Shortest time between two requests for samples.
pub const PACE: Duration = Duration::from_millis(100);
/// How long no client is accepted after that failed: no descriptors are left, say.
const PAUSE: Duration = Duration::from_millis(100);

const LISTENER: Token = Token(0);
const HANDLE: Token = Token(1);
/// Clients have this and higher tokens.
const FIRST_CLIENT: usize = 2;

/// The control thread's end. Dropping it ends the thread and closes the socket.
#[derive(Debug)]
pub struct Server {
    address: Option<SocketAddr>,
    wanted: Arc<AtomicBool>,
    samples: Option<Sender<Vec<Sample>>>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Binds the address and starts the thread. `control` is woken when samples are wanted.
    ///
    /// # Errors
    /// The address can't be bound, or a thread or a descriptor can't be had; the text says which.
    pub fn start(address: &MetricsAddress, control: Arc<Waker>) -> anyhow::Result<Self> {
        let mut listener = Listener::bind(address)?;
        let tcp_address = listener.tcp_address();
        let poll = Poll::new().context("epoll for metrics")?;
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE).context("epoll for metrics")?;
        let waker = Waker::new(poll.registry(), HANDLE).context("epoll for metrics")?;
        let wanted = Arc::new(AtomicBool::new(false));
        let (samples, inbox) = mpsc::channel();
        let service = Service {
            poll,
            listener,
            epoch: Instant::now(),
            clients: BTreeMap::new(),
            next_client: FIRST_CLIENT,
            accept_again: None,
            control,
            wanted: Arc::clone(&wanted),
            inbox,
            asked: false,
            ask_again: Duration::ZERO,
        };
        let thread = thread::Builder::new().name("metrics".into()).spawn(move || service.run());
        let thread = Some(thread.context("thread for metrics")?);
        Ok(Self { address: tcp_address, wanted, samples: Some(samples), waker, thread })
    }

    /// Where it listens, if that is TCP.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Whether samples are wanted; says so once for each [`Self::deliver`].
    pub fn take_request(&self) -> bool {
        self.wanted.swap(false, Ordering::AcqRel)
    }

    /// Hands samples over. Costs a queue entry and a wake-up; never waits.
    pub fn deliver(&self, samples: Vec<Sample>) {
        let sent = self.samples.as_ref().is_some_and(|queue| queue.send(samples).is_ok());
        if !sent || self.waker.wake().is_err() {
            tracing::error!("the metrics thread is gone");
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.samples.take());
        if self.waker.wake().is_ok()
            && let Some(thread) = self.thread.take()
        {
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Service {
    poll: Poll,
    listener: Listener,
    epoch: Instant,
    /// By token, so that the first one is the oldest.
    clients: BTreeMap<usize, Client>,
    next_client: usize,
    /// Accepting failed, with clients left in the queue of whom no event will tell: when to try again.
    accept_again: Option<Duration>,
    control: Arc<Waker>,
    wanted: Arc<AtomicBool>,
    inbox: Receiver<Vec<Sample>>,
    /// The control thread was asked and has not delivered yet.
    asked: bool,
    /// When it may be asked again.
    ask_again: Duration,
}

struct Client {
    stream: Stream,
    connection: Connection,
    /// The client was told that nothing more comes.
    ended: bool,
}

impl Service {
    fn run(mut self) {
        let mut events = Events::with_capacity(64);
        loop {
            let now = self.epoch.elapsed();
            let timeout = self.next_deadline().map(|at| at.saturating_sub(now) + Duration::from_millis(1));
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "epoll failed; metrics are no longer served");
                    return;
                }
            }
            let now = self.epoch.elapsed();
            for event in &events {
                match event.token() {
                    LISTENER => self.accept(now),
                    HANDLE => {}
                    Token(client) => self.drive(client, now),
                }
            }
            if self.accept_again.is_some_and(|at| at <= now) {
                self.accept(now);
            }
            loop {
                match self.inbox.try_recv() {
                    Ok(samples) => self.publish(&samples, now),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return,
                }
            }
            self.clients.retain(|_, client| !client.connection.is_finished(now));
            self.ask(now);
        }
    }

    fn next_deadline(&self) -> Option<Duration> {
        let clients = self.clients.values().map(|client| client.connection.deadline()).min();
        let ask = (!self.asked && self.is_wanted()).then_some(self.ask_again);
        [clients, ask, self.accept_again].into_iter().flatten().min()
    }

    fn is_wanted(&self) -> bool {
        self.clients.values().any(|client| client.connection.wants_metrics())
    }

    fn accept(&mut self, now: Duration) {
        self.accept_again = None;
        // As many as fit: whoever connects all the time must not keep us here.
        for _ in 0..MAX_CLIENTS {
            let mut stream = match self.listener.accept() {
                Ok(Some(stream)) => stream,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "a metrics client can't be accepted");
                    self.accept_again = Some(now + PAUSE);
                    return;
                }
            };
            let token = self.next_client;
            let interest = Interest::READABLE | Interest::WRITABLE;
            if let Err(error) = self.poll.registry().register(&mut stream, Token(token), interest) {
                tracing::warn!(%error, "a metrics client can't be watched");
                continue;
            }
            self.next_client += 1;
            if self.clients.len() >= MAX_CLIENTS {
                self.make_room();
            }
            self.clients.insert(token, Client { stream, connection: Connection::new(now), ended: false });
            self.drive(token, now);
        }
        self.accept_again = Some(now);
    }

    /// Hangs up on a client: one that has its answer, or else the one that is there for the longest time.
    fn make_room(&mut self) {
        let answered = self.clients.iter().find(|(_, client)| client.connection.is_answered());
        match answered.map(|(token, _)| *token) {
            Some(token) => self.clients.remove(&token),
            None => self.clients.pop_first().map(|(_, client)| client),
        };
    }

    /// Reads from and writes to a client as far as that goes now.
    fn drive(&mut self, token: usize, now: Duration) {
        let Some(client) = self.clients.get_mut(&token) else { return };
        if client.drive(now).is_err() {
            self.clients.remove(&token);
        }
    }

    fn ask(&mut self, now: Duration) {
        if self.asked || now < self.ask_again || !self.is_wanted() {
            return;
        }
        (self.asked, self.ask_again) = (true, now + PACE);
        self.wanted.store(true, Ordering::Release);
        if let Err(error) = self.control.wake() {
            tracing::error!(%error, "the control thread can't be asked for metrics");
        }
    }

    fn publish(&mut self, samples: &[Sample], now: Duration) {
        self.asked = false;
        let text: Arc<str> = render(samples).into();
        self.clients.retain(|_, client| {
            client.connection.answer(&text);
            client.drive(now).is_ok()
        });
    }
}

impl Client {
    fn drive(&mut self, now: Duration) -> io::Result<()> {
        self.write(now)?;
        self.read(now)?;
        // A refusal is written at once.
        self.write(now)
    }

    fn read(&mut self, now: Duration) -> io::Result<()> {
        let mut buffer = [0; 4 << 10];
        while !self.connection.is_finished(now) {
            match self.stream.read(&mut buffer) {
                Ok(count) => {
                    self.connection.feed(&buffer[..count]);
                    if count == 0 {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn write(&mut self, now: Duration) -> io::Result<()> {
        while !self.connection.output().is_empty() {
            match self.stream.write(self.connection.output()) {
                Ok(count) => self.connection.wrote(now, count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if self.connection.is_answered() && !self.ended {
            self.ended = true;
            self.stream.end();
        }
        Ok(())
    }
}
