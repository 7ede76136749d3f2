//! A NIC like a wireless one: 54 Mb/s, half duplex, a frame after the other in the air.

use std::os::fd::{AsFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::netns::Namespace;
use crate::sys::{self, PacketSocket};

/// Of the link, in Mb/s.
pub const SPEED: u32 = 54;
/// What a frame costs beside its octets: access to the air, preamble, acknowledgement.
const OVERHEAD: Duration = Duration::from_micros(100);

/// The NIC and the air between it and an access point. The NIC is gone when this is dropped.
pub struct Radio {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Radio {
    /// Makes a NIC `name` that is set up; what it sends leaves by `cable`, an interface of the same namespace, and back.
    /// Frames that come by the cable must have their checksums finished. Needs `ethtool`.
    pub fn start(namespace: &Namespace, name: &str, cable: &str) -> Result<Self> {
        let (nic, wire) = namespace
            .enter(|| Ok::<_, std::io::Error>((sys::open_tap(name)?, PacketSocket::open(cable)?)))
            .with_context(|| format!("cannot make {name} before {cable}"))?;
        namespace.run(&format!("ethtool -s {name} speed {SPEED} duplex half autoneg off"))?;
        namespace.ip(&format!("link set {name} up"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || relay(&nic, &wire, &stop)
        });
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Radio {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn relay(nic: &OwnedFd, wire: &PacketSocket, stop: &AtomicBool) {
    let mut buffer = [0; 2048];
    let patience = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
    while !stop.load(Ordering::Relaxed) {
        let mut ends =
            [PollFd::from_borrowed_fd(nic.as_fd(), PollFlags::IN), PollFd::new(wire, PollFlags::IN)];
        let _ = poll(&mut ends, Some(&patience));
        // Turn by turn, as in the air. What can't be sent is lost, as there.
        match rustix::io::read(nic, &mut buffer) {
            Ok(length) => {
                fly(length);
                let _ = wire.send(&buffer[..length]);
            }
            // The NIC is down.
            Err(Errno::AGAIN | Errno::IO) => {}
            Err(error) => panic!("the radio can't read: {error}"),
        }
        if let Ok(Some(frame)) = wire.receive() {
            fly(frame.bytes.len());
            let _ = rustix::io::write(nic, &frame.bytes);
        }
    }
}

/// The time in the air of a frame of so many octets.
fn fly(octets: usize) {
    let time = OVERHEAD + Duration::from_nanos(octets as u64 * 8 * 1000 / u64::from(SPEED));
    sys::sleep_until(sys::monotonic() + time);
}
