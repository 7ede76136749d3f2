//! What `bond/explain` says.

use crate::rig::{Rig, ms};

fn summary(rig: &Rig) -> String {
    rig.bond.explain(rig.now).summary
}

fn member(rig: &Rig, member: usize) -> Vec<String> {
    rig.bond.explain(rig.now).members[member].1.clone()
}

#[test]
fn active_backup() {
    let mut rig = Rig::up("mode=1 primary=eth0 updelay=2000", 4);
    rig.link(0, false);
    rig.bond.handle_link(rig.now, "eth3", None);
    rig.pass(ms(2_200));
    rig.link(0, true);
    rig.pass(ms(800));
    assert_eq!(
        summary(&rig),
        "bond0 (active-backup) has carrier: eth1 carries all frames, for 3.0 s (reason: active member down); \
         members: 4"
    );
    assert_eq!(
        member(&rig, 0),
        [
            "sends nothing: its link is up for 800 ms, updelay runs, 1.2 s left",
            "receives nothing: what arrives is dropped as inactive_member",
            "is the primary (primary_reselect=always)",
        ]
    );
    assert_eq!(
        member(&rig, 1),
        [
            "sends all frames: it is the active member, for 3.0 s (reason: active member down)",
            "link is up at 10000 Mbps for 61.0 s, never failed",
            "receives every frame",
        ]
    );
    assert_eq!(member(&rig, 2)[0], "sends nothing: it stands by while eth1 is active");
    assert_eq!(
        member(&rig, 3)[0],
        "sends nothing: there is no such device (for 3.0 s); it is taken in when it appears"
    );
}

#[test]
fn grace_and_downdelay() {
    let mut rig = Rig::up("mode=1 downdelay=500", 2);
    rig.set_active(1);
    assert_eq!(
        member(&rig, 0)[2],
        "receives frames for known guests only, for a moment: it was the active member until just now"
    );
    assert_eq!(
        member(&rig, 1)[2],
        "receives every frame but those of our own guests that the switch sends back"
    );
    rig.link(1, false);
    rig.pass(ms(200));
    assert_eq!(
        member(&rig, 1)[..2],
        [
            "sends all frames: it is the active member, for 200 ms (reason: set by hand)",
            "link is lost for 200 ms; it stays in use until downdelay (500 ms) ends, 300 ms left",
        ]
    );
}

#[test]
fn a_primary_that_works_and_is_not_active() {
    for (policy, why) in [
        ("failure", "it takes over when eth1 fails or \"primary\" is set again"),
        ("better", "it takes over when it comes up faster than eth1, or eth1 fails"),
        ("always", "eth1 was preferred by hand or by a restart until the primary comes up anew"),
    ] {
        let mut rig = Rig::up(&format!("mode=1 primary=eth0 primary_reselect={policy}"), 2);
        rig.set_active(1);
        let expected = format!("is the primary (primary_reselect={policy}): {why}");
        assert_eq!(member(&rig, 0).last(), Some(&expected));
    }
}

#[test]
fn xor() {
    let mut rig = Rig::up("mode=2 xmit_hash_policy=layer2+3 downdelay=400", 4);
    rig.bond.disable_member(rig.now, "eth1").unwrap();
    rig.link(2, false);
    rig.pass(ms(100));
    assert_eq!(
        summary(&rig),
        "bond0 (balance-xor) has carrier: 2 of 4 members send, picked by the layer2+3 hash modulo 2"
    );
    assert_eq!(member(&rig, 0)[0], "sends: it holds 1 of 2 buckets (50.0 %)");
    assert_eq!(
        member(&rig, 1)[0],
        "sends nothing: it is disabled by hand; \"vsctl bond/enable-member bond0 eth1\" brings it back"
    );
    assert_eq!(member(&rig, 2)[0], "sends nothing: its link is lost for 100 ms, downdelay runs, 300 ms left");
    rig.link(3, false);
    rig.pass(ms(400));
    rig.link(3, true);
    rig.link(3, false);
    rig.pass(ms(400));
    rig.link(3, true);
    rig.set("hash_buckets=256");
    assert_eq!(
        summary(&rig),
        "bond0 (balance-xor) has carrier: 2 of 4 members send, picked by the layer2+3 hash and a table of 256 \
         buckets"
    );
    assert_eq!(
        member(&rig, 3)[..2],
        ["sends: it holds 128 of 256 buckets (50.0 %)", "link is up at 10000 Mbps for 0 ms, failed 2 times"]
    );
}

