//! A bond whose members end at plain ports of one switch (balance-slb).

use std::collections::HashMap;

use super::*;
use crate::bucket_set::BucketSet;
use crate::flow_hash::slb;
use proptest::collection::vec;
use proptest::prelude::*;

const GROUP: MacAddr = MacAddr([1, 0, 0x5e, 0, 0, 1]);

fn buckets_of(macs: &[MacAddr]) -> BucketSet {
    macs.iter().map(|mac| slb(*mac, 0) as usize).collect()
}

fn by(own: BucketSet, lately: BucketSet, groups: bool) -> Admission {
    Admission::Buckets { own, lately, groups }
}

/// Guests 1 and 2 at ports 0 and 1; a bond with the members 2, which is active and has guest 1's bucket and any that none of
/// these addresses is in, and 3, which has guest 2's.
fn two_guests() -> Switch {
    let second = buckets_of(&[host(2), host(6)]);
    let table = (0..256).map(|n| DeviceId(if second.has(n) { 3 } else { 2 })).collect();
    let plan = TransmitPlan::Buckets { hash: HashPolicy::Slb, table, loads: None };
    let first = BucketSet::ALL.without(second);
    let admissions = [by(first, BucketSet::NONE, true), by(second, BucketSet::NONE, false)];
    let mut switch = Switch::with_bond(2, plan, admissions);
    assert_eq!(switch.path(0, MacAddr::BROADCAST, host(1)), Ok(vec![1, 2]));
    assert_eq!(switch.path(1, MacAddr::BROADCAST, host(2)), Ok(vec![0, 3]));
    switch
}

#[test]
fn what_comes_by_each_member_is_let_in_once() {
    let refused = Err(DropReason::InactiveMember);
    let mut switch = two_guests();
    for dst in [MacAddr::BROADCAST, GROUP] {
        assert_eq!(
            (switch.path(2, dst, host(9)), switch.path(3, dst, host(9))),
            (Ok(vec![0, 1]), refused.clone())
        );
    }
    // Known to us, and not to the switch.
    assert_eq!(
        (switch.path(2, host(1), host(9)), switch.path(3, host(1), host(9))),
        (Ok(vec![0]), refused.clone())
    );
    assert_eq!(
        (switch.path(2, host(2), host(9)), switch.path(3, host(2), host(9))),
        (refused.clone(), Ok(vec![1]))
    );
    // Known to nobody.
    assert_eq!(
        (switch.path(2, host(5), host(9)), switch.path(3, host(5), host(9))),
        (Ok(vec![0, 1]), refused.clone())
    );
    assert_eq!(
        (switch.path(2, host(6), host(9)), switch.path(3, host(6), host(9))),
        (refused, Ok(vec![0, 1]))
    );
    assert_eq!(switch.fdb().lookup(0, host(9), NOW), Some(PortId(2)));
    assert_eq!(switch.path(2, host(9), host(8)), Err(DropReason::SamePort));
}

#[test]
fn a_guests_own_frames_do_not_come_back() {
    let mut switch = two_guests();
    // To a group; to one that nobody knows; to a neighbour that only the switch doesn't know.
    assert_eq!(switch.path(2, MacAddr::BROADCAST, host(2)), Err(DropReason::Reflected));
    assert_eq!(switch.path(3, host(6), host(1)), Err(DropReason::Reflected));
    assert_eq!(switch.path(2, host(1), host(2)), Err(DropReason::Reflected));
    assert_eq!(switch.fdb().lookup(0, host(1), NOW), Some(PortId(0)));
    assert_eq!(switch.fdb().lookup(0, host(2), NOW), Some(PortId(1)));
}

#[test]
fn a_former_member_lets_in_frames_for_the_known_ones() {
    let mut switch = two_guests();
    let moved = buckets_of(&[host(1), host(5)]);
    switch.device(2).admission = by(BucketSet::NONE, moved, false);
    assert_eq!(switch.path(2, host(1), host(9)), Ok(vec![0]));
    for dst in [MacAddr::BROADCAST, host(5), host(2)] {
        assert_eq!(switch.path(2, dst, host(9)), Err(DropReason::InactiveMember), "{dst}");
    }
    assert_eq!(switch.path(2, host(1), host(1)), Err(DropReason::Reflected));
}

