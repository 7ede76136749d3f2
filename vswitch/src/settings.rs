//! Settings of the daemon itself (what the switch is made of is in the state file). Each has one name in three places,
//! the later winning: the settings file (`log-format = "json"`), the environment (`VSWITCH_LOG_FORMAT=json`), the
//! command line (`--log-format=json`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Parser;
use config::{Config, ConfigError, File, FileFormat, Source as _, Value, ValueKind};

use crate::cli::suggest::hint;
use crate::metrics::address::{MetricsAddress, MetricsAddressError};
use crate::model::FastPathMode;

#[cfg(test)]
mod tests;

/// The settings file that is read if it exists and no other is named.
pub const DEFAULT_FILE: &str = "/etc/vswitch/vswitchd.toml";
const PREFIX: &str = "VSWITCH_";
/// Most worker threads.
pub const MAX_WORKERS: usize = 64;

/// Command line of `vswitchd`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Parser)]
#[command(name = "vswitchd", version, about = "An L2 switch for one host, whose uplinks are bonds.")]
pub struct Flags {
    /// Settings file [env: VSWITCH_CONFIG; default: /etc/vswitch/vswitchd.toml if it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Directory of the socket and the pid file [env: VSWITCH_RUNDIR; default: /run/vswitch]
    #[arg(long, value_name = "DIRECTORY")]
    pub rundir: Option<String>,
    /// File that keeps the switch's configuration [env: VSWITCH_STATE; default: /var/lib/vswitch/state.toml]
    #[arg(long, value_name = "FILE")]
    pub state: Option<String>,
    /// Threads that forward frames [env: VSWITCH_WORKERS; default: half the processors, 1 to 4]
    #[arg(long, value_name = "NUMBER")]
    pub workers: Option<String>,
    /// What to log: a level (error, warn, info, debug, trace) or a filter [env: VSWITCH_LOG; default: info]
    #[arg(long, value_name = "FILTER")]
    pub log: Option<String>,
    /// Form of the log, text or json [env: VSWITCH_LOG_FORMAT; default: text]
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Where metrics are served: a loopback address with a port, unix:PATH, or off [env: VSWITCH_METRICS; default: off]
    #[arg(long, value_name = "ADDRESS")]
    pub metrics: Option<String>,
    /// Whether the kernel forwards known traffic (BPF): auto, on (refuse to start without) or off [env: VSWITCH_FASTPATH;
    /// default: auto]
    #[arg(long, value_name = "MODE")]
    pub fastpath: Option<String>,
    /// Remove everything that a vswitchd with this run directory has left in the kernel, and exit
    #[arg(long)]
    pub cleanup: bool,
}

/// Settings in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Directory of the socket and the pid file.
    pub rundir: PathBuf,
    /// The state file.
    pub state: PathBuf,
    /// Worker threads, 1..=[`MAX_WORKERS`].
    pub workers: usize,
    /// Filter of the log, in tracing-subscriber's words.
    pub log: String,
    /// Form of the log.
    pub log_format: LogFormat,
    /// Where metrics are served, if they are.
    pub metrics: Option<MetricsAddress>,
    /// Whether the kernel's executor is used.
    pub fastpath: FastPathMode,
}

/// Form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What is wrong with the settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file can't be read, or is not TOML.
    #[error("can't read the settings file {}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why, with line and column if it is about the text.
        problem: String,
    },
    /// A key that means nothing.
    #[error("the settings file {} has an unknown key \"{key}\"{hint} (known: {})", path.display(), KEYS.join(", "))]
    UnknownKey {
        /// The file.
        path: PathBuf,
        /// The key.
        key: String,
        /// What may be meant.
        hint: String,
    },
    /// A value of the wrong type or out of range.
    #[error("setting {key} (from {origin}): {problem}")]
    Value {
        /// The key.
        key: &'static str,
        /// File, environment variable or flag.
        origin: String,
        /// What was found, and what is allowed.
        problem: String,
    },
}

const KEYS: [&str; 7] = ["rundir", "state", "workers", "log", "log-format", "metrics", "fastpath"];

impl Settings {
    /// Puts the settings together. `environment` is all of the process's; `cpus` the number of processors. Returns
    /// warnings too: environment variables that look like ours and mean nothing.
    ///
    /// # Errors
    /// The file is unreadable or has an unknown key, or a value is wrong; the text says where it came from.
    pub fn load(
        flags: &Flags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        cpus: usize,
    ) -> Result<(Self, Vec<String>), SettingsError> {
        let environment = Environment::read(environment)?;
        let named = flags.config.clone().or_else(|| environment.config.clone());
        let mut values = Vec::new();
        match (&named, Path::new(DEFAULT_FILE)) {
            (Some(file), _) => read_file(file, &mut values)?,
            (None, file) if file.exists() => read_file(file, &mut values)?,
            (None, _) => (),
        }
        values.extend(environment.values);
        let given = [
            &flags.rundir,
            &flags.state,
            &flags.workers,
            &flags.log,
            &flags.log_format,
            &flags.metrics,
            &flags.fastpath,
        ];
        for (key, text) in KEYS.into_iter().zip(given) {
            let value = |text: &String| Value::new(Some(&format!("--{key}")), text.as_str());
            values.extend(text.as_ref().map(|text| (key, value(text))));
        }
        let default_workers = (cpus / 2).clamp(1, 4);
        let merged = Merged::new(values).expect("keys are plain words, and all is in memory");
        let settings = merged.settings(default_workers)?;
        Ok((settings, environment.warnings))
    }
}

