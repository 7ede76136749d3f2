//! The Receive machine (IEEE 802.1AX-2014 clause 6.4.12): who the partner is, and whether it is alive.

use core::time::Duration;

use crate::lacpdu::{Lacpdu, PortInfo, State as Flags};
use crate::port::{Port, Selected};
use crate::timer::{LONG_TIMEOUT_TIME, SHORT_TIMEOUT_TIME, Timer};

/// States of the Receive machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum State {
    /// Just begun: the partner's defaults are taken.
    #[default]
    Initialize,
    /// The link is down. What is known of the partner is kept, for it may come back.
    PortDisabled,
    /// Half duplex: LACP is not spoken.
    LacpDisabled,
    /// Nothing heard for the timeout, or not yet since the link came up; the partner is asked to hurry.
    Expired,
    /// Nobody speaks: the partner's defaults are in force.
    Defaulted,
    /// The partner speaks.
    Current,
}

impl State {
    /// The standard's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Initialize => "INITIALIZE",
            Self::PortDisabled => "PORT_DISABLED",
            Self::LacpDisabled => "LACP_DISABLED",
            Self::Expired => "EXPIRED",
            Self::Defaulted => "DEFAULTED",
            Self::Current => "CURRENT",
        }
    }
}

/// The machine of one port.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    pub(crate) state: State,
    pub(crate) current_while_timer: Timer,
}

/// What a transition depends on.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Conditions {
    pub(crate) begin: bool,
    pub(crate) port_enabled: bool,
    pub(crate) port_moved: bool,
    pub(crate) lacp_enabled: bool,
    /// A LACPDU has just arrived.
    pub(crate) lacpdu: bool,
    /// `current_while_timer` has expired.
    pub(crate) expired: bool,
}

/// The next state, `None` to stay. A LACPDU comes before a timer that expired meanwhile: after a stall, what waited in
/// the socket still counts as heard.
pub(crate) fn next(state: State, c: Conditions) -> Option<State> {
    if c.begin {
        return Some(State::Initialize);
    }
    match state {
        State::Initialize => Some(State::PortDisabled),
        State::PortDisabled if c.port_moved => Some(State::Initialize),
        State::PortDisabled if !c.port_enabled => None,
        State::PortDisabled if c.lacp_enabled => Some(State::Expired),
        State::PortDisabled => Some(State::LacpDisabled),
        _ if !c.port_enabled && !c.port_moved => Some(State::PortDisabled),
        State::LacpDisabled => c.lacp_enabled.then_some(State::PortDisabled),
        State::Expired | State::Defaulted | State::Current if c.lacpdu => Some(State::Current),
        State::Expired => c.expired.then_some(State::Defaulted),
        State::Current => c.expired.then_some(State::Expired),
        State::Defaulted => None,
    }
}

/// Runs the machine until it rests; `lacpdu` has just arrived. True if it moved.
pub(crate) fn step(port: &mut Port, now: Duration, mut lacpdu: Option<&Lacpdu>) -> bool {
    let mut moved = false;
    loop {
        let conditions = Conditions {
            begin: port.begin && !moved,
            port_enabled: port.port_enabled(),
            port_moved: port.port_moved,
            lacp_enabled: port.lacp_enabled(),
            lacpdu: lacpdu.is_some(),
            expired: port.receive.current_while_timer.expired(now),
        };
        let Some(state) = next(port.receive.state, conditions) else { return moved };
        let from = core::mem::replace(&mut port.receive.state, state);
        moved = true;
        port.stats.expired += u64::from((from, state) == (State::Current, State::Expired));
        port.stats.defaulted += u64::from(state == State::Defaulted);
        match (state, lacpdu) {
            (State::Current, Some(heard)) => {
                current(port, now, heard);
                lacpdu = None;
            }
            _ => enter(port, now, state),
        }
    }
}

