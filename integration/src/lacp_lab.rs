//! A bond in mode 802.3ad between our switch and Open vSwitch:
//!
//! ```text
//! guest 1 --- g1 | ours: bond0 of u1, u2 | --- middle, can be cut silently --- | p1, p2: bond0 of OVS | r --- remote
//! ```

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use crate::lacpdu::{self, Listener};
use crate::netns::Namespace;
use crate::probe::{Endpoint, Probe};
use crate::process::eventually;
use crate::switch::{BOND, BRIDGE, LacpView, Ovs, Vswitch, finish_checksums};
use crate::testing::reaches;
use crate::topology::{REMOTE, Topology, Upstream, ipv4, ipv6};

/// Address of Open vSwitch's system.
pub const PARTNER: &str = "02:00:00:00:00:aa";

/// Both switches. Each has its bridge, and neither has its bond yet.
pub struct LacpLab {
    // Dropped in this order: the wires last.
    /// Ours.
    pub switch: Vswitch,
    /// The partner.
    pub ovs: Ovs,
    /// One guest, two uplinks that can be cut.
    pub topology: Topology,
}

impl LacpLab {
    /// Wires it up, with our fast path or without it.
    pub fn new(fast: bool) -> Result<Self> {
        Self::over(Topology::new(1, 2, Upstream::BareCuttable)?, fast)
    }

    /// The same over other wires.
    pub fn over(topology: Topology, fast: bool) -> Result<Self> {
        let ovs = Ovs::start_empty(&topology.up)?;
        ovs.vsctl(&format!("add-br {BRIDGE} -- set bridge {BRIDGE} datapath_type=netdev"))?;
        ovs.vsctl(&format!("add-port {BRIDGE} r"))?;
        for station in topology.guests.iter().chain([&topology.remote]) {
            finish_checksums(station)?;
        }
        let mut switch = Vswitch::prepare(&topology.host)?;
        switch.set("VSWITCH_FASTPATH", if fast { "on" } else { "off" });
        switch.launch()?;
        switch.vsctl(&format!("add-br {BRIDGE}"))?;
        for i in 1..=topology.guests.len() {
            switch.vsctl(&format!("add-port {BRIDGE} g{i}"))?;
        }
        Ok(Self { switch, ovs, topology })
    }

    /// Makes our bond, with these options.
    pub fn bond_ours(&self, options: &str) -> Result<()> {
        let members = self.topology.uplinks().join(" ");
        let line =
            format!("add-bond {BRIDGE} {BOND} {members} mode=802.3ad xmit_hash_policy=layer3+4 {options}");
        self.switch.vsctl(&line).map(drop)
    }

    /// Makes the bond of Open vSwitch; `options` has `lacp=active` or `lacp=passive`.
    pub fn bond_theirs(&self, rate: &str, options: &str) -> Result<()> {
        self.ovs
            .vsctl(&format!(
                "add-bond {BRIDGE} {BOND} p1 p2 bond_mode=balance-tcp other_config:lacp-system-id={PARTNER} \
                 other_config:lacp-time={rate} {options}"
            ))
            .map(drop)
    }

    /// Makes both bonds, and waits until they are whole.
    pub fn bond(&self, rate: &str) -> Result<()> {
        self.bond_theirs(rate, "lacp=active")?;
        self.bond_ours(&format!("lacp_rate={rate}"))?;
        self.until_whole(Duration::from_secs(5))?;
        ensure!(reaches(self.topology.guest(1), ipv4(REMOTE)), "guest 1 can't reach the remote host");
        ensure!(reaches(self.topology.guest(1), ipv6(REMOTE)), "guest 1 can't reach the remote host by IPv6");
        Ok(())
    }

    /// Removes both bonds.
    pub fn unbond(&self) -> Result<()> {
        self.switch.vsctl(&format!("del-port {BOND}"))?;
        self.ovs.vsctl(&format!("del-port {BOND}")).map(drop)
    }

    /// What Open vSwitch says of the bond.
    pub fn theirs(&self) -> Result<LacpView> {
        self.ovs.lacp(BOND)
    }

    /// Waits until both members carry in the eyes of both switches.
    pub fn until_whole(&self, deadline: Duration) -> Result<()> {
        let mut last = LacpView::default();
        let whole = eventually("both members carry", deadline, || {
            last = self.theirs()?;
            if !last.whole(2) {
                return Ok(None);
            }
            let ours = self.switch.bond(BOND)?;
            Ok((ours.carrier && ours.carrying().len() == 2).then_some(()))
        });
        whole.map_err(|error| {
            error.context(format!(
                "Open vSwitch says {last:?}; ours says:\n{}",
                self.switch.vsctl(&format!("bond/explain {BOND}")).unwrap_or_default()
            ))
        })
    }

