//! A virtual machine with a Linux kernel of another version than this machine's, booted in QEMU by software emulation
//! alone, with files of ours and nothing else: no disk, no distribution. It takes a few seconds.
//!
//! The programs in it are this machine's, with their shared libraries. There is no busybox, whose own `ip` would get in
//! the way of iproute2's. Its first process is `qemu/init.sh`.

mod control;
mod initramfs;
mod kernel;

use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, anyhow, bail};

use self::control::Control;
use self::initramfs::Tree;
pub use self::kernel::Kernel;
use crate::netns::{Namespace, format_mac};
use crate::process::{self, Daemon, Finished, eventually, find_program};

const QEMU: &str = "qemu-system-x86_64";
/// Hard limit for booting, modules included.
const BOOT: Duration = Duration::from_secs(60);
/// Settings of the kernel. A panic ends QEMU. The rest saves time under emulation: code at the same addresses in every
/// process is translated once (a program then starts four times as fast), and neither a clock read nor a new page costs
/// more than it must.
const KERNEL_LINE: &str = "console=ttyS0 loglevel=5 panic=-1 norandmaps mitigations=off init_on_alloc=0 \
    clocksource=tsc tsc=reliable";
/// Programs that `init.sh` runs and that nobody wants to do without.
const PROGRAMS: [&str; 33] = [
    "basename", "cat", "chmod", "cp", "cut", "date", "dmesg", "env", "false", "grep", "head", "ip", "ln",
    "ls", "lsmod", "mkdir", "modprobe", "mount", "mv", "ps", "rm", "sed", "setsid", "sh", "sleep", "sort",
    "stat", "sysctl", "tail", "timeout", "true", "umount", "uname",
];
/// What the control port needs.
const MODULES: [&str; 2] = ["virtio_pci", "virtio_console"];
/// Lines of the console in an error.
const TAIL: usize = 60;

/// A running virtual machine. Killed when dropped; its console is shown if the test failed.
pub struct Vm {
    qemu: Daemon,
    control: Control,
    boot_time: Duration,
    release: String,
    // Dropped last.
    _directory: tempfile::TempDir,
}

/// What a virtual machine is made of.
pub struct Builder<'a> {
    programs: Vec<&'a str>,
    files: Vec<(PathBuf, PathBuf)>,
    modules: Vec<&'a str>,
    memory: u32,
    processors: u32,
    namespace: Option<&'a Namespace>,
    nics: Vec<(&'a str, [u8; 6])>,
}

/// Why no virtual machine can run here, if so: a reason to skip a test. A wrong setting is an error.
pub fn obstacle() -> Result<Option<String>> {
    if !cfg!(target_arch = "x86_64") {
        return Ok(Some("virtual machines are for x86_64 only".to_owned()));
    }
    let tools = [QEMU, "depmod", "ldd"];
    if let Some(missing) = tools.iter().chain(&PROGRAMS).find(|program| find_program(program).is_none()) {
        return Ok(Some(format!("{missing} is not installed, which virtual machines need")));
    }
    let none = "there is no kernel for virtual machines: ./check gets one where apt-get has Debian's linux-image-6.1, \
        or set VSWITCH_VM_KERNEL and VSWITCH_VM_MODULES";
    Ok(Kernel::find()?.is_none().then(|| none.to_owned()))
}

impl Vm {
    /// A machine with two processors, 256 MiB and no NIC.
    pub fn builder<'a>() -> Builder<'a> {
        Builder {
            programs: PROGRAMS.to_vec(),
            files: Vec::new(),
            modules: MODULES.to_vec(),
            memory: 256,
            processors: 2,
            namespace: None,
            nics: Vec::new(),
        }
    }

    /// Runs a shell script as root to its end. An error means that the script was killed at the deadline or that the
    /// machine is gone; a non-zero exit status is not an error here. Processes that the script leaves in the background,
    /// with their output elsewhere, live on.
    pub fn run(&mut self, script: &str, deadline: Duration) -> Result<Finished> {
        self.control.run(script, deadline).map_err(|error| explained(&error, &self.qemu))
    }

    /// Runs a shell script within the usual deadline and returns its standard output; a non-zero exit status is an
    /// error that quotes what it said.
    pub fn output(&mut self, script: &str) -> Result<String> {
        let done = self.run(script, process::COMMAND_DEADLINE)?;
        if !done.status.success() {
            let said = [done.stderr.trim(), done.stdout.trim()].join("\n");
            bail!("`{script}` in the virtual machine: {}\n{said}", done.status);
        }
        Ok(done.stdout)
    }

    /// From the start of QEMU to the first answer, all modules loaded.
    pub fn boot_time(&self) -> Duration {
        self.boot_time
    }

    /// The version of its kernel, as `uname -r` prints it.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// The last lines of the kernel's messages.
    pub fn console_tail(&self, lines: usize) -> String {
        self.qemu.log_tail(lines)
    }
}

impl<'a> Builder<'a> {
    /// Adds a program of this machine, found by name, as `/usr/bin/NAME`.
    #[must_use]
    pub fn program(mut self, name: &'a str) -> Self {
        self.programs.push(name);
        self
    }

    /// Adds a file with its permissions. Shared libraries of an executable come along.
    #[must_use]
    pub fn file(mut self, host: impl Into<PathBuf>, guest: impl Into<PathBuf>) -> Self {
        self.files.push((host.into(), guest.into()));
        self
    }

    /// Adds a module and those that it needs, and loads it at boot, in the order of the calls, with the parameters that
    /// follow its name. A bonding driver that makes no bond of its own: `bonding max_bonds=0`.
    #[must_use]
    pub fn module(mut self, name_and_parameters: &'a str) -> Self {
        self.modules.push(name_and_parameters);
        self
    }

