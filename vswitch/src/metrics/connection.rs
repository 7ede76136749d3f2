//! One client's HTTP, without I/O: octets in, at most one answer out (HTTP/1.0, RFC 1945; requests of 1.1 are taken).
//!
//! The owner of the socket passes what it reads to [`Connection::feed`], answers when [`Connection::wants_metrics`],
//! writes [`Connection::output`], ends its own direction when [`Connection::is_answered`], and closes the socket when
//! [`Connection::is_finished`]. Between the last two it goes on reading, since closing a socket that holds unread
//! octets would take the answer from the client.

use std::sync::Arc;
use std::time::Duration;

use super::text::CONTENT_TYPE;

/// Longest request in octets.
pub const MAX_REQUEST: usize = 8 << 10;
/// Octets after which a client is no longer listened to at all.
pub const MAX_RECEIVED: usize = 64 << 10;
/// From connecting until the answer is sent.
pub const TIME_LIMIT: Duration = Duration::from_secs(10);
/// From the end of the answer until the socket is closed, if the client does not close it.
const LINGER: Duration = Duration::from_secs(1);

/// One client's connection.
#[derive(Debug)]
pub struct Connection {
    state: State,
    deadline: Duration,
    received: usize,
    end_of_input: bool,
}

#[derive(Debug)]
enum State {
    /// The request is not complete yet.
    Reading(Vec<u8>),
    /// It is, and wants the metrics; or only their head.
    Waiting { head_only: bool },
    /// The answer is being sent: its parts, and how many octets of both are gone.
    Writing { head: Vec<u8>, body: Arc<str>, sent: usize },
    /// The answer is sent; until the client closes.
    Lingering,
    /// To be closed.
    Finished,
}

/// What is wrong with a request.
#[derive(Debug, Clone, Copy)]
enum Refusal {
    Malformed,
    NotFound,
    Method,
    TooLong,
}

impl Connection {
    /// A client that connected now.
    pub fn new(now: Duration) -> Self {
        Self {
            state: State::Reading(Vec::new()),
            deadline: now + TIME_LIMIT,
            received: 0,
            end_of_input: false,
        }
    }

    /// Takes what was read. No octets: the client sends nothing more.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.received += bytes.len();
        self.end_of_input |= bytes.is_empty();
        match &mut self.state {
            _ if self.received > MAX_RECEIVED => self.state = State::Finished,
            State::Reading(_) | State::Lingering if bytes.is_empty() => self.state = State::Finished,
            State::Reading(input) => {
                // One octet more than allowed tells that it is too long.
                let room = (MAX_REQUEST + 1).saturating_sub(input.len());
                input.extend_from_slice(&bytes[..bytes.len().min(room)]);
                match understand(input) {
                    Ok(Some(head_only)) => self.state = State::Waiting { head_only },
                    Ok(None) => {}
                    Err(refusal) => self.state = refuse(refusal),
                }
            }
            // Whatever comes behind the request is passed over.
            _ => {}
        }
    }

    /// Whether the request is understood and [`Self::answer`] is wanted.
    pub fn wants_metrics(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    /// Answers with the metrics. Nothing happens if they are not wanted.
    pub fn answer(&mut self, text: &Arc<str>) {
        let State::Waiting { head_only } = self.state else { return };
        let head = head("200 OK", CONTENT_TYPE, text.len());
        let body = if head_only { Arc::from("") } else { Arc::clone(text) };
        self.state = State::Writing { head, body, sent: 0 };
    }

    /// What is to be written next; empty if nothing is.
    pub fn output(&self) -> &[u8] {
        match &self.state {
            State::Writing { head, sent, .. } if *sent < head.len() => &head[*sent..],
            State::Writing { head, body, sent } => &body.as_bytes()[*sent - head.len()..],
            _ => &[],
        }
    }

    /// The first `count` octets of [`Self::output`] are written.
    pub fn wrote(&mut self, now: Duration, count: usize) {
        if let State::Writing { head, body, sent } = &mut self.state {
            *sent += count;
            if *sent >= head.len() + body.len() {
                self.state = if self.end_of_input { State::Finished } else { State::Lingering };
                self.deadline = self.deadline.min(now + LINGER);
            }
        }
    }

    /// Whether everything is written: the client is to be told that nothing follows.
    pub fn is_answered(&self) -> bool {
        matches!(self.state, State::Lingering)
    }

    /// When [`Self::is_finished`] becomes true in any case.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Whether the socket is to be closed.
    pub fn is_finished(&self, now: Duration) -> bool {
        now >= self.deadline || matches!(self.state, State::Finished)
    }
}

