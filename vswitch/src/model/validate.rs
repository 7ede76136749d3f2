//! Whether a whole model makes sense. A loaded file is checked as strictly as commands are.

use std::collections::BTreeMap;

use forwarding::ids::{MAX_DEVICES, MAX_PORTS};

use super::{Bond, Bridge, FORMAT_VERSION, Model};

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
        let place = format!("{place}.bond.options");
        self.typed_options().map_err(|error| Invalid { place, problem: error.to_string() })?;
        Ok(())
    }
}
