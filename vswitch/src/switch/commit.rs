//! From one model to the next: first everything that can fail, then everything that can't.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bond_port::{Bond, BondOptions, MemberOptions};
use forwarding::fdb::{Fdb, FdbConfig, Tick};
use forwarding::ids::PortId;
use forwarding::storm::{Storm, StormLimits};
use forwarding::tables::{FloodLists, Learning};
use forwarding::vlan_counters::VlanCounters;

use super::attached::{Attached, Opened};
use super::roles::roles;
use super::{Bridge, Port, Switch};
use crate::events::EventKind;
use crate::model::{self, FastPathMode, Model, Statics};
use crate::neighbours::Neighbours;
use crate::receive::owners::Owners;

/// A model whose devices are open, ready to be committed. Dropping it gives the devices back.
#[derive(Debug)]
pub struct Prepared {
    model: Model,
    options: BTreeMap<String, Options>,
    opened: Vec<Opened>,
}

impl Prepared {
    /// The model to be saved and committed.
    pub fn model(&self) -> &Model {
        &self.model
    }
}

impl Switch {
    /// Opens the devices that `next` needs and that are there. Devices that don't exist are left out: they are taken in
    /// when they appear.
    ///
    /// # Errors
    /// What can't be had, with the device's name. Nothing has changed then.
    pub fn prepare(&mut self, next: Model) -> Result<Prepared, String> {
        let options = bond_options(&next)?;
        let mut opened = Vec::new();
        for (name, role) in roles(&next) {
            if !self.is_attached_as(name, &role) {
                opened.extend(self.open(name, &role).map_err(|error| error.to_string())?);
                self.breathe();
            }
        }
        Ok(Prepared { model: next, options, opened })
    }

    /// Like [`Self::prepare`], for the model loaded at start: a device that can't be used is logged and left out, so
    /// that the rest of the switch runs.
    ///
    /// # Errors
    /// A bond's options are wrong.
    pub fn prepare_restored(&mut self, next: Model) -> Result<Prepared, String> {
        let options = bond_options(&next)?;
        if let Some(problem) = self.fastpath_problem() {
            let wanted = next.bridges.iter().filter(|(_, bridge)| bridge.fastpath == FastPathMode::On);
            for (bridge, _) in wanted {
                tracing::warn!(bridge, problem, "fastpath=on, but there is no fast path; workers forward");
            }
        }
        let mut opened = Vec::new();
        for (name, role) in roles(&next) {
            match self.open(name, &role) {
                Ok(device) => opened.extend(device),
                Err(error) => tracing::error!(device = name, %error, "left out"),
            }
            self.remind_partners();
        }
        Ok(Prepared { model: next, options, opened })
    }

    /// Makes the model the switch's own. When it returns, every worker forwards by it. `commands` is how many commands
    /// made it, 0 at start.
    pub fn commit(&mut self, mut now: Duration, prepared: Prepared, commands: usize) {
        let Prepared { model, options, opened } = prepared;
        self.say_farewell(
            |bond| options.get(bond).map(|options| &options.bond),
            |bond, member| options.get(bond).is_some_and(|options| options.members.contains_key(member)),
        );
        let before = std::mem::replace(&mut self.model, model);
        let mut stale = self.drop_ports(&before);
        let released = self.release_devices();
        let mut stale_fdbs = self.drop_bridges();
        self.update_bridges(now, &mut stale_fdbs);
        self.add_ports(now, &options, &mut stale);
        self.resume_bonds();
        for device in opened {
            self.install(device);
        }
        self.assign_devices();
        self.pick_up_missing(now);
        self.update_bonds(now, &options);
        self.restore_bonds(now);
        self.refresh_hints();
        self.sync_protocols();
        self.publish_and_wait();
        // Only now no worker learns on the ports that are gone, or in the VLANs that they had.
        let mut guests_changed = false;
        for (bridge, port) in stale {
            if let Some(bridge) = self.bridges.get_mut(bridge) {
                bridge.fdb.remove_port(port);
                bridge.neighbours.forget_port(port);
                if bridge.owners.forget_port(port) {
                    guests_changed = true;
                }
            }
        }
        if guests_changed {
            self.guests_changed();
        }
        self.update_statics();
        for (bridge, fdb) in stale_fdbs {
            self.fast.drop_fdb(fdb);
            // A bridge that has got an FDB of another size goes on counting.
            if self.bridges.get(bridge).is_none() {
                self.fast.clear_vlan_stats(bridge);
            }
        }
        self.finish_adoption(Tick::at(now));
        self.sync_probe_entries();
        self.sync_hooks();
        if commands == 0 {
            self.fast.remove_other_layouts();
        }
        for attached in released {
            self.fast.unhook(attached.ifindex());
            attached.release();
            now = self.breathe();
        }
        self.tell_absent_primaries(&before);
        self.schedule_polling(now);
        self.events.push(EventKind::Config { commands });
        self.settle(now);
    }

