//! What `fastpath/show` answers.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The fast path in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FastPathStatus {
    /// The program is loaded.
    pub active: bool,
    /// Why it is not.
    pub problem: Option<String>,
    /// The kernel's release.
    pub kernel: String,
    /// How the program is attached: `tcx` or `clsact`.
    pub hook: Option<String>,
    /// Directory of the pinned maps and links.
    pub pins: Option<String>,
    /// The program.
    pub program: Option<FastPathProgram>,
    /// How often this daemon has put tables into force.
    pub generation: u64,
    /// How full the maps are.
    pub tables: Vec<FastPathTable>,
    /// Bridges, ports and devices for which the maps have no room, so that workers forward for them.
    pub left_out: Vec<String>,
    /// Frames left to the daemon since the maps were made, by reason ([`crate::fastpath::layout::MISSES`]); reasons that
    /// did not occur are left out. Those of `no_device` and `error` were dropped.
    pub misses: BTreeMap<String, u64>,
    /// Frames of these that were lost because a worker did not fetch them in time, since the daemon's start.
    pub queue_dropped: u64,
    /// By name.
    pub bridges: Vec<FastPathBridge>,
    /// By name.
    pub devices: Vec<FastPathDevice>,
}

/// The program in the kernel.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FastPathProgram {
    /// Its name.
    pub name: String,
    /// The kernel's number for it, as `bpftool prog` shows it.
    pub id: u32,
    /// Its length, if we may know it.
    pub instructions: Option<u32>,
    /// How often it ran while the sysctl `kernel.bpf_stats_enabled` was 1.
    pub runs: u64,
    /// Nanoseconds of these runs together.
    pub run_ns: u64,
}

/// One of the maps.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FastPathTable {
    /// What it holds.
    pub name: String,
    /// Entries in use.
    pub used: u32,
    /// Most entries.
    pub maximum: u32,
}

/// A bridge.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FastPathBridge {
    /// Its name.
    pub bridge: String,
    /// Its column `fastpath`: `auto`, `on` or `off`.
    pub setting: String,
    /// The kernel forwards for it.
    pub active: bool,
    /// Why it does not.
    pub problem: Option<String>,
    /// MAC addresses in its FDB.
    pub fdb_entries: u64,
    /// Most MAC addresses in its FDB.
    pub fdb_capacity: u64,
}

/// A device. Frames and octets are the kernel's part only, and are counted as in
/// [`DeviceCounters`](super::DeviceCounters).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FastPathDevice {
    /// Its name.
    pub device: String,
    /// Its bridge.
    pub bridge: String,
    /// Where the program is attached, such as `tcx ingress`; none: a worker receives.
    pub hook: Option<String>,
    /// Frames for the other end of the veth skip that end's queue.
    pub peer_redirect: bool,
    /// Frames that came in here and were forwarded.
    pub rx_frames: u64,
    /// Their octets.
    pub rx_bytes: u64,
    /// Frames sent here.
    pub tx_frames: u64,
    /// Their octets.
    pub tx_bytes: u64,
}
