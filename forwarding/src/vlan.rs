//! Which VLAN a frame belongs to on a port, and with which tag it leaves (OVS's `tag`, `trunks`, `vlan_mode`).

/// Ethertype of a customer tag (802.1Q).
pub const TPID_8021Q: u16 = 0x8100;
/// Ethertype of a service tag (802.1ad).
pub const TPID_8021AD: u16 = 0x88a8;
/// Highest usable VLAN ID; 4095 is reserved (IEEE 802.1Q-2018 table 9-2).
pub const MAX_VLAN: u16 = 4094;

/// A frame's outermost VLAN tag, carried beside the frame and never in its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VlanTag {
    /// Tag protocol: [`TPID_8021Q`] or [`TPID_8021AD`].
    pub tpid: u16,
    /// Tag control information: PCP (3 bits), DEI (1 bit), VLAN ID (12 bits).
    pub tci: u16,
}

impl VlanTag {
    /// The VLAN ID, 0 for a priority tag.
    #[inline]
    pub const fn vid(self) -> u16 {
        self.tci & 0x0fff
    }
}

/// A set of VLAN IDs 0..=4094, as a bitmap.
#[derive(Clone, PartialEq, Eq)]
pub struct VlanSet(Box<[u64; 64]>);

impl VlanSet {
    /// No VLAN.
    pub fn empty() -> Self {
        Self(Box::new([0; 64]))
    }

    /// Adds a VLAN ID; values above [`MAX_VLAN`] are ignored.
    pub fn insert(&mut self, vlan: u16) {
        if vlan <= MAX_VLAN {
            self.0[usize::from(vlan >> 6)] |= 1 << (vlan & 63);
        }
    }

    /// Whether the VLAN ID is in the set.
    #[inline]
    pub fn contains(&self, vlan: u16) -> bool {
        vlan <= MAX_VLAN && self.0[usize::from(vlan >> 6)] >> (vlan & 63) & 1 == 1
    }

    /// The members in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        (0..=MAX_VLAN).filter(|vlan| self.contains(*vlan))
    }
}

impl FromIterator<u16> for VlanSet {
    fn from_iter<I: IntoIterator<Item = u16>>(vlans: I) -> Self {
        let mut set = Self::empty();
        vlans.into_iter().for_each(|vlan| set.insert(vlan));
        set
    }
}

impl core::fmt::Debug for VlanSet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A port's place in the VLANs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VlanPolicy {
    /// An access port (`tag=N`): its frames are untagged outside and in VLAN `N` inside. A frame that arrives with a
    /// VLAN ID is refused, whatever the ID; a priority tag is taken off.
    Access(u16),
    /// A trunk: frames keep their tag, untagged (and priority-tagged) ones are in VLAN 0. `None` carries every VLAN;
    /// `Some(set)` just those (`trunks=`; VLAN 0 only if it is named).
    Trunk(Option<VlanSet>),
}

impl VlanPolicy {
    /// The VLAN (0..=4094) that a frame which arrived with `tag` belongs to, or `None` if the port refuses it.
    #[inline]
    pub fn classify(&self, tag: Option<VlanTag>) -> Option<u16> {
        let vid = tag.map_or(0, VlanTag::vid);
        match self {
            Self::Access(vlan) => (vid == 0).then_some(*vlan),
            Self::Trunk(_) => self.contains(vid).then_some(vid),
        }
    }

    /// Whether the port is in the VLAN.
    #[inline]
    pub fn contains(&self, vlan: u16) -> bool {
        match self {
            Self::Access(own) => *own == vlan,
            Self::Trunk(None) => vlan <= MAX_VLAN,
            Self::Trunk(Some(set)) => set.contains(vlan),
        }
    }

    /// The tag with which a frame of `vlan` leaves, given the tag it came with (whose TPID and priority are kept).
    /// Access ports send untagged; a trunk sends VLAN 0 untagged.
    #[inline]
    pub fn egress_tag(&self, vlan: u16, arrived: Option<VlanTag>) -> Option<VlanTag> {
        match self {
            Self::Access(_) => None,
            Self::Trunk(_) if vlan == 0 => None,
            Self::Trunk(_) => Some(match arrived {
                Some(tag) => VlanTag { tpid: tag.tpid, tci: tag.tci & 0xf000 | vlan },
                None => VlanTag { tpid: TPID_8021Q, tci: vlan },
            }),
        }
    }

    /// Carries every VLAN, so that it need not be named for each.
    pub fn carries_every_vlan(&self) -> bool {
        matches!(self, Self::Trunk(None))
    }

    /// The VLANs that this policy names.
    pub fn named_vlans(&self) -> Vec<u16> {
        match self {
            Self::Access(vlan) => vec![*vlan],
            Self::Trunk(None) => Vec::new(),
            Self::Trunk(Some(set)) => set.iter().collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(tci: u16) -> Option<VlanTag> {
        Some(VlanTag { tpid: TPID_8021AD, tci })
    }

    #[test]
    fn sets_hold_usable_vlans_only() {
        let set: VlanSet = [0, 63, 64, 4094, 4095, u16::MAX].into_iter().collect();
        assert_eq!(set.iter().collect::<Vec<_>>(), [0, 63, 64, 4094]);
        assert!(!set.contains(4095) && !set.contains(u16::MAX) && !set.contains(1));
    }

    #[test]
    fn access_ports_take_untagged_and_priority_tagged_frames() {
        let port = VlanPolicy::Access(10);
        assert_eq!(port.classify(None), Some(10));
        assert_eq!(port.classify(tag(0xa000)), Some(10));
        assert_eq!(port.classify(tag(10)), None);
        assert_eq!(port.egress_tag(10, tag(0xa00a)), None);
    }

    #[test]
    fn trunks_take_their_vlans() {
        let every = VlanPolicy::Trunk(None);
        assert_eq!([None, tag(0xa000), tag(4094)].map(|t| every.classify(t)), [Some(0), Some(0), Some(4094)]);
        assert_eq!(every.classify(tag(4095)), None, "reserved");
        let some = VlanPolicy::Trunk(Some([5, 7].into_iter().collect()));
        assert_eq!([tag(5), tag(6), None].map(|t| some.classify(t)), [Some(5), None, None]);
        assert_eq!((every.named_vlans(), some.named_vlans()), (vec![], vec![5, 7]));
    }

    #[test]
    fn trunks_tag_and_keep_protocol_and_priority() {
        let port = VlanPolicy::Trunk(None);
        assert_eq!(port.egress_tag(0, tag(0xa000)), None);
        assert_eq!(port.egress_tag(9, None), Some(VlanTag { tpid: TPID_8021Q, tci: 9 }));
        assert_eq!(port.egress_tag(9, tag(0xb000)), tag(0xb009), "a priority tag of an access port");
    }
}
