//! The standard wiring:
//!
//! ```text
//! guest 1 (eth0) --- g1 |                    | u1 --- p1 |                   |
//! guest 2 (eth0) --- g2 | host: the switch   | u2 --- p2 | up: upstream `sw` | r --- remote (eth0)
//!        ...            | under test         |   ...     |                   |
//! ```
//!
//! Guest `i` is 10.0.0.i and fd00::i, the remote host 10.0.0.100 and fd00::100. A cable is pulled by setting its
//! upstream end down, which takes the carrier away at the host's end; it is cut silently by taking the upstream end out
//! of the upstream bridge, which leaves the carrier on.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::{Context as _, Result};

use crate::netns::{Namespace, cable, format_mac};

/// The upstream switch's name, an interface in namespace `up`.
pub const UPSTREAM: &str = "sw";
/// The remote host's last address octet.
pub const REMOTE: u8 = 100;
/// The last address octet that tests give to the host on its internal port.
pub const HOST: u8 = 200;

/// What stands behind the uplinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    /// A Linux bridge without spanning tree and multicast snooping, holding all uplinks and the remote host's cable.
    LinuxBridge,
    /// A static link aggregation group and nothing else: what the uplinks bring goes to the remote host, and what that
    /// sends goes into the first uplink. Made of traffic control's redirects.
    StaticLag,
    /// Nothing: the test attaches a switch of its own to `p1`, `p2`, .. and `r`.
    Bare,
    /// The same, and in the middle of each uplink there is a bridge of two ports that learns nothing and carries LACPDUs
    /// too, so that the cable can be cut silently.
    BareCuttable,
}

/// The wired-up namespaces. Everything goes when this is dropped.
pub struct Topology {
    /// Where the switch under test runs.
    pub host: Namespace,
    /// One namespace a guest, each with `eth0`.
    pub guests: Vec<Namespace>,
    /// Where the upstream switch is.
    pub up: Namespace,
    /// The host behind the upstream switch, with `eth0`.
    pub remote: Namespace,
    /// Where the cuttable uplinks have their middle.
    middle: Option<Namespace>,
    uplinks: usize,
}

/// IPv4 address of the station with this last octet.
pub fn ipv4(octet: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, 0, octet).into()
}

/// IPv6 address of the station with this last octet. It reads like the IPv4 one: `fd00::100` is octet 100.
pub fn ipv6(octet: u8) -> IpAddr {
    let digits = u16::from(octet / 100) << 8 | u16::from(octet / 10 % 10) << 4 | u16::from(octet % 10);
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, digits).into()
}

impl Topology {
    /// Wires up `guests` guests and `uplinks` uplinks.
    pub fn new(guests: usize, uplinks: usize, upstream: Upstream) -> Result<Self> {
        let host = Namespace::new("host")?;
        let up = Namespace::new("up")?;
        let remote = Namespace::new("remote")?;
        let middle = (upstream == Upstream::BareCuttable).then(|| Namespace::new("middle")).transpose()?;
        for quiet in [&host, &up].into_iter().chain(&middle) {
            // Ports of a switch have no addresses; without this each end would send multicast listener reports.
            let _ = quiet.sysctl("ipv6/conf/default/disable_ipv6", "1");
        }
        let mut topology = Self { host, guests: Vec::new(), up, remote, middle, uplinks };
        for i in 1..=guests {
            let guest = Namespace::new(&format!("guest{i}"))?;
            topology.guests.push(guest);
            topology.plug_guest(i)?;
        }
        for i in 1..=uplinks {
            topology.plug_uplink(i)?;
        }
        cable((&topology.up, "r"), (&topology.remote, "eth0"))?;
        dress(&topology.remote, [2, 0, 0, 0, 0, REMOTE], REMOTE)?;
        match upstream {
            Upstream::LinuxBridge => topology.add_upstream_bridge()?,
            Upstream::StaticLag => topology.add_static_lag()?,
            Upstream::Bare | Upstream::BareCuttable => {}
        }
        Ok(topology)
    }

    /// Guest `i`, counted from 1 as in its interface's name.
    pub fn guest(&self, i: usize) -> &Namespace {
        &self.guests[i - 1]
    }

    /// Names of the uplinks in namespace `host`.
    pub fn uplinks(&self) -> Vec<String> {
        (1..=self.uplinks).map(|i| format!("u{i}")).collect()
    }

    /// Makes the cable of guest `i`: device `g{i}` at the host, `eth0` with its addresses in the guest.
    pub fn plug_guest(&self, i: usize) -> Result<()> {
        cable((&self.host, &format!("g{i}")), (self.guest(i), "eth0"))?;
        dress(self.guest(i), [2, 0, 0, 0, 0, i as u8], i as u8)
    }

    /// Makes the cable of uplink `i`: `u{i}` at the host, `p{i}` upstream, not yet in the upstream switch.
    pub fn plug_uplink(&self, i: usize) -> Result<()> {
        let (u, p) = (format!("u{i}"), format!("p{i}"));
        match &self.middle {
            None => cable((&self.host, &u), (&self.up, &p))?,
            Some(middle) => self.plug_in_two(middle, i)?,
        }
        for (namespace, device, kind) in [(&self.host, &u, 2), (&self.up, &p, 3)] {
            namespace
                .ip(&format!("link set {device} address {}", format_mac([2, 0, 0, 0, kind, i as u8])))?;
        }
        Ok(())
    }

