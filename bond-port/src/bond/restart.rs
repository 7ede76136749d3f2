//! What a bond hands to its successor in the next daemon, and how that one takes over.

use core::time::Duration;

use forwarding::mac::MacAddr;
use lacp::PortId;

use super::Bond;
use crate::member::{Member, MemberId};

/// What a successor has to know of a bond. A member is known by its place in `members`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct BondSnapshot {
    /// The bond's address.
    pub mac: Option<MacAddr>,
    /// The members' names, in the order in which they joined.
    pub members: Vec<String>,
    /// LACP's state, if the mode speaks it. A port's number is its member's place.
    pub lacp: Option<lacp::Snapshot>,
    /// The resilient table: each bucket's holder. Empty without one.
    pub buckets: Vec<u32>,
}

impl Bond {
    /// What a successor has to know as of `now`.
    pub fn snapshot(&self, now: Duration) -> BondSnapshot {
        let place = |id: MemberId| self.members.iter().position(|member| member.id == id).map(|i| i as u32);
        let mut lacp = self.lacp().map(|lacp| lacp.snapshot(now));
        if let Some(lacp) = &mut lacp {
            lacp.ports.retain_mut(|port| {
                let place = place(MemberId(port.port.0));
                port.port = PortId(place.unwrap_or(port.port.0));
                place.is_some()
            });
        }
        BondSnapshot {
            mac: self.mac,
            members: self.members.iter().map(|member| member.name.clone()).collect(),
            lacp,
            // A holder that has left meanwhile is nobody.
            buckets: self.balancer.buckets().iter().map(|id| place(*id).unwrap_or(u32::MAX)).collect(),
        }
    }

    /// Before an orderly stop after which a successor goes on: LACP says once more on each link what it said last, so
    /// that the partner waits as long as can be. [`Self::poll_transmit`] has the frames.
    pub fn repeat(&mut self, now: Duration) {
        if let Some(lacp) = self.balancer.lacp_mut() {
            lacp.repeat(now);
            self.update(now, Vec::new());
        }
    }

    /// The bond goes on where another one with some of the same members was. To be called when the members have joined
    /// and before the first link report; [`Self::restore`] is to follow after these. The address is that of before, and a
    /// link that is up when it is first reported has been so all along: `updelay` is skipped.
    pub fn resume(&mut self, before: &BondSnapshot) {
        if !self.members.iter().any(|member| before.members.contains(&member.name)) {
            return;
        }
        self.links_resume = true;
        if let Some(mac) = before.mac.filter(|mac| mac.is_valid_source()) {
            self.mac = Some(mac);
            self.mac_from = None;
        }
    }

    /// Takes over what the mode remembered, when all members' links have been reported and before frames are sent.
    /// `elapsed` is the snapshot's age. Returns the members on which LACP goes on where it was; on others it begins anew.
    pub fn restore(&mut self, now: Duration, before: &BondSnapshot, elapsed: Duration) -> Vec<String> {
        let id = |place: u32| {
            let name = before.members.get(place as usize)?;
            self.member(name).map(Member::id)
        };
        let port = |saved: &lacp::PortSnapshot| {
            let port = PortId(id(saved.port.0)?.number());
            Some(lacp::PortSnapshot { port, ..*saved })
        };
        let lacp = before.lacp.as_ref().map(|lacp| lacp::Snapshot {
            active: lacp.active,
            ports: lacp.ports.iter().filter_map(port).collect(),
        });
        // A holder that is no member any more gives its buckets to the others.
        let buckets: Vec<MemberId> =
            before.buckets.iter().map(|place| id(*place).unwrap_or(MemberId(u32::MAX))).collect();
        self.balancer.restore_buckets(buckets);
        let restored = match (self.balancer.lacp_mut(), lacp) {
            (Some(lacp), Some(snapshot)) => lacp.restore(now, &snapshot, elapsed),
            _ => Vec::new(),
        };
        self.update(now, Vec::new());
        let name = |port: PortId| self.members.iter().find(|member| member.id == MemberId(port.0));
        restored.into_iter().filter_map(name).map(|member| member.name.clone()).collect()
    }
}
