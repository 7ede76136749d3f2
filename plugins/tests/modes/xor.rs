//! balance-xor in virtual time.

use crate::rig::{Rig, ms, name};
use bond_port::{ActiveCause, BondError, BondEvent, LinkReport, LinkState};
use forwarding::drop_reason::DropReason;
use forwarding::flow_hash::HashPolicy;
use forwarding::ids::DeviceId;
use forwarding::tables::{Admission, TransmitPlan};

#[test]
fn the_table_is_the_usable_members_in_joining_order() {
    let mut rig = Rig::silent("mode=2", 3);
    assert!(!rig.bond.carrier());
    assert_eq!(*rig.bond.plan(), TransmitPlan::Drop(DropReason::NoMember));
    [2, 0, 1].into_iter().for_each(|member| rig.link(member, true));
    let table = [DeviceId(0), DeviceId(1), DeviceId(2)];
    assert_eq!(
        *rig.bond.plan(),
        TransmitPlan::Buckets { hash: HashPolicy::Layer2, table: table.into_iter().collect(), loads: None }
    );
    assert_eq!(rig.admissions(), [Admission::AllButReflected; 3]);
    rig.link(1, false);
    assert_eq!(rig.table(), [0, 2]);
    assert_eq!(rig.admissions(), [Admission::AllButReflected; 3], "the other side may know better");
    rig.bond.remove_member(rig.now, "eth0").unwrap();
    rig.bond.add_member(rig.now, "eth0").unwrap();
    rig.link(0, true);
    assert_eq!(rig.table(), [2, 0], "a member that joins again is the last");
}

#[test]
fn there_is_no_active_member_and_nothing_is_announced() {
    let mut rig = Rig::silent("mode=2", 2);
    rig.link(0, true);
    rig.link(1, true);
    rig.link(0, false);
    assert_eq!(rig.active(), None);
    assert!(
        rig.events()
            .iter()
            .all(|event| { matches!(event, BondEvent::MemberLink { .. } | BondEvent::CarrierChanged(true)) })
    );
    assert!(matches!(rig.bond.set_active_member(rig.now, "eth1"), Err(BondError::NoActiveMember { .. })));
}

#[test]
fn a_member_in_updelay_receives_and_does_not_send() {
    let mut rig = Rig::up("mode=2 updelay=500", 2);
    rig.link(0, false);
    rig.link(0, true);
    assert_eq!((rig.table(), rig.link_state(0)), (vec![1], LinkState::GoingBack));
    assert_eq!(
        rig.admissions(),
        [Admission::AllButReflected; 2],
        "the switch uses the link as soon as it is up"
    );
    rig.pass(ms(500));
    assert_eq!(rig.table(), [0, 1]);
}

#[test]
fn a_member_in_downdelay_is_out_of_the_table_at_once() {
    let mut rig = Rig::up("mode=2 downdelay=500 updelay=500", 2);
    rig.link(0, false);
    assert_eq!((rig.table(), rig.link_state(0)), (vec![1], LinkState::GoingDown));
    rig.pass(ms(100));
    rig.link(0, true);
    assert_eq!((rig.table(), rig.failures(0)), (vec![0, 1], 0), "and back at once");
    rig.link(0, false);
    rig.link(1, false);
    assert!(!rig.bond.carrier());
    rig.pass(ms(500));
    assert_eq!((rig.failures(0), rig.failures(1)), (1, 1));
}

#[test]
fn the_mode_can_be_changed_alive() {
    let mut rig = Rig::up("mode=1", 2);
    rig.set("mode=2");
    assert_eq!(rig.table(), [0, 1]);
    assert_eq!(
        rig.events(),
        [BondEvent::ActiveChanged { old: Some(name(0)), new: None, cause: ActiveCause::ModeChanged }]
    );
    assert_eq!(rig.bond.next_deadline(), None);
    rig.set("mode=1 primary=eth1");
    assert_eq!(rig.active(), Some(1));
    assert!(rig.bond.carrier());
    assert_eq!(
        rig.events(),
        [
            BondEvent::ActiveChanged { old: None, new: Some(name(1)), cause: ActiveCause::ModeChanged },
            BondEvent::Announce { member: DeviceId(1), buckets: None },
        ]
    );
}

#[test]
fn a_delay_that_is_made_shorter_ends_at_once() {
    let mut rig = Rig::up("mode=2 updelay=10000", 2);
    rig.link(0, false);
    rig.link(0, true);
    rig.pass(ms(600));
    rig.set("updelay=500");
    assert_eq!(rig.table(), [0, 1]);
}

#[test]
fn whether_a_device_computes_hashes_is_what_was_last_reported() {
    let mut rig = Rig::silent("mode=2 xmit_hash_policy=offload", 2);
    let told =
        |rig: &Rig| rig.bond.status(rig.now).members.iter().map(|m| m.receive_hash).collect::<Vec<_>>();
    assert_eq!(told(&rig), [None, None]);
    rig.link(0, true);
    rig.link(1, false);
    assert_eq!(told(&rig), [Some(true), Some(false)]);
    let report = LinkReport { receive_hash: None, ..rig.report(0, true) };
    let revision = rig.bond.revision();
    rig.bond.handle_link(rig.now, "eth0", Some(report));
    assert_eq!((told(&rig), rig.bond.revision()), (vec![None, Some(false)], revision));
    rig.bond.handle_link(rig.now, "eth1", None);
    assert_eq!(told(&rig)[1], Some(false), "as its speed and address it is kept");
    let TransmitPlan::Buckets { hash, .. } = rig.bond.plan() else { panic!("no table") };
    assert_eq!(*hash, HashPolicy::Offload);
}
