//! The running switch: what exists now, brought into line with the model.
//!
//! [`Switch`] belongs to the control thread. Link events, commands and the passing of time go in; after each, tables
//! are compiled and published if anything that decides about frames has changed.

mod attached;
mod commit;
mod compile;
mod links;
mod roles;
mod slab;
mod status;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bond_port::{Bond, BondEvent};
use forwarding::announce::rarp;
use forwarding::fdb::{Fdb, Tick};
use forwarding::ids::{DeviceId, MAX_DEVICES, MAX_PORTS, PortId};
use forwarding::tables::FloodLists;
use forwarding::vlan::VlanPolicy;

use self::attached::Attached;
pub use self::commit::Prepared;
use self::slab::Slab;
pub use self::status::Moment;
use crate::announcer::{Announcement, Announcer};
use crate::datapath::{Datapath, Snapshot};
use crate::device::{TxBurst, TxFrame};
use crate::model::Model;
use crate::netlink::link::Link;

/// How long a command waits for the workers to take over new tables.
const APPLY_LIMIT: Duration = Duration::from_secs(2);
/// How often the links of bonds' members are looked at in any case: the kernel may hold back the news that a NIC has lost
/// its carrier for up to a second (linkwatch).
const LINK_POLL: Duration = Duration::from_millis(50);
/// How often expired MACs are swept.
const SWEEP_PERIOD: Duration = Duration::from_secs(1);
/// Entries looked at in one sweep, about.
const SWEEP_SHARE: usize = 65_536;

/// The running switch.
#[derive(Debug)]
pub struct Switch {
    /// What the operator asked for, and which members were active last.
    model: Model,
    datapath: Datapath,
    /// Every device of the network namespace, by index.
    links: BTreeMap<u32, Link>,
    bridges: Slab<Bridge>,
    ports: Slab<Port>,
    devices: Slab<Attached>,
    announcer: Announcer,
    /// Secret for FDB hashes.
    seed: u64,
    next_sweep: Duration,
    sweep_part: usize,
    next_poll: Option<Duration>,
    /// Sum of the bonds' revisions in the published tables.
    published: u64,
    /// The model's hints changed since it was last saved.
    unsaved: bool,
    scratch: TxBurst,
}

#[derive(Debug)]
struct Bridge {
    name: String,
    fdb: Arc<Fdb>,
    flood: Arc<FloodLists>,
    /// The carrier last given to the internal port.
    carrier: Option<bool>,
}

#[derive(Debug)]
struct Port {
    name: String,
    /// Number of its bridge.
    bridge: u16,
    vlan: VlanPolicy,
    /// A bond; otherwise the device of the same name (the internal port too).
    bond: Option<Bond>,
}

impl Switch {
    /// With no bridge. `links` are all devices there are; `seed` a secret number.
    pub fn new(datapath: Datapath, links: Vec<Link>, seed: u64) -> Self {
        Self {
            model: Model::default(),
            datapath,
            links: links.into_iter().map(|link| (link.ifindex, link)).collect(),
            bridges: Slab::new(MAX_PORTS),
            ports: Slab::new(MAX_PORTS),
            devices: Slab::new(MAX_DEVICES),
            announcer: Announcer::default(),
            seed,
            next_sweep: SWEEP_PERIOD,
            sweep_part: 0,
            next_poll: None,
            published: 0,
            unsaved: false,
            scratch: TxBurst::new(),
        }
    }

    /// The committed model, with the members active now as hints.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Whether the hints in [`Self::model`] changed since [`Self::mark_saved`].
    pub fn is_unsaved(&self) -> bool {
        self.unsaved
    }

