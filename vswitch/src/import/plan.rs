//! From descriptions of devices to commands: who is a bridge, a bond, a member, a port.

use std::collections::BTreeSet;

use super::bond_words::{self, Word};
use super::devices::{Device, Kind, Value};
use super::{Findings, Host, Place, Step, default_bridge, step};

/// A bond to be.
struct Bond<'a> {
    name: &'a str,
    /// In its own file, if it has one; otherwise where it is named as MASTER.
    place: &'a Place,
    device: Option<&'a Device>,
    /// In the order in which they are to join.
    members: Vec<&'a Device>,
}

/// A bridge to be.
struct Bridge {
    name: String,
    place: Place,
    /// Bonds, each before its members.
    bonds: Vec<Step>,
    ports: Vec<Step>,
}

/// The commands for these devices, which are in the order of their files.
pub(super) fn steps(
    devices: &[Device],
    host: &Host,
    bridge: Option<&str>,
    findings: &mut Findings,
) -> Vec<Step> {
    let planner = Planner::new(devices, bridge);
    planner.check_names(findings);
    planner.check_duplicates(findings);
    planner.check_roles(findings);
    for device in planner.concerned() {
        if !matches!(planner.kind(device), Kind::Bond | Kind::Bridge) {
            device.check_address(host, findings);
        }
    }
    let mut bridges: Vec<Bridge> = Vec::new();
    for device in planner.concerned().filter(|device| planner.kind(device) == Kind::Bridge) {
        put(&mut bridges, &device.name, &device.place);
    }
    for bond in planner.bonds() {
        if let Some((name, place)) = planner.bridge_of(&bond, findings) {
            let options = planner.options(&bond, findings);
            let steps = &mut put(&mut bridges, &name, place).bonds;
            steps.push(Step::add_bond(bond.place, &name, bond.name, &options));
            let join = |member: &&Device| Step::add_member(&member.place, bond.name, &member.name);
            steps.extend(bond.members.iter().map(join));
        }
    }
    for device in planner.concerned().filter(|device| planner.is_port(device)) {
        if let Some(value) = device.bridge() {
            let name = planner.resolve(value);
            let step = Step::add_port(&device.place, name, &device.name);
            put(&mut bridges, name, &value.place).ports.push(step);
        }
    }
    planner.tell(&bridges, findings);
    if bridges.is_empty() && findings.problems.is_empty() {
        let place = Place { file: "ifcfg-*".to_owned(), line: 0 };
        findings.problem(
            &place,
            "nothing to import: no file describes a bond or a bridge (MASTER=, BRIDGE=, TYPE=)",
        );
    }
    let all = bridges.into_iter().flat_map(|bridge| {
        let own = Step::add_bridge(&bridge.place, &bridge.name);
        std::iter::once(own).chain(bridge.bonds).chain(bridge.ports)
    });
    all.collect()
}

/// The bridge of this name, which is new if it was not there.
fn put<'a>(bridges: &'a mut Vec<Bridge>, name: &str, place: &Place) -> &'a mut Bridge {
    let index = bridges.iter().position(|bridge| bridge.name == name).unwrap_or_else(|| {
        bridges.push(Bridge {
            name: name.to_owned(),
            place: place.clone(),
            bonds: Vec::new(),
            ports: Vec::new(),
        });
        bridges.len() - 1
    });
    &mut bridges[index]
}

struct Planner<'a> {
    devices: &'a [Device],
    /// The bridge for bonds that name none.
    bridge: Option<&'a str>,
    masters: BTreeSet<&'a str>,
    bridges: BTreeSet<&'a str>,
}

impl<'a> Planner<'a> {
    fn new(devices: &'a [Device], bridge: Option<&'a str>) -> Self {
        let mut planner = Self { devices, bridge, masters: BTreeSet::new(), bridges: BTreeSet::new() };
        planner.masters =
            devices.iter().filter_map(|d| d.master()).map(|value| planner.resolve(value)).collect();
        planner.bridges =
            devices.iter().filter_map(|d| d.bridge()).map(|value| planner.resolve(value)).collect();
        planner
    }

