//! What happened, for logs and monitors.

use core::fmt;

use crate::explain::NoCarrier;
use crate::lacpdu::PortInfo;
use crate::port::{AggregatorId, PortId, Selected};
use crate::selection::Reason;
use crate::{churn, mux, receive};

/// A change. What a port is called is the caller's to add; [`fmt::Display`] tells the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The Receive machine has another state.
    Receive {
        /// Whose.
        port: PortId,
        /// The old state.
        from: receive::State,
        /// The new state.
        to: receive::State,
    },
    /// Another partner, or the same with other parameters.
    Partner {
        /// Whose.
        port: PortId,
        /// The partner; its state is left out.
        partner: PortInfo,
    },
    /// The Selection Logic decided otherwise.
    Selected {
        /// Whose.
        port: PortId,
        /// The old value.
        from: Selected,
        /// The new value.
        to: Selected,
    },
    /// The Mux machine has another state.
    Mux {
        /// Whose.
        port: PortId,
        /// The old state.
        from: mux::State,
        /// The new state.
        to: mux::State,
    },
    /// The actor's churn machine has another state.
    ActorChurn {
        /// Whose.
        port: PortId,
        /// The new state.
        to: churn::State,
    },
    /// The partner's churn machine has another state.
    PartnerChurn {
        /// Whose.
        port: PortId,
        /// The new state.
        to: churn::State,
    },
    /// The port receives our own LACPDUs: it is cabled to another port of the same bond or to itself.
    Loopback {
        /// Which.
        port: PortId,
    },
    /// Another aggregator carries the bond's frames.
    Active {
        /// The old one.
        from: Option<AggregatorId>,
        /// The new one and why it is better than the others.
        to: Option<(AggregatorId, Reason)>,
    },
    /// The bond can or can't carry frames.
    Carrier {
        /// `None`: it can.
        down: Option<NoCarrier>,
    },
}

impl Event {
    /// The port that it is about.
    pub fn port(&self) -> Option<PortId> {
        match *self {
            Self::Receive { port, .. }
            | Self::Partner { port, .. }
            | Self::Selected { port, .. }
            | Self::Mux { port, .. }
            | Self::ActorChurn { port, .. }
            | Self::PartnerChurn { port, .. }
            | Self::Loopback { port } => Some(port),
            Self::Active { .. } | Self::Carrier { .. } => None,
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Receive { from, to, .. } => write!(f, "LACP receive: {} -> {}", from.name(), to.name()),
            Self::Partner { partner, .. } => write!(f, "LACP partner: {partner}"),
            Self::Selected { from, to, .. } => write!(f, "LACP selection: {} -> {}", from.name(), to.name()),
            Self::Mux { from, to, .. } => write!(f, "LACP mux: {} -> {}", from.name(), to.name()),
            Self::ActorChurn { to, .. } => write!(f, "LACP actor churn: {}", to.name()),
            Self::PartnerChurn { to, .. } => write!(f, "LACP partner churn: {}", to.name()),
            Self::Loopback { .. } => f.write_str(
                "LACPDUs with the bond's own system id are received: the port is cabled to the bond itself, or another \
                 bond has the same ad_actor_system; it stays unused",
            ),
            Self::Active { to: Some((id, reason)), .. } => {
                write!(f, "aggregator {} is active: {reason}", id.0)
            }
            Self::Active { to: None, .. } => f.write_str("no aggregator is active"),
            Self::Carrier { down: None } => f.write_str("carrier up"),
            Self::Carrier { down: Some(reason) } => write!(f, "carrier down: {reason}"),
        }
    }
}
