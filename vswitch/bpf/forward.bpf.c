// SPDX-License-Identifier: MIT OR Apache-2.0
// The kernel's executor of the tables: forwards a frame whose source and destination are known, and leaves every other one
// to the daemon. Each frame is decided here once; one that is left to the daemon goes to a TAP of its, marked with the
// device it came from, and nowhere else. Nothing is passed on to the host's own stack, but for what LACP hears there by a
// socket.
//
// The order of questions is that of forwarding/src/pipeline.rs. Where that one drops a frame, learns or floods, this one
// leaves the frame to it. Of the ARP and neighbour discovery that is forwarded here the daemon gets copies to look at.

#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_packet.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "fdb.h"
#include "frame.h"
#include "hash.h"
#include "layout.h"
#include "maps.h"
#include "tables.h"
#include "translate.h"
#include "vlan.h"

#define HASH_OFFLOAD 6
#define HASH_LAYER34 1
#define HASH_SLB 7
#define MAX_COPIES 64
// In the place of a miss: the frame was passed on, for LACP.
#define SHOWN_PASSED (VSW_MISS_COUNT + 1)

// Set by tests, which can't see where a frame is redirected to: the verdict is written into the frame's control block.
const volatile __u8 vsw_show_verdict = 0;

static __always_inline void count_miss(__u32 reason)
{
	__u64 *count = bpf_map_lookup_elem(&vsw_misses, &reason);

	if (count)
		*count += 1;
}

// Into which VLAN the port takes the frame.
__noinline int vsw_place(__u32 copy, struct frame *frame)
{
	struct vsw_port *port;

	if (!frame)
		return VSW_MISS_ERROR;
	port = port_of(copy, frame->port);
	if (!port || !port->used || port->flags & VSW_PORT_NO_ROOM)
		return VSW_MISS_NO_ROOM;
	frame->bridge = port->bridge;
	if (!vlan_place(copy, port, frame->tag, &frame->placed))
		return VSW_MISS_VLAN;
	// What a customer's tag encloses is the customer's.
	frame->snooped = frame->resolves && port->flags & VSW_PORT_SNOOP && frame->l3 == ETH_HEADER &&
			 !frame->placed.inner.tpid;
	return VSW_MISS_COUNT;
}

// Whether its source is known to be where it came in, and behind which port its destination is.
__noinline int vsw_look_up(__u32 copy, struct frame *frame)
{
	struct vsw_bridge *bridge;
	struct fdb_place place;
	__u64 key, value;

	if (!frame)
		return VSW_MISS_ERROR;
	bridge = bridge_of(copy, frame->bridge);
	if (!bridge || !bridge->used)
		return VSW_MISS_NO_ROOM;
	frame->fdb = bridge->fdb;
	frame->tick = fdb_tick();
	key = frame->src | frame->placed.vlan;
	place = fdb_place(bridge, key);
	value = vsw_fdb_find(bridge->fdb, key, place.first, place.second, place.tag);
	if (!value || (__u16)value != frame->port || !fdb_is_live(bridge, value, frame->tick))
		return VSW_MISS_SOURCE;
	frame->known = value;
	frame->fdb_buckets = (__u64)place.second << 32 | place.first;
	key = frame->dst | frame->placed.vlan;
	place = fdb_place(bridge, key);
	value = vsw_fdb_find(bridge->fdb, key, place.first, place.second, place.tag);
	if (!value || !fdb_is_live(bridge, value, frame->tick))
		return VSW_MISS_DESTINATION;
	frame->to = value;
	return frame->to == frame->port ? VSW_MISS_SAME_PORT : VSW_MISS_COUNT;
}

