//! Numbered datagrams at a steady pace, both ways at once: what an event cost, in datagrams and in milliseconds.
//!
//! One thread sends and collects for all flows. It sleeps to absolute deadlines, so that one late wake-up does not shift
//! the rest; the kernel stamps arrivals, so that a late collector does not distort gaps. A datagram is lost if it has not
//! arrived when the probe ends, the last ones included.

use std::net::{IpAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::netns::Namespace;
use crate::sys;

/// How long after the last datagram an arrival still counts.
const PATIENCE: Duration = Duration::from_millis(500);
/// Octets of payload: the number, padded to a small frame.
const PAYLOAD: usize = 32;

/// One direction between two sockets.
struct Flow {
    from: UdpSocket,
    to: UdpSocket,
    ledger: Ledger,
    live: Arc<LiveFlow>,
}

/// Counters that can be read while the probe runs.
#[derive(Debug, Default)]
pub struct LiveFlow {
    sent: AtomicU64,
    received: AtomicU64,
    /// Datagrams that are missing although their successors of 100 ms later have been sent.
    missing: AtomicU64,
}

impl LiveFlow {
    /// Datagrams sent so far.
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Different datagrams received so far.
    pub fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// Datagrams missing for more than 100 ms.
    pub fn missing(&self) -> u64 {
        self.missing.load(Ordering::Relaxed)
    }
}

/// A running probe.
pub struct Probe {
    started: Duration,
    spacing: Duration,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Result<Outcome>>>,
    live: Vec<Arc<LiveFlow>>,
    marks: Vec<(String, Duration)>,
}

/// What the thread brings home: a ledger per flow.
type Outcome = (Vec<Ledger>, Punctuality);

/// An address inside a namespace.
pub type Endpoint<'a> = (&'a Namespace, IpAddr);

/// What the probe saw.
#[derive(Debug)]
pub struct Report {
    /// Per flow: `2 * i` is from the first to the second endpoint of pair `i`, `2 * i + 1` is the way back.
    pub flows: Vec<Direction>,
    /// Per event, in the order of the marks.
    pub windows: Vec<Window>,
    /// How well the sender kept time.
    pub punctuality: Punctuality,
}

/// What became of one flow.
#[derive(Debug, Clone, PartialEq)]
pub struct Direction {
    /// Datagrams sent.
    pub sent: u64,
    /// Different datagrams received.
    pub received: u64,
    /// Sent and never received.
    pub lost: u64,
    /// Received again.
    pub duplicates: u64,
    /// Received after one with a higher number.
    pub reordered: u64,
    /// The longest time without an arrival, in milliseconds; the spacing if nothing was lost.
    pub longest_gap_ms: f64,
    /// The longest time from a sending to its arrival, in milliseconds. The sender's own lateness is no part of it.
    pub longest_delay_ms: f64,
}

/// What was lost, or came more than once, from one mark to the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// The mark's label.
    pub label: String,
    /// Datagrams lost per flow, by the time of their sending.
    pub lost: Vec<u64>,
    /// Datagrams per flow that arrived more than once, by the time of their sending.
    pub repeated: Vec<u64>,
}

impl Window {
    /// Datagrams lost in all flows together.
    pub fn total(&self) -> u64 {
        self.lost.iter().sum()
    }
}

/// How well the sender kept time: its own lateness is not the switch's fault.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Punctuality {
    /// The longest delay of a sending, in milliseconds.
    pub worst_ms: f64,
    /// Sendings more than one spacing late.
    pub late: u64,
    /// Whether the thread had real-time priority.
    pub realtime: bool,
}

impl Report {
    /// Datagrams lost in all flows together.
    pub fn lost(&self) -> u64 {
        self.flows.iter().map(|flow| flow.lost).sum()
    }

    /// Datagrams received more than once, in all flows together.
    pub fn duplicates(&self) -> u64 {
        self.flows.iter().map(|flow| flow.duplicates).sum()
    }

    /// Datagrams overtaken by later ones of their flow, in all flows together.
    pub fn reordered(&self) -> u64 {
        self.flows.iter().map(|flow| flow.reordered).sum()
    }

    /// The longest delay of any datagram, in milliseconds.
    pub fn longest_delay_ms(&self) -> f64 {
        self.flows.iter().map(|flow| flow.longest_delay_ms).fold(0.0, f64::max)
    }
}

impl Probe {
    /// Starts sending both ways between each pair of endpoints, one datagram per flow and `spacing`.
    pub fn start(pairs: &[(Endpoint<'_>, Endpoint<'_>)], spacing: Duration) -> Result<Self> {
        let mut flows = Vec::new();
        for (a, b) in pairs {
            flows.push(Flow::new(*a, *b)?);
            flows.push(Flow::new(*b, *a)?);
        }
        let live = flows.iter().map(|flow| Arc::clone(&flow.live)).collect();
        let stop = Arc::new(AtomicBool::new(false));
        let started = sys::monotonic() + spacing;
        let thread = std::thread::Builder::new().name("probe".to_owned()).spawn({
            let stop = Arc::clone(&stop);
            move || drive(flows, started, spacing, &stop)
        })?;
        Ok(Self { started, spacing, stop, thread: Some(thread), live, marks: Vec::new() })
    }

