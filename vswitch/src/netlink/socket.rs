//! A netlink socket with requests and their answers (RFC 3549 section 2.3).

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use netlink_packet_core::{NetlinkBuffer, NlasIterator};
use netlink_sys::{Socket, SocketAddr};
use rustix::event::{PollFd, PollFlags, poll};

use super::NetlinkError;

/// How long the kernel may take to answer. It answers at once, unless something else holds its lock on devices.
const PATIENCE: Duration = Duration::from_secs(5);
/// Longer than any message of the kernel (dumps are cut at 32 KiB).
const MAX_MESSAGE: usize = 64 << 10;

const NLMSG_HEADER_LEN: usize = 16;
const NLMSGERR_ATTR_MSG: u16 = 1;

/// Message flags, see netlink(7).
pub(super) mod flags {
    pub(in super::super) const REQUEST: u16 = libc::NLM_F_REQUEST as u16;
    pub(in super::super) const ACK: u16 = libc::NLM_F_ACK as u16;
    pub(in super::super) const DUMP: u16 = libc::NLM_F_DUMP as u16;
    pub(in super::super) const CREATE: u16 = libc::NLM_F_CREATE as u16;
    pub(in super::super) const APPEND: u16 = libc::NLM_F_APPEND as u16;
}

/// One message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) kind: u16,
    pub(super) sequence: u32,
    pub(super) payload: &'a [u8],
    flags: u16,
}

/// An open netlink socket.
#[derive(Debug)]
pub(super) struct Channel {
    socket: Socket,
    sequence: u32,
}

impl Channel {
    /// Opens a non-blocking socket of this netlink family and joins the multicast groups.
    pub(super) fn open(protocol: isize, groups: &[u32]) -> io::Result<Self> {
        let mut socket = Socket::new(protocol)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        socket.set_non_blocking(true)?;
        // Explanations beside error codes; old kernels have none.
        let _unsupported = socket.set_ext_ack(true);
        let _unsupported = socket.set_cap_ack(true);
        for group in groups {
            socket.add_membership(*group)?;
        }
        Ok(Self { socket, sequence: 0 })
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// A number for the next request.
    pub(super) fn next_sequence(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1).max(1);
        self.sequence
    }

    /// Sends whole messages to the kernel.
    pub(super) fn send(&self, messages: &[u8]) -> io::Result<()> {
        self.socket.send_to(messages, &SocketAddr::new(0, 0), 0).map(drop)
    }

    /// Receives one datagram of messages if one waits. Others than the kernel are not listened to.
    pub(super) fn try_receive(&self, buffer: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            buffer.clear();
            buffer.reserve(MAX_MESSAGE);
            match self.socket.recv_from(buffer, 0) {
                Ok((_, from)) if from.port_number() == 0 => return Ok(true),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Throws away what waits, with the rest of a dump that was broken off.
    pub(super) fn discard(&self) {
        let mut buffer = Vec::new();
        loop {
            match self.try_receive(&mut buffer) {
                Ok(true) => {}
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                Ok(false) | Err(_) => return,
            }
        }
    }

    /// Waits for one datagram of messages until the deadline.
    pub(super) fn receive(&self, buffer: &mut Vec<u8>, deadline: Instant) -> io::Result<()> {
        while !self.try_receive(buffer)? {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "the kernel did not answer"));
            }
            let timeout = left.try_into().map_err(io::Error::other)?;
            match poll(&mut [PollFd::new(&self.socket.as_fd(), PollFlags::IN)], Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Sends messages and hands every answer to `answer`, up to the end of the dump or the acknowledgement of the
    /// message with the number `last`. `answer` also gets news of multicast groups that arrive in between.
    pub(super) fn transact(
        &mut self,
        messages: &[u8],
        last: u32,
        action: impl FnOnce() -> String,
        mut answer: impl FnMut(Message<'_>),
    ) -> Result<(), NetlinkError> {
        let mut exchange = || -> Result<(), (io::Error, Option<String>)> {
            let plain = |error| (error, None);
            self.send(messages).map_err(plain)?;
            let deadline = Instant::now() + PATIENCE;
            let mut buffer = Vec::new();
            loop {
                self.receive(&mut buffer, deadline).map_err(plain)?;
                for message in parse(&buffer) {
                    match i32::from(message.kind) {
                        // 0 is the error code of an acknowledgement. A batch fails with the first message that does.
                        libc::NLMSG_ERROR | libc::NLMSG_DONE if message.sequence != 0 => {
                            match message.error() {
                                None if message.sequence == last => return Ok(()),
                                None => {}
                                Some(failure) => return Err(failure),
                            }
                        }
                        _ => answer(message),
                    }
                }
            }
        };
        exchange().map_err(|(source, kernel_says)| NetlinkError { action: action(), source, kernel_says })
    }
}

impl Message<'_> {
    /// The failure that an error or done message tells of.
    fn error(&self) -> Option<(io::Error, Option<String>)> {
        let code = i32::from_ne_bytes(*self.payload.first_chunk()?);
        if code == 0 {
            return None;
        }
        let mut explanation = self.payload.get(4..).unwrap_or_default();
        if i32::from(self.kind) == libc::NLMSG_ERROR {
            // The request's header, and the request itself unless it was left out, stand before the attributes.
            let request = explanation.first_chunk().map_or(0, |len| u32::from_ne_bytes(*len) as usize);
            let capped = self.flags & libc::NLM_F_CAPPED as u16 != 0;
            let skip = if capped { NLMSG_HEADER_LEN } else { request.next_multiple_of(4) };
            explanation = explanation.get(skip..).unwrap_or_default();
        }
        let text = NlasIterator::new(explanation).flatten().find(|nla| nla.kind() == NLMSGERR_ATTR_MSG);
        let text = text.map(|nla| String::from_utf8_lossy(nla.value()).trim_end_matches('\0').to_owned());
        Some((io::Error::from_raw_os_error(code.saturating_neg()), text))
    }
}

/// The messages of a datagram. What follows a malformed one is left out.
pub(super) fn parse(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let buffer = NetlinkBuffer::new_checked(datagram).ok()?;
        let len = buffer.length() as usize;
        let message = Message {
            kind: buffer.message_type(),
            sequence: buffer.sequence_number(),
            flags: buffer.flags(),
            payload: &datagram[NLMSG_HEADER_LEN..len],
        };
        datagram = datagram.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some(message)
    })
}

