//! Round-trip times of small datagrams, one at a time.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use crate::netns::Namespace;

/// Round-trip times, in microseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RoundTrips {
    /// Half took at most this long.
    pub median: f64,
    /// 99 of 100 took at most this long.
    pub p99: f64,
    /// The longest.
    pub worst: f64,
}

/// Sends `rounds` datagrams from one namespace to another and back, each after the answer to the one before.
pub fn measure(from: (&Namespace, IpAddr), to: (&Namespace, IpAddr), rounds: usize) -> Result<RoundTrips> {
    let (near, far) = (from.0.udp(from.1)?, to.0.udp(to.1)?);
    let far_address = far.local_addr()?;
    for socket in [&near, &far] {
        socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    }
    let echo = std::thread::spawn(move || {
        let mut buffer = [0; 64];
        // Ends by the read timeout, or with the first empty datagram.
        while let Ok((length @ 1.., peer)) = far.recv_from(&mut buffer) {
            if far.send_to(&buffer[..length], peer).is_err() {
                return;
            }
        }
    });
    let mut times = Vec::with_capacity(rounds);
    let mut buffer = [0; 64];
    for _ in 0..rounds {
        let start = Instant::now();
        near.send_to(&[7; 18], far_address)?;
        near.recv(&mut buffer).context("a ping-pong datagram got lost")?;
        times.push(start.elapsed());
    }
    near.send_to(&[], far_address)?;
    let _ = echo.join();
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e6;
    Ok(RoundTrips { median: at(0.5), p99: at(0.99), worst: at(1.0) })
}
