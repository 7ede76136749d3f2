use proptest::prelude::*;

use super::*;

fn set(key: &str, value: &str) -> Result<BondOptions, String> {
    let mut options = BondOptions::default();
    options.set(key, value).map(|()| options).map_err(|error| error.to_string())
}

fn refused(key: &str, value: &str) -> String {
    set(key, value).expect_err(&format!("{key}={value}"))
}

#[test]
fn names_and_numbers_are_the_same() {
    for (key, name, number) in [
        ("mode", "balance-rr", "0"),
        ("mode", "active-backup", "1"),
        ("mode", "balance-xor", "2"),
        ("mode", "broadcast", "3"),
        ("mode", "802.3ad", "4"),
        ("mode", "balance-tlb", "5"),
        ("mode", "balance-alb", "6"),
        ("lacp_rate", "fast", "1"),
        ("lacp_active", "off", "0"),
        ("ad_select", "actor_port_prio", "3"),
        ("coupled_control", "off", "0"),
        ("primary_reselect", "always", "0"),
        ("primary_reselect", "better", "1"),
        ("primary_reselect", "failure", "2"),
        ("xmit_hash_policy", "layer2", "0"),
        ("xmit_hash_policy", "layer3+4", "1"),
        ("xmit_hash_policy", "vlan+srcmac", "5"),
        ("xmit_hash_policy", "offload", "6"),
        ("all_slaves_active", "off", "0"),
        ("all_slaves_active", "on", "1"),
        ("fail_over_mac", "none", "0"),
        ("fail_over_mac", "active", "1"),
        ("fail_over_mac", "follow", "2"),
        ("use_carrier", "on", "1"),
        ("arp_validate", "none", "0"),
        ("arp_validate", "active", "1"),
        ("arp_validate", "backup", "2"),
        ("arp_validate", "all", "3"),
        ("arp_validate", "filter", "4"),
        ("arp_validate", "filter_active", "5"),
        ("arp_validate", "filter_backup", "6"),
        ("arp_all_targets", "any", "0"),
        ("arp_all_targets", "all", "1"),
        ("flap_limit", "off", "0"),
        ("miimon", "off", "0"),
    ] {
        assert_eq!(set(key, name).unwrap(), set(key, number).unwrap(), "{key}");
    }
    assert_eq!(set("mode", "2").unwrap().mode, Mode::BalanceXor);
    assert_eq!(set("miimon", " 100\n").unwrap().miimon, 100);
    assert_eq!(set("updelay", "2147483647").unwrap().updelay, 2_147_483_647);
}

#[test]
fn spellings_of_ovs_and_ifupdown() {
    for key in ["primary", "bond-primary", "bond_primary", "other_config:bond-primary"] {
        assert_eq!(set(key, "eth1").unwrap().primary.as_deref(), Some("eth1"), "{key}");
        assert_eq!(BondOptions::canonical(key), Ok("primary"));
    }
    assert_eq!(set("bond_mode", "active-backup").unwrap().mode, Mode::ActiveBackup);
    assert_eq!(set("num_unsol_na", "7").unwrap(), set("num_grat_arp", "7").unwrap());
    assert_eq!(BondOptions::canonical("num_unsol_na"), Ok("num_grat_arp"));
    assert_eq!(set("bond_updelay", "7").unwrap().updelay, 7);
    assert_eq!(set("bond_downdelay", "7").unwrap().downdelay, 7);
    assert_eq!(set("bond-xmit-hash-policy", "layer2").unwrap(), BondOptions::default());
}

