//! All commands of one call as one atomic change: they work on a copy of the model, which replaces the model only if
//! every one of them succeeds. Reads within a call see the copy.

use crate::model::{Model, Place};

pub use self::reply::Reply;
pub use self::request::{Request, Setting};
pub use self::runtime::{DeviceFacts, LinkType, Runtime};

mod bonds;
mod bridges;
mod columns;
mod devices;
mod edits;
mod fdb;
mod fixed;
mod frames;
mod ports;
mod queries;
mod reads;
pub mod reply;
pub mod request;
mod rows;
mod runtime;
mod settings;
mod words;

#[cfg(test)]
pub(crate) mod tests;

/// What a transaction comes to, to be applied by the caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The new desired state.
    pub model: Model,
    /// One reply a request.
    pub replies: Vec<Reply>,
    /// Things the operator should know although nothing failed.
    pub warnings: Vec<String>,
    /// What is to be done beside making the switch equal to the model, in this order.
    pub actions: Vec<Action>,
}

/// Something a command does that is not configuration. It has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Makes a member the active one.
    SetActiveMember {
        /// The bond.
        bond: String,
        /// The member.
        member: String,
    },
    /// Moves a bucket of a bond's transmit table.
    Migrate {
        /// The bond.
        bond: String,
        /// The bucket's position in the table.
        bucket: usize,
        /// The member that gets it.
        member: String,
    },
    /// Moves buckets of a bond by load now. The answer is known only then.
    Rebalance {
        /// The bond.
        bond: String,
        /// Which of the replies is to tell.
        reply: usize,
    },
    /// Forgets what a bridge has learned.
    FlushFdb {
        /// The bridge.
        bridge: String,
    },
    /// Sets the counters of a bridge's FDB back to 0.
    ClearFdbStats {
        /// The bridge.
        bridge: String,
    },
    /// Lets a member carry traffic again.
    EnableMember {
        /// The bond.
        bond: String,
        /// The member.
        member: String,
    },
    /// Takes a member out of use.
    DisableMember {
        /// The bond.
        bond: String,
        /// The member.
        member: String,
    },
}

/// Why nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransactionError {
    /// The request that failed, counted from 0.
    pub index: usize,
    /// What was wrong, what was found, what to do.
    pub message: String,
}

/// Tries all requests in order. Nothing outside is changed; the caller applies the outcome.
///
/// # Errors
/// The first request that can't be fulfilled.
pub fn execute(
    model: &Model,
    runtime: &mut dyn Runtime,
    requests: &[Request],
) -> Result<Outcome, TransactionError> {
    let mut draft =
        Draft { model: model.clone(), runtime, warnings: Vec::new(), actions: Vec::new(), index: 0 };
    let mut replies = Vec::with_capacity(requests.len());
    for (index, request) in requests.iter().enumerate() {
        draft.index = index;
        replies.push(draft.perform(request).map_err(|message| TransactionError { index, message })?);
    }
    draft.drop_dangling_carriers();
    draft.model.bridges.iter_mut().for_each(|(name, bridge)| bridge.drop_orphans(name));
    draft.warn_of_absent_primaries(model);
    draft.warn_of_members(model);
    let index = requests.len().saturating_sub(1);
    draft.model.validate().map_err(|invalid| TransactionError { index, message: invalid.to_string() })?;
    let Draft { model, warnings, actions, .. } = draft;
    Ok(Outcome { model, replies, warnings, actions })
}

/// What is wrong with one request.
type Problem = String;

/// The copy that the requests work on.
struct Draft<'a> {
    model: Model,
    runtime: &'a mut dyn Runtime,
    warnings: Vec<String>,
    actions: Vec<Action>,
    /// Of the request.
    index: usize,
}

