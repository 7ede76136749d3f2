//! Which devices a model names, and what for.

use std::collections::BTreeMap;

use forwarding::mac::MacAddr;

use crate::model::Model;

/// What a device is used for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Role {
    /// The logical port it belongs to.
    pub(super) port: String,
    /// The address of an internal port, which is a TAP of ours.
    pub(super) internal: Option<MacAddr>,
}

impl Role {
    /// Whether it is a bridge's internal port.
    pub(super) fn is_internal(&self) -> bool {
        self.internal.is_some()
    }
}

/// Every device that a model names.
pub(super) fn roles(model: &Model) -> BTreeMap<&str, Role> {
    let mut roles = BTreeMap::new();
    for (name, bridge) in &model.bridges {
        roles.insert(name.as_str(), Role { port: name.clone(), internal: Some(bridge.mac) });
        for (port, wanted) in &bridge.ports {
            let devices = wanted.bond.as_ref().map_or(std::slice::from_ref(port), |bond| &bond.members);
            roles.extend(devices.iter().map(|d| (d.as_str(), Role { port: port.clone(), internal: None })));
        }
    }
    roles
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Bond, Bridge, Port};

    #[test]
    fn every_device_has_its_port() {
        let mac = MacAddr([2, 0, 0, 0, 0, 1]);
        let mut bridge = Bridge::new(mac);
        bridge.ports.insert("tap0".into(), Port::default());
        let bond = Bond { members: vec!["eth1".into(), "eth2".into()], ..Bond::default() };
        bridge.ports.insert("bond0".into(), Port { bond: Some(bond), ..Port::default() });
        let model = Model { bridges: [("br0".to_owned(), bridge)].into(), ..Model::default() };
        let role = |port: &str, internal| Role { port: port.to_owned(), internal };
        let expected = BTreeMap::from([
            ("br0", role("br0", Some(mac))),
            ("eth1", role("bond0", None)),
            ("eth2", role("bond0", None)),
            ("tap0", role("tap0", None)),
        ]);
        assert_eq!(roles(&model), expected);
    }
}
