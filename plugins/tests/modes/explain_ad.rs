//! What `bond/explain` and `/proc/net/bonding` say of mode 802.3ad.

use bond_port::{BondEvent, LinkReport, Weight};

use crate::lacp_rig::Pair;
use crate::rig::ms;

const FAST: &str = "mode=4 lacp_rate=fast";

/// Linux decides about churn a minute after a link came up and says "monitoring" until then.
fn as_linux(text: &str) -> String {
    text.replace("Churn State: none", "Churn State: monitoring")
}

#[test]
fn two_bonds_as_the_driver_shows_them() {
    let pair = Pair::up(
        [
            "mode=4 miimon=100 lacp_rate=fast xmit_hash_policy=layer3+4",
            "mode=4 miimon=50 updelay=100 downdelay=50 min_links=1 ad_select=count ad_actor_sys_prio=100 \
             ad_user_port_key=5",
        ],
        2,
    );
    let golden = [
        include_str!("../../../bond-port/tests/data/proc-802.3ad-negotiated.txt"),
        include_str!("../../../bond-port/tests/data/proc-802.3ad-options.txt"),
    ];
    for (side, golden) in pair.sides.iter().zip(golden) {
        assert_eq!(as_linux(&side.bond.proc_text("6.1.0-56-cloud-amd64")), golden);
    }
}

#[test]
fn a_bond_without_a_partner_and_one_without_members() {
    let mut pair = Pair::new(["mode=4 miimon=100 lacp_rate=fast", FAST], 2);
    pair.cut = vec![true; 2];
    pair.link(0, true);
    pair.link(1, false);
    pair.pass(ms(10_000));
    let golden = include_str!("../../../bond-port/tests/data/proc-802.3ad-alone.txt");
    // The driver's bond carries frames while its flags say that it does not; and it knows nothing of its partner.
    let expected = golden
        .replace("0c:0", "0a:0")
        .replace("Interface: c", "Interface: a")
        .replace("port state: 79", "port state: 127")
        .replacen("port state: 0", "port state: 58", 1)
        .replacen("port state: 0", "port state: 50", 1);
    assert_eq!(as_linux(&pair.sides[0].bond.proc_text("6.1.0-56-cloud-amd64")), expected);

    let empty = Pair::new(["mode=4 miimon=100 lacp_active=off", FAST], 0);
    let golden = include_str!("../../../bond-port/tests/data/proc-802.3ad-empty.txt");
    let text = empty.sides[0].bond.proc_text("6.1.0-56-cloud-amd64");
    assert_eq!(text, golden.replace("bond empty", "bond bond0"));
}

#[test]
fn members_that_carry() {
    let pair = Pair::up([FAST, FAST], 2);
    let (summary, members) = pair.explain();
    assert_eq!(
        summary,
        "bond0 (802.3ad) has carrier: 2 of 2 members send, picked by the layer2 hash modulo 2; aggregator 1 is in use: \
         there is no other"
    );
    assert_eq!(
        members[0],
        [
            "sends: it holds 1 of 2 buckets (50.0 %)",
            "link is up at 10000 Mbps for 10.0 s, never failed",
            "receives every frame",
            "last heard partner 02:00:00:00:0b:01 (priority 65535), key 15, port 1 (priority 255), 0 ms ago; state: \
             activity timeout aggregation synchronization collecting distributing",
        ]
    );
}

#[test]
fn why_there_is_no_carrier() {
    let mut pair = Pair::up(["mode=4 lacp_rate=fast min_links=2", FAST], 2);
    pair.link(1, false);
    let (summary, members) = pair.explain();
    assert_eq!(
        summary,
        "bond0 (802.3ad) has no carrier: 1 of at least 2 members (min_links) carry frames; every frame to it is dropped \
         (a1: it is ready to carry frames; a2: its link is down for 0 ms)"
    );
    assert_eq!(
        members[0][0],
        "sends nothing: the bond has no carrier: 1 of at least 2 members (min_links) carry frames"
    );
    assert_eq!(members[1][0], "sends nothing: its link is down for 0 ms");

    let mut pair = Pair::up(["mode=4 lacp_rate=fast lacp_strict=on", FAST], 1);
    pair.cut[0] = true;
    pair.pass(ms(3_500));
    let (summary, members) = pair.explain();
    assert!(summary.contains("has no carrier: the LACP partner has fallen silent; every frame"), "{summary}");
    assert!(members[0][0].starts_with("sends nothing: no LACPDU received for 3."), "{members:?}");
    let told = pair.sides[0].events();
    let silent: Vec<_> = told.iter().filter(|event| event.weight() == Weight::Unusual).collect();
    assert_eq!(
        silent.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["a1: the partner has fallen silent (LACP receive: CURRENT -> EXPIRED)"]
    );
    pair.pass(ms(10_000));
    let (summary, members) = pair.explain();
    assert_eq!(members[0][3..], ["has heard no LACPDU for 13.5 s; the partner is given up"]);
    assert!(summary.contains("lacp_strict=on forbids"), "{summary}");
    assert_eq!(
        Pair::new([FAST, FAST], 0).explain().0,
        "bond0 (802.3ad) has no carrier: it has no members; every frame to it is dropped"
    );
}