// With which tags it leaves.
__noinline int vsw_tag(__u32 copy, struct frame *frame)
{
	struct vsw_port *port;

	if (!frame)
		return VSW_MISS_ERROR;
	port = port_of(copy, frame->to);
	if (!port || !port->used || port->bridge != frame->bridge || port->flags & VSW_PORT_NO_ROOM)
		return VSW_MISS_NO_ROOM;
	if (!vlan_contains(copy, port, frame->placed.vlan))
		return VSW_MISS_VLAN;
	if (port->vlan_mode == VSW_VLAN_TUNNEL && port->cvlans != VSW_EVERY_VLAN) {
		__u16 customer = frame->placed.inner.tpid ? vid(frame->placed.inner) : frame->customer;

		if (!vlan_set_has(copy, port->cvlans, customer))
			return VSW_MISS_VLAN;
	}
	vlan_egress(port, &frame->placed, &frame->outer, &frame->inner);
	return VSW_MISS_COUNT;
}

// The device in a bucket; VSW_MAX_DEVICES: there is none.
static __always_inline __u32 member_of(__u32 copy, __u16 table, __u32 bucket)
{
	__u32 key = copy * VSW_MAX_BUCKET_TABLES + table;
	struct vsw_bucket_table *buckets;

	if (table >= VSW_MAX_BUCKET_TABLES)
		return VSW_MAX_DEVICES;
	buckets = bpf_map_lookup_elem(&vsw_buckets, &key);
	return buckets ? buckets->devices[bucket & (VSW_MAX_BUCKETS - 1)] : VSW_MAX_DEVICES;
}

// Whose turn it is.
static __always_inline __u32 take_turn(__u32 port, __u32 per_member)
{
	__u32 *turns = bpf_map_lookup_elem(&vsw_turns, &port);

	if (!turns)
		return 0;
	return per_member ? (*turns)++ / per_member : bpf_get_prandom_u32();
}

// By which device it leaves.
__noinline int vsw_pick(struct __sk_buff *skb, __u32 copy, struct frame *frame)
{
	struct vsw_port *port;
	__u32 bucket = 0, policy, inner;
	bool balanced;

	if (!frame)
		return VSW_MISS_ERROR;
	port = port_of(copy, frame->to);
	if (!port)
		return VSW_MISS_PLAN;
	// What a customer's tag encloses is the customer's.
	balanced = port->plan == VSW_PLAN_BALANCED && !frame->placed.inner.tpid && is_ip_of_stations(skb, frame);
	if (port->plan == VSW_PLAN_ONE || (port->plan == VSW_PLAN_BALANCED && !balanced)) {
		frame->device = port->device;
		return VSW_MISS_COUNT;
	}
	if (port->plan == VSW_PLAN_DROP || !port->buckets)
		return VSW_MISS_PLAN;
	if (port->plan == VSW_PLAN_BUCKETS || balanced) {
		policy = port->hash;
		if (policy == HASH_OFFLOAD) {
			policy = HASH_LAYER34;
			frame->hash = skb->hash;
		}
		inner = frame->inner.tpid ? (__u32)frame->inner.tpid << 16 | frame->inner.tci : 0;
		if (policy == HASH_SLB)
			frame->hash = vsw_hash_slb(frame->src, frame->placed.vlan);
		else if (!frame->hash)
			frame->hash = vsw_hash(skb, policy, frame->outer.tpid != 0, frame->outer.tci, inner);
		bucket = frame->hash % port->buckets;
		frame->loads = port->loads;
		frame->bucket = bucket;
	} else if (port->plan == VSW_PLAN_ROUND_ROBIN) {
		if (frame->type == TYPE_IPV4 && frame->protocol == PROTOCOL_IGMP)
			return VSW_MISS_PLAN;
		bucket = take_turn(frame->to, port->per_member) % port->buckets;
	} else {
		frame->table = port->table;
		frame->copies = port->buckets;
	}
	frame->device = member_of(copy, port->table, bucket);
	if (balanced && frame->device != port->device) {
		struct vsw_device *member = device_of(copy, frame->device);

		if (member)
			frame->source = member->source_mac;
	}
	return VSW_MISS_COUNT;
}

