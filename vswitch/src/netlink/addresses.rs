//! The addresses by which cards are told apart: the permanent ones. A member of a kernel bond has the bond's address as
//! its present one.

use std::collections::BTreeMap;

use forwarding::mac::MacAddr;
use netlink_packet_core::NlasIterator;
use netlink_sys::protocols::NETLINK_ROUTE;

use super::NetlinkError;
use super::link::{LINK_HEADER_LEN, dump_request, link_in};
use super::socket::{Channel, Message};

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
            let mac = permanent(&message).unwrap_or(link.mac);
            if mac != MacAddr::ZERO {
                found.insert(link.name, mac);
            }
        }
    })?;
    Ok(found)
}

/// The permanent address in a message about a link.
fn permanent(message: &Message<'_>) -> Option<MacAddr> {
    let attributes = NlasIterator::new(message.payload.get(LINK_HEADER_LEN..)?).flatten();
    let mut addresses = attributes.filter(|attribute| attribute.kind() == IFLA_PERM_ADDRESS);
    addresses.find_map(|attribute| attribute.value().try_into().ok()).map(MacAddr)
}
