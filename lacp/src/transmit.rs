//! The Transmit machine (IEEE 802.1AX-2014 clause 6.4.16): no more than three LACPDUs in any Fast_Periodic_Time. A
//! LACPDU that has to wait is not lost: NTT stays set, and what is sent is the state of that later time.
//!
//! A port that is about to attach, and waits only for its sisters, keeps its LACPDU back for up to [`HOLD`]: with luck
//! it says SYNC in the same one. Otherwise a bond of several links that come up together has used up its three LACPDUs
//! before it can say that it collects.

use core::time::Duration;

use crate::lacpdu::{Lacpdu, PortInfo};
use crate::port::{Port, Selected};
use crate::timer::FAST_PERIODIC_TIME;
use crate::{mux, periodic};

/// LACPDUs in any Fast_Periodic_Time.
const LIMIT: usize = 3;

/// How long a port in WAITING keeps its LACPDU back.
const HOLD: Duration = Duration::from_millis(100);

/// When the last LACPDUs were sent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Machine {
    sent: [Option<Duration>; LIMIT],
    /// Index of the oldest in `sent`.
    oldest: usize,
    /// What the last one told of the port, and since when that is what is told.
    told: Option<(PortInfo, Duration)>,
}

impl Machine {
    /// When the next LACPDU may be sent; zero for at any time.
    pub(crate) fn allowed_at(&self) -> Duration {
        self.sent[self.oldest].map_or(Duration::ZERO, |sent| sent.saturating_add(FAST_PERIODIC_TIME))
    }

    /// Since when the partner could know the port as it is now; `None` if it was not yet told.
    pub(crate) fn told_since(&self, actor: &PortInfo) -> Option<Duration> {
        self.told.filter(|(told, _)| told == actor).map(|(_, since)| since)
    }

    fn record(&mut self, now: Duration, actor: PortInfo) {
        if self.told_since(&actor).is_none() {
            self.told = Some((actor, now));
        }
        self.sent[self.oldest] = Some(now);
        self.oldest = (self.oldest + 1) % LIMIT;
    }
}

/// When the port wants to send its LACPDU, if it wants to.
pub(crate) fn due(port: &Port) -> Option<Duration> {
    let allowed = port.transmit.allowed_at();
    let about_to_attach = port.selected == Selected::Selected && port.mux.state == mux::State::Waiting;
    let at = if about_to_attach { allowed.max(port.mux.waiting_since() + HOLD) } else { allowed };
    (port.ntt && !port.held).then_some(at)
}

/// Takes NTT back where nothing may be sent: LACP is not enabled, or both ends are passive.
pub(crate) fn step(port: &mut Port) {
    if !port.lacp_enabled() || port.periodic.state == periodic::State::NoPeriodic {
        port.ntt = false;
    }
}

/// The LACPDU to be sent now, if there is one and the limit allows it.
pub(crate) fn poll(port: &mut Port, now: Duration) -> Option<Lacpdu> {
    due(port).filter(|at| *at <= now)?;
    port.ntt = false;
    port.transmit.record(now, port.actor_oper);
    port.stats.lacpdu_tx += 1;
    Some(Lacpdu::new(port.actor_oper, port.partner_oper))
}

#[cfg(test)]
mod tests;