/// The bucket is that of the bridge's VLAN, however the frame is tagged outside, and whatever its priority.
#[test]
fn vlan_and_address_pick_the_member() {
    let mut switch = two_guests();
    // In VLAN 3 guest 1 is in the bucket that guest 2 is in without a tag.
    assert_eq!(slb(host(1), 3), slb(host(2), 0));
    let bytes = frame(host(9), host(1));
    let back = frame(host(1), host(9));
    for (tci, leaves) in [(0x0003, 3), (0x6003, 3), (0x0008, 2), (0x6000, 2)] {
        switch.fdb().learn(tci & 0xfff, host(9), PortId(2), NOW);
        let sent = switch.send(&tagged(0, &bytes, tci)).unwrap();
        assert_eq!(sent[0].device, DeviceId(leaves), "{tci:#x}");
        assert!(switch.send(&tagged(leaves, &back, tci)).is_ok());
        assert_eq!(switch.send(&tagged(5 - leaves, &back, tci)), Err(DropReason::InactiveMember));
    }
}

/// A learning switch beyond the bond. It forgets at times.
#[derive(Default)]
struct Upstream {
    known: HashMap<MacAddr, u16>,
}

const MEMBERS: [u16; 3] = [4, 5, 6];

/// What happens in the network.
#[derive(Debug, Clone)]
enum Act {
    /// A guest sends.
    Guest { guest: u8, dst: u8 },
    /// One beyond the switch sends.
    Remote { remote: u8, dst: u8 },
    /// The switch forgets an address, or all.
    Forget { who: Option<u8> },
    /// The bridge forgets.
    Flush,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        5 => (0..4u8, 0..10u8).prop_map(|(guest, dst)| Act::Guest { guest, dst }),
        5 => (6..9u8, 0..10u8).prop_map(|(remote, dst)| Act::Remote { remote, dst }),
        2 => proptest::option::of(0..10u8).prop_map(|who| Act::Forget { who }),
        1 => Just(Act::Flush),
    ]
}

/// Stations 0 to 3 are guests at these ports, 6 to 8 are beyond the switch, 4 and 5 are nobody, 9 is everybody.
fn station(n: u8) -> MacAddr {
    if n == 9 { MacAddr::BROADCAST } else { MacAddr([2, 0, n.wrapping_mul(37), 0, 0, n]) }
}

proptest! {
    /// Whatever the switch knows: of each frame from beyond it a guest gets a copy if it is for it or nobody knows better,
    /// and never two; of its own frames none; and no guest is taken for one beyond the switch.
    #[test]
    fn guests_get_each_frame_once(table in vec(0..3usize, 256), active in 0..3usize, acts in vec(act(), 1..80)) {
        let own = |member: usize| (0..256).filter(|n| table[*n] == member).collect::<BucketSet>();
        let plan = TransmitPlan::Buckets {
            hash: HashPolicy::Slb,
            table: table.iter().map(|member| DeviceId(MEMBERS[*member])).collect(),
            loads: None,
        };
        let mut switch = Switch::with_bond(4, plan, [Admission::All; 2]);
        switch.tables.devices.truncate(4);
        switch.tables.devices.extend((0..3).map(|member| Some(DeviceEntry {
            port: PortId(4),
            mtu: 1500,
            admission: by(own(member), BucketSet::NONE, member == active),
            slow_protocols: false,
            source: None,
        })));
        let mut upstream = Upstream::default();
        for act in acts {
            match act {
                Act::Flush => drop(switch.fdb().flush()),
                Act::Forget { who: None } => upstream.known.clear(),
                Act::Forget { who: Some(who) } => drop(upstream.known.remove(&station(who))),
                Act::Guest { guest, dst } => {
                    let sent = switch.path(guest.into(), station(dst), station(guest));
                    let by_member: Vec<_> =
                        sent.into_iter().flatten().filter(|device| *device >= 4).collect();
                    prop_assert!(by_member.len() <= 1);
                    let Some(member) = by_member.first() else { continue };
                    upstream.known.insert(station(guest), *member);
                    if !upstream.known.contains_key(&station(dst)) {
                        for other in MEMBERS.into_iter().filter(|other| other != member) {
                            prop_assert!(switch.path(other, station(dst), station(guest)).is_err(), "a reflection");
                        }
                    }
                    prop_assert_eq!(switch.fdb().lookup(0, station(guest), NOW), Some(PortId(guest.into())));
                }
                Act::Remote { remote, dst } => {
                    let known_to_us = switch.fdb().lookup(0, station(dst), NOW);
                    let comes_by = match upstream.known.get(&station(dst)) {
                        Some(member) if dst != 9 => vec![*member],
                        _ => MEMBERS.to_vec(),
                    };
                    let mut path = |member| switch.path(member, station(dst), station(remote)).ok();
                    let copies = comes_by.into_iter().filter_map(&mut path);
                    let mut copies: Vec<u16> = copies.flatten().collect();
                    copies.sort_unstable();
                    let expected = match known_to_us {
                        Some(PortId(4)) => vec![],
                        Some(PortId(guest)) => vec![guest],
                        None if dst == remote => continue,
                        None => vec![0, 1, 2, 3],
                    };
                    prop_assert_eq!(copies, expected);
                }
            }
        }
    }
}
