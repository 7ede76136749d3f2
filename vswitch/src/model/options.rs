//! Bond options between text, as commands and the state file have them, and [`BondOptions`].

use std::collections::BTreeMap;

use bond_port::{BondOptions, OptionError};

use super::Bond;

/// Bond options that were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The mode, and what else differs from the defaults, in canonical spelling.
    pub options: BTreeMap<String, String>,
    /// What is accepted but not taken literally.
    pub warnings: Vec<String>,
}

/// Applies settings to a bond with default options; the order of different options is free.
///
/// # Errors
/// A setting is refused, or the settings don't go together.
pub fn settle_options<'a>(
    settings: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Result<Settled, OptionError> {
    let options = read(settings)?;
    let changed = options.changed_entries().into_iter().map(|(name, value)| (name.to_owned(), value));
    Ok(Settled { options: changed.collect(), warnings: options.warnings() })
}

fn read<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<BondOptions, OptionError> {
    let mut options = BondOptions::default();
    settings.into_iter().try_for_each(|(key, value)| options.set(key, value))?;
    options.check()?;
    Ok(options)
}

/// The options that a member of a bond has, in the spelling of the Linux bonding driver.
pub const MEMBER_OPTIONS: [&str; 1] = ["prio"];

/// An option of a member: its canonical text, or `None` if that is the default.
///
/// # Errors
/// There is no such option, or the value is wrong; the text says what is allowed.
pub fn settle_member_option(key: &str, value: &str) -> Result<Option<String>, String> {
    match (key, value.trim().parse::<i32>()) {
        ("prio", Ok(0)) => Ok(None),
        ("prio", Ok(prio)) => Ok(Some(prio.to_string())),
        ("prio", Err(_)) => Err(format!(
            "member option prio: \"{value}\" is not a valid value; allowed: a number from {} to {}",
            i32::MIN,
            i32::MAX
        )),
        _ => Err(format!("unknown member option \"{key}\"; there is {}", MEMBER_OPTIONS.join(", "))),
    }
}

impl Bond {
    /// The options, typed.
    ///
    /// # Errors
    /// The text of an option is wrong. Never in a model that was validated.
    pub fn typed_options(&self) -> Result<BondOptions, OptionError> {
        read(self.options.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    /// Name of the bond's mode.
    pub fn mode(&self) -> String {
        self.options.get("mode").cloned().unwrap_or_else(|| BondOptions::default().mode.name().to_owned())
    }
}