    /// Notes that something is about to happen: what is lost from here to the next mark is its cost.
    pub fn mark(&mut self, label: impl Into<String>) {
        self.marks.push((label.into(), sys::monotonic()));
    }

    /// Counters of the flows while they run, in the order of [`Report::flows`].
    pub fn live(&self) -> &[Arc<LiveFlow>] {
        &self.live
    }

    /// Stops sending, waits for stragglers and adds everything up.
    pub fn finish(mut self) -> Result<Report> {
        self.stop.store(true, Ordering::Relaxed);
        let thread = self.thread.take().context("the probe has ended already")?;
        let (ledgers, punctuality) = thread.join().map_err(|_| anyhow!("the probe's thread died"))??;
        // A mark falls between two datagrams: windows are ranges of numbers.
        let number = |at: Duration| {
            (at.saturating_sub(self.started).as_nanos()).div_ceil(self.spacing.as_nanos()) as usize
        };
        let starts: Vec<usize> = self.marks.iter().map(|(_, at)| number(*at)).collect();
        let windows = self.marks.iter().enumerate().map(|(i, (label, _))| {
            let end = starts.get(i + 1).copied().unwrap_or(usize::MAX);
            let count = |of: fn(&Ledger, usize, usize) -> u64| {
                ledgers.iter().map(|ledger| of(ledger, starts[i], end)).collect()
            };
            Window { label: label.clone(), lost: count(Ledger::lost), repeated: count(Ledger::repeated) }
        });
        Ok(Report {
            windows: windows.collect(),
            flows: ledgers.iter().map(|ledger| ledger.direction(self.spacing)).collect(),
            punctuality,
        })
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

impl Flow {
    fn new(from: Endpoint<'_>, to: Endpoint<'_>) -> Result<Self> {
        let (sender, receiver) = (from.0.udp(from.1)?, to.0.udp(to.1)?);
        sender.connect(receiver.local_addr()?)?;
        sender.set_nonblocking(true)?;
        receiver.set_nonblocking(true)?;
        sys::enlarge_receive_buffer(&receiver, 4 << 20)?;
        sys::enable_timestamps(&receiver)?;
        Ok(Self { from: sender, to: receiver, ledger: Ledger::default(), live: Arc::default() })
    }

    fn send(&mut self) {
        let mut payload = [0; PAYLOAD];
        payload[..8].copy_from_slice(&self.ledger.sent().to_be_bytes());
        payload[8..16].copy_from_slice(&(sys::realtime().as_nanos() as u64).to_be_bytes());
        // A datagram that the sender's own kernel refuses never reached the wire. It counts as lost all the same: the
        // guest lost it.
        let _ = self.from.send(&payload);
        self.ledger.note_sent();
        self.live.sent.store(self.ledger.sent(), Ordering::Relaxed);
    }

    fn collect(&mut self) -> Result<()> {
        let mut payload = [0; PAYLOAD];
        loop {
            match sys::receive_timestamped(&self.to, &mut payload) {
                Ok((PAYLOAD, at)) => {
                    let number = u64::from_be_bytes(payload[..8].try_into()?);
                    let sent = u64::from_be_bytes(payload[8..16].try_into()?);
                    self.ledger.note_received(number, Duration::from_nanos(sent), at);
                }
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return Ok(()),
                // An ICMP answer to an earlier datagram: nothing was received.
                Err(error) if error.raw_os_error() == Some(libc::ECONNREFUSED) => {}
                Err(error) => return Err(error).context("the probe cannot receive"),
            }
        }
    }

    fn publish(&self, settled: u64) {
        self.live.received.store(self.ledger.received, Ordering::Relaxed);
        self.live.missing.store(self.ledger.lost(0, settled as usize), Ordering::Relaxed);
    }
}

fn drive(mut flows: Vec<Flow>, started: Duration, spacing: Duration, stop: &AtomicBool) -> Result<Outcome> {
    let mut punctuality = Punctuality { realtime: sys::try_realtime(), ..Punctuality::default() };
    let settle = (100_000_000 / spacing.as_nanos()).max(1) as u64;
    let mut tick: u32 = 0;
    while !stop.load(Ordering::Relaxed) {
        let deadline = started + spacing * tick;
        sys::sleep_until(deadline);
        let late = sys::monotonic().saturating_sub(deadline);
        punctuality.worst_ms = punctuality.worst_ms.max(late.as_secs_f64() * 1e3);
        punctuality.late += u64::from(late > spacing);
        flows.iter_mut().for_each(Flow::send);
        for flow in &mut flows {
            flow.collect()?;
        }
        tick += 1;
        if u64::from(tick).is_multiple_of(settle) {
            flows.iter().for_each(|flow| flow.publish(u64::from(tick).saturating_sub(settle)));
        }
    }
    let end = sys::monotonic() + PATIENCE;
    while sys::monotonic() < end && !flows.iter().all(|flow| flow.ledger.complete()) {
        sys::sleep_until(sys::monotonic() + Duration::from_millis(5));
        for flow in &mut flows {
            flow.collect()?;
        }
    }
    Ok((flows.into_iter().map(|flow| flow.ledger).collect(), punctuality))
}

/// Which numbers arrived, how often and in which order.
#[derive(Debug, Default)]
struct Ledger {
    /// Arrivals per number sent.
    arrivals: Vec<u8>,
    received: u64,
    duplicates: u64,
    reordered: u64,
    highest: Option<u64>,
    last_arrival: Option<Duration>,
    longest_gap: Duration,
    longest_delay: Duration,
}

impl Ledger {
    fn sent(&self) -> u64 {
        self.arrivals.len() as u64
    }

    fn note_sent(&mut self) {
        self.arrivals.push(0);
    }

    fn note_received(&mut self, number: u64, sent: Duration, at: Duration) {
        let Some(arrivals) = self.arrivals.get_mut(number as usize) else { return };
        if *arrivals > 0 {
            self.duplicates += 1;
        } else {
            self.received += 1;
            self.reordered += u64::from(self.highest.is_some_and(|highest| number < highest));
        }
        *arrivals = arrivals.saturating_add(1);
        self.highest = self.highest.max(Some(number));
        self.longest_delay = self.longest_delay.max(at.saturating_sub(sent));
        if let Some(last) = self.last_arrival {
            self.longest_gap = self.longest_gap.max(at.saturating_sub(last));
        }
        self.last_arrival = self.last_arrival.max(Some(at));
    }

    fn complete(&self) -> bool {
        self.received == self.sent()
    }

    /// Numbers in `from..to` that never arrived.
    fn lost(&self, from: usize, to: usize) -> u64 {
        self.range(from, to).iter().filter(|arrivals| **arrivals == 0).count() as u64
    }

    /// Numbers in `from..to` that arrived more than once.
    fn repeated(&self, from: usize, to: usize) -> u64 {
        self.range(from, to).iter().filter(|arrivals| **arrivals > 1).count() as u64
    }

    fn range(&self, from: usize, to: usize) -> &[u8] {
        let to = to.min(self.arrivals.len());
        self.arrivals.get(from.min(to)..to).unwrap_or_default()
    }

    /// Datagrams missing at the end, after the last that arrived.
    fn tail(&self) -> u32 {
        self.arrivals.iter().rev().take_while(|arrivals| **arrivals == 0).count() as u32
    }

    fn direction(&self, spacing: Duration) -> Direction {
        let tail = if self.tail() == 0 { Duration::ZERO } else { spacing * (self.tail() + 1) };
        Direction {
            sent: self.sent(),
            received: self.received,
            lost: self.lost(0, usize::MAX),
            duplicates: self.duplicates,
            reordered: self.reordered,
            longest_gap_ms: self.longest_gap.max(tail).as_secs_f64() * 1e3,
            longest_delay_ms: self.longest_delay.as_secs_f64() * 1e3,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn ledger(sent: usize, arrivals: &[(u64, u32)]) -> Ledger {
        let mut ledger = Ledger::default();
        (0..sent).for_each(|_| ledger.note_sent());
        arrivals.iter().for_each(|(number, at)| ledger.note_received(*number, MS * *number as u32, MS * *at));
        ledger
    }

    #[test]
    fn every_fate_of_a_datagram_is_told_apart() {
        let seen = ledger(6, &[(0, 0), (2, 2), (1, 3), (1, 4), (4, 9)]).direction(MS);
        let expected = Direction {
            sent: 6,
            received: 4,
            lost: 2,
            duplicates: 1,
            reordered: 1,
            longest_gap_ms: 5.0,
            longest_delay_ms: 5.0,
        };
        assert_eq!(seen, expected);
    }

    #[test]
    fn the_tail_counts() {
        let seen = ledger(10, &[(0, 0), (1, 1), (2, 2)]).direction(MS);
        assert_eq!((seen.lost, seen.longest_gap_ms), (7, 8.0));
    }

    #[test]
    fn windows_share_out_the_losses() {
        let ledger = ledger(10, &[(0, 0), (1, 1), (5, 5), (9, 9)]);
        assert_eq!([ledger.lost(0, 2), ledger.lost(2, 6), ledger.lost(6, usize::MAX)], [0, 3, 3]);
        assert_eq!(ledger.lost(20, 30), 0);
        let twice = self::ledger(10, &[(0, 0), (1, 1), (1, 2), (5, 5), (5, 6), (5, 7)]);
        assert_eq!([twice.repeated(0, 2), twice.repeated(2, usize::MAX)], [1, 1]);
    }

    #[test]
    fn an_unknown_number_is_ignored() {
        assert_eq!(ledger(1, &[(7, 1)]).received, 0);
    }
}
