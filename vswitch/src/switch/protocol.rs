//! Protocols that a bond speaks, LACP or link probes: frames from its members to it, and from it to them, past the forwarding
//! tables.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::time::Duration;

use bond_port::{Bond, BondOptions, Member, Mode, Transmit};
use forwarding::ids::DeviceId;
use lacp::{FrameError, PduError};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use super::Switch;
use super::attached::Attached;
use crate::device::{ControlBuffer, ControlSocket, Hears, Probes};

/// Frames of one member that are taken in one turn; those that still wait are taken in the next. LACP sends three a
/// second at most, and a round of probes brings two for each of 16 targets.
const MAX_FRAMES: usize = 32;
/// How long the executors are waited for in place; after that, again after as long.
const PATIENCE: Duration = Duration::from_millis(2);
/// Plans that a bond may make one after the other, each when the one before is in force. Two are what LACP makes.
const MAX_ROUNDS: usize = 8;

/// The sockets by which members' protocols come in and leave.
#[derive(Debug)]
pub(super) struct Protocols {
    poll: Poll,
    events: Events,
    /// By number of the device.
    sockets: BTreeMap<u16, Socket>,
    /// Devices of which more waits, maybe.
    ready: Vec<u16>,
    /// When executors are to be looked at again that had not followed in time.
    retry: Option<Duration>,
}

#[derive(Debug)]
struct Socket {
    ifindex: u32,
    hears: Hears,
    socket: ControlSocket,
}