    /// Puts one more host behind the upstream bridge, or, if there is none, at the end of a cable `r{octet}` upstream: its
    /// `eth0` has the addresses of this octet.
    pub fn plug_host(&self, host: &Namespace, octet: u8) -> Result<()> {
        let port = format!("r{octet}");
        cable((&self.up, &port), (host, "eth0"))?;
        dress(host, [2, 0, 0, 0, 1, octet], octet)?;
        match self.up.link(UPSTREAM)? {
            Some(_) => self.up.ip(&format!("link set {port} master {UPSTREAM}")),
            None => Ok(()),
        }
    }

    /// The cable of uplink `i` with a bridge `w{i}` in its middle, whose ports are `h{i}` (host) and `q{i}` (upstream).
    fn plug_in_two(&self, middle: &Namespace, i: usize) -> Result<()> {
        let bridge = format!("w{i}");
        middle.ip(&format!("link add {bridge} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"))?;
        middle.ip(&format!("link set {bridge} up"))?;
        cable((&self.host, &format!("u{i}")), (middle, &format!("h{i}")))?;
        cable((middle, &format!("q{i}")), (&self.up, &format!("p{i}")))?;
        for port in ['h', 'q'] {
            join_middle(middle, port, i)?;
        }
        Ok(())
    }

    fn add_upstream_bridge(&self) -> Result<()> {
        self.up
            .ip(&format!("link add {UPSTREAM} type bridge stp_state 0 forward_delay 0 mcast_snooping 0"))?;
        for port in (1..=self.uplinks).map(|i| format!("p{i}")).chain(["r".to_owned()]) {
            self.up.ip(&format!("link set {port} master {UPSTREAM}"))?;
        }
        self.up.ip(&format!("link set {UPSTREAM} up"))
    }

    fn add_static_lag(&self) -> Result<()> {
        let members = (1..=self.uplinks).map(|i| (format!("p{i}"), "r"));
        for (from, to) in members.chain([("r".to_owned(), "p1")]) {
            self.up.run(&format!("tc qdisc add dev {from} clsact"))?;
            self.up.run(&format!(
                "tc filter add dev {from} ingress protocol all u32 match u32 0 0 action mirred egress redirect dev {to}"
            ))?;
        }
        Ok(())
    }

    /// Pulls the cable of an uplink (`u1`): its carrier goes, at both ends if it has a middle.
    pub fn pull(&self, uplink: &str) -> Result<()> {
        self.set_link(uplink, "down")
    }

    /// Plugs the cable in again.
    pub fn replug(&self, uplink: &str) -> Result<()> {
        self.set_link(uplink, "up")
    }

    fn set_link(&self, uplink: &str, state: &str) -> Result<()> {
        let number = number(uplink)?;
        match &self.middle {
            None => self.up.ip(&format!("link set p{number} {state}")),
            Some(middle) => {
                ["h", "q"].iter().try_for_each(|end| middle.ip(&format!("link set {end}{number} {state}")))
            }
        }
    }

    /// Cuts the cable of an uplink without a trace: the carrier stays, frames don't arrive.
    pub fn cut(&self, uplink: &str) -> Result<()> {
        let number = number(uplink)?;
        match &self.middle {
            None => self.up.ip(&format!("link set p{number} nomaster")),
            Some(middle) => middle.ip(&format!("link set q{number} nomaster")),
        }
    }

    /// Undoes [`Self::cut`].
    pub fn mend(&self, uplink: &str) -> Result<()> {
        let number = number(uplink)?;
        match &self.middle {
            None => self.up.ip(&format!("link set p{number} master {UPSTREAM}")),
            Some(middle) => join_middle(middle, 'q', number),
        }
    }

    /// What the upstream bridge has learned: `(address, port)`, without its own addresses.
    pub fn upstream_fdb(&self) -> Result<Vec<(String, String)>> {
        let text = self.up.run(&format!("bridge -j fdb show br {UPSTREAM}"))?;
        let entries: serde_json::Value = serde_json::from_str(&text)?;
        let learned = entries.as_array().into_iter().flatten().filter(|entry| {
            entry["state"] != "permanent" && entry["master"] == UPSTREAM && entry["flags"] != "self"
        });
        Ok(learned
            .map(|entry| {
                let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
                (text("mac"), text("ifname"))
            })
            .collect())
    }
}

fn number(uplink: &str) -> Result<usize> {
    let digits = uplink.strip_prefix('u').and_then(|digits| digits.parse().ok());
    digits.with_context(|| format!("`{uplink}` is no uplink"))
}

/// Makes a device a port of the bridge in the middle of uplink `i`. 4 stands for 01:80:c2:00:00:02, to which LACPDUs go and
/// which bridges keep for themselves.
fn join_middle(middle: &Namespace, port: char, i: usize) -> Result<()> {
    middle.ip(&format!("link set {port}{i} master w{i}"))?;
    middle.ip(&format!("link set {port}{i} type bridge_slave group_fwd_mask 4 learning off"))
}

/// Gives a station's `eth0` its hardware and IP addresses.
fn dress(namespace: &Namespace, mac: [u8; 6], octet: u8) -> Result<()> {
    namespace.ip(&format!("link set eth0 address {}", format_mac(mac)))?;
    namespace.ip(&format!("addr add {}/24 dev eth0", ipv4(octet)))?;
    namespace.ip(&format!("addr add {}/64 dev eth0 nodad", ipv6(octet)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_address_families_read_alike() {
        assert_eq!(ipv4(100).to_string(), "10.0.0.100");
        assert_eq!(ipv6(100).to_string(), "fd00::100");
        assert_eq!(ipv6(3).to_string(), "fd00::3");
        assert_eq!(ipv6(254).to_string(), "fd00::254");
    }
}
