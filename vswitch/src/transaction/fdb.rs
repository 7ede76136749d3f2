//! Commands about MAC learning tables.

use forwarding::mac::MacAddr;

use super::reply::FdbTable;
use super::{Action, Draft, Problem, Reply};
use crate::model::Vlan;

impl Draft<'_> {
    pub(super) fn fdb_show(&self, bridges: &[String]) -> Result<Reply, Problem> {
        let all: Vec<String>;
        let bridges = if bridges.is_empty() {
            all = self.model.bridges.keys().cloned().collect();
            &all
        } else {
            bridges
        };
        let table = |bridge: &String| {
            self.check_running_bridge(bridge)?;
            Ok(FdbTable { bridge: bridge.clone(), entries: self.runtime.fdb(bridge) })
        };
        Ok(Reply::Fdb(bridges.iter().map(table).collect::<Result<_, Problem>>()?))
    }

    pub(super) fn fdb_flush(&mut self, bridge: Option<&str>) -> Result<Reply, Problem> {
        let bridges = self.one_or_all(bridge)?;
        self.actions.extend(bridges.into_iter().map(|bridge| Action::FlushFdb { bridge }));
        Ok(Reply::Text("table successfully flushed".to_owned()))
    }

    pub(super) fn check_running_bridge(&self, name: &str) -> Result<(), Problem> {
        if self.model.bridges.contains_key(name) {
            return Ok(());
        }
        Err(format!("no such bridge: {name}"))
    }

    /// This bridge, or all of them.
    fn one_or_all(&self, bridge: Option<&str>) -> Result<Vec<String>, Problem> {
        let Some(bridge) = bridge else { return Ok(self.model.bridges.keys().cloned().collect()) };
        self.check_running_bridge(bridge)?;
        Ok(vec![bridge.to_owned()])
    }

    pub(super) fn fdb_add(
        &mut self,
        bridge: &str,
        port: &str,
        vlan: &str,
        mac: &str,
    ) -> Result<Reply, Problem> {
        self.check_running_bridge(bridge)?;
        let key = read_entry(vlan, mac)?;
        match self.port_place(port) {
            Some((actual, _)) if actual == bridge => (),
            Some((actual, _)) => {
                return Err(format!("bridge {bridge} does not have a port {port}; it is on bridge {actual}"));
            }
            None => return Err(self.no_port(port)),
        }
        if self.model.vlan(port).is_some_and(|vlans| !vlans.policy().contains(key.0)) {
            return Err(format!("port {port} does not carry VLAN {}; change its tag or trunks first", key.0));
        }
        self.bridge_mut(bridge)?.statics.insert(key, port.to_owned());
        Ok(Reply::Done {})
    }

    pub(super) fn fdb_del(&mut self, bridge: &str, vlan: &str, mac: &str) -> Result<Reply, Problem> {
        self.check_running_bridge(bridge)?;
        let (vlan, mac) = read_entry(vlan, mac)?;
        match self.bridge_mut(bridge)?.statics.remove(&(vlan, mac)) {
            Some(_) => Ok(Reply::Done {}),
            None => Err(format!(
                "bridge {bridge} has no static entry for {mac} in VLAN {vlan} (fdb/flush forgets learned ones)"
            )),
        }
    }

    pub(super) fn fdb_stats_show(&self, bridge: Option<&str>) -> Result<Reply, Problem> {
        let bridges = self.one_or_all(bridge)?;
        Ok(Reply::FdbStats(bridges.iter().filter_map(|bridge| self.runtime.fdb_stats(bridge)).collect()))
    }

    pub(super) fn fdb_stats_clear(&mut self, bridge: Option<&str>) -> Result<Reply, Problem> {
        let bridges = self.one_or_all(bridge)?;
        self.actions.extend(bridges.into_iter().map(|bridge| Action::ClearFdbStats { bridge }));
        Ok(Reply::Text("statistics successfully cleared".to_owned()))
    }
}

fn read_entry(vlan: &str, mac: &str) -> Result<(u16, MacAddr), Problem> {
    let vlan = Vlan::parse_fdb_vlan(vlan).map_err(|error| format!("invalid vlan: {error}"))?;
    let mac: MacAddr = mac.parse().map_err(|error| format!("invalid mac: {error}"))?;
    if !mac.is_valid_source() {
        return Err(format!("invalid mac: {mac} is not the address of one device"));
    }
    Ok((vlan, mac))
}
