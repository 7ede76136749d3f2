// SPDX-License-Identifier: MIT OR Apache-2.0
// A frame on its way through the program, and what a switch must understand of it.
#pragma once

#include "layout.h"
#include "vlan.h"

#define ETH_HEADER 14
#define TAG_OCTETS 4
#define MAX_TAGS 4
#define TYPE_IPV4 0x0800
#define TYPE_ARP 0x0806
#define TYPE_RARP 0x8035
#define TYPE_IPV6 0x86dd
#define PROTOCOL_IGMP 2
#define PROTOCOL_ICMPV6 58
#define TYPE_SLOW_PROTOCOLS 0x8809
#define SLOW_PROTOCOLS_ADDRESS (0x0180c2000002ULL << 16)
// What is looked at directly: addresses, four tags, an IPv6 header and the first octet behind it.
#define HEADERS 80

// A frame on its way, and what was decided about it. The steps below are functions that the kernel verifies one by one;
// this is what they share.
struct frame {
	__u64 dst; // addresses as numbers, in the upper 48 bits; the lower 16 are zero
	__u64 src;
	__u64 source; // with which it leaves, a number of 48 bits; 0: its own
	__u64 known; // the source's FDB entry
	__u64 patch; // an address that is put into the packet, as a number in the upper 48 bits
	__u64 fdb_buckets; // where that is
	__u32 length; // octets of layer 3
	__u32 hash;
	struct tag tag; // the outer one, as skb metadata
	struct placed placed;
	struct tag outer; // with which it leaves
	struct tag inner;
	__u16 type; // behind all tags
	__u16 l3;   // where layer 3 begins
	__u16 customer; // VLAN of the first tag in the octets, 0: none
	__u16 from; // device and port where it came in
	__u16 port;
	__u16 patch_at; // where the address goes; 0: nowhere
	__u16 bridge;
	__u16 fdb;
	__u16 tick;
	__u16 to; // port by which it leaves
	__u16 device; // and device
	__u16 table; // of devices, if copies leave by several
	__u16 copies; // beyond 1: how many
	__u8 protocol;
	__u8 loads;  // of the port: 1 and the number of its counters by bucket
	__u8 bucket; // and by which it leaves
	__u8 receive_loads; // of the port where it came in: 1 and the number of its counters by bucket; 0: not counted
	__u8 receive_bucket;
	bool refused;      // its device lets in only what is to a member's own address
	bool is_for_guest; // it came to such an address, and `dst` is the guest's
	bool resolves; // ARP, RARP or neighbour discovery
	bool snooped;  // and the daemon wants to see it
};

// ICMPv6 types of solicitations and advertisements of routers and neighbours, and of redirects.
static __always_inline bool is_discovery(__u8 kind)
{
	return kind >= 133 && kind <= 137;
}

// Takes an outer tag that is in the octets out of them, so that it is metadata as everywhere else. (Only what the host
// sends on its internal port may come so.)
static __always_inline int lift_tag(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__be16 *words = data + 12;
	__u16 tpid, tci;

	if (skb->vlan_present || data + ETH_HEADER + TAG_OCTETS > end)
		return 0;
	tpid = bpf_ntohs(words[0]);
	if (!is_tpid(tpid))
		return 0;
	// The kernel takes out the tag, and then refuses if one within is cut off: the frame would not be whole any more.
	if (is_tpid(bpf_ntohs(words[2])) && skb->len < ETH_HEADER + 2 * TAG_OCTETS)
		return -1;
	tci = bpf_ntohs(words[1]);
	// A tag within becomes metadata in its place, and goes back into the octets when the outer one is put on.
	if (bpf_skb_vlan_pop(skb))
		return -1;
	return bpf_skb_vlan_push(skb, bpf_htons(tpid), tci) ? -1 : 0;
}

