//! A bond and its successor after a restart of the daemon.

use core::time::Duration;

use bond_port::{Bond, BondSnapshot, LinkState};
use forwarding::ids::DeviceId;
use forwarding::tables::Admission;
use lacp::{Lacp, Link, Options, PortId, PortOptions, slow};

use crate::rig::{Rig, mac, ms, name, options};

const FAST: &str = "mode=802.3ad lacp_rate=fast";

/// A partner switch that holds all members in one group.
struct Partner(Lacp);

impl Partner {
    fn new(members: usize) -> Self {
        let options = Options { lacp_rate: lacp::LacpRate::Fast, ..Options::default() };
        let mut lacp = Lacp::new([2, 0, 0, 0, 1, 0], options);
        for port in 0..members as u32 {
            lacp.add_port(ms(1_000), PortId(port), PortOptions::default()).unwrap();
            lacp.handle_link(ms(1_000), PortId(port), Link::up(10_000, lacp::Duplex::Full));
        }
        Self(lacp)
    }

    /// Both talk until neither has anything to say. Ports are devices. Returns the bond's first frame by device.
    fn talk(&mut self, now: Duration, bond: &mut Bond, is_heard: bool) -> Vec<(u16, slow::Pdu)> {
        let mut said: Vec<(u16, slow::Pdu)> = Vec::new();
        loop {
            let mut rest = true;
            bond.confirm(now);
            while let Some(transmit) = bond.poll_transmit(now) {
                rest = false;
                let (device, pdu) = (transmit.device.0, slow::payload(&transmit.frame).unwrap());
                if said.iter().all(|(known, _)| *known != device) {
                    said.push((device, slow::Pdu::parse(pdu).unwrap()));
                }
                self.0.handle_frame(now, PortId(device.into()), pdu).unwrap();
            }
            let waiting: Vec<_> = self.0.unconfirmed().collect();
            for (port, gates) in waiting {
                self.0.confirm(now, port, gates);
            }
            while let Some((port, pdu)) = self.0.poll_transmit(now) {
                rest = false;
                let frame = slow::frame([2, 0, 0, 0, 1, port.0 as u8], &pdu.emit());
                let member =
                    bond.members().iter().find(|member| member.device() == Some(DeviceId(port.0 as u16)));
                if let Some(member) = member.map(|member| member.name().to_owned()).filter(|_| is_heard) {
                    bond.handle_frame(now, &member, &frame).unwrap();
                }
            }
            if rest {
                return said;
            }
        }
    }
}

/// A bond whose members are all in the bundle, and its partner. It has talked for a while.
fn negotiated(words: &str, members: usize) -> (Rig, Partner) {
    let mut rig = Rig::silent(words, members);
    let mut partner = Partner::new(members);
    (0..members).for_each(|member| rig.link(member, true));
    for _ in 0..80 {
        partner.talk(rig.now, &mut rig.bond, true);
        rig.now += ms(100);
        rig.bond.handle_timeout(rig.now);
        partner.0.handle_timeout(rig.now);
    }
    assert_eq!(rig.senders().len(), rig.bond.options().buckets().max(members));
    rig.events();
    (rig, partner)
}

/// A bond with these members, which are there, that takes over after `elapsed`; and those on which it goes on.
fn successor(
    words: &str,
    members: &[usize],
    before: &BondSnapshot,
    now: Duration,
    elapsed: Duration,
) -> (Rig, Vec<String>) {
    let mut rig = Rig::silent(words, 0);
    rig.now = now + elapsed;
    for member in members {
        rig.bond.add_member(rig.now, &name(*member)).unwrap();
    }
    rig.bond.resume(before);
    members.iter().for_each(|member| rig.link(*member, true));
    let restored = rig.bond.restore(rig.now, before, elapsed);
    (rig, restored)
}

fn all_open(rig: &Rig, members: &[u16]) -> bool {
    let open = rig.bond.members().iter().filter(|member| member.admission() == Admission::All);
    rig.senders() == members && open.count() == members.len()
}

