//! active-backup in virtual time: selection, changes that lose nothing, and the kernel selftests' cases.

use crate::rig::{Rig, mac, ms, name};
use bond_port::{ActiveCause, BondError, BondEvent, LinkState};
use forwarding::drop_reason::DropReason;
use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;
use forwarding::tables::{Admission, TransmitPlan};
use plugins::active_backup::GRACE;

fn active_changed(old: Option<usize>, new: Option<usize>, cause: ActiveCause) -> BondEvent {
    BondEvent::ActiveChanged { old: old.map(name), new: new.map(name), cause }
}

/// The events but those about links.
fn changes(rig: &mut Rig) -> Vec<BondEvent> {
    rig.events().into_iter().filter(|event| !matches!(event, BondEvent::MemberLink { .. })).collect()
}

fn announce(member: u16) -> BondEvent {
    BondEvent::Announce { member: DeviceId(member), buckets: None }
}

#[test]
fn a_bond_without_cables_has_no_carrier_from_the_first_moment() {
    let mut rig = Rig::silent("mode=1", 2);
    assert!(!rig.bond.carrier());
    assert_eq!(*rig.bond.plan(), TransmitPlan::Drop(DropReason::NoMember));
    rig.link(0, false);
    rig.bond.handle_link(rig.now, "eth1", None);
    rig.pass(ms(10_000));
    assert!(!rig.bond.carrier());
    assert_eq!(rig.admissions(), [Admission::Nothing; 2]);
    assert_eq!(rig.events(), []);
    assert_eq!(rig.bond.next_deadline(), None);
}

#[test]
fn the_first_member_that_comes_up_is_active_and_announced() {
    let mut rig = Rig::silent("mode=1", 2);
    rig.link(0, false);
    rig.link(1, true);
    assert_eq!(rig.active(), Some(1));
    assert_eq!(
        changes(&mut rig),
        [
            active_changed(None, Some(1), ActiveCause::FirstUsable),
            announce(1),
            BondEvent::CarrierChanged(true)
        ]
    );
    rig.link(0, true);
    assert_eq!(rig.active(), Some(1), "a member that works stays active");
    assert_eq!(changes(&mut rig), []);
}

#[test]
fn loss_of_carrier_acts_at_once_and_without_options() {
    let mut rig = Rig::up("mode=1", 2);
    let revision = rig.bond.revision();
    rig.link(0, false);
    assert_eq!(rig.active(), Some(1));
    assert!(rig.bond.revision() > revision);
    assert_eq!(rig.admissions(), [Admission::Nothing, Admission::AllButReflected]);
    assert_eq!(changes(&mut rig), [active_changed(Some(0), Some(1), ActiveCause::MemberDown), announce(1)]);
    assert_eq!((rig.failures(0), rig.failures(1)), (1, 0));
    rig.pass(GRACE - ms(1));
    assert_eq!(rig.admissions(), [Admission::Nothing, Admission::AllButReflected]);
    rig.pass(ms(1));
    assert_eq!(rig.admissions(), [Admission::Nothing, Admission::All]);
    assert_eq!(rig.bond.next_deadline(), None);
}

#[test]
fn a_planned_change_leaves_the_old_member_in_grace() {
    let mut rig = Rig::up("mode=1", 3);
    rig.set_active(1);
    assert_eq!(changes(&mut rig), [active_changed(Some(0), Some(1), ActiveCause::SetByHand), announce(1)]);
    assert_eq!(rig.admissions(), [Admission::Grace, Admission::AllButReflected, Admission::Nothing]);
    rig.pass(ms(500));
    rig.set_active(2);
    assert_eq!(rig.admissions(), [Admission::Grace, Admission::Grace, Admission::AllButReflected]);
    rig.pass(ms(500));
    assert_eq!(rig.admissions(), [Admission::Nothing, Admission::Grace, Admission::AllButReflected]);
    rig.set_active(1);
    assert_eq!(rig.admissions(), [Admission::Nothing, Admission::AllButReflected, Admission::Grace]);
    rig.pass(GRACE);
    assert_eq!(rig.admissions(), [Admission::Nothing, Admission::All, Admission::Nothing]);
}

#[test]
fn another_mode_leaves_all_others_in_grace() {
    let mut rig = Rig::up("mode=2", 3);
    rig.link(2, false);
    rig.set("mode=1 primary=eth1");
    assert_eq!(rig.admissions(), [Admission::Grace, Admission::AllButReflected, Admission::Nothing]);
    rig.set("miimon=100");
    rig.pass(GRACE);
    assert_eq!(rig.admissions(), [Admission::Nothing, Admission::All, Admission::Nothing]);
    assert_eq!(rig.bond.next_deadline(), None);
}

