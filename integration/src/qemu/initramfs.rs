//! The files of a virtual machine as an archive for the kernel: cpio in the format "newc"
//! (`Documentation/driver-api/early-userspace/buffer-format.rst` of the kernel).

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail, ensure};

use crate::process::{COMMAND_DEADLINE, find_program, finish};

/// There is one directory for programs and one for libraries.
const LINKS: [(&str, &str); 5] = [
    ("bin", "/usr/bin"),
    ("sbin", "/usr/bin"),
    ("usr/sbin", "/usr/bin"),
    ("lib", "/usr/lib"),
    ("lib64", "/usr/lib"),
];

/// What is at a path.
#[derive(Debug)]
enum Node {
    Directory,
    /// Permissions and bytes.
    File(u32, Vec<u8>),
    Link(&'static str),
    /// A character device with its two numbers.
    Device(u32, u32),
}

/// Everything that the machine will find.
#[derive(Debug, Default)]
pub(super) struct Tree {
    /// In order: parents before what is in them.
    nodes: BTreeMap<PathBuf, Node>,
    /// Files of this machine that may need shared libraries.
    executables: Vec<PathBuf>,
}

impl Tree {
    /// The directories that every machine has, and the device that the kernel opens for its first process.
    pub(super) fn new() -> Self {
        let mut tree = Self::default();
        for directory in ["dev", "etc", "proc", "root", "run", "sys", "tmp", "usr/bin", "usr/lib", "var"] {
            tree.put(Path::new(directory), Node::Directory);
        }
        for (link, target) in LINKS {
            tree.nodes.insert(link.into(), Node::Link(target));
        }
        tree.put(Path::new("dev/console"), Node::Device(5, 1));
        tree
    }

    /// A file with this text.
    pub(super) fn text(&mut self, guest: &str, permissions: u32, text: &str) {
        self.put(Path::new(guest), Node::File(permissions, text.into()));
    }

    /// A copy of a file of this machine, with its permissions; links are followed.
    pub(super) fn copy(&mut self, host: &Path, guest: &Path) -> Result<()> {
        let bytes = std::fs::read(host).with_context(|| format!("cannot read {}", host.display()))?;
        let permissions = std::fs::metadata(host)?.permissions().mode() & 0o777;
        if is_dynamic(&bytes) {
            self.executables.push(host.to_owned());
        }
        self.put(guest, Node::File(permissions, bytes));
        Ok(())
    }

    /// A copy of all files below a directory of this machine.
    pub(super) fn copy_all(&mut self, host: &Path, guest: &Path) -> Result<()> {
        for entry in std::fs::read_dir(host).with_context(|| format!("cannot read {}", host.display()))? {
            let entry = entry?;
            let guest = guest.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.copy_all(&entry.path(), &guest)?;
            } else {
                self.copy(&entry.path(), &guest)?;
            }
        }
        Ok(())
    }

    /// Adds the shared libraries of all executables, at the paths where the loader looks for them, and the loader.
    pub(super) fn add_libraries(&mut self) -> Result<()> {
        let ldd = find_program("ldd").context("ldd is not installed")?;
        // Its status only says that one of them is static.
        let done = finish(Command::new(ldd).args(&self.executables), COMMAND_DEADLINE)?;
        for library in libraries(&done.stdout)? {
            self.copy(&library, &library)?;
        }
        Ok(())
    }

    /// Writes the archive and returns its size in bytes.
    pub(super) fn write(&self, out: &mut impl Write) -> Result<u64> {
        let mut size = 0;
        for (number, (path, node)) in self.nodes.iter().enumerate() {
            let (mode, device, content) = match node {
                Node::Directory => (0o040_755, (0, 0), &[][..]),
                Node::File(permissions, bytes) => (0o100_000 | permissions, (0, 0), &bytes[..]),
                Node::Link(target) => (0o120_777, (0, 0), target.as_bytes()),
                Node::Device(major, minor) => (0o020_600, (*major, *minor), &[][..]),
            };
            size += entry(out, number + 1, path, mode, device, content)?;
        }
        Ok(size + entry(out, 0, Path::new("TRAILER!!!"), 0, (0, 0), &[])?)
    }

    fn put(&mut self, path: &Path, node: Node) {
        let path = place(path);
        for parent in path.ancestors().skip(1).filter(|parent| !parent.as_os_str().is_empty()) {
            self.nodes.entry(parent.to_owned()).or_insert(Node::Directory);
        }
        self.nodes.insert(path, node);
    }
}

/// Where a path really is, relative to the root.
fn place(path: &Path) -> PathBuf {
    let plain: PathBuf = path.components().filter(|part| matches!(part, Component::Normal(_))).collect();
    for (link, target) in LINKS {
        if let Ok(rest) = plain.strip_prefix(link) {
            return Path::new(target.trim_start_matches('/')).join(rest);
        }
    }
    plain
}

