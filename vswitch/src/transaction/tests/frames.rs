//! Frames that are only imagined, and members that are switched by hand.

use super::*;

const FRAME: &str = "ffffffffffff0200000000010800";

fn switch() -> Switch {
    Switch::after(&[
        "add-br br0 -- add-br br1",
        "add-bond br0 bond0 e1 e2 -- add-bond br0 bond1",
        "add-port br0 tap0",
    ])
}

#[test]
fn frames_may_be_written_in_several_ways() {
    let mut switch = switch();
    for frame in [
        FRAME,
        "0xffffffffffff0200000000010800",
        "ff:ff:ff:ff:ff:ff 02:00:00:00:00:01 08:00",
        "FFFF FFFF FFFF 0200 0000 0001 0800",
    ] {
        let text = switch.text(&format!("trace br0 tap0 {frame}"));
        assert!(text.starts_with(" 1. 14 octets on tap0 of br0\n"), "{text}");
    }
    assert!(switch.text(&format!("trace br0 e1 {FRAME}")).contains(" on e1 of br0"));
    assert!(switch.text(&format!("trace br0 br0 {FRAME}")).contains(" on br0 of br0"));
}

#[test]
fn golden_errors() {
    let mut switch = switch();
    let odd = "frame: 3 digits are an odd number; write its octets in hexadecimal, from the destination address on, \
               without FCS";
    for (line, expected) in [
        (format!("trace nosuch tap0 {FRAME}"), "no bridge named nosuch"),
        (format!("trace br0 nosuch {FRAME}"), "no port named nosuch"),
        (format!("trace br1 tap0 {FRAME}"), "bridge br1 does not have a device tap0; it is on bridge br0"),
        (
            format!("trace br0 bond0 {FRAME}"),
            "bond0 is a bond; name the member on which the frame arrives: e1, e2",
        ),
        (
            format!("trace br0 bond1 {FRAME}"),
            "bond1 is a bond; name the member on which the frame arrives: it has none",
        ),
        ("trace br0 tap0 fff".to_owned(), odd),
        (
            "bond/hash bond0 xy".to_owned(),
            "frame: 'x' is not a hexadecimal digit; write its octets in hexadecimal, from the destination address on, \
             without FCS",
        ),
        (
            "bond/hash bond0 ffff".to_owned(),
            "frame: 2 octets are no frame (it has 14 to 65549); write its octets in hexadecimal, from the destination \
             address on, without FCS",
        ),
        (format!("bond/hash nosuch {FRAME}"), "no such bond: nosuch"),
        (format!("bond/hash tap0 {FRAME}"), "no such bond: tap0 is a plain port of bridge br0"),
        ("bond/explain nosuch".to_owned(), "no such bond: nosuch"),
        ("--proc bond/show nosuch".to_owned(), "no such bond: nosuch"),
        (
            "add-bond br0 bond2 -- bond/explain bond2".to_owned(),
            "bond bond2 is new in this call and has no state yet; ask in a call of its own",
        ),
        (
            "bond/disable-member bond0 e3".to_owned(),
            "no such member: e3; the members of bond bond0 are e1, e2",
        ),
        ("bond/enable-member bond1 e3".to_owned(), "no such member: e3; the members of bond bond1 are none"),
    ] {
        assert_eq!(switch.error(&line), expected, "{line}");
    }
}

#[test]
fn members_are_switched_by_hand() {
    let mut switch = switch();
    let outcome = switch.call("bond/disable-member bond0 e1 -- bond/enable-member bond0 e2").unwrap();
    assert_eq!(cli::text(&outcome.replies), "disabled\nenabled\n");
    assert_eq!(
        outcome.actions,
        [
            Action::DisableMember { bond: "bond0".into(), member: "e1".into() },
            Action::EnableMember { bond: "bond0".into(), member: "e2".into() },
        ]
    );
}
