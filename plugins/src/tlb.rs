//! balance-tlb: IP from station to station leaves by all members, everything else by the active one, which alone lets
//! frames in.
//!
//! The members end at plain ports of a switch that knows nothing of a group. A guest's own address is seen at the active
//! member's port only: what leaves by another one has that member's address for its Ethernet source
//! ([`TransmitPlan::Balanced`]). Answers come to the guest, for ARP and neighbour discovery tell its own address and leave
//! by the active member.
//!
//! With `tlb_dynamic_lb` the table has 256 buckets, dealt by link speed and moved by load; without, it is that of
//! balance-xor. Linux begins with every frame at the active member until a first interval has measured loads
//! (`bond_tlb_xmit`, `tlb_choose_channel`); here members have their shares from the first frame on. A member that is lost
//! loses its buckets to the others, and no others move.

use core::time::Duration;

use bond_port::rebalance::{BUCKETS, MigrateError, Rebalancer};
use bond_port::{Balancer, Compiled, Member, MemberId, View};
use forwarding::drop_reason::DropReason;
use forwarding::tables::TransmitPlan;

use crate::receiver::Receiver;
use crate::table::Table;

/// The plugin.
#[derive(Debug, Default)]
pub struct Tlb {
    receiver: Receiver,
    table: Table,
}

impl Balancer for Tlb {
    fn compile(&mut self, view: &View<'_>) -> Compiled {
        let chosen = self.receiver.choose(view);
        Compiled {
            plan: self.plan(view, chosen.member),
            admissions: self.receiver.admissions(view),
            active: chosen.id(),
            cause: chosen.cause,
            skip_updelay: chosen.skip_updelay(),
            announce: chosen.id().filter(|_| chosen.changed),
            deadline: self.receiver.deadline(),
        }
    }

    fn rebalancer(&self) -> Option<&Rebalancer<MemberId>> {
        self.table.rebalancer()
    }

    fn rebalance(&mut self, now: Duration, counters: &[u64; BUCKETS]) {
        self.table.rebalance(now, counters);
    }

    fn migrate(&mut self, now: Duration, bucket: usize, to: MemberId) -> Option<Result<bool, MigrateError>> {
        self.table.migrate(now, bucket, to)
    }

    fn buckets(&self) -> &[MemberId] {
        self.table.held()
    }

    fn restore_buckets(&mut self, held: Vec<MemberId>) {
        self.table.restore(held);
    }
}

impl Tlb {
    /// The plan with this member as home.
    fn plan(&mut self, view: &View<'_>, home: Option<&Member>) -> TransmitPlan {
        let Some((home, device)) = home.and_then(|member| Some((member, member.device()?))) else {
            self.table.clear();
            return TransmitPlan::Drop(DropReason::NoMember);
        };
        let sends = |member: &&Member| member.id() == home.id() || has_own_address(member);
        let mut usable: Vec<&Member> = view.up().filter(sends).collect();
        if usable.is_empty() {
            // Lost, but its `downdelay` runs; or back, and its `updelay` is skipped.
            usable.push(home);
        }
        let (hash, table, loads) = self.table.parts(view.options.xmit_hash_policy, view, &usable);
        let own =
            view.members.iter().filter(|member| has_own_address(member)).filter_map(Member::mac).collect();
        TransmitPlan::Balanced { hash, table, loads, home: device, own }
    }
}

/// It can send as itself what it isn't home to.
fn has_own_address(member: &Member) -> bool {
    member.mac().is_some_and(|mac| mac.is_valid_source())
}
