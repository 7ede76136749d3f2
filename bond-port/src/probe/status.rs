//! What link probes have to show.

use core::net::IpAddr;
use core::time::Duration;

/// A target at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TargetStatus {
    /// Its address.
    pub target: IpAddr,
    /// It has answered in time, or not yet had the time to.
    pub answers: bool,
    /// How long ago it last answered by any member; `None`: never.
    pub age: Option<Duration>,
}

/// What link probes say of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberProbe {
    /// It is up as far as they can tell.
    pub alive: bool,
    /// It asks, and does not only listen to what others ask.
    pub asks: bool,
    /// How long ago it last showed a sign of life; `None`: never.
    pub silent: Option<Duration>,
}
