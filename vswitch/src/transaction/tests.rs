//! Transactions against a switch and a host that don't exist.

use std::collections::BTreeMap;

use forwarding::mac::MacAddr;

use super::reply::{
    BondExplanation, BondStatus, DeviceCounters, FastPathBridge, FastPathDevice, FastPathProgram,
    FastPathStatus, FastPathTable, FdbRow, FdbStats, FrameHash, LacpStats, LacpStatus, MemberExplanation,
    MemberStatus, TraceReply,
};
use super::*;
use crate::cli::{self, Invocation};

mod atomic;
mod callers;
mod columns;
mod errors;
mod fdb;
mod frames;
mod lacp;
mod random;
mod settings;

/// A host with the devices `e1`..`e9`, `tap0`..`tap3`, and some that can't be used.
#[derive(Debug, Clone)]
pub(crate) struct FakeRuntime {
    pub(crate) devices: BTreeMap<String, DeviceFacts>,
    pub(crate) bonds: BTreeMap<String, BondStatus>,
    pub(crate) lacp: BTreeMap<String, (LacpStatus, LacpStats)>,
    pub(crate) fdb: BTreeMap<String, Vec<FdbRow>>,
    pub(crate) counters: Vec<DeviceCounters>,
    pub(crate) macs: u8,
    /// Why there is no fast path.
    pub(crate) fastpath_problem: Option<String>,
}

