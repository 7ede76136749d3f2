//! Devices: all packet I/O of the switch.
//!
//! A [`Device`] is a port's end in the kernel, either an existing network device (through a packet socket) or a TAP of
//! our own. Both carry frames with partial checksums and GSO super-frames as they are, with a virtio header beside them,
//! and the outermost VLAN tag as metadata. One thread receives from a device; any thread may send.
//!
//! - `packet`: packet sockets
//! - `tap`: TAPs
//! - `burst`: buffers, allocated once, in memory of `region`
//! - [`attach`]: making a device a port, and giving it back as it was

use std::borrow::Borrow;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use forwarding::mac::MacAddr;

use crate::netlink::link;

pub mod attach;
mod burst;
mod control;
mod packet;
mod region;
mod tap;

pub use burst::{BURST, MAX_FRAME, RxBurst, RxFrame, SendReport, TxBurst, TxFrame};
pub use control::{ControlBuffer, ControlSocket, Hears, Probes};

/// Names of TAPs for frames that the kernel's executor leaves to workers.
const MISS_QUEUE: &str = "vsw-miss%d";

/// Longest name of a network device, in octets (IFNAMSIZ without the final zero).
pub const MAX_NAME: usize = 15;

/// Why a device can't be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// No device has that name or index.
    #[error("there is no network device \"{name}\"")]
    NoSuchDevice {
        /// The device.
        name: String,
    },
    /// Linux would not take the name.
    #[error("\"{name}\" can't be the name of a network device: {why}")]
    InvalidName {
        /// The name.
        name: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Frames on the device have no Ethernet header.
    #[error("\"{name}\" is not an Ethernet device, so it can't be a port of a switch")]
    NotEthernet {
        /// The device.
        name: String,
    },
    /// The process may not do that.
    #[error("no permission to use \"{name}\": this needs {capability} (run as root)")]
    Permission {
        /// The device.
        name: String,
        /// What is missing.
        capability: &'static str,
    },
    /// The name of the TAP is taken.
    #[error(
        "\"{name}\" exists already and is not a TAP that can be taken over; remove it or choose another name"
    )]
    NotATap {
        /// The device.
        name: String,
    },
    /// Another process has the TAP open.
    #[error("the TAP \"{name}\" is in use by another process")]
    Busy {
        /// The device.
        name: String,
    },
    /// The kernel has no TAP driver.
    #[error("/dev/net/tun is missing; load the driver with \"modprobe tun\"")]
    NoTunDriver,
    /// Anything else the kernel refused.
    #[error("\"{name}\": can't {action}: {source}")]
    System {
        /// The device.
        name: String,
        /// What was being done.
        action: &'static str,
        /// The kernel's answer.
        source: io::Error,
    },
}

impl DeviceError {
    fn system(name: &str, action: &'static str, source: io::Error) -> Self {
        Self::System { name: name.to_owned(), action, source }
    }
}

/// Checks that Linux would take `name` for a network device (dev_valid_name()).
///
/// # Errors
/// [`DeviceError::InvalidName`] with what is wrong.
pub fn check_name(name: &str) -> Result<(), DeviceError> {
    let why = if name.is_empty() {
        "it is empty"
    } else if name.len() > MAX_NAME {
        "it is longer than 15 octets"
    } else if name == "." || name == ".." {
        "it is reserved"
    } else if name
        .bytes()
        .any(|b| b == b'/' || b == b':' || b == b'%' || b == 0 || b.is_ascii_whitespace() || b == 0x0b)
    {
        "it contains a slash, colon, percent sign or white space"
    } else {
        return Ok(());
    };
    Err(DeviceError::InvalidName { name: name.to_owned(), why })
}

/// A request about the interface `name` (at most 15 octets), everything else zero.
pub(crate) fn interface_request(name: &str) -> libc::ifreq {
    // SAFETY: octets and a union of plain numbers and pointers; all zero is a value of it.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().take(MAX_NAME).zip(name.bytes()) {
        *to = from.cast_signed();
    }
    request
}

fn index_of(name: &str) -> io::Result<u32> {
    let socket = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    Ok(rustix::net::netdevice::name_to_index(socket, name)?)
}

/// A network device that frames are received from and sent to.
#[derive(Debug)]
pub struct Device {
    name: String,
    ifindex: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Packet(packet::PacketSocket),
    Tap(tap::Tap),
}

impl Device {
    /// Opens an existing Ethernet device for receiving and sending. The device becomes promiscuous for as long as it
    /// is open; nothing else of it changes (see [`attach`] for the rest).
    ///
    /// `name` is for messages; the device is the one with the index `ifindex`.
    ///
    /// # Errors
    /// No such device, no CAP_NET_RAW, not Ethernet.
    pub fn netdev(name: &str, ifindex: u32) -> Result<Self, DeviceError> {
        let socket = packet::PacketSocket::open(name, ifindex, true)?;
        Ok(Self { name: name.to_owned(), ifindex, kind: Kind::Packet(socket) })
    }

    /// As [`Self::netdev`], but for sending only until [`Self::set_receiving`] says otherwise.
    ///
    /// # Errors
    /// As [`Self::netdev`].
    pub fn netdev_to_send(name: &str, ifindex: u32) -> Result<Self, DeviceError> {
        let socket = packet::PacketSocket::open(name, ifindex, false)?;
        Ok(Self { name: name.to_owned(), ifindex, kind: Kind::Packet(socket) })
    }

    /// Whether frames that arrive on a netdev are received from now on. A TAP always receives.
    ///
    /// # Errors
    /// The device has vanished.
    pub fn set_receiving(&self, receiving: bool) -> Result<(), DeviceError> {
        match &self.kind {
            Kind::Packet(socket) => socket
                .bind(self.ifindex, receiving)
                .map_err(|e| DeviceError::system(&self.name, "bind the packet socket", e)),
            Kind::Tap(_) => Ok(()),
        }
    }

