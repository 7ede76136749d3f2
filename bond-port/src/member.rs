//! A member device of a bond.

use core::time::Duration;

use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;
use forwarding::tables::Admission;

use crate::flap::Flaps;
use crate::member_options::MemberOptions;
use crate::monitor::{LinkState, Monitor};

/// Names a member for as long as it is one; not used again for another, nor for the same device when it joins again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MemberId(pub(crate) u32);

impl MemberId {
    /// As a number: 0 for the bond's first member, one more for each that joins.
    pub const fn number(self) -> u32 {
        self.0
    }
}

/// A member. Its device may be unknown: not there yet, or gone; the link is down then.
#[derive(Debug, Clone)]
pub struct Member {
    pub(crate) id: MemberId,
    pub(crate) name: String,
    pub(crate) device: Option<DeviceId>,
    pub(crate) mac: Option<MacAddr>,
    pub(crate) speed_mbps: Option<u32>,
    pub(crate) full_duplex: Option<bool>,
    pub(crate) receive_hash: Option<bool>,
    pub(crate) monitor: Monitor,
    /// Up and carrier, as last reported.
    pub(crate) carrier: bool,
    /// The same, if link probes don't say that the link is down.
    pub(crate) signal: bool,
    pub(crate) flaps: Flaps,
    /// The monitor's failures that `flaps` knows of.
    pub(crate) failures_seen: u64,
    pub(crate) admission: Admission,
    /// Taken out of use by hand.
    pub(crate) disabled: bool,
    pub(crate) options: MemberOptions,
    /// A link report has come, be it that the device is not there.
    pub(crate) reported: bool,
    /// The link state that the last event told.
    pub(crate) told: LinkState,
    /// The device when the mode was last asked.
    pub(crate) told_device: Option<DeviceId>,
}

impl Member {
    pub(crate) fn new(id: MemberId, name: &str, now: Duration) -> Self {
        let monitor = Monitor::new(now);
        Self {
            id,
            name: name.to_owned(),
            device: None,
            told_device: None,
            mac: None,
            speed_mbps: None,
            full_duplex: None,
            receive_hash: None,
            told: monitor.state(),
            monitor,
            carrier: false,
            signal: false,
            flaps: Flaps::default(),
            failures_seen: 0,
            admission: Admission::Nothing,
            disabled: false,
            options: MemberOptions::default(),
            reported: false,
        }
    }

    /// Its identity in this bond.
    pub fn id(&self) -> MemberId {
        self.id
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The device, if it is there. It always is when the link state is not [`LinkState::Down`].
    pub fn device(&self) -> Option<DeviceId> {
        self.device
    }

    /// The device's own address, as last reported; the bond never changes it.
    pub fn mac(&self) -> Option<MacAddr> {
        self.mac
    }

    /// Megabits per second, if known.
    pub fn speed_mbps(&self) -> Option<u32> {
        self.speed_mbps
    }

    /// Full duplex, if known.
    pub fn full_duplex(&self) -> Option<bool> {
        self.full_duplex
    }

    /// The device computes a flow hash of what it receives, as last reported, if known.
    pub fn receive_hash(&self) -> Option<bool> {
        self.receive_hash
    }

    /// The link state.
    pub fn link(&self) -> LinkState {
        self.monitor.state()
    }

    /// In use: [`LinkState::Up`], and not disabled by hand.
    pub fn is_up(&self) -> bool {
        self.link() == LinkState::Up && !self.disabled
    }

    /// May carry frames: [`LinkState::is_usable`], and not disabled by hand.
    pub fn is_usable(&self) -> bool {
        self.link().is_usable() && !self.disabled
    }

    /// Taken out of use by [`crate::bond::Bond::disable_member`]. Its link is watched all the same.
    pub fn is_disabled(&self) -> bool {
        self.disabled
    }

    /// When the link state was entered.
    pub fn link_since(&self) -> Duration {
        self.monitor.since()
    }

    /// How often the link went down.
    pub fn link_failure_count(&self) -> u64 {
        self.monitor.failures()
    }

    /// Its own options.
    pub fn options(&self) -> &MemberOptions {
        &self.options
    }

    /// Which frames it may bring in.
    pub fn admission(&self) -> Admission {
        self.admission
    }
}
