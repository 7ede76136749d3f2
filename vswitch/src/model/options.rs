//! Bond options between text, as commands and the state file have them, and [`BondOptions`].

use std::collections::BTreeMap;

use bond_port::{BondOptions, MemberOptionError, MemberOptions, OptionError};

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
    let mut settings: Vec<_> = settings.into_iter().collect();
    // What a mode brings along gives way to what is set, and whether it speaks LACP is known before that is asked for.
    settings.sort_by_key(|(key, _)| match BondOptions::canonical(key) {
        Ok("mode") => 0,
        Ok("lacp") => 1,
        _ => 2,
    });
    settings.into_iter().try_for_each(|(key, value)| options.set(key, value))?;
    options.check()?;
    Ok(options)
}

/// An option of a member: its canonical text, or `None` if that is the default.
///
/// # Errors
/// There is no such option, or the value is wrong.
pub fn settle_member_option(key: &str, value: &str) -> Result<Option<String>, MemberOptionError> {
    let mut options = MemberOptions::default();
    options.set(key, value)?;
    let name = MemberOptions::canonical(key)?;
    Ok(options.changed_entries().into_iter().find(|(changed, _)| *changed == name).map(|(_, value)| value))
}

impl Bond {
    /// The options, typed.
    ///
    /// # Errors
    /// The text of an option is wrong. Never in a model that was validated.
    pub fn typed_options(&self) -> Result<BondOptions, OptionError> {
        read(self.options.iter().map(|(key, value)| (key.as_str(), value.as_str())))
    }

    /// A member's options, typed, and the bond's.
    ///
    /// # Errors
    /// The text of an option is wrong. Never in a model that was validated.
    pub fn typed_member_options(&self, member: &str) -> Result<(MemberOptions, BondOptions), String> {
        let mut options = MemberOptions::default();
        for (key, value) in self.member_options.get(member).into_iter().flatten() {
            options.set(key, value).map_err(|error| format!("member {member}: {error}"))?;
        }
        Ok((options, self.typed_options().map_err(|error| error.to_string())?))
    }

    /// The primary, if that is no member.
    pub fn absent_primary(&self) -> Option<&String> {
        self.options.get("primary").filter(|primary| !self.members.contains(primary))
    }

    /// Name of the bond's mode.
    pub fn mode(&self) -> String {
        self.options.get("mode").cloned().unwrap_or_else(|| BondOptions::default().mode.name().to_owned())
    }
}
