//! Columns of Open vSwitch that other tools set as a matter of course, and that have only one value here. Setting that
//! value does nothing; another is refused with the reason.

use super::{Problem, words};

/// Such a column.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    /// What it shows, in Open vSwitch's notation.
    pub(super) shown: &'static str,
    /// What can be set.
    accepted: &'static [&'static str],
    /// Why nothing else can.
    why: &'static str,
}

impl Fixed {
    /// It is a map, with no keys.
    pub(super) fn is_map(&self) -> bool {
        self.shown == "{}"
    }

    /// Whether this may be set. No value clears, which is always possible.
    pub(super) fn check(&self, name: &str, value: Option<&str>) -> Result<(), Problem> {
        let Some(value) = value.map(words::text) else { return Ok(()) };
        if self.accepted.contains(&value.as_str()) {
            return Ok(());
        }
        Err(format!("{name}: \"{value}\" is not possible here: {}", self.why))
    }
}

const fn fixed(shown: &'static str, accepted: &'static [&'static str], why: &'static str) -> Fixed {
    Fixed { shown, accepted, why }
}

const FALSE: &[&str] = &["false"];
const NO_OPENFLOW: &str = "this switch forwards by itself and speaks no OpenFlow";

pub(super) const CONTROLLER: Fixed = fixed("[]", &[], NO_OPENFLOW);
pub(super) const PROTOCOLS: Fixed = fixed("[]", &[], NO_OPENFLOW);
pub(super) const OFPORT_REQUEST: Fixed = fixed("[]", &[], NO_OPENFLOW);
pub(super) const IN_BAND: Fixed = fixed("[]", &["true", "false"], NO_OPENFLOW);
pub(super) const DATAPATH_TYPE: Fixed = fixed("\"\"", &["", "system", "netdev"], "there is one datapath");
pub(super) const MCAST_SNOOPING: Fixed = fixed("false", FALSE, "multicast is flooded");
pub(super) const SPANNING_TREE: Fixed =
    fixed("false", FALSE, "there is no spanning tree; bonds are the only redundant links");
pub(super) const FAKE_IFACE: Fixed = fixed("false", FALSE, "a bond has no network device of its own");
pub(super) const FAKE_BRIDGE: Fixed =
    fixed("false", FALSE, "a VLAN of a bridge is no bridge; give ports a tag instead");
pub(super) const PORT_MAC: Fixed =
    fixed("[]", &[], "a port has the address of its device; set that (ip link set DEVICE address MAC)");
pub(super) const PROTECTED: Fixed = fixed("false", FALSE, "ports are not isolated from each other");
pub(super) const QOS: Fixed = fixed("[]", &[], "shape with tc on the device");
pub(super) const POLICING: Fixed =
    fixed("0", &["0"], "police with tc on the device, or use storm_broadcast etc.");
pub(super) const MTU_REQUEST: Fixed =
    fixed("[]", &[], "the MTU is the device's; set that (ip link set DEVICE mtu N)");
pub(super) const OPTIONS: Fixed =
    fixed("{}", &[], "there are no tunnel, patch or vhost-user interfaces; add a network device");
pub(super) const DETECT_MODE: Fixed =
    fixed("carrier", &["carrier", "miimon"], "links are watched by carrier events");