    /// The device that a value names. NetworkManager allows the UUID of its file.
    fn resolve(&self, value: &'a Value) -> &'a str {
        let text = value.text.as_str();
        let has_it =
            |device: &&Device| device.get("UUID").is_some_and(|uuid| uuid.text.eq_ignore_ascii_case(text));
        self.devices.iter().find(has_it).map_or(text, |device| device.name.as_str())
    }

    /// What a device is, by its own file or because of how others name it.
    fn kind(&self, device: &Device) -> Kind {
        match device.kind() {
            Kind::Other if self.masters.contains(device.name.as_str()) => Kind::Bond,
            Kind::Other if self.bridges.contains(device.name.as_str()) => Kind::Bridge,
            kind => kind,
        }
    }

    /// The devices that have to do with the switch.
    fn concerned(&self) -> impl Iterator<Item = &'a Device> {
        let is = |device: &&Device| {
            device.is_concerned() || matches!(self.kind(device), Kind::Bond | Kind::Bridge)
        };
        self.devices.iter().filter(is)
    }

    /// Whether a device becomes a plain port.
    fn is_port(&self, device: &Device) -> bool {
        matches!(self.kind(device), Kind::Vlan | Kind::Other)
            && device.bridge().is_some()
            && device.master().is_none()
    }