    /// To be called when [`Self::model`] is handed to the disk.
    pub fn mark_saved(&mut self) {
        self.unsaved = false;
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub fn next_deadline(&self) -> Option<Duration> {
        let bonds = self.bonds().filter_map(|(_, bond)| bond.next_deadline()).min();
        let sweep = (self.bridges.len() > 0).then_some(self.next_sweep);
        [bonds, sweep, self.next_poll, self.announcer.next_deadline()].into_iter().flatten().min()
    }

    /// Does what is due: delays of bonds, announcements, ageing, polling of links.
    pub fn handle_timeout(&mut self, now: Duration) {
        for port in self.ports.iter_mut() {
            if let Some(bond) =
                port.1.bond.as_mut().filter(|bond| bond.next_deadline().is_some_and(|at| at <= now))
            {
                bond.handle_timeout(now);
            }
        }
        self.settle(now);
        self.send_announcements(now);
        if now >= self.next_sweep {
            self.sweep(now);
        }
        if self.next_poll.is_some_and(|at| at <= now) {
            self.poll_links(now);
        }
    }

    /// Publishes tables if a bond has another plan, then acts on what the bonds report. The order matters: frames
    /// leave by the new member before anything else is done.
    fn settle(&mut self, now: Duration) {
        if self.revisions() != self.published {
            self.publish();
        }
        let mut events = Vec::new();
        for (number, port) in self.ports.iter_mut() {
            let Some(bond) = &mut port.bond else { continue };
            while let Some(event) = bond.poll_event() {
                events.push((PortId(number), event));
            }
        }
        for (port, event) in events {
            self.act_on(port, event, now);
        }
        self.apply_carriers();
    }

    /// Makes a member the active one. When it returns, every worker forwards by it.
    ///
    /// # Errors
    /// Why it can't be.
    pub fn set_active_member(&mut self, now: Duration, bond: &str, member: &str) -> Result<bool, String> {
        let found = self.bond_mut(bond).ok_or_else(|| format!("no bond named {bond}"))?;
        let changed = found.set_active_member(now, member).map_err(|error| error.to_string())?;
        self.settle(now);
        self.wait_applied();
        Ok(changed)
    }

    /// Forgets what a bridge has learned; returns how many entries.
    pub fn flush_fdb(&self, bridge: &str) -> usize {
        self.bridges.iter().find(|(_, b)| b.name == bridge).map_or(0, |(_, bridge)| bridge.fdb.flush())
    }

    /// Gives all devices back as they were found, and takes the internal ports away.
    pub fn shut_down(&mut self) {
        self.datapath.publish(Snapshot::default());
        self.wait_applied();
        let numbers: Vec<_> = self.devices.iter().map(|(number, _)| number).collect();
        numbers.into_iter().filter_map(|number| self.devices.remove(number)).for_each(Attached::release);
    }

    fn wait_applied(&self) {
        if !self.datapath.wait_applied(APPLY_LIMIT) {
            tracing::warn!(
                "a worker has not taken over the new tables in {APPLY_LIMIT:?}; is the machine overloaded?"
            );
        }
    }

    fn act_on(&mut self, id: PortId, event: BondEvent, now: Duration) {
        let Some(name) = self.ports.get(id.0).map(|port| port.name.clone()) else { return };
        match &event {
            BondEvent::Announce { member } => {
                self.announce(id, *member, now);
                return;
            }
            BondEvent::ActiveChanged { new: None, .. } => self.announcer.cancel(id),
            BondEvent::ActiveChanged { new: Some(new), .. } => {
                self.unsaved |= self.model.note_active(&name, Some(new));
            }
            BondEvent::MemberLink { .. } | BondEvent::CarrierChanged(_) => {}
        }
        tracing::info!(bond = name, "{event}");
    }

    /// Queues a learning frame for every MAC behind the other ports of the bond's bridge, and sends the first batch.
    fn announce(&mut self, id: PortId, device: DeviceId, now: Duration) {
        let Some(bond) = self.ports.get(id.0) else { return };
        let Some(bridge) = self.bridges.get(bond.bridge) else { return };
        let mut addresses: Vec<_> =
            bridge.fdb.entries(Tick::at(now)).into_iter().filter(|e| e.port != id).collect();
        addresses.sort_unstable_by_key(|entry| entry.age);
        let mut addresses: Vec<_> = addresses.into_iter().map(|entry| (entry.vlan, entry.mac)).collect();
        if let Some(internal) = self.model.bridges.get(&bridge.name) {
            let own = (internal.vlan.tag().unwrap_or(0), internal.mac);
            if !addresses.contains(&own) {
                addresses.insert(0, own);
            }
        }
        let all = addresses
            .into_iter()
            .filter(|(vlan, _)| bond.vlan.contains(*vlan))
            .map(|(vlan, mac)| Announcement { bond: id, device, mac, tag: bond.vlan.egress_tag(vlan, None) });
        self.announcer.announce(id, all);
        self.send_announcements(now);
    }

    fn send_announcements(&mut self, now: Duration) {
        let batch = self.announcer.poll_batch(now);
        let Some(first) = batch.first() else { return };
        let Some(attached) = self.devices.get(first.device.0) else { return };
        let frames: Vec<_> =
            batch.iter().map(|announcement| (rarp(announcement.mac), announcement.tag)).collect();
        let frames = frames.iter().map(|(bytes, tag)| TxFrame {
            bytes,
            tag: *tag,
            inner: None,
            header: Default::default(),
        });
        attached.slot.send(frames, &mut self.scratch);
    }

    /// Lets the internal ports' carrier follow what `carrier=` names.
    fn apply_carriers(&mut self) {
        let mut changes = Vec::new();
        for (number, bridge) in self.bridges.iter() {
            let Some(wanted) = self.model.bridges.get(&bridge.name) else { continue };
            let carrier = wanted.carrier.as_ref().is_none_or(|port| self.has_carrier(port));
            if bridge.carrier != Some(carrier) {
                changes.push((number, bridge.name.clone(), carrier));
            }
        }
        for (number, name, carrier) in changes {
            let Some(attached) = self.attached(&name) else { continue };
            match attached.slot.device.set_carrier(carrier) {
                Ok(()) => {
                    tracing::info!(bridge = name, carrier, "carrier of the internal port");
                    if let Some(bridge) = self.bridges.get_mut(number) {
                        bridge.carrier = Some(carrier);
                    }
                }
                Err(error) => tracing::warn!(bridge = name, %error, "cannot set the internal port's carrier"),
            }
        }
    }

    fn has_carrier(&self, port: &str) -> bool {
        match self.port(port).and_then(|(_, port)| port.bond.as_ref()) {
            Some(bond) => bond.carrier(),
            None => self.link(port).is_some_and(|link| link.admin_up && link.carrier),
        }
    }

    fn sweep(&mut self, now: Duration) {
        self.next_sweep = now + SWEEP_PERIOD;
        self.sweep_part = self.sweep_part.wrapping_add(1);
        for (_, bridge) in self.bridges.iter() {
            let parts = bridge.fdb.config().capacity.div_ceil(SWEEP_SHARE);
            bridge.fdb.sweep(Tick::at(now), self.sweep_part % parts, parts);
        }
    }

    fn bonds(&self) -> impl Iterator<Item = (u16, &Bond)> {
        self.ports.iter().filter_map(|(number, port)| Some((number, port.bond.as_ref()?)))
    }

    fn revisions(&self) -> u64 {
        self.bonds().map(|(_, bond)| bond.revision()).sum()
    }

    fn port(&self, name: &str) -> Option<(u16, &Port)> {
        self.ports.iter().find(|(_, port)| port.name == name)
    }

    fn bond(&self, name: &str) -> Option<&Bond> {
        self.port(name)?.1.bond.as_ref()
    }

    fn attached(&self, name: &str) -> Option<&Attached> {
        self.devices.iter().map(|(_, attached)| attached).find(|attached| attached.name() == name)
    }

    /// The device of that name, if there is one.
    fn link(&self, name: &str) -> Option<&Link> {
        self.links.values().find(|link| link.name == name)
    }
}
