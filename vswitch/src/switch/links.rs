//! Devices that come, change and go.

use std::time::Duration;

use bond_port::LinkReport;
use forwarding::ids::{DeviceId, PortId};

use super::attached::Attached;
use super::roles::{Role, roles};
use super::{Bond, LINK_POLL, Switch};
use crate::events::EventKind;
use crate::netlink::ethtool::{self, LinkSpeed};
use crate::netlink::link::{self, Link};
use crate::netlink::monitor::LinkEvent;

impl Switch {
    /// What the kernel says of devices.
    pub fn handle_links(&mut self, mut now: Duration, events: Vec<LinkEvent>) {
        let mut changed = false;
        for event in events {
            changed |= match event {
                LinkEvent::New(link) | LinkEvent::Changed(link) => self.link_changed(now, link),
                LinkEvent::Deleted(link) => self.link_deleted(now, link.ifindex),
                LinkEvent::Resync => false,
            };
            now = self.breathe();
        }
        if changed {
            self.publish();
            self.sync_hooks();
            self.sync_protocols();
        }
        self.settle(now);
    }

    /// All devices there are, after news was lost.
    pub fn resync_links(&mut self, mut now: Duration, all: Vec<Link>) {
        let gone: Vec<u32> = self
            .links
            .keys()
            .copied()
            .filter(|index| !all.iter().any(|link| link.ifindex == *index))
            .collect();
        let mut changed = false;
        for ifindex in gone {
            changed |= self.link_deleted(now, ifindex);
        }
        for link in all {
            changed |= self.link_changed(now, link);
            now = self.breathe();
        }
        if changed {
            self.publish();
            self.sync_hooks();
            self.sync_protocols();
        }
        self.settle(now);
    }

    /// Returns whether tables must be published for another reason than a bond's new plan.
    fn link_changed(&mut self, now: Duration, link: Link) -> bool {
        let before = self.links.insert(link.ifindex, link.clone());
        let mut changed = false;
        if let Some(before) = before.as_ref().filter(|before| before.name != link.name) {
            tracing::info!(from = before.name, to = link.name, "device renamed");
            changed |= self.device_gone(now, before);
        }
        // The end of a veth that has just come into this namespace, or has changed in it.
        if let Some(other) = link.peer.filter(|_| link.peer_netns.is_none()) {
            changed |= self.refresh_peer(other);
        }
        let Some(role) = self.role(&link.name) else { return changed };
        if !role.is_internal()
            && link.master.is_some()
            && before.as_ref().is_some_and(|before| before.master != link.master)
        {
            let text = self.tell_other_master(&link);
            let device = Some(link.name.clone());
            self.events.extend(text.map(|text| EventKind::Warning { bond: None, device, text }));
        }
        let port = role.port.clone();
        changed |= self.refresh_peer(link.ifindex);
        match self.device_number(&link.name) {
            Some(number) if self.devices.get(number).is_some_and(|a| a.ifindex() == link.ifindex) => {
                let Some(attached) = self.devices.get_mut(number) else { return changed };
                let usable = attached.is_usable(&link);
                changed |= attached.mtu != link.mtu || attached.usable != usable;
                let lost = attached.usable && !usable;
                (attached.mtu, attached.usable) = (link.mtu, usable);
                if lost && !role.is_internal() {
                    self.forget_macs_of_plain(&port);
                }
            }
            other => {
                // Another device of the same name; the news of the old one's end was lost or is yet to come.
                if let Some(old) = other.and_then(|number| self.devices.get(number)).map(|a| a.ifindex()) {
                    self.device_gone(now, &Link { ifindex: old, ..link.clone() });
                }
                match self.open(&link.name, &role) {
                    Ok(Some(opened)) => {
                        tracing::info!(device = link.name, port, "device picked up");
                        self.install(opened);
                        self.assign_devices();
                        changed = true;
                    }
                    Ok(None) => {}
                    Err(error) => tracing::error!(device = link.name, port, %error, "device can't be used"),
                }
            }
        }
        self.tell_link(&port, &link, true, before.as_ref());
        self.report_member(now, &port, &link.name);
        changed
    }

    /// Logs that somebody else has a device of ours too; the text of it, if so.
    pub(super) fn tell_other_master(&self, link: &Link) -> Option<String> {
        let index = link.master?;
        let master = self.links.get(&index);
        let kind = master.and_then(|master| master.kind.as_deref()).unwrap_or("device");
        let text = format!(
            "it belongs to the kernel's {kind} {} too, which gets none of its frames; take it out there (ip link set {} \
             nomaster), or here",
            master.map_or_else(|| index.to_string(), |master| master.name.clone()),
            link.name
        );
        tracing::warn!(device = link.name, "{text}");
        Some(text)
    }

    /// Notes a device's news for those who watch, if its state is another than before.
    fn tell_link(&mut self, port: &str, link: &Link, present: bool, before: Option<&Link>) {
        let state = |link: &Link| (link.admin_up, link.carrier);
        if present && before.is_some_and(|before| state(before) == state(link)) {
            return;
        }
        self.events.push(EventKind::Link {
            device: link.name.clone(),
            port: port.to_owned(),
            present,
            admin_up: present && link.admin_up,
            carrier: present && link.carrier,
        });
    }

    fn link_deleted(&mut self, now: Duration, ifindex: u32) -> bool {
        let Some(link) = self.links.remove(&ifindex) else { return false };
        // The end of a veth that was in this namespace is in another one now, or gone with its other end.
        let changed =
            link.peer.filter(|_| link.peer_netns.is_none()).is_some_and(|other| self.peer_left(other));
        self.device_gone(now, &link) || changed
    }

