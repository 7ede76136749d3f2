//! What a configuration should be, by books kept independently of the switch's own model.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result};
use integration::packets::Station;
use integration::random::Random;
use integration::topology::Topology;
use serde_json::{Value, json};

/// Guests, ports `g1`, ..
pub(crate) const GUESTS: usize = 4;
/// Uplinks `u1`, ..
pub(crate) const UPLINKS: usize = 3;

const BRIDGES: [&str; 2] = ["br0", "br1"];
const BONDS: [&str; 2] = ["bond0", "bond1"];
const VLANS: [u16; 3] = [10, 20, 30];

/// Bridges by name with their ports by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wish {
    bridges: BTreeMap<String, BTreeMap<String, Port>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Port {
    tag: Option<u16>,
    trunks: BTreeSet<u16>,
    /// Members in joining order and options; `None` for a plain port.
    bond: Option<(Vec<String>, BTreeMap<String, String>)>,
}

impl Port {
    const fn plain(tag: Option<u16>) -> Self {
        Self { tag, trunks: BTreeSet::new(), bond: None }
    }

    fn carries(&self, vlan: u16) -> bool {
        match self.tag {
            Some(tag) => tag == vlan,
            None => self.trunks.is_empty() || self.trunks.contains(&vlan),
        }
    }
}

/// A station at each guest, then one at the far end of each uplink.
pub(crate) fn stations(topology: &Topology) -> Result<Vec<Station>> {
    let guests = (1..=GUESTS).map(|i| Station::new(topology.guest(i), "eth0"));
    let uplinks = (1..=UPLINKS).map(|i| Station::new(&topology.up, &format!("p{i}")));
    guests.chain(uplinks).collect()
}

impl Wish {
    /// What `show` tells, without what these books don't keep.
    pub(crate) fn from_show(show: &Value) -> Result<Self> {
        let list = |value: &Value| value.as_array().cloned().with_context(|| format!("no list in {show}"));
        let text =
            |value: &Value| value.as_str().map(str::to_owned).with_context(|| format!("no text in {show}"));
        let number = |value: &Value| value.as_u64().and_then(|number| u16::try_from(number).ok());
        let mut bridges = BTreeMap::new();
        for bridge in list(&show["bridges"])? {
            let mut ports = BTreeMap::new();
            for port in list(&bridge["ports"])?.iter().filter(|port| port["kind"] != "internal") {
                let trunks = list(&port["trunks"])?.iter().filter_map(number).collect();
                let members =
                    list(&port["interfaces"])?.iter().map(|i| text(&i["name"])).collect::<Result<_>>()?;
                let options = port["options"].as_object().into_iter().flatten();
                let options = options.map(|(key, value)| Ok((key.clone(), text(value)?)));
                let bond = match port["kind"].as_str() {
                    Some("bond") => Some((members, options.collect::<Result<_>>()?)),
                    _ => None,
                };
                ports.insert(text(&port["name"])?, Port { tag: number(&port["tag"]), trunks, bond });
            }
            bridges.insert(text(&bridge["name"])?, ports);
        }
        Ok(Self { bridges })
    }

    /// One to four random commands, and what they make of this; `None` if one of them is wrong, so that nothing may
    /// change.
    pub(crate) fn random_transaction(&self, random: &mut Random) -> (Vec<Value>, Option<Self>) {
        let mut next = self.clone();
        let count = 1 + random.below(4);
        let mut requests: Vec<Value> = (0..count).map(|_| next.random_command(random)).collect();
        if random.one_in(8) {
            let wrong = [
                json!({ "command": "add-port", "bridge": "br0", "port": "nowhere" }),
                json!({ "command": "del-br", "bridge": "br9" }),
                json!({ "command": "set", "table": "port", "record": "g1",
                        "settings": [{ "name": "tag", "value": "5000" }] }),
            ];
            requests.push(random.pick(&wrong).clone());
            return (requests, None);
        }
        (requests, Some(next))
    }

