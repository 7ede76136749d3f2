//! The Selection Logic (IEEE 802.1AX-2014 clause 6.4.14): which ports belong together, which of several aggregators
//! carries the bond's frames, and which of its ports are kept in reserve.
//!
//! A bond is one interface, so just one aggregator is *active*, chosen as Linux chooses (`ad_agg_selection_logic`). The
//! ports of the others are STANDBY: they tell their partner that they are not in sync, and take over at once. Linux
//! says as much by keeping them out of SYNC.
//!
//! # Waiting
//! The standard lets a port wait for Aggregate_Wait_Time, so that all links that will form an aggregation attach
//! together. Here the wait is over as soon as no link of the bond is up whose partner is still unknown: there is then
//! nobody to wait for, and Ready means just that. The partner can't tell this from a timer that began earlier: it sees
//! a port that takes between nothing and Aggregate_Wait_Time from DETACHED to SYNC, and the standard sets no lower
//! bound that it could rely on.

use core::cmp::Ordering;
use core::fmt;
use core::time::Duration;

use crate::lacpdu::State as Flags;
use crate::mux;
use crate::options::Options;
use crate::port::{AggregatorId, Port, Selected};
use crate::receive::State as Receive;
use crate::timer::{CHURN_DETECTION_TIME, SHORT_TIMEOUT_TIME};

/// `ad_select`: what makes an aggregator better than another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum AdSelect {
    /// Bandwidth, but the active one stays as long as it works.
    #[default]
    Stable,
    /// Bandwidth.
    Bandwidth,
    /// The number of its ports, then bandwidth.
    Count,
    /// The sum of its ports' `actor_port_prio` (here the larger wins), then their number, then bandwidth.
    ActorPortPrio,
}

impl AdSelect {
    /// Linux's names, in the order of its numbers.
    pub const NAMES: [(&'static str, Self); 4] = [
        ("stable", Self::Stable),
        ("bandwidth", Self::Bandwidth),
        ("count", Self::Count),
        ("actor_port_prio", Self::ActorPortPrio),
    ];

    /// Linux's name.
    pub fn name(self) -> &'static str {
        Self::NAMES[self as usize].0
    }

    /// Linux's number.
    pub fn number(self) -> u8 {
        self as u8
    }
}

/// Why the active aggregator is better than the next best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// There is no other.
    Only,
    /// It has a partner that aggregates; the other is an individual link.
    Aggregates,
    /// It has a partner, the other has none.
    Partner,
    /// It was active before (`ad_select=stable`).
    Stable,
    /// Sum of port priorities.
    PortPriorities,
    /// Number of ports.
    Ports,
    /// Bandwidth.
    Bandwidth,
    /// Alike: the one in use stays, otherwise the first is taken.
    First,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Only => "there is no other",
            Self::Aggregates => "it can aggregate and the others are individual links",
            Self::Partner => "it has a LACP partner and the others have none",
            Self::Stable => "it is in use and works (ad_select=stable keeps it)",
            Self::PortPriorities => "the sum of its ports' actor_port_prio is larger",
            Self::Ports => "it has more ports",
            Self::Bandwidth => "it has more bandwidth",
            Self::First => "it is as good as the others (the one in use stays, otherwise the first is taken)",
        })
    }
}

/// An aggregator that could carry the bond's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) aggregator: AggregatorId,
    /// Its one port can't be aggregated.
    pub(crate) individual: bool,
    /// It has a LACP partner.
    pub(crate) partner: bool,
    /// Ports that could carry frames.
    pub(crate) ports: u32,
    /// Sum of their speeds, in Mb/s.
    pub(crate) bandwidth: u64,
    /// Sum of their priorities.
    pub(crate) port_priorities: u64,
    /// The actor's key.
    pub(crate) key: u16,
}

/// Compares by the policy, the better one greater; and says what decided.
fn compare(policy: AdSelect, a: &Candidate, b: &Candidate) -> (Ordering, Reason) {
    let priorities = (a.port_priorities.cmp(&b.port_priorities), Reason::PortPriorities);
    let ports = (a.ports.cmp(&b.ports), Reason::Ports);
    let bandwidth = (a.bandwidth.cmp(&b.bandwidth), Reason::Bandwidth);
    let by_policy: &[_] = match policy {
        AdSelect::Stable | AdSelect::Bandwidth => &[bandwidth],
        AdSelect::Count => &[ports, bandwidth],
        AdSelect::ActorPortPrio => &[priorities, ports, bandwidth],
    };
    let always = [
        ((!a.individual).cmp(&!b.individual), Reason::Aggregates),
        (a.partner.cmp(&b.partner), Reason::Partner),
    ];
    let decides = |(order, _): &&(Ordering, Reason)| order.is_ne();
    always.iter().chain(by_policy).find(decides).copied().unwrap_or((Ordering::Equal, Reason::First))
}

