//! Random numbers from the kernel.

use forwarding::mac::MacAddr;

fn fill(bytes: &mut [u8]) {
    let mut filled = 0;
    while filled < bytes.len() {
        // Fails only when interrupted before the kernel's generator is seeded, once after boot.
        filled +=
            rustix::rand::getrandom(&mut bytes[filled..], rustix::rand::GetRandomFlags::empty()).unwrap_or(0);
    }
}

/// Any number.
pub fn number() -> u64 {
    let mut bytes = [0; 8];
    fill(&mut bytes);
    u64::from_ne_bytes(bytes)
}

/// An individual, locally administered address (IEEE 802-2014 8.2.2).
pub fn local_mac() -> MacAddr {
    let mut octets = [0; 6];
    fill(&mut octets);
    octets[0] = octets[0] & 0xfc | 2;
    MacAddr(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_local_individual_and_different() {
        let (a, b) = (local_mac(), local_mac());
        assert!(a.is_valid_source() && a.0[0] & 2 == 2);
        assert_ne!(a, b);
    }
}
