use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client::{ClientError, Patience, monitor, transact};
use super::connection::{Connection, MAX_CALL};
use super::listener::{ListenError, Listener};
use super::message::{Answer, Failure};
use super::*;
use crate::transaction::TransactionError;

mod codec;
mod description;
mod socket;

fn call(method: &str, parameters: Value) -> Vec<u8> {
    let mut message = serde_json::to_vec(&json!({ "method": method, "parameters": parameters })).unwrap();
    message.push(0);
    message
}

fn list_bridges() -> Vec<u8> {
    call("io.vswitch.Transact", json!({ "requests": [{ "command": "list-br" }] }))
}

/// Takes and decodes everything the connection wants to write.
fn answers(connection: &mut Connection) -> Vec<Answer> {
    let output = connection.output().to_vec();
    connection.wrote(output.len());
    let mut texts: Vec<_> = output.split(|b| *b == 0).collect();
    assert_eq!(texts.pop(), Some(&[][..]), "output ends with NUL");
    texts.into_iter().map(|text| serde_json::from_slice(text).unwrap()).collect()
}

fn names() -> Result<Transacted, Failure> {
    Ok(Transacted { replies: vec![Reply::Names(vec!["br0".into()])], warnings: vec![] })
}
