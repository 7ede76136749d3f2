//! LACP with Open vSwitch: who speaks first, how fast, cut cables, traffic, wrong cabling.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration::capture::Capture;
use integration::fastpath;
use integration::lacp_lab::{LacpLab, PARTNER};
use integration::numbered;
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE};
use integration::tcp::{Way, iperf3};
use integration::testing::{Turn, reaches, setting, switch_turn};
use integration::topology::{REMOTE, ipv4};

const SECOND: Duration = Duration::from_secs(1);
const PROGRAMS: [&str; 4] = ["ovs-vswitchd", "ovsdb-server", "ovs-vsctl", "ethtool"];
/// Short_Timeout_Time, and what a busy machine may need to act on it.
const SILENT: f64 = 3100.0;
/// Open vSwitch looks at its timers when its main loop comes round.
const SILENT_FOR_OVS: f64 = 3500.0;

fn turn() -> Result<Option<Turn>> {
    switch_turn(&PROGRAMS)
}

/// With the fast path where it can be had, and without.
fn ways() -> Vec<bool> {
    if fastpath::problem().is_none() { vec![true, false] } else { vec![false] }
}

#[test]
fn it_negotiates_within_a_second_whoever_speaks_first() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    let lab = LacpLab::new(false)?;
    let mut turns = 0;
    for (active, theirs) in [("on", "active"), ("on", "passive"), ("off", "active")] {
        for (rate, their_rate) in [("fast", "fast"), ("fast", "slow"), ("slow", "fast"), ("slow", "slow")] {
            turns += 1;
            // One that only answers may have missed the first LACPDU of the other, so it comes first; otherwise by turns.
            let ours_first = active == "off" || theirs == "active" && turns % 2 == 0;
            let ours = || lab.bond_ours(&format!("lacp_active={active} lacp_rate={rate}"));
            let them = || lab.bond_theirs(their_rate, &format!("lacp={theirs}"));
            if ours_first {
                ours()?;
            }
            them()?;
            if !ours_first {
                ours()?;
            }
            let configured = Instant::now();
            let what = format!("we: lacp_active={active}, {rate}; they: {theirs}, {their_rate}");
            lab.until_whole(5 * SECOND).with_context(|| what.clone())?;
            let took = configured.elapsed();
            println!("{what}; we first: {ours_first}; {:.3} s", took.as_secs_f64());
            ensure!(took < SECOND, "{what}: {took:?}");
            ensure!(reaches(lab.topology.guest(1), ipv4(REMOTE)), "{what}: no traffic");
            lab.unbond()?;
        }
    }
    Ok(())
}

/// Two that only answer never begin. The bond then uses one member, as with a partner that does not know LACP.
#[test]
fn two_that_wait_for_each_other_are_silent_and_the_bond_falls_back() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    let lab = LacpLab::new(false)?;
    let ears = lab.listen()?;
    lab.bond_theirs("fast", "lacp=passive other_config:lacp-fallback-ab=true")?;
    lab.bond_ours("lacp_rate=fast lacp_active=off")?;
    let carrier = until_one_carries(&lab, 6 * SECOND)?;
    let carries = usize::from(carrier != "u1");
    let wires = ["p1", "p2"].map(|end| Capture::open(&lab.topology.up, end));
    let guest = Capture::open(lab.topology.guest(1), "eth0")?;
    numbered::send(&guest, 50, |i| numbered::frame([0xff; 6], [2, 0, 0, 0, 0, 1], i))?;
    let [one, two] = wires;
    let wires = [one?, two?];
    let mut seen = vec![0; 2];
    eventually("they arrive", 2 * SECOND, || {
        for (count, wire) in seen.iter_mut().zip(&wires) {
            *count += numbered::take(wire)?.len();
        }
        Ok((seen[carries] == 50).then_some(()))
    })?;
    ensure!(seen[1 - carries] == 0, "also by the other member: {seen:?}");
    for ear in ears.ours.iter().chain(&ears.theirs) {
        let said = ear.take()?;
        ensure!(said.is_empty(), "somebody speaks: {said:?}");
    }
    // Nobody has gone anywhere: one word, and they negotiate.
    lab.switch.vsctl(&format!("set bond {BOND} lacp_active=on"))?;
    lab.until_whole(2 * SECOND)
}

