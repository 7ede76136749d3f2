//! What daemon and BPF program share, as `bpf/layout.h` has it. Numbers are in the host's byte order.

use forwarding::flow_hash::HashPolicy;
use forwarding::tables::Admission;
use zerocopy::{FromBytes, FromZeros, Immutable, IntoBytes, KnownLayout};

/// Version of this layout; part of the name of the directory in which maps and links are pinned.
pub const LAYOUT: u32 = 4;
/// Numbers of devices, ports and bridges that fit.
pub const MAX_DEVICES: usize = 4096;
/// See [`MAX_DEVICES`].
pub const MAX_PORTS: usize = 4096;
/// See [`MAX_DEVICES`].
pub const MAX_BRIDGES: usize = 256;
/// FDBs that fit: two for each bridge, so that a new one can be made beside the old.
pub const MAX_FDBS: usize = 512;
/// Different sets of VLANs that fit.
pub const MAX_VLAN_SETS: usize = 512;
/// Bonds with a table of members that fit.
pub const MAX_BUCKET_TABLES: usize = 512;
/// Buckets of such a table.
pub const MAX_BUCKETS: usize = 256;
/// Ports whose load is counted by bucket.
pub const MAX_LOADS: usize = 64;
/// Bonds with receive balancing that fit.
pub const MAX_RECEIVES: usize = 64;
/// Members' own addresses of each.
pub const MAX_OWN: usize = 32;
/// IP addresses of guests behind all of them.
pub const MAX_GUESTS: usize = 16384;
/// Most members to which a frame is copied.
pub const MAX_COPIES: usize = 64;
/// Buckets of the table from interface index to device.
pub const INDEX_BUCKETS: usize = 1024;
/// Devices in each of them.
pub const INDEX_WAYS: usize = 8;
/// The set of all VLANs.
pub const EVERY_VLAN: u16 = 0xffff;

/// Flags of a [`Device`].
pub mod device_flags {
    /// A TAP of our own.
    pub const INTERNAL: u8 = 1;
    /// We have set IFF_PROMISC.
    pub const SET_PROMISC: u8 = 2;
    /// It was admin down before.
    pub const WAS_DOWN: u8 = 4;
    /// Its large receive offload was on before.
    pub const HAD_LRO: u8 = 8;
    /// Frames of the Slow Protocols are passed on to a socket of LACP's.
    pub const SLOW_PROTOCOLS: u8 = 16;
    /// Its port has [`super::port_flags::TRANSLATE`].
    pub const TRANSLATE: u8 = 32;
}

/// Flags of a [`Port`].
pub mod port_flags {
    /// The maps had no room for its rules.
    pub const NO_ROOM: u8 = 1;
    /// A bond with receive balancing.
    pub const TRANSLATE: u8 = 2;
    /// A bond.
    pub const BOND: u8 = 4;
    /// The daemon gets copies of ARP and neighbour discovery that it brings in.
    pub const SNOOP: u8 = 8;
}

/// Flags of a [`Bridge`].
pub mod bridge_flags {
    /// Frames are counted by VLAN.
    pub const COUNT_VLANS: u8 = 1;
}

/// Values of [`Port::vlan_mode`].
pub mod vlan_mode {
    #![expect(missing_docs, reason = "named as OVS does")]
    pub const ACCESS: u8 = 0;
    pub const TRUNK: u8 = 1;
    pub const NATIVE_TAGGED: u8 = 2;
    pub const NATIVE_UNTAGGED: u8 = 3;
    pub const TUNNEL: u8 = 4;
}

/// Values of [`Port::plan`], as [`forwarding::tables::TransmitPlan`].
pub mod plan {
    #![expect(missing_docs, reason = "see TransmitPlan")]
    pub const DROP: u8 = 0;
    pub const ONE: u8 = 1;
    pub const BUCKETS: u8 = 2;
    pub const ROUND_ROBIN: u8 = 3;
    pub const ALL: u8 = 4;
    pub const BALANCED: u8 = 5;
}

/// A name as the kernel keeps it: at most 15 octets, then zeros.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Name([u8; 16]);

impl Name {
    /// What fits of a text.
    pub fn new(text: &str) -> Self {
        let mut name = [0; 16];
        let len = text.len().min(15);
        name[..len].copy_from_slice(&text.as_bytes()[..len]);
        Self(name)
    }

    /// The text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.0.split(|octet| *octet == 0).next().unwrap_or_default()).into_owned()
    }
}

