//! Whether a whole model makes sense. A loaded file is checked as strictly as commands are.

use std::collections::BTreeMap;

use forwarding::ids::{MAX_DEVICES, MAX_PORTS};
use forwarding::vlan::MAX_VLAN;

use super::{Bond, Bridge, FORMAT_VERSION, Ids, Limits, Model, settle_member_option};

/// What is wrong with a model, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place}: {problem}")]
pub struct Invalid {
    /// The path to it, as in the state file: `bridges.br0.ports.bond0`.
    pub place: String,
    /// What was found, and what to do.
    pub problem: String,
}

/// Checks a name for a bridge, port, bond or device: 1 to 15 octets, and what Linux's `dev_valid_name` allows. `%` is
/// refused too, because the kernel takes it for a template, and so are control characters.
///
/// # Errors
/// What is wrong, beginning with the name in quotes.
pub fn check_name(name: &str) -> Result<(), String> {
    let problem = if name.is_empty() {
        "is empty".to_owned()
    } else if name.len() > 15 {
        format!("has {} characters, but a network device's name has at most 15", name.len())
    } else if name == "." || name == ".." {
        "is reserved".to_owned()
    } else if let Some(c) =
        name.chars().find(|c| matches!(c, '/' | ':' | '%') || c.is_whitespace() || c.is_control())
    {
        format!("contains {c:?}")
    } else {
        return Ok(());
    };
    Err(format!("{name:?} can't be the name of a network device: it {problem}"))
}

/// Longest key or value of `external_ids`, in octets.
const MAX_ID: usize = 64 << 10;
/// Most static MAC addresses of a bridge.
const MAX_STATICS: usize = 4096;

/// Checks a key or value of `external_ids`: no control characters but tabs and newlines, and of sensible length.
///
/// # Errors
/// What is wrong.
pub fn check_id(text: &str) -> Result<(), String> {
    if text.len() > MAX_ID {
        return Err(format!("a text of {} octets is too long; the limit is {MAX_ID}", text.len()));
    }
    match text.chars().find(|c| c.is_control() && !matches!(c, '\t' | '\n')) {
        Some(c) => Err(format!("a text contains {c:?}")),
        None => Ok(()),
    }
}

fn check_ids(ids: &Ids, place: &str) -> Result<(), Invalid> {
    let empty = ids.contains_key("").then(|| "a key is empty".to_owned());
    let found = empty.or_else(|| ids.iter().find_map(|(k, v)| check_id(k).and_then(|()| check_id(v)).err()));
    found.map_or(Ok(()), |problem| Err(Invalid { place: place.to_owned(), problem }))
}

impl Limits {
    fn validate(&self, place: &str) -> Result<(), Invalid> {
        match self.ranges().find(|(_, value, range)| !range.contains(value)) {
            None => Ok(()),
            Some((name, value, range)) => {
                Err(Invalid { place: format!("{place}.limits.{name}"), problem: out_of_range(value, &range) })
            }
        }
    }
}

impl Model {
    /// Checks everything that must hold of a model by itself, whatever devices exist.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.version != FORMAT_VERSION {
            let problem = format!("is {}; this program knows version {FORMAT_VERSION}", self.version);
            return Err(Invalid { place: "version".into(), problem });
        }
        let mut names = Names::default();
        let mut ports = 0;
        for (name, bridge) in &self.bridges {
            let place = format!("bridges.{name}");
            names.add(name, &place)?;
            names.devices += 1;
            ports += 1 + bridge.ports.len();
            bridge.validate(&place, &mut names)?;
            bridge.validate_kept(name, &place)?;
        }
        for (what, count, limit) in [("ports", ports, MAX_PORTS), ("devices", names.devices, MAX_DEVICES)] {
            if count > limit {
                let problem = format!("{count} {what} are too many; the limit is {limit}");
                return Err(Invalid { place: "bridges".into(), problem });
            }
        }
        Ok(())
    }
}

/// Every name seen so far, with its place.
#[derive(Default)]
struct Names {
    places: BTreeMap<String, String>,
    devices: usize,
}

impl Names {
    fn add(&mut self, name: &str, place: &str) -> Result<(), Invalid> {
        let invalid = |problem| Err(Invalid { place: place.to_owned(), problem });
        if let Err(problem) = check_name(name) {
            return invalid(problem);
        }
        match self.places.insert(name.to_owned(), place.to_owned()) {
            Some(earlier) => invalid(format!("the name {name} is already used by {earlier}")),
            None => Ok(()),
        }
    }
}

