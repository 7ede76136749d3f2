//! The bounded MAC learning table of one bridge.
//!
//! A fixed array of buckets of four slots; each address may stand in two buckets and goes to the emptier one. Nothing
//! is ever moved, so a reader looks at no more than two cache lines, and there are three slots for each entry that the
//! table may hold, so that two full buckets are rare.
//!
//! Workers share the table by `&self`. There is no lock: a slot's value word is its owner, and every change of it is a
//! compare-and-swap, so whoever loses a race looks again. In steady state nobody writes: an entry is refreshed once
//! in a tick.
//!
//! # Fairness
//! A full table learns only by evicting, and evicts from the port that holds the most entries. A port that is itself
//! the heaviest evicts its own oldest entry in reach or is refused. So an address flood on one port can't push out
//! the addresses of others. Static entries are nobody's: they are neither counted for a port nor evicted.

use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicU16, AtomicU64, AtomicUsize};
use core::time::Duration;

use crate::ids::PortId;
use crate::mac::MacAddr;
use crate::vlan::MAX_VLAN;

mod account;
mod fixed;
mod insert;
mod place;
mod word;

use account::Account;
use place::{Hasher, Place};
use word::{Key, Value};

/// Whole seconds since the daemon's start, modulo 65536: the resolution of ageing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick(pub u16);

impl Tick {
    /// The tick of a point in time.
    pub fn at(now: Duration) -> Self {
        Self(now.as_secs() as u16)
    }

    /// Ticks from `self` to `now`, 0..=32767. A `self` of up to 32768 ticks after `now` counts as now: another thread
    /// has a later clock.
    #[inline]
    pub fn age(self, now: Self) -> u16 {
        (now.0.wrapping_sub(self.0) as i16).max(0) as u16
    }
}

/// A MAC seen on its local port at most this many ticks ago that arrives on a bond is a reflection.
pub const REFLECTION_TICKS: u16 = 2;
/// Ticks for which a locked entry is not moved by an announcement that arrives on a bond (as OVS's lock of gratuitous
/// ARPs).
pub const LOCK_TICKS: u8 = 5;

/// Settings of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdbConfig {
    /// Most entries, 1..=1_048_576.
    pub capacity: usize,
    /// Seconds after which an entry that was not refreshed is gone, 1..=32767.
    pub ageing: u16,
    /// Secret of the hash, so that nobody outside can aim at one set.
    pub seed: u64,
}

impl FdbConfig {
    /// Highest capacity.
    pub const MAX_CAPACITY: usize = 1 << 20;
    /// Longest ageing time in seconds: half of what a [`Tick`] can count.
    pub const MAX_AGEING: u16 = i16::MAX as u16;
}

/// One entry, as shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// VLAN 0..=4094, 0 = untagged.
    pub vlan: u16,
    /// The address.
    pub mac: MacAddr,
    /// Where it is.
    pub port: PortId,
    /// Seconds since it was last seen as a source; 0 for a static entry.
    pub age: u16,
    /// Put there by the operator.
    pub is_static: bool,
    /// No announcement from a bond moves it now; see [`Fdb::lock`].
    pub is_locked: bool,
}

/// What became of a source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Learned {
    /// Known there already.
    Refreshed,
    /// A new entry.
    New,
    /// Known at another port before.
    Moved {
        /// The port where it was.
        from: PortId,
    },
    /// Not learned: the port holds as many as it may, or the table is full and fairness forbids evicting for this port.
    Full,
    /// Not learned: a static entry says that it is behind another port.
    Static,
    /// Not learned, and nothing changed: it is behind another port, and the frame came back from upstream.
    Reflected,
}

/// Sizes and counts of a table since it was made, or since [`Fdb::clear_stats`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FdbStats {
    /// Entries now, expired ones that no sweep removed included.
    pub entries: usize,
    /// Static ones among them.
    pub statics: usize,
    /// Most entries.
    pub capacity: usize,
    /// New entries.
    pub learned: u64,
    /// Entries that aged out.
    pub expired: u64,
    /// Entries that made room for others.
    pub evicted: u64,
    /// Entries that changed their port.
    pub moved: u64,
    /// Times that an address was not learned because the table was full or its port held as many as it may.
    pub refused: u64,
}

