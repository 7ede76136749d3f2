//! Everything that runs the switch on real interfaces: a harness of network namespaces, peers to compare with, a loss
//! probe, the demo, the black-box tests (`tests/`) and the benchmarks (`src/bin/bench`).
//!
//! Nothing here needs more than `CAP_NET_ADMIN` and `CAP_SYS_ADMIN` over namespaces of its own, so all of it also runs
//! inside `unshare -Urn`. Namespaces are anonymous: an open file keeps each alive and the kernel frees it, with all its
//! interfaces, when the process ends, however it ends.
//!
//! # Layout
//! - [`sys`]: the system calls that `std` and `rustix` lack
//! - [`process`]: commands with a deadline, daemons that die with us
//! - [`netns`]: namespaces and cables between them
//! - [`netfilter`]: which nftables tables there are
//! - [`topology`]: guests, host, upstream switch and remote, wired up
//! - [`switch`]: the switch under test: ours, the Linux bridge, Open vSwitch
//! - [`fdb_watch`]: addresses that move from port to port of the upstream bridge
//! - [`fastpath`]: the switch's kernel fast path, seen from outside
//! - [`modes`]: each mode of a bond with what it needs at the other end
//! - [`probe`]: numbered datagrams that show what an event cost
//! - [`numbered`]: single numbered frames, to tell by which wires each came
//! - [`qemu`]: virtual machines with a kernel of their own
//! - [`many_bonds`]: LACP bonds with partners in virtual time
//! - [`crowd`]: hundreds of ports with bare interfaces at the other end
//! - [`packets`]: raw frames in and out, counted by tag
//! - [`wire`]: ARP, ND and UDP frames, and recognising announcements
//! - [`capture`]: whole frames as they arrive, with their time
//! - [`lacpdu`]: LACPDUs as they go over a cable
//! - [`lacp_lab`]: an 802.3ad bond between our switch and Open vSwitch
//! - [`rpc`]: the daemon's socket without `vsctl`
//! - [`hash`]: transmit hashes by the published formulas
//! - [`random`]: choices that a seed repeats
//! - [`generator`]: small frames at a pace, with many addresses, and how many arrived
//! - [`pktgen`]: small frames as fast as they go
//! - [`tcp`]: a paced TCP stream of our own, and `iperf3`
//! - [`ping_pong`]: round-trip times
//! - [`radio`]: a NIC like a wireless one, slow and half duplex
//! - [`testing`]: what tests share: skipping aloud, waiting with a deadline

pub mod capture;
pub mod crowd;
pub mod fastpath;
pub mod fdb_watch;
pub mod generator;
pub mod hash;
pub mod lacp_lab;
pub mod lacpdu;
pub mod many_bonds;
pub mod modes;
pub mod netfilter;
pub mod netns;
pub mod numbered;
pub mod packets;
pub mod ping_pong;
pub mod pktgen;
pub mod probe;
pub mod process;
pub mod qemu;
pub mod radio;
pub mod random;
pub mod rpc;
pub mod switch;
pub mod sys;
pub mod tcp;
pub mod testing;
pub mod topology;
pub mod wire;