    /// Logs bonds whose primary is no member, since the configuration says so.
    fn tell_absent_primaries(&mut self, before: &Model) {
        for (name, _, bond) in self.model.bridges.values().flat_map(model::Bridge::bonds) {
            let Some(primary) = bond.absent_primary() else { continue };
            if before.bond(name).and_then(|(_, bond)| bond.absent_primary()) != Some(primary) {
                let text = format!("primary {primary} is not a member; it will be preferred once it joins");
                tracing::warn!(bond = name, "{text}");
                self.events.push(EventKind::Warning { bond: Some(name.to_owned()), device: None, text });
            }
        }
    }

    /// Publishes, and returns when every worker has taken over.
    pub(super) fn publish_and_wait(&mut self) {
        let bridges: Vec<_> = self.bridges.iter().map(|(number, _)| number).collect();
        for number in bridges {
            let flood = self.compile_flood(number);
            if let Some(bridge) = self.bridges.get_mut(number) {
                bridge.flood = flood;
            }
        }
        self.publish();
        self.wait_applied();
    }

    /// Takes out the ports that the model doesn't have any more, or has as something else.
    fn drop_ports(&mut self, before: &Model) -> Vec<(u16, PortId)> {
        let gone: Vec<_> = (self.ports.iter())
            .filter(|(_, port)| {
                let bridge = self.bridges.get(port.bridge).map_or("", |bridge| &bridge.name);
                let same_bridge = self.model.bridges.get(bridge).zip(before.bridges.get(bridge));
                match same_bridge {
                    None => true,
                    Some(_) if port.name == bridge => false,
                    Some((new, _)) => {
                        new.ports.get(&port.name).is_none_or(|p| p.bond.is_some() != port.bond.is_some())
                    }
                }
            })
            .map(|(number, port)| (number, port.bridge))
            .collect();
        gone.into_iter()
            .map(|(number, bridge)| {
                self.ports.remove(number);
                self.announcer.cancel(PortId(number));
                self.querier.ask(PortId(number), []);
                (bridge, PortId(number))
            })
            .collect()
    }

    /// Takes out the bridges that the model doesn't have any more. Returns their numbers with those of their FDBs' maps.
    fn drop_bridges(&mut self) -> Vec<(u16, Option<u16>)> {
        let gone: Vec<_> = self
            .bridges
            .iter()
            .filter(|(_, b)| !self.model.bridges.contains_key(&b.name))
            .map(|(n, _)| n)
            .collect();
        let remove = |number| (number, self.bridges.remove(number).and_then(|bridge| bridge.fdb_number));
        gone.into_iter().map(remove).collect()
    }

