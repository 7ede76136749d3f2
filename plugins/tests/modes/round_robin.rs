//! balance-rr in virtual time: whose turn it is.

use forwarding::tables::TransmitPlan;
use forwarding::turn::member_of;

use crate::rig::Rig;

/// The members by which the next frames leave.
fn send(rig: &Rig, frames: usize) -> Vec<u16> {
    let TransmitPlan::RoundRobin { members, per_member, turn } = rig.bond.plan() else {
        panic!("{:?}", rig.bond.plan())
    };
    let next = |_| members[member_of(turn.take(), *per_member, members.len() as u32).unwrap() as usize].0;
    (0..frames).map(next).collect()
}

fn shares(sent: &[u16], members: u16) -> Vec<usize> {
    (0..members).map(|member| sent.iter().filter(|by| **by == member).count()).collect()
}

#[test]
fn a_frame_each_or_several() {
    let mut rig = Rig::up("mode=0", 3);
    assert_eq!(send(&rig, 7), [0, 1, 2, 0, 1, 2, 0]);
    rig.set("packets_per_slave=3");
    // The counter goes on: frame 7 is the second of the third run.
    assert_eq!(send(&rig, 11), [2, 2, 0, 0, 0, 1, 1, 1, 2, 2, 2]);
}

#[test]
fn members_that_are_left_share_evenly() {
    let mut rig = Rig::up("mode=0 packets_per_slave=4", 3);
    assert_eq!(shares(&send(&rig, 300), 3), [100, 100, 100]);
    rig.link(1, false);
    assert_eq!(shares(&send(&rig, 400), 3), [200, 0, 200]);
    rig.link(0, false);
    assert_eq!(shares(&send(&rig, 50), 3), [0, 0, 50]);
    rig.link(0, true);
    rig.link(1, true);
    let sent = send(&rig, 300);
    // The counter does not stand at the start of a round, so an end of a run may be missing.
    assert!(shares(&sent, 3).iter().all(|share| (96..=104).contains(share)), "{:?}", shares(&sent, 3));
}

#[test]
fn by_lot() {
    let rig = Rig::up("mode=0 packets_per_slave=0", 4);
    let sent = send(&rig, 20_000);
    assert!(shares(&sent, 4).iter().all(|share| (4_800..=5_200).contains(share)), "{:?}", shares(&sent, 4));
    let again = sent.windows(2).filter(|two| two[0] == two[1]).count();
    assert!((4_700..=5_300).contains(&again), "{again} times the same member twice in a row");
}

#[test]
fn frames_that_pass_are_no_change_of_the_bond() {
    let mut rig = Rig::up("mode=0", 2);
    let revision = rig.bond.revision();
    send(&rig, 5);
    rig.link(1, true);
    assert_eq!((rig.bond.revision(), rig.events().len()), (revision, 0));
    assert_eq!(send(&rig, 1), [1], "and nobody loses its turn");
    rig.set("packets_per_slave=2");
    assert_eq!(rig.bond.revision(), revision + 1);
}
