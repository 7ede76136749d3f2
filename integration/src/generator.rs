//! Small frames at a steady pace or as fast as they go, with addresses that vary, and an exact count of those that arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::netns::Namespace;
use crate::packets::{self, ETHERTYPE};
use crate::sys::{self, PacketSocket};

/// Frames a system call.
const BURST: usize = 64;
/// From one burst of a paced generator to the next.
const TICK: Duration = Duration::from_micros(100);
/// What a paced generator that was held up makes up for: less than the queue of a veth pair takes (1000 frames).
const MOST_BEHIND: f64 = 256.0;

/// A hardware address.
pub type Mac = [u8; 6];

/// Destination and source of a frame.
pub type Pair = (Mac, Mac);

/// A thread that sends until it is stopped.
pub struct Generator {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: JoinHandle<Result<()>>,
}

impl Generator {
    /// Sends frames of 64 octets (checksum included) from `eth0` of a namespace: `rate` a second, or as many as one core
    /// makes. Frame `i` has the addresses `pair(i)`.
    pub fn start(
        from: &Namespace,
        rate: Option<f64>,
        pair: impl Fn(u64) -> Pair + Send + 'static,
    ) -> Result<Self> {
        let socket = from.enter(|| PacketSocket::open_for("eth0", 0))?;
        socket.bypass_queue()?;
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let thread = std::thread::spawn({
            let (stop, sent) = (Arc::clone(&stop), Arc::clone(&sent));
            move || drive(&socket, rate, &pair, &stop, &sent)
        });
        Ok(Self { stop, sent, thread })
    }

    /// Frames that have left so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Ends it; returns how many frames have left.
    pub fn stop(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| anyhow!("the generator died"))??;
        Ok(self.sent.load(Ordering::Relaxed))
    }
}

fn drive(
    socket: &PacketSocket,
    rate: Option<f64>,
    pair: &dyn Fn(u64) -> Pair,
    stop: &AtomicBool,
    sent: &AtomicU64,
) -> Result<()> {
    let mut frames = [[0; 60]; BURST];
    for frame in &mut frames {
        frame.copy_from_slice(&packets::frame([0; 6], [0; 6], None, 0));
    }
    let start = sys::monotonic();
    let (mut number, mut skipped) = (0, 0.0);
    while !stop.load(Ordering::Relaxed) {
        let mut count = BURST;
        if let Some(rate) = rate {
            let due = (sys::monotonic() - start).as_secs_f64() * rate - skipped;
            let behind = due - number as f64;
            if behind < 1.0 {
                sys::sleep_until(sys::monotonic() + TICK);
                continue;
            }
            skipped += (behind - MOST_BEHIND).max(0.0);
            count = count.min(behind as usize);
        }
        for (frame, i) in frames[..count].iter_mut().zip(number..) {
            let (to, from) = pair(i);
            frame[..6].copy_from_slice(&to);
            frame[6..12].copy_from_slice(&from);
        }
        match socket.send_burst(&frames[..count]) {
            Ok(done) => number += done as u64,
            // The driver's queue is full.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOBUFS | libc::EAGAIN)) => {}
            Err(error) => return Err(error).context("the generator cannot send"),
        }
        sent.store(number, Ordering::Relaxed);
    }
    Ok(())
}

/// Counts the frames of [`Generator`] that arrive at an `eth0`, whoever they are for.
pub struct Counter(PacketSocket);

impl Counter {
    /// Counts from now on.
    pub fn new(at: &Namespace) -> Result<Self> {
        let socket = at.enter(|| PacketSocket::open_for("eth0", ETHERTYPE))?;
        // They are counted whether or not they are kept.
        sys::shrink_receive_buffer(&socket)?;
        Ok(Self(socket))
    }

    /// Frames since the last call.
    pub fn take(&self) -> Result<u64> {
        Ok(self.0.take_count()?)
    }

    /// Frames since the last call, when none has come for `quiet`.
    pub fn settle(&self, quiet: Duration) -> Result<u64> {
        let mut total = self.take()?;
        loop {
            std::thread::sleep(quiet);
            match self.take()? {
                0 => return Ok(total),
                more => total += more,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::cable;
    use crate::testing::turn;

    #[test]
    fn what_is_sent_over_a_cable_is_counted() -> Result<()> {
        let Some(_turn) = turn(&[]) else { return Ok(()) };
        let (a, b) = (Namespace::new("a")?, Namespace::new("b")?);
        cable((&a, "eth0"), (&b, "eth0"))?;
        let counter = Counter::new(&b)?;
        let generator =
            Generator::start(&a, Some(20_000.0), |i| ([2, 0, 0, 0, 0, 1], [2, 0, 0, 1, 0, i as u8]))?;
        crate::process::eventually("frames are sent", Duration::from_secs(5), || {
            Ok((generator.sent() > 1000).then_some(()))
        })?;
        let sent = generator.stop()?;
        assert_eq!(counter.settle(Duration::from_millis(50))?, sent);
        Ok(())
    }
}
