// SPDX-License-Identifier: MIT OR Apache-2.0
// Receive balancing of a bond, as forwarding/src/pipeline/receive.rs and forwarding/src/rewrite.rs: a frame to a member's own
// address becomes one for the guest that it is for, and what guests tell their peers by ARP and neighbour discovery names a
// member instead of them.
#pragma once

#include <stdbool.h>

#include "frame.h"
#include "layout.h"
#include "maps.h"
#include "tables.h"

#define HARDWARE_ETHERNET 1
#define ARP_REQUEST 1
#define ARP_REPLY 2
#define HOP_LIMIT 255
#define SOLICITATION 135
#define ADVERTISEMENT 136
#define OPTION_SOURCE 1
#define OPTION_TARGET 2

// Where a packet of a frame without tags in its octets has what.
#define ARP_SENDER_AT (ETH_HEADER + 8)
#define ARP_TARGET_AT (ETH_HEADER + 18)
#define ND_CHECKSUM_AT (ETH_HEADER + 42)
#define ND_ADDRESS_AT (ETH_HEADER + 66)

struct arp_packet {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_octets;
	__u8 protocol_octets;
	__be16 operation;
	__be16 sender_mac[3];
	__be16 sender[2];
	__be16 target_mac[3];
	__be16 target[2];
};

// A neighbour solicitation or advertisement behind its IPv6 header, with one option that is an address.
struct nd_packet {
	__u8 version; // upper 4 bits
	__u8 class_label[3];
	__be16 payload_octets;
	__u8 next_header;
	__u8 hop_limit;
	__be32 src[4];
	__be32 dst[4];
	__u8 kind;
	__u8 code;
	__be16 checksum;
	__be32 flags;
	__be32 target[4];
	__u8 option;
	__u8 units; // of 8 octets
	__be16 mac[3];
};

_Static_assert(sizeof(struct arp_packet) == 28 && sizeof(struct nd_packet) == 72, "packets");

// An address as a number in the upper 48 bits.
static __always_inline __u64 address_of(const __be16 *words)
{
	return (__u64)bpf_ntohs(words[0]) << 48 | (__u64)bpf_ntohs(words[1]) << 32 | (__u64)bpf_ntohs(words[2]) << 16;
}

// IPv4 addresses stand in keys as the IPv6 addresses that map them.
static __always_inline void map_ipv4(__be32 *ip, const __be16 *words)
{
	ip[0] = ip[1] = 0;
	ip[2] = bpf_htonl(0xffff);
	__builtin_memcpy(&ip[3], words, 4);
}

static __always_inline void copy_ipv6(__be32 *ip, const __be32 *words)
{
	ip[0] = words[0];
	ip[1] = words[1];
	ip[2] = words[2];
	ip[3] = words[3];
}

// The guest that has an IP address, as a number in the upper 48 bits; 0: none.
static __always_inline __u64 guest_of(const struct vsw_guest *key)
{
	__u64 *mac = bpf_map_lookup_elem(&vsw_guests, key);

	return mac ? *mac : 0;
}

// The bucket of a peer and a guest: all octets of both, XORed. Those that map an IPv4 address cancel each other out.
static __always_inline __u8 bucket_of(__u64 peer, const __be32 *ip)
{
	__u64 sum = peer ^ ip[0] ^ ip[1] ^ ip[2] ^ ip[3];

	sum ^= sum >> 32;
	sum ^= sum >> 16;
	return sum ^ sum >> 8;
}

static __always_inline struct vsw_receive *receive_of(__u32 copy, const struct vsw_port *port)
{
	__u32 number = copy * VSW_MAX_RECEIVES + port->receive;

	return port->receive < VSW_MAX_RECEIVES ? bpf_map_lookup_elem(&vsw_receives, &number) : NULL;
}

// Whether there is no customer's tag: what that encloses is the customer's.
static __always_inline bool is_untunnelled(const struct frame *frame)
{
	return frame->l3 == ETH_HEADER && !frame->placed.inner.tpid;
}

// The destination of an IP packet; false: it is none.
static __always_inline bool ip_destination(const struct __sk_buff *skb, const struct frame *frame, __be32 *ip)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	__u8 first;

	if (frame->type == TYPE_IPV4 && data + ETH_HEADER + 20 <= end) {
		first = *(__u8 *)(data + ETH_HEADER);
		if (first < 0x45 || first > 0x4f || ETH_HEADER + (first & 15) * 4 > skb->len)
			return false;
		map_ipv4(ip, data + ETH_HEADER + 16);
		return true;
	}
	if (frame->type == TYPE_IPV6 && data + ETH_HEADER + 40 <= end) {
		if (*(__u8 *)(data + ETH_HEADER) >> 4 != 6)
			return false;
		__builtin_memcpy(ip, data + ETH_HEADER + 24, 16);
		return true;
	}
	return false;
}

// The ARP request or reply in a frame; null: there is none.
static __always_inline struct arp_packet *arp_in(const struct __sk_buff *skb, const struct frame *frame)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct arp_packet *arp = data + ETH_HEADER;

	if (frame->type != TYPE_ARP || (void *)(arp + 1) > end)
		return NULL;
	if (arp->hardware != bpf_htons(HARDWARE_ETHERNET) || arp->protocol != bpf_htons(TYPE_IPV4) ||
	    arp->hardware_octets != 6 || arp->protocol_octets != 4)
		return NULL;
	return arp->operation == bpf_htons(ARP_REQUEST) || arp->operation == bpf_htons(ARP_REPLY) ? arp : NULL;
}