impl Bridge {
    fn validate(&self, place: &str, names: &mut Names) -> Result<(), Invalid> {
        let invalid = |key: &str, problem: String| Err(Invalid { place: format!("{place}.{key}"), problem });
        if !self.mac.is_valid_source() {
            return invalid("mac", format!("{} is not the address of one device", self.mac));
        }
        if !Self::TABLE_SIZES.contains(&self.mac_table_size) {
            return invalid("mac-table-size", out_of_range(self.mac_table_size, &Self::TABLE_SIZES));
        }
        if !Self::AGING_TIMES.contains(&self.mac_aging_time) {
            return invalid("mac-aging-time", out_of_range(self.mac_aging_time, &Self::AGING_TIMES));
        }
        for (name, port) in &self.ports {
            let place = format!("{place}.ports.{name}");
            names.add(name, &place)?;
            port.limits.validate(&place)?;
            check_ids(&port.external_ids, &format!("{place}.external-ids"))?;
            match &port.bond {
                Some(bond) => bond.validate(&place, names)?,
                None => names.devices += 1,
            }
        }
        match &self.carrier {
            Some(name) if !self.ports.contains_key(name) => {
                invalid("carrier", format!("this bridge has no port or bond named {name}"))
            }
            _ => Ok(()),
        }
    }
}

impl Bridge {
    /// Checks what is kept beside the ports. `name` is the bridge's.
    fn validate_kept(&self, name: &str, place: &str) -> Result<(), Invalid> {
        self.limits.validate(place)?;
        check_ids(&self.external_ids, &format!("{place}.external-ids"))?;
        check_ids(&self.port_external_ids, &format!("{place}.port-external-ids"))?;
        for (device, ids) in &self.interface_external_ids {
            let place = format!("{place}.interface-external-ids.{device}");
            if !self.has_device(name, device) {
                return Err(Invalid { place, problem: format!("this bridge has no device {device}") });
            }
            check_ids(ids, &place)?;
        }
        let invalid = |problem| Err(Invalid { place: format!("{place}.static-macs"), problem });
        if self.statics.len() > MAX_STATICS.min(self.mac_table_size as usize) {
            let count = self.statics.len();
            return invalid(format!("{count} are too many; the limit is {MAX_STATICS} and mac-table-size"));
        }
        for ((vlan, mac), port) in &self.statics {
            if *vlan > MAX_VLAN {
                return invalid(format!("{vlan} is not a VLAN ID; use a number from 0 to {MAX_VLAN}"));
            }
            if !mac.is_valid_source() {
                return invalid(format!("{mac} is not the address of one device"));
            }
            if port != name && !self.ports.contains_key(port) {
                return invalid(format!("this bridge has no port or bond named {port}"));
            }
        }
        Ok(())
    }
}

/// Says that a number is out of its range.
pub(crate) fn out_of_range(value: impl std::fmt::Display, range: &std::ops::RangeInclusive<u32>) -> String {
    format!("{value} is out of range; use {} to {}", range.start(), range.end())
}

impl Bond {
    fn validate(&self, place: &str, names: &mut Names) -> Result<(), Invalid> {
        for member in &self.members {
            names.add(member, &format!("{place}.bond.members"))?;
            names.devices += 1;
        }
        if let Some(active) = self.active.as_ref().filter(|active| !self.members.contains(active)) {
            let problem = format!("{active} is not a member of this bond");
            return Err(Invalid { place: format!("{place}.bond.active"), problem });
        }
        for (member, options) in &self.member_options {
            let invalid =
                |problem| Err(Invalid { place: format!("{place}.bond.member-options.{member}"), problem });
            if !self.members.contains(member) {
                return invalid(format!("{member} is not a member of this bond"));
            }
            for (key, value) in options {
                match settle_member_option(key, value) {
                    Ok(Some(text)) if text == *value => (),
                    Ok(_) => {
                        return invalid(format!(
                            "{key} = \"{value}\" is the default or not in its usual form"
                        ));
                    }
                    Err(error) => return invalid(error.to_string()),
                }
            }
        }
        let mut ids = BTreeMap::new();
        for (member, options) in &self.member_options {
            if let Some(id) = options.get("lacp_port_id")
                && let Some(other) = ids.insert(id, member)
            {
                let problem = format!("{other} and {member} have both lacp_port_id={id}; each needs its own");
                return Err(Invalid { place: format!("{place}.bond.member-options.{member}"), problem });
            }
        }
        let place = format!("{place}.bond.options");
        self.typed_options().map_err(|error| Invalid { place, problem: error.to_string() })?;
        Ok(())
    }
}
