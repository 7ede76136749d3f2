//! The state file: the model as TOML. It is read once at start and replaced whole after every change, so that a power
//! cut leaves either the old file or the new one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::model::{Invalid, Model};

#[cfg(test)]
mod tests;

const HEADER: &str = "\
# Written by vswitchd: the switch's configuration, as given with vsctl. The file is replaced at every change, so edit
# it only while vswitchd is stopped.

";

/// Larger files are no state of this switch.
const MAX_LEN: u64 = 64 << 20;

/// Why the state could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The file exists but can't be read.
    #[error("can't read the state file {}: {error}; make it readable for the user of vswitchd", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
    /// The file is not TOML, or not of our form.
    #[error(
        "the state file {}, line {line}, column {column}: {problem}; correct the file, or move it away to start with an \
         empty switch (it was left as it is)",
        path.display()
    )]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// Counted from 1, in characters.
        column: usize,
        /// What is wrong there.
        problem: String,
    },
    /// The file describes a switch that can't be.
    #[error(
        "the state file {}: {invalid}; correct the file, or move it away to start with an empty switch (it was left as it \
         is)",
        path.display()
    )]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and where.
        invalid: Invalid,
    },
    /// The new file could not be written and put in place.
    #[error("can't write the state file {}: {step}: {error}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What failed.
        step: &'static str,
        /// What the kernel said.
        error: io::Error,
    },
}

/// Reads the state. A file that does not exist is an empty model. The file is never changed.
///
/// # Errors
/// The file can't be read, or what it holds is wrong.
pub fn load(path: &Path) -> Result<Model, StateError> {
    let read = |error| StateError::Read { path: path.to_owned(), error };
    let bytes = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Model::default()),
        Err(error) => return Err(read(error)),
        Ok(metadata) if metadata.len() > MAX_LEN => return Err(read(io::ErrorKind::FileTooLarge.into())),
        Ok(_) => fs::read(path).map_err(read)?,
    };
    let model = parse(&bytes).map_err(|(offset, problem)| {
        let (line, column) = line_and_column(&bytes, offset);
        StateError::Syntax { path: path.to_owned(), line, column, problem }
    })?;
    model.validate().map_err(|invalid| StateError::Invalid { path: path.to_owned(), invalid })?;
    Ok(model)
}

/// The model, or where (in octets) and why the text is refused.
fn parse(bytes: &[u8]) -> Result<Model, (usize, String)> {
    let text = str::from_utf8(bytes).map_err(|e| (e.valid_up_to(), "not UTF-8 text".to_owned()))?;
    toml::from_str(text).map_err(|e| {
        let offset = e.span().map_or(0, |span| span.start);
        (offset, e.message().trim_end().replace('\n', "; "))
    })
}

fn line_and_column(bytes: &[u8], offset: usize) -> (usize, usize) {
    let before = &bytes[..offset.min(bytes.len())];
    let line_start = before.iter().rposition(|b| *b == b'\n').map_or(0, |newline| newline + 1);
    let line = 1 + before.iter().filter(|b| **b == b'\n').count();
    (line, 1 + String::from_utf8_lossy(&before[line_start..]).chars().count())
}

/// Text of the state file; the same model always gives the same octets.
pub fn to_text(model: &Model) -> String {
    let body = toml::to_string_pretty(model).expect("a model is tables, texts and numbers");
    format!("{HEADER}{body}")
}

/// Replaces the state file: a new file in the same directory (mode 0640), synced to disk, renamed over the old one,
/// and the directory synced. A missing directory is made.
///
/// # Errors
/// A step failed; the old file stands. (Only when the last step fails, the sync of the directory, the new one stands,
/// and may be lost in a power cut.)
pub fn save(path: &Path, model: &Model) -> Result<(), StateError> {
    let failed = |step| move |error| StateError::Write { path: path.to_owned(), step, error };
    let directory = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let temporary = directory.join(name);
    let text = to_text(model);
    let write = || {
        // What can't be read again is not written.
        if text.len() as u64 > MAX_LEN {
            return Err(failed("write")(io::ErrorKind::FileTooLarge.into()));
        }
        fs::create_dir_all(directory).map_err(failed("create the directory"))?;
        // What a process that died half-way left behind may have another owner or mode.
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove old .new file")(error));
            }
            _ => (),
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o640)
            .open(&temporary)
            .map_err(failed("create the new file"))?;
        file.write_all(text.as_bytes()).map_err(failed("write"))?;
        file.sync_all().map_err(failed("fsync"))?;
        fs::rename(&temporary, path).map_err(failed("rename"))
    };
    write().inspect_err(|_| {
        // The error that matters is the first one.
        let _ = fs::remove_file(&temporary);
    })?;
    File::open(directory).and_then(|d| d.sync_all()).map_err(failed("fsync the directory"))
}
