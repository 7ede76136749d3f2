//! Receive balancing (balance-alb): what guests and the hosts beyond a bond say of their addresses goes in, updates for the
//! hosts and learning frames for the upstream switch come out.

mod gone;
mod taken;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bond_port::rebalance::Rebalancer;
use bond_port::{Bond, Mode};
use forwarding::announce::{Told, directed_arp, directed_na, directed_ns, learning};
use forwarding::bucket_loads::BUCKETS;
use forwarding::fdb::Tick;
use forwarding::ids::{DeviceId, PortId};
use forwarding::mac::MacAddr;
use forwarding::parse::{Network, parse};
use forwarding::rewrite::{self, Claim};
use forwarding::tables::TransmitPlan;
use forwarding::vlan::VlanTag;
use forwarding::wire::{ipv6, nd};

use self::gone::is_alive;
use super::status::bucket_move;
use super::{Bridge, Port, Switch};
use crate::device::TxFrame;
use crate::events::EventKind;
use crate::neighbours::Address;
use crate::receive::owners::{Claimed, Owner};
use crate::receive::peers::{Key, Peers, Table, Update, Word};
use crate::restart::KeptGuest;
use crate::transaction::reply::{ReceiveMember, ReceiveStatus};

/// At most so often the executors get a new list of guests.
const GUESTS_PACE: Duration = Duration::from_millis(20);
/// Hosts told at once, and the time until the next are.
const BATCH: usize = 64;
const PACE: Duration = Duration::from_millis(1);
/// Most VLANs in which members' addresses are repeated at once; the others at the next times.
const REPEATED_VLANS: usize = 64;
/// Refused claims are logged at most so often.
const LOG_PACE: Duration = Duration::from_secs(10);

/// What a bond that balances received frames has told, and to whom.
#[derive(Debug)]
pub(super) struct Receiving {
    pub(super) peers: Peers,
    table: Arc<Table>,
    /// Members' own addresses and the devices by which the upstream switch was told of them.
    told: Vec<(MacAddr, DeviceId)>,
    /// What the mode was told of pairs.
    occupied: [u32; BUCKETS],
    next_update: Duration,
    next_learning: Duration,
    /// The first of the VLANs that are next to be repeated.
    vlan: u16,
}

impl Default for Receiving {
    fn default() -> Self {
        Self {
            peers: Peers::default(),
            table: Arc::new([None; BUCKETS]),
            told: Vec::new(),
            occupied: [0; BUCKETS],
            next_update: Duration::ZERO,
            next_learning: Duration::ZERO,
            vlan: 0,
        }
    }
}

/// When refused claims were logged last, and when the list of guests was published.
#[derive(Debug, Default)]
pub(super) struct GuestNews {
    /// The published list of some bridge is old, if any bond goes by one.
    stale: bool,
    /// Some bond does.
    balances: bool,
    published: Duration,
    logged: Option<Duration>,
}

/// An address that one station has.
fn is_a_stations(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => {
            !(ip.is_unspecified() || ip.is_multicast() || ip.is_broadcast() || ip.is_loopback())
        }
        IpAddr::V6(ip) => !(ip.is_unspecified() || ip.is_multicast() || ip.is_loopback()),
    }
}

/// A frame of ARP or neighbour discovery.
struct Heard {
    src: MacAddr,
    dst: MacAddr,
    /// It changes what those hosts think that know its sender: ARP, and advertisements.
    is_news: bool,
    /// What it says of its sender.
    claim: Option<Claim>,
    /// The IP address it is for.
    to: Option<IpAddr>,
}

impl Heard {
    fn read(bytes: &[u8]) -> Option<Self> {
        let parsed = parse(bytes, None).ok().filter(|parsed| parsed.inner_tags == 0)?;
        let claim = Claim::read(bytes, &parsed).filter(|claim| is_a_stations(claim.ip));
        let is_news = match parsed.network {
            Network::Arp { .. } => true,
            _ => bytes.get(parsed.l3_offset + ipv6::HEADER_LEN) == Some(&nd::ADVERTISEMENT),
        };
        let to = rewrite::destination(bytes, &parsed).filter(|ip| is_a_stations(*ip));
        Some(Self { src: parsed.src, dst: parsed.dst, is_news, claim, to })
    }
}

