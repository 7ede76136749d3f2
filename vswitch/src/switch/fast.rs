//! The kernel's executor as a part of the switch: it gets the tables that the workers get, devices are attached to it and
//! detached, and what an earlier daemon has left in it is taken over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use forwarding::fdb::{Fdb, FdbConfig, Tick};
use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;
use forwarding::tables::{PortEntry, Tables};

use super::Switch;
use super::attached::Attached;
use super::bucket_loads::LoadSlots;
use super::fast_status::Fill;
use crate::datapath::{Mark, Snapshot};
use crate::fastpath::cleanup::{InternalPorts, give_up};
use crate::fastpath::encode::{BridgeFacts, DeviceFacts, Facts, PortFacts, is_indexed};
use crate::fastpath::hooks::{self, Hook};
use crate::fastpath::layout::{self, MAX_FDBS, MAX_LOADS, Port as FlatPort, device_flags, port_flags};
use crate::fastpath::{Image, Kernel, encode};
use crate::model::FastPathMode;
use crate::netlink::link::{self, Link};

/// The kernel's executor, or why there is none.
#[derive(Debug)]
pub struct FastPath {
    /// The program, if it could be loaded.
    pub kernel: Result<Kernel, String>,
    /// Interface indexes of the TAPs by which workers get frames, by number of the worker.
    pub queues: Vec<u32>,
}

/// What belongs to the program in the kernel.
#[derive(Debug)]
pub(super) struct Fast {
    pub(super) kernel: Result<Kernel, String>,
    pub(super) queues: Vec<u32>,
    /// By interface index.
    pub(super) hooks: BTreeMap<u32, Hook>,
    /// Numbers of FDBs in use.
    fdbs: BTreeSet<u16>,
    /// Names of what the last tables had no room for.
    pub(super) left_out: Vec<String>,
    /// Who has which counters of buckets.
    pub(super) loads: LoadSlots,
    /// Ports whose buckets the kernel does not count.
    uncounted: usize,
    /// How full the last tables were.
    pub(super) fill: Fill,
    /// Publications so far.
    pub(super) generation: u64,
    /// Devices are being attached and detached.
    syncing: bool,
    /// There is more to attach or detach.
    sync_again: bool,
    /// What an earlier daemon left, until the first model is committed.
    earlier: Option<Earlier>,
}

/// What an earlier daemon has left in force.
#[derive(Debug)]
struct Earlier {
    image: Image,
}

impl Earlier {
    fn bridge(&self, name: &str) -> Option<(u16, &layout::Bridge)> {
        numbered(&self.image.bridges).find(|(_, bridge)| bridge.used != 0 && bridge.name.text() == name)
    }

    fn port(&self, bridge: u16, name: &str) -> Option<(u16, &FlatPort)> {
        let same = |port: &FlatPort| port.used != 0 && port.bridge == bridge && port.name.text() == name;
        numbered(&self.image.ports).find(|(_, port)| same(port))
    }

    fn device(&self, name: &str, ifindex: u32) -> Option<(u16, &layout::Device)> {
        let same = |device: &layout::Device| device.ifindex == ifindex && device.name.text() == name;
        numbered(&self.image.devices).find(|(_, device)| same(device))
    }
}

fn numbered<T>(entries: &[T]) -> impl Iterator<Item = (u16, &T)> {
    (0..).zip(entries)
}

impl Fast {
    pub(super) fn new(from: FastPath) -> Self {
        let earlier = from.kernel.as_ref().ok().map(|kernel| Earlier { image: kernel.read() });
        let fdbs = earlier.iter().flat_map(|earlier| &earlier.image.bridges);
        let fdbs = fdbs.filter(|bridge| bridge.used != 0).map(|bridge| bridge.fdb).collect();
        Self {
            kernel: from.kernel,
            queues: from.queues,
            hooks: BTreeMap::new(),
            fdbs,
            left_out: Vec::new(),
            loads: LoadSlots::default(),
            uncounted: 0,
            fill: Fill::default(),
            generation: 0,
            syncing: false,
            sync_again: false,
            earlier,
        }
    }

