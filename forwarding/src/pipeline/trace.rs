//! What would become of a frame, step by step.

use core::cell::RefCell;

use super::{Egress, Frame, Ingress, Observer, Output, Step};
use crate::bucket_loads::BucketLoads;
use crate::drop_reason::DropReason;
use crate::fdb::Tick;
use crate::tables::Tables;
use crate::turn::Turn;

/// What [`forward`](super::forward) would do with a frame, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    /// The steps in their order; the last one of a dropped frame is the drop.
    pub steps: Vec<Step>,
    /// The copies that would leave, or why none would.
    pub result: Result<Vec<Output>, DropReason>,
    /// The transmit hash before the modulo, if a bond's plan asked for it (for a flood: the first one that did).
    pub hash: Option<u32>,
    /// The VLAN, if the frame gets as far as to have one.
    pub vlan: Option<u16>,
}

/// Writes down what it is told.
impl Observer for &RefCell<Vec<Step>> {
    fn note(&self, step: impl FnOnce() -> Step) {
        self.borrow_mut().push(step());
    }

    /// The turn is left for a frame that is sent.
    fn turn(&self, turn: &Turn) -> u32 {
        turn.peek()
    }

    /// Nothing leaves.
    fn load(&self, _: &BucketLoads, _: u32, _: u64) {}
}

/// Goes a frame's way by the same code as [`forward`](super::forward), and changes nothing: learning and storm control
/// work on copies, a turn is looked at and not taken, and no load is counted. A copy of the FDB takes as long as reading all of it (50
/// octets for each entry of its capacity), so this is for people's questions.
pub fn trace(tables: &Tables, now: Tick, ingress: &Ingress<'_>) -> Trace {
    let (steps, mut egress) = (RefCell::default(), Egress::default());
    let result = look_ahead(tables, now, ingress, &mut egress, &steps);
    let mut steps = steps.into_inner();
    if let Err(reason) = result {
        steps.push(Step::Dropped(reason));
    }
    let hash = steps.iter().find_map(|step| match step {
        Step::Hash { hash, .. } => Some(*hash),
        _ => None,
    });
    Trace { steps, result: result.map(|()| egress.outputs), hash, vlan: egress.vlan }
}

fn look_ahead(
    tables: &Tables,
    now: Tick,
    ingress: &Ingress<'_>,
    egress: &mut Egress,
    steps: &RefCell<Vec<Step>>,
) -> Result<(), DropReason> {
    let arrived = Frame::arrive(tables, ingress, steps)?;
    let (fdb, storm) = (arrived.fdb.copy(), arrived.storm.map(|storm| storm.copy()));
    Frame { fdb: &fdb, storm: storm.as_ref(), ..arrived }.travel(now, egress)
}
