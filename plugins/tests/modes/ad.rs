//! Mode 802.3ad, with a partner at the other end.

use bond_port::{BondEvent, LacpStatus, MemberOptions};
use forwarding::ids::DeviceId;
use forwarding::tables::Admission;
use lacp::State;

use crate::lacp_rig::Pair;
use crate::rig::ms;

const FAST: &str = "mode=4 lacp_rate=fast";
const CARRIES: State = State(State::COLLECTING.0 | State::DISTRIBUTING.0);

#[test]
fn members_join_and_carry() {
    let mut pair = Pair::new([FAST, FAST], 2);
    assert_eq!(pair.sides[0].bond.lacp_status(), LacpStatus::Configured);
    pair.link(0, true);
    pair.link(1, true);
    for side in &pair.sides {
        assert_eq!(side.senders(), [0, 1], "at once, without a wait");
        assert_eq!(side.admissions(), [Admission::All; 2]);
        assert_eq!(side.bond.lacp_status(), LacpStatus::Negotiated);
        let status = side.bond.status(pair.now);
        assert!(status.members.iter().all(|member| member.enabled && member.lacp_current == Some(true)));
    }
    let told: Vec<_> = pair.sides[0].events().iter().map(BondEvent::to_string).collect();
    assert!(told.iter().any(|text| text.starts_with("a1: joins the aggregate (LACP mux: ")), "{told:?}");
    assert!(told.contains(&"carrier on".to_owned()), "{told:?}");
}

#[test]
fn a_member_that_goes_down_and_comes_back() {
    let mut pair = Pair::up([FAST, FAST], 3);
    pair.link(1, false);
    assert_eq!(pair.sides.each_ref().map(|side| side.senders()), [vec![0, 2], vec![0, 2]]);
    assert_eq!(pair.sides[0].admissions(), [Admission::All, Admission::Nothing, Admission::All]);
    assert!(!pair.sides[0].bond.status(pair.now).members[1].enabled);
    let told: Vec<_> = pair.sides[0].events().iter().map(BondEvent::to_string).collect();
    assert!(told.iter().any(|text| text.starts_with("a2: leaves the aggregate")), "{told:?}");
    pair.link(1, true);
    pair.pass(ms(2_100));
    assert_eq!(pair.sides.each_ref().map(|side| side.senders()), [vec![0, 1, 2], vec![0, 1, 2]]);
}

#[test]
fn a_member_disabled_by_hand_says_farewell() {
    let mut pair = Pair::up([FAST, FAST], 2);
    // It has sent three LACPDUs this second already, maybe: the farewell does not wait for that.
    pair.change(|side, now| assert_eq!(side.bond.disable_member(now, "a2"), Ok(true)));
    assert_eq!(pair.sent.len(), 1, "{:?}", pair.sent);
    let (device, state) = pair.sent[0];
    assert_eq!((device, state.0 & (CARRIES.0 | State::SYNCHRONIZATION.0 | State::AGGREGATION.0)), (1, 0));
    assert_eq!(pair.sides.each_ref().map(|side| side.senders()), [vec![0], vec![0]], "both sides, at once");
    pair.pass(ms(20_000));
    assert!(pair.sent.iter().skip(1).all(|(device, _)| *device == 0), "and then nothing");
    pair.change(|side, now| assert_eq!(side.bond.enable_member(now, "a2"), Ok(true)));
    pair.pass(ms(2_100));
    assert_eq!(pair.sides.each_ref().map(|side| side.senders()), [vec![0, 1], vec![0, 1]]);
    // One that speaks no LACP, or whose link is down, has nothing to say.
    let mut pair = Pair::up(["mode=2", FAST], 1);
    pair.change(|side, now| assert_eq!(side.bond.disable_member(now, "a1"), Ok(true)));
    assert_eq!(pair.sent, []);
}

#[test]
fn without_a_partner_one_member_carries_and_announces() {
    let mut pair = Pair::up([FAST, FAST], 2);
    pair.cut = vec![true; 2];
    pair.pass(ms(3_000));
    assert_eq!(pair.sides[0].senders(), [] as [u16; 0], "the partner may come back");
    pair.sides[0].events();
    pair.pass(ms(4_000));
    let side = &mut pair.sides[0];
    assert_eq!(side.senders(), [0]);
    assert_eq!(side.admissions(), [Admission::AllButReflected, Admission::Nothing]);
    assert_eq!(side.bond.lacp_status(), LacpStatus::Configured);
    let events = side.events();
    assert!(events.contains(&BondEvent::Announce { member: DeviceId(0), buckets: None }), "{events:?}");

    pair.set(&format!("{FAST} all_slaves_active=1"));
    assert_eq!(pair.sides[0].admissions(), [Admission::AllButReflected; 2]);
    pair.set(FAST);
    assert_eq!(pair.sides[0].admissions()[1], Admission::Nothing);
    pair.cut = vec![false; 2];
    pair.pass(ms(4_000));
    assert_eq!(pair.sides.each_ref().map(|side| side.senders()), [vec![0, 1], vec![0, 1]]);
    assert_eq!(pair.sides[0].admissions(), [Admission::All; 2]);
}

#[test]
fn lacp_strict_forbids_that() {
    let mut pair = Pair::new(["mode=4 lacp_rate=fast lacp_strict=on", FAST], 2);
    pair.cut = vec![true; 2];
    pair.link(0, true);
    pair.link(1, true);
    pair.pass(ms(60_000));
    assert!(!pair.sides[0].bond.carrier());
    assert_eq!(pair.sides[0].admissions(), [Admission::Nothing; 2]);
    assert_eq!(pair.sides[1].senders(), [0]);
    pair.set(FAST);
    assert_eq!(pair.sides[0].senders(), [0], "alive");
}

