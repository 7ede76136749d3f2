//! What a bond does for a mode that speaks LACP: frames in and out, and when its word about a link holds.

use core::time::Duration;

use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;
use lacp::{Event, FrameError, Handled, Lacp, PortId, slow};

use super::Bond;
use crate::event::BondEvent;
use crate::member::{Member, MemberId};

/// A frame to be sent, past the forwarding tables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transmit {
    /// By this device.
    pub device: DeviceId,
    /// From the destination address on, with its tag if it has one, without FCS.
    pub frame: Vec<u8>,
}

impl Bond {
    /// The LACP that the mode speaks, if it does.
    pub fn lacp(&self) -> Option<&Lacp> {
        self.balancer.lacp()
    }

    /// A frame of a protocol that the bond speaks has arrived at a member: from the destination address on, without its
    /// tag. `Ok(None)`: it was for the link probes, or is for nobody here: not to the Slow Protocols' address, or the mode
    /// speaks no LACP.
    ///
    /// # Errors
    /// LACP does not take it; it is counted.
    pub fn handle_frame(
        &mut self,
        now: Duration,
        member: &str,
        frame: &[u8],
    ) -> Result<Option<Handled>, FrameError> {
        let Some(id) = self.member(member).map(Member::id) else { return Ok(None) };
        self.probe_frame(now, id, frame);
        let (Some(lacp), Some(pdu)) = (self.balancer.lacp_mut(), slow::payload(frame)) else {
            return Ok(None);
        };
        let handled = lacp.handle_frame(now, PortId(id.number()), pdu);
        self.update(now, Vec::new());
        handled.map(Some)
    }

    /// Whether the mode waits to hear that the executors follow its plan ([`Self::confirm`]).
    pub fn is_unconfirmed(&self) -> bool {
        self.lacp().is_some_and(|lacp| lacp.unconfirmed().next().is_some())
    }

    /// Every executor follows the plan and the admissions of the present [`Self::revision`]. The plan may be another
    /// afterwards.
    pub fn confirm(&mut self, now: Duration) {
        let Some(lacp) = self.balancer.lacp_mut() else { return };
        let waiting: Vec<_> = lacp.unconfirmed().collect();
        for (port, gates) in waiting {
            lacp.confirm(now, port, gates);
        }
        self.update(now, Vec::new());
    }

    /// The next frame that the mode or the link probes want to send. To be called until there is none after everything
    /// else.
    pub fn poll_transmit(&mut self, now: Duration) -> Option<Transmit> {
        if let Some(transmit) = self.outbox.pop_front() {
            return Some(transmit);
        }
        if let Some(probe) = self.poll_probe() {
            return Some(probe);
        }
        loop {
            let lacp = self.balancer.lacp_mut()?;
            let Some((port, pdu)) = lacp.poll_transmit(now) else {
                self.balancer_deadline = lacp.next_deadline();
                return None;
            };
            let member = self.members.iter().find(|member| member.id == MemberId(port.0));
            // A port is up only if its member has a device.
            if let Some(transmit) = member.and_then(|member| transmit(member, &pdu.emit())) {
                return Some(transmit);
            }
        }
    }

    /// The last frames on members that are about to leave, or on all if the bond itself is: the partner stops using the
    /// links at once.
    pub fn farewells(&self, leaves: impl Fn(&Member) -> bool) -> Vec<Transmit> {
        let farewells = self.lacp().map(Lacp::farewells).unwrap_or_default();
        let frame = |(port, lacpdu): (PortId, lacp::Lacpdu)| {
            let member = self.members.iter().find(|member| member.id == MemberId(port.0))?;
            leaves(member).then(|| transmit(member, &lacpdu.emit()))?
        };
        farewells.into_iter().filter_map(frame).collect()
    }

    /// Takes over what LACP has to tell.
    pub(super) fn tell_lacp(&mut self) {
        let Some(lacp) = self.balancer.lacp_mut() else { return };
        while let Some(event) = lacp.poll_event() {
            let member = match event.port() {
                // One that has left has nothing more to tell.
                Some(port) => match self.members.iter().find(|member| member.id == MemberId(port.0)) {
                    Some(member) => Some(member.name.clone()),
                    None => continue,
                },
                None => None,
            };
            // That there is carrier is told for every mode, why there is none is not.
            if event != (Event::Carrier { down: None }) {
                self.events.push_back(BondEvent::Lacp { member, event });
            }
        }
    }
}

fn transmit(member: &Member, pdu: &[u8; slow::PDU_LEN]) -> Option<Transmit> {
    let source = member.mac.unwrap_or(MacAddr::ZERO);
    Some(Transmit { device: member.device?, frame: slow::frame(source.0, pdu).to_vec() })
}
