// SPDX-License-Identifier: MIT OR Apache-2.0
// The dissection behind layer2+3 and layer3+4: one IP header right behind the Ethernet header, the layer-4 header right
// behind that, and the packet inside an ICMP error. The C twin of forwarding/src/flow_hash/simple.rs.
#ifndef VSW_HASH_SIMPLE_H
#define VSW_HASH_SIMPLE_H

#include "hash_keys.h"

// Octets before the packet inside an ICMP error.
#define VSW_ICMP_LEN 8

struct vsw_internet {
    __u32 addresses;
    __u32 l4_offset;
    // -1 for a fragment, be it the first one.
    int protocol;
};

// The IP header at an offset; false if it is cut off. Its version and header length are believed: the ethertype
// decides.
static __always_inline bool vsw_internet(struct __sk_buff *skb, __u32 at, __u32 type, struct vsw_internet *found)
{
    union {
        struct vsw_ipv4 v4;
        struct vsw_ipv6 v6;
    } header;

    switch (type) {
    case VSW_TYPE_IPV4:
        if (!vsw_read(skb, VSW_WHOLE_FRAME, at, &header.v4, sizeof(header.v4)))
            return false;
        found->addresses = vsw_ipv4_addresses(&header.v4);
        found->l4_offset = at + vsw_ipv4_len(&header.v4);
        found->protocol = vsw_ipv4_is_fragment(&header.v4) ? -1 : header.v4.protocol;
        return true;
    case VSW_TYPE_IPV6:
        if (!vsw_read(skb, VSW_WHOLE_FRAME, at, &header.v6, sizeof(header.v6)))
            return false;
        found->addresses = vsw_ipv6_addresses(&header.v6);
        found->l4_offset = at + sizeof(header.v6);
        found->protocol = header.v6.next_header;
        return true;
    }
    return false;
}

// Types that quote the packet they complain of.
static __always_inline bool vsw_icmp_is_error(int protocol, __u8 type)
{
    if (protocol == VSW_PROTO_ICMP)
        return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
    return type >= 1 && type <= 4;
}

// The hash by layer3+4 or layer2+3 of any frame; `layer2`, which is its hash by that policy, if it is not IP with a
// whole fixed header. `type` is the frame's ethertype (host order). Verified by itself, being global.
__noinline __u32 vsw_hash_simple(struct __sk_buff *skb, __u32 policy, __u32 layer2, __u32 type)
{
    struct vsw_internet packet;
    struct vsw_keys keys = {};

    if (!vsw_internet(skb, VSW_ETHERNET_LEN, type, &packet))
        return layer2;
    if (packet.protocol == VSW_PROTO_ICMP || packet.protocol == VSW_PROTO_ICMPV6) {
        keys.icmp = vsw_icmp(skb, VSW_WHOLE_FRAME, packet.l4_offset);
        if (vsw_icmp_is_error(packet.protocol, keys.icmp)) {
            // An error belongs to the flow of the packet that it quotes.
            keys.icmp = 0;
            if (!vsw_internet(skb, packet.l4_offset + VSW_ICMP_LEN, type, &packet))
                return layer2;
        }
    }
    keys.addresses = packet.addresses;
    keys.ports = vsw_hash_ports(skb, VSW_WHOLE_FRAME, packet.l4_offset, packet.protocol);
    return vsw_hash_of_keys(policy, layer2, &keys);
}

#endif
