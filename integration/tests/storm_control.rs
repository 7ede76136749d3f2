//! Storm control: no more than so many broadcasts, multicasts and frames to unknown addresses a second come in by a port;
//! the rest is counted, and nothing else suffers.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration::crowd::Crowd;
use integration::netns::Namespace;
use integration::packets::{BROADCAST, Station, settle};
use integration::process::eventually;
use integration::switch::{BRIDGE, Vswitch};
use integration::sys;
use integration::testing::switch_turn;

/// Frames a second that are let in.
const LIMIT: u64 = 100;
/// Frames sent, all in far less than a second.
const FRAMES: u32 = 1000;
const KINDS: [(&str, [u8; 6]); 3] =
    [("broadcast", BROADCAST), ("multicast", [0x01, 0, 0x5e, 1, 2, 3]), ("unknown", [2, 0, 0, 0x99, 0, 1])];
const QUIET: Duration = Duration::from_millis(150);

struct Lab {
    switch: Vswitch,
    stations: Vec<Station>,
    _crowd: Crowd,
    _host: Namespace,
}

impl Lab {
    fn new() -> Result<Self> {
        let host = Namespace::new("host")?;
        let crowd = Crowd::new(&host, "s", 3)?;
        let switch = Vswitch::start(&host)?;
        let ports: Vec<_> = crowd.names().map(|name| format!("add-port {BRIDGE} {name}")).collect();
        switch.vsctl(&format!("add-br {BRIDGE} -- {}", ports.join(" -- ")))?;
        let mut lab = Self { switch, stations: crowd.stations()?, _crowd: crowd, _host: host };
        for station in &lab.stations {
            station.send_to(BROADCAST, u32::MAX)?;
        }
        lab.settle()?;
        Ok(lab)
    }

    fn settle(&mut self) -> Result<()> {
        settle(&mut self.stations.iter_mut().collect::<Vec<_>>(), QUIET)
    }

    /// Sends `FRAMES` frames from one station; returns how many arrived at the third and how long the sending took.
    fn storm(&mut self, from: usize, to: [u8; 6]) -> Result<(u64, Duration)> {
        self.stations.iter_mut().try_for_each(Station::forget)?;
        let start = sys::monotonic();
        for number in 0..FRAMES {
            self.stations[from].send_to(to, number)?;
            if number % 50 == 49 {
                self.stations[2].collect()?;
                sys::sleep_until(sys::monotonic() + Duration::from_millis(1));
            }
        }
        let took = sys::monotonic() - start;
        self.settle()?;
        Ok((self.stations[2].total(), took))
    }
}

#[test]
fn each_kind_has_a_limit_of_its_own_and_the_rest_is_counted() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new()?;
    for (kind, to) in KINDS {
        ensure!(lab.storm(0, to)?.0 == u64::from(FRAMES), "{kind} without a limit");
        lab.switch.vsctl(&format!("set port s1 storm-{kind}={LIMIT}"))?;
        let before = lab.switch.drops("s1", Some(&format!("storm_{kind}")))?;
        let (arrived, took) = lab.storm(0, to)?;
        // A second's limit may be used in each second that the sending touches.
        let seconds = took.as_secs() + 2;
        ensure!((LIMIT..=LIMIT * seconds).contains(&arrived), "{kind}: {arrived} came through in {took:?}");
        eventually("the rest is counted", Duration::from_secs(2), || {
            let dropped = lab.switch.drops("s1", Some(&format!("storm_{kind}")))? - before;
            Ok((dropped + arrived == u64::from(FRAMES)).then_some(()))
        })?;
        // Other kinds, other ports and known addresses are free.
        for (other, to) in KINDS.into_iter().filter(|(other, _)| *other != kind) {
            ensure!(lab.storm(0, to)?.0 == u64::from(FRAMES), "{other} while {kind} is limited");
        }
        ensure!(lab.storm(1, to)?.0 == u64::from(FRAMES), "{kind} from another port");
        let known = lab.stations[2].mac;
        ensure!(lab.storm(0, known)?.0 == u64::from(FRAMES), "known unicast while {kind} is limited");
        lab.switch.vsctl(&format!("set port s1 storm-{kind}=[]"))?;
        ensure!(lab.storm(0, to)?.0 == u64::from(FRAMES), "{kind} after the limit was cleared");
    }
    Ok(())
}

#[test]
fn a_new_second_lets_new_frames_in() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new()?;
    lab.switch.vsctl(&format!("set port s1 storm-broadcast={LIMIT}"))?;
    let start = sys::monotonic();
    let (mut arrived, mut sent) = (0, 0);
    while sys::monotonic() - start < Duration::from_millis(3200) {
        arrived += lab.storm(0, BROADCAST)?.0;
        sent += u64::from(FRAMES);
    }
    let seconds = (sys::monotonic() - start).as_secs();
    let wanted = LIMIT * (seconds - 1)..=LIMIT * (seconds + 2);
    ensure!(wanted.contains(&arrived), "{arrived} of {sent} came through in {seconds} s");
    lab.switch.vsctl("set port s1 storm-broadcast=0")?;
    ensure!(lab.storm(0, BROADCAST)?.0 == 0, "0 lets none in");
    Ok(())
}

#[test]
fn limits_are_kept_over_a_restart_and_wrong_ones_are_refused() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new()?;
    lab.switch.vsctl("set port s1 storm-multicast=0 storm-unknown=7")?;
    for wrong in ["storm-broadcast=many", "storm-broadcast=-1", "storm-brodcast=1"] {
        let done = lab.switch.try_vsctl(&format!("set port s1 {wrong}"))?;
        ensure!(!done.status.success() && !done.stderr.is_empty(), "{wrong} was accepted");
    }
    lab.switch.terminate()?;
    lab.switch.launch()?;
    ensure!(lab.storm(0, KINDS[1].1)?.0 == 0, "the limit of 0 multicasts is gone");
    ensure!(lab.storm(0, BROADCAST)?.0 == u64::from(FRAMES));
    Ok(())
}
