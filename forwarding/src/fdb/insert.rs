//! Writing to the table: refresh, move, insert, evict.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release, SeqCst};
use core::sync::atomic::fence;

use super::place::Place;
use super::word::Value;
use super::{Fdb, Learned, Slot, Tick, slots_of};
use crate::ids::PortId;

/// Most buckets that one learning address looks through for an entry of the heaviest port. A full table uses a third
/// of its slots, so a port that holds a fifth of the entries is missed about once in 10 million times.
const EVICTION_PROBES: usize = 64;

/// Most times that a writer looks again because others changed the same entry under its hands. Whoever was faster
/// has just written what is to be written.
const RETRIES: usize = 4;

impl Fdb {
    /// The part of learning that may have to write.
    #[inline(never)]
    pub(super) fn write(&self, place: &Place, port: PortId, now: Tick, limit: u32) -> Learned {
        for _ in 0..RETRIES {
            let Some((slot, old)) = self.find(place) else { return self.insert(place, port, now, limit) };
            if let Some(learned) = self.update(place, slot, old, port, now, limit) {
                return learned;
            }
        }
        Learned::Refreshed
    }

    /// Refreshes or moves an entry; `None` if another thread changed it meanwhile.
    fn update(
        &self,
        place: &Place,
        slot: Slot,
        old: Value,
        port: PortId,
        now: Tick,
        limit: u32,
    ) -> Option<Learned> {
        let from = old.port();
        if old.is_static() {
            return Some(if from == port { Learned::Refreshed } else { Learned::Static });
        }
        // A thread with an earlier clock does not make an entry older.
        let seen = if old.seen().age(now) > 0 { now } else { old.seen() };
        let new = Value::new(place.digest, port, seen);
        if from == port {
            if !self.swap(slot, old, new.with_lock_of(old, now)) {
                return None;
            }
        } else {
            if !self.account.join(port, limit) {
                return Some(self.account.refuse());
            }
            let swapped = self.swap(slot, old, new);
            self.account.leave(if swapped { from } else { port });
            if !swapped {
                return None;
            }
        }
        Some(if self.is_expired(old, now) {
            self.account.expired(1);
            self.account.learned();
            Learned::New
        } else if from != port {
            self.account.moved();
            Learned::Moved { from }
        } else {
            Learned::Refreshed
        })
    }

    fn insert(&self, place: &Place, port: PortId, now: Tick, limit: u32) -> Learned {
        self.expire_in_reach(place, now);
        if self.account.held_by(port) >= limit {
            return self.account.refuse();
        }
        let Some(slot) = self.obtain_slot(place, port, now) else { return self.account.refuse() };
        if !self.account.join(port, limit) {
            // Another thread learned the port's last address meanwhile.
            self.give_back(slot);
            return self.account.refuse();
        }
        self.fill(place, slot, Value::new(place.digest, port, now));
        self.account.learned();
        Learned::New
    }

    /// Puts a key and its value into a claimed slot.
    pub(super) fn fill(&self, place: &Place, slot: Slot, value: Value) {
        self.key(slot).store(place.key.0, Release);
        let claimed = self.swap(slot, Value::CLAIMED, value);
        debug_assert!(claimed, "only its owner changes a claimed slot");
        self.remove_twin(place, slot);
    }

    /// Frees a claimed slot and the right to be in the table.
    fn give_back(&self, slot: Slot) {
        self.swap(slot, Value::CLAIMED, Value::FREE);
        self.account.release();
    }

    /// A claimed slot that the table may fill.
    fn obtain_slot(&self, place: &Place, port: PortId, now: Tick) -> Option<Slot> {
        if self.account.reserve() {
            if let Some(slot) = self.claim_free(place) {
                return Some(slot);
            }
            self.account.release();
        }
        self.evict(place, port, now)
    }

