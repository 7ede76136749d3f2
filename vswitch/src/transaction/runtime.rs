//! What a transaction must know of the running switch and its host. The control loop implements it; tests fake it.

use forwarding::mac::MacAddr;

use super::reply::{BondStatus, DeviceCounters, FdbRow};

/// A network device of the host, as far as it matters for taking it into the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFacts {
    /// What the link carries.
    pub link_type: LinkType,
    /// Kind of virtual device (`veth`, `tun`, `bridge`; rtnetlink's IFLA_INFO_KIND). `None` for hardware.
    pub kind: Option<String>,
    /// The kernel's bridge, bond or team that holds it.
    pub master: Option<String>,
}

/// What a link carries (ARPHRD_*).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkType {
    /// Ethernet frames: what the switch needs.
    Ethernet,
    /// The loopback device.
    Loopback,
    /// Something without Ethernet headers.
    Other,
}

/// Questions to the running switch. None of them changes anything.
pub trait Runtime {
    /// The host's device of this name, if there is one.
    fn device(&self, name: &str) -> Option<DeviceFacts>;

    /// A fresh address for an internal port: random, individual, locally administered.
    fn new_mac(&mut self) -> MacAddr;

    /// What a running bridge has learned, in the order it is to be printed. Empty for a bridge that does not run yet.
    fn fdb(&self, bridge: &str) -> Vec<FdbRow>;

    /// State of a running bond; `None` if it does not run yet.
    fn bond(&self, name: &str) -> Option<BondStatus>;

    /// Counters of all devices, sorted by name.
    fn counters(&self) -> Vec<DeviceCounters>;

    /// Whether a member of a running bond can become the active one now. `Ok(false)`: it is already.
    ///
    /// # Errors
    /// Why it can't.
    fn can_activate(&self, bond: &str, member: &str) -> Result<bool, String>;

    /// The daemon's version.
    fn version(&self) -> String;
}
