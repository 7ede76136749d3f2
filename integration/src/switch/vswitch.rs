//! Our own switch: `vswitchd` with a run directory and a state file of its own, spoken to with `vsctl`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::{BOND, BRIDGE, Mode, Switch, Wiring};
use crate::fastpath;
use crate::netns::Namespace;
use crate::process::{self, Daemon, Finished, eventually};
use crate::topology::Topology;

const START: Duration = Duration::from_secs(10);

/// A running `vswitchd`. Killed when dropped; its log is shown if the test failed.
pub struct Vswitch {
    daemon: Option<Daemon>,
    net: Arc<std::os::fd::OwnedFd>,
    directory: tempfile::TempDir,
    settings: Vec<(String, String)>,
}

/// What `bond/show` says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BondView {
    /// The member that carries.
    pub active: Option<String>,
    /// Whether any member can carry.
    pub carrier: bool,
    /// In joining order.
    pub members: Vec<MemberView>,
}

/// One member in [`BondView`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberView {
    /// Its device.
    pub name: String,
    /// Whether the bond may use it.
    pub enabled: bool,
    /// Whether there is such a device.
    pub present: bool,
    /// `up`, `down`, `going down` or `going back`.
    pub link: String,
    /// How often its link failed.
    pub failures: u64,
    /// Buckets of the transmit hash that it holds, where the mode has them.
    pub buckets: Option<u64>,
}

impl Vswitch {
    /// Starts a daemon with no state and waits until it answers.
    pub fn start(namespace: &Namespace) -> Result<Self> {
        let mut switch = Self::prepare(namespace)?;
        switch.launch()?;
        Ok(switch)
    }

    /// Starts a daemon that must use the kernel fast path.
    pub fn start_fast(namespace: &Namespace) -> Result<Self> {
        let mut switch = Self::prepare(namespace)?;
        switch.set("VSWITCH_FASTPATH", "on");
        switch.launch()?;
        Ok(switch)
    }