const WAYS: usize = 4;

/// One cache line of a table: four keys, then their values. All zero is an empty one. The words are described in
/// `fdb/word.rs`; the kernel's executor reads them and refreshes values by compare-and-swap.
#[derive(Default)]
#[repr(C, align(64))]
pub struct Bucket {
    keys: [AtomicU64; WAYS],
    values: [AtomicU64; WAYS],
}

/// Where a table's buckets lie: the heap, or memory that is shared with another executor. Always the same ones.
pub trait Memory: Send + Sync {
    /// All of them.
    fn buckets(&self) -> &[Bucket];
}

/// What another executor has to know to find an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FdbLayout {
    /// Of the hash; see `fdb/place.rs`.
    pub secret: [u64; 3],
    /// How many buckets there are.
    pub buckets: u32,
}

/// The buckets, and how they are reached with the least ado.
enum Buckets {
    Own(Box<[Bucket]>),
    Shared(Box<dyn Memory>),
}

impl core::ops::Deref for Buckets {
    type Target = [Bucket];

    #[inline]
    fn deref(&self) -> &[Bucket] {
        match self {
            Self::Own(buckets) => buckets,
            Self::Shared(memory) => memory.buckets(),
        }
    }
}

/// Names a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Slot {
    bucket: usize,
    way: usize,
}

fn slots_of(bucket: usize) -> impl Iterator<Item = Slot> {
    (0..WAYS).map(move |way| Slot { bucket, way })
}

/// A bounded table of (VLAN, MAC) -> port, shared by all workers.
pub struct Fdb {
    buckets: Buckets,
    hasher: Hasher,
    ageing: AtomicU16,
    seed: u64,
    account: Account,
    /// Where the search for an entry to evict goes on.
    probe: AtomicUsize,
}

impl Fdb {
    /// An empty table; allocates all it will ever need (48 octets per entry of capacity, and 16 KiB). Settings outside
    /// their ranges are brought into them; [`Self::config`] tells what is in force.
    pub fn new(config: FdbConfig) -> Self {
        let buckets = (0..Self::buckets_for(config.capacity)).map(|_| Bucket::default()).collect();
        Self::on(config, Buckets::Own(buckets))
    }

    /// A table in memory that is shared with another executor, with the entries that are there: those of a table that had
    /// the same capacity and seed. `None` if the memory is not of [`Self::buckets_for`] the capacity. Slots that another
    /// process had claimed and not filled when it died are freed.
    pub fn shared(config: FdbConfig, memory: Box<dyn Memory>) -> Option<Self> {
        if memory.buckets().len() != Self::buckets_for(config.capacity) {
            return None;
        }
        let fdb = Self::on(config, Buckets::Shared(memory));
        fdb.take_stock();
        Some(fdb)
    }

    /// Buckets of a table for so many entries.
    pub fn buckets_for(capacity: usize) -> usize {
        (capacity.clamp(1, FdbConfig::MAX_CAPACITY) * 3).div_ceil(WAYS)
    }

    fn on(config: FdbConfig, buckets: Buckets) -> Self {
        let fdb = Self {
            hasher: Hasher::new(config.seed, buckets.len()),
            buckets,
            ageing: AtomicU16::new(1),
            seed: config.seed,
            account: Account::new(config.capacity.clamp(1, FdbConfig::MAX_CAPACITY)),
            probe: AtomicUsize::new(0),
        };
        fdb.set_ageing(config.ageing);
        fdb
    }

    /// Counts the entries that are there. What is no entry of this table is removed.
    fn take_stock(&self) {
        for slot in (0..self.buckets.len()).flat_map(slots_of) {
            let value = self.value(slot);
            let place = self.hasher.place(Key(self.key(slot).load(Acquire)));
            let belongs = value.belongs_to(place.digest) && place.buckets.contains(&slot.bucket);
            if belongs && self.account.reserve() {
                if value.is_static() {
                    self.account.join_static();
                } else {
                    self.account.join(value.port(), u32::MAX);
                }
            } else if !value.is_free() {
                self.buckets[slot.bucket].values[slot.way].store(Value::FREE.0, Release);
            }
        }
    }

