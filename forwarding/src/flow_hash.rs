//! Transmit hashes.

/// Which hash picks a bucket (`xmit_hash_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HashPolicy {
    /// `layer2`: destination MAC, source MAC and ethertype.
    #[default]
    Layer2,
}