    /// Numbers that an earlier daemon has given to bridges, ports and devices.
    pub(super) fn earlier_numbers(&self) -> [Vec<u16>; 3] {
        let Some(Earlier { image }) = &self.earlier else { return Default::default() };
        [
            numbered(&image.bridges).filter(|(_, bridge)| bridge.used != 0).map(|(n, _)| n).collect(),
            numbered(&image.ports).filter(|(_, port)| port.used != 0).map(|(n, _)| n).collect(),
            numbered(&image.devices).filter(|(_, device)| device.ifindex != 0).map(|(n, _)| n).collect(),
        ]
    }

    /// The number that an earlier daemon gave to this bridge.
    pub(super) fn earlier_bridge(&self, name: &str) -> Option<u16> {
        self.earlier.as_ref()?.bridge(name).map(|(number, _)| number)
    }

    /// The number that an earlier daemon gave to this port.
    pub(super) fn earlier_port(&self, bridge: u16, name: &str) -> Option<u16> {
        self.earlier.as_ref()?.port(bridge, name).map(|(number, _)| number)
    }

    /// The number that an earlier daemon gave to this device, and what it had changed of it.
    pub(super) fn earlier_device(&self, name: &str, ifindex: u32) -> Option<(u16, u8)> {
        self.earlier.as_ref()?.device(name, ifindex).map(|(number, device)| (number, device.flags))
    }

    /// A table for a bridge: the one that an earlier daemon has left, if its size is right, or a new one, in a map if there is
    /// room. Returns the number of the map.
    pub(super) fn fdb(&mut self, bridge: &str, config: FdbConfig) -> (Fdb, Option<u16>) {
        let Ok(kernel) = &mut self.kernel else { return (Fdb::new(config), None) };
        if let Some((_, left)) = self.earlier.as_ref().and_then(|earlier| earlier.bridge(bridge))
            && left.capacity as usize == config.capacity
        {
            match kernel.adopt_fdb(left.fdb, FdbConfig { seed: left.seed, ..config }) {
                Ok(fdb) => return (fdb, Some(left.fdb)),
                Err(error) => tracing::warn!(bridge, %error, "the FDB of before can't be taken over"),
            }
        }
        let free = (0..MAX_FDBS as u16).find(|number| !self.fdbs.contains(number));
        let made = free.map(|number| (number, kernel.make_fdb(number, config)));
        match made {
            Some((number, Ok(fdb))) => {
                self.fdbs.insert(number);
                (fdb, Some(number))
            }
            Some((_, Err(error))) => {
                tracing::warn!(bridge, error = format!("{error:#}"), "no FDB in the kernel; workers forward");
                (Fdb::new(config), None)
            }
            None => (Fdb::new(config), None),
        }
    }

    /// A bridge's table is not used any more.
    pub(super) fn drop_fdb(&mut self, number: Option<u16>) {
        let (Some(number), Ok(kernel)) = (number, &mut self.kernel) else { return };
        if let Err(error) = kernel.drop_fdb(number) {
            tracing::warn!(error = format!("{error:#}"), "the map of an FDB can't be removed");
        }
        self.fdbs.remove(&number);
    }

    /// A bridge's number is free, or its counters begin again.
    pub(super) fn clear_vlan_stats(&mut self, bridge: u16) {
        if let Ok(kernel) = &mut self.kernel {
            kernel.clear_vlan_stats(bridge);
        }
    }

    /// Gives counters of buckets to the ports of new tables that want them.
    fn give_counters(&mut self, tables: &Tables) {
        let Ok(kernel) = &mut self.kernel else { return };
        let (new, without) = self.loads.give(tables);
        new.into_iter().for_each(|number| kernel.clear_bucket_loads(number));
        if without > self.uncounted {
            tracing::warn!(
                bonds = without,
                limit = MAX_LOADS,
                "no room in the kernel's maps to count by bucket; these bonds are not rebalanced"
            );
        }
        self.uncounted = without;
    }

