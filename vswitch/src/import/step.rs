//! One command of a plan: what is sent to the daemon, and the same as words of `vsctl`'s command line.

use super::Place;
use crate::model::check_name;
use crate::transaction::{Request, Setting};

/// A command, and where it comes from. Carrying it out again changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Where the thing is described.
    pub place: Place,
    /// What is sent.
    pub request: Request,
    /// The same as `vsctl` takes it.
    pub words: Vec<String>,
}

impl Step {
    pub(super) fn add_bridge(place: &Place, bridge: &str) -> Self {
        let request = Request::AddBridge { bridge: bridge.to_owned(), may_exist: true };
        Self { place: place.clone(), request, words: words("add-br", &[bridge]) }
    }

    pub(super) fn add_port(place: &Place, bridge: &str, port: &str) -> Self {
        let request = Request::AddPort {
            bridge: bridge.to_owned(),
            port: port.to_owned(),
            settings: Vec::new(),
            may_exist: true,
        };
        Self { place: place.clone(), request, words: words("add-port", &[bridge, port]) }
    }

    /// `options` are words `key=value`. The members follow one by one, so that each has its place, and a bond that is
    /// there already may lack some.
    pub(super) fn add_bond(place: &Place, bridge: &str, bond: &str, options: &[String]) -> Self {
        let request = Request::AddBond {
            bridge: bridge.to_owned(),
            bond: bond.to_owned(),
            members: Vec::new(),
            settings: options.iter().filter_map(|word| Setting::parse(word)).collect(),
            may_exist: true,
            fake_iface: false,
        };
        let rest = options.iter().map(String::as_str);
        let arguments: Vec<&str> = [bridge, bond].into_iter().chain(rest).collect();
        Self { place: place.clone(), request, words: words("add-bond", &arguments) }
    }

    pub(super) fn add_member(place: &Place, bond: &str, member: &str) -> Self {
        let request =
            Request::AddBondIface { bond: bond.to_owned(), iface: member.to_owned(), may_exist: true };
        Self { place: place.clone(), request, words: words("add-bond-iface", &[bond, member]) }
    }
}

fn words(verb: &str, arguments: &[&str]) -> Vec<String> {
    ["--may-exist", verb].iter().chain(arguments).map(|word| (*word).to_owned()).collect()
}

/// Checks a name for a bridge, bond or device that is to be written on `vsctl`'s command line, where a word that begins
/// with `-` is an option, and one with `=` a setting.
///
/// # Errors
/// What is wrong, beginning with the name in quotes.
pub(crate) fn check(name: &str) -> Result<(), String> {
    check_name(name)?;
    if name.starts_with('-') || name.contains('=') {
        return Err(format!("{name:?} can't be given to vsctl as a name: it begins with - or has a = in it"));
    }
    Ok(())
}
