//! `monitor`: what happens is told, one JSON object a line; a reader that doesn't read holds nobody up.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration::netns::format_mac;
use integration::packets::{BROADCAST, Station, frame};
use integration::process::{Daemon, eventually};
use integration::rpc::Client;
use integration::switch::{BOND, BRIDGE, Switch as _, Vswitch};
use integration::testing::{lab, switch_turn, uplink_probe};
use serde_json::{Value, json};

const DEADLINE: Duration = Duration::from_secs(5);
const MAC: [u8; 6] = [2, 0, 0, 0x77, 0, 1];

/// A running `vsctl monitor`, whose output goes to a file.
struct Reader {
    daemon: Daemon,
}

impl Reader {
    fn start(switch: &Vswitch, options: &str) -> Result<Self> {
        let log = switch.directory().join("events");
        let daemon =
            Daemon::start("vsctl monitor", &mut switch.vsctl_command(&format!("monitor {options}"))?, &log)?;
        let reader = Self { daemon };
        // Nothing is told of what happened before; a change that is told shows that it listens.
        let mut tag = 1;
        eventually("the monitor listens", DEADLINE, || {
            tag += 1;
            switch.vsctl(&format!("set bridge {BRIDGE} mac-aging-time={}", 100 + tag))?;
            Ok(reader.find("config", &[])?.map(drop))
        })?;
        Ok(reader)
    }

    fn events(&self) -> Result<Vec<Value>> {
        let text = self.daemon.log_tail(usize::MAX);
        let parse = |line: &str| serde_json::from_str(line).with_context(|| format!("no JSON: {line}"));
        // The last line may be half written.
        let (whole, last) = text.rsplit_once('\n').unwrap_or(("", &text));
        let mut events: Vec<Value> = whole.lines().map(parse).collect::<Result<_>>()?;
        events.extend(serde_json::from_str::<Value>(last));
        Ok(events)
    }

    /// The last event of a type with these fields.
    fn find(&self, kind: &str, fields: &[(&str, Value)]) -> Result<Option<Value>> {
        let is_it =
            |event: &Value| event["type"] == kind && fields.iter().all(|(key, value)| event[*key] == *value);
        Ok(self.events()?.into_iter().rfind(is_it))
    }

    fn until(&self, kind: &str, fields: &[(&str, Value)]) -> Result<Value> {
        eventually(&format!("{kind} with {fields:?} is told"), DEADLINE, || self.find(kind, fields))
            .with_context(|| format!("told were {:?}", self.events().unwrap_or_default()))
    }
}

#[test]
fn links_members_active_moves_and_changes_are_told() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(2, 2)?;
    let reader = Reader::start(&switch, "")?;
    topology.pull("u1")?;
    reader.until("link", &[("device", json!("u1")), ("port", json!(BOND)), ("carrier", json!(false))])?;
    reader.until("member", &[("bond", json!(BOND)), ("member", json!("u1")), ("to", json!("down"))])?;
    let active =
        reader.until("active", &[("bond", json!(BOND)), ("old", json!("u1")), ("new", json!("u2"))])?;
    ensure!(active["cause"].as_str().is_some_and(|cause| !cause.is_empty()), "{active}");
    reader.until("announce", &[("bond", json!(BOND)), ("member", json!("u2"))])?;
    topology.pull("u2")?;
    reader.until("carrier", &[("bond", json!(BOND)), ("up", json!(false))])?;
    topology.replug("u2")?;
    reader.until("carrier", &[("bond", json!(BOND)), ("up", json!(true))])?;
    let stations = [Station::new(topology.guest(1), "eth0")?, Station::new(topology.guest(2), "eth0")?];
    stations[0].send(&frame(BROADCAST, MAC, None, 1))?;
    eventually("it is learned", DEADLINE, || {
        Ok(switch.fdb(BRIDGE)?.iter().any(|(mac, ..)| *mac == format_mac(MAC)).then_some(()))
    })?;
    stations[1].send(&frame(BROADCAST, MAC, None, 2))?;
    let moved = reader.until("mac_moved", &[("mac", json!(format_mac(MAC)))])?;
    let expected = json!(["br0", 0, "g1", "g2"]);
    ensure!(json!([moved["bridge"], moved["vlan"], moved["from"], moved["to"]]) == expected, "{moved}");
    switch.vsctl("set port g2 tag=7 -- set port g1 tag=7")?;
    let config = reader.until("config", &[("commands", json!(2))])?;
    switch.vsctl(&format!("set bond {BOND} primary=u9"))?;
    let warning = reader.until("warning", &[("bond", json!(BOND)), ("device", Value::Null)])?;
    ensure!(
        warning["text"].as_str().is_some_and(|text| text.contains("primary u9 is not a member")),
        "{warning}"
    );
    topology.host.ip("link del g2")?;
    reader.until("link", &[("device", json!("g2")), ("present", json!(false))])?;
    for event in reader.events()? {
        ensure!(
            event["time"].as_str().is_some_and(|time| time.ends_with('Z') && time.len() >= 20),
            "{event}"
        );
        ensure!(event["monotonic_ms"].is_u64(), "{event}");
    }
    ensure!(config["monotonic_ms"].as_u64() >= moved["monotonic_ms"].as_u64());
    Ok(())
}

