//! TCP through the switch: `iperf3` for measurements, and a paced stream of our own that can be watched.

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::netns::Namespace;
use crate::process::{self, Daemon, eventually, find_program};
use crate::sys;

/// Which way the data go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the first station to the second.
    There,
    /// From the second to the first.
    Back,
}

/// What `iperf3` measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Throughput {
    /// Payload that arrived, in bits a second.
    pub bits_per_second: f64,
    /// Segments sent again.
    pub retransmits: u64,
}

/// Runs `iperf3` between two stations for `time` (whole seconds).
pub fn iperf3(
    a: (&Namespace, IpAddr),
    b: (&Namespace, IpAddr),
    way: Way,
    streams: usize,
    time: Duration,
) -> Result<Throughput> {
    let iperf3 = find_program("iperf3").context("iperf3 is not installed")?;
    let log = tempfile::NamedTempFile::new()?;
    let mut server = b.0.command(&iperf3);
    server.args(["--server", "--one-off", "--forceflush", "--bind", &b.1.to_string()]);
    let server = Daemon::start("iperf3 server", &mut server, log.path())?;
    eventually("the iperf3 server listens", Duration::from_secs(10), || {
        Ok(server.log_tail(5).contains("Server listening").then_some(()))
    })?;
    let mut client = a.0.command(&iperf3);
    client.args(["--json", "--connect-timeout", "3000", "--client", &b.1.to_string()]);
    client.args(["--bind", &a.1.to_string(), "--time", &time.as_secs().max(1).to_string()]);
    client.args(["--parallel", &streams.to_string()]);
    if way == Way::Back {
        client.arg("--reverse");
    }
    let done = process::finish(&mut client, time + Duration::from_secs(15))?;
    let report: Value = serde_json::from_str(&done.stdout)
        .with_context(|| format!("iperf3 printed no JSON: {}{}", done.stdout, done.stderr))?;
    if let Some(error) = report["error"].as_str() {
        bail!("iperf3: {error}");
    }
    let end = &report["end"];
    Ok(Throughput {
        bits_per_second: end["sum_received"]["bits_per_second"].as_f64().context("iperf3: no rate")?,
        retransmits: end["sum_sent"]["retransmits"].as_u64().unwrap_or_default(),
    })
}

/// A TCP stream that runs until dropped and counts what arrives.
pub struct Stream {
    stop: Arc<AtomicBool>,
    received: Arc<AtomicU64>,
    threads: Vec<JoinHandle<()>>,
}

impl Stream {
    /// Connects two stations and sends from `from` to `to`, at most `octets_per_second` if given.
    pub fn start(
        from: (&Namespace, IpAddr),
        to: (&Namespace, IpAddr),
        octets_per_second: Option<u32>,
    ) -> Result<Self> {
        let listener = to.0.enter(|| TcpListener::bind((to.1, 0)))?;
        let address = listener.local_addr()?;
        let connect = || TcpStream::connect_timeout(&address, Duration::from_secs(5));
        let mut source = from.0.enter(connect).with_context(|| format!("no TCP connection to {address}"))?;
        let (mut sink, _) = listener.accept()?;
        if let Some(rate) = octets_per_second {
            sys::set_pacing(&source, rate)?;
        }
        // A stalled stream must still notice that it is to stop.
        source.set_write_timeout(Some(Duration::from_millis(200)))?;
        sink.set_read_timeout(Some(Duration::from_millis(200)))?;
        let stop = Arc::new(AtomicBool::new(false));
        let received = Arc::new(AtomicU64::new(0));
        let sending = std::thread::spawn({
            let stop = Arc::clone(&stop);
            move || {
                let block = vec![0x5a; 128 << 10];
                while !stop.load(Ordering::Relaxed) {
                    match source.write(&block) {
                        Ok(_) => {}
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                        Err(_) => return,
                    }
                }
            }
        });
        let receiving = std::thread::spawn({
            let (stop, received) = (Arc::clone(&stop), Arc::clone(&received));
            move || {
                let mut block = vec![0; 256 << 10];
                while !stop.load(Ordering::Relaxed) {
                    match sink.read(&mut block) {
                        Ok(0) => return,
                        Ok(length) => drop(received.fetch_add(length as u64, Ordering::Relaxed)),
                        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                        Err(_) => return,
                    }
                }
            }
        });
        Ok(Self { stop, received, threads: vec![sending, receiving] })
    }

    /// Octets that have arrived so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Whether both ends still work.
    pub fn alive(&self) -> bool {
        self.threads.iter().all(|thread| !thread.is_finished())
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// TCP segments (over either IP) and IPv4 UDP datagrams with a wrong checksum that a station's kernel has received.
pub fn bad_checksums(station: &Namespace) -> Result<u64> {
    let text = station.enter(|| std::fs::read_to_string("/proc/thread-self/net/snmp"))?;
    let bad = ["Tcp:", "Udp:"].map(|table| snmp_value(&text, table, "InCsumErrors"));
    bad.into_iter().sum::<Option<u64>>().context("the kernel does not count bad checksums")
}

/// One value of the two-line tables in `/proc/net/snmp`: names in the first line, values in the second.
fn snmp_value(text: &str, table: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter(|line| line.starts_with(table));
    let (names, values) = (lines.next()?, lines.next()?);
    let column = names.split_whitespace().position(|found| found == name)?;
    values.split_whitespace().nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::snmp_value;

    #[test]
    fn a_value_is_found_below_its_name() {
        let text = "Ip: A B\nIp: 1 2\nTcp: RtoMin InErrs InCsumErrors\nTcp: 200 3 4\n";
        assert_eq!(snmp_value(text, "Tcp:", "InCsumErrors"), Some(4));
        assert_eq!(snmp_value(text, "Tcp:", "Missing"), None);
        assert_eq!(snmp_value(text, "Udp:", "InCsumErrors"), None);
    }
}
