//! How much a port may learn: a limit, and a lock.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration::crowd::Crowd;
use integration::netns::{Namespace, format_mac};
use integration::packets::{BROADCAST, Station, frame, settle};
use integration::process::eventually;
use integration::switch::{BRIDGE, Vswitch};
use integration::testing::switch_turn;

const QUIET: Duration = Duration::from_millis(150);
const DEADLINE: Duration = Duration::from_secs(2);

struct Lab {
    switch: Vswitch,
    stations: Vec<Station>,
    _crowd: Crowd,
    _host: Namespace,
}

const fn source(i: u8) -> [u8; 6] {
    [2, 0, 0, 0x77, 0, i]
}

impl Lab {
    fn new() -> Result<Self> {
        let host = Namespace::new("host")?;
        let crowd = Crowd::new(&host, "s", 3)?;
        let switch = Vswitch::start(&host)?;
        switch.vsctl("add-br br0 -- add-port br0 s1 -- add-port br0 s2 -- add-port br0 s3")?;
        Ok(Self { switch, stations: crowd.stations()?, _crowd: crowd, _host: host })
    }

    /// Sends a broadcast from each of these sources at the first station; returns which arrived at the second.
    fn send(&mut self, sources: std::ops::Range<u8>) -> Result<Vec<u8>> {
        self.stations.iter_mut().try_for_each(Station::forget)?;
        for i in sources.clone() {
            self.stations[0].send(&frame(BROADCAST, source(i), None, u32::from(i)))?;
        }
        settle(&mut self.stations.iter_mut().collect::<Vec<_>>(), QUIET)?;
        Ok(sources.filter(|i| self.stations[1].copies(u32::from(*i)) == 1).collect())
    }

    /// Addresses learned on a port.
    fn learned(&self, port: &str) -> Result<Vec<String>> {
        let fdb = self.switch.fdb(BRIDGE)?;
        Ok(fdb.into_iter().filter(|(.., p)| p == port).map(|(mac, ..)| mac).collect())
    }
}

#[test]
fn a_limit_bounds_what_is_learned_and_drops_nothing() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new()?;
    lab.switch.vsctl("set port s1 mac-learning-limit=5")?;
    assert_eq!(lab.send(0..20)?, (0..20).collect::<Vec<_>>(), "frames are forwarded all the same");
    assert_eq!(lab.learned("s1")?.len(), 5);
    let refused = || -> Result<u64> {
        let stats = lab.switch.json(&format!("fdb/stats-show {BRIDGE}"))?;
        stats[BRIDGE]["refused"].as_u64().with_context(|| format!("no count: {stats}"))
    };
    ensure!(refused()? >= 15, "{} refused", refused()?);
    // Another port is not limited.
    for i in 100..120 {
        lab.stations[1].send(&frame(BROADCAST, source(i), None, 0))?;
    }
    eventually("the other port's are learned", DEADLINE, || {
        Ok((lab.learned("s2")?.len() >= 20).then_some(()))
    })?;
    lab.switch.vsctl("set port s1 mac-learning-limit=8")?;
    lab.send(0..20)?;
    assert_eq!(lab.learned("s1")?.len(), 8);
    lab.switch.vsctl("set port s1 mac-learning-limit=[]")?;
    lab.send(0..20)?;
    assert_eq!(lab.learned("s1")?.len(), 20);
    Ok(())
}

#[test]
fn a_locked_port_lets_in_only_whom_it_knows() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new()?;
    lab.send(0..2)?;
    lab.switch.vsctl("set port s1 mac-learning-locked=true")?;
    let before = lab.switch.drops("s1", Some("port_locked"))?;
    assert_eq!(lab.send(0..6)?, [0, 1]);
    eventually("the others are counted", DEADLINE, || {
        Ok((lab.switch.drops("s1", Some("port_locked"))? == before + 4).then_some(()))
    })?;
    assert_eq!(lab.learned("s1")?.len(), 2);
    // By hand somebody can be let in; and somebody known elsewhere is not.
    lab.switch.vsctl(&format!("fdb/add {BRIDGE} s1 0 {}", format_mac(source(4))))?;
    assert_eq!(lab.send(4..6)?, [4]);
    lab.stations[2].send(&frame(BROADCAST, source(9), None, 0))?;
    eventually("it is learned there", DEADLINE, || Ok((lab.learned("s3")?.len() == 1).then_some(())))?;
    assert_eq!(lab.send(9..10)?, [] as [u8; 0]);
    assert_eq!(lab.learned("s3")?, [format_mac(source(9))], "an address is not stolen through a locked port");
    lab.switch.vsctl("set port s1 mac-learning-locked=false")?;
    assert_eq!(lab.send(0..6)?, [0, 1, 2, 3, 4, 5]);
    Ok(())
}

#[test]
fn with_a_limit_a_locked_port_fills_it_first() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new()?;
    lab.switch.vsctl("set port s1 mac-learning-limit=3 mac-learning-locked=true")?;
    assert_eq!(lab.send(0..6)?, [0, 1, 2]);
    assert_eq!(lab.learned("s1")?.len(), 3);
    for wrong in ["mac-learning-limit=-1", "mac-learning-limit=x", "mac-learning-locked=perhaps"] {
        let done = lab.switch.try_vsctl(&format!("set port s1 {wrong}"))?;
        ensure!(!done.status.success() && !done.stderr.is_empty(), "{wrong} was accepted");
    }
    Ok(())
}
