use std::collections::BTreeMap;
use std::time::Duration;

use bond_port::BondSnapshot;
use forwarding::mac::MacAddr;
use lacp::{AggregatorId, Lacpdu, PortId, PortInfo, PortSnapshot, Selected, Snapshot, State, mux, receive};
use proptest::prelude::*;

use super::keeper::Keeper;
use super::*;

const BOOT: &str = "6e2b9c1e-0000-4000-8000-000000000001";

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn info(last: u8, state: u8) -> PortInfo {
    PortInfo {
        system_priority: 0x8001,
        system: [2, 0, 0, 0, 0, last],
        key: 15,
        port_priority: 255,
        port: u16::from(last) + 1,
        state: State(state),
    }
}

fn port(place: u32) -> PortSnapshot {
    let (actor, partner) = (info(1, 0x3f), info(2, 0x3d));
    PortSnapshot {
        port: PortId(place),
        actor,
        partner,
        receive: receive::State::Current,
        current_while: ms(2_345),
        mux: mux::State::CollectingDistributing,
        selected: Selected::Selected,
        aggregator: AggregatorId(3),
        heard: Some((Lacpdu { version: 2, actor: partner, partner: actor, collector_max_delay: 7 }, ms(655))),
    }
}

fn kept() -> Kept {
    let silent = PortSnapshot {
        receive: receive::State::PortDisabled,
        mux: mux::State::Detached,
        selected: Selected::Unselected,
        current_while: ms(0),
        heard: None,
        ..port(2)
    };
    let lacp = Snapshot { active: Some(AggregatorId(3)), ports: vec![port(0), silent] };
    let bond0 = BondSnapshot {
        mac: Some(MacAddr([2, 0, 0, 0, 0, 9])),
        members: vec!["eth1".into(), "eth2".into(), "eth \"3\"".into()],
        lacp: Some(lacp),
        buckets: vec![0, 2, 1, u32::MAX],
    };
    let bond1 = BondSnapshot { members: vec!["eth7".into()], ..BondSnapshot::default() };
    let guest = KeptGuest {
        bridge: "br0".into(),
        port: "tap \"0\"".into(),
        vlan: 10,
        ip: [192, 0, 2, 1].into(),
        mac: MacAddr([2, 0, 0, 0, 0, 7]),
    };
    let bonds = BTreeMap::from([("bond0".into(), bond0), ("bond1".into(), bond1)]);
    Kept { taken: ms(100_000), bonds, guests: vec![guest] }
}

fn bytes() -> Vec<u8> {
    file_form::to_bytes(BOOT, &kept())
}

#[test]
fn what_is_written_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = path(directory.path());
    assert_eq!(load(&path, BOOT, ms(100_500)).unwrap(), None, "there is no file yet");
    for _ in 0..2 {
        save(&path, BOOT, &kept()).unwrap();
        assert_eq!(load(&path, BOOT, ms(100_500)).unwrap(), Some(kept()));
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    remove(&path).unwrap();
    remove(&path).unwrap();
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn every_state_has_its_name() {
    for receive in ["INITIALIZE", "PORT_DISABLED", "LACP_DISABLED", "EXPIRED", "DEFAULTED", "CURRENT"] {
        let text = String::from_utf8(bytes()).unwrap().replacen("CURRENT", receive, 1);
        let kept = parse(text.as_bytes(), BOOT, ms(100_000)).unwrap();
        assert_eq!(kept.bonds["bond0"].lacp.as_ref().unwrap().ports[0].receive.name(), receive);
    }
    for mux in ["DETACHED", "WAITING", "ATTACHED", "COLLECTING", "DISTRIBUTING", "COLLECTING_DISTRIBUTING"] {
        let text = String::from_utf8(bytes()).unwrap().replacen("COLLECTING_DISTRIBUTING", mux, 1);
        let kept = parse(text.as_bytes(), BOOT, ms(100_000)).unwrap();
        assert_eq!(kept.bonds["bond0"].lacp.as_ref().unwrap().ports[0].mux.name(), mux);
    }
}

#[test]
fn what_is_of_no_use_is_told() {
    let told = |bytes: &[u8], boot, now| parse(bytes, boot, now).unwrap_err().to_string();
    assert_eq!(told(&bytes(), "another", ms(100_000)), "it is of another boot");
    assert_eq!(told(&bytes(), BOOT, ms(99_999)), "it is of another boot");
    assert!(parse(&bytes(), BOOT, ms(190_000)).is_ok());
    let bonds_alone = file_form::to_bytes(BOOT, &Kept { guests: Vec::new(), ..kept() });
    assert_eq!(
        told(&bonds_alone, BOOT, ms(190_001)),
        "it is 90 s old, and after 90 s no partner waits any more"
    );
    // Guests have their addresses for longer.
    let guests_alone = Kept { bonds: BTreeMap::new(), ..kept() };
    assert_eq!(parse(&bytes(), BOOT, ms(190_001)).unwrap(), guests_alone);
    let text = String::from_utf8(bytes()).unwrap();
    for (from, to, problem) in [
        ("\"version\":1", "\"version\":2", "version 2, and this daemon writes 1"),
        ("CURRENT", "SLEEPING", "bond bond0: member eth1: no such state: \"SLEEPING\""),
        ("eth2", "eth1", "bond bond0: member eth1 is there twice"),
        ("\"mux\"", "\"mx\"", "missing field `mux`"),
    ] {
        let error = told(text.replacen(from, to, 1).as_bytes(), BOOT, ms(100_000));
        assert!(error.contains(problem), "{error}");
    }
    // No timer runs longer than that, whatever the file says.
    let long = text.replacen("\"current_while_ms\":2345", "\"current_while_ms\":18446744073709551615", 1);
    let kept = parse(long.as_bytes(), BOOT, ms(100_000)).unwrap();
    assert_eq!(kept.bonds["bond0"].lacp.as_ref().unwrap().ports[0].current_while, ms(90_000));
}

#[test]
fn a_file_that_is_none_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = path(directory.path());
    fs::create_dir(&path).unwrap();
    assert!(matches!(load(&path, BOOT, ms(0)), Err(Unusable::Read(_))));
    assert!(save(&path, BOOT, &kept()).is_err());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "no temporary file stays");
    fs::remove_dir(&path).unwrap();
    let large = File::create(&path).unwrap();
    large.set_len(MAX_LEN + 1).unwrap();
    assert!(matches!(load(&path, BOOT, ms(0)), Err(Unusable::Read(_))));
}

