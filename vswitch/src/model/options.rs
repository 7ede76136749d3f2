//! The seam to the bond options: text in, checked text out.

use std::collections::BTreeMap;

use bond_port::{BondOptions, Mode};

use super::Bond;

/// Bond options that were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The mode, and what else differs from the defaults, in canonical spelling.
    pub options: BTreeMap<String, String>,
    /// What is accepted but not taken literally.
    pub warnings: Vec<String>,
}

/// The option that a key means, in any accepted spelling.
///
/// # Errors
/// There is no such option; the text says what might be meant.
pub fn canonical_option(key: &str) -> Result<&'static str, String> {
    BondOptions::canonical(key).map_err(|error| error.to_string())
}

/// Applies settings to a bond with default options.
///
/// # Errors
/// A setting is refused, or the settings don't go together.
pub fn settle_options<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Settled, String> {
    let mut options = BondOptions::default();
    for (key, value) in settings {
        options.set(key, value).map_err(|error| error.to_string())?;
    }
    options.check().map_err(|error| error.to_string())?;
    let changed = options.changed_entries().into_iter().map(|(name, value)| (name.to_owned(), value));
    Ok(Settled { options: changed.collect(), warnings: options.warnings() })
}

impl Bond {
    /// Name of the bond's mode.
    pub fn mode(&self) -> String {
        self.options.get("mode").cloned().unwrap_or_else(|| Mode::default().name().to_owned())
    }
}
