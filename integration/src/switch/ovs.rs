//! Open vSwitch with its userspace datapath, all of it private: database, sockets and pid files are in a temporary
//! directory and both processes run inside the namespace, so that it never meets an installed instance.

use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

use super::{BOND, BRIDGE, Mode, Switch, Wiring};
use crate::netns::Namespace;
use crate::process::{Daemon, command, eventually, find_program, output};
use crate::topology::Topology;

const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// What its start script (ovs-ctl) gives it; our daemon does so by itself.
const NICENESS: i32 = -10;
const START: Duration = Duration::from_secs(20);

/// How Open vSwitch gets at a device's frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortIo {
    /// AF_PACKET, what a port has if nothing is said.
    PacketSocket,
    /// AF_XDP, one queue, polled by a thread that never sleeps.
    AfXdp,
}

/// A running `ovsdb-server` and `ovs-vswitchd`. Both are killed when this is dropped.
pub struct Ovs {
    // Dropped in this order: the switch before its database, the directory last.
    vswitchd: Daemon,
    _ovsdb: Daemon,
    switch_command: Box<dyn Fn() -> Result<Command> + Send>,
    directory: tempfile::TempDir,
}

impl Ovs {
    /// Starts both processes in a namespace, with no bridge.
    pub fn start_empty(namespace: &Namespace) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("vswitch-ovs-").tempdir()?;
        let at = |file: &str| directory.path().join(file);
        output(tool("ovsdb-tool", directory.path())?.arg("create").arg(at("conf.db")).arg(SCHEMA))?;
        let path = directory.path().to_owned();
        let inside = namespace.path();
        // The namespace outlives us, and its path stays valid as long: reopening it keeps the closure free of borrows.
        let net = std::sync::Arc::new(std::os::fd::OwnedFd::from(std::fs::File::open(inside)?));
        let program = move |name: &str| -> Result<Command> {
            let file = find_program(name).with_context(|| format!("{name} is not installed"))?;
            let mut command = command(file, Some(std::sync::Arc::clone(&net)));
            environment(&mut command, &path);
            command.arg(format!("--unixctl={}", path.join(format!("{name}.ctl")).display()));
            command.args(["--no-chdir", "-vconsole:warn", "-vsyslog:off", "-vfile:off"]);
            Ok(command)
        };
        let socket = at("db.sock");
        let ovsdb = Daemon::start(
            "ovsdb-server",
            program("ovsdb-server")?.arg(at("conf.db")).arg(format!("--remote=punix:{}", socket.display())),
            &at("ovsdb-server.log"),
        )?;
        let switch_command = Box::new(move || {
            let mut command = program("ovs-vswitchd")?;
            command.arg(format!("unix:{}", socket.display()));
            // SAFETY: one system call, which is async-signal-safe, and no memory is touched.
            unsafe {
                command.pre_exec(|| {
                    // Refused without CAP_SYS_NICE, and then for our daemon too.
                    let _refused = rustix::process::setpriority_process(None, NICENESS);
                    Ok(())
                });
            }
            Ok(command)
        });
        let vswitchd = Daemon::start("ovs-vswitchd", &mut switch_command()?, &at("ovs-vswitchd.log"))?;
        let ovs = Self { vswitchd, _ovsdb: ovsdb, switch_command, directory };
        eventually("ovsdb-server answers", START, || Ok(ovs.vsctl("--no-wait init").ok()))?;
        Ok(ovs)
    }

    /// Starts Open vSwitch and connects guests and uplinks; turns the guests' and the remote host's transmit offloads
    /// off, since its userspace datapath can't carry unfinished checksums.
    pub fn start(topology: &Topology, wiring: Wiring) -> Result<Self> {
        Self::start_on(topology, wiring, PortIo::PacketSocket)
    }

    /// [`Self::start`] with the choice of how it gets at frames.
    pub fn start_on(topology: &Topology, wiring: Wiring, io: PortIo) -> Result<Self> {
        let ovs = Self::start_empty(&topology.host)?;
        for station in topology.guests.iter().chain([&topology.remote]) {
            finish_checksums(station)?;
        }
        let kind = |device: &String| match io {
            PortIo::PacketSocket => String::new(),
            PortIo::AfXdp => {
                format!(" -- set interface {device} type=afxdp options:xdp-mode=native options:n_rxq=1")
            }
        };
        ovs.vsctl(&format!("add-br {BRIDGE} -- set bridge {BRIDGE} datapath_type=netdev"))?;
        let tag = wiring.tag.map(|tag| format!(" tag={tag}")).unwrap_or_default();
        let guests: Vec<String> = (1..=topology.guests.len()).map(|i| format!("g{i}")).collect();
        for guest in &guests {
            ovs.vsctl(&format!("add-port {BRIDGE} {guest}{tag}{}", kind(guest)))?;
        }
        let mode = match wiring.mode {
            Mode::ActiveBackup => "active-backup",
            Mode::BalanceXor => "balance-slb",
        };
        let members = topology.uplinks();
        let kinds: String = members.iter().map(kind).collect();
        let uplinks = members.join(" ");
        ovs.vsctl(&format!("add-bond {BRIDGE} {BOND} {uplinks} bond_mode={mode}{tag}{kinds}"))?;
        for device in guests.iter().chain(&members) {
            let error = ovs.vsctl(&format!("get interface {device} error"))?;
            ensure!(error.trim() == "[]", "{device}: {}", error.trim());
        }
        ovs.wait_until_active()?;
        if wiring.mode == Mode::BalanceXor {
            // The member by which it takes what is sent to group addresses: that of `Upstream::StaticLag`.
            ovs.activate("u1")?;
        }
        Ok(ovs)
    }

    /// Runs `ovs-vsctl` on this instance; `line` is split at white space.
    pub fn vsctl(&self, line: &str) -> Result<String> {
        let mut vsctl = tool("ovs-vsctl", self.directory.path())?;
        vsctl.arg(format!("--db=unix:{}", self.directory.path().join("db.sock").display()));
        output(vsctl.arg("--timeout=15").args(line.split_whitespace()))
    }

    /// Runs `ovs-appctl` on this instance's switch.
    pub fn appctl(&self, line: &str) -> Result<String> {
        let mut appctl = tool("ovs-appctl", self.directory.path())?;
        appctl.arg("-t").arg(self.directory.path().join("ovs-vswitchd.ctl"));
        output(appctl.arg("--timeout=15").args(line.split_whitespace()))
    }

    /// Lets it run before everything else on the machine, as far as that is allowed: what it forwards must not be lost in its
    /// queues when the machine is busy with other things.
    pub fn favour(&self) {
        let id = self.vswitchd.id().to_string();
        if let Some(chrt) = find_program("chrt") {
            let _refused = output(Command::new(chrt).args(["-a", "-r", "-p", "10", &id]));
        }
    }

    fn wait_until_active(&self) -> Result<()> {
        eventually("the bond of Open vSwitch has an active member", START, || {
            Ok(self.active().ok().flatten().map(drop))
        })
    }
}

