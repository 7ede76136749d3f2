//! The switch, its wires and its traffic, and what is known of them now.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration::probe::Probe;
use integration::process::{Daemon, find_program};
use integration::switch::{BOND, BRIDGE, BondView, Switch as _, Vswitch, Wiring};
use integration::tcp::Stream;
use integration::testing::reaches;
use integration::topology::{REMOTE, Topology, Upstream, ipv4};

use crate::script::{Script, Step};

/// Containers behind the bridge.
pub(crate) const GUESTS: usize = 3;
/// TCP's rate while the datagrams are counted, in megabits a second: it is there to be seen, not to fill the cores.
pub(crate) const PACED_MBITS: u32 = 400;
/// Rates are taken over this time.
const SAMPLE: Duration = Duration::from_millis(500);
/// Samples kept for the curves.
const HISTORY: usize = 120;
/// One numbered datagram per guest and direction.
const SPACING: Duration = Duration::from_millis(1);

/// Something that happened.
pub(crate) struct Happening {
    /// Since the start.
    pub(crate) at: Duration,
    /// In words.
    pub(crate) what: String,
    /// Datagrams that were missing when it happened; `None` before they are counted.
    missing_before: Option<u64>,
}

/// One cable to the upstream switch.
pub(crate) struct Uplink {
    pub(crate) name: String,
    pub(crate) plugged: bool,
    pub(crate) enabled: bool,
    pub(crate) active: bool,
    /// Frames a second, out and in.
    pub(crate) rate: (u64, u64),
    /// Frames a second out and in together, one value a sample.
    pub(crate) history: VecDeque<u64>,
    counters: (u64, u64),
}

/// Everything. Fields are dropped in this order: traffic, switch, wires.
pub(crate) struct Scene {
    probe: Option<Probe>,
    stream: Option<Stream>,
    ping: Daemon,
    _ping_log: tempfile::NamedTempFile,
    switch: Vswitch,
    topology: Topology,
    started: Instant,
    total: Duration,
    script: Script,
    sampled: Instant,
    pulled: Option<String>,
    tcp_octets: u64,
    pub(crate) uplinks: Vec<Uplink>,
    pub(crate) events: Vec<Happening>,
    /// TCP's rate in megabits a second, now and the best full-speed one.
    pub(crate) tcp: (u64, u64),
    pub(crate) ping_text: String,
}

impl Scene {
    pub(crate) fn build(total: Duration) -> Result<Self> {
        let topology = Topology::new(GUESTS, 2, Upstream::LinuxBridge)?;
        let switch = Vswitch::start(&topology.host)?;
        switch.connect(&topology, Wiring::default())?;
        for i in 1..=GUESTS {
            ensure!(reaches(topology.guest(i), ipv4(REMOTE)), "guest {i} can't reach the remote host");
        }
        let log = tempfile::NamedTempFile::new()?;
        let mut ping = topology.guest(2).command(find_program("ping").context("ping is not installed")?);
        let ping = ping.args(["-n", "-i", "0.2", &ipv4(REMOTE).to_string()]);
        let ping = Daemon::start("ping", ping, log.path())?;
        let stream = Stream::start((topology.guest(1), ipv4(1)), (&topology.remote, ipv4(REMOTE)), None)?;
        let uplink = |name: String| Uplink {
            name,
            plugged: true,
            enabled: false,
            active: false,
            rate: (0, 0),
            history: VecDeque::new(),
            counters: (0, 0),
        };
        let mut scene = Self {
            uplinks: topology.uplinks().into_iter().map(uplink).collect(),
            probe: None,
            stream: Some(stream),
            ping,
            _ping_log: log,
            switch,
            topology,
            started: Instant::now(),
            total,
            script: Script::new(total),
            sampled: Instant::now(),
            pulled: None,
            tcp_octets: 0,
            events: Vec::new(),
            tcp: (0, 0),
            ping_text: String::new(),
        };
        scene.count_frames(None)?;
        scene.note("TCP from guest 1 at full speed, ping from guest 2".to_owned());
        Ok(scene)
    }

    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn total(&self) -> Duration {
        self.total
    }

