//! broadcast: every member sends a copy of every frame.
//!
//! For two networks that are apart, each of which may fail. What receives both copies has to tell that they are one
//! frame; so it is here: copies that arrive by several members are all let in, as in Linux.

use bond_port::{Balancer, Compiled, View};
use forwarding::tables::TransmitPlan;

use crate::group;

/// The plugin.
#[derive(Debug, Default)]
pub struct Broadcast;

impl Balancer for Broadcast {
    fn compile(&mut self, view: &View<'_>) -> Compiled {
        group::compile(view, |usable| TransmitPlan::All {
            members: usable.iter().filter_map(|member| member.device()).collect(),
        })
    }
}
