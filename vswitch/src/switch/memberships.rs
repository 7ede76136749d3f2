//! Guests are asked for their group memberships when a bond says so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bond_port::Bond;
use forwarding::fdb::Tick;
use forwarding::ids::{DeviceId, PortId};
use forwarding::membership::{igmp_query, mld_query};
use forwarding::vlan::VlanPolicy;

use super::Switch;
use crate::device::TxFrame;
use crate::querier::Query;

impl Switch {
    /// Asks for the bonds that want it.
    pub(super) fn ask_memberships(&mut self, now: Duration) {
        let wants = |(number, port): (u16, &mut super::Port)| {
            port.bond.as_mut().is_some_and(Bond::asks_memberships).then_some(PortId(number))
        };
        for bond in self.ports.iter_mut().filter_map(wants).collect::<Vec<_>>() {
            let queries = self.queries(bond, now);
            tracing::debug!(port = bond.0, questions = queries.len(), "asking guests for their groups");
            self.querier.ask(bond, queries);
        }
        self.send_queries(now);
    }

    /// One for each plain port of the bond's bridge and each VLAN that both carry: those in which somebody was heard
    /// there, and that of untagged frames. Behind another bond is a network with a querier of its own, and a tunnel's
    /// network is a customer's.
    fn queries(&self, id: PortId, now: Duration) -> Vec<Query> {
        let Some(bond) = self.ports.get(id.0) else { return Vec::new() };
        let Some(bridge) = self.bridges.get(bond.bridge) else { return Vec::new() };
        let Some(mac) = self.model.bridges.get(&bridge.name).map(|wanted| wanted.mac) else {
            return Vec::new();
        };
        let heard = bridge.fdb.entries(Tick::at(now)).into_iter().map(|entry| (entry.port, entry.vlan));
        let ports = self.ports.iter().filter(|(_, port)| port.bridge == bond.bridge);
        let untagged = ports.filter_map(|(n, port)| Some((PortId(n), port.vlan.classify(None)?)));
        let places: BTreeSet<_> = heard.chain(untagged).collect();
        let usable = self.devices.iter().filter(|(_, attached)| attached.usable);
        let devices: BTreeMap<_, _> =
            usable.filter_map(|(number, attached)| Some((attached.port?, DeviceId(number)))).collect();
        let query = |(id_of_port, vlan): (PortId, u16)| {
            let port = self.ports.get(id_of_port.0)?;
            let guests = port.bond.is_none() && !matches!(port.vlan, VlanPolicy::Dot1qTunnel { .. });
            let device = *devices.get(&id_of_port).filter(|_| guests && bond.vlan.contains(vlan))?;
            Some(Query { bond: id, device, tag: port.vlan.egress_tag(vlan, None), mac })
        };
        places.into_iter().filter_map(query).collect()
    }

    pub(super) fn send_queries(&mut self, now: Duration) {
        for Query { device, tag, mac, .. } in self.querier.poll_batch(now) {
            let Some(attached) = self.devices.get(device.0) else { continue };
            let (igmp, mld) = (igmp_query(mac), mld_query(mac));
            let frames = [&igmp[..], &mld].map(|bytes| TxFrame { tag, ..TxFrame::plain(bytes) });
            attached.slot.send(frames, &mut self.scratch);
        }
    }
}
