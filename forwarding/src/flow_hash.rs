//! Transmit hashes (`xmit_hash_policy`), bit-exact with the Linux bonding driver since 5.18 on a little-endian host,
//! for frames that reach the bond through a bridge: the outer VLAN tag is carried beside the octets.

use crate::mac::MacAddr;
use crate::vlan::VlanTag;
use crate::wire::ethernet::{ETHERTYPE_OFFSET, EthernetHeader};
use crate::wire::vlan::TAG_LEN;

mod full;
mod keys;
mod simple;

/// Which hash picks a bucket (`xmit_hash_policy`). Names and numbers are Linux's, but for [`Self::Offload`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[repr(u8)]
pub enum HashPolicy {
    /// `layer2`: last octets of both MAC addresses, and the ethertype.
    #[default]
    Layer2 = 0,
    /// `layer3+4`: IP addresses and ports.
    Layer34 = 1,
    /// `layer2+3`: as layer2, and the IP addresses.
    Layer23 = 2,
    /// `encap2+3`: as layer2+3, with the IP addresses of the innermost packet of a tunnel.
    Encap23 = 3,
    /// `encap3+4`: as layer3+4, with addresses and ports of the innermost packet of a tunnel.
    Encap34 = 4,
    /// `vlan+srcmac`: tag and source MAC address.
    VlanSrcMac = 5,
    /// `offload`, no policy of Linux's bonding driver: the flow hash that the receiving device or the sender's own stack
    /// computed (Linux: `skb->hash`), taken by the kernel fast path. Where there is none, and in userspace (packet
    /// sockets don't hand it over), layer3+4; so [`hash`] gives that.
    Offload = 6,
    /// [`slb`] of source and VLAN, no policy that can be chosen: the hash of mode balance-slb.
    Slb = 7,
}

impl HashPolicy {
    /// Linux's policies, in the order of their numbers: all of which the hash is a function of the octets and the tag.
    /// Not among them are [`Self::Offload`] and [`Self::Slb`].
    pub const ALL: [Self; 6] =
        [Self::Layer2, Self::Layer34, Self::Layer23, Self::Encap23, Self::Encap34, Self::VlanSrcMac];

    /// Linux's name, and `offload`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Layer2 => "layer2",
            Self::Layer34 => "layer3+4",
            Self::Layer23 => "layer2+3",
            Self::Encap23 => "encap2+3",
            Self::Encap34 => "encap3+4",
            Self::VlanSrcMac => "vlan+srcmac",
            Self::Offload => "offload",
            Self::Slb => "slb",
        }
    }
}

/// The 32-bit hash of a frame that leaves with `tag` as its outer tag, which is not in `bytes`. Total: a frame without
/// what the policy looks for falls back to layer2, one shorter than an Ethernet header to 0.
#[inline]
pub fn hash(policy: HashPolicy, bytes: &[u8], tag: Option<VlanTag>) -> u32 {
    let Some(header) = EthernetHeader::parse(bytes) else { return 0 };
    let layer2 = layer2(header);
    let keys = match policy {
        HashPolicy::Layer2 => None,
        HashPolicy::VlanSrcMac => return vlan_source(header, tag),
        HashPolicy::Slb => return slb(header.src, tag.map_or(0, VlanTag::vid)),
        HashPolicy::Layer34 | HashPolicy::Layer23 | HashPolicy::Offload => simple::dissect(bytes),
        HashPolicy::Encap23 | HashPolicy::Encap34 => full::dissect(bytes, tag.is_some()),
    };
    match (policy, keys) {
        (_, None) => layer2,
        (HashPolicy::Layer34 | HashPolicy::Encap34 | HashPolicy::Offload, Some(keys)) => {
            fold(keys.transport() ^ keys.addresses) >> 1
        }
        (_, Some(keys)) => fold(layer2 ^ keys.addresses),
    }
}

/// Octets of a frame that [`hash_with_inner`] looks at: more than any policy needs of headers that occur.
const HEADERS: usize = 512;

/// As [`hash`], of the frame that has `inner` put into the octets behind the addresses.
#[cold]
pub fn hash_with_inner(policy: HashPolicy, bytes: &[u8], inner: VlanTag, tag: Option<VlanTag>) -> u32 {
    let mut headers = [0; HEADERS];
    let (addresses, rest) = bytes.split_at(bytes.len().min(ETHERTYPE_OFFSET));
    let rest = &rest[..rest.len().min(HEADERS - ETHERTYPE_OFFSET - TAG_LEN)];
    headers[..addresses.len()].copy_from_slice(addresses);
    headers[12..14].copy_from_slice(&inner.tpid.to_be_bytes());
    headers[14..16].copy_from_slice(&inner.tci.to_be_bytes());
    headers[16..16 + rest.len()].copy_from_slice(rest);
    hash(policy, &headers[..16 + rest.len()], tag)
}

/// Last octets of both addresses and the ethertype, as a number.
#[inline]
fn layer2(header: &EthernetHeader) -> u32 {
    u32::from(header.dst.0[5]) ^ u32::from(header.src.0[5]) ^ u32::from(header.ethertype.get())
}

/// The whole tag control information, priority included, and both halves of the source address.
fn vlan_source(header: &EthernetHeader, tag: Option<VlanTag>) -> u32 {
    let [a, b, c, d, e, f] = header.src.0;
    u32::from(tag.map_or(0, |tag| tag.tci))
        ^ u32::from_be_bytes([0, a, b, c])
        ^ u32::from_be_bytes([0, d, e, f])
}

/// The hash of an address in a VLAN (0 for untagged), by which balance-slb picks the member that the address is behind, as
/// seen from the upstream switch: for frames from it, which leave by that member, and for frames to it, which come in by it.
/// Both halves of the address and the VLAN, as in `vlan+srcmac` but without the tag's priority: guests whose addresses
/// follow one another are in neighbouring buckets, which different members have.
#[inline]
pub const fn slb(mac: MacAddr, vlan: u16) -> u32 {
    let [a, b, c, d, e, f] = mac.0;
    vlan as u32 ^ u32::from_be_bytes([0, a, b, c]) ^ u32::from_be_bytes([0, d, e, f])
}

fn fold(hash: u32) -> u32 {
    let hash = hash ^ hash >> 16;
    hash ^ hash >> 8
}

#[cfg(test)]
mod tests;