    fn random_command(&mut self, random: &mut Random) -> Value {
        // A command that has nothing to act on makes way for one that always has.
        match random.below(10) {
            0 => self.delete_bridge(random),
            1 => self.delete_port(random),
            2..=4 => self.set_vlans(random),
            5 => self.set_option(random),
            6 => self.change_members(random),
            7 | 8 => self.add_bond(random),
            _ => None,
        }
        .unwrap_or_else(|| self.add(random))
    }

    fn add(&mut self, random: &mut Random) -> Value {
        let bridge = *random.pick(&BRIDGES);
        let guest = format!("g{}", 1 + random.below(GUESTS));
        let vlan = *random.pick(&VLANS);
        let free = self.owner(&guest).is_none();
        match self.bridges.get_mut(bridge) {
            Some(ports) if free => {
                ports.insert(guest.clone(), Port::plain(Some(vlan)));
                let tag = json!([{ "name": "tag", "value": vlan.to_string() }]);
                json!({ "command": "add-port", "bridge": bridge, "port": guest, "settings": tag })
            }
            Some(_) => json!({ "command": "add-br", "bridge": bridge, "may_exist": true }),
            None => {
                self.bridges.insert(bridge.to_owned(), BTreeMap::new());
                json!({ "command": "add-br", "bridge": bridge })
            }
        }
    }

    fn delete_bridge(&mut self, random: &mut Random) -> Option<Value> {
        let bridge = self.any_bridge(random).filter(|_| random.one_in(2))?;
        self.bridges.remove(&bridge);
        Some(json!({ "command": "del-br", "bridge": bridge }))
    }

    fn delete_port(&mut self, random: &mut Random) -> Option<Value> {
        let port = self.any_port(random, |_| true)?;
        self.bridges.values_mut().for_each(|ports| drop(ports.remove(&port)));
        Some(json!({ "command": "del-port", "port": port }))
    }

    fn set_vlans(&mut self, random: &mut Random) -> Option<Value> {
        let name = self.any_port(random, |_| true)?;
        let port = self.port_mut(&name)?;
        let (one, other) = (*random.pick(&VLANS), *random.pick(&VLANS));
        let (tag, trunks) = match random.below(3) {
            0 => (Some(one), BTreeSet::new()),
            1 => (None, BTreeSet::from([one, other])),
            _ => (None, BTreeSet::new()),
        };
        // First neither, since a port may not have both for a moment.
        let mut settings = vec![("tag", "[]".to_owned()), ("trunks", "[]".to_owned())];
        settings.extend(tag.map(|tag| ("tag", tag.to_string())));
        if !trunks.is_empty() {
            settings.push(("trunks", trunks.iter().map(u16::to_string).collect::<Vec<_>>().join(",")));
        }
        let settings: Vec<_> =
            settings.into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect();
        (port.tag, port.trunks) = (tag, trunks);
        Some(json!({ "command": "set", "table": "port", "record": name, "settings": settings }))
    }

    fn set_option(&mut self, random: &mut Random) -> Option<Value> {
        let name = self.any_port(random, |port| port.bond.is_some())?;
        let options = &mut self.port_mut(&name)?.bond.as_mut()?.1;
        let (key, default, values) = *random.pick(&[
            ("mode", "active-backup", ["active-backup", "balance-xor"]),
            ("updelay", "0", ["0", "200"]),
            ("xmit_hash_policy", "layer2", ["layer2", "layer3+4"]),
        ]);
        let value = *random.pick(&values);
        // The mode is always shown.
        if value == default && key != "mode" {
            options.remove(key);
        } else {
            options.insert(key.to_owned(), value.to_owned());
        }
        let settings = json!([{ "name": key, "value": value }]);
        Some(json!({ "command": "set", "table": "bond", "record": name, "settings": settings }))
    }

