//! The server on real sockets, with a control thread that answers as the daemon's does.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token, Waker};

use super::address::MetricsAddress;
use super::connection::TIME_LIMIT;
use super::samples::{self, Sample};
use super::server::{MAX_CLIENTS, PACE, Server};

const PATIENCE: Duration = Duration::from_secs(20);
const REQUEST: &[u8] = b"GET /metrics HTTP/1.1\r\nHost: here\r\n\r\n";

/// A control thread.
struct Control {
    address: String,
    asked: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Control {
    /// It delivers this many samples each time it is asked.
    fn start(address: &MetricsAddress, sample_count: u16) -> Self {
        let mut poll = Poll::new().unwrap();
        let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
        let server = Server::start(address, waker).unwrap();
        let printed = match server.tcp_address() {
            Some(address) => address.to_string(),
            None => address.to_string().trim_start_matches("unix:").to_owned(),
        };
        let (asked, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (asked_inside, stop_inside) = (Arc::clone(&asked), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            let mut events = Events::with_capacity(4);
            while !stop_inside.load(Ordering::Acquire) {
                poll.poll(&mut events, Some(Duration::from_millis(20))).unwrap();
                if server.take_request() {
                    assert!(!server.take_request());
                    let count = asked_inside.fetch_add(1, Ordering::AcqRel) + 1;
                    server.deliver(numbers(sample_count, count));
                }
            }
        });
        Self { address: printed, asked, stop, thread: Some(thread) }
    }

    fn on_loopback(sample_count: u16) -> Self {
        Self::start(&MetricsAddress::Tcp("127.0.0.1:0".parse().unwrap()), sample_count)
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    fn get(&self) -> String {
        let mut stream = self.connect();
        stream.write_all(REQUEST).unwrap();
        read(&mut stream)
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let result = self.thread.take().unwrap().join();
        assert!(result.is_ok() || thread::panicking());
    }
}

/// As many samples as asked for, with this value.
fn numbers(sample_count: u16, value: usize) -> Vec<Sample> {
    let mut all = Vec::new();
    for vlan in 0..sample_count / 2 {
        samples::vlan(&mut all, "br0", vlan, value as u64, value as u64);
    }
    all
}

fn read(stream: &mut impl Read) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn body(answer: &str) -> &str {
    let (head, body) = answer.split_once("\r\n\r\n").expect(answer);
    assert!(head.starts_with("HTTP/1.0 200 OK\r\n"), "{head}");
    assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{head}");
    body
}

fn numbers_in(answer: &str) -> usize {
    body(answer).lines().filter(|line| line.starts_with("vswitch_vlan_rx_")).count()
}

#[test]
fn each_scrape_is_fresh() {
    let control = Control::on_loopback(4);
    for round in 1..=3 {
        let answer = control.get();
        assert_eq!(numbers_in(&answer), 4);
        let fresh = format!("vswitch_vlan_rx_frames_total{{bridge=\"br0\",vlan=\"1\"}} {round}\n");
        assert!(body(&answer).contains(&fresh), "{fresh} is not in {answer}");
    }
}

#[test]
fn big_texts_arrive_whole_also_at_slow_readers() {
    let control = Control::on_loopback(60_000);
    let mut slow = control.connect();
    slow.write_all(REQUEST).unwrap();
    // The slow one has not read a word when the quick one is done.
    assert_eq!(numbers_in(&control.get()), 60_000);
    let (mut text, mut part) = (Vec::new(), [0; 8 << 10]);
    loop {
        match slow.read(&mut part).unwrap() {
            0 => break,
            count => text.extend_from_slice(&part[..count]),
        }
        thread::yield_now();
    }
    assert_eq!(numbers_in(&String::from_utf8(text).unwrap()), 60_000);
}

#[test]
fn clients_who_never_finish_keep_nobody_out() {
    let control = Control::on_loopback(60_000);
    let begin = Instant::now();
    let silent: Vec<_> = (0..MAX_CLIENTS).map(|_| control.connect()).collect();
    let halfway: Vec<_> = (0..MAX_CLIENTS)
        .map(|_| {
            let mut stream = control.connect();
            stream.write_all(b"GET /met").unwrap();
            stream
        })
        .collect();
    let unread: Vec<_> = (0..MAX_CLIENTS)
        .map(|_| {
            let mut stream = control.connect();
            stream.write_all(REQUEST).unwrap();
            stream
        })
        .collect();
    assert_eq!(numbers_in(&control.get()), 60_000);
    // The first ones had to go, and not because their time was up.
    for mut stream in silent {
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }
    assert!(begin.elapsed() < TIME_LIMIT, "{:?}", begin.elapsed());
    drop((halfway, unread));
}

#[test]
fn many_clients_at_once_are_all_answered_and_cost_few_requests() {
    let control = Control::on_loopback(200);
    let begin = Instant::now();
    let rounds = 5;
    thread::scope(|scope| {
        for _ in 0..MAX_CLIENTS - 1 {
            scope.spawn(|| {
                for _ in 0..rounds {
                    assert_eq!(numbers_in(&control.get()), 200);
                }
            });
        }
    });
    let most = begin.elapsed().as_millis() / PACE.as_millis() + 1;
    let asked = control.asked.load(Ordering::Acquire);
    assert!(asked as u128 <= most, "asked {asked} times in {:?}", begin.elapsed());
    assert!(asked >= rounds);
}

#[test]
fn garbage_is_answered_and_does_no_harm() {
    let control = Control::on_loopback(4);
    for (request, status) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00\n\n"[..], "400 Bad Request"),
        (b"POST /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", "405 Method Not Allowed"),
        (b"GET /etc/passwd HTTP/1.1\r\n\r\n", "404 Not Found"),
        (&[b'a'; 20_000], "431 Request Header Fields Too Large"),
    ] {
        let mut stream = control.connect();
        stream.write_all(request).unwrap();
        let answer = read(&mut stream);
        assert!(answer.starts_with(&format!("HTTP/1.0 {status}\r\n")), "{answer}");
    }
    // Gone at once, and gone in the middle.
    drop(control.connect());
    control.connect().write_all(b"GET /met").unwrap();
    // Talks without end, and is hung up on.
    let mut talker = control.connect();
    let begin = Instant::now();
    let error = loop {
        match talker.write_all(&[b'x'; 64 << 10]) {
            Ok(()) => assert!(begin.elapsed() < PATIENCE, "never hung up on"),
            Err(error) => break error,
        }
    };
    assert!(matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe), "{error}");
    assert_eq!(control.asked.load(Ordering::Acquire), 0);
    assert_eq!(numbers_in(&control.get()), 4);
}

