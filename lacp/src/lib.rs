//! IEEE 802.1AX link aggregation control: PDUs. (State machines follow.)
//!
//! This crate has no file descriptor, no clock and no thread.
//!
//! # Layout
//! - [`slow`]: what LACPDUs and Marker PDUs have in common: address, ethertype, subtypes, length, errors
//! - [`lacpdu`]: the LACPDU
//! - [`marker`]: the Marker PDU
#![forbid(unsafe_code)]

pub mod lacpdu;
pub mod marker;
pub mod slow;

pub use lacpdu::{Lacpdu, PortInfo, State};
pub use marker::Marker;
pub use slow::{Pdu, PduError};
