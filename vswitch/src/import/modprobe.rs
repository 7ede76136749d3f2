//! Options of the bonding driver in a file of `modprobe` (`/etc/modprobe.conf`, `/etc/modprobe.d/*.conf`).

use super::bond_words::{self, Word};
use super::{Findings, Outcome, Place, Source, Step, default_bridge, quoted, step, text_of};
use crate::cli::suggest::hint;

/// Most bonds that a file may ask for.
const MAX_BONDS: u32 = 256;

/// Commands of modprobe that say nothing about bonds.
const OTHER: &[&str] = &["blacklist", "config", "include", "install", "remove", "softdep", "weakdep"];

/// What a file says about bonds.
#[derive(Default)]
struct Contents {
    /// Names and where they were met first.
    bonds: Vec<(String, Place)>,
    /// `options NAME ...`, word by word.
    options: Vec<(String, Word)>,
    /// Options of the driver, for every bond.
    common: Vec<Word>,
    max_bonds: Option<(u32, Place)>,
    /// A line about the driver itself.
    driver: Option<Place>,
}

/// Plans the bonds that a file describes, without members, which such a file does not name. `bridge` is their bridge.
///
/// # Errors
/// Everything in the file that is wrong, can't be done, or is not clear.
pub fn plan(source: &Source, bridge: Option<&str>) -> Outcome {
    let mut findings = Findings::default();
    let mut contents = Contents::default();
    match text_of(source) {
        Ok(text) => contents.read(&text, &source.name, &mut findings),
        Err(problem) => findings.problems.push(problem),
    }
    contents.name_bonds();
    if contents.bonds.is_empty() && findings.problems.is_empty() {
        findings.problem(
            &Place { file: source.name.clone(), line: 0 },
            "nothing to import: there is no \"alias NAME bonding\", \"options bond0 ...\" or \"options bonding ...\"",
        );
    }
    if let Some((_, place)) = contents.bonds.get(MAX_BONDS as usize) {
        findings.problem(place, format!("the file describes more than {MAX_BONDS} bonds"));
        contents.bonds.clear();
    }
    let mut steps: Vec<Step> = Vec::new();
    for (name, place) in &contents.bonds {
        if let Err(problem) = step::check(name) {
            findings.problem(place, problem);
            continue;
        }
        let own = contents.options.iter().filter(|(of, _)| of == name).map(|(_, word)| word);
        let words: Vec<Word> = contents.common.iter().chain(own).cloned().collect();
        let options = bond_words::settle(name, &words, place, &mut findings);
        let Some(bridge) = bridge.map(str::to_owned).or_else(|| default_bridge(name)) else {
            findings.problem(
                place,
                format!("here every bond is in a bridge; say with --bridge=NAME in which {name} is to be"),
            );
            continue;
        };
        let added = Step::add_bridge(place, &bridge);
        if !steps.iter().any(|step| step.request == added.request) {
            steps.push(added);
        }
        steps.push(Step::add_bond(place, &bridge, name, &options));
        findings.note(
            place,
            format!(
                "{name} is in {bridge}; the file names no members: vsctl add-bond-iface {name} DEVICE, or vsctl import \
                 ifcfg DIRECTORY first"
            ),
        );
    }
    findings.conclude(steps)
}

impl Contents {
    fn read(&mut self, text: &str, file: &str, findings: &mut Findings) {
        let lines = logical_lines(text);
        for (line, text) in &lines {
            let place = Place { file: file.to_owned(), line: *line };
            match words(text) {
                Ok(words) => self.read_line(&words, &place, findings),
                Err(problem) => findings.problem(&place, problem),
            }
        }
        // Names may be given after the options of the same bond.
        let (options, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.options)
            .into_iter()
            .partition(|(name, _)| self.bonds.iter().any(|(bond, _)| bond == name) || is_numbered(name));
        self.options = options;
        for (name, word) in others {
            findings.note(
                &word.place,
                format!("options of {name} are ignored: no \"alias {name} bonding\" makes it a bond"),
            );
        }
        findings.notes.dedup();
    }

