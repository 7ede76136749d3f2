//! The running switch: what exists now, brought into line with the model.
//!
//! [`Switch`] belongs to the control thread. Link events, commands and the passing of time go in; after each, tables
//! are compiled and published if anything that decides about frames has changed.

mod announce;
mod attached;
mod breath;
mod bucket_loads;
mod commit;
mod compile;
pub mod fast;
mod fast_status;
mod lacp_status;
mod links;
mod memberships;
mod probes;
mod protocol;
mod receive;
mod restart;
mod roles;
mod slab;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bond_port::{Bond, BondEvent, LinkState, Weight};
use forwarding::fdb::{Fdb, Tick};
use forwarding::ids::{MAX_DEVICES, MAX_PORTS, PortId};
use forwarding::receive::Guests;
use forwarding::storm::Storm;
use forwarding::tables::{FloodLists, Learning};
use forwarding::vlan::VlanPolicy;
use forwarding::vlan_counters::VlanCounters;

use self::attached::Attached;
use self::breath::Breath;
pub use self::commit::Prepared;
use self::fast::{Fast, FastPath};
use self::probes::Probing;
use self::protocol::Protocols;
use self::receive::{GuestNews, Receiving};
use self::restart::Restart;
use self::slab::Slab;
pub use self::status::Moment;
use crate::announcer::Announcer;
use crate::datapath::{Datapath, Snapshot};
use crate::device::TxBurst;
use crate::events::EventKind;
use crate::model::{Model, Statics};
use crate::neighbours::Neighbours;
use crate::netlink::link::Link;
use crate::punt::Notice;
use crate::querier::Querier;
use crate::receive::owners::Owners;

/// How long a command waits for the workers to take over new tables.
const APPLY_LIMIT: Duration = Duration::from_secs(2);
/// How often the links of bonds' members are looked at in any case: the kernel may hold back the news that a NIC has lost
/// its carrier for up to a second (linkwatch).
const LINK_POLL: Duration = Duration::from_millis(50);
/// How often expired MACs are swept.
const SWEEP_PERIOD: Duration = Duration::from_secs(1);
/// Entries looked at in one sweep, about.
const SWEEP_SHARE: usize = 8_192;

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
    querier: Querier,
    /// Secret for FDB hashes.
    seed: u64,
    /// Whether frames are counted by VLAN.
    count_vlans: bool,
    next_sweep: Duration,
    sweep_part: usize,
    next_poll: Option<Duration>,
    /// Sum of the bonds' revisions in the published tables.
    published: u64,
    /// What happened since [`Self::take_events`] was last called, for those who watch.
    events: Vec<EventKind>,
    /// The model's hints changed since it was last saved.
    unsaved: bool,
    scratch: TxBurst,
    /// The kernel's executor.
    fast: Fast,
    /// Interface indexes of devices that the kernel's executor finds.
    indexed: BTreeSet<u32>,
    /// Counts devices that were installed.
    incarnation: u8,
    /// What bonds' modes have to say to their partners.
    protocols: Protocols,
    probing: Probing,
    restart: Restart,
    news: GuestNews,
    /// For work that takes long; everything else gets the time as an argument.
    breath: Breath,
    /// Everything stays in place at the end.
    handed_over: bool,
}

#[derive(Debug)]
struct Bridge {
    name: String,
    fdb: Arc<Fdb>,
    /// Number of the FDB's map in the kernel.
    fdb_number: Option<u16>,
    flood: Arc<FloodLists>,
    /// Which addresses the guests behind its ports have.
    neighbours: Neighbours,
    /// Which guest has an IP address, and the list of them that executors go by.
    owners: Owners,
    guests: Arc<Guests>,
    /// MACs entered by hand, as they are in `fdb`.
    statics: Statics,
    /// What comes in by VLAN, if it is to be counted.
    vlan_counters: Option<Arc<VlanCounters>>,
    /// The carrier last given to the internal port.
    carrier: Option<bool>,
}

#[derive(Debug)]
struct Port {
    name: String,
    /// Number of its bridge.
    bridge: u16,
    vlan: VlanPolicy,
    learning: Learning,
    storm: Option<Arc<Storm>>,
    /// A bond; otherwise the device of the same name (the internal port too).
    bond: Option<Bond>,
    /// What a bond in mode balance-alb has told.
    receiving: Option<Box<Receiving>>,
}

/// However the daemon ends, short of being killed: devices are left as they were found.
impl Drop for Switch {
    fn drop(&mut self) {
        self.shut_down();
    }
}

