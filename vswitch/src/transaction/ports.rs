//! Commands about ports of any kind.

use super::columns::Table;
use super::{Draft, Problem, Reply, Setting};
use crate::model::{Place, Port};

impl Draft<'_> {
    pub(super) fn add_port(
        &mut self,
        bridge: &str,
        port: &str,
        settings: &[Setting],
        may_exist: bool,
    ) -> Result<Reply, Problem> {
        self.bridge(bridge)?;
        if may_exist && self.port_is_there(bridge, port)? {
            return self.apply(Table::Port, port, settings);
        }
        self.check_free("a port", port)?;
        self.check_device(port)?;
        self.bridge_mut(bridge)?.ports.insert(port.to_owned(), Port::default());
        self.apply(Table::Port, port, settings)
    }

    /// For `--may-exist`: whether the port exists just so; an error if it exists otherwise.
    fn port_is_there(&self, bridge: &str, port: &str) -> Result<bool, Problem> {
        let but = |found: String| Err(format!("\"--may-exist add-port {bridge} {port}\" but {port} {found}"));
        match self.model.place_of(port) {
            None => Ok(false),
            Some(Place::Port { bridge: actual }) if actual == bridge => Ok(true),
            Some(Place::Port { bridge: actual }) => but(format!("is actually attached to bridge {actual}")),
            Some(Place::Bond { bridge: actual }) => {
                let members =
                    self.model.bond(port).map(|(_, bond)| bond.members.join(", ")).unwrap_or_default();
                but(format!("is a bond on bridge {actual} and actually has interface(s) {members}"))
            }
            Some(Place::Bridge) => but("is a bridge".to_owned()),
            Some(Place::Member { bond, .. }) => but(format!("is actually a member of bond {bond}")),
        }
    }

    pub(super) fn del_port(
        &mut self,
        bridge: Option<&str>,
        port: &str,
        if_exists: bool,
        with_iface: bool,
    ) -> Result<Reply, Problem> {
        if let Some(bridge) = bridge {
            self.bridge(bridge)?;
        }
        let bond = match self.model.place_of(port) {
            Some(Place::Member { bond, .. }) if with_iface => Some(bond.to_owned()),
            _ => None,
        };
        let port = bond.as_deref().unwrap_or(port);
        let actual = match self.port_place(port) {
            None if if_exists => return Ok(Reply::Done {}),
            None => return Err(self.no_port(port)),
            Some((actual, _)) => actual.to_owned(),
        };
        if self.model.bridges.contains_key(port) {
            return Err(format!(
                "cannot delete port {port} because it is the local port for bridge {port} (deleting this port \
                 requires deleting the entire bridge)"
            ));
        }
        if let Some(bridge) = bridge.filter(|bridge| *bridge != actual) {
            return Err(format!("bridge {bridge} does not have a port {port}; it is on bridge {actual}"));
        }
        self.bridge_mut(&actual)?.ports.remove(port);
        Ok(Reply::Done {})
    }

    pub(super) fn list_ports(&self, bridge: &str) -> Result<Reply, Problem> {
        Ok(Reply::Names(self.bridge(bridge)?.ports.keys().cloned().collect()))
    }

    pub(super) fn list_ifaces(&self, bridge: &str) -> Result<Reply, Problem> {
        let bridge = self.bridge(bridge)?;
        let members = bridge.bonds().flat_map(|(_, _, bond)| bond.members.iter().map(String::as_str));
        let mut names: Vec<_> =
            bridge.plain_ports().map(|(name, _)| name).chain(members).map(str::to_owned).collect();
        names.sort_unstable();
        Ok(Reply::Names(names))
    }

    pub(super) fn port_to_bridge(&self, port: &str) -> Result<Reply, Problem> {
        match self.port_place(port) {
            Some((bridge, _)) => Ok(Reply::Text(bridge.to_owned())),
            None => Err(self.no_port(port)),
        }
    }

    pub(super) fn iface_to_bridge(&self, iface: &str) -> Result<Reply, Problem> {
        match self.model.place_of(iface) {
            Some(Place::Bridge) => Ok(Reply::Text(iface.to_owned())),
            Some(Place::Port { bridge } | Place::Member { bridge, .. }) => Ok(Reply::Text(bridge.to_owned())),
            Some(Place::Bond { .. }) => Err(format!(
                "no interface named {iface}; it is a bond (port-to-br finds its bridge, bond/show its members)"
            )),
            None => Err(format!("no interface named {iface}")),
        }
    }

    pub(super) fn no_port(&self, name: &str) -> Problem {
        match self.model.place_of(name) {
            Some(Place::Member { bond, .. }) => {
                format!("no port named {name}; it is a member of bond {bond}")
            }
            _ => format!("no port named {name}"),
        }
    }
}
