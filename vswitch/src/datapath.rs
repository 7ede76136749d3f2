//! The hand-over from the control thread to the workers: one immutable snapshot, published by one pointer swap.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use forwarding::ids::DeviceId;
use forwarding::tables::Tables;
use mio::Waker;

use crate::counters::DeviceCounters;
use crate::device::{Device, TxBurst, TxFrame};

/// How the kernel's executor marks a frame that it leaves to a worker: the TCI of a service tag. Its lower 12 bits are the
/// number of the device where the frame came in; the upper 4 tell apart devices that have this number one after the other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark(pub u16);

impl Mark {
    /// The mark of a device. Of `incarnation` 4 bits count.
    pub fn new(device: DeviceId, incarnation: u8) -> Self {
        Self(device.0 & 0x0fff | u16::from(incarnation) << 12)
    }

    /// The device's number.
    #[inline]
    pub fn device(self) -> DeviceId {
        DeviceId(self.0 & 0x0fff)
    }
}

/// A device in use: what a worker needs to receive from it and to send to it.
#[derive(Debug)]
pub struct Slot {
    /// The packet socket or TAP.
    pub device: Device,
    /// What it carried.
    pub counters: DeviceCounters,
    /// Number of the worker that receives from it. Any thread may send.
    pub worker: usize,
    /// Which of the devices that have had its number it is, modulo 16.
    pub incarnation: u8,
}

impl Slot {
    /// Sends frames in their order and counts what became of them. Never blocks.
    pub fn send<'a>(&self, frames: impl IntoIterator<Item = TxFrame<'a>>, scratch: &mut TxBurst) {
        let report = self.device.send_burst(frames, scratch);
        self.counters.add_tx(u64::from(report.sent), report.bytes);
        for (reason, frames) in report.dropped() {
            self.counters.add_drops(reason, u64::from(frames));
        }
    }
}

/// Everything an executor reads: the tables and the devices they name.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The decisions.
    pub tables: Tables,
    /// Indexed by [`DeviceId`], like [`Tables::devices`].
    pub slots: Vec<Option<Arc<Slot>>>,
}

impl Snapshot {
    /// The device of a mark, if it is still the one that the mark was made for.
    #[inline]
    pub fn marked(&self, mark: Mark) -> Option<&Arc<Slot>> {
        let slot = self.slot(mark.device())?;
        (Mark::new(mark.device(), slot.incarnation) == mark).then_some(slot)
    }

    /// The device behind a number.
    #[inline]
    pub fn slot(&self, id: DeviceId) -> Option<&Arc<Slot>> {
        self.slots.get(usize::from(id.0))?.as_ref()
    }
}

/// The control thread's view of one worker.
#[derive(Debug)]
struct WorkerSeat {
    waker: Arc<Waker>,
    seen: Arc<AtomicU64>,
}

/// The published snapshot and the workers that read it.
#[derive(Debug)]
pub struct Datapath {
    current: Arc<ArcSwap<Snapshot>>,
    workers: Vec<WorkerSeat>,
    generation: u64,
}

impl Datapath {
    /// With no worker yet and empty tables.
    pub fn new() -> Self {
        Self {
            current: Arc::new(ArcSwap::from_pointee(Snapshot::default())),
            workers: Vec::new(),
            generation: 0,
        }
    }

    /// The cell that workers read.
    pub fn cell(&self) -> Arc<ArcSwap<Snapshot>> {
        Arc::clone(&self.current)
    }

    /// Adds a worker, which reports in `seen` the newest generation it works with.
    pub fn add_worker(&mut self, waker: Arc<Waker>, seen: Arc<AtomicU64>) {
        self.workers.push(WorkerSeat { waker, seen });
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.workers.len()
    }

    /// Publishes a snapshot and wakes all workers. Frames of bursts that begin from now on are decided by it.
    pub fn publish(&mut self, mut snapshot: Snapshot) {
        self.generation += 1;
        snapshot.tables.generation = self.generation;
        self.current.store(Arc::new(snapshot));
        for worker in &self.workers {
            if let Err(error) = worker.waker.wake() {
                tracing::error!(%error, "cannot wake a worker");
            }
        }
    }

    /// Waits until every worker has the newest generation and has let go of the ones before.
    /// Returns false if one has not after `limit`.
    #[must_use]
    pub fn wait_applied(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        for worker in &self.workers {
            while worker.seen.load(Ordering::Acquire) < self.generation {
                if Instant::now() > deadline {
                    return false;
                }
                thread::sleep(Duration::from_micros(50));
            }
        }
        true
    }
}

impl Default for Datapath {
    fn default() -> Self {
        Self::new()
    }
}