    /// What another executor has to know to find an address.
    pub fn layout(&self) -> FdbLayout {
        FdbLayout { secret: self.hasher.secret, buckets: self.hasher.buckets as u32 }
    }

    /// The settings in force.
    pub fn config(&self) -> FdbConfig {
        FdbConfig { capacity: self.account.capacity, ageing: self.ageing.load(Relaxed), seed: self.seed }
    }

    /// Changes the ageing time (seconds, brought into 1..=32767) for all entries at once.
    pub fn set_ageing(&self, seconds: u16) {
        self.ageing.store(seconds.clamp(1, FdbConfig::MAX_AGEING), Relaxed);
    }

    /// Sizes and counts.
    pub fn stats(&self) -> FdbStats {
        self.account.stats()
    }

    /// Counts events (all of [`FdbStats`] but the sizes) from 0 again.
    pub fn clear_stats(&self) {
        self.account.clear_events();
    }

    /// The port behind which an address is. An entry older than the ageing time is not there, swept or not.
    #[inline]
    pub fn lookup(&self, vlan: u16, mac: MacAddr, now: Tick) -> Option<PortId> {
        let (_, value) = self.find(&self.place(vlan, mac))?;
        (!self.is_expired(value, now)).then(|| value.port())
    }

    /// The entry of an address, if it has not aged out.
    pub fn entry(&self, vlan: u16, mac: MacAddr, now: Tick) -> Option<Entry> {
        let (_, value) = self.find(&self.place(vlan, mac))?;
        self.show(Key::new(vlan, mac), value, now)
    }

    /// Notes that `mac` was seen as a source on `port` in `vlan` (0..=4094). Group addresses and zero are refused.
    #[inline]
    pub fn learn(&self, vlan: u16, mac: MacAddr, port: PortId, now: Tick) -> Learned {
        self.learn_within(vlan, mac, port, now, u32::MAX)
    }

    /// As [`Self::learn`], but refused if the port then held more than `limit` learned entries.
    #[inline]
    pub fn learn_within(&self, vlan: u16, mac: MacAddr, port: PortId, now: Tick, limit: u32) -> Learned {
        self.learn_unless(vlan, mac, port, now, limit, |_| false)
    }

    /// As [`Self::learn_within`], but if the address is known behind another port, `reflected` is asked about its entry
    /// first; [`Learned::Reflected`] if it says so. One search serves both.
    #[inline]
    pub fn learn_unless(
        &self,
        vlan: u16,
        mac: MacAddr,
        port: PortId,
        now: Tick,
        limit: u32,
        reflected: impl FnOnce(&Entry) -> bool,
    ) -> Learned {
        let learnable = mac.is_valid_source() && vlan <= MAX_VLAN;
        debug_assert!(learnable, "{mac} in VLAN {vlan} can't be learned");
        if !learnable {
            return self.account.refuse();
        }
        let place = self.place(vlan, mac);
        match self.find(&place) {
            Some((_, value)) if value.port() == port && value.seen().age(now) == 0 => Learned::Refreshed,
            Some((_, value))
                if value.port() != port
                    && self.show(place.key, value, now).is_some_and(|entry| reflected(&entry)) =>
            {
                Learned::Reflected
            }
            _ => self.write(&place, port, now, limit),
        }
    }

    /// Removes the expired entries of the `part`-th of `parts` equal shares of the table and says how many. The whole
    /// table must be swept at least once in 4 minutes, so that the ticks of locks can't come round (those of entries:
    /// in 9 hours); once in ageing / 2 keeps the table and its counts free of the dead.
    pub fn sweep(&self, now: Tick, part: usize, parts: usize) -> usize {
        let len = self.buckets.len();
        let bound = |part: usize| (len.saturating_mul(part) / parts.max(1)).min(len);
        let buckets = bound(part)..bound(part.saturating_add(1)).max(bound(part));
        self.drop_old_locks(buckets.clone(), now);
        let expired = self.remove_if(buckets, |value| self.is_expired(value, now));
        self.account.expired(expired as u64);
        expired
    }

