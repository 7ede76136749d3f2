//! Watches what a Linux bridge learns, to count the addresses that move from one of its ports to another.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::netns::Namespace;
use crate::process::Daemon;
use crate::topology::UPSTREAM;

/// A running `bridge monitor fdb`.
pub struct FdbWatch {
    _monitor: Daemon,
    directory: TempDir,
    /// Where each address was when the watch began.
    begun: BTreeMap<String, String>,
}

impl FdbWatch {
    /// Begins to watch the upstream bridge.
    pub fn start(namespace: &Namespace, known: Vec<(String, String)>) -> Result<Self> {
        let directory = tempfile::tempdir()?;
        let mut command = namespace.command("bridge");
        command.args(["monitor", "fdb"]);
        let monitor = Daemon::start("bridge monitor", &mut command, &directory.path().join("log"))?;
        Ok(Self { _monitor: monitor, directory, begun: known.into_iter().collect() })
    }

    /// The moves so far: the address, from, to. One that is forgotten and learned elsewhere has moved too.
    pub fn moves(&self) -> Result<Vec<(String, String, String)>> {
        let text = std::fs::read_to_string(self.directory.path().join("log")).context("no log")?;
        let mut places = self.begun.clone();
        let mut moves = Vec::new();
        for (mac, port) in text.lines().filter_map(learned) {
            let before = places.insert(mac.to_owned(), port.to_owned());
            moves.extend(
                before.filter(|before| before != port).map(|from| (mac.to_owned(), from, port.to_owned())),
            );
        }
        Ok(moves)
    }
}

/// Address and port of a line that tells of a learned one: `02:00:00:00:00:01 dev p1 master sw`.
fn learned(line: &str) -> Option<(&str, &str)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let dynamic = !words.iter().any(|word| matches!(*word, "permanent" | "self" | "Deleted"));
    match words[..] {
        [mac, "dev", port, ..] if dynamic && words.windows(2).any(|two| two == ["master", UPSTREAM]) => {
            Some((mac, port))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learned_addresses_are_told_from_others() {
        assert_eq!(learned("02:00:00:00:00:01 dev p1 master sw "), Some(("02:00:00:00:00:01", "p1")));
        for line in [
            "Deleted 02:00:00:00:00:01 dev p1 master sw",
            "33:33:00:00:00:01 dev p1 self permanent",
            "02:00:00:00:03:01 dev p1 master sw permanent",
            "02:00:00:00:00:01 dev p1 master other",
            "",
        ] {
            assert_eq!(learned(line), None, "{line}");
        }
    }
}
