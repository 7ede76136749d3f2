//! The switch under test: ours or a peer, wired the same way: each guest's device is a port, the uplinks are a bond.

mod linux_bridge;
mod ovs;
mod vswitch;

use anyhow::Result;

pub use linux_bridge::LinuxBridge;
pub use ovs::{Ovs, finish_checksums};
pub use vswitch::{BondView, MemberView, Vswitch, binary};

use crate::process::find_program;
use crate::testing::tun_problem;
use crate::topology::Topology;

/// The bridge's name in every switch.
pub const BRIDGE: &str = "br0";
/// The bond's name in every switch that has one.
pub const BOND: &str = "bond0";

/// Which ports get which VLAN.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wiring {
    /// All guests and the uplinks are access ports of this VLAN; `None` for no VLANs at all.
    pub tag: Option<u16>,
}

/// The three that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The kernel's bridge, with the first uplink only: it has no bonds of its own.
    LinuxBridge,
    /// Open vSwitch in userspace (`datapath_type=netdev`) with an active-backup bond and the guests' transmit offloads
    /// off, without which it drops their TCP.
    Ovs,
    /// `vswitchd`.
    Vswitch,
}

impl Kind {
    /// In the order in which tables show them.
    pub const ALL: [Self; 3] = [Self::LinuxBridge, Self::Ovs, Self::Vswitch];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LinuxBridge => "Linux bridge",
            Self::Ovs => "OVS netdev",
            Self::Vswitch => "vswitch",
        }
    }

    /// What keeps this one from running here, if anything.
    pub fn obstacle(self) -> Option<String> {
        let missing = |programs: &[&str]| {
            programs.iter().find(|p| find_program(p).is_none()).map(|p| format!("{p} is not installed"))
        };
        match self {
            Self::LinuxBridge => None,
            Self::Ovs => missing(&["ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl", "ethtool"])
                .or_else(tun_problem),
            Self::Vswitch => binary("vswitchd").err().map(|error| error.to_string()).or_else(tun_problem),
        }
    }

    /// Starts it in the topology's host namespace and connects guests and uplinks.
    pub fn start(self, topology: &Topology, wiring: Wiring) -> Result<Box<dyn Switch>> {
        Ok(match self {
            Self::LinuxBridge => Box::new(LinuxBridge::start(topology)?),
            Self::Ovs => Box::new(Ovs::start(topology, wiring)?),
            Self::Vswitch => {
                let switch = Vswitch::start(&topology.host)?;
                switch.connect(topology, wiring)?;
                Box::new(switch)
            }
        })
    }
}

/// What benchmarks do to any of them.
pub trait Switch {
    /// The uplink that carries, `None` if there is none or the switch can't tell.
    fn active(&self) -> Result<Option<String>>;

    /// Moves the traffic to another uplink, as an operator would.
    fn activate(&self, uplink: &str) -> Result<()>;

    /// Kills the forwarding process with SIGKILL and starts it again at once.
    fn crash_and_restart(&mut self) -> Result<()>;
}
