//! Receive balancing: which member's address guests give to which of the hosts beyond the bond.
//!
//! A guest's address and a host are a pair, and pairs with the same [`forwarding::receive::bucket`] have the same member.
//! Buckets are shared out by speed, like those of a transmit table. Which of them count is seen when pairs become known: the
//! first pair of a bucket brings it to the member with the fewest, so that a few hosts are spread evenly from the start
//! (Linux deals in turn: `rlb_next_rx_slave`). When a member is lost only its buckets move; when one returns it gets its
//! share back. After that buckets move by load, each `lp_interval`.

use core::time::Duration;
use std::sync::Arc;

use bond_port::buckets::{self, Weighted};
use bond_port::rebalance::{BUCKETS, Policy, Rebalancer};
use bond_port::{Member, MemberId, ReceivePlan, View};
use forwarding::bucket_loads::BucketLoads;
use forwarding::mac::MacAddr;

use crate::tlb::own_address;

/// The buckets, as they are from one plan to the next.
#[derive(Debug)]
pub(crate) struct Assignment {
    held: Vec<MemberId>,
    members: Vec<Weighted<MemberId>>,
    pairs: [u32; BUCKETS],
    rebalancer: Rebalancer<MemberId>,
    loads: Arc<BucketLoads>,
    plan: Option<ReceivePlan>,
}

impl Default for Assignment {
    fn default() -> Self {
        Self {
            held: Vec::new(),
            members: Vec::new(),
            pairs: [0; BUCKETS],
            rebalancer: Rebalancer::new(Duration::ZERO, Policy::default()),
            loads: Arc::default(),
            plan: None,
        }
    }
}

impl Assignment {
    /// Makes the plan of members that are up or, for want of one, the one that is used; `home` is the active one of them.
    pub(crate) fn compile(&mut self, view: &View<'_>, usable: &[&Member], home: Option<&Member>) {
        let interval = Duration::from_secs(view.options.lp_interval.into());
        if self.rebalancer.interval() != interval {
            self.rebalancer.set_interval(interval);
        }
        let Some(device) = home.and_then(Member::device) else {
            self.plan = None;
            return;
        };
        let members = buckets::by_speed(usable.iter().map(|member| (member.id(), member.speed_mbps())));
        if self.held.len() != BUCKETS || self.members != members {
            self.adopt(members);
        }
        let addresses: Vec<(MemberId, MacAddr)> = (view.members.iter())
            .filter_map(|member| Some((member.id(), own_address(view, member)?)))
            .collect();
        let address = |id: &MemberId| addresses.iter().find(|(known, _)| known == id).map(|(_, mac)| *mac);
        let own = addresses.iter().map(|(id, mac)| {
            let receiving = usable.iter().find(|member| member.id() == *id);
            (*mac, receiving.and_then(|member| member.device()).unwrap_or(device))
        });
        let table = core::array::from_fn(|bucket| self.held.get(bucket).and_then(address));
        let plan = ReceivePlan { own: own.collect(), table: Arc::new(table), loads: Arc::clone(&self.loads) };
        if self.plan.as_ref() != Some(&plan) {
            self.plan = Some(plan);
        }
    }

    /// The last plan; none without a member to receive by.
    pub(crate) fn plan(&self) -> Option<&ReceivePlan> {
        self.plan.as_ref()
    }

    /// What moves buckets by load.
    pub(crate) fn rebalancer(&self) -> Option<&Rebalancer<MemberId>> {
        self.plan.as_ref().map(|_| &self.rebalancer)
    }

    /// A period has ended with these counters.
    pub(crate) fn rebalance(&mut self, now: Duration, counters: &[u64; BUCKETS]) {
        self.held = self.rebalancer.handle_timeout(now, counters, &self.held, &self.members).table;
    }

    /// So many pairs are known in each bucket by now.
    pub(crate) fn occupy(&mut self, pairs: &[u32; BUCKETS]) {
        let first = |bucket: &usize| self.pairs[*bucket] == 0 && pairs[*bucket] > 0;
        let new: Vec<usize> = (0..BUCKETS).filter(first).collect();
        self.pairs = *pairs;
        self.deal(&new);
    }

    /// Other members, or of other speed.
    fn adopt(&mut self, members: Vec<Weighted<MemberId>>) {
        let before = core::mem::take(&mut self.held);
        self.held = buckets::adopt(&before, &members, BUCKETS);
        let fresh = |id: &MemberId| self.members.iter().all(|old| old.member != *id);
        let fresh: Vec<MemberId> = members.iter().map(|each| each.member).filter(fresh).collect();
        self.members = members;
        let moved = |bucket: &usize| before.get(*bucket) != self.held.get(*bucket) && self.pairs[*bucket] > 0;
        self.deal(&(0..BUCKETS).filter(moved).collect::<Vec<_>>());
        fresh.into_iter().for_each(|member| self.fill(member));
    }

    /// Gives buckets with pairs in them, one by one, to the member that has the fewest pairs for its speed.
    fn deal(&mut self, dealt: &[usize]) {
        if self.members.is_empty() {
            return;
        }
        let mut has = self.pairs_of_members(dealt);
        for bucket in dealt {
            let more = u64::from(self.pairs[*bucket]);
            let share = |member: usize| (has[member] + more, u64::from(self.members[member].weight.max(1)));
            let least = (0..self.members.len()).reduce(|best, next| {
                let ((a, by_a), (b, by_b)) = (share(best), share(next));
                if b * by_a < a * by_b { next } else { best }
            });
            if let Some(member) = least {
                has[member] += more;
                self.held[*bucket] = self.members[member].member;
            }
        }
    }

    /// Moves buckets from those that have most to a member that has just come, as long as that evens them out.
    fn fill(&mut self, id: MemberId) {
        let Some(poor) = self.members.iter().position(|each| each.member == id) else { return };
        let weight = |member: usize| u64::from(self.members[member].weight.max(1));
        for _ in 0..BUCKETS {
            let has = self.pairs_of_members(&[]);
            let richest = (0..has.len()).reduce(|best, next| {
                if has[next] * weight(best) > has[best] * weight(next) { next } else { best }
            });
            let Some(rich) = richest.filter(|rich| *rich != poor) else { return };
            let holder = self.members[rich].member;
            let evens = |bucket: &usize| {
                let pairs = u64::from(self.pairs[*bucket]);
                pairs > 0 && (has[poor] + pairs) * weight(rich) < has[rich] * weight(poor)
            };
            let of_rich = (0..BUCKETS).filter(|bucket| self.held[*bucket] == holder).filter(evens);
            let Some(bucket) = of_rich.max_by_key(|bucket| self.pairs[*bucket]) else { return };
            self.held[bucket] = id;
        }
    }

    /// How many pairs each member has, without those of some buckets.
    fn pairs_of_members(&self, without: &[usize]) -> Vec<u64> {
        let mut has = vec![0; self.members.len()];
        for (bucket, holder) in self.held.iter().enumerate().filter(|(bucket, _)| !without.contains(bucket)) {
            if let Some(member) = self.members.iter().position(|each| each.member == *holder) {
                has[member] += u64::from(self.pairs[bucket]);
            }
        }
        has
    }
}