    /// Memory in MiB, beside what the files take.
    #[must_use]
    pub fn memory(mut self, mebibytes: u32) -> Self {
        self.memory = mebibytes;
        self
    }

    /// How many processors.
    #[must_use]
    pub fn processors(mut self, count: u32) -> Self {
        self.processors = count;
        self
    }

    /// Runs the machine in this namespace, where the taps are.
    #[must_use]
    pub fn namespace(mut self, namespace: &'a Namespace) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Adds a NIC at a tap that exists in [`Builder::namespace`]. The first is `eth0` in the machine, the next `eth1` and
    /// so on. They claim 10 Gb/s and full duplex, without which 802.3ad would not use them.
    #[must_use]
    pub fn nic(mut self, tap: &'a str, mac: [u8; 6]) -> Self {
        self.nics.push((tap, mac));
        self
    }

    /// Boots the machine and waits until it takes commands.
    pub fn start(mut self) -> Result<Vm> {
        let kernel = Kernel::find()?.context("there is no kernel for virtual machines")?;
        if !self.nics.is_empty() {
            self.modules.push("virtio_net");
        }
        let directory = tempfile::Builder::new().prefix("vswitch-vm-").tempdir()?;
        let archive = directory.path().join("initramfs");
        let size = self.write(&kernel, &archive)?;
        let socket = directory.path().join("control");
        let listener = UnixListener::bind(&socket)?;
        listener.set_nonblocking(true)?;

        let start = Instant::now();
        let mut command = self.command(&kernel, &archive, size, &socket)?;
        let mut qemu = Daemon::start("the virtual machine", &mut command, &directory.path().join("console"))?;
        let stream = eventually("QEMU connects its control port", BOOT, || {
            if let Some(status) = qemu.ended()? {
                bail!("QEMU ended at once: {status}");
            }
            match listener.accept() {
                Ok((stream, _)) => Ok(Some(stream)),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(None),
                Err(error) => Err(error.into()),
            }
        });
        let stream = stream.map_err(|error| explained(&error, &qemu))?;
        stream.set_nonblocking(false)?;
        let mut control = Control::new(stream)?;
        let ready = control.answer(start + BOOT).context("the virtual machine did not boot");
        let ready = ready.map_err(|error| explained(&error, &qemu))?;
        let boot_time = start.elapsed();
        let release = ready.stdout.trim().to_owned();
        if !ready.status.success() {
            let error = anyhow!("modules of Linux {release} don't load: {}", ready.stderr.trim());
            return Err(explained(&error, &qemu));
        }
        Ok(Vm { qemu, control, boot_time, release, _directory: directory })
    }

    /// Writes the files of the machine as an archive and returns its size in bytes.
    fn write(&self, kernel: &Kernel, archive: &Path) -> Result<u64> {
        let mut tree = Tree::new();
        for name in &self.programs {
            let host = find_program(name).with_context(|| format!("{name} is not installed"))?;
            tree.copy(&host, &Path::new("/usr/bin").join(name))?;
        }
        for (host, guest) in &self.files {
            tree.copy(host, guest)?;
        }
        tree.add_libraries()?;
        let names: Vec<_> = self.modules.iter().filter_map(|line| line.split_whitespace().next()).collect();
        kernel.add_modules(&names, &mut tree)?;
        tree.text("/etc/vm-modules", 0o644, &(self.modules.join("\n") + "\n"));
        tree.text("/init", 0o755, include_str!("qemu/init.sh"));
        let mut out = std::io::BufWriter::new(std::fs::File::create(archive)?);
        let size = tree.write(&mut out)?;
        std::io::Write::flush(&mut out)?;
        Ok(size)
    }

    fn command(&self, kernel: &Kernel, archive: &Path, size: u64, socket: &Path) -> Result<Command> {
        let program = find_program(QEMU).with_context(|| format!("{QEMU} is not installed"))?;
        let mut command = match self.namespace {
            Some(namespace) => namespace.command(program),
            None => process::command(program, None),
        };
        // While the kernel unpacks the archive there are two copies of everything.
        let memory = u64::from(self.memory) + 2 * size.div_ceil(1 << 20);
        command.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
            "-serial",
            "stdio",
        ]);
        command.args(["-accel", "tcg", "-cpu", "max"]);
        command.args(["-smp", &self.processors.to_string(), "-m", &format!("{memory}M")]);
        command.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(archive);
        command.args(["-append", KERNEL_LINE]);
        let chardev = format!("socket,id=control,path={}", socket.display());
        command.args(["-chardev", &chardev, "-device", "virtio-serial,addr=0x2"]);
        command.args(["-device", "virtserialport,chardev=control"]);
        for (number, (tap, mac)) in self.nics.iter().enumerate() {
            let netdev = format!("tap,id=net{number},ifname={tap},script=no,downscript=no");
            // The kernel numbers NICs in the order of their addresses on the bus.
            let device = format!(
                "virtio-net,netdev=net{number},mac={},addr={:#x},romfile=,speed=10000,duplex=full",
                format_mac(*mac),
                3 + number
            );
            command.args(["-netdev", &netdev, "-device", &device]);
        }
        Ok(command)
    }
}

/// The error with the last lines of the console, where the kernel may have said why.
fn explained(error: &Error, qemu: &Daemon) -> Error {
    anyhow!("{error:#}\nlast lines of the virtual machine's console:\n{}", qemu.log_tail(TAIL))
}
