//! The switch as a program: what `vswitchd` and `vsctl` are made of.

pub mod cli;
pub mod model;
pub mod rpc;
pub mod settings;
pub mod state_file;
pub mod transaction;
