// SPDX-License-Identifier: MIT OR Apache-2.0
// What daemon and program share: the compiled tables and the FDB, in memory that both have mapped. The daemon's side is
// src/fastpath/layout.rs; sizes and offsets are compared by a test. Change VSW_LAYOUT when anything here changes.
#pragma once

#include <linux/types.h>

#define VSW_LAYOUT 4

#define VSW_MAX_DEVICES 4096
#define VSW_MAX_PORTS 4096
#define VSW_MAX_BRIDGES 256
#define VSW_MAX_FDBS 512
#define VSW_MAX_VLAN_SETS 512
#define VSW_MAX_BUCKET_TABLES 512
#define VSW_MAX_BUCKETS 256
// Ports whose load is counted by bucket. Each costs 2 KiB of every possible CPU, whether or not it is used: 128 KiB in all.
// Few hosts have more than a handful of bonds.
#define VSW_MAX_LOADS 64
// Bonds with receive balancing, the members' own addresses of each, and IP addresses of guests in all of them.
#define VSW_MAX_RECEIVES 64
#define VSW_MAX_OWN 32
#define VSW_MAX_GUESTS 16384
// Buckets of the table from interface index to device, and devices in each.
#define VSW_INDEX_BUCKETS 1024
#define VSW_INDEX_WAYS 8

// "None" as a number of a VLAN set: every VLAN.
#define VSW_EVERY_VLAN 0xffff

// The tables exist twice. The program reads the active copy; the daemon writes the other and then makes it the active one.
// `seq` of a copy is odd while it is being written, and another one afterwards: a frame that finds it changed between
// beginning and end of its decision is left to the daemon.
struct vsw_control {
	__u32 active;
	__u32 layout;
	__u64 seq[2];
};

enum vsw_admission {
	VSW_ADMIT_ALL,
	VSW_ADMIT_ALL_BUT_REFLECTED,
	VSW_ADMIT_GRACE,
	VSW_ADMIT_NOTHING,
	VSW_ADMIT_BUCKETS,
};

enum vsw_device_flags {
	// A TAP of the daemon's own, the bridge's internal port: hooked at egress, and frames for it are "received" on it.
	VSW_DEVICE_INTERNAL = 1,
	// The daemon has set IFF_PROMISC, the device was down before, its large receive offload was on. For the next daemon.
	VSW_DEVICE_SET_PROMISC = 2,
	VSW_DEVICE_WAS_DOWN = 4,
	VSW_DEVICE_HAD_LRO = 8,
	// LACP hears frames of the Slow Protocols by a socket of its own: they are passed on to it.
	VSW_DEVICE_SLOW_PROTOCOLS = 16,
	// Its port has VSW_PORT_TRANSLATE.
	VSW_DEVICE_TRANSLATE = 32,
};

struct vsw_device {
	__u32 ifindex; // 0: no such device
	__u16 port;
	__u8 admission;
	__u8 flags;
	__u32 mtu;
	__u32 punt_ifindex; // where frames go that the daemon must decide about; 0: nowhere
	__u16 punt_tci;     // how they are marked: device number (12 bits), incarnation (4 bits)
	__u16 reserved[3];
	// A veth whose other end is in another network namespace and has this address: frames for it need no detour by
	// that end's queue. 0: none. As a number, first octet most significant.
	__u64 peer_mac;
	// VSW_PLAN_BALANCED: its own address, with which it sends what it isn't home to. 0: none. A number like peer_mac.
	__u64 source_mac;
	__u64 reserved2[3];
	char name[16];
	// VSW_ADMIT_BUCKETS: the buckets of the addresses to which frames are let in. Bit n % 64 of word n / 64 is bucket n.
	__u64 buckets[VSW_MAX_BUCKETS / 64];
	__u64 reserved3[2];
};

enum vsw_vlan_mode {
	VSW_VLAN_ACCESS,
	VSW_VLAN_TRUNK,
	VSW_VLAN_NATIVE_TAGGED,
	VSW_VLAN_NATIVE_UNTAGGED,
	VSW_VLAN_TUNNEL,
};

enum vsw_plan {
	VSW_PLAN_DROP,
	VSW_PLAN_ONE,
	VSW_PLAN_BUCKETS,
	VSW_PLAN_ROUND_ROBIN,
	VSW_PLAN_ALL,
	VSW_PLAN_BALANCED,
};

enum vsw_port_flags {
	// The tables had no room for what it needs: its frames are left to the daemon.
	VSW_PORT_NO_ROOM = 1,
	// A bond with receive balancing: frames to a member's own address are a guest's.
	VSW_PORT_TRANSLATE = 2,
	VSW_PORT_BOND = 4,
	// The daemon wants to see ARP, RARP and neighbour discovery that this port brings in: it gets copies of what is
	// forwarded here.
	VSW_PORT_SNOOP = 8,
};