/// Looks at the beginning of a request. `Some`: it is complete, and whether only the head is wanted.
fn understand(input: &[u8]) -> Result<Option<bool>, Refusal> {
    let mut lines = input.split_inclusive(|octet| *octet == b'\n');
    let Some(first) = lines.next().filter(|line| line.ends_with(b"\n")) else { return too_long(input) };
    let head_only = request_line(first)?;
    let complete = lines.any(|line| matches!(line, b"\r\n" | b"\n"));
    if complete { Ok(Some(head_only)) } else { too_long(input) }
}

fn too_long(input: &[u8]) -> Result<Option<bool>, Refusal> {
    if input.len() > MAX_REQUEST { Err(Refusal::TooLong) } else { Ok(None) }
}

/// `GET /metrics HTTP/1.1`: whether only the head is wanted.
fn request_line(line: &[u8]) -> Result<bool, Refusal> {
    let line = std::str::from_utf8(line).map_err(|_| Refusal::Malformed)?.trim_end_matches(['\r', '\n']);
    let words: Vec<_> = line.split(' ').collect();
    let [method, target, version] = words[..] else { return Err(Refusal::Malformed) };
    if method.is_empty() || !target.starts_with('/') || !version.starts_with("HTTP/1.") {
        return Err(Refusal::Malformed);
    }
    let head_only = match method {
        "GET" => false,
        "HEAD" => true,
        _ => return Err(Refusal::Method),
    };
    let path = target.split_once('?').map_or(target, |(path, _)| path);
    if path == "/metrics" { Ok(head_only) } else { Err(Refusal::NotFound) }
}

fn refuse(refusal: Refusal) -> State {
    let (status, text) = match refusal {
        Refusal::Malformed => ("400 Bad Request", "this is not an HTTP request; try GET /metrics\n"),
        Refusal::NotFound => ("404 Not Found", "there is only /metrics here\n"),
        Refusal::Method => ("405 Method Not Allowed\r\nAllow: GET, HEAD", "only GET and HEAD are served\n"),
        Refusal::TooLong => {
            ("431 Request Header Fields Too Large", "the request is longer than 8192 octets\n")
        }
    };
    let head = head(status, "text/plain; charset=utf-8", text.len());
    State::Writing { head, body: text.into(), sent: 0 }
}