    /// Puts tables into force in the kernel.
    fn publish(&mut self, image: &Image) {
        let Ok(kernel) = &mut self.kernel else { return };
        kernel.publish(image);
        self.generation += 1;
        self.fill = Fill::of(image);
        if self.left_out != image.left_out && !image.left_out.is_empty() {
            tracing::warn!(left_out = ?image.left_out, "no room in the kernel's maps; workers forward for these");
        }
        self.left_out.clone_from(&image.left_out);
    }

    /// A daemon of another version has left what this one can't read: what it had attached is detached, now that ours is.
    pub(super) fn remove_other_layouts(&mut self) {
        let Ok(kernel) = &self.kernel else { return };
        match kernel.pins().remove_other_layouts() {
            Ok(true) => tracing::warn!(
                "an earlier daemon's maps had another layout; addresses are learned anew, by workers at first"
            ),
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "an earlier daemon's maps can't be removed"),
        }
    }

    /// Detaches the program from a device that is given up.
    pub(super) fn unhook(&mut self, ifindex: u32) {
        let (Some(hook), Ok(kernel)) = (self.hooks.remove(&ifindex), &self.kernel) else { return };
        if let Err(error) = hook.detach(kernel) {
            tracing::warn!(ifindex, error = format!("{error:#}"), "the BPF program can't be detached");
        }
    }
}

impl Switch {
    /// Whether a bridge is forwarded for by the kernel too.
    pub(super) fn is_fast(&self, bridge: &str) -> bool {
        let mode = self.model.bridges.get(bridge).map(|bridge| bridge.fastpath);
        self.fast.kernel.is_ok() && mode.is_some_and(|mode| mode != FastPathMode::Off)
    }

    fn is_on_fast_bridge(&self, attached: &Attached) -> bool {
        let port = attached.port.and_then(|id| self.ports.get(id.0));
        let bridge = port.and_then(|port| self.bridges.get(port.bridge));
        bridge.is_some_and(|bridge| self.is_fast(&bridge.name))
    }

    fn is_to_be_hooked(&self, attached: &Attached) -> bool {
        let can_be = self.indexed.contains(&attached.ifindex()) && !attached.unhookable;
        can_be && self.is_on_fast_bridge(attached)
    }

    /// Gives the kernel the tables that workers are about to get.
    pub(super) fn publish_to_kernel(&mut self, snapshot: &Snapshot) {
        if self.fast.kernel.is_err() {
            return;
        }
        self.fast.give_counters(&snapshot.tables);
        let image = encode(&snapshot.tables, &self.facts(&snapshot.tables));
        self.fast.publish(&image);
        self.indexed = self
            .devices
            .iter()
            .map(|(_, attached)| attached.ifindex())
            .filter(|ifindex| is_indexed(&image, *ifindex))
            .collect();
    }

    fn facts(&self, tables: &Tables) -> Facts {
        let device = |number: usize, attached: &Attached| DeviceFacts {
            name: attached.name().to_owned(),
            ifindex: attached.ifindex(),
            flags: attached.flags(),
            punt_ifindex: self.fast.queues.get(attached.slot.worker).copied().unwrap_or(0),
            punt_tci: Mark::new(DeviceId(number as u16), attached.slot.incarnation).0,
            for_workers: !self.is_on_fast_bridge(attached),
            peer_mac: attached.peer.map_or(0, MacAddr::to_u64),
        };
        let devices = self.devices.slots().iter().enumerate();
        let ports = self.ports.slots().iter();
        let bridges = self.bridges.slots().iter();
        let counters = |port: &PortEntry| self.fast.loads.of(port.transmit.loads()?);
        let received = |port: &PortEntry| self.fast.loads.of(&port.receive.as_ref()?.loads);
        Facts {
            devices: devices.map(|(n, slot)| slot.as_ref().map(|attached| device(n, attached))).collect(),
            ports: (ports.zip(&tables.ports))
                .map(|(slot, entry)| {
                    let (port, loads) = (slot.as_ref()?, entry.as_ref().and_then(counters));
                    let receive_loads = entry.as_ref().and_then(received);
                    Some(PortFacts {
                        name: port.name.clone(),
                        is_bond: port.bond.is_some(),
                        loads,
                        receive_loads,
                    })
                })
                .collect(),
            bridges: bridges
                .map(|slot| {
                    let bridge = slot.as_ref()?;
                    Some(BridgeFacts { name: bridge.name.clone(), fdb: bridge.fdb_number })
                })
                .collect(),
        }
    }