// Whether it can leave by a device.
static __always_inline int fits(struct __sk_buff *skb, __u32 copy, __u32 number, const struct frame *frame)
{
	struct vsw_device *device = device_of(copy, number);
	__u32 mtu = 0;

	if (!device || !device->ifindex || device->port != frame->to)
		return VSW_MISS_PLAN;
	if (frame->length <= device->mtu)
		return VSW_MISS_COUNT;
	if (skb->gso_size && !bpf_check_mtu(skb, device->ifindex, &mtu, 0, BPF_MTU_CHK_SEGS))
		return VSW_MISS_COUNT;
	return VSW_MISS_MTU;
}

// Whether copies of it can leave by all members but the first.
__noinline int vsw_check_copies(struct __sk_buff *skb, __u32 copy, struct frame *frame)
{
	if (!frame || frame->copies > MAX_COPIES)
		return VSW_MISS_PLAN;
	for (__u32 i = 1; i < MAX_COPIES && i < frame->copies; i++) {
		int miss = fits(skb, copy, member_of(copy, frame->table, i), frame);

		if (miss != VSW_MISS_COUNT)
			return miss;
	}
	return VSW_MISS_COUNT;
}

static __always_inline void count_rx(__u32 device, __u64 bytes)
{
	struct vsw_device_stats *stats = bpf_map_lookup_elem(&vsw_device_stats, &device);

	if (stats) {
		stats->rx_frames += 1;
		stats->rx_bytes += bytes;
	}
}

static __always_inline void count_tx(__u32 device, __u64 bytes)
{
	struct vsw_device_stats *stats = bpf_map_lookup_elem(&vsw_device_stats, &device);

	if (stats) {
		stats->tx_frames += 1;
		stats->tx_bytes += bytes;
	}
}

// Its octets with the outer tag. That may also be one that was in the octets when another was taken off.
static __always_inline __u64 octets_sent(const struct __sk_buff *skb)
{
	return skb->len + (skb->vlan_present ? TAG_OCTETS : 0);
}

static __always_inline void count_load(__u32 number, __u8 bucket, __u64 bytes)
{
	struct vsw_bucket_loads *loads = bpf_map_lookup_elem(&vsw_bucket_loads, &number);

	if (loads)
		loads->octets[bucket] += bytes;
}

// Sends copies by all members but the first.
__noinline int vsw_send_copies(struct __sk_buff *skb, __u32 copy, struct frame *frame)
{
	if (!frame)
		return 0;
	for (__u32 i = 1; i < MAX_COPIES && i < frame->copies; i++) {
		__u32 number = member_of(copy, frame->table, i);
		struct vsw_device *device = device_of(copy, number);

		if (device && !bpf_clone_redirect(skb, device->ifindex, 0))
			count_tx(number, octets_sent(skb));
	}
	return 0;
}

// Notes that the source was seen, once a second, and counts the frame by its VLAN, if that is wanted.
__noinline int vsw_note(__u32 copy, struct frame *frame, __u32 bytes)
{
	struct vsw_vlan_stats *stats;
	struct vsw_bridge *bridge;
	__u32 key;

	if (!frame)
		return 0;
	if (!(frame->known & FDB_STATIC) && fdb_age(frame->known, frame->tick))
		vsw_fdb_refresh(frame->fdb, frame->src | frame->placed.vlan, frame->fdb_buckets, frame->known,
				fdb_refreshed(frame->known, frame->tick));
	bridge = bridge_of(copy, frame->bridge);
	if (!bridge || !(bridge->flags & VSW_BRIDGE_COUNT_VLANS))
		return 0;
	key = (__u32)frame->bridge << 16 | frame->placed.vlan;
	stats = bpf_map_lookup_elem(&vsw_vlan_stats, &key);
	if (stats) {
		stats->frames += 1;
		stats->bytes += bytes;
	} else {
		struct vsw_vlan_stats first = { .frames = 1, .bytes = bytes };

		bpf_map_update_elem(&vsw_vlan_stats, &key, &first, BPF_NOEXIST);
	}
	return 0;
}

// Shows the daemon a frame that is forwarded here: a copy as it came, marked as one to look at only by a customer's tag in the
// place of a service tag. Without a daemon, or without room for the copy, the frame is forwarded all the same.
__noinline int vsw_tell(struct __sk_buff *skb, __u32 ifindex, __u32 tci)
{
	if (!ifindex || bpf_skb_vlan_push(skb, bpf_htons(TPID_8021Q), tci))
		return 0;
	bpf_clone_redirect(skb, ifindex, 0);
	return bpf_skb_vlan_pop(skb);
}

