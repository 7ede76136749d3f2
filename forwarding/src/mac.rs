//! Ethernet (EUI-48) addresses.

use core::fmt;
use core::str::FromStr;

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// An EUI-48 address, octets in transmission order.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Default,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[repr(transparent)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// ff:ff:ff:ff:ff:ff.
    pub const BROADCAST: Self = Self([0xff; 6]);
    /// 00:00:00:00:00:00, never a valid source.
    pub const ZERO: Self = Self([0; 6]);

    /// The I/G bit is set: a group address (broadcast included). IEEE 802-2014 clause 8.2.
    #[inline]
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }

    /// All ones.
    #[inline]
    pub fn is_broadcast(self) -> bool {
        self == Self::BROADCAST
    }

    /// May stand as the source of a frame and be learned: individual and not zero.
    #[inline]
    pub fn is_valid_source(self) -> bool {
        !self.is_multicast() && self != Self::ZERO
    }

    /// 01:80:c2:00:00:00 to 0f, which a bridge does not forward (IEEE 802.1Q-2018 table 8-1).
    #[inline]
    pub fn is_link_local_reserved(self) -> bool {
        self.0[..5] == [0x01, 0x80, 0xc2, 0, 0] && self.0[5] & 0xf0 == 0
    }

    /// The address of the Slow Protocols, LACP among them (IEEE 802.3-2018 annex 57A.3): one of the reserved ones.
    pub const SLOW_PROTOCOLS: Self = Self([0x01, 0x80, 0xc2, 0, 0, 0x02]);

    /// The address as a 48-bit number, first octet most significant.
    #[inline]
    pub fn to_u64(self) -> u64 {
        let b = self.0;
        u64::from_be_bytes([0, 0, b[0], b[1], b[2], b[3], b[4], b[5]])
    }

    /// The inverse of [`Self::to_u64`]; the top 16 bits are ignored.
    #[inline]
    pub fn from_u64(n: u64) -> Self {
        let b = n.to_be_bytes();
        Self([b[2], b[3], b[4], b[5], b[6], b[7]])
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl fmt::Debug for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why a text is not a MAC address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseMacError(String);

impl fmt::Display for ParseMacError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" is not a MAC address; write six octets like 02:00:00:00:00:01", self.0)
    }
}

impl std::error::Error for ParseMacError {}

impl FromStr for MacAddr {
    type Err = ParseMacError;

    /// Six octets of one or two hexadecimal digits, separated by `:` or `-`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || ParseMacError(text.to_owned());
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut octets = [0; 6];
        let mut parts = text.split(separator);
        for octet in &mut octets {
            let part = parts.next().ok_or_else(error)?;
            if part.is_empty() || part.len() > 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(error());
            }
            *octet = u8::from_str_radix(part, 16).map_err(|_| error())?;
        }
        if parts.next().is_some() { Err(error()) } else { Ok(Self(octets)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trip() {
        let mac: MacAddr = "02:00:00:00:Bb:21".parse().unwrap();
        assert_eq!(mac.to_string(), "02:00:00:00:bb:21");
        assert_eq!(MacAddr::from_u64(mac.to_u64()), mac);
        assert_eq!("2-0-0-0-bb-21".parse(), Ok(mac));
    }

    #[test]
    fn bad_text_is_refused() {
        for bad in
            ["", "02:00:00:00:bb", "02:00:00:00:bb:21:00", "02:00:00:00:bb:2g", "02:00:00:00:bb:+1", "1:::::"]
        {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
    }

    #[test]
    fn kinds() {
        let mac = |last| MacAddr([0x01, 0x80, 0xc2, 0, 0, last]);
        assert!(mac(0x00).is_link_local_reserved() && mac(0x0f).is_link_local_reserved());
        assert!(!mac(0x10).is_link_local_reserved());
        assert!(MacAddr::BROADCAST.is_multicast() && MacAddr::BROADCAST.is_broadcast());
        assert!(!MacAddr::ZERO.is_valid_source() && !mac(0).is_valid_source());
    }
}
