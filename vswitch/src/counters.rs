//! What each device carried and dropped. Workers add once per burst, readers sum when asked.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use forwarding::drop_reason::DropReason;

/// Counters of one device since it was attached. Frames are GSO super-frames where the device hands those over.
#[derive(Debug, Default)]
pub struct DeviceCounters {
    rx_frames: AtomicU64,
    rx_bytes: AtomicU64,
    tx_frames: AtomicU64,
    tx_bytes: AtomicU64,
    drops: [AtomicU64; DropReason::COUNT],
}

impl DeviceCounters {
    /// Adds received frames and their octets (Ethernet header included, FCS and outer VLAN tag not).
    pub fn add_rx(&self, frames: u64, bytes: u64) {
        self.rx_frames.fetch_add(frames, Relaxed);
        self.rx_bytes.fetch_add(bytes, Relaxed);
    }

    /// Adds frames handed to the kernel for transmission, and their octets.
    pub fn add_tx(&self, frames: u64, bytes: u64) {
        self.tx_frames.fetch_add(frames, Relaxed);
        self.tx_bytes.fetch_add(bytes, Relaxed);
    }

    /// Adds drops of one reason: of frames received here, or ([`DropReason::DeviceDown`], [`DropReason::QueueFull`],
    /// [`DropReason::SendError`]) of frames that were to leave here.
    pub fn add_drops(&self, reason: DropReason, frames: u64) {
        self.drops[reason as usize].fetch_add(frames, Relaxed);
    }

    /// The values now.
    pub fn read(&self) -> CounterValues {
        CounterValues {
            rx_frames: self.rx_frames.load(Relaxed),
            rx_bytes: self.rx_bytes.load(Relaxed),
            tx_frames: self.tx_frames.load(Relaxed),
            tx_bytes: self.tx_bytes.load(Relaxed),
            drops: DropReason::ALL
                .iter()
                .map(|reason| (*reason, self.drops[*reason as usize].load(Relaxed)))
                .filter(|(_, frames)| *frames > 0)
                .collect(),
        }
    }
}

/// A reading of [`DeviceCounters`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CounterValues {
    /// Frames received.
    pub rx_frames: u64,
    /// Octets received.
    pub rx_bytes: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Octets sent.
    pub tx_bytes: u64,
    /// Frames dropped, by reason; reasons that never happened are left out.
    pub drops: Vec<(DropReason, u64)>,
}