#[test]
fn traffic_leaves_a_silent_cable_within_three_seconds_and_comes_back() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    let rounds = setting("VSWITCH_LACP_CUTS", 2);
    for fast in ways() {
        let lab = LacpLab::new(fast)?;
        lab.bond("fast")?;
        let mut worst = [0.0_f64; 2];
        for round in 0..rounds {
            let member = round % 2;
            let uplink = format!("u{}", member + 1);
            let probe = lab.probe_by(&[member])?;
            lab.topology.cut(&uplink)?;
            eventually("both have taken it out", 5 * SECOND, || {
                let theirs = lab.theirs()?.members[member].enabled;
                let ours = lab.switch.bond(BOND)?.carrying().contains(&&*uplink);
                Ok((!ours && !theirs).then_some(()))
            })?;
            // Sometimes so long that both sides have given each other up.
            let silence = if round % 4 % 3 == 0 { SECOND / 2 } else { 4 * SECOND };
            std::thread::sleep(silence);
            lab.topology.mend(&uplink)?;
            let mended = Instant::now();
            // They move flows back by load, and only then.
            lab.until_we_send_by(member, 3 * SECOND)?;
            println!("{uplink} carries {:.3} s after it was mended", mended.elapsed().as_secs_f64());
            lab.until_whole(SECOND)?;
            let report = probe.finish()?;
            ensure!(report.duplicates() == 0, "{report:?}");
            for (i, flow) in report.flows.iter().enumerate() {
                worst[i % 2] = worst[i % 2].max(flow.longest_gap_ms);
            }
            ensure!(report.lost() > 0, "nothing was lost by the cut");
        }
        println!("fast path {fast}: longest gap {:.0} ms from us, {:.0} ms from them", worst[0], worst[1]);
        ensure!(worst[0] < SILENT && worst[1] < SILENT_FOR_OVS, "{worst:?}");
    }
    Ok(())
}

#[test]
fn both_members_carry_tcp_and_datagrams_once() -> Result<()> {
    let Some(_turn) = switch_turn(&[PROGRAMS[0], PROGRAMS[1], PROGRAMS[2], PROGRAMS[3], "iperf3"])? else {
        return Ok(());
    };
    for fast in ways() {
        let lab = LacpLab::new(fast)?;
        lab.bond("slow")?;
        let probe = lab.probe_by(&[0, 1])?;
        let before = lab.arrived()?;
        std::thread::sleep(2 * SECOND);
        let after = lab.arrived()?;
        let report = probe.finish()?;
        println!("fast path {fast}: {before:?} then {after:?}");
        let fates = (report.lost(), report.duplicates(), report.reordered());
        ensure!(fates == (0, 0, 0), "lost, twice, overtaken: {fates:?}; {report:?}");
        let (guest, remote) = ((lab.topology.guest(1), ipv4(1)), (&lab.topology.remote, ipv4(REMOTE)));
        for way in [Way::There, Way::Back] {
            let before = lab.arrived()?;
            let tcp = iperf3(guest, remote, way, 8, SECOND)?;
            let after = lab.arrived()?;
            println!(
                "fast path {fast}, {way:?}: {:.2} Gb/s, {before:?} then {after:?}",
                tcp.bits_per_second / 1e9
            );
            ensure!(tcp.bits_per_second > 1e7, "{tcp:?}");
        }
    }
    Ok(())
}

/// One cable goes to a bond of the partner, the other to another one, which has a system id of its own.
#[test]
fn of_two_partners_one_is_chosen_always_the_same_and_it_is_said() -> Result<()> {
    let Some(_turn) = turn()? else { return Ok(()) };
    let lab = LacpLab::new(false)?;
    let systems = [PARTNER, "02:00:00:00:00:bb"];
    for (i, system) in systems.iter().enumerate() {
        let end = format!("p{}", i + 1);
        lab.ovs.vsctl(&format!(
            "add-port {BRIDGE} {end} lacp=active other_config:lacp-time=fast other_config:lacp-system-id={system}"
        ))?;
    }
    let mut choices = Vec::new();
    for round in 0..3 {
        lab.bond_ours("lacp_rate=fast")?;
        let chosen = until_one_carries(&lab, 3 * SECOND)?;
        println!("round {round}: {chosen}");
        // It stays.
        let end = Instant::now() + SECOND;
        while Instant::now() < end {
            let carrying = until_one_carries(&lab, SECOND)?;
            ensure!(carrying == chosen, "{chosen}, then {carrying}");
            std::thread::sleep(SECOND / 20);
        }
        let text = lab.switch.vsctl(&format!("bond/explain {BOND}"))?;
        let spoken = systems.iter().filter(|system| text.contains(**system)).count();
        ensure!(spoken == 2, "not both partners are named:\n{text}");
        choices.push(chosen);
        lab.switch.vsctl(&format!("del-port {BOND}"))?;
    }
    ensure!(choices.iter().all(|choice| *choice == choices[0]), "{choices:?}");
    // If the chosen one falls silent, the other carries, and stays (ad_select=stable).
    lab.bond_ours("lacp_rate=fast")?;
    let first = until_one_carries(&lab, 3 * SECOND)?;
    ensure!(first == choices[0], "{first}");
    lab.topology.cut(&first)?;
    let second = eventually("the other carries", 5 * SECOND, || {
        let now = until_one_carries(&lab, SECOND)?;
        Ok((now != first).then_some(now))
    })?;
    lab.topology.mend(&first)?;
    let end = Instant::now() + 3 * SECOND;
    while Instant::now() < end {
        ensure!(until_one_carries(&lab, SECOND)? == second);
        std::thread::sleep(SECOND / 20);
    }
    Ok(())
}

/// The member that carries alone.
fn until_one_carries(lab: &LacpLab, deadline: Duration) -> Result<String> {
    eventually("one member carries", deadline, || {
        let bond = lab.switch.bond(BOND)?;
        let carrying = bond.carrying();
        Ok((bond.carrier && carrying.len() == 1).then(|| carrying[0].to_owned()))
    })
}