    /// Asks the kernel where the other end of a device is now.
    fn peer_left(&mut self, ifindex: u32) -> bool {
        let Ok(link) = link::get(ifindex) else { return false };
        self.links.insert(ifindex, link);
        self.refresh_peer(ifindex)
    }

    /// Gives up a device that is not there any more. The internal port is made again.
    fn device_gone(&mut self, now: Duration, link: &Link) -> bool {
        let name = link.name.as_str();
        let Some(number) = self.device_number(name) else { return false };
        if self.devices.get(number).is_none_or(|attached| attached.ifindex() != link.ifindex) {
            return false;
        }
        let Some(attached) = self.devices.remove(number) else { return false };
        tracing::warn!(device = name, "device is gone; it is picked up again when it comes back");
        let port = attached.port.and_then(|id| self.ports.get(id.0)).map(|port| port.name.clone());
        self.fast.unhook(link.ifindex);
        attached.release();
        let Some(port) = port else { return true };
        self.tell_link(&port, link, false, None);
        self.forget_macs_of_plain(&port);
        if let Some(bond) = self.bond_mut(&port) {
            bond.handle_link(now, name, None);
        }
        if let Some(role) = self.role(name).filter(Role::is_internal) {
            match self.open(name, &role) {
                Ok(opened) => opened.into_iter().for_each(|opened| self.install(opened)),
                Err(error) => tracing::error!(bridge = name, %error, "the internal port can't be made again"),
            }
            self.assign_devices();
            // The new one begins with carrier.
            if let Some((_, bridge)) = self.bridges.iter_mut().find(|(_, bridge)| bridge.name == name) {
                bridge.carrier = None;
            }
        }
        true
    }

    /// What is behind a plain port without carrier may be anywhere else by now (br_stp_disable_port).
    fn forget_macs_of_plain(&mut self, port: &str) {
        if let Some((number, _)) = self.port(port).filter(|(_, port)| port.bond.is_none()) {
            self.forget_macs(PortId(number));
        }
    }

    /// Forgets who was heard on a port.
    pub(super) fn forget_macs(&mut self, id: PortId) {
        let Some(bridge) = self.ports.get(id.0).map(|port| port.bridge) else { return };
        if let Some(bridge) = self.bridges.get_mut(bridge) {
            bridge.fdb.remove_port(id);
            bridge.neighbours.forget_port(id);
            // Those entered by hand stay.
            self.update_statics();
        }
    }

    /// Tells a bond what is known of a member's device.
    pub(super) fn report_member(&mut self, now: Duration, bond: &str, member: &str) {
        let attached = self.device_number(member).and_then(|n| Some((n, self.devices.get(n)?)));
        let report = attached.and_then(|(number, attached)| {
            let link = self.links.get(&attached.ifindex())?;
            let up = link.admin_up && link.carrier;
            let speed = if up { ethtool::speed(&link.name) } else { LinkSpeed::default() };
            Some(LinkReport {
                device: DeviceId(number),
                up,
                speed_mbps: speed.mbps,
                full_duplex: speed.full_duplex,
                receive_hash: ethtool::receive_hash(&link.name),
                mac: link.mac,
            })
        });
        if let Some(bond) = self.bond_mut(bond) {
            bond.handle_link(now, member, report);
        }
    }

    fn role(&self, device: &str) -> Option<Role> {
        roles(&self.model).remove(device)
    }

    pub(super) fn bond_mut(&mut self, name: &str) -> Option<&mut Bond> {
        self.ports.iter_mut().find(|(_, port)| port.name == name).and_then(|(_, port)| port.bond.as_mut())
    }

    pub(super) fn device_number(&self, name: &str) -> Option<u16> {
        self.devices.iter().find(|(_, attached)| attached.name() == name).map(|(number, _)| number)
    }

    /// Takes in the devices that the model names and that came between the opening of devices and the commit.
    pub(super) fn pick_up_missing(&mut self, now: Duration) {
        let missing: Vec<Link> = (roles(&self.model).keys())
            .filter(|name| self.device_number(name).is_none())
            .filter_map(|name| self.link(name).cloned())
            .collect();
        for link in missing {
            self.link_changed(now, link);
        }
    }

    /// Asks the kernel for the state of all members of bonds, for drivers that send no events and for news that is late.
    pub(super) fn poll_links(&mut self, now: Duration) {
        let members = self.bonds().flat_map(|(_, bond)| bond.members());
        let polled: Vec<u32> = members
            .filter_map(|member| self.device_number(member.name()))
            .filter_map(|number| self.devices.get(number).map(Attached::ifindex))
            .collect();
        let mut news = Vec::new();
        for ifindex in polled {
            match link::get(ifindex) {
                Ok(link) if self.links.get(&ifindex) != Some(&link) => news.push(LinkEvent::Changed(link)),
                // A device that is gone is reported by an event.
                Ok(_) | Err(_) => {}
            }
        }
        self.schedule_polling(now);
        if !news.is_empty() {
            self.handle_links(now, news);
        }
    }

    /// `miimon` may ask for more than [`LINK_POLL`], not for less.
    pub(super) fn schedule_polling(&mut self, now: Duration) {
        let period = |(_, bond): (u16, &Bond)| match bond.options().miimon {
            0 => LINK_POLL,
            ms => LINK_POLL.min(Duration::from_millis(u64::from(ms))),
        };
        self.next_poll = self.bonds().map(period).min().map(|period| now + period);
    }
}
