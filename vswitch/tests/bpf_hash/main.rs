//! The transmit hashes of the fast path (`vswitch/bpf/hash.h`), run by the kernel on single frames, against those of
//! `forwarding::flow_hash`.

mod frames;
mod probe;
mod received;

use forwarding::flow_hash::{HashPolicy, hash, hash_with_inner};
use forwarding::vlan::{TPID_8021AD, TPID_8021Q, VlanTag};
use forwarding::wire::vlan::{TAG_LEN, pop_outer};
use serde_json::Value;

use frames::{Random, hex, octets};
use probe::{Probe, Program, SHORTEST_FRAME};

/// Frames of the property test, each with every policy, with and without tags. `VSWITCH_BPF_CASES` says another number.
const CASES: u64 = 30_000;

/// What the Rust hash says.
fn expected(policy: HashPolicy, bytes: &[u8], tag: Option<VlanTag>, inner: Option<VlanTag>) -> u32 {
    match inner {
        Some(inner) => hash_with_inner(policy, bytes, inner, tag),
        None => hash(policy, bytes, tag),
    }
}

/// Compares all policies, with and without both tags, and returns how many hashes by policies that look at IP were not
/// just that of layer2.
fn compare(probe: &Probe, program: Program, bytes: &[u8], tag: VlanTag, inner: VlanTag) -> usize {
    let mut by_content = 0;
    for (tag, inner) in [(None, None), (Some(tag), None), (None, Some(inner)), (Some(tag), Some(inner))] {
        for policy in HashPolicy::ALL {
            let expected = expected(policy, bytes, tag, inner);
            let found = probe.hash(program, policy, bytes, tag, inner);
            assert_eq!(
                found,
                expected,
                "{found:#010x}, not {expected:#010x}: {program:?}, {}, tag {tag:x?}, inner {inner:x?}, frame {}",
                policy.name(),
                hex(bytes)
            );
            let looks_at_ip = !matches!(policy, HashPolicy::Layer2 | HashPolicy::VlanSrcMac);
            let layer2 = self::expected(HashPolicy::Layer2, bytes, tag, inner);
            by_content += usize::from(looks_at_ip && found != layer2);
        }
    }
    by_content
}

fn some_tag(random: &mut Random) -> VlanTag {
    VlanTag { tpid: *random.pick(&[TPID_8021Q, TPID_8021AD]), tci: random.number() as u16 }
}

#[test]
fn hashes_are_those_of_rust() {
    let Some(probe) = Probe::load() else { return };
    let cases = std::env::var("VSWITCH_BPF_CASES").map_or(CASES, |text| text.parse().expect("a number"));
    let mut by_content = 0;
    for case in 0..cases {
        let mut random = Random::new(case);
        let bytes = frames::spoilt_frame(&mut random);
        let (tag, inner) = (some_tag(&mut random), some_tag(&mut random));
        let program = *random.pick(&Program::ALL);
        by_content += compare(&probe, program, &bytes, tag, inner);
    }
    // Of 16 hashes a frame; the tag put in hides the packet from half the policies.
    let share = by_content as f64 / (cases * 16) as f64;
    println!("{cases} frames; {share:.2} of the hashes are by IP");
    assert!(share > 0.25, "only {share:.2} of the hashes say anything");
}

#[test]
fn hashes_are_those_of_rust_at_every_length() {
    let Some(probe) = Probe::load() else { return };
    for case in 0..100 {
        let mut random = Random::new(case);
        let bytes = frames::frame(&mut random);
        let (tag, inner) = (some_tag(&mut random), some_tag(&mut random));
        for len in SHORTEST_FRAME..=bytes.len().min(250) {
            compare(&probe, Program::ALL[len % 2], &bytes[..len], tag, inner);
        }
    }
}

#[test]
fn fifteen_transitions_and_no_more() {
    let Some(probe) = Probe::load() else { return };
    let mut random = Random::new(0);
    for n in 0..700 {
        let bytes = frames::nested(&mut random, 12 + n % 7);
        let (tag, inner) = (some_tag(&mut random), some_tag(&mut random));
        compare(&probe, *random.pick(&Program::ALL), &bytes, tag, inner);
    }
}

/// Where the octets end that count with a tag put in: [`hash_with_inner`] looks at 512 of the tagged frame.
#[test]
fn a_tag_put_in_limits_the_octets() {
    let Some(probe) = Probe::load() else { return };
    let mut random = Random::new(0);
    let (tag, inner) = (some_tag(&mut random), some_tag(&mut random));
    for protocol in frames::PROTOCOLS.repeat(20) {
        for units in 45..55 {
            let bytes = frames::far_header(&mut random, units, protocol);
            compare(&probe, *random.pick(&Program::ALL), &bytes, tag, inner);
        }
    }
}

#[test]
fn hashes_are_those_of_linux() {
    let Some(probe) = Probe::load() else { return };
    let text = include_str!("../../../forwarding/tests/data/hash-vectors.json");
    let file: Value = serde_json::from_str(text).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 12);
    for vector in vectors {
        let mut frame = octets(vector["frame"].as_str().unwrap());
        let tag = pop_outer(&mut frame);
        let bytes = if tag.is_some() { &frame[TAG_LEN..] } else { &frame[..] };
        for (policy, program) in
            HashPolicy::ALL.into_iter().flat_map(|p| Program::ALL.map(|program| (p, program)))
        {
            let found = format!("{:#010x}", probe.hash(program, policy, bytes, tag, None));
            let name = policy.name();
            assert_eq!(
                found,
                vector["hash"][name].as_str().unwrap(),
                "{program:?}, {name} of {}",
                vector["name"]
            );
        }
    }
}

/// What a hash costs, in ns, beyond what the kernel needs to run an empty program.
#[test]
#[ignore = "measures; says nothing about right or wrong"]
fn costs() {
    let Some(probe) = Probe::load() else { return };
    let udp = frames::plain_udp();
    let nothing = probe.cost(None, HashPolicy::Layer2, &udp);
    println!("an empty program: {nothing} ns");
    for program in Program::ALL {
        for policy in HashPolicy::ALL {
            let cost = probe.cost(Some(program), policy, &udp);
            println!(
                "{program:?}, {} of UDP over IPv4: {cost} ns, less the empty one {}",
                policy.name(),
                cost.saturating_sub(nothing)
            );
        }
    }
}
