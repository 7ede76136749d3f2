//! Options are changed alive, with members in the bond and numbered datagrams running both ways, and nothing is lost.
//! Linux refuses many of these changes while the bond is up (`EBUSY`) or has members (`ENOTEMPTY`).

use std::time::Duration;

use anyhow::{Result, ensure};
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::testing::{switch_turn, uplink_probe};
use integration::topology::{Topology, Upstream};

const DEADLINE: Duration = Duration::from_secs(20);
/// After each change, so that a frame that it costs is seen.
const SETTLE: Duration = Duration::from_millis(30);

/// In any mode.
const COMMON: &[&str] = &[
    "miimon=100",
    "updelay=200 downdelay=300",
    "miimon=0 updelay=0 downdelay=0",
    "primary_reselect=failure",
    "primary_reselect=always",
    "fail_over_mac=active",
    "fail_over_mac=follow",
    "fail_over_mac=none",
    "num_grat_arp=3 peer_notif_delay=200",
    "num_unsol_na=1 peer_notify_delay=0",
    "resend_igmp=0",
    "resend_igmp=255",
    "resend_igmp=1",
    "lp_interval=7",
    "lp_interval=1",
    "all_slaves_active=1",
    "all_slaves_active=0",
    "xmit_hash_policy=layer3+4",
    "xmit_hash_policy=vlan+srcmac",
    "xmit_hash_policy=layer2",
    "hash_buckets=256",
    "hash_buckets=0",
    "rebalance_interval=1000",
    "rebalance_interval=0",
    "min_links=1",
    "min_links=0",
    "ad_select=count",
    "ad_select=stable",
];

fn nothing_is_lost(mode: &str, own: &[&str]) -> Result<()> {
    let topology = Topology::new(1, 2, Upstream::Bare)?;
    let near = Vswitch::start(&topology.host)?;
    let far = Vswitch::start(&topology.up)?;
    near.vsctl(&format!(
        "add-br {BRIDGE} -- add-port {BRIDGE} g1 -- add-bond {BRIDGE} {BOND} u1 u2 mode={mode}"
    ))?;
    // Two ports of a switch, or a group of them.
    far.vsctl(&match mode {
        "active-backup" => "add-br sw -- add-port sw r -- add-port sw p1 -- add-port sw p2".to_owned(),
        _ => format!("add-br sw -- add-port sw r -- add-bond sw lag p1 p2 mode={mode}"),
    })?;
    let all_send = mode != "active-backup";
    eventually("the bond carries", DEADLINE, || {
        let bond = near.bond(BOND)?;
        let why = near.vsctl(&format!("bond/explain {BOND}"))?;
        let sending = why.lines().filter(|line| line.trim_start().starts_with("sends")).count();
        let all = bond.members.iter().all(|member| member.link == "up" && member.enabled);
        Ok((all && sending == 2 && (!all_send || !why.contains("sends nothing"))).then_some(()))
    })?;
    let mut probe = uplink_probe(&topology)?;
    for words in COMMON.iter().chain(own) {
        probe.mark(*words);
        near.vsctl(&format!("set bond {BOND} {words}"))?;
        std::thread::sleep(SETTLE);
    }
    let report = probe.finish()?;
    ensure!((report.lost(), report.duplicates()) == (0, 0), "{mode}: {report:?}");
    Ok(())
}

#[test]
fn active_backup() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    nothing_is_lost("active-backup", &["primary=u2", "primary=u1", "primary=u9", "primary="])
}

#[test]
fn balance_rr() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    nothing_is_lost("balance-rr", &["packets_per_slave=0", "packets_per_slave=7", "packets_per_slave=1"])
}

#[test]
fn balance_xor() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    nothing_is_lost("balance-xor", &[])
}

#[test]
fn ieee_802_3ad() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    nothing_is_lost(
        "802.3ad",
        &["lacp_rate=fast", "lacp_active=off", "lacp_active=on", "lacp_strict=on", "lacp_strict=off"],
    )
}
