//! Transactions against a switch and a host that don't exist.

use std::collections::BTreeMap;

use forwarding::mac::MacAddr;

use super::reply::{BondStatus, DeviceCounters, FdbRow, MemberStatus};
use super::*;
use crate::cli::{self, Invocation};

mod atomic;
mod errors;
mod random;
mod settings;

/// A host with the devices `e1`..`e9`, `tap0`..`tap3`, and some that can't be used.
#[derive(Debug, Clone)]
pub(crate) struct FakeRuntime {
    pub(crate) devices: BTreeMap<String, DeviceFacts>,
    pub(crate) bonds: BTreeMap<String, BondStatus>,
    pub(crate) fdb: BTreeMap<String, Vec<FdbRow>>,
    pub(crate) counters: Vec<DeviceCounters>,
    pub(crate) macs: u8,
}

impl FakeRuntime {
    pub(crate) fn new() -> Self {
        let facts = |kind: Option<&str>, master: Option<&str>, link_type| DeviceFacts {
            link_type,
            kind: kind.map(str::to_owned),
            master: master.map(str::to_owned),
        };
        let ethernet = |kind, master| facts(kind, master, LinkType::Ethernet);
        let mut devices: BTreeMap<_, _> = (1..10).map(|n| (format!("e{n}"), ethernet(None, None))).collect();
        devices.extend((0..4).map(|n| (format!("tap{n}"), ethernet(Some("tun"), None))));
        devices.insert("lo".into(), facts(None, None, LinkType::Loopback));
        devices.insert("wg0".into(), facts(Some("wireguard"), None, LinkType::Other));
        devices.insert("virbr0".into(), ethernet(Some("bridge"), None));
        devices.insert("vnet0".into(), ethernet(Some("tun"), Some("virbr0")));
        Self { devices, bonds: BTreeMap::new(), fdb: BTreeMap::new(), counters: Vec::new(), macs: 0 }
    }

    /// Takes over a new desired state, as the control loop would: every member is up, and the first is active.
    pub(crate) fn run(&mut self, model: &Model) {
        self.bonds = model
            .bridges
            .iter()
            .flat_map(|(bridge, b)| b.bonds().map(move |(name, _, bond)| (bridge, name, bond)))
            .map(|(bridge, name, bond)| {
                let members = bond.members.iter().enumerate().map(|(n, member)| MemberStatus {
                    name: member.clone(),
                    present: true,
                    enabled: true,
                    may_enable: true,
                    link: "up".into(),
                    speed: Some(10_000),
                    full_duplex: Some(true),
                    mac: Some(MacAddr([2, 0, 0, 0, 1, n as u8])),
                    ..MemberStatus::default()
                });
                let status = BondStatus {
                    name: name.to_owned(),
                    bridge: bridge.clone(),
                    mode: bond.mode(),
                    options: bond.options.clone(),
                    primary: bond.options.get("primary").cloned(),
                    active: bond.active.clone().or_else(|| bond.members.first().cloned()),
                    mac: (!bond.members.is_empty()).then_some(MacAddr([2, 0, 0, 0, 1, 0])),
                    carrier: !bond.members.is_empty(),
                    members: members.collect(),
                    ..BondStatus::default()
                };
                (name.to_owned(), status)
            })
            .collect();
    }
}

impl Runtime for FakeRuntime {
    fn device(&self, name: &str) -> Option<DeviceFacts> {
        self.devices.get(name).cloned()
    }

    fn new_mac(&mut self) -> MacAddr {
        self.macs += 1;
        MacAddr([2, 0, 0, 0, 0, self.macs])
    }

    fn fdb(&self, bridge: &str) -> Vec<FdbRow> {
        self.fdb.get(bridge).cloned().unwrap_or_default()
    }

    fn bond(&self, name: &str) -> Option<BondStatus> {
        self.bonds.get(name).cloned()
    }

    fn counters(&self) -> Vec<DeviceCounters> {
        self.counters.clone()
    }

    fn can_activate(&self, bond: &str, member: &str) -> Result<bool, String> {
        let bond = self.bonds.get(bond).ok_or("bond is new")?;
        let found = bond.members.iter().find(|m| m.name == member).ok_or("member is new")?;
        if !found.enabled {
            return Err("cannot make disabled member active".into());
        }
        Ok(bond.active.as_deref() != Some(member))
    }

    fn version(&self) -> String {
        "0.1.0".into()
    }
}

/// A switch with the fake runtime, driven by command lines.
pub(crate) struct Switch {
    pub(crate) model: Model,
    pub(crate) runtime: FakeRuntime,
}

impl Switch {
    pub(crate) fn new() -> Self {
        Self { model: Model::default(), runtime: FakeRuntime::new() }
    }

    /// After these command lines, each of which must succeed.
    pub(crate) fn after(lines: &[&str]) -> Self {
        let mut switch = Self::new();
        for line in lines {
            switch.call(line).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
        switch
    }

    /// Runs one command line (words are separated by spaces) and takes over what comes of it.
    pub(crate) fn call(&mut self, line: &str) -> Result<Outcome, String> {
        let words: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let Invocation::Run(run) = cli::parse(&words).map_err(|e| e.to_string())? else {
            return Err("prints something".into());
        };
        let outcome =
            execute(&self.model, &mut self.runtime, &run.requests).map_err(|error| error.to_string())?;
        if !run.dry_run && outcome.model != self.model {
            self.model = outcome.model.clone();
            self.runtime.run(&self.model);
        }
        Ok(outcome)
    }

    /// What a command line prints.
    pub(crate) fn text(&mut self, line: &str) -> String {
        cli::text(&self.call(line).unwrap_or_else(|e| panic!("{line}: {e}")).replies)
    }

    /// The error of a command line, which must not change the model.
    pub(crate) fn error(&mut self, line: &str) -> String {
        let before = self.model.clone();
        let error = self.call(line).map(|outcome| outcome.replies).expect_err(line);
        assert_eq!(self.model, before, "{line}");
        error
    }
}