impl Switch {
    /// ARP or neighbour discovery from a guest.
    pub(super) fn hear_guest(&mut self, now: Duration, port: PortId, vlan: u16, bytes: &[u8]) {
        let Some(heard) = Heard::read(bytes) else { return };
        let Some(claim) = heard.claim.filter(|claim| claim.mac == heard.src) else { return };
        let Some(number) = self.ports.get(port.0).map(|port| port.bridge) else { return };
        let Some(bridge) = self.bridges.get_mut(number) else { return };
        let tick = Tick::at(now);
        let (key, guest) = ((vlan, claim.ip), (port, claim.mac));
        match bridge.owners.claim(now, key, guest, is_alive(&bridge.fdb, tick)) {
            Claimed::New => {
                self.news.stale = true;
                self.pass_on(now, number, key, claim.mac);
            }
            Claimed::Known => {}
            Claimed::Refused(owner) => {
                if heard.is_news && heard.dst.is_multicast() {
                    self.contradict(now, number, key, Some(claim.mac));
                }
                return self.refuse(now, number, key, guest, owner);
            }
        }
        if !self.news.balances {
            return;
        }
        let Some(bridge) = self.bridges.get(number) else { return };
        // The executors name a member only for guests whose address they know.
        let is_named = bridge.guests.owner(vlan, claim.ip) == Some(claim.mac);
        let beyond = bridge.fdb.lookup(vlan, heard.dst, tick);
        for (id, port) in self.ports.iter_mut().filter(|(_, port)| port.bridge == number) {
            let Some(Receiving { peers, table, .. }) = port.receiving.as_deref_mut() else { continue };
            if heard.dst.is_multicast() {
                if heard.is_news {
                    peers.overhear(now, vlan, claim.ip, claim.mac, table);
                }
            } else if beyond == Some(PortId(id))
                && let Some(peer_ip) = heard.to
            {
                let key = Key { vlan, guest: claim.ip, peer: heard.dst };
                let named = key.named(table).filter(|_| is_named).unwrap_or(claim.mac);
                peers.hear(now, key, Word { mac: claim.mac, peer_ip, has: Some(named) }, table);
            }
        }
    }

    /// ARP or neighbour discovery that came in by a bond.
    pub(super) fn hear_beyond(&mut self, now: Duration, id: PortId, vlan: u16, bytes: &[u8]) {
        let Some(port) = self.ports.get_mut(id.0) else { return };
        let Some(Receiving { peers, table, told, .. }) = port.receiving.as_deref_mut() else { return };
        let Some(bridge) = self.bridges.get_mut(port.bridge) else { return };
        let Some(heard) = Heard::read(bytes) else { return };
        let Some(claim) = heard.claim else { return };
        let is_ours = |mac| told.iter().any(|(own, _)| *own == mac);
        if bridge.owners.owner(vlan, claim.ip).is_some_and(|owner| owner.mac != claim.mac)
            && !is_ours(claim.mac)
        {
            bridge.owners.contest(now, (vlan, claim.ip), None);
        }
        let Some(guest) = heard.to else { return };
        let Some(owner) = bridge.owners.owner(vlan, guest) else { return };
        if heard.dst == owner.mac || is_ours(heard.dst) {
            let key = Key { vlan, guest, peer: heard.src };
            peers.hear(now, key, Word { mac: owner.mac, peer_ip: claim.ip, has: Some(heard.dst) }, table);
        }
    }

    /// A guest claims an address that another has.
    fn refuse(
        &mut self,
        now: Duration,
        bridge: u16,
        (vlan, ip): (u16, IpAddr),
        (port, mac): (PortId, MacAddr),
        owner: Owner,
    ) {
        let is_balanced = |port: &Port| port.bridge == bridge && port.receiving.is_some();
        if !self.ports.iter().any(|(_, port)| is_balanced(port)) {
            return;
        }
        if let Some(found) = self.bridges.get_mut(bridge) {
            found.owners.contest(now, (vlan, ip), Some((port, mac)));
        }
        if self.news.logged.is_some_and(|logged| now < logged + LOG_PACE) {
            return;
        }
        self.news.logged = Some(now);
        let name = |id: PortId| self.ports.get(id.0).map_or_else(String::new, |port| port.name.clone());
        let (bridge, port, owner_port) = (
            self.bridges.get(bridge).map_or_else(String::new, |bridge| bridge.name.clone()),
            name(port),
            name(owner.port),
        );
        tracing::warn!(
            bridge,
            vlan,
            "{mac} on {port} claims {ip}, which {} on {owner_port} has: frames for it go on going there; \
             it is asked whether it still has it",
            owner.mac
        );
        self.events.push(EventKind::ClaimRefused {
            bridge,
            vlan,
            ip,
            mac,
            port,
            owner: owner.mac,
            owner_port,
        });
    }

