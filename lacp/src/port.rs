//! One port: the variables of IEEE 802.1AX-2014 clauses 6.4.7 and 6.4.8, and its machines.

use core::time::Duration;

use crate::event::Event;
use crate::key::{Link, key};
use crate::lacpdu::{Lacpdu, PortInfo, State as Flags};
use crate::options::{Options, PortOptions};
use crate::receive::differs;
use crate::responder::Responder;
use crate::stats::Stats;
use crate::timer::{LONG_TIMEOUT_TIME, Timer};
use crate::{churn, mux, periodic, receive, transmit};

/// What the caller calls a port; any number that is unique in its bond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortId(pub u32);

/// An aggregator of a bond, numbered from 1 like Linux's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AggregatorId(pub u32);

/// The variable Selected (clause 6.4.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Selected {
    /// No aggregator is chosen.
    #[default]
    Unselected,
    /// The port is to be attached to its aggregator.
    Selected,
    /// The port belongs to its aggregator and is kept in reserve.
    Standby,
}

impl Selected {
    /// The standard's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unselected => "UNSELECTED",
            Self::Selected => "SELECTED",
            Self::Standby => "STANDBY",
        }
    }
}

/// A LACPDU and when it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) lacpdu: Lacpdu,
    at: Duration,
    /// Its age at that time, if a predecessor heard it.
    earlier: Duration,
}

impl Heard {
    /// Heard at `now`, or `age` ago by a predecessor.
    pub(crate) fn new(now: Duration, lacpdu: Lacpdu, age: Duration) -> Self {
        Self { lacpdu, at: now, earlier: age }
    }

    /// Whether it came at `time` or later.
    pub(crate) fn is_since(&self, time: Duration) -> bool {
        self.at.checked_sub(self.earlier).is_some_and(|at| at >= time)
    }

    pub(crate) fn age(&self, now: Duration) -> Duration {
        now.saturating_sub(self.at).saturating_add(self.earlier)
    }
}

/// A port with its machines.
#[derive(Debug, Clone)]
pub(crate) struct Port {
    pub(crate) id: PortId,
    /// Actor_Port_Number when no other is configured.
    pub(crate) number: u16,
    pub(crate) options: PortOptions,
    pub(crate) link: Link,

    pub(crate) begin: bool,
    pub(crate) port_moved: bool,
    pub(crate) ntt: bool,
    pub(crate) selected: Selected,
    pub(crate) aggregator: AggregatorId,
    /// The aggregator that came with the port.
    pub(crate) own_aggregator: AggregatorId,
    pub(crate) actor_oper: PortInfo,
    pub(crate) partner_oper: PortInfo,

    pub(crate) receive: receive::Machine,
    pub(crate) periodic: periodic::Machine,
    pub(crate) mux: mux::Machine,
    pub(crate) transmit: transmit::Machine,
    pub(crate) actor_churn: churn::Machine,
    pub(crate) partner_churn: churn::Machine,
    pub(crate) responder: Responder,

    /// The last LACPDU that the Receive machine took since the link came up.
    pub(crate) heard: Option<Heard>,
    /// Runs while our own LACPDUs come back.
    pub(crate) looped: Timer,
    /// Runs while the partner leaves us waiting in ATTACHED; expired: it refuses the port.
    pub(crate) refused: Timer,
    /// Taken over from a predecessor: nothing is sent until the gates are confirmed again.
    pub(crate) held: bool,
    /// `lacp_rate=fast`: a partner that does not speak is taken for one that wants LACPDUs every second.
    pub(crate) fast: bool,
    pub(crate) stats: Stats,
    /// What events have told.
    told: Observed,
}