    /// A TAP by which the kernel's executor hands frames to a worker: up, without addresses of its own, and gone when the
    /// process is. `frames` may wait in it.
    ///
    /// # Errors
    /// As [`Self::tap`].
    pub fn miss_queue(frames: i32) -> Result<Self, DeviceError> {
        let (tap, name) = tap::Tap::open_queue(MISS_QUEUE, frames)?;
        let ifindex = index_of(&name).map_err(|e| DeviceError::system(&name, "find its index", e))?;
        let setting = format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6");
        // Without IPv6 in the kernel there is nothing to turn off.
        let _none = std::fs::write(setting, "1");
        link::set_admin_up(ifindex, true)
            .map_err(|e| DeviceError::system(&name, "set it up", io::Error::other(e.to_string())))?;
        Ok(Self { name, ifindex, kind: Kind::Tap(tap) })
    }

    /// Creates a TAP, or takes over one that exists and nobody has open, with its addresses. It is persistent: it
    /// outlives this process, so that a restarted daemon finds it, until [`Self::unpersist`]. The MAC address is set if it
    /// differs. It starts with carrier, and admin down if it is new.
    ///
    /// # Errors
    /// Invalid name, name taken by something that is not a TAP, TAP open elsewhere, no driver, no CAP_NET_ADMIN.
    pub fn tap(name: &str, mac: MacAddr) -> Result<Self, DeviceError> {
        let tap = tap::Tap::open(name, mac)?;
        let ifindex = index_of(name).map_err(|e| DeviceError::system(name, "find its index", e))?;
        Ok(Self { name: name.to_owned(), ifindex, kind: Kind::Tap(tap) })
    }

    /// The name it was opened by.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The interface index.
    pub fn ifindex(&self) -> u32 {
        self.ifindex
    }

    /// Whether it is a TAP of our own.
    pub fn is_tap(&self) -> bool {
        matches!(self.kind, Kind::Tap(_))
    }

    /// To wait on: readable when frames wait, or when the device went down or was deleted.
    pub fn fd(&self) -> BorrowedFd<'_> {
        match &self.kind {
            Kind::Packet(socket) => socket.as_fd(),
            Kind::Tap(tap) => tap.as_fd(),
        }
    }

    /// Receives what waits, at most [`BURST`] frames, and never blocks. 0 means that nothing waits (any more): with
    /// edge-triggered polling, call until then. Frames that can't be used count too; [`RxBurst::frame`] says why.
    ///
    /// # Errors
    /// ENETDOWN once each time the device goes down or is deleted; for a deleted TAP EBADFD each time. Frames may
    /// wait behind ENETDOWN, and after the device is up again the same [`Device`] works on; so call again until 0.
    #[inline]
    pub fn recv_burst(&self, burst: &mut RxBurst) -> io::Result<usize> {
        match &self.kind {
            Kind::Packet(socket) => socket.recv_burst(burst),
            Kind::Tap(tap) => tap.recv_burst(burst),
        }
    }

    /// Sends any number of frames (a slice, or an iterator that makes them as it goes) in bursts of [`BURST`], in their
    /// order, and never blocks. A frame that the kernel refuses is counted and the next one tried.
    #[inline]
    pub fn send_burst<'a, F>(&self, frames: impl IntoIterator<Item = F>, scratch: &mut TxBurst) -> SendReport
    where
        F: Borrow<TxFrame<'a>>,
    {
        let mut report = SendReport::default();
        let mut frames = frames.into_iter().peekable();
        while frames.peek().is_some() {
            match &self.kind {
                Kind::Packet(socket) => {
                    scratch.load(&mut frames, packet::FLAGS, &mut report);
                    socket.send_loaded(scratch, &mut report);
                }
                Kind::Tap(tap) => {
                    scratch.load(&mut frames, tap::FLAGS, &mut report);
                    tap.send_loaded(scratch, &mut report);
                }
            }
        }
        report
    }

    /// Sets the carrier that the host sees on a TAP (LOWER_UP, RUNNING).
    ///
    /// # Errors
    /// On anything but a TAP; or the TAP was deleted.
    pub fn set_carrier(&self, carrier: bool) -> Result<(), DeviceError> {
        let result = match &self.kind {
            Kind::Tap(tap) => tap.set_carrier(carrier),
            Kind::Packet(_) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "only a TAP's carrier is ours"))
            }
        };
        result.map_err(|e| DeviceError::system(&self.name, "set its carrier", e))
    }

    /// Lets a TAP vanish when the last thread that uses it has let go of it. Nothing to do for a netdev.
    ///
    /// # Errors
    /// When the kernel refuses; the TAP stays then.
    pub fn unpersist(&self) -> Result<(), DeviceError> {
        match &self.kind {
            Kind::Tap(tap) => tap.unpersist().map_err(|e| DeviceError::system(&self.name, "remove it", e)),
            Kind::Packet(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_shared_and_buffers_move_between_threads() {
        fn shared<T: Send + Sync>() {}
        fn moved<T: Send>() {}
        shared::<Device>();
        moved::<RxBurst>();
        moved::<TxBurst>();
    }

    #[test]
    fn names() {
        for good in ["eth0", "br-lan.100", "abcdefghijklmno", "\u{fc}"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "abcdefghijklmnop", "a/b", "a:b", "a b", "tap%d", "a\n"] {
            let message = check_name(bad).unwrap_err().to_string();
            assert!(message.contains("can't be the name of a network device: it"), "{message}");
        }
    }
}
