//! What the control thread itself hears and says by a device: LACP, or link probes. A packet socket that sees nothing else,
//! so that no amount of other traffic can crowd out a LACPDU or the answer to a probe.

mod filter;

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use lacp::slow;

pub use self::filter::{Hears, Probes};
use super::DeviceError;

/// Octets of a received frame that are kept: more than any LACPDU, marker, ARP or neighbour discovery fills.
const MAX_OCTETS: usize = 256;
/// What `SO_PRIORITY` Linux's bonding driver gives to LACPDUs and ARP probes (`TC_PRIO_CONTROL`): past whatever waits in
/// the queue.
const PRIORITY: libc::c_int = 7;

/// A packet socket of the control thread, bound to one device.
#[derive(Debug)]
pub struct ControlSocket {
    name: String,
    fd: OwnedFd,
}

impl ControlSocket {
    /// Opens the socket. For the Slow Protocols it lets the device take frames to their address.
    ///
    /// # Errors
    /// There is no such device, or no CAP_NET_RAW.
    pub fn open(name: &str, ifindex: u32, hears: &Hears) -> Result<Self, DeviceError> {
        let system = |action| move |source| DeviceError::system(name, action, source);
        // Protocol 0 receives nothing. So no frame gets in before the filter is there and `bind` names the device.
        // SAFETY: no pointers.
        let fd = unsafe {
            libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0)
        };
        if fd < 0 {
            return Err(system("open a packet socket of the control thread")(io::Error::last_os_error()));
        }
        // SAFETY: the descriptor is new and nobody else's.
        let socket = Self { name: name.to_owned(), fd: unsafe { OwnedFd::from_raw_fd(fd) } };
        let on: libc::c_int = 1;
        let set = |option, value: &libc::c_int| socket.set(libc::SOL_PACKET, option, value);
        set(libc::PACKET_IGNORE_OUTGOING, &on).map_err(system("turn on PACKET_IGNORE_OUTGOING"))?;
        socket.filter(hears).map_err(system("filter what the control thread hears"))?;
        // Without CAP_NET_ADMIN a frame of ours waits in the queue like any frame.
        let _ = socket.set(libc::SOL_SOCKET, libc::SO_PRIORITY, &PRIORITY);
        socket.bind(ifindex, hears).map_err(|error| match error.raw_os_error() {
            Some(libc::ENODEV | libc::ENXIO) => DeviceError::NoSuchDevice { name: name.to_owned() },
            _ => system("bind the packet socket of the control thread")(error),
        })?;
        if *hears == Hears::SlowProtocols {
            socket.join(ifindex).map_err(system("join the Slow Protocols' address"))?;
        }
        Ok(socket)
    }

    /// The descriptor, which is readable when a frame waits.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The next frame, from its destination address on, at most as long as `buffer`; `None` if none waits.
    ///
    /// # Errors
    /// The system's. ENETDOWN is told once when the device goes down, and the socket goes on when it is up again.
    pub fn recv<'a>(&self, buffer: &'a mut ControlBuffer) -> io::Result<Option<&'a [u8]>> {
        match rustix::io::read(&self.fd, &mut buffer.0[..]) {
            Ok(length) => Ok(Some(&buffer.0[..length])),
            Err(rustix::io::Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sends a frame. Never blocks.
    ///
    /// # Errors
    /// The system's; the frame is lost.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        rustix::io::write(&self.fd, frame).map(drop).map_err(io::Error::from)
    }

    fn set<T: Copy>(&self, level: libc::c_int, option: libc::c_int, value: &T) -> io::Result<()> {
        // SAFETY: the pointer and the length are those of a live, plain value.
        let result = unsafe {
            libc::setsockopt(
                self.fd.as_raw_fd(),
                level,
                option,
                std::ptr::from_ref(value).cast(),
                size_of::<T>() as libc::socklen_t,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn filter(&self, hears: &Hears) -> io::Result<()> {
        let mut program = filter::program(hears, MAX_OCTETS as u32);
        let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
        // The kernel copies the instructions, which live until the end of this function.
        self.set(libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)
    }

    fn bind(&self, ifindex: u32, hears: &Hears) -> io::Result<()> {
        // SAFETY: sockaddr_ll is plain numbers; all zero is a value of it.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = match hears {
            // Behind the kernel's executor and the shield of the host's stack, which let these frames pass: a socket
            // for all protocols would cost every frame a filter.
            Hears::SlowProtocols => slow::ETHERTYPE.to_be(),
            // Before both: these frames are forwarded too.
            Hears::Probes(_) => (libc::ETH_P_ALL as u16).to_be(),
        };
        address.sll_ifindex = ifindex.cast_signed();
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
        let _pending = rustix::net::sockopt::socket_error(&self.fd)?;
        Ok(())
    }

    /// Of a NIC, whose promiscuous mode others may turn off.
    fn join(&self, ifindex: u32) -> io::Result<()> {
        // SAFETY: packet_mreq is plain numbers; all zero is a value of it.
        let mut member: libc::packet_mreq = unsafe { zeroed() };
        member.mr_ifindex = ifindex.cast_signed();
        member.mr_type = libc::PACKET_MR_MULTICAST as u16;
        member.mr_alen = 6;
        member.mr_address[..6].copy_from_slice(&slow::DESTINATION);
        self.set(libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &member)
    }

    /// The device's name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// Room for one received frame.
#[derive(Debug)]
pub struct ControlBuffer([u8; MAX_OCTETS]);

impl Default for ControlBuffer {
    fn default() -> Self {
        Self([0; MAX_OCTETS])
    }
}
