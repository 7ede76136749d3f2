//! What bonds hand to the next daemon, and how they take over from the one before.

use std::time::Duration;

use super::Switch;
use crate::restart::Kept;
use crate::restart::early::Early;

/// At most so often state is kept because partners speak: what a successor after a crash takes for the time of the last
/// LACPDU is wrong by as much. A change is kept at once.
const KEEP_INTERVAL: Duration = Duration::from_millis(250);

/// What there is to keep, and to take over.
#[derive(Debug, Default)]
pub(super) struct Restart {
    /// Of the daemon before, until the first model is committed.
    earlier: Option<Kept>,
    pub(super) early: Early,
    /// A bond is another than when state was last kept.
    changed: bool,
    /// A partner has spoken since.
    heard: bool,
    last: Duration,
}

impl Restart {
    pub(super) fn changed(&mut self) {
        self.changed = true;
    }

    pub(super) fn heard(&mut self) {
        self.heard = true;
    }

    /// When state is to be kept next.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        match (self.changed, self.heard) {
            (true, _) => Some(Duration::ZERO),
            (false, true) => Some(self.last + KEEP_INTERVAL),
            (false, false) => None,
        }
    }
}

impl Switch {
    /// Bonds of the first model go on where those were, and `early` speaks until they do. To be called before it is
    /// prepared.
    pub fn resume(&mut self, earlier: Kept, early: Early) {
        self.restart.earlier = Some(earlier);
        self.restart.early = early;
    }

    /// The bonds' state, if it is to be kept now.
    pub fn poll_kept(&mut self, now: Duration) -> Option<Kept> {
        self.restart.next_deadline().filter(|at| *at <= now)?;
        (self.restart.changed, self.restart.heard, self.restart.last) = (false, false, now);
        Some(self.kept(now))
    }

    /// The bonds' state as of `now`.
    pub fn kept(&self, now: Duration) -> Kept {
        let bonds = self.bonds().map(|(_, bond)| (bond.name().to_owned(), bond.snapshot(now))).collect();
        Kept { taken: now, bonds, guests: self.kept_guests() }
    }

    /// The next daemon takes everything over as it is: nothing is given back at the end. Partners hear from us once more.
    pub fn hand_over(&mut self, now: Duration) {
        for (_, port) in self.ports.iter_mut() {
            if let Some(bond) = &mut port.bond {
                bond.repeat(now);
            }
        }
        self.transmit(now);
        self.handed_over = true;
    }

    /// Lets members that speak before their bonds are there say it again, if it is time.
    pub(super) fn remind_partners(&mut self) {
        let now = self.breath.now();
        self.restart.early.repeat(now);
    }

    /// Prepares bonds that have no link yet.
    pub(super) fn resume_bonds(&mut self) {
        let Some(earlier) = &self.restart.earlier else { return };
        for (_, port) in self.ports.iter_mut() {
            let before = earlier.bonds.get(&port.name);
            if let (Some(bond), Some(before)) = (&mut port.bond, before) {
                bond.resume(before);
            }
        }
    }

    /// Gives bonds whose links are known what those before had, so that the first tables are like the last.
    pub(super) fn restore_bonds(&mut self, now: Duration) {
        let Some(mut earlier) = self.restart.earlier.take() else { return };
        self.restore_guests(now, core::mem::take(&mut earlier.guests));
        let elapsed = now.saturating_sub(earlier.taken);
        for (_, port) in self.ports.iter_mut() {
            let before = earlier.bonds.get(&port.name);
            let (Some(bond), Some(before)) = (&mut port.bond, before) else { continue };
            let members = bond.restore(now, before, elapsed);
            if bond.lacp().is_some() {
                let ms = elapsed.as_millis() as u64;
                tracing::info!(bond = bond.name(), ?members, silent_ms = ms, "LACP goes on where it was");
            }
        }
        // What partners have said since.
        self.sync_protocols();
        self.restart.early = Early::default();
        self.take_frames(now);
    }
}
