//! The Periodic Transmission machine (IEEE 802.1AX-2014 clause 6.4.13): how often LACPDUs are sent when
//! nothing changes. The partner's timeout decides, and nothing is sent between two passive ends.

use core::time::Duration;

use crate::lacpdu::State as Flags;
use crate::port::Port;
use crate::timer::{FAST_PERIODIC_TIME, SLOW_PERIODIC_TIME, Timer};

/// States of the Periodic Transmission machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// Nothing is sent.
    #[default]
    NoPeriodic,
    /// Every second.
    FastPeriodic,
    /// Every 30 s.
    SlowPeriodic,
    /// Now.
    PeriodicTx,
}

impl State {
    /// The standard's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoPeriodic => "NO_PERIODIC",
            Self::FastPeriodic => "FAST_PERIODIC",
            Self::SlowPeriodic => "SLOW_PERIODIC",
            Self::PeriodicTx => "PERIODIC_TX",
        }
    }
}

/// The machine of one port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) state: State,
    pub(crate) periodic_timer: Timer,
}

/// What a transition depends on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Conditions {
    pub(crate) begin: bool,
    pub(crate) port_enabled: bool,
    pub(crate) lacp_enabled: bool,
    /// Actor_Oper_Port_State.LACP_Activity.
    pub(crate) actor_active: bool,
    /// Partner_Oper_Port_State.LACP_Activity.
    pub(crate) partner_active: bool,
    /// Partner_Oper_Port_State.LACP_Timeout is short.
    pub(crate) partner_short: bool,
    /// `periodic_timer` has expired.
    pub(crate) expired: bool,
}

/// The next state, `None` to stay.
pub(crate) fn next(state: State, c: Conditions) -> Option<State> {
    let silent = c.begin || !c.lacp_enabled || !c.port_enabled || !c.actor_active && !c.partner_active;
    match state {
        State::NoPeriodic => (!silent).then_some(State::FastPeriodic),
        _ if silent => Some(State::NoPeriodic),
        State::FastPeriodic if c.expired => Some(State::PeriodicTx),
        State::FastPeriodic => (!c.partner_short).then_some(State::SlowPeriodic),
        State::SlowPeriodic => (c.expired || c.partner_short).then_some(State::PeriodicTx),
        State::PeriodicTx if c.partner_short => Some(State::FastPeriodic),
        State::PeriodicTx => Some(State::SlowPeriodic),
    }
}

/// Runs the machine until it rests.
pub(crate) fn step(port: &mut Port, now: Duration) {
    let mut begin = port.begin;
    loop {
        let conditions = Conditions {
            begin,
            port_enabled: port.port_enabled(),
            lacp_enabled: port.lacp_enabled(),
            actor_active: port.actor_oper.state.contains(Flags::ACTIVITY),
            partner_active: port.partner_oper.state.contains(Flags::ACTIVITY),
            partner_short: port.partner_oper.state.contains(Flags::TIMEOUT),
            expired: port.periodic.periodic_timer.expired(now),
        };
        let Some(state) = next(port.periodic.state, conditions) else { return };
        // One PDU at once when sending begins: the partner may be waiting for it. The standard's first comes after
        // Fast_Periodic_Time if nothing else asks for one.
        port.ntt |= port.periodic.state == State::NoPeriodic || state == State::PeriodicTx;
        port.periodic.state = state;
        match state {
            State::NoPeriodic => port.periodic.periodic_timer.stop(),
            State::FastPeriodic => port.periodic.periodic_timer.start(now, FAST_PERIODIC_TIME),
            State::SlowPeriodic => port.periodic.periodic_timer.start(now, SLOW_PERIODIC_TIME),
            State::PeriodicTx => {}
        }
        begin = false;
    }
}

#[cfg(test)]
mod tests;
