//! An upstream switch that knows nothing of the bond holds both uplinks and floods to both. Every frame must still
//! arrive exactly once, nothing may come back to its sender, and nobody may be learned in a wrong place.

use std::time::Duration;

use anyhow::{Context as _, Result};
use integration::netns::format_mac;
use integration::packets::{BROADCAST, Station, settle};
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Switch as _, Vswitch};
use integration::testing::{lab, switch_turn};
use integration::topology::Topology;
use serde_json::Value;

const GUESTS: usize = 3;
const ROUNDS: u32 = 100;
const QUIET: Duration = Duration::from_millis(200);
/// A group address that is not reserved, and a station that nobody has.
const GROUP: [u8; 6] = [0x01, 0, 0x5e, 1, 2, 3];
const STRANGER: [u8; 6] = [0x02, 0, 0, 0, 0, 0x99];

struct Stations(Vec<Station>);

impl Stations {
    /// Guests, then the remote host. Each has been heard once.
    fn new(topology: &Topology) -> Result<Self> {
        let namespaces = topology.guests.iter().chain([&topology.remote]);
        let mut stations = Self(namespaces.map(|n| Station::new(n, "eth0")).collect::<Result<_>>()?);
        stations.introduce()?;
        Ok(stations)
    }

    fn introduce(&mut self) -> Result<()> {
        for station in &self.0 {
            station.send_to(BROADCAST, u32::MAX)?;
        }
        self.settle()?;
        self.0.iter_mut().try_for_each(Station::forget)
    }

    fn settle(&mut self) -> Result<()> {
        settle(&mut self.0.iter_mut().collect::<Vec<_>>(), QUIET)
    }

    /// Sends `ROUNDS` frames from one station and checks how many copies each of the others got.
    fn check(&mut self, what: &str, from: usize, to: [u8; 6], expected: &dyn Fn(usize) -> u32) -> Result<()> {
        self.0.iter_mut().try_for_each(Station::forget)?;
        for number in 0..ROUNDS {
            self.0[from].send_to(to, number)?;
            if number % 20 == 19 {
                self.0.iter_mut().try_for_each(Station::collect)?;
            }
        }
        self.settle()?;
        for (i, station) in self.0.iter().enumerate() {
            for number in 0..ROUNDS {
                assert_eq!(
                    station.copies(number),
                    expected(i),
                    "{what}: frame {number} from {} at {}",
                    self.0[from].name(),
                    station.name()
                );
            }
        }
        Ok(())
    }

    fn check_everything(&mut self) -> Result<()> {
        for from in 0..self.0.len() {
            for (what, to) in [("broadcast", BROADCAST), ("multicast", GROUP), ("unknown unicast", STRANGER)]
            {
                self.check(what, from, to, &|i| u32::from(i != from))?;
            }
            for target in (0..self.0.len()).filter(|target| *target != from) {
                self.check("known unicast", from, self.0[target].mac, &|i| u32::from(i == target))?;
            }
        }
        Ok(())
    }
}

/// Everybody is where they are: guests behind their ports and the remote host behind the bond here, guests behind the
/// active member and the remote host behind its own cable upstream.
fn check_learning(topology: &Topology, switch: &Vswitch) -> Result<()> {
    let uplink = switch.active()?.context("no active member")?;
    let port = uplink.replace('u', "p");
    let remote = format_mac(topology.remote.mac("eth0")?);
    let guests: Vec<String> =
        topology.guests.iter().map(|guest| Ok(format_mac(guest.mac("eth0")?))).collect::<Result<_>>()?;
    let upstream = topology.upstream_fdb()?;
    for mac in &guests {
        let places: Vec<_> = upstream.iter().filter(|(m, _)| m == mac).map(|(_, p)| p.as_str()).collect();
        assert_eq!(places, [port.as_str()], "{mac} upstream: {upstream:?}");
    }
    let places: Vec<_> = upstream.iter().filter(|(m, _)| *m == remote).map(|(_, p)| p.as_str()).collect();
    assert_eq!(places, ["r"], "{remote} upstream: {upstream:?}");
    let ours = learned(switch)?;
    for (i, mac) in guests.iter().enumerate() {
        assert!(ours.contains(&(mac.clone(), format!("g{}", i + 1))), "{mac} in {ours:?}");
    }
    assert!(ours.contains(&(remote.clone(), BOND.to_owned())), "{remote} in {ours:?}");
    Ok(())
}

/// `(address, port)` of every entry of `fdb/show`.
fn learned(switch: &Vswitch) -> Result<Vec<(String, String)>> {
    let answer = switch.json(&format!("fdb/show {BRIDGE}"))?;
    let rows = answer[BRIDGE].as_array().with_context(|| format!("unexpected answer: {answer}"))?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(rows.iter().map(|row| (text(&row["mac"]), text(&row["port"]))).collect())
}

#[test]
fn every_frame_arrives_exactly_once_and_nobody_is_learned_in_a_wrong_place() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(GUESTS, 2)?;
    let mut stations = Stations::new(&topology)?;
    stations.check_everything()?;
    check_learning(&topology, &switch)?;
    // The upstream switch did flood to both uplinks: it is our admission that made it one copy.
    assert!(switch.drops("u2", None)? > u64::from(ROUNDS));
    Ok(())
}

#[test]
fn it_stays_so_after_a_failover_and_after_a_planned_change() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(GUESTS, 2)?;
    let mut stations = Stations::new(&topology)?;
    topology.pull("u1")?;
    eventually("u2 is active", Duration::from_secs(5), || {
        Ok((switch.active()?.as_deref() == Some("u2")).then_some(()))
    })?;
    topology.replug("u1")?;
    stations.introduce()?;
    stations.check_everything()?;
    check_learning(&topology, &switch)?;
    switch.activate("u1")?;
    // The old member's frames are accepted for a short grace; after it, copies must be single again.
    std::thread::sleep(Duration::from_secs(1));
    stations.introduce()?;
    stations.check_everything()?;
    check_learning(&topology, &switch)
}

#[test]
fn nothing_loops() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, _switch) = lab(GUESTS, 2)?;
    let mut stations = Stations::new(&topology)?;
    let seconds = std::env::var("VSWITCH_LOOP_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(5);
    stations.0.iter_mut().try_for_each(Station::forget)?;
    for (number, station) in stations.0.iter().enumerate() {
        for to in [BROADCAST, GROUP, STRANGER] {
            station.send_to(to, number as u32)?;
        }
    }
    stations.settle()?;
    let before: u64 = stations.0.iter().map(Station::total).sum();
    let wire = |topology: &Topology| -> Result<u64> {
        Ok(topology.host.frame_counters()?.iter().map(|(_, received, sent)| received + sent).sum())
    };
    let wire_before = wire(&topology)?;
    std::thread::sleep(Duration::from_secs(seconds));
    stations.0.iter_mut().try_for_each(Station::collect)?;
    assert_eq!(
        stations.0.iter().map(Station::total).sum::<u64>(),
        before,
        "test frames are still going round"
    );
    // The stations' kernels may say something of their own now and then. A loop would be thousands of frames.
    let noise = wire(&topology)? - wire_before;
    assert!(noise < 50 * seconds, "{noise} frames in {seconds} quiet seconds");
    Ok(())
}
