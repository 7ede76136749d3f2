//! VLANs of a port as the operator writes them: `tag=10`, `trunks=10,20,30-40`.

use std::fmt;
use std::str::FromStr;

use forwarding::vlan::{MAX_VLAN, VlanPolicy, VlanSet};
use serde::{Deserialize, Serialize};

/// How a port takes part in the VLANs: Open vSwitch's `vlan_mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum VlanMode {
    /// One VLAN, untagged.
    Access,
    /// Several VLANs, tagged.
    Trunk,
    /// A trunk, whose untagged frames belong to a VLAN that is sent tagged.
    NativeTagged,
    /// A trunk, whose untagged frames belong to a VLAN that is sent untagged.
    NativeUntagged,
    /// A service VLAN (802.1ad) around the customer's tags.
    Dot1qTunnel,
}

impl VlanMode {
    /// All of them, sorted by name.
    pub const ALL: [Self; 5] =
        [Self::Access, Self::Dot1qTunnel, Self::NativeTagged, Self::NativeUntagged, Self::Trunk];

    /// Open vSwitch's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Access => "access",
            Self::Trunk => "trunk",
            Self::NativeTagged => "native-tagged",
            Self::NativeUntagged => "native-untagged",
            Self::Dot1qTunnel => "dot1q-tunnel",
        }
    }
}

/// A port's place in the VLANs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Vlan {
    /// A trunk for every VLAN.
    #[default]
    All,
    /// An access port of this VLAN, 1..=4094.
    Tag(u16),
    /// A trunk for these VLANs.
    Trunks(VlanList),
    /// A trunk; untagged frames belong to `native` (1..=4094), which is sent tagged.
    NativeTagged {
        /// The VLAN of untagged frames.
        native: u16,
        /// The other VLANs; every one if `None`.
        trunks: Option<VlanList>,
    },
    /// A trunk; untagged frames belong to `native` (1..=4094), which is sent untagged.
    NativeUntagged {
        /// The VLAN of untagged frames.
        native: u16,
        /// The other VLANs; every one if `None`.
        trunks: Option<VlanList>,
    },
    /// Frames are in the service VLAN `vlan` (1..=4094), the customer's tags are part of them.
    Tunnel {
        /// The service VLAN.
        vlan: u16,
        /// The customer VLANs that are let in; every one if `None`.
        cvlans: Option<VlanList>,
    },
}

/// A port's VLAN columns one by one, as operators set them. Not every combination makes sense.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VlanParts {
    /// `vlan_mode`; `None`: access with a tag, else trunk.
    pub mode: Option<VlanMode>,
    /// `tag`.
    pub tag: Option<u16>,
    /// `trunks`.
    pub trunks: Option<VlanList>,
    /// `cvlans`.
    pub cvlans: Option<VlanList>,
}

impl TryFrom<VlanParts> for Vlan {
    type Error = VlanError;

    fn try_from(parts: VlanParts) -> Result<Self, VlanError> {
        let VlanParts { mode, tag, trunks, cvlans } = parts;
        let implied = if tag.is_some() { VlanMode::Access } else { VlanMode::Trunk };
        let kind = mode.unwrap_or(implied);
        if cvlans.is_some() && kind != VlanMode::Dot1qTunnel {
            return Err(VlanError::NotTunnel);
        }
        match (kind, tag, trunks) {
            (VlanMode::Trunk, None, None) => Ok(Self::All),
            (VlanMode::Trunk, None, Some(trunks)) => Ok(Self::Trunks(trunks)),
            (VlanMode::Trunk, Some(_), _) => Err(VlanError::TagInTrunk),
            (VlanMode::Access, Some(_), Some(_)) if mode.is_none() => Err(VlanError::TagAndTrunks),
            (VlanMode::Access | VlanMode::Dot1qTunnel, _, Some(_)) => Err(VlanError::TrunksIn(kind.name())),
            (_, None, _) => Err(VlanError::NoTag(kind.name())),
            (VlanMode::Access, Some(tag), None) => Ok(Self::Tag(tag)),
            (VlanMode::Dot1qTunnel, Some(vlan), None) => Ok(Self::Tunnel { vlan, cvlans }),
            (VlanMode::NativeTagged, Some(native), trunks) => Ok(Self::NativeTagged { native, trunks }),
            (VlanMode::NativeUntagged, Some(native), trunks) => Ok(Self::NativeUntagged { native, trunks }),
        }
    }
}

impl Vlan {
    /// What the forwarding tables hold for it.
    pub fn policy(&self) -> VlanPolicy {
        let set = |list: &Option<VlanList>| list.as_ref().map(|list| list.0.clone());
        match self {
            Self::All => VlanPolicy::Trunk(None),
            Self::Tag(vlan) => VlanPolicy::Access(*vlan),
            Self::Trunks(list) => VlanPolicy::Trunk(Some(list.0.clone())),
            Self::NativeTagged { native, trunks } => {
                VlanPolicy::NativeTagged { native: *native, trunks: set(trunks) }
            }
            Self::NativeUntagged { native, trunks } => {
                VlanPolicy::NativeUntagged { native: *native, trunks: set(trunks) }
            }
            Self::Tunnel { vlan, cvlans } => VlanPolicy::Dot1qTunnel { vlan: *vlan, cvlans: set(cvlans) },
        }
    }

    /// The mode, also if it is implied.
    pub fn mode(&self) -> VlanMode {
        match self {
            Self::All | Self::Trunks(_) => VlanMode::Trunk,
            Self::Tag(_) => VlanMode::Access,
            Self::NativeTagged { .. } => VlanMode::NativeTagged,
            Self::NativeUntagged { .. } => VlanMode::NativeUntagged,
            Self::Tunnel { .. } => VlanMode::Dot1qTunnel,
        }
    }

