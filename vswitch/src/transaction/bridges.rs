//! Commands about whole bridges.

use super::{Draft, Problem, Reply};
use crate::model::Bridge;

impl Draft<'_> {
    pub(super) fn add_bridge(&mut self, name: &str, may_exist: bool) -> Result<Reply, Problem> {
        if may_exist && self.model.bridges.contains_key(name) {
            return Ok(Reply::Done {});
        }
        self.check_free("a bridge", name)?;
        self.check_internal(name)?;
        let bridge = Bridge::new(self.runtime.new_mac());
        self.model.bridges.insert(name.to_owned(), bridge);
        Ok(Reply::Done {})
    }

    pub(super) fn del_bridge(&mut self, name: &str, if_exists: bool) -> Result<Reply, Problem> {
        if self.model.bridges.remove(name).is_none() && !if_exists {
            return Err(no_bridge(name));
        }
        Ok(Reply::Done {})
    }

    /// The bridge of this name.
    pub(super) fn bridge(&self, name: &str) -> Result<&Bridge, Problem> {
        self.model.bridges.get(name).ok_or_else(|| no_bridge(name))
    }

    /// The bridge of this name, to be changed.
    pub(super) fn bridge_mut(&mut self, name: &str) -> Result<&mut Bridge, Problem> {
        self.model.bridges.get_mut(name).ok_or_else(|| no_bridge(name))
    }

    /// A bridge that follows the carrier of a port which this transaction took away follows none.
    pub(super) fn drop_dangling_carriers(&mut self) {
        for (name, bridge) in &mut self.model.bridges {
            if let Some(carrier) = bridge.carrier.take_if(|carrier| !bridge.ports.contains_key(carrier)) {
                self.warnings.push(format!(
                    "bridge {name} followed the carrier of {carrier}, which was deleted; its internal port is now \
                     always up"
                ));
            }
        }
    }
}

fn no_bridge(name: &str) -> Problem {
    format!("no bridge named {name}")
}
