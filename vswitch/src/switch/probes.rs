//! What link probes need of the switch: addresses to be sent from, counters, and FDB entries that keep answers from being
//! flooded.

use std::collections::BTreeSet;
use std::time::Duration;

use bond_port::Bond;
use bond_port::probe::Host;
use forwarding::fdb::Tick;
use forwarding::ids::PortId;
use forwarding::mac::MacAddr;
use forwarding::vlan::{TPID_8021Q, VlanTag};

use super::{Port, Switch};
use crate::netlink::addresses;

/// How often the internal ports' addresses are looked at.
const ADDRESSES_PERIOD: Duration = Duration::from_secs(1);

/// Of all bonds.
#[derive(Debug, Default)]
pub(super) struct Probing {
    next_addresses: Option<Duration>,
    /// Entries in FDBs: bridge, VLAN and address.
    entries: BTreeSet<(u16, u16, MacAddr)>,
}

impl Probing {
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        self.next_addresses
    }
}

impl Switch {
    /// To be called when bonds, their options or members have changed.
    pub(super) fn sync_probes(&mut self) {
        self.sync_probe_entries();
        let probing = self.bonds().any(|(_, bond)| bond.prober().is_some());
        self.probing.next_addresses = probing.then_some(Duration::ZERO);
        if probing {
            let now = self.breath.now();
            self.look_at_addresses(now);
        }
    }

    /// Tells bonds that probe what their members have received, as far as they want to know, before they judge; looks at
    /// the internal ports' addresses if it is time.
    pub(super) fn prepare_probes(&mut self, now: Duration) {
        if self.probing.next_addresses.is_some_and(|at| at <= now) {
            self.look_at_addresses(now);
        }
        let mut counts = Vec::new();
        for (port, bond) in self.bonds() {
            let wanted =
                bond.prober().filter(|prober| prober.counts_frames() && prober.next_deadline() <= now);
            for member in wanted.iter().flat_map(|_| bond.members()) {
                let Some(number) = self.device_number(member.name()) else { continue };
                let Some(attached) = self.devices.get(number) else { continue };
                let by_workers = attached.slot.counters.read().rx_frames;
                let frames = by_workers.wrapping_add(self.kernel_stats(number).rx_frames);
                counts.push((port, member.name().to_owned(), frames));
            }
        }
        for (port, member, frames) in counts {
            let bond = self.ports.get_mut(port).and_then(|port| port.bond.as_mut());
            if let Some(bond) = bond {
                bond.count_frames(now, &member, frames);
            }
        }
    }

    fn look_at_addresses(&mut self, now: Duration) {
        self.probing.next_addresses = Some(now.saturating_add(ADDRESSES_PERIOD));
        let all = match addresses::ip() {
            Ok(all) => all,
            Err(error) => return tracing::warn!(%error, "link probes are sent without addresses of the host"),
        };
        let mut hosts = Vec::new();
        for (number, port) in self.ports.iter() {
            let Some(bond) = port.bond.as_ref().filter(|bond| bond.prober().is_some()) else { continue };
            hosts.push((number, self.probe_host(port, bond, &all)));
        }
        for (number, host) in hosts {
            if let Some(bond) = self.ports.get_mut(number).and_then(|port| port.bond.as_mut()) {
                bond.set_probe_host(host);
            }
        }
        // The addresses of members may be others by now too.
        self.sync_probe_entries();
    }

    /// The internal port of a bond's bridge, if it is in the VLAN of the bond's probes.
    fn probe_host(&self, port: &Port, bond: &Bond, all: &[addresses::Ip]) -> Host {
        let bridge = self.bridges.get(port.bridge).map_or("", |bridge| bridge.name.as_str());
        let Some(wanted) = self.model.bridges.get(bridge) else { return Host::default() };
        let vlan = probe_vlan(port, bond);
        let is_in = vlan.is_some_and(|vlan| wanted.vlan.tag().unwrap_or(0) == vlan);
        let Some(ifindex) = self.attached(bridge).filter(|_| is_in).map(|attached| attached.ifindex()) else {
            return Host::default();
        };
        let mac = self.links.get(&ifindex).map_or(wanted.mac, |link| link.mac);
        let own = all.iter().filter(|address| address.ifindex == ifindex);
        Host { mac: Some(mac), addresses: own.map(|own| (own.address, own.prefix)).collect() }
    }

    /// Enters members' addresses into the FDB, behind their bond: what comes to such an address has arrived and is not
    /// flooded, and a probe that the upstream switch sends back is not learned. Likewise the internal port's, if probes are
    /// sent from it: the host itself may be silent for long.
    pub(super) fn sync_probe_entries(&mut self) {
        let mut wanted = BTreeSet::new();
        let mut ports = Vec::new();
        for (number, port) in self.ports.iter() {
            let Some(bond) = port.bond.as_ref().filter(|bond| bond.prober().is_some()) else { continue };
            let Some(vlan) = probe_vlan(port, bond) else { continue };
            let members = bond.members().iter().filter_map(|member| member.mac()).map(|mac| (mac, number));
            let internal = self.bridges.get(port.bridge).and_then(|bridge| self.port(&bridge.name));
            let host = bond.probe_host();
            let host = host.mac.zip(internal).filter(|_| !host.addresses.is_empty());
            for (mac, number) in members.chain(host.map(|(mac, (number, _))| (mac, number))) {
                let by_hand =
                    self.bridges.get(port.bridge).is_some_and(|b| b.statics.contains_key(&(vlan, mac)));
                if mac.is_valid_source() && !by_hand && wanted.insert((port.bridge, vlan, mac)) {
                    ports.push((port.bridge, vlan, mac, PortId(number)));
                }
            }
        }
        let now = Tick::at(self.breath.now());
        for (bridge, vlan, mac) in self.probing.entries.difference(&wanted) {
            let Some(bridge) = self.bridges.get(*bridge) else { continue };
            let ours = bridge.fdb.entry(*vlan, *mac, now).is_some_and(|entry| entry.is_static);
            if ours && !bridge.statics.contains_key(&(*vlan, *mac)) {
                bridge.fdb.remove(*vlan, *mac);
            }
        }
        for (number, vlan, mac, port) in ports {
            let Some(bridge) = self.bridges.get(number) else { continue };
            let known = bridge.fdb.entry(vlan, mac, now);
            if known.is_some_and(|known| known.is_static && known.port == port) {
                continue;
            }
            let is_new = !self.probing.entries.contains(&(number, vlan, mac));
            if !bridge.fdb.add_static(vlan, mac, port) && is_new {
                tracing::warn!(bridge = bridge.name, vlan, %mac, "no room for a member's own address in the FDB");
            }
        }
        self.probing.entries = wanted;
    }
}

/// The VLAN of the bridge in which a bond's probes are; `None` if its port does not carry it.
fn probe_vlan(port: &Port, bond: &Bond) -> Option<u16> {
    let vlan = bond.options().probe.vlan;
    port.vlan.classify((vlan != 0).then_some(VlanTag { tpid: TPID_8021Q, tci: vlan }))
}
