//! The system calls that `std` and `rustix` do not offer: absolute sleeping, real-time priority, receive timestamps,
//! packet sockets.

use std::io;
use std::mem::{size_of, size_of_val, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

/// Time since boot, of the clock that [`sleep_until`] uses.
pub fn monotonic() -> Duration {
    now(libc::CLOCK_MONOTONIC)
}

/// Time since the Unix epoch, of the clock that stamps received frames.
pub fn realtime() -> Duration {
    now(libc::CLOCK_REALTIME)
}

fn now(clock: libc::clockid_t) -> Duration {
    // SAFETY: an all-zero timespec is valid, and the call fills it.
    let mut now: libc::timespec = unsafe { zeroed() };
    // SAFETY: `now` outlives the call. Both clocks always exist.
    unsafe { libc::clock_gettime(clock, &raw mut now) };
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

/// Sleeps until the monotonic clock shows `deadline`; returns at once if it is past.
pub fn sleep_until(deadline: Duration) {
    let until = libc::timespec {
        tv_sec: deadline.as_secs() as libc::time_t,
        tv_nsec: libc::c_long::from(deadline.subsec_nanos() as i32),
    };
    // SAFETY: `until` outlives the call, and a null remainder is allowed for absolute sleeps.
    while unsafe {
        libc::clock_nanosleep(
            libc::CLOCK_MONOTONIC,
            libc::TIMER_ABSTIME,
            &raw const until,
            std::ptr::null_mut(),
        )
    } == libc::EINTR
    {}
}

/// Gives the calling thread the lowest real-time priority, so that it wakes on time on a busy machine. Returns whether
/// the kernel allowed it; inside `unshare -Urn` it does not.
pub fn try_realtime() -> bool {
    // SAFETY: an all-zero sched_param is valid.
    let mut param: libc::sched_param = unsafe { zeroed() };
    param.sched_priority = 1;
    // SAFETY: `param` outlives the call; 0 means the calling thread.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const param) == 0 }
}

/// Asks for the receive time of every datagram; see [`receive_timestamped`].
pub fn enable_timestamps(socket: &impl AsRawFd) -> io::Result<()> {
    set_option(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_TIMESTAMPNS, &1_i32)
}

/// Enlarges a socket's receive buffer as far as we may.
pub fn enlarge_receive_buffer(socket: &impl AsRawFd, bytes: i32) -> io::Result<()> {
    let fd = socket.as_raw_fd();
    set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUFFORCE, &bytes)
        .or_else(|_| set_option(fd, libc::SOL_SOCKET, libc::SO_RCVBUF, &bytes))
}

/// Makes a packet socket's receive buffer as small as it gets.
pub fn shrink_receive_buffer(socket: &PacketSocket) -> io::Result<()> {
    set_option(socket.fd.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, &1_i32)
}

/// Limits the rate of a TCP socket, in octets a second.
pub fn set_pacing(socket: &impl AsRawFd, octets_per_second: u32) -> io::Result<()> {
    set_option(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_MAX_PACING_RATE, &octets_per_second)
}

/// One datagram from a non-blocking socket: its length and when the kernel received it (time since the Unix epoch).
/// `WouldBlock` when there is none.
pub fn receive_timestamped(socket: &impl AsRawFd, buffer: &mut [u8]) -> io::Result<(usize, Duration)> {
    let mut control = ControlBuffer::new();
    let (length, message) = receive(socket.as_raw_fd(), buffer, &mut control)?;
    let stamp: Option<libc::timespec> = control_data(&message, libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS);
    let stamp = stamp.ok_or_else(|| io::Error::other("the kernel gave no receive time"))?;
    Ok((length, Duration::new(stamp.tv_sec as u64, stamp.tv_nsec as u32)))
}

/// A frame as a packet socket sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The frame without its outer 802.1Q/ad tag, which the kernel takes off before packet sockets see it.
    pub bytes: Vec<u8>,
    /// The tag control information of that tag, if there was one.
    pub tci: Option<u16>,
    /// The tag's protocol, 0x8100 or 0x88a8, if there was one.
    pub tpid: Option<u16>,
    /// When the kernel received it: time since the Unix epoch, as [`realtime`].
    pub at: Duration,
}

