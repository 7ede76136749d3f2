//! What a bond's LACP is in: for `lacp/show`, `lacp/show-stats` and `bond/show --proc`.

use core::time::Duration;

use crate::bond::Lacp;
use crate::key::Link;
use crate::lacpdu::PortInfo;
use crate::mux::Gates;
use crate::port::{AggregatorId, Port, PortId, Selected};
use crate::stats::Stats;
use crate::{churn, mux, periodic, receive};

/// A port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortStatus {
    /// Which.
    pub port: PortId,
    /// Its link.
    pub link: Link,
    /// Actor_Oper_*.
    pub actor: PortInfo,
    /// Partner_Oper_*; a default while nobody speaks.
    pub partner: PortInfo,
    /// Its aggregator.
    pub aggregator: AggregatorId,
    /// What the Selection Logic decided.
    pub selected: Selected,
    /// The Receive machine. (OVS: current, expired, defaulted.)
    pub receive: receive::State,
    /// The Periodic Transmission machine.
    pub periodic: periodic::State,
    /// The Mux machine. (OVS: attached, detached.)
    pub mux: mux::State,
    /// The actor's churn machine.
    pub actor_churn: churn::State,
    /// The partner's churn machine.
    pub partner_churn: churn::State,
    /// What the forwarding tables should do.
    pub wanted: Gates,
    /// What they were last said to do.
    pub confirmed: Gates,
    /// It receives the bond's own LACPDUs.
    pub looped: bool,
    /// Counters.
    pub stats: Stats,
}

/// The active aggregator, as `/proc/net/bonding` has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ActiveAggregator {
    /// Aggregator ID.
    pub id: AggregatorId,
    /// Number of ports: those of its links that are up.
    pub ports: u32,
    /// Actor Key.
    pub actor_key: u16,
    /// Partner Key.
    pub partner_key: u16,
    /// Partner Mac Address; zero without a partner.
    pub partner_system: [u8; 6],
}

impl Lacp {
    /// A port's status.
    pub fn port(&self, id: PortId) -> Option<PortStatus> {
        self.index(id).map(|index| self.status(&self.ports[index]))
    }

    /// All ports' status, in the order in which they were added.
    pub fn ports(&self) -> impl Iterator<Item = PortStatus> + '_ {
        self.ports.iter().map(|port| self.status(port))
    }

    /// The active aggregator.
    pub fn active(&self) -> Option<ActiveAggregator> {
        let id = self.selection.active_id()?;
        let of_it = |port: &&Port| {
            port.aggregator == id && port.port_enabled() && port.selected != Selected::Unselected
        };
        let first = self.ports.iter().find(of_it)?;
        Some(ActiveAggregator {
            id,
            ports: u32::try_from(self.ports.iter().filter(of_it).count()).unwrap_or(u32::MAX),
            actor_key: first.actor_oper.key,
            partner_key: first.partner_oper.key,
            partner_system: first.partner_oper.system,
        })
    }

    /// A partner is known on a port of the active aggregator. (OVS: negotiated.)
    pub fn negotiated(&self) -> bool {
        let active = self.selection.active_id();
        self.ports.iter().any(|port| Some(port.aggregator) == active && port.has_partner())
    }

    /// The System: priority and address.
    pub fn system(&self) -> (u16, [u8; 6]) {
        let own = self.options.ad_actor_system;
        (self.options.ad_actor_sys_prio, if own == [0; 6] { self.address } else { own })
    }

    fn status(&self, port: &Port) -> PortStatus {
        PortStatus {
            port: port.id,
            link: port.link,
            actor: port.actor_oper,
            partner: port.partner_oper,
            aggregator: port.aggregator,
            selected: port.selected,
            receive: port.receive.state,
            periodic: port.periodic.state,
            mux: port.mux.state,
            actor_churn: port.actor_churn.state,
            partner_churn: port.partner_churn.state,
            wanted: port.mux.state.gates(),
            confirmed: port.mux.confirmed,
            looped: port.is_looped(self.now),
            stats: port.stats,
        }
    }

    /// Time since the port's last LACPDU, if one has come since its link came up.
    pub fn last_lacpdu(&self, now: Duration, id: PortId) -> Option<Duration> {
        self.ports[self.index(id)?].heard.map(|heard| heard.age(now))
    }
}