impl FakeRuntime {
    pub(crate) fn new() -> Self {
        let facts = |kind: Option<&str>, master: Option<&str>, link_type| DeviceFacts {
            link_type,
            kind: kind.map(str::to_owned),
            wireless: false,
            master: master.map(str::to_owned),
            ifindex: 7,
            mac: MacAddr([2, 0, 0, 0, 5, 7]),
            mtu: 1500,
            admin_up: true,
            carrier: false,
        };
        let ethernet = |kind, master| facts(kind, master, LinkType::Ethernet);
        let mut devices: BTreeMap<_, _> = (1..10).map(|n| (format!("e{n}"), ethernet(None, None))).collect();
        devices.extend((0..4).map(|n| (format!("tap{n}"), ethernet(Some("tun"), None))));
        for (n, facts) in (1..10).zip(devices.values_mut()) {
            facts.mac = MacAddr([2, 0, 0, 0, 5, n]);
        }
        devices.insert("lo".into(), facts(None, None, LinkType::Loopback));
        devices.insert("wg0".into(), facts(Some("wireguard"), None, LinkType::Other));
        devices.insert("virbr0".into(), ethernet(Some("bridge"), None));
        devices.insert("vnet0".into(), ethernet(Some("tun"), Some("virbr0")));
        devices.insert("ovs-system".into(), ethernet(Some("openvswitch"), None));
        devices.insert("eth7".into(), ethernet(None, Some("ovs-system")));
        let kbond = DeviceFacts { mac: MacAddr([2, 0, 0, 0, 6, 1]), ..ethernet(Some("bond"), None) };
        devices.insert("kbond".into(), kbond);
        devices.insert("wlan0".into(), DeviceFacts { wireless: true, ..ethernet(None, None) });
        Self {
            devices,
            bonds: BTreeMap::new(),
            lacp: BTreeMap::new(),
            fdb: BTreeMap::new(),
            counters: Vec::new(),
            macs: 0,
            fastpath_problem: None,
        }
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
                    lacp_status: if bond.mode() == "802.3ad" { "configured" } else { "off" }.into(),
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

    fn can_migrate(&self, bond: &str, bucket: usize, member: &str) -> Result<bool, String> {
        let bond = self.bonds.get(bond).ok_or("bond is new")?;
        if bucket > 255 {
            return Err(format!("there is no bucket {bucket}"));
        }
        let found = bond.members.iter().any(|m| m.name == member);
        found.then_some(bucket > 0).ok_or("member is new".into())
    }

    fn can_rebalance(&self, bond: &str) -> Result<(), String> {
        self.bonds.get(bond).map(|_| ()).ok_or("bond is new".into())
    }

    fn can_switch_member(&self, bond: &str, member: &str, _enable: bool) -> Result<(), String> {
        let bond = self.bonds.get(bond).ok_or("bond is new")?;
        let found = bond.members.iter().any(|m| m.name == member);
        found.then_some(()).ok_or("member is new".into())
    }

    fn explain(&self, bond: &str) -> Option<BondExplanation> {
        let bond = self.bonds.get(bond)?;
        let reasons = |member: &MemberStatus| match &bond.active {
            Some(active) if *active == member.name => {
                vec!["carries all traffic: it is the active member".into()]
            }
            _ => vec!["standby: another member is active".into(), "its link is up".into()],
        };
        let explained =
            |member: &MemberStatus| MemberExplanation { name: member.name.clone(), reasons: reasons(member) };
        let members = bond.members.iter().map(explained).collect();
        Some(BondExplanation { name: bond.name.clone(), summary: "the bond has carrier".into(), members })
    }

    fn proc_text(&self, bond: &str) -> Option<String> {
        let bond = self.bonds.get(bond)?;
        Some(format!("Ethernet Channel Bonding Driver: v6.1\n\nBonding Mode: {}\n", bond.mode))
    }

    fn lacp(&self, bond: &str) -> Option<LacpStatus> {
        self.lacp.get(bond).map(|(status, _)| status.clone())
    }

    fn lacp_stats(&self, bond: &str) -> Option<LacpStats> {
        self.lacp.get(bond).map(|(_, stats)| stats.clone())
    }

    fn bond_hash(&self, bond: &str, frame: &[u8]) -> Result<FrameHash, String> {
        let bond = self.bonds.get(bond).ok_or("bond is new")?;
        let (hash, policy) = (0x1234_0000 + frame.len() as u32, "layer2".to_owned());
        Ok(FrameHash { hash, policy, bucket: Some(0), member: bond.active.clone() })
    }

    fn fdb_stats(&self, bridge: &str) -> Option<FdbStats> {
        let (bridge, maximum) = (bridge.to_owned(), 8192);
        Some(FdbStats { bridge, current: 2, maximum, statics: 1, learned: 7, ..FdbStats::default() })
    }

    fn trace(&self, bridge: &str, device: &str, frame: &[u8]) -> Result<TraceReply, String> {
        Ok(TraceReply {
            verdict: "forward".into(),
            egress: vec!["e1".into()],
            hash: Some(0xdead_beef),
            drop_reason: None,
            vlan: Some(10),
            steps: vec![format!("{} octets on {device} of {bridge}", frame.len()), "to e1".into()],
        })
    }

    fn fastpath_problem(&self) -> Option<String> {
        self.fastpath_problem.clone()
    }

    fn fastpath(&self) -> FastPathStatus {
        let active = self.fastpath_problem.is_none();
        let bridge = |bridge: &str| FastPathBridge {
            bridge: bridge.into(),
            setting: "auto".into(),
            active,
            problem: (!active).then(|| "there is none".into()),
            fdb_entries: 2,
            fdb_capacity: 8192,
        };
        let device = |device: &str, bridge: &str, hook: Option<&str>| FastPathDevice {
            device: device.into(),
            bridge: bridge.into(),
            hook: hook.map(str::to_owned),
            ..FastPathDevice::default()
        };
        let status = FastPathStatus {
            active,
            problem: self.fastpath_problem.clone(),
            kernel: "6.18.0".into(),
            bridges: vec![bridge("br0"), bridge("br1")],
            ..FastPathStatus::default()
        };
        if !active {
            return status;
        }
        FastPathStatus {
            hook: Some("tcx".into()),
            pins: Some("/sys/fs/bpf/vswitch/run".into()),
            program: Some(FastPathProgram {
                name: "vsw_forward".into(),
                id: 42,
                instructions: Some(4321),
                ..FastPathProgram::default()
            }),
            generation: 7,
            tables: vec![FastPathTable { name: "devices".into(), used: 3, maximum: 4096 }],
            misses: [("unknown_source".into(), 5), ("group_destination".into(), 9)].into(),
            queue_dropped: 1,
            devices: vec![
                device("br0", "br0", Some("tcx egress")),
                device("e1", "br1", None),
                FastPathDevice {
                    peer_redirect: true,
                    rx_frames: 10,
                    rx_bytes: 1000,
                    tx_frames: 20,
                    tx_bytes: 2000,
                    ..device("tap0", "br0", Some("tcx ingress"))
                },
            ],
            ..status
        }
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

    /// Runs one command line and takes over what comes of it.
    pub(crate) fn call(&mut self, line: &str) -> Result<Outcome, String> {
        let words = split(line);
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
        let Ok(Invocation::Run(run)) = cli::parse(&split(line)) else { panic!("{line}") };
        cli::styled(&self.call(line).unwrap_or_else(|e| panic!("{line}: {e}")).replies, run.style)
    }

    /// The error of a command line, which must not change the model.
    pub(crate) fn error(&mut self, line: &str) -> String {
        let before = self.model.clone();
        let error = self.call(line).map(|outcome| outcome.replies).expect_err(line);
        assert_eq!(self.model, before, "{line}");
        error
    }
}

/// Words as a shell splits them: at spaces, which single or double quotes keep together.
fn split(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('\'' | '"', None) => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (c, None) if c.is_whitespace() => words.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    words.into_iter().chain(word).collect()
}
