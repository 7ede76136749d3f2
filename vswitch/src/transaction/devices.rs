//! Whether a name is free, and whether a device can be taken into the switch.

use super::{Draft, LinkType, Problem};
use crate::model::{Place, check_name};

impl Draft<'_> {
    /// Refuses a name that is malformed or in use. `what` is `a bridge`, `a port` or `an interface`.
    pub(super) fn check_free(&self, what: &str, name: &str) -> Result<(), Problem> {
        check_name(name)?;
        let Some(place) = self.model.place_of(name) else { return Ok(()) };
        let found = match place {
            Place::Bridge => format!("a bridge named {name} already exists"),
            Place::Port { bridge } => format!("a port named {name} already exists on bridge {bridge}"),
            Place::Bond { bridge } => {
                format!("a port named {name} already exists on bridge {bridge} (it is a bond)")
            }
            Place::Member { bridge, bond } => format!(
                "an interface named {name} already exists on bridge {bridge} (it is a member of bond {bond}; \
                 \"del-bond-iface {bond} {name}\" takes it out)"
            ),
        };
        Err(format!("cannot create {what} named {name} because {found}"))
    }

    /// Refuses a device that does not exist, carries no Ethernet, or belongs to somebody else.
    pub(super) fn check_device(&self, name: &str) -> Result<(), Problem> {
        let Some(facts) = self.runtime.device(name) else {
            return Err(format!("no network device named {name}; create it or check the spelling (ip link)"));
        };
        match facts.link_type {
            LinkType::Ethernet => (),
            LinkType::Loopback => {
                return Err(format!("{name} is the loopback device, which can't be a port; use a veth pair"));
            }
            LinkType::Other => {
                let kind = facts.kind.map(|kind| format!(" (kind {kind})")).unwrap_or_default();
                return Err(format!("{name}{kind} carries no Ethernet frames and can't be a port"));
            }
        }
        match facts.master {
            Some(master) => {
                let kind = self.runtime.device(&master).and_then(|facts| facts.kind);
                let kind = kind.as_deref().unwrap_or("device");
                Err(format!(
                    "{name} belongs to the kernel's {kind} {master}; take it out first (ip link set {name} nomaster)"
                ))
            }
            None => Ok(()),
        }
    }

    /// Refuses a bridge name that is the name of a device which is not a TAP (a TAP may be the internal port that an
    /// earlier run left).
    pub(super) fn check_internal(&self, name: &str) -> Result<(), Problem> {
        match self.runtime.device(name) {
            Some(facts) if facts.kind.as_deref() != Some("tun") => {
                let kind = facts.kind.map(|kind| format!(" of kind {kind}")).unwrap_or_default();
                Err(format!(
                    "cannot create a bridge named {name} because the host has a network device{kind} of that name; \
                     choose another name or remove the device (ip link del {name})"
                ))
            }
            _ => Ok(()),
        }
    }
}
