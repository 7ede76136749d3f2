//! Receive balancing of guests (balance-alb), the part that remembers: which guest has an IP address, which hosts beyond a
//! bond know which guest, and what each of them has to be told. All of it is pure; [`crate::switch`] hands it what is heard.

pub mod owners;
pub mod peers;
