//! How bridges and ports stand in the file: flat tables, checked when they become the types of [`super`].

use std::collections::BTreeMap;

use forwarding::mac::MacAddr;
use serde::{Deserialize, Serialize};

use super::{Vlan, VlanError, VlanList, mac_text};

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Bridge {
    #[serde(with = "mac_text")]
    mac: MacAddr,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    carrier: Option<String>,
    #[serde(rename = "mac-table-size", default, skip_serializing_if = "Option::is_none")]
    mac_table_size: Option<u32>,
    #[serde(rename = "mac-aging-time", default, skip_serializing_if = "Option::is_none")]
    mac_aging_time: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trunks: Option<VlanList>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    ports: BTreeMap<String, super::Port>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Port {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tag: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    trunks: Option<VlanList>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bond: Option<super::Bond>,
}

/// Why a table of the file can't be taken over.
#[derive(Debug, thiserror::Error)]
pub enum FormError {
    /// The VLAN is out of range.
    #[error(transparent)]
    Vlan(#[from] VlanError),
    /// Two kinds of port in one.
    #[error("a port has either a tag (access port) or trunks, not both")]
    TagAndTrunks,
}

fn vlan(tag: Option<u16>, trunks: Option<VlanList>) -> Result<Vlan, FormError> {
    match (tag, trunks) {
        (None, None) => Ok(Vlan::All),
        (Some(tag), None) => Ok(Vlan::Tag(Vlan::parse_tag(&tag.to_string())?)),
        (None, Some(trunks)) => Ok(Vlan::Trunks(trunks)),
        (Some(_), Some(_)) => Err(FormError::TagAndTrunks),
    }
}

fn unless(value: u32, default: u32) -> Option<u32> {
    (value != default).then_some(value)
}

impl TryFrom<Bridge> for super::Bridge {
    type Error = FormError;

    fn try_from(file: Bridge) -> Result<Self, FormError> {
        Ok(Self {
            mac: file.mac,
            carrier: file.carrier,
            mac_table_size: file.mac_table_size.unwrap_or(Self::DEFAULT_TABLE_SIZE),
            mac_aging_time: file.mac_aging_time.unwrap_or(Self::DEFAULT_AGING_TIME),
            vlan: vlan(file.tag, file.trunks)?,
            ports: file.ports,
        })
    }
}

impl From<super::Bridge> for Bridge {
    fn from(bridge: super::Bridge) -> Self {
        Self {
            mac: bridge.mac,
            carrier: bridge.carrier,
            mac_table_size: unless(bridge.mac_table_size, super::Bridge::DEFAULT_TABLE_SIZE),
            mac_aging_time: unless(bridge.mac_aging_time, super::Bridge::DEFAULT_AGING_TIME),
            tag: bridge.vlan.tag(),
            trunks: bridge.vlan.trunks().cloned(),
            ports: bridge.ports,
        }
    }
}

impl TryFrom<Port> for super::Port {
    type Error = FormError;

    fn try_from(file: Port) -> Result<Self, FormError> {
        Ok(Self { vlan: vlan(file.tag, file.trunks)?, bond: file.bond })
    }
}

impl From<super::Port> for Port {
    fn from(port: super::Port) -> Self {
        Self { tag: port.vlan.tag(), trunks: port.vlan.trunks().cloned(), bond: port.bond }
    }
}
