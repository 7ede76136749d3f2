//! What a port may do at most: learning and storm control.

use serde::{Deserialize, Serialize};

/// Limits of a port.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Most MAC addresses learned on the port, [`Self::LEARNED`]; `None`: as many as the bridge has room for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac_learning_limit: Option<u32>,
    /// Frames whose source was not learned on the port (or entered by hand) are dropped.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mac_learning_locked: bool,
    /// Broadcasts a second, [`Self::FRAMES`]; `None`: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm_broadcast: Option<u32>,
    /// Frames a second to one unknown address, [`Self::FRAMES`]; `None`: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm_unknown: Option<u32>,
    /// Multicasts a second, [`Self::FRAMES`]; `None`: any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub storm_multicast: Option<u32>,
}

impl Limits {
    /// Allowed `mac-learning-limit`.
    pub const LEARNED: std::ops::RangeInclusive<u32> = 0..=1_048_576;
    /// Allowed frames a second.
    pub const FRAMES: std::ops::RangeInclusive<u32> = 0..=1_000_000_000;

    /// Nothing is limited.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// The limits that are set, with their names and ranges.
    pub(super) fn ranges(&self) -> impl Iterator<Item = (&'static str, u32, std::ops::RangeInclusive<u32>)> {
        [
            ("mac-learning-limit", self.mac_learning_limit, Self::LEARNED),
            ("storm-broadcast", self.storm_broadcast, Self::FRAMES),
            ("storm-unknown", self.storm_unknown, Self::FRAMES),
            ("storm-multicast", self.storm_multicast, Self::FRAMES),
        ]
        .into_iter()
        .filter_map(|(name, value, range)| Some((name, value?, range)))
    }
}
