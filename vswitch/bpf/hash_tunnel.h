// SPDX-License-Identifier: MIT OR Apache-2.0
// The position of a walk through a frame's headers, and the headers that carry whole packets of other protocols: the C
// twin of forwarding/src/flow_hash/full/tunnel.rs.
#ifndef VSW_HASH_TUNNEL_H
#define VSW_HASH_TUNNEL_H

#include "hash_keys.h"

#define VSW_TYPE_ARP 0x0806
#define VSW_TYPE_RARP 0x8035
#define VSW_TYPE_BATMAN 0x4305
#define VSW_TYPE_BRIDGED 0x6558
#define VSW_TYPE_8021Q 0x8100
#define VSW_TYPE_PPP 0x880b
#define VSW_TYPE_MPLS 0x8847
#define VSW_TYPE_MPLS_MULTICAST 0x8848
#define VSW_TYPE_PPPOE_SESSION 0x8864
#define VSW_TYPE_8021AD 0x88a8
#define VSW_TYPE_TIPC 0x88ca
#define VSW_TYPE_PTP 0x88f7
#define VSW_TYPE_PRP 0x88fb
#define VSW_TYPE_FCOE 0x8906
#define VSW_TYPE_HSR 0x892f

#define VSW_PPP_IPV4 0x0021
#define VSW_PPP_IPV6 0x0057
#define VSW_PPP_MPLS 0x0281
#define VSW_PPP_MPLS_MULTICAST 0x0283

#define VSW_GRE_CSUM 0x8000
#define VSW_GRE_ROUTING 0x4000
#define VSW_GRE_KEY 0x2000
#define VSW_GRE_SEQUENCE 0x1000
#define VSW_GRE_ACK 0x0080
#define VSW_GRE_VERSION 0x0007

// What to do after a header.
enum vsw_next {
    // A header is cut off or unknown: no keys.
    VSW_NONE,
    // That was the last header: the keys stand.
    VSW_END,
    // The walk names the next header.
    VSW_GO_ON,
};

// A position in a frame. Has no padding: all of it is handed to a function that is verified by itself.
struct vsw_walk {
    __u32 at;
    // Octets from here on are not looked at.
    __u32 limit;
    struct vsw_keys keys;
    // The next header: an IP protocol or an ethertype.
    __u16 next;
    __u16 outer_type;
    bool is_protocol;
    // That protocol is within IPv6.
    bool ipv6;
    // The frame has a tag beside its octets, and no tag was met so far.
    bool pending_tag;
    __u8 unused;
};

// Goes on with a packet of this ethertype.
static __always_inline enum vsw_next vsw_packet(struct vsw_walk *walk, __u16 type)
{
    walk->next = type;
    walk->is_protocol = false;
    return VSW_GO_ON;
}

// Goes on `len` octets further, with a packet of the ethertype that stands `offset` octets from here.
static __always_inline enum vsw_next vsw_packet_named(struct __sk_buff *skb, struct vsw_walk *walk, __u32 offset,
                                                      __u32 len)
{
    __be16 type;

    if (!vsw_read(skb, walk->limit, walk->at + offset, &type, sizeof(type)))
        return VSW_NONE;
    walk->at += len;
    return vsw_packet(walk, bpf_ntohs(type));
}

// GRE (RFC 2784, RFC 2890), Ethernet in it, and PPP in its version 1 (PPTP, RFC 2637). What has a routing field or
// another version is not looked into.
static __always_inline enum vsw_next vsw_walk_gre(struct __sk_buff *skb, struct vsw_walk *walk)
{
    struct {
        __be16 flags;
        __be16 type;
    } head;
    __be16 ppp[2];
    __u32 flags, type, version, last_of_key;
    __u32 at = walk->at;

    if (!vsw_read(skb, walk->limit, at, &head, sizeof(head)))
        return VSW_NONE;
    flags = bpf_ntohs(head.flags);
    type = bpf_ntohs(head.type);
    version = flags & VSW_GRE_VERSION;
    if (flags & VSW_GRE_ROUTING || version > 1)
        return VSW_END;
    if (version == 1 && (type != VSW_TYPE_PPP || !(flags & VSW_GRE_KEY)))
        return VSW_END;
    at += 4;
    if (flags & VSW_GRE_CSUM)
        at += 4;
    if (flags & VSW_GRE_KEY) {
        if (!vsw_read(skb, walk->limit, at, &last_of_key, 4))
            return VSW_NONE;
        at += 4;
    }
    if (flags & VSW_GRE_SEQUENCE)
        at += 4;
    if (version == 0) {
        walk->at = at;
        if (type == VSW_TYPE_BRIDGED)
            return vsw_packet_named(skb, walk, VSW_ETHERTYPE_OFFSET, VSW_ETHERNET_LEN);
        return vsw_packet(walk, type);
    }
    if (flags & VSW_GRE_ACK)
        at += 4;
    if (!vsw_read(skb, walk->limit, at, ppp, sizeof(ppp)))
        return VSW_NONE;
    walk->at = at + 4;
    switch (bpf_ntohs(ppp[1])) {
    case VSW_PPP_IPV4:
        return vsw_packet(walk, VSW_TYPE_IPV4);
    case VSW_PPP_IPV6:
        return vsw_packet(walk, VSW_TYPE_IPV6);
    }
    // An ethertype that nothing knows, unless this was the last transition.
    return vsw_packet(walk, VSW_TYPE_PPP);
}

// A session packet of PPP over Ethernet (RFC 2516), its protocol field whole or compressed to one octet.
static __always_inline enum vsw_next vsw_walk_pppoe(struct __sk_buff *skb, struct vsw_walk *walk)
{
    struct {
        __u8 version_type;
        __u8 code;
        __be16 session;
        __be16 len;
        __u8 protocol[2];
    } head;
    __u32 protocol;

    if (!vsw_read(skb, walk->limit, walk->at, &head, sizeof(head)) || head.version_type != 0x11 || head.code != 0)
        return VSW_NONE;
    protocol = head.protocol[0];
    walk->at += 7;
    if (!(protocol & 1)) {
        protocol = protocol << 8 | head.protocol[1];
        walk->at += 1;
    }
    switch (protocol) {
    case VSW_PPP_IPV4:
        return vsw_packet(walk, VSW_TYPE_IPV4);
    case VSW_PPP_IPV6:
        return vsw_packet(walk, VSW_TYPE_IPV6);
    case VSW_PPP_MPLS:
        return vsw_packet(walk, VSW_TYPE_MPLS);
    case VSW_PPP_MPLS_MULTICAST:
        return vsw_packet(walk, VSW_TYPE_MPLS_MULTICAST);
    }
    return protocol & 1 ? VSW_END : VSW_NONE;
}

// A unicast packet of B.A.T.M.A.N. advanced, version 15: 10 octets before the Ethernet frame.
static __always_inline enum vsw_next vsw_walk_batman(struct __sk_buff *skb, struct vsw_walk *walk)
{
    __u8 head[2];

    if (!vsw_read(skb, walk->limit, walk->at, head, sizeof(head)) || head[0] != 0x40 || head[1] != 15)
        return VSW_NONE;
    return vsw_packet_named(skb, walk, 10 + VSW_ETHERTYPE_OFFSET, 10 + VSW_ETHERNET_LEN);
}

#endif