    /// Everything but the start, so that a test can write the state file first.
    pub fn prepare(namespace: &Namespace) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("vswitch-test-").tempdir()?;
        std::fs::create_dir(directory.path().join("run"))?;
        let net = Arc::new(std::fs::File::open(namespace.path())?.into());
        Ok(Self { daemon: None, net, directory, settings: Vec::new() })
    }

    /// A setting of the next start, by its environment variable.
    pub fn set(&mut self, variable: &str, value: &str) {
        self.settings.retain(|(known, _)| known != variable);
        self.settings.push((variable.to_owned(), value.to_owned()));
    }

    /// A directory of this switch's own, gone with it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Starts the daemon and waits until it answers.
    pub fn launch(&mut self) -> Result<()> {
        self.spawn()?;
        eventually("vswitchd answers", START, || {
            if let Some(daemon) = &mut self.daemon
                && let Some(status) = daemon.ended()?
            {
                bail!("vswitchd ended at once: {status}\n{}", daemon.log_tail(20));
            }
            Ok(self.try_vsctl("list-br").ok().filter(|done| done.status.success()).map(drop))
        })
    }

    /// Starts the daemon and doesn't wait.
    pub fn spawn(&mut self) -> Result<()> {
        let mut command = process::command(binary("vswitchd")?, Some(Arc::clone(&self.net)));
        self.environment(&mut command);
        self.daemon = Some(Daemon::start("vswitchd", &mut command, &self.directory.path().join("log"))?);
        Ok(())
    }

    /// Runs a daemon that is expected to end by itself, and returns how it ended and what it wrote.
    pub fn run_to_end(&self, deadline: Duration) -> Result<Finished> {
        self.run_with(&[], deadline)
    }

    /// [`Self::run_to_end`] with flags, for example `--cleanup`.
    pub fn run_with(&self, flags: &[&str], deadline: Duration) -> Result<Finished> {
        let mut command = process::command(binary("vswitchd")?, Some(Arc::clone(&self.net)));
        self.environment(&mut command);
        command.args(flags);
        process::finish(&mut command, deadline)
    }

    /// Makes the bridge, a port for each guest and the bond of all uplinks, and waits until the bond has carrier.
    pub fn connect(&self, topology: &Topology, wiring: Wiring) -> Result<()> {
        let tag = wiring.tag.map(|tag| format!(" tag={tag}")).unwrap_or_default();
        self.vsctl(&format!("add-br {BRIDGE}"))?;
        for i in 1..=topology.guests.len() {
            self.vsctl(&format!("add-port {BRIDGE} g{i}{tag}"))?;
        }
        let uplinks = topology.uplinks().join(" ");
        if uplinks.is_empty() {
            return Ok(());
        }
        let mode = match wiring.mode {
            Mode::ActiveBackup => "mode=active-backup",
            Mode::BalanceXor => "mode=balance-xor xmit_hash_policy=layer3+4",
        };
        self.vsctl(&format!("add-bond {BRIDGE} {BOND} {uplinks} {mode}{tag}"))?;
        if wiring.mode == Mode::BalanceXor {
            return eventually("all members are up", START, || {
                let members = self.bond(BOND)?.members;
                Ok(members.iter().all(|member| member.link == "up").then_some(()))
            });
        }
        eventually("the bond has an active member", START, || Ok(self.active()?.map(drop)))
    }

    /// Runs `vsctl`; a non-zero exit status is an error. `line` is split at white space.
    pub fn vsctl(&self, line: &str) -> Result<String> {
        let done = self.try_vsctl(line)?;
        if !done.status.success() {
            bail!("vsctl {line}: {}\n{}{}", done.status, done.stdout, done.stderr);
        }
        Ok(done.stdout)
    }

    /// Runs `vsctl` and returns how it ended.
    pub fn try_vsctl(&self, line: &str) -> Result<Finished> {
        process::finish(&mut self.vsctl_command(line)?, process::COMMAND_DEADLINE)
    }

    /// Runs `vsctl -f json` and parses the answer.
    pub fn json(&self, line: &str) -> Result<Value> {
        let text = self.vsctl(&format!("-f json {line}"))?;
        serde_json::from_str(&text).with_context(|| format!("`vsctl -f json {line}` printed no JSON: {text}"))
    }

    /// The bond's state.
    pub fn bond(&self, name: &str) -> Result<BondView> {
        let answer = self.json(&format!("bond/show {name}"))?;
        BondView::parse(&answer[name]).with_context(|| format!("unexpected answer to bond/show: {answer}"))
    }

    /// Frames that a device dropped for a reason, or for any reason if `None`.
    pub fn drops(&self, device: &str, reason: Option<&str>) -> Result<u64> {
        let answer = self.json(&format!("counters/show {device}"))?;
        let drops = answer[device]["drops"].as_object();
        let drops = drops.with_context(|| format!("unexpected answer to counters/show: {answer}"))?;
        let wanted = drops.iter().filter(|(label, _)| reason.is_none_or(|reason| reason == *label));
        Ok(wanted.filter_map(|(_, count)| count.as_u64()).sum())
    }

    /// `kill -9`.
    pub fn kill(&mut self) -> Result<()> {
        self.daemon.as_mut().context("vswitchd is not running")?.kill()?;
        self.daemon = None;
        Ok(())
    }

    /// SIGTERM, and how the daemon ended.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        let status = self.daemon.as_mut().context("vswitchd is not running")?.terminate(START)?;
        if !status.success() {
            eprintln!("{}", self.log_tail(40));
        }
        self.daemon = None;
        Ok(status)
    }

    /// SIGUSR2: the daemon ends and leaves everything in place for the next one.
    pub fn hand_over(&mut self) -> Result<ExitStatus> {
        let daemon = self.daemon.as_mut().context("vswitchd is not running")?;
        let status = daemon.end_by(rustix::process::Signal::USR2, START)?;
        self.daemon = None;
        Ok(status)
    }

    /// The daemon's process number.
    pub fn id(&self) -> Option<u32> {
        self.daemon.as_ref().map(Daemon::id)
    }

    /// Where the daemon keeps its desired state.
    pub fn state_file(&self) -> PathBuf {
        self.directory.path().join("state.toml")
    }

    /// Where the daemon listens.
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("run/vswitchd.sock")
    }

    /// `vsctl` with these words, not yet started.
    pub fn vsctl_command(&self, line: &str) -> Result<Command> {
        let mut command = process::command(binary("vsctl")?, Some(Arc::clone(&self.net)));
        self.environment(&mut command);
        command.args(line.split_whitespace());
        Ok(command)
    }

    /// What `fdb/show` lists of a bridge: `(address, VLAN, port)`.
    pub fn fdb(&self, bridge: &str) -> Result<Vec<(String, u16, String)>> {
        let answer = self.json(&format!("fdb/show {bridge}"))?;
        let rows = answer[bridge].as_array().with_context(|| format!("unexpected answer: {answer}"))?;
        let row = |row: &Value| {
            let port = row["port"].as_str()?.to_owned();
            Some((row["mac"].as_str()?.to_owned(), u16::try_from(row["vlan"].as_u64()?).ok()?, port))
        };
        rows.iter().map(row).collect::<Option<_>>().with_context(|| format!("unexpected answer: {answer}"))
    }

    /// What the daemon has pinned in the kernel.
    pub fn pins(&self) -> Vec<PathBuf> {
        fastpath::pins(self.directory.path())
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        self.daemon.as_ref().map(|daemon| daemon.log_tail(lines)).unwrap_or_default()
    }

    fn environment(&self, command: &mut Command) {
        // Variables of the harness are no settings of the switch.
        for (name, _) in
            std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("VSWITCH_"))
        {
            command.env_remove(name);
        }
        command.env("VSWITCH_RUNDIR", self.directory.path().join("run"));
        command.env("VSWITCH_STATE", self.state_file());
        command.envs(self.settings.iter().map(|(variable, value)| (variable, value)));
    }
}