#[test]
fn the_first_tables_are_the_last_and_the_first_word_is_the_last() {
    for (words, away) in [(FAST, ms(1_500)), ("mode=802.3ad lacp_rate=slow", ms(50_000))] {
        let words = format!("{words} updelay=5000 miimon=100");
        let (rig, mut partner) = negotiated(&words, 2);
        let before = rig.bond.snapshot(rig.now);
        let actor = |rig: &Rig| {
            let ports = rig.bond.lacp().unwrap().ports();
            ports.map(|port| port.actor).collect::<Vec<_>>()
        };
        let said = actor(&rig);
        let (mut new, restored) = successor(&words, &[0, 1], &before, rig.now, away);
        assert_eq!(restored, ["eth0", "eth1"]);
        assert!(all_open(&new, &[0, 1]), "{:?}", new.bond);
        assert!(new.bond.carrier() && new.link_state(0) == LinkState::Up);
        assert!(new.bond.poll_transmit(new.now).is_none(), "not before the tables are in force");
        let first = partner.talk(new.now, &mut new.bond, true);
        assert_eq!(first.len(), 2);
        for ((_, pdu), said) in first.iter().zip(said) {
            let slow::Pdu::Lacp(lacpdu) = pdu else { panic!("{pdu:?}") };
            assert_eq!(lacpdu.actor, said);
        }
        assert!(all_open(&new, &[0, 1]));
    }
}

#[test]
fn a_silence_of_more_than_the_timeout_closes_the_gates() {
    let (rig, mut partner) = negotiated(FAST, 2);
    let before = rig.bond.snapshot(rig.now);
    let (mut new, _) = successor(FAST, &[0, 1], &before, rig.now, ms(3_100));
    assert!(new.senders().is_empty() && !new.bond.carrier());
    partner.talk(new.now, &mut new.bond, true);
    assert!(all_open(&new, &[0, 1]), "one exchange later");
}

#[test]
fn the_silence_after_a_restart_counts() {
    let (rig, mut partner) = negotiated(FAST, 1);
    let before = rig.bond.snapshot(rig.now);
    let (mut new, _) = successor(FAST, &[0], &before, rig.now, ms(1_500));
    partner.talk(new.now, &mut new.bond, false);
    assert!(all_open(&new, &[0]));
    for (step, open) in [(ms(400), true), (ms(1_200), false)] {
        new.now += step;
        new.bond.handle_timeout(new.now);
        assert_eq!(all_open(&new, &[0]), open);
    }
    assert!(new.senders().is_empty());
}

/// eth0, whose address the bond had, has left before the restart, eth1 while no daemon ran; eth3 is new and stands first.
#[test]
fn the_system_and_the_numbers_stay_whoever_comes_and_goes() {
    let (mut rig, mut partner) = negotiated(FAST, 4);
    rig.bond.remove_member(rig.now, "eth0").unwrap();
    rig.bond.remove_member(rig.now, "eth3").unwrap();
    let system = rig.bond.lacp().unwrap().system();
    assert_eq!(system.1, mac(0).0);
    let before = rig.bond.snapshot(rig.now);
    let (mut new, restored) = successor(FAST, &[3, 2], &before, rig.now, ms(100));
    assert_eq!(restored, ["eth2"]);
    assert_eq!(new.bond.lacp().unwrap().system(), system);
    let number = |rig: &Rig, member: usize| {
        let id = rig.bond.member(&name(member)).unwrap().id();
        rig.bond.lacp().unwrap().port(PortId(id.number())).unwrap().actor.port
    };
    assert_eq!((number(&new, 2), number(&new, 3)), (3, 1), "eth3 had 1, and gives what eth2 had by that");
    assert!(all_open(&new, &[2]));
    partner.talk(new.now, &mut new.bond, true);
    assert_eq!(new.senders(), [3, 2], "and eth3 joins");
    assert!(new.bond.lacp().unwrap().system() == system);
}

