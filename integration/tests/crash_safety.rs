//! `kill -9` in the middle of configuration transactions. Whatever the moment, the next start finds a committed state:
//! everything that was answered, and the one transaction in flight wholly or not at all. And it forwards accordingly.

mod wish;

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration::packets::{BROADCAST, Station, settle};
use integration::random::Random;
use integration::rpc::Client;
use integration::switch::Vswitch;
use integration::sys;
use integration::testing::{setting, switch_turn};
use integration::topology::{Topology, Upstream};
use serde_json::{Value, json};
use wish::Wish;

const QUIET: Duration = Duration::from_millis(100);

/// What was certain when the daemon died.
struct Last {
    /// By our own books.
    committed: Wish,
    /// What `show` said in the last transaction that was answered.
    shown: Option<Value>,
    /// Our books if the transaction in flight was done too.
    in_flight: Option<Wish>,
}

#[test]
fn a_kill_in_the_middle_of_transactions_leaves_a_committed_state_that_forwards() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let kills = setting("VSWITCH_KILLS", 10);
    let transactions = setting("VSWITCH_TRANSACTIONS", 40);
    let mut random = Random::of_test();
    let topology = Topology::new(wish::GUESTS, wish::UPLINKS, Upstream::Bare)?;
    let mut stations = wish::stations(&topology)?;
    let mut switch = Vswitch::start(&topology.host)?;
    let (mut wish, mut in_flight, mut done) = (Wish::default(), 0, 0);
    for kill in 0..kills {
        let context = || format!("kill {kill} of {kills}");
        let last = work_until_killed(&mut switch, wish, transactions, &mut random).with_context(context)?;
        switch.launch().with_context(context)?;
        let shown = switch.json("show")?;
        let now = Wish::from_show(&shown)?;
        if now == last.committed {
            if let Some(before) = &last.shown {
                assert_eq!(&shown, before, "{}", context());
            }
        } else {
            assert_eq!(
                Some(&now),
                last.in_flight.as_ref(),
                "{}: neither this nor {:?}",
                context(),
                last.committed
            );
            done += 1;
        }
        in_flight += usize::from(last.in_flight.is_some());
        assert_eq!(leftovers(&switch)?, Vec::<String>::new(), "{}", context());
        check_forwarding(&now, &mut stations).with_context(|| format!("{}: {now:?}", context()))?;
        wish = now;
    }
    println!("{kills} kills, {in_flight} with a transaction in flight, of which {done} were done");
    Ok(())
}

/// Sends random transactions, one after the other, and kills the daemon at a random moment of a random one.
fn work_until_killed(
    switch: &mut Vswitch,
    wish: Wish,
    transactions: usize,
    random: &mut Random,
) -> Result<Last> {
    let mut client = Client::connect(&switch.socket())?;
    let mut last = Last { committed: wish, shown: None, in_flight: None };
    let fatal = random.below(transactions);
    let mut usual = Duration::from_millis(1);
    for i in 0..=fatal {
        let (mut requests, next) = last.committed.random_transaction(random);
        requests.push(json!({ "command": "show" }));
        let started = sys::monotonic();
        client.send_transaction(&requests)?;
        if i == fatal {
            sys::sleep_until(started + usual.mul_f64(random.below(1000) as f64 / 1000.0));
            switch.kill()?;
        }
        let answer = client.receive()?;
        usual = (usual * 3 + (sys::monotonic() - started)) / 4;
        match (answer, next) {
            (None, next) => {
                ensure!(i == fatal, "the daemon died by itself: {}", switch.log_tail(20));
                last.in_flight = next;
            }
            (Some(answer), Some(next)) => {
                let replies = answer["parameters"]["replies"].as_array();
                let replies = replies.with_context(|| format!("{} refused: {answer}", json!(requests)))?;
                last.shown = replies.last().map(|reply| reply["show"].clone());
                let shown = last.shown.as_ref().context("no answer to show")?;
                ensure!(Wish::from_show(shown)? == next, "{} led to {shown}", json!(requests));
                last.committed = next;
            }
            (Some(answer), None) => {
                ensure!(answer.get("error").is_some(), "{} was accepted: {answer}", json!(requests));
            }
        }
    }
    Ok(last)
}

/// Files beside the state file that a finished start has no use for.
fn leftovers(switch: &Vswitch) -> Result<Vec<String>> {
    let file = switch.state_file();
    let (directory, own) = (file.parent().context("no directory")?, file.file_name());
    let mut strange = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let name = entry?.file_name();
        // A torn temporary file may stay; it is overwritten by the next write, so there is never more than one.
        let known = ["run", "log"].iter().any(|known| name == *known) || Some(name.as_os_str()) == own;
        if !known {
            strange.push(name.to_string_lossy().into_owned());
        }
    }
    strange.retain(|name| !name.starts_with(".state.toml") && !name.starts_with("state.toml"));
    Ok(strange)
}

/// Each guest sends one broadcast: it arrives just where the configuration says, in one copy.
fn check_forwarding(wish: &Wish, stations: &mut [Station]) -> Result<()> {
    // The daemon opens devices before it answers; what its start announced must not be counted.
    stations.iter_mut().try_for_each(Station::forget)?;
    for (number, station) in stations[..wish::GUESTS].iter().enumerate() {
        station.send_to(BROADCAST, number as u32)?;
    }
    settle(&mut stations.iter_mut().collect::<Vec<_>>(), QUIET)?;
    for from in 0..wish::GUESTS {
        for to in (0..wish::GUESTS).filter(|to| *to != from) {
            let expected = wish.tag_at(from, to);
            for vlan in [None, Some(10), Some(20), Some(30)] {
                let copies = stations[to].copies_tagged(from as u32, vlan);
                let wanted = u32::from(expected == Some(vlan));
                ensure!(
                    copies == wanted,
                    "{copies} copies with VLAN {vlan:?} from g{} at g{}",
                    from + 1,
                    to + 1
                );
            }
        }
        let up: u32 = stations[wish::GUESTS..].iter().map(|station| station.copies(from as u32)).sum();
        let wanted = wish.bond_copies(from);
        ensure!(up == wanted, "{up} copies from g{} at the uplinks, not {wanted}", from + 1);
    }
    Ok(())
}