// Lets in what came to a member's own address, as a frame for a guest, and refuses what has such an address as its source.
// Says by which bucket a unicast IP frame is counted. VSW_MISS_COUNT, or why it is left to the daemon.
__noinline int vsw_find_guest(struct __sk_buff *skb, __u32 copy, struct frame *frame)
{
	struct vsw_guest key = {};
	struct vsw_receive *receive;
	struct arp_packet *arp;
	struct vsw_port *port;
	bool own = false, known = false;
	__u16 by = 0;

	if (!frame)
		return VSW_MISS_ERROR;
	port = port_of(copy, frame->port);
	receive = port ? receive_of(copy, port) : NULL;
	if (!receive)
		return VSW_MISS_NO_ROOM;
	for (int i = 0; i < VSW_MAX_OWN; i++) {
		__u64 address = receive->own[i];

		if (!address)
			break;
		if ((address ^ frame->src) >> 16 == 0)
			return VSW_MISS_ADMISSION;
		if ((address ^ frame->dst) >> 16 == 0) {
			own = true;
			by = address;
		}
	}
	if (own ? by != frame->from : frame->refused)
		return VSW_MISS_ADMISSION;
	key.port = frame->port;
	key.vlan = frame->placed.vlan;
	if (is_untunnelled(frame))
		known = ip_destination(skb, frame, key.ip);
	if (known) {
		frame->receive_loads = port->receive_loads;
		frame->receive_bucket = bucket_of(frame->src, key.ip);
	}
	if (!own)
		return VSW_MISS_COUNT;
	arp = is_untunnelled(frame) ? arp_in(skb, frame) : NULL;
	if (arp) {
		map_ipv4(key.ip, arp->target);
		if (address_of(arp->target_mac) == frame->dst)
			frame->patch_at = ARP_TARGET_AT;
	}
	if (!known && !arp)
		return VSW_MISS_NO_GUEST;
	frame->dst = guest_of(&key);
	frame->patch = frame->dst;
	frame->is_for_guest = true;
	return frame->dst ? VSW_MISS_COUNT : VSW_MISS_NO_GUEST;
}

// Names the member that a peer is to send to, where a guest tells this one peer where its own IP address is.
__noinline int vsw_name_member(struct __sk_buff *skb, __u32 copy, struct frame *frame)
{
	struct vsw_guest key = {};
	struct vsw_receive *receive;
	struct arp_packet *arp;
	struct vsw_port *port;
	__u64 claimed;
	__u16 at;

	if (!frame)
		return 0;
	port = port_of(copy, frame->to);
	if (!port || !(port->flags & VSW_PORT_TRANSLATE) || !is_untunnelled(frame) || frame->patch_at)
		return 0;
	arp = arp_in(skb, frame);
	if (arp) {
		claimed = address_of(arp->sender_mac);
		map_ipv4(key.ip, arp->sender);
		at = ARP_SENDER_AT;
	} else {
		struct nd_packet nd;

		if (frame->type != TYPE_IPV6 || bpf_skb_load_bytes(skb, ETH_HEADER, &nd, sizeof(nd)))
			return 0;
		if (nd.version >> 4 != 6 || nd.next_header != PROTOCOL_ICMPV6 || nd.hop_limit != HOP_LIMIT || nd.code ||
		    nd.units != 1 || bpf_ntohs(nd.payload_octets) < sizeof(nd) - 40)
			return 0;
		if (nd.kind == SOLICITATION && nd.option == OPTION_SOURCE)
			copy_ipv6(key.ip, nd.src);
		else if (nd.kind == ADVERTISEMENT && nd.option == OPTION_TARGET)
			copy_ipv6(key.ip, nd.target);
		else
			return 0;
		claimed = address_of(nd.mac);
		at = ND_ADDRESS_AT;
	}
	key.port = frame->to;
	key.vlan = frame->placed.vlan;
	if (claimed != frame->src || guest_of(&key) != frame->src)
		return 0;
	receive = receive_of(copy, port);
	if (!receive)
		return 0;
	frame->patch = receive->told[bucket_of(frame->dst, key.ip)];
	if (frame->patch)
		frame->patch_at = at;
	return 0;
}

// Puts an address, a number in the upper 48 bits, into the frame.
static __always_inline long store_address(struct __sk_buff *skb, __u32 at, __u64 address, __u64 flags)
{
	__be64 octets = bpf_cpu_to_be64(address);

	return bpf_skb_store_bytes(skb, at, &octets, 6, flags);
}

// Changes the addresses that are to leave as others. The outer tag is beside the octets.
__noinline int vsw_translate(struct __sk_buff *skb, struct frame *frame)
{
	if (!frame || (frame->is_for_guest && store_address(skb, 0, frame->dst, 0)))
		return -1;
	if (!frame->patch_at)
		return 0;
	if (frame->patch_at == ND_ADDRESS_AT) {
		__be64 old = bpf_cpu_to_be64(frame->src), new = bpf_cpu_to_be64(frame->patch);
		__s64 difference = bpf_csum_diff((__be32 *)&old, sizeof(old), (__be32 *)&new, sizeof(new), 0);

		// Leaves a checksum that is still to be computed, and whatever the hardware has summed up stays true: these two
		// changes cancel each other out.
		if (difference < 0 || bpf_l4_csum_replace(skb, ND_CHECKSUM_AT, 0, difference, 0))
			return -1;
		return store_address(skb, ND_ADDRESS_AT, frame->patch, 0);
	}
	return store_address(skb, frame->patch_at, frame->patch, BPF_F_RECOMPUTE_CSUM);
}
