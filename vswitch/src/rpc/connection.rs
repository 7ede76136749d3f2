//! The service's side of one connection, without I/O: octets in, calls out; replies in, octets out.
//!
//! The owner of the socket reads while [`Connection::wants_read`], passes what it read to [`Connection::feed`], takes
//! calls with [`Connection::next_call`] until there is none, answers each with [`Connection::reply`], writes
//! [`Connection::output`], and asks for calls again when that is written. It closes the socket when
//! [`Connection::is_finished`].
//!
//! A client that called `Monitor` is answered with every [`Connection::push_event`] from then on, and its further calls
//! are not looked at.

use serde::{Deserialize as _, Serialize};
use serde_json::{Value, json};

use super::message::{Answer, Call, Failure};
use super::{DESCRIPTION, INTERFACE, Monitored, Transact, Transacted};

/// Longest call in octets, its NUL not counted.
pub const MAX_CALL: usize = 1 << 20;
/// Longest reply in octets.
pub const MAX_REPLY: usize = 64 << 20;
/// While more than this waits to be written, no further call is taken.
const ENOUGH_OUTPUT: usize = 64 << 10;

/// Most octets of events that wait to be written. What does not fit is dropped and counted.
pub const MAX_EVENTS: usize = 1 << 20;

const SERVICE: &str = "org.varlink.service";
const SERVICE_DESCRIPTION: &str = include_str!("org.varlink.service.varlink");

/// One client's connection.
#[derive(Debug, Default)]
pub struct Connection {
    input: Vec<u8>,
    /// Octets at the start of `input` that hold no NUL.
    scanned: usize,
    output: Vec<u8>,
    /// Octets at the start of `output` that are sent.
    sent: usize,
    /// The client must not talk to us: why.
    refused: Option<String>,
    /// A call was handed out; whether it wants a reply.
    pending: Option<bool>,
    /// The client called `Monitor`; how many events it has lost since the last that it got.
    monitor: Option<u64>,
    end_of_input: bool,
    closing: bool,
}

impl Connection {
    /// A connection of a client that may call.
    pub fn new() -> Self {
        Self::default()
    }

    /// A connection that answers any call with `PermissionDenied` and this message, and ends.
    pub fn refused(message: String) -> Self {
        Self { refused: Some(message), ..Self::default() }
    }

    /// Whether more input is wanted now. If not, the socket is left alone until output is written.
    pub fn wants_read(&self) -> bool {
        !self.closing && !self.end_of_input && self.input.len() <= MAX_CALL
    }

