//! What drivers tell and take through ethtool's ioctl (linux/ethtool.h).

use std::io;
use std::mem::zeroed;
use std::os::fd::AsRawFd;

use rustix::net::{AddressFamily, SocketType, socket};

const SIOCETHTOOL: libc::Ioctl = 0x8946;
const ETHTOOL_GSET: u32 = 0x01;
const ETHTOOL_GFLAGS: u32 = 0x25;
const ETHTOOL_SFLAGS: u32 = 0x26;
const ETH_FLAG_LRO: u32 = 1 << 15;
const ETH_FLAG_RXHASH: u32 = 1 << 28;

/// Speed and duplex of a device, where its driver knows them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LinkSpeed {
    /// Mb/s.
    pub mbps: Option<u32>,
    /// Full duplex; false is half.
    pub full_duplex: Option<bool>,
}

/// struct ethtool_cmd.
#[repr(C)]
struct Settings {
    command: u32,
    supported: u32,
    advertising: u32,
    speed_low: u16,
    duplex: u8,
    port: u8,
    phy_address: u8,
    transceiver: u8,
    autonegotiation: u8,
    mdio_support: u8,
    max_tx_packets: u32,
    max_rx_packets: u32,
    speed_high: u16,
    tp_mdix: u8,
    tp_mdix_control: u8,
    lp_advertising: u32,
    reserved: [u32; 2],
}

/// struct ethtool_value.
#[repr(C)]
struct Value {
    command: u32,
    data: u32,
}

/// The speed and duplex of the device `name`. Unknown values are `None`: no such device, no link, or a driver that can't
/// tell (virtio).
pub fn speed(name: &str) -> LinkSpeed {
    // SAFETY: plain numbers; all zero is a value of it.
    let mut settings: Settings = unsafe { zeroed() };
    settings.command = ETHTOOL_GSET;
    if ethtool(name, &mut settings).is_err() {
        return LinkSpeed::default();
    }
    let mbps = u32::from(settings.speed_high) << 16 | u32::from(settings.speed_low);
    LinkSpeed {
        // SPEED_UNKNOWN is -1, of which some drivers fill in only the low half; 0 means nothing either.
        mbps: (mbps != u32::MAX && mbps != u32::from(u16::MAX) && mbps != 0).then_some(mbps),
        full_duplex: match settings.duplex {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
    }
}

/// Whether the driver joins received TCP segments (LRO). Unlike GRO that can't be undone on the way out, so a switch
/// must turn it off; Linux's bridge does, too (dev_disable_lro()).
///
/// # Errors
/// The kernel's, when there is no such device.
pub fn large_receive(name: &str) -> io::Result<bool> {
    Ok(flags(name)? & ETH_FLAG_LRO != 0)
}

/// Turns LRO on or off.
///
/// # Errors
/// The kernel's: no such device, a driver that can't, no CAP_NET_ADMIN.
pub fn set_large_receive(name: &str, on: bool) -> io::Result<()> {
    let others = flags(name)? & !ETH_FLAG_LRO;
    let data = if on { others | ETH_FLAG_LRO } else { others };
    ethtool(name, &mut Value { command: ETHTOOL_SFLAGS, data })
}

/// Whether the device computes a flow hash of what it receives (`receive-hashing` of `ethtool -k`, which `ethtool -K ...
/// rxhash` switches). `None`: no such device, or a driver that can't tell.
pub fn receive_hash(name: &str) -> Option<bool> {
    flags(name).ok().map(|flags| flags & ETH_FLAG_RXHASH != 0)
}

fn flags(name: &str) -> io::Result<u32> {
    let mut value = Value { command: ETHTOOL_GFLAGS, data: 0 };
    ethtool(name, &mut value)?;
    Ok(value.data)
}

/// One request; `T` is the structure that its command, the first field, stands for.
fn ethtool<T>(name: &str, command: &mut T) -> io::Result<()> {
    let socket = socket(AddressFamily::INET, SocketType::DGRAM, None)?;
    let mut request = crate::device::interface_request(name);
    request.ifr_ifru.ifru_data = std::ptr::from_mut(command).cast();
    // SAFETY: `request` is an ifreq whose data pointer leads to the live structure that the kernel reads and writes for
    // its command: `Settings` for ETHTOOL_GSET, `Value` for the others.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &mut request) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