    /// Attaches the program to the devices of bridges that are fast, and detaches it from others. A device that it can't be
    /// attached to is received from by a worker.
    pub(super) fn sync_hooks(&mut self) {
        if self.fast.kernel.is_err() || std::mem::replace(&mut self.fast.syncing, true) {
            // Devices that came meanwhile are seen when the one that is at it looks again.
            self.fast.sync_again = true;
            return;
        }
        loop {
            self.fast.sync_again = false;
            self.sync_hooks_once();
            if !self.fast.sync_again {
                break;
            }
        }
        self.fast.syncing = false;
    }

    fn sync_hooks_once(&mut self) {
        let mut changes = Vec::new();
        for (number, attached) in self.devices.iter() {
            let wanted = self.is_to_be_hooked(attached);
            if wanted != self.fast.hooks.contains_key(&attached.ifindex()) || attached.receives == wanted {
                changes.push((number, wanted));
            }
        }
        // The tables say that the program drops what comes from devices that it is detached from, which takes a while.
        for (number, _) in changes.iter().filter(|(_, wanted)| !wanted) {
            if let Some(attached) = self.devices.get_mut(*number) {
                attached.set_receiving(true);
            }
        }
        let mut flags_changed = false;
        for (number, _) in changes {
            self.breathe();
            let Some(attached) = self.devices.get(number) else { continue };
            let wanted = self.is_to_be_hooked(attached);
            let Some(attached) = self.devices.get_mut(number) else { continue };
            let (name, ifindex) = (attached.name().to_owned(), attached.ifindex());
            let mut hooked = self.fast.hooks.contains_key(&ifindex);
            if wanted && !hooked {
                // First the socket, then the program: a frame may be lost in between, but none is seen twice.
                attached.set_receiving(false);
                let flags = attached.flags();
                attached.set_promiscuous();
                flags_changed |= attached.flags() != flags;
                let Ok(kernel) = &mut self.fast.kernel else { return };
                match Hook::attach(kernel, &name, ifindex, attached.is_internal()) {
                    Ok(hook) => {
                        tracing::debug!(device = name, hook = hook.name(), "attached to the fast path");
                        self.fast.hooks.insert(ifindex, hook);
                        hooked = true;
                    }
                    Err(error) => {
                        tracing::warn!(
                            device = name,
                            error = format!("{error:#}"),
                            "no fast path; a worker receives"
                        );
                    }
                }
            } else if !wanted && hooked {
                self.fast.unhook(ifindex);
                hooked = false;
            }
            if let Some(attached) = self.devices.get_mut(number) {
                attached.unhookable |= wanted && !hooked;
                attached.set_receiving(!hooked);
            }
        }
        if flags_changed {
            // The next daemon reads in the tables what it has to undo.
            self.publish();
        }
    }