impl Switch for Ovs {
    fn active(&self) -> Result<Option<String>> {
        let text = self.appctl(&format!("bond/show {BOND}"))?;
        Ok(active_member(&text).map(str::to_owned))
    }

    fn activate(&self, uplink: &str) -> Result<()> {
        self.appctl(&format!("bond/set-active-member {BOND} {uplink}")).map(drop)
    }

    fn crash(&mut self) -> Result<()> {
        self.vswitchd.kill()
    }

    fn restart(&mut self) -> Result<()> {
        let log = self.directory.path().join("ovs-vswitchd.log");
        self.vswitchd = Daemon::start("ovs-vswitchd", &mut (self.switch_command)()?, &log)?;
        self.wait_until_active()
    }
}

/// Makes a station's kernel finish checksums and segmentation itself.
pub fn finish_checksums(station: &Namespace) -> Result<()> {
    station.run("ethtool -K eth0 tx off").map(drop)
}

fn tool(name: &str, directory: &Path) -> Result<Command> {
    let file: PathBuf = find_program(name).with_context(|| format!("{name} is not installed"))?;
    let mut command = command(file, None);
    environment(&mut command, directory);
    Ok(command)
}

fn environment(command: &mut Command, directory: &Path) {
    for variable in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR"] {
        command.env(variable, directory);
    }
}

/// `active member mac: 26:e0:7c:f0:dc:4e(u2)` names u2; `00:00:00:00:00:00(none)` nothing.
fn active_member(bond_show: &str) -> Option<&str> {
    let line = bond_show.lines().find_map(|line| line.strip_prefix("active member mac: "))?;
    let name = line.split_once('(')?.1.strip_suffix(')')?;
    (name != "none").then_some(name)
}

#[cfg(test)]
mod tests {
    use super::active_member;

    #[test]
    fn the_active_member_is_in_parentheses() {
        let text = "---- bond0 ----\nbond_mode: active-backup\nactive member mac: 26:e0:7c:f0:dc:4e(u2)\n";
        assert_eq!(active_member(text), Some("u2"));
        assert_eq!(active_member("active member mac: 00:00:00:00:00:00(none)\n"), None);
        assert_eq!(active_member(""), None);
    }
}
