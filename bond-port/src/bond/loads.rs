//! Rebalancing: what a bond does for a mode that moves buckets by load.

use core::time::Duration;

use super::{Bond, BondError};
use crate::event::BondEvent;
use crate::member::MemberId;
use crate::rebalance::{BUCKETS, Cause, MigrateError, Moved, Rebalancer, Stays};
use crate::status::{BucketLoad, BucketMove, Rebalancing};

impl Bond {
    /// What moves buckets by load, if anything does.
    pub fn rebalancer(&self) -> Option<&Rebalancer<MemberId>> {
        self.balancer.rebalancer()
    }

    /// What moves buckets of [`Self::receive`] by load, if anything does.
    pub fn receive_rebalancer(&self) -> Option<&Rebalancer<MemberId>> {
        self.balancer.receive_rebalancer()
    }

    /// When [`Self::handle_loads`] is to be called; a time that has passed means now.
    pub fn loads_deadline(&self) -> Option<Duration> {
        self.rebalancer().and_then(Rebalancer::next_deadline)
    }

    /// How many octets each bucket of the transmit table has sent by now; a number smaller than last time counts from 0.
    pub fn handle_loads(&mut self, now: Duration, counters: &[u64; BUCKETS]) {
        let before = self.rebalancer().map_or(0, Rebalancer::moved);
        self.balancer.rebalance(now, counters);
        self.update(now, Vec::new());
        self.tell_moves(before);
    }

    /// Moves buckets by load now, without waiting for the end of the period; says which, or why none. `counters` as in
    /// [`Self::handle_loads`]; `None`: not known.
    ///
    /// # Errors
    /// The mode moves no buckets.
    pub fn rebalance_now(
        &mut self,
        now: Duration,
        counters: Option<&[u64; BUCKETS]>,
    ) -> Result<Result<Vec<BucketMove>, Stays>, BondError> {
        let before = self.rebalancer().map_or(0, Rebalancer::moved);
        let moved = self.balancer.rebalance_now(now, counters);
        let moved = moved.ok_or_else(|| BondError::NoRebalancing { bond: self.name.clone() })?;
        self.update(now, Vec::new());
        self.tell_moves(before);
        Ok(moved.map(|count| {
            let mut last = self.rebalancing(now).map(|told| told.last).unwrap_or_default();
            last.split_off(last.len().saturating_sub(count))
        }))
    }

    /// When [`Self::handle_receive_loads`] is to be called; a time that has passed means now.
    pub fn receive_deadline(&self) -> Option<Duration> {
        self.balancer.receive_rebalancer().and_then(Rebalancer::next_deadline)
    }

    /// How many octets have come in by each bucket of [`Self::receive`] by now.
    pub fn handle_receive_loads(&mut self, now: Duration, counters: &[u64; BUCKETS]) {
        self.balancer.rebalance_receive(now, counters);
        self.update(now, Vec::new());
    }

    /// How many pairs of a guest and a host beyond the bond are known in each bucket of [`Self::receive`].
    pub fn occupy(&mut self, now: Duration, pairs: &[u32; BUCKETS]) {
        self.balancer.occupy(pairs);
        self.update(now, Vec::new());
    }

    /// Moves a bucket to another member by hand (OVS's `bond/migrate`). `Ok(false)`: it was there already.
    ///
    /// # Errors
    /// The mode moves no buckets; not a member; there is no such bucket, or the member does not send.
    pub fn migrate(&mut self, now: Duration, bucket: usize, member: &str) -> Result<bool, BondError> {
        let to = self.members[self.index(member)?].id;
        let before = self.rebalancer().map_or(0, Rebalancer::moved);
        let moved = self.balancer.migrate(now, bucket, to);
        let moved = moved.ok_or_else(|| BondError::NoRebalancing { bond: self.name.clone() })?;
        let moved = moved.map_err(|error| BondError::Migrate {
            bond: self.name.clone(),
            member: member.to_owned(),
            error,
        })?;
        self.update(now, Vec::new());
        self.tell_moves(before);
        Ok(moved)
    }

    /// Whether [`Self::migrate`] would succeed, and move anything.
    ///
    /// # Errors
    /// As there.
    pub fn can_migrate(&self, bucket: usize, member: &str) -> Result<bool, BondError> {
        let member = &self.members[self.index(member)?];
        if self.rebalancer().is_none() {
            return Err(BondError::NoRebalancing { bond: self.name.clone() });
        }
        let refuse =
            |error| BondError::Migrate { bond: self.name.clone(), member: member.name.clone(), error };
        let Some((_, table)) = self.plan.table() else {
            return Err(refuse(MigrateError::NotUsable));
        };
        match (table.get(bucket), member.device) {
            (None, _) => Err(refuse(MigrateError::NoBucket { bucket, count: table.len() })),
            (Some(holder), Some(device)) if table.contains(&device) => Ok(*holder != device),
            (Some(_), _) => Err(refuse(MigrateError::NotUsable)),
        }
    }

    /// What moves buckets, for people; `None` if nothing does.
    pub(crate) fn rebalancing(&self, now: Duration) -> Option<Rebalancing> {
        let rebalancer = self.rebalancer()?;
        let table: &[_] = self.plan.table().map_or(&[], |(_, table)| table);
        let holder = |bucket: usize| {
            let device = table.get(bucket)?;
            self.members
                .iter()
                .find(|member| member.device == Some(*device))
                .map(|member| member.name.clone())
        };
        let loads = rebalancer.loads().into_iter().flatten().enumerate().filter(|(_, load)| **load > 0);
        let loaded =
            |(bucket, load): (usize, &u64)| Some(BucketLoad { bucket, member: holder(bucket)?, load: *load });
        Some(Rebalancing {
            next: rebalancer.next_deadline().unwrap_or(now).saturating_sub(now),
            moved: rebalancer.moved(),
            loads: loads.filter_map(loaded).collect(),
            last: rebalancer.last_moves().map(|moved| self.told(now, moved)).collect(),
        })
    }

    /// The last moves of buckets of [`Self::receive`], 32 at most, oldest first.
    pub fn last_receive_moves(&self, now: Duration) -> Vec<BucketMove> {
        let moves = self.receive_rebalancer().into_iter().flat_map(Rebalancer::last_moves);
        moves.map(|moved| self.told(now, moved)).collect()
    }

    fn told(&self, now: Duration, moved: &Moved<MemberId>) -> BucketMove {
        BucketMove {
            age: now.saturating_sub(moved.at),
            by_hand: moved.cause == Cause::Hand,
            bucket: moved.what.bucket,
            from: self.name_of(moved.what.from),
            to: self.name_of(moved.what.to),
            load: moved.what.load,
        }
    }

    fn name_of(&self, id: MemberId) -> String {
        let member = self.members.iter().find(|member| member.id == id);
        member.map_or_else(String::new, |member| member.name.clone())
    }

    /// Tells of the moves made since there were `before`.
    fn tell_moves(&mut self, before: u64) {
        let Some(rebalancer) = self.balancer.rebalancer() else { return };
        let new = usize::try_from(rebalancer.moved() - before).unwrap_or(usize::MAX);
        let last = rebalancer.last_moves();
        let skipped = last.len().saturating_sub(new);
        let events: Vec<_> = last
            .skip(skipped)
            .map(|moved| BondEvent::BucketMoved {
                bucket: moved.what.bucket,
                from: self.name_of(moved.what.from),
                to: self.name_of(moved.what.to),
                load: moved.what.load,
                by_hand: moved.cause == Cause::Hand,
            })
            .collect();
        self.events.extend(events);
    }
}