#[test]
fn offloaded_hashes() {
    let rig = Rig::up("mode=2 xmit_hash_policy=offload", 2);
    assert_eq!(
        summary(&rig),
        "bond0 (balance-xor) has carrier: 2 of 2 members send, picked by the flow hash that a frame brings along, or \
         else the layer3+4 hash modulo 2"
    );
}

#[test]
fn round_robin() {
    let mut rig = Rig::up("mode=0 updelay=2000", 4);
    rig.bond.disable_member(rig.now, "eth1").unwrap();
    rig.link(2, false);
    rig.link(2, true);
    rig.pass(ms(800));
    assert_eq!(summary(&rig), "bond0 (balance-rr) has carrier: 2 of 4 members send, a frame each in turn");
    assert_eq!(
        member(&rig, 0),
        [
            "sends: it is one of 2 members that share all frames (50.0 % each)",
            "link is up at 10000 Mbps for 60.8 s, never failed",
            "receives every frame but those of our own guests that the switch sends back",
        ]
    );
    assert_eq!(
        member(&rig, 1)[0],
        "sends nothing: it is disabled by hand; \"vsctl bond/enable-member bond0 eth1\" brings it back"
    );
    assert_eq!(
        member(&rig, 2),
        [
            "sends nothing: its link is up for 800 ms, updelay runs, 1.2 s left",
            "receives every frame but those of our own guests that the switch sends back",
        ]
    );
    for (frames, way) in [(0, "picked by lot for each frame"), (3, "3 frames each in turn")] {
        rig.set(&format!("packets_per_slave={frames}"));
        assert_eq!(summary(&rig), format!("bond0 (balance-rr) has carrier: 2 of 4 members send, {way}"));
    }
}

#[test]
fn broadcast() {
    let mut rig = Rig::up("mode=3", 3);
    rig.link(2, false);
    assert_eq!(
        summary(&rig),
        "bond0 (broadcast) has carrier: 2 of 3 members send, each a copy of every frame"
    );
    assert_eq!(member(&rig, 1)[0], "sends a copy of every frame");
    assert_eq!(
        member(&rig, 2),
        [
            "sends nothing: its link is down for 0 ms",
            "receives every frame but those of our own guests that the switch sends back"
        ]
    );
    rig.link(0, false);
    rig.link(1, false);
    assert_eq!(
        summary(&rig),
        "bond0 (broadcast) has no carrier: no member is usable, every frame to it is dropped (eth0: its link is \
         down for 0 ms; eth1: its link is down for 0 ms; eth2: its link is down for 0 ms)"
    );
}

#[test]
fn no_carrier() {
    let mut rig = Rig::silent("mode=2", 0);
    assert_eq!(
        summary(&rig),
        "bond0 (balance-xor) has no carrier: it has no members; every frame to it is dropped"
    );
    for member in ["eth0", "eth1", "eth2"] {
        rig.bond.add_member(rig.now, member).unwrap();
    }
    rig.link(0, false);
    rig.link(1, true);
    rig.bond.disable_member(rig.now, "eth1").unwrap();
    rig.pass(ms(3_250));
    assert_eq!(
        summary(&rig),
        "bond0 (balance-xor) has no carrier: no member is usable, every frame to it is dropped (eth0: its link is \
         down for 3.2 s; eth1: it is disabled by hand; eth2: there is no such device (for 3.2 s); it is taken in \
         when it appears)"
    );
}