// Reads what a switch must understand: VSW_MISS_COUNT, or why not.
__noinline int vsw_parse(struct __sk_buff *skb, struct frame *frame)
{
	void *data, *end;
	__u32 at = 12, tags;

	if (!frame || lift_tag(skb))
		return VSW_MISS_MALFORMED;
	data = (void *)(long)skb->data;
	end = (void *)(long)skb->data_end;
	if (data + HEADERS > end && skb->len > end - data) {
		if (bpf_skb_pull_data(skb, skb->len < HEADERS ? skb->len : HEADERS))
			return VSW_MISS_MALFORMED;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
	}
	if (data + ETH_HEADER > end)
		return VSW_MISS_MALFORMED;
	frame->dst = bpf_be64_to_cpu(*(__be64 *)data) & ~0xffffULL;
	frame->src = bpf_be64_to_cpu(*(__be64 *)(data + 6)) & ~0xffffULL;
	frame->type = bpf_ntohs(*(__be16 *)(data + 12));
	if (skb->vlan_present) {
		frame->tag.tpid = bpf_ntohs(skb->vlan_proto);
		frame->tag.tci = skb->vlan_tci;
	}
	tags = frame->tag.tpid ? 1 : 0;
#pragma unroll
	for (int i = 0; i < MAX_TAGS + 1; i++) {
		if (!is_tpid(frame->type))
			break;
		if (++tags > MAX_TAGS || data + at + 2 + TAG_OCTETS > end)
			return VSW_MISS_MALFORMED;
		if (i == 0)
			frame->customer = bpf_ntohs(*(__be16 *)(data + at + 2)) & 0x0fff;
		at += TAG_OCTETS;
		frame->type = bpf_ntohs(*(__be16 *)(data + at));
	}
	at += 2;
	frame->l3 = at;
	frame->length = skb->len - at;
	frame->resolves = frame->type == TYPE_ARP || frame->type == TYPE_RARP;
	if (frame->type == TYPE_IPV4) {
		if (data + at + 10 <= end)
			frame->protocol = *(__u8 *)(data + at + 9);
	} else if (frame->type == TYPE_IPV6 && data + at + 41 <= end) {
		frame->protocol = *(__u8 *)(data + at + 6);
		if (frame->protocol == PROTOCOL_ICMPV6)
			frame->resolves = is_discovery(*(__u8 *)(data + at + 40));
	}
	if (frame->dst >> 56 & 1)
		return VSW_MISS_GROUP;
	if (frame->src >> 56 & 1 || !frame->src)
		return VSW_MISS_MALFORMED;
	return VSW_MISS_COUNT;
}

// IP from one station to another: forwarding::parse::Parsed::is_ip_of_stations, of a frame that is to no group.
static __always_inline bool is_ip_of_stations(const struct __sk_buff *skb, const struct frame *frame)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u8 *packet = data + ETH_HEADER;

	if (frame->l3 != ETH_HEADER)
		return false;
	if (frame->type == TYPE_IPV4 && (void *)(packet + 20) <= end) {
		__u32 header = (packet[0] & 0xf) * 4;

		return packet[0] >> 4 == 4 && header >= 20 && ETH_HEADER + header <= skb->len &&
		       packet[9] != PROTOCOL_IGMP;
	}
	if (frame->type != TYPE_IPV6 || (void *)(packet + 40) > end || packet[0] >> 4 != 6)
		return false;
	if (packet[6] != PROTOCOL_ICMPV6)
		return true;
	return (void *)(packet + 41) <= end && !is_discovery(packet[40]);
}

// An untagged frame of the Slow Protocols, to their own address and sound, as forwarding/src/parse.rs has it. Looks at the
// octets alone: of a member that may not receive no frame is parsed.
static __always_inline bool is_slow_protocol(const struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u64 dst, src;

	if (skb->vlan_present || data + ETH_HEADER > end)
		return false;
	dst = bpf_be64_to_cpu(*(__be64 *)data) & ~0xffffULL;
	src = bpf_be64_to_cpu(*(__be64 *)(data + 6)) & ~0xffffULL;
	return dst == SLOW_PROTOCOLS_ADDRESS && *(__be16 *)(data + 12) == bpf_htons(TYPE_SLOW_PROTOCOLS) && src &&
	       !(src >> 56 & 1);
}
