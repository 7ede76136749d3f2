//! The client's side: one call over one connection, blocking.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};

use super::connection::MAX_REPLY;
use super::message::{Answer, Call};
use super::{INTERFACE, Transact, Transacted};

/// Why a call had no success.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "can't reach vswitchd at {}: {error}; is it running? (start it with \"systemctl start vswitchd\" or \"vswitchd\"; \
         --rundir or VSWITCH_RUNDIR says where it is)",
        socket.display()
    )]
    NotRunning {
        /// The socket that was tried.
        socket: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// The socket may not be used.
    #[error("no permission to talk to vswitchd at {}; be root or join the socket's group", socket.display())]
    Permission {
        /// The socket.
        socket: PathBuf,
    },
    /// The daemon did not answer in time. The transaction may still be carried out.
    #[error("vswitchd at {} did not answer within {} s", socket.display(), timeout.as_secs())]
    Timeout {
        /// The socket.
        socket: PathBuf,
        /// The time that was allowed.
        timeout: Duration,
    },
    /// The connection broke.
    #[error("lost the connection to vswitchd at {}: {error}", socket.display())]
    Lost {
        /// The socket.
        socket: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// The reply makes no sense.
    #[error("vswitchd sent something unexpected: {0}")]
    Protocol(String),
    /// The daemon refused.
    #[error("{message}")]
    Refused {
        /// Varlink's name of the error.
        name: String,
        /// The request that failed, counted from 0, if it was one.
        index: Option<usize>,
        /// What the daemon says.
        message: String,
    },
}

/// Calls `Transact`. `timeout` is for all of it; `None` waits for ever, but never for a daemon that does not run.
///
/// # Errors
/// See [`ClientError`].
pub fn transact(
    socket: &Path,
    timeout: Option<Duration>,
    transact: &Transact,
) -> Result<Transacted, ClientError> {
    let parameters = serde_json::to_value(transact).expect("requests are structs and texts");
    let method = format!("{INTERFACE}.Transact");
    let call = Call { method, parameters, oneway: false, more: false, upgrade: false };
    let deadline = timeout.map(|timeout| (timeout, Instant::now() + timeout));
    let answer = exchange(socket, deadline, &call)?;
    if let Some(name) = answer.error {
        let text = |key: &str| answer.parameters.get(key).and_then(serde_json::Value::as_str);
        let message = text("message").map_or_else(|| format!("{name} {}", answer.parameters), str::to_owned);
        let index = answer.parameters.get("index").and_then(serde_json::Value::as_u64);
        return Err(ClientError::Refused { name, index: index.and_then(|i| i.try_into().ok()), message });
    }
    serde_json::from_value(answer.parameters).map_err(|error| ClientError::Protocol(error.to_string()))
}

type Deadline = Option<(Duration, Instant)>;

fn exchange(socket: &Path, deadline: Deadline, call: &Call) -> Result<Answer, ClientError> {
    let timed_out = |timeout| ClientError::Timeout { socket: socket.to_owned(), timeout };
    let lost = |error: io::Error| match (error.kind(), deadline) {
        (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, Some((timeout, _))) => timed_out(timeout),
        _ => ClientError::Lost { socket: socket.to_owned(), error },
    };
    let left = || match deadline {
        None => Ok(None),
        Some((timeout, end)) => match end.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(timed_out(timeout)),
            left => Ok(Some(left)),
        },
    };

    let mut stream = connect(socket, left()?).map_err(|error| match (error.kind(), deadline) {
        (io::ErrorKind::WouldBlock, Some((timeout, _))) => timed_out(timeout),
        (io::ErrorKind::PermissionDenied, _) => ClientError::Permission { socket: socket.to_owned() },
        _ => ClientError::NotRunning { socket: socket.to_owned(), error },
    })?;
    let mut message = serde_json::to_vec(call).expect("a call is a struct of texts");
    message.push(0);
    stream.set_write_timeout(left()?).map_err(lost)?;
    match stream.write_all(&message) {
        // The daemon may have said why before it hung up.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => (),
        result => result.map_err(lost)?,
    }

    let mut input = Vec::new();
    let mut chunk = vec![0; 64 << 10];
    loop {
        stream.set_read_timeout(left()?).map_err(lost)?;
        let count = match stream.read(&mut chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            result => result.map_err(lost)?,
        };
        if count == 0 {
            return Err(lost(io::ErrorKind::UnexpectedEof.into()));
        }
        let (text, ended) = match chunk[..count].iter().position(|b| *b == 0) {
            Some(end) => (&chunk[..end], true),
            None => (&chunk[..count], false),
        };
        input.extend_from_slice(text);
        if input.len() > MAX_REPLY {
            return Err(ClientError::Protocol(format!("a reply longer than {MAX_REPLY} octets")));
        }
        if ended {
            return serde_json::from_slice(&input).map_err(|error| ClientError::Protocol(error.to_string()));
        }
    }
}

/// Connects; a daemon whose queue of clients is full is waited for no longer than `timeout`.
fn connect(path: &Path, timeout: Option<Duration>) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, timeout)?;
    rustix::net::connect(&socket, &address)?;
    Ok(socket.into())
}
