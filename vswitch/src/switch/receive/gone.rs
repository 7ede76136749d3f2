//! Guests that are gone, or have passed an address on: what the FDB knows of them, and what they answer when asked.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use bond_port::Bond;
use forwarding::fdb::{Fdb, Tick};
use forwarding::ids::{DeviceId, PortId};
use forwarding::mac::MacAddr;
use forwarding::solicit::{arp_request, link_local, neighbour_solicitation};

use super::super::Switch;
use super::Receiving;
use crate::receive::owners::{Key, Life, Owner, Verdict};

/// Whether the FDB knows a guest where it was.
pub(super) fn is_alive(fdb: &Fdb, now: Tick) -> impl Fn(u16, &Owner) -> bool + '_ {
    move |vlan, owner| fdb.lookup(vlan, owner.mac, now) == Some(owner.port)
}

impl Switch {
    /// Forgets guests and hosts that are gone.
    pub(in super::super) fn sweep_receive(&mut self, now: Duration) {
        self.look_for_taken(now);
        let tick = Tick::at(now);
        let ports = &self.ports;
        let is_bond = |id: PortId| ports.get(id.0).is_some_and(|port| port.bond.is_some());
        for (_, bridge) in self.bridges.iter_mut() {
            let fdb = &bridge.fdb;
            bridge.owners.sweep(now, |vlan, owner| match fdb.lookup(vlan, owner.mac, tick) {
                Some(port) if is_bond(port) => Life::Beyond,
                Some(port) => Life::Here(port),
                None => Life::Unknown,
            });
        }
        for (id, port) in self.ports.iter_mut() {
            let Some(bridge) = self.bridges.get(port.bridge) else { continue };
            if let Some(receiving) = port.receiving.as_deref_mut() {
                let beyond = |vlan, mac| bridge.fdb.lookup(vlan, mac, tick) == Some(PortId(id));
                receiving.peers.sweep(now, beyond);
            }
        }
    }

    /// Another guest has an address now: hosts are told if that is the guest's own MAC by which they know it.
    pub(super) fn pass_on(&mut self, now: Duration, bridge: u16, (vlan, ip): Key, mac: MacAddr) {
        for (_, port) in self.ports.iter_mut().filter(|(_, port)| port.bridge == bridge) {
            if let Some(Receiving { peers, table, .. }) = port.receiving.as_deref_mut() {
                peers.hand_over(now, vlan, ip, mac, table);
            }
        }
    }

    /// Somebody has told everybody that an address of a guest is its own: hosts are put right.
    pub(super) fn contradict(&mut self, now: Duration, bridge: u16, (vlan, ip): Key, mac: Option<MacAddr>) {
        for (_, port) in self.ports.iter_mut().filter(|(_, port)| port.bridge == bridge) {
            if let Some(Receiving { peers, table, .. }) = port.receiving.as_deref_mut() {
                peers.contradict(now, vlan, ip, mac, table);
            }
        }
    }

    /// Asks guests whose addresses others claim, and takes them from those that do not answer.
    pub(super) fn judge_contests(&mut self, now: Duration) {
        let mut verdicts = Vec::new();
        for (number, bridge) in self.bridges.iter_mut() {
            let due = bridge.owners.next_deadline().is_some_and(|at| at <= now);
            if due {
                verdicts
                    .extend(bridge.owners.poll_contests(now).into_iter().map(|verdict| (number, verdict)));
            }
        }
        for (bridge, verdict) in verdicts {
            match verdict {
                Verdict::Ask { key, owner } => {
                    if !self.ask(bridge, key, owner.port)
                        && let Some(bridge) = self.bridges.get_mut(bridge)
                    {
                        // Who can't be asked loses nothing.
                        bridge.owners.defend(&key);
                    }
                }
                Verdict::Kept { key } => self.contradict(now, bridge, key, None),
                Verdict::Lost { key: (vlan, ip), owner, to } => {
                    self.news.stale = true;
                    let name = self.bridges.get(bridge).map_or("", |bridge| &bridge.name);
                    let place = |id: PortId| self.ports.get(id.0).map_or("", |port| &port.name);
                    let (mac, port) = (owner.mac, place(owner.port));
                    match to {
                        Some((heir, by)) => tracing::info!(
                            bridge = name,
                            vlan,
                            "{ip} is {by}'s on {} now; {mac} on {port}, which had it, does not answer for it",
                            place(heir)
                        ),
                        None => tracing::info!(
                            bridge = name,
                            vlan,
                            "{ip} has gone beyond the bond; {mac} on {port}, which had it, does not answer for it"
                        ),
                    }
                    if let Some((_, by)) = to {
                        self.pass_on(now, bridge, (vlan, ip), by);
                    }
                }
            }
        }
    }

    /// Asks for an address at a port, as a member of the bridge's balanced bond: the answer comes by that port alone, and no
    /// cache of a guest is changed that matters to anybody. Returns whether that could be done.
    fn ask(&mut self, bridge: u16, (vlan, ip): Key, id: PortId) -> bool {
        let of_bridge = self.ports.iter().filter(|(_, port)| port.bridge == bridge);
        let plans = of_bridge.filter_map(|(_, port)| port.bond.as_ref().and_then(Bond::receive));
        let own = plans.filter_map(|plan| plan.own.first()).map(|(mac, _)| *mac).next();
        let port = self.ports.get(id.0).filter(|port| port.vlan.contains(vlan));
        let (Some(own), Some(port)) = (own, port) else { return false };
        let Some(device) = self.device_number(&port.name) else { return false };
        let frame = match ip {
            IpAddr::V4(ip) => arp_request(own, Ipv4Addr::UNSPECIFIED, ip).to_vec(),
            IpAddr::V6(ip) => neighbour_solicitation(own, link_local(own), ip).to_vec(),
        };
        let tag = port.vlan.egress_tag(vlan, None);
        self.send_frames(DeviceId(device), &[(frame, tag)]);
        true
    }

    /// Forgets which hosts know addresses that nobody has any more.
    pub(in super::super) fn drop_gone(&mut self) {
        for (number, bridge) in self.bridges.iter_mut() {
            for (vlan, ip) in bridge.owners.take_gone() {
                self.news.stale = true;
                let receiving = self.ports.iter_mut().filter(|(_, port)| port.bridge == number);
                for (_, port) in receiving {
                    if let Some(Receiving { peers, .. }) = port.receiving.as_deref_mut() {
                        peers.forget_guest(vlan, ip);
                    }
                }
            }
        }
    }
}
