//! What is told about the fast path, and what it counted.

use std::collections::BTreeMap;

use super::Switch;
use super::attached::Attached;
use crate::fastpath::layout::{
    DeviceStats, MAX_BRIDGES, MAX_BUCKET_TABLES, MAX_DEVICES, MAX_FDBS, MAX_GUESTS, MAX_LOADS, MAX_PORTS,
    MAX_RECEIVES, MAX_VLAN_SETS, MISSES,
};
use crate::fastpath::{Image, Kernel};
use crate::model::FastPathMode;
use crate::netlink::link;
use crate::transaction::reply::{
    FastPathBridge, FastPathDevice, FastPathProgram, FastPathStatus, FastPathTable,
};

/// How many entries of the kernel's maps are in use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Fill {
    devices: usize,
    ports: usize,
    bridges: usize,
    vlan_sets: usize,
    receives: usize,
    guests: usize,
    bucket_tables: usize,
}

impl Fill {
    pub(super) fn of(image: &Image) -> Self {
        Self {
            devices: image.devices.iter().filter(|device| device.ifindex != 0).count(),
            ports: image.ports.iter().filter(|port| port.used != 0).count(),
            bridges: image.bridges.iter().filter(|bridge| bridge.used != 0).count(),
            vlan_sets: image.vlan_sets.len(),
            receives: image.receives.len(),
            guests: image.guests.len(),
            bucket_tables: image.tables.len(),
        }
    }
}

impl Switch {
    /// Whether the kernel can forward.
    pub(super) fn has_fast_path(&self) -> bool {
        self.fast.kernel.is_ok()
    }

    /// Why the kernel can't forward, in one line. (What the verifier has to say has many; they are in the log.)
    pub(super) fn fastpath_problem(&self) -> Option<&str> {
        let reason = self.fast.kernel.as_ref().err()?;
        Some(reason.lines().next().unwrap_or_default())
    }

    /// What the kernel carried for a device. One system call.
    pub(super) fn kernel_stats(&self, device: u16) -> DeviceStats {
        self.fast
            .kernel
            .as_ref()
            .map_or_else(|_| DeviceStats::default(), |kernel| kernel.device_stats(device))
    }

    /// What the kernel forwarded that came into a bridge's VLANs: frames and octets by number of the bridge and VLAN.
    pub(super) fn kernel_vlan_stats(&self) -> BTreeMap<(u16, u16), (u64, u64)> {
        let all = self.fast.kernel.as_ref().map(Kernel::vlan_stats).unwrap_or_default();
        all.into_iter().map(|(bridge, vlan, stats)| ((bridge, vlan), (stats.frames, stats.bytes))).collect()
    }

    /// Frames left to the daemon, by reason.
    pub(super) fn kernel_misses(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.fast.kernel.as_ref().map(Kernel::misses).ok();
        counts.into_iter().flat_map(|counts| MISSES.into_iter().map(|(label, _)| label).zip(counts))
    }

    /// Frames left to the daemon that were lost because the queue to a worker was full.
    pub(super) fn queue_dropped(&self) -> u64 {
        self.fast.queues.iter().map(|ifindex| link::tx_dropped(*ifindex).unwrap_or(0)).sum()
    }

    pub(super) fn fastpath_status(&self) -> FastPathStatus {
        let system = rustix::system::uname();
        let mut status = FastPathStatus {
            problem: self.fastpath_problem().map(str::to_owned),
            kernel: system.release().to_string_lossy().into_owned(),
            bridges: self.fastpath_bridges(),
            devices: self.fastpath_devices(),
            ..FastPathStatus::default()
        };
        let Ok(kernel) = &self.fast.kernel else { return status };
        status.active = true;
        status.hook = Some(if kernel.has_tcx() { "tcx" } else { "clsact" }.to_owned());
        status.pins = Some(kernel.pins().directory().display().to_string());
        status.program = program(kernel);
        status.generation = self.fast.generation;
        status.tables = self.fastpath_tables();
        status.left_out.clone_from(&self.fast.left_out);
        let misses = self.kernel_misses().filter(|(_, frames)| *frames > 0);
        status.misses = misses.map(|(reason, frames)| (reason.to_owned(), frames)).collect();
        status.queue_dropped = self.queue_dropped();
        status
    }

