//! Open vSwitch's grammar: `vsctl [OPTION]... [--] [OPTION]... COMMAND [ARG]... [-- [OPTION]... COMMAND [ARG]...]...`.
//! Options of the whole call come before the first command; options of a command come before its name.

use std::path::PathBuf;
use std::time::Duration;

use super::help;
use super::import::Import;
use super::suggest::hint;
use super::verbs::{self, Words};
use crate::transaction::Request;

/// What a command line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Invocation {
    /// Print this text.
    Print(String),
    /// Talk to the daemon.
    Run(Run),
    /// Print what happens until interrupted.
    Monitor(Monitor),
    /// Read files, and carry out what they come to.
    Import(Import),
}

/// Where the daemon is, and how long to wait for it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Reach {
    /// How long to wait for the daemon; `None`: for ever.
    pub timeout: Option<Duration>,
    /// Wait for a daemon that does not run yet.
    pub retry: bool,
    /// The daemon's directory, if it was named.
    pub rundir: Option<PathBuf>,
}

/// Print events as they happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Monitor {
    /// The daemon.
    pub reach: Reach,
    /// Stop after so many.
    pub count: Option<u64>,
}

/// A call to the daemon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// How replies are to be printed.
    pub style: Style,
    /// The daemon.
    pub reach: Reach,
    /// Only check.
    pub dry_run: bool,
    /// One transaction; not empty.
    pub requests: Vec<Request>,
}

/// How replies are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Style {
    /// The form.
    pub format: Format,
    /// Values of `list` and `find` without quotes and brackets.
    pub bare: bool,
    /// `list` and `find` without the names of columns.
    pub no_headings: bool,
    /// Each command's text on one line, with `\n` for line ends.
    pub oneline: bool,
}

/// The form in which replies are printed. Only `list` and `find` have tables; other text is the same in all forms but
/// [`Self::Json`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// A line each column.
    #[default]
    List,
    /// A line each record.
    Table,
    /// A line each record, as comma-separated values (RFC 4180).
    Csv,
    /// One JSON document.
    Json,
}

/// What is wrong with a command line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub(super) String);

/// The options of the whole call, and whether they take a value.
const GLOBAL: &[(&str, bool)] = &[
    ("--format", true),
    ("--timeout", true),
    ("--rundir", true),
    ("--data", true),
    ("--no-headings", false),
    ("--no-heading", false),
    ("--bare", false),
    ("--oneline", false),
    ("--db", true),
    ("--no-syslog", false),
    ("--retry", false),
    ("--dry-run", false),
    ("--no-wait", false),
    ("--help", false),
    ("--version", false),
];

const SHORT: &[(char, &str)] =
    &[('d', "--data"), ('f', "--format"), ('t', "--timeout"), ('h', "--help"), ('V', "--version")];

/// Reads the arguments after the program's name.
///
/// # Errors
/// They are not in the grammar; the text says what was found and how to write it.
pub fn parse(arguments: &[String]) -> Result<Invocation, UsageError> {
    let mut run =
        Run { style: Style::default(), reach: Reach::default(), dry_run: false, requests: Vec::new() };
    let (first_options, rest) = match read_globals(arguments, &mut run)? {
        Globals::Print(text) => return Ok(Invocation::Print(text)),
        Globals::Rest { options, arguments } => (options, arguments),
    };
    if let Some(invocation) = super::local::parse(&first_options, rest, &run)? {
        return Ok(invocation);
    }
    let mut options = first_options;
    for command in rest.split(|argument| argument == "--") {
        let names = command.iter().take_while(|argument| is_option(argument));
        options.extend(names.map(String::as_str));
        let command = &command[command.iter().take_while(|argument| is_option(argument)).count()..];
        if let Some((verb, arguments)) = command.split_first() {
            run.requests.push(read_command(verb, &std::mem::take(&mut options), arguments)?);
        }
    }
    if let Some(option) = options.first() {
        return Err(UsageError(format!(
            "option \"{option}\" is not followed by a command (use --help for help)"
        )));
    }
    if run.requests.is_empty() {
        return Err(UsageError("missing command name (use --help for help)".to_owned()));
    }
    Ok(Invocation::Run(run))
}

pub(super) fn is_option(argument: &str) -> bool {
    argument.len() > 1 && argument.starts_with('-')
}

enum Globals<'a> {
    Print(String),
    /// `options` are those of the first command.
    Rest {
        options: Vec<&'a str>,
        arguments: &'a [String],
    },
}

