//! The two words of a table slot.
//!
//! The key is the whole identity: address and VLAN. The value says where and when, and carries a digest of the key it
//! belongs to, so that a reader who catches a slot between two owners notices: it would take one chance in 2^20 on top
//! of the race to send one frame to a wrong port.

use super::{LOCK_TICKS, Tick};
use crate::ids::PortId;
use crate::mac::MacAddr;

const VALID: u64 = 1 << 63;
/// Not valid, but taken: a writer is about to fill the slot.
const CLAIMED: u64 = 1 << 62;
/// Put there by the operator: neither ages nor moves.
const STATIC: u64 = 1 << 61;
/// No announcement from a bond moves it for a while.
const LOCKED: u64 = 1 << 60;
const LOCK_SHIFT: u32 = 52;
const LOCK_MASK: u64 = LOCKED | 0xff << LOCK_SHIFT;
const TAG_SHIFT: u32 = 32;
const TAG_MASK: u64 = 0xf_ffff << TAG_SHIFT;

/// Address (upper 48 bits) and VLAN (lower 12 bits).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key(pub(super) u64);

impl Key {
    pub(super) fn new(vlan: u16, mac: MacAddr) -> Self {
        Self(mac.to_u64() << 16 | u64::from(vlan))
    }

    pub(super) fn vlan(self) -> u16 {
        self.0 as u16
    }

    pub(super) fn mac(self) -> MacAddr {
        MacAddr::from_u64(self.0 >> 16)
    }
}

/// From the top: valid, claimed, static, locked, 8 bits (the lower half) of the tick of the lock, 20 bits digest of the
/// key, 16 bits tick of the last refresh, 16 bits port. All zero is a free slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value(pub(super) u64);

impl Value {
    pub(super) const FREE: Self = Self(0);
    pub(super) const CLAIMED: Self = Self(CLAIMED);

    /// A learned entry. `digest` may be any hash of the key; 20 bits of it are kept.
    pub(super) fn new(digest: u64, port: PortId, seen: Tick) -> Self {
        Self(VALID | digest << TAG_SHIFT & TAG_MASK | u64::from(seen.0) << 16 | u64::from(port.0))
    }

    /// A static entry.
    pub(super) fn fixed(digest: u64, port: PortId) -> Self {
        Self(Self::new(digest, port, Tick(0)).0 | STATIC)
    }

    /// The same, locked from `now` on.
    pub(super) fn locked(self, now: Tick) -> Self {
        Self(self.0 & !LOCK_MASK | LOCKED | u64::from(now.0 as u8) << LOCK_SHIFT)
    }

    /// The same with the lock of another, or without if that is over.
    pub(super) fn with_lock_of(self, other: Self, now: Tick) -> Self {
        if other.is_locked(now) { Self(self.0 & !LOCK_MASK | other.0 & LOCK_MASK) } else { self.unlocked() }
    }

    /// The same without a lock.
    pub(super) fn unlocked(self) -> Self {
        Self(self.0 & !LOCK_MASK)
    }

    pub(super) fn is_static(self) -> bool {
        self.0 & STATIC != 0
    }

    /// A lock is kept, be it over or not.
    pub(super) fn has_lock(self) -> bool {
        self.0 & LOCKED != 0
    }

    /// Locked at most [`LOCK_TICKS`] ago, or by a thread whose clock is one or two ticks ahead. Right for locks of the
    /// last 250 ticks; older ones have been taken off by then.
    pub(super) fn is_locked(self, now: Tick) -> bool {
        let since = (now.0 as u8).wrapping_sub((self.0 >> LOCK_SHIFT) as u8);
        self.has_lock() && (since <= LOCK_TICKS || since >= 254)
    }

    pub(super) fn is_free(self) -> bool {
        self == Self::FREE
    }

    pub(super) fn is_valid(self) -> bool {
        self.0 & VALID != 0
    }

    /// Valid, and written for the key with this digest.
    pub(super) fn belongs_to(self, digest: u64) -> bool {
        self.0 & (VALID | TAG_MASK) == VALID | digest << TAG_SHIFT & TAG_MASK
    }

    pub(super) fn port(self) -> PortId {
        PortId(self.0 as u16)
    }

    pub(super) fn seen(self) -> Tick {
        Tick((self.0 >> 16) as u16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_round_trip() {
        let mac = MacAddr([0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54]);
        let key = Key::new(4094, mac);
        assert_eq!((key.vlan(), key.mac()), (4094, mac));
    }

    #[test]
    fn value_round_trip() {
        let value = Value::new(u64::MAX, PortId(u16::MAX), Tick(u16::MAX));
        assert_eq!((value.port(), value.seen()), (PortId(u16::MAX), Tick(u16::MAX)));
        assert!(value.is_valid() && value.belongs_to(0xf_ffff) && !value.belongs_to(0xf_fffe));
        assert!(!value.is_static() && !value.has_lock());
        assert!(Value::new(7, PortId(0), Tick(0)).belongs_to(7));
    }

    #[test]
    fn statics_and_locks_leave_the_rest_alone() {
        let fixed = Value::fixed(5, PortId(7));
        assert!(fixed.is_static() && fixed.is_valid() && fixed.belongs_to(5) && fixed.port() == PortId(7));
        for tick in [0, 3, 255, 256, u16::MAX] {
            let (value, tick) = (Value::new(5, PortId(7), Tick(9)), Tick(tick));
            let locked = value.locked(tick);
            assert_eq!((locked.port(), locked.seen()), (PortId(7), Tick(9)));
            assert!(locked.belongs_to(5) && !locked.is_static());
            let after = |ticks: u16| Tick(tick.0.wrapping_add(ticks));
            let held = [u16::MAX, 0, 5, 6, 250].map(|ticks| locked.is_locked(after(ticks)));
            assert_eq!(held, [true, true, true, false, false]);
            assert_eq!(value.with_lock_of(locked, after(5)), locked);
            assert_eq!(value.with_lock_of(locked, after(6)), value);
            assert_eq!(locked.unlocked(), value);
        }
    }

    #[test]
    fn free_and_claimed_belong_to_nobody() {
        for value in [Value::FREE, Value::CLAIMED] {
            assert!(!value.is_valid() && !value.belongs_to(0));
        }
        assert!(Value::FREE.is_free() && !Value::CLAIMED.is_free());
    }
}
