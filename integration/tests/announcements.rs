//! After a failover guests are announced by the new active member: by gratuitous ARP and unsolicited neighbour
//! advertisement where their addresses were heard, else by RARP; `num_grat_arp` times, `peer_notif_delay` apart.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use integration::capture::Capture;
use integration::packets::{BROADCAST, frame};
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Switch as _, Vswitch};
use integration::testing::{reaches, switch_turn};
use integration::topology::{Topology, Upstream, ipv4, ipv6};
use integration::wire::{Announcement, announcement};

const DEADLINE: Duration = Duration::from_secs(5);
/// A guest that never says its IP address.
const SILENT: [u8; 6] = [2, 0, 0, 0x55, 0, 3];

/// What was announced, in which VLAN, and when (since the first of all).
type Heard = BTreeMap<(Announcement, Option<u16>), Vec<Duration>>;

struct Lab {
    topology: Topology,
    switch: Vswitch,
    second: Capture,
}

impl Lab {
    /// Guest 1 has told its IPv4 and IPv6 addresses, guest 2 its IPv4 address, and `SILENT` behind guest 3 nothing.
    fn new(tags: [&str; 3], options: &str) -> Result<Self> {
        let topology = Topology::new(3, 2, Upstream::Bare)?;
        let switch = Vswitch::start(&topology.host)?;
        switch.vsctl(&format!(
            "add-br {BRIDGE} -- add-bond {BRIDGE} {BOND} u1 u2 mode=active-backup {options}"
        ))?;
        for (i, tag) in tags.iter().enumerate() {
            switch.vsctl(&format!("add-port {BRIDGE} g{} {tag}", i + 1))?;
        }
        eventually("u1 is active", DEADLINE, || {
            Ok((switch.active()?.as_deref() == Some("u1")).then_some(()))
        })?;
        let second = Capture::open(&topology.up, "p2")?;
        let third = Capture::open(topology.guest(3), "eth0")?;
        third.send(&frame(BROADCAST, SILENT, None, 1))?;
        Ok(Self { topology, switch, second })
    }

    /// Guests 1 and 2 talk, so that their addresses are known: asking is enough for IPv4; a router could be known as
    /// such only by its own advertisement, so for IPv6 guest 1 is asked.
    fn talk(&self) -> Result<()> {
        ensure!(reaches(self.topology.guest(1), ipv4(2)));
        ensure!(reaches(self.topology.guest(2), ipv6(1)));
        Ok(())
    }

    /// What the second uplink brings in `time` after the first one's cable is pulled.
    fn fail_over(&self, time: Duration) -> Result<Heard> {
        self.second.take()?;
        self.topology.pull("u1")?;
        let active = || Ok((self.switch.active()?.as_deref() == Some("u2")).then_some(()));
        eventually("u2 is active", DEADLINE, active)?;
        let mut heard = Heard::new();
        let mut first = None;
        for frame in self.second.take_for(time)? {
            if let Some(what) = announcement(&frame) {
                let since = frame.at.saturating_sub(*first.get_or_insert(frame.at));
                let vlan = frame.tci.map(|tci| tci & 0xfff);
                heard.entry((what, vlan)).or_default().push(since);
            }
        }
        self.topology.replug("u1")?;
        Ok(heard)
    }
}

const fn guest(i: u8) -> [u8; 6] {
    [2, 0, 0, 0, 0, i]
}

fn arp(i: u8) -> Announcement {
    Announcement::Arp(guest(i), std::net::Ipv4Addr::new(10, 0, 0, i))
}

fn neighbour(i: u8) -> Announcement {
    Announcement::Neighbour(guest(i), std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, u16::from(i)))
}

#[test]
fn guests_are_announced_by_their_addresses_and_silent_ones_by_rarp() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new(["", "", ""], "")?;
    lab.talk()?;
    let heard = lab.fail_over(Duration::from_millis(700))?;
    for wanted in [arp(1), neighbour(1), arp(2), Announcement::Rarp(SILENT)] {
        let times = heard.get(&(wanted, None)).map_or(0, Vec::len);
        ensure!(times == 1, "{wanted:?} was heard {times} times: {heard:?}");
    }
    for known in [1, 2] {
        ensure!(
            !heard.contains_key(&(Announcement::Rarp(guest(known)), None)),
            "RARP for guest {known}: {heard:?}"
        );
    }
    ensure!(heard.keys().all(|(_, vlan)| vlan.is_none()), "{heard:?}");
    Ok(())
}

#[test]
fn each_guest_is_announced_in_its_own_vlan() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new(["tag=10", "tag=10", "tag=20"], "")?;
    lab.talk()?;
    let heard = lab.fail_over(Duration::from_millis(700))?;
    for wanted in [
        (arp(1), Some(10)),
        (neighbour(1), Some(10)),
        (arp(2), Some(10)),
        (Announcement::Rarp(SILENT), Some(20)),
    ] {
        ensure!(heard.get(&wanted).is_some_and(|times| times.len() == 1), "{wanted:?} in {heard:?}");
    }
    for (announcement, vlan) in heard.keys() {
        let own = [guest(1), guest(2), SILENT].iter().position(|mac| *mac == announcement.mac());
        ensure!(own.is_none_or(|i| *vlan == Some([10, 10, 20][i])), "{announcement:?} in VLAN {vlan:?}");
    }
    Ok(())
}

#[test]
fn num_grat_arp_and_peer_notif_delay_are_kept() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new(["", "", ""], "miimon=100 num_grat_arp=3 peer_notif_delay=300")?;
    lab.talk()?;
    let all = [arp(1), neighbour(1), arp(2), Announcement::Rarp(SILENT)];
    let heard = lab.fail_over(Duration::from_millis(1500))?;
    for wanted in all {
        let times = heard.get(&(wanted, None)).cloned().unwrap_or_default();
        ensure!(times.len() == 3, "{wanted:?} was heard at {times:?}");
        for pair in times.windows(2) {
            let between = pair[1] - pair[0];
            // Later is a busy machine's fault, but not by much; earlier is never right.
            let right = Duration::from_millis(250)..Duration::from_millis(500);
            ensure!(right.contains(&between), "{wanted:?} was heard at {times:?}");
        }
    }
    Ok(())
}

#[test]
fn none_are_sent_if_none_are_wanted() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new(["", "", ""], "num_grat_arp=0")?;
    lab.talk()?;
    let heard = lab.fail_over(Duration::from_millis(700))?;
    ensure!(heard.is_empty(), "{heard:?}");
    Ok(())
}

/// The kernel's selftest `bond_options.sh`, case num_grat_arp, counted on the wire.
#[test]
fn exactly_as_many_gratuitous_arps_leave_as_asked_for() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    for number in [10, 20, 30] {
        let options = format!("miimon=10 peer_notif_delay=100 num_grat_arp={number}");
        let lab = Lab::new(["", "", ""], &options)?;
        lab.talk()?;
        let heard = lab.fail_over(Duration::from_millis(100 * number + 600))?;
        let times = heard.get(&(arp(1), None)).map_or(0, Vec::len) as u64;
        ensure!(times == number, "{times} gratuitous ARPs, not {number}");
    }
    Ok(())
}
