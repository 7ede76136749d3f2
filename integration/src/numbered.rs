//! Numbered frames that a test sends by hand, so that each can be told by which wires it came.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::Result;

use crate::capture::Capture;
use crate::{sys, wire};

const MARK: &[u8] = b"numbered";

/// A station that need not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Its hardware address.
    pub mac: [u8; 6],
    /// Its IP address.
    pub ip: Ipv4Addr,
    /// Its UDP port.
    pub port: u16,
}

/// A UDP datagram that bears a number.
pub fn frame(to: [u8; 6], from: [u8; 6], number: u32) -> Vec<u8> {
    let end = |mac, net, port| End { mac, ip: Ipv4Addr::new(10, net, 0, 1), port };
    between(end(from, 8, 4000), end(to, 9, 4001), number)
}

/// A UDP datagram from one station to another that bears a number.
pub fn between(from: End, to: End, number: u32) -> Vec<u8> {
    let body = [MARK, &number.to_be_bytes()].concat();
    wire::udp(to.mac, from.mac, (from.ip, from.port), (to.ip, to.port), &body)
}

/// The number that a frame bears.
pub fn number(bytes: &[u8]) -> Option<u32> {
    let digits = bytes.get(42..)?.strip_prefix(MARK)?;
    Some(u32::from_be_bytes(digits.get(..4)?.try_into().ok()?))
}

/// Sends the frames that `frame` makes of the numbers below `count`, a few at a time, so that no queue overflows.
pub fn send(by: &Capture, count: u32, frame: impl Fn(u32) -> Vec<u8>) -> Result<()> {
    for number in 0..count {
        by.send(&frame(number))?;
        if number % 32 == 31 {
            sys::sleep_until(sys::monotonic() + Duration::from_millis(1));
        }
    }
    Ok(())
}

/// The numbers that have arrived since the last call, in their order.
pub fn take(at: &Capture) -> Result<Vec<u32>> {
    Ok(at.take()?.iter().filter_map(|frame| number(&frame.bytes)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_as_it_was_written() {
        let (to, from) = ([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        assert_eq!(number(&frame(to, from, 0x0102_0304)), Some(0x0102_0304));
        assert_eq!(number(&wire::arp_request((from, Ipv4Addr::LOCALHOST), Ipv4Addr::LOCALHOST)), None);
        assert_eq!(number(&[0; 60]), None);
    }
}
