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

use bond_port::{Balancer, Compiled, Member, Mode, View};
use forwarding::drop_reason::DropReason;
use forwarding::flow_hash::HashPolicy;
use forwarding::mac::MacAddr;
use forwarding::tables::TransmitPlan;

use crate::receiver::Receiver;
use crate::table::{Table, answers_by_table};

/// The plugin.
#[derive(Debug, Default)]
pub struct Tlb {
    receiver: Receiver,
    pub(crate) table: Table,
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

    answers_by_table!(table);
}

impl Tlb {
    /// The plan with this member as home.
    fn plan(&mut self, view: &View<'_>, home: Option<&Member>) -> TransmitPlan {
        let Some((home, device)) = home.and_then(|member| Some((member, member.device()?))) else {
            self.table.clear();
            return TransmitPlan::Drop(DropReason::NoMember);
        };
        let sends = |member: &&Member| member.id() == home.id() || own_address(view, member).is_some();
        let mut usable: Vec<&Member> = view.up().filter(sends).collect();
        if usable.is_empty() {
            // Lost, but its `downdelay` runs; or back, and its `updelay` is skipped.
            usable.push(home);
        }
        let policy = match view.options.xmit_hash_policy {
            // Linux doesn't use the option in this mode, so layer2 is what is there when nobody has thought of it. By addresses
            // of stations all that leaves by a router would have one member.
            HashPolicy::Layer2 if view.options.mode == Mode::BalanceAlb => HashPolicy::Layer34,
            policy => policy,
        };
        let (hash, table, loads) = self.table.parts(policy, view, &usable);
        let own = view.members.iter().filter_map(|member| own_address(view, member)).collect();
        TransmitPlan::Balanced { hash, table, loads, home: device, own }
    }
}

/// A member's own address, if it can send and receive as itself: no other member has it too.
pub(crate) fn own_address(view: &View<'_>, member: &Member) -> Option<MacAddr> {
    let mac = member.mac().filter(|mac| mac.is_valid_source())?;
    let is_another = |other: &&Member| other.id() != member.id() && other.mac() == Some(mac);
    view.members.iter().find(is_another).is_none().then_some(mac)
}