// Puts the tags on with which it leaves.
static __always_inline int retag(struct __sk_buff *skb, const struct frame *frame)
{
	struct tag from = frame->tag, to = frame->outer;

	if (frame->inner.tpid)
		return bpf_skb_vlan_push(skb, bpf_htons(to.tpid), to.tci);
	if (from.tpid == to.tpid && from.tci == to.tci)
		return 0;
	if (from.tpid && bpf_skb_vlan_pop(skb))
		return -1;
	return to.tpid ? bpf_skb_vlan_push(skb, bpf_htons(to.tpid), to.tci) : 0;
}

// Replaces the source, if it is to leave with another one.
static __always_inline int readdress(struct __sk_buff *skb, const struct frame *frame)
{
	__be64 source = bpf_cpu_to_be64(frame->source << 16);

	return frame->source ? bpf_skb_store_bytes(skb, 6, &source, 6, 0) : 0;
}

// Sends by a device. The frame is as it is to leave.
static __always_inline int send(struct __sk_buff *skb, bool ingress, const struct vsw_device *to, __u64 dst)
{
	if (to->flags & VSW_DEVICE_INTERNAL)
		return bpf_redirect(to->ifindex, BPF_F_INGRESS);
	if (ingress && to->peer_mac && to->peer_mac == dst >> 16) {
		// It was received as somebody else's; where it goes it is for the receiver.
		bpf_skb_change_type(skb, PACKET_HOST);
		return bpf_redirect_peer(to->ifindex, 0);
	}
	return bpf_redirect(to->ifindex, 0);
}

// Tells a test what was decided, and how the frame is.
static __always_inline void show(struct __sk_buff *skb, const struct frame *frame, __u32 miss)
{
	skb->cb[0] = miss << 16 | frame->device;
	skb->cb[1] = (__u32)frame->to << 16 | frame->placed.vlan;
	skb->cb[2] = skb->vlan_present ? (__u32)bpf_ntohs(skb->vlan_proto) << 16 | skb->vlan_tci : 0;
	skb->cb[3] = frame->hash;
	skb->cb[4] = (__u32)frame->loads << 8 | frame->snooped;
}

// Hands the frame to the daemon, marked with the device it came from.
static __always_inline int punt(struct __sk_buff *skb, const struct vsw_device *device)
{
	// What the host sends on its internal port is on its way to the daemon already.
	if (device->flags & VSW_DEVICE_INTERNAL)
		return TC_ACT_OK;
	if (!device->punt_ifindex || bpf_skb_vlan_push(skb, bpf_htons(TPID_8021AD), device->punt_tci)) {
		count_miss(VSW_MISS_ERROR);
		return TC_ACT_SHOT;
	}
	return bpf_redirect(device->punt_ifindex, 0);
}

// Whether the frame goes on to where a packet socket of its type hears it. Only what comes in by a port's device can.
static __always_inline bool is_for_lacp(const struct __sk_buff *skb, const struct vsw_device *device)
{
	return device->flags & VSW_DEVICE_SLOW_PROTOCOLS && is_slow_protocol(skb);
}

// Whether a member may bring in the frame, which is unicast. What it may only if the destination is known is among it: of an
// unknown one the daemon decides anyway.
static __always_inline bool admits(const struct vsw_device *device, const struct frame *frame)
{
	__u32 bucket = vsw_hash_slb(frame->dst, frame->placed.vlan) & (VSW_MAX_BUCKETS - 1);

	return device->admission != VSW_ADMIT_BUCKETS || device->buckets[bucket / 64] >> (bucket % 64) & 1;
}

// Everything that is decided before the frame is touched: VSW_MISS_COUNT, or why it is left to the daemon.
static __always_inline int decide(struct __sk_buff *skb, __u32 copy, const struct vsw_device *device,
				  struct frame *frame)
{
	int miss = vsw_parse(skb, frame);

