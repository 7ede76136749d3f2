//! Small frames as fast as one core makes them, and how many a second reach the other side.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::netns::Namespace;
use crate::packets;
use crate::sys::{self, PacketSocket};

/// Frames a system call.
const BURST: usize = 64;

/// What a run came to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Frames a second that left the sender.
    pub offered: f64,
    /// Frames a second that arrived at the receiver.
    pub delivered: f64,
}

/// Floods `to` from `from` (both with `eth0`) with frames of 64 octets (checksum included) for `time`. The switches in
/// between must know the receiver's address already.
pub fn flood(from: &Namespace, to: &Namespace, time: Duration) -> Result<Rate> {
    flood_with(&packets::frame(to.mac("eth0")?, from.mac("eth0")?, None, 0), from, to, time)
}

/// [`flood`] with a frame of the caller's.
pub fn flood_with(frame: &[u8], from: &Namespace, to: &Namespace, time: Duration) -> Result<Rate> {
    let socket = from.enter(|| PacketSocket::open("eth0"))?;
    socket.bypass_queue()?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| send_until(&socket, frame, &stop));
        // The first tenth of a second is for caches and queues to fill.
        std::thread::sleep(Duration::from_millis(100));
        let before = counted(from, to)?;
        let started = sys::monotonic();
        std::thread::sleep(time);
        let after = counted(from, to)?;
        let seconds = (sys::monotonic() - started).as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        sender.join().map_err(|_| anyhow!("the generator died"))??;
        let rate = |before: u64, after: u64| (after - before) as f64 / seconds;
        Ok(Rate { offered: rate(before.0, after.0), delivered: rate(before.1, after.1) })
    })
}

fn send_until(socket: &PacketSocket, frame: &[u8], stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        match socket.send_copies(frame, BURST) {
            Ok(_) => {}
            // The driver's queue is full: that is the point of a flood.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::EAGAIN)) => {}
            Err(error) => return Err(error).context("the generator cannot send"),
        }
    }
    Ok(())
}

/// Frames sent by `from` and received by `to` so far.
fn counted(from: &Namespace, to: &Namespace) -> Result<(u64, u64)> {
    let eth0 = |namespace: &Namespace| -> Result<(u64, u64)> {
        let counters = namespace.frame_counters()?;
        let found = counters.into_iter().find(|(name, ..)| name == "eth0").context("no eth0")?;
        Ok((found.1, found.2))
    };
    Ok((eth0(from)?.1, eth0(to)?.0))
}
