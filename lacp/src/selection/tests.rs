use super::*;

fn candidate(id: u32) -> Candidate {
    Candidate {
        aggregator: AggregatorId(id),
        individual: false,
        partner: true,
        ports: 1,
        bandwidth: 1000,
        port_priorities: 255,
        key: 9,
    }
}

fn chosen(policy: AdSelect, incumbent: u32, candidates: &[Candidate]) -> Option<(u32, Reason)> {
    let incumbent = (incumbent > 0).then_some(AggregatorId(incumbent));
    choose(policy, incumbent, candidates).map(|(id, reason)| (id.0, reason))
}

const POLICIES: [AdSelect; 4] =
    [AdSelect::Stable, AdSelect::Bandwidth, AdSelect::Count, AdSelect::ActorPortPrio];

#[test]
fn aggregating_and_partner_come_first_whatever_the_policy() {
    for policy in POLICIES {
        assert_eq!(chosen(policy, 1, &[]), None);
        assert_eq!(chosen(policy, 0, &[candidate(3)]), Some((3, Reason::Only)));
        let alone =
            Candidate { individual: true, bandwidth: 9000, ports: 9, port_priorities: 9000, ..candidate(1) };
        assert_eq!(chosen(policy, 0, &[alone, candidate(2)]), Some((2, Reason::Aggregates)));
        let silent = Candidate { partner: false, ..alone };
        let individual = Candidate { individual: true, ..candidate(2) };
        assert_eq!(chosen(policy, 0, &[silent, individual]), Some((2, Reason::Partner)));
        assert_eq!(chosen(policy, 1, &[silent, individual]), Some((2, Reason::Partner)), "even if in use");
        assert_eq!(chosen(policy, 0, &[candidate(1), candidate(2)]), Some((1, Reason::First)));
    }
}

#[test]
fn what_each_policy_looks_at() {
    let fast = Candidate { bandwidth: 10_000, ..candidate(2) };
    let many = Candidate { ports: 3, bandwidth: 3000, ..candidate(3) };
    let prior = Candidate { port_priorities: 5000, ..candidate(4) };
    let all = [candidate(1), fast, many, prior];
    assert_eq!(chosen(AdSelect::Stable, 0, &all), Some((2, Reason::Bandwidth)));
    assert_eq!(chosen(AdSelect::Bandwidth, 1, &all), Some((2, Reason::Bandwidth)));
    assert_eq!(chosen(AdSelect::Count, 1, &all), Some((3, Reason::Ports)));
    assert_eq!(chosen(AdSelect::ActorPortPrio, 1, &all), Some((4, Reason::PortPriorities)));
    let tied = [Candidate { bandwidth: 500, ..candidate(1) }, candidate(2)];
    assert_eq!(chosen(AdSelect::Count, 0, &tied), Some((2, Reason::Bandwidth)));
    let tied = [candidate(1), Candidate { ports: 2, ..candidate(2) }];
    assert_eq!(chosen(AdSelect::ActorPortPrio, 0, &tied), Some((2, Reason::Ports)));
}

#[test]
fn the_one_in_use_stays_if_it_works() {
    let fast = Candidate { bandwidth: 10_000, ..candidate(2) };
    assert_eq!(chosen(AdSelect::Stable, 1, &[candidate(1), fast]), Some((1, Reason::Stable)));
    assert_eq!(chosen(AdSelect::Stable, 1, &[fast]), Some((2, Reason::Only)), "it no longer works");
    let unknown_speed = Candidate { key: 0, ..candidate(1) };
    assert_eq!(chosen(AdSelect::Stable, 1, &[unknown_speed, fast]), Some((2, Reason::Bandwidth)));
    for policy in POLICIES {
        let alike = chosen(policy, 2, &[candidate(1), candidate(2)]).map(|(id, _)| id);
        assert_eq!(alike, Some(2), "{policy:?} moves nothing without need");
    }
    let silent = |id| Candidate { partner: false, individual: true, ..candidate(id) };
    let faster = Candidate { bandwidth: 9000, ..silent(2) };
    assert_eq!(chosen(AdSelect::Stable, 1, &[silent(1), faster]), Some((1, Reason::Stable)));
}

#[test]
fn the_order_of_candidates_does_not_matter_but_for_ties() {
    let many = Candidate { ports: 3, ..candidate(3) };
    for policy in POLICIES {
        let one = chosen(policy, 3, &[candidate(1), many]);
        let other = chosen(policy, 3, &[many, candidate(1)]);
        assert_eq!(one, other);
    }
}