    fn update_bridges(&mut self, now: Duration, stale_fdbs: &mut Vec<(u16, Option<u16>)>) {
        let wanted: Vec<_> = self.model.bridges.iter().map(|(n, b)| (n.clone(), b.clone())).collect();
        for (name, wanted) in wanted {
            let config = FdbConfig {
                capacity: wanted.mac_table_size as usize,
                ageing: u16::try_from(wanted.mac_aging_time).unwrap_or(u16::MAX),
                seed: self.seed,
            };
            let found = self.bridges.iter_mut().find(|(_, bridge)| bridge.name == name);
            match found {
                Some((number, bridge)) if bridge.fdb.config().capacity != config.capacity => {
                    let (new, fdb_number) = self.fast.fdb(&name, config);
                    refill(&bridge.fdb, &new, Tick::at(now));
                    bridge.fdb = Arc::new(new);
                    stale_fdbs.push((number, bridge.fdb_number));
                    bridge.fdb_number = fdb_number;
                }
                Some((_, bridge)) => bridge.fdb.set_ageing(config.ageing),
                None => {
                    let (fdb, fdb_number) = self.fast.fdb(&name, config);
                    let fdb = Arc::new(fdb);
                    let flood = Arc::new(FloodLists::default());
                    let vlan_counters = self.count_vlans.then(|| Arc::new(VlanCounters::new()));
                    // The model's limits keep the number of bridges below that of ports.
                    let bridge = Bridge {
                        name,
                        fdb,
                        fdb_number,
                        flood,
                        neighbours: Neighbours::default(),
                        owners: Owners::default(),
                        guests: Arc::default(),
                        statics: Statics::new(),
                        vlan_counters,
                        carrier: None,
                    };
                    let number = match self.fast.earlier_bridge(&bridge.name) {
                        Some(number) => self.bridges.insert_at(number, bridge),
                        None => self.bridges.insert(bridge),
                    };
                    // What an earlier daemon, or a bridge of this number, has left: counters begin anew.
                    if let Some(number) = number {
                        self.fast.clear_vlan_stats(number);
                    }
                }
            }
        }
    }

    fn add_ports(
        &mut self,
        now: Duration,
        options: &BTreeMap<String, Options>,
        stale: &mut Vec<(u16, PortId)>,
    ) {
        let bridges: Vec<_> =
            self.bridges.iter().map(|(number, bridge)| (number, bridge.name.clone())).collect();
        for (bridge, name) in bridges {
            let Some(wanted) = self.model.bridges.get(&name) else { continue };
            let internal = (&name, &wanted.vlan, &wanted.limits, None);
            let ports = wanted.ports.iter();
            let ports = ports.map(|(name, port)| (name, &port.vlan, &port.limits, port.bond.as_ref()));
            for (name, vlan, limits, bond) in std::iter::once(internal).chain(ports) {
                let vlan = vlan.policy();
                let learning =
                    Learning { limit: limits.mac_learning_limit, locked: limits.mac_learning_locked };
                let storm = StormLimits {
                    broadcast: limits.storm_broadcast,
                    unknown: limits.storm_unknown,
                    multicast: limits.storm_multicast,
                };
                if let Some((number, port)) = self.ports.iter_mut().find(|(_, port)| port.name == *name) {
                    if port.vlan != vlan {
                        port.vlan = vlan;
                        stale.push((bridge, PortId(number)));
                    }
                    port.learning = learning;
                    if port.storm.as_ref().map_or(StormLimits::default(), |storm| storm.limits()) != storm {
                        port.storm = storm_control(storm);
                    }
                    continue;
                }
                let bond = bond.map(|wanted| new_bond(now, name, wanted, &options[name].bond));
                let port = Port {
                    name: name.clone(),
                    bridge,
                    vlan,
                    learning,
                    storm: storm_control(storm),
                    bond,
                    receiving: None,
                };
                let _ = match self.fast.earlier_port(bridge, &port.name) {
                    Some(number) => self.ports.insert_at(number, port),
                    None => self.ports.insert(port),
                };
            }
        }
    }

    /// Brings bonds that existed before into line: members, then options, then what is known of the members' links.
    fn update_bonds(&mut self, now: Duration, options: &BTreeMap<String, Options>) {
        let names: Vec<String> = options.keys().cloned().collect();
        for name in names {
            let Some((_, wanted)) = self.model.bond(&name) else { continue };
            let members = wanted.members.clone();
            let Some(bond) = self.bond_mut(&name) else { continue };
            let known: Vec<String> = bond.members().iter().map(|m| m.name().to_owned()).collect();
            for gone in known.iter().filter(|member| !members.contains(member)) {
                let _ = bond.remove_member(now, gone);
            }
            for new in members.iter().filter(|member| !known.contains(member)) {
                let _ = bond.add_member(now, new);
            }
            let wanted = &options[&name].bond;
            if bond.options() != wanted {
                let mode = (bond.options().mode != wanted.mode).then(|| plugins::balancer(wanted.mode));
                bond.reconfigure(now, wanted.clone(), mode);
            }
            for (member, options) in &options[&name].members {
                // A member of the model is one of the bond by now.
                let _ = bond.set_member_options(now, member, options.clone());
            }
            for member in members {
                self.report_member(now, &name, &member);
            }
        }
    }

