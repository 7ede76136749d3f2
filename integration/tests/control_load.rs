//! A thousand commands, one after the other and from many clients at once, cost other people's datagrams nothing.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use integration::probe::Probe;
use integration::process::{self, COMMAND_DEADLINE};
use integration::rpc::Client;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::{lab, setting, switch_turn, uplink_probe};
use integration::topology::{Topology, ipv4};
use serde_json::{Value, json};

/// A noisy machine may lose a datagram on its own: a run with losses is repeated so often.
const ATTEMPTS: usize = 3;

/// Runs `load` under datagrams between guests and by the uplink, and repeats it if some were lost.
fn under_datagrams(topology: &Topology, what: &str, mut load: impl FnMut() -> Result<usize>) -> Result<()> {
    let mut said = String::new();
    for _ in 0..ATTEMPTS {
        let probe = uplink_probe(topology)?;
        let pair = ((topology.guest(1), ipv4(1)), (topology.guest(2), ipv4(2)));
        let local = Probe::start(&[pair], Duration::from_millis(1))?;
        let started = Instant::now();
        let commands = load()?;
        let rate = commands as f64 / started.elapsed().as_secs_f64();
        let reports = [probe.finish()?, local.finish()?];
        let delay = reports.iter().map(|report| report.longest_delay_ms()).fold(0.0, f64::max);
        println!(
            "{what}: {commands} commands, {rate:.0}/s; the longest delay of a datagram was {delay:.2} ms"
        );
        if reports.iter().all(|report| report.lost() == 0 && report.duplicates() == 0) {
            return Ok(());
        }
        said = format!("{reports:?}");
    }
    anyhow::bail!("{what}: datagrams were lost again and again: {said}")
}

/// The `i`th of a mixture: changes of a third guest's port, of the bond, and looking.
fn command(i: usize) -> Value {
    let set = |table: &str, record: &str, name: &str, value: String| {
        json!({ "command": "set", "table": table, "record": record,
                "settings": [{ "name": name, "value": value }] })
    };
    match i % 8 {
        0 => set("port", "g3", "tag", (1 + i % 4000).to_string()),
        1 => set("bond", BOND, "updelay", (100 * (i % 7)).to_string()),
        2 => json!({ "command": "fdb/show" }),
        3 => json!({ "command": "bond/show" }),
        4 => json!({ "command": "counters/show" }),
        5 => json!({ "command": "list-br" }),
        6 => json!({ "command": "show" }),
        _ => json!({ "command": "list-ports", "bridge": BRIDGE }),
    }
}

#[test]
fn a_thousand_commands_over_one_socket_lose_nothing() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let commands = setting("VSWITCH_COMMANDS", 1000);
    let (topology, switch) = lab(3, 2)?;
    under_datagrams(&topology, "one socket, mixed", || {
        let mut client = Client::connect(&switch.socket())?;
        for i in 0..commands {
            client.transact(&[command(i)])?;
        }
        Ok(commands)
    })?;
    under_datagrams(&topology, "one socket, calls sent ahead", || {
        let mut client = Client::connect(&switch.socket())?;
        // Twenty at a time, so that neither side's socket buffer fills up.
        for batch in 0..commands / 20 {
            (0..20).try_for_each(|i| client.send_transaction(&[command(2 + (batch + i) % 6)]))?;
            for _ in 0..20 {
                let answer = client.receive()?;
                ensure!(answer.as_ref().is_some_and(|a| a.get("error").is_none()), "{answer:?}");
            }
        }
        Ok(commands / 20 * 20)
    })?;
    under_datagrams(&topology, "one socket, reading", || {
        let mut client = Client::connect(&switch.socket())?;
        let started = Instant::now();
        for i in 0..commands {
            client.transact(&[command(3 + i % 3)])?;
        }
        // A thousand a second on an idle machine by far; a fifth of it must be possible on any.
        let rate = commands as f64 / started.elapsed().as_secs_f64();
        ensure!(rate > 200.0, "{rate:.0} commands a second");
        Ok(commands)
    })
}

#[test]
fn a_thousand_vsctl_processes_lose_nothing() -> Result<()> {
    const AT_ONCE: usize = 4;
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let each = setting("VSWITCH_COMMANDS", 1000) / AT_ONCE;
    let (topology, switch) = lab(3, 2)?;
    let work = |switch: &Vswitch, client: usize| -> Result<()> {
        for i in 0..each {
            let line = match i % 4 {
                0 => format!("set port g3 tag={}", 1 + (client * each + i) % 4000),
                1 => "show".to_owned(),
                2 => format!("--may-exist add-port {BRIDGE} g3 -- list-ports {BRIDGE}"),
                _ => format!("-f json bond/show {BOND}"),
            };
            let done = process::finish(&mut switch.vsctl_command(&line)?, COMMAND_DEADLINE)?;
            ensure!(done.status.success(), "vsctl {line}: {}", done.stderr);
        }
        Ok(())
    };
    under_datagrams(&topology, "vsctl processes, four at once", || {
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..AT_ONCE)
                .map(|client| {
                    scope.spawn({
                        let switch = &switch;
                        move || work(switch, client)
                    })
                })
                .collect();
            for worker in workers {
                worker.join().map_err(|_| anyhow::anyhow!("a client died"))??;
            }
            Ok(AT_ONCE * each)
        })
    })
}
