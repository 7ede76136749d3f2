//! The commands: one entry each, so that parsing and help can't disagree.

use crate::transaction::{Request, Setting};

pub(super) use self::table::{ALL, ELSEWHERE};

mod table;

/// A command.
pub(super) struct Verb {
    pub(super) name: &'static str,
    /// The options it takes, before its name. One that ends with `=` has a value.
    pub(super) options: &'static [&'static str],
    /// Its arguments, for people.
    pub(super) arguments: &'static str,
    pub(super) least: usize,
    pub(super) most: usize,
    pub(super) summary: &'static str,
    pub(super) build: fn(Words<'_>) -> Result<Request, String>,
}

/// The words of one command; there are as many arguments as its verb allows.
pub(super) struct Words<'a> {
    pub(super) options: &'a [&'a str],
    pub(super) arguments: &'a [String],
}

impl Words<'_> {
    fn has(&self, option: &str) -> bool {
        self.options.contains(&option)
    }

    /// The columns of `--columns=`.
    fn columns(&self) -> Vec<String> {
        let value = self.options.iter().rev().find_map(|given| given.strip_prefix("--columns="));
        let names = value.unwrap_or_default().split([',', ' ']).filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    }

    fn get(&self, index: usize) -> String {
        self.arguments[index].clone()
    }

    fn first(&self) -> Option<String> {
        self.arguments.first().cloned()
    }

    /// `[A] B`: the first word if there are two, and the last.
    fn optional_then_last(&self) -> (Option<String>, String) {
        let last = self.arguments.len() - 1;
        ((last > 0).then(|| self.get(0)), self.get(last))
    }

    fn settings(&self, from: usize) -> Result<Vec<Setting>, String> {
        let parse =
            |word: &String| Setting::parse(word).ok_or_else(|| format!("\"{word}\" is not KEY=VALUE"));
        self.arguments[from..].iter().map(parse).collect()
    }
}

impl Verb {
    /// Whether the command takes this option.
    pub(super) fn takes(&self, word: &str) -> bool {
        self.options.iter().any(|option| is(word, option))
    }

    /// `[--may-exist] add-br BRIDGE`.
    pub(super) fn usage(&self) -> String {
        let value = |option: &str| if option == "--columns=" { "COLUMN,..." } else { "" };
        let options = self.options.iter().map(|option| format!("[{option}{}] ", value(option)));
        format!("{}{} {}", options.collect::<String>(), self.name, self.arguments).trim_end().to_owned()
    }
}

/// Whether `word` is this option, or gives a value to it.
fn is(word: &str, option: &str) -> bool {
    if option.ends_with('=') { word.starts_with(option) } else { word == option }
}

pub(super) fn find(name: &str) -> Option<&'static Verb> {
    ALL.iter().find(|verb| verb.name == name)
}

/// The options that some command takes.
pub(super) fn command_options() -> impl Iterator<Item = &'static str> {
    let local = super::local::ALL.iter().flat_map(|verb| verb.options.iter());
    ALL.iter().flat_map(|verb| verb.options.iter()).chain(local).copied()
}

pub(super) fn is_command_option(word: &str) -> bool {
    command_options().any(|option| is(word, option))
}
