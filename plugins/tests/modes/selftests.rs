//! The cases of the Linux bonding selftests for active-backup and balance-xor, in virtual time. (The number of
//! announcements is in `active_backup`.)

use bond_port::{ActiveCause, BondEvent, LinkState};

use crate::rig::{Rig, ms, name};

const POLICIES: [&str; 3] = ["0", "1", "2"];

fn prio(rig: &mut Rig, member: usize, prio: i32) -> Vec<String> {
    rig.bond.set_member_option(rig.now, &name(member), "prio", &prio.to_string()).unwrap()
}

/// Three members with priorities 0, 10, 11.
fn with_prios(words: &str) -> Rig {
    let mut rig = Rig::up(words, 3);
    for (member, value) in [(0, 0), (1, 10), (2, 11)] {
        prio(&mut rig, member, value);
        assert_eq!(rig.bond.status(rig.now).members[member].prio, value);
    }
    rig
}

/// `bond_options.sh`, case `prio`: primary_reselect 0, 1, 2 with primary eth1.
#[test]
fn prio_and_primary_reselect() {
    for policy in POLICIES {
        let always = policy == "0";
        let mut rig = with_prios(&format!("mode=1 miimon=100 primary=eth1 primary_reselect={policy}"));
        let steps = |rig: &mut Rig, member: usize, up: bool, expected: usize| {
            rig.link(member, up);
            rig.pass(ms(2_000));
            assert_eq!(rig.active(), Some(expected), "policy {policy}: eth{member} {up}");
        };
        assert_eq!(rig.active(), Some(1), "{policy}");
        steps(&mut rig, 1, false, 2);
        steps(&mut rig, 2, false, 0);
        let last = if always { 2 } else { 0 };
        steps(&mut rig, 2, true, last);
        let last = if always { 1 } else { last };
        steps(&mut rig, 1, true, last);
        if policy == "2" {
            steps(&mut rig, last, false, 1);
            steps(&mut rig, last, true, 1);
        } else if !always {
            rig.set("primary=");
            rig.set("primary=eth1");
            assert_eq!(rig.active(), Some(1));
        }

        for (member, value) in [(0, 1_000_000), (1, 0), (2, -50)] {
            let warnings = prio(&mut rig, member, value);
            let expected = usize::from(value != 0);
            assert_eq!(warnings.len(), expected, "a prio that decides nothing is told: {warnings:?}");
            assert_eq!(rig.active(), Some(1), "{policy}: the primary is up");
        }
        steps(&mut rig, 1, false, 0);
    }
}

/// What happens to a member with a better prio when there is no primary: by the policy, as with a primary.
#[test]
fn without_a_primary_the_better_prio_wins() {
    for policy in POLICIES {
        let mut rig = Rig::silent(&format!("mode=1 primary_reselect={policy}"), 3);
        for (member, value) in [(0, -7), (1, 10), (2, 10)] {
            assert_eq!(prio(&mut rig, member, value), [""; 0]);
        }
        rig.link(0, true);
        assert_eq!(rig.active(), Some(0));
        rig.link(2, true);
        let expected = if policy == "0" { 2 } else { 0 };
        assert_eq!(rig.active(), Some(expected), "{policy}");
        rig.link(1, true);
        assert_eq!(rig.active(), Some(expected), "{policy}: as good is not better");
        rig.link(expected, false);
        assert_eq!(rig.active(), Some(1), "{policy}: of the best the first");
        let cause = rig.bond.status(rig.now).active_cause;
        assert_eq!(cause, Some(ActiveCause::MemberDown));
    }
}

#[test]
fn a_better_prio_that_is_faster_wins_under_better() {
    let mut rig = with_prios("mode=1 primary_reselect=better");
    assert_eq!(rig.active(), Some(0), "all are as fast");
    rig.link(2, false);
    let mut report = rig.report(2, true);
    report.speed_mbps = Some(25_000);
    rig.events();
    rig.bond.handle_link(rig.now, "eth2", Some(report));
    assert_eq!(rig.active(), Some(2));
    let cause = ActiveCause::BetterPrio;
    let change = BondEvent::ActiveChanged { old: Some(name(0)), new: Some(name(2)), cause };
    assert!(rig.events().contains(&change));
}

