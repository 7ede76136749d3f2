// SPDX-License-Identifier: MIT OR Apache-2.0
// The dissection behind encap2+3 and encap3+4: walks tags, tunnels and IPv6 extension headers to the innermost IP
// header, as the kernel's generic flow dissector does when the bonding driver calls it. UDP tunnels are not entered.
// The C twin of forwarding/src/flow_hash/full.rs.
//
// One step of the walk is a global function, which the verifier looks at once, whatever calls it.
#ifndef VSW_HASH_FULL_H
#define VSW_HASH_FULL_H

#include "hash_keys.h"
#include "hash_tunnel.h"

// Transitions from one header to the next that are followed; then the keys found so far stand.
#define VSW_MAX_TRANSITIONS 15

// Octets of a frame with a tag put in that forwarding::flow_hash::hash_with_inner looks at, less that tag.
#define VSW_INNER_LIMIT (512 - VSW_TAG_LEN)

// The frame leaves with a tag beside its octets.
#define VSW_WALK_TAGGED 1
// It has a tag that is not in its octets but counts as if put in behind the addresses.
#define VSW_WALK_INNER 2

// A tag in the octets. The kernel takes the first one it meets for the one beside the octets, if there is one, and
// begins again with the frame's own type without moving on.
static __always_inline enum vsw_next vsw_walk_tag(struct __sk_buff *skb, struct vsw_walk *walk)
{
    if (walk->pending_tag) {
        walk->pending_tag = false;
        return vsw_packet(walk, walk->outer_type);
    }
    return vsw_packet_named(skb, walk, 2, VSW_TAG_LEN);
}

// The last octets that a protocol must have; nothing in them is a key.
static __always_inline enum vsw_next vsw_walk_last(struct __sk_buff *skb, struct vsw_walk *walk, __u32 len)
{
    __u8 last;
    return vsw_read(skb, walk->limit, walk->at + len - 1, &last, 1) ? VSW_END : VSW_NONE;
}

// TIPC: the source node is the only key.
static __always_inline enum vsw_next vsw_walk_tipc(struct __sk_buff *skb, struct vsw_walk *walk)
{
    __u32 node;

    if (!vsw_read(skb, walk->limit, walk->at + 12, &node, sizeof(node)))
        return VSW_NONE;
    walk->keys.addresses = vsw_le32(node);
    return VSW_END;
}

// What stands behind an IP header or an IPv6 extension header. Ports are those of the last protocol met.
static __always_inline enum vsw_next vsw_walk_protocol(struct __sk_buff *skb, struct vsw_walk *walk)
{
    __u8 protocol = walk->next;
    __u8 extension[2];

    walk->keys.ports = vsw_hash_ports(skb, walk->limit, walk->at, protocol);
    switch (protocol) {
    case 4:
        return vsw_packet(walk, VSW_TYPE_IPV4);
    case 41:
        return vsw_packet(walk, VSW_TYPE_IPV6);
    case 137:
        return vsw_packet(walk, VSW_TYPE_MPLS);
    case 47:
        return vsw_walk_gre(skb, walk);
    case 0:
    case 43:
    case 60:
        if (!walk->ipv6)
            return VSW_END;
        if (!vsw_read(skb, walk->limit, walk->at, extension, sizeof(extension)))
            return VSW_NONE;
        walk->at += (extension[1] + 1) * 8;
        walk->next = extension[0];
        walk->is_protocol = true;
        walk->keys.ports = vsw_hash_ports(skb, walk->limit, walk->at, extension[0]);
        return VSW_GO_ON;
    case 44:
        return walk->ipv6 ? vsw_walk_last(skb, walk, 8) : VSW_END;
    case VSW_PROTO_ICMP:
    case VSW_PROTO_ICMPV6:
        walk->keys.icmp = vsw_icmp(skb, walk->limit, walk->at);
    }
    return VSW_END;
}

