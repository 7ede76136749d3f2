//! The client's side: one call over one connection, blocking. `Monitor` is a call with many answers.

use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, sockopt};
use serde_json::Value;

use super::connection::MAX_REPLY;
use super::message::{Answer, Call};
use super::{INTERFACE, Monitored, Transact, Transacted};

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

/// How long a client waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Patience {
    /// For all of a call, or until a monitor has begun; `None`: for ever.
    pub timeout: Option<Duration>,
    /// Tries again while no daemon runs, for as long as `timeout` allows. Otherwise that is an error at once.
    pub retry: bool,
}

/// Between two tries to connect.
const RETRY_PERIOD: Duration = Duration::from_millis(100);

/// Calls `Transact`.
///
/// # Errors
/// See [`ClientError`].
pub fn transact(socket: &Path, patience: Patience, transact: &Transact) -> Result<Transacted, ClientError> {
    let parameters = serde_json::to_value(transact).expect("requests are structs and texts");
    let mut channel = Channel::open(socket, patience)?;
    channel.send("Transact", parameters, false)?;
    let parameters = succeeded(channel.receive()?)?;
    serde_json::from_value(parameters).map_err(|error| ClientError::Protocol(error.to_string()))
}

/// Calls `Monitor` and hands over events until `event` says that it is enough (`false`). What is handed over with an
/// event is how many before it were lost, because this client did not read fast enough.
///
/// # Errors
/// See [`ClientError`]. With [`Patience::retry`] a connection that is lost is made again.
pub fn monitor(
    socket: &Path,
    patience: Patience,
    mut event: impl FnMut(Value, u64) -> bool,
) -> Result<(), ClientError> {
    loop {
        match monitor_once(socket, patience, &mut event) {
            Err(ClientError::Lost { .. }) if patience.retry => (),
            result => return result,
        }
    }
}

fn monitor_once(
    socket: &Path,
    patience: Patience,
    event: &mut impl FnMut(Value, u64) -> bool,
) -> Result<(), ClientError> {
    let mut channel = Channel::open(socket, patience)?;
    channel.send("Monitor", Value::Null, true)?;
    loop {
        let answer = channel.receive()?;
        let continues = answer.continues;
        let Monitored { event: happened, lost } = serde_json::from_value(succeeded(answer)?)
            .map_err(|error| ClientError::Protocol(error.to_string()))?;
        channel.deadline = None;
        if happened.is_some_and(|happened| !event(happened, lost.unwrap_or(0))) {
            return Ok(());
        }
        if !continues {
            return Err(ClientError::Protocol("the daemon sends no more events".to_owned()));
        }
    }
}

/// The parameters of an answer, unless it is an error.
fn succeeded(answer: Answer) -> Result<Value, ClientError> {
    let Some(name) = answer.error else { return Ok(answer.parameters) };
    let text = |key: &str| answer.parameters.get(key).and_then(Value::as_str);
    let message = text("message").map_or_else(|| format!("{name} {}", answer.parameters), str::to_owned);
    let index = answer.parameters.get("index").and_then(Value::as_u64);
    Err(ClientError::Refused { name, index: index.and_then(|i| i.try_into().ok()), message })
}

/// A connection to the daemon.
struct Channel<'a> {
    socket: &'a Path,
    stream: UnixStream,
    /// The time that was allowed, and when it ends.
    deadline: Option<(Duration, Instant)>,
    input: Vec<u8>,
}

impl<'a> Channel<'a> {
    fn open(socket: &'a Path, patience: Patience) -> Result<Self, ClientError> {
        let deadline = patience.timeout.map(|timeout| (timeout, Instant::now() + timeout));
        loop {
            let error = match connect(socket, left(socket, deadline)?) {
                Ok(stream) => return Ok(Self { socket, stream, deadline, input: Vec::new() }),
                Err(error) => error,
            };
            return Err(match (error.kind(), deadline) {
                (io::ErrorKind::WouldBlock, Some((timeout, _))) => timed_out(socket, timeout),
                (io::ErrorKind::PermissionDenied, _) => ClientError::Permission { socket: socket.to_owned() },
                _ if patience.retry => {
                    let longest = left(socket, deadline)?.unwrap_or(RETRY_PERIOD);
                    std::thread::sleep(RETRY_PERIOD.min(longest));
                    continue;
                }
                _ => ClientError::NotRunning { socket: socket.to_owned(), error },
            });
        }
    }

    fn send(&mut self, method: &str, parameters: Value, more: bool) -> Result<(), ClientError> {
        let method = format!("{INTERFACE}.{method}");
        let call = Call { method, parameters, oneway: false, more, upgrade: false };
        let mut message = serde_json::to_vec(&call).expect("a call is a struct of texts");
        message.push(0);
        let left = left(self.socket, self.deadline)?;
        self.stream.set_write_timeout(left).map_err(|error| self.lost(error))?;
        match self.stream.write_all(&message) {
            // The daemon may have said why before it hung up.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            result => result.map_err(|error| self.lost(error)),
        }
    }

    /// The next message.
    fn receive(&mut self) -> Result<Answer, ClientError> {
        let mut chunk = vec![0; 64 << 10];
        let mut scanned = 0;
        loop {
            if let Some(end) = self.input[scanned..].iter().position(|b| *b == 0) {
                let rest = self.input.split_off(scanned + end + 1);
                let message = std::mem::replace(&mut self.input, rest);
                return serde_json::from_slice(&message[..message.len() - 1])
                    .map_err(|error| ClientError::Protocol(error.to_string()));
            }
            scanned = self.input.len();
            if scanned > MAX_REPLY {
                return Err(ClientError::Protocol(format!("a reply longer than {MAX_REPLY} octets")));
            }
            let left = left(self.socket, self.deadline)?;
            self.stream.set_read_timeout(left).map_err(|error| self.lost(error))?;
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(self.lost(io::ErrorKind::UnexpectedEof.into())),
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => (),
                Err(error) => return Err(self.lost(error)),
            }
        }
    }

    fn lost(&self, error: io::Error) -> ClientError {
        match (error.kind(), self.deadline) {
            (io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut, Some((timeout, _))) => {
                timed_out(self.socket, timeout)
            }
            _ => ClientError::Lost { socket: self.socket.to_owned(), error },
        }
    }
}

fn timed_out(socket: &Path, timeout: Duration) -> ClientError {
    ClientError::Timeout { socket: socket.to_owned(), timeout }
}

/// The time that is left.
fn left(socket: &Path, deadline: Option<(Duration, Instant)>) -> Result<Option<Duration>, ClientError> {
    let Some((timeout, end)) = deadline else { return Ok(None) };
    match end.saturating_duration_since(Instant::now()) {
        Duration::ZERO => Err(timed_out(socket, timeout)),
        left => Ok(Some(left)),
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
