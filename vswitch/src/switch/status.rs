//! What the running switch tells about itself and its host.

use std::collections::BTreeMap;
use std::time::Duration;

use bond_port::BondError;
use forwarding::fdb::Tick;
use forwarding::flow_hash::{self, HashPolicy};
use forwarding::ids::{DeviceId, PortId};
use forwarding::mac::MacAddr;
use forwarding::parse::parse;
use forwarding::pipeline::{self, Ingress, Names, Step};
use forwarding::tables::TransmitPlan;
use forwarding::wire::ethernet::EthernetHeader;
use forwarding::wire::vlan::{TAG_LEN, pop_outer};

use super::{Switch, lacp_status};
use crate::fastpath::layout::DeviceStats;
use crate::metrics::samples::{self, Sample};
use crate::random;
use crate::transaction::reply::{
    BondExplanation, BondStatus, BucketLoad, BucketMove, DeviceCounters, FastPathStatus, FdbRow, FdbStats,
    FrameHash, LacpStats, LacpStatus, MemberExplanation, MemberProbe, MemberStatus, ProbeTarget, Rebalancing,
    TraceReply,
};
use crate::transaction::{DeviceFacts, LinkType, Runtime};

/// The switch at one moment, for commands that look.
#[derive(Debug)]
pub struct Moment<'a> {
    /// The switch.
    pub switch: &'a Switch,
    /// The moment.
    pub now: Duration,
}

impl Moment<'_> {
    /// All metrics.
    pub fn samples(&self) -> Vec<Sample> {
        let mut all = Vec::new();
        samples::build(&mut all);
        let has_fast_path = self.switch.has_fast_path();
        samples::fastpath(&mut all, has_fast_path);
        let devices = self.device_counters();
        for (counters, _) in &devices {
            samples::device(&mut all, counters);
        }
        if has_fast_path {
            for (counters, kernel) in &devices {
                samples::fastpath_device(&mut all, &counters.device, kernel.rx_frames);
            }
            for (reason, frames) in self.switch.kernel_misses() {
                samples::fastpath_misses(&mut all, reason, frames);
            }
            samples::count(&mut all, &samples::FASTPATH_QUEUE_DROPPED, [], self.switch.queue_dropped());
        }
        for (_, bond) in self.switch.bonds() {
            if let Some(status) = self.bond(bond.name()) {
                samples::bond(&mut all, &status);
            }
            if let (Some(status), Some(stats)) = (self.lacp(bond.name()), self.lacp_stats(bond.name())) {
                samples::lacp(&mut all, &status, &stats);
            }
        }
        for (_, bridge) in self.switch.bridges.iter() {
            samples::fdb(&mut all, &bridge.name, &bridge.fdb.stats());
            samples::owners(&mut all, &bridge.name, &bridge.owners);
        }
        for ((bridge, vlan), (frames, bytes)) in self.vlan_counts() {
            samples::vlan(&mut all, bridge, vlan, frames, bytes);
        }
        let neighbours = self.switch.bridges.iter().map(|(_, bridge)| bridge.neighbours.len()).sum::<usize>();
        samples::level(&mut all, &samples::NEIGHBOURS, [], neighbours as f64);
        all
    }
}

impl Moment<'_> {
    /// Counters of all devices, sorted by name: the workers' and the kernel's together, and the kernel's part.
    fn device_counters(&self) -> Vec<(DeviceCounters, DeviceStats)> {
        let mut all: Vec<_> = (self.switch.devices.iter())
            .filter_map(|(number, attached)| {
                let port = self.switch.ports.get(attached.port?.0)?;
                let bridge = self.switch.bridges.get(port.bridge)?;
                let values = attached.slot.counters.read();
                let kernel = self.switch.kernel_stats(number);
                let drops: BTreeMap<_, _> = values
                    .drops
                    .iter()
                    .map(|(reason, frames)| (reason.label().to_owned(), *frames))
                    .collect();
                let counters = DeviceCounters {
                    device: attached.name().to_owned(),
                    port: port.name.clone(),
                    bridge: bridge.name.clone(),
                    rx_frames: values.rx_frames + kernel.rx_frames,
                    rx_bytes: values.rx_bytes + kernel.rx_bytes,
                    tx_frames: values.tx_frames + kernel.tx_frames,
                    tx_bytes: values.tx_bytes + kernel.tx_bytes,
                    drops,
                };
                Some((counters, kernel))
            })
            .collect();
        all.sort_by(|(a, _), (b, _)| a.device.cmp(&b.device));
        all
    }

    /// Frames and octets that came in, by name of the bridge and VLAN: the workers' and the kernel's together. Empty if
    /// they are not to be counted.
    fn vlan_counts(&self) -> BTreeMap<(&str, u16), (u64, u64)> {
        let mut all = BTreeMap::new();
        if !self.switch.count_vlans {
            return all;
        }
        let mut add = |bridge, vlan, frames, bytes| {
            let sum: &mut (u64, u64) = all.entry((bridge, vlan)).or_default();
            *sum = (sum.0 + frames, sum.1 + bytes);
        };
        for (_, bridge) in self.switch.bridges.iter() {
            for count in bridge.vlan_counters.iter().flat_map(|counters| counters.read()) {
                add(bridge.name.as_str(), count.vlan, count.frames, count.bytes);
            }
        }
        for ((bridge, vlan), (frames, bytes)) in self.switch.kernel_vlan_stats() {
            if let Some(bridge) = self.switch.bridges.get(bridge) {
                add(bridge.name.as_str(), vlan, frames, bytes);
            }
        }
        all
    }
}