impl Protocols {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            poll: Poll::new()?,
            events: Events::with_capacity(64),
            sockets: BTreeMap::new(),
            ready: Vec::new(),
            retry: None,
        })
    }

    /// When there is something to do besides what the bonds themselves want.
    pub(super) fn next_deadline(&self) -> Option<Duration> {
        if self.ready.is_empty() { self.retry } else { Some(Duration::ZERO) }
    }

    /// Opens the socket of a device, unless there is one already.
    fn open(&mut self, number: u16, attached: &Attached, hears: Hears, early: Option<ControlSocket>) {
        let (name, ifindex) = (attached.name(), attached.ifindex());
        let opened = match early {
            Some(socket) => Ok(socket),
            None => ControlSocket::open(name, ifindex, &hears).map_err(|error| error.to_string()),
        };
        let watched = opened.and_then(|socket| {
            let token = Token(number.into());
            let mut source = SourceFd(&socket.fd().as_raw_fd());
            let registry = self.poll.registry();
            registry.register(&mut source, token, Interest::READABLE).map_err(|error| error.to_string())?;
            Ok(socket)
        });
        match watched {
            Ok(socket) => {
                self.sockets.insert(number, Socket { ifindex, hears, socket });
                // What came between `bind` and now.
                self.ready.push(number);
            }
            Err(error) => {
                tracing::error!(device = name, error, "neither LACP nor link probes are possible on it");
            }
        }
    }

    /// Which devices have frames to be read.
    fn look(&mut self) {
        match self.poll.poll(&mut self.events, Some(Duration::ZERO)) {
            Ok(()) => {
                for event in &self.events {
                    let number = event.token().0 as u16;
                    if !self.ready.contains(&number) {
                        self.ready.push(number);
                    }
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => tracing::error!(%error, "epoll of the members' protocols failed"),
        }
    }
}

impl Switch {
    /// A descriptor that becomes readable when [`Self::read_protocols`] is to be called.
    pub fn protocols_fd(&self) -> RawFd {
        self.protocols.poll.as_raw_fd()
    }

    /// Opens and closes sockets, so that there is one for each member of a bond that speaks a protocol.
    pub(super) fn sync_protocols(&mut self) {
        let mut wanted = BTreeMap::new();
        for (_, bond) in self.bonds() {
            let Some(hears) = hears(bond) else { continue };
            for member in bond.members() {
                let number = self.device_number(member.name());
                let ifindex = |number| Some((number, (self.devices.get(number)?.ifindex(), hears.clone())));
                wanted.extend(number.and_then(ifindex));
            }
        }
        self.protocols.sockets.retain(|number, socket| {
            wanted
                .get(number)
                .is_some_and(|(ifindex, hears)| *ifindex == socket.ifindex && *hears == socket.hears)
        });
        for (number, (ifindex, hears)) in wanted {
            if !self.protocols.sockets.contains_key(&number)
                && let Some(attached) = self.devices.get(number)
            {
                let early = (hears == Hears::SlowProtocols).then(|| self.restart.early.take(ifindex));
                self.protocols.open(number, attached, hears, early.flatten());
            }
        }
        self.sync_probes();
    }

    /// Hands the frames that wait to the bonds, and does what they want.
    pub fn read_protocols(&mut self, now: Duration) {
        if self.take_frames(now) {
            self.settle(now);
        }
    }

    /// Hands the frames that wait to the bonds; says whether there may have been one.
    pub(super) fn take_frames(&mut self, now: Duration) -> bool {
        self.protocols.look();
        if self.protocols.ready.is_empty() {
            return false;
        }
        let mut buffer = ControlBuffer::default();
        for number in std::mem::take(&mut self.protocols.ready) {
            let mut taken = 0;
            while let Some(socket) = self.protocols.sockets.get(&number) {
                if taken == MAX_FRAMES {
                    self.protocols.ready.push(number);
                    break;
                }
                taken += 1;
                let frame = match socket.socket.recv(&mut buffer) {
                    Ok(Some(frame)) => frame,
                    Ok(None) => break,
                    Err(error) => {
                        tracing::debug!(device = socket.socket.name(), %error, "a member's protocol");
                        // Told once; frames may wait behind it. One that is gone tells it for ever.
                        if error.raw_os_error() == Some(libc::ENETDOWN) { continue } else { break }
                    }
                };
                let Some(attached) = self.devices.get(number) else { break };
                let port = attached.port.and_then(|port| self.ports.get_mut(port.0));
                let Some(bond) = port.and_then(|port| port.bond.as_mut()) else { break };
                match bond.handle_frame(now, attached.slot.device.name(), frame) {
                    Ok(Some(_)) => self.restart.heard(),
                    Ok(None) => {}
                    Err(FrameError::Pdu(PduError::Subtype { .. })) => {}
                    Err(error) => {
                        tracing::debug!(bond = bond.name(), device = attached.slot.device.name(), %error, "LACP");
                    }
                }
            }
        }
        true
    }

    /// Publishes what bonds have decided, tells them when it is in force, and sends what they have to say then.
    pub(super) fn follow_bonds(&mut self, now: Duration) {
        self.protocols.retry = None;
        for _ in 0..MAX_ROUNDS {
            if self.revisions() != self.published {
                self.restart.changed();
                self.publish();
            }
            let waiting =
                |(_, port): &(u16, &mut super::Port)| port.bond.as_ref().is_some_and(Bond::is_unconfirmed);
            if self.ports.iter_mut().find(waiting).is_none() {
                break;
            }
            if !self.datapath.wait_applied(PATIENCE) {
                self.protocols.retry = Some(now + PATIENCE);
                break;
            }
            for (_, port) in self.ports.iter_mut() {
                if let Some(bond) = port.bond.as_mut().filter(|bond| bond.is_unconfirmed()) {
                    bond.confirm(now);
                }
            }
        }
        self.transmit(now);
    }

    pub(super) fn transmit(&mut self, now: Duration) {
        for (_, port) in self.ports.iter_mut() {
            let Some(bond) = &mut port.bond else { continue };
            while let Some(transmit) = bond.poll_transmit(now) {
                self.protocols.send(&transmit);
            }
        }
    }

    /// Tells partners what they are about to lose: bonds and members that go, and bonds that get another mode.
    /// `kept` says of a bond by its name which options it is to have, and whether a member stays.
    pub(super) fn say_farewell<'a>(
        &self,
        kept: impl Fn(&str) -> Option<&'a BondOptions>,
        stays: impl Fn(&str, &str) -> bool,
    ) {
        for (_, bond) in self.bonds() {
            let speaks = kept(bond.name()).is_some_and(|options| options.mode == Mode::Ieee8023ad);
            let leaves = |member: &Member| !speaks || !stays(bond.name(), member.name());
            for transmit in bond.farewells(leaves) {
                self.protocols.send(&transmit);
            }
        }
    }
}

/// What a bond's members have to hear.
fn hears(bond: &Bond) -> Option<Hears> {
    if bond.lacp().is_some() {
        return Some(Hears::SlowProtocols);
    }
    bond.prober().map(|_| Hears::Probes(Probes::new(&bond.options().probe)))
}

impl Protocols {
    fn send(&self, transmit: &Transmit) {
        let DeviceId(number) = transmit.device;
        let Some(socket) = self.sockets.get(&number) else { return };
        if let Err(error) = socket.socket.send(&transmit.frame) {
            tracing::debug!(device = socket.socket.name(), %error, "a frame could not be sent");
        }
    }
}