/// A raw packet socket on one interface, promiscuous and non-blocking, that does not see what is sent from it.
pub struct PacketSocket {
    fd: OwnedFd,
}

impl PacketSocket {
    /// Opens a socket on the interface of the calling thread's network namespace with this name.
    pub fn open(interface: &str) -> io::Result<Self> {
        Self::open_for(interface, libc::ETH_P_ALL as u16)
    }

    /// Opens a socket that receives frames of one ethertype only; of none, if that is 0.
    pub fn open_for(interface: &str, ethertype: u16) -> io::Result<Self> {
        let index = index_of(interface)?;
        // SAFETY: no pointer is passed.
        let fd = unsafe {
            libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK, 0)
        };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the call above returned a new descriptor that nobody else owns.
        let socket = Self { fd: unsafe { OwnedFd::from_raw_fd(fd) } };
        enlarge_receive_buffer(&socket.fd, 8 << 20)?;
        enable_timestamps(&socket.fd)?;
        socket.set(libc::PACKET_AUXDATA, &1_i32)?;
        socket.set(libc::PACKET_IGNORE_OUTGOING, &1_i32)?;
        let promiscuous = libc::packet_mreq {
            mr_ifindex: index,
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        socket.set(libc::PACKET_ADD_MEMBERSHIP, &promiscuous)?;
        // SAFETY: an all-zero sockaddr_ll is valid.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = ethertype.to_be();
        address.sll_ifindex = index;
        // SAFETY: `address` outlives the call, and the length is its own.
        check(unsafe {
            libc::bind(fd, (&raw const address).cast(), size_of_val(&address) as libc::socklen_t)
        })?;
        Ok(socket)
    }

    /// Sends through the driver's queue directly, without the queueing discipline: what a generator wants.
    pub fn bypass_queue(&self) -> io::Result<()> {
        self.set(libc::PACKET_QDISC_BYPASS, &1_i32)
    }

