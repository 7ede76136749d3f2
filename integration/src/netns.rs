//! Anonymous network namespaces and the cables between them.

use std::net::{IpAddr, UdpSocket};
use std::os::fd::{AsFd as _, OwnedFd};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context as _, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space};
use serde_json::Value;

use crate::process;

/// Interface numbers that the harness hands out start here; the kernel's own choice starts at 2.
const FIRST_INDEX: u32 = 100;

/// A network namespace. It lives as long as this value, a process inside, or a socket opened inside.
pub struct Namespace {
    name: String,
    net: Arc<OwnedFd>,
    next_index: AtomicU32,
}

/// One end of a cable: an interface name in a namespace.
pub type End<'a> = (&'a Namespace, &'a str);

impl Namespace {
    /// A new namespace with `lo` up and IPv6 as quiet as it gets: no duplicate address detection, no router
    /// solicitations. The name is for messages only. Fails with "Operation not permitted" without `CAP_SYS_ADMIN`.
    pub fn new(name: &str) -> Result<Self> {
        let net = std::thread::scope(|scope| {
            scope.spawn(new_net).join().map_err(|_| anyhow!("the thread that makes a namespace died"))?
        })?;
        let namespace =
            Self { name: name.to_owned(), net: Arc::new(net), next_index: AtomicU32::new(FIRST_INDEX) };
        namespace.enter(|| {
            for (key, value) in [
                ("accept_dad", "0"),
                ("dad_transmits", "0"),
                ("accept_ra", "0"),
                ("router_solicitations", "0"),
            ] {
                // A kernel without IPv6 has no such files, and nothing to be quiet about.
                let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/default/{key}"), value);
            }
            // A peer's best case: bridged frames do not visit iptables.
            for key in ["iptables", "ip6tables", "arptables"] {
                let _ = std::fs::write(format!("/proc/sys/net/bridge/bridge-nf-call-{key}"), "0");
            }
        });
        namespace.ip("link set lo up")?;
        Ok(namespace)
    }

    /// The name given at creation.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A path that `ip link set .. netns` and `nsenter --net=` accept while this process lives.
    pub fn path(&self) -> String {
        process::fd_path(&self.net)
    }

    /// A command that will run inside.
    pub fn command(&self, program: impl AsRef<std::path::Path>) -> Command {
        process::command(program, Some(Arc::clone(&self.net)))
    }

    /// Runs a program inside, to its end; `line` is split at white space.
    pub fn run(&self, line: &str) -> Result<String> {
        let mut words = line.split_whitespace();
        let program = words.next().context("empty command")?;
        let program =
            process::find_program(program).with_context(|| format!("{program} is not installed"))?;
        process::output(self.command(program).args(words))
            .with_context(|| format!("in namespace {}", self.name))
    }

    /// Runs `ip` inside.
    pub fn ip(&self, line: &str) -> Result<()> {
        self.run(&format!("ip {line}")).map(drop)
    }

