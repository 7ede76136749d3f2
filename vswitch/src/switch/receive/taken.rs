//! Members whose own address a guest has too.

use std::collections::BTreeSet;
use std::time::Duration;

use bond_port::Mode;
use forwarding::fdb::Tick;
use forwarding::ids::PortId;
use forwarding::mac::MacAddr;

use super::super::Switch;
use crate::events::EventKind;

impl Switch {
    /// Tells bonds whose members send as themselves if a guest, or the host, has the same address as one of them. A guest is
    /// looked for in the VLANs in which some guest has an IP address.
    pub(super) fn look_for_taken(&mut self, now: Duration) {
        let mut found = Vec::new();
        for (id, port) in self.ports.iter() {
            let Some(bond) = &port.bond else { continue };
            let as_itself = matches!(bond.options().mode, Mode::BalanceTlb | Mode::BalanceAlb);
            let vlans = if as_itself { self.vlans_of_guests(port.bridge) } else { BTreeSet::new() };
            for member in bond.members() {
                let mac = member.mac().filter(|mac| as_itself && mac.is_valid_source());
                let by = mac.and_then(|mac| self.station(now, port.bridge, mac, &vlans));
                found.push((PortId(id), member.name().to_owned(), by));
            }
        }
        let mut news = false;
        for (id, member, by) in found {
            let Some(port) = self.ports.get_mut(id.0) else { continue };
            let Some(bond) = port.bond.as_mut().filter(|bond| bond.member(&member).is_some()) else {
                continue;
            };
            if !bond.set_taken(now, &member, by.as_deref()) {
                continue;
            }
            news = true;
            if let Some(text) = by.and_then(|_| bond.address_problem(&member)) {
                let bond = port.name.clone();
                tracing::warn!(bond, "{text}");
                self.events.push(EventKind::Warning { bond: Some(bond), device: Some(member), text });
            }
        }
        if news {
            self.settle(now);
        }
    }

    fn vlans_of_guests(&self, bridge: u16) -> BTreeSet<u16> {
        let owners = self.bridges.get(bridge).map(|bridge| &bridge.owners);
        owners.into_iter().flat_map(|owners| owners.iter()).map(|((vlan, _), _)| vlan).chain([0]).collect()
    }

    /// The port, no bond, behind which an address is.
    fn station(&self, now: Duration, bridge: u16, mac: MacAddr, vlans: &BTreeSet<u16>) -> Option<String> {
        let found = self.bridges.get(bridge)?;
        if self.model.bridges.get(&found.name).is_some_and(|internal| internal.mac == mac) {
            return Some(found.name.clone());
        }
        let tick = Tick::at(now);
        let known = vlans.iter().filter_map(|vlan| found.fdb.lookup(*vlan, mac, tick));
        let mut ports = known.filter_map(|id| self.ports.get(id.0)).filter(|port| port.bond.is_none());
        ports.next().map(|port| port.name.clone())
    }
}
