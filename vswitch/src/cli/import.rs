//! `import KIND PATH`: configuration as people already have it.

use std::path::PathBuf;

use super::grammar::{Reach, Run, Style, is_option};
use crate::import::step;

/// The command's name.
pub(super) const NAME: &str = "import";

/// What is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImportKind {
    /// A directory of `ifcfg-*` files.
    Ifcfg,
    /// A file with options of the bonding driver.
    Modprobe,
}

/// Read files, and carry out what they come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Import {
    /// How the plan is to be printed.
    pub style: Style,
    /// The daemon.
    pub reach: Reach,
    /// Only print the plan, and let the daemon check it.
    pub dry_run: bool,
    /// What `path` is.
    pub kind: ImportKind,
    /// The directory or file.
    pub path: PathBuf,
    /// The bridge for bonds of which no file tells the bridge.
    pub bridge: Option<String>,
}

/// Reads the words of the command, its name among them.
///
/// # Errors
/// They are not in the grammar.
pub(super) fn parse<'a>(mut words: impl Iterator<Item = &'a str>, run: &Run) -> Result<Import, String> {
    let (mut arguments, mut bridge, mut dry_run) = (Vec::new(), None, run.dry_run);
    while let Some(word) = words.next() {
        match word {
            "--dry-run" => dry_run = true,
            "--bridge" => bridge = Some(words.next().unwrap_or_default()),
            _ if word.starts_with("--bridge=") => bridge = word.strip_prefix("--bridge="),
            _ if is_option(word) => return Err(format!("'{NAME}' command has no '{word}' option")),
            _ => arguments.push(word),
        }
    }
    if let Some(bridge) = bridge {
        step::check(bridge).map_err(|problem| format!("--bridge: {problem}"))?;
    }
    let (kind, path) = match arguments.get(1..).unwrap_or_default() {
        ["ifcfg", path] => (ImportKind::Ifcfg, *path),
        ["modprobe", path] => (ImportKind::Modprobe, *path),
        ["ifcfg" | "modprobe"] => return Err(format!("'{NAME}' command needs the path to read")),
        [other, ..] if !matches!(*other, "ifcfg" | "modprobe") => {
            return Err(format!("'{NAME}' reads ifcfg and modprobe, not \"{other}\""));
        }
        [] => return Err(format!("'{NAME}' command requires at least 2 arguments")),
        _ => return Err(format!("'{NAME}' command takes at most 2 arguments")),
    };
    Ok(Import {
        style: run.style,
        reach: run.reach.clone(),
        dry_run,
        kind,
        path: PathBuf::from(path),
        bridge: bridge.map(str::to_owned),
    })
}