/// Which copy of the tables is in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Control {
    /// 0 or 1.
    pub active: u32,
    /// [`LAYOUT`].
    pub layout: u32,
    /// Of each copy; odd while it is being written.
    pub seq: [u64; 2],
}

/// A device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Device {
    /// Interface index; 0: no such device.
    pub ifindex: u32,
    /// Its port.
    pub port: u16,
    /// See [`admission`].
    pub admission: u8,
    /// [`device_flags`].
    pub flags: u8,
    /// Octets of layer 3.
    pub mtu: u32,
    /// Interface index of the TAP for frames that the daemon must decide about; 0: they are dropped.
    pub punt_ifindex: u32,
    /// How they are marked; see [`crate::datapath::Mark`].
    pub punt_tci: u16,
    pub(super) reserved: [u16; 3],
    /// Address of a veth's other end in another network namespace, as a number; 0: none.
    pub peer_mac: u64,
    /// For adaptive modes.
    pub(super) source_mac: u64,
    pub(super) reserved2: [u64; 3],
    /// Its name.
    pub name: Name,
    /// See [`admitted_buckets`].
    pub buckets: [u64; 4],
    pub(super) reserved3: [u64; 2],
}

/// A port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Port {
    /// Its bridge.
    pub bridge: u16,
    /// 0: no such port.
    pub used: u8,
    /// [`port_flags`].
    pub flags: u8,
    /// [`vlan_mode`].
    pub vlan_mode: u8,
    /// [`plan`].
    pub plan: u8,
    /// Number of [`HashPolicy`].
    pub hash: u8,
    /// Counters by bucket: 1 and their number; 0: none.
    pub loads: u8,
    /// VLAN of access and tunnel ports, native VLAN.
    pub vlan: u16,
    /// Number of a VLAN set.
    pub trunks: u16,
    /// Number of a VLAN set.
    pub cvlans: u16,
    /// The device of [`plan::ONE`], and home of [`plan::BALANCED`].
    pub device: u16,
    /// Number of a bucket table.
    pub table: u16,
    /// How many of the table's entries count.
    pub buckets: u16,
    /// Frames of [`plan::ROUND_ROBIN`] until it is the next member's turn; 0: by lot.
    pub per_member: u32,
    /// Number of its receive balancing ([`port_flags::TRANSLATE`]).
    pub receive: u16,
    /// Counters by bucket of what comes in: 1 and their number; 0: none.
    pub receive_loads: u8,
    pub(super) reserved: [u8; 5],
    pub(super) reserved2: [u64; 4],
    /// Its name.
    pub name: Name,
    pub(super) reserved3: [u64; 6],
}

/// A bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Bridge {
    /// Secret of the FDB's hash.
    pub secret: [u64; 3],
    /// Buckets of the FDB.
    pub fdb_buckets: u32,
    /// Number of the FDB.
    pub fdb: u16,
    /// Seconds.
    pub ageing: u16,
    /// 0: no such bridge.
    pub used: u8,
    /// [`bridge_flags`].
    pub flags: u8,
    pub(super) reserved: [u16; 3],
    /// Seed of the FDB's secret.
    pub seed: u64,
    pub(super) reserved2: [u64; 2],
    /// Its name.
    pub name: Name,
    /// Entries that the FDB may hold.
    pub capacity: u32,
    pub(super) reserved3: u32,
    pub(super) reserved4: [u64; 5],
}

/// A set of VLANs as a bitmap.
pub type VlanSet = [u64; 64];

/// Bucket to device.
pub type BucketTable = [u16; MAX_BUCKETS];

/// Receive balancing of a bond: [`forwarding::receive::Receive`]. Addresses are numbers in the upper 48 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct Receive {
    /// Members' own addresses, and in the lower 16 bits the device by which frames to each are let in; 0: no more.
    pub own: [u64; MAX_OWN],
    /// What guests give as their address to the peers of each bucket; 0: their own.
    pub told: [u64; MAX_BUCKETS],
}

/// An IP address of a guest behind a bond.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, FromBytes, IntoBytes, Immutable, KnownLayout,
)]
#[repr(C, align(4))]
pub struct GuestKey {
    /// The bond.
    pub port: u16,
    /// The VLAN.
    pub vlan: u16,
    /// The IP address in network byte order; IPv4 as `::ffff:a.b.c.d`.
    pub ip: [u8; 16],
}

