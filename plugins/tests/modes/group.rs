//! What balance-rr and broadcast have in common, in virtual time: who sends and who receives.

use bond_port::{ActiveCause, BondError, BondEvent, LinkState};
use forwarding::drop_reason::DropReason;
use forwarding::ids::DeviceId;
use forwarding::tables::{Admission, TransmitPlan};

use crate::rig::{Rig, ms, name};

const MODES: [&str; 3] = ["mode=0", "mode=0 packets_per_slave=0", "mode=3"];

#[test]
fn the_members_that_are_up_send_in_joining_order() {
    for words in MODES {
        let mut rig = Rig::silent(words, 3);
        assert!(!rig.bond.carrier(), "{words}");
        assert_eq!(*rig.bond.plan(), TransmitPlan::Drop(DropReason::NoMember));
        [2, 0, 1].into_iter().for_each(|member| rig.link(member, true));
        assert_eq!(rig.senders(), [0, 1, 2], "{words}");
        assert_eq!(rig.admissions(), [Admission::AllButReflected; 3]);
        rig.link(1, false);
        assert_eq!(rig.senders(), [0, 2], "{words}");
        assert_eq!(rig.admissions()[1], Admission::AllButReflected, "the other side may know better");
        rig.bond.remove_member(rig.now, "eth0").unwrap();
        rig.bond.add_member(rig.now, "eth0").unwrap();
        rig.link(0, true);
        assert_eq!(rig.senders(), [2, 0], "{words}: a member that joins again is the last");
    }
}

#[test]
fn there_is_no_active_member_and_nothing_is_announced() {
    for words in MODES {
        let mut rig = Rig::silent(words, 2);
        rig.link(0, true);
        rig.link(1, true);
        rig.link(0, false);
        assert_eq!(rig.active(), None);
        let of_links = |event: &BondEvent| {
            matches!(event, BondEvent::MemberLink { .. } | BondEvent::CarrierChanged(true))
        };
        assert!(rig.events().iter().all(of_links), "{words}");
        let refused = rig.bond.set_active_member(rig.now, "eth1");
        assert!(matches!(refused, Err(BondError::NoActiveMember { .. })), "{words}");
    }
}

#[test]
fn a_member_in_updelay_receives_and_does_not_send() {
    for words in MODES {
        let mut rig = Rig::up(&format!("{words} updelay=500"), 2);
        rig.link(0, false);
        rig.pass(ms(1_000));
        rig.link(0, true);
        rig.pass(ms(499));
        assert_eq!((rig.senders(), rig.link_state(0)), (vec![1], LinkState::GoingBack), "{words}");
        assert_eq!(rig.admissions(), [Admission::AllButReflected; 2], "{words}");
        rig.pass(ms(1));
        assert_eq!((rig.senders(), rig.link_state(0)), (vec![0, 1], LinkState::Up), "{words}");
    }
}

#[test]
fn updelay_is_skipped_for_the_one_that_has_waited_longest_when_nothing_else_is_up() {
    for words in MODES {
        let mut rig = Rig::up(&format!("{words} updelay=500"), 3);
        (0..3).for_each(|member| rig.link(member, false));
        assert!(!rig.bond.carrier(), "{words}");
        rig.link(2, true);
        assert_eq!(rig.senders(), [2], "{words}: at once");
        rig.pass(ms(100));
        rig.link(1, true);
        rig.pass(ms(100));
        rig.link(0, true);
        assert_eq!(rig.senders(), [2], "{words}: these can wait");
        rig.link(2, false);
        assert_eq!(rig.senders(), [1], "{words}: it has waited longest");
        rig.pass(ms(500));
        assert_eq!(rig.senders(), [0, 1], "{words}");
    }
}

#[test]
fn a_member_in_downdelay_does_not_send_from_the_moment_its_carrier_is_lost() {
    for words in MODES {
        let mut rig = Rig::up(&format!("{words} downdelay=500 updelay=500"), 2);
        rig.link(0, false);
        assert_eq!((rig.senders(), rig.link_state(0)), (vec![1], LinkState::GoingDown), "{words}");
        rig.pass(ms(100));
        rig.link(0, true);
        assert_eq!((rig.senders(), rig.failures(0)), (vec![0, 1], 0), "{words}: and back at once");
        rig.link(0, false);
        rig.link(1, false);
        assert!(!rig.bond.carrier(), "{words}");
        rig.pass(ms(500));
        assert_eq!((rig.failures(0), rig.failures(1)), (1, 1), "{words}");
    }
}

#[test]
fn a_member_disabled_by_hand_receives_only() {
    for words in MODES {
        let mut rig = Rig::up(&format!("{words} updelay=500"), 2);
        assert_eq!(rig.bond.disable_member(rig.now, "eth0"), Ok(true));
        assert_eq!(rig.senders(), [1], "{words}");
        assert_eq!(rig.admissions(), [Admission::AllButReflected; 2], "{words}");
        rig.link(1, false);
        assert!(!rig.bond.carrier(), "{words}");
        assert_eq!(rig.bond.enable_member(rig.now, "eth0"), Ok(true));
        assert_eq!(rig.senders(), [0], "{words}");
    }
}

#[test]
fn the_mode_can_be_changed_alive() {
    for words in MODES {
        let mut rig = Rig::up("mode=1", 2);
        rig.set(words);
        assert_eq!(rig.senders(), [0, 1], "{words}");
        assert_eq!(
            rig.events(),
            [BondEvent::ActiveChanged { old: Some(name(0)), new: None, cause: ActiveCause::ModeChanged }]
        );
        assert_eq!(rig.bond.next_deadline(), None);
        rig.set("mode=1 packets_per_slave=1 primary=eth1");
        assert_eq!(rig.active(), Some(1), "{words}");
        assert_eq!(
            rig.events(),
            [
                BondEvent::ActiveChanged { old: None, new: Some(name(1)), cause: ActiveCause::ModeChanged },
                BondEvent::Announce { member: DeviceId(1), buckets: None },
            ]
        );
    }
}
