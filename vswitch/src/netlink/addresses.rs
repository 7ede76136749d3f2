//! The addresses by which cards are told apart: the permanent ones. A member of a kernel bond has the bond's address as
//! its present one.

use std::collections::BTreeMap;

use forwarding::mac::MacAddr;
use netlink_packet_core::NlasIterator;
use netlink_sys::protocols::NETLINK_ROUTE;

use super::NetlinkError;
use super::link::{LINK_HEADER_LEN, dump_request, link_in};
use super::socket::Channel;

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
    fn the_kernel_lists_devices() {
        let found = list().unwrap();
        assert!(!found.contains_key("lo"), "the loopback device has no address: {found:?}");
    }
}
