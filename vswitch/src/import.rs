//! Configuration as people already have it, read and turned into commands: `ifcfg-*` files of the network scripts
//! ([`ifcfg`]), and module options of the bonding driver ([`modprobe`]).
//!
//! All of it is pure, texts in and a [`Plan`] out, but for [`files`].

use std::collections::BTreeMap;
use std::fmt;

use forwarding::mac::MacAddr;

pub use self::render::{document, script, text};
pub use self::step::Step;

mod bond_words;
mod devices;
pub mod files;
pub mod ifcfg;
mod keys;
pub mod modprobe;
mod plan;
mod render;
mod shell;
pub(crate) mod step;

#[cfg(test)]
mod tests;

/// Longest file that is read, in octets.
pub const MAX_FILE: usize = 1 << 17;

/// Most files that are read from one directory.
pub const MAX_FILES: usize = 1024;

/// A file to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// Its name, as it is to appear in messages. For [`ifcfg`] the name in its directory.
    pub name: String,
    /// What is in it.
    pub octets: Vec<u8>,
}

/// Where something is written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file.
    pub file: String,
    /// The line, counted from 1; 0 for the file as a whole.
    pub line: usize,
}

/// `file:line`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.file),
            line => write!(f, "{}:{line}", self.file),
        }
    }
}

/// Something to be told about a place: a problem or a note.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Remark {
    /// Where.
    pub place: Place,
    /// What, and what to do.
    pub text: String,
}

impl Remark {
    fn new(place: &Place, text: impl Into<String>) -> Self {
        Self { place: place.clone(), text: text.into() }
    }
}

/// `file:line: text`, on one line: control characters of files and their names are escaped.
impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in format!("{}: {}", self.place, self.text).chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

/// What an import does.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The commands, which are one transaction; not empty.
    pub steps: Vec<Step>,
    /// What the operator should know, in the order of files and lines.
    pub notes: Vec<Remark>,
}

/// What is known of this host.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Host {
    /// MAC addresses by device: the permanent one if the device has one, otherwise the present one. `None` if the kernel
    /// could not be asked.
    pub macs: Option<BTreeMap<String, MacAddr>>,
}

/// A plan, or every problem that stands against one, in the order of files and lines.
pub type Outcome = Result<Plan, Vec<Remark>>;

/// Problems and notes, as they are found.
#[derive(Default)]
struct Findings {
    problems: Vec<Remark>,
    notes: Vec<Remark>,
}

impl Findings {
    fn problem(&mut self, place: &Place, text: impl Into<String>) {
        self.problems.push(Remark::new(place, text));
    }

    fn note(&mut self, place: &Place, text: impl Into<String>) {
        self.notes.push(Remark::new(place, text));
    }

    /// The plan, if nothing stands against it.
    fn conclude(mut self, steps: Vec<Step>) -> Outcome {
        if self.problems.is_empty() {
            self.notes.sort();
            return Ok(Plan { steps, notes: self.notes });
        }
        self.problems.sort();
        self.problems.dedup();
        Err(self.problems)
    }
}

/// The text of a file, if it can be one.
fn text_of(source: &Source) -> Result<String, Remark> {
    let at = |line, text: &str| Remark::new(&Place { file: source.name.clone(), line }, text);
    if source.octets.len() > MAX_FILE {
        return Err(at(0, &format!("the file is longer than {MAX_FILE} octets, which no such file is")));
    }
    let line_of = |offset: usize| 1 + source.octets[..offset].iter().filter(|octet| **octet == b'\n').count();
    if let Some(offset) = source.octets.iter().position(|octet| *octet == 0) {
        return Err(at(line_of(offset), "there is a NUL octet; this is no text file, or it is damaged"));
    }
    if let Some(offset) = source.octets.windows(2).position(|pair| pair == b"\r\n") {
        let text = "the line ends with CR LF, as under DOS; take out the CR (sed -i 's/\\r$//' FILE)";
        return Err(at(line_of(offset), text));
    }
    Ok(String::from_utf8_lossy(&source.octets).into_owned())
}

/// A text from a file in quotes, shortened if it is long.
fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    let mut short: String = text.chars().take(LONGEST).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    format!("{short:?}")
}

/// The bridge for a bond of which no file says where it belongs: `br0` for `bond0`. A bridge for each, since two uplinks
/// in one bridge join their networks.
fn default_bridge(bond: &str) -> Option<String> {
    let number = bond.strip_prefix("bond").filter(|rest| !rest.is_empty())?;
    number.bytes().all(|digit| digit.is_ascii_digit()).then(|| format!("br{number}"))
}