#[test]
fn fewer_than_min_links_are_none() {
    let mut pair = Pair::up(["mode=4 lacp_rate=fast min_links=2", FAST], 3);
    pair.link(0, false);
    assert_eq!(pair.sides[0].senders(), [1, 2]);
    pair.link(1, false);
    assert_eq!((pair.sides[0].senders(), pair.sides[0].bond.carrier()), (vec![], false));
    assert!(pair.sides[0].events().contains(&BondEvent::CarrierChanged(false)));
    pair.set(FAST);
    assert_eq!(pair.sides[0].senders(), [2]);
}

#[test]
fn max_links_keeps_members_in_reserve() {
    let mut pair = Pair::up(["mode=4 lacp_rate=fast max_links=1 ad_actor_sys_prio=1", FAST], 2);
    assert_eq!(pair.sides.each_ref().map(|side| side.senders()), [vec![0], vec![0]]);
    let prefer = MemberOptions {
        lacp: lacp::PortOptions { actor_port_prio: 1, ..lacp::PortOptions::default() },
        ..MemberOptions::default()
    };
    pair.change(|side, now| assert_eq!(side.bond.set_member_options(now, "a2", prefer), Ok(true)));
    pair.pass(ms(3_000));
    assert_eq!(pair.sides.each_ref().map(|side| side.senders()), [vec![1], vec![1]], "the lower wins");
    pair.link(1, false);
    pair.pass(ms(100));
    assert_eq!(pair.sides.each_ref().map(|side| side.senders()), [vec![0], vec![0]]);
}

#[test]
fn members_swap_their_numbers() {
    let mut pair = Pair::up([FAST, FAST], 2);
    assert_eq!([0, 1].map(|member| pair.sides[0].port(member).actor.port), [1, 2]);
    for (member, number) in [("a1", "2"), ("a2", "1")] {
        pair.change(|side, now| {
            assert!(side.bond.set_member_option(now, member, "lacp_port_id", number).is_ok());
        });
    }
    pair.pass(ms(5_000));
    assert_eq!([0, 1].map(|member| pair.sides[0].port(member).actor.port), [2, 1]);
    assert_eq!([0, 1].map(|member| pair.sides[1].port(member).partner.port), [2, 1]);
    assert_eq!(pair.sides.each_ref().map(|side| side.senders()), [vec![0, 1], vec![0, 1]]);
}

#[test]
fn the_mode_is_changed_there_and_back() {
    let mut pair = Pair::up([FAST, FAST], 2);
    pair.set("mode=2");
    assert_eq!(pair.sides[0].senders(), [0, 1]);
    assert_eq!(pair.sides[0].bond.lacp_status(), LacpStatus::Off);
    pair.sent.clear();
    pair.pass(ms(10_000));
    assert_eq!(pair.sent, [], "it speaks no more");
    assert_eq!(pair.sides[1].senders(), [0], "the other side has nobody to speak with");
    pair.set(FAST);
    pair.pass(ms(3_000));
    assert_eq!(pair.sides.each_ref().map(|side| side.senders()), [vec![0, 1], vec![0, 1]]);
}

#[test]
fn a_link_is_up_for_lacp_when_updelay_is_over() {
    let words = "mode=4 lacp_rate=fast updelay=5000";
    let mut pair = Pair::new([words, FAST], 2);
    pair.link(0, true);
    assert_eq!(pair.sides[0].senders(), [0], "nothing else is there: updelay is skipped");
    pair.link(1, true);
    pair.pass(ms(4_900));
    assert_eq!(pair.sides[0].senders(), [0]);
    assert!(!pair.sides[0].port(1).link.up && pair.sent.iter().all(|(device, _)| *device == 0));
    pair.pass(ms(1_200));
    assert_eq!(pair.sides.each_ref().map(|side| side.senders()), [vec![0, 1], vec![0, 1]]);
}

#[test]
fn what_is_not_in_force_is_not_told() {
    let mut pair = Pair::new([FAST, FAST], 1);
    pair.confirms[0] = false;
    pair.link(0, true);
    pair.pass(ms(5_000));
    assert!(pair.sides[0].bond.is_unconfirmed());
    assert!(pair.sent.iter().all(|(_, state)| state.0 & CARRIES.0 == 0), "{:?}", pair.sent);
    assert!(pair.sent.iter().any(|(_, state)| state.contains(State::SYNCHRONIZATION)));
    pair.confirms[0] = true;
    pair.sent.clear();
    pair.settle();
    pair.pass(ms(1_000));
    assert!(pair.sent.last().is_some_and(|(_, state)| state.contains(CARRIES)), "{:?}", pair.sent);
}

#[test]
fn a_partner_by_name() {
    // What the partner says of itself is what it is.
    let pair = Pair::up(
        [FAST, "mode=4 ad_actor_system=02:00:00:00:00:99 ad_actor_sys_prio=7 ad_user_port_key=3"],
        1,
    );
    let partner = pair.sides[0].port(0).partner;
    assert_eq!((partner.system, partner.system_priority), ([2, 0, 0, 0, 0, 0x99], 7));
    assert_eq!((partner.key, partner.port), (3 << 6 | 15, 1));
}
