//! Wire formats. Each file holds one format as a struct laid over the octets (network byte order), the few questions
//! that forwarding asks of it, and tests against octets written down by hand and against an independent parser.
//!
//! Reading never copies and never fails loudly: what is cut off or contradicts itself is `None`, because a switch
//! forwards frames whatever their payload.

pub mod arp;
pub mod ethernet;
pub mod ipv4;
pub mod ipv6;
pub mod nd;
pub mod transport;
pub mod virtio;
pub mod vlan;