#[test]
fn grace_ends_with_the_link_or_the_membership() {
    let mut rig = Rig::up("mode=1", 3);
    rig.set_active(1);
    rig.link(0, false);
    assert_eq!(rig.admissions()[0], Admission::Nothing);
    rig.link(0, true);
    assert_eq!(rig.admissions()[0], Admission::Nothing, "grace does not come back");
    rig.set_active(2);
    rig.bond.remove_member(rig.now, "eth1").unwrap();
    assert_eq!(rig.admissions(), [Admission::Nothing, Admission::AllButReflected]);
}

#[test]
fn a_hand_set_member_stays_until_it_fails() {
    let mut rig = Rig::up("mode=1", 2);
    rig.set_active(1);
    rig.link(0, false);
    rig.link(0, true);
    rig.bond.add_member(rig.now, "eth2").unwrap();
    rig.link(2, true);
    rig.set("primary_reselect=better");
    assert_eq!(rig.active(), Some(1));
    rig.link(1, false);
    assert_eq!(rig.active(), Some(0));
}

#[test]
fn hand_setting_what_is_active_or_can_not_be() {
    let mut rig = Rig::up("mode=1 updelay=100", 4);
    assert_eq!(rig.bond.set_active_member(rig.now, "eth0"), Ok(false));
    rig.link(1, false);
    rig.bond.handle_link(rig.now, "eth2", None);
    rig.link(3, false);
    rig.link(3, true);
    rig.events();
    let mut refused = |member: &str| rig.bond.set_active_member(rig.now, member).unwrap_err().to_string();
    assert_eq!(refused("eth1"), "cannot make eth1 the active member of bond0: its link is down");
    assert_eq!(
        refused("eth2"),
        "cannot make eth2 the active member of bond0: its link is down (no such device)"
    );
    assert_eq!(refused("eth3"), "cannot make eth3 the active member of bond0: its link is going back");
    assert_eq!(refused("eth9"), "bond0 has no member eth9; its members are: eth0, eth1, eth2, eth3");
    assert_eq!(rig.active(), Some(0));
    assert_eq!(rig.events(), []);
}

#[test]
fn hand_setting_away_from_a_primary_lasts_until_the_next_reselection() {
    let mut rig = Rig::up("mode=1 primary=eth0", 3);
    rig.set_active(1);
    rig.link(2, false);
    rig.link(2, true);
    assert_eq!(rig.active(), Some(1), "another member's recovery is no reselection");
    rig.events();
    rig.link(0, false);
    rig.link(0, true);
    assert_eq!(rig.active(), Some(0));
    assert_eq!(
        changes(&mut rig),
        [active_changed(Some(1), Some(0), ActiveCause::PrimaryReturned), announce(0)]
    );
    rig.set_active(1);
    rig.bond.add_member(rig.now, "eth3").unwrap();
    assert_eq!(rig.active(), Some(0), "a member that joins makes Linux reselect");
}

#[test]
fn a_primary_may_be_set_before_it_is_a_member() {
    for policy in ["always", "better", "failure"] {
        let mut rig = Rig::up(&format!("mode=1 primary=eth2 primary_reselect={policy}"), 2);
        assert_eq!(rig.active(), Some(0));
        rig.bond.add_member(rig.now, "eth2").unwrap();
        rig.link(2, true);
        assert_eq!(rig.active(), Some(2), "a primary that joins takes over: {policy}");
    }
}

#[test]
fn setting_the_primary_makes_it_active_whatever_the_policy() {
    let mut rig = Rig::up("mode=1 primary_reselect=failure", 2);
    rig.set("primary=eth1");
    assert_eq!(rig.active(), Some(1));
    assert_eq!(
        changes(&mut rig),
        [active_changed(Some(0), Some(1), ActiveCause::OptionsChanged), announce(1)]
    );
    assert_eq!(rig.admissions(), [Admission::Grace, Admission::AllButReflected]);
    rig.set("primary=eth0 miimon=100");
    assert_eq!(rig.active(), Some(0));
    rig.set("primary=");
    assert_eq!(rig.active(), Some(0));
}

