//! x
pub mod device;
pub mod netlink;
