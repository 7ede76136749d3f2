//! Talking to the kernel about network devices: their state and changes of it, and keeping the host's own stack away
//! from switched frames.
//!
//! - [`monitor`]: which devices there are, and news about them
//! - [`link`]: reading and changing one device
//! - [`addresses`]: the devices' permanent MAC addresses, and IP addresses
//! - [`ethtool`]: speed and duplex, LRO, receive hashing
//! - [`hoststack`]: the shield between a switched device and the host's stack
//! - `socket`: requests and answers

pub mod addresses;
pub mod ethtool;
pub mod hoststack;
pub mod link;
pub mod monitor;
mod socket;

use std::io;

/// A request that the kernel refused or did not answer.
#[derive(Debug, thiserror::Error)]
#[error("can't {action}: {source}{}", hint(.kernel_says))]
pub struct NetlinkError {
    /// What was asked for, and of which device.
    pub action: String,
    /// The error code. `TimedOut` if there was no answer.
    pub source: io::Error,
    /// The kernel's own explanation, where it gave one (extended ack).
    pub kernel_says: Option<String>,
}

fn hint(kernel_says: &Option<String>) -> String {
    kernel_says.as_ref().map_or_else(String::new, |text| format!(" (the kernel says: {text})"))
}

impl NetlinkError {
    /// Whether the kernel answered with this error code (`libc::E...`).
    pub fn is(&self, errno: i32) -> bool {
        self.source.raw_os_error() == Some(errno)
    }
}
