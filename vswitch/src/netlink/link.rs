//! One network device: its state, and requests to change it (rtnetlink(7)). Requests block, for 5 s at most.

use std::io;

use forwarding::mac::MacAddr;
use netlink_packet_core::{Emitable, NlasIterator};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkHeader, LinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::NetlinkError;
use super::socket::{Channel, Message, append_message, flags};

// Attributes of a link, linux/if_link.h.
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_LINKINFO: u16 = 18;
const IFLA_STATS64: u16 = 23;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;

pub(super) const LINK_HEADER_LEN: usize = 16;
/// Place of `tx_dropped` in struct rtnl_link_stats64: the eighth number.
const TX_DROPPED: usize = 7 * 8;

/// A network device as the kernel describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The interface index: constant as long as the device exists.
    pub ifindex: u32,
    /// The name; it can change.
    pub name: String,
    /// The MAC address; zero for devices without a 6-octet one.
    pub mac: MacAddr,
    /// Longest layer-3 packet in octets.
    pub mtu: u32,
    /// Set up by the administrator (IFF_UP).
    pub admin_up: bool,
    /// Admin up, and the lower layer has a link (IFF_LOWER_UP). False for a veth whose peer is down.
    pub carrier: bool,
    /// The device that it is a port of (bridge, bond, ...).
    pub master: Option<u32>,
    /// The driver's kind for virtual devices ("veth", "tun", "bridge", ...); none for most NICs.
    pub kind: Option<String>,
    /// Interface index of the device that it is based on; of a veth, of its other end.
    pub peer: Option<u32>,
    /// The network namespace of that device, as ours calls it (a nsid), if it is another one than ours.
    pub peer_netns: Option<i32>,
    /// What the link carries: `ARPHRD_ETHER`, `ARPHRD_LOOPBACK`, ...
    pub link_type: u16,
}

impl Link {
    /// Reads an RTM_NEWLINK or RTM_DELLINK message. `None` if it is malformed, or about a bridge port (AF_BRIDGE: such
    /// messages tell of joining and leaving a bridge, not of the device).
    ///
    /// Only what we want is decoded, so that a future attribute can't make a device unreadable.
    pub(super) fn parse(payload: &[u8]) -> Option<Self> {
        let header = LinkHeader::parse(payload).ok()?;
        if header.interface_family != AddressFamily::Unspec {
            return None;
        }
        let admin_up = header.flags.contains(LinkFlags::Up);
        let mut link = Self {
            ifindex: header.index,
            name: String::new(),
            mac: MacAddr::ZERO,
            mtu: 0,
            admin_up,
            carrier: admin_up && header.flags.contains(LinkFlags::LowerUp),
            master: None,
            kind: None,
            peer: None,
            peer_netns: None,
            link_type: header.link_layer_type.into(),
        };
        for attribute in NlasIterator::new(payload.get(LINK_HEADER_LEN..)?).flatten() {
            let value = attribute.value();
            let number = || value.first_chunk().map(|n| u32::from_ne_bytes(*n));
            match attribute.kind() {
                IFLA_IFNAME => link.name = text(value),
                IFLA_ADDRESS => link.mac = value.try_into().map_or(MacAddr::ZERO, MacAddr),
                IFLA_MTU => link.mtu = number()?,
                IFLA_MASTER => link.master = number(),
                IFLA_LINK => link.peer = number(),
                IFLA_LINK_NETNSID => link.peer_netns = number().map(u32::cast_signed),
                IFLA_LINKINFO => {
                    let mut info = NlasIterator::new(value).flatten();
                    link.kind = info.find(|nla| nla.kind() == IFLA_INFO_KIND).map(|nla| text(nla.value()));
                }
                _ => {}
            }
        }
        Some(link)
    }
}

fn text(value: &[u8]) -> String {
    String::from_utf8_lossy(value.split(|b| *b == 0).next().unwrap_or_default()).into_owned()
}

