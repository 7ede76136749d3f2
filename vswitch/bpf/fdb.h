// SPDX-License-Identifier: MIT OR Apache-2.0
// Reading and refreshing a bridge's FDB: the table of forwarding::fdb, bit for bit. The program adds, moves and removes
// nothing; that is the daemon's.
#pragma once

#include "maps.h"

// See forwarding/src/fdb/word.rs for the layout of a value.
#define FDB_VALID (1ULL << 63)
#define FDB_STATIC (1ULL << 61)
#define FDB_LOCKED (1ULL << 60)
#define FDB_LOCK_SHIFT 52
#define FDB_LOCK_MASK (FDB_LOCKED | 0xffULL << FDB_LOCK_SHIFT)
#define FDB_DIGEST_SHIFT 32
#define FDB_DIGEST_MASK (0xfffffULL << FDB_DIGEST_SHIFT)
#define FDB_TICK_SHIFT 16
#define FDB_TICK_MASK (0xffffULL << FDB_TICK_SHIFT)
#define FDB_LOCK_TICKS 5

struct fdb_place {
	__u32 first;
	__u32 second;
	__u64 tag; // what the value of a slot that holds the key has in its bits FDB_VALID and FDB_DIGEST_MASK
};

// See forwarding/src/fdb/place.rs.
static __always_inline struct fdb_place fdb_place(const struct vsw_bridge *bridge, __u64 key)
{
	__u64 hash = key ^ bridge->secret[0];
	struct fdb_place place;

	hash *= bridge->secret[1];
	hash ^= hash >> 32;
	hash *= bridge->secret[2];
	hash ^= hash >> 29;
	place.first = ((hash & 0xffffffff) * bridge->fdb_buckets) >> 32;
	place.second = ((hash >> 32) * bridge->fdb_buckets) >> 32;
	if (place.second == place.first)
		place.second = place.first + 1 < bridge->fdb_buckets ? place.first + 1 : 0;
	place.tag = FDB_VALID | (hash * bridge->secret[1]) >> 44 << FDB_DIGEST_SHIFT;
	return place;
}

// Looks through one bucket; 0: not there.
static __always_inline __u64 fdb_find_in(void *table, __u32 bucket, __u64 key, __u64 tag)
{
	volatile struct vsw_fdb_bucket *line = bpf_map_lookup_elem(table, &bucket);

	if (!line)
		return 0;
#pragma unroll
	for (int way = 0; way < 4; way++) {
		if (line->keys[way] == key) {
			__u64 value = line->values[way];

			if ((value & (FDB_VALID | FDB_DIGEST_MASK)) == tag)
				return value;
		}
	}
	return 0;
}

// The value of a key; 0: not there.
__noinline __u64 vsw_fdb_find(__u32 fdb, __u64 key, __u32 first, __u32 second, __u64 tag)
{
	void *table = bpf_map_lookup_elem(&vsw_fdbs, &fdb);
	__u64 value;

	if (!table)
		return 0;
	value = fdb_find_in(table, first, key, tag);
	return value ? value : fdb_find_in(table, second, key, tag);
}

// Replaces a key's value in one bucket, if it still is what it was.
static __always_inline bool fdb_swap_in(void *table, __u32 bucket, __u64 key, __u64 old, __u64 new)
{
	struct vsw_fdb_bucket *line = bpf_map_lookup_elem(table, &bucket);

	if (!line)
		return false;
#pragma unroll
	for (int way = 0; way < 4; way++) {
		if (*(volatile __u64 *)&line->keys[way] == key)
			if (__sync_val_compare_and_swap(&line->values[way], old, new) == old)
				return true;
	}
	return false;
}

// Notes that an entry was seen now. If it has changed meanwhile, whoever changed it knows better.
__noinline int vsw_fdb_refresh(__u32 fdb, __u64 key, __u64 buckets, __u64 old, __u64 new)
{
	void *table = bpf_map_lookup_elem(&vsw_fdbs, &fdb);

	if (!table)
		return 0;
	if (!fdb_swap_in(table, buckets, key, old, new))
		fdb_swap_in(table, buckets >> 32, key, old, new);
	return 0;
}

// Whole seconds since boot, modulo 65536: a forwarding::fdb::Tick.
static __always_inline __u16 fdb_tick(void)
{
	return bpf_ktime_get_ns() / 1000000000ULL;
}

// Ticks from an entry's last refresh; those after `now` count as now.
static __always_inline __u16 fdb_age(__u64 value, __u16 now)
{
	__s16 age = now - (__u16)(value >> FDB_TICK_SHIFT);

	return age > 0 ? age : 0;
}

static __always_inline bool fdb_is_live(const struct vsw_bridge *bridge, __u64 value, __u16 now)
{
	return value & FDB_STATIC || fdb_age(value, now) <= bridge->ageing;
}

// The value with a newer tick, and without a lock that is over.
static __always_inline __u64 fdb_refreshed(__u64 value, __u16 now)
{
	__u8 since = now - (value >> FDB_LOCK_SHIFT);

	if (!(value & FDB_LOCKED && (since <= FDB_LOCK_TICKS || since >= 254)))
		value &= ~FDB_LOCK_MASK;
	return (value & ~FDB_TICK_MASK) | (__u64)now << FDB_TICK_SHIFT;
}
