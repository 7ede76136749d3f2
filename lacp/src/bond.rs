//! A bond's LACP: its ports, their machines, and what they decide together.

use core::time::Duration;
use std::collections::VecDeque;

use thiserror::Error;

use crate::event::Event;
use crate::explain::NoCarrier;
use crate::key::Link;
use crate::lacpdu::{Lacpdu, State as Flags};
use crate::mux::Gates;
use crate::options::{Options, PortOptions};
use crate::port::{AggregatorId, Heard, Port, PortId};
use crate::selection::{Ready, Selection};
use crate::slow::{Pdu, PduError};
use crate::timer::LONG_TIMEOUT_TIME;
use crate::{mux, receive, transmit};

/// Events kept for a caller that does not fetch them; older ones are dropped.
const EVENTS: usize = 1024;

/// LACP of one bond.
///
/// Time is the caller's: a [`Duration`] since an instant of its choice, never going back. After any call, the caller
/// applies what [`Lacp::unconfirmed`] lists and confirms it, sends what [`Lacp::poll_transmit`] gives, logs what
/// [`Lacp::poll_event`] gives, and calls [`Lacp::handle_timeout`] at [`Lacp::next_deadline`]. Before that call it reads
/// what waits in its sockets: a LACPDU that has arrived counts, however late it is read.
#[derive(Debug, Clone)]
pub struct Lacp {
    /// When the machines last rested: what was due by then is done, what is due later is not.
    pub(crate) now: Duration,
    pub(crate) options: Options,
    pub(crate) address: [u8; 6],
    /// In the order in which they were added.
    pub(crate) ports: Vec<Port>,
    pub(crate) selection: Selection,
    /// The last aggregator's number.
    pub(crate) aggregators: u32,
    carrier: Option<NoCarrier>,
    events: VecDeque<Event>,
    /// Index of the port that may send next.
    turn: usize,
    /// What [`Lacp::next_deadline`] says.
    deadline: Option<Duration>,
}

/// Why a port can't be added, or its options not be changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PortError {
    /// It is already there.
    #[error("port {} is already in the bond", .0.0)]
    Exists(PortId),
    /// It is not there.
    #[error("there is no port {} in the bond", .0.0)]
    Unknown(PortId),
    /// Another port has the number.
    #[error("port number {number} is taken by port {}: choose another", .by.0)]
    Number {
        /// The number.
        number: u16,
        /// Who has it.
        by: PortId,
    },
    /// A port number or key of 0.
    #[error("{option} is 0: choose one of 1-65535, or leave it out")]
    Zero {
        /// Which.
        option: &'static str,
    },
    /// No number is left.
    #[error("all 65535 port numbers are taken")]
    Full,
}

/// What is done with a frame that was handed in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Handled {
    /// It was taken.
    Taken,
    /// It was counted and has no further effect: its port's link is down or half duplex, or the bond's own LACPDU came
    /// back.
    Ignored,
}

/// Why a frame was not taken. It is counted, and nothing else changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum FrameError {
    /// The port is not in this bond.
    #[error("there is no port {} in the bond", .0.0)]
    UnknownPort(PortId),
    /// Neither LACPDU nor Marker PDU; [`PduError::Subtype`] is some other protocol's frame and no fault.
    #[error(transparent)]
    Pdu(#[from] PduError),
}

impl Lacp {
    /// A bond without ports. `address` is the bond's own, which is its System unless `ad_actor_system` is set.
    pub fn new(address: [u8; 6], options: Options) -> Self {
        Self {
            now: Duration::ZERO,
            options,
            address,
            ports: Vec::new(),
            selection: Selection::default(),
            aggregators: 0,
            carrier: Some(NoCarrier::NoPorts),
            events: VecDeque::new(),
            turn: 0,
            deadline: None,
        }
    }

    /// Adds a port. Its link is down until [`Lacp::handle_link`] says otherwise.
    ///
    /// # Errors
    /// The port is already there, or its number is taken or 0.
    pub fn add_port(&mut self, now: Duration, id: PortId, options: PortOptions) -> Result<(), PortError> {
        if self.index(id).is_some() {
            return Err(PortError::Exists(id));
        }
        self.check(id, &options)?;
        self.make_way(id, options.port_number)?;
        let number = self.free_number(options.port_number)?;
        // Linux counts aggregators as long as the bond has ports.
        self.aggregators = if self.ports.is_empty() { 1 } else { self.aggregators.saturating_add(1) };
        let mut port = Port::new(id, number, AggregatorId(self.aggregators), options);
        port.configure(self.address, &self.options);
        self.ports.push(port);
        self.settle(now);
        Ok(())
    }