fn enter(port: &mut Port, now: Duration, state: State) {
    match state {
        State::Initialize => {
            port.unselect();
            record_default(port);
            port.set_actor(Flags::EXPIRED, false);
            port.port_moved = false;
        }
        State::PortDisabled => {
            port.set_partner(Flags::SYNCHRONIZATION, false);
            port.receive.current_while_timer.stop();
        }
        State::LacpDisabled => {
            port.unselect();
            record_default(port);
            port.set_partner(Flags::AGGREGATION, false);
            port.set_actor(Flags::EXPIRED, false);
        }
        State::Expired => {
            port.set_partner(Flags::SYNCHRONIZATION, false);
            port.set_partner(Flags::TIMEOUT, true);
            port.receive.current_while_timer.start(now, SHORT_TIMEOUT_TIME);
            port.set_actor(Flags::EXPIRED, true);
        }
        State::Defaulted => {
            if differs(&port.partner_admin(), &port.partner_oper) {
                port.unselect();
            }
            record_default(port);
            port.receive.current_while_timer.stop();
            port.set_actor(Flags::EXPIRED, false);
        }
        State::Current => {}
    }
}

/// Entry to CURRENT: update_Selected, update_NTT, recordPDU.
fn current(port: &mut Port, now: Duration, lacpdu: &Lacpdu) {
    if differs(&lacpdu.actor, &port.partner_oper) {
        port.unselect();
    }
    if !agrees(&lacpdu.partner, &port.actor_oper) {
        port.ntt = true;
    }
    record_pdu(port, lacpdu);
    port.restart_current_while_timer(now);
    port.set_actor(Flags::EXPIRED, false);
}

/// recordDefault (clause 6.4.9).
fn record_default(port: &mut Port) {
    port.partner_oper = port.partner_admin();
    port.set_partner(Flags::SYNCHRONIZATION, true);
    port.set_actor(Flags::DEFAULTED, true);
}

/// recordPDU (clause 6.4.9). The partner is in SYNC if it says so, knows us rightly or is an individual link, and one
/// side goes on sending LACPDUs.
fn record_pdu(port: &mut Port, lacpdu: &Lacpdu) {
    let (theirs, ours) = (lacpdu.actor.state, lacpdu.partner.state);
    let knows_us = !differs(&lacpdu.partner, &port.actor_oper);
    let maintained = theirs.contains(Flags::ACTIVITY)
        || port.actor_oper.state.contains(Flags::ACTIVITY) && ours.contains(Flags::ACTIVITY);
    let in_sync = theirs.contains(Flags::SYNCHRONIZATION)
        && (knows_us || !theirs.contains(Flags::AGGREGATION))
        && maintained;
    port.partner_oper = lacpdu.actor;
    port.set_partner(Flags::SYNCHRONIZATION, in_sync);
    port.set_actor(Flags::DEFAULTED, false);
}

/// What update_Selected and update_Default_Selected compare (clause 6.4.9): the identity and Aggregation.
pub(crate) fn differs(a: &PortInfo, b: &PortInfo) -> bool {
    let identity = |info: &PortInfo| PortInfo { state: Flags(info.state.0 & Flags::AGGREGATION.0), ..*info };
    identity(a) != identity(b)
}

/// What update_NTT compares (clause 6.4.9): the identity, and the flags that the partner must know.
pub(crate) fn agrees(theirs: &PortInfo, ours: &PortInfo) -> bool {
    const KNOWN: u8 = Flags::ACTIVITY.0 | Flags::TIMEOUT.0 | Flags::SYNCHRONIZATION.0 | Flags::AGGREGATION.0;
    !differs(theirs, ours) && (theirs.state.0 ^ ours.state.0) & KNOWN == 0
}

impl Port {
    /// Starts `current_while_timer` with the timeout that we ask the partner to keep.
    pub(crate) fn restart_current_while_timer(&mut self, now: Duration) {
        let short = self.actor_oper.state.contains(Flags::TIMEOUT);
        self.receive
            .current_while_timer
            .start(now, if short { SHORT_TIMEOUT_TIME } else { LONG_TIMEOUT_TIME });
    }

    /// Nothing more is known of the partner: the Selection Logic has to start again.
    pub(crate) fn unselect(&mut self) {
        self.selected = Selected::Unselected;
    }
}

#[cfg(test)]
mod tests;
