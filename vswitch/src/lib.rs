//! The switch: everything that does I/O, and the parts of `vswitchd` and `vsctl`.
//!
//! # Layout
//! - [`device`]: packet sockets and TAPs, all packet I/O
//! - [`netlink`]: link news and requests, the host stack's shield
//! - [`fastpath`]: the kernel's executor of the tables
//! - [`datapath`], [`worker`], [`counters`], [`punt`]: published tables, the threads that forward by them, what they tell
//! - [`punt`]: what workers tell the control thread
//! - [`model`], [`state_file`], [`saver`]: the desired state and how it is kept
//! - [`restart`]: what bonds hand to the next daemon
//! - [`transaction`]: commands as pure changes of the model
//! - [`switch`]: what runs now, brought into line with the model
//! - [`neighbours`]: the guests' IP addresses, as heard
//! - [`announcer`]: learning frames after a failover
//! - [`querier`]: questions for guests' group memberships after a failover
//! - [`events`]: what `vsctl monitor` shows
//! - [`metrics`]: Prometheus text over HTTP
//! - [`control`]: the control thread's loop
//! - [`cli`], [`rpc`]: vsctl's grammar and the way from it to the daemon
//! - [`import`]: configuration of the network scripts and of modprobe, made into commands
//! - [`settings`], [`privileges`]: the daemon's own settings, and what it may do

pub mod announcer;
pub mod cli;
pub mod control;
pub mod counters;
pub mod datapath;
pub mod device;
pub mod events;
pub mod fastpath;
pub mod import;
pub mod metrics;
pub mod model;
pub mod neighbours;
pub mod netlink;
pub mod privileges;
pub mod punt;
pub mod querier;
pub mod random;
pub mod receive;
pub mod restart;
pub mod rpc;
pub mod saver;
pub mod settings;
pub mod state_file;
pub mod switch;
pub mod transaction;
pub mod worker;