#[test]
fn another_address_or_link_or_key_begins_anew() {
    let (rig, _) = negotiated(FAST, 2);
    let before = rig.bond.snapshot(rig.now);
    let restored = |words: &str, before: &BondSnapshot| successor(words, &[0, 1], before, rig.now, ms(100)).1;
    assert_eq!(restored(FAST, &before).len(), 2);
    assert!(restored(FAST, &BondSnapshot { mac: Some(mac(7)), ..before.clone() }).is_empty());
    assert!(restored(&format!("{FAST} ad_user_port_key=3"), &before).is_empty());
    assert!(restored("mode=balance-xor", &before).is_empty());
    let strangers =
        BondSnapshot { members: vec!["a".into(), "b".into()], mac: Some(mac(7)), ..before.clone() };
    let (new, none) = successor(FAST, &[0, 1], &strangers, rig.now, ms(100));
    assert!(none.is_empty() && new.bond.mac() == Some(mac(0)), "that was another bond");
    // One that is down when the successor comes.
    let mut new = Rig::silent(FAST, 2);
    new.bond.resume(&before);
    new.link(0, true);
    new.link(1, false);
    assert_eq!(new.bond.restore(new.now, &before, ms(100)), ["eth0"]);
    assert!(all_open(&new, &[0]));
    assert_eq!(options(FAST).buckets(), 0);
}

/// A snapshot that names what is not there.
#[test]
fn places_that_no_member_has_are_passed_over() {
    let (rig, _) = negotiated(&format!("{FAST} hash_buckets=256"), 2);
    let mut before = rig.bond.snapshot(rig.now);
    before.lacp.as_mut().unwrap().ports[1].port = PortId(77);
    before.buckets[3] = 99;
    before.buckets[4] = u32::MAX;
    let (new, restored) = successor(&format!("{FAST} hash_buckets=256"), &[0, 1], &before, rig.now, ms(100));
    assert_eq!((restored, new.table()), (vec!["eth0".to_owned()], vec![0; 256]));
}

/// Members went down and came back, so the table is none that a new bond would make.
#[test]
fn a_resilient_table_is_the_same_afterwards() {
    for words in [
        "mode=balance-xor hash_buckets=256",
        "mode=balance-slb",
        "mode=balance-tlb",
        "mode=balance-tlb tlb_dynamic_lb=0 hash_buckets=256",
        "mode=802.3ad lacp_rate=fast hash_buckets=256",
        "mode=802.3ad lacp_rate=fast rebalance_interval=10000",
    ] {
        let (mut rig, mut partner) = match words.contains("lacp") {
            true => negotiated(words, 3),
            false => (Rig::up(words, 3), Partner::new(3)),
        };
        let fresh = rig.table();
        rig.link(0, false);
        partner.0.handle_link(rig.now, PortId(0), Link::DOWN);
        rig.link(0, true);
        partner.0.handle_link(rig.now, PortId(0), Link::up(10_000, lacp::Duplex::Full));
        for _ in 0..30 {
            partner.talk(rig.now, &mut rig.bond, true);
            rig.now += ms(100);
            rig.bond.handle_timeout(rig.now);
        }
        let table = rig.table();
        assert!(table.len() == 256 && table != fresh, "{words}");
        let before = rig.bond.snapshot(rig.now);
        let (new, _) = successor(words, &[0, 1, 2], &before, rig.now, ms(200));
        assert_eq!(new.table(), table, "{words}");
        // Joined in another order, and without one.
        let (new, _) = successor(words, &[2, 0], &before, rig.now, ms(200));
        for (was, is) in table.iter().zip(new.table()) {
            assert!(*was == 1 || *was == is, "{words}: only the lost member's buckets move");
        }
    }
}

#[test]
fn before_a_hand_over_it_says_once_more_what_it_said() {
    let (mut rig, _) = negotiated(FAST, 2);
    while rig.bond.poll_transmit(rig.now).is_some() {}
    rig.bond.repeat(rig.now);
    let frames = core::iter::from_fn(|| rig.bond.poll_transmit(rig.now)).count();
    assert_eq!(frames, 2);
    let mut passive = Rig::up("mode=balance-xor", 2);
    passive.bond.repeat(passive.now);
    assert!(passive.bond.poll_transmit(passive.now).is_none());
}
