//! IEEE 802.1AX link aggregation control: the protocol of a bond in mode 802.3ad.
//!
//! This crate has no file descriptor, no clock and no thread; time is an argument. [`Lacp`] is one bond: frames, link
//! changes and time go in, LACPDUs, [`Gates`] and events come out.
//!
//! Names of states, variables and functions are the standard's, clause numbers those of IEEE 802.1AX-2014. Names of
//! options, their values and what the standard leaves open (keys, which of several aggregators a bond uses) are those
//! of Linux's bonding driver.
//!
//! # Map
//! The wire:
//! - [`slow`]: what LACPDUs and Marker PDUs have in common: address, ethertype, subtypes, length, errors
//! - [`lacpdu`]: the LACPDU
//! - [`marker`]: the Marker PDU
//!
//! The machines, one a file. Each has a pure function `next` (the state diagram) and a `step` that runs it on a port:
//! - [`receive`]: who the partner is, and whether it is alive
//! - [`periodic`]: how often LACPDUs are sent
//! - [`selection`]: which ports belong together, and which aggregator the bond uses
//! - [`mux`]: when a port collects and distributes
//! - `transmit`: no more than three LACPDUs a second, and none lost
//! - [`churn`]: a side that doesn't come into sync
//! - `responder`: answers to markers
//!
//! Around them:
//! - [`options`], [`key`]: what is configured, and the key from speed and duplex
//! - [`timer`]: the standard's times
//! - `port`: the variables of a port
//! - [`bond`]: [`Lacp`], the verbs
//! - [`event`], [`stats`], [`status`], [`explain`]: what is told
//! - [`snapshot`]: what a successor takes over
//!
//! # What differs from Linux
//! - Carrier means that a port distributes. (Linux counts links: a partner that never comes into sync leaves it a bond
//!   with carrier that carries nothing.)
//! - A port that carries frames for want of a partner is the standard's individual link, so it says so: its Collecting
//!   and Distributing flags are set. It is chosen 3 s after its link came up, when it is known that nobody speaks.
//! - Machines run when something happens, not every 100 ms; nobody waits 8 s before the first aggregator is chosen.
//! - `max_links` is there; loops, moved cables and independent control are as the standard has them.
#![forbid(unsafe_code)]

pub mod bond;
pub mod churn;
pub mod event;
pub mod explain;
pub mod key;
pub mod lacpdu;
pub mod marker;
pub mod mux;
mod numbers;
pub mod options;
pub mod periodic;
mod port;
pub mod receive;
mod responder;
pub mod selection;
pub mod slow;
pub mod snapshot;
pub mod stats;
pub mod status;
pub mod timer;
mod transmit;

pub use bond::{FrameError, Handled, Lacp, PortError};
pub use event::Event;
pub use explain::{Explanation, NoCarrier, PortExplanation, PortReason};
pub use key::{Duplex, Link};
pub use lacpdu::{Address, Lacpdu, PortInfo, State};
pub use marker::Marker;
pub use mux::Gates;
pub use options::{LacpRate, Options, PortOptions};
pub use port::{AggregatorId, PortId, Selected};
pub use selection::AdSelect;
pub use slow::{Pdu, PduError};
pub use snapshot::{PortSnapshot, Snapshot};
pub use stats::Stats;
pub use status::{ActiveAggregator, PortStatus};
