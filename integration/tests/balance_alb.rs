//! balance-alb for guests, with a plain Linux bridge as the upstream switch and eight hosts beyond it: by both executors.
//!
//! The hosts send to the guests by the address that they have in their neighbour tables, and that is the MAC of the member
//! that the switch has given them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration::capture::Capture;
use integration::fdb_watch::FdbWatch;
use integration::netns::{Namespace, format_mac};
use integration::probe::Probe;
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::tcp::{Stream, bad_checksums};
use integration::testing::{by_both, reaches, setting};
use integration::topology::{HOST, Topology, Upstream, ipv4, ipv6};
use integration::wire::{arp_request, gratuitous_arp};
use serde_json::Value;

const HOSTS: u8 = 8;
const DEADLINE: Duration = Duration::from_secs(10);
/// For how long the streams run between two looks at the counters.
const MEASURED: Duration = Duration::from_secs(3);
/// In which the hosts have learned that a member is gone, or is back.
const CORRECTED: Duration = Duration::from_secs(1);
const MS: Duration = Duration::from_millis(1);
/// Of each stream, in octets a second: all together far less than what a busy machine carries.
const RATE: u32 = 400_000;
/// The last octet of an address that moves.
const SHARED: u8 = 77;
/// The second guest.
const GUEST_2: [u8; 6] = [2, 0, 0, 0, 0, 2];
/// Most datagrams that a pulled cable may cost each flow of 1 ms. The hosts go on sending to the lost member's address, which
/// comes by the other as soon as that has told the switch.
const PULL_LIMIT: u64 = 60;

/// An address of a family by its last octet.
type Family = fn(u8) -> IpAddr;

struct Lab {
    topology: Topology,
    hosts: Vec<Namespace>,
    switch: Vswitch,
}

/// The octet of a host's address.
const fn octet(host: usize) -> u8 {
    101 + host as u8
}

fn member_mac(uplink: u8) -> String {
    format_mac([2, 0, 0, 0, 2, uplink])
}

impl Lab {
    fn new(fastpath: bool, guests: usize) -> Result<Self> {
        Self::wire(fastpath, guests, Upstream::LinuxBridge)
    }

    fn wire(fastpath: bool, guests: usize, upstream: Upstream) -> Result<Self> {
        let topology = Topology::new(guests, 2, upstream)?;
        let mut hosts = Vec::new();
        for host in 0..usize::from(HOSTS) {
            let namespace = Namespace::new(&format!("far{host}"))?;
            topology.plug_host(&namespace, octet(host))?;
            hosts.push(namespace);
        }
        let switch =
            if fastpath { Vswitch::start_fast(&topology.host)? } else { Vswitch::start(&topology.host)? };
        let mode = if fastpath { "auto" } else { "off" };
        switch.vsctl(&format!("add-br {BRIDGE} -- set bridge {BRIDGE} fastpath={mode}"))?;
        (1..=guests).try_for_each(|i| switch.vsctl(&format!("add-port {BRIDGE} g{i}")).map(drop))?;
        switch.vsctl(&format!("add-bond {BRIDGE} {BOND} u1 u2 mode=balance-alb"))?;
        let lab = Self { topology, hosts, switch };
        eventually("both members are up", DEADLINE, || {
            let members = lab.switch.bond(BOND)?.members;
            Ok(members.iter().all(|member| member.buckets.is_some_and(|held| held > 100)).then_some(()))
        })?;
        Ok(lab)
    }

    /// Each guest has met each host.
    fn meet(&self, family: Family) -> Result<()> {
        for (host, namespace) in self.hosts.iter().enumerate() {
            for guest in 1..=self.topology.guests.len() {
                let (here, there) = (family(guest as u8), family(octet(host)));
                ensure!(reaches(self.topology.guest(guest), there), "guest {guest} can't reach {there}");
                ensure!(reaches(namespace, here), "{here} can't be reached from host {host}");
            }
        }
        Ok(())
    }

    /// The address that a host has for a guest.
    fn told(&self, host: usize, ip: IpAddr) -> Result<Option<String>> {
        let neighbours = self.hosts[host].ip_json(&format!("neigh show to {ip} dev eth0"))?;
        let address =
            neighbours.as_array().and_then(|all| all.first()).and_then(|one| one["lladdr"].as_str());
        Ok(address.map(str::to_owned))
    }

