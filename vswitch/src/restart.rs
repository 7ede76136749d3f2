//! What bonds hand to the next daemon: a file in the run directory, read once at start.
//!
//! It is a hint and never an obstacle. What can't be read, or is of another boot or too old, is passed over with a line in
//! the log; the bonds begin anew then. It is not synced to disk: after a power cut there is nothing to go on with.

pub mod early;
mod file_form;
pub mod keeper;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bond_port::BondSnapshot;
use forwarding::mac::MacAddr;
use serde::{Deserialize, Serialize};

use crate::model::mac_text;

#[cfg(test)]
mod tests;

const NAME: &str = "bonds.json";
/// Larger files are not ours.
const MAX_LEN: u64 = 16 << 20;
/// After so long every partner has given us up, at the slow rate too.
const MAX_AGE: Duration = lacp::timer::LONG_TIMEOUT_TIME;

/// The bonds as they were at one time.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// When: time since boot, by the kernel's monotonic clock. Kept in whole milliseconds.
    pub taken: Duration,
    /// By name.
    pub bonds: BTreeMap<String, BondSnapshot>,
    /// Which guests have which IP addresses, where a bond balances by these what comes in.
    pub guests: Vec<KeptGuest>,
}

/// A guest's IP address. Names, since numbers are another daemon's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptGuest {
    /// The bridge.
    pub bridge: String,
    /// The port behind which the guest is.
    pub port: String,
    /// The bridge's VLAN, 0 without.
    pub vlan: u16,
    /// The address.
    pub ip: IpAddr,
    /// The guest.
    #[serde(with = "mac_text")]
    pub mac: MacAddr,
}

/// Why a file is passed over.
#[derive(Debug, thiserror::Error)]
pub enum Unusable {
    /// It can't be read.
    #[error("it can't be read: {0}")]
    Read(#[from] io::Error),
    /// It is not of our form.
    #[error("it is not of this form: {0}")]
    Form(String),
    /// It was written before the machine was started, or in another one.
    #[error("it is of another boot")]
    OtherBoot,
    /// It is too old.
    #[error("it is {} s old, and after {} s no partner waits any more", .0.as_secs(), MAX_AGE.as_secs())]
    Old(Duration),
}

/// Where a daemon with this run directory keeps it.
pub fn path(rundir: &Path) -> PathBuf {
    rundir.join(NAME)
}

/// What tells one boot from another; `None` without `/proc`.
pub fn boot_id() -> Option<String> {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(text.trim().to_owned())
}

/// What the daemon before has left, `None` if nothing. `now` is time since boot, by the kernel's monotonic clock.
///
/// # Errors
/// Why it is of no use.
pub fn load(path: &Path, boot: &str, now: Duration) -> Result<Option<Kept>, Unusable> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        found => found?,
    };
    if !metadata.is_file() || metadata.len() > MAX_LEN {
        return Err(Unusable::Read(io::ErrorKind::InvalidData.into()));
    }
    parse(&fs::read(path)?, boot, now).map(Some)
}

/// What a file holds.
///
/// # Errors
/// Why it is of no use.
pub fn parse(bytes: &[u8], boot: &str, now: Duration) -> Result<Kept, Unusable> {
    let (of_boot, mut kept) = file_form::parse(bytes).map_err(Unusable::Form)?;
    // A time that is yet to come is none of this boot.
    let age = now.checked_sub(kept.taken).ok_or(Unusable::OtherBoot)?;
    if of_boot != boot {
        return Err(Unusable::OtherBoot);
    }
    if age > MAX_AGE {
        // Hosts go on sending to members' addresses for longer than partners wait.
        if kept.guests.is_empty() {
            return Err(Unusable::Old(age));
        }
        kept.bonds.clear();
    }
    Ok(kept)
}

/// Replaces the file (mode 0640).
///
/// # Errors
/// The system's; the file of before stands.
pub fn save(path: &Path, boot: &str, kept: &Kept) -> io::Result<()> {
    let temporary = path.with_extension("json.new");
    let write = || {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => (),
        }
        let mut file: File = OpenOptions::new().write(true).create_new(true).mode(0o640).open(&temporary)?;
        file.write_all(&file_form::to_bytes(boot, kept))?;
        fs::rename(&temporary, path)
    };
    write().inspect_err(|_| {
        // The error that matters is the first one.
        let _ = fs::remove_file(&temporary);
    })
}

/// Nobody goes on where the bonds were: partners have been told that we leave.
///
/// # Errors
/// The system's, other than that there is no such file.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
