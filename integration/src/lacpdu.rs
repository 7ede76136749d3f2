//! LACPDUs as they go over the wire, read here independently of the switch's own code (IEEE 802.1AX-2014 6.4.2.3).

use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::netns::{Namespace, format_mac};
use crate::sys::PacketSocket;

/// Ethertype of the Slow Protocols.
const SLOW: u16 = 0x8809;

/// Bits of a state.
pub const ACTIVITY: u8 = 1;
/// Short timeout.
pub const TIMEOUT: u8 = 2;
/// It may be aggregated.
pub const AGGREGATION: u8 = 4;
/// It is in the right aggregator.
pub const SYNCHRONIZATION: u8 = 8;
/// It receives.
pub const COLLECTING: u8 = 16;
/// It sends.
pub const DISTRIBUTING: u8 = 32;
/// Its partner does not speak.
pub const DEFAULTED: u8 = 64;
/// Its partner has fallen silent.
pub const EXPIRED: u8 = 128;

/// What a LACPDU says of one end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// Priority of the system.
    pub system_priority: u16,
    /// Address of the system.
    pub system: String,
    /// The key.
    pub key: u16,
    /// Priority of the port.
    pub port_priority: u16,
    /// Number of the port.
    pub port: u16,
    /// The eight flags.
    pub state: u8,
}

/// A LACPDU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lacpdu {
    /// When the kernel received it: time since the Unix epoch.
    pub at: Duration,
    /// Who sends.
    pub actor: End,
    /// Whom it takes for its partner.
    pub partner: End,
}

/// Listens for LACPDUs at one end of a cable.
pub struct Listener(PacketSocket);

impl Listener {
    /// Listens from now on.
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        let socket = namespace
            .enter(|| PacketSocket::open_for(interface, SLOW))
            .with_context(|| format!("cannot listen on {interface} in {}", namespace.name()))?;
        Ok(Self(socket))
    }

    /// What has arrived since the last call.
    pub fn take(&self) -> Result<Vec<Lacpdu>> {
        let mut found = Vec::new();
        while let Some(frame) = self.0.receive()? {
            found.extend(parse(&frame.bytes, frame.at));
        }
        Ok(found)
    }
}

/// The LACPDU in a frame, if it is a well-formed one.
pub fn parse(frame: &[u8], at: Duration) -> Option<Lacpdu> {
    let header = [0x01, 0x80, 0xc2, 0, 0, 2];
    let right = frame.len() >= 124
        && frame.starts_with(&header)
        // Slow Protocols, LACP, version 1 or later; actor and partner are TLVs of 20 octets, the collector's has 16.
        && frame[12..15] == [0x88, 0x09, 1]
        && frame[15] >= 1
        && frame[16..18] == [1, 20]
        && frame[36..38] == [2, 20]
        && frame[56..58] == [3, 16];
    right.then(|| Lacpdu { at, actor: end(&frame[18..33]), partner: end(&frame[38..53]) })
}

fn end(octets: &[u8]) -> End {
    let word = |at: usize| u16::from_be_bytes([octets[at], octets[at + 1]]);
    let mut mac = [0; 6];
    mac.copy_from_slice(&octets[2..8]);
    End {
        system_priority: word(0),
        system: format_mac(mac),
        key: word(8),
        port_priority: word(10),
        port: word(12),
        state: octets[14],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lacpdu_is_read_field_by_field() {
        let mut frame = vec![0x01, 0x80, 0xc2, 0, 0, 2, 2, 0, 0, 0, 0, 9, 0x88, 0x09, 1, 1];
        frame.extend([1, 20, 0x80, 0, 2, 0, 0, 0, 0, 1, 0, 15, 0, 255, 0, 7, 0x3d, 0, 0, 0]);
        frame.extend([2, 20, 0, 1, 2, 0, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 0x3f, 0, 0, 0]);
        frame.extend([3, 16]);
        frame.resize(124, 0);
        let end = |system_priority, system: &str, key, port_priority, port, state| End {
            system_priority,
            system: system.to_owned(),
            key,
            port_priority,
            port,
            state,
        };
        let expected = Lacpdu {
            at: Duration::ZERO,
            actor: end(0x8000, "02:00:00:00:00:01", 15, 255, 7, 0x3d),
            partner: end(1, "02:00:00:00:00:02", 0x0102, 0x0304, 0x0506, 0x3f),
        };
        assert_eq!(parse(&frame, Duration::ZERO), Some(expected));
        assert_eq!(parse(&frame[..123], Duration::ZERO), None);
        frame[14] = 2;
        assert_eq!(parse(&frame, Duration::ZERO), None, "a marker");
    }
}
