//! What the Rust pipeline makes of a frame, and whether the program did the same or had to leave the frame to it.

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use forwarding::bucket_loads::{BUCKETS, BucketLoads};
use forwarding::drop_reason::DropReason;
use forwarding::fdb::{Entry, Fdb, FdbStats, Tick};
use forwarding::flow_hash::{self, HashPolicy};
use forwarding::ids::{DeviceId, PortId};
use forwarding::parse::parse;
use forwarding::pipeline::{Egress, Ingress, Output, forward, snooped};
use forwarding::tables::{Admission, TransmitPlan};
use forwarding::wire::virtio::VirtioNetHeader;
use forwarding::wire::vlan::is_tpid;
use vswitch::fastpath::layout::{MISSES, device_flags};

use crate::receive;
use crate::rig::{OK, REDIRECT, Ran, SHOT};
use crate::scene::Scene;
use crate::traffic::{Case, with_tags};

/// What the FDB of the frame's bridge knew before.
pub(crate) struct Known {
    entries: Vec<Entry>,
    copy: Arc<Fdb>,
    /// The port behind which the destination is.
    to: Option<PortId>,
    source_is_known: bool,
}

impl Known {
    pub(crate) fn by(scene: &Scene, case: &Case, now: Tick) -> Self {
        let fdb = scene.fdb(scene.port(case.port).bridge);
        let entries = fdb.entries(now);
        let find = |mac| entries.iter().find(|entry| Some(entry.vlan) == case.vlan && entry.mac == mac);
        let source_is_known = find(case.src).is_some_and(|entry| entry.port == case.port);
        let to = find(case.destination()).map(|entry| entry.port);
        Self { copy: Arc::new(fdb.copy()), to, source_is_known, entries }
    }
}

/// What the pipeline does, and all that it goes by.
pub(crate) struct Expected {
    result: Result<(), DropReason>,
    pub(crate) egress: Egress,
    before: Vec<Entry>,
    /// The FDB after the pipeline has learned.
    reference: Arc<Fdb>,
    pub(crate) to: Option<PortId>,
    source_is_known: bool,
    /// What it has counted by bucket of the port behind which the destination is: buckets and octets.
    loads: Vec<(usize, u64)>,
    /// The same of the port where the frame came in, for what came in there.
    received: Vec<(usize, u64)>,
}

impl Expected {
    /// Lets the pipeline work on the copy of the FDB. Each executor counts the turns of a round robin for itself, so the
    /// pipeline's is that of the member which the program had at turn.
    pub(crate) fn of(scene: &mut Scene, case: &Case, known: Known, ran: &Ran, now: Tick) -> Self {
        let Known { entries: before, copy: reference, to, source_is_known } = known;
        let shared = scene.exchange_fdb(case.port, Arc::clone(&reference));
        let all = scene.exchange_turns(PortId(ran.port), DeviceId(ran.device));
        let (device, bytes, tag) = (case.device, &case.bytes[..], case.tag);
        let ingress = Ingress { device, bytes, tag, header: VirtioNetHeader::default() };
        let mut egress = Egress::default();
        let loads = |scene: &Scene| to.and_then(|to| scene.loads(to)).map(BucketLoads::read);
        let received = |scene: &Scene| Some(scene.port(case.port).receive.as_ref()?.loads.read());
        let before_it = (loads(scene), received(scene));
        let result = forward(&scene.tables, now, &ingress, &mut egress);
        let added = |before: Option<[u64; BUCKETS]>, after: Option<[u64; BUCKETS]>| {
            let both = before.into_iter().flatten().zip(after.into_iter().flatten());
            let added = both.map(|(before, after)| after - before).enumerate();
            added.filter(|(_, octets)| *octets > 0).collect()
        };
        let (loads, received) = (added(before_it.0, loads(scene)), added(before_it.1, received(scene)));
        scene.exchange_fdb(case.port, shared);
        if let Some(all) = all {
            scene.set_members(PortId(ran.port), all);
        }
        Self { result, egress, before, reference, to, source_is_known, loads, received }
    }
}

/// Type behind all tags, and where layer 3 begins.
fn network(case: &Case) -> (u16, usize) {
    let at = |at: usize| case.frame.get(at..at + 2).map_or(0, |two| u16::from_be_bytes([two[0], two[1]]));
    let mut start = 12;
    while is_tpid(at(start)) {
        start += 4;
    }
    (at(start), start + 2)
}

