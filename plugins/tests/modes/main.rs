//! The modes inside a bond, in virtual time: each through what a bond shows, never through the plugin alone.

mod active_backup;
mod properties;
mod rig;
mod xor;
