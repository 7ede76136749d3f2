//! What a bond is: members, options, link monitors, failover, and the contract that a mode implements.
//!
//! A [`bond::Bond`] is a protocol object: link reports, commands and the passing of time go in
//! ([`bond::Bond::handle_link`], [`bond::Bond::handle_timeout`], ...); a transmit plan, an admission rule for each
//! member, a carrier and events come out. It decides nothing about how frames are spread: that is the work of a
//! [`balancer::Balancer`], one for each mode (crate `plugins`).
//!
//! This crate has no file descriptor, no clock and no thread. Time is an argument, `now`: a [`core::time::Duration`]
//! since an arbitrary epoch (the daemon's start) that never goes back.
//!
//! # Layout
//! - [`options`]: the options of a bond, in Linux's names and values
//! - [`mode`]: names and numbers of the modes
//! - [`monitor`]: a member's link state, with `updelay` and `downdelay`
//! - [`member`]: a member device
//! - [`member_options`]: what can be set for one member
//! - [`balancer`]: the contract between a bond and its mode
//! - [`bond`]: the bond itself, and in `bond/ad.rs` what it does for a mode that speaks LACP
//! - [`buckets`]: a transmit table in which as little as possible moves
//! - [`rebalance`]: moving buckets by load
//! - [`receive`]: what a mode makes that balances received frames too
//! - [`probe`]: link probes, the ARP monitor
//! - [`flap`]: a link that keeps going down is held out
//! - [`event`]: what happened, for logs and `monitor`
//! - [`status`]: what `bond/show` prints
//! - [`explain`]: why each member does or does not carry traffic, in plain words
//! - [`proc`]: the text of `/proc/net/bonding`
#![forbid(unsafe_code)]

mod announcements;
pub mod balancer;
pub mod bond;
pub mod buckets;
pub mod event;
pub mod explain;
pub mod flap;
pub mod member;
pub mod member_options;
mod memberships;
pub mod mode;
pub mod monitor;
pub mod options;
pub mod probe;
pub mod proc;
pub mod rebalance;
pub mod receive;
pub mod status;

pub use balancer::{Balancer, Change, Compiled, View};
pub use bond::{Bond, BondError, BondSnapshot, LinkReport, Transmit};
pub use event::{ActiveCause, BondEvent, Weight};
pub use explain::Explanation;
pub use member::{Member, MemberId};
pub use member_options::{MemberOptionError, MemberOptions};
pub use mode::Mode;
pub use monitor::LinkState;
pub use options::{BondOptions, OptionError};
pub use probe::ProbeOptions;
pub use receive::ReceivePlan;
pub use status::{BondStatus, LacpStatus, MemberStatus};
