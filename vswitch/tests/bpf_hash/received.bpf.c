// SPDX-License-Identifier: MIT OR Apache-2.0
// Hashes each frame that a device receives by every policy, as one that leaves with the tag that it came with.

#include "../../bpf/hash.h"

#define POLICIES 6

struct {
    // Frames so far.
    __u32 count;
    // Of the last frame: its octets, those in the linear part, and its hashes.
    __u32 len;
    __u32 linear;
    __u32 hashes[POLICIES];
} received;

SEC("classifier")
int receive(struct __sk_buff *skb)
{
    received.len = skb->len;
    received.linear = skb->data_end - skb->data;
#pragma clang loop unroll(full)
    for (__u32 policy = 0; policy < POLICIES; policy++)
        received.hashes[policy] = vsw_hash(skb, policy, skb->vlan_present, skb->vlan_tci, 0);
    received.count++;
    return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
