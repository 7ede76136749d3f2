//! Runs the cases in `tests/conformance/`: a bond and a scripted partner in virtual time. What goes in and what must
//! come out is all in the file; `tests/conformance/README.md` says how it is written.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use lacp::{Address, Duplex, Gates, Lacp, Lacpdu, Link, Options, Pdu, PortId, PortInfo, PortOptions, State};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(rename = "title")]
    _title: String,
    #[serde(rename = "clause")]
    _clause: String,
    #[serde(default)]
    options: BTreeMap<String, String>,
    /// Gates are confirmed by steps only.
    #[serde(default)]
    confirm_by_hand: bool,
    port: Vec<PortTable>,
    #[serde(default)]
    partner: BTreeMap<String, Partner>,
    step: Vec<Step>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PortTable {
    id: u32,
    actor_port_prio: Option<u16>,
    port_number: Option<u16>,
    aggregation_key: Option<u16>,
}

impl PortTable {
    fn options(&self) -> PortOptions {
        let default = PortOptions::default();
        PortOptions {
            actor_port_prio: self.actor_port_prio.unwrap_or(default.actor_port_prio),
            port_number: self.port_number,
            aggregation_key: self.aggregation_key,
        }
    }
}

#[derive(Deserialize, Clone)]
#[serde(deny_unknown_fields)]
struct Partner {
    system: String,
    system_priority: Option<u16>,
    key: Option<u16>,
    port: Option<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    ms: u64,
    // In.
    link_up: Option<u32>,
    speed: Option<u32>,
    duplex: Option<String>,
    link_down: Option<u32>,
    lacpdu: Option<Heard>,
    octets: Option<Octets>,
    #[serde(default)]
    options: BTreeMap<String, String>,
    address: Option<String>,
    confirm: Option<u32>,
    /// The port's own last LACPDU comes back.
    echo: Option<u32>,
    /// The bond takes the port out.
    remove: Option<u32>,
    /// The process ends without a word, so many milliseconds ago; its successor takes over now.
    restart: Option<u64>,
    port_options: Option<PortTable>,
    // Out.
    sent: Option<Vec<String>>,
    sent_count: Option<usize>,
    #[serde(default)]
    port: Vec<Expected>,
    carrier: Option<String>,
    active: Option<u32>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Heard {
    port: u32,
    from: String,
    state: u8,
    /// False: it describes us with a wrong key.
    #[serde(default = "yes")]
    knows_us: bool,
    /// The flags that it sees in us; ours if left out.
    sees: Option<u8>,
    key: Option<u16>,
    #[serde(default)]
    version: Option<u8>,
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Octets {
    port: u32,
    hex: String,
    /// Zeros follow up to this length.
    #[serde(default = "pdu_len")]
    len: usize,
    error: Option<String>,
}

fn pdu_len() -> usize {
    lacp::slow::PDU_LEN
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    id: u32,
    receive: Option<String>,
    periodic: Option<String>,
    mux: Option<String>,
    selected: Option<String>,
    aggregator: Option<u32>,
    actor: Option<u8>,
    partner: Option<u8>,
    partner_system: Option<String>,
    key: Option<u16>,
    actor_churn: Option<String>,
    partner_churn: Option<String>,
    reason: Option<String>,
    mismatches: Option<Vec<String>>,
    /// Milliseconds since its last LACPDU.
    last: Option<u64>,
    #[serde(default)]
    stats: BTreeMap<String, u64>,
}

const ADDRESS: [u8; 6] = [2, 0, 0, 0, 0, 0x0a];

fn address(text: &str) -> [u8; 6] {
    let octets: Vec<u8> = text.split(':').map(|octet| u8::from_str_radix(octet, 16).unwrap()).collect();
    octets.try_into().unwrap()
}

/// A bond under test, and what it has sent since it was last looked at.
struct Run {
    lacp: Lacp,
    by_hand: bool,
    sent: Vec<String>,
    last: BTreeMap<u32, [u8; lacp::slow::PDU_LEN]>,
}

impl Run {
    fn settle(&mut self, now: Duration) {
        while !self.by_hand {
            let wanted: Vec<(PortId, Gates)> = self.lacp.unconfirmed().collect();
            if wanted.is_empty() {
                break;
            }
            for (port, gates) in wanted {
                self.lacp.confirm(now, port, gates);
            }
        }
        while let Some((port, pdu)) = self.lacp.poll_transmit(now) {
            self.note_sent(now, port, &pdu);
        }
    }

    fn note_sent(&mut self, now: Duration, PortId(port): PortId, pdu: &Pdu) {
        let ms = now.as_millis();
        self.sent.push(match pdu {
            Pdu::Lacp(Lacpdu { actor, partner, .. }) => {
                let (theirs, ours) = (Address(partner.system), actor.state.0);
                let (key, port_there, state) = (partner.key, partner.port, partner.state.0);
                format!(
                    "{ms} port {port}: key {} state {ours:02x}, partner {theirs} key {key} port {port_there} \
                     state {state:02x}",
                    actor.key
                )
            }
            Pdu::Marker(marker) => {
                let requester = Address(marker.requester_system);
                let kind = if marker.response { "response" } else { "information" };
                let (number, transaction) = (marker.requester_port, marker.transaction);
                format!("{ms} port {port}: marker {kind} to {requester} port {number} transaction {transaction:08x}")
            }
        });
        if matches!(pdu, Pdu::Lacp(_)) {
            self.last.insert(port, pdu.emit());
        }
    }

    /// The process is gone for `away` and a successor takes over.
    fn restart(&mut self, case: &Case, now: Duration, away: Duration) {
        let snapshot = self.lacp.snapshot(now.saturating_sub(away));
        let mut successor = Lacp::new(ADDRESS, *self.lacp.options());
        for port in &case.port {
            let id = PortId(port.id);
            successor.add_port(now, id, port.options()).unwrap();
            successor.handle_link(now, id, self.lacp.port(id).unwrap().link);
        }
        successor.restore(now, &snapshot, away);
        self.lacp = successor;
    }

    fn advance(&mut self, to: Duration) {
        while let Some(deadline) = self.lacp.next_deadline().filter(|deadline| *deadline < to) {
            self.lacp.handle_timeout(deadline);
            self.settle(deadline);
        }
    }
}

fn run(path: &Path) {
    let text = std::fs::read_to_string(path).unwrap();
    let case: Case = toml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut options = Options::default();
    for (name, value) in &case.options {
        options.set(name, value).unwrap();
    }
    let mut run = Run {
        lacp: Lacp::new(ADDRESS, options),
        by_hand: case.confirm_by_hand,
        sent: Vec::new(),
        last: BTreeMap::new(),
    };
    for port in &case.port {
        run.lacp.add_port(Duration::ZERO, PortId(port.id), port.options()).unwrap();
    }
    for (index, step) in case.step.iter().enumerate() {
        let now = Duration::from_millis(step.ms);
        let place = format!("{}, step {} at {} ms", path.file_name().unwrap().display(), index + 1, step.ms);
        // The dead do nothing.
        run.advance(now.saturating_sub(Duration::from_millis(step.restart.unwrap_or(0))));
        input(&mut run, &case, step, now, &place);
        run.lacp.handle_timeout(now);
        run.settle(now);
        expect(&mut run, step, now, &place);
    }
}

fn input(run: &mut Run, case: &Case, step: &Step, now: Duration, place: &str) {
    if let Some(port) = step.link_up {
        let duplex = match step.duplex.as_deref() {
            None | Some("full") => Duplex::Full,
            Some("half") => Duplex::Half,
            Some(other) => panic!("{place}: duplex {other}"),
        };
        run.lacp.handle_link(now, PortId(port), Link::up(step.speed.unwrap_or(1000), duplex));
    }
    if let Some(port) = step.link_down {
        run.lacp.handle_link(now, PortId(port), Link::DOWN);
    }
    if let Some(heard) = &step.lacpdu {
        let partner = &case.partner[&heard.from];
        let actor = PortInfo {
            system_priority: partner.system_priority.unwrap_or(32768),
            system: address(&partner.system),
            key: heard.key.or(partner.key).unwrap_or(1),
            port_priority: 128,
            port: partner.port.unwrap_or(heard.port as u16),
            state: State(heard.state),
        };
        let mut us = run.lacp.port(PortId(heard.port)).unwrap().actor;
        us.state = heard.sees.map_or(us.state, State);
        us.key ^= if heard.knows_us { 0 } else { 0x4000 };
        let mut lacpdu = Lacpdu::new(actor, us);
        lacpdu.version = heard.version.unwrap_or(1);
        run.lacp.handle_frame(now, PortId(heard.port), &lacpdu.emit()).unwrap();
    }
    if let Some(octets) = &step.octets {
        let digits: Vec<u32> = octets.hex.chars().filter_map(|c| c.to_digit(16)).collect();
        let mut pdu: Vec<u8> = digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
        pdu.resize(octets.len, 0);
        let result = run.lacp.handle_frame(now, PortId(octets.port), &pdu);
        assert_eq!(result.err().map(|error| error.to_string()), octets.error, "{place}");
    }
    if let Some(port) = step.echo {
        let pdu = run.last[&port];
        run.lacp.handle_frame(now, PortId(port), &pdu).unwrap();
    }
    if let Some(port) = step.remove.map(PortId) {
        let farewell = run.lacp.remove_port(now, port);
        farewell.into_iter().for_each(|farewell| run.note_sent(now, port, &Pdu::Lacp(farewell)));
    }
    if let Some(away) = step.restart {
        run.restart(case, now, Duration::from_millis(away));
    }
    if let Some(port) = &step.port_options {
        run.lacp.set_port_options(now, PortId(port.id), port.options()).unwrap();
    }
    if !step.options.is_empty() {
        let mut options = *run.lacp.options();
        for (name, value) in &step.options {
            options.set(name, value).unwrap();
        }
        run.lacp.set_options(now, options);
    }
    if let Some(text) = &step.address {
        run.lacp.set_address(now, address(text));
    }
    if let Some(port) = step.confirm {
        let gates = run.lacp.wanted(PortId(port)).unwrap();
        assert!(run.lacp.confirm(now, PortId(port), gates), "{place}");
    }
}

fn expect(run: &mut Run, step: &Step, now: Duration, place: &str) {
    if let Some(sent) = &step.sent {
        assert_eq!(&std::mem::take(&mut run.sent), sent, "{place}: sent");
    }
    if let Some(count) = step.sent_count {
        let sent = std::mem::take(&mut run.sent);
        assert_eq!(sent.len(), count, "{place}: sent {sent:#?}");
    }
    if let Some(carrier) = &step.carrier {
        let found = run.lacp.no_carrier().map_or("up".to_owned(), |reason| reason.to_string());
        assert_eq!(&found, carrier, "{place}: carrier");
    }
    if let Some(active) = step.active {
        let found = run.lacp.active().map_or(0, |active| active.id.0);
        assert_eq!(found, active, "{place}: active aggregator");
    }
    for expected in &step.port {
        let place = format!("{place}, port {}", expected.id);
        let port = run.lacp.port(PortId(expected.id)).unwrap();
        let same = |what: &str, expected: &Option<String>, found: &str| {
            if let Some(expected) = expected {
                assert_eq!(found, expected, "{place}: {what}");
            }
        };
        same("receive", &expected.receive, port.receive.name());
        same("periodic", &expected.periodic, port.periodic.name());
        same("mux", &expected.mux, port.mux.name());
        same("selected", &expected.selected, port.selected.name());
        same("partner_system", &expected.partner_system, &Address(port.partner.system).to_string());
        same("actor_churn", &expected.actor_churn, port.actor_churn.name());
        same("partner_churn", &expected.partner_churn, port.partner_churn.name());
        let flags = |what: &str, expected: Option<u8>, found: State| {
            if let Some(expected) = expected.map(State) {
                assert_eq!(found, expected, "{place}: {what}");
            }
        };
        flags("actor", expected.actor, port.actor.state);
        flags("partner", expected.partner, port.partner.state);
        if let Some(aggregator) = expected.aggregator {
            assert_eq!(port.aggregator.0, aggregator, "{place}: aggregator");
        }
        if let Some(key) = expected.key {
            assert_eq!(port.actor.key, key, "{place}: key");
        }
        let explanation = run.lacp.explain(now).ports.into_iter().find(|port| port.port.0 == expected.id);
        let explanation = explanation.unwrap();
        same("reason", &expected.reason, &explanation.reason.to_string());
        if let Some(mismatches) = &expected.mismatches {
            let found: Vec<String> = explanation.mismatches.iter().map(ToString::to_string).collect();
            assert_eq!(&found, mismatches, "{place}: mismatches");
        }
        if let Some(last) = expected.last.map(Duration::from_millis) {
            assert_eq!(explanation.last_lacpdu, Some(last), "{place}: last LACPDU");
        }
        for (name, value) in &expected.stats {
            let stats = format!("{:?}", port.stats);
            let (_, found) =
                stats.split_once(&format!(" {name}: ")).unwrap_or_else(|| panic!("{place}: {name}"));
            let digits: String = found.chars().take_while(char::is_ascii_digit).collect();
            assert_eq!(digits, value.to_string(), "{place}: {name}");
        }
    }
}

#[test]
fn all_cases() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance");
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut cases: Vec<_> = entries.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    cases.sort();
    assert!(cases.len() >= 44, "cases are missing: {cases:?}");
    let failed: Vec<_> =
        cases.iter().filter(|path| std::panic::catch_unwind(|| run(path)).is_err()).collect();
    assert!(failed.is_empty(), "failed: {failed:#?}");
}
