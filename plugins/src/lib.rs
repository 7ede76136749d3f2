//! The bonding modes, each a plugin behind [`bond_port::Balancer`], and the registry that finds them.
//!
//! [`bond_port::BondOptions::set`] takes a mode by name or number; [`balancer`] makes its plugin. A new mode is a
//! variant of [`Mode`], a file here, and an arm in [`balancer`], which the compiler demands.
//!
//! # Layout
//! - [`active_backup`]: one member carries everything
//! - [`xor`]: a hash picks the member
//! - [`round_robin`]: members take turns
//! - [`broadcast`]: every member sends a copy
//! - [`slb`]: balance-slb, a guest's address picks the member by which it sends and receives
//! - [`tlb`]: balance-tlb, IP by all members, with their own addresses
//! - [`alb`]: balance-alb, the same, and what comes in is spread by the addresses that guests name
//! - [`lacp`]: 802.3ad, a hash picks one of the members that LACP lets carry frames
#![forbid(unsafe_code)]

mod active;
pub mod active_backup;
pub mod alb;
mod assignment;
pub mod broadcast;
mod group;
pub mod lacp;
mod receiver;
pub mod round_robin;
pub mod slb;
mod table;
pub mod tlb;
pub mod xor;

use bond_port::{Balancer, Mode};

/// The plugin of a mode, for one bond.
pub fn balancer(mode: Mode) -> Box<dyn Balancer> {
    match mode {
        Mode::BalanceRr => Box::<round_robin::RoundRobin>::default(),
        Mode::ActiveBackup => Box::<active_backup::ActiveBackup>::default(),
        Mode::BalanceXor => Box::<xor::Xor>::default(),
        Mode::Broadcast => Box::<broadcast::Broadcast>::default(),
        Mode::Ieee8023ad => Box::<lacp::Ad>::default(),
        Mode::BalanceTlb => Box::<tlb::Tlb>::default(),
        Mode::BalanceAlb => Box::<alb::Alb>::default(),
        Mode::BalanceSlb => Box::<slb::Slb>::default(),
    }
}
