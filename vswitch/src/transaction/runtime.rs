//! What a transaction must know of the running switch and its host. The control loop implements it; tests fake it.

use forwarding::mac::MacAddr;

use super::reply::{
    BondExplanation, BondStatus, DeviceCounters, FastPathStatus, FdbRow, FdbStats, FrameHash, LacpStats,
    LacpStatus, TraceReply,
};

/// A network device of the host, as far as it matters for taking it into the switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFacts {
    /// What the link carries.
    pub link_type: LinkType,
    /// Kind of virtual device (`veth`, `tun`, `bridge`; rtnetlink's IFLA_INFO_KIND). `None` for hardware.
    pub kind: Option<String>,
    /// It is a wireless card (IEEE 802.11).
    pub wireless: bool,
    /// The kernel's bridge, bond or team that holds it.
    pub master: Option<String>,
    /// The kernel's number for it.
    pub ifindex: u32,
    /// Its address; zero if it has no Ethernet address.
    pub mac: MacAddr,
    /// Longest layer-3 packet in octets.
    pub mtu: u32,
    /// It is set up (IFF_UP).
    pub admin_up: bool,
    /// It is set up and has a link.
    pub carrier: bool,
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

    /// Whether a bucket of a running bond can be moved to a member now. `Ok(false)`: it is there already.
    ///
    /// # Errors
    /// Why it can't.
    fn can_migrate(&self, bond: &str, bucket: usize, member: &str) -> Result<bool, String>;

    /// Whether a running bond moves buckets by load.
    ///
    /// # Errors
    /// Why it doesn't.
    fn can_rebalance(&self, bond: &str) -> Result<(), String>;

    /// Whether a member of a running bond can be enabled (`enable`) or disabled by hand now.
    ///
    /// # Errors
    /// Why it can't.
    fn can_switch_member(&self, bond: &str, member: &str, enable: bool) -> Result<(), String>;

    /// Why a running bond works as it does; `None` if it does not run yet.
    fn explain(&self, bond: &str) -> Option<BondExplanation>;

    /// What Linux's /proc/net/bonding would tell of a running bond; `None` if it does not run yet.
    fn proc_text(&self, bond: &str) -> Option<String>;

    /// LACP of a running bond; `None` if it does not run yet, or speaks none.
    fn lacp(&self, bond: &str) -> Option<LacpStatus>;

    /// The counters of that.
    fn lacp_stats(&self, bond: &str) -> Option<LacpStats>;

    /// The transmit hash of a frame in a running bond. `frame` is at least an Ethernet header.
    ///
    /// # Errors
    /// The bond does not hash, or does not run.
    fn bond_hash(&self, bond: &str, frame: &[u8]) -> Result<FrameHash, String>;

    /// Counters of a running bridge's FDB; `None` if it does not run yet.
    fn fdb_stats(&self, bridge: &str) -> Option<FdbStats>;

    /// What would be done with a frame that arrives on a device of a bridge. `frame` is at least an Ethernet header.
    ///
    /// # Errors
    /// The device is not in use.
    fn trace(&self, bridge: &str, device: &str, frame: &[u8]) -> Result<TraceReply, String>;

    /// Why the daemon has no fast path in the kernel; `None` if it has one.
    fn fastpath_problem(&self) -> Option<String>;

    /// The fast path as it runs, with all bridges and devices.
    fn fastpath(&self) -> FastPathStatus;

    /// The daemon's version.
    fn version(&self) -> String;
}
