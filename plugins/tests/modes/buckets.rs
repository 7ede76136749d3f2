//! What happens to flows when members of a balance-xor bond are lost and come back.

use forwarding::flow_hash::{self, HashPolicy};
use forwarding::tables::TransmitPlan;

use crate::rig::{Rig, ms};

const FLOWS: usize = 20_000;

/// Hashes of that many random UDP flows between random hosts (splitmix64).
fn flows(count: usize) -> Vec<u32> {
    let mut state = 42_u64;
    let mut random = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) as u32
    };
    let flow = |_| {
        let mut frame = [0; 60];
        frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
        frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
        frame[12..14].copy_from_slice(&[0x08, 0x00]);
        frame[14..24].copy_from_slice(&[0x45, 0, 0, 46, 0, 0, 0x40, 0, 64, 17]);
        frame[26..30].copy_from_slice(&random().to_be_bytes());
        frame[30..34].copy_from_slice(&random().to_be_bytes());
        frame[34..38].copy_from_slice(&random().to_be_bytes());
        frame[38..40].copy_from_slice(&[0, 26]);
        flow_hash::hash(HashPolicy::Layer34, &frame, None)
    };
    (0..count).map(flow).collect()
}

/// The member of each flow.
fn spread(rig: &Rig, flows: &[u32]) -> Vec<u16> {
    let TransmitPlan::Buckets { table, .. } = rig.bond.plan() else { panic!("no table") };
    flows.iter().map(|hash| table[*hash as usize % table.len()].0).collect()
}

/// Of the flows that were not on `member` the part that moved.
fn moved(before: &[u16], after: &[u16], member: u16) -> f64 {
    let stay: Vec<_> = before.iter().zip(after).filter(|(before, _)| **before != member).collect();
    stay.iter().filter(|(before, after)| before != after).count() as f64 / stay.len() as f64
}

/// 3 -> 2 -> 3 members.
#[test]
fn flows_that_survive_stay_with_buckets_and_half_of_them_move_without() {
    let flows = flows(FLOWS);
    for (buckets, lost, back) in [(0, 0.5, 0.5), (256, 0.0, 1.0 / 3.0)] {
        let mut rig = Rig::up(&format!("mode=2 xmit_hash_policy=layer3+4 hash_buckets={buckets}"), 3);
        let three = spread(&rig, &flows);
        rig.link(2, false);
        let two = spread(&rig, &flows);
        rig.pass(ms(10_000));
        rig.link(2, true);
        let again = spread(&rig, &flows);

        let of_survivors = moved(&three, &two, 2);
        assert!(
            (of_survivors - lost).abs() < 0.02,
            "{buckets} buckets: {of_survivors} of the survivors' flows"
        );
        assert!(buckets == 0 || of_survivors == 0.0, "not one");
        let all = two.iter().zip(&again).filter(|(two, again)| two != again).count() as f64 / FLOWS as f64;
        let expected = if buckets == 0 { 2.0 / 3.0 } else { back };
        assert!((all - expected).abs() < 0.02, "{buckets} buckets: {all} of the flows moved back");
        if buckets != 0 {
            let to_others = two.iter().zip(&again).filter(|(two, again)| two != again && **again != 2);
            assert_eq!(to_others.count(), 0, "only to the member that is back");
        }
        for table in [&three, &again] {
            for member in 0..3 {
                let part = table.iter().filter(|on| **on == member).count() as f64 / FLOWS as f64;
                assert!((part - 1.0 / 3.0).abs() < 0.02, "member {member} has {part}");
            }
        }
    }
}

#[test]
fn eight_members_share_evenly() {
    let flows = flows(100_000);
    for buckets in [0, 256] {
        let rig = Rig::up(&format!("mode=2 xmit_hash_policy=layer3+4 hash_buckets={buckets}"), 8);
        let spread = spread(&rig, &flows);
        for member in 0..8 {
            let part = spread.iter().filter(|on| **on == member).count() as f64 * 8.0 / flows.len() as f64;
            assert!((part - 1.0).abs() < 0.03, "{buckets} buckets: member {member} has {part} of its share");
        }
    }
}

/// Eight members lost one by one and back in another order: shares stay within a bucket of each other, and nothing moves
/// that need not.
#[test]
fn eight_members_lost_one_by_one_and_back() {
    let mut rig = Rig::up("mode=2 hash_buckets=256", 8);
    let shares = |rig: &Rig, up: &[usize]| {
        let status = rig.bond.status(rig.now);
        let held: Vec<usize> = up.iter().map(|member| status.members[*member].buckets.unwrap()).collect();
        assert_eq!(held.iter().sum::<usize>(), 256);
        assert!(held.iter().max().unwrap() - held.iter().min().unwrap() <= 1, "{held:?}");
    };
    let mut up: Vec<usize> = (0..8).collect();
    shares(&rig, &up);
    for lost in [3, 0, 7, 1, 6, 2, 5] {
        let before = rig.table();
        rig.link(lost, false);
        up.retain(|member| *member != lost);
        shares(&rig, &up);
        let others = before.iter().zip(rig.table()).filter(|(was, is)| *was != is && **was != lost as u16);
        assert_eq!(others.count(), 0);
    }
    rig.link(4, false);
    assert_eq!(rig.table(), [] as [u16; 0]);
    up.clear();
    for back in [1, 4, 0, 2, 7, 3, 5, 6] {
        let before = rig.table();
        rig.link(back, true);
        up.push(back);
        shares(&rig, &up);
        let others = before.iter().zip(rig.table()).filter(|(was, is)| *was != is && *is != back as u16);
        assert_eq!(others.count(), 0);
    }
}

#[test]
fn the_table_can_be_changed_alive() {
    let mut rig = Rig::up("mode=2", 3);
    rig.set("hash_buckets=256");
    let table = rig.table();
    assert_eq!((table.len(), &table[..4]), (256, &[0, 1, 2, 0][..]));
    rig.set("xmit_hash_policy=layer3+4");
    assert_eq!(rig.table(), table, "another hash, the same table");
    rig.set("hash_buckets=0");
    assert_eq!(rig.table(), [0, 1, 2]);
    rig.set("hash_buckets=256");
    rig.link(0, false);
    rig.set("hash_buckets=0");
    rig.link(0, true);
    rig.set("hash_buckets=256");
    assert_eq!(rig.table(), table, "a table that was given up is forgotten");
    rig.set("hash_buckets=0");
    let status = rig.bond.status(rig.now);
    assert_eq!((status.buckets, status.members[1].buckets), (Some(3), Some(1)));
}

/// A device that comes back under another number takes a share like any member that returns.
#[test]
fn hotplug_with_another_device_number() {
    let mut rig = Rig::up("mode=2 hash_buckets=256", 2);
    rig.bond.handle_link(rig.now, "eth0", None);
    assert_eq!(rig.table(), [1; 256]);
    let mut report = rig.report(0, true);
    report.device = forwarding::ids::DeviceId(9);
    rig.bond.handle_link(rig.now, "eth0", Some(report));
    assert_eq!(rig.table().iter().filter(|device| **device == 9).count(), 128);
}