impl Runtime for Moment<'_> {
    fn device(&self, name: &str) -> Option<DeviceFacts> {
        let link = self.switch.link(name)?;
        let master = link.master.map(|index| match self.switch.links.get(&index) {
            Some(master) => master.name.clone(),
            None => format!("device {index}"),
        });
        let link_type = match link.link_type {
            libc::ARPHRD_ETHER => LinkType::Ethernet,
            libc::ARPHRD_LOOPBACK => LinkType::Loopback,
            _ => LinkType::Other,
        };
        Some(DeviceFacts {
            link_type,
            kind: link.kind.clone(),
            wireless: std::path::Path::new("/sys/class/net").join(name).join("phy80211").exists(),
            master,
            ifindex: link.ifindex,
            mac: link.mac,
            mtu: link.mtu,
            admin_up: link.admin_up,
            carrier: link.carrier,
        })
    }

    fn new_mac(&mut self) -> MacAddr {
        random::local_mac()
    }

    fn fdb(&self, bridge: &str) -> Vec<FdbRow> {
        let Some((_, bridge)) = self.switch.bridges.iter().find(|(_, b)| b.name == bridge) else {
            return Vec::new();
        };
        let mut rows: Vec<_> = (bridge.fdb.entries(Tick::at(self.now)).into_iter())
            .filter_map(|entry| {
                let port = self.switch.ports.get(entry.port.0)?.name.clone();
                Some(FdbRow {
                    port,
                    vlan: entry.vlan,
                    mac: entry.mac,
                    age: u64::from(entry.age),
                    is_static: entry.is_static,
                })
            })
            .collect();
        rows.sort_by(|a, b| (&a.port, a.vlan, a.mac).cmp(&(&b.port, b.vlan, b.mac)));
        rows
    }

    fn bond(&self, name: &str) -> Option<BondStatus> {
        let (_, port) = self.switch.port(name)?;
        let bond = port.bond.as_ref()?;
        let status = bond.status(self.now);
        let milliseconds = |time: Duration| time.as_millis() as u64;
        let targets = status.targets.iter().map(|target| ProbeTarget {
            target: target.target.to_string(),
            answers: target.answers,
            age: target.age.map(milliseconds),
        });
        let targets = targets.collect();
        let members = status.members.into_iter().map(|member| MemberStatus {
            name: member.name,
            present: member.device.is_some(),
            enabled: member.enabled,
            may_enable: member.may_enable,
            lacp_current: member.lacp_current,
            link: member.link.to_string(),
            link_age: milliseconds(member.link_age),
            delay_left: member.delay_left.map(milliseconds),
            link_failures: member.link_failure_count,
            speed: member.speed_mbps,
            full_duplex: member.full_duplex,
            receive_hash: member.receive_hash,
            mac: member.mac,
            probe: member.probe.map(|probe| MemberProbe {
                alive: probe.alive,
                asks: probe.asks,
                silent: probe.silent.map(milliseconds),
            }),
            held: member.held.map(milliseconds),
            disabled: member.disabled,
            prio: member.prio,
            buckets: member.buckets.map(|buckets| buckets as u32),
        });
        Some(BondStatus {
            name: status.name,
            bridge: self.switch.bridges.get(port.bridge)?.name.clone(),
            mode: status.mode.name().to_owned(),
            updelay: milliseconds(status.updelay),
            downdelay: milliseconds(status.downdelay),
            options: status.options.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
            primary: bond.options().primary.clone(),
            active: status.active,
            active_cause: status.active_cause.map(|cause| cause.label().to_owned()),
            active_age: status.active_age.map(milliseconds),
            active_changes: status.active_changes,
            mac: status.mac,
            carrier: status.carrier,
            lacp_status: status.lacp.name().to_owned(),
            rebalancing: status.rebalancing.map(rebalancing),
            receive: self.switch.receive_status(self.now, port),
            targets,
            members: members.collect(),
        })
    }

    fn counters(&self) -> Vec<DeviceCounters> {
        self.device_counters().into_iter().map(|(counters, _)| counters).collect()
    }

    fn can_activate(&self, bond: &str, member: &str) -> Result<bool, String> {
        let Some(bond) = self.switch.bond(bond) else {
            return Err(format!("{bond} does not run yet; set its active member in a command of its own"));
        };
        bond.can_activate(member).map_err(|error| error.to_string())
    }

    fn can_migrate(&self, bond: &str, bucket: usize, member: &str) -> Result<bool, String> {
        let Some(bond) = self.switch.bond(bond) else {
            return Err(format!("{bond} does not run yet; move its buckets in a command of their own"));
        };
        bond.can_migrate(bucket, member).map_err(|error| error.to_string())
    }

    fn can_rebalance(&self, bond: &str) -> Result<(), String> {
        let Some(bond) = self.switch.bond(bond) else {
            return Err(format!("{bond} does not run yet; move its buckets in a command of their own"));
        };
        let none = || BondError::NoRebalancing { bond: bond.name().to_owned() }.to_string();
        bond.rebalancer().map(|_| ()).ok_or_else(none)
    }

    fn can_switch_member(&self, bond: &str, member: &str, _: bool) -> Result<(), String> {
        let Some(bond) = self.switch.bond(bond) else {
            return Err(format!(
                "{bond} does not run yet; enable or disable its members in a command of their own"
            ));
        };
        match bond.member(member) {
            Some(_) => Ok(()),
            None => Err(format!("{member} is not a member of {}", bond.name())),
        }
    }

    fn explain(&self, bond: &str) -> Option<BondExplanation> {
        let explanation = self.switch.bond(bond)?.explain(self.now);
        let members = explanation.members.into_iter();
        Some(BondExplanation {
            name: bond.to_owned(),
            summary: explanation.summary,
            members: members.map(|(name, reasons)| MemberExplanation { name, reasons }).collect(),
        })
    }

    fn proc_text(&self, bond: &str) -> Option<String> {
        let system = rustix::system::uname();
        Some(self.switch.bond(bond)?.proc_text(&system.release().to_string_lossy()))
    }

    fn lacp(&self, bond: &str) -> Option<LacpStatus> {
        let (_, port) = self.switch.port(bond)?;
        let bridge = self.switch.bridges.get(port.bridge)?;
        lacp_status::status(port.bond.as_ref()?, &bridge.name, self.now)
    }

    fn lacp_stats(&self, bond: &str) -> Option<LacpStats> {
        lacp_status::stats(self.switch.bond(bond)?)
    }

    fn bond_hash(&self, bond: &str, frame: &[u8]) -> Result<FrameHash, String> {
        let running = self.switch.bond(bond).ok_or_else(|| format!("{bond} does not run yet"))?;
        let Some((policy, table)) = running.plan().table() else {
            return Err(format!(
                "bond {bond} (mode {}) does not hash frames now",
                running.options().mode.name()
            ));
        };
        let hash = match policy {
            HashPolicy::Slb => self.slb_hash(bond, frame)?,
            policy => flow_hash::hash(policy, frame, None),
        };
        let bucket = (!table.is_empty()).then(|| hash as usize % table.len());
        let (bucket, device) = match running.plan() {
            TransmitPlan::Balanced { home, .. } if !is_balanced(frame) => (None, Some(*home)),
            _ => (bucket, bucket.map(|bucket| table[bucket])),
        };
        let member = device.and_then(|device| self.switch.devices.get(device.0));
        Ok(FrameHash {
            hash,
            policy: policy.name().to_owned(),
            bucket: bucket.map(|bucket| bucket as u32),
            member: member.map(|attached| attached.name().to_owned()),
        })
    }

    fn fdb_stats(&self, bridge: &str) -> Option<FdbStats> {
        let (_, bridge) = self.switch.bridges.iter().find(|(_, b)| b.name == bridge)?;
        let stats = bridge.fdb.stats();
        Some(FdbStats {
            bridge: bridge.name.clone(),
            current: stats.entries as u64,
            maximum: stats.capacity as u64,
            statics: stats.statics as u64,
            learned: stats.learned,
            expired: stats.expired,
            evicted: stats.evicted,
            moved: stats.moved,
            refused: stats.refused,
        })
    }

    fn trace(&self, bridge: &str, device: &str, frame: &[u8]) -> Result<TraceReply, String> {
        let number = self.switch.device_number(device);
        let attached = number.and_then(|number| Some((DeviceId(number), self.switch.devices.get(number)?)));
        let (id, attached) =
            attached.ok_or_else(|| format!("{device} is not in use now: there is no such device"))?;
        let port = attached.port.and_then(|id| self.switch.ports.get(id.0));
        if port.and_then(|port| self.switch.bridges.get(port.bridge)).is_none_or(|b| b.name != bridge) {
            return Err(format!("{device} is not a device of bridge {bridge}"));
        }
        let mut octets = frame.to_vec();
        let tag = pop_outer(&mut octets);
        let bytes = if tag.is_some() { &octets[TAG_LEN..] } else { &octets[..] };
        let ingress = Ingress { device: id, bytes, tag, header: Default::default() };
        let snapshot = self.switch.datapath.cell().load_full();
        let trace = pipeline::trace(&snapshot.tables, Tick::at(self.now), &ingress);
        let outputs = trace.result.iter().flatten();
        let egress: Vec<_> = outputs.map(|output| self.switch.device(output.device)).collect();
        let flooded = trace.steps.iter().any(|step| matches!(step, Step::Flood { .. }));
        let verdict = match &trace.result {
            Err(_) => "drop",
            Ok(_) if flooded => "flood",
            Ok(_) => "forward",
        };
        Ok(TraceReply {
            verdict: verdict.to_owned(),
            egress,
            hash: trace.hash,
            drop_reason: trace.result.err().map(|reason| reason.label().to_owned()),
            vlan: trace.vlan,
            steps: trace.steps.iter().map(|step| step.named(self.switch)).collect(),
        })
    }

    fn fastpath_problem(&self) -> Option<String> {
        self.switch.fastpath_problem().map(str::to_owned)
    }

    fn fastpath(&self) -> FastPathStatus {
        self.switch.fastpath_status()
    }

    fn version(&self) -> String {
        env!("CARGO_PKG_VERSION").to_owned()
    }
}

