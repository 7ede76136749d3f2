//! Commands that only look.

use super::reply::{PortKind, ShowBridge, ShowInterface, ShowPort, ShowReply};
use super::{Draft, Problem, Reply};
use crate::model::{Bridge, Port, Vlan, VlanList};

impl Draft<'_> {
    pub(super) fn show(&self) -> ShowReply {
        let bridges = self.model.bridges.iter().map(|(name, b)| self.show_bridge(name, b)).collect();
        ShowReply { bridges, version: self.runtime.version() }
    }

    fn show_bridge(&self, name: &str, bridge: &Bridge) -> ShowBridge {
        let internal = show_port(name, &bridge.vlan, PortKind::Internal);
        let internal =
            ShowPort { interfaces: vec![ShowInterface { name: name.to_owned(), error: None }], ..internal };
        let mut ports: Vec<_> =
            bridge.ports.iter().map(|(name, port)| self.show_device_port(name, port)).collect();
        ports.push(internal);
        ports.sort_by(|a, b| a.name.cmp(&b.name));
        ShowBridge {
            name: name.to_owned(),
            mac: bridge.mac,
            carrier: bridge.carrier.clone(),
            mac_table_size: bridge.mac_table_size,
            mac_aging_time: bridge.mac_aging_time,
            ports,
        }
    }

    fn show_device_port(&self, name: &str, port: &Port) -> ShowPort {
        let Some(bond) = &port.bond else {
            let interfaces = vec![self.show_interface(name)];
            return ShowPort { interfaces, ..show_port(name, &port.vlan, PortKind::Device) };
        };
        ShowPort {
            options: bond.options.clone(),
            interfaces: bond.members.iter().map(|member| self.show_interface(member)).collect(),
            ..show_port(name, &port.vlan, PortKind::Bond)
        }
    }

    fn show_interface(&self, name: &str) -> ShowInterface {
        let missing = self.runtime.device(name).is_none();
        let error = missing.then(|| format!("could not open network device {name} (No such device)"));
        ShowInterface { name: name.to_owned(), error }
    }

    pub(super) fn fastpath_show(&self, bridge: Option<&str>) -> Result<Reply, Problem> {
        bridge.map(|name| self.check_running_bridge(name)).transpose()?;
        let mut status = self.runtime.fastpath();
        let wanted = |name: &str| bridge.is_none_or(|bridge| bridge == name);
        status.bridges.retain(|of| wanted(&of.bridge));
        status.devices.retain(|device| wanted(&device.bridge));
        Ok(Reply::FastPath(status))
    }

    pub(super) fn counters_show(&self, devices: &[String]) -> Result<Reply, Problem> {
        let all = self.runtime.counters();
        if let Some(unknown) = devices.iter().find(|name| all.iter().all(|c| c.device != **name)) {
            return Err(format!("no counters for {unknown}: it is not a device of this switch"));
        }
        let wanted = |device: &String| devices.is_empty() || devices.contains(device);
        Ok(Reply::Counters(all.into_iter().filter(|c| wanted(&c.device)).collect()))
    }
}

fn show_port(name: &str, vlan: &Vlan, kind: PortKind) -> ShowPort {
    let parts = vlan.parts();
    let vlans = |list: Option<VlanList>| list.map(|list| list.iter().collect()).unwrap_or_default();
    ShowPort {
        name: name.to_owned(),
        vlan_mode: vlan.mode().name().to_owned(),
        tag: parts.tag,
        trunks: vlans(parts.trunks),
        cvlans: vlans(parts.cvlans),
        kind,
        options: Default::default(),
        interfaces: Vec::new(),
    }
}