#[test]
fn without_a_partner() {
    let mut pair = Pair::new([FAST, FAST], 2);
    pair.cut = vec![true; 2];
    pair.link(0, true);
    pair.link(1, true);
    let (summary, members) = pair.explain();
    assert!(summary.contains("no LACPDU received yet; waiting up to 3 s for a partner"), "{summary}");
    assert_eq!(members[0][3], "has heard no LACPDU since its link came up");
    pair.pass(ms(10_000));
    let (summary, members) = pair.explain();
    assert_eq!(
        summary,
        "bond0 (802.3ad) has carrier without LACP: no partner is heard on any member, so a1 alone carries all frames \
         (lacp_strict=on would forbid it); members: 2"
    );
    assert!(members[0][0].starts_with("sends all frames without LACP"), "{members:?}");
    assert_eq!(members[1][0], "sends nothing: no LACPDU received; another member carries the frames");
    assert_eq!(
        members[1].last().unwrap(),
        "belongs to aggregator 2, while the bond uses aggregator 1: it is in use and works (ad_select=stable keeps it)"
    );
}

#[test]
fn a_member_by_hand_in_reserve_or_wrongly_cabled() {
    let mut pair = Pair::up(["mode=4 lacp_rate=fast max_links=1", FAST], 2);
    assert_eq!(pair.explain().1[1][0], "sends nothing: standby: max_links=1 better members carry the frames");
    pair.change(|side, now| drop(side.bond.disable_member(now, "a1")));
    assert_eq!(
        pair.explain().1[0][0],
        "sends nothing: it is disabled by hand; \"vsctl bond/enable-member bond0 a1\" brings it back"
    );

    let mut pair = Pair::up([FAST, FAST], 2);
    pair.sides[1]
        .bond
        .set_member_option(pair.now, "b2", "lacp_aggregation_key", "77")
        .expect("an option of a member");
    pair.settle();
    pair.pass(ms(5_000));
    let lines = &pair.explain().1[1];
    assert_eq!(
        lines[0],
        "sends nothing: the partner's key is 77, on the members in use 15: put both ports of the partner into one group"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.starts_with("belongs to aggregator 2, while the bond uses aggregator 1: "))
    );
}

#[test]
fn speeds_that_are_not_known_and_half_duplex() {
    let mut pair = Pair::up([FAST, FAST], 2);
    assert_eq!(pair.sides[0].bond.link_problem("a1"), None);
    let report = |pair: &Pair, member: usize| pair.sides[0].report(member, true);
    let unknown = LinkReport { speed_mbps: None, full_duplex: None, ..report(&pair, 0) };
    let half = LinkReport { full_duplex: Some(false), ..report(&pair, 1) };
    pair.change(|side, now| {
        side.bond.handle_link(now, "a1", Some(unknown));
        side.bond.handle_link(now, "a2", Some(half));
    });
    pair.pass(ms(5_000));
    let members = pair.explain().1;
    let told = |member: usize, start: &str| {
        assert!(members[member].iter().any(|line| line.starts_with(start)), "{members:#?}");
    };
    told(0, "a1 reports no speed, and in 802.3ad only members of the same speed are aggregated");
    told(1, "a2 is half duplex, and in 802.3ad LACP is not spoken on such a link");
}

#[test]
fn a_loop() {
    // Both ends have the same System: what comes back are the bond's own LACPDUs.
    let system = "mode=4 lacp_rate=fast ad_actor_system=02:00:00:00:00:77";
    let pair = {
        let mut pair = Pair::new([system, system], 1);
        pair.link(0, true);
        pair.pass(ms(5_000));
        pair
    };
    let (summary, members) = pair.explain();
    assert!(summary.contains("receive LACPDUs with the bond's own system id"), "{summary}");
    assert!(
        members[0][0].starts_with("sends nothing: receives LACPDUs with the bond's own system id"),
        "{members:?}"
    );
}

#[test]
fn how_much_is_told_of_what() {
    let mut pair = Pair::new([FAST, FAST], 1);
    pair.link(0, true);
    let weights: Vec<_> =
        pair.sides[0].events().iter().map(|event| (event.weight(), event.to_string())).collect();
    let changes: Vec<_> = weights
        .iter()
        .filter(|(weight, _)| *weight >= Weight::Change)
        .map(|(_, text)| text.as_str())
        .collect();
    assert_eq!(
        changes,
        [
            "a1: link status definitely up, 10000 Mbps full duplex",
            "a1: LACP partner: system 02:00:00:00:0b:01 (priority 65535), key 15, port 1 (priority 255)",
            "a1: joins the aggregate (LACP mux: DETACHED -> COLLECTING_DISTRIBUTING)",
            "aggregator 1 is active: there is no other",
            "carrier on",
        ]
    );
    assert!(weights.len() > changes.len(), "and more for those who look for a fault");
    assert_eq!(BondEvent::CarrierChanged(true).weight(), Weight::Change);
}
