//! Where maps and links outlive the daemon: a directory of the BPF filesystem for each daemon (by its run directory),
//! and in it one for each layout of the maps.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use rustix::fs::statfs;
use rustix::mount::{MountFlags, mount};

use super::layout::LAYOUT;

/// Where the BPF filesystem is.
pub const BPFFS: &str = "/sys/fs/bpf";
const BPF_FS_MAGIC: i64 = 0xcafe_4a11;
/// Sources that say how the maps are laid out: a change of them is another layout.
const SOURCES: [&str; 2] = [include_str!("../../bpf/layout.h"), include_str!("../../bpf/maps.h")];

/// The directories of one daemon.
#[derive(Debug, Clone)]
pub struct Pins {
    /// Everything of this daemon's.
    instance: PathBuf,
    /// What has this program's layout.
    current: PathBuf,
}

impl Pins {
    /// Of the daemon with a run directory. Nothing is made yet.
    pub fn of(rundir: &Path) -> Self {
        let instance = Path::new(BPFFS).join("vswitch").join(directory_name(rundir));
        let current = instance.join(format!("v{LAYOUT}-{:08x}", fingerprint(&SOURCES.concat())));
        Self { instance, current }
    }

    /// Makes the directory for this layout; mounts the BPF filesystem where nobody has (as systemd does).
    ///
    /// # Errors
    /// There is no BPF filesystem and it can't be mounted, or it can't be written.
    pub fn create(&self) -> anyhow::Result<()> {
        #[allow(clippy::unnecessary_cast, reason = "another type on other processors")]
        let is_mounted = || statfs(BPFFS).is_ok_and(|fs| fs.f_type as i64 == BPF_FS_MAGIC);
        if !is_mounted() {
            mount("bpf", BPFFS, "bpf", MountFlags::empty(), None)
                .with_context(|| format!("no BPF filesystem at {BPFFS}, and it can't be mounted"))?;
        }
        fs::create_dir_all(&self.current)
            .with_context(|| format!("{} can't be made", self.current.display()))?;
        if !is_mounted() {
            bail!("{BPFFS} is no BPF filesystem; mount it: mount -t bpf bpf {BPFFS}");
        }
        Ok(())
    }

    /// The directory for this layout.
    pub fn directory(&self) -> &Path {
        &self.current
    }

    /// The path of a link.
    pub fn link(&self, ifindex: u32) -> PathBuf {
        self.current.join(format!("link_{ifindex}"))
    }

    /// The path of an FDB.
    pub fn fdb(&self, number: u16) -> PathBuf {
        self.current.join(format!("fdb_{number}"))
    }

    /// Interface indexes of the pinned links.
    pub fn links(&self) -> Vec<u32> {
        let names = names_in(&self.current);
        names.iter().filter_map(|name| name.strip_prefix("link_")?.parse().ok()).collect()
    }

    /// Whether an earlier daemon has left anything in this layout.
    pub fn exist(&self) -> bool {
        !names_in(&self.current).is_empty()
    }

    /// Removes what other layouts have left. Links that are removed are detached.
    ///
    /// # Errors
    /// A file can't be removed.
    pub fn remove_other_layouts(&self) -> io::Result<bool> {
        let mut removed = false;
        for name in names_in(&self.instance) {
            let path = self.instance.join(name);
            if path != self.current {
                fs::remove_dir_all(path)?;
                removed = true;
            }
        }
        Ok(removed)
    }

    /// Removes everything of this layout.
    ///
    /// # Errors
    /// A file can't be removed.
    pub fn remove_current(&self) -> io::Result<()> {
        ignore_missing(fs::remove_dir_all(&self.current))
    }

    /// Removes everything of this daemon's.
    ///
    /// # Errors
    /// A file can't be removed.
    pub fn remove_all(&self) -> io::Result<()> {
        ignore_missing(fs::remove_dir_all(&self.instance))?;
        // Others may have their directories beside it.
        if let Some(parent) = self.instance.parent() {
            let _not_empty = fs::remove_dir(parent);
        }
        Ok(())
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// A path as one name; a dot is not allowed in names of this filesystem. The fingerprint keeps apart what would look alike.
fn directory_name(rundir: &Path) -> String {
    let path = rundir.to_string_lossy();
    let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' { c } else { '_' };
    let readable: String = path.trim_matches('/').chars().map(plain).collect();
    let start = readable.len().saturating_sub(200);
    format!("{}-{:08x}", &readable[start..], fingerprint(&path))
}

/// FNV-1a, folded to 32 bits.
fn fingerprint(text: &str) -> u32 {
    let hash = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, octet| {
        (hash ^ u64::from(octet)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    (hash ^ hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_name_for_a_run_directory() {
        let name = |path: &str| directory_name(Path::new(path));
        assert!(name("/run/vswitch").starts_with("run_vswitch-"));
        assert_ne!(name("/run/a.b"), name("/run/a_b"));
        assert!(!name("/tmp/.tmpX/run").contains(['.', '/']));
        assert!(name(&"x/".repeat(3000)).len() < 255);
    }

    #[test]
    fn the_layout_is_in_the_path() {
        let pins = Pins::of(Path::new("/run/vswitch"));
        let last = pins.directory().file_name().unwrap().to_str().unwrap().to_owned();
        assert!(last.starts_with("v4-") && last.len() == 11, "{last}");
        assert_eq!(pins.link(7), pins.directory().join("link_7"));
    }
}