    fn fastpath_tables(&self) -> Vec<FastPathTable> {
        let fill = &self.fast.fill;
        let fdbs = self.bridges.iter().filter(|(_, bridge)| bridge.fdb_number.is_some()).count();
        let tables = [
            ("devices", fill.devices, MAX_DEVICES),
            ("ports", fill.ports, MAX_PORTS),
            ("bridges", fill.bridges, MAX_BRIDGES),
            ("FDBs", fdbs, MAX_FDBS),
            ("VLAN sets", fill.vlan_sets, MAX_VLAN_SETS),
            ("bond tables", fill.bucket_tables, MAX_BUCKET_TABLES),
            ("receive tables", fill.receives, MAX_RECEIVES),
            ("guests' addresses", fill.guests, MAX_GUESTS),
            ("bucket counters", self.fast.loads.used(), MAX_LOADS),
        ];
        let table = |(name, used, maximum): (&str, usize, usize)| FastPathTable {
            name: name.to_owned(),
            used: used as u32,
            maximum: maximum as u32,
        };
        tables.into_iter().map(table).collect()
    }

    fn fastpath_bridges(&self) -> Vec<FastPathBridge> {
        let mut all: Vec<_> = (self.bridges.iter())
            .map(|(_, bridge)| {
                let setting = self.model.bridges.get(&bridge.name).map(|b| b.fastpath).unwrap_or_default();
                let problem = match self.fastpath_problem() {
                    _ if setting == FastPathMode::Off => Some("it is set so"),
                    Some(_) => Some("there is none"),
                    None if bridge.fdb_number.is_none() || self.fast.left_out.contains(&bridge.name) => {
                        Some("there was no room for it in the kernel's maps")
                    }
                    None => None,
                };
                let fdb = bridge.fdb.stats();
                FastPathBridge {
                    bridge: bridge.name.clone(),
                    setting: setting.name().to_owned(),
                    active: problem.is_none(),
                    problem: problem.map(str::to_owned),
                    fdb_entries: fdb.entries as u64,
                    fdb_capacity: fdb.capacity as u64,
                }
            })
            .collect();
        all.sort_by(|a, b| a.bridge.cmp(&b.bridge));
        all
    }

    fn fastpath_devices(&self) -> Vec<FastPathDevice> {
        let mut all: Vec<_> = (self.devices.iter())
            .filter_map(|(number, attached)| {
                let port = self.ports.get(attached.port?.0)?;
                let bridge = self.bridges.get(port.bridge)?.name.clone();
                let stats = self.kernel_stats(number);
                let hook = self.hook_of(attached);
                Some(FastPathDevice {
                    device: attached.name().to_owned(),
                    bridge,
                    peer_redirect: hook.is_some() && attached.peer.is_some(),
                    hook,
                    rx_frames: stats.rx_frames,
                    rx_bytes: stats.rx_bytes,
                    tx_frames: stats.tx_frames,
                    tx_bytes: stats.tx_bytes,
                })
            })
            .collect();
        all.sort_by(|a, b| a.device.cmp(&b.device));
        all
    }

    /// Where the program is attached to a device, if it is.
    fn hook_of(&self, attached: &Attached) -> Option<String> {
        let hook = self.fast.hooks.get(&attached.ifindex())?;
        let side = if attached.is_internal() { "egress" } else { "ingress" };
        Some(format!("{} {side}", hook.name()))
    }
}

fn program(kernel: &Kernel) -> Option<FastPathProgram> {
    let info = kernel.loaded_program().ok()?.info().ok()?;
    Some(FastPathProgram {
        name: info.name_as_str().unwrap_or_default().to_owned(),
        id: info.id(),
        // Octets; an instruction has 8.
        instructions: info.size_translated().map(|octets| octets / 8),
        runs: info.run_count(),
        run_ns: u64::try_from(info.run_time().as_nanos()).unwrap_or(u64::MAX),
    })
}