impl Port {
    pub(crate) fn new(id: PortId, number: u16, aggregator: AggregatorId, options: PortOptions) -> Self {
        Self {
            id,
            number,
            options,
            link: Link::DOWN,
            begin: true,
            port_moved: false,
            ntt: false,
            selected: Selected::Unselected,
            aggregator,
            own_aggregator: aggregator,
            actor_oper: PortInfo::default(),
            partner_oper: PortInfo::default(),
            receive: receive::Machine::default(),
            periodic: periodic::Machine::default(),
            mux: mux::Machine::default(),
            transmit: transmit::Machine::default(),
            actor_churn: churn::Machine::default(),
            partner_churn: churn::Machine::default(),
            responder: Responder::default(),
            heard: None,
            looped: Timer::default(),
            refused: Timer::default(),
            held: false,
            fast: false,
            stats: Stats::default(),
            told: Observed::default(),
        }
    }

    /// port_enabled: the link is up.
    pub(crate) fn port_enabled(&self) -> bool {
        self.link.up
    }

    /// LACP_Enabled: full duplex.
    pub(crate) fn lacp_enabled(&self) -> bool {
        self.link.full_duplex()
    }

    pub(crate) fn set_actor(&mut self, flags: Flags, on: bool) {
        set(&mut self.actor_oper.state, flags, on);
    }

    pub(crate) fn set_partner(&mut self, flags: Flags, on: bool) {
        set(&mut self.partner_oper.state, flags, on);
    }

    /// Partner_Admin_*: what is taken for the partner while nobody speaks. The numbers are Linux's. A partner without
    /// LACP is an ordinary port that works alone: in sync, collecting and distributing, not to be aggregated. With
    /// `lacp_rate=fast` it has short timeouts, so that we go on sending every second.
    pub(crate) fn partner_admin(&self) -> PortInfo {
        let alone = Flags::SYNCHRONIZATION.with(Flags::COLLECTING).with(Flags::DISTRIBUTING);
        PortInfo {
            system_priority: 0xffff,
            system: [0; 6],
            key: 1,
            port_priority: 0xff,
            port: 1,
            state: if self.fast { alone.with(Flags::TIMEOUT) } else { alone },
        }
    }

    /// A partner is known, though it may be silent by now.
    pub(crate) fn has_partner(&self) -> bool {
        !self.actor_oper.state.contains(Flags::DEFAULTED)
    }

    /// The link is up and it is not yet known who is at its other end.
    pub(crate) fn is_listening(&self) -> bool {
        self.port_enabled() && self.receive.state == receive::State::Expired && !self.has_partner()
    }

    /// Neither side forbids aggregation.
    pub(crate) fn aggregatable(&self) -> bool {
        let both = [self.actor_oper.state, self.partner_oper.state];
        self.has_partner() && both.iter().all(|state| state.contains(Flags::AGGREGATION))
    }

    pub(crate) fn is_looped(&self, now: Duration) -> bool {
        self.looped.due_after(now).is_some()
    }

    /// Sets Actor_Oper_* from the options and the link. If the partner has to learn anything, it is told; if it has to
    /// agree anew, the port is unselected and the partner not in SYNC until it does.
    pub(crate) fn configure(&mut self, address: [u8; 6], options: &Options) {
        let fast = options.lacp_rate.is_fast();
        let before = self.actor_oper;
        self.actor_oper = PortInfo {
            system_priority: options.ad_actor_sys_prio,
            system: if options.ad_actor_system == [0; 6] { address } else { options.ad_actor_system },
            key: self.options.aggregation_key.unwrap_or(key(&self.link, options.ad_user_port_key)),
            port_priority: self.options.actor_port_prio,
            port: self.options.port_number.unwrap_or(self.number),
            state: before.state,
        };
        self.set_actor(Flags::ACTIVITY, options.lacp_active);
        self.set_actor(Flags::TIMEOUT, fast);
        self.set_actor(Flags::AGGREGATION, self.lacp_enabled());
        self.ntt |= before != self.actor_oper;
        if differs(&before, &self.actor_oper) {
            self.unselect();
            if self.has_partner() {
                self.set_partner(Flags::SYNCHRONIZATION, false);
            }
        }
        if self.fast != fast {
            self.fast = fast;
            // From now on the partner sends every 30 s, so the running timeout of 3 s would be wrong.
            let slower = !fast && self.receive.state == receive::State::Current;
            if let Some(heard) = self.heard.filter(|_| slower) {
                self.receive.current_while_timer.start(heard.at, LONG_TIMEOUT_TIME);
            }
            if !self.has_partner() && self.receive.state != receive::State::Expired {
                self.set_partner(Flags::TIMEOUT, fast);
            }
        }
    }

