//! A port on an existing network device (NIC, veth, a guest's tap, Xen vif): a packet socket, see packet(7).

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use forwarding::drop_reason::DropReason;
use forwarding::vlan::{TPID_8021Q, VlanTag};
use forwarding::wire::virtio::F_NEEDS_CSUM;
use rustix::net::sockopt;

use super::DeviceError;
use super::burst::{BURST, RxBurst, SendReport, TxBurst};

/// Octets of received frames the kernel may hold for us; it takes twice that, for its own overhead (a short frame
/// counts as some 700 octets). Deep enough for the windows of several TCP streams (a quarter of it loses segments with
/// four), short enough not to delay control frames by more than some 10 ms.
const RECEIVE_BUFFER: usize = 8 << 20;
/// Octets of sent frames that may wait in the device's queue.
const SEND_BUFFER: usize = 4 << 20;

/// The one flag of the virtio header that means something on a frame that a packet socket sends.
pub(super) const FLAGS: u8 = F_NEEDS_CSUM;

/// A raw packet socket bound to one device.
#[derive(Debug)]
pub(super) struct PacketSocket {
    fd: OwnedFd,
}

impl PacketSocket {
    /// Opens a socket that receives every frame from the wire on the device (promiscuous mode; the kernel ends it when
    /// the socket closes, however that happens), and none that is sent on it. If it is not `receiving`, it receives
    /// nothing and sends only.
    pub(super) fn open(name: &str, ifindex: u32, receiving: bool) -> Result<Self, DeviceError> {
        let system = |action| move |source| DeviceError::system(name, action, source);
        // Protocol 0 receives nothing. So no frame of another device gets in before `bind` names the device.
        // SAFETY: no pointers.
        let fd = unsafe {
            libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0)
        };
        if fd < 0 {
            let error = io::Error::last_os_error();
            return Err(match error.raw_os_error() {
                Some(libc::EPERM | libc::EACCES) => {
                    DeviceError::Permission { name: name.to_owned(), capability: "CAP_NET_RAW" }
                }
                _ => system("open a packet socket")(error),
            });
        }
        // SAFETY: the descriptor is new and nobody else's.
        let socket = Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } };

        let on: libc::c_int = 1;
        socket.set(libc::PACKET_VNET_HDR, &on).map_err(system("turn on PACKET_VNET_HDR"))?;
        socket.set(libc::PACKET_AUXDATA, &on).map_err(system("turn on PACKET_AUXDATA"))?;
        socket.set(libc::PACKET_IGNORE_OUTGOING, &on).map_err(system("turn on PACKET_IGNORE_OUTGOING"))?;
        socket.set_buffers().map_err(system("size the socket's buffers"))?;
        socket.bind(ifindex, receiving).map_err(|error| match error.raw_os_error() {
            Some(libc::ENODEV | libc::ENXIO) => DeviceError::NoSuchDevice { name: name.to_owned() },
            _ => system("bind the packet socket")(error),
        })?;
        socket.require_ethernet(name)?;
        // SAFETY: packet_mreq is plain numbers; all zero is a value of it.
        let mut member: libc::packet_mreq = unsafe { zeroed() };
        member.mr_ifindex = ifindex.cast_signed();
        member.mr_type = libc::PACKET_MR_PROMISC as u16;
        socket.set(libc::PACKET_ADD_MEMBERSHIP, &member).map_err(system("turn on promiscuous mode"))?;
        Ok(socket)
    }

    fn set<T: Copy>(&self, option: libc::c_int, value: &T) -> io::Result<()> {
        // SAFETY: the pointer and the length are those of a live, plain value.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                option,
                std::ptr::from_ref(value).cast(),
                size_of::<T>() as libc::socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Beyond the system's limit where that is allowed (CAP_NET_ADMIN outside of user namespaces), else up to it.
    fn set_buffers(&self) -> io::Result<()> {
        sockopt::set_socket_recv_buffer_size_force(&self.fd, RECEIVE_BUFFER)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(&self.fd, RECEIVE_BUFFER))?;
        sockopt::set_socket_send_buffer_size_force(&self.fd, SEND_BUFFER)
            .or_else(|_| sockopt::set_socket_send_buffer_size(&self.fd, SEND_BUFFER))?;
        Ok(())
    }

    /// Lets the socket receive from the device, or not.
    pub(super) fn bind(&self, ifindex: u32, receiving: bool) -> io::Result<()> {
        // SAFETY: sockaddr_ll is plain numbers; all zero is a value of it.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        // Protocol 0 receives nothing on a new socket. Later it means that of before (packet_bind()); then the filter counts.
        address.sll_protocol = if receiving { (libc::ETH_P_ALL as u16).to_be() } else { 0 };
        address.sll_ifindex = ifindex.cast_signed();
        self.refuse(!receiving)?;
        // SAFETY: the pointer and the length are those of a live sockaddr_ll.
        let result = unsafe {
            libc::bind(
                self.fd.as_raw_fd(),
                std::ptr::from_ref(&address).cast(),
                size_of::<libc::sockaddr_ll>() as libc::socklen_t,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        // A device that is down leaves ENETDOWN behind; the socket works as soon as the device is up.
        let _pending = sockopt::socket_error(&self.fd)?;
        Ok(())
    }

    /// Lets a filter refuse all frames, or none. Refused ones cost the kernel hardly anything.
    fn refuse(&self, all: bool) -> io::Result<()> {
        // "Take 0 octets of the frame."
        let mut refusal =
            libc::sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k: 0 };
        let program = libc::sock_fprog { len: 1, filter: &raw mut refusal };
        let option = if all { libc::SO_ATTACH_FILTER } else { libc::SO_DETACH_FILTER };
        // SAFETY: the pointer and the length are those of a live sock_fprog, whose one instruction lives as long; the
        // kernel copies both, and needs neither to detach.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_SOCKET,
                option,
                std::ptr::from_ref(&program).cast(),
                size_of::<libc::sock_fprog>() as libc::socklen_t,
            )
        };
        match io::Error::last_os_error() {
            _ if result == 0 => Ok(()),
            // There is none.
            error if !all && error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            error => Err(error),
        }
    }

    /// Refuses devices whose frames have no Ethernet header (loopback, tun, wireguard).
    fn require_ethernet(&self, name: &str) -> Result<(), DeviceError> {
        // SAFETY: sockaddr_ll is plain numbers; all zero is a value of it.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        let mut len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the kernel writes at most `len` octets into `address` and the length into `len`.
        let result = unsafe {
            libc::getsockname(self.fd.as_raw_fd(), std::ptr::from_mut(&mut address).cast(), &mut len)
        };
        if result != 0 {
            return Err(DeviceError::system(name, "ask for its type", io::Error::last_os_error()));
        }
        if address.sll_hatype == libc::ARPHRD_ETHER {
            Ok(())
        } else {
            Err(DeviceError::NotEthernet { name: name.to_owned() })
        }
    }

    /// Receives what waits, at most [`BURST`] frames, in one system call.
    #[inline]
    pub(super) fn recv_burst(&self, burst: &mut RxBurst) -> io::Result<usize> {
        burst.clear();
        let received = {
            let (buffers, scratch) = burst.buffers();
            scratch.prepare(buffers);
            loop {
                // SAFETY: each message points to one iovec, which covers one slot, and to one control buffer; all of
                // them were just set from exclusive borrows that last for the whole block.
                let n = unsafe {
                    libc::recvmmsg(
                        self.fd.as_raw_fd(),
                        scratch.messages.as_mut_ptr(),
                        BURST as libc::c_uint,
                        libc::MSG_DONTWAIT,
                        std::ptr::null_mut(),
                    )
                };
                if n >= 0 {
                    break n as usize;
                }
                let error = io::Error::last_os_error();
                match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    Some(libc::EAGAIN) => return Ok(0),
                    // packet_recvmsg() has thrown away a frame that no virtio header can describe.
                    Some(libc::EINVAL) => {
                        burst.push_refused(DropReason::BadOffload);
                        return Ok(1);
                    }
                    _ => return Err(error),
                }
            }
        };
        for i in 0..received {
            let message = &burst.scratch.messages[i];
            if message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0 {
                burst.push_refused(DropReason::Truncated);
            } else {
                let len = message.msg_len as usize;
                let tag = burst.scratch.controls[i].tag(message.msg_hdr.msg_controllen);
                burst.push(len, tag);
            }
        }
        Ok(received)
    }

    /// Sends the loaded frames in as few system calls as the kernel allows: one, if it takes every frame.
    #[inline]
    pub(super) fn send_loaded(&self, scratch: &mut TxBurst, report: &mut SendReport) {
        let mut first = 0;
        let mut retried = None;
        loop {
            let messages = scratch.messages(first);
            let waiting = messages.len();
            if waiting == 0 {
                return;
            }
            // SAFETY: `waiting` messages, each with two iovecs, that `load` set to a prefix in `scratch` and to bytes
            // that the caller still borrows. The kernel only reads the iovecs and writes msg_len.
            let n = unsafe {
                libc::sendmmsg(
                    self.fd.as_raw_fd(),
                    messages.as_mut_ptr(),
                    waiting as libc::c_uint,
                    libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
                )
            };
            if n > 0 {
                scratch.count_sent(first, n as usize, report);
                first += n as usize;
                continue;
            }
            // The first frame was refused. An old error that waited at the socket (the device had been down, a frame
            // could not be received) looks the same and is gone after it was told, so try that frame once more.
            let error = io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
            let reason = match error {
                libc::EINTR => continue,
                libc::EAGAIN | libc::ENOBUFS => DropReason::QueueFull,
                libc::EMSGSIZE => DropReason::MtuExceeded,
                _ if retried != Some(first) => {
                    retried = Some(first);
                    continue;
                }
                libc::ENETDOWN | libc::ENXIO | libc::ENODEV => {
                    return report.drop(DropReason::DeviceDown, waiting);
                }
                _ => DropReason::SendError,
            };
            report.drop(reason, 1);
            first += 1;
        }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Room for one PACKET_AUXDATA control message.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(super) struct Control {
    header: libc::cmsghdr,
    data: libc::tpacket_auxdata,
}

impl Control {
    /// The tag that the kernel took out of the frame, if `filled` octets of control message say so.
    #[inline]
    fn tag(&self, filled: usize) -> Option<VlanTag> {
        let is_auxdata = filled >= std::mem::offset_of!(Self, data) + size_of::<libc::tpacket_auxdata>()
            && self.header.cmsg_level == libc::SOL_PACKET
            && self.header.cmsg_type == libc::PACKET_AUXDATA;
        // The tag's own number may be 0 (a priority tag), so only the flag tells whether there is one.
        if !is_auxdata || self.data.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
            return None;
        }
        let named = self.data.tp_status & libc::TP_STATUS_VLAN_TPID_VALID != 0;
        Some(VlanTag {
            tpid: if named { self.data.tp_vlan_tpid } else { TPID_8021Q },
            tci: self.data.tp_vlan_tci,
        })
    }
}