/// ARP, RARP, and ICMPv6 of the types of neighbour discovery, well formed or not.
fn is_resolution(case: &Case) -> bool {
    let (ethertype, l3) = network(case);
    let octet = |at| case.frame.get(l3 + at);
    matches!(ethertype, 0x0806 | 0x8035)
        || ethertype == 0x86dd
            && octet(6) == Some(&58)
            && octet(40).is_some_and(|kind| (133..=137).contains(kind))
}

/// Whether [`TransmitPlan::Balanced`] sends it by a bucket.
pub(crate) fn is_balanced(scene: &Scene, case: &Case) -> bool {
    let placed = scene.port(case.port).vlan.place(case.tag);
    let parsed = parse(&case.bytes, case.tag);
    parsed.is_ok_and(|parsed| parsed.is_ip_of_stations(&case.bytes))
        && placed.is_some_and(|it| it.inner.is_none())
}

/// IGMP, however many tags it has.
fn is_igmp(case: &Case) -> bool {
    let (ethertype, l3) = network(case);
    ethertype == 0x0800 && case.frame.get(l3 + 9) == Some(&2)
}

/// Whether the program must forward the frame. Not its business, though the pipeline forwards them, are: frames to be
/// flooded; of an unknown source; frames of a member in its grace; IGMP that leaves by a balance-rr, with tags too; frames of which a copy doesn't leave; and what the maps had no
/// room for.
fn is_fast(scene: &Scene, case: &Case, expected: &Expected) -> bool {
    let admission = scene.tables.device(case.device).map(|device| device.admission);
    let Some(to) = expected.to.filter(|to| scene.is_of_bridge(*to, case.port)) else { return false };
    let by_turns = matches!(scene.port(to).transmit, TransmitPlan::RoundRobin { .. });
    expected.result.is_ok()
        && expected.source_is_known
        && (case.guest.is_some() || !matches!(admission, None | Some(Admission::Grace | Admission::Nothing)))
        && !(by_turns && is_igmp(case))
        && expected.egress.dropped.is_empty()
        && scene.has_room(case.port)
        && scene.has_room(to)
}

/// Whether a reason is a true one.
fn is_true(reason: &str, scene: &Scene, case: &Case, expected: &Expected) -> bool {
    use DropReason::*;
    let gave_up = |reasons: &[DropReason]| {
        expected.result.is_err_and(|reason| reasons.contains(&reason))
            || expected.egress.dropped.iter().any(|reason| reasons.contains(reason))
    };
    let transmit = expected.to.and_then(|to| scene.tables.port(to)).map(|port| &port.transmit);
    match reason {
        "group_destination" => case.dst.is_multicast(),
        "unknown_source" => !expected.source_is_known,
        "unknown_destination" => expected.to.is_none(),
        "admission" => {
            let receive = scene.port(case.port).receive.as_ref();
            let is_own = |mac| receive.is_some_and(|receive| receive.device_of(mac).is_some());
            let admission = scene.tables.device(case.device).map(|device| device.admission);
            match admission {
                _ if is_own(case.src) => gave_up(&[Reflected]),
                _ if is_own(case.dst) => gave_up(&[InactiveMember]),
                Some(Admission::Buckets { own, lately, .. }) => {
                    let hash = flow_hash::slb(case.dst, case.vlan.unwrap_or(0));
                    !own.has(hash) && !lately.has(hash)
                }
                admission => matches!(admission, Some(Admission::Grace | Admission::Nothing)),
            }
        }
        "no_guest" => gave_up(&[NoGuest]),
        "malformed" => gave_up(&[Runt, TooManyTags, InvalidSource]),
        "vlan" => gave_up(&[VlanNotAllowed, EgressVlan]),
        // A former member's admission looks at the destination too; the program does so later.
        "same_port" => gave_up(&[SamePort]) || gave_up(&[InactiveMember]) && expected.to == Some(case.port),
        "no_member" => match transmit {
            Some(TransmitPlan::Drop(reason)) => gave_up(&[*reason]),
            Some(TransmitPlan::RoundRobin { .. }) if is_igmp(case) => true,
            _ => gave_up(&[NoMember, DeviceDown]),
        },
        "mtu" => gave_up(&[MtuExceeded]),
        "no_room" => {
            let is_there = |to| scene.has_room(to) && scene.is_of_bridge(to, case.port);
            !scene.has_room(case.port) || expected.to.is_some_and(|to| !is_there(to))
        }
        _ => false,
    }
}

