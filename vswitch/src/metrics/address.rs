//! Where metrics are served.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// Longest path of a unix socket, in octets (`sun_path` without the final NUL, unix(7)).
const MAX_SOCKET_PATH: usize = 107;

/// An address that only this host can reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricsAddress {
    /// TCP on a loopback address.
    Tcp(SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// Why a text is no address for metrics.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MetricsAddressError {
    /// It can't be read.
    #[error(
        "is neither a loopback address with a port like 127.0.0.1:9464 nor a socket like unix:/run/vswitch/metrics.sock"
    )]
    Malformed,
    /// Others than this host could read it.
    #[error(
        "is not a loopback address; metrics are served to this host only: use 127.0.0.1 or [::1], and a proxy if \
         others are to read them"
    )]
    NotLoopback,
    /// Port 0.
    #[error("has no port; use one from 1 to 65535")]
    NoPort,
    /// The path of the socket is relative or too long.
    #[error("names no usable socket: the path must be absolute and at most {MAX_SOCKET_PATH} octets long")]
    Path,
}

impl FromStr for MetricsAddress {
    type Err = MetricsAddressError;

    /// `127.0.0.1:9464`, `[::1]:9464` or `unix:/path`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(path) = text.strip_prefix("unix:") {
            let usable = path.starts_with('/') && path.len() <= MAX_SOCKET_PATH && !path.contains('\0');
            return if usable { Ok(Self::Unix(path.into())) } else { Err(MetricsAddressError::Path) };
        }
        let address: SocketAddr = text.parse().map_err(|_| MetricsAddressError::Malformed)?;
        match address {
            _ if !address.ip().is_loopback() => Err(MetricsAddressError::NotLoopback),
            _ if address.port() == 0 => Err(MetricsAddressError::NoPort),
            _ => Ok(Self::Tcp(address)),
        }
    }
}

impl fmt::Display for MetricsAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => address.fmt(f),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_accepted_prints_as_it_was_written() {
        for text in ["127.0.0.1:9464", "127.9.9.9:1", "[::1]:65535", "unix:/run/vswitch/metrics.sock"] {
            assert_eq!(text.parse::<MetricsAddress>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn the_rest_is_refused_for_its_reason() {
        use MetricsAddressError::{Malformed, NoPort, NotLoopback, Path};
        let long = format!("unix:/{}", "x".repeat(MAX_SOCKET_PATH));
        for (text, expected) in [
            ("", Malformed),
            ("9464", Malformed),
            ("localhost:9464", Malformed),
            ("127.0.0.1", Malformed),
            ("127.0.0.1:65536", Malformed),
            ("/run/metrics.sock", Malformed),
            ("0.0.0.0:9464", NotLoopback),
            ("192.0.2.1:9464", NotLoopback),
            ("[::]:9464", NotLoopback),
            ("[::ffff:127.0.0.1]:9464", NotLoopback),
            ("127.0.0.1:0", NoPort),
            ("unix:", Path),
            ("unix:metrics.sock", Path),
            (&long, Path),
        ] {
            assert_eq!(text.parse::<MetricsAddress>(), Err(expected), "{text}");
        }
    }
}
