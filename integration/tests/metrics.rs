//! The metrics endpoint: Prometheus text over HTTP, off by default, local only, and nobody can hold it up.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use integration::process::eventually;
use integration::switch::{BOND, BRIDGE, Vswitch, Wiring};
use integration::testing::{reaches, switch_turn, uplink_probe};
use integration::topology::{REMOTE, Topology, Upstream, ipv4};

const DEADLINE: Duration = Duration::from_secs(5);
const PORT: u16 = 9464;

/// Sends a request and reads to the end: the status line and the body.
fn exchange(mut stream: impl Read + Write, request: &str) -> Result<(String, String)> {
    stream.write_all(request.as_bytes())?;
    let mut text = String::new();
    stream.read_to_string(&mut text).with_context(|| format!("after {} octets", text.len()))?;
    let (head, body) = text.split_once("\r\n\r\n").with_context(|| format!("no HTTP: {text:?}"))?;
    Ok((head.lines().next().unwrap_or_default().to_owned(), body.to_owned()))
}

struct Lab {
    topology: Topology,
    switch: Vswitch,
}

impl Lab {
    fn new(metrics: &str) -> Result<Self> {
        let topology = Topology::new(2, 2, Upstream::LinuxBridge)?;
        let mut switch = Vswitch::prepare(&topology.host)?;
        switch.set("VSWITCH_METRICS", &metrics.replace("DIR", &switch.directory().display().to_string()));
        switch.launch()?;
        switch.connect(&topology, Wiring::default())?;
        ensure!(reaches(topology.guest(1), ipv4(REMOTE)));
        Ok(Self { topology, switch })
    }

    fn unix(&self) -> Result<UnixStream> {
        let stream = UnixStream::connect(self.switch.directory().join("metrics.sock"))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(stream)
    }

    fn tcp(&self) -> Result<TcpStream> {
        let stream = self.topology.host.enter(|| TcpStream::connect(("127.0.0.1", PORT)))?;
        stream.set_read_timeout(Some(DEADLINE))?;
        Ok(stream)
    }

    fn scrape(&self) -> Result<String> {
        let (status, body) = exchange(self.unix()?, "GET /metrics HTTP/1.0\r\n\r\n")?;
        ensure!(status.contains("200"), "{status}");
        Ok(body)
    }
}

/// The value of the only sample with this name and these labels.
fn sample(text: &str, name: &str, labels: &[(&str, &str)]) -> Result<f64> {
    let matches = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|(key, value)| line.contains(&format!("{key}=\"{value}\"")))
    };
    let found: Vec<_> = text.lines().filter(matches).collect();
    ensure!(found.len() == 1, "{name} {labels:?}: {found:?} in\n{text}");
    Ok(found[0].rsplit(' ').next().unwrap_or_default().parse()?)
}

#[test]
fn counters_and_states_are_told_and_agree_with_vsctl() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new("unix:DIR/metrics.sock")?;
    // Quiet devices: two readings of different ways agree if nothing happened in between.
    let names = [
        ("rx_frames", "rx_frames"),
        ("rx_bytes", "rx_bytes"),
        ("tx_frames", "tx_frames"),
        ("tx_bytes", "tx_bytes"),
    ];
    eventually("both ways of reading agree", DEADLINE, || {
        let counters = lab.switch.json("counters/show g1")?;
        std::thread::sleep(Duration::from_millis(150));
        let text = lab.scrape()?;
        let labels = [("bridge", BRIDGE), ("port", "g1"), ("device", "g1")];
        let mut equal = true;
        for (metric, counter) in names {
            let value = sample(&text, &format!("vswitch_device_{metric}_total"), &labels)?;
            equal &= Some(value as u64) == counters["g1"][counter].as_u64();
        }
        Ok(equal.then_some(()))
    })?;
    let text = lab.scrape()?;
    let bond = [("bridge", BRIDGE), ("bond", BOND)];
    assert_eq!(sample(&text, "vswitch_bond_carrier", &bond)?, 1.0);
    for (member, active) in [("u1", 1.0), ("u2", 0.0)] {
        let labels = [("bond", BOND), ("member", member)];
        assert_eq!(sample(&text, "vswitch_bond_member_enabled", &labels)?, 1.0);
        assert_eq!(sample(&text, "vswitch_bond_member_active", &labels)?, active);
        assert_eq!(sample(&text, "vswitch_bond_member_link_failures_total", &labels)?, 0.0);
    }
    ensure!(sample(&text, "vswitch_fdb_entries", &[("bridge", BRIDGE)])? >= 2.0);
    ensure!(sample(&text, "vswitch_fdb_capacity", &[("bridge", BRIDGE)])? == 8192.0);
    ensure!(sample(&text, "vswitch_vlan_rx_frames_total", &[("bridge", BRIDGE), ("vlan", "0")])? > 0.0);
    // Every name is explained, every line is a comment or a sample.
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').with_context(|| line.to_owned())?;
        let bare = name.split('{').next().unwrap_or_default();
        ensure!(value.parse::<f64>().is_ok(), "{line}");
        ensure!(text.contains(&format!("# TYPE {bare} ")), "{bare} has no type");
    }
    lab.topology.pull("u1")?;
    eventually("the failover is told", DEADLINE, || {
        let text = lab.scrape()?;
        let labels = [("bond", BOND), ("member", "u1")];
        let failures = sample(&text, "vswitch_bond_member_link_failures_total", &labels)?;
        let active = sample(&text, "vswitch_bond_member_active", &[("bond", BOND), ("member", "u2")])?;
        Ok((failures == 1.0 && active == 1.0).then_some(()))
    })?;
    Ok(())
}

