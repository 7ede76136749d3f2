//! How bridges and ports stand in the file: flat tables, checked when they become the types of [`super`].

use std::collections::BTreeMap;

use forwarding::mac::MacAddr;
use serde::{Deserialize, Serialize};

use super::{FailMode, FastPathMode, Ids, Limits, Vlan, VlanError, VlanList, VlanMode, VlanParts, mac_text};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Bridge {
    #[serde(with = "mac_text")]
    mac: MacAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    carrier: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fail_mode: Option<FailMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fastpath: Option<FastPathMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac_table_size: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mac_aging_time: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vlan_mode: Option<VlanMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trunks: Option<VlanList>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cvlans: Option<VlanList>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    static_macs: Vec<StaticMac>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    external_ids: Ids,
    /// Of the internal port.
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    limits: Limits,
    /// Of the internal port.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    port_external_ids: Ids,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    interface_external_ids: BTreeMap<String, Ids>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    ports: BTreeMap<String, super::Port>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StaticMac {
    vlan: u16,
    #[serde(with = "mac_text")]
    mac: MacAddr,
    port: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Port {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    vlan_mode: Option<VlanMode>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trunks: Option<VlanList>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cvlans: Option<VlanList>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    external_ids: Ids,
    #[serde(default, skip_serializing_if = "Limits::is_default")]
    limits: Limits,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bond: Option<super::Bond>,
}

/// Why a table of the file can't be taken over.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// The VLANs are out of range or don't go together.
    #[error(transparent)]
    Vlan(#[from] VlanError),
    /// An address and VLAN twice.
    #[error("static-macs has {mac} in VLAN {vlan} twice")]
    StaticTwice {
        /// The address.
        mac: MacAddr,
        /// Its VLAN.
        vlan: u16,
    },
}

fn vlan(
    mode: Option<VlanMode>,
    tag: Option<u16>,
    trunks: Option<VlanList>,
    cvlans: Option<VlanList>,
) -> Result<Vlan, FormError> {
    let tag = tag.map(|tag| Vlan::parse_tag(&tag.to_string())).transpose()?;
    Ok(VlanParts { mode, tag, trunks, cvlans }.try_into()?)
}

fn unless(value: u32, default: u32) -> Option<u32> {
    (value != default).then_some(value)
}

impl TryFrom<Bridge> for super::Bridge {
    type Error = FormError;

    fn try_from(file: Bridge) -> Result<Self, FormError> {
        let mut statics = super::Statics::new();
        for StaticMac { vlan, mac, port } in file.static_macs {
            if statics.insert((vlan, mac), port).is_some() {
                return Err(FormError::StaticTwice { mac, vlan });
            }
        }
        Ok(Self {
            mac: file.mac,
            carrier: file.carrier,
            fail_mode: file.fail_mode,
            fastpath: file.fastpath.unwrap_or_default(),
            mac_table_size: file.mac_table_size.unwrap_or(Self::DEFAULT_TABLE_SIZE),
            mac_aging_time: file.mac_aging_time.unwrap_or(Self::DEFAULT_AGING_TIME),
            vlan: vlan(file.vlan_mode, file.tag, file.trunks, file.cvlans)?,
            limits: file.limits,
            statics,
            external_ids: file.external_ids,
            port_external_ids: file.port_external_ids,
            interface_external_ids: file.interface_external_ids,
            ports: file.ports,
        })
    }
}

impl From<super::Bridge> for Bridge {
    fn from(bridge: super::Bridge) -> Self {
        let VlanParts { mode, tag, trunks, cvlans } = bridge.vlan.parts();
        let statics = bridge.statics.into_iter().map(|((vlan, mac), port)| StaticMac { vlan, mac, port });
        Self {
            mac: bridge.mac,
            carrier: bridge.carrier,
            fail_mode: bridge.fail_mode,
            fastpath: Some(bridge.fastpath).filter(|mode| *mode != FastPathMode::Auto),
            mac_table_size: unless(bridge.mac_table_size, super::Bridge::DEFAULT_TABLE_SIZE),
            mac_aging_time: unless(bridge.mac_aging_time, super::Bridge::DEFAULT_AGING_TIME),
            vlan_mode: mode,
            tag,
            trunks,
            cvlans,
            static_macs: statics.collect(),
            external_ids: bridge.external_ids,
            limits: bridge.limits,
            port_external_ids: bridge.port_external_ids,
            interface_external_ids: bridge.interface_external_ids,
            ports: bridge.ports,
        }
    }
}

impl TryFrom<Port> for super::Port {
    type Error = FormError;

    fn try_from(file: Port) -> Result<Self, FormError> {
        Ok(Self {
            vlan: vlan(file.vlan_mode, file.tag, file.trunks, file.cvlans)?,
            limits: file.limits,
            external_ids: file.external_ids,
            bond: file.bond,
        })
    }
}

impl From<super::Port> for Port {
    fn from(port: super::Port) -> Self {
        let VlanParts { mode, tag, trunks, cvlans } = port.vlan.parts();
        let super::Port { limits, external_ids, bond, .. } = port;
        Self { vlan_mode: mode, tag, trunks, cvlans, external_ids, limits, bond }
    }
}