    /// The first model is in force: what an earlier daemon has left beyond it goes.
    pub(super) fn finish_adoption(&mut self, now: Tick) {
        let Some(Earlier { image }) = self.fast.earlier.take() else { return };
        self.bridges.release_reserved();
        self.ports.release_reserved();
        self.devices.release_reserved();
        let in_use: BTreeSet<u32> = self.devices.iter().map(|(_, attached)| attached.ifindex()).collect();
        let to_be_hooked = self.devices.iter().filter(|(_, attached)| self.is_to_be_hooked(attached));
        let to_be_hooked: BTreeSet<u32> = to_be_hooked.map(|(_, attached)| attached.ifindex()).collect();
        for (_, attached) in self.devices.iter_mut() {
            if !to_be_hooked.contains(&attached.ifindex()) {
                attached.set_receiving(true);
            }
        }
        let Ok(kernel) = &mut self.fast.kernel else { return };
        let left = image.devices.iter().filter(|device| device.ifindex != 0);
        for device in left.filter(|device| !to_be_hooked.contains(&device.ifindex)) {
            let (name, internal) = (device.name.text(), device.flags & device_flags::INTERNAL != 0);
            if !in_use.contains(&device.ifindex) {
                tracing::info!(device = name, "taken out of the fast path: it is no port any more");
                give_up(kernel, device, InternalPorts::Delete);
            } else if let Err(error) = hooks::detach_stale(kernel, &name, device.ifindex, internal) {
                // Its bridge has left the fast path.
                tracing::warn!(
                    device = name,
                    error = format!("{error:#}"),
                    "the BPF program can't be detached"
                );
            }
        }
        for ifindex in kernel.pins().links().into_iter().filter(|ifindex| !to_be_hooked.contains(ifindex)) {
            let _vanished = std::fs::remove_file(kernel.pins().link(ifindex));
        }
        // FDBs of bridges that are gone, or have got a new one.
        let kept: BTreeSet<u16> = self.bridges.iter().filter_map(|(_, bridge)| bridge.fdb_number).collect();
        let dropped: Vec<u16> =
            self.fast.fdbs.iter().copied().filter(|number| !kept.contains(number)).collect();
        for number in dropped {
            self.fast.drop_fdb(Some(number));
        }
        self.forget_what_changed(&image, now);
    }

    /// Takes out of adopted FDBs what was learned on ports that are gone or other than before, and static entries that the
    /// model does not have.
    fn forget_what_changed(&mut self, image: &Image, now: Tick) {
        for (_, bridge) in self.bridges.iter() {
            let removed = bridge.fdb.remove_ports(|id| {
                let same = self.ports.get(id.0).filter(|port| {
                    self.bridges.get(port.bridge).is_some_and(|of| Arc::ptr_eq(&of.fdb, &bridge.fdb))
                });
                let Some(port) = same else { return true };
                // Who was behind it may be anywhere else by now.
                if port.bond.is_none() && self.attached(&port.name).is_none_or(|attached| !attached.usable) {
                    return true;
                }
                let then = image.ports.get(usize::from(id.0)).filter(|then| then.used != 0);
                then.is_some_and(|then| {
                    let was_bond = then.flags & port_flags::BOND != 0;
                    then.name.text() != port.name
                        || was_bond != port.bond.is_some()
                        || !encode::is_policy(image, then, &port.vlan)
                })
            });
            if removed > 0 {
                tracing::info!(
                    bridge = bridge.name,
                    removed,
                    "addresses of ports that have changed are forgotten"
                );
            }
            let wanted = self.model.bridges.get(&bridge.name).map(|wanted| &wanted.statics);
            for entry in bridge.fdb.entries(now).into_iter().filter(|entry| entry.is_static) {
                if wanted.is_none_or(|wanted| !wanted.contains_key(&(entry.vlan, entry.mac))) {
                    bridge.fdb.remove(entry.vlan, entry.mac);
                }
            }
        }
    }

    /// Reads anew where a veth's other end is.
    pub(super) fn refresh_peer(&mut self, ifindex: u32) -> bool {
        let peer = self.links.get(&ifindex).and_then(peer_of);
        let found = self.devices.iter_mut().find(|(_, attached)| attached.ifindex() == ifindex);
        match found {
            Some((_, attached)) if attached.peer != peer => {
                attached.peer = peer;
                true
            }
            _ => false,
        }
    }
}

/// The address of a veth's other end, if that is in another network namespace.
pub(super) fn peer_of(link: &Link) -> Option<MacAddr> {
    if link.kind.as_deref() != Some("veth") {
        return None;
    }
    link::mac_in_namespace(link.peer_netns?, link.peer?)
}