    /// Runs many `ip` commands inside with one program start: for hundreds of interfaces.
    pub fn ip_batch(&self, lines: &[String]) -> Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        std::fs::write(file.path(), lines.join("\n") + "\n")?;
        self.run(&format!("ip -batch {}", file.path().display())).map(drop)
    }

    /// Runs `ip -j` inside and parses what it prints.
    pub fn ip_json(&self, line: &str) -> Result<Value> {
        let text = self.run(&format!("ip -j {line}"))?;
        let text = if text.trim().is_empty() { "[]" } else { &text };
        serde_json::from_str(text).with_context(|| format!("`ip -j {line}` printed no JSON: {text}"))
    }

    /// What `ip -d link show` knows of one interface; `None` if there is no such interface.
    pub fn link(&self, device: &str) -> Result<Option<Value>> {
        let links = self.ip_json("-d link show")?;
        let found = links.as_array().into_iter().flatten().find(|link| link["ifname"] == device);
        Ok(found.cloned())
    }

    /// Whether an interface exists and has the flag, for example `LOWER_UP`.
    pub fn has_flag(&self, device: &str, flag: &str) -> Result<bool> {
        let link = self.link(device)?;
        Ok(link.is_some_and(|link| link["flags"].as_array().into_iter().flatten().any(|f| f == flag)))
    }

    /// The hardware address of an interface.
    pub fn mac(&self, device: &str) -> Result<[u8; 6]> {
        let link = self.link(device)?.with_context(|| format!("no interface {device} in {}", self.name))?;
        parse_mac(link["address"].as_str().unwrap_or_default())
    }

    /// Calls `f` on a thread of its own inside the namespace. Sockets that it opens stay inside for good.
    pub fn enter<T: Send>(&self, f: impl FnOnce() -> T + Send) -> T {
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                move_into_link_name_space(self.net.as_fd(), Some(LinkNameSpaceType::Network))
                    .expect("a namespace that we made can be entered");
                f()
            });
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A UDP socket inside, bound to `address` and any free port.
    pub fn udp(&self, address: IpAddr) -> Result<UdpSocket> {
        self.enter(|| UdpSocket::bind((address, 0)))
            .with_context(|| format!("cannot bind a UDP socket to {address} in namespace {}", self.name))
    }

    /// Writes a file under `/proc/sys/net` of this namespace.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = format!("/proc/sys/net/{key}");
        self.enter(|| std::fs::write(&path, value)).with_context(|| format!("cannot write {value} to {path}"))
    }

    /// Frames received and sent by each interface since it exists: `(name, received, sent)`.
    pub fn frame_counters(&self) -> Result<Vec<(String, u64, u64)>> {
        let text = self.enter(|| std::fs::read_to_string("/proc/thread-self/net/dev"))?;
        Ok(text.lines().skip(2).filter_map(parse_counters).collect())
    }

    fn take_index(&self) -> u32 {
        self.next_index.fetch_add(1, Ordering::Relaxed)
    }
}

/// Joins two interfaces with a new veth pair and sets both up. The ends get different interface numbers: with equal
/// ones the kernel takes either for its own lower device and reports carrier up to a second late.
pub fn cable(a: End<'_>, b: End<'_>) -> Result<()> {
    let a_index = a.0.take_index();
    let mut b_index = b.0.take_index();
    if a_index == b_index {
        b_index = b.0.take_index();
    }
    let (a_name, b_name, b_net) = (a.1, b.1, b.0.path());
    a.0.ip(&format!(
        "link add {a_name} index {a_index} type veth peer name {b_name} index {b_index} netns {b_net}"
    ))?;
    a.0.ip(&format!("link set {a_name} up"))?;
    b.0.ip(&format!("link set {b_name} up"))
}

fn new_net() -> Result<OwnedFd> {
    // SAFETY: this thread does nothing else and ends at once; only its own network namespace changes, and no open file
    // or memory is unshared.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
        .context("cannot make a network namespace")?;
    Ok(std::fs::File::open("/proc/thread-self/ns/net")?.into())
}

/// `aa:bb:cc:dd:ee:ff` as octets.
pub fn parse_mac(text: &str) -> Result<[u8; 6]> {
    let octets: Option<Vec<u8>> = text.split(':').map(|part| u8::from_str_radix(part, 16).ok()).collect();
    octets
        .and_then(|octets| octets.try_into().ok())
        .with_context(|| format!("`{text}` is no hardware address"))
}

/// Octets as `aa:bb:cc:dd:ee:ff`.
pub fn format_mac(mac: [u8; 6]) -> String {
    mac.map(|octet| format!("{octet:02x}")).join(":")
}

fn parse_counters(line: &str) -> Option<(String, u64, u64)> {
    let (name, numbers) = line.split_once(':')?;
    let numbers: Vec<u64> = numbers.split_whitespace().filter_map(|number| number.parse().ok()).collect();
    Some((name.trim().to_owned(), *numbers.get(1)?, *numbers.get(9)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_are_the_packet_columns() {
        let line = "    u1:  1000      10    0    0    0     0          0         0     2000      20    0    0    0     0       0          0";
        assert_eq!(parse_counters(line), Some(("u1".to_owned(), 10, 20)));
    }

    #[test]
    fn addresses_survive_a_round_trip() {
        assert_eq!(format_mac(parse_mac("02:00:0a:ff:10:01").unwrap()), "02:00:0a:ff:10:01");
        assert!(parse_mac("02:00:0a:ff:10").is_err());
        assert!(parse_mac("02:00:0a:ff:10:zz").is_err());
    }
}
