//! Options that are changed while the bond carries frames.

use bond_port::BondEvent;

use crate::rig::{Rig, mac, ms};

/// Every option, with values in turn, in every mode: the bond goes on carrying, and only `mode` and what decides about
/// the plan changes it.
#[test]
fn every_option_can_be_changed_alive() {
    let changes = [
        ("miimon", &["100", "0"][..], &[][..]),
        ("updelay", &["300", "0"], &[]),
        ("downdelay", &["300", "0"], &[]),
        ("primary_reselect", &["failure", "better", "always"], &[]),
        ("fail_over_mac", &["active", "follow", "none"], &[]),
        ("num_grat_arp", &["0", "255", "1"], &[]),
        ("peer_notif_delay", &["300000", "0"], &[]),
        ("min_links", &["1", "0"], &[]),
        ("resend_igmp", &["0", "255", "1"], &[]),
        ("lp_interval", &["2", "1"], &[]),
        ("use_carrier", &["1"], &[]),
        ("xmit_hash_policy", &["1", "2", "3", "4", "5", "6", "0"], &[2, 4]),
        ("hash_buckets", &["256", "0"], &[2, 4]),
        ("packets_per_slave", &["0", "65535", "1"], &[0]),
    ];
    for mode in [0, 1, 2, 3, 4] {
        let mut rig = Rig::up(&format!("mode={mode}"), 3);
        for (option, values, of_mode) in changes {
            if option == "packets_per_slave" && mode != 0 {
                continue;
            }
            for value in values {
                let (before, revision) = (rig.bond.plan().clone(), rig.bond.revision());
                rig.set(&format!("{option}={value}"));
                assert_eq!(rig.bond.options().get(option).unwrap(), named(option, value));
                assert_eq!(rig.events(), [], "{option}={value}");
                let same = *rig.bond.plan() == before;
                assert_eq!(same, !of_mode.contains(&mode), "mode {mode} {option}={value}");
                assert_eq!(rig.bond.revision() == revision, same);
            }
        }
    }
}

fn named(option: &str, value: &str) -> String {
    const POLICIES: [&str; 7] =
        ["layer2", "layer3+4", "layer2+3", "encap2+3", "encap3+4", "vlan+srcmac", "offload"];
    match option {
        "xmit_hash_policy" => POLICIES[value.parse::<usize>().unwrap()].to_owned(),
        _ => value.to_owned(),
    }
}

#[test]
fn the_address_follows_the_active_member_if_asked_to() {
    let mut rig = Rig::up("mode=1", 3);
    rig.link(0, false);
    assert_eq!(rig.bond.mac(), Some(mac(0)));
    rig.set("fail_over_mac=active");
    assert_eq!(rig.bond.mac(), Some(mac(1)));
    rig.link(1, false);
    assert_eq!(rig.bond.mac(), Some(mac(2)));
    assert_eq!(rig.bond.status(rig.now).mac, Some(mac(2)));
    rig.link(2, false);
    assert_eq!((rig.active(), rig.bond.mac()), (None, Some(mac(2))), "that of the last there was");
    rig.link(0, true);
    assert_eq!(rig.bond.mac(), Some(mac(0)));
    rig.link(2, true);
    rig.link(0, false);
    for (words, expected) in [
        ("fail_over_mac=follow", 0),
        ("fail_over_mac=active", 2),
        ("mode=2", 0),
        ("mode=1", 2),
        ("fail_over_mac=none", 0),
    ] {
        rig.set(words);
        assert_eq!(rig.bond.mac(), Some(mac(expected)), "{words}");
    }
    (0..3).for_each(|member| rig.bond.remove_member(rig.now, &format!("eth{member}")).unwrap());
    rig.set("fail_over_mac=active");
    assert_eq!(rig.bond.mac(), None);
}

#[test]
fn the_spacing_of_announcements_follows_the_option() {
    let mut rig = Rig::up("mode=1 num_grat_arp=4 peer_notif_delay=100", 2);
    rig.set_active(1);
    let start = rig.now;
    rig.events();
    let mut announced = Vec::new();
    for _ in 0..2_000 {
        rig.pass(ms(1));
        let events = rig.events();
        announced.extend(
            events.iter().filter(|e| matches!(e, BondEvent::Announce { .. })).map(|_| rig.now - start),
        );
        if announced.len() == 1 {
            rig.set("peer_notif_delay=300");
        }
    }
    assert_eq!(
        announced,
        [ms(100), ms(200), ms(500)],
        "one that is due stays due; those after it are farther"
    );
}
