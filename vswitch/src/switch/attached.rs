//! A device in use, and how it is taken and given back.

use std::sync::Arc;

use forwarding::ids::{MAX_DEVICES, PortId};
use forwarding::mac::MacAddr;

use super::Switch;
use super::fast::peer_of;
use super::roles::Role;
use crate::counters::DeviceCounters;
use crate::datapath::Slot;
use crate::device::attach::{Attached as Attachment, attach};
use crate::device::{Device, DeviceError};
use crate::fastpath::layout::device_flags;
use crate::netlink::hoststack::HostStack;
use crate::netlink::link::{self, Link};

/// Why a device can't be taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum OpenError {
    #[error(transparent)]
    Device(#[from] DeviceError),
    #[error("{name}: {source}")]
    Attach { name: String, source: crate::netlink::NetlinkError },
    #[error("{name}: all {MAX_DEVICES} device numbers are in use")]
    TooMany { name: String },
}

/// An open device that is not yet part of the switch. Dropping it gives it back.
#[derive(Debug)]
pub(super) struct Opened {
    device: Option<Device>,
    attachment: Option<Attachment>,
    mtu: u32,
    usable: bool,
}

impl Opened {
    fn is_tap(&self) -> bool {
        self.device.as_ref().is_some_and(Device::is_tap)
    }
}

impl Drop for Opened {
    fn drop(&mut self) {
        if let Some(device) = self.device.take() {
            give_back(&device, self.attachment.take());
        }
    }
}

/// A device of the switch.
#[derive(Debug)]
pub(super) struct Attached {
    pub(super) slot: Arc<Slot>,
    attachment: Option<Attachment>,
    /// The logical port it belongs to; `None` for a moment while a model is being committed.
    pub(super) port: Option<PortId>,
    /// Octets of layer 3.
    pub(super) mtu: u32,
    /// Frames can leave by it.
    pub(super) usable: bool,
    /// A worker receives from it.
    pub(super) receives: bool,
    /// The program could not be attached to it; that is not tried again.
    pub(super) unhookable: bool,
    /// Address of the other end of a veth that leads into another network namespace.
    pub(super) peer: Option<MacAddr>,
}

impl Attached {
    /// What the kernel's tables say about it, the changes to be undone among it.
    pub(super) fn flags(&self) -> u8 {
        let changed = self.attachment.as_ref().map_or(0, Attachment::changes);
        if self.is_internal() { changed | device_flags::INTERNAL } else { changed }
    }

    /// Lets a worker receive from it, or not.
    pub(super) fn set_receiving(&mut self, receives: bool) {
        if self.receives == receives {
            return;
        }
        match self.slot.device.set_receiving(receives) {
            Ok(()) => self.receives = receives,
            Err(error) => tracing::warn!(%error, "the packet socket keeps receiving, or not"),
        }
    }

    /// Sets the interface flag, which outlives us, unlike a packet socket's wish.
    pub(super) fn set_promiscuous(&mut self) {
        let Some(attachment) = &mut self.attachment else { return };
        if let Err(error) = attachment.set_promiscuous() {
            tracing::warn!(device = self.slot.device.name(), %error, "not promiscuous beyond this daemon's life");
        }
    }

    pub(super) fn name(&self) -> &str {
        self.slot.device.name()
    }

    pub(super) fn ifindex(&self) -> u32 {
        self.slot.device.ifindex()
    }

    pub(super) fn is_internal(&self) -> bool {
        self.slot.device.is_tap()
    }

    /// Whether frames sent to a device in this state arrive anywhere. The host takes frames from a TAP also while we
    /// show it no carrier.
    pub(super) fn is_usable(&self, link: &Link) -> bool {
        link.admin_up && (link.carrier || self.is_internal())
    }

    /// Leaves the device as it was found; a TAP of ours vanishes when the last worker has let go of it.
    pub(super) fn release(mut self) {
        give_back(&self.slot.device, self.attachment.take());
    }
}