    /// Takes a port out. What it returns is to be sent on it, if its link is up: the partner stops using it at once.
    pub fn remove_port(&mut self, now: Duration, id: PortId) -> Option<Lacpdu> {
        let index = self.index(id)?;
        let port = self.ports.remove(index);
        self.turn = 0;
        self.settle(now);
        farewell(&port)
    }

    /// What is to be sent on each port when the bond goes away for good; not before a restart.
    pub fn farewells(&self) -> Vec<(PortId, Lacpdu)> {
        self.ports.iter().filter_map(|port| Some((port.id, farewell(port)?))).collect()
    }

    /// Changes the options.
    pub fn set_options(&mut self, now: Duration, options: Options) {
        self.options = options;
        self.configure(now);
    }

    /// The bond has another address.
    pub fn set_address(&mut self, now: Duration, address: [u8; 6]) {
        self.address = address;
        self.configure(now);
    }

    fn configure(&mut self, now: Duration) {
        for port in &mut self.ports {
            port.configure(self.address, &self.options);
        }
        self.settle(now);
    }

    /// Changes the options of a port.
    ///
    /// # Errors
    /// No such port, or its new number is taken or 0; nothing is changed then.
    pub fn set_port_options(
        &mut self,
        now: Duration,
        id: PortId,
        options: PortOptions,
    ) -> Result<(), PortError> {
        let index = self.index(id).ok_or(PortError::Unknown(id))?;
        self.check(id, &options)?;
        self.make_way(id, options.port_number)?;
        let number = self.ports[index].number;
        let taken = |port: &Port| port.id != id && port.actor_oper.port == number;
        if options.port_number.is_none() && self.ports.iter().any(taken) {
            self.ports[index].number = self.free_number(None)?;
        }
        self.ports[index].options = options;
        self.ports[index].configure(self.address, &self.options);
        self.settle(now);
        Ok(())
    }

    /// The link of a port has changed. An unknown port is passed over.
    pub fn handle_link(&mut self, now: Duration, id: PortId, link: Link) {
        let Some(index) = self.index(id) else { return };
        let port = &mut self.ports[index];
        if port.link != link {
            port.set_link(link);
            port.configure(self.address, &self.options);
        }
        self.settle(now);
    }

    /// A PDU has arrived on a port: what follows the Ethernet header, from the subtype on ([`crate::slow::payload`]).
    ///
    /// # Errors
    /// It is malformed, of another protocol, or of no port of the bond. It is counted, and nothing else changes.
    pub fn handle_frame(&mut self, now: Duration, id: PortId, pdu: &[u8]) -> Result<Handled, FrameError> {
        let index = self.index(id).ok_or(FrameError::UnknownPort(id))?;
        let now = self.now.max(now);
        let port = &mut self.ports[index];
        let lacpdu = match Pdu::parse(pdu) {
            Ok(Pdu::Lacp(lacpdu)) => lacpdu,
            Ok(Pdu::Marker(marker)) => {
                port.responder.receive(now, &marker, &mut port.stats);
                if !port.port_enabled() {
                    port.responder.clear();
                    return Ok(Handled::Ignored);
                }
                self.deadline = self.compute_deadline();
                return Ok(Handled::Taken);
            }
            Err(error) => {
                match error {
                    PduError::Subtype { .. } => port.stats.unknown_rx += 1,
                    PduError::TlvType { .. } => port.stats.marker_unknown_rx += 1,
                    PduError::Short { .. } | PduError::TlvLength { .. } => port.stats.illegal_rx += 1,
                }
                return Err(error.into());
            }
        };
        port.stats.lacpdu_rx += 1;
        if !port.port_enabled() || !port.lacp_enabled() {
            return Ok(Handled::Ignored);
        }
        if lacpdu.actor.system == port.actor_oper.system {
            self.loopback(now, index);
            return Ok(Handled::Ignored);
        }
        self.ports[index].looped.stop();
        self.notice_move(index, &lacpdu);
        let port = &mut self.ports[index];
        port.heard = Some(Heard::new(now, lacpdu, Duration::ZERO));
        receive::step(port, now, Some(&lacpdu));
        self.settle(now);
        Ok(Handled::Taken)
    }