/// The environment variables that concern us.
#[derive(Default)]
struct Environment {
    config: Option<PathBuf>,
    values: Vec<(&'static str, Value)>,
    warnings: Vec<String>,
}

impl Environment {
    fn read(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, SettingsError> {
        let mut read = Self::default();
        for (name, text) in variables {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
            let key = name[PREFIX.len()..].to_lowercase().replace('_', "-");
            if key == "config" {
                read.config = Some(text.into()).filter(|path: &PathBuf| !path.as_os_str().is_empty());
                continue;
            }
            let Some(key) = KEYS.into_iter().find(|known| *known == key) else {
                let hint = hint(&key, KEYS).to_uppercase().replace('-', "_");
                let hint = hint.replace("DID YOU MEAN \"", "did you mean \"VSWITCH_");
                read.warnings.push(format!("environment variable {name} is no setting of vswitchd{hint}"));
                continue;
            };
            let origin = format!("environment variable {name}");
            let Some(text) = text.to_str() else {
                return Err(SettingsError::Value { key, origin, problem: "not UTF-8 text".to_owned() });
            };
            read.values.push((key, Value::new(Some(&origin), text)));
        }
        Ok(read)
    }
}

fn read_file(path: &Path, values: &mut Vec<(&'static str, Value)>) -> Result<(), SettingsError> {
    let broken = |problem: String| SettingsError::File { path: path.to_owned(), problem };
    let text = std::fs::read_to_string(path).map_err(|error| broken(error.to_string()))?;
    let table = File::from_str(&text, FileFormat::Toml).collect().map_err(|error| match error {
        ConfigError::FileParse { cause, .. } => broken(cause.to_string().trim_end().to_owned()),
        error => broken(error.to_string()),
    })?;
    let mut table: Vec<_> = table.into_iter().collect();
    table.sort_by(|a, b| a.0.cmp(&b.0));
    for (key, value) in table {
        let Some(known) = KEYS.into_iter().find(|known| *known == key) else {
            let hint = hint(&key, KEYS);
            return Err(SettingsError::UnknownKey { path: path.to_owned(), key, hint });
        };
        values.push((known, Value::new(Some(&path.display().to_string()), value.kind)));
    }
    Ok(())
}

/// All sources in one, the last one winning; values remember where they came from.
struct Merged(config::Map<String, Value>);

impl Merged {
    fn new(values: Vec<(&'static str, Value)>) -> Result<Self, ConfigError> {
        let builder =
            values.into_iter().try_fold(Config::builder(), |b, (key, value)| b.set_override(key, value))?;
        builder.build()?.collect().map(Self)
    }

    fn settings(&self, default_workers: usize) -> Result<Settings, SettingsError> {
        let range = format!("is not a number from 1 to {MAX_WORKERS}");
        Ok(Settings {
            rundir: self.get("rundir", "is not a path", path)?.unwrap_or_else(|| "/run/vswitch".into()),
            state: self
                .get("state", "is not a path", path)?
                .unwrap_or_else(|| "/var/lib/vswitch/state.toml".into()),
            workers: self.get("workers", &range, workers)?.unwrap_or(default_workers),
            log: self.get("log", "is not a text", text)?.unwrap_or_else(|| "info".to_owned()),
            log_format: self
                .get("log-format", "is neither \"text\" nor \"json\"", log_format)?
                .unwrap_or(LogFormat::Text),
            metrics: self.read("metrics", metrics)?.flatten(),
            fastpath: self
                .get("fastpath", "is none of \"auto\", \"on\" and \"off\"", |value| {
                    FastPathMode::from_name(&text(value)?)
                })?
                .unwrap_or_default(),
        })
    }

    /// The value of a setting, if any source has it; `problem` is what is said of one that can't be read.
    fn get<T>(
        &self,
        key: &'static str,
        problem: &str,
        read: impl Fn(&ValueKind) -> Option<T>,
    ) -> Result<Option<T>, SettingsError> {
        self.read(key, |value| read(value).ok_or_else(|| problem.to_owned()))
    }

    /// The same where the reader itself says what is wrong.
    fn read<T>(
        &self,
        key: &'static str,
        read: impl Fn(&ValueKind) -> Result<T, String>,
    ) -> Result<Option<T>, SettingsError> {
        let Some(value) = self.0.get(key) else { return Ok(None) };
        let wrong = |problem| SettingsError::Value {
            key,
            origin: value.origin().unwrap_or("the built-in defaults").to_owned(),
            problem: format!("\"{value}\" {problem}"),
        };
        read(&value.kind).map(Some).map_err(wrong)
    }
}

fn text(value: &ValueKind) -> Option<String> {
    if let ValueKind::String(text) = value { Some(text.clone()) } else { None }
}

fn path(value: &ValueKind) -> Option<PathBuf> {
    text(value).filter(|text| !text.is_empty()).map(PathBuf::from)
}

/// A number, or a text that is one, as the environment and flags give it.
fn workers(value: &ValueKind) -> Option<usize> {
    let number = match value {
        ValueKind::I64(number) => usize::try_from(*number).ok(),
        ValueKind::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number.filter(|number| (1..=MAX_WORKERS).contains(number))
}

fn log_format(value: &ValueKind) -> Option<LogFormat> {
    match text(value)?.as_str() {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    }
}

/// `off` takes back what an earlier source said.
fn metrics(value: &ValueKind) -> Result<Option<MetricsAddress>, String> {
    match text(value).unwrap_or_default().as_str() {
        "off" => Ok(None),
        address => address.parse().map(Some).map_err(|error: MetricsAddressError| error.to_string()),
    }
}