#[test]
fn a_prio_written_at_run_time_reselects() {
    let mut rig = Rig::up("mode=1", 3);
    prio(&mut rig, 2, 5);
    assert_eq!(rig.active(), Some(2));
    assert_eq!(rig.bond.status(rig.now).active_cause, Some(ActiveCause::OptionsChanged));
    prio(&mut rig, 0, 4);
    assert_eq!(rig.active(), Some(2));
    prio(&mut rig, 2, 3);
    assert_eq!(rig.active(), Some(0), "the active member's own");
    rig.set_active(1);
    assert_eq!(rig.active(), Some(1), "by hand against the prio");
    rig.link(2, false);
    rig.link(2, true);
    assert_eq!(rig.active(), Some(0), "Linux: a better one that comes up makes it select, the best of all");
    rig.set_active(1);
    rig.set("primary_reselect=failure");
    assert_eq!(rig.active(), Some(1));
    prio(&mut rig, 1, -1);
    assert_eq!(rig.active(), Some(1), "the policy keeps what works");
    rig.set("primary_reselect=always");
    assert_eq!(rig.active(), Some(0), "a policy that is written makes it select");
}

/// The primary is a member and down: prio decides who stands in, and a prio that is written is only stored (Linux).
#[test]
fn a_primary_that_is_down_stores_a_prio() {
    let mut rig = Rig::up("mode=1 primary=eth0", 3);
    rig.link(0, false);
    assert_eq!(rig.active(), Some(1));
    assert_eq!(prio(&mut rig, 2, 50).len(), 1);
    assert_eq!(rig.active(), Some(1));
    rig.link(1, false);
    rig.link(1, true);
    assert_eq!(rig.active(), Some(2));
    rig.link(0, true);
    assert_eq!(rig.active(), Some(0));
    rig.set("primary=");
    assert_eq!(rig.active(), Some(2), "without a primary prio decides");
}

#[test]
fn member_options_are_refused_in_words() {
    let mut rig = Rig::up("mode=1", 2);
    let mut refused = |member: &str, key: &str, value: &str| {
        rig.bond.set_member_option(rig.now, member, key, value).unwrap_err().to_string()
    };
    assert_eq!(refused("eth9", "prio", "1"), "bond0 has no member eth9; its members are: eth0, eth1");
    assert_eq!(
        refused("eth1", "prio", "high"),
        "member eth1 of bond0: member option prio: \"high\" is not a valid value; allowed: -2147483648 to 2147483647"
    );
    let options = rig.bond.member("eth1").unwrap().options().clone();
    assert_eq!(rig.bond.set_member_options(rig.now, "eth1", options), Ok(false));
    let warnings = Rig::up("mode=2", 1).bond.set_member_option(ms(0), "eth0", "prio", "3").unwrap();
    assert!(warnings[0].contains("no active member"));
}

/// `mode-1-recovery-updelay.sh` and `mode-2-recovery-updelay.sh`: link 1 is down for 2 s and comes up while link 2 goes
/// down; `updelay` is ignored when no member is up.
#[test]
fn recovery_updelay() {
    for mode in [1, 2] {
        for updelay in (0..=10_000).step_by(250) {
            for (apart, back_first) in [(0, true), (50, true), (1_900, true), (0, false), (700, false)] {
                let case =
                    format!("mode {mode} updelay {updelay}, {apart} ms apart, back first: {back_first}");
                let mut rig = Rig::up(&format!("mode={mode} miimon=50 updelay={updelay}"), 2);
                rig.link(0, false);
                rig.pass(ms(2_000));
                rig.events();
                for (member, up) in if back_first { [(0, true), (1, false)] } else { [(1, false), (0, true)] }
                {
                    rig.link(member, up);
                    rig.pass(ms(if member == usize::from(!back_first) { apart } else { 0 }));
                }
                assert!(rig.bond.carrier(), "{case}: at once");
                assert_eq!(rig.link_state(0), LinkState::Up, "{case}");
                if mode == 1 {
                    assert_eq!(rig.active(), Some(0), "{case}");
                } else {
                    assert_eq!(rig.table(), [0], "{case}");
                }
                let lost = rig.events().contains(&BondEvent::CarrierChanged(false));
                assert_eq!(lost, !back_first, "{case}: carrier flickers only if both are down at a time");
            }
        }
    }
}
