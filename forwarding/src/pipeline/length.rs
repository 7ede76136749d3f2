//! How long a frame is for a wire: what is compared with an MTU.

use crate::parse::{Network, Parsed};
use crate::wire::ipv6;
use crate::wire::transport::{PROTOCOL_TCP, PROTOCOL_UDP, UDP_HEADER_LEN, tcp_header_len};
use crate::wire::virtio::{GSO_TCPV4, GSO_TCPV6, GSO_UDP, GSO_UDP_L4, VirtioNetHeader};

/// Layer-3 octets of the longest packet that the frame makes on a wire. A super-frame is measured by its segments:
/// layer-3 header, layer-4 header and `gso_size`. One whose headers can't be found is measured whole.
#[inline]
pub(super) fn on_wire(bytes: &[u8], header: &VirtioNetHeader, parsed: &Parsed) -> u32 {
    let whole = bytes.len() - parsed.l3_offset;
    let longest =
        if header.is_gso() { segment(bytes, header, parsed).unwrap_or(whole).min(whole) } else { whole };
    longest as u32
}

fn segment(bytes: &[u8], header: &VirtioNetHeader, parsed: &Parsed) -> Option<usize> {
    let l4_offset = if header.needs_csum() { usize::from(header.csum_start) } else { l4_offset(parsed)? };
    let l3_header = l4_offset.checked_sub(parsed.l3_offset)?;
    let l4_header = match header.gso_kind() {
        GSO_TCPV4 | GSO_TCPV6 => tcp_header_len(bytes.get(l4_offset..)?)?,
        GSO_UDP_L4 => UDP_HEADER_LEN,
        // IP fragments: the UDP header is payload of the first one.
        GSO_UDP => match parsed.network {
            Network::Ipv6 { .. } => ipv6::FRAGMENT_HEADER_LEN,
            _ => 0,
        },
        _ => return None,
    };
    Some(l3_header + l4_header + usize::from(header.gso_size))
}

/// Where layer 4 begins, if the layer-3 header says so itself.
fn l4_offset(parsed: &Parsed) -> Option<usize> {
    match parsed.network {
        Network::Ipv4 { protocol: PROTOCOL_TCP | PROTOCOL_UDP, .. }
        | Network::Ipv6 { next_header: PROTOCOL_TCP | PROTOCOL_UDP } => {
            Some(parsed.l3_offset + parsed.network.header_len())
        }
        _ => None,
    }
}
