//! Static entries, and locks on learned ones: what the operator and the control thread put into the table.

use core::sync::atomic::Ordering::{Acquire, Relaxed};

use super::account::Account;
use super::insert::reach;
use super::place::Place;
use super::word::{Key, Value};
use super::{Bucket, Buckets, Fdb, Slot, Tick, WAYS, slots_of};
use crate::ids::PortId;
use crate::mac::MacAddr;
use crate::vlan::MAX_VLAN;

impl Fdb {
    /// Adds a static entry, or makes an entry static and puts it behind `port`. It does not age, learning does not move
    /// it, [`Self::flush`] keeps it, and it counts for the table's capacity but for no port's learning limit. If there is
    /// no other room, a learned entry is evicted.
    ///
    /// `false`, and nothing is changed: the address can't be learned (group address, zero), the VLAN is above 4094, or
    /// all room that the address may stand in is taken by other static entries. One thread at a time may call this.
    pub fn add_static(&self, vlan: u16, mac: MacAddr, port: PortId) -> bool {
        if !mac.is_valid_source() || vlan > MAX_VLAN {
            return false;
        }
        let place = self.place(vlan, mac);
        let value = Value::fixed(place.digest, port);
        self.account.join_static();
        while let Some((slot, old)) = self.find(&place) {
            if self.swap(slot, old, value) {
                self.account.uncount(old);
                return true;
            }
        }
        match self.obtain_static_slot(&place) {
            Some(slot) => self.fill(&place, slot, value),
            None => self.account.uncount(value),
        }
        self.find(&place).is_some_and(|(_, found)| found == value)
    }

    /// Removes the entry of an address, static or learned; `false` if there is none.
    pub fn remove(&self, vlan: u16, mac: MacAddr) -> bool {
        let place = self.place(vlan, mac);
        let holds_it = |slot: &Slot| self.key(*slot).load(Acquire) == place.key.0;
        let mut removed = false;
        for slot in reach(&place).filter(holds_it) {
            removed |= self.remove_slot_if(slot, |value| value.belongs_to(place.digest));
        }
        removed
    }

    /// Lets no announcement from a bond move the address for [`super::LOCK_TICKS`] from now on: what comes back of an
    /// announcement of our own, or of its guest, is a reflection. `false` if it is not known.
    pub fn lock(&self, vlan: u16, mac: MacAddr, now: Tick) -> bool {
        let place = self.place(vlan, mac);
        while let Some((slot, value)) = self.find(&place) {
            if self.is_expired(value, now) {
                return false;
            }
            if value.is_static() || self.swap(slot, value, value.locked(now)) {
                return true;
            }
        }
        false
    }

    /// Takes locks off that are over, so that their ticks can't come round.
    pub(super) fn drop_old_locks(&self, buckets: core::ops::Range<usize>, now: Tick) {
        for slot in buckets.flat_map(slots_of) {
            let value = self.value(slot);
            if value.is_valid() && value.has_lock() && !value.is_locked(now) {
                // Lost against a refresh, which takes it off too.
                self.swap(slot, value, value.unlocked());
            }
        }
    }

    /// A table of its own with the same entries and settings; event counts begin at 0. It allocates as much again. While
    /// others learn, it is not a picture of one moment.
    pub fn copy(&self) -> Self {
        let account = Account::new(self.account.capacity);
        let buckets = (self.buckets.iter()).map(|bucket| self.copy_bucket(bucket, &account)).collect();
        Self {
            buckets: Buckets::Own(buckets),
            hasher: self.hasher.clone(),
            ageing: self.config().ageing.into(),
            seed: self.seed,
            account,
            probe: self.probe.load(Relaxed).into(),
        }
    }

    fn copy_bucket(&self, bucket: &Bucket, account: &Account) -> Bucket {
        let copy = Bucket::default();
        for way in 0..WAYS {
            let key = Key(bucket.keys[way].load(Acquire));
            let value = Value(bucket.values[way].load(Acquire));
            if value.belongs_to(self.hasher.place(key).digest) && account.reserve() {
                if value.is_static() {
                    account.join_static();
                } else {
                    account.join(value.port(), u32::MAX);
                }
                copy.keys[way].store(key.0, Relaxed);
                copy.values[way].store(value.0, Relaxed);
            }
        }
        copy
    }

    /// A claimed slot for a static entry, at the expense of any learned one.
    fn obtain_static_slot(&self, place: &Place) -> Option<Slot> {
        if self.account.reserve() {
            if let Some(slot) = self.claim_free(place) {
                return Some(slot);
            }
            self.account.release();
        }
        if let Some(slot) = self.take_over_oldest(place, Tick(0), |_| true) {
            return Some(slot);
        }
        let slot = self.claim_free(place)?;
        if self.evict_anywhere(self.account.heaviest(PortId(0)), usize::MAX) {
            return Some(slot);
        }
        self.swap(slot, Value::CLAIMED, Value::FREE);
        None
    }
}

#[cfg(test)]
mod tests;