fn give_back(device: &Device, attachment: Option<Attachment>) {
    if let Err(error) = device.unpersist() {
        tracing::debug!(%error, "the internal port may have been deleted");
    }
    if let Some(Err(error)) = attachment.map(Attachment::detach) {
        tracing::warn!(device = device.name(), %error, "device could not be left as found");
    }
}

impl Switch {
    /// Whether a device is attached already and can stay for this role.
    pub(super) fn is_attached_as(&self, name: &str, role: &Role) -> bool {
        self.attached(name).is_some_and(|attached| attached.is_internal() == role.is_internal())
    }

    /// Opens a device for a role; `None` if it doesn't exist (yet). Nothing of the switch changes.
    pub(super) fn open(&self, name: &str, role: &Role) -> Result<Option<Opened>, OpenError> {
        if self.devices.free() == 0 {
            return Err(OpenError::TooMany { name: name.to_owned() });
        }
        if let Some(mac) = role.internal {
            let device = Device::tap(name, mac)?;
            let link = link::get(device.ifindex()).ok();
            let mtu = link.as_ref().map_or(1500, |link| link.mtu);
            let usable = link.is_some_and(|link| link.admin_up);
            return Ok(Some(Opened { device: Some(device), attachment: None, mtu, usable }));
        }
        let Some(link) = self.link(name) else { return Ok(None) };
        self.tell_other_master(link);
        // With the fast path it is received from only if that can't be attached.
        let fast = self.fast.kernel.is_ok();
        let opened = if fast {
            Device::netdev_to_send(name, link.ifindex)
        } else {
            Device::netdev(name, link.ifindex)
        };
        let device = match opened {
            Ok(device) => device,
            // Gone before the news of it came.
            Err(DeviceError::NoSuchDevice { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut attachment = attach(name, link.ifindex)
            .map_err(|source| OpenError::Attach { name: name.to_owned(), source })?;
        if let Some((_, flags)) = self.fast.earlier_device(name, link.ifindex) {
            attachment.inherit(flags);
        }
        if let HostStack::Partly(reason) = attachment.host_stack() {
            tracing::warn!(device = name, "{reason}");
        }
        let usable = link.admin_up && link.carrier;
        let mtu = link.mtu;
        Ok(Some(Opened { device: Some(device), attachment: Some(attachment), mtu, usable }))
    }

    /// Makes an open device part of the switch, received from by the worker with the fewest devices.
    pub(super) fn install(&mut self, mut opened: Opened) {
        let link = opened.device.as_ref().and_then(|device| self.links.get(&device.ifindex()));
        match link {
            Some(link) => {
                (opened.mtu, opened.usable) = (link.mtu, link.admin_up && (link.carrier || opened.is_tap()));
            }
            // The news of a TAP just made is yet to come.
            None if opened.is_tap() => {}
            // Gone since it was opened.
            None => return,
        }
        let Some(device) = opened.device.take() else { return };
        let load = |worker| self.devices.iter().filter(|(_, a)| a.slot.worker == worker).count();
        let worker = (0..self.datapath.workers()).min_by_key(|worker| load(*worker)).unwrap_or(0);
        let peer = link.and_then(peer_of);
        self.incarnation = self.incarnation.wrapping_add(1);
        let (incarnation, ifindex) = (self.incarnation, device.ifindex());
        let earlier = self.fast.earlier_device(device.name(), ifindex).map(|(number, _)| number);
        let receives = self.fast.kernel.is_err();
        let slot = Arc::new(Slot { device, counters: DeviceCounters::default(), worker, incarnation });
        let attachment = opened.attachment.take();
        let (mtu, usable) = (opened.mtu, opened.usable);
        let attached =
            Attached { slot, attachment, port: None, mtu, usable, receives, unhookable: false, peer };
        let number = match earlier {
            Some(number) => self.devices.insert_at(number, attached),
            None => self.devices.insert(attached),
        };
        match (number, &mut self.fast.kernel) {
            (None, _) => tracing::error!("all {MAX_DEVICES} device numbers are in use"),
            (Some(number), Ok(kernel)) => kernel.clear_device_stats(number),
            (Some(_), Err(_)) => {}
        }
    }
}
