//! balance-tlb with a plain Linux bridge as the upstream switch, which knows of no group: by both executors.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration::capture::Capture;
use integration::fastpath::left_to_workers;
use integration::fdb_watch::FdbWatch;
use integration::netns::format_mac;
use integration::packets::BROADCAST;
use integration::probe::{Endpoint, Probe};
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::{by_both, reaches, setting, switch_turn};
use integration::topology::{REMOTE, Topology, Upstream, ipv4, ipv6};
use integration::wire;

const DEADLINE: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_millis(300);
/// As long as a former active member may receive.
const GRACE: Duration = Duration::from_millis(1100);
const MS: Duration = Duration::from_millis(1);
const ARP: [u8; 2] = [0x08, 0x06];
/// Most datagrams that a pulled cable may cost a flow.
const PULL_LIMIT: u64 = 25;

struct Lab {
    topology: Topology,
    switch: Vswitch,
}

/// Four guests: the layer2 hash sends IPv4 of two to the remote host by one member, and of two by the other; IPv6 the other
/// way round.
const fn guest(i: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, i]
}

impl Lab {
    fn new(fastpath: bool, options: &str) -> Result<Self> {
        let topology = Topology::new(4, 2, Upstream::LinuxBridge)?;
        let switch =
            if fastpath { Vswitch::start_fast(&topology.host)? } else { Vswitch::start(&topology.host)? };
        let mode = if fastpath { "auto" } else { "off" };
        switch.vsctl(&format!("add-br {BRIDGE} -- set bridge {BRIDGE} fastpath={mode}"))?;
        // A tag is put on by the port, or is none.
        let tag = if fastpath { "tag=10" } else { "" };
        (1..=4).try_for_each(|i| switch.vsctl(&format!("add-port {BRIDGE} g{i} {tag}")).map(drop))?;
        switch.vsctl(&format!("add-bond {BRIDGE} {BOND} u1 u2 {tag} bond_mode=balance-tlb {options}"))?;
        let lab = Self { topology, switch };
        lab.until_shared()?;
        for i in 1..=4 {
            for ip in [ipv4, ipv6] {
                ensure!(
                    reaches(lab.topology.guest(i.into()), ip(REMOTE)),
                    "guest {i} can't reach {}",
                    ip(REMOTE)
                );
                ensure!(reaches(&lab.topology.remote, ip(i)), "{} can't be reached", ip(i));
            }
        }
        std::thread::sleep(GRACE);
        Ok(lab)
    }

    /// Waits until each member has buckets.
    fn until_shared(&self) -> Result<()> {
        eventually("both members have buckets", DEADLINE, || {
            let members = self.switch.bond(BOND)?.members;
            Ok(members.iter().all(|member| member.buckets.is_some_and(|held| held > 0)).then_some(()))
        })
    }

    fn until_active(&self, member: &str) -> Result<()> {
        eventually(&format!("{member} is active"), DEADLINE, || {
            Ok((self.switch.bond(BOND)?.active.as_deref() == Some(member)).then_some(()))
        })
    }

    /// The ports of the upstream switch behind which guests are.
    fn places(&self) -> Result<BTreeSet<String>> {
        let fdb = self.topology.upstream_fdb()?.into_iter();
        let guests: Vec<String> = (1..=4).map(|i| format_mac(guest(i))).collect();
        Ok(fdb.filter(|(mac, _)| guests.contains(mac)).map(|(_, port)| port).collect())
    }

    /// All guests with the remote host, by IPv4 and by IPv6.
    fn pairs(&self) -> Vec<(Endpoint<'_>, Endpoint<'_>)> {
        let pair = |i: u8, ip: std::net::IpAddr, far| {
            ((self.topology.guest(i.into()), ip), (&self.topology.remote, far))
        };
        let both = |i| [pair(i, ipv4(i), ipv4(REMOTE)), pair(i, ipv6(i), ipv6(REMOTE))];
        (1..=4).flat_map(both).collect()
    }

    fn probe(&self) -> Result<Probe> {
        Probe::start(&self.pairs(), MS)
    }

    fn watch(&self) -> Result<FdbWatch> {
        FdbWatch::start(&self.topology.up, self.topology.upstream_fdb()?)
    }

    /// Frames that the ports of the upstream switch have received and sent.
    fn counters(&self) -> Result<[(u64, u64); 2]> {
        let all = self.topology.up.frame_counters()?;
        let of = |port: &str| {
            let found = all.iter().find(|(name, ..)| name == port).context("no such port")?;
            anyhow::Ok((found.1, found.2))
        };
        Ok([of("p1")?, of("p2")?])
    }
}

/// An IPv4 packet of no protocol that anybody knows, from a guest.
fn packet(to: [u8; 6], from: u8) -> Vec<u8> {
    let mut ip = [&[0x45, 0, 0, 60, 0, 0, 0, 0, 64, 253, 0, 0][..], &[10, 0, 0, from, 10, 0, 0, 99]].concat();
    ip.resize(60, from);
    wire::ethernet(to, guest(from), &[], 0x0800, &ip)
}