/// As Linux's `bond_options.sh`, case `prio`, with the members' order in the place of priorities: primary eth1 of three.
#[test]
fn primary_reselect_matrix() {
    for (policy, always) in [("always", true), ("better", false), ("failure", false)] {
        let mut rig = Rig::up(&format!("mode=1 miimon=100 primary=eth1 primary_reselect={policy}"), 3);
        assert_eq!(rig.active(), Some(1), "{policy}");
        rig.link(1, false);
        assert_eq!(rig.active(), Some(0), "{policy}: next in order");
        rig.link(0, false);
        assert_eq!(rig.active(), Some(2), "{policy}");
        rig.link(0, true);
        assert_eq!(rig.active(), Some(2), "{policy}: what works stays");
        rig.link(1, true);
        assert_eq!(rig.active(), Some(if always { 1 } else { 2 }), "{policy}: primary returns");
        rig.link(2, false);
        assert_eq!(rig.active(), Some(1), "{policy}: when the active fails the primary is preferred");
    }
}

#[test]
fn better_compares_speed_and_then_duplex() {
    let speeds = |primary: (u32, bool), other: (u32, bool)| {
        let mut rig = Rig::up("mode=1 primary=eth0 primary_reselect=better", 2);
        rig.link(0, false);
        for (member, (speed, duplex)) in [(1, other), (0, primary)] {
            let mut report = rig.report(member, true);
            (report.speed_mbps, report.full_duplex) = ((speed != 0).then_some(speed), Some(duplex));
            rig.bond.handle_link(rig.now, &name(member), Some(report));
        }
        rig.active()
    };
    assert_eq!(speeds((10_000, true), (1_000, true)), Some(0));
    assert_eq!(speeds((1_000, true), (10_000, true)), Some(1));
    assert_eq!(speeds((1_000, true), (1_000, true)), Some(1));
    assert_eq!(speeds((1_000, true), (1_000, false)), Some(0));
    assert_eq!(speeds((0, true), (1_000, false)), Some(1), "unknown is slower than anything known");
}

#[test]
fn changing_the_policy_reselects() {
    let mut rig = Rig::up("mode=1 primary=eth0 primary_reselect=failure", 2);
    rig.link(0, false);
    rig.link(0, true);
    assert_eq!(rig.active(), Some(1));
    rig.set("all_slaves_active=1");
    assert_eq!(rig.active(), Some(1));
    rig.set("primary_reselect=always");
    assert_eq!(rig.active(), Some(0));
}

/// Linux `bond_options.sh`, case `num_grat_arp`.
#[test]
fn announcements_are_repeated_as_often_as_asked_for() {
    for times in [0, 1, 10, 20, 30] {
        let mut rig = Rig::up(&format!("mode=1 miimon=10 peer_notif_delay=100 num_grat_arp={times}"), 2);
        rig.link(0, false);
        let mut announced = Vec::new();
        for _ in 0..=50_000 {
            announced
                .extend(changes(&mut rig).into_iter().filter(|event| *event == announce(1)).map(|_| rig.now));
            rig.pass(ms(1));
        }
        assert_eq!(announced.len(), times);
        assert!(announced.windows(2).all(|pair| pair[1] - pair[0] == ms(100)));
    }
}

#[test]
fn a_further_change_ends_the_announcements_of_the_one_before() {
    let mut rig = Rig::up("mode=1 num_grat_arp=3", 2);
    rig.set_active(1);
    rig.pass(ms(100));
    rig.set_active(0);
    rig.pass(ms(10_000));
    let announced: Vec<_> =
        changes(&mut rig).into_iter().filter(|event| matches!(event, BondEvent::Announce { .. })).collect();
    assert_eq!(announced, [announce(0), announce(0), announce(0)]);
    rig.set_active(1);
    rig.bond.remove_member(rig.now, "eth0").unwrap();
    rig.bond.remove_member(rig.now, "eth1").unwrap();
    rig.events();
    rig.pass(ms(10_000));
    assert_eq!(rig.events(), []);
}

#[test]
fn updelay_is_kept_while_another_member_works_and_skipped_by_the_longest_waiting() {
    let mut rig = Rig::up("mode=1 updelay=1000", 3);
    rig.link(1, false);
    rig.link(2, false);
    rig.link(2, true);
    rig.pass(ms(10));
    rig.link(1, true);
    rig.pass(ms(10));
    assert_eq!((rig.link_state(1), rig.link_state(2)), (LinkState::GoingBack, LinkState::GoingBack));
    rig.link(0, false);
    assert_eq!(rig.active(), Some(2));
    assert_eq!(rig.link_state(1), LinkState::GoingBack, "only one is needed");
    rig.pass(ms(989));
    assert_eq!(rig.link_state(1), LinkState::GoingBack);
    rig.pass(ms(1));
    assert_eq!(rig.link_state(1), LinkState::Up);
    assert_eq!(rig.active(), Some(2));
}

