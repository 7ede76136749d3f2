//! Devices and netlink against a real kernel, each test in a network namespace of its own.
//!
//! Where a test closes something and looks for the effect, it must wait: another test may be starting a program just
//! then, whose process holds a copy of every descriptor until it is `ip`.

mod links;
mod listener;
mod namespace;
mod netdevs;
mod shield;
mod taps;
mod traffic;