static __always_inline enum vsw_next vsw_walk_ipv4(struct __sk_buff *skb, struct vsw_walk *walk)
{
    struct vsw_ipv4 header;

    if (!vsw_read(skb, walk->limit, walk->at, &header, sizeof(header)) || vsw_ipv4_len(&header) < sizeof(header))
        return VSW_NONE;
    walk->keys.addresses = vsw_ipv4_addresses(&header);
    walk->at += vsw_ipv4_len(&header);
    walk->next = header.protocol;
    walk->ipv6 = false;
    return vsw_ipv4_is_fragment(&header) ? VSW_END : VSW_GO_ON;
}

static __always_inline enum vsw_next vsw_walk_ipv6(struct __sk_buff *skb, struct vsw_walk *walk)
{
    struct vsw_ipv6 header;

    if (!vsw_read(skb, walk->limit, walk->at, &header, sizeof(header)))
        return VSW_NONE;
    walk->keys.addresses = vsw_ipv6_addresses(&header);
    walk->at += sizeof(header);
    walk->next = header.next_header;
    walk->ipv6 = true;
    return VSW_GO_ON;
}

// Looks at what `walk` names, and moves on. An IP header and the protocol behind it are one step.
__noinline int vsw_walk_step(struct __sk_buff *skb, struct vsw_walk *walk)
{
    enum vsw_next next;

    if (!walk)
        return VSW_NONE;
    if (!walk->is_protocol) {
        switch (walk->next) {
        case VSW_TYPE_IPV4:
            next = vsw_walk_ipv4(skb, walk);
            if (next != VSW_GO_ON)
                return next;
            break;
        case VSW_TYPE_IPV6:
            next = vsw_walk_ipv6(skb, walk);
            if (next != VSW_GO_ON)
                return next;
            break;
        case VSW_TYPE_8021Q:
        case VSW_TYPE_8021AD:
            return vsw_walk_tag(skb, walk);
        case VSW_TYPE_PPPOE_SESSION:
            return vsw_walk_pppoe(skb, walk);
        case VSW_TYPE_BATMAN:
            return vsw_walk_batman(skb, walk);
        case VSW_TYPE_PRP:
        case VSW_TYPE_HSR:
            return vsw_packet_named(skb, walk, 4, 6);
        case VSW_TYPE_TIPC:
            return vsw_walk_tipc(skb, walk);
        case VSW_TYPE_PTP:
            return vsw_walk_last(skb, walk, 34);
        case VSW_TYPE_FCOE:
            return vsw_walk_last(skb, walk, 38);
        case VSW_TYPE_ARP:
        case VSW_TYPE_RARP:
        case VSW_TYPE_MPLS:
        case VSW_TYPE_MPLS_MULTICAST:
            return VSW_END;
        default:
            return VSW_NONE;
        }
    }
    return vsw_walk_protocol(skb, walk);
}

// The hash by encap2+3 or encap3+4 of any frame; `layer2`, which is its hash by that policy, if a header is cut off or
// unknown. `type`: the frame's ethertype (host order), or that of the tag that counts as put in. `flags`: VSW_WALK_*.
__noinline __u32 vsw_hash_full(struct __sk_buff *skb, __u32 policy, __u32 layer2, __u32 type, __u32 flags)
{
    struct vsw_walk walk = {
        .at = VSW_ETHERNET_LEN,
        .limit = VSW_WHOLE_FRAME,
        .next = type,
        .outer_type = type,
        .pending_tag = flags & VSW_WALK_TAGGED,
    };

    // A walk begins with that tag then. All that is read of a tag is the type at its end, which here is the frame's
    // own; so the walk begins a tag's length earlier.
    if (flags & VSW_WALK_INNER) {
        walk.at -= VSW_TAG_LEN;
        walk.limit = VSW_INNER_LIMIT;
    }
    // Unrolled, since the verifier of Linux 6.1 refuses some loops for the order in which the compiler lays them out.
#pragma clang loop unroll(full)
    for (int i = 0; i <= VSW_MAX_TRANSITIONS; i++) {
        int next = vsw_walk_step(skb, &walk);
        if (next == VSW_NONE)
            return layer2;
        if (next == VSW_END)
            break;
    }
    return vsw_hash_of_keys(policy, layer2, &walk.keys);
}

#endif
