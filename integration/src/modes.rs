//! Each mode of a bond, with what it needs at the other end of its wires and how it shares out what it sends.

use std::time::Duration;

use anyhow::{Result, bail, ensure};
use bond_port::Mode;

use crate::netns::Namespace;
use crate::process::eventually;
use crate::switch::{BOND, BRIDGE, Kind, Vswitch};
use crate::testing::reaches;
use crate::topology::{REMOTE, Topology, UPSTREAM, Upstream, ipv4, ipv6};

/// LACP waits 3 s for a partner that does not speak; the rest is for a busy machine.
const DEADLINE: Duration = Duration::from_secs(15);

/// What stands at the other end of a bond's wires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FarEnd {
    /// A Linux bridge that knows nothing of the bond, each wire a port.
    Ports,
    /// A static link aggregation group: a second `vswitchd` in balance-xor.
    Lag,
    /// A partner that speaks LACP: a second `vswitchd` in 802.3ad.
    Lacp,
}

/// How a mode shares out what guests send over two members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spread {
    /// One member carries everything.
    One,
    /// Each member carries some, by hash, turn or load.
    Shared,
    /// Each member carries a copy.
    Copies,
}

/// A mode under test.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// Linux's name, or Open vSwitch's.
    pub mode: &'static str,
    /// What it needs.
    pub far_end: FarEnd,
    /// What it does.
    pub spread: Spread,
    /// Options that a user would give with it.
    pub options: &'static str,
}

const fn case(mode: &'static str, far_end: FarEnd, spread: Spread, options: &'static str) -> Case {
    Case { mode, far_end, spread, options }
}

/// With coupled control, the default, the end that is first to hear that the other has attached a link sends by it before the
/// other lets frames in: some milliseconds of losses whenever a link is added.
const AD: &str = "xmit_hash_policy=layer3+4 lacp_rate=fast coupled_control=off";

/// In the order of Linux's numbers. A new mode is a new row.
const CASES: [Case; 8] = [
    case("balance-rr", FarEnd::Lag, Spread::Shared, ""),
    case("active-backup", FarEnd::Ports, Spread::One, ""),
    case("balance-xor", FarEnd::Lag, Spread::Shared, "xmit_hash_policy=layer3+4"),
    case("broadcast", FarEnd::Lag, Spread::Copies, ""),
    case("802.3ad", FarEnd::Lacp, Spread::Shared, AD),
    case("balance-tlb", FarEnd::Ports, Spread::Shared, ""),
    case("balance-alb", FarEnd::Ports, Spread::Shared, ""),
    case("balance-slb", FarEnd::Ports, Spread::Shared, ""),
];

/// A case for each mode that there is.
///
/// # Errors
/// A mode has no row here.
pub fn all() -> Result<Vec<Case>> {
    Mode::all().map(|mode| of(mode.name())).collect()
}

/// The case of one mode.
///
/// # Errors
/// It has no row here.
pub fn of(mode: &str) -> Result<Case> {
    match CASES.into_iter().find(|case| case.mode == mode) {
        Some(case) => Ok(case),
        None => bail!("mode {mode} is not in the table of integration/src/modes.rs"),
    }
}

/// Our switch and what its mode needs at the other end. The wires come last, to be dropped last.
pub struct Lab {
    /// The switch under test.
    pub near: Vswitch,
    /// The second `vswitchd`, if there is one.
    pub far: Option<Vswitch>,
    /// The wires.
    pub topology: Topology,
    uplinks: usize,
}

impl Lab {
    /// Guests and uplinks, all members up, and every guest has reached the remote host by IPv4 and IPv6.
    pub fn start(case: Case, executor: Kind, guests: usize, uplinks: usize) -> Result<Self> {
        let lab = Self::without_bond(case.far_end, executor, guests, uplinks)?;
        let members = lab.topology.uplinks().join(" ");
        lab.near.vsctl(&format!(
            "add-bond {BRIDGE} {BOND} {members} mode={} miimon=100 {}",
            case.mode, case.options
        ))?;
        lab.until_ready(case.far_end, uplinks)?;
        for i in 1..=guests {
            lab.reach(lab.topology.guest(i))?;
        }
        Ok(lab)
    }

    /// The same, and the bond is still to be made.
    pub fn without_bond(far_end: FarEnd, executor: Kind, guests: usize, uplinks: usize) -> Result<Self> {
        let upstream = if far_end == FarEnd::Ports { Upstream::LinuxBridge } else { Upstream::Bare };
        let topology = Topology::new(guests, uplinks, upstream)?;
        let near = executor.start_empty(&topology)?;
        near.vsctl(&format!("add-br {BRIDGE}"))?;
        for i in 1..=guests {
            near.vsctl(&format!("add-port {BRIDGE} g{i}"))?;
        }
        let far = match far_end {
            FarEnd::Ports => None,
            FarEnd::Lag | FarEnd::Lacp => {
                let far = Vswitch::start(&topology.up)?;
                let members: Vec<_> = (1..=uplinks).map(|i| format!("p{i}")).collect();
                let mode = if far_end == FarEnd::Lag { of("balance-xor")? } else { of("802.3ad")? };
                far.vsctl(&format!(
                    "add-br {UPSTREAM} -- add-port {UPSTREAM} r -- add-bond {UPSTREAM} lag {} mode={} {}",
                    members.join(" "),
                    mode.mode,
                    mode.options
                ))?;
                Some(far)
            }
        };
        Ok(Self { near, far, topology, uplinks })
    }

    /// Waits until so many members are up, here and there, and in use where LACP decides.
    pub fn until_ready(&self, far_end: FarEnd, members: usize) -> Result<()> {
        let switches = std::iter::once((&self.near, BOND)).chain(self.far.iter().map(|far| (far, "lag")));
        for (switch, bond) in switches {
            let what = format!("{members} of {} members are ready", self.uplinks);
            eventually(&what, DEADLINE, || {
                let view = switch.bond(bond)?;
                let up = view.members.iter().filter(|member| member.link == "up").count();
                let carrying = far_end != FarEnd::Lacp || view.carrying().len() == members;
                Ok((up == members && carrying).then_some(()))
            })?;
        }
        Ok(())
    }

    /// What both switches have dropped, and why: for messages.
    pub fn drops(&self) -> String {
        let of = |switch: &Vswitch| -> Option<String> {
            let counters = switch.json("counters/show").ok()?;
            let devices =
                counters.as_object()?.iter().map(|(name, device)| format!("{name} {}", device["drops"]));
            Some(devices.collect::<Vec<_>>().join(", "))
        };
        let switches =
            std::iter::once(&self.near).chain(&self.far).map(|switch| of(switch).unwrap_or_default());
        format!("dropped here, and at the other end: {}", switches.collect::<Vec<_>>().join("; "))
    }

    /// A station must reach the remote host.
    pub fn reach(&self, station: &Namespace) -> Result<()> {
        for ip in [ipv4, ipv6] {
            ensure!(reaches(station, ip(REMOTE)), "{} can't reach {}", station.name(), ip(REMOTE));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_has_a_row() {
        let cases = all().unwrap();
        assert!(cases.len() >= 5, "{cases:?}");
        assert!(of("balance-xxx").is_err());
    }
}
