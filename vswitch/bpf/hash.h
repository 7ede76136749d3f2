// SPDX-License-Identifier: MIT OR Apache-2.0
// The six transmit hashes (`xmit_hash_policy`), bit for bit those of forwarding::flow_hash, which are those of the
// Linux bonding driver since 5.18 on a little-endian host.
#ifndef VSW_HASH_H
#define VSW_HASH_H

#include "hash_full.h"
#include "hash_keys.h"
#include "hash_simple.h"

// The keys of TCP and UDP right behind an IP header without options, and of fragments: all there is to find for any
// policy. False if that is not what the frame holds, or not all of it lies in the linear part; then look closer.
static __always_inline bool vsw_keys_at_hand(void *data, void *data_end, __u32 type, struct vsw_keys *keys)
{
    void *packet = data + VSW_ETHERNET_LEN;
    bool fragment = false;
    __u32 *ports;
    __u8 protocol;

    if (type == VSW_TYPE_IPV4) {
        struct vsw_ipv4 *header = packet;
        ports = (void *)(header + 1);
        if ((void *)(ports + 1) > data_end || vsw_ipv4_len(header) != sizeof(*header))
            return false;
        keys->addresses = vsw_ipv4_addresses(header);
        fragment = vsw_ipv4_is_fragment(header);
        protocol = header->protocol;
    } else if (type == VSW_TYPE_IPV6) {
        struct vsw_ipv6 *header = packet;
        ports = (void *)(header + 1);
        if ((void *)(ports + 1) > data_end)
            return false;
        keys->addresses = vsw_ipv6_addresses(header);
        protocol = header->next_header;
    } else {
        return false;
    }
    keys->icmp = 0;
    keys->ports = 0;
    if (fragment)
        return true;
    keys->ports = vsw_le32(*ports);
    return protocol == VSW_PROTO_TCP || protocol == VSW_PROTO_UDP;
}

// vsw_hash, with or without a look at the frame's linear part.
static __always_inline __u32 vsw_hash_from(bool linear, struct __sk_buff *skb, __u32 policy, bool tagged, __u16 tci,
                                           __u32 inner)
{
    void *data = (void *)(long)skb->data;
    void *data_end = (void *)(long)skb->data_end;
    struct vsw_ethernet *header = data, copy;
    struct vsw_keys keys;
    __u32 type, layer2;

    if (!linear || data + VSW_ETHERNET_LEN > data_end) {
        if (bpf_skb_load_bytes(skb, 0, &copy, sizeof(copy)))
            return 0;
        header = &copy;
    }
    if (policy == VSW_HASH_VLAN_SRCMAC) {
        __u8 *src = header->src;
        return tci ^ (src[0] << 16 | src[1] << 8 | src[2]) ^ (src[3] << 16 | src[4] << 8 | src[5]);
    }
    type = inner ? inner >> 16 : bpf_ntohs(header->type);
    layer2 = header->dst[5] ^ header->src[5] ^ type;
    if (policy == VSW_HASH_LAYER2)
        return layer2;
    if (linear && vsw_keys_at_hand(data, data_end, type, &keys))
        return vsw_hash_of_keys(policy, layer2, &keys);
    if (policy == VSW_HASH_LAYER34 || policy == VSW_HASH_LAYER23)
        return vsw_hash_simple(skb, policy, layer2, type);
    return vsw_hash_full(skb, policy, layer2, type, (tagged ? VSW_WALK_TAGGED : 0) | (inner ? VSW_WALK_INNER : 0));
}

// forwarding::flow_hash::slb of an address in the upper 48 bits.
static __always_inline __u32 vsw_hash_slb(__u64 address, __u16 vlan)
{
    return vlan ^ (__u32)(address >> 40) ^ (__u32)(address >> 16 & 0xffffff);
}

// The 32-bit hash of a frame whose octets from the destination address on are those of `skb`, without the tag that it
// leaves with. Every frame has one: without what the policy looks for it is that of layer2, and 0 if the frame is
// shorter than an Ethernet header.
//
// policy: enum vsw_hash_policy; other numbers are taken for an encap policy.
// tagged: the frame leaves with an outer tag beside its octets; tci: that tag's control information (host order), 0 if
//         the frame leaves without one.
// inner:  0, or a tag (TPID << 16 | TCI, host order, TPID 0x8100 or 0x88a8) that is not in the octets either but counts
//         as if put in behind the addresses: forwarding::flow_hash::hash_with_inner.
static __always_inline __u32 vsw_hash(struct __sk_buff *skb, __u32 policy, bool tagged, __u16 tci, __u32 inner)
{
    return vsw_hash_from(true, skb, policy, tagged, tci, inner);
}

#endif
