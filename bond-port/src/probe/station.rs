//! What a prober remembers of one member.

use core::time::Duration;

use forwarding::mac::MacAddr;

use super::Device;
use crate::member::MemberId;

#[derive(Debug, Clone)]
pub(super) struct Station {
    pub(super) id: MemberId,
    pub(super) mac: Option<MacAddr>,
    carrier: Option<bool>,
    /// The verdict.
    pub(super) alive: bool,
    /// When it joined, or what is asked for changed: it is given its time from then on.
    pub(super) since: Option<Duration>,
    /// When it last asked.
    pub(super) last_tx: Option<Duration>,
    /// When it last showed a sign of life.
    pub(super) last_rx: Option<Duration>,
    /// When it became the active member, or the one that asks while there is none (Linux: `last_link_up`).
    pub(super) made_active: Option<Duration>,
    /// When it last heard of each target, where frames are looked at closely.
    pub(super) heard: Vec<Option<Duration>>,
    /// Received frames when they were last counted.
    pub(super) frames: Option<u64>,
}

impl Station {
    pub(super) fn new(id: MemberId, targets: usize) -> Self {
        Self {
            id,
            mac: None,
            carrier: None,
            alive: true,
            since: None,
            last_tx: None,
            last_rx: None,
            made_active: None,
            heard: vec![None; targets],
            frames: None,
        }
    }

    pub(super) fn has_carrier(&self) -> bool {
        self.carrier == Some(true)
    }

    /// Takes over what is known of the device.
    pub(super) fn update(&mut self, now: Duration, device: &Device) {
        if device.carrier != self.carrier {
            if self.carrier.is_none() && device.carrier == Some(true) {
                self.since = Some(now);
            } else {
                // What it was before says nothing.
                (self.alive, self.since) = (false, None);
                (self.last_tx, self.last_rx) = (None, None);
                self.heard.fill(None);
            }
            self.carrier = device.carrier;
        }
        if device.mac.is_some() {
            self.mac = device.mac;
        }
    }

    /// Others are asked now.
    pub(super) fn forget(&mut self, now: Duration, targets: usize) {
        self.heard = vec![None; targets];
        if self.alive && self.has_carrier() {
            self.since = Some(now);
        }
    }

    /// Where all targets must be heard of, the one that was not heard of for longest counts
    /// (`slave_oldest_target_arp_rx`).
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.heard.iter().copied().min().flatten()
    }
}

/// Whether something happened within so many intervals and a half (`bond_time_in_interval`).
pub(super) fn within(now: Duration, at: Duration, period: Duration, intervals: u32) -> bool {
    now <= at.saturating_add(period * intervals).saturating_add(period / 2)
}