    /// Takes over what bonds have decided, to be called when it is published: hosts are told if they are to send to another
    /// member, and the upstream switch if a member's address is elsewhere.
    pub(super) fn follow_receive(&mut self, now: Duration) {
        let mut learn = Vec::new();
        self.news.balances = false;
        for (id, port) in self.ports.iter_mut() {
            let balances = |bond: &&Bond| bond.options().mode == Mode::BalanceAlb;
            let Some(bond) = port.bond.as_ref().filter(balances) else {
                port.receiving = None;
                continue;
            };
            self.news.balances = true;
            let receiving = port.receiving.get_or_insert_default();
            let Some(plan) = bond.receive() else { continue };
            if receiving.table != plan.table {
                receiving.table = Arc::clone(&plan.table);
                receiving.peers.retable(now, &receiving.table);
            }
            if receiving.told != plan.own {
                let news = plan.own.iter().filter(|own| !receiving.told.contains(own)).copied();
                learn.push((PortId(id), news.collect::<Vec<_>>()));
                receiving.told.clone_from(&plan.own);
            }
        }
        for (id, own) in learn {
            self.send_learning(id, &own, usize::MAX);
        }
        self.send_updates(now);
    }

    /// What is to be done after guests and hosts were heard, or when it is time.
    pub fn tend_receive(&mut self, now: Duration) {
        self.judge_contests(now);
        self.drop_gone();
        self.publish_guests(now);
        let mut dealt = false;
        for (_, port) in self.ports.iter_mut() {
            let (Some(receiving), Some(bond)) = (port.receiving.as_deref_mut(), port.bond.as_mut()) else {
                continue;
            };
            if receiving.occupied != *receiving.peers.occupied() {
                receiving.occupied = *receiving.peers.occupied();
                bond.occupy(now, &receiving.occupied);
                dealt = true;
            }
        }
        if dealt {
            self.settle(now);
        }
        self.send_updates(now);
        self.repeat_learning(now);
    }

    /// When [`Self::tend_receive`] is to be called in any case.
    pub(super) fn receive_deadline(&self) -> Option<Duration> {
        let of_ports = self.ports.iter().filter_map(|(_, port)| {
            let (receiving, bond) = (port.receiving.as_deref()?, port.bond.as_ref()?);
            bond.receive()?;
            let update = receiving.peers.next_deadline().map(|at| at.max(receiving.next_update));
            Some(update.map_or(receiving.next_learning, |at| at.min(receiving.next_learning)))
        });
        let news = &self.news;
        let guests = (news.stale && news.balances).then_some(news.published + GUESTS_PACE);
        let contests = self.bridges.iter().filter_map(|(_, bridge)| bridge.owners.next_deadline());
        of_ports.chain(guests).chain(contests).min()
    }

    /// What there is to tell of a bond.
    pub(super) fn receive_status(&self, now: Duration, port: &Port) -> Option<ReceiveStatus> {
        let (receiving, bond) = (port.receiving.as_deref()?, port.bond.as_ref()?);
        let bridge = self.bridges.get(port.bridge)?;
        let rebalancer = bond.receive_rebalancer();
        let loads = rebalancer.and_then(Rebalancer::loads).copied().unwrap_or([0; BUCKETS]);
        let device_name = |device: DeviceId| {
            let attached = self.devices.get(device.0);
            attached.map_or_else(String::new, |attached| attached.name().to_owned())
        };
        let members = bond.receive().into_iter().flat_map(|plan| {
            plan.own.iter().filter_map(|(mac, device)| {
                let member = bond.members().iter().find(|member| member.mac() == Some(*mac))?;
                let held = (0..BUCKETS).filter(|bucket| plan.table[*bucket] == Some(*mac));
                Some(ReceiveMember {
                    member: member.name().to_owned(),
                    received_by: device_name(*device),
                    buckets: held.clone().count() as u32,
                    peers: held.clone().map(|bucket| u64::from(receiving.occupied[bucket])).sum(),
                    load: held.map(|bucket| loads[bucket]).sum(),
                })
            })
        });
        Some(ReceiveStatus {
            guests: bridge.owners.len() as u64,
            refused: bridge.owners.refused(),
            peers: receiving.peers.len() as u64,
            updates: receiving.peers.updates(),
            moved: rebalancer.map_or(0, Rebalancer::moved),
            last: bond.last_receive_moves(now).into_iter().map(bucket_move).collect(),
            members: members.collect(),
        })
    }