#[test]
fn a_count_ends_it_and_reading_commands_are_no_events() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (_topology, switch) = lab(1, 1)?;
    let mut reader = Reader::start(&switch, "--count 20")?;
    for line in ["show", "list-br", "fdb/show", "bond/show", "counters/show"] {
        switch.vsctl(line)?;
    }
    let told = reader.events()?.len();
    ensure!(told < 20, "{:?}", reader.events()?);
    for i in told..20 {
        ensure!(reader.daemon.ended()?.is_none(), "it ended after {i} events");
        switch.vsctl(&format!("set port g1 tag={}", 10 + i))?;
        eventually("it is told", DEADLINE, || Ok((reader.events()?.len() > i).then_some(())))?;
    }
    let status = eventually("it ends", DEADLINE, || reader.daemon.ended())?;
    ensure!(status.success() && reader.events()?.len() == 20, "{status}: {:?}", reader.events()?);
    Ok(())
}

#[test]
fn a_reader_that_does_not_read_holds_nobody_up_and_learns_what_it_lost() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(3, 2)?;
    let mut lazy = Client::connect(&switch.socket())?;
    lazy.send(&json!({ "method": "io.vswitch.Monitor", "more": true }))?;
    let first = lazy.receive()?.context("the daemon hung up")?;
    ensure!(first.get("error").is_none(), "{first}");
    let probe = uplink_probe(&topology)?;
    // More events than the daemon keeps for one reader (1 MiB) and the socket takes.
    let stations = [Station::new(topology.guest(2), "eth0")?, Station::new(topology.guest(3), "eth0")?];
    let mut slowest = Duration::ZERO;
    let mut client = Client::connect(&switch.socket())?;
    for round in 0..400_u32 {
        for i in 0..100 {
            stations[i % 2].send(&frame(BROADCAST, [2, 0, 0, 0x77, 1, (i / 2) as u8], None, round))?;
            stations[(i + 1) % 2].send(&frame(BROADCAST, [2, 0, 0, 0x77, 1, (i / 2) as u8], None, round))?;
        }
        let started = Instant::now();
        let set = json!({ "command": "set", "table": "port", "record": "br0",
                          "settings": [{ "name": "tag", "value": (1 + round).to_string() }] });
        client.transact(&[set])?;
        slowest = slowest.max(started.elapsed());
    }
    ensure!(slowest < Duration::from_secs(1), "a command took {slowest:?}");
    switch.activate("u2")?;
    let report = probe.finish()?;
    ensure!(report.lost() == 0, "{report:?}");
    // Now it reads: old events come whole, and then one that tells how many are missing.
    let mut read = 0;
    let lost = loop {
        let message = lazy.receive()?.context("the daemon hung up on a slow reader")?;
        ensure!(message["continues"] == true, "{message}");
        read += 1;
        if let Some(lost) = message["parameters"]["lost"].as_u64().filter(|lost| *lost > 0) {
            break lost;
        }
        // Events that come now find room again.
        if read % 500 == 0 {
            switch.vsctl(&format!("set bridge {BRIDGE} mac-aging-time={}", 15 + read / 500 % 3000))?;
        }
        ensure!(read < 100_000, "nothing was lost");
    };
    println!("{read} events read, {lost} lost; the slowest command took {slowest:?}");
    Ok(())
}

#[test]
fn many_readers_come_and_go() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let (topology, switch) = lab(1, 2)?;
    let probe = uplink_probe(&topology)?;
    for round in 0..30 {
        let mut readers = Vec::new();
        for _ in 0..5 {
            let mut reader = Client::connect(&switch.socket())?;
            reader.send(&json!({ "method": "io.vswitch.Monitor", "more": true }))?;
            readers.push(reader);
        }
        switch.vsctl(&format!("set bridge {BRIDGE} mac-aging-time={}", 20 + round))?;
        if round == 0 {
            for reader in &mut readers {
                let mut told = false;
                while !told {
                    let message = reader.receive()?.context("the daemon hung up")?;
                    told = message["parameters"]["event"]["type"] == "config";
                }
            }
        }
    }
    let report = probe.finish()?;
    ensure!(report.lost() == 0, "{report:?}");
    // Without `more` there is nothing to monitor.
    let mut client = Client::connect(&switch.socket())?;
    client.send(&json!({ "method": "io.vswitch.Monitor" }))?;
    let answer = client.receive()?.context("the daemon hung up")?;
    ensure!(answer.get("error").is_some(), "{answer}");
    Ok(())
}