    /// Our own LACPDU has come back. The port stays out of every aggregator for Long_Timeout_Time after the last one,
    /// for a loop that carried frames, as a link without partner may, would be the end of the network.
    fn loopback(&mut self, now: Duration, index: usize) {
        let port = &mut self.ports[index];
        port.stats.loopback_rx += 1;
        let known = port.is_looped(now);
        port.looped.start(now, LONG_TIMEOUT_TIME);
        if !known {
            let port = port.id;
            self.note([Event::Loopback { port }]);
        }
        self.settle(now);
    }

    /// port_moved (clause 6.4.7): the partner's port that another port of ours knew, and lost with its link, is here.
    fn notice_move(&mut self, index: usize, lacpdu: &Lacpdu) {
        let there = (lacpdu.actor.system, lacpdu.actor.port);
        for (other, port) in self.ports.iter_mut().enumerate() {
            let disabled = port.receive.state == receive::State::PortDisabled && port.has_partner();
            port.port_moved |=
                other != index && disabled && (port.partner_oper.system, port.partner_oper.port) == there;
        }
    }

    /// Time has passed. It costs next to nothing if nothing is due.
    pub fn handle_timeout(&mut self, now: Duration) {
        if self.next_deadline().is_some_and(|due| due <= now) {
            self.settle(now);
        }
    }

    /// The next PDU to be sent, untagged, from the port's own address ([`crate::slow::frame`]). Ports take turns, and
    /// answers to markers come after LACPDUs.
    pub fn poll_transmit(&mut self, now: Duration) -> Option<(PortId, Pdu)> {
        let now = self.now.max(now);
        let pdu = self.take_pdu(now)?;
        self.deadline = self.compute_deadline();
        Some(pdu)
    }

    fn take_pdu(&mut self, now: Duration) -> Option<(PortId, Pdu)> {
        let count = self.ports.len();
        let order = |turn: usize| (0..count).map(move |i| (turn + i) % count);
        for index in order(self.turn) {
            if let Some(lacpdu) = transmit::poll(&mut self.ports[index], now) {
                self.turn = (index + 1) % count;
                return Some((self.ports[index].id, Pdu::Lacp(lacpdu)));
            }
        }
        self.ports.iter_mut().find_map(|port| {
            let answer = port.responder.poll(&mut port.stats)?;
            Some((port.id, Pdu::Marker(answer)))
        })
    }

    /// When [`Lacp::handle_timeout`] is to be called and [`Lacp::poll_transmit`] may have something, if nothing else
    /// happens before. `None`: never. It is known without a look at the ports, so that a caller may ask hundreds of
    /// bonds at each turn of its loop.
    pub fn next_deadline(&self) -> Option<Duration> {
        debug_assert_eq!(self.deadline, self.compute_deadline());
        self.deadline
    }

    fn compute_deadline(&self) -> Option<Duration> {
        self.ports.iter().filter_map(|port| port.next_deadline(self.now)).min()
    }

    /// The next event to be told.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What the forwarding tables should do with the port's frames.
    pub fn wanted(&self, id: PortId) -> Option<Gates> {
        self.index(id).map(|index| self.ports[index].mux.state.gates())
    }

