//! Raw test frames, each with a number of its own, and a count of which of them arrived where.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::netns::Namespace;
use crate::sys::{self, PacketSocket};

/// "Local experimental" ethertype (IEEE 802-2014 9.2.4): no host answers it.
pub const ETHERTYPE: u16 = 0x88b5;
/// The group address of all stations.
pub const BROADCAST: [u8; 6] = [0xff; 6];

const MAGIC: &[u8; 8] = b"vswitch!";

/// A test frame of 64 octets without the checksum; tagged if `vlan` is given.
pub fn frame(to: [u8; 6], from: [u8; 6], vlan: Option<u16>, number: u32) -> Vec<u8> {
    let mut frame = Vec::with_capacity(64);
    frame.extend(to);
    frame.extend(from);
    if let Some(vlan) = vlan {
        frame.extend(0x8100_u16.to_be_bytes());
        frame.extend(vlan.to_be_bytes());
    }
    frame.extend(ETHERTYPE.to_be_bytes());
    frame.extend(MAGIC);
    frame.extend(number.to_be_bytes());
    frame.resize(60, 0);
    frame
}

/// The number of a test frame, `None` for any other frame.
fn number(bytes: &[u8]) -> Option<u32> {
    let body = bytes.get(12..)?.strip_prefix(&ETHERTYPE.to_be_bytes())?.strip_prefix(MAGIC)?;
    Some(u32::from_be_bytes(body.get(..4)?.try_into().ok()?))
}

/// A station on the wire: sends test frames and counts those it sees, whoever they are for.
pub struct Station {
    name: String,
    /// The hardware address of its interface.
    pub mac: [u8; 6],
    socket: PacketSocket,
    seen: BTreeMap<(u32, Option<u16>), u32>,
}

impl Station {
    /// A station at an interface of a namespace.
    pub fn new(namespace: &Namespace, interface: &str) -> Result<Self> {
        let socket = namespace
            .enter(|| PacketSocket::open(interface))
            .with_context(|| format!("cannot open a packet socket on {interface} in {}", namespace.name()))?;
        let name = format!("{}/{interface}", namespace.name());
        Ok(Self { name, mac: namespace.mac(interface)?, socket, seen: BTreeMap::new() })
    }

    /// Where it is, for messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sends one frame.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        self.socket.send(frame).with_context(|| format!("{} cannot send", self.name))
    }

    /// Sends one test frame, untagged, from its own address.
    pub fn send_to(&self, to: [u8; 6], number: u32) -> Result<()> {
        self.send(&frame(to, self.mac, None, number))
    }

    /// Takes in what has arrived.
    pub fn collect(&mut self) -> Result<()> {
        while let Some(frame) = self.socket.receive()? {
            if let Some(number) = number(&frame.bytes) {
                *self.seen.entry((number, frame.tci.map(|tci| tci & 0xfff))).or_default() += 1;
            }
        }
        Ok(())
    }

    /// How many copies of test frame `number` have arrived, tagged or not.
    pub fn copies(&self, number: u32) -> u32 {
        self.seen.iter().filter(|((seen, _), _)| *seen == number).map(|(_, copies)| copies).sum()
    }

    /// How many copies arrived untagged (`None`) or with this VLAN ID.
    pub fn copies_tagged(&self, number: u32, vlan: Option<u16>) -> u32 {
        self.seen.get(&(number, vlan)).copied().unwrap_or_default()
    }

    /// All test frames seen so far.
    pub fn total(&self) -> u64 {
        self.seen.values().map(|copies| u64::from(*copies)).sum()
    }

    /// Forgets what it has seen.
    pub fn forget(&mut self) -> Result<()> {
        self.collect()?;
        self.seen.clear();
        Ok(())
    }
}

/// Waits until the stations have seen nothing new for `quiet` (at most 5 s): whatever is still to come has come.
pub fn settle(stations: &mut [&mut Station], quiet: Duration) -> Result<()> {
    let limit = sys::monotonic() + Duration::from_secs(5);
    let mut last = (u64::MAX, sys::monotonic());
    loop {
        let mut total = 0;
        for station in stations.iter_mut() {
            station.collect()?;
            total += station.total();
        }
        let now = sys::monotonic();
        if total != last.0 {
            last = (total, now);
        } else if now - last.1 >= quiet || now >= limit {
            return Ok(());
        }
        sys::sleep_until(now + Duration::from_millis(5));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_carries_its_number() {
        let frame = frame(BROADCAST, [2, 0, 0, 0, 0, 1], None, 77);
        assert_eq!((frame.len(), number(&frame)), (60, Some(77)));
        assert_eq!(number(&frame[..20]), None);
        assert_eq!(number(&[0; 60]), None);
    }

    #[test]
    fn a_tag_comes_after_the_addresses() {
        let frame = frame(BROADCAST, [2, 0, 0, 0, 0, 1], Some(10), 77);
        assert_eq!(frame[12..18], [0x81, 0, 0, 10, 0x88, 0xb5]);
    }
}
