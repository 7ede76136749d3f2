//! What a bond says of frames that come in by members' own addresses.

use crate::bond::Bond;
use crate::receive::ReceivePlan;
use crate::status::{BondStatus, MemberStatus};
use forwarding::bucket_loads::BUCKETS;
use forwarding::mac::MacAddr;

use super::receiving;

impl Bond {
    /// Part of the summary.
    pub(super) fn spread(&self, plan: &ReceivePlan, home: &str) -> String {
        let named = |mac: &&(MacAddr, _)| plan.table.contains(&Some(mac.0));
        let (named, all) = (plan.own.iter().filter(named).count(), self.members().len());
        format!(
            "everything else leaves by {home}; hosts are told to send to {named} of {all} members by these members' own \
             addresses"
        )
    }

    /// What comes in by a member, if it may come in by its own address.
    pub(super) fn by_own_address(&self, status: &BondStatus, member: &MemberStatus) -> Option<String> {
        let plan = self.receive()?;
        let mac = self.member(&member.name)?.mac()?;
        let Some((_, device)) = plan.own.iter().find(|(own, _)| *own == mac) else {
            return Some(format!("{}; no host is told to send to it", receiving(member)));
        };
        if Some(*device) != member.device {
            let home = status.active.as_deref().unwrap_or("the active member");
            return Some(format!(
                "receives nothing; what hosts still send to its own address {mac} comes in by {home}"
            ));
        }
        let held = plan.table.iter().filter(|told| **told == Some(mac)).count();
        let buckets = format!("{held} of {BUCKETS} buckets of hosts are told so");
        Some(match member.active {
            true => format!("{}, frames for its own address {mac} among them: {buckets}", receiving(member)),
            false => format!("receives frames for its own address {mac}, and no others: {buckets}"),
        })
    }
}
