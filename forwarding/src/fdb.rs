//! The bounded MAC learning table of one bridge.

use core::time::Duration;

use crate::ids::PortId;
use crate::mac::MacAddr;

/// Whole seconds since the daemon's start, modulo 65536: the resolution of ageing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tick(pub u16);

impl Tick {
    /// The tick of a point in time.
    pub fn at(now: Duration) -> Self {
        Self(now.as_secs() as u16)
    }
}

/// A MAC seen on its local port at most this many ticks ago that arrives on a bond is a reflection.
pub const REFLECTION_TICKS: u16 = 2;

/// STUB
#[derive(Debug)]
pub struct Fdb;

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

/// One entry, as shown to people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// VLAN 0..=4094, 0 = untagged.
    pub vlan: u16,
    /// The address.
    pub mac: MacAddr,
    /// Where it is.
    pub port: PortId,
    /// Seconds since it was last seen as a source.
    pub age: u16,
}
