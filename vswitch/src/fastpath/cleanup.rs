//! Removing what a daemon that is gone has left in the kernel.

use super::hooks;
use super::kernel::{Kernel, LoadOptions};
use super::layout::device_flags;
use super::pins::Pins;
use crate::netlink::{ethtool, hoststack, link};

/// What becomes of the internal ports that are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InternalPorts {
    /// They are deleted: no daemon comes back.
    Delete,
    /// They stay, with the host's addresses on them, for the daemon that starts now.
    Keep,
}

/// Gives up a device that an earlier daemon has left: detached, and its flags as they were before that daemon.
pub fn give_up(kernel: &Kernel, device: &super::layout::Device, internal_ports: InternalPorts) {
    let (name, ifindex) = (device.name.text(), device.ifindex);
    let internal = device.flags & device_flags::INTERNAL != 0;
    if let Err(error) = hooks::detach_stale(kernel, &name, ifindex, internal) {
        tracing::warn!(device = name, error = format!("{error:#}"), "the BPF program can't be detached");
    }
    // The index may be another device's by now.
    let Some(link) = link::get(ifindex).ok().filter(|link| link.name == name) else { return };
    if internal {
        if internal_ports == InternalPorts::Delete {
            delete_tap(&link);
        }
        return;
    }
    if device.flags & device_flags::SET_PROMISC != 0 {
        let _vanished = link::set_promiscuous(ifindex, false);
    }
    if device.flags & device_flags::HAD_LRO != 0 {
        let _vanished = ethtool::set_large_receive(&name, true);
    }
    if device.flags & device_flags::WAS_DOWN != 0 {
        let _vanished = link::set_admin_up(ifindex, false);
    }
    if let Err(error) = hoststack::remove_stale(&name) {
        tracing::warn!(device = name, %error, "the shield of a device that is no port any more stays");
    }
}

/// Gives up what may be left of a device of which no more is known than its name. `internal`: it is a bridge's internal port.
pub fn give_up_by_name(name: &str, internal: bool) {
    if internal && let Ok(Some(link)) = link::find(name) {
        delete_tap(&link);
    }
    if let Err(error) = hoststack::remove_stale(name) {
        tracing::warn!(device = name, %error, "the shield of a device stays");
    }
}

/// Deletes an internal port that nobody has open: a TAP without carrier that is named as a bridge.
fn delete_tap(link: &link::Link) {
    if link.kind.as_deref() != Some("tun") || link.carrier {
        return;
    }
    match link::delete(link.ifindex) {
        Ok(()) => tracing::info!(device = link.name, "internal port deleted"),
        Err(error) => tracing::warn!(device = link.name, %error, "the internal port can't be deleted"),
    }
}

/// Takes everything out of the kernel that a daemon left under these pins, if it left any; names the devices that are given
/// up. That the program can't be loaded is no obstacle where links are pinned: they go with their pins.
pub fn remove(pins: &Pins, internal_ports: InternalPorts) -> Vec<String> {
    let mut devices = Vec::new();
    if pins.exist() {
        match Kernel::load(pins.clone(), LoadOptions::default()) {
            Ok(kernel) => {
                for device in kernel.read().devices.iter().filter(|device| device.ifindex != 0) {
                    give_up(&kernel, device, internal_ports);
                    devices.push(device.name.text());
                }
            }
            Err(error) => tracing::warn!(error = format!("{error:#}"), "what is pinned can't be read"),
        }
    }
    if let Err(error) = pins.remove_all() {
        tracing::warn!(%error, "what is pinned can't be removed");
    }
    devices
}
