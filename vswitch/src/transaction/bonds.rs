//! Commands about bonds and their members.

use bond_port::Mode;

use bond_port::rebalance::BUCKETS;

use super::columns::Table;
use super::reply::{BondSummary, ProcText};
use super::{Action, Draft, Problem, Reply, Setting};
use crate::model::{Bond, Model, Place, Port};

impl Draft<'_> {
    pub(super) fn add_bond(
        &mut self,
        bridge: &str,
        bond: &str,
        members: &[String],
        settings: &[Setting],
        may_exist: bool,
    ) -> Result<Reply, Problem> {
        self.bridge(bridge)?;
        if may_exist && self.bond_is_there(bridge, bond, members)? {
            return self.apply(Table::Bond, bond, settings);
        }
        self.check_free("a port", bond)?;
        let port = Port { bond: Some(Bond::default()), ..Port::default() };
        self.bridge_mut(bridge)?.ports.insert(bond.to_owned(), port);
        for member in members {
            self.join(bond, member)?;
        }
        self.apply(Table::Bond, bond, settings)
    }

    /// For `--may-exist`: whether the bond exists just so; an error if it exists otherwise. No members are named: it
    /// may have any.
    fn bond_is_there(&self, bridge: &str, bond: &str, members: &[String]) -> Result<bool, Problem> {
        let wanted = sorted(members);
        let but = |found: String| {
            let asked: String = wanted.iter().map(|member| format!(" {member}")).collect();
            Err(format!("\"--may-exist add-bond {bridge} {bond}{asked}\" but {bond} {found}"))
        };
        match self.model.place_of(bond) {
            None => Ok(false),
            Some(Place::Bond { bridge: actual }) if actual == bridge => {
                let found = self.model.bond(bond).map(|(_, bond)| sorted(&bond.members)).unwrap_or_default();
                match found {
                    found if found == wanted || wanted.is_empty() => Ok(true),
                    found if found.is_empty() => but("actually has no interfaces".to_owned()),
                    found => but(format!("actually has interface(s) {}", found.join(", "))),
                }
            }
            Some(Place::Bond { bridge: actual }) => but(format!("is actually attached to bridge {actual}")),
            Some(Place::Port { bridge: actual }) => but(format!("is a plain port on bridge {actual}")),
            Some(Place::Bridge) => but("is a bridge".to_owned()),
            Some(Place::Member { bond: other, .. }) => but(format!("is actually a member of bond {other}")),
        }
    }

    pub(super) fn add_bond_iface(
        &mut self,
        bond: &str,
        iface: &str,
        may_exist: bool,
    ) -> Result<Reply, Problem> {
        self.bond_port(bond)?;
        if may_exist && let Some(Place::Member { bond: actual, .. }) = self.model.place_of(iface) {
            return if actual == bond {
                Ok(Reply::Done {})
            } else {
                Err(format!(
                    "\"--may-exist add-bond-iface {bond} {iface}\" but {iface} is actually attached to port {actual}"
                ))
            };
        }
        self.join(bond, iface)?;
        Ok(Reply::Done {})
    }

    fn join(&mut self, bond: &str, iface: &str) -> Result<(), Problem> {
        self.check_free("an interface", iface)?;
        self.check_device(iface)?;
        if let Some(bond) = self.model.bond_mut(bond) {
            bond.members.push(iface.to_owned());
        }
        Ok(())
    }

    pub(super) fn del_bond_iface(
        &mut self,
        bond: Option<&str>,
        iface: &str,
        if_exists: bool,
    ) -> Result<Reply, Problem> {
        if let Some(bond) = bond {
            self.bond_port(bond)?;
        }
        let actual = match (self.model.place_of(iface), bond) {
            (Some(Place::Member { bond: actual, .. }), None) => actual.to_owned(),
            (Some(Place::Member { bond: actual, .. }), Some(bond)) if actual == bond => actual.to_owned(),
            (Some(Place::Port { bridge }), None) => {
                return Err(format!(
                    "{iface} is a plain port of bridge {bridge}, not a member of a bond; use \"del-port {iface}\""
                ));
            }
            _ if if_exists => return Ok(Reply::Done {}),
            (place, Some(bond)) => {
                let found = match place {
                    Some(Place::Member { bond, .. }) => format!("; it is a member of bond {bond}"),
                    _ => String::new(),
                };
                return Err(format!("port {bond} does not have an interface {iface}{found}"));
            }
            (_, None) => return Err(format!("no interface named {iface}")),
        };
        if let Some(bond) = self.model.bond_mut(&actual) {
            bond.members.retain(|member| member != iface);
            bond.active.take_if(|active| active == iface);
        }
        Ok(Reply::Done {})
    }

    /// The bond of this name, for commands that change it.
    fn bond_port(&self, name: &str) -> Result<&Bond, Problem> {
        match self.model.bond(name) {
            Some((_, bond)) => Ok(bond),
            None if self.port_place(name).is_some() => Err(format!("port {name} is not a bond")),
            None => Err(self.no_port(name)),
        }
    }

    /// The bond of this name, for commands that look at how it runs.
    pub(super) fn running_bond(&self, name: &str) -> Result<&Bond, Problem> {
        self.model.bond(name).map(|(_, bond)| bond).ok_or_else(|| match self.port_place(name) {
            Some((bridge, _)) => format!("no such bond: {name} is a plain port of bridge {bridge}"),
            None => format!("no such bond: {name}"),
        })
    }

    pub(super) fn bond_show(&self, name: Option<&str>) -> Result<Reply, Problem> {
        self.of_bonds(name, |name| self.runtime.bond(name)).map(Reply::Bonds)
    }

    pub(super) fn bond_proc(&self, name: Option<&str>) -> Result<Reply, Problem> {
        let text = |name: &str| Some(ProcText { name: name.to_owned(), text: self.runtime.proc_text(name)? });
        self.of_bonds(name, text).map(Reply::Proc)
    }

    pub(super) fn bond_explain(&self, name: Option<&str>) -> Result<Reply, Problem> {
        self.of_bonds(name, |name| self.runtime.explain(name)).map(Reply::Explanations)
    }

    pub(super) fn lacp_show(&self, name: Option<&str>) -> Result<Reply, Problem> {
        self.check_speaks_lacp(name)?;
        self.of_bonds(name, |name| self.runtime.lacp(name)).map(Reply::Lacp)
    }

    pub(super) fn lacp_show_stats(&self, name: Option<&str>) -> Result<Reply, Problem> {
        self.check_speaks_lacp(name)?;
        self.of_bonds(name, |name| self.runtime.lacp_stats(name)).map(Reply::LacpStats)
    }

    fn check_speaks_lacp(&self, name: Option<&str>) -> Result<(), Problem> {
        let Some(name) = name else { return Ok(()) };
        let mode = self.running_bond(name)?.mode();
        if mode == Mode::Ieee8023ad.name() {
            return Ok(());
        }
        Err(format!(
            "no such lacp object: bond {name} has mode {mode}, which speaks no LACP; it is mode {} that does",
            Mode::Ieee8023ad
        ))
    }

    /// What there is to tell of one bond, or of all.
    fn of_bonds<T>(&self, name: Option<&str>, tell: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, Problem> {
        let Some(name) = name else {
            let bonds = self.model.bridges.values().flat_map(|bridge| bridge.bonds());
            return Ok(bonds.filter_map(|(name, _, _)| tell(name)).collect());
        };
        self.running_bond(name)?;
        match tell(name) {
            Some(told) => Ok(vec![told]),
            None => {
                Err(format!("bond {name} is new in this call and has no state yet; ask in a call of its own"))
            }
        }
    }

    pub(super) fn bond_list(&self) -> Reply {
        let summary = |bridge: &str, name: &str, bond: &Bond| BondSummary {
            name: name.to_owned(),
            bridge: bridge.to_owned(),
            mode: bond.mode(),
            members: bond.members.clone(),
        };
        let mut list: Vec<_> = self
            .model
            .bridges
            .iter()
            .flat_map(|(bridge, b)| b.bonds().map(move |(name, _, bond)| summary(bridge, name, bond)))
            .collect();
        list.sort_by(|a, b| a.name.cmp(&b.name));
        Reply::BondList(list)
    }

    pub(super) fn set_active_member(&mut self, name: &str, member: &str) -> Result<Reply, Problem> {
        self.check_member(name, member)?;
        let changed = self.runtime.can_activate(name, member)?;
        if changed {
            self.actions.push(Action::SetActiveMember { bond: name.to_owned(), member: member.to_owned() });
        }
        Ok(Reply::Text(if changed { "done" } else { "no change" }.to_owned()))
    }

    /// Moves buckets by load now.
    pub(super) fn rebalance(&mut self, name: &str) -> Result<Reply, Problem> {
        self.running_bond(name)?;
        self.runtime.can_rebalance(name)?;
        self.actions.push(Action::Rebalance { bond: name.to_owned(), reply: self.index });
        Ok(Reply::Text(String::new()))
    }

    /// Moves a bucket of the transmit table by hand.
    pub(super) fn migrate(&mut self, name: &str, bucket: &str, member: &str) -> Result<Reply, Problem> {
        let bucket: usize = bucket.parse().map_err(|_| {
            format!("\"{bucket}\" is not a bucket; use its number, from 0 to {}", BUCKETS - 1)
        })?;
        self.check_member(name, member)?;
        let changed = self.runtime.can_migrate(name, bucket, member)?;
        if changed {
            self.actions.push(Action::Migrate { bond: name.to_owned(), bucket, member: member.to_owned() });
        }
        Ok(Reply::Text(if changed { "migrated" } else { "no change" }.to_owned()))
    }

    /// Enables or disables a member by hand.
    pub(super) fn switch_member(&mut self, name: &str, member: &str, enable: bool) -> Result<Reply, Problem> {
        self.check_member(name, member)?;
        self.runtime.can_switch_member(name, member, enable)?;
        let (bond, member) = (name.to_owned(), member.to_owned());
        let (action, said) = if enable {
            (Action::EnableMember { bond, member }, "enabled")
        } else {
            (Action::DisableMember { bond, member }, "disabled")
        };
        self.actions.push(action);
        Ok(Reply::Text(said.to_owned()))
    }

    fn check_member(&self, name: &str, member: &str) -> Result<(), Problem> {
        let bond = self.running_bond(name)?;
        if bond.members.iter().any(|m| m == member) {
            return Ok(());
        }
        let has = if bond.members.is_empty() { "none".to_owned() } else { bond.members.join(", ") };
        Err(format!("no such member: {member}; the members of bond {name} are {has}"))
    }

    /// Linux allows a primary that is not a member yet; it is more often a mistake.
    pub(super) fn warn_of_absent_primaries(&mut self, before: &Model) {
        for (name, _, bond) in self.model.bridges.values().flat_map(|bridge| bridge.bonds()) {
            let unchanged = before.bond(name).is_some_and(|(_, old)| old == bond);
            if let Some(primary) = bond.absent_primary().filter(|_| !unchanged) {
                self.warnings.push(format!(
                    "bond {name}: primary {primary} is not a member; it will be preferred once it joins"
                ));
            }
        }
    }
}

fn sorted(names: &[String]) -> Vec<String> {
    let mut names = names.to_vec();
    names.sort_unstable();
    names
}
