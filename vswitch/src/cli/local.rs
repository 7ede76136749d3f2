//! Commands that are not part of a transaction: they stand alone.

use super::grammar::{Invocation, Monitor, Run, UsageError, is_option};
use super::import;
use super::verbs;

/// Such a command.
pub(super) struct Local {
    pub(super) name: &'static str,
    pub(super) options: &'static [&'static str],
    pub(super) usage: &'static str,
    pub(super) summary: &'static str,
}

pub(super) const ALL: &[Local] = &[
    Local {
        name: "monitor",
        options: &["--count="],
        usage: "monitor [--count=N]",
        summary: "print what happens in the switch, one JSON object a line, until interrupted",
    },
    Local {
        name: "import",
        options: &["--bridge="],
        usage: "import ifcfg DIRECTORY|modprobe FILE [--bridge=BRIDGE] [--dry-run]",
        summary: "make the bonds and bridges that ifcfg-* files or options of the bonding driver describe",
    },
    Local {
        name: "list-commands",
        options: &[],
        usage: "list-commands",
        summary: "print the names of all commands and their arguments",
    },
];

/// Reads a command line that consists of such a command. `None`: there is none in it.
pub(super) fn parse(
    options: &[&str],
    arguments: &[String],
    run: &Run,
) -> Result<Option<Invocation>, UsageError> {
    let commands = arguments.split(|argument| argument == "--").filter(|command| !command.is_empty());
    let verb_of = |command: &[String]| command.iter().find(|word| !is_option(word)).cloned();
    let Some(local) =
        (commands.clone().filter_map(verb_of)).find_map(|verb| ALL.iter().find(|local| local.name == verb))
    else {
        return Ok(None);
    };
    let wrong = |problem: String| Err(UsageError(format!("{problem}; usage: {}", local.usage)));
    let mut commands = commands;
    let words = commands.next().unwrap_or_default();
    if commands.next().is_some() {
        return wrong(format!("'{}' can't be joined with other commands", local.name));
    }
    let mut words = options.iter().copied().chain(words.iter().map(String::as_str));
    if local.name == import::NAME {
        return import::parse(words, run).map(|found| Some(Invocation::Import(found))).or_else(wrong);
    }
    let mut count = None;
    let mut named = false;
    while let Some(word) = words.next() {
        let value = match word.strip_prefix("--count=") {
            _ if word == local.name && !named => {
                named = true;
                continue;
            }
            Some(value) => Some(value),
            None if word == "--count" => words.next(),
            None => return wrong(format!("'{}' command has no '{word}' option or argument", local.name)),
        };
        if local.options.is_empty() {
            return wrong(format!("'{}' command has no '--count' option", local.name));
        }
        match value.map(str::parse::<u64>) {
            Some(Ok(number @ 1..)) => count = Some(number),
            _ => return wrong("--count needs a number from 1".to_owned()),
        }
    }
    Ok(Some(match local.name {
        "monitor" => Invocation::Monitor(Monitor { reach: run.reach.clone(), count }),
        _ => Invocation::Print(names()),
    }))
}

/// Open vSwitch's `list-commands`: what there is, sorted.
fn names() -> String {
    let verbs = verbs::ALL.iter().map(verbs::Verb::usage);
    let mut all: Vec<_> = verbs.chain(ALL.iter().map(|local| local.usage.to_owned())).collect();
    let name = |usage: &String| usage.split(' ').find(|word| !word.starts_with('[')).map(str::to_owned);
    all.sort_by_key(name);
    all.iter().fold("The available commands are:\n".to_owned(), |text, usage| format!("{text}  {usage}\n"))
}
