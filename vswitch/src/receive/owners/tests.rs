use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

const AGE: Duration = Duration::from_secs(600);
const VLAN: u16 = 7;

fn ip(n: u16) -> IpAddr {
    let [high, low] = n.to_be_bytes();
    [10, 0, high, low].into()
}

fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

fn at(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

fn says(owners: &mut Owners, now: u64, guest: u8, n: u16, alive: bool) -> Claimed {
    owners.claim(at(now), (VLAN, ip(n)), (PortId(guest.into()), mac(guest)), |_, _| alive)
}

#[test]
fn the_first_has_it_until_it_is_gone() {
    let mut owners = Owners::default();
    assert_eq!(says(&mut owners, 1, 1, 9, true), Claimed::New);
    assert_eq!(says(&mut owners, 2, 1, 9, true), Claimed::Known);
    let first = Owner { mac: mac(1), port: PortId(1), seen: at(2) };
    assert_eq!(says(&mut owners, 3, 2, 9, true), Claimed::Refused(first));
    assert_eq!((owners.owner(VLAN, ip(9)), owners.refused()), (Some(&first), 1));
    // In another VLAN it is another address.
    assert_eq!(owners.owner(VLAN + 1, ip(9)), None);
    // The FDB has forgotten the first.
    assert_eq!(says(&mut owners, 4, 2, 9, false), Claimed::New);
    assert_eq!(owners.guests().owner(VLAN, ip(9)), Some(mac(2)));
    assert_eq!(owners.len(), 1);
}

#[test]
fn a_guest_may_change_its_port() {
    let mut owners = Owners::default();
    assert_eq!(says(&mut owners, 1, 1, 9, true), Claimed::New);
    let moved = owners.claim(at(2), (VLAN, ip(9)), (PortId(5), mac(1)), |_, _| true);
    assert_eq!((moved, owners.owner(VLAN, ip(9)).unwrap().port), (Claimed::Known, PortId(5)));
    owners.forget_port(PortId(1));
    assert_eq!((owners.len(), owners.take_gone()), (1, vec![]));
    owners.forget_port(PortId(5));
    assert!(owners.is_empty());
    assert_eq!(owners.take_gone(), [(VLAN, ip(9))]);
}

#[test]
fn silence_ends_it_but_life_does_not() {
    let mut owners = Owners::default();
    says(&mut owners, 0, 1, 9, true);
    says(&mut owners, 0, 2, 8, true);
    let first_lives = |_: u16, owner: &Owner| {
        if owner.mac == mac(1) { Life::Here(PortId(6)) } else { Life::Unknown }
    };
    owners.sweep(AGE - at(1), first_lives);
    assert_eq!(owners.take_gone(), []);
    owners.sweep(AGE, first_lives);
    assert_eq!(owners.take_gone(), [(VLAN, ip(8))]);
    let moved = Owner { mac: mac(1), port: PortId(6), seen: AGE };
    assert_eq!((owners.len(), owners.owner(VLAN, ip(9))), (1, Some(&moved)));
    // Too old to be defended, though nobody has swept yet.
    assert_eq!(says(&mut owners, 1300, 2, 9, true), Claimed::New);
}

#[test]
fn a_loud_port_loses_its_own() {
    let mut owners = Owners::new(Limits { addresses: 4, age: AGE });
    says(&mut owners, 0, 1, 1, true);
    says(&mut owners, 0, 1, 2, true);
    for n in 10..30 {
        assert_eq!(says(&mut owners, n.into(), 2, n, true), Claimed::New);
    }
    let mut left: Vec<_> = owners.iter().map(|((_, ip), _)| ip).collect();
    left.sort();
    assert_eq!(left, [ip(1), ip(2), ip(28), ip(29)]);
    // A third port takes from the one that has most, or, where all have the same, from any.
    assert_eq!(says(&mut owners, 40, 3, 40, true), Claimed::New);
    assert_eq!(owners.len(), 4);
}

#[test]
fn who_has_gone_beyond_a_bond_is_forgotten_soon_but_not_at_once() {
    let mut owners = Owners::default();
    says(&mut owners, 0, 1, 9, true);
    owners.sweep(at(9), |_, _| Life::Beyond);
    assert_eq!(owners.len(), 1);
    // The FDB had been misled.
    owners.sweep(at(9), |_, owner| Life::Here(owner.port));
    owners.sweep(at(18), |_, _| Life::Beyond);
    assert_eq!(owners.len(), 1);
    owners.sweep(at(19), |_, _| Life::Beyond);
    assert_eq!((owners.len(), owners.take_gone()), (0, vec![(VLAN, ip(9))]));
}

/// Polls until nothing is to be done; how often the owner was asked, and who has the address after how long.
fn fight(owners: &mut Owners, from: Duration, answers: bool) -> (usize, Option<MacAddr>, Duration) {
    let (mut asked, mut now) = (0, from);
    while let Some(next) = owners.next_deadline() {
        now = next;
        for verdict in owners.poll_contests(now) {
            match verdict {
                Verdict::Ask { key, owner } => {
                    asked += 1;
                    if answers {
                        owners.claim(now, key, (owner.port, owner.mac), |_, _| true);
                    }
                }
                Verdict::Kept { key } => assert!(answers && !owners.is_disputed(&key)),
                Verdict::Lost { owner, .. } => assert_eq!(owner.mac, mac(1)),
            }
        }
    }
    (asked, owners.owner(VLAN, ip(9)).map(|owner| owner.mac), now - from)
}

#[test]
fn who_does_not_stand_up_for_its_address_loses_it() {
    let key = (VLAN, ip(9));
    let thief = (PortId(2), mac(2));
    let within = Duration::from_millis(900);
    for (by, heir) in [(Some(thief), Some(mac(2))), (None, None)] {
        let mut owners = Owners::default();
        says(&mut owners, 0, 1, 9, true);
        owners.contest(at(1), key, by);
        owners.contest(at(1), key, None);
        assert_eq!(
            owners.is_disputed(&key),
            by.is_none(),
            "a guest of ours is not believed before the other is gone"
        );
        assert_eq!(fight(&mut owners, at(1), true), (1, Some(mac(1)), within));
        owners.contest(at(5), key, by);
        assert_eq!(fight(&mut owners, at(5), false), (3, heir, within));
        assert_eq!(owners.take_gone().is_empty(), heir.is_some());
        assert_eq!(owners.next_deadline(), None);
    }
    // What nobody has can't be contested.
    let mut owners = Owners::default();
    owners.contest(at(1), key, None);
    assert_eq!(owners.next_deadline(), None);
}

#[test]
fn contests_are_bounded_and_nobody_loses_by_that() {
    let mut owners = Owners::default();
    for n in 0..1000 {
        says(&mut owners, 0, 1, n, true);
    }
    (0..1000).for_each(|n| owners.contest(at(1), (VLAN, ip(n)), None));
    assert_eq!(owners.poll_contests(at(1)).len(), 256);
    while let Some(next) = owners.next_deadline() {
        owners.poll_contests(next);
    }
    assert_eq!((owners.len(), owners.take_gone().len()), (744, 256));
}

#[test]
fn what_a_predecessor_knew_gives_way_to_what_is_heard() {
    let mut owners = Owners::default();
    says(&mut owners, 5, 1, 9, true);
    let old = Owner { mac: mac(3), port: PortId(3), seen: at(0) };
    owners.restore([((VLAN, ip(9)), old), ((VLAN, ip(8)), old)]);
    assert_eq!(owners.guests().owner(VLAN, ip(9)), Some(mac(1)));
    assert_eq!(owners.guests().owner(VLAN, ip(8)), Some(mac(3)));
}

proptest! {
    /// Whatever is claimed: bounded, counted right, and an address never changes hands while its owner is alive.
    #[test]
    fn bounded_and_fair(claims in vec((0..4u8, 0..12u16, any::<bool>()), 1..200)) {
        let mut owners = Owners::new(Limits { addresses: 6, age: AGE });
        for (now, (guest, n, alive)) in claims.into_iter().enumerate() {
            let before = owners.owner(VLAN, ip(n)).copied();
            let claimed = says(&mut owners, now as u64, guest, n, alive);
            let after = owners.owner(VLAN, ip(n)).unwrap();
            match before {
                Some(before) if before.mac != mac(guest) && alive => {
                    prop_assert_eq!((claimed, *after), (Claimed::Refused(before), before));
                }
                _ => prop_assert_eq!(after.mac, mac(guest)),
            }
            prop_assert!(owners.len() <= 6);
            prop_assert_eq!(owners.by_port.values().sum::<usize>(), owners.len());
        }
    }
}
