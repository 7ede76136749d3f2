//! The two words of a table slot.
//!
//! The key is the whole identity: address and VLAN. The value says where and when, and carries a digest of the key it
//! belongs to, so that a reader who catches a slot between two owners notices: it would take one chance in 2^24 on top
//! of the race to send one frame to a wrong port.

use super::Tick;
use crate::ids::PortId;
use crate::mac::MacAddr;

const VALID: u64 = 1 << 63;
/// Not valid, but taken: a writer is about to fill the slot.
const CLAIMED: u64 = 1 << 62;
const TAG_SHIFT: u32 = 32;
const TAG_MASK: u64 = 0xff_ffff << TAG_SHIFT;

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

/// From the top: valid, claimed, 6 spare bits, 24 bits digest of the key, 16 bits tick of the last refresh, 16 bits
/// port. All zero is a free slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Value(pub(super) u64);

impl Value {
    pub(super) const FREE: Self = Self(0);
    pub(super) const CLAIMED: Self = Self(CLAIMED);

    /// `digest` may be any hash of the key; 24 bits of it are kept.
    pub(super) fn new(digest: u64, port: PortId, seen: Tick) -> Self {
        Self(VALID | digest << TAG_SHIFT & TAG_MASK | u64::from(seen.0) << 16 | u64::from(port.0))
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
        assert!(value.is_valid() && value.belongs_to(0xff_ffff) && !value.belongs_to(0xff_fffe));
        assert!(Value::new(7, PortId(0), Tick(0)).belongs_to(7));
    }

    #[test]
    fn free_and_claimed_belong_to_nobody() {
        for value in [Value::FREE, Value::CLAIMED] {
            assert!(!value.is_valid() && !value.belongs_to(0));
        }
        assert!(Value::FREE.is_free() && !Value::CLAIMED.is_free());
    }
}