    /// Who of the hosts has which address for which guest.
    fn tables(&self, family: Family) -> Result<BTreeMap<(usize, u8), String>> {
        let mut tables = BTreeMap::new();
        for host in 0..self.hosts.len() {
            for guest in 1..=self.topology.guests.len() as u8 {
                let told = self.told(host, family(guest))?;
                tables.insert(
                    (host, guest),
                    told.with_context(|| format!("host {host} doesn't know guest {guest}"))?,
                );
            }
        }
        Ok(tables)
    }

    /// Waits until the hosts have half of the pairs at each member, or so.
    fn until_shared(&self, family: Family, deadline: Duration) -> Result<()> {
        eventually("the hosts' tables hold both members' addresses alike", deadline, || {
            let tables = self.tables(family)?;
            let by = |uplink| tables.values().filter(|mac| **mac == member_mac(uplink)).count();
            let (first, second) = (by(1), by(2));
            Ok((first + second == tables.len() && first.abs_diff(second) <= tables.len() / 4).then_some(()))
        })
        .with_context(|| format!("{:?}", self.tables(family)))
    }

    /// Streams both ways between each guest and each host.
    fn streams(&self, family: Family) -> Result<Vec<Stream>> {
        let mut streams = Vec::new();
        for guest in 1..=self.topology.guests.len() {
            for (host, namespace) in self.hosts.iter().enumerate() {
                let here = (self.topology.guest(guest), family(guest as u8));
                let there = (namespace, family(octet(host)));
                streams.push(Stream::start(here, there, Some(RATE))?);
                streams.push(Stream::start(there, here, Some(RATE))?);
            }
        }
        Ok(streams)
    }

    /// Octets that the upstream ports of both members have received and sent.
    fn octets(&self) -> Result<[(u64, u64); 2]> {
        let of = |port: &str| {
            let link = self.topology.up.ip_json(&format!("-s link show dev {port}"))?;
            let stats = &link[0]["stats64"];
            let count = |way: &str| stats[way]["bytes"].as_u64().context("no counter");
            anyhow::Ok((count("rx")?, count("tx")?))
        };
        Ok([of("p1")?, of("p2")?])
    }

    /// What `bond/show` says of receiving.
    fn receive(&self) -> Result<Value> {
        let shown = self.switch.json(&format!("bond/show {BOND}"))?;
        let receive = &shown[BOND]["receive"];
        ensure!(receive.is_object(), "nothing is said of receiving: {shown}");
        Ok(receive.clone())
    }

    fn watch(&self) -> Result<FdbWatch> {
        FdbWatch::start(&self.topology.up, self.topology.upstream_fdb()?)
    }
}

/// Every stream goes on.
fn all_live(streams: &[Stream]) -> Result<()> {
    let before: Vec<u64> = streams.iter().map(Stream::received).collect();
    let still = || {
        streams.iter().zip(&before).enumerate().filter(|(_, (stream, before))| stream.received() <= **before)
    };
    eventually("every stream goes on", DEADLINE, || Ok(still().next().is_none().then_some(())))
        .with_context(|| format!("standing still: {:?}", still().map(|(n, _)| n).collect::<Vec<_>>()))?;
    ensure!(streams.iter().all(Stream::alive), "a stream broke off");
    Ok(())
}

/// Two guests and eight hosts: what each sends and receives is spread, a pulled cable ends no session.
fn spread_and_failover(family: Family) -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, 2)?;
        lab.meet(family)?;
        lab.until_shared(family, DEADLINE)?;
        let streams = lab.streams(family)?;
        all_live(&streams)?;
        let watch = lab.watch()?;

        let shares = || -> Result<[f64; 2]> {
            let before = lab.octets()?;
            std::thread::sleep(MEASURED);
            let after = lab.octets()?;
            let [first, second] = [0, 1].map(|i| (after[i].0 - before[i].0, after[i].1 - before[i].1));
            let share = |one: u64, other: u64| one as f64 / (one + other) as f64;
            let shares = [share(first.0, second.0), share(first.1, second.1)];
            println!(
                "shares of the first member: {:.2} of what is sent, {:.2} of what is received",
                shares[0], shares[1]
            );
            Ok(shares)
        };
        let fair = |shares: &[f64; 2]| shares.iter().all(|share| (0.4..=0.6).contains(share));
        let found =
            eventually("both ways are spread", Duration::from_secs(30), || Ok(Some(shares()?).filter(fair)))?;
        println!(
            "share of the first member: {:.2} of what guests send, {:.2} of what they receive",
            found[0], found[1]
        );
        let moves = watch.moves()?;
        ensure!(moves.is_empty(), "the upstream switch saw addresses move: {moves:?}");

        for uplink in [1, 2] {
            let name = format!("u{uplink}");
            lab.topology.pull(&name)?;
            let pulled = Instant::now();
            let gone = member_mac(uplink);
            eventually("no host sends to the lost member", CORRECTED, || {
                let tables = lab.tables(family)?;
                Ok(tables.values().all(|mac| *mac != gone).then_some(()))
            })
            .with_context(|| format!("{name}: {:?}", lab.tables(family)))?;
            println!("{name} pulled: the last host was told after {} ms", pulled.elapsed().as_millis());
            all_live(&streams)?;
            lab.topology.replug(&name)?;
            lab.until_shared(family, DEADLINE)?;
            all_live(&streams)?;
        }
        for guest in 1..=2 {
            ensure!(bad_checksums(lab.topology.guest(guest))? == 0, "guest {guest} received bad checksums");
        }
        Ok(())
    })
}