    pub(crate) fn over(&self) -> bool {
        self.elapsed() >= self.total
    }

    /// Does what is due and looks at everything.
    pub(crate) fn advance(&mut self) -> Result<()> {
        if let Some(step) = self.script.poll(self.elapsed()) {
            self.perform(step)?;
        }
        let period = self.sampled.elapsed();
        if period >= SAMPLE {
            self.sampled = Instant::now();
            self.count_frames(Some(period))?;
            self.count_tcp(period);
            self.ping_text = ping_summary(&self.ping.log_tail(3));
        }
        let bond = self.switch.bond(BOND)?;
        self.show_bond(&bond);
        Ok(())
    }

    /// Datagrams sent so far and missing now, per guest, both ways together.
    pub(crate) fn datagrams(&self) -> Vec<(u64, u64)> {
        let live = self.probe.as_ref().map_or(&[][..], Probe::live);
        live.chunks(2)
            .map(|ways| (ways.iter().map(|f| f.sent()).sum(), ways.iter().map(|f| f.missing()).sum()))
            .collect()
    }

    fn missing(&self) -> Option<u64> {
        self.probe.as_ref().map(|probe| probe.live().iter().map(|flow| flow.missing()).sum())
    }

    /// Datagrams that went missing between event `i` and the next.
    pub(crate) fn cost(&self, i: usize) -> Option<u64> {
        let before = self.events[i].missing_before?;
        let after = self.events.get(i + 1).map_or(self.missing(), |next| next.missing_before)?;
        Some(after.saturating_sub(before))
    }

    /// The state in one line.
    pub(crate) fn status_line(&self) -> String {
        let uplinks = self.uplinks.iter().map(|uplink| {
            let star = if uplink.active { "*" } else { " " };
            let cable = if uplink.plugged { "" } else { " (no cable)" };
            format!("{}{star} {:>6} out {:>6} in{cable}", uplink.name, uplink.rate.0, uplink.rate.1)
        });
        let uplinks: Vec<_> = uplinks.collect();
        let lost = self.missing().map_or(String::new(), |missing| format!("  lost {missing}"));
        format!("frames/s: {}  TCP {} Mb/s{lost}", uplinks.join("  "), self.tcp.0)
    }

    fn perform(&mut self, step: Step) -> Result<()> {
        match step {
            Step::StartProbe => self.start_probe(),
            Step::Pull => {
                let carrying = self.switch.active()?.context("no member carries")?;
                self.mark(format!("cable of {carrying} pulled"));
                self.topology.pull(&carrying)?;
                self.pulled = Some(carrying);
                Ok(())
            }
            Step::Replug => {
                let Some(pulled) = self.pulled.take() else { return Ok(()) };
                self.mark(format!("cable of {pulled} plugged in again"));
                self.topology.replug(&pulled)
            }
            Step::Change => {
                let active = self.switch.active()?.context("no member carries")?;
                let next = self.uplinks.iter().find(|uplink| uplink.name != active && uplink.enabled);
                let next = next.context("no other member can carry")?.name.clone();
                self.mark(format!("vsctl bond/set-active-member {BOND} {next}"));
                self.switch.activate(&next)
            }
        }
    }

    fn start_probe(&mut self) -> Result<()> {
        // The old stream ends before the new one begins, or it would still fill the cores.
        self.stream = None;
        let remote = (&self.topology.remote, ipv4(REMOTE));
        let rate = PACED_MBITS * 125_000;
        self.stream = Some(Stream::start((self.topology.guest(1), ipv4(1)), remote, Some(rate))?);
        self.tcp_octets = 0;
        let pairs: Vec<_> = (1..=GUESTS).map(|i| ((self.topology.guest(i), ipv4(i as u8)), remote)).collect();
        self.probe = Some(Probe::start(&pairs, SPACING)?);
        self.mark(format!("TCP held to {PACED_MBITS} Mb/s; 1000 datagrams/s per guest and way"));
        Ok(())
    }

