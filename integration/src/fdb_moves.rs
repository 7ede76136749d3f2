//! Which addresses a Linux bridge sees moving from port to port: what an upstream switch would call MAC flapping.
//!
//! The kernel tells each change of a forwarding entry (`br_fdb_update`) to the neighbour group of rtnetlink.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with};

use crate::netfilter::messages;
use crate::netns::{Namespace, format_mac};
use crate::sys;

/// `RTMGRP_NEIGH`.
const NEIGHBOURS: u32 = 4;
/// `RTM_NEWNEIGH`.
const NEW: u16 = 28;
/// `NDA_LLADDR` and `NDA_VLAN`.
const ADDRESS: u16 = 2;
const VLAN: u16 = 5;
/// `NUD_PERMANENT`: the bridge's own addresses.
const PERMANENT: u16 = 0x80;
/// Octets of news that may wait: some ten thousand moves.
const BUFFER: i32 = 16 << 20;

/// An open ear for the bridges of a namespace.
pub struct FdbMoves {
    socket: OwnedFd,
    places: BTreeMap<([u8; 6], u16), u32>,
}

/// One address that was found at another port than before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// Whose.
    pub mac: String,
    /// Interface numbers of the port before and of the new one.
    pub ports: (u32, u32),
}

impl FdbMoves {
    /// Listens from now on. What was learned before is known when it moves for the second time.
    pub fn watch(namespace: &Namespace) -> Result<Self> {
        let socket = namespace.enter(|| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            // No protocol is NETLINK_ROUTE.
            let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
            bind(&socket, &SocketAddrNetlink::new(0, NEIGHBOURS))?;
            Ok::<_, Errno>(socket)
        });
        let socket = socket.with_context(|| format!("cannot watch the bridges of {}", namespace.name()))?;
        sys::enlarge_receive_buffer(&socket, BUFFER)?;
        Ok(Self { socket, places: BTreeMap::new() })
    }

    /// All moves since the last call.
    ///
    /// # Errors
    /// There were more than the socket could keep.
    pub fn take(&mut self) -> Result<Vec<Move>> {
        let mut moves = Vec::new();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let length = match rustix::io::read(&self.socket, &mut buffer) {
                Ok(length) => length,
                Err(Errno::AGAIN) => return Ok(moves),
                Err(error) => return Err(error).context("news of forwarding entries are lost"),
            };
            for (mac, vlan, port) in entries(&buffer[..length]) {
                let before = self.places.insert((mac, vlan), port);
                if let Some(before) = before.filter(|before| *before != port) {
                    moves.push(Move { mac: format_mac(mac), ports: (before, port) });
                }
            }
        }
    }
}

/// The learned entries in a datagram: address, VLAN, port.
fn entries(bytes: &[u8]) -> impl Iterator<Item = ([u8; 6], u16, u32)> {
    messages(bytes).filter(|(kind, _)| *kind == NEW).filter_map(|(_, body)| entry(body))
}

/// `struct ndmsg` and its attributes.
fn entry(body: &[u8]) -> Option<([u8; 6], u16, u32)> {
    let head: [u8; 12] = *body.first_chunk()?;
    let state = u16::from_ne_bytes([head[8], head[9]]);
    let wanted = i32::from(head[0]) == libc::AF_BRIDGE && state & PERMANENT == 0;
    let port = u32::from_ne_bytes([head[4], head[5], head[6], head[7]]);
    let (mut mac, mut vlan) = (None, 0);
    let mut rest = &body[head.len()..];
    while let Some(header) = rest.first_chunk::<4>() {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]])).max(header.len());
        let value = rest.get(header.len()..length)?;
        match u16::from_ne_bytes([header[2], header[3]]) {
            ADDRESS => mac = value.try_into().ok(),
            VLAN => vlan = u16::from_ne_bytes(value.try_into().ok()?),
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    wanted.then_some((mac?, vlan, port))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::capture::Capture;
    use crate::packets::{BROADCAST, frame};
    use crate::process::eventually;
    use crate::testing::turn;
    use crate::topology::{Topology, Upstream};

    #[test]
    fn each_move_is_seen_and_nothing_else() -> Result<()> {
        const MAC: [u8; 6] = [2, 0, 0, 9, 9, 9];
        let Some(_turn) = turn(&[]) else { return Ok(()) };
        let topology = Topology::new(0, 2, Upstream::LinuxBridge)?;
        let ends = ["u1", "u2"].map(|u| Capture::open(&topology.host, u));
        let mut watch = FdbMoves::watch(&topology.up)?;
        for (number, end) in [0, 0, 1, 1, 0, 1].into_iter().enumerate() {
            let end = ends[end].as_ref().map_err(|error| anyhow::anyhow!("{error:#}"))?;
            end.send(&frame(BROADCAST, MAC, None, number as u32))?;
        }
        let mut moves = Vec::new();
        eventually("three moves are seen", Duration::from_secs(5), || {
            moves.extend(watch.take()?);
            Ok((moves.len() >= 3).then_some(()))
        })?;
        assert_eq!(moves.len(), 3, "{moves:?}");
        let (first, second) = moves[0].ports;
        assert!(first != second && moves[1].ports == (second, first), "{moves:?}");
        assert!(moves.iter().all(|it| it.mac == format_mac(MAC)), "{moves:?}");
        Ok(())
    }
}