#[test]
fn updelay_is_skipped_by_the_first_member_ever() {
    let mut rig = Rig::silent("mode=1 updelay=5000", 2);
    rig.link(1, true);
    assert_eq!((rig.active(), rig.link_state(1)), (Some(1), LinkState::Up));
    let links = rig.events().into_iter().filter(|event| matches!(event, BondEvent::MemberLink { .. }));
    assert_eq!(
        links.map(|event| event.to_string()).collect::<Vec<_>>(),
        ["eth1: link status definitely up, 10000 Mbps full duplex"]
    );
    rig.link(0, true);
    assert_eq!(rig.link_state(0), LinkState::GoingBack);
    rig.pass(ms(5000));
    assert_eq!((rig.active(), rig.link_state(0)), (Some(1), LinkState::Up));
}

#[test]
fn a_member_in_downdelay_stays_active_and_carries() {
    let mut rig = Rig::up("mode=1 downdelay=300", 2);
    rig.link(0, false);
    assert_eq!((rig.active(), rig.link_state(0)), (Some(0), LinkState::GoingDown));
    rig.pass(ms(299));
    assert_eq!((rig.active(), rig.failures(0)), (Some(0), 0));
    rig.pass(ms(1));
    assert_eq!((rig.active(), rig.failures(0)), (Some(1), 1));
    assert_eq!(rig.admissions(), [Admission::Nothing, Admission::AllButReflected]);

    let mut rig = Rig::up("mode=1 downdelay=300", 2);
    rig.link(1, false);
    rig.pass(ms(1000));
    rig.events();
    rig.link(0, false);
    assert!(rig.bond.carrier());
    rig.pass(ms(200));
    rig.link(0, true);
    rig.pass(ms(1000));
    assert_eq!(changes(&mut rig), [], "a flap inside the delay changes nothing");
    assert_eq!(rig.failures(0), 0);
}

#[test]
fn moving_away_from_a_member_in_downdelay_gives_it_no_grace() {
    let mut rig = Rig::up("mode=1 downdelay=300", 2);
    rig.link(0, false);
    rig.set_active(1);
    assert_eq!(rig.admissions(), [Admission::Nothing, Admission::AllButReflected]);
}

#[test]
fn a_returning_primary_replaces_a_member_in_downdelay_under_any_policy() {
    let mut rig = Rig::up("mode=1 downdelay=300 primary=eth0 primary_reselect=failure", 2);
    rig.link(0, false);
    rig.pass(ms(300));
    rig.link(1, false);
    rig.link(0, true);
    assert_eq!(rig.active(), Some(0));
}

#[test]
fn all_members_lost_and_back() {
    let mut rig = Rig::up("mode=1", 2);
    rig.link(1, false);
    rig.link(0, false);
    assert_eq!(rig.active(), None);
    assert!(!rig.bond.carrier());
    assert_eq!(
        changes(&mut rig),
        [active_changed(Some(0), None, ActiveCause::MemberDown), BondEvent::CarrierChanged(false)]
    );
    rig.link(1, true);
    assert_eq!(
        changes(&mut rig),
        [
            active_changed(None, Some(1), ActiveCause::FirstUsable),
            announce(1),
            BondEvent::CarrierChanged(true)
        ]
    );
}

#[test]
fn all_slaves_active_lets_frames_in_everywhere() {
    let mut rig = Rig::up("mode=1 all_slaves_active=1", 3);
    assert_eq!(rig.admissions(), [Admission::All, Admission::AllButReflected, Admission::AllButReflected]);
    rig.link(2, false);
    assert_eq!(rig.admissions()[2], Admission::Nothing);
    rig.set("all_slaves_active=0");
    assert_eq!(rig.admissions(), [Admission::All, Admission::Nothing, Admission::Nothing]);
}

#[test]
fn hotplug_with_another_device_number() {
    let mut rig = Rig::up("mode=1 downdelay=1000", 2);
    rig.bond.handle_link(rig.now, "eth0", None);
    assert_eq!(rig.active(), Some(1), "a device that is gone is not waited for");
    let text: Vec<String> = rig.events().iter().map(BondEvent::to_string).collect();
    assert_eq!(
        text,
        [
            "eth0: link status definitely down (device is gone), disabling it",
            "making eth1 the new active member (was eth0): active member down",
            "announcing learned addresses by device 1",
        ]
    );
    let mut report = rig.report(0, true);
    report.device = DeviceId(7);
    rig.bond.handle_link(rig.now, "eth0", Some(report));
    rig.set_active(0);
    assert_eq!(*rig.bond.plan(), TransmitPlan::One(DeviceId(7)));
}

