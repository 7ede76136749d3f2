//! balance-slb with a plain Linux bridge as the upstream switch, which knows of no group: by both executors.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration::capture::Capture;
use integration::fastpath::left_to_workers;
use integration::fdb_watch::FdbWatch;
use integration::netns::format_mac;
use integration::packets::{self, BROADCAST, Station, settle};
use integration::probe::{Endpoint, Probe};
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::{by_both, reaches, setting};
use integration::topology::{REMOTE, Topology, UPSTREAM, Upstream, ipv4, ipv6};
use integration::wire::{self, announcement};

const DEADLINE: Duration = Duration::from_secs(5);
const QUIET: Duration = Duration::from_millis(300);
/// As long as a former member may receive.
const GRACE: Duration = Duration::from_millis(1100);
const MS: Duration = Duration::from_millis(1);
const GROUP: [u8; 6] = [1, 0, 0x5e, 1, 2, 3];
/// Most datagrams that a pulled cable may cost each of the four flows of a guest whose member it was.
const PULL_LIMIT: u64 = 50;

struct Lab {
    topology: Topology,
    switch: Vswitch,
    /// Where guests and bond are; to the wires it makes no difference.
    vlan: u16,
}

/// The last octets of guests' addresses are 1 to 4, and so are their buckets without a VLAN; in one the VLAN is added bit by
/// bit. Of two members each has two.
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
        let vlan = if fastpath { 10 } else { 0 };
        let tag = if vlan == 0 { String::new() } else { format!("tag={vlan}") };
        (1..=4).try_for_each(|i| switch.vsctl(&format!("add-port {BRIDGE} g{i} {tag}")).map(drop))?;
        switch.vsctl(&format!("add-bond {BRIDGE} {BOND} u1 u2 {tag} bond_mode=balance-slb {options}"))?;
        let lab = Self { topology, switch, vlan };
        lab.until_shared()?;
        for i in 1..=4 {
            for ip in [ipv4, ipv6] {
                let guest = lab.topology.guest(i.into());
                ensure!(reaches(guest, ip(REMOTE)), "guest {i} can't reach {}", ip(REMOTE));
                ensure!(reaches(&lab.topology.remote, ip(i)), "{} can't be reached", ip(i));
            }
        }
        std::thread::sleep(GRACE);
        Ok(lab)
    }

    /// Waits until each member has half of the buckets, or so.
    fn until_shared(&self) -> Result<()> {
        eventually("both members have buckets", DEADLINE, || {
            let members = self.switch.bond(BOND)?.members;
            Ok(members.iter().all(|member| member.buckets.is_some_and(|held| held > 100)).then_some(()))
        })
    }

    /// The port of the upstream switch behind which a guest is.
    fn place(&self, i: u8) -> Result<Option<String>> {
        let fdb = self.topology.upstream_fdb()?;
        Ok(fdb.into_iter().find(|(mac, _)| *mac == format_mac(guest(i))).map(|(_, port)| port))
    }

    /// The guests that are behind a port.
    fn behind(&self, port: &str) -> Result<Vec<u8>> {
        let mut guests = Vec::new();
        for i in 1..=4 {
            if self.place(i)?.context("a guest is not known upstream")? == port {
                guests.push(i);
            }
        }
        Ok(guests)
    }

    /// All guests with the remote host.
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

    /// The moves that were seen, but for those of the bridge's own address, which may be in any bucket.
    fn moves_of_guests(&self, watch: &FdbWatch) -> Result<Vec<(String, String, String)>> {
        let mut moves = watch.moves()?;
        moves.retain(|(mac, ..)| (1..=4).any(|i| *mac == format_mac(guest(i))));
        Ok(moves)
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

#[test]
fn load_is_spread_both_ways_and_the_switch_sees_no_address_move() -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, "")?;
        ensure!((lab.behind("p1")?.len(), lab.behind("p2")?.len()) == (2, 2), "{:?}", lab.behind("p1")?);
        let watch = lab.watch()?;
        let before = lab.counters()?;
        let left_before = if fastpath { left_to_workers(&lab.topology.host)? } else { 0 };
        let probe = lab.probe()?;
        std::thread::sleep(Duration::from_secs(setting("VSWITCH_STEADY_SECONDS", 5) as u64));
        let report = probe.finish()?;
        let after = lab.counters()?;
        ensure!((report.lost(), report.duplicates(), report.reordered()) == (0, 0, 0), "{report:?}");
        if fastpath {
            let left = left_to_workers(&lab.topology.host)? - left_before;
            ensure!(left < 200, "{left} frames were left to workers");
        }
        let [first, second] = [0, 1].map(|i| (after[i].0 - before[i].0, after[i].1 - before[i].1));
        println!("received and sent by p1: {first:?}, by p2: {second:?}");
        for (one, other) in [(first.0, second.0), (first.1, second.1)] {
            let share = one as f64 / (one + other) as f64;
            ensure!((0.4..=0.6).contains(&share), "{share:.2} of the frames by p1: {first:?}, {second:?}");
        }
        let moves = watch.moves()?;
        ensure!(moves.is_empty(), "{moves:?}");
        Ok(())
    })
}

