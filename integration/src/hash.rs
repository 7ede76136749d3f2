//! Transmit hashes of plain datagrams over IPv4, from the published formulas and independent of the switch's code.

use std::net::Ipv4Addr;

/// Linux's policies.
pub const POLICIES: [&str; 6] = ["layer2", "layer2+3", "layer3+4", "encap2+3", "encap3+4", "vlan+srcmac"];

/// What a policy makes of an untagged, unfragmented UDP datagram over IPv4 (Linux 5.18 and later, little-endian).
pub fn udp_hash(
    policy: &str,
    to: [u8; 6],
    from: [u8; 6],
    source: (Ipv4Addr, u16),
    target: (Ipv4Addr, u16),
) -> u32 {
    let ethernet = u32::from(to[5] ^ from[5]) ^ 0x0800;
    let addresses = u32::from_le_bytes(source.0.octets()) ^ u32::from_le_bytes(target.0.octets());
    let ([a, b], [c, d]) = (source.1.to_be_bytes(), target.1.to_be_bytes());
    let ports = u32::from_le_bytes([a, b, c, d]);
    let fold = |hash: u32| {
        let hash = hash ^ hash >> 16;
        hash ^ hash >> 8
    };
    match policy {
        "layer2" => ethernet,
        "layer2+3" | "encap2+3" => fold(ethernet ^ addresses),
        "layer3+4" | "encap3+4" => fold(ports ^ addresses) >> 1,
        "vlan+srcmac" => {
            let half = |octets: &[u8]| octets.iter().fold(0, |sum, octet| sum << 8 | u32::from(*octet));
            half(&from[..3]) ^ half(&from[3..])
        }
        other => panic!("there is no policy {other}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_vectors_of_a_real_kernel_come_out() {
        // v4 UDP 1024 -> 53 of the reference vectors.
        let (to, from) = ([2, 0, 0, 0, 0xaa, 0x10], [2, 0, 0, 0, 0xbb, 0x21]);
        let (source, target) = ((Ipv4Addr::new(192, 0, 2, 1), 1024), (Ipv4Addr::new(198, 51, 100, 77), 53));
        let hashes = POLICIES.map(|policy| udp_hash(policy, to, from, source, target));
        assert_eq!(hashes, [0x831, 0x4c2a_1126, 0x3c8f_9617, 0x4c2a_1126, 0x3c8f_9617, 0x2_bb21]);
    }
}
