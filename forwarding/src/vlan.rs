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

    /// The bitmap: VLAN `v` is bit `v % 64` of word `v / 64`.
    pub fn words(&self) -> &[u64; 64] {
        &self.0
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

/// A port's place in the VLANs: OVS's `vlan_mode` with `tag`, `trunks` and `cvlans` (ovs-vswitchd.conf.db(5)). A priority
/// tag (VLAN ID 0) counts as no tag everywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VlanPolicy {
    /// `access`: its frames are untagged outside and in this VLAN inside. A frame that arrives with a VLAN ID is
    /// refused, whatever the ID; a priority tag is taken off.
    Access(u16),
    /// `trunk`: frames keep their tag, untagged ones are in VLAN 0. `None` carries every VLAN; `Some(set)` just those
    /// (VLAN 0 only if it is named).
    Trunk(Option<VlanSet>),
    /// `native-tagged`: a trunk, but untagged frames that arrive are in the native VLAN. It leaves with its tag.
    NativeTagged {
        /// The native VLAN; carried even if `trunks` doesn't name it.
        native: u16,
        /// As in [`Self::Trunk`].
        trunks: Option<VlanSet>,
    },
    /// `native-untagged`: as `native-tagged`, but the native VLAN leaves without its tag.
    NativeUntagged {
        /// The native VLAN; carried even if `trunks` doesn't name it.
        native: u16,
        /// As in [`Self::Trunk`].
        trunks: Option<VlanSet>,
    },
    /// `dot1q-tunnel`: everything is in one service VLAN, whose tag (802.1ad) is not seen outside; a tag that frames bring
    /// along is the customer's and stays theirs.
    Dot1qTunnel {
        /// The service VLAN.
        vlan: u16,
        /// The customer VLANs that pass, in both directions; untagged frames are customer VLAN 0. `None`: all.
        cvlans: Option<VlanSet>,
    },
}

/// Where a received frame belongs, and what its tags become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The VLAN, 0..=4094.
    pub vlan: u16,
    /// Whose tag protocol and priority the VLAN's tag gets: the frame's own tag, or a service tag that a tunnel adds.
    pub outer: Option<VlanTag>,
    /// The customer's tag of a frame that came in through a tunnel. It was the outer one and is not in the octets.
    pub inner: Option<VlanTag>,
}

/// Whether a list of trunked VLANs, `None` being all, has a VLAN.
#[inline]
fn carries(trunks: &Option<VlanSet>, vlan: u16) -> bool {
    match trunks {
        None => vlan <= MAX_VLAN,
        Some(set) => set.contains(vlan),
    }
}

impl VlanPolicy {
    /// The place of a frame that arrived with `tag`, or `None` if the port refuses it. VLAN ID 4095 is always refused.
    #[inline]
    pub fn place(&self, tag: Option<VlanTag>) -> Option<Placed> {
        let vid = tag.map_or(0, VlanTag::vid);
        let placed = |vlan| Placed { vlan, outer: tag, inner: None };
        match self {
            Self::Access(vlan) => (vid == 0).then(|| placed(*vlan)),
            Self::Trunk(trunks) => carries(trunks, vid).then(|| placed(vid)),
            Self::NativeTagged { native, .. } | Self::NativeUntagged { native, .. } if vid == 0 => {
                Some(placed(*native))
            }
            Self::NativeTagged { native, trunks } | Self::NativeUntagged { native, trunks } => {
                (vid == *native || carries(trunks, vid)).then(|| placed(vid))
            }
            Self::Dot1qTunnel { vlan, .. } => {
                let service = VlanTag { tpid: TPID_8021AD, tci: 0 };
                let passes = vid <= MAX_VLAN && self.carries_customer(|| vid);
                passes.then_some(Placed { vlan: *vlan, outer: Some(service), inner: tag })
            }
        }
    }