    /// The columns; the mode only if they don't imply it.
    pub fn parts(&self) -> VlanParts {
        let mode = match self {
            Self::All | Self::Trunks(_) | Self::Tag(_) => None,
            _ => Some(self.mode()),
        };
        let cvlans = if let Self::Tunnel { cvlans, .. } = self { cvlans.clone() } else { None };
        VlanParts { mode, tag: self.tag(), trunks: self.trunks().cloned(), cvlans }
    }

    /// The VLAN of an access port or a tunnel, or the native VLAN.
    pub fn tag(&self) -> Option<u16> {
        match self {
            Self::All | Self::Trunks(_) => None,
            Self::Tag(vlan) | Self::Tunnel { vlan, .. } => Some(*vlan),
            Self::NativeTagged { native, .. } | Self::NativeUntagged { native, .. } => Some(*native),
        }
    }

    /// The VLANs of a trunk that doesn't carry all.
    pub fn trunks(&self) -> Option<&VlanList> {
        match self {
            Self::Trunks(list) => Some(list),
            Self::NativeTagged { trunks, .. } | Self::NativeUntagged { trunks, .. } => trunks.as_ref(),
            Self::All | Self::Tag(_) | Self::Tunnel { .. } => None,
        }
    }

    /// An access port's VLAN: a number 1..=4094.
    ///
    /// # Errors
    /// The text is not such a number.
    pub fn parse_tag(text: &str) -> Result<u16, VlanError> {
        parse_vlan(text, 1)
    }

    /// A VLAN of the FDB: a number 0..=4094, 0 for untagged frames.
    ///
    /// # Errors
    /// The text is not such a number.
    pub fn parse_fdb_vlan(text: &str) -> Result<u16, VlanError> {
        parse_vlan(text, 0)
    }
}

/// A set of VLANs 0..=4094 that is not empty; 0 stands for untagged frames. Its text is sorted ranges: `10,20,30-40`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VlanList(VlanSet);

impl VlanList {
    /// The set of these VLANs; `None` if there are none. VLANs above 4094 are left out.
    pub fn new(vlans: impl IntoIterator<Item = u16>) -> Option<Self> {
        let mut set = VlanSet::empty();
        vlans.into_iter().filter(|vlan| *vlan <= MAX_VLAN).for_each(|vlan| set.insert(vlan));
        let some = set.iter().next().is_some();
        some.then_some(Self(set))
    }

    /// The VLANs in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.0.iter()
    }
}

/// Why a text names no VLAN.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VlanError {
    /// Not a number in the range.
    #[error("\"{text}\" is not a VLAN ID; use a number from {lowest} to {MAX_VLAN}")]
    NotAnId {
        /// What was found.
        text: String,
        /// Lowest number allowed here.
        lowest: u16,
    },
    /// A range that ends before it begins.
    #[error("the VLAN range \"{0}\" ends before it begins")]
    Backwards(String),
    /// Neither an access port nor a trunk.
    #[error(
        "tag and trunks together need vlan_mode=native-tagged or vlan_mode=native-untagged; for an access port add \
         \"trunks=[]\", for a trunk \"tag=[]\""
    )]
    TagAndTrunks,
    /// A trunk with a tag.
    #[error("vlan_mode=trunk goes without a tag; add \"tag=[]\", or use native-tagged or native-untagged")]
    TagInTrunk,
    /// Trunks where there is only one VLAN.
    #[error("vlan_mode={0} goes without trunks; add \"trunks=[]\"")]
    TrunksIn(&'static str),
    /// No VLAN where one is needed.
    #[error("vlan_mode={0} needs a VLAN; add \"tag=VLAN\", or clear the mode (vlan_mode=[])")]
    NoTag(&'static str),
    /// Customer VLANs without a tunnel.
    #[error("cvlans are for vlan_mode=dot1q-tunnel only; add \"cvlans=[]\"")]
    NotTunnel,
}

fn parse_vlan(text: &str, lowest: u16) -> Result<u16, VlanError> {
    let text = text.trim();
    let number = if text.bytes().all(|b| b.is_ascii_digit()) { text.parse().ok() } else { None };
    number
        .filter(|vlan| (lowest..=MAX_VLAN).contains(vlan))
        .ok_or_else(|| VlanError::NotAnId { text: text.to_owned(), lowest })
}

impl FromStr for VlanList {
    type Err = VlanError;

    fn from_str(text: &str) -> Result<Self, VlanError> {
        let mut set = VlanSet::empty();
        for item in text.split(',') {
            let (first, last) = item.split_once('-').unwrap_or((item, item));
            let (first, last) = (parse_vlan(first, 0)?, parse_vlan(last, 0)?);
            if last < first {
                return Err(VlanError::Backwards(item.trim().to_owned()));
            }
            (first..=last).for_each(|vlan| set.insert(vlan));
        }
        Ok(Self(set))
    }
}

impl fmt::Display for VlanList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut vlans = self.iter().peekable();
        let mut separator = "";
        while let Some(first) = vlans.next() {
            let mut last = first;
            while let Some(next) = vlans.next_if(|next| *next == last + 1) {
                last = next;
            }
            write!(f, "{separator}{first}")?;
            if last != first {
                write!(f, "-{last}")?;
            }
            separator = ",";
        }
        Ok(())
    }
}

impl TryFrom<String> for VlanList {
    type Error = VlanError;

    fn try_from(text: String) -> Result<Self, VlanError> {
        text.parse()
    }
}

impl From<VlanList> for String {
    fn from(list: VlanList) -> Self {
        list.to_string()
    }
}