    /// All entries that have not aged out, by VLAN and address. While others learn, it is not a picture of one moment.
    pub fn entries(&self, now: Tick) -> Vec<Entry> {
        let mut entries: Vec<_> =
            (0..self.buckets.len()).flat_map(slots_of).filter_map(|slot| self.read(slot, now)).collect();
        entries.sort_unstable_by_key(|entry| (entry.vlan, entry.mac));
        entries.dedup_by_key(|entry| (entry.vlan, entry.mac));
        entries
    }

    /// Forgets all addresses behind a port, static ones too, and says how many. An executor that still has tables with the port may
    /// learn anew: call it when none has any more.
    pub fn remove_port(&self, port: PortId) -> usize {
        self.remove_ports(|of| of == port)
    }

    /// As [`Self::remove_port`], for all ports that are chosen.
    pub fn remove_ports(&self, chosen: impl Fn(PortId) -> bool) -> usize {
        self.remove_if(0..self.buckets.len(), |value| chosen(value.port()))
    }

    /// Forgets everything that was learned and says how many entries that were.
    pub fn flush(&self) -> usize {
        self.remove_if(0..self.buckets.len(), |value| !value.is_static())
    }

    #[inline]
    fn place(&self, vlan: u16, mac: MacAddr) -> Place {
        self.hasher.place(Key::new(vlan, mac))
    }

    #[inline]
    fn is_expired(&self, value: Value, now: Tick) -> bool {
        value.seen().age(now) > self.ageing.load(Relaxed) && !value.is_static()
    }

    /// The slot that holds the key, and its value.
    #[inline]
    fn find(&self, place: &Place) -> Option<(Slot, Value)> {
        for bucket in place.buckets {
            let line = &self.buckets[bucket];
            for way in 0..WAYS {
                // Acquire on the key: a value loaded later is not older than the one its writer claimed.
                if line.keys[way].load(Acquire) == place.key.0 {
                    let value = Value(line.values[way].load(Acquire));
                    if value.belongs_to(place.digest) {
                        return Some((Slot { bucket, way }, value));
                    }
                }
            }
        }
        None
    }

    #[inline]
    fn key(&self, slot: Slot) -> &AtomicU64 {
        &self.buckets[slot.bucket].keys[slot.way]
    }

    #[inline]
    fn value(&self, slot: Slot) -> Value {
        Value(self.buckets[slot.bucket].values[slot.way].load(Acquire))
    }

    /// Changes a slot's value if it still is `old`.
    #[inline]
    fn swap(&self, slot: Slot, old: Value, new: Value) -> bool {
        let value = &self.buckets[slot.bucket].values[slot.way];
        value.compare_exchange(old.0, new.0, Release, Relaxed).is_ok()
    }

    /// The entry in a slot, if key and value belong together.
    fn read(&self, slot: Slot, now: Tick) -> Option<Entry> {
        let key = Key(self.key(slot).load(Acquire));
        let value = self.value(slot);
        if !value.belongs_to(self.hasher.place(key).digest) {
            return None;
        }
        self.show(key, value, now)
    }

    fn show(&self, key: Key, value: Value, now: Tick) -> Option<Entry> {
        let entry = Entry {
            vlan: key.vlan(),
            mac: key.mac(),
            port: value.port(),
            age: if value.is_static() { 0 } else { value.seen().age(now) },
            is_static: value.is_static(),
            is_locked: value.is_locked(now),
        };
        (!self.is_expired(value, now)).then_some(entry)
    }

    fn remove_if(&self, buckets: core::ops::Range<usize>, doomed: impl Fn(Value) -> bool) -> usize {
        buckets.flat_map(slots_of).filter(|slot| self.remove_slot_if(*slot, &doomed)).count()
    }

    /// Frees the slot if its value is valid and doomed, even if it is being refreshed at the same time.
    fn remove_slot_if(&self, slot: Slot, doomed: impl Fn(Value) -> bool) -> bool {
        loop {
            let value = self.value(slot);
            if !value.is_valid() || !doomed(value) {
                return false;
            }
            if self.swap(slot, value, Value::FREE) {
                self.account.uncount(value);
                self.account.release();
                return true;
            }
        }
    }
}

impl core::fmt::Debug for Fdb {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Fdb").field("ageing", &self.ageing).field("stats", &self.stats()).finish()
    }
}

#[cfg(test)]
mod tests;
