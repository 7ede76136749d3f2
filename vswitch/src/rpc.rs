//! How `vsctl` and other programs talk to `vswitchd`: varlink (JSON messages, each ended by a NUL) over a unix socket.
//! The interface is described in `rpc/io.vswitch.varlink`, which the daemon also tells by itself.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::transaction::{Reply, Request};

pub mod client;
pub mod connection;
pub mod credentials;
pub mod listener;
pub mod message;

#[cfg(test)]
mod tests;

/// Name of the socket in the run directory.
pub const SOCKET_NAME: &str = "vswitchd.sock";
/// Default run directory.
pub const DEFAULT_RUNDIR: &str = "/run/vswitch";
/// Environment variable that names the run directory.
pub const RUNDIR_VARIABLE: &str = "VSWITCH_RUNDIR";

/// Name of the interface.
pub const INTERFACE: &str = "io.vswitch";
/// Its description.
pub const DESCRIPTION: &str = include_str!("rpc/io.vswitch.varlink");

/// The socket of the daemon whose run directory this is.
pub fn socket_path(rundir: &Path) -> PathBuf {
    rundir.join(SOCKET_NAME)
}

/// Parameters of method `Transact`: all requests are one transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transact {
    /// In the order in which they are to be done.
    pub requests: Vec<Request>,
    /// Check everything, change nothing.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
}

/// What `Transact` returns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transacted {
    /// One a request.
    pub replies: Vec<Reply>,
    /// Things the operator should know.
    pub warnings: Vec<String>,
}

/// What `Monitor` returns, again and again. The first has no event: from now on there will be some.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Monitored<E = serde_json::Value> {
    /// What happened.
    #[serde(default = "none", skip_serializing_if = "Option::is_none")]
    pub event: Option<E>,
    /// How many events before this one were lost because they were not read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<u64>,
}

fn none<E>() -> Option<E> {
    None
}
