//! The key of a port, from its speed and duplex: ports with the same key may be aggregated.

/// What a link says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Link {
    /// Up: MAC_Operational. The bond's own delays (`updelay`, `downdelay`) are already in it.
    pub up: bool,
    /// In Mb/s, if known.
    pub speed: Option<u32>,
    /// How it can send and receive.
    pub duplex: Duplex,
}

/// Whether a link sends and receives at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Duplex {
    /// At the same time.
    Full,
    /// One after the other. LACP is not spoken on such a link (clause 6.4.7, LACP_Enabled).
    Half,
    /// The device does not say; virtual ones often don't. It is taken for full. (Linux takes it for half, and keeps a
    /// virtio NIC out of the bond.)
    #[default]
    Unknown,
}

impl Link {
    /// A link that is up.
    pub const fn up(speed: u32, duplex: Duplex) -> Self {
        Self { up: true, speed: Some(speed), duplex }
    }

    /// A link that is down.
    pub const DOWN: Self = Self { up: false, speed: None, duplex: Duplex::Unknown };

    /// LACP can be spoken on it.
    pub fn full_duplex(&self) -> bool {
        self.duplex != Duplex::Half
    }
}

/// Speeds in Mb/s and their numbers in the key, as Linux 7.2 counts them (`AD_LINK_SPEED_*`).
const SPEEDS: [(u32, u16); 19] = [
    (1, 1),
    (10, 2),
    (100, 3),
    (1000, 4),
    (2500, 5),
    (5000, 6),
    (10_000, 7),
    (14_000, 8),
    (20_000, 9),
    (25_000, 10),
    (40_000, 11),
    (50_000, 12),
    (56_000, 13),
    (80_000, 14),
    (100_000, 15),
    (200_000, 16),
    (400_000, 17),
    (800_000, 18),
    (1_600_000, 19),
];

/// The operational key as Linux composes it (`ad_update_actor_keys`): bit 0 full duplex, bits 1-5 the speed's number
/// (0 for an unlisted one), bits 6-15 `ad_user_port_key`. A link that is down has neither speed nor duplex.
pub fn key(link: &Link, ad_user_port_key: u16) -> u16 {
    let listed = SPEEDS.iter().find(|(speed, _)| link.speed == Some(*speed));
    let of_link = listed.map_or(0, |(_, number)| number << 1) | u16::from(link.full_duplex());
    ad_user_port_key << 6 | if link.up { of_link } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_composed_as_linux_does() {
        assert_eq!(key(&Link::up(10_000, Duplex::Full), 0), 15);
        assert_eq!(key(&Link::up(1000, Duplex::Full), 0), 9);
        assert_eq!(key(&Link::up(100, Duplex::Half), 0), 6);
        assert_eq!(key(&Link::up(100_000, Duplex::Full), 1), 64 | 31);
        assert_eq!(key(&Link::up(1_600_000, Duplex::Full), 1023), 0xffc0 | 39);
        assert_eq!(key(&Link::up(1234, Duplex::Full), 0), 1);
        assert_eq!(key(&Link { up: true, ..Link::default() }, 0), 1);
        assert_eq!(key(&Link::DOWN, 5), 320);
    }
}
