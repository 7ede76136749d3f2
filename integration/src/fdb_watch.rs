//! Watches what a Linux bridge learns, to count the addresses that move from one of its ports to another: what an upstream
//! switch would call MAC flapping.
//!
//! The kernel tells each change of a forwarding entry (`br_fdb_update`) to the neighbour group of rtnetlink.

use std::cell::RefCell;
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
/// `NDA_LLADDR`.
const ADDRESS: u16 = 2;
/// `NUD_PERMANENT`: the bridge's own addresses.
const PERMANENT: u16 = 0x80;
/// Octets of news that may wait: some ten thousand moves.
const BUFFER: i32 = 16 << 20;

/// An open ear for the bridge of a namespace.
pub struct FdbWatch {
    socket: OwnedFd,
    /// Names of the ports by interface number.
    ports: BTreeMap<u32, String>,
    seen: RefCell<Seen>,
}

#[derive(Debug, Default)]
struct Seen {
    places: BTreeMap<String, String>,
    moves: Vec<(String, String, String)>,
}

impl FdbWatch {
    /// Begins to watch; `known` is where each address is now.
    pub fn start(namespace: &Namespace, known: Vec<(String, String)>) -> Result<Self> {
        let socket = namespace.enter(|| {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            // No protocol is NETLINK_ROUTE.
            let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
            bind(&socket, &SocketAddrNetlink::new(0, NEIGHBOURS))?;
            Ok::<_, Errno>(socket)
        });
        let socket = socket.with_context(|| format!("cannot watch the bridge of {}", namespace.name()))?;
        sys::enlarge_receive_buffer(&socket, BUFFER)?;
        let links = namespace.ip_json("link show")?;
        let port = |link: &serde_json::Value| {
            Some((u32::try_from(link["ifindex"].as_u64()?).ok()?, link["ifname"].as_str()?.to_owned()))
        };
        let ports = links.as_array().into_iter().flatten().filter_map(port).collect();
        let seen = Seen { places: known.into_iter().collect(), moves: Vec::new() };
        Ok(Self { socket, ports, seen: RefCell::new(seen) })
    }

    /// The moves so far: the address, from, to. One that is forgotten and learned elsewhere has moved too.
    ///
    /// # Errors
    /// There were more news since the last call than the socket could keep.
    pub fn moves(&self) -> Result<Vec<(String, String, String)>> {
        let mut seen = self.seen.borrow_mut();
        let mut buffer = vec![0; 64 << 10];
        loop {
            let length = match rustix::io::read(&self.socket, &mut buffer) {
                Ok(length) => length,
                Err(Errno::AGAIN) => return Ok(seen.moves.clone()),
                Err(error) => return Err(error).context("news of forwarding entries are lost"),
            };
            for (mac, port) in learned(&buffer[..length]) {
                let port = self.ports.get(&port).cloned().unwrap_or_else(|| format!("interface {port}"));
                seen.note(format_mac(mac), port);
            }
        }
    }
}

impl Seen {
    fn note(&mut self, mac: String, port: String) {
        let before = self.places.insert(mac.clone(), port.clone());
        self.moves.extend(before.filter(|before| *before != port).map(|from| (mac, from, port)));
    }
}

/// Address and port of each learned entry in a datagram.
fn learned(bytes: &[u8]) -> impl Iterator<Item = ([u8; 6], u32)> {
    messages(bytes).filter(|(kind, _)| *kind == NEW).filter_map(|(_, body)| entry(body))
}

/// `struct ndmsg` and its attributes.
fn entry(body: &[u8]) -> Option<([u8; 6], u32)> {
    let head: [u8; 12] = *body.first_chunk()?;
    let state = u16::from_ne_bytes([head[8], head[9]]);
    let wanted = i32::from(head[0]) == libc::AF_BRIDGE && state & PERMANENT == 0;
    let port = u32::from_ne_bytes([head[4], head[5], head[6], head[7]]);
    let mut rest = &body[head.len()..];
    while let Some(header) = rest.first_chunk::<4>().filter(|_| wanted) {
        let length = usize::from(u16::from_ne_bytes([header[0], header[1]])).max(header.len());
        let value = rest.get(header.len()..length)?;
        if u16::from_ne_bytes([header[2], header[3]]) == ADDRESS {
            return Some((value.try_into().ok()?, port));
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    None
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
        let ends: Vec<_> =
            ["u1", "u2"].iter().map(|u| Capture::open(&topology.host, u)).collect::<Result<_>>()?;
        let say = |end: usize| ends[end].send(&frame(BROADCAST, MAC, None, 0));
        say(1)?;
        let known = eventually("the address is known", Duration::from_secs(5), || {
            let known = topology.upstream_fdb()?;
            Ok(known.iter().any(|(mac, _)| *mac == format_mac(MAC)).then_some(known))
        })?;
        let watch = FdbWatch::start(&topology.up, known)?;
        [0, 0, 1, 1, 0].into_iter().try_for_each(say)?;
        let moves = eventually("three moves are seen", Duration::from_secs(5), || {
            let moves = watch.moves()?;
            Ok((moves.len() >= 3).then_some(moves))
        })?;
        let moved = |from: &str, to: &str| (format_mac(MAC), from.to_owned(), to.to_owned());
        assert_eq!(moves, [moved("p2", "p1"), moved("p1", "p2"), moved("p2", "p1")]);
        Ok(())
    }
}