fn head(status: &str, content_type: &str, length: usize) -> Vec<u8> {
    format!(
        "HTTP/1.0 {status}\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Duration = Duration::from_secs(100);

    /// Takes the whole output, `step` octets at a time.
    fn drain(connection: &mut Connection, step: usize) -> String {
        let mut all = Vec::new();
        while !connection.output().is_empty() {
            let part = &connection.output()[..connection.output().len().min(step)];
            all.extend_from_slice(part);
            let count = part.len();
            connection.wrote(START, count);
        }
        String::from_utf8(all).unwrap()
    }

    /// The answer to a request that comes `step` octets at a time, where the metrics are "x 1\n".
    fn answer(request: &[u8], step: usize) -> String {
        let mut connection = Connection::new(START);
        for part in request.chunks(step) {
            connection.feed(part);
        }
        connection.answer(&"x 1\n".into());
        let answer = drain(&mut connection, step);
        assert_eq!(connection.is_answered(), !answer.is_empty());
        answer
    }

    #[test]
    fn the_metrics() {
        let expected = "HTTP/1.0 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\n\
                        Content-Length: 4\r\nConnection: close\r\n\r\nx 1\n";
        for request in [
            &b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n"[..],
            b"GET /metrics HTTP/1.0\r\n\r\n",
            b"GET /metrics HTTP/1.0\n\n",
            b"GET /metrics?collect[]=device HTTP/1.1\r\nX: \xff\r\n\r\nmore",
        ] {
            for step in [1, 7, 10_000] {
                assert_eq!(answer(request, step), expected);
            }
        }
        let head = answer(b"HEAD /metrics HTTP/1.1\r\n\r\n", 10_000);
        assert_eq!(head, expected.strip_suffix("x 1\n").unwrap());
    }

    #[test]
    fn anything_else_is_refused() {
        let endless_line = vec![b'a'; MAX_REQUEST + 1];
        let mut endless_header = b"GET /metrics HTTP/1.1\r\nX: ".to_vec();
        endless_header.resize(MAX_REQUEST * 3, b'y');
        for (request, status) in [
            (&b"POST /metrics HTTP/1.1\r\n"[..], "405 Method Not Allowed\r\nAllow: GET, HEAD\r\n"),
            (b"GET / HTTP/1.1\r\n", "404 Not Found\r\n"),
            (b"GET /metrics/ HTTP/1.1\r\n", "404 Not Found\r\n"),
            (b"GET /metrics\r\n", "400 Bad Request\r\n"),
            (b"GET metrics HTTP/1.1\r\n", "400 Bad Request\r\n"),
            (b"GET /metrics HTTP/2.0\r\n", "400 Bad Request\r\n"),
            (b"GET  /metrics HTTP/1.1\r\n", "400 Bad Request\r\n"),
            (b"\r\n\r\n", "400 Bad Request\r\n"),
            (b"\x16\x03\x01\x02\x00\x01\n", "400 Bad Request\r\n"),
            (b"\xff\xfe\n", "400 Bad Request\r\n"),
            (&endless_line, "431 Request Header Fields Too Large\r\n"),
            (&endless_header, "431 Request Header Fields Too Large\r\n"),
        ] {
            for step in [1000, 100_000] {
                let found = answer(request, step);
                assert!(found.starts_with(&format!("HTTP/1.0 {status}")), "{found}");
                let (head, body) = found.split_once("\r\n\r\n").unwrap();
                assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{found}");
            }
        }
    }

    #[test]
    fn the_longest_request_is_taken() {
        let mut request = b"GET /metrics HTTP/1.1\r\nX: ".to_vec();
        request.resize(MAX_REQUEST - 4, b'y');
        request.extend(b"\r\n\r\n");
        assert!(answer(&request, 1000).starts_with("HTTP/1.0 200 OK"));
    }

    #[test]
    fn nobody_stays_for_ever() {
        let mut silent = Connection::new(START);
        assert!(!silent.is_finished(START + TIME_LIMIT - Duration::from_nanos(1)));
        assert!(silent.is_finished(START + TIME_LIMIT));
        silent.feed(b"GET /met");
        assert!(silent.is_finished(START + TIME_LIMIT), "a slow request does not gain time");
        silent.feed(&[]);
        assert!(silent.is_finished(START), "gone before the request was complete");

        let mut done = Connection::new(START);
        done.feed(b"GET / HTTP/1.0\r\n\r\n");
        drain(&mut done, 10_000);
        done.feed(b"and more");
        assert!(done.is_answered() && !done.is_finished(START));
        assert!(done.is_finished(START + LINGER));
        done.feed(&[]);
        assert!(done.is_finished(START));
    }

    #[test]
    fn a_client_that_only_ended_its_own_direction_is_answered() {
        let mut connection = Connection::new(START);
        connection.feed(b"GET /metrics HTTP/1.0\r\n\r\n");
        connection.feed(&[]);
        connection.answer(&"x 1\n".into());
        assert!(drain(&mut connection, 10).ends_with("x 1\n"));
        assert!(connection.is_finished(START));
    }

    #[test]
    fn one_who_talks_without_end_is_hung_up_on() {
        for first in [&b"GET /metrics HTTP/1.0\r\n\r\n"[..], b"GET / HTTP/1.0\r\n", b""] {
            let mut connection = Connection::new(START);
            connection.feed(first);
            for _ in 0..MAX_RECEIVED / 1024 {
                connection.feed(&[b'x'; 1024]);
            }
            connection.feed(b"x");
            assert!(connection.is_finished(START));
        }
    }

    proptest! {
        #[test]
        fn garbage_is_refused_or_waited_for(bytes in proptest::collection::vec(any::<u8>(), 0..10_000), step in 1..5000_usize) {
            let answer = answer(&bytes, step);
            prop_assert!(answer.is_empty() || answer.starts_with("HTTP/1.0 4"), "{}", answer);
            prop_assert!(!answer.is_empty() || bytes.len() <= MAX_REQUEST);
        }
    }
}
