//! The Mux machine (IEEE 802.1AX-2014 clause 6.4.15): attaches the port to its aggregator and opens its gates, either
//! both at once (coupled control) or collecting first (independent control).
//!
//! # Two steps
//! Enable_Collecting and its like can't act on the forwarding tables from here. The machine's state says which
//! [`Gates`] are *wanted*; the caller makes the tables so and *confirms*; only then the port's Collecting and
//! Distributing flags say so to the partner, by a LACPDU. What is no longer wanted is taken back from the partner at
//! once: it may be told too early that we stop, never that we have begun.

use core::time::Duration;

use crate::lacpdu::State as Flags;
use crate::port::{Port, Selected};
use crate::timer::{AGGREGATE_WAIT_TIME, Timer};

/// States of the Mux machine. `Collecting` and `Distributing` occur with independent control only,
/// `CollectingDistributing` with coupled control only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// Belongs to no aggregator.
    #[default]
    Detached,
    /// Chosen, and waits for others that may join, or is kept in reserve.
    Waiting,
    /// Belongs to the aggregator, and waits for the partner to say the same.
    Attached,
    /// Receives.
    Collecting,
    /// Receives and sends.
    Distributing,
    /// Receives and sends.
    CollectingDistributing,
}

impl State {
    /// The standard's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Detached => "DETACHED",
            Self::Waiting => "WAITING",
            Self::Attached => "ATTACHED",
            Self::Collecting => "COLLECTING",
            Self::Distributing => "DISTRIBUTING",
            Self::CollectingDistributing => "COLLECTING_DISTRIBUTING",
        }
    }

    /// What the forwarding tables should do in this state.
    pub fn gates(self) -> Gates {
        match self {
            Self::Detached | Self::Waiting | Self::Attached => Gates::CLOSED,
            Self::Collecting => Gates { collecting: true, distributing: false },
            Self::Distributing | Self::CollectingDistributing => Gates::OPEN,
        }
    }
}

/// What is done with the frames of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Gates {
    /// Received frames are accepted.
    pub collecting: bool,
    /// Frames are sent.
    pub distributing: bool,
}

impl Gates {
    /// Neither.
    pub const CLOSED: Self = Self { collecting: false, distributing: false };
    /// Both.
    pub const OPEN: Self = Self { collecting: true, distributing: true };
}

/// The machine of one port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) state: State,
    pub(crate) wait_while_timer: Timer,
    /// What the caller said was applied last.
    pub(crate) confirmed: Gates,
}

impl Machine {
    /// When WAITING was entered, in that state.
    pub(crate) fn waiting_since(&self) -> Duration {
        self.wait_while_timer.due().saturating_sub(AGGREGATE_WAIT_TIME)
    }
}

/// What a transition depends on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Conditions {
    pub(crate) begin: bool,
    /// `coupled_control`.
    pub(crate) coupled: bool,
    pub(crate) selected: Selected,
    pub(crate) ready: bool,
    /// Partner_Oper_Port_State.Synchronization.
    pub(crate) partner_sync: bool,
    /// Partner_Oper_Port_State.Collecting.
    pub(crate) partner_collecting: bool,
}

/// The next state, `None` to stay. `coupled_control` may change while the gates are open: the port goes over to the
/// other diagram without closing what stays open.
pub(crate) fn next(state: State, c: Conditions) -> Option<State> {
    let selected = c.selected == Selected::Selected;
    let in_sync = selected && c.partner_sync;
    match state {
        State::Detached if c.begin => None,
        _ if c.begin => Some(State::Detached),
        State::Detached => (c.selected != Selected::Unselected).then_some(State::Waiting),
        State::Waiting if c.selected == Selected::Unselected => Some(State::Detached),
        State::Waiting => (selected && c.ready).then_some(State::Attached),
        State::Attached if !selected => Some(State::Detached),
        State::Attached if !in_sync => None,
        State::Attached if c.coupled => Some(State::CollectingDistributing),
        State::Attached => Some(State::Collecting),

        State::CollectingDistributing if !in_sync => Some(State::Attached),
        State::CollectingDistributing if c.coupled => None,
        State::CollectingDistributing if c.partner_collecting => Some(State::Distributing),
        State::CollectingDistributing => Some(State::Collecting),

        State::Collecting if !in_sync => Some(State::Attached),
        State::Collecting if c.coupled => Some(State::CollectingDistributing),
        State::Collecting => c.partner_collecting.then_some(State::Distributing),
        State::Distributing if c.coupled && in_sync => Some(State::CollectingDistributing),
        State::Distributing => (!in_sync || !c.partner_collecting).then_some(State::Collecting),
    }
}

/// Runs the machine until it rests. True if it moved.
pub(crate) fn step(port: &mut Port, now: Duration, coupled: bool, ready: bool) -> bool {
    let mut moved = false;
    loop {
        let conditions = Conditions {
            begin: port.begin,
            coupled,
            selected: port.selected,
            ready,
            partner_sync: port.partner_oper.state.contains(Flags::SYNCHRONIZATION),
            partner_collecting: port.partner_oper.state.contains(Flags::COLLECTING),
        };
        let Some(state) = next(port.mux.state, conditions) else { return moved };
        port.mux.state = state;
        moved = true;
        enter(port, now, state);
    }
}

fn enter(port: &mut Port, now: Duration, state: State) {
    match state {
        State::Waiting => port.mux.wait_while_timer.start(now, AGGREGATE_WAIT_TIME),
        State::Detached | State::Attached => {
            port.mux.wait_while_timer.stop();
            port.set_actor(Flags::SYNCHRONIZATION, state == State::Attached);
            port.ntt = true;
        }
        State::Collecting => port.ntt = true,
        State::Distributing | State::CollectingDistributing => {}
    }
    announce(port);
}

/// The caller has applied these gates. False, and nothing happens, if others are wanted by now.
pub(crate) fn confirm(port: &mut Port, gates: Gates) -> bool {
    let wanted = gates == port.mux.state.gates();
    if wanted {
        port.mux.confirmed = gates;
        announce(port);
    }
    wanted
}

/// Sets Collecting and Distributing to what is both wanted and applied. The partner acts on Collecting, so a change
/// of it is told at once; Distributing goes with the next LACPDU (independent control has no NTT there).
pub(crate) fn announce(port: &mut Port) {
    let (wanted, confirmed) = (port.mux.state.gates(), port.mux.confirmed);
    let collecting = wanted.collecting && confirmed.collecting;
    port.ntt |= collecting != port.actor_oper.state.contains(Flags::COLLECTING);
    port.set_actor(Flags::COLLECTING, collecting);
    port.set_actor(Flags::DISTRIBUTING, wanted.distributing && confirmed.distributing);
}

#[cfg(test)]
mod tests;