#[test]
fn ipv4_is_spread_both_ways_and_sessions_outlive_a_pulled_cable() -> Result<()> {
    spread_and_failover(ipv4)
}

#[test]
fn ipv6_is_spread_both_ways_and_sessions_outlive_a_pulled_cable() -> Result<()> {
    spread_and_failover(ipv6)
}

#[test]
fn datagrams_of_a_millisecond_meet_no_duplicate_and_few_losses() -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, 2)?;
        for family in [ipv4 as Family, ipv6] {
            lab.meet(family)?;
            lab.until_shared(family, DEADLINE)?;
        }
        let mut pairs = Vec::new();
        for (host, namespace) in lab.hosts.iter().enumerate() {
            let guest = host % 2 + 1;
            for family in [ipv4 as Family, ipv6] {
                pairs.push((
                    (lab.topology.guest(guest), family(guest as u8)),
                    (namespace, family(octet(host))),
                ));
            }
        }
        let watch = lab.watch()?;
        let steady = Probe::start(&pairs, MS)?;
        std::thread::sleep(Duration::from_secs(setting("VSWITCH_STEADY_SECONDS", 5) as u64));
        let report = steady.finish()?;
        ensure!((report.lost(), report.duplicates()) == (0, 0), "steady: {report:?}");
        let moves = watch.moves()?;
        ensure!(moves.is_empty(), "the upstream switch saw addresses move: {moves:?}");
        for uplink in ["u2", "u1"] {
            let mut probe = Probe::start(&pairs, MS)?;
            std::thread::sleep(Duration::from_millis(300));
            probe.mark("pull");
            lab.topology.pull(uplink)?;
            std::thread::sleep(Duration::from_millis(1500));
            probe.mark("return");
            lab.topology.replug(uplink)?;
            lab.until_shared(ipv4, DEADLINE)?;
            lab.until_shared(ipv6, DEADLINE)?;
            std::thread::sleep(Duration::from_millis(500));
            let report = probe.finish()?;
            for window in &report.windows {
                println!("{uplink} {}: lost {} in {} flows", window.label, window.total(), window.lost.len());
                let limit = if window.label == "pull" { PULL_LIMIT } else { 0 };
                ensure!(window.lost.iter().all(|lost| *lost <= limit), "{uplink}: {window:?}");
            }
            ensure!(report.duplicates() == 0, "{uplink}: {report:?}");
        }
        Ok(())
    })
}

#[test]
fn the_host_itself_is_a_guest() -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, 1)?;
        let host = &lab.topology.host;
        host.ip(&format!("addr add {}/24 dev {BRIDGE}", ipv4(HOST)))?;
        host.ip(&format!("link set {BRIDGE} up"))?;
        for (n, namespace) in lab.hosts.iter().enumerate() {
            ensure!(reaches(host, ipv4(octet(n))) && reaches(namespace, ipv4(HOST)), "host {n}");
        }
        let own = format_mac(host.mac(BRIDGE)?);
        eventually("the hosts' tables hold both members' addresses", DEADLINE, || {
            let mut told = BTreeSet::new();
            for n in 0..lab.hosts.len() {
                told.extend(lab.told(n, ipv4(HOST))?);
            }
            told.remove(&own);
            Ok((told == BTreeSet::from([member_mac(1), member_mac(2)])).then_some(()))
        })?;
        for (n, namespace) in lab.hosts.iter().enumerate() {
            ensure!(reaches(namespace, ipv4(HOST)), "host {n} can't reach the host by a member's address");
        }
        Ok(())
    })
}