/// The kernel's view of the receive slots.
pub(super) struct RxScratch {
    messages: Vec<libc::mmsghdr>,
    parts: Vec<libc::iovec>,
    controls: Vec<Control>,
}

// SAFETY: the pointers inside are set and used within one `recv_burst`; between calls they are never followed.
unsafe impl Send for RxScratch {}

impl std::fmt::Debug for RxScratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RxScratch").finish_non_exhaustive()
    }
}

impl RxScratch {
    pub(super) fn new() -> Self {
        // SAFETY: both are plain numbers; all zero is a value of them.
        let control: Control = unsafe { zeroed() };
        Self {
            messages: vec![empty_message(); BURST],
            parts: vec![libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BURST],
            controls: vec![control; BURST],
        }
    }

    /// Points message `i` to buffer `i`.
    #[inline]
    fn prepare<'a>(&mut self, buffers: impl Iterator<Item = &'a mut [u8]>) {
        for (part, buffer) in self.parts.iter_mut().zip(buffers) {
            *part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        }
        let pieces = self.parts.iter_mut().zip(&mut self.controls);
        for (message, (part, control)) in self.messages.iter_mut().zip(pieces) {
            let header = &mut message.msg_hdr;
            header.msg_iov = part;
            header.msg_iovlen = 1;
            header.msg_control = std::ptr::from_mut(control).cast();
            header.msg_controllen = size_of::<Control>();
            header.msg_flags = 0;
        }
    }
}

/// A message without address, data or control buffer.
pub(super) fn empty_message() -> libc::mmsghdr {
    // SAFETY: null pointers and numbers; all zero is a value of it.
    unsafe { zeroed() }
}
