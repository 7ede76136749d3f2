//! Whom a probe is from. A switch has no address of its own.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use forwarding::mac::MacAddr;
use forwarding::solicit::link_local;

use super::options::ProbeOptions;

/// The bridge's internal port: its address and its IP addresses in the VLAN of the probes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// The internal port's own address.
    pub mac: Option<MacAddr>,
    /// With the lengths of their prefixes.
    pub addresses: Vec<(IpAddr, u8)>,
}

/// A sender of probes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sender<A> {
    pub(super) mac: MacAddr,
    pub(super) ip: A,
}

impl Host {
    fn has(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|(own, _)| *own == ip)
    }

    /// The address in the target's subnet, by the longest prefix.
    fn beside(&self, target: IpAddr) -> Option<IpAddr> {
        let beside = self.addresses.iter().filter(|(own, length)| in_subnet(*own, *length, target));
        beside.max_by_key(|(_, length)| *length).map(|(own, _)| *own)
    }
}

fn in_subnet(own: IpAddr, length: u8, target: IpAddr) -> bool {
    let shared = match (own, target) {
        (IpAddr::V4(own), IpAddr::V4(target)) => (u32::from(own) ^ u32::from(target)).leading_zeros(),
        (IpAddr::V6(own), IpAddr::V6(target)) => (u128::from(own) ^ u128::from(target)).leading_zeros(),
        _ => return false,
    };
    shared >= length.into()
}

/// The sender of an ARP request by a member with the address `own`.
///
/// An IP address of the host's goes together with the host's own Ethernet address and no other, for targets note down
/// what they are asked from. That is possible where one member sends (`one_speaks`). Where each sends with its own Ethernet
/// address the host's IP address is not used, but an ARP probe's (RFC 5227: from 0.0.0.0), which nobody notes down.
pub(super) fn four(
    options: &ProbeOptions,
    host: &Host,
    one_speaks: bool,
    own: MacAddr,
    target: Ipv4Addr,
) -> Sender<Ipv4Addr> {
    let of_host = |ip: IpAddr| host.mac.filter(|_| host.has(ip));
    let wanted = options.source.map(IpAddr::V4).or_else(|| host.beside(target.into()));
    match wanted {
        Some(IpAddr::V4(ip)) => match (of_host(ip.into()), one_speaks) {
            (Some(mac), true) => Sender { mac, ip },
            (Some(_), false) => Sender { mac: own, ip: Ipv4Addr::UNSPECIFIED },
            (None, _) if options.source.is_some() => Sender { mac: own, ip },
            (None, _) => Sender { mac: own, ip: Ipv4Addr::UNSPECIFIED },
        },
        _ => Sender { mac: own, ip: Ipv4Addr::UNSPECIFIED },
    }
}

/// The sender of a neighbour solicitation, by the same rules. In the place of 0.0.0.0 there is the link-local address
/// that belongs to `own`: an answer to the unspecified address would go to all nodes (RFC 4861 clause 7.2.4).
pub(super) fn six(
    options: &ProbeOptions,
    host: &Host,
    one_speaks: bool,
    own: MacAddr,
    target: Ipv6Addr,
) -> Sender<Ipv6Addr> {
    let of_host = |ip: IpAddr| host.mac.filter(|_| host.has(ip));
    let wanted = options.ip6_source.map(IpAddr::V6).or_else(|| host.beside(target.into()));
    match wanted {
        Some(IpAddr::V6(ip)) => match (of_host(ip.into()), one_speaks) {
            (Some(mac), true) => Sender { mac, ip },
            (None, _) if options.ip6_source.is_some() => Sender { mac: own, ip },
            (Some(_), false) | (None, _) => Sender { mac: own, ip: link_local(own) },
        },
        _ => Sender { mac: own, ip: link_local(own) },
    }
}