#[test]
fn guests_get_each_frame_once_and_none_of_their_own() -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, "")?;
        let (topology, stranger) = (&lab.topology, [2, 0, 0, 0, 9, 9]);
        let mut remote = Station::new(&topology.remote, "eth0")?;
        let mut guests: Vec<Station> =
            (1..=4).map(|i| Station::new(topology.guest(i), "eth0")).collect::<Result<_>>()?;
        for (what, flooding) in [("a switch that learns", false), ("a switch that floods everything", true)] {
            if flooding {
                for port in ["p1", "p2"] {
                    topology.up.ip(&format!("link set {port} type bridge_slave learning off"))?;
                    topology.up.run(&format!("bridge fdb flush dev {port} master"))?;
                }
                let fdb = topology.upstream_fdb()?;
                ensure!(fdb.iter().all(|(_, port)| port == "r"), "{UPSTREAM} still knows {fdb:?}");
            }
            // 0..: to everybody and to nobody, from beyond and from each guest.
            let to = [BROADCAST, GROUP, stranger];
            let number = |from: usize, kind: usize| (from * 100 + kind) as u32;
            guests.iter_mut().chain([&mut remote]).try_for_each(Station::forget)?;
            for (kind, to) in to.into_iter().enumerate() {
                remote.send_to(to, number(0, kind))?;
                for (i, guest) in guests.iter().enumerate() {
                    guest.send_to(to, number(i + 1, kind))?;
                }
            }
            // And to each guest, some times.
            for i in 0..4 {
                (0..5).try_for_each(|n| remote.send_to(guest(i as u8 + 1), number(10 + i, n)))?;
            }
            settle(&mut guests.iter_mut().chain([&mut remote]).collect::<Vec<_>>(), QUIET)?;
            for kind in 0..to.len() {
                for (i, station) in guests.iter().enumerate() {
                    for from in 0..=4 {
                        let wanted = u32::from(from != i + 1);
                        let copies = station.copies(number(from, kind));
                        ensure!(
                            copies == wanted,
                            "{what}: {copies} copies at guest {} of kind {kind} from {from}",
                            i + 1
                        );
                    }
                }
                for from in 1..=4 {
                    let copies = remote.copies(number(from, kind));
                    ensure!(copies == 1, "{what}: {copies} copies beyond of kind {kind} from {from}");
                }
            }
            for i in 0..4 {
                for (at, station) in guests.iter().enumerate() {
                    let copies = (0..5).map(|n| station.copies(number(10 + i, n)));
                    let wanted = u32::from(at == i);
                    ensure!(
                        copies.clone().all(|copies| copies == wanted),
                        "{what}: {:?} copies at guest {} of frames for guest {}",
                        copies.collect::<Vec<_>>(),
                        at + 1,
                        i + 1
                    );
                }
            }
        }
        for i in 1..=4 {
            let here = (format_mac(guest(i)), lab.vlan, format!("g{i}"));
            ensure!(lab.switch.fdb(BRIDGE)?.contains(&here), "guest {i} is taken for one beyond");
        }
        Ok(())
    })
}

