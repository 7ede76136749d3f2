//! A TAP of our own, the bridge's internal port: what the host sends on it we receive, and the other way round.
//! See the kernel's Documentation/networking/tuntap.rst.

use std::ffi::{c_int, c_uint, c_ulong};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use forwarding::drop_reason::DropReason;
use forwarding::mac::MacAddr;
use forwarding::wire::virtio::{F_DATA_VALID, F_NEEDS_CSUM, VirtioNetHeader};

use super::burst::{BURST, RxBurst, SendReport, TxBurst};
use super::{DeviceError, interface_request};

/// The flags of the virtio header that may pass to the host.
pub(super) const FLAGS: u8 = F_NEEDS_CSUM | F_DATA_VALID;

/// An open TAP.
#[derive(Debug)]
pub(super) struct Tap {
    fd: OwnedFd,
}

impl Tap {
    /// Creates the TAP, or takes over the one that an earlier daemon left.
    pub(super) fn open(name: &str, mac: MacAddr) -> Result<Self, DeviceError> {
        super::check_name(name)?;
        let (tap, _) = Self::create(name)?;
        let system = |action| move |source| DeviceError::system(name, action, source);
        tap.set_mac(mac).map_err(system("set its MAC address"))?;
        tap.ioctl_value(libc::TUNSETPERSIST, 1).map_err(system("make it persistent"))?;
        Ok(tap)
    }