/// The best of the candidates, in their order, and why. `incumbent` is active and has had attached
/// ports.
pub(crate) fn choose(
    policy: AdSelect,
    incumbent: Option<AggregatorId>,
    candidates: &[Candidate],
) -> Option<(AggregatorId, Reason)> {
    let better = |a: &Candidate, b: &Candidate| compare(policy, a, b).0.is_gt();
    let best_of = |without: Option<AggregatorId>| {
        let others = candidates.iter().filter(|c| Some(c.aggregator) != without);
        others.copied().reduce(|best, candidate| if better(&candidate, &best) { candidate } else { best })
    };
    let best = best_of(None)?;
    let active = candidates.iter().find(|c| Some(c.aggregator) == incumbent);
    let stays = |active: &&Candidate| {
        policy == AdSelect::Stable && (active.partner || !best.partner) && (active.key != 0 || best.key == 0)
    };
    if let Some(active) = active.filter(stays).filter(|active| better(&best, active)) {
        return Some((active.aggregator, Reason::Stable));
    }
    // Alike, the active one stays.
    let winner = active.filter(|active| !better(&best, active)).unwrap_or(&best);
    let reason = match best_of(Some(winner.aggregator)) {
        None => Reason::Only,
        Some(second) => match compare(policy, winner, &second) {
            (Ordering::Equal, _) if active.is_some() && policy == AdSelect::Stable => Reason::Stable,
            (_, reason) => reason,
        },
    };
    Some((winner.aggregator, reason))
}

/// The choice in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) active: Option<(AggregatorId, Reason)>,
    /// A port of it has been attached since it was chosen. Before that, it has no claim to stay: whose partner speaks
    /// first is chance.
    pub(crate) established: bool,
}

impl Selection {
    pub(crate) fn active_id(&self) -> Option<AggregatorId> {
        self.active.map(|(id, _)| id)
    }

    /// Runs the Selection Logic. True if a port's Selected or aggregator changed.
    pub(crate) fn step(&mut self, ports: &mut [Port], options: &Options, now: Duration) -> bool {
        let before: Vec<_> = ports.iter().map(|port| (port.selected, port.aggregator)).collect();
        for index in 0..ports.len() {
            watch_refusal(&mut ports[index], now);
            let port = &ports[index];
            let lost = !port.port_enabled() || port.is_listening() || port.is_looped(now);
            if lost {
                ports[index].unselect();
            } else if port.selected == Selected::Unselected && port.mux.state == mux::State::Detached {
                ports[index].aggregator = place(ports, index);
                ports[index].selected = Selected::Standby;
            }
        }
        self.elect(ports, options);
        let chosen = self.keep_best(ports, options, now);
        for (port, chosen) in ports.iter_mut().zip(chosen) {
            if port.selected != Selected::Unselected {
                port.selected = if chosen { Selected::Selected } else { Selected::Standby };
            }
        }
        ports.iter().zip(before).any(|(port, before)| (port.selected, port.aggregator) != before)
    }

    /// Chooses the active aggregator. It stays as it is while a port of it is being detached to be placed anew; and
    /// while nobody can carry anything, as long as a partner of it may come back.
    fn elect(&mut self, ports: &[Port], options: &Options) {
        let active = self.active_id();
        let in_active = |port: &&Port| Some(port.aggregator) == active;
        let between = |port: &Port| {
            port.selected == Selected::Unselected && is_attached(port.mux.state) && is_usable(port, options)
        };
        if ports.iter().filter(in_active).any(between) {
            return;
        }
        self.established |= ports.iter().filter(in_active).any(|port| is_attached(port.mux.state));
        let expected =
            |port: &Port| port.selected != Selected::Unselected && port.receive.state == Receive::Expired;
        let incumbent = active.filter(|_| self.established);
        self.active = match choose(options.ad_select, incumbent, &candidates(ports, options)) {
            None => self.active.filter(|_| ports.iter().filter(in_active).any(expected)),
            chosen => chosen,
        };
        self.established &= self.active_id() == active;
    }

    /// Which ports of the active aggregator are to be attached: all, or the best `max_links`.
    fn keep_best(&self, ports: &[Port], options: &Options, now: Duration) -> Vec<bool> {
        let mut ranked: Vec<usize> = (0..ports.len())
            .filter(|index| {
                let port = &ports[*index];
                port.selected != Selected::Unselected && Some(port.aggregator) == self.active_id()
            })
            .collect();
        ranked.sort_by_key(|index| rank(&ports[*index], now));
        if options.max_links > 0 {
            ranked.truncate(options.max_links as usize);
        }
        (0..ports.len()).map(|index| ranked.contains(&index)).collect()
    }
}

/// Ready (clause 6.4.8), as the Mux machines of the ports see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ready {
    /// There is nobody to wait for: no link is up whose partner is still unknown.
    agreed: bool,
    /// Ready_N is TRUE for all ports that wait to be attached.
    waited: bool,
}

impl Ready {
    pub(crate) fn of(ports: &[Port], now: Duration) -> Self {
        let mut waiting = ports
            .iter()
            .filter(|port| port.selected == Selected::Selected && port.mux.state == mux::State::Waiting);
        Self {
            agreed: !ports.iter().any(|port| port.is_listening() && !port.is_looped(now)),
            waited: waiting.all(|port| port.mux.wait_while_timer.expired(now)),
        }
    }

