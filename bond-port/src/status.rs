//! What `bond/show` prints.

use core::time::Duration;

use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;
use forwarding::tables::Admission;

use crate::event::ActiveCause;
use crate::mode::Mode;
use crate::monitor::LinkState;

/// A bond at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BondStatus {
    /// Its name.
    pub name: String,
    /// Its mode.
    pub mode: Mode,
    /// Some member carries frames.
    pub carrier: bool,
    /// Its address, once a member's device is known.
    pub mac: Option<MacAddr>,
    /// The active member, in modes that have one.
    pub active: Option<String>,
    /// Why the active member is the active one, or why there is none; `None` if there never was one.
    pub active_cause: Option<ActiveCause>,
    /// For how long that has been so.
    pub active_age: Option<Duration>,
    /// How often the active member changed.
    pub active_changes: u64,
    /// `updelay` in force.
    pub updelay: Duration,
    /// `downdelay` in force.
    pub downdelay: Duration,
    /// All options and their values.
    pub options: Vec<(&'static str, String)>,
    /// In the order in which they joined.
    pub members: Vec<MemberStatus>,
}

/// A member at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// The device's name.
    pub name: String,
    /// The device, if it is there.
    pub device: Option<DeviceId>,
    /// The link is up, or not yet given up (OVS's `enabled`).
    pub enabled: bool,
    /// The device is there, so that carrier is all it needs to be enabled (OVS's `may_enable`).
    pub may_enable: bool,
    /// It is the active member.
    pub active: bool,
    /// Which frames it may bring in.
    pub admission: Admission,
    /// The link state.
    pub link: LinkState,
    /// For how long the link has been in that state.
    pub link_age: Duration,
    /// What is left of the delay that is running (`updelay` if going back, `downdelay` if going down).
    pub delay_left: Option<Duration>,
    /// How often the link went down.
    pub link_failure_count: u64,
    /// Megabits per second, if known.
    pub speed_mbps: Option<u32>,
    /// Full duplex, if known.
    pub full_duplex: Option<bool>,
    /// The device's own address, as last reported.
    pub mac: Option<MacAddr>,
}