    /// The guests of bridges with a bond that balances what comes in, for the next daemon.
    pub(super) fn kept_guests(&self) -> Vec<KeptGuest> {
        let balanced: BTreeSet<u16> = self
            .ports
            .iter()
            .filter(|(_, port)| port.receiving.is_some())
            .map(|(_, port)| port.bridge)
            .collect();
        let bridges = self.bridges.iter().filter(|(number, _)| balanced.contains(number));
        let guests = bridges.flat_map(|(_, bridge)| {
            bridge.owners.iter().filter_map(|((vlan, ip), owner)| {
                let port = self.ports.get(owner.port.0)?.name.clone();
                Some(KeptGuest { bridge: bridge.name.clone(), port, vlan, ip, mac: owner.mac })
            })
        });
        guests.collect()
    }

    /// Takes over what the daemon before knew of guests whose ports are still there.
    pub(super) fn restore_guests(&mut self, now: Duration, guests: Vec<KeptGuest>) {
        let numbers: BTreeMap<String, (u16, u16)> =
            self.ports.iter().map(|(id, port)| (port.name.clone(), (id, port.bridge))).collect();
        for KeptGuest { bridge, port, vlan, ip, mac } in guests {
            let Some((id, number)) = numbers.get(&port) else { continue };
            let found = self.bridges.get_mut(*number).filter(|found| found.name == bridge);
            if let Some(found) = found.filter(|_| mac.is_valid_source() && is_a_stations(ip)) {
                found.owners.restore([((vlan, ip), Owner { mac, port: PortId(*id), seen: now })]);
                self.news.stale = true;
            }
        }
    }

    /// Brings the lists of guests up to date that the next tables have.
    pub(super) fn refresh_guests(&mut self) {
        // Where no bond goes by them they wait until one does.
        if !self.news.stale || !self.bonds().any(|(_, bond)| bond.options().mode == Mode::BalanceAlb) {
            return;
        }
        self.news.stale = false;
        self.restart.heard();
        for (_, bridge) in self.bridges.iter_mut() {
            let guests = bridge.owners.guests();
            if *bridge.guests != guests {
                bridge.guests = Arc::new(guests);
            }
        }
    }

    fn publish_guests(&mut self, now: Duration) {
        if self.news.stale && self.news.balances && now >= self.news.published + GUESTS_PACE {
            self.news.published = now;
            self.publish();
        }
    }

    /// Tells hosts where guests' addresses are, as many as are due and may be told at once. Not before the executors know the
    /// guests: what hosts send to a member then would go nowhere.
    fn send_updates(&mut self, now: Duration) {
        if self.news.stale {
            return;
        }
        let mut batches = Vec::new();
        for (id, port) in self.ports.iter_mut() {
            let (Some(receiving), Some(bond)) = (port.receiving.as_deref_mut(), port.bond.as_ref()) else {
                continue;
            };
            let Some(home) = home(bond).filter(|_| now >= receiving.next_update) else { continue };
            let updates = receiving.peers.poll(now, BATCH, &receiving.table);
            if updates.is_empty() {
                continue;
            }
            receiving.next_update = now + PACE;
            let Some(bridge) = self.bridges.get(port.bridge) else { continue };
            // Nobody is told of a guest, or of its address, that may have gone to where the hosts are.
            let tick = Tick::at(now);
            let is_here = |update: &Update| {
                let Key { vlan, guest, .. } = update.key;
                bridge.fdb.lookup(vlan, update.mac, tick) != Some(PortId(id))
                    && !bridge.owners.is_disputed(&(vlan, guest))
            };
            let frames =
                (updates.into_iter()).filter(|update| port.vlan.contains(update.key.vlan) && is_here(update));
            let frames = frames.filter_map(|update| {
                let tag = port.vlan.egress_tag(update.key.vlan, None);
                Some((frame(now, bridge, &update)?, tag))
            });
            batches.push((home, frames.collect::<Vec<_>>()));
        }
        for (device, frames) in batches {
            self.send_frames(device, &frames);
        }
    }