pub(super) fn bucket_move(moved: bond_port::status::BucketMove) -> BucketMove {
    BucketMove {
        age: moved.age.as_millis() as u64,
        by_hand: moved.by_hand,
        bucket: moved.bucket as u32,
        from: moved.from,
        to: moved.to,
        load: moved.load,
    }
}

fn rebalancing(status: bond_port::status::Rebalancing) -> Rebalancing {
    let milliseconds = |time: Duration| time.as_millis() as u64;
    let load = |load: bond_port::status::BucketLoad| BucketLoad {
        bucket: load.bucket as u32,
        member: load.member,
        load: load.load,
    };
    Rebalancing {
        next: milliseconds(status.next),
        moved: status.moved,
        loads: status.loads.into_iter().map(load).collect(),
        last: status.last.into_iter().map(bucket_move).collect(),
    }
}

impl Moment<'_> {
    /// The hash of a frame's source in the VLAN into which the bond takes it.
    fn slb_hash(&self, bond: &str, frame: &[u8]) -> Result<u32, String> {
        let mut bytes = frame.to_vec();
        let tag = pop_outer(&mut bytes);
        let start = if tag.is_some() { TAG_LEN } else { 0 };
        let header = EthernetHeader::parse(&bytes[start..]).ok_or("the frame is too short")?;
        let vlan = self.switch.port(bond).and_then(|(_, port)| port.vlan.classify(tag));
        let vlan = vlan.ok_or_else(|| format!("bond {bond} does not take the frame into any VLAN"))?;
        Ok(flow_hash::slb(header.src, vlan))
    }
}

impl Names for Switch {
    fn port(&self, id: PortId) -> String {
        self.ports.get(id.0).map_or_else(|| format!("port {}", id.0), |port| port.name.clone())
    }

    fn device(&self, id: DeviceId) -> String {
        self.devices.get(id.0).map_or_else(|| format!("device {}", id.0), |a| a.name().to_owned())
    }
}

/// Whether balance-tlb sends a frame, with its tags in its octets, by any member.
fn is_balanced(frame: &[u8]) -> bool {
    let mut bytes = frame.to_vec();
    let tag = pop_outer(&mut bytes);
    let bytes = if tag.is_some() { &bytes[TAG_LEN..] } else { &bytes[..] };
    parse(bytes, tag).is_ok_and(|parsed| parsed.is_ip_of_stations(bytes))
}