    /// Sends one frame.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        // SAFETY: `frame` outlives the call, and the length is its own.
        let sent = unsafe { libc::send(self.fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    /// Sends the frame `copies` times with one system call; returns how many left.
    pub fn send_copies(&self, frame: &[u8], copies: usize) -> io::Result<usize> {
        const MOST: usize = 64;
        let mut part = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
        // SAFETY: all-zero mmsghdr values are valid.
        let mut messages: [libc::mmsghdr; MOST] = unsafe { zeroed() };
        for message in &mut messages {
            message.msg_hdr.msg_iov = &raw mut part;
            message.msg_hdr.msg_iovlen = 1;
        }
        let count = copies.min(MOST) as libc::c_uint;
        // SAFETY: messages, part and frame outlive the call; sending does not write to what `part` points at.
        let sent = unsafe { libc::sendmmsg(self.fd.as_raw_fd(), messages.as_mut_ptr(), count, 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
    }

    /// Sends frames with one system call, at most 64; returns how many left.
    pub fn send_burst(&self, frames: &[[u8; 60]]) -> io::Result<usize> {
        const MOST: usize = 64;
        let count = frames.len().min(MOST);
        let mut parts = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 60 }; MOST];
        // SAFETY: all-zero mmsghdr values are valid.
        let mut messages: [libc::mmsghdr; MOST] = unsafe { zeroed() };
        for ((message, part), frame) in messages.iter_mut().zip(&mut parts).zip(frames) {
            part.iov_base = frame.as_ptr().cast_mut().cast();
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: messages, parts and frames outlive the call; the first `count` are filled in, and sending does not
        // write to what the parts point at.
        let sent =
            unsafe { libc::sendmmsg(self.fd.as_raw_fd(), messages.as_mut_ptr(), count as libc::c_uint, 0) };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(sent as usize) }
    }

    /// Frames that came to this socket since the last call, whether or not it had room for them.
    pub fn take_count(&self) -> io::Result<u64> {
        // SAFETY: all-zero statistics are valid.
        let mut statistics: libc::tpacket_stats = unsafe { zeroed() };
        let mut length = size_of_val(&statistics) as libc::socklen_t;
        // SAFETY: statistics and length outlive the call, and the length is that of the statistics.
        check(unsafe {
            libc::getsockopt(
                self.fd.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                (&raw mut statistics).cast(),
                &raw mut length,
            )
        })?;
        Ok(statistics.tp_packets.into())
    }

    /// The next frame, `None` if none is waiting.
    pub fn receive(&self) -> io::Result<Option<Frame>> {
        let mut buffer = [0; 2048];
        let mut control = ControlBuffer::new();
        let (length, message) = loop {
            match receive(self.fd.as_raw_fd(), &mut buffer, &mut control) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                // Told once when the interface goes down; the socket works on when it is up again.
                Err(error) if error.raw_os_error() == Some(libc::ENETDOWN) => {}
                other => break other?,
            }
        };
        let aux: Option<libc::tpacket_auxdata> =
            control_data(&message, libc::SOL_PACKET, libc::PACKET_AUXDATA);
        let stamp: Option<libc::timespec> = control_data(&message, libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS);
        let tag = aux.filter(|aux| aux.tp_status & libc::TP_STATUS_VLAN_VALID != 0);
        Ok(Some(Frame {
            bytes: buffer[..length.min(buffer.len())].to_vec(),
            tci: tag.map(|aux| aux.tp_vlan_tci),
            tpid: tag.map(|aux| aux.tp_vlan_tpid),
            at: stamp.map_or_else(realtime, |stamp| Duration::new(stamp.tv_sec as u64, stamp.tv_nsec as u32)),
        }))
    }

    fn set<T: Copy>(&self, name: i32, value: &T) -> io::Result<()> {
        set_option(self.fd.as_raw_fd(), libc::SOL_PACKET, name, value)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A TAP of this name in the calling thread's network namespace, with plain frames and not blocking: what the kernel sends by
/// it is read here. It goes with the descriptor.
pub fn open_tap(name: &str) -> io::Result<OwnedFd> {
    let file = std::fs::File::options()
        .read(true)
        .write(true)
        .custom_flags(libc::O_NONBLOCK)
        .open("/dev/net/tun")?;
    // SAFETY: an all-zero ifreq is valid.
    let mut request: libc::ifreq = unsafe { zeroed() };
    let room = request.ifr_name.len() - 1;
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes().take(room)) {
        *to = from as libc::c_char;
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_TAP | libc::IFF_NO_PI) as libc::c_short;
    // SAFETY: `request` outlives the call and is what TUNSETIFF reads.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) })?;
    Ok(file.into())
}

/// A netlink socket to netfilter.
pub fn netfilter_socket() -> io::Result<OwnedFd> {
    // SAFETY: no pointer is passed.
    let fd = unsafe {
        libc::socket(libc::AF_NETLINK, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::NETLINK_NETFILTER)
    };
    check(fd)?;
    // SAFETY: the call above returned a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Makes a BPF map of a kind that the kernel keeps for those who may load any program, and throws it away.
pub fn make_privileged_bpf_map() -> io::Result<()> {
    /// The first fields of `union bpf_attr` for `BPF_MAP_CREATE`.
    #[repr(C)]
    struct MapCreate {
        kind: u32,
        key_size: u32,
        value_size: u32,
        max_entries: u32,
        flags: u32,
    }
    // linux/bpf.h: BPF_MAP_CREATE, BPF_MAP_TYPE_LPM_TRIE, BPF_F_NO_PREALLOC.
    let attributes = MapCreate { kind: 11, key_size: 8, value_size: 4, max_entries: 1, flags: 1 };
    // SAFETY: `attributes` outlives the call, and the length is its own; the kernel takes fields beyond it for zero.
    let fd =
        unsafe { libc::syscall(libc::SYS_bpf, 0, &raw const attributes, size_of::<MapCreate>()) } as RawFd;
    check(fd)?;
    // SAFETY: the call above returned a new descriptor that nobody else owns.
    drop(unsafe { OwnedFd::from_raw_fd(fd) });
    Ok(())
}

/// Where a BPF program may be attached to an interface by a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Tcx {
    /// `BPF_TCX_INGRESS`.
    Ingress = 46,
    /// `BPF_TCX_EGRESS`.
    Egress = 47,
}

/// How many BPF programs are attached to an interface of the calling thread's network namespace by links. Kernels before
/// 6.6, which have no such links: "Invalid argument".
pub fn attached_programs(interface: &str, side: Tcx) -> io::Result<u32> {
    /// The first fields of `union bpf_attr` for `BPF_PROG_QUERY`.
    #[repr(C)]
    struct Query {
        ifindex: u32,
        side: u32,
        query_flags: u32,
        attach_flags: u32,
        programs: u64,
        count: u32,
        padding: u32,
        attach_flags_of_each: u64,
        links: u64,
        flags_of_links: u64,
        revision: u64,
    }
    const BPF_PROG_QUERY: libc::c_long = 16;
    // SAFETY: an all-zero query is valid: it asks for the count only.
    let mut query: Query = unsafe { zeroed() };
    (query.ifindex, query.side) = (index_of(interface)? as u32, side as u32);
    // SAFETY: `query` outlives the call, and the length is its own.
    check(unsafe { libc::syscall(libc::SYS_bpf, BPF_PROG_QUERY, &raw mut query, size_of::<Query>()) } as i32)?;
    Ok(query.count)
}

fn index_of(interface: &str) -> io::Result<i32> {
    let any = rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::DGRAM, None)?;
    Ok(rustix::net::netdevice::name_to_index(any, interface)? as i32)
}

/// Room for the ancillary data that we ask for, aligned as the kernel wants it.
#[repr(C, align(8))]
struct ControlBuffer([u8; 128]);

impl ControlBuffer {
    const fn new() -> Self {
        Self([0; 128])
    }
}

/// Receives one datagram. The returned header points into `buffer` and `control`; only its control part may be read,
/// and only while both live, which [`control_data`]'s callers do.
fn receive(fd: RawFd, buffer: &mut [u8], control: &mut ControlBuffer) -> io::Result<(usize, libc::msghdr)> {
    let mut part = libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
    // SAFETY: an all-zero msghdr is valid.
    let mut message: libc::msghdr = unsafe { zeroed() };
    message.msg_iov = &raw mut part;
    message.msg_iovlen = 1;
    message.msg_control = control.0.as_mut_ptr().cast();
    message.msg_controllen = control.0.len();
    // SAFETY: everything that the header points at outlives the call, with the lengths given.
    let length = unsafe { libc::recvmsg(fd, &raw mut message, libc::MSG_DONTWAIT) };
    if length < 0 {
        return Err(io::Error::last_os_error());
    }
    message.msg_iov = std::ptr::null_mut();
    Ok((length as usize, message))
}

/// The ancillary data of one kind, if it is there and long enough. `T` must be a plain C structure.
fn control_data<T: Copy>(message: &libc::msghdr, level: i32, kind: i32) -> Option<T> {
    // SAFETY: `message` was filled by recvmsg, and its control buffer is alive in the caller.
    let mut header = unsafe { libc::CMSG_FIRSTHDR(message) };
    while !header.is_null() {
        // SAFETY: CMSG_FIRSTHDR and CMSG_NXTHDR return pointers to whole headers inside the control buffer.
        let found = unsafe { &*header };
        // SAFETY: this computes a length only.
        let needed = unsafe { libc::CMSG_LEN(size_of::<T>() as u32) } as usize;
        if found.cmsg_level == level && found.cmsg_type == kind && found.cmsg_len >= needed {
            // SAFETY: the length was checked, T is a plain C structure, and the read makes no demand on alignment.
            return Some(unsafe { libc::CMSG_DATA(header).cast::<T>().read_unaligned() });
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        header = unsafe { libc::CMSG_NXTHDR(message, header) };
    }
    None
}

fn set_option<T: Copy>(fd: RawFd, level: i32, name: i32, value: &T) -> io::Result<()> {
    // SAFETY: `value` outlives the call, and the length is its own.
    check(unsafe {
        libc::setsockopt(fd, level, name, std::ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t)
    })
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