    /// A claimed slot at the expense of another entry.
    fn evict(&self, place: &Place, port: PortId, now: Tick) -> Option<Slot> {
        let heaviest = self.account.heaviest(port);
        if let Some(slot) = self.take_over_oldest(place, now, |owner| owner == heaviest) {
            return Some(slot);
        }
        if heaviest == port {
            return None;
        }
        if let Some(slot) = self.claim_free(place) {
            if self.evict_anywhere(heaviest, EVICTION_PROBES) {
                return Some(slot);
            }
            self.swap(slot, Value::CLAIMED, Value::FREE);
        }
        let own = self.account.held_by(port);
        self.take_over_oldest(place, now, |owner| self.account.held_by(owner) > own)
    }

    /// Claims a free slot of the emptier bucket, or of the other one.
    pub(super) fn claim_free(&self, place: &Place) -> Option<Slot> {
        let free = |bucket: &usize| slots_of(*bucket).filter(|slot| self.value(*slot).is_free()).count();
        let [first, second] = place.buckets;
        let order = if free(&second) > free(&first) { [second, first] } else { [first, second] };
        order
            .into_iter()
            .flat_map(slots_of)
            .find(|slot| self.value(*slot).is_free() && self.swap(*slot, Value::FREE, Value::CLAIMED))
    }

    /// Claims the slot of the oldest learned entry in reach whose port is chosen. The entry's right to be in the table
    /// goes to the new one.
    pub(super) fn take_over_oldest(
        &self,
        place: &Place,
        now: Tick,
        chosen: impl Fn(PortId) -> bool,
    ) -> Option<Slot> {
        let (slot, victim) = reach(place)
            .map(|slot| (slot, self.value(slot)))
            .filter(|(_, value)| value.is_valid() && !value.is_static() && chosen(value.port()))
            .max_by_key(|(_, value)| value.seen().age(now))?;
        self.swap(slot, victim, Value::CLAIMED).then(|| {
            self.account.leave(victim.port());
            self.account.evicted();
            slot
        })
    }

    /// Removes one learned entry of a port, wherever, looking into `probes` buckets; its right to be in the table goes to
    /// the caller.
    pub(super) fn evict_anywhere(&self, port: PortId, probes: usize) -> bool {
        for _ in 0..probes.min(self.buckets.len()) {
            let bucket = self.probe.fetch_add(1, Relaxed) % self.buckets.len();
            for slot in slots_of(bucket) {
                let value = self.value(slot);
                let evictable = value.is_valid() && !value.is_static() && value.port() == port;
                if evictable && self.swap(slot, value, Value::FREE) {
                    self.account.leave(port);
                    self.account.evicted();
                    return true;
                }
            }
        }
        false
    }

    fn expire_in_reach(&self, place: &Place, now: Tick) {
        for slot in reach(place) {
            if self.remove_slot_if(slot, |value| self.is_expired(value, now)) {
                self.account.expired(1);
            }
        }
    }

    /// Two threads may have inserted the same address into two slots. Both look here after writing, and the fence
    /// makes at least one of them see the other; a static entry stays, otherwise the slot that is found first.
    fn remove_twin(&self, place: &Place, own: Slot) {
        fence(SeqCst);
        let holds_it = |slot: &Slot| {
            self.key(*slot).load(Acquire) == place.key.0 && self.value(*slot).belongs_to(place.digest)
        };
        let found = || reach(place).filter(holds_it);
        let stays = found().find(|slot| self.value(*slot).is_static()).or_else(|| found().next());
        let remove = |slot| {
            self.remove_slot_if(slot, |value| value.belongs_to(place.digest) && !value.is_static());
        };
        match stays {
            Some(first) if first == own => found().filter(|slot| *slot != own).for_each(remove),
            Some(_) => remove(own),
            None => {}
        }
    }
}

/// The slots in which a key may stand, in the order in which they are searched.
pub(super) fn reach(place: &Place) -> impl Iterator<Item = Slot> + use<> {
    let [first, second] = place.buckets;
    let second = (second != first).then_some(second);
    core::iter::once(first).chain(second).flat_map(slots_of)
}