    /// Creates a TAP that goes with its descriptor, and says its name. In `template` the kernel puts the lowest free number
    /// in the place of `%d`. `frames` may wait in it.
    pub(super) fn open_queue(template: &str, frames: i32) -> Result<(Self, String), DeviceError> {
        let (tap, name) = Self::create(template)?;
        let mut request = interface_request(&name);
        request.ifr_ifru.ifru_metric = frames;
        // A request to the interface, not to the TAP; any socket takes it.
        let socket =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)
                .map_err(|error| DeviceError::system(&name, "set its queue's length", error.into()))?;
        // SAFETY: an ifreq whose union holds the queue's length, a number.
        let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFTXQLEN, &mut request) };
        if result < 0 {
            return Err(DeviceError::system(&name, "set its queue's length", io::Error::last_os_error()));
        }
        Ok((tap, name))
    }

    /// Creates or takes over a TAP, with virtio headers and all offloads; returns its name too.
    fn create(name: &str) -> Result<(Self, String), DeviceError> {
        let system = |action| move |source| DeviceError::system(name, action, source);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC)
            .open("/dev/net/tun")
            .map_err(|error| match error.raw_os_error() {
                Some(libc::ENOENT | libc::ENODEV | libc::ENXIO) => DeviceError::NoTunDriver,
                Some(libc::EPERM | libc::EACCES) => permission(name),
                _ => system("open /dev/net/tun")(error),
            })?;
        let tap = Self { fd: file.into() };

        let mut request = interface_request(name);
        request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR) as i16;
        tap.ioctl(libc::TUNSETIFF, &mut request).map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => permission(name),
            Some(libc::EBUSY) => DeviceError::Busy { name: name.to_owned() },
            // The name belongs to a device of another kind (or to a TAP with several queues).
            Some(libc::EINVAL) => DeviceError::NotATap { name: name.to_owned() },
            _ => system("create it")(error),
        })?;
        tap.ioctl(libc::TUNSETVNETHDRSZ, &mut (VirtioNetHeader::LEN as c_int))
            .map_err(system("set the length of the virtio header"))?;
        tap.set_offloads().map_err(system("turn on its offloads"))?;
        let octets: Vec<u8> =
            request.ifr_name.iter().take_while(|c| **c != 0).map(|c| c.cast_unsigned()).collect();
        Ok((tap, String::from_utf8_lossy(&octets).into_owned()))
    }

    /// Everything we can pass on: partial checksums and super-frames, so that the host need not finish them.
    fn set_offloads(&self) -> io::Result<()> {
        let base = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
        // Kernels before 6.2 don't know UDP segmentation here.
        self.ioctl_value(libc::TUNSETOFFLOAD, base | libc::TUN_F_USO4 | libc::TUN_F_USO6)
            .or_else(|_| self.ioctl_value(libc::TUNSETOFFLOAD, base))
    }

    /// Sets the MAC only if it differs: setting it tells everyone and makes IPv6 addresses anew.
    fn set_mac(&self, mac: MacAddr) -> io::Result<()> {
        let mut request = interface_request("");
        self.ioctl(libc::SIOCGIFHWADDR, &mut request)?;
        // SAFETY: the kernel has filled in this member of the union; every bit pattern is a value of it.
        let address = unsafe { &mut request.ifr_ifru.ifru_hwaddr };
        let wanted = mac.0.map(u8::cast_signed);
        if address.sa_data[..6] == wanted {
            return Ok(());
        }
        address.sa_family = libc::ARPHRD_ETHER;
        address.sa_data[..6].copy_from_slice(&wanted);
        self.ioctl(libc::SIOCSIFHWADDR, &mut request)
    }

    /// Whether the interface shows a carrier (LOWER_UP).
    pub(super) fn set_carrier(&self, carrier: bool) -> io::Result<()> {
        self.ioctl(libc::TUNSETCARRIER, &mut c_int::from(carrier))
    }

    /// Takes persistence off: the interface goes when the descriptor closes.
    pub(super) fn unpersist(&self) -> io::Result<()> {
        self.ioctl_value(libc::TUNSETPERSIST, 0)
    }

    /// For requests whose argument points to a value.
    fn ioctl<T>(&self, request: libc::Ioctl, argument: &mut T) -> io::Result<()> {
        // SAFETY: each caller's T is what the kernel reads or writes for its request: ifreq for TUNSETIFF and
        // SIOC?IFHWADDR, int for TUNSETVNETHDRSZ and TUNSETCARRIER.
        let result = unsafe { libc::ioctl(self.fd.as_raw_fd(), request, std::ptr::from_mut(argument)) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// For requests whose argument is the value itself.
    fn ioctl_value(&self, request: libc::Ioctl, argument: c_uint) -> io::Result<()> {
        // SAFETY: TUNSETPERSIST and TUNSETOFFLOAD take a number; no memory is touched.
        let result = unsafe { libc::ioctl(self.fd.as_raw_fd(), request, c_ulong::from(argument)) };
        if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Receives what waits, at most [`BURST`] frames. A TAP gives one frame a system call.
    pub(super) fn recv_burst(&self, burst: &mut RxBurst) -> io::Result<usize> {
        burst.clear();
        while burst.len() < BURST {
            match rustix::io::read(&self.fd, burst.next_buffer()) {
                Ok(len) => burst.push(len, None),
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => {}
                // tun_put_user() has thrown away a frame that no virtio header can describe.
                Err(rustix::io::Errno::INVAL) => burst.push_refused(DropReason::BadOffload),
                Err(_) if !burst.is_empty() => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(burst.len())
    }

    /// Sends the loaded frames, one a system call.
    pub(super) fn send_loaded(&self, scratch: &mut TxBurst, report: &mut SendReport) {
        for i in 0..scratch.messages(0).len() {
            let message = &scratch.messages(i)[0].msg_hdr;
            // SAFETY: two iovecs, which `load` set to a prefix in `scratch` and to bytes that the caller still borrows;
            // the kernel only reads them.
            let n =
                unsafe { libc::writev(self.fd.as_raw_fd(), message.msg_iov, message.msg_iovlen as c_int) };
            if n >= 0 {
                scratch.count_sent(i, 1, report);
                continue;
            }
            let reason = match io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO) {
                libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM => DropReason::QueueFull,
                libc::EMSGSIZE => DropReason::MtuExceeded,
                // EIO: the interface is down. EBADFD: it was deleted.
                libc::EIO | libc::EBADFD | libc::ENODEV | libc::ENETDOWN => DropReason::DeviceDown,
                _ => DropReason::SendError,
            };
            report.drop(reason, 1);
        }
    }
}

impl AsFd for Tap {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

fn permission(name: &str) -> DeviceError {
    DeviceError::Permission { name: name.to_owned(), capability: "CAP_NET_ADMIN" }
}