/// The upstream switch is another of ours, since it must know VLANs: the hosts are in VLAN 10 there, as guest 2 is here.
#[test]
fn a_guest_in_a_vlan_is_spread_too() -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::wire(fastpath, 2, Upstream::Bare)?;
        lab.switch.vsctl("set port g2 tag=10")?;
        let upstream = Vswitch::start(&lab.topology.up)?;
        upstream.vsctl("add-br sw -- add-port sw p1 -- add-port sw p2")?;
        for host in 0..lab.hosts.len() {
            upstream.vsctl(&format!("add-port sw r{} tag=10", octet(host)))?;
        }
        let guest = lab.topology.guest(2);
        for (n, namespace) in lab.hosts.iter().enumerate() {
            let (there, here) = (ipv4(octet(n)), ipv4(2));
            eventually("the guest reaches all hosts", DEADLINE, || Ok(reaches(guest, there).then_some(())))?;
            ensure!(reaches(namespace, here), "host {n}");
        }
        eventually("both members' addresses in VLAN 10", DEADLINE, || {
            let mut members = BTreeMap::<_, usize>::new();
            for n in 0..lab.hosts.len() {
                *members.entry(lab.told(n, ipv4(2))?).or_default() += 1;
            }
            let of = |uplink| members.get(&Some(member_mac(uplink))).copied().unwrap_or_default();
            Ok((of(1) + of(2) == lab.hosts.len() && of(1).abs_diff(of(2)) <= 2).then_some(()))
        })?;
        let streams: Vec<_> = (lab.hosts.iter().enumerate())
            .map(|(n, namespace)| Stream::start((namespace, ipv4(octet(n))), (guest, ipv4(2)), Some(RATE)))
            .collect::<Result<_>>()?;
        all_live(&streams)?;
        lab.topology.pull("u2")?;
        eventually("no host sends to the lost member", CORRECTED, || {
            let mut left = 0;
            for n in 0..lab.hosts.len() {
                left += usize::from(lab.told(n, ipv4(2))? == Some(member_mac(2)));
            }
            Ok((left == 0).then_some(()))
        })?;
        all_live(&streams)
    })
}

#[test]
fn no_guest_takes_anothers_address() -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, 2)?;
        lab.meet(ipv4)?;
        lab.until_shared(ipv4, DEADLINE)?;
        // Guest 2 says that it is guest 1, again and again.
        let thief = lab.topology.guest(2);
        thief.sysctl("ipv4/ip_nonlocal_bind", "1")?;
        let stream =
            Stream::start((&lab.hosts[1], ipv4(octet(1))), (lab.topology.guest(1), ipv4(1)), Some(RATE))?;
        let by = Capture::open(thief, "eth0")?;
        let (IpAddr::V4(stolen), IpAddr::V4(other)) = (ipv4(1), ipv4(octet(0))) else { unreachable!() };
        for _ in 0..20 {
            by.send(&arp_request((GUEST_2, stolen), other))?;
            std::thread::sleep(Duration::from_millis(20));
        }
        all_live(std::slice::from_ref(&stream))?;
        ensure!(
            lab.receive()?["refused"].as_u64() >= Some(20),
            "refused claims are not told: {}",
            lab.receive()?
        );
        // Nor later, when the first one has been asked whether it still has it.
        std::thread::sleep(Duration::from_millis(1500));
        by.send(&arp_request((GUEST_2, stolen), other))?;
        all_live(std::slice::from_ref(&stream))
    })
}