    /// Ready for this port. One that has not begun to wait has not waited.
    pub(crate) fn is_for(self, port: &Port) -> bool {
        self.agreed || self.waited && port.mux.state == mux::State::Waiting
    }
}

fn is_attached(state: mux::State) -> bool {
    !matches!(state, mux::State::Detached | mux::State::Waiting)
}

/// A port can carry frames: its partner speaks, or nobody does and that is allowed.
fn is_usable(port: &Port, options: &Options) -> bool {
    match port.receive.state {
        Receive::Current => true,
        Receive::Defaulted | Receive::LacpDisabled => !options.lacp_strict,
        Receive::Initialize | Receive::PortDisabled | Receive::Expired => false,
    }
}

/// The aggregators that could be active, in the order of their first ports: their numbers depend on who is heard first.
fn candidates(ports: &[Port], options: &Options) -> Vec<Candidate> {
    let mut candidates: Vec<Candidate> = Vec::new();
    let usable = |port: &&Port| port.selected != Selected::Unselected && is_usable(port, options);
    for port in ports.iter().filter(usable) {
        let index = candidates.iter().position(|c| c.aggregator == port.aggregator).unwrap_or_else(|| {
            candidates.push(Candidate {
                aggregator: port.aggregator,
                individual: !port.aggregatable(),
                partner: port.has_partner(),
                ports: 0,
                bandwidth: 0,
                port_priorities: 0,
                key: port.actor_oper.key,
            });
            candidates.len() - 1
        });
        let candidate = &mut candidates[index];
        candidate.ports += 1;
        candidate.bandwidth += u64::from(port.link.speed.unwrap_or(0));
        candidate.port_priorities += u64::from(port.actor_oper.port_priority);
    }
    candidates
}

/// The aggregator for an unselected port (clause 6.4.14.1, and `ad_port_selection_logic`): the one that ports of the
/// same Link Aggregation Group have; its last one if no other port uses it; otherwise the first free one. One comes with
/// each port, so one is free.
fn place(ports: &[Port], index: usize) -> AggregatorId {
    let port = &ports[index];
    let others = || {
        let other = |(i, other): &(usize, &Port)| *i != index && other.selected != Selected::Unselected;
        ports.iter().enumerate().filter(other).map(|(_, other)| other)
    };
    if let Some(mate) = others().find(|other| same_group(port, other)) {
        return mate.aggregator;
    }
    let free = |id: &AggregatorId| others().all(|other| other.aggregator != *id);
    if free(&port.aggregator) {
        return port.aggregator;
    }
    ports.iter().map(|port| port.own_aggregator).find(free).unwrap_or(port.aggregator)
}

/// The ports' LAG IDs are equal (clause 6.3.6). An individual link is alone in its group.
fn same_group(a: &Port, b: &Port) -> bool {
    let group = |port: &Port| {
        let partner = &port.partner_oper;
        (port.actor_oper.key, partner.system_identifier(), partner.key)
    };
    a.aggregatable() && b.aggregatable() && group(a) == group(b)
}

/// The lower, the sooner a port is attached when `max_links` does not let all. Where the partner's System Identifier
/// has precedence, its port priorities come first, so that two systems that both keep ports in reserve keep the same
/// ones, as the standard has it for systems of limited capability. A port that the partner refuses is passed over.
fn rank(port: &Port, now: Duration) -> impl Ord + use<> {
    let (ours, theirs) = (&port.actor_oper, &port.partner_oper);
    let silent = port.receive.state == Receive::Expired;
    let theirs_first = partner_decides(port);
    let refused = port.refused.expired(now);
    let decided_there = theirs_first.then_some(theirs.port_priority);
    (silent, refused, decided_there, ours.port_priority, theirs_first.then_some(theirs.port), ours.port)
}

/// The partner's System Identifier has precedence.
fn partner_decides(port: &Port) -> bool {
    port.has_partner() && port.partner_oper.system_identifier() < port.actor_oper.system_identifier()
}

/// The partner refuses a port if it speaks and still does not come into SYNC long after we have. That ends when it
/// does. One that decides has no need to wait. One that has to find out which ports we keep gets Churn_Detection_Time,
/// and is not waited for any longer than that while a port is there in reserve.
fn watch_refusal(port: &mut Port, now: Duration) {
    let in_sync = |heard: &crate::port::Heard| heard.lacpdu.actor.state.contains(Flags::SYNCHRONIZATION);
    if port.receive.state != Receive::Current || port.heard.as_ref().is_some_and(in_sync) {
        port.refused.stop();
    } else if port.mux.state == mux::State::Attached && port.refused == crate::timer::Timer::default() {
        let patience = if partner_decides(port) { SHORT_TIMEOUT_TIME } else { CHURN_DETECTION_TIME };
        port.refused.start(now, patience);
    }
}

#[cfg(test)]
mod tests;
