//! What came into a bridge, by VLAN.

use core::sync::atomic::AtomicU64;
use core::sync::atomic::Ordering::Relaxed;

use crate::vlan::MAX_VLAN;

/// Frames and octets of one VLAN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VlanCount {
    /// 0..=4094, 0 = untagged.
    pub vlan: u16,
    /// Frames received in the VLAN, those dropped later included.
    pub frames: u64,
    /// Their octets, without the outer tag.
    pub bytes: u64,
}

/// Counters of all VLANs of a bridge (64 KiB). Workers add once for a run of frames of one VLAN; readers sum nothing.
pub struct VlanCounters(Box<[[AtomicU64; 2]]>);

impl VlanCounters {
    /// All zero.
    pub fn new() -> Self {
        Self((0..=MAX_VLAN).map(|_| Default::default()).collect())
    }

    /// Adds received frames and their octets. VLANs above [`MAX_VLAN`] are ignored.
    #[inline]
    pub fn add(&self, vlan: u16, frames: u64, bytes: u64) {
        if let Some([of_frames, of_bytes]) = self.0.get(usize::from(vlan)) {
            of_frames.fetch_add(frames, Relaxed);
            of_bytes.fetch_add(bytes, Relaxed);
        }
    }

    /// The VLANs that had any frame, in their order.
    pub fn read(&self) -> Vec<VlanCount> {
        let counts = self.0.iter().zip(0..).map(|([frames, bytes], vlan)| VlanCount {
            vlan,
            frames: frames.load(Relaxed),
            bytes: bytes.load(Relaxed),
        });
        counts.filter(|count| count.frames > 0).collect()
    }
}

impl Default for VlanCounters {
    fn default() -> Self {
        Self::new()
    }
}

impl core::fmt::Debug for VlanCounters {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.read()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vlans_are_counted_apart() {
        let counters = VlanCounters::new();
        assert_eq!(counters.read(), []);
        counters.add(0, 1, 60);
        counters.add(4094, 2, 120);
        counters.add(4094, 1, 9000);
        counters.add(4095, 1, 1);
        let of = |vlan, frames, bytes| VlanCount { vlan, frames, bytes };
        assert_eq!(counters.read(), [of(0, 1, 60), of(4094, 3, 9120)]);
    }
}
