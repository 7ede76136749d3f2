//! The switch under test: ours or a peer, wired the same way: each guest's device is a port, the uplinks are a bond.

mod linux_bridge;
mod ovs;
mod ovs_lacp;
mod vswitch;

use anyhow::Result;

pub use linux_bridge::LinuxBridge;
pub use ovs::{Ovs, PortIo, finish_checksums};
pub use ovs_lacp::{LacpMember, LacpView};
pub use vswitch::{BondView, MemberView, Vswitch, binary, punted};

use crate::process::find_program;
use crate::testing::tun_problem;
use crate::topology::Topology;

/// The bridge's name in every switch.
pub const BRIDGE: &str = "br0";
/// The bond's name in every switch that has one.
pub const BOND: &str = "bond0";

/// How the uplinks share the traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// One carries.
    #[default]
    ActiveBackup,
    /// Each flow has its own: `balance-xor` by `layer3+4`. Open vSwitch has no such mode without LACP; its nearest is
    /// `balance-slb`, by source address.
    BalanceXor,
}

/// What ports and bond are told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wiring {
    /// All guests and the uplinks are access ports of this VLAN; `None` for no VLANs at all.
    pub tag: Option<u16>,
    /// The bond's mode.
    pub mode: Mode,
}

/// Those that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The kernel's bridge, with the first uplink only: it has no bonds of its own.
    LinuxBridge,
    /// Open vSwitch in userspace (`datapath_type=netdev`) with a bond, on packet sockets, and the guests' transmit
    /// offloads off, without which it drops their TCP.
    Ovs,
    /// The same on AF_XDP sockets in native mode. Polls without a pause.
    OvsAfXdp,
    /// `vswitchd` without its fast path: workers forward.
    Workers,
    /// `vswitchd` with its fast path in the kernel.
    FastPath,
}

impl Kind {
    /// In the order in which tables show them.
    pub const ALL: [Self; 5] = [Self::LinuxBridge, Self::Ovs, Self::OvsAfXdp, Self::Workers, Self::FastPath];

    /// Its name in tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::LinuxBridge => "Linux bridge",
            Self::Ovs => "OVS netdev",
            Self::OvsAfXdp => "OVS AF_XDP",
            Self::Workers => "workers",
            Self::FastPath => "fast path",
        }
    }

    /// What keeps this one from running here, if anything. What only shows when it is started is not seen.
    pub fn obstacle(self) -> Option<String> {
        let missing = |programs: &[&str]| {
            programs.iter().find(|p| find_program(p).is_none()).map(|p| format!("{p} is not installed"))
        };
        match self {
            Self::LinuxBridge => None,
            Self::Ovs | Self::OvsAfXdp => {
                missing(&["ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl", "ethtool"])
                    .or_else(tun_problem)
            }
            Self::Workers | Self::FastPath => {
                binary("vswitchd").err().map(|error| error.to_string()).or_else(tun_problem)
            }
        }
    }

    /// Starts it in the topology's host namespace and connects guests and uplinks.
    pub fn start(self, topology: &Topology, wiring: Wiring) -> Result<Box<dyn Switch>> {
        Ok(match self {
            Self::LinuxBridge => Box::new(LinuxBridge::start(topology)?),
            Self::Ovs => Box::new(Ovs::start(topology, wiring)?),
            Self::OvsAfXdp => Box::new(Ovs::start_on(topology, wiring, PortIo::AfXdp)?),
            Self::Workers | Self::FastPath => {
                let switch = self.start_empty(topology)?;
                switch.connect(topology, wiring)?;
                Box::new(switch)
            }
        })
    }

    /// Starts one of the two of ours, with no bridge.
    pub fn start_empty(self, topology: &Topology) -> Result<Vswitch> {
        let mut switch = Vswitch::prepare(&topology.host)?;
        switch.set("VSWITCH_FASTPATH", if self == Self::FastPath { "on" } else { "off" });
        switch.launch()?;
        Ok(switch)
    }
}

/// What benchmarks do to any of them.
pub trait Switch {
    /// The uplink that carries, `None` if there is none or the switch can't tell.
    fn active(&self) -> Result<Option<String>>;

    /// Moves the traffic to another uplink, as an operator would.
    fn activate(&self, uplink: &str) -> Result<()>;

    /// Kills the forwarding process with SIGKILL.
    fn crash(&mut self) -> Result<()>;

    /// Starts it again, and returns when it answers.
    fn restart(&mut self) -> Result<()>;

    /// Both, at once.
    fn crash_and_restart(&mut self) -> Result<()> {
        self.crash()?;
        self.restart()
    }
}
