// SPDX-License-Identifier: MIT OR Apache-2.0
// Gives the test access to the transmit hashes. Arguments and result are in the frame's control block.

#include "../../bpf/hash.h"

// cb[0]: policy; cb[1]: 1 << 16 | TCI of the tag that the frame leaves with, or 0; cb[2]: inner tag, or 0.
#define POLICY(skb) ((skb)->cb[0])
#define TAGGED(skb) ((skb)->cb[1] >> 16)
#define TCI(skb) ((skb)->cb[1])
#define INNER(skb) ((skb)->cb[2])

SEC("classifier")
int probe(struct __sk_buff *skb)
{
    skb->cb[3] = vsw_hash(skb, POLICY(skb), TAGGED(skb), TCI(skb), INNER(skb));
    return 0;
}

// The same, of a frame whose linear part is empty.
SEC("classifier")
int probe_nonlinear(struct __sk_buff *skb)
{
    void *data = (void *)(long)skb->data;

    skb->cb[3] = vsw_hash_linear(skb, data, data, POLICY(skb), TAGGED(skb), TCI(skb), INNER(skb));
    return 0;
}

// What a run costs without a hash.
SEC("classifier")
int probe_nothing(struct __sk_buff *skb)
{
    skb->cb[3] = POLICY(skb) + TAGGED(skb) + TCI(skb) + INNER(skb);
    return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