    /// Bonds with their members: first those with a file, in the order of files; members in that order too.
    fn bonds(&self) -> Vec<Bond<'a>> {
        let described = self.concerned().filter(|device| self.kind(device) == Kind::Bond);
        let mut bonds: Vec<_> = described
            .map(|d| Bond { name: &d.name, place: &d.place, device: Some(d), members: Vec::new() })
            .collect();
        for device in self.concerned().filter(|d| !matches!(self.kind(d), Kind::Bond | Kind::Bridge)) {
            let Some(value) = device.master() else { continue };
            let name = self.resolve(value);
            if self.concerned().any(|other| other.name == name && self.kind(other) != Kind::Bond) {
                continue;
            }
            match bonds.iter_mut().find(|bond| bond.name == name) {
                Some(bond) => bond.members.push(device),
                None => bonds.push(Bond { name, place: &value.place, device: None, members: vec![device] }),
            }
        }
        bonds
    }

    /// The bridge of a bond, and where that is said.
    fn bridge_of(&self, bond: &Bond<'a>, findings: &mut Findings) -> Option<(String, &'a Place)> {
        let name = bond.name;
        if let Some(value) = bond.device.and_then(Device::bridge) {
            return Some((self.resolve(value).to_owned(), &value.place));
        }
        if let Some(bridge) = self.bridge {
            findings.note(
                bond.place,
                format!("{name} has no BRIDGE=; it becomes a port of {bridge}, as asked for"),
            );
            return Some((bridge.to_owned(), bond.place));
        }
        let advice = "write BRIDGE=NAME in its file, or import with --bridge=NAME";
        let Some(bridge) = default_bridge(name) else {
            findings.problem(
                bond.place,
                format!("{name} has no BRIDGE=, but here every bond is in a bridge; {advice}"),
            );
            return None;
        };
        let described = |device: &Device| device.name == bridge && self.kind(device) == Kind::Bridge;
        if self.bridges.contains(bridge.as_str()) || self.devices.iter().any(described) {
            findings.problem(
                bond.place,
                format!(
                    "{name} has no BRIDGE=, and {bridge}, which it would get, is described without it; if it belongs \
                     there or elsewhere, {advice}"
                ),
            );
            return None;
        }
        findings.note(
            bond.place,
            format!("{name} has no BRIDGE=; here every bond is in a bridge, and it gets {bridge} (otherwise: --bridge=NAME)"),
        );
        Some((bridge, bond.place))
    }

    /// The words of a bond's BONDING_OPTS.
    fn options(&self, bond: &Bond<'a>, findings: &mut Findings) -> Vec<String> {
        let name = bond.name;
        if bond.members.is_empty() {
            findings.note(bond.place, format!("no file has MASTER={name}; the bond has no members"));
        }
        let Some(value) = bond.device.and_then(|device| device.get("BONDING_OPTS")) else {
            findings.note(
                bond.place,
                format!(
                    "{name} has no BONDING_OPTS=; a new bond is active-backup here (in Linux balance-rr). Options in \
                     /etc/modprobe.d or /etc/modprobe.conf: vsctl import modprobe FILE"
                ),
            );
            return Vec::new();
        };
        let word = |text: &str| Word { text: text.to_owned(), place: value.place.clone() };
        let words: Vec<Word> = value.text.split_whitespace().map(word).collect();
        bond_words::settle(name, &words, &value.place, findings)
    }

    fn check_names(&self, findings: &mut Findings) {
        let own = self.concerned().map(|device| (device.name.as_str(), &device.place));
        let values = self.concerned().flat_map(|device| device.master().into_iter().chain(device.bridge()));
        let named = values.map(|value| (self.resolve(value), &value.place));
        for (name, place) in own.chain(named) {
            if let Err(problem) = step::check(name) {
                findings.problem(place, problem);
            }
        }
    }

    /// Two files for one device are all right for an address; not if both say where it belongs.
    fn check_duplicates(&self, findings: &mut Findings) {
        for (n, device) in self.concerned().enumerate() {
            if let Some(first) = self.concerned().take(n).find(|first| first.name == device.name) {
                findings.problem(
                    &device.place,
                    format!("{} is described in {} too; keep one", device.name, first.place),
                );
            }
        }
    }

    /// Whether each device is one thing, and is told so by everybody.
    fn check_roles(&self, findings: &mut Findings) {
        for device in self.concerned() {
            let name = &device.name;
            let kind = self.kind(device);
            let what = if kind == Kind::Bond { "bond" } else { "bridge" };
            if device.flag("SLAVE") == Some(true) && device.master().is_none() {
                findings.problem(
                    &device.place,
                    format!("{name} has SLAVE=yes, but no MASTER= that names its bond"),
                );
            }
            if let Some(value) = device.master() {
                let master = self.resolve(value);
                if matches!(kind, Kind::Bond | Kind::Bridge) {
                    findings.problem(
                        &value.place,
                        format!("{name} is a {what} and can't be a member of {master}"),
                    );
                }
                if let Some(other) = device.bridge() {
                    findings.problem(
                        &other.place,
                        format!("{name} is a member of {master}; BRIDGE= belongs to the bond, in its file"),
                    );
                }
                if device.get("SLAVE").is_none() {
                    findings.note(
                        &value.place,
                        format!(
                            "there is no SLAVE=yes; {name} is taken for a member of {master} all the same"
                        ),
                    );
                }
                self.check_is(master, value, Kind::Bond, findings);
            }
            if let Some(value) = device.bridge() {
                if kind == Kind::Bridge {
                    findings
                        .problem(&value.place, format!("{name} is a bridge and can't be a port of another"));
                }
                self.check_is(self.resolve(value), value, Kind::Bridge, findings);
            }
            if kind == Kind::Vlan
                && let Some(value) = device.master().or_else(|| device.bridge())
                && let Some(below) = device.below().filter(|below| self.is_taken(below))
            {
                let tag = device.vlan().unwrap_or("N");
                findings.problem(
                    &value.place,
                    format!(
                        "{name} can't be used: {below} is the switch's, which carries every VLAN of it. Other ports \
                         of its bridge take part in VLAN {tag} by their tag (vsctl add-port BRIDGE PORT tag={tag}), \
                         the host by a VLAN device on the bridge; import without this line"
                    ),
                );
            }
        }
    }

    /// Whether a device is what another one takes it for.
    fn check_is(&self, name: &str, value: &Value, wanted: Kind, findings: &mut Findings) {
        let what = |kind| if kind == Kind::Bond { "bond" } else { "bridge" };
        let Some(device) = self.concerned().find(|device| device.name == name) else {
            if self.masters.contains(name) && self.bridges.contains(name) {
                findings.problem(
                    &value.place,
                    format!("{name} is named in one file as MASTER=, a bond, and in another as BRIDGE="),
                );
            }
            return;
        };
        let kind = self.kind(device);
        if kind != wanted {
            let described = match kind {
                Kind::Bond | Kind::Bridge => format!("{name} is a {}", what(kind)),
                Kind::Vlan | Kind::Other => format!("{name} is a device like others"),
            };
            findings
                .problem(&value.place, format!("{described} and no {}; see {}", what(wanted), device.place));
        }
    }

    /// Whether a device becomes a bond, a member or a port.
    fn is_taken(&self, name: &str) -> bool {
        self.masters.contains(name)
            || self.concerned().any(|device| device.name == name && self.kind(device) != Kind::Bridge)
    }

    /// What the operator has to do beside.
    fn tell(&self, bridges: &[Bridge], findings: &mut Findings) {
        for device in self.devices {
            let name = &device.name;
            if !self.concerned().any(|concerned| concerned == device) {
                self.tell_of_others(device, bridges, findings);
                continue;
            }
            let bridge =
                bridges.iter().find(|bridge| self.is_in(device, bridge)).map(|bridge| bridge.name.as_str());
            if let Some((keys, place)) = device.addresses() {
                let where_to = match bridge {
                    Some(bridge) if bridge == name => format!("{name} is the bridge's internal port then"),
                    Some(bridge) => format!("put them on {bridge}, the bridge's internal port"),
                    None => "put them on the bridge's internal port".to_owned(),
                };
                findings.note(
                    place,
                    format!("{keys}: addresses stay with the network configuration; {where_to}"),
                );
            }
            for (place, text) in device.not_done() {
                findings.note(place, text);
            }
            if let Some(value) = device.get("ONBOOT").filter(|_| device.flag("ONBOOT") == Some(false)) {
                findings.note(
                    &value.place,
                    format!("{name} is imported although it is not started at boot (ONBOOT)"),
                );
            }
        }
        if let Some(device) = self.concerned().next() {
            let place = Place { file: device.place.file.clone(), line: 0 };
            findings.note(
                &place,
                "the network configuration must not make the same bonds and bridges in the kernel: take them down \
                 first, and TYPE=, MASTER=, SLAVE= and BRIDGE= out of their files",
            );
        }
    }

    /// Of a device that is no part of the switch.
    fn tell_of_others(&self, device: &Device, bridges: &[Bridge], findings: &mut Findings) {
        let name = &device.name;
        if self.kind(device) == Kind::Vlan
            && let Some(below) = device.below().filter(|below| self.is_taken(below))
        {
            let below_device = self.devices.iter().find(|device| device.name == below);
            let holds = |bridge: &&Bridge| below_device.is_some_and(|device| self.is_in(device, bridge));
            let bridge = bridges.iter().find(holds).map_or("its bridge", |bridge| bridge.name.as_str());
            let tag = device.vlan().unwrap_or("N");
            findings.note(
                &device.place,
                format!(
                    "{name} can't be above {below} any more; make it above {bridge} (ip link add link {bridge} name \
                     {bridge}.{tag} type vlan id {tag})"
                ),
            );
        } else {
            findings.note(&device.place, format!("{name} is in no bond and no bridge; it is left alone"));
        }
    }

    /// Whether a device is the bridge, or a bond, member or port of it.
    fn is_in(&self, device: &Device, bridge: &Bridge) -> bool {
        let name = device.master().map_or(device.name.as_str(), |value| self.resolve(value));
        name == bridge.name
            || bridge
                .bonds
                .iter()
                .chain(&bridge.ports)
                .any(|step| step.words.get(3).is_some_and(|port| port == name))
    }
}