    /// Ports whose gates have changed and are not yet confirmed, with what is wanted.
    pub fn unconfirmed(&self) -> impl Iterator<Item = (PortId, Gates)> + '_ {
        self.ports.iter().filter_map(|port| Some((port.id, port.unconfirmed()?)))
    }

    /// All executors now do this with the port's frames. False, and nothing changes, if that is no longer wanted (or
    /// there is no such port): apply what is wanted now.
    pub fn confirm(&mut self, now: Duration, id: PortId, gates: Gates) -> bool {
        let Some(index) = self.index(id) else { return false };
        let confirmed = mux::confirm(&mut self.ports[index], gates);
        if confirmed {
            self.settle(now);
        }
        confirmed
    }

    /// Why the bond can't carry frames, `None` if it can: if at least `min_links` ports (and at least one) are wanted to
    /// distribute.
    pub fn no_carrier(&self) -> Option<NoCarrier> {
        self.carrier
    }

    /// The bond's own address, as last told.
    pub fn address(&self) -> [u8; 6] {
        self.address
    }

    /// The options in force.
    pub fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) fn index(&self, id: PortId) -> Option<usize> {
        self.ports.iter().position(|port| port.id == id)
    }

    /// Linux counts from 1 and takes one more than the last port's number.
    fn free_number(&self, configured: Option<u16>) -> Result<u16, PortError> {
        let taken = |number: &u16| {
            self.ports.iter().any(|port| port.number == *number || port.actor_oper.port == *number)
        };
        let last = self.ports.last().map_or(0, |port| port.number);
        let mut after = (last.saturating_add(1)..=u16::MAX).chain(1..=last);
        match configured {
            Some(number) if number > 0 && !taken(&number) => Ok(number),
            _ => after.find(|number| *number > 0 && !taken(number)).ok_or(PortError::Full),
        }
    }

    /// A port that has this number by chance gets another, for the port that is configured to have it.
    fn make_way(&mut self, id: PortId, number: Option<u16>) -> Result<(), PortError> {
        let by_chance =
            |port: &Port| port.id != id && port.options.port_number.is_none() && Some(port.number) == number;
        if let Some(index) = self.ports.iter().position(by_chance) {
            self.ports[index].number = self.free_number(None)?;
            self.ports[index].configure(self.address, &self.options);
        }
        Ok(())
    }

    /// That a port may have these options: another is not configured to have its number.
    fn check(&self, id: PortId, options: &PortOptions) -> Result<(), PortError> {
        let zero = |option, value| if value == Some(0) { Err(PortError::Zero { option }) } else { Ok(()) };
        zero("port_number", options.port_number)?;
        zero("aggregation_key", options.aggregation_key)?;
        let Some(number) = options.port_number else { return Ok(()) };
        match self.ports.iter().find(|port| port.id != id && port.options.port_number == Some(number)) {
            Some(port) => Err(PortError::Number { number, by: port.id }),
            None => Ok(()),
        }
    }

    /// Runs all machines until they rest.
    pub(crate) fn settle(&mut self, now: Duration) {
        self.now = self.now.max(now);
        let now = self.now;
        let active = self.selection.active;
        // Each pass moves a machine closer to where it rests; the bound only keeps a mistake from being an endless loop.
        let mut passes = 0;
        while self.pass(now) && passes < 32 {
            passes += 1;
        }
        debug_assert!(passes < 32, "the machines do not come to rest");
        for port in &mut self.ports {
            port.held &= port.unconfirmed().is_some();
        }
        let events: Vec<Event> = self.ports.iter_mut().flat_map(Port::events).collect();
        self.note(events);
        if active.map(|(id, _)| id) != self.selection.active_id() {
            let to = self.selection.active;
            self.note([Event::Active { from: active.map(|(id, _)| id), to }]);
        }
        let carrier = self.judge_carrier();
        if carrier.is_some() != self.carrier.is_some() {
            self.note([Event::Carrier { down: carrier }]);
        }
        self.carrier = carrier;
        self.deadline = self.compute_deadline();
    }

    /// One run of every machine. True if something moved.
    fn pass(&mut self, now: Duration) -> bool {
        let mut moved = false;
        for port in &mut self.ports {
            moved |= receive::step(port, now, None);
        }
        moved |= self.selection.step(&mut self.ports, &self.options, now);
        let ready = Ready::of(&self.ports, now);
        for port in &mut self.ports {
            moved |= port.step(now, self.options.coupled_control, ready.is_for(port));
        }
        moved
    }

    fn note(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            if self.events.len() == EVENTS {
                self.events.pop_front();
            }
            self.events.push_back(event);
        }
    }
}

/// The last LACPDU of a port: it can't be aggregated and carries nothing, as Linux says it (`bond_3ad_unbind_slave`).
fn farewell(port: &Port) -> Option<Lacpdu> {
    let carries =
        Flags::AGGREGATION.with(Flags::SYNCHRONIZATION).with(Flags::COLLECTING).with(Flags::DISTRIBUTING);
    let speaks = port.port_enabled() && port.periodic.state != crate::periodic::State::NoPeriodic;
    let mut actor = port.actor_oper;
    actor.state = actor.state.without(carries);
    speaks.then(|| Lacpdu::new(actor, port.partner_oper))
}