/// What a killed daemon leaves in the kernel, beyond the namespace, goes too.
impl Drop for Vswitch {
    fn drop(&mut self) {
        self.daemon = None;
        let Ok(program) = binary("vswitchd") else { return };
        let mut command = process::command(program, Some(Arc::clone(&self.net)));
        self.environment(&mut command);
        if let Err(error) = process::finish(command.arg("--cleanup"), process::COMMAND_DEADLINE) {
            eprintln!("what vswitchd left can't be removed: {error:#}");
        }
    }
}

impl Switch for Vswitch {
    fn active(&self) -> Result<Option<String>> {
        Ok(self.bond(BOND)?.active)
    }

    fn activate(&self, uplink: &str) -> Result<()> {
        self.vsctl(&format!("bond/set-active-member {BOND} {uplink}")).map(drop)
    }

    fn crash(&mut self) -> Result<()> {
        self.kill()
    }

    fn restart(&mut self) -> Result<()> {
        self.launch()
    }
}

impl BondView {
    fn parse(bond: &Value) -> Option<Self> {
        let members = bond["members"].as_array()?.iter().map(|member| {
            Some(MemberView {
                name: member["name"].as_str()?.to_owned(),
                enabled: member["enabled"].as_bool()?,
                present: member["present"].as_bool()?,
                link: member["link"].as_str()?.to_owned(),
                failures: member["link_failures"].as_u64()?,
                buckets: member["buckets"].as_u64(),
            })
        });
        Some(Self {
            active: bond["active"].as_str().map(str::to_owned),
            carrier: bond["carrier"].as_bool()?,
            members: members.collect::<Option<_>>()?,
        })
    }

    /// The members by which frames leave that are spread by hash, in joining order.
    pub fn carrying(&self) -> Vec<&str> {
        let holds = |member: &&MemberView| member.buckets.is_some_and(|buckets| buckets > 0);
        self.members.iter().filter(holds).map(|member| member.name.as_str()).collect()
    }

    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&MemberView> {
        self.members.iter().find(|member| member.name == name)
    }
}

/// Frames that the fast path has left to workers so far, of all daemons in a namespace.
pub fn punted(host: &Namespace) -> Result<u64> {
    let counters = host.frame_counters()?;
    Ok(counters.iter().filter(|(name, ..)| name.starts_with("vsw-miss")).map(|(_, _, sent)| sent).sum())
}

/// One of our programs: in `VSWITCH_BIN_DIR` if that is set, else beside the running test or program.
pub fn binary(name: &str) -> Result<PathBuf> {
    let directories: Vec<PathBuf> = match std::env::var_os("VSWITCH_BIN_DIR") {
        Some(directory) => vec![directory.into()],
        None => {
            let own = std::env::current_exe()?;
            // target/debug/deps/test-0123 looks in target/debug, target/debug/demo too.
            own.ancestors().skip(1).take(2).map(Path::to_path_buf).collect()
        }
    };
    let found = directories.iter().map(|directory| directory.join(name)).find(|file| file.is_file());
    found.with_context(|| {
        format!("no {name} in {}: run `cargo build` first, or set VSWITCH_BIN_DIR", directories[0].display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bond_show_is_read() {
        let text = r#"{"name":"bond0","active":"u2","carrier":true,"members":[
            {"name":"u1","present":true,"enabled":false,"link":"down","link_failures":1},
            {"name":"u2","present":true,"enabled":true,"link":"up","link_failures":0}]}"#;
        let view = BondView::parse(&serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(view.active.as_deref(), Some("u2"));
        let u1 = MemberView {
            name: "u1".into(),
            present: true,
            enabled: false,
            link: "down".into(),
            failures: 1,
            buckets: None,
        };
        assert_eq!(view.member("u1"), Some(&u1));
        assert_eq!(BondView::parse(&Value::Null), None);
    }
}
