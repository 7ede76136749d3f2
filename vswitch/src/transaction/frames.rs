//! Commands about a frame that is only imagined.

use super::{Draft, Problem, Reply};
use crate::model::Place;

/// An Ethernet header, and the longest frame that a device can hand over.
const LENGTHS: std::ops::RangeInclusive<usize> = 14..=65_549;

impl Draft<'_> {
    pub(super) fn trace(&self, bridge: &str, in_port: &str, frame: &str) -> Result<Reply, Problem> {
        self.bridge(bridge)?;
        let frame = read_frame(frame)?;
        let actual = match self.model.place_of(in_port) {
            Some(Place::Bridge) => in_port,
            Some(Place::Port { bridge } | Place::Member { bridge, .. }) => bridge,
            Some(Place::Bond { .. }) => {
                let members = self.model.bond(in_port).map(|(_, bond)| bond.members.join(", "));
                return Err(format!(
                    "{in_port} is a bond; name the member on which the frame arrives: {}",
                    members.filter(|names| !names.is_empty()).as_deref().unwrap_or("it has none")
                ));
            }
            None => return Err(self.no_port(in_port)),
        };
        if actual != bridge {
            return Err(format!(
                "bridge {bridge} does not have a device {in_port}; it is on bridge {actual}"
            ));
        }
        self.runtime.trace(bridge, in_port, &frame).map(Reply::Trace)
    }

    pub(super) fn bond_hash(&self, bond: &str, frame: &str) -> Result<Reply, Problem> {
        self.running_bond(bond)?;
        self.runtime.bond_hash(bond, &read_frame(frame)?).map(Reply::Hash)
    }
}

/// Octets in hexadecimal; spaces, colons and line ends between them are left out, and so is `0x` before them.
fn read_frame(text: &str) -> Result<Vec<u8>, Problem> {
    let wrong = |found: String| {
        format!(
            "frame: {found}; write its octets in hexadecimal, from the destination address on, without FCS"
        )
    };
    let text = text.trim();
    let text = text.strip_prefix("0x").unwrap_or(text);
    let digit = |c: char| c.to_digit(16).ok_or_else(|| wrong(format!("{c:?} is not a hexadecimal digit")));
    let digits = text.chars().filter(|c| !c.is_whitespace() && *c != ':').map(digit);
    let digits = digits.collect::<Result<Vec<u32>, _>>()?;
    if digits.len() % 2 == 1 {
        return Err(wrong(format!("{} digits are an odd number", digits.len())));
    }
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect();
    if !LENGTHS.contains(&bytes.len()) {
        let (least, most) = (LENGTHS.start(), LENGTHS.end());
        return Err(wrong(format!("{} octets are no frame (it has {least} to {most})", bytes.len())));
    }
    Ok(bytes)
}