#[test]
fn load_is_spread_with_members_own_addresses_and_no_address_moves() -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, "")?;
        ensure!(lab.places()? == BTreeSet::from(["p1".to_owned()]), "guests are behind {:?}", lab.places()?);
        let (own, up) = (lab.topology.host.mac("u2")?, &lab.topology.up);
        let arrivals = [Capture::open(up, "p1")?, Capture::open(up, "p2")?];
        let watch = lab.watch()?;
        let before = lab.counters()?;
        let left_before = if fastpath { left_to_workers(&lab.topology.host)? } else { 0 };
        let probe = lab.probe()?;
        std::thread::sleep(QUIET);
        let [by_home, by_other] = [arrivals[0].take()?, arrivals[1].take()?];
        drop(arrivals);
        // Everybody must ask anew for the remote host, and does so by home, as itself.
        let asking = Capture::open(up, "p1")?;
        for i in 1..=4 {
            lab.topology.guest(i).ip("neigh flush all")?;
        }
        let asked = asking.wait_for("an ARP request", DEADLINE, |frame| {
            let bytes = &frame.bytes;
            (bytes[12..14] == ARP && bytes[6..12] == bytes[22..28]).then(|| bytes[6..12].to_vec())
        })?;
        drop(asking);
        ensure!((1..=4).any(|i| asked == guest(i)), "{asked:x?} asks");
        std::thread::sleep(Duration::from_secs(setting("VSWITCH_STEADY_SECONDS", 5) as u64));
        let report = probe.finish()?;
        let after = lab.counters()?;
        ensure!((report.lost(), report.duplicates(), report.reordered()) == (0, 0, 0), "{report:?}");
        if fastpath {
            let left = left_to_workers(&lab.topology.host)? - left_before;
            ensure!(left < 200, "{left} frames were left to workers");
        }
        let sources = |frames: Vec<integration::sys::Frame>| -> BTreeSet<[u8; 6]> {
            frames.iter().map(|frame| frame.bytes[6..12].try_into().expect("six octets")).collect()
        };
        let guests: BTreeSet<_> = (1..=4).map(guest).collect();
        ensure!(by_other.len() > 100 && sources(by_other) == BTreeSet::from([own]), "not all are {own:x?}'s");
        let at_home = sources(by_home);
        ensure!(at_home.is_superset(&guests) && !at_home.contains(&own), "{at_home:x?}");
        let [first, second] = [0, 1].map(|i| (after[i].0 - before[i].0, after[i].1 - before[i].1));
        println!("received and sent by p1: {first:?}, by p2: {second:?}");
        let share = first.0 as f64 / (first.0 + second.0) as f64;
        ensure!((0.4..=0.6).contains(&share), "{share:.2} of the frames by p1: {first:?}, {second:?}");
        ensure!(second.1 < 100, "{} frames came by the member that receives nothing", second.1);
        let moves = watch.moves()?;
        ensure!(moves.is_empty(), "{moves:?}");
        Ok(())
    })
}

/// The switch floods what is for a station that it doesn't know: to the active member, too.
#[test]
fn nobody_gets_a_frame_twice_or_his_own() -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, "")?;
        let topology = &lab.topology;
        let at = (1..=4).map(|i| topology.guest(i)).chain([&topology.remote]);
        let stations: Vec<Capture> =
            at.map(|namespace| Capture::open(namespace, "eth0")).collect::<Result<_>>()?;
        let to = [[2, 0, 0, 0, 9, 9], BROADCAST];
        for (from, station) in (1..=4).zip(&stations) {
            to.iter().try_for_each(|to| station.send(&packet(*to, from)))?;
        }
        std::thread::sleep(QUIET);
        for (at, station) in (1..).zip(&stations) {
            let seen = station.take()?;
            for (to, from) in to.iter().flat_map(|to| (1..=4).map(move |from| (to, from))) {
                let sent = packet(*to, from);
                let same = |frame: &&integration::sys::Frame| {
                    frame.bytes.starts_with(to) && frame.bytes.get(14..sent.len()) == Some(&sent[14..])
                };
                let copies = seen.iter().filter(same).count();
                ensure!(copies == usize::from(from != at), "{copies} copies at {at} from {from} to {to:x?}");
            }
        }
        let own = lab.topology.host.mac("u2")?;
        let fdb = lab.switch.fdb(BRIDGE)?;
        ensure!(fdb.iter().all(|(mac, ..)| *mac != format_mac(own)), "{fdb:?}");
        Ok(())
    })
}