    /// So many pairs of flows between guest 1 and the remote host, by turns over both IP versions.
    pub fn pairs(&self, count: usize) -> Vec<(Endpoint<'_>, Endpoint<'_>)> {
        let pair = |ip: fn(u8) -> std::net::IpAddr| {
            ((self.topology.guest(1), ip(1)), (&self.topology.remote, ip(REMOTE)))
        };
        [pair(ipv4), pair(ipv6)].into_iter().cycle().take(count).collect()
    }

    /// Numbered datagrams of ten flows each way, by these members both ways: others are tried until it is so. Together they
    /// are no burden.
    pub fn probe_by(&self, members: &[usize]) -> Result<Probe> {
        const CHOICES: usize = 20;
        for _ in 0..CHOICES {
            let probe = Probe::start(&self.pairs(10), Duration::from_millis(5))?;
            let soon = Duration::from_millis(500);
            let by = |member: &usize| {
                self.until_we_send_by(*member, soon).and_then(|()| self.until_they_send_by(*member, soon))
            };
            if members.iter().all(|member| by(member).is_ok()) {
                return Ok(probe);
            }
            probe.finish()?;
        }
        bail!("{CHOICES} times not all of the members {members:?} were used both ways")
    }

    /// Frames that have come by each member: to us, to Open vSwitch.
    pub fn arrived(&self) -> Result<[Arrived; 2]> {
        let count = |namespace: &Namespace, letter: char| -> Result<[u64; 2]> {
            let counters = namespace.frame_counters()?;
            let received = |i: u32| {
                let name = format!("{letter}{i}");
                counters.iter().find(|(found, ..)| *found == name).map_or(0, |(_, received, _)| *received)
            };
            Ok([received(1), received(2)])
        };
        let (to_us, to_them) = (count(&self.topology.host, 'u')?, count(&self.topology.up, 'p')?);
        Ok([0, 1].map(|i| Arrived { to_us: to_us[i], to_them: to_them[i] }))
    }

    /// Waits until a member carries datagrams of ours.
    pub fn until_we_send_by(&self, member: usize, deadline: Duration) -> Result<()> {
        self.until_more_have_arrived("we send by the member", deadline, |all| all[member].to_them)
    }

    /// Waits until a member carries datagrams that come from Open vSwitch.
    pub fn until_they_send_by(&self, member: usize, deadline: Duration) -> Result<()> {
        self.until_more_have_arrived("Open vSwitch sends by the member", deadline, |all| all[member].to_us)
    }

    fn until_more_have_arrived(
        &self,
        what: &str,
        deadline: Duration,
        which: impl Fn(&[Arrived; 2]) -> u64,
    ) -> Result<()> {
        let before = self.arrived()?;
        let mut now = before;
        let arrived = eventually(what, deadline, || {
            now = self.arrived()?;
            Ok((which(&now) > which(&before) + 20).then_some(()))
        });
        arrived.with_context(|| format!("{before:?}, then {now:?}"))
    }

    /// Listens for LACPDUs at all four ends.
    pub fn listen(&self) -> Result<Listeners> {
        let ends = |namespace: &Namespace, letter: char| -> Result<Vec<Listener>> {
            (1..=2).map(|i| Listener::open(namespace, &format!("{letter}{i}"))).collect()
        };
        Ok(Listeners { ours: ends(&self.topology.up, 'p')?, theirs: ends(&self.topology.host, 'u')? })
    }
}

/// Frames that have come by a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrived {
    /// To our switch.
    pub to_us: u64,
    /// To Open vSwitch.
    pub to_them: u64,
}

/// Ears at all four ends, by member.
pub struct Listeners {
    /// Where our LACPDUs arrive.
    pub ours: Vec<Listener>,
    /// Where those of Open vSwitch arrive.
    pub theirs: Vec<Listener>,
}

impl Listeners {
    /// That each side has told of each member that it collects and distributes, in every LACPDU since the last call; and
    /// how many there were.
    pub fn all_in_the_bundle(&self) -> Result<usize> {
        const IN: u8 = lacpdu::SYNCHRONIZATION | lacpdu::COLLECTING | lacpdu::DISTRIBUTING;
        const OUT: u8 = lacpdu::DEFAULTED | lacpdu::EXPIRED;
        let mut count = 0;
        for (side, ears) in [("we", &self.ours), ("they", &self.theirs)] {
            for (i, ear) in ears.iter().enumerate() {
                for pdu in ear.take()? {
                    let state = pdu.actor.state;
                    ensure!(state & (IN | OUT) == IN, "{side} left the bundle by member {}: {pdu:?}", i + 1);
                    count += 1;
                }
            }
        }
        Ok(count)
    }
}
