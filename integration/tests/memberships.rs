//! After a failover guests report their groups again, by the new member, so that a switch upstream which forwards groups
//! by what it hears sends them there (`resend_igmp`).

use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use integration::capture::Capture;
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch};
use integration::sys::Frame;
use integration::testing::{fast_turn, switch_turn};
use integration::topology::{Topology, Upstream};

const DEADLINE: Duration = Duration::from_secs(5);
const GROUP4: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff15, 0, 0, 0, 0, 0, 1, 2);

struct Lab {
    topology: Topology,
    switch: Vswitch,
    /// Of guests 1 and 2: members of both groups, for as long as these live.
    _members: Vec<UdpSocket>,
    guest: Capture,
    second: Capture,
}

impl Lab {
    /// Guest 1 is untagged, guest 2 in VLAN 20.
    fn new(options: &str, fast: bool) -> Result<Self> {
        let topology = Topology::new(2, 2, Upstream::Bare)?;
        let start = if fast { Vswitch::start_fast } else { Vswitch::start };
        let switch = start(&topology.host)?;
        switch.vsctl(&format!(
            "add-br {BRIDGE} -- add-port {BRIDGE} g1 -- add-port {BRIDGE} g2 tag=20 \
             -- add-bond {BRIDGE} {BOND} u1 u2 {options}"
        ))?;
        eventually("both members are up", DEADLINE, || {
            let bond = switch.bond(BOND)?;
            Ok(bond.members.iter().all(|member| member.link == "up").then_some(()))
        })?;
        let mut members = Vec::new();
        for guest in [topology.guest(1), topology.guest(2)] {
            // The kernel wants a route to join by.
            guest.ip("route add 239.0.0.0/8 dev eth0")?;
            members.push(guest.enter(|| -> Result<_> {
                let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
                socket.join_multicast_v4(&GROUP4, &Ipv4Addr::UNSPECIFIED)?;
                Ok(socket)
            })?);
            let link = guest.link("eth0")?.context("no eth0")?;
            let index =
                link["ifindex"].as_u64().and_then(|index| u32::try_from(index).ok()).context("no ifindex")?;
            members.push(guest.enter(|| -> Result<_> {
                let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0))?;
                socket.join_multicast_v6(&GROUP6, index)?;
                Ok(socket)
            })?);
        }
        let guest = Capture::open(topology.guest(1), "eth0")?;
        let second = Capture::open(&topology.up, "p2")?;
        // The reports that the kernel sends of its own accord when a group is joined end within a few seconds.
        let quiet = Duration::from_millis(1500);
        eventually("nobody reports any more", Duration::from_secs(30), || {
            Ok(second.take_for(quiet)?.iter().all(|frame| reported(frame).is_none()).then_some(()))
        })?;
        guest.take()?;
        Ok(Self { topology, switch, _members: members, guest, second })
    }

    fn fail_over(&self) -> Result<()> {
        self.topology.pull("u1")?;
        eventually("u1 is down", DEADLINE, || {
            Ok((self.switch.bond(BOND)?.members[0].link == "down").then_some(()))
        })
    }
}

/// The reported group, if it is one of ours, and whose frame it is.
fn reported(frame: &Frame) -> Option<(&'static str, u8)> {
    let bytes = &frame.bytes;
    let holds = |group: &[u8]| bytes.windows(group.len()).any(|octets| octets == group);
    let guest = bytes[11];
    match (&bytes[12..14], bytes.get(14..)?) {
        // IPv4 with 24 octets of header: an IGMPv3 report.
        ([0x08, 0x00], ip) if ip.get(9) == Some(&2) && ip.get(24) == Some(&0x22) => {
            holds(&GROUP4.octets()).then_some(("igmp", guest))
        }
        // IPv6 with hop-by-hop options: a MLDv2 report.
        ([0x86, 0xdd], ip) if ip.get(6) == Some(&0) && ip.get(48) == Some(&143) => {
            holds(&GROUP6.octets()).then_some(("mld", guest))
        }
        _ => None,
    }
}

/// The protocol, if it is a general query.
fn query(frame: &Frame) -> Option<&'static str> {
    match (&frame.bytes[12..14], frame.bytes.get(14..)?) {
        ([0x08, 0x00], ip) if ip.get(9) == Some(&2) && ip.get(24) == Some(&0x11) => Some("igmp"),
        ([0x86, 0xdd], ip) if ip.get(6) == Some(&0) && ip.get(48) == Some(&130) => Some("mld"),
        _ => None,
    }
}

fn all_report_again(options: &str, fast: bool) -> Result<()> {
    let lab = Lab::new(options, fast)?;
    lab.fail_over()?;
    let mut missing = vec![("igmp", 1, None), ("mld", 1, None), ("igmp", 2, Some(20)), ("mld", 2, Some(20))];
    eventually("every guest has reported both groups by u2", DEADLINE, || {
        for frame in lab.second.take()? {
            let vlan = frame.tci.map(|tci| tci & 0xfff);
            missing.retain(|(protocol, guest, tag)| {
                (reported(&frame), vlan) != (Some((*protocol, *guest)), *tag)
            });
        }
        Ok(missing.is_empty().then_some(()))
    })
}

#[test]
fn guests_report_their_groups_by_the_new_active_member() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    all_report_again("mode=active-backup", false)
}

#[test]
fn with_the_fast_path_too() -> Result<()> {
    let Some(_turn) = fast_turn(&[])? else { return Ok(()) };
    all_report_again("mode=active-backup", true)
}

#[test]
fn in_balance_rr_when_the_first_member_is_lost() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    all_report_again("mode=balance-rr", false)
}

#[test]
fn so_often_as_resend_igmp_says() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new("mode=active-backup resend_igmp=3", false)?;
    lab.fail_over()?;
    let heard = lab.guest.take_for(Duration::from_millis(1200))?;
    for protocol in ["igmp", "mld"] {
        let times: Vec<_> =
            heard.iter().filter(|frame| query(frame) == Some(protocol)).map(|frame| frame.at).collect();
        ensure!(times.len() == 3, "{protocol}: {times:?}");
        let apart = Duration::from_millis(150)..Duration::from_millis(600);
        ensure!(times.windows(2).all(|two| apart.contains(&two[1].saturating_sub(two[0]))), "{times:?}");
    }
    lab.switch.vsctl(&format!("set bond {BOND} resend_igmp=0"))?;
    lab.topology.replug("u1")?;
    eventually("u1 is up", DEADLINE, || Ok((lab.switch.bond(BOND)?.members[0].link == "up").then_some(())))?;
    lab.switch.vsctl(&format!("bond/set-active-member {BOND} u1"))?;
    let heard = lab.guest.take_for(Duration::from_millis(600))?;
    ensure!(heard.iter().all(|frame| query(frame).is_none()), "asked although resend_igmp=0");
    Ok(())
}
