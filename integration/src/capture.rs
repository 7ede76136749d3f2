//! Whole frames as they arrive at an interface, each with its time.

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::netns::Namespace;
use crate::sys::{self, Frame, PacketSocket};

/// An open packet socket. What arrives waits in the kernel until it is asked for.
pub struct Capture {
    name: String,
    socket: PacketSocket,
}

impl Capture {
    /// Starts listening at an interface.
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        let socket = namespace
            .enter(|| PacketSocket::open(interface))
            .with_context(|| format!("cannot open a packet socket on {interface} in {}", namespace.name()))?;
        Ok(Self { name: format!("{}/{interface}", namespace.name()), socket })
    }

    /// Where it is, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends one frame from here.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        self.socket.send(frame).with_context(|| format!("{} cannot send", self.name))
    }

    /// Everything that has arrived since the last call.
    pub fn take(&self) -> Result<Vec<Frame>> {
        let mut frames = Vec::new();
        while let Some(frame) = self.socket.receive()? {
            frames.push(frame);
        }
        Ok(frames)
    }

    /// The first frame that `wanted` makes something of, waiting at most `deadline`. Other frames are thrown away.
    pub fn wait_for<T>(
        &self,
        what: &str,
        deadline: Duration,
        mut wanted: impl FnMut(&Frame) -> Option<T>,
    ) -> Result<T> {
        crate::process::eventually(&format!("{what} arrives at {}", self.name), deadline, || {
            while let Some(frame) = self.socket.receive()? {
                if let Some(found) = wanted(&frame) {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        })
    }

    /// Everything that arrives for so long.
    pub fn take_for(&self, time: Duration) -> Result<Vec<Frame>> {
        let end = sys::monotonic() + time;
        let mut frames = Vec::new();
        while sys::monotonic() < end {
            sys::sleep_until(end.min(sys::monotonic() + Duration::from_millis(50)));
            frames.extend(self.take()?);
        }
        Ok(frames)
    }
}