impl Switch {
    /// With no bridge. `now` counts from `epoch`. `links` are all devices there are; `seed` a secret number; `count_vlans` says whether frames are
    /// counted by VLAN; `fast` is the kernel's executor.
    ///
    /// # Errors
    /// No epoll instance can be had.
    pub fn new(
        epoch: Instant,
        datapath: Datapath,
        links: Vec<Link>,
        seed: u64,
        count_vlans: bool,
        fast: FastPath,
    ) -> io::Result<Self> {
        let fast = Fast::new(fast);
        let [bridge_numbers, port_numbers, device_numbers] = fast.earlier_numbers();
        let mut switch = Self {
            model: Model::default(),
            datapath,
            links: links.into_iter().map(|link| (link.ifindex, link)).collect(),
            bridges: Slab::new(MAX_PORTS),
            ports: Slab::new(MAX_PORTS),
            devices: Slab::new(MAX_DEVICES),
            fast,
            indexed: BTreeSet::new(),
            incarnation: 0,
            protocols: Protocols::new()?,
            probing: Probing::default(),
            restart: Restart::default(),
            news: GuestNews::default(),
            breath: Breath::new(epoch),
            handed_over: false,
            announcer: Announcer::default(),
            querier: Querier::default(),
            seed,
            count_vlans,
            next_sweep: SWEEP_PERIOD,
            sweep_part: 0,
            next_poll: None,
            published: 0,
            events: Vec::new(),
            unsaved: false,
            scratch: TxBurst::new(),
        };
        switch.bridges.reserve(bridge_numbers);
        switch.ports.reserve(port_numbers);
        switch.devices.reserve(device_numbers);
        Ok(switch)
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

    /// What the workers tell: guests' words about their addresses, and addresses that moved.
    pub fn handle_notice(&mut self, now: Duration, notice: Notice) {
        match notice {
            Notice::Frame { port, vlan, bytes } => {
                let Some(heard_on) = self.ports.get(port.0) else { return };
                let uplink = heard_on.bond.is_some();
                let Some(bridge) = self.bridges.get_mut(heard_on.bridge) else { return };
                if uplink {
                    bridge.neighbours.handle_uplink_frame(vlan, &bytes);
                    self.hear_beyond(now, port, vlan, &bytes);
                } else {
                    bridge.neighbours.handle_frame(now, port, vlan, &bytes);
                    self.hear_guest(now, port, vlan, &bytes);
                }
            }
            Notice::Moved(moved) => {
                let name = |id: PortId| self.ports.get(id.0).map(|port| port.name.clone());
                let bridge = self.ports.get(moved.to.0).and_then(|port| self.bridges.get(port.bridge));
                let (Some(bridge), Some(from), Some(to)) = (bridge, name(moved.from), name(moved.to)) else {
                    return;
                };
                let (vlan, mac) = (moved.vlan, moved.mac);
                tracing::debug!(bridge = bridge.name, vlan, %mac, from, to, "MAC moved");
                let bridge = bridge.name.clone();
                self.events.push(EventKind::MacMoved { bridge, vlan, mac, from, to });
            }
        }
    }

    /// What happened since this was last called.
    pub fn take_events(&mut self) -> Vec<EventKind> {
        std::mem::take(&mut self.events)
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub fn next_deadline(&self) -> Option<Duration> {
        let bonds = self
            .bonds()
            .flat_map(|(_, bond)| [bond.next_deadline(), bond.loads_deadline(), bond.receive_deadline()]);
        let bonds = bonds.flatten().min();
        let sweep = (self.bridges.len() > 0).then_some(self.next_sweep);
        let others = [
            self.next_poll,
            self.announcer.next_deadline(),
            self.querier.next_deadline(),
            self.protocols.next_deadline(),
            self.probing.next_deadline(),
            self.restart.next_deadline(),
            self.receive_deadline(),
        ];
        others.into_iter().chain([bonds, sweep]).flatten().min()
    }

    /// Does what is due: delays of bonds, announcements, ageing, polling of links.
    pub fn handle_timeout(&mut self, now: Duration) {
        // What has arrived counts, however late it is read.
        self.read_protocols(now);
        self.prepare_probes(now);
        for port in self.ports.iter_mut() {
            if let Some(bond) =
                port.1.bond.as_mut().filter(|bond| bond.next_deadline().is_some_and(|at| at <= now))
            {
                bond.handle_timeout(now);
            }
        }
        self.rebalance(now);
        self.settle(now);
        self.tend_receive(now);
        self.send_announcements(now);
        self.send_queries(now);
        if now >= self.next_sweep {
            self.sweep(now);
        }
        if self.next_poll.is_some_and(|at| at <= now) {
            self.poll_links(now);
        }
    }

    /// Publishes tables if a bond has another plan, then acts on what the bonds report. The order matters: frames
    /// leave by the new member before anything else is done, and a partner hears of it after that.
    fn settle(&mut self, now: Duration) {
        self.follow_bonds(now);
        self.follow_receive(now);
        let mut events = Vec::new();
        for (number, port) in self.ports.iter_mut() {
            let Some(bond) = &mut port.bond else { continue };
            while let Some(event) = bond.poll_event() {
                events.push((PortId(number), event));
            }
        }
        for (port, event) in events {
            self.restart.changed();
            self.act_on(port, event, now);
        }
        self.ask_memberships(now);
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

    /// Takes a member into use again (`enable`), or out of use, by hand. When it returns, every worker forwards by it.
    ///
    /// # Errors
    /// There is no such bond or member.
    pub fn switch_member(
        &mut self,
        now: Duration,
        bond: &str,
        member: &str,
        enable: bool,
    ) -> Result<(), String> {
        let found = self.bond_mut(bond).ok_or_else(|| format!("no bond named {bond}"))?;
        let result =
            if enable { found.enable_member(now, member) } else { found.disable_member(now, member) };
        result.map_err(|error| error.to_string())?;
        self.settle(now);
        self.wait_applied();
        Ok(())
    }

    /// Sets the counters of a bridge's FDB back to 0.
    pub fn clear_fdb_stats(&self, bridge: &str) {
        if let Some((_, bridge)) = self.bridges.iter().find(|(_, b)| b.name == bridge) {
            bridge.fdb.clear_stats();
        }
    }

    /// Forgets what a bridge has learned; returns how many entries.
    pub fn flush_fdb(&self, bridge: &str) -> usize {
        self.bridges.iter().find(|(_, b)| b.name == bridge).map_or(0, |(_, bridge)| bridge.fdb.flush())
    }

    /// Gives all devices back as they were found, and takes the internal ports away.
    fn shut_down(&mut self) {
        if self.handed_over {
            return;
        }
        self.say_farewell(|_| None, |_, _| false);
        for ifindex in self.fast.hooks.keys().copied().collect::<Vec<_>>() {
            self.fast.unhook(ifindex);
        }
        self.datapath.publish(Snapshot::default());
        self.wait_applied();
        let numbers: Vec<_> = self.devices.iter().map(|(number, _)| number).collect();
        numbers.into_iter().filter_map(|number| self.devices.remove(number)).for_each(Attached::release);
        if let Ok(kernel) = &self.fast.kernel
            && let Err(error) = kernel.pins().remove_all()
        {
            tracing::warn!(%error, "the pinned maps can't be removed");
        }
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
            BondEvent::Announce { member, buckets } => {
                self.announce(id, *member, *buckets, now);
                return;
            }
            BondEvent::ActiveChanged { new: None, .. } => self.announcer.cancel(id),
            BondEvent::ActiveChanged { new: Some(new), .. } => {
                self.unsaved |= self.model.note_active(&name, Some(new));
            }
            // Who was behind it may be anywhere else by now, as behind a plain port without carrier.
            BondEvent::CarrierChanged(false) => self.forget_macs(id),
            BondEvent::BucketMoved { .. }
            | BondEvent::Lacp { .. }
            | BondEvent::MemberLink { .. }
            | BondEvent::MemberDisabled { .. }
            | BondEvent::Probed { .. }
            | BondEvent::Target { .. }
            | BondEvent::Damped { .. }
            | BondEvent::CarrierChanged(true) => {}
        }
        match event.weight() {
            Weight::Detail => tracing::debug!(bond = name, "{event}"),
            Weight::Change => tracing::info!(bond = name, "{event}"),
            Weight::Unusual => tracing::warn!(bond = name, "{event}"),
        }
        if let BondEvent::MemberLink { member, to: LinkState::Up, .. } = &event
            && let Some(bond) = self.bond(&name)
        {
            let problems = [bond.link_problem(member), bond.address_problem(member)];
            for text in problems.into_iter().flatten() {
                tracing::warn!(bond = name, "{text}");
                let (bond, device) = (Some(name.clone()), Some(member.clone()));
                self.events.push(EventKind::Warning { bond, device, text });
            }
        }
        self.events.extend(EventKind::of_bond(&name, &event));
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
        for (_, bridge) in self.bridges.iter_mut() {
            let parts = bridge.fdb.config().capacity.div_ceil(SWEEP_SHARE);
            bridge.fdb.sweep(Tick::at(now), self.sweep_part % parts, parts);
            bridge.neighbours.sweep(now);
        }
        self.sweep_receive(now);
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
