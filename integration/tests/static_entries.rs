//! Addresses entered by hand: never aged, moved or flushed, and kept over a restart.

use std::time::Duration;

use anyhow::{Result, ensure};
use integration::crowd::Crowd;
use integration::netns::{Namespace, format_mac};
use integration::packets::{BROADCAST, Station, frame, settle};
use integration::switch::{BRIDGE, Vswitch};
use integration::testing::switch_turn;

const QUIET: Duration = Duration::from_millis(150);
const MAC: [u8; 6] = [2, 0, 0, 0x77, 0, 1];

struct Lab {
    switch: Vswitch,
    stations: Vec<Station>,
    number: u32,
    _crowd: Crowd,
    _host: Namespace,
}

impl Lab {
    fn new() -> Result<Self> {
        let host = Namespace::new("host")?;
        let crowd = Crowd::new(&host, "s", 4)?;
        let switch = Vswitch::start(&host)?;
        switch.vsctl("add-br br0 -- add-port br0 s1 -- add-port br0 s2 -- add-port br0 s3")?;
        Ok(Self { switch, stations: crowd.stations()?, number: 0, _crowd: crowd, _host: host })
    }

    /// Sends a frame to the address from the first station: at which stations, counted from 1, does it arrive?
    fn reached(&mut self) -> Result<Vec<usize>> {
        self.number += 1;
        self.stations[0].send_to(MAC, self.number)?;
        settle(&mut self.stations.iter_mut().collect::<Vec<_>>(), QUIET)?;
        Ok((1..=4).filter(|i| self.stations[i - 1].copies(self.number) > 0).collect())
    }

    /// The station, counted from 1, sends a frame from the address.
    fn speak(&mut self, station: usize) -> Result<()> {
        self.stations[station - 1].send(&frame(BROADCAST, MAC, None, u32::MAX))?;
        settle(&mut self.stations.iter_mut().collect::<Vec<_>>(), QUIET)
    }

    fn entry(&self) -> Result<Vec<String>> {
        let fdb = self.switch.fdb(BRIDGE)?;
        Ok(fdb.into_iter().filter(|(mac, ..)| *mac == format_mac(MAC)).map(|(.., port)| port).collect())
    }
}

#[test]
fn a_static_entry_stays_where_it_was_put() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new()?;
    assert_eq!(lab.reached()?, [2, 3], "flooded while unknown");
    lab.switch.vsctl(&format!("fdb/add {BRIDGE} s2 0 {}", format_mac(MAC)))?;
    assert_eq!(lab.reached()?, [2]);
    lab.speak(3)?;
    assert_eq!((lab.reached()?, lab.entry()?), (vec![2], vec!["s2".to_owned()]), "it does not move");
    lab.switch.vsctl(&format!("fdb/flush {BRIDGE}"))?;
    assert_eq!(lab.entry()?, ["s2"], "it is not flushed");
    let shown = lab.switch.json(&format!("fdb/show {BRIDGE}"))?;
    let is_static = |row: &serde_json::Value| row["mac"] == format_mac(MAC) && row["static"] == true;
    ensure!(shown[BRIDGE].as_array().is_some_and(|rows| rows.iter().any(is_static)), "{shown}");
    let stats = lab.switch.json(&format!("fdb/stats-show {BRIDGE}"))?;
    assert_eq!(stats[BRIDGE]["statics"], 1, "{stats}");
    lab.switch.kill()?;
    lab.switch.launch()?;
    assert_eq!((lab.reached()?, lab.entry()?), (vec![2], vec!["s2".to_owned()]), "it is kept");
    lab.switch.vsctl(&format!("fdb/del {BRIDGE} 0 {}", format_mac(MAC)))?;
    assert_eq!(lab.reached()?, [2, 3]);
    lab.speak(3)?;
    assert_eq!((lab.reached()?, lab.entry()?), (vec![3], vec!["s3".to_owned()]), "it is learned again");
    Ok(())
}

#[test]
fn it_takes_the_place_of_a_learned_one_and_may_be_moved_by_hand() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new()?;
    lab.speak(3)?;
    assert_eq!(lab.entry()?, ["s3"]);
    lab.switch.vsctl(&format!("fdb/add {BRIDGE} s2 0 {}", format_mac(MAC)))?;
    assert_eq!((lab.reached()?, lab.entry()?), (vec![2], vec!["s2".to_owned()]));
    lab.switch.vsctl(&format!("fdb/del {BRIDGE} 0 {0} -- fdb/add {BRIDGE} s3 0 {0}", format_mac(MAC)))?;
    assert_eq!((lab.reached()?, lab.entry()?), (vec![3], vec!["s3".to_owned()]));
    Ok(())
}

#[test]
fn static_entries_of_a_port_go_with_it() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let mut lab = Lab::new()?;
    lab.switch.vsctl(&format!("fdb/add {BRIDGE} s2 0 {}", format_mac(MAC)))?;
    lab.switch.vsctl("del-port s2")?;
    assert_eq!(lab.entry()?, [] as [String; 0]);
    assert_eq!(lab.reached()?, [3]);
    Ok(())
}

#[test]
fn nonsense_is_refused_and_changes_nothing() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new()?;
    let before = lab.switch.json("show")?;
    for wrong in [
        "fdb/add br9 s2 0 02:00:00:77:00:01",
        "fdb/add br0 s9 0 02:00:00:77:00:01",
        "fdb/add br0 s2 4095 02:00:00:77:00:01",
        "fdb/add br0 s2 x 02:00:00:77:00:01",
        "fdb/add br0 s2 0 02:00:00:77:00",
        "fdb/add br0 s2 0 01:00:5e:00:00:01",
        "fdb/add br0 s2 0 00:00:00:00:00:00",
        "fdb/del br0 0 02:00:00:77:00:01",
    ] {
        let done = lab.switch.try_vsctl(wrong)?;
        ensure!(done.status.code() == Some(1) && !done.stderr.is_empty(), "{wrong}: {done:?}");
    }
    assert_eq!(lab.switch.json("show")?, before);
    Ok(())
}
