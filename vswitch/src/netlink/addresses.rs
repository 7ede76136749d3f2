//! Addresses of devices: the permanent MAC addresses, by which cards are told apart (a member of a kernel bond has the bond's
//! address as its present one), and IP addresses.

use std::collections::BTreeMap;
use std::net::IpAddr;

use forwarding::mac::MacAddr;
use netlink_packet_core::NlasIterator;
use netlink_sys::protocols::NETLINK_ROUTE;

use super::NetlinkError;
use super::link::{LINK_HEADER_LEN, dump_request, link_in};
use super::socket::{Channel, append_message, flags};

/// linux/if_link.h; from Linux 5.6 on.
const IFLA_PERM_ADDRESS: u16 = 54;

/// Every device of this network namespace with its permanent address, or its present one if it has no permanent one.
/// Devices without a 6-octet address are left out. Needs no privileges. Blocks for 5 s at most.
///
/// # Errors
/// When the kernel doesn't answer.
pub fn list() -> Result<BTreeMap<String, MacAddr>, NetlinkError> {
    let action = || "list the network devices".to_owned();
    let mut channel = Channel::open(NETLINK_ROUTE, &[]).map_err(|source| NetlinkError {
        action: action(),
        source,
        kernel_says: None,
    })?;
    let sequence = channel.next_sequence();
    let mut found = BTreeMap::new();
    channel.transact(&dump_request(sequence), sequence, action, |message| {
        if let Some(link) = link_in(&message) {
            let mac = permanent(message.payload).unwrap_or(link.mac);
            if mac != MacAddr::ZERO {
                found.insert(link.name, mac);
            }
        }
    })?;
    Ok(found)
}

/// The permanent address in a message about a link, if there is one of 6 octets.
fn permanent(payload: &[u8]) -> Option<MacAddr> {
    let attributes = NlasIterator::new(payload.get(LINK_HEADER_LEN..)?).flatten();
    let mut addresses = attributes.filter(|attribute| attribute.kind() == IFLA_PERM_ADDRESS);
    addresses.find_map(|attribute| attribute.value().try_into().ok()).map(MacAddr)
}

/// An IP address of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ip {
    /// Whose.
    pub ifindex: u32,
    /// The address.
    pub address: IpAddr,
    /// Length of its subnet's prefix, in bits.
    pub prefix: u8,
}

/// struct ifaddrmsg, linux/if_addr.h.
const ADDRESS_HEADER_LEN: usize = 8;
const IFA_ADDRESS: u16 = 1;
/// Of a point-to-point link the own address, where IFA_ADDRESS is the other end's.
const IFA_LOCAL: u16 = 2;
/// Not to be used (yet): duplicate address detection failed, or runs.
const UNUSABLE: u8 = (libc::IFA_F_DADFAILED | libc::IFA_F_TENTATIVE) as u8;

/// Every IP address of this network namespace's devices. Needs no privileges. Blocks for 5 s at most.
///
/// # Errors
/// When the kernel doesn't answer.
pub fn ip() -> Result<Vec<Ip>, NetlinkError> {
    let action = || "list the IP addresses".to_owned();
    let mut channel = Channel::open(NETLINK_ROUTE, &[]).map_err(|source| NetlinkError {
        action: action(),
        source,
        kernel_says: None,
    })?;
    let sequence = channel.next_sequence();
    let mut request = Vec::new();
    append_message(&mut request, libc::RTM_GETADDR, flags::REQUEST | flags::DUMP, sequence, |body| {
        body.extend([0; ADDRESS_HEADER_LEN]);
    });
    let mut found = Vec::new();
    channel.transact(&request, sequence, action, |message| {
        if message.kind == libc::RTM_NEWADDR {
            found.extend(address(message.payload));
        }
    })?;
    Ok(found)
}

/// The address in a message about one, if it is in use.
fn address(payload: &[u8]) -> Option<Ip> {
    let [_, prefix, state, _, a, b, c, d] = *payload.first_chunk::<ADDRESS_HEADER_LEN>()?;
    let mut own = None;
    for attribute in NlasIterator::new(&payload[ADDRESS_HEADER_LEN..]).flatten() {
        let value = attribute.value();
        let four = || value.try_into().ok().map(|octets: [u8; 4]| IpAddr::from(octets));
        let six = || value.try_into().ok().map(|octets: [u8; 16]| IpAddr::from(octets));
        match attribute.kind() {
            IFA_LOCAL => own = four().or_else(six).or(own),
            IFA_ADDRESS => own = own.or_else(four).or_else(six),
            _ => {}
        }
    }
    let ifindex = u32::from_ne_bytes([a, b, c, d]);
    own.filter(|_| state & UNUSABLE == 0).map(|address| Ip { ifindex, address, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A message with one attribute.
    fn message(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut payload = vec![0; LINK_HEADER_LEN];
        payload.extend((4 + value.len() as u16).to_ne_bytes());
        payload.extend(kind.to_ne_bytes());
        payload.extend(value);
        payload.resize(payload.len().next_multiple_of(4), 0);
        payload
    }

    #[test]
    fn permanent_addresses() {
        let mac = [2, 0, 0, 0, 9, 1];
        assert_eq!(permanent(&message(IFLA_PERM_ADDRESS, &mac)), Some(MacAddr(mac)));
        assert_eq!(permanent(&message(IFLA_PERM_ADDRESS, &[1; 20])), None, "InfiniBand");
        assert_eq!(permanent(&message(1, &mac)), None, "another attribute");
        assert_eq!(permanent(&[0; 7]), None);
    }

    #[test]
    fn ip_addresses() {
        let header = |state| [vec![2, 24, state, 0], 7u32.to_ne_bytes().to_vec()].concat();
        let attribute = |kind: u16, value: &[u8]| {
            [&(4 + value.len() as u16).to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat()
        };
        let (other, own) = (attribute(IFA_ADDRESS, &[192, 0, 2, 1]), attribute(IFA_LOCAL, &[192, 0, 2, 2]));
        let ip = Ip { ifindex: 7, address: [192, 0, 2, 2].into(), prefix: 24 };
        for order in [[&other, &own], [&own, &other]] {
            assert_eq!(address(&[&header(0)[..], order[0], order[1]].concat()), Some(ip));
        }
        let six = attribute(IFA_ADDRESS, &[0xfd; 16]);
        assert_eq!(address(&[header(0), six.clone()].concat()).unwrap().address, IpAddr::from([0xfd; 16]));
        assert_eq!(address(&[header(libc::IFA_F_TENTATIVE as u8), six].concat()), None);
        assert_eq!(address(&header(0)), None);
        assert_eq!(address(&[0; 7]), None);
    }

    #[test]
    fn the_kernel_lists_ip_addresses() {
        let all = ip().unwrap();
        assert!(all.iter().all(|ip| ip.ifindex > 0 && ip.prefix <= 128), "{all:?}");
    }

    #[test]
    fn the_kernel_lists_devices() {
        let found = list().unwrap();
        assert!(!found.contains_key("lo"), "the loopback device has no address: {found:?}");
    }
}