#[test]
fn drops_are_told_by_reason() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new("unix:DIR/metrics.sock")?;
    let station = integration::packets::Station::new(lab.topology.guest(1), "eth0")?;
    for number in 0..7 {
        station.send_to([0x01, 0x80, 0xc2, 0, 0, 0], number)?;
    }
    eventually("seven drops are told", DEADLINE, || {
        let labels = [("device", "g1"), ("reason", "reserved_multicast")];
        Ok(sample(&lab.scrape()?, "vswitch_device_drops_total", &labels)
            .is_ok_and(|n| n >= 7.0)
            .then_some(()))
    })
}

#[test]
fn it_speaks_http_to_the_patient_and_to_the_rude() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let lab = Lab::new(&format!("127.0.0.1:{PORT}"))?;
    let (status, body) =
        exchange(lab.tcp()?, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
    ensure!(status.contains(" 200 ") && body.contains("vswitch_build_info"), "{status}\n{body}");
    let (status, _) = exchange(lab.tcp()?, "GET /other HTTP/1.0\r\n\r\n")?;
    ensure!(status.contains(" 404 "), "{status}");
    let (status, _) = exchange(lab.tcp()?, "POST /metrics HTTP/1.0\r\n\r\n")?;
    ensure!(status.contains(" 405 ") || status.contains(" 400 "), "{status}");
    // Clients that say nothing, too much, or never read.
    let probe = uplink_probe(&lab.topology)?;
    let mut rude = Vec::new();
    for i in 0..30 {
        if let Ok(mut stream) = lab.tcp() {
            let text = match i % 3 {
                0 => String::new(),
                1 => "GET /metrics HTTP/1.0\r\n".to_owned(),
                _ => "X".repeat(100_000),
            };
            stream.set_write_timeout(Some(Duration::from_millis(200)))?;
            let _ = stream.write_all(text.as_bytes());
            rude.push(stream);
        }
    }
    let started = Instant::now();
    lab.switch.vsctl("set port g2 tag=5")?;
    ensure!(started.elapsed() < Duration::from_secs(2), "a command took {:?}", started.elapsed());
    drop(rude);
    eventually("it serves again", Duration::from_secs(15), || {
        let answer = lab.tcp().and_then(|stream| exchange(stream, "GET /metrics HTTP/1.0\r\n\r\n"));
        Ok(answer.is_ok_and(|(status, _)| status.contains(" 200 ")).then_some(()))
    })?;
    let report = probe.finish()?;
    ensure!(report.lost() == 0, "{report:?}");
    Ok(())
}

#[test]
fn it_is_off_by_default_and_refuses_other_hosts() -> Result<()> {
    let Some(_turn) = switch_turn(&[])? else { return Ok(()) };
    let topology = Topology::new(1, 0, Upstream::Bare)?;
    let mut switch = Vswitch::prepare(&topology.host)?;
    switch.launch()?;
    ensure!(topology.host.enter(|| TcpStream::connect(("127.0.0.1", PORT))).is_err());
    switch.terminate()?;
    for wrong in ["0.0.0.0:9464", "10.0.0.1:9464", "[::]:9464", "nonsense", "127.0.0.1:99999"] {
        let mut switch = Vswitch::prepare(&topology.host)?;
        switch.set("VSWITCH_METRICS", wrong);
        let done = switch.run_to_end(Duration::from_secs(10))?;
        let said = format!("{}{}", done.stdout, done.stderr);
        ensure!(!done.status.success() && said.contains("metrics"), "{wrong}: {said}");
    }
    Ok(())
}
