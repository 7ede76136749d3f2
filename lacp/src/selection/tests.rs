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

/// What is compared, in order, written as one number: more is better.
fn worth(policy: AdSelect, c: &Candidate) -> [u64; 5] {
    let (ports, bandwidth) = (u64::from(c.ports), c.bandwidth);
    let by_policy = match policy {
        AdSelect::Stable | AdSelect::Bandwidth => [bandwidth, 0, 0],
        AdSelect::Count => [ports, bandwidth, 0],
        AdSelect::ActorPortPrio => [c.port_priorities, ports, bandwidth],
    };
    let [a, b, d] = by_policy;
    [u64::from(!c.individual), u64::from(c.partner), a, b, d]
}

/// Two candidates that differ in whatever there is, under each policy, with either, none or a third one in use.
#[test]
fn every_choice_between_two() {
    let kinds: Vec<Candidate> = (0..64u8)
        .map(|bits| {
            let bit = |n: u8| bits >> n & 1 == 1;
            Candidate {
                individual: bit(0),
                partner: bit(1),
                ports: 1 + u32::from(bit(2)),
                bandwidth: 1000 * (1 + u64::from(bit(3))),
                port_priorities: 255 * (1 + u64::from(bit(4))),
                key: if bit(5) { 9 } else { 0 },
                ..candidate(0)
            }
        })
        .collect();
    let mut reasons = std::collections::HashSet::new();
    for policy in POLICIES {
        for (first, second) in kinds.iter().flat_map(|a| kinds.iter().map(move |b| (a, b))) {
            let two = [
                Candidate { aggregator: AggregatorId(1), ..*first },
                Candidate { aggregator: AggregatorId(2), ..*second },
            ];
            let (one, other) = (worth(policy, &two[0]), worth(policy, &two[1]));
            for incumbent in 0..4u32 {
                let in_use = two.iter().find(|c| c.aggregator.0 == incumbent);
                let best = if other > one { &two[1] } else { &two[0] };
                // ad_select=stable: it works with a partner, or there is none anywhere; and its speed is known, or no
                // speed is.
                let claim = |c: &&Candidate| {
                    let partner = c.partner || !best.partner;
                    policy == AdSelect::Stable && partner && (c.key != 0 || best.key == 0)
                };
                let expected = match in_use {
                    Some(in_use) if claim(&in_use) || one == other => in_use.aggregator.0,
                    _ => best.aggregator.0,
                };
                let (found, reason) = chosen(policy, incumbent, &two).unwrap();
                assert_eq!(found, expected, "{policy:?}, {incumbent} in use: {two:#?}");
                reasons.insert(reason);
            }
        }
    }
    assert_eq!(reasons.len(), 7, "all but \"there is no other\": {reasons:?}");
}