    /// The VLAN of [`Self::place`].
    #[inline]
    pub fn classify(&self, tag: Option<VlanTag>) -> Option<u16> {
        self.place(tag).map(|placed| placed.vlan)
    }

    /// Whether the port is in the VLAN.
    #[inline]
    pub fn contains(&self, vlan: u16) -> bool {
        match self {
            Self::Access(own) | Self::Dot1qTunnel { vlan: own, .. } => *own == vlan,
            Self::Trunk(trunks) => carries(trunks, vlan),
            Self::NativeTagged { native, trunks } | Self::NativeUntagged { native, trunks } => {
                vlan == *native || carries(trunks, vlan)
            }
        }
    }

    /// Whether a frame with this customer VLAN (that of the tag within the service tag; 0: none) may pass. Asked of
    /// tunnels with a list only; others take any.
    #[inline]
    pub fn carries_customer(&self, vid: impl FnOnce() -> u16) -> bool {
        match self {
            Self::Dot1qTunnel { cvlans: Some(set), .. } => set.contains(vid()),
            _ => true,
        }
    }

    /// Whether frames of the VLAN leave without its tag.
    #[inline]
    fn strips(&self, vlan: u16) -> bool {
        match self {
            Self::Access(_) | Self::Dot1qTunnel { .. } => true,
            Self::NativeUntagged { native, .. } => *native == vlan,
            Self::Trunk(_) | Self::NativeTagged { .. } => false,
        }
    }

    /// The tag of the VLAN with which a frame leaves, given the tag it came with, whose TPID and priority are kept.
    /// `None` where the port takes it off, and for VLAN 0.
    #[inline]
    pub fn egress_tag(&self, vlan: u16, arrived: Option<VlanTag>) -> Option<VlanTag> {
        if vlan == 0 || self.strips(vlan) {
            return None;
        }
        Some(match arrived {
            Some(tag) => VlanTag { tpid: tag.tpid, tci: tag.tci & 0xf000 | vlan },
            None => VlanTag { tpid: TPID_8021Q, tci: vlan },
        })
    }

    /// The tags with which a frame leaves: the outermost, and one within it that has to be put into the octets. Where
    /// the service tag is taken off, the customer's is the outermost.
    #[inline]
    pub fn egress_tags(&self, placed: Placed) -> (Option<VlanTag>, Option<VlanTag>) {
        let tag = self.egress_tag(placed.vlan, placed.outer);
        match (tag, placed.inner) {
            (tag, None) => (tag, None),
            (None, customer) if self.strips(placed.vlan) => (customer, None),
            // Service VLAN 0 has no tag; a priority tag keeps the customer's from being taken for ours.
            (None, customer) => (placed.outer, customer),
            (tag, customer) => (tag, customer),
        }
    }

    /// Carries every VLAN, so that it need not be named for each.
    pub fn carries_every_vlan(&self) -> bool {
        matches!(
            self,
            Self::Trunk(None)
                | Self::NativeTagged { trunks: None, .. }
                | Self::NativeUntagged { trunks: None, .. }
        )
    }