    /// Takes what was read from the socket. No octets: the client sends nothing more.
    pub fn feed(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            self.end_of_input = true;
        } else if !self.closing && self.monitor.is_none() {
            self.input.extend_from_slice(bytes);
        }
    }

    /// The next call for the switch. What needs no switch is answered here. `None`: read, write, or wait for the reply
    /// to the last call.
    pub fn next_call(&mut self) -> Option<Transact> {
        while self.pending.is_none()
            && self.monitor.is_none()
            && !self.closing
            && self.output.len() - self.sent <= ENOUGH_OUTPUT
        {
            let message = self.next_message()?;
            let call = match serde_json::from_slice::<Call>(&message) {
                Ok(call) => call,
                Err(error) => {
                    self.fail_and_close(&Failure::malformed(&format!("not a varlink call: {error}")));
                    break;
                }
            };
            if let Some(message) = self.refused.take() {
                self.fail_and_close(&Failure::permission_denied(&message));
                break;
            }
            match dispatch(&call) {
                Ok(Dispatched::Switch(transact)) => {
                    self.pending = Some(!call.oneway);
                    return Some(transact);
                }
                Ok(Dispatched::Monitor) if !call.oneway => {
                    self.monitor = Some(0);
                    self.input = Vec::new();
                    self.scanned = 0;
                    self.push(&Monitored::<Value>::default(), true, None);
                }
                Ok(Dispatched::Answered(parameters)) if !call.oneway => self.push(&parameters, false, None),
                Err(failure) if !call.oneway => self.push_failure(&failure),
                Ok(_) | Err(_) => (),
            }
        }
        // Nobody is there any more who would read events.
        self.closing |= self.monitor.is_some() && self.end_of_input;
        None
    }

    /// Whether the client called `Monitor`.
    pub fn is_monitor(&self) -> bool {
        self.monitor.is_some() && !self.closing
    }

    /// Sends an event to a client that called `Monitor`; others are not told. If [`MAX_EVENTS`] octets wait to be
    /// written already, the event is dropped, and the next one that is not says how many were.
    pub fn push_event(&mut self, event: &Value) {
        let Some(lost) = self.monitor.filter(|_| !self.closing) else { return };
        self.output.drain(..self.sent);
        self.sent = 0;
        let before = self.output.len();
        let monitored = Monitored { event: Some(event), lost: (lost > 0).then_some(lost) };
        self.push(&monitored, true, None);
        if self.output.len() > MAX_EVENTS {
            self.output.truncate(before);
            self.monitor = Some(lost + 1);
        } else {
            self.monitor = Some(0);
        }
    }

    /// The octets of the next whole message, without its NUL.
    fn next_message(&mut self) -> Option<Vec<u8>> {
        let Some(end) = self.input[self.scanned..].iter().position(|b| *b == 0) else {
            self.scanned = self.input.len();
            if self.scanned > MAX_CALL {
                self.too_long();
            } else if self.end_of_input {
                self.closing = true;
            }
            return None;
        };
        let end = self.scanned + end;
        if end > MAX_CALL {
            self.too_long();
            return None;
        }
        let rest = self.input.split_off(end + 1);
        let mut message = std::mem::replace(&mut self.input, rest);
        message.truncate(end);
        self.scanned = 0;
        Some(message)
    }

    fn too_long(&mut self) {
        self.fail_and_close(&Failure::malformed(&format!("the call is longer than {MAX_CALL} octets")));
    }

    fn fail_and_close(&mut self, failure: &Failure) {
        self.push_failure(failure);
        self.closing = true;
        self.input = Vec::new();
        self.scanned = 0;
    }

    /// Answers the call that [`Self::next_call`] returned last. A reply to nothing, or to a call that wants none, is
    /// dropped.
    pub fn reply(&mut self, result: Result<Transacted, Failure>) {
        if self.pending.take() != Some(true) {
            return;
        }
        match result {
            Ok(transacted) => self.push(&transacted, false, None),
            Err(failure) => self.push_failure(&failure),
        }
    }

    fn push_failure(&mut self, failure: &Failure) {
        self.push(&failure.parameters, false, Some(&failure.error));
    }

    fn push(&mut self, parameters: &impl Serialize, continues: bool, error: Option<&str>) {
        self.output.drain(..self.sent);
        self.sent = 0;
        let start = self.output.len();
        let answer = Answer { parameters, continues, error };
        serde_json::to_writer(&mut self.output, &answer).expect("answers are structs, texts and numbers");
        if self.output.len() - start > MAX_REPLY {
            self.output.truncate(start);
            let message = format!("the reply is longer than {MAX_REPLY} octets; ask for less at a time");
            return self.push_failure(&Failure::reply_too_large(&message));
        }
        self.output.push(0);
    }

    /// What is to be written to the socket.
    pub fn output(&self) -> &[u8] {
        &self.output[self.sent..]
    }

    /// The first `count` octets of [`Self::output`] are written.
    pub fn wrote(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.output.len());
        if self.sent == self.output.len() {
            self.output = Vec::new();
            self.sent = 0;
        }
    }

    /// The socket is to be closed: everything is said.
    pub fn is_finished(&self) -> bool {
        self.closing && (self.output().is_empty() || self.monitor.is_some()) && self.pending.is_none()
    }
}

enum Dispatched {
    Switch(Transact),
    Monitor,
    Answered(Value),
}

fn dispatch(call: &Call) -> Result<Dispatched, Failure> {
    let (interface, method) = call.method.rsplit_once('.').unwrap_or(("", &call.method));
    match (interface, method) {
        (INTERFACE, "Transact") => Transact::deserialize(&call.parameters)
            .map(Dispatched::Switch)
            .map_err(|error| Failure::invalid_parameter("requests", &error.to_string())),
        (INTERFACE, "Monitor") if !call.more => Err(Failure::expected_more()),
        (INTERFACE, "Monitor") => match &call.parameters {
            Value::Null => Ok(Dispatched::Monitor),
            Value::Object(parameters) => match parameters.keys().next() {
                None => Ok(Dispatched::Monitor),
                Some(name) => Err(Failure::invalid_parameter(name, "Monitor has no parameters")),
            },
            _ => Err(Failure::invalid_parameter("parameters", "not an object")),
        },
        (SERVICE, "GetInfo") => Ok(Dispatched::Answered(json!({
            "vendor": "vswitch",
            "product": "vswitchd",
            "version": env!("CARGO_PKG_VERSION"),
            "url": "",
            "interfaces": [SERVICE, INTERFACE],
        }))),
        (SERVICE, "GetInterfaceDescription") => {
            match call.parameters.get("interface").and_then(Value::as_str) {
                Some(INTERFACE) => Ok(Dispatched::Answered(json!({ "description": DESCRIPTION }))),
                Some(SERVICE) => Ok(Dispatched::Answered(json!({ "description": SERVICE_DESCRIPTION }))),
                Some(other) => Err(Failure::interface_not_found(other)),
                None => Err(Failure::invalid_parameter("interface", "name the interface")),
            }
        }
        (INTERFACE | SERVICE, _) => Err(Failure::method_not_found(&call.method)),
        _ => Err(Failure::interface_not_found(interface)),
    }
}
