//! What was seen: that frames were forwarded in all ways there are, and left to the daemon for all reasons.

use std::collections::BTreeMap;

use forwarding::flow_hash::{self, HashPolicy};
use forwarding::ids::{DeviceId, PortId};
use forwarding::tables::{Admission, TransmitPlan};
use forwarding::vlan::VlanPolicy;
use vswitch::fastpath::layout::MISSES;

use crate::compare::{Expected, is_balanced};
use crate::rig::Ran;
use crate::scene::Scene;
use crate::traffic::Case;

/// Reasons that no frame of this test can have: no tables are published meanwhile, no frame comes from an unknown
/// device (that has a test of its own), and the kernel refuses nothing.
const UNREACHABLE: [&str; 3] = ["tables_changed", "no_device", "error"];

#[derive(Debug, Default)]
pub(crate) struct Coverage {
    pub(crate) cases: u64,
    pub(crate) forwarded: u64,
    seen: BTreeMap<String, u64>,
}

impl Coverage {
    pub(crate) fn note(&mut self, scene: &Scene, case: &Case, expected: &Expected, ran: &Ran) {
        self.cases += 1;
        let admission = scene.tables.device(case.device).map(|device| device.admission);
        if ran.is_passed() {
            let is_admitted = !matches!(admission, None | Some(Admission::Grace | Admission::Nothing));
            self.saw(&["passed on", if is_admitted { "admitted" } else { "not admitted" }]);
            return;
        }
        if !ran.is_forwarded() {
            self.saw(&["left", MISSES[ran.miss].0]);
            if let Some(Admission::Buckets { .. }) = admission {
                self.saw(&["left", MISSES[ran.miss].0, "by bucket"]);
            }
            return;
        }
        self.forwarded += 1;
        if let Some(Admission::Buckets { own, .. }) = admission {
            let hash = flow_hash::slb(case.dst, ran.vlan);
            self.saw(&["admitted by", if own.has(hash) { "own bucket" } else { "former bucket" }]);
        }
        let (from, to) = (scene.port(case.port), scene.port(PortId(ran.port)));
        self.saw(&["from", vlan_mode(&from.vlan)]);
        self.saw(&["to", vlan_mode(&to.vlan)]);
        self.saw(&["from", vlan_mode(&from.vlan), "to", vlan_mode(&to.vlan)]);
        let plan = match &to.transmit {
            TransmitPlan::Drop(_) => "drop",
            TransmitPlan::One(_) => "one",
            TransmitPlan::Balanced { table, home, .. } if !table.is_empty() && is_balanced(scene, case) => {
                let source = scene.tables.device(DeviceId(ran.device)).and_then(|device| device.source);
                match source {
                    _ if home.0 == ran.device => "balanced, at home",
                    Some(_) => "balanced, with the member's address",
                    None => "balanced, without an address",
                }
            }
            TransmitPlan::Balanced { .. } => "balanced, by home",
            TransmitPlan::Buckets { hash, table, loads } => {
                self.saw(&["load", if loads.is_some() { "counted" } else { "not counted" }]);
                let table = if table.len() == 256 { "256 buckets" } else { "modulo" };
                self.saw(&["hash", hash.name(), table]);
                "buckets"
            }
            TransmitPlan::RoundRobin { .. } => "round robin",
            TransmitPlan::All { .. } => "all",
        };
        self.saw(&["plan", plan]);
        if case.guest.is_some() {
            let admission = scene.tables.device(case.device).map(|device| device.admission);
            let is_admitted = !matches!(admission, Some(Admission::Grace | Admission::Nothing));
            self.saw(&["for a guest,", if is_admitted { "admitted" } else { "not admitted" }]);
        }
        if let Some(patch) = expected.egress.outputs.first().and_then(|output| output.patch) {
            self.saw(&["patched at", &patch.offset.to_string()]);
            let is_guest = if from.receive.is_some() { "a peer's" } else { "a guest's" };
            self.saw(&["patched,", is_guest, if case.tag.is_some() { "tagged" } else { "untagged" }]);
        }
        if from.receive.is_some() && ran.snooped {
            self.saw(&["snooped at a bond"]);
        }
        let tags = if case.tag.is_none() { "untagged" } else { "tagged" };
        self.saw(&[tags, if ran.tag.is_none() { "leaves untagged" } else { "leaves tagged" }]);
    }

    fn saw(&mut self, what: &[&str]) {
        *self.seen.entry(what.join(" ")).or_default() += 1;
    }

    /// Everything there is was seen.
    pub(crate) fn check(&self) {
        for (what, count) in &self.seen {
            println!("{count:8} {what}");
        }
        println!("{} of {} frames forwarded", self.forwarded, self.cases);
        assert!(self.forwarded * 4 >= self.cases, "so few frames are forwarded that the test says little");
        let mut expected: Vec<String> = Vec::new();
        let reasons = MISSES.iter().map(|(label, _)| *label).filter(|label| !UNREACHABLE.contains(label));
        expected.extend(reasons.map(|label| format!("left {label}")));
        let modes = ["access", "trunk", "native-tagged", "native-untagged", "dot1q-tunnel"];
        for from in modes {
            expected.extend(modes.map(|to| format!("from {from} to {to}")));
        }
        expected.extend(["one", "buckets", "round robin", "all"].map(|plan| format!("plan {plan}")));
        let ways = ["at home", "with the member's address", "without an address", "by home"];
        expected.extend(ways.map(|way| format!("plan balanced, {way}")));
        for policy in HashPolicy::ALL.into_iter().chain([HashPolicy::Offload, HashPolicy::Slb]) {
            expected.extend(["256 buckets", "modulo"].map(|table| format!("hash {} {table}", policy.name())));
        }
        for from in ["untagged", "tagged"] {
            expected.extend(["untagged", "tagged"].map(|to| format!("{from} leaves {to}")));
        }
        expected.extend(["admitted", "not admitted"].map(|how| format!("passed on {how}")));
        expected.extend(["counted", "not counted"].map(|how| format!("load {how}")));
        expected.extend(["own", "former"].map(|bucket| format!("admitted by {bucket} bucket")));
        expected.push("left admission by bucket".to_owned());
        expected.extend(["admitted", "not admitted"].map(|how| format!("for a guest, {how}")));
        expected.extend([22, 32, 80].map(|at| format!("patched at {at}")));
        for whose in ["a peer's", "a guest's"] {
            expected.extend(["tagged", "untagged"].map(|how| format!("patched, {whose} {how}")));
        }
        expected.push("snooped at a bond".to_owned());
        let missing: Vec<_> = expected.iter().filter(|what| !self.seen.contains_key(*what)).collect();
        assert!(missing.is_empty(), "never seen: {missing:?}");
    }
}

fn vlan_mode(policy: &VlanPolicy) -> &'static str {
    match policy {
        VlanPolicy::Access(_) => "access",
        VlanPolicy::Trunk(_) => "trunk",
        VlanPolicy::NativeTagged { .. } => "native-tagged",
        VlanPolicy::NativeUntagged { .. } => "native-untagged",
        VlanPolicy::Dot1qTunnel { .. } => "dot1q-tunnel",
    }
}
