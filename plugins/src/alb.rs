//! balance-alb: balance-tlb, and what comes in is balanced too.
//!
//! In ARP and neighbour discovery guests name a member's own address instead of theirs, another one to other hosts, so that
//! these send to it and their frames come in by that member. There they are given to the guest that has the IP address
//! ([`forwarding::receive`]). Which member is named to whom is [`crate::assignment`]'s to say.
//!
//! A member lets frames to its own address in and, unless it is the active one, nothing else; so what the upstream switch
//! floods comes in once. The address of a member that is down is the active member's to receive for, so hosts that go on
//! sending to it are heard as soon as the switch has learned it there. (In Linux hosts that use a member which has not failed
//! may be cut off by the failure of another, as members exchange their addresses then: `alb_swap_mac_addr`.)

use core::time::Duration;

use bond_port::rebalance::{BUCKETS, Rebalancer};
use bond_port::{Balancer, Compiled, Member, MemberId, ReceivePlan, View};

use crate::assignment::Assignment;
use crate::table::answers_by_table;
use crate::tlb::Tlb;

/// The plugin.
#[derive(Debug, Default)]
pub struct Alb {
    transmit: Tlb,
    assignment: Assignment,
}

impl Balancer for Alb {
    fn compile(&mut self, view: &View<'_>) -> Compiled {
        let compiled = self.transmit.compile(view);
        let home = compiled.active.and_then(|id| view.member(id));
        let mut receiving: Vec<&Member> = view.up().collect();
        if receiving.is_empty() {
            receiving.extend(home);
        }
        self.assignment.compile(view, &receiving, home);
        compiled
    }

    answers_by_table!(transmit.table);

    fn receive(&self) -> Option<&ReceivePlan> {
        self.assignment.plan()
    }

    fn receive_rebalancer(&self) -> Option<&Rebalancer<MemberId>> {
        self.assignment.rebalancer()
    }

    fn rebalance_receive(&mut self, now: Duration, counters: &[u64; BUCKETS]) {
        self.assignment.rebalance(now, counters);
    }

    fn occupy(&mut self, pairs: &[u32; BUCKETS]) {
        self.assignment.occupy(pairs);
    }
}
