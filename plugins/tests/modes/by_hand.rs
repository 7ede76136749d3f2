//! Members that the operator takes out of use and puts back.

use bond_port::{ActiveCause, BondEvent};
use forwarding::tables::Admission;
use plugins::active_backup::GRACE;

use crate::rig::{Rig, ms, name};

fn disable(rig: &mut Rig, member: usize) {
    assert_eq!(rig.bond.disable_member(rig.now, &name(member)), Ok(true));
}

fn enable(rig: &mut Rig, member: usize) {
    assert_eq!(rig.bond.enable_member(rig.now, &name(member)), Ok(true));
}

#[test]
fn the_active_member_is_replaced_without_loss() {
    let mut rig = Rig::up("mode=1", 3);
    disable(&mut rig, 0);
    assert_eq!(rig.active(), Some(1));
    let text: Vec<String> = rig.events().iter().map(BondEvent::to_string).collect();
    assert_eq!(
        text,
        [
            "eth0: disabled by hand",
            "making eth1 the new active member (was eth0): active member disabled by hand",
            "announcing learned addresses by device 1",
        ]
    );
    assert_eq!(rig.admissions(), [Admission::Grace, Admission::AllButReflected, Admission::Nothing]);
    rig.pass(GRACE);
    assert_eq!(rig.admissions(), [Admission::Nothing, Admission::All, Admission::Nothing]);
    enable(&mut rig, 0);
    assert_eq!(rig.active(), Some(1), "what works stays");
    assert_eq!(rig.events(), [BondEvent::MemberDisabled { member: name(0), disabled: false }]);
}

#[test]
fn it_lasts_until_enabled_whatever_the_link_does() {
    for words in [
        "mode=0 updelay=500",
        "mode=1 updelay=500",
        "mode=2 updelay=500",
        "mode=2 hash_buckets=256",
        "mode=3 updelay=500",
        "mode=4 updelay=500",
    ] {
        let mut rig = Rig::up(words, 1);
        disable(&mut rig, 0);
        assert!(!rig.bond.carrier(), "{words}");
        rig.link(0, false);
        rig.link(0, true);
        assert!(!rig.bond.carrier(), "{words}: nor is updelay skipped for it");
        rig.pass(ms(1_000));
        rig.bond.handle_link(rig.now, "eth0", None);
        rig.link(0, true);
        rig.pass(ms(1_000));
        assert!(!rig.bond.carrier(), "{words}");
        enable(&mut rig, 0);
        if rig.bond.lacp().is_some() {
            rig.pass(ms(3_000));
        }
        assert!(rig.bond.carrier(), "{words}: at once, its link is up");
    }
}

#[test]
fn a_member_that_leaves_and_joins_is_enabled() {
    let mut rig = Rig::up("mode=2", 2);
    disable(&mut rig, 1);
    rig.bond.remove_member(rig.now, "eth1").unwrap();
    rig.bond.add_member(rig.now, "eth1").unwrap();
    rig.link(1, true);
    assert_eq!(rig.table(), [0, 1]);
}

#[test]
fn a_primary_that_is_enabled_takes_over_by_the_policy() {
    for (policy, expected) in [("always", 0), ("better", 1), ("failure", 1)] {
        let mut rig = Rig::up(&format!("mode=1 primary=eth0 primary_reselect={policy}"), 2);
        disable(&mut rig, 0);
        rig.events();
        enable(&mut rig, 0);
        assert_eq!(rig.active(), Some(expected), "{policy}");
    }
}

#[test]
fn in_xor_it_sends_nothing_and_receives() {
    let mut rig = Rig::up("mode=2", 3);
    disable(&mut rig, 1);
    assert_eq!(rig.table(), [0, 2]);
    assert_eq!(rig.admissions(), [Admission::AllButReflected; 3], "the switch goes on sending by it");
    enable(&mut rig, 1);
    assert_eq!(rig.table(), [0, 1, 2]);
}

#[test]
fn the_last_one() {
    let mut rig = Rig::up("mode=1", 2);
    disable(&mut rig, 0);
    disable(&mut rig, 1);
    assert_eq!(rig.active(), None);
    assert!(rig.events().contains(&BondEvent::CarrierChanged(false)));
    assert_eq!(rig.bond.status(rig.now).active_cause, Some(ActiveCause::MemberDisabled));
    enable(&mut rig, 1);
    assert_eq!(rig.active(), Some(1));
}

#[test]
fn what_the_operator_is_told() {
    let mut rig = Rig::up("mode=1", 2);
    disable(&mut rig, 1);
    assert_eq!(rig.bond.disable_member(rig.now, "eth1"), Ok(false));
    assert_eq!(rig.bond.enable_member(rig.now, "eth0"), Ok(false));
    assert_eq!(
        rig.bond.disable_member(rig.now, "eth7").unwrap_err().to_string(),
        "bond0 has no member eth7; its members are: eth0, eth1"
    );
    assert_eq!(
        rig.bond.set_active_member(rig.now, "eth1").unwrap_err().to_string(),
        "cannot make eth1 the active member of bond0: it is disabled by hand; enable it first \
         (vsctl bond/enable-member bond0 eth1)"
    );
    let status = rig.bond.status(rig.now);
    let told = |n: usize| {
        let member = &status.members[n];
        (member.enabled, member.may_enable, member.disabled)
    };
    assert_eq!((told(0), told(1)), ((true, true, false), (false, false, true)));
}
