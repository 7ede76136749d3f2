//! balance-rr: members take turns.
//!
//! The switch on the other side holds the same links in a static aggregation group, and sends by any of them. Frames of
//! one flow leave by different links and may overtake each other; that is the price for one flow being faster than one
//! link.
//!
//! The members that are up share the frames evenly. (Linux counts over all slaves, and the successor of one that is
//! down has its turns too: of three with the second down the third sends two thirds.)

use std::sync::Arc;

use bond_port::{Balancer, Compiled, View};
use forwarding::tables::TransmitPlan;
use forwarding::turn::Turn;

use crate::group;

/// The plugin.
#[derive(Debug, Default)]
pub struct RoundRobin {
    turn: Arc<Turn>,
}

impl Balancer for RoundRobin {
    fn compile(&mut self, view: &View<'_>) -> Compiled {
        group::compile(view, |usable| TransmitPlan::RoundRobin {
            members: usable.iter().filter_map(|member| member.device()).collect(),
            per_member: view.options.packets_per_slave.into(),
            turn: Arc::clone(&self.turn),
        })
    }
}
