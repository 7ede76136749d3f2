//! Frames that a device receives, only their first octets in the linear part.

use std::thread;
use std::time::{Duration, Instant};

use aya::Ebpf;
use aya::maps::Array;
use aya::programs::{SchedClassifier, TcAttachType, tc};
use forwarding::flow_hash::{HashPolicy, hash};
use forwarding::mac::MacAddr;
use forwarding::wire::virtio::VirtioNetHeader;
use forwarding::wire::vlan::{TAG_LEN, pop_outer};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use vswitch::device::{Device, TxBurst, TxFrame};
use vswitch::netlink::link;

use crate::frames::{self, Random};
use crate::probe::{Probe, compiled, load, skip};

/// More than the kernel allocates in one piece for a TAP.
const LONG: usize = 5000;
/// Longest wait for a frame.
const PATIENCE: Duration = Duration::from_secs(5);

/// What `received.bpf.c` says: frames, octets, octets in the linear part, hashes.
type Report = [u32; 9];

fn report(object: &Ebpf) -> Report {
    let map = object.map(".bss").expect("the object has it");
    Array::<_, Report>::try_from(map).expect("a global variable").get(&0, 0).expect("the map can be read")
}

fn attach(object: &mut Ebpf, name: &str) {
    // Kernels before 6.6 attach programs to this queueing discipline, later ones need none.
    let _not_needed = tc::qdisc_add_clsact(name);
    let program: &mut SchedClassifier = object.program_mut("receive").unwrap().try_into().unwrap();
    program.attach(name, TcAttachType::Ingress).expect("the program can be attached");
}

/// Hands a frame to the host, its first `linear` octets in the linear part.
fn send(tap: &Device, bytes: &[u8], linear: u16) {
    let header = VirtioNetHeader { hdr_len: linear, ..Default::default() };
    let sent = tap.send_burst(
        [TxFrame { bytes, tag: None, inner: None, source: None, destination: None, patch: None, header }],
        &mut TxBurst::new(),
    );
    assert_eq!(sent.sent, 1);
}

/// In a network namespace of its own, gone with the thread.
fn hash_received_frames() {
    // An object with variables does not load without the right to, but aya doesn't say that this is the reason.
    let Some(_) = Probe::load() else { return };
    let Some(object) = compiled("received.bpf.c") else { return };
    let Some(mut object) = load(&object) else { return };
    // SAFETY: a new network namespace changes nothing that this process's memory depends on.
    if let Err(error) = unsafe { unshare_unsafe(UnshareFlags::NEWNET) } {
        skip(&format!("can't make a network namespace: {error}"));
        return;
    }
    let tap = match Device::tap("tap0", MacAddr([2, 0, 0, 0, 0xcc, 1])) {
        Ok(tap) => tap,
        Err(error) => return skip(&error.to_string()),
    };
    tap.unpersist().unwrap();
    link::set_admin_up(tap.ifindex(), true).unwrap();
    attach(&mut object, tap.name());

    let mut random = Random::new(0);
    for n in 1..=1000 {
        let mut bytes = frames::frame(&mut random);
        bytes.resize(LONG, 0);
        // As much as a device must have there, or where any of the headers may be cut in two.
        let linear = if n % 4 == 0 { 14 } else { 14 + random.number() as u16 % 100 };
        send(&tap, &bytes, linear);
        let deadline = Instant::now() + PATIENCE;
        let [_, len, found_linear, hashes @ ..] = loop {
            let report = report(&object);
            if report[0] == n {
                break report;
            }
            assert!(report[0] == n - 1 && Instant::now() < deadline, "frame {n}: {report:?}");
            thread::yield_now();
        };
        let text = format!("{linear} linear octets of {}", frames::hex(&bytes));
        // The kernel takes the tag out, and needs it in the linear part for that.
        let tag = pop_outer(&mut bytes);
        let bytes = if tag.is_some() { &bytes[TAG_LEN..] } else { &bytes[..] };
        assert_eq!(len as usize, bytes.len(), "{text}");
        assert!(found_linear <= u32::from(linear.max(18)), "{found_linear} linear octets");
        assert_eq!(hashes, HashPolicy::ALL.map(|policy| hash(policy, bytes, tag)), "{text}");
    }
}

#[test]
fn frames_beyond_the_linear_part() {
    thread::Builder::new()
        .name("frames_beyond_the_linear_part".to_owned())
        .spawn(hash_received_frames)
        .expect("a thread")
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
}
