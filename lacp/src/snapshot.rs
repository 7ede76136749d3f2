//! Handing the state over to a successor, so that an orderly restart does not begin with DEFAULTED.

use core::time::Duration;

use crate::bond::Lacp;
use crate::lacpdu::{Lacpdu, PortInfo, State as Flags};
use crate::port::{AggregatorId, Heard, Port, PortId, Selected};
use crate::selection::Reason;
use crate::timer::{LONG_TIMEOUT_TIME, SHORT_TIMEOUT_TIME, Timer};
use crate::{mux, receive};

/// What a successor has to know of a bond. All times are relative to when it was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The active aggregator.
    pub active: Option<AggregatorId>,
    /// Its ports.
    pub ports: Vec<PortSnapshot>,
}

/// What a successor has to know of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortSnapshot {
    /// Which.
    pub port: PortId,
    /// Actor_Oper_*: what the partner was told.
    pub actor: PortInfo,
    /// Partner_Oper_*.
    pub partner: PortInfo,
    /// The Receive machine's state.
    pub receive: receive::State,
    /// What is left of `current_while_timer`.
    pub current_while: Duration,
    /// The Mux machine's state.
    pub mux: mux::State,
    /// Selected.
    pub selected: Selected,
    /// Its aggregator.
    pub aggregator: AggregatorId,
    /// The last LACPDU and its age.
    pub heard: Option<(Lacpdu, Duration)>,
}

impl Lacp {
    /// The state as of `now`.
    pub fn snapshot(&self, now: Duration) -> Snapshot {
        let port = |port: &Port| PortSnapshot {
            port: port.id,
            actor: port.actor_oper,
            partner: port.partner_oper,
            receive: port.receive.state,
            current_while: port.receive.current_while_timer.left(now),
            mux: port.mux.state,
            selected: port.selected,
            aggregator: port.aggregator,
            heard: port.heard.map(|heard| (heard.lacpdu, heard.age(now))),
        };
        Snapshot { active: self.selection.active_id(), ports: self.ports.iter().map(port).collect() }
    }

    /// Before an orderly stop: every port that speaks wants to say once more what it said last, so that the partner's
    /// timeouts begin anew just before nobody speaks for a while.
    pub fn repeat(&mut self, now: Duration) {
        for port in &mut self.ports {
            port.ntt = true;
        }
        // Takes it back where nothing may be sent.
        self.settle(now);
    }

    /// Takes over from a predecessor. To be called after all ports are added and their links told, and before anything
    /// is sent. Returns the ports that go on where they were.
    ///
    /// `elapsed` is how long nobody listened: after an orderly stop the age of the snapshot, by a clock that both share;
    /// after a crash, with a snapshot kept on disk at each change, the time since the predecessor was last alive.
    ///
    /// Ports without a configured number have the same as before, whatever the order in which they were added. A port goes
    /// on if its link is up, it is to the partner what it was (system, key, priorities and number), and its
    /// Receive machine was in CURRENT or DEFAULTED. Its Mux is where it was; its gates are wanted and not confirmed, as
    /// after any change, and **nothing is sent on it until they are confirmed**: the first LACPDU of the successor says
    /// what the last one of the predecessor said. The silence of the restart counts: `current_while_timer` goes on.
    /// An old snapshot serves too, as long as it tells the last change: a partner that sends in time leaves 2 s of 3
    /// (`lacp_rate=fast`) or 60 s of 90 on the timer at any moment, so that after up to 1 s or 30 s it is heard again
    /// before the timer expires.
    pub fn restore(&mut self, now: Duration, snapshot: &Snapshot, elapsed: Duration) -> Vec<PortId> {
        let mut restored = Vec::new();
        self.adopt_numbers(snapshot);
        for saved in &snapshot.ports {
            let Some(index) = self.index(saved.port) else { continue };
            let port = &mut self.ports[index];
            let lives = matches!(saved.receive, receive::State::Current | receive::State::Defaulted);
            if lives
                && port.port_enabled()
                && port.lacp_enabled()
                && same_actor(&saved.actor, &port.actor_oper)
            {
                resume(port, now, saved, elapsed);
                self.aggregators = self.aggregators.max(saved.aggregator.0);
                restored.push(saved.port);
            }
        }
        if !restored.is_empty() {
            let of_it = |port: &Port| Some(port.aggregator) == snapshot.active && restored.contains(&port.id);
            if let Some(port) = self.ports.iter().find(|port| of_it(port)) {
                self.selection.active = Some((port.aggregator, Reason::Stable));
            }
        }
        self.settle(now);
        restored
    }
}

/// The partner knows the port as it is now, but for what the Receive and Mux machines say.
fn same_actor(saved: &PortInfo, now: &PortInfo) -> bool {
    !receive::differs(saved, now)
}

fn resume(port: &mut Port, now: Duration, saved: &PortSnapshot, elapsed: Duration) {
    port.begin = false;
    port.partner_oper = saved.partner;
    port.aggregator = saved.aggregator;
    port.selected = saved.selected;
    port.receive.state = saved.receive;
    port.receive.current_while_timer = Timer::default();
    if saved.receive == receive::State::Current {
        // With `lacp_rate` slow where it was fast, the partner will have longer.
        let slower = saved.actor.state.contains(Flags::TIMEOUT) && !port.fast;
        let more = if slower { LONG_TIMEOUT_TIME - SHORT_TIMEOUT_TIME } else { Duration::ZERO };
        let left = saved.current_while.saturating_add(more).saturating_sub(elapsed);
        port.receive.current_while_timer.start(now, left);
    } else {
        port.set_partner(Flags::TIMEOUT, port.fast);
    }
    let volatile = [Flags::SYNCHRONIZATION, Flags::DEFAULTED, Flags::EXPIRED];
    for flag in volatile {
        port.set_actor(flag, saved.actor.state.contains(flag));
    }
    port.mux.state = saved.mux;
    if saved.mux == mux::State::Waiting {
        port.mux.wait_while_timer.start(now, Duration::ZERO);
    }
    port.heard = saved.heard.map(|(lacpdu, age)| Heard::new(now, lacpdu, age.saturating_add(elapsed)));
    port.held = port.unconfirmed().is_some();
    port.ntt = true;
}