#[test]
fn a_device_that_was_replaced_unnoticed_is_another_device() {
    let mut rig = Rig::up("mode=1", 2);
    let mut report = rig.report(0, true);
    report.device = DeviceId(7);
    let revision = rig.bond.revision();
    rig.bond.handle_link(rig.now, "eth0", Some(report.clone()));
    assert_eq!(rig.active(), Some(1));
    assert!(rig.bond.revision() > revision);
    rig.link(1, false);
    assert_eq!(*rig.bond.plan(), TransmitPlan::One(DeviceId(7)));
    let revision = rig.bond.revision();
    report.device = DeviceId(8);
    report.up = false;
    rig.bond.handle_link(rig.now, "eth0", Some(report));
    assert_eq!(rig.active(), None);
    assert!(rig.bond.revision() > revision);
}

#[test]
fn removing_the_active_member() {
    let mut rig = Rig::up("mode=1", 2);
    rig.bond.remove_member(rig.now, "eth0").unwrap();
    assert_eq!(rig.active(), Some(1));
    assert_eq!(
        changes(&mut rig),
        [active_changed(Some(0), Some(1), ActiveCause::MemberRemoved), announce(1)]
    );
    rig.bond.remove_member(rig.now, "eth1").unwrap();
    assert_eq!(
        changes(&mut rig),
        [active_changed(Some(1), None, ActiveCause::MemberRemoved), BondEvent::CarrierChanged(false)]
    );
    rig.pass(ms(5_000));
    assert_eq!(rig.events(), []);
}

#[test]
fn a_member_that_rejoins_is_the_last() {
    let mut rig = Rig::up("mode=1", 3);
    rig.bond.remove_member(rig.now, "eth0").unwrap();
    rig.bond.add_member(rig.now, "eth0").unwrap();
    rig.link(0, true);
    let names: Vec<&str> = rig.bond.members().iter().map(|member| member.name()).collect();
    assert_eq!(names, ["eth1", "eth2", "eth0"]);
    rig.link(1, false);
    assert_eq!(rig.active(), Some(2));
    let again = rig.bond.add_member(rig.now, "eth0");
    assert!(matches!(again, Err(BondError::AlreadyMember { .. })));
}

#[test]
fn the_mac_is_the_first_members_and_stays_until_the_last_has_left() {
    let mut rig = Rig::silent("mode=1", 2);
    assert_eq!(rig.bond.mac(), None);
    rig.link(1, false);
    assert_eq!(rig.bond.mac(), Some(mac(1)), "of the members that are known the first");
    rig.link(0, false);
    assert_eq!(rig.bond.mac(), Some(mac(0)), "reports came in another order");
    rig.bond.remove_member(rig.now, "eth0").unwrap();
    assert_eq!(rig.bond.mac(), Some(mac(0)));
    rig.bond.add_member(rig.now, "eth2").unwrap();
    rig.link(2, true);
    rig.bond.handle_link(rig.now, "eth2", None);
    rig.bond.remove_member(rig.now, "eth1").unwrap();
    assert_eq!(rig.bond.mac(), Some(mac(0)));
    rig.bond.remove_member(rig.now, "eth2").unwrap();
    assert_eq!(rig.bond.mac(), None);
}

#[test]
fn an_address_that_is_none_is_not_taken() {
    let mut rig = Rig::silent("mode=1", 2);
    let mut report = rig.report(0, true);
    report.mac = MacAddr::ZERO;
    rig.bond.handle_link(rig.now, "eth0", Some(report));
    assert_eq!(rig.bond.mac(), None);
    rig.link(1, true);
    assert_eq!(rig.bond.mac(), Some(mac(1)));
}

#[test]
fn a_first_member_that_appears_late_does_not_take_the_mac() {
    let mut rig = Rig::silent("mode=1", 2);
    rig.bond.handle_link(rig.now, "eth0", None);
    rig.link(1, true);
    rig.pass(ms(60_000));
    rig.link(0, true);
    assert_eq!(rig.bond.mac(), Some(mac(1)));
}

