//! Any text: a plan or problems, never a panic, and what is printed is what is sent.

use proptest::prelude::*;

use super::*;

/// Pieces from which files that nearly make sense are put together.
const PIECES: &[&str] = &[
    "DEVICE",
    "MASTER",
    "SLAVE",
    "BRIDGE",
    "BONDING_OPTS",
    "TYPE",
    "HWADDR",
    "VLAN",
    "UUID",
    "=",
    "=",
    "=",
    "\n",
    "\n",
    "\n",
    " ",
    "\"",
    "'",
    "\\",
    "#",
    ";",
    "$",
    "export ",
    "bond0",
    "bond1",
    "br0",
    "eth0",
    "eth1",
    "eth0.5",
    "yes",
    "no",
    "Bond",
    "Bridge",
    "mode=1",
    "mode=0 ",
    "miimon=100",
    "primary=eth0",
    "--",
    "-x",
    "02:00:00:00:00:01",
    "alias ",
    "options ",
    "bonding",
    "max_bonds=3",
    "é",
    "\u{0}",
    "\r\n",
    "[]",
    "x:y=z",
];

fn text() -> impl Strategy<Value = String> {
    let pieces =
        prop::collection::vec(prop::sample::select(PIECES), 0..60).prop_map(|pieces| pieces.concat());
    prop_oneof![4 => pieces, 1 => any::<String>()]
}

fn check(outcome: Outcome) {
    match outcome {
        Ok(plan) => {
            assert!(!plan.steps.is_empty());
            commands(&plan);
            let script = script(&plan, &["vsctl".to_owned()]);
            assert_eq!(script.lines().count(), plan.steps.len() + plan.notes.len());
        }
        Err(problems) => assert!(!problems.is_empty()),
    }
}

proptest! {
    #[test]
    fn any_directory(texts in prop::collection::vec(text(), 1..6), mac in any::<bool>()) {
        let names = ["ifcfg-bond0", "ifcfg-eth0", "ifcfg-eth1", "ifcfg-br0", "ifcfg-x", "ifcfg-bond0.5"];
        let sources: Vec<Source> = names.iter().zip(&texts).map(|(name, text)| source(name, text)).collect();
        let macs = mac.then(|| [("eth0".to_owned(), MacAddr([2, 0, 0, 0, 0, 1]))].into());
        check(crate::import::ifcfg::plan(&sources, &Host { macs }, None));
    }

    #[test]
    fn any_file_of_modprobe(text in text()) {
        check(crate::import::modprobe::plan(&source("m", &text), None));
    }

    #[test]
    fn any_octets(octets in prop::collection::vec(any::<u8>(), 0..300)) {
        let file = Source { name: "ifcfg-x".to_owned(), octets };
        check(crate::import::modprobe::plan(&file, None));
        check(crate::import::ifcfg::plan(&[file], &Host::default(), Some("br0")));
    }
}
