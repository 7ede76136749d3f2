//! The daemon's socket without `vsctl`: varlink's framing, JSON messages that end with a NUL.

use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};

/// A connection. Calls may be sent ahead of their answers.
pub struct Client {
    stream: UnixStream,
    input: Vec<u8>,
}

impl Client {
    /// Connects. An answer that takes more than 10 s is an error.
    pub fn connect(socket: &Path) -> Result<Self> {
        let stream =
            UnixStream::connect(socket).with_context(|| format!("cannot connect to {}", socket.display()))?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self { stream, input: Vec::new() })
    }

    /// Sends a call.
    pub fn send(&mut self, call: &Value) -> Result<()> {
        let mut message = call.to_string().into_bytes();
        message.push(0);
        Ok(self.stream.write_all(&message)?)
    }

    /// Sends a `Transact` call.
    pub fn send_transaction(&mut self, requests: &[Value]) -> Result<()> {
        self.send(&json!({ "method": "io.vswitch.Transact", "parameters": { "requests": requests } }))
    }

    /// The next message; `None` if the daemon hung up or died before a whole one came.
    pub fn receive(&mut self) -> Result<Option<Value>> {
        let mut chunk = vec![0; 64 << 10];
        let mut searched = 0;
        loop {
            if let Some(end) = self.input[searched..].iter().position(|octet| *octet == 0) {
                let rest = self.input.split_off(searched + end + 1);
                self.input.pop();
                let message = serde_json::from_slice(&self.input).context("the daemon sent no JSON")?;
                self.input = rest;
                return Ok(Some(message));
            }
            searched = self.input.len();
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => bail!("no answer within 10 s"),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// One transaction: its replies. A refusal is an error.
    pub fn transact(&mut self, requests: &[Value]) -> Result<Vec<Value>> {
        self.send_transaction(requests)?;
        let answer = self.receive()?.context("the daemon hung up")?;
        ensure!(answer.get("error").is_none(), "{} refused: {answer}", json!(requests));
        answer["parameters"]["replies"].as_array().cloned().with_context(|| format!("no replies: {answer}"))
    }
}