/// Compares what the program did with what the pipeline does.
pub(crate) fn compare(
    scene: &Scene,
    case: &Case,
    expected: &Expected,
    ran: &Ran,
    now: Tick,
) -> anyhow::Result<()> {
    let fdb = scene.fdb(scene.port(case.port).bridge);
    let after = fdb.entries(now);
    ensure!(
        ran.is_forwarded() == is_fast(scene, case, expected),
        "forwarded: {}, left to the daemon because of {:?}; the pipeline says {:?}, {:?}",
        ran.is_forwarded(),
        MISSES.get(ran.miss),
        expected.result,
        expected.egress
    );
    let is_for_lacp = expected.result == Err(DropReason::SlowProtocol);
    ensure!(ran.is_passed() == is_for_lacp, "for LACP: {}, {:?}", ran.is_passed(), expected.result);
    if ran.is_passed() {
        ensure!(after == expected.before, "the FDB has changed: {:?}, not {after:?}", expected.before);
        ensure!(
            (ran.action, &ran.bytes) == (OK, &case.frame),
            "passed on by {} as {:02x?}",
            ran.action,
            ran.bytes
        );
        return Ok(());
    }
    if !ran.is_forwarded() {
        let reason = MISSES[ran.miss].0;
        ensure!(is_true(reason, scene, case, expected), "{reason} is not true: {:?}", expected.result);
        ensure!(after == expected.before, "the FDB has changed: {:?}, not {after:?}", expected.before);
        return left_alone(scene, case, ran);
    }
    compare_outputs(scene, case, expected, ran)?;
    let learned = expected.reference.entries(now);
    ensure!(after == learned, "the FDB is {after:?}, not {learned:?}");
    compare_locks(fdb, &expected.reference, case, now)
}

/// A frame that is handed over is whole, and marked.
fn left_alone(scene: &Scene, case: &Case, ran: &Ran) -> anyhow::Result<()> {
    let facts = scene.facts.devices[usize::from(case.device.0)].as_ref().context("it came in by it")?;
    if facts.flags & device_flags::INTERNAL != 0 {
        ensure!(ran.action == OK, "verdict {} for a frame of the host's", ran.action);
        let found = with_tags(&ran.bytes, ran.tag);
        ensure!(found == case.frame, "the frame has become {found:02x?}");
    } else if facts.punt_ifindex == 0 {
        ensure!(ran.action == SHOT, "verdict {} for a frame that nobody takes", ran.action);
    } else {
        ensure!(ran.action == REDIRECT, "verdict {} for a frame handed over", ran.action);
        // The mark is beside the octets now.
        ensure!(ran.bytes == case.frame, "the frame has become {:02x?}", ran.bytes);
    }
    Ok(())
}