/// Devices whose interface indexes have the same lower bits; the ways in use come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub struct IndexBucket {
    /// Interface index (0: free) and device number.
    pub ways: [[u32; 2]; INDEX_WAYS],
}

macro_rules! all_zero_is_the_default {
    ($($kind:ty),+) => {
        $(impl Default for $kind {
            fn default() -> Self {
                Self::new_zeroed()
            }
        })+
    };
}
all_zero_is_the_default!(Device, Port, Bridge, Receive);

/// What a device carried by the fast path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct DeviceStats {
    /// Frames forwarded that came in here.
    pub rx_frames: u64,
    /// Their octets, without the outer tag.
    pub rx_bytes: u64,
    /// Frames sent here.
    pub tx_frames: u64,
    /// Their octets, with the outer tag.
    pub tx_bytes: u64,
}

/// What left by each bucket of a port by the fast path: octets with all tags.
pub type BucketLoads = [u64; MAX_BUCKETS];

/// What came into a VLAN by the fast path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[repr(C)]
pub struct VlanStats {
    /// Frames.
    pub frames: u64,
    /// Octets, without the outer tag.
    pub bytes: u64,
}

/// Why a frame is left to the daemon, in the order of the program's numbers: label, and meaning.
pub const MISSES: [(&str, &str); 14] = [
    ("group_destination", "to a group address"),
    ("unknown_source", "source not known at this port, or expired"),
    ("unknown_destination", "destination not known, or expired"),
    ("admission", "came in by a member that may not receive, or not everything"),
    ("no_guest", "to a bond member's own address, and no guest is known to have the IP address"),
    ("malformed", "no sound frame"),
    ("vlan", "VLAN not allowed where it came in or where it would leave"),
    ("same_port", "destination behind the port it came from"),
    ("no_member", "no member or device to send by; IGMP in balance-rr"),
    ("mtu", "longer than the device's MTU"),
    ("no_room", "the maps had no room for a port's rules"),
    ("tables_changed", "tables were published twice while it was looked at"),
    ("no_device", "device in no table; dropped"),
    ("error", "the kernel refused a step; dropped"),
];

/// Number of an admission rule.
pub fn admission(admission: Admission) -> u8 {
    match admission {
        Admission::All => 0,
        Admission::AllButReflected => 1,
        Admission::Grace => 2,
        Admission::Nothing => 3,
        Admission::Buckets { .. } => 4,
    }
}

/// The buckets of the addresses to which frames are let in: also those that need a known destination, since the program
/// leaves frames to an unknown one to a worker.
pub fn admitted_buckets(admission: Admission) -> [u64; 4] {
    match admission {
        Admission::Buckets { own, lately, .. } => *own.union(lately).words(),
        Admission::All | Admission::AllButReflected | Admission::Grace | Admission::Nothing => [0; 4],
    }
}

/// Number of a hash.
pub fn hash(policy: HashPolicy) -> u8 {
    policy as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const _: () = assert!(MAX_LOADS < 256 && MAX_BUCKETS == forwarding::bucket_loads::BUCKETS);

    #[test]
    fn sizes_are_those_of_the_program() {
        assert_eq!(size_of::<Control>(), 24);
        assert_eq!([size_of::<Device>(), size_of::<Port>(), size_of::<Bridge>()], [128; 3]);
        assert_eq!([size_of::<IndexBucket>(), size_of::<forwarding::fdb::Bucket>()], [64; 2]);
        assert_eq!((size_of::<DeviceStats>(), size_of::<VlanStats>()), (32, 16));
        assert_eq!((size_of::<Receive>(), size_of::<GuestKey>()), (8 * (MAX_OWN + MAX_BUCKETS), 20));
        assert_eq!(std::mem::offset_of!(Device, name), 64);
        assert_eq!(std::mem::offset_of!(Port, name), 64);
        assert_eq!(std::mem::offset_of!(Bridge, name), 64);
    }

    #[test]
    fn every_reason_is_documented() {
        let documentation = include_str!("../../../docs/operations.md");
        for (label, meaning) in MISSES {
            let row = format!("| `{label}` | {meaning} |");
            assert!(documentation.contains(&row), "docs/operations.md lacks {row}");
        }
    }

    #[test]
    fn names() {
        assert_eq!(Name::new("eth1").text(), "eth1");
        assert_eq!(Name::new("abcdefghijklmnopq").text(), "abcdefghijklmno");
        assert_eq!(Name::default().text(), "");
    }
}