    /// Brings MACs entered by hand into line, after ports that are gone were cleaned up.
    pub(super) fn update_statics(&mut self) {
        let ports: BTreeMap<String, u16> =
            self.ports.iter().map(|(n, port)| (port.name.clone(), n)).collect();
        for (_, bridge) in self.bridges.iter_mut() {
            let Some(wanted) = self.model.bridges.get(&bridge.name) else { continue };
            for (vlan, mac) in bridge.statics.keys().filter(|key| !wanted.statics.contains_key(key)) {
                bridge.fdb.remove(*vlan, *mac);
            }
            for ((vlan, mac), port) in &wanted.statics {
                let Some(number) = ports.get(port) else { continue };
                if !bridge.fdb.add_static(*vlan, *mac, PortId(*number)) {
                    tracing::warn!(bridge = bridge.name, vlan, %mac, "no room for a static FDB entry");
                }
            }
            bridge.statics.clone_from(&wanted.statics);
        }
        self.sync_probe_entries();
    }

    /// Takes over what is active now into the model: the new model was made from an older one.
    fn refresh_hints(&mut self) {
        let active: Vec<_> = (self.ports.iter())
            .filter_map(|(_, port)| Some((port.name.clone(), port.bond.as_ref()?.active()?.to_owned())))
            .collect();
        for (bond, member) in active {
            self.unsaved |= self.model.note_active(&bond, Some(&member));
        }
    }

    /// Takes out the devices that the model doesn't name any more.
    fn release_devices(&mut self) -> Vec<Attached> {
        let roles = roles(&self.model);
        let gone: BTreeSet<u16> = (self.devices.iter())
            .filter(|(_, attached)| {
                roles.get(attached.name()).is_none_or(|role| role.is_internal() != attached.is_internal())
            })
            .map(|(number, _)| number)
            .collect();
        gone.into_iter().filter_map(|number| self.devices.remove(number)).collect()
    }

    /// Tells every device which port it belongs to.
    pub(super) fn assign_devices(&mut self) {
        let ports: BTreeMap<&str, u16> = self.ports.iter().map(|(n, port)| (port.name.as_str(), n)).collect();
        let roles = roles(&self.model);
        for (_, attached) in self.devices.iter_mut() {
            let port = roles.get(attached.name()).and_then(|role| ports.get(role.port.as_str()));
            attached.port = port.map(|number| PortId(*number));
        }
    }
}

/// The typed options of a bond.
#[derive(Debug)]
struct Options {
    bond: BondOptions,
    /// Of each member.
    members: BTreeMap<String, MemberOptions>,
}

/// The typed options of every bond of a model.
fn bond_options(model: &Model) -> Result<BTreeMap<String, Options>, String> {
    let mut all = BTreeMap::new();
    for (name, _, wanted) in model.bridges.values().flat_map(model::Bridge::bonds) {
        let wrong = |error: String| format!("bond {name}: {error}");
        let bond = wanted.typed_options().map_err(|error| wrong(error.to_string()))?;
        let mut members = BTreeMap::new();
        for member in &wanted.members {
            members.insert(member.clone(), wanted.typed_member_options(member).map_err(wrong)?.0);
        }
        all.insert(name.to_owned(), Options { bond, members });
    }
    Ok(all)
}

/// Nothing to be consulted where nothing is limited.
fn storm_control(limits: StormLimits) -> Option<Arc<Storm>> {
    (limits != StormLimits::default()).then(|| Arc::new(Storm::new(limits)))
}

fn new_bond(now: Duration, name: &str, wanted: &model::Bond, options: &BondOptions) -> Bond {
    let mut bond = Bond::new(name, options.clone(), plugins::balancer(options.mode));
    for member in &wanted.members {
        // The model has no member twice.
        let _ = bond.add_member(now, member);
    }
    if let Some(active) = &wanted.active {
        bond.restore_active(active);
    }
    bond
}

/// Fills a table of another size with the old one's entries, as many as fit.
fn refill(old: &Fdb, new: &Fdb, now: Tick) {
    let mut entries = old.entries(now);
    entries.sort_unstable_by_key(|entry| entry.age);
    for entry in entries {
        new.learn(entry.vlan, entry.mac, entry.port, Tick(now.0.wrapping_sub(entry.age)));
    }
}