#[test]
fn a_pulled_cable_moves_its_own_guests_and_its_return_loses_nothing() -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, "")?;
        for (uplink, port, other) in [("u1", "p1", "p2"), ("u2", "p2", "p1")] {
            let moving: BTreeSet<u8> = lab.behind(port)?.into_iter().collect();
            ensure!(moving.len() == 2, "{moving:?} behind {port}");
            let macs = |guests: &BTreeSet<u8>| guests.iter().map(|i| guest(*i)).collect::<BTreeSet<_>>();
            let announced = |frames: Vec<integration::sys::Frame>| -> Vec<[u8; 6]> {
                let macs = frames.iter().filter_map(|frame| announcement(frame).map(|told| told.mac()));
                macs.filter(|mac| (1..=4).any(|i| guest(i) == *mac)).collect()
            };
            let listening = [Capture::open(&lab.topology.up, port)?, Capture::open(&lab.topology.up, other)?];
            let watch = lab.watch()?;
            let mut probe = lab.probe()?;
            std::thread::sleep(QUIET);
            probe.mark("pull");
            lab.topology.pull(uplink)?;
            eventually("the guests are behind the other port", DEADLINE, || {
                Ok((lab.behind(other)?.len() == 4).then_some(()))
            })?;
            std::thread::sleep(QUIET);
            let told: BTreeSet<_> = announced(listening[1].take()?).into_iter().collect();
            ensure!(told == macs(&moving), "{told:x?} announced, {moving:?} moved");
            probe.mark("return");
            lab.topology.replug(uplink)?;
            // It takes its share of the buckets, which need not be those that it had.
            let taken = eventually("the member has its share again", DEADLINE, || {
                let taken: BTreeSet<u8> = lab.behind(port)?.into_iter().collect();
                Ok((taken.len() == 2).then_some(taken))
            })?;
            std::thread::sleep(GRACE);
            let told: BTreeSet<_> = announced(listening[0].take()?).into_iter().collect();
            ensure!(told == macs(&taken), "{told:x?} announced, {taken:?} moved");
            let report = probe.finish()?;
            for window in &report.windows {
                println!("{uplink} {}: lost {:?}", window.label, window.lost);
                for (flow, lost) in window.lost.iter().enumerate() {
                    // Each guest has four flows.
                    let moves = moving.contains(&(flow as u8 / 4 + 1));
                    let limit = if moves && window.label == "pull" { PULL_LIMIT } else { 0 };
                    ensure!(*lost <= limit, "flow {flow}: {window:?}");
                }
            }
            ensure!(report.duplicates() == 0, "{report:?}");
            let mut moves = lab.moves_of_guests(&watch)?;
            moves.sort();
            let there = |i: &u8| (format_mac(guest(*i)), port.to_owned(), other.to_owned());
            let back = |i: &u8| (format_mac(guest(*i)), other.to_owned(), port.to_owned());
            let mut expected: Vec<_> = moving.iter().map(there).chain(taken.iter().map(back)).collect();
            expected.sort();
            ensure!(moves == expected, "{moves:?}");
        }
        Ok(())
    })
}

