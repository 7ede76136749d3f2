//! The first words of a daemon that takes over, long before it has taken over: until the kernel's program is loaded and all
//! devices are open, seconds may pass, and a partner that asks for short timeouts waits three.
//!
//! Each member says again what the last daemon said of it, and the sockets stay open for the bonds, so that what partners
//! say meanwhile counts.

use std::time::Duration;

use bond_port::Mode;
use lacp::slow::{self, FRAME_LEN};
use lacp::timer::FAST_PERIODIC_TIME;
use lacp::{Lacpdu, PortSnapshot, State, receive};

use super::Kept;
use crate::device::{ControlSocket, Hears};
use crate::model::Model;
use crate::netlink::link::Link;

/// Members that speak before their bonds are there.
#[derive(Debug, Default)]
pub struct Early {
    speakers: Vec<Speaker>,
    next: Duration,
}

#[derive(Debug)]
struct Speaker {
    ifindex: u32,
    socket: ControlSocket,
    /// What it says, if it does; until when.
    word: Option<([u8; FRAME_LEN], Duration)>,
}

impl Early {
    /// Opens sockets for the members that are still in a bond of mode 802.3ad and there, and speaks for the first time.
    pub fn begin(now: Duration, kept: &Kept, model: &Model, links: &[Link]) -> Self {
        let mut speakers = Vec::new();
        for (name, bond) in &kept.bonds {
            let Some((_, wanted)) = model.bond(name) else { continue };
            if !wanted.typed_options().is_ok_and(|options| options.mode == Mode::Ieee8023ad) {
                continue;
            }
            for port in bond.lacp.iter().flat_map(|lacp| &lacp.ports) {
                let member =
                    bond.members.get(port.port.0 as usize).filter(|name| wanted.members.contains(name));
                let link = member.and_then(|name| links.iter().find(|link| link.name == *name));
                let Some(link) = link else { continue };
                match ControlSocket::open(&link.name, link.ifindex, &Hears::SlowProtocols) {
                    Ok(socket) => {
                        let up = link.admin_up && link.carrier;
                        let word = word(port, kept.taken).filter(|_| up);
                        let word = word.map(|(lacpdu, until)| {
                            (slow::frame(link.mac.0, &slow::Pdu::Lacp(lacpdu).emit()), until)
                        });
                        speakers.push(Speaker { ifindex: link.ifindex, socket, word });
                    }
                    // The bond will try again, and tell.
                    Err(error) => tracing::debug!(device = link.name, %error, "LACP"),
                }
            }
        }
        let mut early = Self { speakers, next: now };
        early.repeat(now);
        early
    }

    /// Speaks again if it is time. To be called now and then while bonds are made.
    pub fn repeat(&mut self, now: Duration) {
        if now < self.next {
            return;
        }
        self.next = now + FAST_PERIODIC_TIME;
        for speaker in &self.speakers {
            if let Some((frame, until)) = &speaker.word
                && now < *until
                && let Err(error) = speaker.socket.send(frame)
            {
                tracing::debug!(device = speaker.socket.name(), %error, "a LACPDU could not be sent");
            }
        }
    }

    /// The socket of a device, with what has arrived.
    pub fn take(&mut self, ifindex: u32) -> Option<ControlSocket> {
        let index = self.speakers.iter().position(|speaker| speaker.ifindex == ifindex)?;
        Some(self.speakers.swap_remove(index).socket)
    }
}

/// What a port may say before its machines run: what it said last, as long as it would not say anything else because its
/// partner is silent. Until when, on the clock of `taken`.
fn word(port: &PortSnapshot, taken: Duration) -> Option<(Lacpdu, Duration)> {
    let current = port.receive == receive::State::Current;
    let speaks = [port.actor, port.partner].iter().any(|info| info.state.contains(State::ACTIVITY));
    let until = taken.saturating_add(port.current_while);
    (current && speaks).then(|| (Lacpdu::new(port.actor, port.partner), until))
}
