//! Whether a name is free, and whether a device can be taken into the switch.

use bond_port::explain::same_address;

use super::{Draft, LinkType, Problem};
use crate::model::{Model, Place, check_name};

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
        if let Some(kind @ ("bridge" | "openvswitch")) = facts.kind.as_deref() {
            return Err(format!(
                "{name} is itself a switch (kind {kind}), and only its host's frames can be had from it; add its ports \
                 here in its place, or join the two by a veth pair"
            ));
        }
        match facts.master {
            Some(master) => {
                let kind = self.runtime.device(&master).and_then(|facts| facts.kind);
                let kind = kind.as_deref().unwrap_or("device");
                let cure = match kind {
                    "openvswitch" => format!("ovs-vsctl del-port {name}"),
                    _ => format!("ip link set {name} nomaster"),
                };
                Err(format!("{name} belongs to the kernel's {kind} {master}; take it out first ({cure})"))
            }
            None => Ok(()),
        }
    }

    /// Tells what is unusual about devices that have become members.
    pub(super) fn warn_of_members(&mut self, before: &Model) {
        let mut warnings = Vec::new();
        for (name, _, bond) in self.model.bridges.values().flat_map(|bridge| bridge.bonds()) {
            let known =
                |member: &String| before.bond(name).is_some_and(|(_, old)| old.members.contains(member));
            for (n, member) in bond.members.iter().enumerate().filter(|(_, member)| !known(member)) {
                let Some(facts) = self.runtime.device(member) else { continue };
                if let Some(kind @ ("bond" | "team")) = facts.kind.as_deref() {
                    warnings.push(format!(
                        "bond {name}: {member} is a {kind} of the kernel's, which decides by itself which of its links is \
                         used; its devices can be members in its place"
                    ));
                }
                if facts.wireless {
                    warnings.push(format!(
                        "bond {name}: {member} is wireless, and access points take frames from its own address only; \
                         guests get through if the network allows four addresses (iw dev {member} set 4addr on)"
                    ));
                }
                let mac = |other: &&String| self.runtime.device(other).map(|facts| facts.mac);
                let same = |other: &&String| facts.mac.is_valid_source() && mac(other) == Some(facts.mac);
                let others = bond.members.iter().enumerate();
                let earlier = others.filter(|(m, other)| *m < n || known(other)).map(|(_, other)| other);
                if let Some(other) = earlier.filter(|other| *other != member).find(same) {
                    warnings.push(format!("bond {name}: {}", same_address(other, member, facts.mac)));
                }
            }
        }
        self.warnings.extend(warnings);
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
