// SPDX-License-Identifier: MIT OR Apache-2.0
// Gives the test access to the transmit hashes. Arguments and result are in the frame's control block, in this order:

#include "../../bpf/hash.h"

// the policy;
#define POLICY(skb) ((skb)->cb[0])
// 1 << 16 | TCI of the tag that the frame leaves with, or 0;
#define TAGGED(skb) ((skb)->cb[1] >> 16)
#define TCI(skb) ((skb)->cb[1])
// the tag to be put in, or 0;
#define INNER(skb) ((skb)->cb[2])
// the octets that are left of the frame, since the kernel takes no frame that ends within an IP header from a test;
#define LEN(skb) ((skb)->cb[3])
// the hash.
#define HASH(skb) ((skb)->cb[4])

// False if the frame can't be shortened.
static __always_inline bool shorten(struct __sk_buff *skb)
{
    return LEN(skb) == skb->len || bpf_skb_change_tail(skb, LEN(skb), 0) == 0;
}

SEC("classifier")
int probe(struct __sk_buff *skb)
{
    if (!shorten(skb))
        return -1;
    HASH(skb) = vsw_hash(skb, POLICY(skb), TAGGED(skb), TCI(skb), INNER(skb));
    return 0;
}

// The same, without a look at the linear part.
SEC("classifier")
int probe_nonlinear(struct __sk_buff *skb)
{
    if (!shorten(skb))
        return -1;
    HASH(skb) = vsw_hash_from(false, skb, POLICY(skb), TAGGED(skb), TCI(skb), INNER(skb));
    return 0;
}

// What a run costs without a hash.
SEC("classifier")
int probe_nothing(struct __sk_buff *skb)
{
    HASH(skb) = POLICY(skb) + TAGGED(skb) + TCI(skb) + INNER(skb);
    return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
