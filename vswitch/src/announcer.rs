//! Tells the upstream switch where our MACs are now: learning frames, paced so that thousands of guests make no burst.
//!
//! Where a guest's addresses are known, gratuitous ARP and unsolicited neighbour advertisements, otherwise RARP; any of
//! them lets a switch learn. So of every guest one frame is sent first, and then what else there is.

mod frame;
#[cfg(test)]
mod tests;

use std::collections::{HashSet, VecDeque};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use forwarding::ids::{DeviceId, PortId};
use forwarding::mac::MacAddr;
use forwarding::vlan::VlanTag;

pub use self::frame::Frame;
use crate::neighbours::Address;

/// Frames sent at once.
const BATCH: usize = 64;
/// Time between two batches.
const PACE: Duration = Duration::from_millis(1);

/// What a learning frame is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// No address is known: a RARP request about itself.
    Rarp,
    /// An ARP request for its own address (RFC 5227 clause 3).
    GratuitousArp(Ipv4Addr),
    /// A neighbour advertisement that nobody asked for (RFC 4861 clause 7.2.6).
    NeighbourAdvertisement {
        /// The address.
        ip: Ipv6Addr,
        /// The guest is a router, and must be told as one.
        router: bool,
    },
}

/// A guest to be announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Its address.
    pub mac: MacAddr,
    /// The tag its frames carry on the uplink.
    pub tag: Option<VlanTag>,
    /// At least one.
    kinds: Vec<Kind>,
}

impl Host {
    /// A guest with the addresses that are known of it in the tag's VLAN.
    pub fn new(mac: MacAddr, tag: Option<VlanTag>, addresses: &[Address]) -> Self {
        let mut kinds: Vec<_> = (addresses.iter())
            .filter_map(|address| match *address {
                Address::V4(ip) => Some(Kind::GratuitousArp(ip)),
                Address::V6 { ip, router } => Some(Kind::NeighbourAdvertisement { ip, router: router? }),
            })
            .collect();
        if kinds.is_empty() {
            kinds.push(Kind::Rarp);
        }
        Self { mac, tag, kinds }
    }
}

/// One learning frame to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announcement {
    /// The bond for which it is sent.
    pub bond: PortId,
    /// The member by which it leaves.
    pub device: DeviceId,
    /// The address announced.
    pub mac: MacAddr,
    /// The tag the frame carries.
    pub tag: Option<VlanTag>,
    /// What the frame is.
    pub kind: Kind,
}

/// The learning frames of all bonds that wait to be sent. The bonds take turns.
#[derive(Debug, Default)]
pub struct Announcer {
    rounds: VecDeque<Round>,
    due: Duration,
}

/// All guests of a bond, once or several times.
#[derive(Debug)]
struct Round {
    bond: PortId,
    device: DeviceId,
    frames: Vec<Queued>,
    /// How many of them are sent.
    sent: usize,
    /// How often the round is to be repeated, and with which frames if not the same.
    repeats: u32,
    next: Option<Vec<Queued>>,
}

#[derive(Debug, Clone, Copy)]
struct Queued {
    mac: MacAddr,
    tag: Option<VlanTag>,
    kind: Kind,
}

impl Announcer {
    /// Queues the announcement of these guests by this member, in this order. If the bond is still busy with an earlier
    /// one by the same member, that is finished first; if by another member, what is left of it is forgotten.
    pub fn announce(&mut self, bond: PortId, device: DeviceId, hosts: impl IntoIterator<Item = Host>) {
        let frames = in_order(hosts.into_iter().collect());
        if let Some(round) = self.rounds.iter_mut().find(|round| round.bond == bond && round.device == device)
        {
            round.repeats += 1;
            round.next = Some(frames);
            return;
        }
        self.cancel(bond);
        if !frames.is_empty() {
            self.rounds.push_back(Round { bond, device, frames, sent: 0, repeats: 0, next: None });
        }
    }

    /// Queues the announcement of these guests, and leaves others alone: what is left of earlier ones of these guests by
    /// another member is forgotten.
    pub fn announce_moved(&mut self, bond: PortId, device: DeviceId, hosts: impl IntoIterator<Item = Host>) {
        let frames = in_order(hosts.into_iter().collect());
        let guests: HashSet<_> = frames.iter().map(|frame| (frame.mac, frame.tag)).collect();
        for round in self.rounds.iter_mut().filter(|round| round.bond == bond && round.device != device) {
            round.frames.drain(..round.sent);
            round.sent = 0;
            for frames in std::iter::once(&mut round.frames).chain(&mut round.next) {
                frames.retain(|frame| !guests.contains(&(frame.mac, frame.tag)));
            }
        }
        self.rounds.retain_mut(|round| round.has_more());
        if !frames.is_empty() {
            self.rounds.push_back(Round { bond, device, frames, sent: 0, repeats: 0, next: None });
        }
    }

    /// Forgets what waits for a bond (it is gone, or has no usable member).
    pub fn cancel(&mut self, bond: PortId) {
        self.rounds.retain(|round| round.bond != bond);
    }

    /// When the next batch is due, if anything waits.
    pub fn next_deadline(&self) -> Option<Duration> {
        (!self.rounds.is_empty()).then_some(self.due)
    }

    /// The batch that is due, empty if none is. All its frames leave by the same device.
    pub fn poll_batch(&mut self, now: Duration) -> Vec<Announcement> {
        if now < self.due {
            return Vec::new();
        }
        let Some(mut round) = self.rounds.pop_front() else { return Vec::new() };
        self.due = now + PACE;
        let (bond, device) = (round.bond, round.device);
        let batch = (round.frames[round.sent..].iter().take(BATCH))
            .map(|&Queued { mac, tag, kind }| Announcement { bond, device, mac, tag, kind })
            .collect::<Vec<_>>();
        round.sent += batch.len();
        if round.has_more() {
            self.rounds.push_back(round);
        }
        batch
    }
}

impl Round {
    /// Begins the next repetition if this one is complete; whether anything is left to send.
    fn has_more(&mut self) -> bool {
        if self.sent == self.frames.len() && self.repeats > 0 {
            self.repeats -= 1;
            self.sent = 0;
            self.frames = self.next.take().unwrap_or_else(|| std::mem::take(&mut self.frames));
        }
        self.sent < self.frames.len()
    }
}

/// One frame of each guest, then all others.
fn in_order(hosts: Vec<Host>) -> Vec<Queued> {
    let queued = |host: &Host, kind: &Kind| Queued { mac: host.mac, tag: host.tag, kind: *kind };
    let first = hosts.iter().flat_map(|host| host.kinds.iter().take(1).map(move |kind| queued(host, kind)));
    let rest = hosts.iter().flat_map(|host| host.kinds.iter().skip(1).map(move |kind| queued(host, kind)));
    first.chain(rest).collect()
}
