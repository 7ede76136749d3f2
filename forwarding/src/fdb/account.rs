//! Who holds how many entries, and what happened so far.

use core::sync::atomic::Ordering::Relaxed;
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};

use super::word::Value;
use super::{FdbStats, Learned};
use crate::ids::{MAX_PORTS, PortId};

/// Counts of entries: in all, static ones, and learned ones by port. An entry is counted before it can be seen and uncounted after it can't, so
/// counts never run below zero.
pub(super) struct Account {
    pub(super) capacity: usize,
    entries: AtomicUsize,
    statics: AtomicUsize,
    by_port: Box<[AtomicU32]>,
    /// One more than the highest port that ever held an entry.
    ports: AtomicUsize,
    learned: AtomicU64,
    expired: AtomicU64,
    evicted: AtomicU64,
    moved: AtomicU64,
    refused: AtomicU64,
}

impl Account {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity,
            entries: AtomicUsize::new(0),
            statics: AtomicUsize::new(0),
            by_port: (0..MAX_PORTS).map(|_| AtomicU32::new(0)).collect(),
            ports: AtomicUsize::new(0),
            learned: AtomicU64::new(0),
            expired: AtomicU64::new(0),
            evicted: AtomicU64::new(0),
            moved: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// Takes the right to add an entry; `false` if the table is full.
    pub(super) fn reserve(&self) -> bool {
        self.entries.fetch_update(Relaxed, Relaxed, |n| (n < self.capacity).then_some(n + 1)).is_ok()
    }

    /// Gives the right back.
    pub(super) fn release(&self) {
        self.entries.fetch_sub(1, Relaxed);
    }

    /// Learned entries of a port. Numbers above [`MAX_PORTS`] share the last place.
    pub(super) fn held_by(&self, port: PortId) -> u32 {
        self.of(port).load(Relaxed)
    }

    /// A port is about to hold one more learned entry; `false` if it holds `limit` already.
    pub(super) fn join(&self, port: PortId, limit: u32) -> bool {
        self.ports.fetch_max(usize::from(port.0).min(MAX_PORTS - 1) + 1, Relaxed);
        self.of(port).fetch_update(Relaxed, Relaxed, |n| (n < limit).then_some(n + 1)).is_ok()
    }

    /// A port holds one learned entry less.
    pub(super) fn leave(&self, port: PortId) {
        self.of(port).fetch_sub(1, Relaxed);
    }

    /// There is about to be one more static entry.
    pub(super) fn join_static(&self) {
        self.statics.fetch_add(1, Relaxed);
    }

    /// An entry is no longer what it was: uncounts its port, or a static one. Its right to be in the table stays.
    pub(super) fn uncount(&self, value: Value) {
        if value.is_static() {
            self.statics.fetch_sub(1, Relaxed);
        } else {
            self.leave(value.port());
        }
    }

    /// Counts events from 0 again.
    pub(super) fn clear_events(&self) {
        for events in [&self.learned, &self.expired, &self.evicted, &self.moved, &self.refused] {
            events.store(0, Relaxed);
        }
    }

    /// The port that holds the most learned entries; among equals, `own`.
    pub(super) fn heaviest(&self, own: PortId) -> PortId {
        let mut heaviest = (self.held_by(own), own);
        // Nobody can hold more than the holder of half of all: under a flood this saves the search.
        if heaviest.0 as usize * 2 < self.entries.load(Relaxed) {
            for (port, count) in self.by_port[..self.ports.load(Relaxed)].iter().enumerate() {
                let count = count.load(Relaxed);
                if count > heaviest.0 {
                    heaviest = (count, PortId(port as u16));
                }
            }
        }
        heaviest.1
    }

    pub(super) fn learned(&self) {
        self.learned.fetch_add(1, Relaxed);
    }

    pub(super) fn expired(&self, entries: u64) {
        self.expired.fetch_add(entries, Relaxed);
    }

    pub(super) fn evicted(&self) {
        self.evicted.fetch_add(1, Relaxed);
    }

    pub(super) fn moved(&self) {
        self.moved.fetch_add(1, Relaxed);
    }

    pub(super) fn refuse(&self) -> Learned {
        self.refused.fetch_add(1, Relaxed);
        Learned::Full
    }

    pub(super) fn stats(&self) -> FdbStats {
        FdbStats {
            entries: self.entries.load(Relaxed),
            statics: self.statics.load(Relaxed),
            capacity: self.capacity,
            learned: self.learned.load(Relaxed),
            expired: self.expired.load(Relaxed),
            evicted: self.evicted.load(Relaxed),
            moved: self.moved.load(Relaxed),
            refused: self.refused.load(Relaxed),
        }
    }

    fn of(&self, port: PortId) -> &AtomicU32 {
        &self.by_port[usize::from(port.0).min(MAX_PORTS - 1)]
    }
}
