//! Counters and states as Prometheus text over HTTP, on a loopback address or a unix socket.
//!
//! A thread of its own listens, reads requests, renders and writes, so that neither a slow client nor a big text holds
//! the control thread up. All that one does is to hand over numbers when asked, at most ten times a second.
//!
//! # What the control thread does
//! - Setting `metrics` is [`crate::settings::Settings::metrics`]; if it is there, [`server::Server::start`] with the waker
//!   of the control thread's poll (a poll has only one: the saver's, shared). An error there ends the daemon's start.
//! - Nothing is to be registered. When the waker's token comes up: if [`server::Server::take_request`], collect samples
//!   with the functions of [`samples`] and pass them to [`server::Server::deliver`].
//! - Dropping the [`server::Server`] ends the thread and removes the unix socket.
//!
//! # Layout
//! - [`address`]: where to listen
//! - [`samples`]: the metrics there are, and samples of them
//! - [`text`]: samples to text
//! - [`connection`]: one client's HTTP, without I/O
//! - [`listener`]: the sockets
//! - [`server`]: the thread

pub mod address;
pub mod connection;
pub mod listener;
pub mod samples;
pub mod server;
pub mod text;

#[cfg(test)]
mod tests;
