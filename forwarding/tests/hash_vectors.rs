//! Transmit hashes against vectors that a Linux 6.1 bonding driver confirmed (`data/hash-vectors.json`).

use forwarding::flow_hash::{HashPolicy, hash};
use forwarding::wire::vlan::{TAG_LEN, pop_outer};
use serde_json::Value;

fn octets(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2));
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn hashes_are_those_of_linux() {
    let file: Value = serde_json::from_str(include_str!("data/hash-vectors.json")).unwrap();
    let vectors = file["vectors"].as_array().unwrap();
    assert_eq!(vectors.len(), 12);
    for vector in vectors {
        let mut frame = octets(vector["frame"].as_str().unwrap());
        let tag = pop_outer(&mut frame);
        let bytes = if tag.is_some() { &frame[TAG_LEN..] } else { &frame[..] };
        let expected = vector["hash"].as_object().unwrap();
        assert_eq!(expected.len(), HashPolicy::ALL.len());
        for policy in HashPolicy::ALL {
            let ours = format!("{:#010x}", hash(policy, bytes, tag));
            assert_eq!(
                ours,
                expected[policy.name()].as_str().unwrap(),
                "{} of {}",
                policy.name(),
                vector["name"]
            );
        }
    }
}
