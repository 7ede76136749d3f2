//! Which nftables tables a namespace has, without the `nft` program.

use std::io;

use anyhow::{Context as _, Result};

use crate::netns::Namespace;
use crate::sys;

/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE`.
const GET_TABLE: u16 = 10 << 8 | 1;
/// `NFTA_TABLE_NAME`.
const NAME: u16 = 1;
/// `NLM_F_REQUEST | NLM_F_DUMP`.
const DUMP: u16 = 0x301;
/// `NLMSG_ERROR` and `NLMSG_DONE`.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// A netlink header and nfnetlink's own.
const HEADERS: usize = 20;

/// Names of all tables in a namespace, sorted.
pub fn tables(namespace: &Namespace) -> Result<Vec<String>> {
    let mut names = namespace.enter(dump).context("cannot list nftables tables")?;
    names.sort_unstable();
    Ok(names)
}

fn dump() -> io::Result<Vec<String>> {
    let mut request = Vec::with_capacity(HEADERS);
    request.extend((HEADERS as u32).to_ne_bytes());
    request.extend(GET_TABLE.to_ne_bytes());
    request.extend(DUMP.to_ne_bytes());
    // Sequence and port number 0; then any family, version 0, no resource.
    request.extend([0; 12]);
    let socket = sys::netfilter_socket()?;
    rustix::io::write(&socket, &request)?;
    let mut names = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let length = rustix::io::read(&socket, &mut buffer)?;
        for (kind, body) in messages(&buffer[..length]) {
            match kind {
                DONE => return Ok(names),
                ERROR => return Err(io::Error::other("the kernel refused the request")),
                _ => names.extend(name(body)),
            }
        }
    }
}

/// Splits a datagram into `(type, what follows the netlink header)`.
pub(crate) fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
        let kind = u16::from_ne_bytes(bytes.get(4..6)?.try_into().ok()?);
        let body = bytes.get(16..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

/// The table's name among the attributes of a message.
fn name(body: &[u8]) -> Option<String> {
    let mut attributes = body.get(4..)?;
    loop {
        let length = usize::from(u16::from_ne_bytes(attributes.get(..2)?.try_into().ok()?));
        let kind = u16::from_ne_bytes(attributes.get(2..4)?.try_into().ok()?);
        if kind == NAME {
            let text = attributes.get(4..length)?;
            return Some(String::from_utf8_lossy(text).trim_end_matches('\0').to_owned());
        }
        attributes = attributes.get(length.max(4).next_multiple_of(4)..)?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_among_the_attributes() {
        let mut body = vec![0; 4];
        body.extend([8, 0, 2, 0, 0, 0, 0, 0]);
        body.extend([7, 0, 1, 0, b'a', b'b', 0, 0]);
        assert_eq!(name(&body).as_deref(), Some("ab"));
        assert_eq!(name(&body[..12]), None);
    }
}