impl Draft<'_> {
    fn perform(&mut self, request: &Request) -> Result<Reply, Problem> {
        match request {
            Request::AddBridge { bridge, may_exist } => self.add_bridge(bridge, *may_exist),
            Request::DelBridge { bridge, if_exists } => self.del_bridge(bridge, *if_exists),
            Request::ListBridges {} => Ok(Reply::Names(self.model.bridges.keys().cloned().collect())),
            Request::BridgeExists { bridge } => Ok(Reply::Exists(self.model.bridges.contains_key(bridge))),
            Request::AddPort { bridge, port, settings, may_exist } => {
                self.add_port(bridge, port, settings, *may_exist)
            }
            Request::DelPort { bridge, port, if_exists, with_iface } => {
                self.del_port(bridge.as_deref(), port, *if_exists, *with_iface)
            }
            Request::ListPorts { bridge } => self.list_ports(bridge),
            Request::AddBond { bridge, bond, members, settings, may_exist, fake_iface } => {
                if *fake_iface {
                    self.warnings
                        .push(format!("--fake-iface: bond {bond} gets no network device of its own"));
                }
                self.add_bond(bridge, bond, members, settings, *may_exist)
            }
            Request::AddBondIface { bond, iface, may_exist } => self.add_bond_iface(bond, iface, *may_exist),
            Request::DelBondIface { bond, iface, if_exists } => {
                self.del_bond_iface(bond.as_deref(), iface, *if_exists)
            }
            Request::ListIfaces { bridge } => self.list_ifaces(bridge),
            Request::PortToBridge { port } => self.port_to_bridge(port),
            Request::IfaceToBridge { iface } => self.iface_to_bridge(iface),
            Request::Show {} => Ok(Reply::Show(self.show())),
            Request::Set { table, record, settings, if_exists } => {
                self.set(table, record, settings, *if_exists)
            }
            Request::Get { table, record, columns, if_exists } => {
                self.get(table, record, columns, *if_exists)
            }
            Request::List { table, records, columns, if_exists } => {
                self.list(table, records, columns, *if_exists)
            }
            Request::Find { table, conditions, columns } => self.find(table, conditions, columns),
            Request::Clear { table, record, columns, if_exists } => {
                self.clear(table, record, columns, *if_exists)
            }
            Request::Remove { table, record, column, values, if_exists } => {
                self.remove(table, record, column, values, *if_exists)
            }
            Request::Add { table, record, column, values, if_exists } => {
                self.add_values(table, record, column, values, *if_exists)
            }
            Request::BridgeSetExternalId { bridge, key, value } => {
                self.set_bridge_id(bridge, key, value.as_deref())
            }
            Request::BridgeGetExternalId { bridge, key } => self.get_bridge_id(bridge, key.as_deref()),
            Request::BridgeToParent { bridge } => self.bridge(bridge).map(|_| Reply::Text(bridge.clone())),
            Request::BridgeToVlan { bridge } => self.bridge(bridge).map(|_| Reply::Text("0".to_owned())),
            Request::SetFailMode { bridge, mode } => self.set_fail_mode(bridge, Some(mode)),
            Request::GetFailMode { bridge } => self.get_fail_mode(bridge),
            Request::DelFailMode { bridge } => self.set_fail_mode(bridge, None),
            Request::FdbShow { bridges } => self.fdb_show(bridges),
            Request::FdbFlush { bridge } => self.fdb_flush(bridge.as_deref()),
            Request::FdbAdd { bridge, port, vlan, mac } => self.fdb_add(bridge, port, vlan, mac),
            Request::FdbDel { bridge, vlan, mac } => self.fdb_del(bridge, vlan, mac),
            Request::FdbStatsShow { bridge } => self.fdb_stats_show(bridge.as_deref()),
            Request::FdbStatsClear { bridge } => self.fdb_stats_clear(bridge.as_deref()),
            Request::BondShow { bond, proc: false } => self.bond_show(bond.as_deref()),
            Request::BondShow { bond, proc: true } => self.bond_proc(bond.as_deref()),
            Request::BondEnableMember { bond, member } => self.switch_member(bond, member, true),
            Request::BondDisableMember { bond, member } => self.switch_member(bond, member, false),
            Request::BondExplain { bond } => self.bond_explain(bond.as_deref()),
            Request::LacpShow { bond } => self.lacp_show(bond.as_deref()),
            Request::LacpShowStats { bond } => self.lacp_show_stats(bond.as_deref()),
            Request::BondHash { bond, frame } => self.bond_hash(bond, frame),
            Request::Trace { bridge, in_port, frame } => self.trace(bridge, in_port, frame),
            Request::BondList {} => Ok(self.bond_list()),
            Request::BondSetActiveMember { bond, member } => self.set_active_member(bond, member),
            Request::BondRebalance { bond } => self.rebalance(bond),
            Request::BondMigrate { bond, bucket, member } => self.migrate(bond, bucket, member),
            Request::CountersShow { devices } => self.counters_show(devices),
            Request::FastPathShow { bridge } => self.fastpath_show(bridge.as_deref()),
            Request::Version {} => Ok(Reply::Text(self.runtime.version())),
        }
    }

    /// The bridge and whether the port is a bond. A bridge's own name is its internal port.
    fn port_place(&self, port: &str) -> Option<(&str, bool)> {
        match self.model.place_of(port)? {
            Place::Bridge => self.model.bridges.get_key_value(port).map(|(name, _)| (name.as_str(), false)),
            Place::Port { bridge } => Some((bridge, false)),
            Place::Bond { bridge } => Some((bridge, true)),
            Place::Member { .. } => None,
        }
    }
}
