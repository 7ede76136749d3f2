// SPDX-License-Identifier: MIT OR Apache-2.0
// What the transmit hashes are computed from, and the reads that both dissections share: the C twin of
// forwarding/src/flow_hash/keys.rs. Addresses and ports are taken as little-endian numbers, as the kernel of a
// little-endian host loads them.
#ifndef VSW_HASH_KEYS_H
#define VSW_HASH_KEYS_H

#include <linux/bpf.h>
#include <linux/types.h>
#include <stdbool.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// Octets in memory order, as a little-endian number of any host.
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define vsw_le32(octets) ((__u32)(octets))
#else
#define vsw_le32(octets) __builtin_bswap32(octets)
#endif

// The numbers of forwarding::flow_hash::HashPolicy.
enum vsw_hash_policy {
    VSW_HASH_LAYER2 = 0,
    VSW_HASH_LAYER34 = 1,
    VSW_HASH_LAYER23 = 2,
    VSW_HASH_ENCAP23 = 3,
    VSW_HASH_ENCAP34 = 4,
    VSW_HASH_VLAN_SRCMAC = 5,
};

#define VSW_ETHERNET_LEN 14
#define VSW_ETHERTYPE_OFFSET 12
#define VSW_TAG_LEN 4

#define VSW_TYPE_IPV4 0x0800
#define VSW_TYPE_IPV6 0x86dd

#define VSW_PROTO_ICMP 1
#define VSW_PROTO_TCP 6
#define VSW_PROTO_UDP 17
#define VSW_PROTO_ICMPV6 58

struct vsw_ethernet {
    __u8 dst[6];
    __u8 src[6];
    __be16 type;
};

struct vsw_ipv4 {
    __u8 version_ihl;
    __u8 tos;
    __be16 total_len;
    __be16 id;
    __be16 fragment;
    __u8 ttl;
    __u8 protocol;
    __be16 checksum;
    __u32 src; // octets in memory order
    __u32 dst;
};

struct vsw_ipv6 {
    __be32 flow;
    __be16 payload_len;
    __u8 next_header;
    __u8 hop_limit;
    __u64 addresses[4]; // octets in memory order: source, destination
};

// The parts of a flow's identity that go into a hash.
struct vsw_keys {
    // Source and destination address, all their words folded by XOR.
    __u32 addresses;
    // Source port (lower half) and destination port, or the SPI of IPsec.
    __u32 ports;
    // ICMP type (octet 0), code (octet 1) and identifier (upper half, 0 = has none).
    __u32 icmp;
};

// No limit but the frame's end.
#define VSW_WHOLE_FRAME ((__u32)-1)

// Copies `len` octets at an offset, from any part of the frame; false if they are not all there, or not all below
// `limit`.
static __always_inline bool vsw_read(struct __sk_buff *skb, __u32 limit, __u32 at, void *to, __u32 len)
{
    return at + len <= limit && bpf_skb_load_bytes(skb, at, to, len) == 0;
}

static __always_inline __u32 vsw_ipv4_addresses(const struct vsw_ipv4 *header)
{
    return vsw_le32(header->src ^ header->dst);
}

static __always_inline __u32 vsw_ipv4_len(const struct vsw_ipv4 *header)
{
    return (header->version_ihl & 0x0f) * 4;
}

// A fragment, the first one included.
static __always_inline bool vsw_ipv4_is_fragment(const struct vsw_ipv4 *header)
{
    return header->fragment & bpf_htons(0x3fff);
}

static __always_inline __u32 vsw_ipv6_addresses(const struct vsw_ipv6 *header)
{
    __u64 folded = header->addresses[0] ^ header->addresses[1] ^ header->addresses[2] ^ header->addresses[3];
    return vsw_le32(folded ^ folded >> 32);
}

// The four octets in the place of ports: real ports (TCP, UDP, DCCP, SCTP, UDP-Lite) or the SPI of IPsec (ESP, AH); 0
// for other protocols and for a cut-off header. `at` is where layer 4 begins.
static __always_inline __u32 vsw_hash_ports(struct __sk_buff *skb, __u32 limit, __u32 at, int protocol)
{
    __u32 ports;

    switch (protocol) {
    case VSW_PROTO_TCP:
    case VSW_PROTO_UDP:
    case 33:
    case 50:
    case 132:
    case 136:
        break;
    case 51:
        at += 4;
        break;
    default:
        return 0;
    }
    return vsw_read(skb, limit, at, &ports, sizeof(ports)) ? vsw_le32(ports) : 0;
}

// Type, code and identifier of an ICMP or ICMPv6 message, laid out as vsw_keys.icmp; 0 if it is cut off. Only queries
// have an identifier, and one that is 0 on the wire counts as 1.
static __always_inline __u32 vsw_icmp(struct __sk_buff *skb, __u32 limit, __u32 at)
{
    struct {
        __u8 type;
        __u8 code;
        __be16 checksum;
        __be16 id;
        __be16 sequence;
    } message;
    __u32 id = 0;

    if (!vsw_read(skb, limit, at, &message, sizeof(message)))
        return 0;
    switch (message.type) {
    case 0:
    case 8:
    case 13:
    case 14:
    case 128:
    case 129:
        id = bpf_ntohs(message.id);
        if (id == 0)
            id = 1;
    }
    return message.type | (__u32)message.code << 8 | id << 16;
}

static __always_inline __u32 vsw_fold(__u32 hash)
{
    hash ^= hash >> 16;
    return hash ^ hash >> 8;
}

// The hash by the four policies that look at IP, of a frame that has these keys. `layer2` is its hash by that policy.
static __always_inline __u32 vsw_hash_of_keys(__u32 policy, __u32 layer2, const struct vsw_keys *keys)
{
    if (policy == VSW_HASH_LAYER34 || policy == VSW_HASH_ENCAP34) {
        __u32 transport = keys->icmp >> 16 ? keys->icmp : keys->ports;
        return vsw_fold(transport ^ keys->addresses) >> 1;
    }
    return vsw_fold(layer2 ^ keys->addresses);
}

#endif