fn compare_outputs(scene: &Scene, case: &Case, expected: &Expected, ran: &Ran) -> anyhow::Result<()> {
    let egress = &expected.egress;
    ensure!(ran.action == REDIRECT, "verdict {} for a frame forwarded", ran.action);
    ensure!(egress.moved.is_none(), "the pipeline has news: {egress:?}");
    // The daemon gets a copy of what it wants to see, and of what looks like it.
    ensure!(ran.snooped || egress.punt.is_none(), "the daemon sees nothing of it: {egress:?}");
    let from = scene.port(case.port);
    let may_be_wanted = is_resolution(case) && (from.snoop || from.receive.is_some());
    ensure!(!ran.snooped || may_be_wanted, "the daemon sees what it has not asked for");
    let (device, bytes, tag) = (case.device, &case.bytes[..], case.tag);
    let ingress = Ingress { device, bytes, tag, header: VirtioNetHeader::default() };
    ensure!(snooped(&scene.tables, &ingress) == egress.punt, "a worker makes something else of the copy");
    let events = FdbStats { entries: 0, statics: 0, capacity: 0, ..expected.reference.stats() };
    ensure!(events == FdbStats::default(), "the pipeline learned: {events:?}");
    ensure!(Some(ran.vlan) == egress.vlan, "VLAN {}, not {:?}", ran.vlan, egress.vlan);
    ensure!(Some(PortId(ran.port)) == expected.to, "port {}, not {:?}", ran.port, expected.to);
    let first = egress.outputs.first().context("nothing leaves")?;
    let device = DeviceId(ran.device);
    match &scene.port(PortId(ran.port)).transmit {
        TransmitPlan::Buckets { hash: policy, .. } => {
            let hash = match first.inner {
                _ if *policy == HashPolicy::Slb => flow_hash::slb(case.src, ran.vlan),
                Some(inner) => flow_hash::hash_with_inner(*policy, &case.bytes, inner, first.tag),
                None => flow_hash::hash(*policy, &case.bytes, first.tag),
            };
            ensure!(ran.hash == hash, "{} is {:#x}, not {hash:#x}", policy.name(), ran.hash);
            ensure!(device == first.device, "leaves by {device:?}, not {:?}", first.device);
        }
        TransmitPlan::Balanced { hash: policy, .. } if is_balanced(scene, case) => {
            let hash = match policy {
                HashPolicy::Slb => flow_hash::slb(case.src, ran.vlan),
                policy => flow_hash::hash(*policy, &case.bytes, first.tag),
            };
            ensure!(ran.hash == hash, "{} is {:#x}, not {hash:#x}", policy.name(), ran.hash);
            ensure!(device == first.device, "leaves by {device:?}, not {:?}", first.device);
        }
        _ => ensure!(device == first.device, "leaves by {device:?}, not {:?}", first.device),
    }
    let same = |output: &Output| Output { device: first.device, ..*output } == *first;
    ensure!(egress.outputs.iter().all(same), "copies differ: {egress:?}");
    let mut bytes = case.bytes.clone();
    ensure!(first.destination == case.guest, "for {:?}, not {:?}", first.destination, case.guest);
    first.destination.into_iter().for_each(|mac| bytes[..6].copy_from_slice(&mac.0));
    first.source.into_iter().for_each(|source| bytes[6..12].copy_from_slice(&source.0));
    first.patch.into_iter().for_each(|patch| patch.apply(&mut bytes));
    let wanted = with_tags(&bytes, [first.tag, first.inner].into_iter().flatten());
    let found = with_tags(&ran.bytes, ran.tag);
    ensure!(found == wanted, "leaves as {found:02x?}, not {wanted:02x?}");
    // What the program has counted is compared at the end, with the sums of these.
    let load = load_of(scene, ran).map(|(_, bucket, octets)| (bucket, octets));
    ensure!(Vec::from_iter(load) == expected.loads, "counts {load:?}, not {:?}", expected.loads);
    let received = Vec::from_iter(receive::load_of(scene, case));
    ensure!(received == expected.received, "receives {received:?}, not {:?}", expected.received);
    // Without one of its own, a tag that is in the octets elsewhere may be beside them.
    ensure!(first.tag.is_none() || ran.tag == first.tag, "tag {:x?}, not {:x?}", ran.tag, first.tag);
    Ok(())
}

/// What a forwarded frame adds to the counters of its port, if that counts: their number, the bucket, and octets.
pub(crate) fn load_of(scene: &Scene, ran: &Ran) -> Option<(u8, usize, u64)> {
    let number = scene.facts.ports.get(usize::from(ran.port))?.as_ref()?.loads?;
    let (_, table) = scene.port(PortId(ran.port)).transmit.table()?;
    if ran.loads != number + 1 {
        return None;
    }
    Some((number, ran.hash as usize % table.len(), with_tags(&ran.bytes, ran.tag).len() as u64))
}

/// Locks that are over are taken off with a refresh. An entry doesn't tell, but its lock would come round.
fn compare_locks(fdb: &Fdb, reference: &Fdb, case: &Case, now: Tick) -> anyhow::Result<()> {
    let vlan = case.vlan.context("it is in a VLAN")?;
    for ticks in (0..256).step_by(5) {
        let then = Tick(now.0.wrapping_sub(ticks));
        let (found, wanted) = (fdb.entry(vlan, case.src, then), reference.entry(vlan, case.src, then));
        ensure!(found == wanted, "{ticks} s ago the source's entry is {found:?}, not {wanted:?}");
    }
    Ok(())
}
