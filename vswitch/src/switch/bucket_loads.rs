//! What leaves by each bucket of a bond: the workers' counters and the kernel's. The kernel has room for some bonds only.

use std::sync::{Arc, Weak};
use std::time::Duration;

use bond_port::Bond;
use bond_port::status::BucketMove;
use forwarding::bucket_loads::{BUCKETS, BucketLoads};
use forwarding::tables::{PortEntry, Tables};

use super::Switch;
use crate::fastpath::layout::MAX_LOADS;

/// Who has which of the kernel's counters: the workers' counters that they go with, for as long as these live. So a bond
/// without a member to send by keeps its own, and nobody gets those that tables still in force may name: the last ones are
/// kept until the next are published.
#[derive(Debug, Default)]
pub(super) struct LoadSlots {
    owners: Vec<Weak<BucketLoads>>,
}

impl LoadSlots {
    /// The number of the kernel's counters that go with these.
    pub(super) fn of(&self, loads: &Arc<BucketLoads>) -> Option<u8> {
        let found = self.owners.iter().position(|owner| std::ptr::eq(owner.as_ptr(), Arc::as_ptr(loads)))?;
        Some(found as u8)
    }

    /// Gives them a free number, if there is one; to be cleared.
    fn assign(&mut self, loads: &Arc<BucketLoads>) -> Option<u8> {
        let free = self.owners.iter().position(|owner| owner.strong_count() == 0);
        let number = free.unwrap_or(self.owners.len());
        if number >= MAX_LOADS {
            return None;
        }
        self.owners.resize_with(self.owners.len().max(number + 1), Weak::new);
        self.owners[number] = Arc::downgrade(loads);
        Some(number as u8)
    }

    /// Gives numbers to all counters of the tables that have none yet. Returns which are new, and how many ports get none.
    pub(super) fn give(&mut self, tables: &Tables) -> (Vec<u8>, usize) {
        let (mut new, mut without) = (Vec::new(), 0);
        let received = |port: &PortEntry| port.receive.as_ref().map(|receive| Arc::clone(&receive.loads));
        let both = |port: &PortEntry| [port.transmit.loads().map(Arc::clone), received(port)];
        for loads in tables.ports.iter().flatten().flat_map(both).flatten() {
            let loads = &loads;
            if self.of(loads).is_none() {
                match self.assign(loads) {
                    Some(number) => new.push(number),
                    None => without += 1,
                }
            }
        }
        (new, without)
    }

    /// How many are in use.
    pub(super) fn used(&self) -> usize {
        self.owners.iter().filter(|owner| owner.strong_count() > 0).count()
    }
}

impl Switch {
    /// Octets that left by each bucket of a bond, by workers and by the kernel, tags and all. They only grow (and wrap at
    /// 2^64) as long as the bond's plan has the same counters, but for the kernel's part, which is lost when the daemon
    /// ends. `None`: the bond's plan doesn't count, or the kernel forwards and has no room to count for it, so that no more
    /// than a part of its load is known. One system call.
    pub fn bucket_loads(&self, bond: &str) -> Option<[u64; BUCKETS]> {
        self.octets_by_bucket(self.bond(bond)?.plan().loads()?)
    }

    /// The sum of counters in the tables: the workers' and the kernel's, as [`Self::bucket_loads`] has it. One system call.
    pub(super) fn octets_by_bucket(&self, loads: &Arc<BucketLoads>) -> Option<[u64; BUCKETS]> {
        let mut octets = loads.read();
        if let Ok(kernel) = &self.fast.kernel {
            let by_kernel = kernel.bucket_loads(self.fast.loads.of(loads)?);
            for (sum, more) in octets.iter_mut().zip(by_kernel) {
                *sum = sum.wrapping_add(more);
            }
        }
        Some(octets)
    }

    /// Moves a bucket of a bond to a member. When it returns, every worker sends by it.
    ///
    /// # Errors
    /// Why it can't be.
    pub fn migrate(&mut self, now: Duration, bond: &str, bucket: usize, member: &str) -> Result<(), String> {
        let found = self.bond_mut(bond).ok_or_else(|| format!("no bond named {bond}"))?;
        found.migrate(now, bucket, member).map_err(|error| error.to_string())?;
        self.settle(now);
        self.wait_applied();
        Ok(())
    }

