//! Clients: their sockets, and what they ask for.

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};

use crate::events::Event;
use crate::rpc::connection::Connection;
use crate::rpc::listener::Listener;
use crate::rpc::message::Failure;
use crate::rpc::{Transact, Transacted};

/// Most clients at once; more are turned away.
const MAX_CLIENTS: usize = 1024;

/// A client's connection; its token. Numbers are not used again.
pub(super) type ConnectionId = usize;

/// All clients.
#[derive(Debug)]
pub(super) struct Connections {
    listener: Listener,
    registry: Registry,
    clients: HashMap<ConnectionId, Client>,
    next: ConnectionId,
    /// Accepting failed (no descriptors left, say): clients may wait, of whom no further event will tell.
    try_again: bool,
}

#[derive(Debug)]
struct Client {
    stream: UnixStream,
    connection: Connection,
}

impl Connections {
    /// Connections get tokens from `first` on.
    pub(super) fn new(listener: Listener, registry: Registry, first: usize) -> Self {
        Self { listener, registry, clients: HashMap::new(), next: first, try_again: false }
    }

    /// Accepts again if that failed the last time.
    pub(super) fn accept_overdue(&mut self) {
        if self.try_again {
            self.accept();
        }
    }

    /// Takes in everyone who waits at the door.
    pub(super) fn accept(&mut self) {
        self.try_again = false;
        loop {
            let accepted = match self.listener.accept() {
                Ok(Some(accepted)) => accepted,
                Ok(None) => return,
                Err(error) => {
                    tracing::warn!(%error, "a client can't be accepted");
                    self.try_again = true;
                    return;
                }
            };
            if self.clients.len() >= MAX_CLIENTS {
                tracing::warn!(pid = accepted.peer.pid, "turned away: {MAX_CLIENTS} clients are connected");
                continue;
            }
            let id = self.next;
            let fd = accepted.stream.as_raw_fd();
            let interest = Interest::READABLE | Interest::WRITABLE;
            if let Err(error) = self.registry.register(&mut SourceFd(&fd), Token(id), interest) {
                tracing::warn!(%error, "a client can't be watched");
                continue;
            }
            tracing::debug!(pid = accepted.peer.pid, uid = accepted.peer.uid, "client connected");
            self.next += 1;
            self.clients.insert(id, Client { stream: accepted.stream, connection: accepted.connection });
        }
    }

    /// Reads from and writes to a client as far as that goes now; returns its next call, if there is one.
    pub(super) fn drive(&mut self, id: ConnectionId) -> Option<Transact> {
        let client = self.clients.get_mut(&id)?;
        let result = client.drive();
        if result.is_err() || client.connection.is_finished() {
            // Closing the descriptor also ends the registration.
            self.clients.remove(&id);
        }
        result.ok().flatten()
    }

    /// Whether any client wants to be told of events.
    pub(super) fn anybody_watches(&self) -> bool {
        self.clients.values().any(|client| client.connection.is_monitor())
    }

    /// The clients that want to be told of events.
    pub(super) fn watchers(&self) -> Vec<ConnectionId> {
        let watch = |(id, client): (&ConnectionId, &Client)| client.connection.is_monitor().then_some(*id);
        self.clients.iter().filter_map(watch).collect()
    }

    /// Queues an event for every client that wants it. One that doesn't read loses events and is told how many.
    pub(super) fn tell(&mut self, event: &Event) {
        match serde_json::to_value(event) {
            Ok(event) => self.clients.values_mut().for_each(|client| client.connection.push_event(&event)),
            Err(error) => tracing::error!(%error, "an event can't be told"),
        }
    }

    /// Answers a client's call. A client that has gone away is not answered.
    pub(super) fn answer(&mut self, id: ConnectionId, result: Result<Transacted, Failure>) {
        if let Err(failure) = &result {
            tracing::info!(error = failure.error, parameters = %failure.parameters, "refused");
        }
        if let Some(client) = self.clients.get_mut(&id) {
            client.connection.reply(result);
        }
    }
}

impl Client {
    fn drive(&mut self) -> io::Result<Option<Transact>> {
        let mut buffer = [0; 16 << 10];
        loop {
            let mut progress = false;
            while self.connection.wants_read() {
                match self.stream.read(&mut buffer) {
                    Ok(count) => self.connection.feed(&buffer[..count]),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                }
            }
            if let Some(call) = self.connection.next_call() {
                return Ok(Some(call));
            }
            while !self.connection.output().is_empty() {
                match self.stream.write(self.connection.output()) {
                    Ok(count) => {
                        self.connection.wrote(count);
                        progress = true;
                    }
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) => return Err(error),
                }
            }
            if !progress {
                return Ok(None);
            }
        }
    }
}