#[test]
fn a_bucket_moved_by_hand_is_announced_once_and_stays_after_a_restart() -> Result<()> {
    by_both(|fastpath| {
        let mut lab = Lab::new(fastpath, "rebalance_interval=0")?;
        let from = lab.place(1)?.context("guest 1 is not known")?;
        let (to, uplink) = if from == "p1" { ("p2", "u2") } else { ("p1", "u1") };
        let listening = Capture::open(&lab.topology.up, to)?;
        let watch = lab.watch()?;
        let probe = lab.probe()?;
        std::thread::sleep(QUIET);
        listening.take()?;
        let migrate = format!("bond/migrate {BOND} {} {uplink}", 1 ^ lab.vlan);
        let goes_by = |uplink: &str| -> Result<()> {
            let frame = wire::hex(&packets::frame(BROADCAST, guest(1), None, 0));
            let said = lab.switch.vsctl(&format!("bond/hash {BOND} {frame}"))?;
            let bucket = format!(" (slb)\nbucket: {}\nmember: {uplink}\n", 1 ^ lab.vlan);
            ensure!(said.ends_with(&bucket), "{said}");
            Ok(())
        };
        goes_by(if uplink == "u1" { "u2" } else { "u1" })?;
        ensure!(lab.switch.vsctl(&migrate)? == "migrated\n");
        goes_by(uplink)?;
        std::thread::sleep(GRACE);
        let report = probe.finish()?;
        // A frame may overtake one that left just before by the other member.
        ensure!((report.lost(), report.duplicates()) == (0, 0), "{report:?}");
        let told: Vec<_> = listening.take()?.iter().filter_map(announcement).collect();
        let once: BTreeSet<_> = told.iter().copied().collect();
        ensure!(!told.is_empty() && once.len() == told.len(), "{told:x?}");
        let own = lab.topology.host.mac(BRIDGE)?;
        ensure!(
            own[5] ^ own[2] == 1 || told.iter().all(|told| told.mac() == guest(1)),
            "others too: {told:x?}"
        );
        let moves = lab.moves_of_guests(&watch)?;
        ensure!(moves == [(format_mac(guest(1)), from, to.to_owned())], "{moves:?}");

        lab.switch.kill()?;
        lab.switch.launch()?;
        lab.until_shared()?;
        ensure!(lab.switch.vsctl(&migrate)? == "no change\n", "the bucket is where it was at first");
        for i in 1..=4 {
            ensure!(reaches(lab.topology.guest(i), ipv4(REMOTE)), "guest {i} after the restart");
        }
        ensure!(lab.place(1)?.as_deref() == Some(to));
        Ok(())
    })
}

#[test]
fn the_mode_is_changed_under_traffic_and_nothing_is_lost() -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, "")?;
        let probe = lab.probe()?;
        for _ in 0..3 {
            lab.switch.vsctl(&format!("set port {BOND} bond_mode=active-backup"))?;
            std::thread::sleep(GRACE);
            lab.switch.vsctl(&format!("set port {BOND} bond_mode=balance-slb"))?;
            std::thread::sleep(GRACE);
            ensure!(lab.behind("p1")?.len() == 2, "{:?}", lab.behind("p1")?);
        }
        let report = probe.finish()?;
        ensure!((report.lost(), report.duplicates()) == (0, 0), "{report:?}");
        Ok(())
    })
}

/// Of four guests the two that send much share a member at first.
#[test]
fn a_busy_members_guest_moves_by_load_and_loses_nothing() -> Result<()> {
    by_both(|fastpath| {
        let lab = Lab::new(fastpath, "rebalance_interval=1000")?;
        let busy = lab.behind("p1")?;
        ensure!(busy.len() == 2, "{busy:?}");
        let watch = lab.watch()?;
        let pairs: Vec<_> = lab.pairs().into_iter().enumerate().collect();
        let pairs: Vec<_> = pairs
            .into_iter()
            .filter(|(n, _)| busy.contains(&(*n as u8 / 2 + 1)))
            .map(|(_, pair)| pair)
            .collect();
        let probe = Probe::start(&pairs, MS)?;
        eventually("one of the two has moved", Duration::from_secs(15), || {
            let mut behind = Vec::new();
            for i in &busy {
                behind.extend(lab.place(*i)?);
            }
            Ok((behind.contains(&"p1".to_owned()) && behind.contains(&"p2".to_owned())).then_some(()))
        })?;
        std::thread::sleep(Duration::from_secs(4));
        let report = probe.finish()?;
        // A frame may overtake one that left just before by the other member.
        ensure!((report.lost(), report.duplicates()) == (0, 0), "{report:?}");
        let moves = watch.moves()?;
        let of_busy = moves.iter().filter(|(mac, ..)| busy.iter().any(|i| *mac == format_mac(guest(*i))));
        ensure!(of_busy.count() == 1, "to and fro: {moves:?}");
        Ok(())
    })
}
