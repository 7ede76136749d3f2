//! VLANs of a port as the operator writes them: `tag=10`, `trunks=10,20,30-40`.

use std::fmt;
use std::str::FromStr;

use forwarding::vlan::{MAX_VLAN, VlanPolicy, VlanSet};
use serde::{Deserialize, Serialize};

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
}

impl Vlan {
    /// What the forwarding tables hold for it.
    pub fn policy(&self) -> VlanPolicy {
        match self {
            Self::All => VlanPolicy::Trunk(None),
            Self::Tag(vlan) => VlanPolicy::Access(*vlan),
            Self::Trunks(list) => VlanPolicy::Trunk(Some(list.0.clone())),
        }
    }

    /// The VLAN of an access port.
    pub fn tag(&self) -> Option<u16> {
        if let Self::Tag(vlan) = self { Some(*vlan) } else { None }
    }

    /// The VLANs of a trunk that doesn't carry all.
    pub fn trunks(&self) -> Option<&VlanList> {
        if let Self::Trunks(list) = self { Some(list) } else { None }
    }

    /// An access port's VLAN: a number 1..=4094.
    ///
    /// # Errors
    /// The text is not such a number.
    pub fn parse_tag(text: &str) -> Result<u16, VlanError> {
        parse_vlan(text, 1)
    }
}

/// A set of VLANs 0..=4094 that is not empty; 0 stands for untagged frames. Its text is sorted ranges: `10,20,30-40`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct VlanList(VlanSet);

impl VlanList {
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