#[test]
fn errors_name_what_was_found_and_what_to_do() {
    assert_eq!(refused("miimom", "100"), r#"unknown bond option "miimom"; did you mean "miimon"?"#);
    assert_eq!(refused("bond-prmary", "e"), r#"unknown bond option "bond-prmary"; did you mean "primary"?"#);
    assert_eq!(refused("colour", "red"), r#"unknown bond option "colour""#);
    assert_eq!(refused("", ""), r#"unknown bond option """#);
    assert_eq!(
        refused("arp_validate", "every"),
        "bond option arp_validate: \"every\" is not a valid value; allowed: none (0), active (1), backup (2), all (3), \
         filter (4), filter_active (5), filter_backup (6)"
    );
    assert_eq!(
        refused("lacp_rate", "quick"),
        "bond option lacp_rate: \"quick\" is not a valid value; allowed: slow (0), fast (1)"
    );
    assert_eq!(
        refused("mode", "7"),
        "bond option mode: \"7\" is not a valid value; allowed: balance-rr (0), active-backup (1), balance-xor (2), \
         broadcast (3), 802.3ad (4), balance-tlb (5), balance-alb (6), balance-slb"
    );
    assert_eq!(
        refused("xmit_hash_policy", "layer4"),
        "bond option xmit_hash_policy: \"layer4\" is not a valid value; allowed: layer2 (0), layer3+4 (1), \
         layer2+3 (2), encap2+3 (3), encap3+4 (4), vlan+srcmac (5), offload (6)"
    );
    assert_eq!(
        refused("updelay", "2147483648"),
        r#"bond option updelay: "2147483648" is not a valid value; allowed: 0-2147483647 (milliseconds)"#
    );
    assert!(refused("use_carrier", "0").contains("carrier is always watched"));
    assert!(refused("active_slave", "eth1").contains("vsctl bond/set-active-member"));
}

#[test]
fn wrong_values_change_nothing() {
    for (key, value) in [
        ("mode", ""),
        ("mode", "Active-Backup"),
        ("mode", "01"),
        ("miimon", ""),
        ("miimon", "+5"),
        ("miimon", "-1"),
        ("miimon", "1.5"),
        ("miimon", "99999999999999999999"),
        ("updelay", "1s"),
        ("primary_reselect", "3"),
        ("all_slaves_active", "2"),
        ("use_carrier", "2"),
        ("num_grat_arp", "256"),
        ("peer_notif_delay", "300001"),
        ("hash_buckets", "128"),
        ("hash_buckets", "65536"),
        ("packets_per_slave", ""),
        ("packets_per_slave", "-1"),
        ("packets_per_slave", "65536"),
        ("fail_over_mac", "3"),
        ("min_links", "2147483648"),
        ("resend_igmp", "256"),
        ("lp_interval", "0"),
        ("lp_interval", "2147483648"),
        ("primary", "a/b"),
        ("primary", "two words"),
        ("primary", ".."),
        ("primary", "sixteen-letters-"),
    ] {
        let mut options = BondOptions { miimon: 5, ..BondOptions::default() };
        let before = options.clone();
        assert!(options.set(key, value).is_err(), "{key}={value}");
        assert_eq!(options, before);
    }
}

#[test]
fn default_is_a_word_but_for_primary() {
    let mut options = BondOptions::default();
    for (key, value) in [("mode", "2"), ("miimon", "100"), ("updelay", "5"), ("primary_reselect", "2")] {
        options.set(key, value).unwrap();
        options.set(key, "default").unwrap();
    }
    assert_eq!(options, BondOptions::default());
    assert_eq!(set("primary", "default").unwrap().primary.as_deref(), Some("default"));
}

#[test]
fn what_differs_is_listed_and_the_mode_always() {
    let mut options = BondOptions::default();
    assert_eq!(options.to_string(), "mode=active-backup");
    for (key, value) in [("primary", "eth1"), ("miimon", "100"), ("updelay", "0")] {
        options.set(key, value).unwrap();
    }
    assert_eq!(options.to_string(), "mode=active-backup miimon=100 primary=eth1");
    options.set("primary", "").unwrap();
    assert_eq!((options.primary.as_deref(), options.get("primary")), (None, Ok(String::new())));
}

#[test]
fn a_primary_needs_a_mode_that_has_one() {
    let mut options = set("primary", "eth1").unwrap();
    assert_eq!(options.check(), Ok(()));
    options.set("mode", "balance-xor").unwrap();
    assert_eq!(
        options.check().unwrap_err().to_string(),
        "bond option primary is not supported in mode balance-xor; clear it (primary=) or choose another mode"
    );
}

/// Linux: `EACCES`.
#[test]
fn packets_per_slave_needs_balance_rr() {
    for (value, mode, allowed) in [
        ("3", "balance-rr", true),
        ("0", "0", true),
        ("65535", "0", true),
        ("1", "1", true),
        ("0", "active-backup", false),
        ("2", "balance-xor", false),
        ("3", "broadcast", false),
    ] {
        let mut options = set("packets_per_slave", value).unwrap();
        options.set("mode", mode).unwrap();
        assert_eq!(options.check().is_ok(), allowed, "packets_per_slave={value} mode={mode}");
    }
    assert_eq!(
        set("packets_per_slave", "2").unwrap().check().unwrap_err().to_string(),
        "bond option packets_per_slave is not supported in mode active-backup; clear it (packets_per_slave=1) or \
         choose another mode"
    );
    assert_eq!(
        refused("packets_per_slave", "65536"),
        "bond option packets_per_slave: \"65536\" is not a valid value; allowed: 0 (a member for each frame by lot), \
         1-65535"
    );
}

/// Linux: `bond_options.c`, and limits of what a switch adds.
#[test]
fn targets_and_sources_of_link_probes() {
    let many = |n: u8| (1..=n).map(|last| format!("192.0.2.{last}")).collect::<Vec<_>>().join(",");
    assert_eq!(set("arp_ip_target", &many(16)).unwrap().get("arp_ip_target"), Ok(many(16)));
    assert!(refused("arp_ip_target", &many(17)).contains("more than 16 targets"));
    assert!(refused("arp_ip_target", "192.0.2.1,192.0.2.1").contains("a target is named twice"));
    for bad in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1"] {
        assert!(refused("arp_ip_target", bad).contains("no host on the network has this address"), "{bad}");
        assert!(refused("arp_source", bad).contains("no host on the network has this address"), "{bad}");
    }
    for bad in ["::", "::1", "ff02::1"] {
        assert!(refused("ns_ip6_target", bad).contains("no host on the network has this address"), "{bad}");
        assert!(refused("ns_ip6_source", bad).contains("no host on the network has this address"), "{bad}");
    }
    for bad in ["gateway", "192.0.2", "192.0.2.1;192.0.2.2", "fe80::1"] {
        assert_eq!(
            refused("arp_ip_target", bad),
            format!(
                "bond option arp_ip_target: \"{bad}\" is not a valid value; allowed: up to 16 IPv4 addresses with \
                 commas between, or nothing"
            )
        );
    }
    assert_eq!(set("arp_ip_target", "").unwrap(), BondOptions::default());
    let six = set("ns_ip6_target", "2001:db8:0:0::1,fe80::1").unwrap();
    assert_eq!(six.get("ns_ip6_target").unwrap(), "2001:db8::1,fe80::1");
    assert!(set("arp_vlan", "4094").is_ok() && set("arp_vlan", "4095").is_err());
    assert_eq!(set("flap_limit", "5/60").unwrap().get("flap_limit").unwrap(), "5/60");
    assert!(ProbeOptions::NAMES.iter().all(|name| BondOptions::canonical(name) == Ok(name)));
    assert!(refused("flap_limit", "5").contains("TIMES/SECONDS such as 5/60"));
}

/// Linux: EACCES. (It also refuses them in balance-tlb and balance-alb, and together with `miimon`.)
#[test]
fn link_probes_and_lacp_exclude_each_other() {
    for (key, value) in [("arp_interval", "100"), ("arp_validate", "all"), ("arp_missed_max", "3")] {
        let mut options = set(key, value).unwrap();
        for mode in Mode::all() {
            options.mode = mode;
            let result = options.check().map_err(|error| error.to_string());
            match mode {
                Mode::Ieee8023ad => {
                    let error = result.unwrap_err();
                    assert!(error.starts_with(&format!(
                        "bond option {key} is not supported in mode 802.3ad; clear it"
                    )));
                    assert!(error.contains("LACP itself watches every link"), "{error}");
                }
                _ => assert_eq!(result, Ok(()), "{key} in {mode}"),
            }
        }
    }
    let mut options = set("arp_ip_target", "192.0.2.1").unwrap();
    options.mode = Mode::Ieee8023ad;
    assert_eq!(options.check(), Ok(()), "targets alone are allowed, as in Linux");
    assert!(!options.probes());
}

#[test]
fn link_probes_that_can_not_work_are_warned_of() {
    let warnings = |words: &[(&str, &str)]| {
        let mut options = BondOptions::default();
        words.iter().for_each(|(key, value)| options.set(key, value).unwrap());
        options.warnings()
    };
    let (interval, target) = (("arp_interval", "100"), ("arp_ip_target", "192.0.2.1"));
    assert!(warnings(&[interval])[0].contains("nothing is probed without a target"));
    assert!(warnings(&[target])[0].contains("nothing is probed without an interval"));
    assert_eq!(warnings(&[interval, target]), [""; 0]);
    assert_eq!(warnings(&[interval, ("ns_ip6_target", "fe80::1")]), [""; 0]);
    assert!(
        warnings(&[interval, target, ("arp_all_targets", "all")])[0].contains("together with arp_validate")
    );
    assert_eq!(warnings(&[interval, target, ("arp_all_targets", "all"), ("arp_validate", "1")]), [""; 0]);
}

/// Reference: `bond_options.c`'s list, with netlink's names. None may be unknown.
#[test]
fn every_option_of_linux_is_answered() {
    for (key, default, other) in [
        ("mode", "default", "7"),
        ("miimon", "0", "x"),
        ("updelay", "0", "x"),
        ("downdelay", "0", "x"),
        ("peer_notif_delay", "0", "300001"),
        ("use_carrier", "1", "0"),
        ("arp_interval", "0", "2147483648"),
        ("arp_ip_target", "", "0.0.0.0"),
        ("ns_ip6_target", "", "ff02::1"),
        ("arp_validate", "none", "7"),
        ("arp_all_targets", "any", "2"),
        ("arp_missed_max", "2", "0"),
        ("missed_max", "default", "256"),
        ("primary", "", "a/b"),
        ("primary_reselect", "always", "3"),
        ("fail_over_mac", "none", "3"),
        ("xmit_hash_policy", "layer2", "9"),
        ("packets_per_slave", "1", "65536"),
        ("resend_igmp", "1", "256"),
        ("num_grat_arp", "1", "256"),
        ("num_unsol_na", "1", "256"),
        ("num_peer_notif", "1", "256"),
        ("all_slaves_active", "0", "2"),
        ("min_links", "0", "-1"),
        ("lacp_rate", "slow", "2"),
        ("lacp_active", "on", "2"),
        ("ad_select", "stable", "4"),
        ("ad_actor_sys_prio", "65535", "0"),
        ("ad_actor_system", "00:00:00:00:00:00", "01:00:00:00:00:01"),
        ("ad_user_port_key", "0", "1024"),
        ("coupled_control", "on", "2"),
        ("broadcast_neighbor", "off", "on"),
        ("broadcast_neigh", "0", "1"),
        ("lacp_strict", "off", "2"),
        ("lp_interval", "1", "0"),
        ("tlb_dynamic_lb", "1", "2"),
        ("tx_queues", "16", "8"),
    ] {
        assert_eq!(set(key, default).as_ref(), Ok(&BondOptions::default()), "{key}={default}");
        let error = refused(key, other);
        assert!(error.starts_with("bond option "), "{error}");
        assert!(BondOptions::canonical(key).is_ok(), "{key}");
    }
    for key in ["active_slave", "slaves", "max_bonds", "prio", "queue_id", "actor_port_prio"] {
        assert!(refused(key, "1").contains("is not a bond option here; "), "{key}");
    }
}

#[test]
fn options_of_ovs_that_ask_for_what_happens_anyway() {
    for (key, value) in [
        ("lacp", "off"),
        ("other_config:lacp-time", "slow"),
        ("other_config:lacp-fallback-ab", "false"),
        ("bond_fake_iface", "false"),
        ("other_config:bond-detect-mode", "carrier"),
        ("other_config:bond-miimon-interval", "200"),
        ("other_config:all-members-active", "false"),
        ("other_config:bond-hash-basis", "0"),
        ("other_config:bond-rebalance-interval", "0"),
        ("other_config:lb-output-action", "false"),
    ] {
        assert_eq!(set(key, value), Ok(BondOptions::default()), "{key}");
    }
    assert!(refused("other_config:bond-detect-mode", "miimon").contains("watched by kernel events"));
    assert!(refused("other_config:bond-miimon-interval", "100").contains("watched by kernel events"));
}

/// OVS's, and those of `ip link` where they differ from the driver's.
#[test]
fn other_names() {
    for (key, value, name) in [
        ("other_config:all-members-active", "true", "all_slaves_active"),
        ("peer_notify_delay", "300", "peer_notif_delay"),
    ] {
        assert_eq!(set(key, value).unwrap(), set(name, if value == "true" { "1" } else { value }).unwrap());
        assert_eq!(BondOptions::canonical(key), Ok(name));
    }
}

#[test]
fn a_misspelt_mode_is_guessed() {
    for (written, meant) in [
        ("active-backupp", "active-backup"),
        ("Active_Backup", "active-backup"),
        ("activebackup", "active-backup"),
        ("balance_xor", "balance-xor"),
        ("8023ad", "802.3ad"),
        ("lacp", "802.3ad"),
        ("roundrobin", "balance-rr"),
    ] {
        let error = refused("mode", written);
        assert!(error.ends_with(&format!("; did you mean \"{meant}\"?")), "{error}");
    }
    for nothing in ["7", "", "fast", "x"] {
        assert!(!refused("mode", nothing).contains("did you mean"));
    }
}

#[test]
fn lacp_is_asked_for_as_in_ovs() {
    let mut options = set("lacp", "active").unwrap();
    assert_eq!((options.mode, options.lacp.lacp_active), (Mode::Ieee8023ad, true));
    options.set("lacp", "passive").unwrap();
    assert_eq!(
        (options.get("lacp").unwrap(), options.get("lacp_active").unwrap()),
        ("passive".into(), "off".into())
    );
    for (key, value, name, as_here) in [
        ("other_config:lacp-time", "fast", "lacp_rate", "fast"),
        ("lacp-system-id", "02:00:00:00:00:01", "ad_actor_system", "02:00:00:00:00:01"),
        ("lacp-system-priority", "7", "ad_actor_sys_prio", "7"),
        ("lacp-fallback-ab", "false", "lacp_strict", "on"),
        ("lacp-fallback-ab", "true", "lacp_strict", "off"),
    ] {
        options.set(key, value).unwrap();
        assert_eq!(options.get(name).unwrap(), as_here, "{key}={value}");
    }
    let tcp = set("bond_mode", "balance-tcp").unwrap();
    let words = "mode=802.3ad xmit_hash_policy=layer3+4 rebalance_interval=10000";
    assert_eq!((tcp.to_string().as_str(), tcp.buckets(), tcp.check()), (words, 256, Ok(())));
    assert!(options.set("lacp", "off").unwrap_err().to_string().contains("mode 802.3ad is LACP"));
    options.set("mode", "balance-xor").unwrap();
    assert!(options.set("lacp", "active").unwrap_err().to_string().contains("does not speak LACP"));
    assert_eq!(options.set("lacp", "off"), Ok(()));
    assert!(refused("lacp", "on").ends_with("allowed: active, passive, off"));
    assert!(refused("rebalance_interval", "999").contains("choose 1000 or more, or 0"));
}

/// Linux: `EACCES`.
#[test]
fn options_of_lacp_need_its_mode() {
    for (option, value, neutral) in [
        ("lacp_rate", "fast", "slow"),
        ("lacp_active", "off", "on"),
        ("ad_actor_sys_prio", "1", "65535"),
        ("ad_actor_system", "02:00:00:00:00:01", "00:00:00:00:00:00"),
        ("ad_user_port_key", "5", "0"),
        ("lacp_strict", "on", "off"),
        ("max_links", "2", "0"),
        ("coupled_control", "off", "on"),
    ] {
        let mut options = set(option, value).unwrap();
        let expected = format!(
            "bond option {option} is not supported in mode active-backup; clear it ({option}={neutral}) or choose \
             another mode"
        );
        assert_eq!(options.check().unwrap_err().to_string(), expected);
        options.set("mode", "802.3ad").unwrap();
        assert_eq!(options.check(), Ok(()), "{option}");
        options.set(option, neutral).unwrap();
        assert_eq!(options.to_string(), "mode=802.3ad");
    }
}

#[test]
fn what_is_stored_without_effect_is_told() {
    let warnings = |words: &[(&str, &str)]| {
        let mut options = BondOptions::default();
        words.iter().for_each(|(key, value)| options.set(key, value).unwrap());
        options.warnings()
    };
    for (words, expected) in [
        (
            &[("min_links", "2")][..],
            "min_links: it is stored, but as in Linux it has an effect in mode 802.3ad only",
        ),
        (
            &[("resend_igmp", "0"), ("mode", "2")],
            "resend_igmp: it is stored, but in mode balance-xor groups come in by whichever member",
        ),
        (
            &[("lp_interval", "5")],
            "lp_interval: it is stored, but as in Linux it has an effect in modes balance-tlb",
        ),
        (
            &[("xmit_hash_policy", "1")],
            "xmit_hash_policy: it is stored, but mode active-backup picks no member",
        ),
        (
            &[("mode", "4"), ("primary_reselect", "2")],
            "primary_reselect: it is stored, but mode 802.3ad has no active member",
        ),
        (
            &[("mode", "0"), ("num_grat_arp", "3")],
            "num_grat_arp: it is stored, but in mode balance-rr no member takes over from another",
        ),
        (
            &[("mode", "3"), ("peer_notif_delay", "3")],
            "peer_notif_delay: it is stored, but in mode broadcast no member takes over from another",
        ),
        (
            &[("mode", "2"), ("all_slaves_active", "1")],
            "all_slaves_active: it is stored, but in mode balance-xor every member",
        ),
        (&[("fail_over_mac", "follow")], "fail_over_mac: it is stored, but members keep their own addresses"),
        (
            &[("fail_over_mac", "1"), ("mode", "2")],
            "fail_over_mac: it is stored, but mode balance-xor ignores it",
        ),
        (
            &[("hash_buckets", "256")],
            "hash_buckets: it is stored, but only modes balance-xor, 802.3ad and balance-tlb have such a table",
        ),
        (&[("ad_select", "count")], "ad_select: it is stored, but mode active-backup ignores it"),
        (
            &[("rebalance_interval", "5000")],
            "rebalance_interval: it is stored, but mode active-backup moves no buckets by load",
        ),
    ] {
        let told = warnings(words);
        assert_eq!(told.len(), 1, "{words:?} {told:?}");
        assert!(told[0].starts_with(&format!("bond option {expected}")), "{told:?}");
    }
    for words in
        [&[("fail_over_mac", "active")][..], &[("mode", "2"), ("hash_buckets", "256")], &[("mode", "2")]]
    {
        assert_eq!(warnings(words), [""; 0], "{words:?}");
    }
}

#[test]
fn announcements_are_never_without_a_pause() {
    let pause = |miimon, peer_notif_delay| {
        let options = BondOptions { miimon, peer_notif_delay, ..BondOptions::default() };
        options.peer_notif_delay().as_millis()
    };
    assert_eq!([pause(0, 0), pause(30, 0), pause(100, 50), pause(0, 50)], [100, 30, 100, 50]);
}

/// Linux: updelay 250 at miimon 100 is 200; at miimon 0 it is refused there and exact here.
#[test]
fn delays_are_multiples_of_miimon() {
    let mut options = BondOptions { updelay: 250, downdelay: 99, ..BondOptions::default() };
    assert_eq!((options.updelay().as_millis(), options.downdelay().as_millis()), (250, 99));
    assert!(options.warnings().is_empty());
    options.miimon = 100;
    assert_eq!((options.updelay().as_millis(), options.downdelay().as_millis()), (200, 0));
    let [up, down] = &options.warnings()[..] else { panic!() };
    assert!(up.starts_with(
        "bond option updelay: 250 ms is not a multiple of miimon (100 ms), rounded down to 200"
    ));
    assert!(down.contains("rounded down to 0 ms"));
    options.peer_notif_delay = 150;
    assert_eq!((options.peer_notif_delay().as_millis(), options.warnings().len()), (100, 3));
    options.miimon = 50;
    assert_eq!(options.updelay().as_millis(), 250, "what was asked for is remembered");
}

proptest! {
    /// What is printed can be read again; arbitrary text never panics.
    #[test]
    fn text_round_trip(words in proptest::collection::vec((0..OPTIONS.len(), "[0-9a-z+-]{0,12}"), 0..20)) {
        let mut options = BondOptions::default();
        for (option, value) in words {
            let _ = options.set(OPTIONS[option].name, &value);
        }
        let mut again = BondOptions::default();
        for (name, value) in options.changed_entries() {
            again.set(name, &value).unwrap();
        }
        prop_assert_eq!(&again, &options);
        let mut all = BondOptions::default();
        for (name, value) in options.entries() {
            all.set(name, &value).unwrap();
        }
        prop_assert_eq!(all, options);
    }

    #[test]
    fn any_text_is_answered(key in "\\PC*", value in "\\PC*") {
        let _ = BondOptions::default().set(&key, &value);
    }
}

/// What docs/options.md says of an option, a cell each: `option`, `other names`, the values if it has any, `default`, `here`.
fn documented(name: &str) -> Vec<&'static str> {
    let text = include_str!("../../../docs/options.md");
    let first = format!("| `{name}` |");
    let rows: Vec<_> = text.lines().filter(|line| line.starts_with(&first)).collect();
    assert_eq!(rows.len(), 1, "docs/options.md has {} rows of {name}", rows.len());
    rows[0].trim_matches('|').split('|').map(str::trim).collect()
}

#[test]
fn every_option_is_documented_with_its_default() {
    let written =
        |default: &str| if default.is_empty() { "empty".to_owned() } else { format!("`{default}`") };
    let defaults = BondOptions::default().entries();
    let of_members = crate::MemberOptions::default().entries();
    for (name, default) in defaults.iter().chain(&of_members) {
        let cells = documented(name);
        assert_eq!((cells.len(), cells[3]), (5, written(default).as_str()), "{name}");
        assert!(!cells[2].is_empty() && !cells[4].is_empty(), "{name}: {cells:?}");
    }
    for option in ELSEWHERE {
        let default = option.neutral.first().copied().unwrap_or_default();
        assert_eq!(documented(option.name)[2], written(default), "{}", option.name);
    }
    let text = include_str!("../../../docs/options.md");
    let others = COMMANDS.iter().map(|(name, _)| name).chain(VIEWS.iter().map(|view| &view.name));
    for name in others.chain(ALIASES.iter().map(|(alias, _)| alias)) {
        assert!(text.contains(&format!("`{name}`")), "{name} is in no table of docs/options.md");
    }
    for (alias, name) in ALIASES {
        assert!(documented(name)[1].contains(&format!("`{alias}`")), "{alias} is another name of {name}");
    }
}
