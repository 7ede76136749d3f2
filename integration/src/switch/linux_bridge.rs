//! The kernel's bridge: the yardstick for speed. No bond: the kernel's bonding driver may be missing, and the bridge
//! carries frames of one uplink just as well.

use anyhow::{Result, bail};

use super::{BRIDGE, Switch};
use crate::topology::Topology;

/// A kernel bridge of all guests and the first uplink. It goes with the topology.
pub struct LinuxBridge(());

impl LinuxBridge {
    /// Makes the bridge.
    pub fn start(topology: &Topology) -> Result<Self> {
        let host = &topology.host;
        host.ip(&format!("link add {BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"))?;
        let guests = (1..=topology.guests.len()).map(|i| format!("g{i}"));
        for port in guests.chain(["u1".to_owned()]) {
            host.ip(&format!("link set {port} master {BRIDGE}"))?;
        }
        host.ip(&format!("link set {BRIDGE} up"))?;
        Ok(Self(()))
    }
}

impl Switch for LinuxBridge {
    fn active(&self) -> Result<Option<String>> {
        Ok(Some("u1".to_owned()))
    }

    fn activate(&self, _uplink: &str) -> Result<()> {
        bail!("the Linux bridge has one uplink here")
    }

    fn crash(&mut self) -> Result<()> {
        bail!("the Linux bridge has no process")
    }

    fn restart(&mut self) -> Result<()> {
        bail!("the Linux bridge has no process")
    }
}