struct vsw_port {
	__u16 bridge;
	__u8 used; // 0: no such port
	__u8 flags;
	__u8 vlan_mode;
	__u8 plan;
	__u8 hash; // enum of transmit hashes, Linux's numbers
	__u8 loads; // VSW_PLAN_BUCKETS, VSW_PLAN_BALANCED: 1 and the number of its counters by bucket; 0: none
	__u16 vlan;      // of access and tunnel ports, and the native one
	__u16 trunks;    // VLAN set
	__u16 cvlans;    // VLAN set
	__u16 device;    // VSW_PLAN_ONE; of VSW_PLAN_BALANCED home
	__u16 table;     // bucket table
	__u16 buckets;   // how many of the table's entries count, 1..=256
	__u32 per_member; // VSW_PLAN_ROUND_ROBIN: frames until it is the next one's turn; 0: by lot
	__u16 receive;    // VSW_PORT_TRANSLATE: its receive balancing
	__u8 receive_loads; // 1 and the number of the counters by bucket of what comes in; 0: none
	__u8 reserved[5];
	__u64 reserved2[4];
	char name[16];
	__u64 reserved3[6];
};

enum vsw_bridge_flags {
	VSW_BRIDGE_COUNT_VLANS = 1,
};

struct vsw_bridge {
	__u64 secret[3]; // of the FDB's hash
	__u32 fdb_buckets;
	__u16 fdb; // index into the array of FDBs
	__u16 ageing; // seconds
	__u8 used;
	__u8 flags;
	__u16 reserved[3];
	__u64 seed; // and the daemon's seed of it, so that the next one has it too
	__u64 reserved2[2];
	char name[16];
	__u32 capacity;
	__u32 reserved3;
	__u64 reserved4[5];
};

struct vsw_vlan_set {
	__u64 words[64];
};

struct vsw_bucket_table {
	__u16 devices[VSW_MAX_BUCKETS];
};

// Receive balancing of a bond. Addresses are numbers in the upper 48 bits.
struct vsw_receive {
	// Members' own addresses, and in the lower 16 bits the device by which frames to each are let in; 0: no more.
	__u64 own[VSW_MAX_OWN];
	// What guests give as their address to the peers of each bucket; 0: their own.
	__u64 told[VSW_MAX_BUCKETS];
};

// Of a guest behind a port's bond: the key of its address, a number in the upper 48 bits.
struct vsw_guest {
	__u16 port;
	__u16 vlan;
	__be32 ip[4]; // IPv4: ::ffff:a.b.c.d
};

struct vsw_index_bucket {
	struct {
		__u32 ifindex;
		__u32 device;
	} ways[VSW_INDEX_WAYS];
};

// One cache line of a bridge's FDB; see forwarding::fdb.
struct vsw_fdb_bucket {
	__u64 keys[4];
	__u64 values[4];
};

// What a device carried by the fast path, by CPU.
struct vsw_device_stats {
	__u64 rx_frames;
	__u64 rx_bytes;
	__u64 tx_frames;
	__u64 tx_bytes;
};

// What left by each bucket of a port, by CPU: octets with all tags.
struct vsw_bucket_loads {
	__u64 octets[VSW_MAX_BUCKETS];
};

struct vsw_vlan_stats {
	__u64 frames;
	__u64 bytes;
};

// Why a frame is left to the daemon.
enum vsw_miss {
	VSW_MISS_GROUP,        // to a group address
	VSW_MISS_SOURCE,       // source not known at this port
	VSW_MISS_DESTINATION,  // destination not known
	VSW_MISS_ADMISSION,    // a member that may not receive, or not everything
	VSW_MISS_NO_GUEST,     // to a member's own address, and no guest has the IP address
	VSW_MISS_MALFORMED,    // no sound frame
	VSW_MISS_VLAN,         // VLAN not allowed at ingress or egress
	VSW_MISS_SAME_PORT,    // destination behind the port it came from
	VSW_MISS_PLAN,         // no member, or a device that is down
	VSW_MISS_MTU,          // too long for the egress device
	VSW_MISS_NO_ROOM,      // the maps had no room for a port's rules
	VSW_MISS_TABLES,       // the tables changed meanwhile
	VSW_MISS_NO_DEVICE,    // the device is in no table: dropped
	VSW_MISS_ERROR,        // the kernel refused a step: dropped
	VSW_MISS_COUNT,
};

_Static_assert(sizeof(struct vsw_device) == 128, "vsw_device");
_Static_assert(sizeof(struct vsw_port) == 128, "vsw_port");
_Static_assert(sizeof(struct vsw_bridge) == 128, "vsw_bridge");
_Static_assert(sizeof(struct vsw_guest) == 20, "vsw_guest");
_Static_assert(sizeof(struct vsw_index_bucket) == 64, "vsw_index_bucket");
_Static_assert(sizeof(struct vsw_fdb_bucket) == 64, "vsw_fdb_bucket");