#[test]
fn restart_restores_the_active_member_in_any_order_of_reports() {
    for words in ["mode=1", "mode=1 updelay=5000", "mode=1 primary=eth0", "mode=1 primary=eth0 updelay=5000"]
    {
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut rig = Rig::silent(words, 3);
            rig.bond.restore_active("eth1");
            for member in order {
                rig.link(member, true);
                rig.link(member, true);
            }
            assert_eq!(rig.active(), Some(1), "{words} {order:?}");
            let events = changes(&mut rig);
            let announced: Vec<_> =
                events.iter().filter(|event| matches!(event, BondEvent::Announce { .. })).collect();
            assert_eq!(announced, [&announce(1)], "what is no longer true is not announced");
            rig.pass(ms(60_000));
            assert_eq!(rig.active(), Some(1));
            rig.link(1, false);
            rig.link(1, true);
            assert_eq!(rig.active(), Some(0), "{words}: the hint is not a primary");
        }
    }
}

#[test]
fn a_restored_member_is_not_driven_out_by_a_primary_that_may_not() {
    let mut rig = Rig::silent("mode=1 primary=eth0 primary_reselect=failure", 2);
    rig.bond.restore_active("eth1");
    rig.link(0, true);
    rig.link(1, true);
    rig.link(0, false);
    rig.link(0, true);
    assert_eq!(rig.active(), Some(1));
}

#[test]
fn a_member_that_joins_after_the_restart_has_its_updelay() {
    let mut rig = Rig::silent("mode=1 updelay=5000", 2);
    rig.bond.restore_active("eth1");
    rig.link(0, true);
    rig.link(1, true);
    assert_eq!((rig.link_state(0), rig.link_state(1)), (LinkState::Up, LinkState::Up));
    rig.bond.add_member(rig.now, "eth2").unwrap();
    rig.link(2, true);
    assert_eq!(rig.link_state(2), LinkState::GoingBack);
}

#[test]
fn a_hint_that_is_down_gone_or_unknown_is_forgotten() {
    for (word, up) in [("down", Some(false)), ("gone", None)] {
        let mut rig = Rig::silent("mode=1", 3);
        rig.bond.restore_active("eth1");
        let report = up.map(|up| rig.report(1, up));
        rig.bond.handle_link(rig.now, "eth1", report);
        rig.link(0, true);
        rig.link(1, true);
        assert_eq!(rig.active(), Some(0), "{word}");
    }
    let mut rig = Rig::silent("mode=1", 2);
    rig.bond.restore_active("eth9");
    rig.link(0, true);
    assert_eq!(rig.active(), Some(0));
}

#[test]
fn the_operator_overrules_the_hint() {
    let mut rig = Rig::silent("mode=1", 3);
    rig.bond.restore_active("eth1");
    rig.link(0, true);
    rig.link(1, true);
    rig.set_active(0);
    rig.link(2, true);
    assert_eq!(rig.active(), Some(0));
}

#[test]
fn a_late_first_report_of_the_hinted_member_does_not_move_anything() {
    let mut rig = Rig::silent("mode=1", 2);
    rig.bond.restore_active("eth1");
    rig.link(0, true);
    rig.link(0, false);
    rig.link(0, true);
    rig.link(1, true);
    assert_eq!(rig.active(), Some(0), "the first reports were over");
}

#[test]
fn status_tells_all() {
    let mut rig = Rig::up("mode=1 miimon=100 updelay=250 primary=eth1", 2);
    rig.link(0, false);
    rig.link(0, true);
    rig.pass(ms(50));
    let status = rig.bond.status(rig.now);
    assert_eq!((status.name.as_str(), status.mode.number(), status.carrier), ("bond0", Some(1), true));
    assert_eq!(status.active.as_deref(), Some("eth1"));
    assert_eq!((status.mac, status.updelay, status.downdelay), (Some(mac(0)), ms(200), ms(0)));
    assert_eq!(status.active_cause, Some(ActiveCause::PrimaryReturned));
    assert_eq!(status.active_changes, 2);
    assert!(status.options.contains(&("primary", "eth1".to_owned())));
    let [eth0, eth1] = &status.members[..] else { panic!("{status:?}") };
    assert_eq!((eth0.enabled, eth0.may_enable, eth0.active), (false, true, false));
    assert_eq!((eth0.link, eth0.link_age, eth0.delay_left), (LinkState::GoingBack, ms(50), Some(ms(150))));
    assert_eq!((eth0.link_failure_count, eth0.speed_mbps, eth0.mac), (1, Some(10_000), Some(mac(0))));
    assert_eq!((eth1.enabled, eth1.active, eth1.admission), (true, true, Admission::All));
}
