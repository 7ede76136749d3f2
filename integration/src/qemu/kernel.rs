//! Which kernel a virtual machine boots, and the modules it takes along.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use super::initramfs::Tree;
use crate::process::{COMMAND_DEADLINE, find_program, finish, output};

const IMAGE: &str = "VSWITCH_VM_KERNEL";
const MODULES: &str = "VSWITCH_VM_MODULES";

/// A kernel image and its modules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kernel {
    /// The bootable image, usually called `vmlinuz-VERSION`.
    pub image: PathBuf,
    /// The directory `lib/modules/VERSION`, with the files that `depmod` makes.
    pub modules: PathBuf,
}

impl Kernel {
    /// The kernel that `VSWITCH_VM_KERNEL` and `VSWITCH_VM_MODULES` name; without them the one that `need_vm_kernel` of
    /// `scripts/vm-kernel.sh` has put into `target/vm`. `None` if there is none; an error if a variable is wrong.
    pub fn find() -> Result<Option<Self>> {
        let named = [IMAGE, MODULES].map(|name| std::env::var_os(name).filter(|value| !value.is_empty()));
        let kernel = match named {
            [Some(image), Some(modules)] => Self { image: image.into(), modules: modules.into() },
            [None, None] => {
                let own = std::env::current_exe()?;
                return Ok(own.ancestors().find_map(|directory| Self::inside(&directory.join("vm"))));
            }
            _ => bail!("set both {IMAGE} and {MODULES}, or neither"),
        };
        ensure!(kernel.image.is_file(), "{IMAGE}: there is no file {}", kernel.image.display());
        let index = kernel.modules.join("modules.dep.bin");
        ensure!(
            index.is_file(),
            "{MODULES}: there is no {}: name a directory lib/modules/VERSION and run depmod on it",
            index.display()
        );
        Ok(Some(kernel))
    }

    /// The kernel unpacked below a directory.
    fn inside(directory: &Path) -> Option<Self> {
        std::fs::read_dir(directory.join("boot")).ok()?.flatten().find_map(|entry| {
            let name = entry.file_name();
            let version = name.to_str()?.strip_prefix("vmlinuz-")?;
            Some(Self { image: entry.path(), modules: directory.join("lib/modules").join(version) })
        })
    }

    /// Puts modules and all that they need into a machine, with an index of just these, so that the guest's kernel can
    /// load them by itself too. The names may be aliases.
    pub(super) fn add_modules(&self, names: &[&str], tree: &mut Tree) -> Result<()> {
        let version = self.modules.file_name().context("the directory of modules has no name")?;
        let work = tempfile::Builder::new().prefix("vswitch-vm-modules-").tempdir()?;
        let all = Root::new(&work.path().join("all"))?;
        std::os::unix::fs::symlink(std::path::absolute(&self.modules)?, all.modules().join(version))?;
        let some = Root::new(&work.path().join("some"))?;
        let chosen = some.modules().join(version);
        std::fs::create_dir(&chosen)?;

        for file in all.needed(version, names)? {
            let place = file.strip_prefix(all.modules().join(version));
            let to = chosen.join(place.with_context(|| format!("{} is elsewhere", file.display()))?);
            std::fs::create_dir_all(to.parent().context("a module has a directory")?)?;
            std::fs::copy(&file, to)?;
        }
        for list in ["modules.builtin", "modules.builtin.modinfo", "modules.order"] {
            let from = self.modules.join(list);
            if from.is_file() {
                std::fs::copy(from, chosen.join(list))?;
            }
        }
        output(tool("depmod")?.arg("-b").arg(&some.0).arg(version))?;
        tree.copy_all(&chosen, &Path::new("/lib/modules").join(version))
    }
}

/// A directory that `modprobe` and `depmod` take for the root; `usr` leads back to it, since some look into `usr/lib`.
struct Root(PathBuf);

impl Root {
    fn new(path: &Path) -> Result<Self> {
        std::fs::create_dir_all(path.join("lib/modules"))?;
        std::os::unix::fs::symlink(".", path.join("usr"))?;
        Ok(Self(path.to_owned()))
    }

    fn modules(&self) -> PathBuf {
        self.0.join("lib/modules")
    }

    /// The files of these modules and of those that they need.
    fn needed(&self, version: &std::ffi::OsStr, names: &[&str]) -> Result<Vec<PathBuf>> {
        let mut modprobe = tool("modprobe")?;
        modprobe.arg("-d").arg(&self.0).arg("-S").arg(version);
        // This machine's own settings of modules do not count.
        modprobe.args(["-C", "/dev/null", "--all", "--show-depends"]).args(names);
        let done = finish(&mut modprobe, COMMAND_DEADLINE)?;
        ensure!(
            done.status.success(),
            "the kernel for virtual machines can't give {}: {}",
            names.join(", "),
            done.stderr.trim()
        );
        Ok(done.stdout.lines().filter_map(file).collect())
    }
}

/// The file in a line `insmod FILE PARAMETERS`; `None` for `builtin NAME`.
fn file(line: &str) -> Option<PathBuf> {
    let path = line.strip_prefix("insmod ")?.split(' ').next()?;
    // A path like ROOT/usr/lib is ROOT/lib here.
    Some(path.replacen("/usr/lib/modules/", "/lib/modules/", 1).into())
}

fn tool(name: &str) -> Result<Command> {
    Ok(Command::new(find_program(name).with_context(|| format!("{name} is not installed"))?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modprobe_is_understood() {
        let file = |line| file(line).map(|path| path.to_str().unwrap().to_owned());
        assert_eq!(file("insmod /r/lib/modules/6/a.ko ").as_deref(), Some("/r/lib/modules/6/a.ko"));
        assert_eq!(
            file("insmod /r/usr/lib/modules/6/a.ko.xz x=1").as_deref(),
            Some("/r/lib/modules/6/a.ko.xz")
        );
        assert_eq!(file("builtin af_packet"), None);
    }
}
