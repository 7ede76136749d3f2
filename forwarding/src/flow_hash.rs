//! Transmit hashes (`xmit_hash_policy`), bit-exact with the Linux bonding driver since 5.18 on a little-endian host.

use crate::vlan::VlanTag;
use crate::wire::ethernet::EthernetHeader;

/// Which hash picks a bucket (`xmit_hash_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HashPolicy {
    /// `layer2`: destination MAC, source MAC and ethertype.
    #[default]
    Layer2,
}

/// The 32-bit hash of a frame whose outer tag is carried as `_tag` and not in `bytes`. Total: a frame too short for a
/// policy hashes as Linux hashes it.
#[inline]
pub fn hash(policy: HashPolicy, bytes: &[u8], _tag: Option<VlanTag>) -> u32 {
    match policy {
        HashPolicy::Layer2 => layer2(bytes),
    }
}

/// Last octets of both addresses and the ethertype (as a number, not as octets); 0 for less than a header.
#[inline]
fn layer2(bytes: &[u8]) -> u32 {
    EthernetHeader::parse(bytes)
        .map_or(0, |h| u32::from(h.dst.0[5]) ^ u32::from(h.src.0[5]) ^ u32::from(h.ethertype.get()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer2_as_linux() {
        let cases: [(&str, u32); 4] = [
            ("02000000aa1002000000bb2108004500", 0x0831),
            ("02000000aa1002000000bb2186dd6001", 0x86ec),
            ("ffffffffffff02000000bb2108060001", 0x08d8),
            ("02000000aa1002000000bb2188b50000", 0x8884),
        ];
        for (text, expected) in cases {
            let bytes: Vec<u8> = (0..text.len())
                .step_by(2)
                .map(|i| u8::from_str_radix(&text[i..i + 2], 16).unwrap())
                .collect();
            assert_eq!(hash(HashPolicy::Layer2, &bytes, None), expected, "{text}");
        }
        assert_eq!(hash(HashPolicy::Layer2, &[0xff; 13], None), 0);
    }
}
