//! Whose an IP address is, behind bonds with receive balancing: a hash map in the kernel, changed by system calls.

use std::collections::BTreeMap;

use aya::maps::{HashMap, MapData};

use super::layout::GuestKey;

/// The map, and what is in it. An entry that the kernel refuses is tried again with the next tables; until then frames for
/// that guest are left to a worker.
pub(super) struct Guests {
    map: HashMap<MapData, GuestKey, u64>,
    known: BTreeMap<GuestKey, u64>,
}

impl Guests {
    /// The map, with what an earlier daemon has left in it.
    pub(super) fn new(map: HashMap<MapData, GuestKey, u64>) -> Self {
        let known = map.iter().flatten().collect();
        Self { map, known }
    }

    /// What is in it.
    pub(super) fn known(&self) -> &BTreeMap<GuestKey, u64> {
        &self.known
    }

    /// Enters what is new, before the tables that tell of it.
    pub(super) fn add(&mut self, guests: &BTreeMap<GuestKey, u64>) {
        for (key, mac) in guests {
            if self.known.get(key) == Some(mac) {
                continue;
            }
            match self.map.insert(key, mac, 0) {
                Ok(()) => {
                    self.known.insert(*key, *mac);
                }
                Err(error) => {
                    tracing::warn!(%error, "no room in the kernel's map of guests; workers forward for one");
                }
            }
        }
    }

    /// Removes what is gone, after the tables that told of it.
    pub(super) fn keep(&mut self, guests: &BTreeMap<GuestKey, u64>) {
        let map = &mut self.map;
        self.known.retain(|key, _| {
            let stays = guests.contains_key(key);
            if !stays && let Err(error) = map.remove(key) {
                tracing::warn!(%error, "a guest can't be removed from the kernel's map");
            }
            stays
        });
    }
}