    /// The link has changed.
    pub(crate) fn set_link(&mut self, link: Link) {
        self.stats.link_changes += u64::from(link.up != self.link.up);
        // Linux too begins anew when LACP gets possible or impossible (`ad_update_actor_keys`).
        self.begin |= link.full_duplex() != self.link.full_duplex();
        self.link = link;
        if !link.up {
            self.heard = None;
            self.looped.stop();
            self.responder.clear();
        }
    }

    /// Runs all machines but the Receive machine until they rest. True if the Mux moved.
    pub(crate) fn step(&mut self, now: Duration, coupled: bool, ready: bool) -> bool {
        let moved = mux::step(self, now, coupled, ready);
        periodic::step(self, now);
        let disabled = self.begin || !self.port_enabled();
        let sync = |info: &PortInfo| info.state.contains(Flags::SYNCHRONIZATION);
        let (actor, partner) = (sync(&self.actor_oper), sync(&self.partner_oper));
        self.stats.actor_churn += u64::from(self.actor_churn.step(now, disabled, actor));
        self.stats.partner_churn += u64::from(self.partner_churn.step(now, disabled, partner));
        transmit::step(self);
        self.begin = false;
        moved
    }

    /// Gates that the caller still has to apply.
    pub(crate) fn unconfirmed(&self) -> Option<mux::Gates> {
        let wanted = self.mux.state.gates();
        (wanted != self.mux.confirmed).then_some(wanted)
    }

    /// When something is due next, after `now`.
    pub(crate) fn next_deadline(&self, now: Duration) -> Option<Duration> {
        let timers = [
            self.receive.current_while_timer,
            self.periodic.periodic_timer,
            self.mux.wait_while_timer,
            self.actor_churn.timer,
            self.partner_churn.timer,
            self.looped,
            self.refused,
        ];
        let answer = self.responder.waiting().then_some(now);
        let lacpdu = transmit::due(self).map(|at| at.max(now));
        timers.into_iter().filter_map(|timer| timer.due_after(now)).chain(answer).chain(lacpdu).min()
    }

    /// What to tell of the changes since the last call.
    pub(crate) fn events(&mut self) -> Vec<Event> {
        let (port, after) = (self.id, self.observe());
        let before = core::mem::replace(&mut self.told, after);
        let mut events = Vec::new();
        if before.receive != after.receive {
            events.push(Event::Receive { port, from: before.receive, to: after.receive });
        }
        if let Some(partner) = after.partner.filter(|_| before.partner != after.partner) {
            events.push(Event::Partner { port, partner });
        }
        if before.selected != after.selected {
            events.push(Event::Selected { port, from: before.selected, to: after.selected });
        }
        if before.mux != after.mux {
            events.push(Event::Mux { port, from: before.mux, to: after.mux });
        }
        if before.actor_churn != after.actor_churn {
            events.push(Event::ActorChurn { port, to: after.actor_churn });
        }
        if before.partner_churn != after.partner_churn {
            events.push(Event::PartnerChurn { port, to: after.partner_churn });
        }
        events
    }

    /// What events are made from.
    fn observe(&self) -> Observed {
        Observed {
            receive: self.receive.state,
            partner: self.has_partner().then_some(PortInfo { state: Flags(0), ..self.partner_oper }),
            selected: self.selected,
            mux: self.mux.state,
            actor_churn: self.actor_churn.state,
            partner_churn: self.partner_churn.state,
        }
    }
}

/// The part of a port's state that events tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Observed {
    receive: receive::State,
    partner: Option<PortInfo>,
    selected: Selected,
    mux: mux::State,
    actor_churn: churn::State,
    partner_churn: churn::State,
}

fn set(state: &mut Flags, flags: Flags, on: bool) {
    *state = if on { state.with(flags) } else { state.without(flags) };
}