    fn read_line(&mut self, words: &[String], place: &Place, findings: &mut Findings) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            [] => (),
            ["alias", name, driver] if is_driver(driver) => self.add_alias(name, place, findings),
            ["alias", _, _] => (),
            ["alias", ..] => findings.problem(place, "an alias has two words: alias NAME DRIVER"),
            ["options", name, ref options @ ..] if !options.is_empty() => {
                self.add_options(name, options, place, findings);
            }
            ["options", ..] => findings.problem(place, "options have a name and words: options bond0 mode=1"),
            [command, ref rest @ ..] if OTHER.contains(&command) => {
                if rest.iter().any(|word| is_driver(word) || is_numbered(word)) || command == "include" {
                    findings.note(
                        place,
                        format!("{command} is ignored; bonds are made as alias and options say"),
                    );
                }
            }
            [command, ..] => {
                let known = OTHER.iter().copied().chain(["alias", "options"]);
                findings.problem(
                    place,
                    format!("{} is no command of modprobe{}", quoted(command), hint(command, known)),
                );
            }
        }
    }

    fn add_alias(&mut self, name: &str, place: &Place, findings: &mut Findings) {
        self.driver.get_or_insert_with(|| place.clone());
        let name = name.strip_prefix("netdev-").unwrap_or(name);
        if name.contains(['*', '?', '[']) {
            findings.note(place, format!("{} names no bond; options bond0 ... does", quoted(name)));
        } else {
            self.add_bond(name, place);
        }
    }

    fn add_options(&mut self, name: &str, options: &[&str], place: &Place, findings: &mut Findings) {
        let name = name.strip_prefix("netdev-").unwrap_or(name);
        if is_driver(name) {
            self.driver.get_or_insert_with(|| place.clone());
        } else if is_numbered(name) {
            self.add_bond(name, place);
        }
        for option in options {
            let word = Word { text: (*option).to_owned(), place: place.clone() };
            match option.strip_prefix("max_bonds=") {
                Some(number) if is_driver(name) || is_numbered(name) => match number.parse() {
                    Ok(number) if number <= MAX_BONDS => self.max_bonds = Some((number, place.clone())),
                    _ => findings.problem(
                        place,
                        format!("max_bonds: {} is not a number from 0 to {MAX_BONDS}", quoted(number)),
                    ),
                },
                _ if is_driver(name) => self.common.push(word),
                _ => self.options.push((name.to_owned(), word)),
            }
        }
    }

    fn add_bond(&mut self, name: &str, place: &Place) {
        if !self.bonds.iter().any(|(known, _)| known == name) {
            self.bonds.push((name.to_owned(), place.clone()));
        }
    }

    /// Adds the bonds that the driver makes by itself: as many as `max_bonds` says; without it `bond0`, if the file has
    /// options of the driver and names no bond.
    fn name_bonds(&mut self) {
        let (number, place) = match (&self.max_bonds, &self.driver) {
            (Some((number, place)), _) => (*number, place.clone()),
            (None, Some(place)) if self.bonds.is_empty() => (1, place.clone()),
            _ => return,
        };
        (0..number).for_each(|n| self.add_bond(&format!("bond{n}"), &place));
    }
}

/// Whether a name is the driver's.
fn is_driver(name: &str) -> bool {
    name == "bonding"
}

/// Whether a name is one that the driver gives: `bond0`.
fn is_numbered(name: &str) -> bool {
    default_bridge(name).is_some()
}

/// Lines with a backslash at their end joined with the next, each with the number of its first; without comments.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut continues = false;
    for (n, line) in text.lines().enumerate() {
        let body = line.strip_suffix('\\');
        let text = body.unwrap_or(line);
        match lines.last_mut().filter(|_| continues) {
            Some((_, whole)) => whole.push_str(text),
            None => lines.push((n + 1, text.to_owned())),
        }
        continues = body.is_some();
    }
    lines.retain(|(_, line)| !line.trim_start().starts_with('#'));
    lines
}

/// Words between blanks; blanks between double quotes belong to a word, and the quotes don't.
fn words(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '"' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            _ if c.is_whitespace() && !quoted => words.extend(word.take()),
            _ => word.get_or_insert_default().push(c),
        }
    }
    if quoted {
        return Err("a quote \" is never closed".to_owned());
    }
    words.extend(word);
    Ok(words)
}