    /// The VLANs that this policy names; none if it carries every one.
    pub fn named_vlans(&self) -> Vec<u16> {
        match self {
            Self::Access(vlan) | Self::Dot1qTunnel { vlan, .. } => vec![*vlan],
            Self::Trunk(Some(set)) => set.iter().collect(),
            Self::NativeTagged { native, trunks: Some(set) }
            | Self::NativeUntagged { native, trunks: Some(set) } => {
                let mut set = set.clone();
                set.insert(*native);
                set.iter().collect()
            }
            Self::Trunk(None) | Self::NativeTagged { .. } | Self::NativeUntagged { .. } => Vec::new(),
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

    const C_TAG: Option<VlanTag> = Some(VlanTag { tpid: TPID_8021Q, tci: 0x600c });

    fn set(vlans: &[u16]) -> Option<VlanSet> {
        Some(vlans.iter().copied().collect())
    }

    #[test]
    fn native_ports_put_untagged_frames_into_the_native_vlan() {
        for trunks in [None, set(&[5]), set(&[])] {
            let all = trunks.is_none();
            let tagging = VlanPolicy::NativeTagged { native: 10, trunks: trunks.clone() };
            let untagging = VlanPolicy::NativeUntagged { native: 10, trunks: trunks.clone() };
            for port in [&tagging, &untagging] {
                assert_eq!([None, tag(0xa000), tag(10)].map(|t| port.classify(t)), [Some(10); 3]);
                assert_eq!(port.classify(tag(6)), all.then_some(6));
                assert_eq!(port.classify(tag(4095)), None);
                assert!(port.contains(10) && port.contains(0) == all);
                assert_eq!(port.carries_every_vlan(), all);
            }
            assert_eq!(tagging.egress_tag(10, None), Some(VlanTag { tpid: TPID_8021Q, tci: 10 }));
            assert_eq!(tagging.egress_tag(10, tag(0xa000)), tag(0xa00a), "the priority is kept");
            assert_eq!(untagging.egress_tag(10, tag(0xa00a)), None);
            assert_eq!(untagging.egress_tag(5, tag(0xa005)), tag(0xa005));
        }
        let port = VlanPolicy::NativeTagged { native: 10, trunks: set(&[5, 20]) };
        assert_eq!(port.named_vlans(), [5, 10, 20]);
        assert_eq!(VlanPolicy::NativeUntagged { native: 1, trunks: None }.named_vlans(), []);
    }

    #[test]
    fn a_tunnel_takes_customers_tags_as_they_are() {
        let port = VlanPolicy::Dot1qTunnel { vlan: 100, cvlans: None };
        let service = Some(VlanTag { tpid: TPID_8021AD, tci: 0 });
        for inner in [None, C_TAG, tag(0xa000), tag(100), tag(4094)] {
            let placed = port.place(inner).unwrap();
            assert_eq!(placed, Placed { vlan: 100, outer: service, inner });
            assert_eq!(port.egress_tags(placed), (inner, None));
            let with_service = Some(VlanTag { tpid: TPID_8021AD, tci: 100 });
            assert_eq!(VlanPolicy::Trunk(None).egress_tags(placed), (with_service, inner));
            assert_eq!(VlanPolicy::Access(100).egress_tags(placed), (inner, None));
        }
        assert_eq!(port.place(tag(4095)), None);
        assert!(port.contains(100) && !port.contains(12) && port.named_vlans() == [100]);
    }

    #[test]
    fn a_tunnel_may_name_its_customer_vlans() {
        let port = VlanPolicy::Dot1qTunnel { vlan: 100, cvlans: set(&[12, 13]) };
        assert_eq!([C_TAG, tag(14), None, tag(0)].map(|t| port.classify(t)), [Some(100), None, None, None]);
        let untagged_too = VlanPolicy::Dot1qTunnel { vlan: 100, cvlans: set(&[0]) };
        assert_eq!([None, tag(0), C_TAG].map(|t| untagged_too.classify(t)), [Some(100), Some(100), None]);
        assert!(port.carries_customer(|| 13) && !port.carries_customer(|| 100));
        assert!(VlanPolicy::Access(1).carries_customer(|| unreachable!("nobody asks")));
    }

    #[test]
    fn service_vlan_0_is_not_mistaken_for_the_customers() {
        let placed = VlanPolicy::Dot1qTunnel { vlan: 0, cvlans: None }.place(C_TAG).unwrap();
        assert_eq!(VlanPolicy::Trunk(None).egress_tags(placed), (tag(0), C_TAG));
        let native = VlanPolicy::NativeUntagged { native: 0, trunks: None };
        assert_eq!(native.egress_tags(placed), (C_TAG, None));
        let untagged = Placed { inner: None, ..placed };
        assert_eq!(VlanPolicy::Trunk(None).egress_tags(untagged), (None, None));
    }
}
