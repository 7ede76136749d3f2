//! What a member receives by its own address, where guests name these to their peers (balance-alb).

use forwarding::bucket_loads::BUCKETS;
use forwarding::tables::Admission;

use super::receiving;
use crate::bond::Bond;
use crate::status::MemberStatus;

impl Bond {
    /// Which frames a member lets in.
    pub(super) fn received(&self, member: &MemberStatus) -> Vec<String> {
        let all = receiving(member);
        let Some(plan) = self.receive() else { return vec![all] };
        let known = self.member(&member.name);
        let own = plan.own.iter().find(|(mac, _)| known.and_then(|member| member.mac()) == Some(*mac));
        let Some((mac, device)) = own else {
            return vec![all, "is named to no peer: it has no address that is its alone".to_owned()];
        };
        if known.and_then(|member| member.device()) != Some(*device) {
            let by = self.members().iter().find(|member| member.device() == Some(*device));
            let by = by.map_or("another member", |member| member.name());
            return vec![all, format!("what is sent to its own address, {mac}, comes in by {by}")];
        }
        let buckets = plan.table.iter().filter(|told| **told == Some(*mac)).count();
        let named = format!(
            "what is sent to its own address, {mac}: guests name it to the peers in {buckets} of {BUCKETS} buckets"
        );
        match member.admission {
            Admission::Nothing => vec![format!("receives {named}; nothing else")],
            _ => vec![all, format!("receives also {named}")],
        }
    }
}