    /// Moves buckets of a bond by load now; says which, or why none. When it returns, every worker sends accordingly.
    ///
    /// # Errors
    /// Why it can't be.
    pub fn rebalance_now(&mut self, now: Duration, bond: &str) -> Result<String, String> {
        let counters = self.bucket_loads(bond);
        let found = self.bond_mut(bond).ok_or_else(|| format!("no bond named {bond}"))?;
        let moved = found.rebalance_now(now, counters.as_ref()).map_err(|error| error.to_string())?;
        self.settle(now);
        self.wait_applied();
        Ok(match moved {
            Ok(moves) => {
                let line = |BucketMove { bucket, from, to, load, .. }: &BucketMove| {
                    format!("moved hash {bucket} ({} kB/s) from {from} to {to}", load.div_ceil(1000))
                };
                moves.iter().map(line).collect::<Vec<_>>().join("\n")
            }
            Err(why) => format!("no change: {why}"),
        })
    }

    /// Lets bonds move buckets by load whose period has ended. Where the load isn't known nothing is moved.
    pub(super) fn rebalance(&mut self, now: Duration) {
        let due = |bond: &Bond| bond.loads_deadline().is_some_and(|at| at <= now);
        let due: Vec<String> =
            self.bonds().filter(|(_, bond)| due(bond)).map(|(_, bond)| bond.name().to_owned()).collect();
        for name in due {
            let counters = self.bucket_loads(&name).unwrap_or([0; BUCKETS]);
            if let Some(bond) = self.bond_mut(&name) {
                bond.handle_loads(now, &counters);
            }
        }
        let due = |bond: &Bond| bond.receive_deadline().is_some_and(|at| at <= now);
        let due: Vec<_> = (self.bonds().filter(|(_, bond)| due(bond)))
            .filter_map(|(_, bond)| Some((bond.name().to_owned(), Arc::clone(&bond.receive()?.loads))))
            .collect();
        for (name, loads) in due {
            let counters = self.octets_by_bucket(&loads).unwrap_or([0; BUCKETS]);
            if let Some(bond) = self.bond_mut(&name) {
                bond.handle_receive_loads(now, &counters);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use forwarding::flow_hash::HashPolicy;
    use forwarding::ids::{BridgeId, DeviceId};
    use forwarding::tables::{Learning, PortEntry, TransmitPlan};
    use forwarding::vlan::VlanPolicy;

    use super::*;

    fn tables(of: &[&Arc<BucketLoads>]) -> Tables {
        let port = |transmit| PortEntry {
            bridge: BridgeId(0),
            vlan: VlanPolicy::Trunk(None),
            transmit,
            snoop: false,
            learning: Learning::default(),
            storm: None,
            receive: None,
        };
        let counted = |loads: &&Arc<BucketLoads>| TransmitPlan::Buckets {
            hash: HashPolicy::Layer2,
            table: [DeviceId(1)].into(),
            loads: Some(Arc::clone(loads)),
        };
        let plans = [TransmitPlan::One(DeviceId(0))].into_iter().chain(of.iter().map(counted));
        Tables { ports: plans.map(port).map(Some).collect(), ..Tables::default() }
    }

    #[test]
    fn counters_keep_their_number_while_they_live() {
        let [a, b, c] = [(); 3].map(|()| Arc::new(BucketLoads::new()));
        let mut slots = LoadSlots::default();
        assert_eq!(slots.give(&tables(&[&a, &b])), (vec![0, 1], 0));
        assert_eq!(slots.give(&tables(&[&b, &c])), (vec![2], 0));
        assert_eq!([&a, &b, &c].map(|loads| slots.of(loads)), [Some(0), Some(1), Some(2)]);
        assert_eq!(slots.used(), 3);
        // Only the tables of before still have them.
        let before = tables(&[&a]);
        drop(a);
        let next = Arc::new(BucketLoads::new());
        assert_eq!(slots.give(&tables(&[&next])), (vec![3], 0));
        drop(before);
        let last = Arc::new(BucketLoads::new());
        assert_eq!(slots.give(&tables(&[&last])), (vec![0], 0));
        assert_eq!((slots.of(&last), slots.used()), (Some(0), 4));
    }

    #[test]
    fn there_is_room_for_so_many() {
        let all: Vec<_> = (0..MAX_LOADS + 2).map(|_| Arc::new(BucketLoads::new())).collect();
        let mut slots = LoadSlots::default();
        let (new, without) = slots.give(&tables(&all.iter().collect::<Vec<_>>()));
        assert_eq!((new.len(), without), (MAX_LOADS, 2));
        assert_eq!(slots.of(&all[MAX_LOADS]), None);
    }
}