    fn change_members(&mut self, random: &mut Random) -> Option<Value> {
        let uplink = format!("u{}", 1 + random.below(UPLINKS));
        let old = self.owner(&uplink);
        let bond = match &old {
            Some(bond) => bond.clone(),
            None => self.any_port(random, |port| port.bond.is_some())?,
        };
        let members = &mut self.port_mut(&bond)?.bond.as_mut()?.0;
        if old.is_some() {
            members.retain(|member| *member != uplink);
            return Some(json!({ "command": "del-bond-iface", "bond": bond, "iface": uplink }));
        }
        members.push(uplink.clone());
        Some(json!({ "command": "add-bond-iface", "bond": bond, "iface": uplink }))
    }

    fn add_bond(&mut self, random: &mut Random) -> Option<Value> {
        let bond = random.pick(&BONDS).to_string();
        let bridge = self.any_bridge(random).filter(|_| self.owner(&bond).is_none())?;
        let uplinks = (1..=UPLINKS).map(|i| format!("u{i}"));
        let members: Vec<String> =
            uplinks.filter(|uplink| self.owner(uplink).is_none() && !random.one_in(3)).collect();
        let options = BTreeMap::from([("mode".to_owned(), "active-backup".to_owned())]);
        let new = Port { tag: None, trunks: BTreeSet::new(), bond: Some((members.clone(), options)) };
        self.bridges.get_mut(&bridge)?.insert(bond.clone(), new);
        Some(json!({ "command": "add-bond", "bridge": bridge, "bond": bond, "members": members }))
    }

    fn any_bridge(&self, random: &mut Random) -> Option<String> {
        let names: Vec<_> = self.bridges.keys().collect();
        (!names.is_empty()).then(|| random.pick(&names).to_string())
    }

    fn any_port(&self, random: &mut Random, wanted: impl Fn(&Port) -> bool) -> Option<String> {
        let all = self.bridges.values().flatten();
        let names: Vec<_> = all.filter(|(_, port)| wanted(port)).map(|(name, _)| name).collect();
        (!names.is_empty()).then(|| random.pick(&names).to_string())
    }

    fn port_mut(&mut self, name: &str) -> Option<&mut Port> {
        self.bridges.values_mut().find_map(|ports| ports.get_mut(name))
    }

    /// The port that is called so or has this device.
    fn owner(&self, device: &str) -> Option<String> {
        let has =
            |port: &Port| port.bond.as_ref().is_some_and(|(members, _)| members.iter().any(|m| m == device));
        let all = self.bridges.values().flatten();
        all.into_iter().find(|(name, port)| *name == device || has(port)).map(|(name, _)| name.clone())
    }

    fn guest(&self, i: usize) -> Option<(&String, &Port)> {
        let name = format!("g{}", i + 1);
        self.bridges.iter().find_map(|(bridge, ports)| Some((bridge, ports.get(&name)?)))
    }

    /// The VLAN of what a guest sends untagged, if its port takes that in.
    fn vlan_of(port: &Port) -> Option<u16> {
        let vlan = port.tag.unwrap_or(0);
        port.carries(vlan).then_some(vlan)
    }

    /// With which tag an untagged broadcast of guest `from` arrives at guest `to` (both counted from 0): `None` if it
    /// does not, `Some(None)` without a tag.
    pub(crate) fn tag_at(&self, from: usize, to: usize) -> Option<Option<u16>> {
        let ((here, ingress), (there, egress)) = (self.guest(from)?, self.guest(to)?);
        let vlan = Self::vlan_of(ingress)?;
        let arrives = here == there && egress.carries(vlan);
        arrives.then_some((egress.tag.is_none() && vlan != 0).then_some(vlan))
    }

    /// How many copies of it leave by bonds: one for each bond of the bridge that has members and is in the VLAN.
    pub(crate) fn bond_copies(&self, from: usize) -> u32 {
        let Some((bridge, ingress)) = self.guest(from) else { return 0 };
        let Some(vlan) = Self::vlan_of(ingress) else { return 0 };
        let bonds = self.bridges[bridge].values().filter(|port| port.carries(vlan));
        bonds.filter(|port| port.bond.as_ref().is_some_and(|(members, _)| !members.is_empty())).count() as u32
    }
}