/// Appends one message; `body` appends its payload.
pub(super) fn append_message(
    to: &mut Vec<u8>,
    kind: u16,
    flags: u16,
    sequence: u32,
    body: impl FnOnce(&mut Vec<u8>),
) {
    let start = to.len();
    to.extend_from_slice(&[0; 4]);
    to.extend_from_slice(&kind.to_ne_bytes());
    to.extend_from_slice(&flags.to_ne_bytes());
    to.extend_from_slice(&sequence.to_ne_bytes());
    to.extend_from_slice(&0u32.to_ne_bytes());
    body(to);
    let len = (to.len() - start) as u32;
    to[start..start + 4].copy_from_slice(&len.to_ne_bytes());
    to.resize(to.len().next_multiple_of(4), 0);
}

/// Appends one attribute; `value` appends its value.
pub(super) fn append_attribute(to: &mut Vec<u8>, kind: u16, value: impl FnOnce(&mut Vec<u8>)) {
    let start = to.len();
    to.extend_from_slice(&[0; 2]);
    to.extend_from_slice(&kind.to_ne_bytes());
    value(to);
    let len = (to.len() - start) as u16;
    to[start..start + 2].copy_from_slice(&len.to_ne_bytes());
    to.resize(to.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_attributes_round_trip() {
        let mut bytes = Vec::new();
        append_message(&mut bytes, 16, flags::REQUEST, 7, |m| {
            append_attribute(m, 3, |a| a.extend_from_slice(b"eth0\0"));
        });
        append_message(&mut bytes, 17, 0, 8, |_| {});
        assert_eq!(bytes.len(), 16 + 12 + 16);
        let messages: Vec<_> = parse(&bytes).collect();
        assert_eq!((messages[0].kind, messages[0].sequence, messages[1].kind), (16, 7, 17));
        let attributes: Vec<_> = NlasIterator::new(messages[0].payload).flatten().collect();
        assert_eq!((attributes[0].kind(), attributes[0].value()), (3, &b"eth0\0"[..]));
    }

    #[test]
    fn malformed_messages_end_the_datagram() {
        for bad in
            [&[][..], &[0; 3], &[0; 16], &[0xff; 40], &[8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]
        {
            assert_eq!(parse(bad).count(), 0, "{bad:?}");
        }
    }

    #[test]
    fn errors_carry_the_kernels_words() {
        let mut bytes = Vec::new();
        append_message(&mut bytes, libc::NLMSG_ERROR as u16, libc::NLM_F_CAPPED as u16, 1, |m| {
            m.extend_from_slice(&(-libc::EPERM).to_ne_bytes());
            m.extend_from_slice(&[0; NLMSG_HEADER_LEN]);
            append_attribute(m, NLMSGERR_ATTR_MSG, |a| a.extend_from_slice(b"no way\0"));
        });
        let (error, text) = parse(&bytes).next().unwrap().error().unwrap();
        assert_eq!((error.raw_os_error(), text.as_deref()), (Some(libc::EPERM), Some("no way")));
    }
}
