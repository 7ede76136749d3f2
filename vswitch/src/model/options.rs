//! The seam to the bond options: text in, checked text out.

use std::collections::BTreeMap;

use super::Bond;

/// Bond options that were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settled {
    /// The mode, and what else differs from the defaults, in canonical spelling.
    pub options: BTreeMap<String, String>,
    /// What is accepted but not taken literally.
    pub warnings: Vec<String>,
}

type Check = fn(&str) -> Option<String>;

fn milliseconds(text: &str) -> Option<String> {
    text.parse::<u32>().ok().map(|ms| ms.to_string())
}

fn mode(text: &str) -> Option<String> {
    match text {
        "1" | "active-backup" => Some("active-backup".to_owned()),
        "2" | "balance-xor" => Some("balance-xor".to_owned()),
        _ => None,
    }
}

const OPTIONS: &[(&str, Check, &str)] = &[
    ("mode", mode, ""),
    ("miimon", milliseconds, "0"),
    ("updelay", milliseconds, "0"),
    ("downdelay", milliseconds, "0"),
    ("primary", |text| Some(text.to_owned()), ""),
];

/// Names of all bond options.
pub fn option_names() -> Vec<&'static str> {
    OPTIONS.iter().map(|(name, _, _)| *name).collect()
}

/// The option that a key means, in any accepted spelling.
///
/// # Errors
/// There is no such option; the text says what might be meant.
pub fn canonical_option(key: &str) -> Result<&'static str, String> {
    let plain = key.strip_prefix("other_config:").unwrap_or(key).replace('-', "_");
    let plain = plain.strip_prefix("bond_").unwrap_or(&plain);
    let found = OPTIONS.iter().find(|(name, _, _)| *name == plain);
    found.map(|(name, _, _)| *name).ok_or_else(|| format!("unknown bond option \"{key}\""))
}

/// Applies settings to a bond with default options.
///
/// # Errors
/// A setting is refused, or the settings don't go together.
pub fn settle_options<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Settled, String> {
    let mut options = BTreeMap::from([("mode".to_owned(), "active-backup".to_owned())]);
    for (key, value) in settings {
        let name = canonical_option(key)?;
        let (_, check, default) =
            OPTIONS.iter().find(|(n, _, _)| *n == name).expect("canonical_option knows it");
        let value =
            check(value).ok_or_else(|| format!("bond option {name}: \"{value}\" is not a valid value"))?;
        if value == *default {
            options.remove(name);
        } else {
            options.insert(name.to_owned(), value);
        }
    }
    if options["mode"] == "balance-xor" && options.contains_key("primary") {
        return Err("bond option primary is not supported in mode balance-xor".to_owned());
    }
    Ok(Settled { options, warnings: Vec::new() })
}

impl Bond {
    /// Name of the bond's mode.
    pub fn mode(&self) -> String {
        self.options.get("mode").map_or("active-backup", String::as_str).to_owned()
    }
}
