//! Layer-2 forwarding as pure functions: a frame and an immutable [`tables::Tables`] go in, a verdict comes out.
//!
//! This crate has no file descriptor, no clock and no thread. Time is an argument: a [`core::time::Duration`] since an
//! arbitrary epoch (the daemon's start), or, on a frame's way, a [`fdb::Tick`] of whole seconds.
//!
//! # Layout
//! - [`ids`]: small integers that name bridges, ports and devices
//! - [`mac`]: Ethernet addresses
//! - [`wire`]: wire formats (Ethernet, 802.1Q/ad, ARP, RARP, IPv4, IPv6, virtio header)
//! - [`parse`]: one pass over a received frame
//! - [`vlan`]: which VLAN a frame belongs to on a port, and how it leaves
//! - [`fdb`]: the bounded MAC learning table
//! - [`flow_hash`]: transmit hashes
//! - [`turn`]: round robin
//! - [`bucket_loads`]: what left by each bucket of a bond
//! - [`receive`]: receive balancing of a bond for guests
//! - [`rewrite`]: link-layer addresses within ARP and neighbour discovery
//! - [`storm`]: storm control of a port
//! - [`vlan_counters`]: what came in by VLAN
//! - [`tables`]: what the control thread compiles and executors read
//! - [`pipeline`]: the decision about one frame
//! - [`drop_reason`]: every reason for which a frame is dropped
//! - [`announce`]: frames that tell the network where a MAC is
//! - [`membership`]: frames that ask hosts for their group memberships
//! - [`solicit`]: frames that ask a host whether it is there
#![forbid(unsafe_code)]

pub mod announce;
pub mod bucket_loads;
pub mod bucket_set;
pub mod drop_reason;
pub mod fdb;
pub mod flow_hash;
pub mod ids;
pub mod mac;
pub mod membership;
pub mod parse;
pub mod pipeline;
pub mod receive;
pub mod rewrite;
pub mod solicit;
pub mod storm;
pub mod tables;
pub mod turn;
pub mod vlan;
pub mod vlan_counters;
pub mod wire;
