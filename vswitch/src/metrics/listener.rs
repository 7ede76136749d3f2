//! The listening socket of metrics, and the sockets of its clients.

use std::fs::{self, Permissions};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use super::address::MetricsAddress;

/// The address can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("can't serve metrics on {address}: {error}")]
pub struct ListenError {
    address: MetricsAddress,
    error: io::Error,
}

/// A bound socket. Dropping it removes the file of a unix socket.
#[derive(Debug)]
pub enum Listener {
    /// On a loopback address.
    Tcp(TcpListener),
    /// In the file system, mode 0660.
    Unix(UnixListener, PathBuf),
}

/// A client's socket, non-blocking.
#[derive(Debug)]
pub enum Stream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a unix socket.
    Unix(UnixStream),
}

impl Listener {
    /// Binds. A socket file that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// The address is in use, or the path is not a socket, or the kernel refuses.
    pub fn bind(address: &MetricsAddress) -> Result<Self, ListenError> {
        let bound = match address {
            MetricsAddress::Tcp(address) => TcpListener::bind(*address).map(Self::Tcp),
            MetricsAddress::Unix(path) => bind_unix(path).map(|socket| Self::Unix(socket, path.clone())),
        };
        bound.map_err(|error| ListenError { address: address.clone(), error })
    }

    /// Where it listens, if that is TCP.
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(..) => None,
        }
    }

    /// The next client, if one waits.
    ///
    /// # Errors
    /// The kernel's, of accept(2).
    pub fn accept(&self) -> io::Result<Option<Stream>> {
        let accepted = match self {
            Self::Tcp(listener) => listener.accept().map(|(stream, _)| Stream::Tcp(stream)),
            Self::Unix(listener, _) => listener.accept().map(|(stream, _)| Stream::Unix(stream)),
        };
        match accepted {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            accepted => accepted.map(Some),
        }
    }
}

fn bind_unix(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is no socket is there"));
        }
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(error) => return Err(error),
            Ok(_) => {
                return Err(io::Error::new(io::ErrorKind::AddrInUse, "another process listens there"));
            }
        },
        Err(_) => {}
    }
    let socket = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o660))?;
    Ok(socket)
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Self::Unix(_, path) = self {
            // If it is gone already, that is what was wanted.
            let _ = fs::remove_file(path);
        }
    }
}

impl Stream {
    /// Tells the client that nothing more comes. A client that is gone needs not be told.
    pub fn end(&self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Write),
            Self::Unix(stream) => stream.shutdown(Shutdown::Write),
        };
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(bytes),
            Self::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

macro_rules! sources {
    ($($kind:ident { $($variant:pat => $source:ident),+ })+) => {
        $(impl Source for $kind {
            fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
                match self { $($variant => $source.register(registry, token, interest)),+ }
            }

            fn reregister(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
                match self { $($variant => $source.reregister(registry, token, interest)),+ }
            }

            fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
                match self { $($variant => $source.deregister(registry)),+ }
            }
        })+
    };
}

sources! {
    Listener { Self::Tcp(socket) => socket, Self::Unix(socket, _) => socket }
    Stream { Self::Tcp(socket) => socket, Self::Unix(socket) => socket }
}