#[test]
fn unix_sockets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("metrics.sock");
    let address = MetricsAddress::Unix(path.clone());
    // What a killed daemon left.
    drop(UnixListener::bind(&path).unwrap());
    let control = Control::start(&address, 4);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o660);
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(REQUEST).unwrap();
    assert_eq!(numbers_in(&read(&mut stream)), 4);

    let poll = Poll::new().unwrap();
    let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
    let refusal =
        |address: &MetricsAddress| Server::start(address, Arc::clone(&waker)).unwrap_err().to_string();
    let shown = path.display();
    assert_eq!(
        refusal(&address),
        format!("can't serve metrics on unix:{shown}: another process listens there")
    );
    drop(control);
    assert!(!path.exists());
    std::fs::write(&path, "precious").unwrap();
    assert!(refusal(&address).ends_with("a file that is no socket is there"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn an_address_in_use_is_an_error() {
    let control = Control::on_loopback(4);
    let poll = Poll::new().unwrap();
    let waker = Arc::new(Waker::new(poll.registry(), Token(0)).unwrap());
    let error = Server::start(&control.address.parse().unwrap(), waker).unwrap_err().to_string();
    assert!(error.starts_with(&format!("can't serve metrics on {}: Address", control.address)), "{error}");
}

#[test]
fn lacp_of_a_bond() {
    use crate::transaction::reply::{LacpCounters, LacpMember, LacpStats, LacpStatus};
    let member = |name: &str, status: &str, distributing| LacpMember {
        name: name.into(),
        status: status.into(),
        collecting: true,
        distributing,
        ..LacpMember::default()
    };
    let status = LacpStatus {
        name: "bond0".into(),
        bridge: "br0".into(),
        negotiated: true,
        distributing: 1,
        members: vec![member("e1", "current", true), member("e2", "expired", false)],
        ..LacpStatus::default()
    };
    let counters =
        LacpCounters { name: "e2".into(), lacpdu_rx: 5, partner_churn: 3, ..LacpCounters::default() };
    let mut all = Vec::new();
    samples::lacp(&mut all, &status, &LacpStats { name: "bond0".into(), members: vec![counters] });
    let value = |metric: &str, labels: &[&str]| {
        let found = |sample: &&Sample| {
            sample.metric.name == metric
                && sample.labels.iter().map(|label| &**label).eq(labels.iter().copied())
        };
        all.iter().find(found).unwrap_or_else(|| panic!("{metric} {labels:?}")).value
    };
    use samples::Value::{Count, Level};
    assert_eq!(value("vswitch_bond_lacp_negotiated", &["br0", "bond0"]), Level(1.0));
    assert_eq!(value("vswitch_bond_lacp_distributing_members", &["br0", "bond0"]), Level(1.0));
    assert_eq!(value("vswitch_bond_member_lacp_distributing", &["br0", "bond0", "e1"]), Level(1.0));
    assert_eq!(value("vswitch_bond_member_lacp_distributing", &["br0", "bond0", "e2"]), Level(0.0));
    assert_eq!(value("vswitch_bond_member_lacp_collecting", &["br0", "bond0", "e2"]), Level(1.0));
    assert_eq!(value("vswitch_bond_member_lacp_current", &["br0", "bond0", "e2"]), Level(0.0));
    assert_eq!(value("vswitch_bond_member_lacp_rx_pdus_total", &["br0", "bond0", "e2"]), Count(5));
    assert_eq!(value("vswitch_bond_member_lacp_churned_total", &["br0", "bond0", "e2", "partner"]), Count(3));
    assert_eq!(value("vswitch_bond_member_lacp_churned_total", &["br0", "bond0", "e2", "actor"]), Count(0));
}