fn read_globals<'a>(arguments: &'a [String], run: &mut Run) -> Result<Globals<'a>, UsageError> {
    let mut options = Vec::new();
    let mut at = 0;
    while let Some(argument) = arguments.get(at).filter(|argument| is_option(argument) && *argument != "--") {
        at += 1;
        if verbs::is_command_option(argument) {
            options.push(argument.as_str());
            continue;
        }
        let (name, mut value) = split_option(argument)?;
        let Some((_, takes_value)) = GLOBAL.iter().find(|(global, _)| *global == name) else {
            let known = GLOBAL.iter().map(|(name, _)| *name).chain(verbs::command_options());
            let hint = hint(name, known);
            return Err(UsageError(format!("unknown option \"{name}\"{hint} (use --help for help)")));
        };
        if *takes_value && value.is_none() {
            value = arguments.get(at).map(String::as_str);
            at += 1;
        }
        match (name, value) {
            ("--help", None) => return Ok(Globals::Print(help::text())),
            ("--version", None) => {
                return Ok(Globals::Print(format!("vsctl {}\n", env!("CARGO_PKG_VERSION"))));
            }
            ("--format", Some(value)) => run.style.format = read_format(value)?,
            ("--data", Some(value)) => run.style.bare = read_data(value)?,
            ("--no-headings" | "--no-heading", None) => run.style.no_headings = true,
            ("--bare", None) => {
                run.style = Style { format: Format::List, bare: true, no_headings: true, ..run.style };
            }
            ("--oneline", None) => run.style.oneline = true,
            ("--timeout", Some(value)) => run.reach.timeout = read_timeout(value)?,
            ("--rundir", Some("")) => return Err(UsageError("option --rundir needs a directory".to_owned())),
            ("--rundir", Some(value)) => run.reach.rundir = Some(PathBuf::from(value)),
            ("--retry", None) => run.reach.retry = true,
            ("--dry-run", None) => run.dry_run = true,
            ("--no-wait" | "--no-syslog", None) | ("--db", Some(_)) => (),
            (_, None) => return Err(UsageError(format!("option {name} needs a value"))),
            (_, Some(_)) => return Err(UsageError(format!("option {name} takes no value"))),
        }
    }
    Ok(Globals::Rest { options, arguments: &arguments[at..] })
}

/// `--name=value`, `--name`, `-nvalue` or `-n` as long name and value.
fn split_option(argument: &str) -> Result<(&str, Option<&str>), UsageError> {
    if argument.starts_with("--") {
        return Ok(match argument.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (argument, None),
        });
    }
    let mut letters = argument[1..].chars();
    let letter = letters.next().unwrap_or_default();
    let Some((_, name)) = SHORT.iter().find(|(short, _)| *short == letter) else {
        return Err(UsageError(format!("unknown option \"-{letter}\" (use --help for help)")));
    };
    Ok((name, Some(letters.as_str()).filter(|value| !value.is_empty())))
}

fn read_format(value: &str) -> Result<Format, UsageError> {
    match value {
        "table" => Ok(Format::Table),
        "list" => Ok(Format::List),
        "csv" => Ok(Format::Csv),
        "json" => Ok(Format::Json),
        _ => Err(UsageError(format!("unknown output format \"{value}\"; use table, list, csv or json"))),
    }
}

/// Whether data is to be printed bare.
fn read_data(value: &str) -> Result<bool, UsageError> {
    match value {
        "string" => Ok(false),
        "bare" => Ok(true),
        _ => Err(UsageError(format!("unknown data format \"{value}\"; use string or bare"))),
    }
}

/// Whole seconds; 0 waits for ever, as in Open vSwitch.
fn read_timeout(value: &str) -> Result<Option<Duration>, UsageError> {
    match value.parse::<u32>() {
        Ok(0) => Ok(None),
        Ok(seconds) => Ok(Some(Duration::from_secs(seconds.into()))),
        Err(_) => Err(UsageError(format!(
            "\"{value}\" is not a time-out; use whole seconds, or 0 to wait for ever"
        ))),
    }
}

fn read_command(verb: &str, options: &[&str], arguments: &[String]) -> Result<Request, UsageError> {
    let Some(found) = verbs::find(verb) else {
        if let Some((_, why)) = verbs::ELSEWHERE.iter().find(|(name, _)| *name == verb) {
            return Err(UsageError(format!("'{verb}' is not possible here: {why}")));
        }
        let local = super::local::ALL.iter().map(|verb| verb.name);
        let hint = hint(verb, verbs::ALL.iter().map(|verb| verb.name).chain(local));
        return Err(UsageError(if hint.is_empty() {
            format!("unknown command '{verb}'; use --help for help")
        } else {
            format!("unknown command '{verb}'{hint} (use --help for help)")
        }));
    };
    let wrong = |problem: String| Err(UsageError(format!("{problem}; usage: {}", found.usage())));
    // Open vSwitch wants a command's options before it; `bond/show --proc` is what people write.
    let (behind, arguments): (Vec<&String>, Vec<&String>) =
        arguments.iter().partition(|word| found.takes(word));
    let options: Vec<&str> = options.iter().copied().chain(behind.into_iter().map(String::as_str)).collect();
    let arguments: Vec<String> = arguments.into_iter().cloned().collect();
    let (options, arguments) = (options.as_slice(), arguments.as_slice());
    if let Some(option) = options.iter().find(|option| !found.takes(option)) {
        let name = option.split('=').next().unwrap_or_default();
        return wrong(if GLOBAL.iter().any(|(global, _)| *global == name) {
            format!("option {name} belongs to the whole call; write it before the first command")
        } else {
            format!("'{verb}' command has no '{option}' option")
        });
    }
    if let Some(option) = arguments.iter().find(|argument| is_option(argument)) {
        return wrong(format!("\"{option}\" after '{verb}': options come before the command"));
    }
    let (least, most) = (found.least, found.most);
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    if arguments.len() < least {
        return wrong(format!("'{verb}' command requires at least {least} argument{}", plural(least)));
    }
    if arguments.len() > most {
        return wrong(format!("'{verb}' command takes at most {most} argument{}", plural(most)));
    }
    (found.build)(Words { options, arguments }).or_else(wrong)
}
