//! The modes inside a bond, in virtual time: each through what a bond shows, never through the plugin alone.

mod active_backup;
mod ad;
mod alb;
mod buckets;
mod by_hand;
mod explain;
mod explain_ad;
mod group;
mod lacp_rig;
mod linux_limits;
mod loads;
mod options;
mod probes;
mod proc_text;
mod properties;
mod restart;
mod rig;
mod round_robin;
mod selftests;
mod sizes;
mod slb;
mod tlb;
mod xor;
