//! The rim: files and devices of this host.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{Host, MAX_FILE, MAX_FILES, Source};
use crate::netlink::addresses;

/// The files `ifcfg-*` of a directory; their names are those in the directory.
///
/// # Errors
/// The directory or a file in it can't be read, or there is none; the text names it.
pub fn read_directory(directory: &Path) -> Result<Vec<Source>, String> {
    let failed = |error: io::Error| format!("can't read the directory {}: {error}", directory.display());
    let mut sources = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_bytes().starts_with(b"ifcfg-") || !entry.path().is_file() {
            continue;
        }
        if sources.len() == MAX_FILES {
            return Err(format!("there are more than {MAX_FILES} files ifcfg-* in {}", directory.display()));
        }
        sources.push(read(&entry.path(), entry.file_name().as_os_str())?);
    }
    if sources.is_empty() {
        return Err(format!(
            "there are no files ifcfg-* in {}; name the directory that has them, such as \
             /etc/sysconfig/network-scripts",
            directory.display()
        ));
    }
    Ok(sources)
}

/// One file; its name is the path.
///
/// # Errors
/// It can't be read; the text names it.
pub fn read_file(path: &Path) -> Result<Source, String> {
    read(path, path.as_os_str())
}

/// No more than shows that a file is too long.
fn read(path: &Path, name: &OsStr) -> Result<Source, String> {
    let failed = |error: io::Error| format!("can't read {}: {error}", path.display());
    let mut octets = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut octets).map_err(failed)?;
    Ok(Source { name: name.to_string_lossy().into_owned(), octets })
}

/// This host's devices, as far as the kernel tells.
pub fn host() -> Host {
    Host { macs: addresses::list().ok() }
}
