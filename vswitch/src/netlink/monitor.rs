//! Which network devices there are, and news about them (multicast group RTNLGRP_LINK).

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::protocols::NETLINK_ROUTE;
use rustix::net::sockopt;

use super::NetlinkError;
use super::link::{Link, dump_request, link_in};
use super::socket::{Channel, Message, parse};

const RTNLGRP_LINK: u32 = 1;
/// Room for news of some thousands of devices.
const RECEIVE_BUFFER: usize = 8 << 20;

/// News about a network device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkEvent {
    /// A device has appeared.
    New(Link),
    /// Something of it changed: state, carrier, name, MAC address, MTU, master.
    Changed(Link),
    /// It is gone (deleted, or moved to another network namespace). This is its last known state.
    Deleted(Link),
    /// News was lost: call [`LinkMonitor::dump`] and compare.
    Resync,
}

/// Watches all network devices of the network namespace it was opened in.
///
/// The kernel tells of a carrier change at once for veth-like devices and for the first change in a while; when many
/// changes come, it collects those of NICs and TAPs for up to 1 s (linkwatch). [`super::link::get`] is never late.
#[derive(Debug)]
pub struct LinkMonitor {
    channel: Channel,
    known: BTreeMap<u32, Link>,
    buffer: Vec<u8>,
}

impl LinkMonitor {
    /// Starts to listen. Call [`Self::dump`] next.
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn open() -> io::Result<Self> {
        let channel = Channel::open(NETLINK_ROUTE, &[RTNLGRP_LINK])?;
        let socket = channel.socket();
        // Without CAP_NET_ADMIN outside of user namespaces only up to the system's limit.
        sockopt::set_socket_recv_buffer_size_force(socket, RECEIVE_BUFFER)
            .or_else(|_| sockopt::set_socket_recv_buffer_size(socket, RECEIVE_BUFFER))?;
        Ok(Self { channel, known: BTreeMap::new(), buffer: Vec::new() })
    }

    /// Readable when there is news.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.channel.socket().as_fd()
    }

    /// All devices as they are now, by index. News that waited is contained in it and will not come again; later news
    /// is relative to it. Blocks for 5 s at most.
    ///
    /// # Errors
    /// When the kernel doesn't answer.
    pub fn dump(&mut self) -> Result<Vec<Link>, NetlinkError> {
        for _ in 0..2 {
            match self.try_dump() {
                // News was lost meanwhile, or had been before.
                Err(error) if error.is(libc::ENOBUFS) => self.channel.discard(),
                result => return result,
            }
        }
        self.try_dump()
    }

    /// The answer comes through the same socket as the news, so their order is the order of things.
    fn try_dump(&mut self) -> Result<Vec<Link>, NetlinkError> {
        self.known.clear();
        let sequence = self.channel.next_sequence();
        let known = &mut self.known;
        let action = || "list the network devices".to_owned();
        self.channel.transact(&dump_request(sequence), sequence, action, |message| {
            apply(known, &message);
        })?;
        Ok(known.values().cloned().collect())
    }

    /// The news that waits, oldest first; never blocks. A message that changes nothing we know of makes no event.
    ///
    /// # Errors
    /// When the socket fails.
    pub fn drain(&mut self) -> io::Result<Vec<LinkEvent>> {
        let mut events = Vec::new();
        let mut buffer = std::mem::take(&mut self.buffer);
        loop {
            match self.channel.try_receive(&mut buffer) {
                Ok(true) => {
                    events.extend(parse(&buffer).filter_map(|message| apply(&mut self.known, &message)));
                }
                Ok(false) => break,
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => events.push(LinkEvent::Resync),
                Err(error) => return Err(error),
            }
        }
        self.buffer = buffer;
        Ok(events)
    }
}

/// Brings `known` up to date with one message.
fn apply(known: &mut BTreeMap<u32, Link>, message: &Message<'_>) -> Option<LinkEvent> {
    if message.kind == libc::RTM_DELLINK {
        let link = Link::parse(message.payload)?;
        return known.remove(&link.ifindex).map(LinkEvent::Deleted);
    }
    let link = link_in(message)?;
    match known.insert(link.ifindex, link.clone()) {
        None => Some(LinkEvent::New(link)),
        Some(before) if before != link => Some(LinkEvent::Changed(link)),
        Some(_) => None,
    }
}