/// An address moves between two stations (VRRP, say). Hosts end with a member's address for it, or with the new one's own.
fn passed_on(to: impl Fn(&Lab) -> &Namespace, by_member: bool) -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, 2)?;
        let hosts = &lab.hosts[1..];
        let first = lab.topology.guest(1);
        first.ip(&format!("addr add {}/24 dev eth0", ipv4(SHARED)))?;
        ensure!(hosts.iter().all(|host| reaches(host, ipv4(SHARED))), "a host can't reach the address");
        let told = || -> Result<Vec<String>> {
            let each = (1..lab.hosts.len()).map(|host| lab.told(host, ipv4(SHARED)));
            each.map(|told| told?.context("a host knows nobody")).collect()
        };
        let is_member = |mac: &String| [1, 2].map(member_mac).contains(mac);
        eventually("the hosts have members' addresses", DEADLINE, || {
            Ok(told()?.iter().all(is_member).then_some(()))
        })?;

        let heir = to(&lab);
        first.ip(&format!("addr del {}/24 dev eth0", ipv4(SHARED)))?;
        heir.ip(&format!("addr add {}/24 dev eth0", ipv4(SHARED)))?;
        let mac = heir.mac("eth0")?;
        let IpAddr::V4(shared) = ipv4(SHARED) else { unreachable!() };
        Capture::open(heir, "eth0")?.send(&gratuitous_arp(mac, shared))?;
        let is_right = |told: &String| if by_member { is_member(told) } else { *told == format_mac(mac) };
        let reached = || {
            let all = hosts.iter().all(|host| reaches(host, ipv4(SHARED))) && told()?.iter().all(is_right);
            Ok(all.then_some(()))
        };
        eventually("the hosts follow", DEADLINE, reached).with_context(|| format!("{:?}", told()))?;
        // The first one has had its second to object. Now all that know a guest by this member are told another.
        std::thread::sleep(Duration::from_millis(1500));
        lab.topology.pull("u2")?;
        eventually("no host sends to the lost member", DEADLINE, || {
            Ok(told()?.iter().all(|mac| *mac != member_mac(2)).then_some(()))
        })?;
        eventually("the hosts reach it by the other member", DEADLINE, reached)
            .with_context(|| format!("{:?}", told()))?;
        std::thread::sleep(Duration::from_millis(1500));
        ensure!(told()?.iter().all(is_right), "a host was told of the first one again: {:?}", told()?);
        Ok(())
    })
}

#[test]
fn an_address_passed_to_another_guest_is_followed() -> Result<()> {
    passed_on(|lab| lab.topology.guest(2), true)
}

#[test]
fn an_address_passed_to_a_host_beyond_is_let_go() -> Result<()> {
    passed_on(|lab| &lab.hosts[0], false)
}

/// A guest has the address of a member: nobody is told to send to that one.
#[test]
fn a_members_address_that_a_guest_has_is_not_used() -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, 1)?;
        let guest = lab.topology.guest(1);
        guest.ip(&format!("link set eth0 address {}", member_mac(2)))?;
        eventually("the conflict is told", DEADLINE, || {
            reaches(guest, ipv4(octet(0)));
            let shown = lab.switch.vsctl(&format!("bond/explain {BOND}"))?;
            Ok(shown.contains("u2 has the same address as a guest on g1").then_some(()))
        })?;
        for (n, host) in lab.hosts.iter().enumerate() {
            ensure!(reaches(host, ipv4(1)) && reaches(guest, ipv4(octet(n))), "host {n}");
        }
        let receive = lab.receive()?;
        let members = receive["members"].as_array().context("no members")?;
        let told: Vec<_> = members.iter().map(|of| &of["member"]).collect();
        ensure!(told == ["u1"], "hosts are told to send to {told:?}");
        Ok(())
    })
}

/// By the kernel all goes on while there is no daemon. The next one knows the guests, so that hosts which have a member's
/// address for them reach them at once.
#[test]
fn a_killed_daemon_is_followed_by_one_that_knows_the_guests() -> Result<()> {
    by_both(|fastpath| {
        let mut lab = Lab::new(fastpath, 2)?;
        for family in [ipv4 as Family, ipv6] {
            lab.meet(family)?;
            lab.until_shared(family, DEADLINE)?;
        }
        let streams = lab.streams(ipv4)?;
        all_live(&streams)?;
        lab.switch.kill()?;
        if fastpath {
            std::thread::sleep(Duration::from_secs(3));
            all_live(&streams)?;
        }
        lab.switch.launch()?;
        all_live(&streams)?;
        let bond = lab.switch.json(&format!("bond/show {BOND}"))?;
        let guests = &bond[BOND]["receive"]["guests"];
        ensure!(guests.as_u64() >= Some(4), "{guests} addresses are known");
        for (n, namespace) in lab.hosts.iter().enumerate() {
            for family in [ipv4 as Family, ipv6] {
                let told = lab.told(n, family(1))?;
                ensure!(
                    [1, 2].map(|uplink| Some(member_mac(uplink))).contains(&told),
                    "host {n} has {told:?}"
                );
                ensure!(reaches(namespace, family(1)), "host {n} doesn't reach {}", family(1));
            }
        }
        Ok(())
    })
}