	if (miss == VSW_MISS_COUNT)
		miss = vsw_place(copy, frame);
	if (miss == VSW_MISS_COUNT && device->flags & VSW_DEVICE_TRANSLATE)
		miss = vsw_find_guest(skb, copy, frame);
	if (miss == VSW_MISS_COUNT && !frame->is_for_guest && !admits(device, frame))
		miss = VSW_MISS_ADMISSION;
	if (miss == VSW_MISS_COUNT)
		miss = vsw_look_up(copy, frame);
	if (miss == VSW_MISS_COUNT)
		miss = vsw_tag(copy, frame);
	if (miss == VSW_MISS_COUNT && frame->resolves)
		vsw_name_member(skb, copy, frame);
	if (miss == VSW_MISS_COUNT)
		miss = vsw_pick(skb, copy, frame);
	if (miss == VSW_MISS_COUNT)
		miss = fits(skb, copy, frame->device, frame);
	if (miss == VSW_MISS_COUNT && frame->copies)
		miss = vsw_check_copies(skb, copy, frame);
	return miss;
}

SEC("classifier")
int vsw_forward(struct __sk_buff *skb)
{
	__u32 zero = 0, copy, number, bytes;
	volatile struct vsw_control *control = bpf_map_lookup_elem(&vsw_control, &zero);
	struct vsw_device *device, *to;
	struct frame frame = {};
	volatile __u64 *seq;
	__u64 began;
	int miss;

	if (!control)
		return TC_ACT_SHOT;
	copy = control->active & 1;
	seq = &control->seq[copy];
	began = *seq;
	number = find_device(copy, skb->ifindex);
	device = number < VSW_MAX_DEVICES ? device_of(copy, number) : NULL;
	if (!device || device->ifindex != skb->ifindex) {
		count_miss(VSW_MISS_NO_DEVICE);
		return TC_ACT_SHOT;
	}
	frame.from = number;
	frame.port = device->port;
	frame.refused = device->admission == VSW_ADMIT_GRACE || device->admission == VSW_ADMIT_NOTHING;
	if (frame.refused && !(device->flags & VSW_DEVICE_TRANSLATE))
		miss = VSW_MISS_ADMISSION;
	else
		miss = decide(skb, copy, device, &frame);
	to = device_of(copy, frame.device);
	if (*seq != began || !to)
		miss = VSW_MISS_TABLES;
	if (miss != VSW_MISS_COUNT) {
		if ((miss == VSW_MISS_GROUP || miss == VSW_MISS_ADMISSION) && is_for_lacp(skb, device)) {
			if (vsw_show_verdict)
				show(skb, &frame, SHOWN_PASSED);
			return TC_ACT_OK;
		}
		if (vsw_show_verdict)
			show(skb, &frame, miss);
		count_miss(miss);
		return punt(skb, device);
	}

	bytes = skb->len;
	vsw_note(copy, &frame, bytes);
	count_rx(number, bytes);
	if (frame.receive_loads)
		count_load(frame.receive_loads - 1, frame.receive_bucket, bytes + (frame.tag.tpid ? TAG_OCTETS : 0));
	if ((frame.snooped && vsw_tell(skb, device->punt_ifindex, device->punt_tci)) ||
	    ((frame.is_for_guest || frame.patch_at) && vsw_translate(skb, &frame)) || retag(skb, &frame) ||
	    readdress(skb, &frame)) {
		count_miss(VSW_MISS_ERROR);
		return TC_ACT_SHOT;
	}
	if (vsw_show_verdict)
		show(skb, &frame, miss);
	if (frame.copies > 1)
		vsw_send_copies(skb, copy, &frame);
	count_tx(frame.device, octets_sent(skb));
	if (frame.loads)
		count_load(frame.loads - 1, frame.bucket, octets_sent(skb));
	return send(skb, !(device->flags & VSW_DEVICE_INTERNAL), to, frame.dst);
}

char _license[] SEC("license") = "Dual MIT/GPL";
