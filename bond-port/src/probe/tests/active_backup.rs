//! Active-backup (`bond_activebackup_arp_mon`).

use super::*;

#[test]
fn only_the_active_member_asks_and_others_hear_it() {
    let mut rig = Rig::new(options(Validate::All), &[A, B, C], Some(B));
    for _ in 0..20 {
        rig.interval(&[(B, reply(T1, B)), (A, request(B, T1)), (C, request(B, T1))]);
        assert_eq!(rig.senders(), [B]);
    }
    assert_eq!(rig.alive(), [true, true, true]);
    for _ in 0..4 {
        rig.interval(&[(B, reply(T1, B)), (A, request(B, T1))]);
    }
    assert_eq!(rig.alive(), [true, true, false], "3.5 intervals are a backup's");
}

#[test]
fn a_backup_has_one_interval_more_than_the_active_member() {
    let mut rig = Rig::new(options(Validate::All), &[A, B], Some(A));
    for _ in 0..6 {
        rig.interval(&[(A, reply(T1, A)), (B, request(A, T1))]);
    }
    // The last sign of life of both was 90 ms ago.
    rig.silence(2);
    assert_eq!(rig.alive(), [true, true]);
    rig.silence(1);
    assert_eq!(rig.alive(), [false, true]);
    rig.silence(1);
    assert_eq!(rig.alive(), [false, false]);
}

#[test]
fn a_member_just_made_active_has_two_intervals_and_a_half() {
    let mut rig = Rig::new(options(Validate::All), &[A, B], Some(A));
    for _ in 0..6 {
        rig.interval(&[(A, reply(T1, A)), (B, request(A, T1))]);
    }
    rig.silence(2);
    rig.set_active(Some(B));
    rig.silence(3);
    assert!(rig.alive()[1], "its last sign of life is long ago");
    rig.silence(1);
    assert!(!rig.alive()[1]);
}

#[test]
fn backups_are_not_judged_by_requests_before_the_active_member_was_heard() {
    let mut rig = Rig::new(options(Validate::All), &[A, B], Some(A));
    // The switch floods the requests, but the target is dead.
    for _ in 0..5 {
        rig.interval(&[(B, request(A, T1))]);
    }
    assert_eq!(rig.alive(), [false, false]);
}

#[test]
fn with_no_active_member_they_ask_in_turn_until_one_hears_something() {
    let mut rig = Rig::new(options(Validate::All), &[A, B, C], Some(A));
    rig.silence(6);
    assert_eq!(rig.alive(), [false, false, false]);
    rig.set_active(None);
    rig.events();
    let mut order = Vec::new();
    for _ in 0..4 {
        rig.silence(1);
        order.extend(rig.senders());
    }
    assert_eq!(order, [B, C, A, B], "beginning behind the first");
    rig.set_carrier(C, false);
    rig.interval(&[(A, reply(T1, A))]);
    assert_eq!(rig.senders(), [A], "C has no carrier");
    rig.tick();
    assert_eq!(rig.alive(), [true, false, false]);
    let alive = |event: &Event| matches!(event, Event::Verdict { member: A, alive: true, .. });
    assert!(rig.events().iter().any(alive));
}

#[test]
fn a_candidates_answer_counts_by_whichever_member_it_comes() {
    let mut rig = Rig::new(options(Validate::All), &[A, B], Some(A));
    rig.silence(6);
    rig.set_active(None);
    rig.interval(&[]);
    assert_eq!(rig.senders(), [B]);
    rig.interval(&[(B, reply(T1, A))]);
    assert_eq!(rig.senders(), [A], "A has asked, B hears the answer");
    rig.tick();
    assert_eq!(rig.alive(), [false, true]);
}

#[test]
fn backups_are_left_alone_while_there_is_no_active_member() {
    let mut rig = Rig::new(options(Validate::All), &[A, B], Some(A));
    rig.set_active(None);
    rig.silence(1);
    assert_eq!(rig.senders(), [B]);
    rig.silence(10);
    assert!(rig.alive().contains(&true), "somebody asks, who would be heard by nobody: {:?}", rig.alive());
}

#[test]
fn an_active_member_that_has_lost_its_carrier_does_not_ask() {
    let mut rig = Rig::new(options(Validate::All), &[A, B], Some(A));
    rig.set_carrier(A, false);
    rig.tick();
    assert_eq!(rig.senders(), []);
}