#[test]
fn the_keeper_leaves_the_last_state_or_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = path(directory.path());
    for _ in 0..20 {
        let mut keeper = Keeper::start(path.clone(), BOOT.into()).unwrap();
        for taken in 0..50 {
            keeper.keep(Kept { taken: ms(taken), ..kept() });
        }
        keeper.hand_over(kept());
        assert_eq!(load(&path, BOOT, ms(100_000)).unwrap(), Some(kept()));
        let mut keeper = Keeper::start(path.clone(), BOOT.into()).unwrap();
        keeper.keep(kept());
        drop(keeper);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}

/// A bond like that of the file, which takes over whatever the file says.
fn take_over(kept: &Kept) {
    let mut options = bond_port::BondOptions::default();
    for (key, value) in [("mode", "802.3ad"), ("hash_buckets", "256")] {
        options.set(key, value).unwrap();
    }
    for (name, before) in &kept.bonds {
        let mut bond = bond_port::Bond::new(name, options.clone(), plugins::balancer(options.mode));
        let now = kept.taken + ms(100);
        for member in before.members.iter().take(8) {
            bond.add_member(now, member).unwrap();
        }
        bond.resume(before);
        for (device, member) in before.members.iter().take(8).enumerate() {
            let report = bond_port::LinkReport {
                device: forwarding::ids::DeviceId(device as u16),
                up: true,
                speed_mbps: Some(10_000),
                full_duplex: Some(true),
                receive_hash: None,
                mac: MacAddr([2, 0, 0, 0, 0, device as u8]),
            };
            bond.handle_link(now, member, Some(report));
        }
        bond.restore(now, before, ms(100));
        for _ in 0..8 {
            bond.confirm(now);
        }
        while bond.poll_transmit(now).is_some() {}
        for second in 1..=10 {
            bond.handle_timeout(now + ms(1_000 * second));
        }
    }
}

proptest! {
    #[test]
    fn octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = parse(&octets, BOOT, ms(100_000));
    }

    /// A file that is damaged in a few places; what is still read can be taken over.
    #[test]
    fn damage_never_panics(
        places in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = bytes();
        for (place, octet) in places {
            let at = place.index(bytes.len());
            bytes[at] = octet;
        }
        if let Ok(kept) = parse(&bytes, BOOT, ms(100_000)) {
            take_over(&kept);
        }
    }

    /// Numbers and states that no daemon writes.
    #[test]
    fn any_numbers_can_be_taken_over(
        numbers in proptest::collection::vec(
            (0..4u16, any::<u8>(), 0..6usize, 0..6usize, 0..4u32, 0..4u8, 0..100_000u64),
            1..4,
        ),
        active in proptest::option::of(0..4u32),
    ) {
        const RECEIVE: [receive::State; 6] = [
            receive::State::Current, receive::State::Defaulted, receive::State::Expired,
            receive::State::PortDisabled, receive::State::LacpDisabled, receive::State::Initialize,
        ];
        const MUX: [mux::State; 6] = [
            mux::State::CollectingDistributing, mux::State::Collecting, mux::State::Distributing,
            mux::State::Attached, mux::State::Waiting, mux::State::Detached,
        ];
        let mut kept = kept();
        let bond = kept.bonds.get_mut("bond0").unwrap();
        bond.mac = Some(MacAddr([2, 0, 0, 0, 0, 1]));
        let ports = numbers.into_iter().enumerate().map(|(place, numbers)| {
            let (number, state, receive, mux, aggregator, partner, left) = numbers;
            let actor = PortInfo { system_priority: 0xffff, port: number, ..info(1, state) };
            PortSnapshot {
                actor,
                partner: info(partner, state.rotate_left(3)),
                receive: RECEIVE[receive],
                mux: MUX[mux],
                selected: [Selected::Selected, Selected::Standby, Selected::Unselected][place % 3],
                aggregator: AggregatorId(if aggregator == 3 { u32::MAX } else { aggregator }),
                current_while: ms(left),
                ..port(place as u32)
            }
        });
        bond.lacp = Some(Snapshot { active: active.map(AggregatorId), ports: ports.collect() });
        let bytes = file_form::to_bytes(BOOT, &kept);
        let read = parse(&bytes, BOOT, ms(100_000)).unwrap();
        take_over(&read);
    }
}
