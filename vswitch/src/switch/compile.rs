//! From what exists to the tables that decide about frames.

use std::collections::HashMap;
use std::sync::Arc;

use bond_port::{Bond, ReceivePlan};
use forwarding::drop_reason::DropReason;
use forwarding::ids::{BridgeId, DeviceId, PortId};
use forwarding::mac::MacAddr;
use forwarding::receive::Receive;
use forwarding::tables::{Admission, BridgeEntry, DeviceEntry, FloodLists, PortEntry, Tables, TransmitPlan};

use super::attached::Attached;
use super::{Port, Switch};
use crate::datapath::Snapshot;

impl Switch {
    /// Compiles and publishes. Workers use the result from their next burst on.
    pub(super) fn publish(&mut self) {
        self.published = self.revisions();
        self.refresh_guests();
        let snapshot = self.compile();
        self.publish_to_kernel(&snapshot);
        self.datapath.publish(snapshot);
    }

    fn compile(&self) -> Snapshot {
        let usable: HashMap<&str, DeviceId> = (self.devices.iter())
            .filter(|(_, attached)| attached.usable)
            .map(|(number, attached)| (attached.name(), DeviceId(number)))
            .collect();
        let tables = Tables {
            generation: 0,
            devices: self
                .devices
                .slots()
                .iter()
                .map(|slot| slot.as_ref().and_then(|a| self.device_entry(a)))
                .collect(),
            ports: self
                .ports
                .slots()
                .iter()
                .map(|slot| slot.as_ref().map(|p| self.port_entry(p, &usable)))
                .collect(),
            bridges: (self.bridges.slots().iter())
                .map(|slot| {
                    let bridge = slot.as_ref()?;
                    Some(BridgeEntry {
                        fdb: Arc::clone(&bridge.fdb),
                        flood: Arc::clone(&bridge.flood),
                        vlan_counters: bridge.vlan_counters.clone(),
                    })
                })
                .collect(),
        };
        let slots = self.devices.slots().iter().map(|s| s.as_ref().map(|a| Arc::clone(&a.slot))).collect();
        Snapshot { tables, slots }
    }

    fn device_entry(&self, attached: &Attached) -> Option<DeviceEntry> {
        let id = attached.port?;
        let bond = self.ports.get(id.0)?.bond.as_ref();
        let admission = bond.map_or(Admission::All, |bond| bond.admission(attached.name()));
        let slow_protocols = bond.is_some_and(speaks_lacp);
        let source = bond.and_then(|bond| own_address(bond, attached.name()));
        Some(DeviceEntry { port: id, mtu: attached.mtu, admission, slow_protocols, source })
    }

    fn port_entry(&self, port: &Port, usable: &HashMap<&str, DeviceId>) -> PortEntry {
        let transmit = match &port.bond {
            Some(bond) => bond.plan().clone(),
            None => match usable.get(port.name.as_str()) {
                Some(device) => TransmitPlan::One(*device),
                None => TransmitPlan::Drop(DropReason::DeviceDown),
            },
        };
        PortEntry {
            bridge: BridgeId(port.bridge),
            vlan: port.vlan.clone(),
            transmit,
            snoop: port.bond.is_none(),
            learning: port.learning,
            storm: port.storm.clone(),
            receive: port.bond.as_ref().and_then(Bond::receive).map(|plan| self.receive(port, plan)),
        }
    }

    fn receive(&self, port: &Port, plan: &ReceivePlan) -> Arc<Receive> {
        let ReceivePlan { own, table, loads } = plan.clone();
        let guests = self.bridges.get(port.bridge).map(|bridge| Arc::clone(&bridge.guests));
        Arc::new(Receive { own, table, guests: guests.unwrap_or_default(), loads })
    }

    /// Compiles the flood lists of a bridge; needed when a port comes, goes, or changes its VLANs.
    pub(super) fn compile_flood(&self, bridge: u16) -> Arc<FloodLists> {
        let ports: Vec<_> = (self.ports.iter())
            .filter(|(_, port)| port.bridge == bridge)
            .map(|(number, port)| (PortId(number), &port.vlan))
            .collect();
        Arc::new(FloodLists::compile(ports.iter().copied()))
    }
}

/// The address with which a member sends guests' frames, in modes where it does so with its own.
fn own_address(bond: &Bond, member: &str) -> Option<MacAddr> {
    let balanced = matches!(bond.plan(), TransmitPlan::Balanced { .. });
    bond.member(member).filter(|_| balanced)?.mac().filter(|mac| mac.is_valid_source())
}

/// Whether a bond's members hear and send LACPDUs.
fn speaks_lacp(bond: &Bond) -> bool {
    bond.lacp().is_some()
}