    fn mark(&mut self, what: String) {
        if let Some(probe) = &mut self.probe {
            probe.mark(what.clone());
        }
        self.note(what);
    }

    fn note(&mut self, what: String) {
        let missing_before = self.missing();
        self.events.push(Happening { at: self.elapsed(), what, missing_before });
    }

    fn count_frames(&mut self, period: Option<Duration>) -> Result<()> {
        let counters = self.topology.host.frame_counters()?;
        for uplink in &mut self.uplinks {
            let now = counters.iter().find(|(name, ..)| *name == uplink.name);
            let (received, sent) = now.map_or((0, 0), |(_, received, sent)| (*received, *sent));
            if let Some(period) = period {
                let per_second = |now: u64, before: u64| {
                    (now.saturating_sub(before) as f64 / period.as_secs_f64()).round() as u64
                };
                uplink.rate = (per_second(sent, uplink.counters.0), per_second(received, uplink.counters.1));
                uplink.history.push_back(uplink.rate.0 + uplink.rate.1);
                if uplink.history.len() > HISTORY {
                    uplink.history.pop_front();
                }
            }
            uplink.counters = (sent, received);
        }
        Ok(())
    }

    fn count_tcp(&mut self, period: Duration) {
        let octets = self.stream.as_ref().map_or(0, Stream::received);
        let mbits = (octets.saturating_sub(self.tcp_octets)) as f64 * 8.0 / 1e6 / period.as_secs_f64();
        self.tcp_octets = octets;
        self.tcp.0 = mbits.round() as u64;
        if self.probe.is_none() {
            self.tcp.1 = self.tcp.1.max(self.tcp.0);
        }
    }

    fn show_bond(&mut self, bond: &BondView) {
        for uplink in &mut self.uplinks {
            uplink.active = bond.active.as_ref() == Some(&uplink.name);
            uplink.enabled = bond.member(&uplink.name).is_some_and(|member| member.enabled);
            uplink.plugged = bond.member(&uplink.name).is_some_and(|member| member.link == "up");
        }
    }

    /// Ends the traffic and the switch and says what it came to.
    pub(crate) fn finish(mut self) -> Result<()> {
        let report = self.probe.take().map(Probe::finish).transpose()?;
        self.stream = None;
        let ping = ping_summary(&self.ping.log_tail(3));
        println!(
            "\nThree guests behind {BRIDGE}, uplinks {BOND} = u1 + u2 (active-backup), in network namespaces.\n"
        );
        println!(
            "TCP, guest 1 to remote, full speed: {:.1} Gb/s (best half second)",
            self.tcp.1 as f64 / 1e3
        );
        println!("ping, guest 2 to remote: {ping}");
        if let Some(report) = report {
            let sent: u64 = report.flows.iter().map(|flow| flow.sent).sum();
            println!(
                "Datagrams, three guests, both ways, one per millisecond each: {sent} sent, {} lost, {} twice",
                report.lost(),
                report.duplicates()
            );
            println!("Lost per event:");
            for window in report.windows.iter().skip(1) {
                println!("  {:>5}  {}", window.total(), window.label);
            }
        }
        let status = self.switch.terminate()?;
        ensure!(status.success(), "vswitchd ended with {status}");
        Ok(())
    }
}

/// `64 bytes from 10.0.0.100: icmp_seq=7 ttl=64 time=0.045 ms` in fewer words.
fn ping_summary(tail: &str) -> String {
    let Some(line) = tail.lines().rev().find(|line| line.contains("icmp_seq=")) else { return String::new() };
    let field = |name: &str| line.split_whitespace().find_map(|word| word.strip_prefix(name));
    match (field("icmp_seq="), field("time=")) {
        (Some(number), Some(time)) => format!("answer {number} after {time} ms"),
        _ => line.to_owned(),
    }
}