/// A RTM_GETLINK request for every device.
pub(super) fn dump_request(sequence: u32) -> Vec<u8> {
    request(libc::RTM_GETLINK, flags::REQUEST | flags::DUMP, sequence, &LinkMessage::default())
}

fn request(kind: u16, flags: u16, sequence: u32, link: &LinkMessage) -> Vec<u8> {
    let mut bytes = Vec::new();
    append_message(&mut bytes, kind, flags, sequence, |body| {
        let start = body.len();
        body.resize(start + link.buffer_len(), 0);
        link.emit(&mut body[start..]);
    });
    bytes
}

/// The link in a message, if it is about one.
pub(super) fn link_in(message: &Message<'_>) -> Option<Link> {
    if message.kind == libc::RTM_NEWLINK { Link::parse(message.payload) } else { None }
}

/// One request about one device, answered or acknowledged.
fn ask(
    kind: u16,
    link: &LinkMessage,
    action: impl Fn() -> String,
    answer: impl FnMut(Message<'_>),
) -> Result<(), NetlinkError> {
    let mut channel = Channel::open(NETLINK_ROUTE, &[]).map_err(|source| NetlinkError {
        action: action(),
        source,
        kernel_says: None,
    })?;
    let sequence = channel.next_sequence();
    let bytes = request(kind, flags::REQUEST | flags::ACK, sequence, link);
    channel.transact(&bytes, sequence, action, answer)
}

fn message_for(ifindex: u32) -> LinkMessage {
    let mut link = LinkMessage::default();
    link.header.index = ifindex;
    link
}

/// The device's present state, carrier included (read from the driver's flag, so never behind events).
///
/// # Errors
/// `ENODEV` if there is none with that index.
pub fn get(ifindex: u32) -> Result<Link, NetlinkError> {
    get_matching(&message_for(ifindex), || format!("read the network device with index {ifindex}"))
}

/// The device of that name, `None` if there is none.
///
/// # Errors
/// When the kernel can't be asked.
pub fn find(name: &str) -> Result<Option<Link>, NetlinkError> {
    if name.is_empty() || name.len() > crate::device::MAX_NAME {
        return Ok(None);
    }
    let mut message = LinkMessage::default();
    message.attributes.push(LinkAttribute::IfName(name.to_owned()));
    match get_matching(&message, || format!("read the network device \"{name}\"")) {
        Ok(link) => Ok(Some(link)),
        Err(error) if error.is(libc::ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

fn get_matching(message: &LinkMessage, action: impl Fn() -> String) -> Result<Link, NetlinkError> {
    let mut found = None;
    ask(libc::RTM_GETLINK, message, &action, |answer| found = link_in(&answer).or(found.take()))?;
    found.ok_or_else(|| NetlinkError {
        action: action(),
        source: io::Error::new(io::ErrorKind::InvalidData, "the kernel's answer can't be read"),
        kernel_says: None,
    })
}

/// Sets the device admin up or down.
///
/// # Errors
/// No such device, or no CAP_NET_ADMIN.
pub fn set_admin_up(ifindex: u32, up: bool) -> Result<(), NetlinkError> {
    let state = if up { "up" } else { "down" };
    set_flag(ifindex, LinkFlags::Up, up, || format!("set the network device with index {ifindex} {state}"))
}

/// The MAC address of a device in another network namespace, whose nsid is given; `None` if we may not look there, or there
/// is no such device.
pub fn mac_in_namespace(nsid: i32, ifindex: u32) -> Option<MacAddr> {
    let mut message = message_for(ifindex);
    message.attributes.push(LinkAttribute::IfNetnsId(nsid));
    let action = || format!("read the network device with index {ifindex} of namespace {nsid}");
    get_matching(&message, action).ok().map(|link| link.mac).filter(|mac| mac.is_valid_source())
}

/// Whether the interface flag IFF_PROMISC is set (packet sockets that want it don't count).
///
/// # Errors
/// No such device.
pub fn is_promiscuous(ifindex: u32) -> Result<bool, NetlinkError> {
    has_flag(ifindex, LinkFlags::Promisc)
}

/// Sets or clears the interface flag IFF_PROMISC.
///
/// # Errors
/// No such device, or no CAP_NET_ADMIN.
pub fn set_promiscuous(ifindex: u32, on: bool) -> Result<(), NetlinkError> {
    let action = || format!("make the network device with index {ifindex} promiscuous, or not");
    set_flag(ifindex, LinkFlags::Promisc, on, action)
}

/// Frames that were to leave by the device and were dropped (`tx_dropped`); of a TAP, those that did not fit into its
/// queue.
///
/// # Errors
/// No such device.
pub fn tx_dropped(ifindex: u32) -> Result<u64, NetlinkError> {
    let mut dropped = 0;
    let action = || format!("read the counters of the network device with index {ifindex}");
    ask(libc::RTM_GETLINK, &message_for(ifindex), action, |answer| {
        let attributes =
            NlasIterator::new(answer.payload.get(LINK_HEADER_LEN..).unwrap_or_default()).flatten();
        for attribute in attributes.filter(|attribute| attribute.kind() == IFLA_STATS64) {
            let number = attribute.value().get(TX_DROPPED..).and_then(|octets| octets.first_chunk());
            dropped = number.map_or(dropped, |octets| u64::from_ne_bytes(*octets));
        }
    })?;
    Ok(dropped)
}

/// Sets one interface flag on or off.
pub(super) fn set_flag(
    ifindex: u32,
    flag: LinkFlags,
    on: bool,
    action: impl Fn() -> String,
) -> Result<(), NetlinkError> {
    let mut link = message_for(ifindex);
    link.header.change_mask = flag;
    link.header.flags = if on { flag } else { LinkFlags::empty() };
    ask(libc::RTM_NEWLINK, &link, action, |_| {})
}

/// Whether one interface flag is set.
pub(super) fn has_flag(ifindex: u32, flag: LinkFlags) -> Result<bool, NetlinkError> {
    let mut set = false;
    let action = || format!("read the network device with index {ifindex}");
    ask(libc::RTM_GETLINK, &message_for(ifindex), action, |answer| {
        set |= LinkHeader::parse(answer.payload).is_ok_and(|header| header.flags.contains(flag));
    })?;
    Ok(set)
}

/// Deletes a virtual device.
///
/// # Errors
/// No such device, one that can't be deleted, or no CAP_NET_ADMIN.
pub fn delete(ifindex: u32) -> Result<(), NetlinkError> {
    let action = || format!("delete the network device with index {ifindex}");
    ask(libc::RTM_DELLINK, &message_for(ifindex), action, |_| {})
}

/// Sets the device's MAC address.
///
/// # Errors
/// No such device, an address that it can't take, a driver that must be down for it, or no CAP_NET_ADMIN.
pub fn set_mac(ifindex: u32, mac: MacAddr) -> Result<(), NetlinkError> {
    let mut link = message_for(ifindex);
    link.attributes.push(LinkAttribute::Address(mac.0.to_vec()));
    let action = || format!("set the MAC address of the network device with index {ifindex} to {mac}");
    ask(libc::RTM_NEWLINK, &link, action, |_| {})
}

/// Sets the device's MTU (octets of layer 3).
///
/// # Errors
/// No such device, a size outside its range, or no CAP_NET_ADMIN.
pub fn set_mtu(ifindex: u32, mtu: u32) -> Result<(), NetlinkError> {
    let mut link = message_for(ifindex);
    link.attributes.push(LinkAttribute::Mtu(mtu));
    ask(
        libc::RTM_NEWLINK,
        &link,
        || format!("set the MTU of the network device with index {ifindex} to {mtu}"),
        |_| {},
    )
}