    /// Repeats where members' own addresses are, each `lp_interval`.
    fn repeat_learning(&mut self, now: Duration) {
        let mut due = Vec::new();
        for (id, port) in self.ports.iter_mut() {
            let (Some(receiving), Some(bond)) = (port.receiving.as_deref_mut(), port.bond.as_ref()) else {
                continue;
            };
            if now >= receiving.next_learning
                && let Some(plan) = bond.receive()
            {
                receiving.next_learning = now + Duration::from_secs(bond.options().lp_interval.into());
                due.push((PortId(id), plan.own.clone()));
            }
        }
        for (id, own) in due {
            self.send_learning(id, &own, REPEATED_VLANS);
        }
    }

    /// Sends learning frames of members' own addresses in the VLANs that guests are in, at most so many.
    fn send_learning(&mut self, id: PortId, own: &[(MacAddr, DeviceId)], most: usize) {
        let Some(port) = self.ports.get_mut(id.0) else { return };
        let Some(bridge) = self.bridges.get(port.bridge) else { return };
        let vlans = bridge.owners.iter().map(|((vlan, _), _)| vlan).chain([0]);
        let vlans: BTreeSet<u16> = vlans.filter(|vlan| port.vlan.contains(*vlan)).collect();
        let from = port.receiving.as_ref().map_or(0, |receiving| receiving.vlan);
        let (before, after): (Vec<u16>, Vec<u16>) = vlans.into_iter().partition(|vlan| *vlan < from);
        let turn: Vec<u16> = after.into_iter().chain(before).collect();
        if let (Some(next), Some(receiving)) = (turn.get(most), port.receiving.as_deref_mut()) {
            receiving.vlan = *next;
        }
        let tags: Vec<_> = turn.iter().take(most).map(|vlan| port.vlan.egress_tag(*vlan, None)).collect();
        for (mac, device) in own {
            let frames: Vec<_> = tags.iter().map(|tag| (learning(*mac).to_vec(), *tag)).collect();
            self.send_frames(*device, &frames);
        }
    }

    fn send_frames(&mut self, device: DeviceId, frames: &[(Vec<u8>, Option<VlanTag>)]) {
        let Some(attached) = self.devices.get(device.0) else { return };
        let frames = frames.iter().map(|(bytes, tag)| TxFrame { tag: *tag, ..TxFrame::plain(bytes) });
        attached.slot.send(frames, &mut self.scratch);
    }
}

/// The device by which guests' own ARP leaves.
fn home(bond: &Bond) -> Option<DeviceId> {
    bond.receive()?;
    match bond.plan() {
        TransmitPlan::Balanced { home, .. } => Some(*home),
        _ => None,
    }
}

/// The frame of an update.
fn frame(now: Duration, bridge: &Bridge, update: &Update) -> Option<Vec<u8>> {
    let Update { key: Key { vlan, guest, peer }, mac, peer_ip, tell } = *update;
    Some(match (guest, peer_ip) {
        (IpAddr::V4(ip), _) => directed_arp(&Told { guest: mac, ip, peer, at: tell }).to_vec(),
        (IpAddr::V6(ip), IpAddr::V6(peer_ip)) => {
            let told = Told { guest: mac, ip, peer, at: tell };
            let port = bridge.owners.owner(vlan, guest)?.port;
            let known = bridge.neighbours.addresses(now, port, vlan, mac);
            let router = known.iter().find_map(|address| match address {
                Address::V6 { ip: known, router } if *known == ip => *router,
                _ => None,
            });
            match router {
                Some(router) => directed_na(&told, peer_ip, router).to_vec(),
                None => directed_ns(&told, peer_ip).to_vec(),
            }
        }
        (IpAddr::V6(_), IpAddr::V4(_)) => return None,
    })
}