#[test]
fn cables_are_pulled_and_put_back() -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, "")?;
        let watch = lab.watch()?;
        // The active member first; then the other one has become the active one, and what is pulled is only its buckets.
        for (uplink, active, place) in [("u1", "u2", "p2"), ("u1", "u2", "p2"), ("u2", "u1", "p1")] {
            let mut probe = lab.probe()?;
            std::thread::sleep(QUIET);
            probe.mark("pull");
            lab.topology.pull(uplink)?;
            lab.until_active(active)?;
            eventually("the guests are behind the other port", DEADLINE, || {
                Ok((lab.places()? == BTreeSet::from([place.to_owned()])).then_some(()))
            })?;
            std::thread::sleep(QUIET);
            probe.mark("return");
            lab.topology.replug(uplink)?;
            lab.until_shared()?;
            std::thread::sleep(GRACE);
            let report = probe.finish()?;
            for window in &report.windows {
                println!("{uplink} {}: lost {:?}", window.label, window.lost);
                let limit = if window.label == "pull" { PULL_LIMIT } else { 0 };
                ensure!(window.lost.iter().all(|lost| *lost <= limit), "{uplink}: {window:?}");
            }
            ensure!(report.duplicates() == 0, "{uplink}: {report:?}");
        }
        let mut moves = watch.moves()?;
        moves.retain(|(mac, ..)| (1..=4).any(|i| *mac == format_mac(guest(i))));
        // There and back, and not a third time.
        ensure!(moves.len() == 8, "{moves:?}");
        Ok(())
    })
}

#[test]
fn a_change_by_hand_loses_nothing() -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, "primary=u1")?;
        let probe = lab.probe()?;
        std::thread::sleep(QUIET);
        lab.switch.vsctl(&format!("bond/set-active-member {BOND} u2"))?;
        std::thread::sleep(GRACE);
        ensure!(lab.places()? == BTreeSet::from(["p2".to_owned()]));
        lab.switch.vsctl(&format!("bond/set-active-member {BOND} u1"))?;
        std::thread::sleep(GRACE);
        let report = probe.finish()?;
        // A frame may overtake one that left just before by the other member.
        ensure!((report.lost(), report.duplicates()) == (0, 0), "{report:?}");
        ensure!(lab.places()? == BTreeSet::from(["p1".to_owned()]));
        Ok(())
    })
}

/// Two guests that send share a member at first.
#[test]
fn a_flow_moves_by_load_and_no_address_does() -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, "rebalance_interval=1000")?;
        let watch = lab.watch()?;
        let pairs: Vec<_> = lab.pairs().into_iter().step_by(4).collect();
        let probe = Probe::start(&pairs, MS)?;
        let mut before = lab.counters()?;
        eventually("both members carry about the same", Duration::from_secs(15), || {
            std::thread::sleep(Duration::from_secs(1));
            let now = lab.counters()?;
            let [first, second] = [0, 1].map(|i| now[i].0 - before[i].0);
            before = now;
            Ok((first.min(second) * 10 > first.max(second) * 8).then_some(()))
        })?;
        let report = probe.finish()?;
        ensure!((report.lost(), report.duplicates()) == (0, 0), "{report:?}");
        let moves = watch.moves()?;
        ensure!(moves.is_empty(), "{moves:?}");
        let shown = lab.switch.vsctl(&format!("bond/show {BOND}"))?;
        ensure!(shown.contains("active member") && shown.contains("rebalance"), "{shown}");
        Ok(())
    })
}

#[test]
fn what_becomes_of_a_frame_can_be_asked() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new(false, "")?;
    let far = lab.topology.remote.mac("eth0")?;
    let ip: Vec<u8> =
        [&[0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0][..], &[10, 0, 0, 1, 10, 0, 0, 100]].concat();
    let told: Vec<_> = (1..=2)
        .map(|i| {
            let frame = wire::hex(&wire::ethernet(far, guest(i), &[], 0x0800, &ip));
            let trace = lab.switch.vsctl(&format!("trace {BRIDGE} g{i} {frame}"))?;
            let hash = lab.switch.vsctl(&format!("bond/hash {BOND} {frame}"))?;
            let member = if hash.ends_with("member: u1\n") { "u1" } else { "u2" };
            ensure!(
                hash.contains("bucket: ") && trace.contains(&format!("leaves {BOND} by {member} ")),
                "{trace}"
            );
            let own = format!("its source becomes {}", format_mac(lab.topology.host.mac(member)?));
            ensure!(trace.contains(&own) == (member == "u2"), "{trace}");
            Ok(member)
        })
        .collect::<Result<BTreeSet<_>>>()?
        .into_iter()
        .collect();
    ensure!(told == ["u1", "u2"], "{told:?}");
    let arp = wire::hex(&wire::ethernet(far, guest(1), &[], 0x0806, &[0; 28]));
    let hash = lab.switch.vsctl(&format!("bond/hash {BOND} {arp}"))?;
    ensure!(hash.ends_with("(layer2)\nmember: u1\n"), "{hash}");
    let explained = lab.switch.vsctl(&format!("bond/explain {BOND}"))?;
    ensure!(explained.contains("they leave with its own address"), "{explained}");
    Ok(())
}
