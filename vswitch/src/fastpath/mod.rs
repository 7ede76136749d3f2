//! The kernel fast path: the second executor of the tables, a BPF program (`bpf/forward.bpf.c`).
//!
//! Compiled tables and FDBs lie in memory that the program and the daemon share. [`encode`] makes the tables flat;
//! [`Kernel::publish`] puts them into force by one store, in place of the ones before. The FDBs are the very tables that
//! workers learn into. What the program can't decide it hands to a worker, through a TAP, and to nobody else.
//!
//! - `layout`: what both share
//! - `encode`: tables to flat tables
//! - `shared`: memory of maps
//! - `pins`: where things outlive the daemon
//! - `kernel`: the program and its maps
//! - `guests`: whose IP addresses are
//! - `hooks`: where it is attached
//! - `unpin`: detaching a pinned link at once
//! - `cleanup`: what a daemon that is gone has left

pub mod cleanup;
pub mod encode;
mod guests;
pub mod hooks;
pub mod kernel;
pub mod layout;
pub mod pins;
mod shared;
mod unpin;

pub use encode::{Facts, Image, encode};
pub use kernel::{Kernel, LoadOptions};
pub use pins::Pins;