/// Whether bytes are an ELF executable or shared object: `e_type` is ET_EXEC or ET_DYN, little endian. Modules of the
/// kernel are ELF files too, of another type.
fn is_dynamic(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x7fELF") && matches!(bytes.get(16..18), Some([2 | 3, 0]))
}

/// The files that `ldd` lists: lines like `libc.so.6 => /lib/libc.so.6 (0x..)` and `/lib64/ld.so (0x..)` after a tab.
fn libraries(ldd: &str) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for line in ldd.lines().filter_map(|line| line.strip_prefix('\t')) {
        let (name, target) = line.split_once(" => ").unwrap_or((line, line));
        if target == "not found" {
            bail!("shared library {name} is not installed, which a program for the virtual machine needs");
        }
        let path = target.split_once(" (").map_or(target, |(path, _)| path);
        // The vDSO has no file.
        if path.starts_with('/') {
            found.push(path.into());
        }
    }
    Ok(found)
}

/// Writes one member of the archive and returns its size.
fn entry(
    out: &mut impl Write,
    number: usize,
    path: &Path,
    mode: u32,
    (major, minor): (u32, u32),
    content: &[u8],
) -> Result<u64> {
    let path = path.to_str().context("a path that is not UTF-8")?;
    let size = u32::try_from(content.len()).ok().with_context(|| format!("{path} is larger than 4 GiB"))?;
    let name = path.len() + 1;
    ensure!(name <= 4096, "{path} is too long a path");
    let header = [number as u32, mode, 0, 0, 1, 0, size, 0, 0, major, minor, name as u32, 0]
        .map(|n| format!("{n:08x}"));
    let mut head = format!("070701{}{path}\0", header.concat()).into_bytes();
    head.resize(head.len().next_multiple_of(4), 0);
    let padding = content.len().next_multiple_of(4) - content.len();
    out.write_all(&head)?;
    out.write_all(content)?;
    out.write_all(&[0; 3][..padding])?;
    Ok((head.len() + content.len() + padding) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_a_header_of_hex_digits_a_name_and_the_content_each_padded_to_four_bytes() {
        let mut out = Vec::new();
        let size = entry(&mut out, 1, Path::new("ab"), 0o100_644, (5, 1), b"hello").unwrap();
        let golden = [
            "070701",
            "00000001",
            "000081a4",
            "00000000",
            "00000000",
            "00000001",
            "00000000",
            "00000005",
            "00000000",
            "00000000",
            "00000005",
            "00000001",
            "00000003",
            "00000000",
            "ab\0\0\0\0",
            "hello\0\0\0",
        ];
        let golden = golden.concat();
        assert_eq!(String::from_utf8(out).unwrap(), golden);
        assert_eq!(size, golden.len() as u64);
    }

    #[test]
    fn files_are_where_links_lead_and_parents_come_first() {
        let mut tree = Tree::new();
        tree.text("/lib/x/one", 0o644, "");
        tree.text("/sbin/two", 0o755, "");
        let paths: Vec<_> = tree.nodes.keys().map(|path| path.to_str().unwrap()).collect();
        let at = |path: &str| paths.iter().position(|p| *p == path);
        assert!(at("usr") < at("usr/lib") && at("usr/lib") < at("usr/lib/x"));
        assert!(at("usr/lib/x") < at("usr/lib/x/one"));
        assert_eq!(place(Path::new("/sbin/ip")), Path::new("usr/bin/ip"));
        assert_eq!(place(Path::new("/usr/sbin/ip")), Path::new("usr/bin/ip"));
        assert_eq!(place(Path::new("/lib64/ld.so")), Path::new("usr/lib/ld.so"));
        assert_eq!(place(Path::new("/library/x")), Path::new("library/x"));
    }

    #[test]
    fn ldd_is_understood() {
        let text = "/usr/bin/a:\n\tlinux-vdso.so.1 (0x00007f)\n\tlibc.so.6 => /lib/libc.so.6 (0x7f)\n\
            /usr/bin/b:\n\tstatically linked\n/usr/bin/c:\n\t/lib64/ld.so.2 (0x00007f)\n";
        assert_eq!(libraries(text).unwrap(), ["/lib/libc.so.6", "/lib64/ld.so.2"].map(PathBuf::from));
        let error = libraries("\tlibx.so.1 => not found\n").unwrap_err().to_string();
        assert!(error.contains("libx.so.1"), "{error}");
    }

    #[test]
    fn an_executable_brings_its_libraries() {
        let mut tree = Tree::new();
        tree.copy(&std::env::current_exe().unwrap(), Path::new("/usr/bin/test")).unwrap();
        assert_eq!(tree.executables.len(), 1);
        tree.copy(Path::new("Cargo.toml"), Path::new("/file")).unwrap();
        assert_eq!(tree.executables.len(), 1);
        let before = tree.nodes.len();
        tree.add_libraries().unwrap();
        assert!(
            tree.nodes
                .keys()
                .any(|path| path.starts_with("usr/lib") && path.to_string_lossy().contains("libc.so"))
        );
        assert!(tree.nodes.len() >= before + 2, "{tree:?}");
    }
}
