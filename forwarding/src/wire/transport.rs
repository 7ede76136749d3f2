//! The little that a switch asks of layer 4.

/// TCP (RFC 9293).
pub const PROTOCOL_TCP: u8 = 6;
/// UDP (RFC 768).
pub const PROTOCOL_UDP: u8 = 17;
/// Octets of a UDP header.
pub const UDP_HEADER_LEN: usize = 8;
/// Octets of a TCP header without options.
pub const TCP_MIN_HEADER_LEN: usize = 20;

/// Octets of the TCP header at the start of `segment`, options included (data offset, RFC 9293 clause 3.1); `None` if
/// the segment ends before that field or the field is too small.
#[inline]
pub fn tcp_header_len(segment: &[u8]) -> Option<usize> {
    let len = usize::from(*segment.get(12)? >> 4) * 4;
    (len >= TCP_MIN_HEADER_LEN).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn golden_octets() {
        let mut segment = [0; 20];
        segment[12] = 0x50;
        assert_eq!(tcp_header_len(&segment), Some(20));
        segment[12] = 0xf3;
        assert_eq!(tcp_header_len(&segment), Some(60));
        segment[12] = 0x40;
        assert_eq!(tcp_header_len(&segment), None);
        assert_eq!(tcp_header_len(&segment[..12]), None);
    }

    proptest! {
        #[test]
        fn agrees_with_etherparse(bytes in proptest::collection::vec(any::<u8>(), 60..80)) {
            let theirs = etherparse::TcpHeaderSlice::from_slice(&bytes).ok().map(|h| h.slice().len());
            prop_assert_eq!(tcp_header_len(&bytes), theirs);
        }
    }
}
