// SPDX-License-Identifier: MIT OR Apache-2.0
// Devices, ports and bridges of the active copy of the tables.
#pragma once

#include "maps.h"

static __always_inline struct vsw_device *device_of(__u32 copy, __u16 device)
{
	__u32 number = copy * VSW_MAX_DEVICES + device;

	return device < VSW_MAX_DEVICES ? bpf_map_lookup_elem(&vsw_devices, &number) : NULL;
}

static __always_inline struct vsw_port *port_of(__u32 copy, __u16 port)
{
	__u32 number = copy * VSW_MAX_PORTS + port;

	return port < VSW_MAX_PORTS ? bpf_map_lookup_elem(&vsw_ports, &number) : NULL;
}

static __always_inline struct vsw_bridge *bridge_of(__u32 copy, __u16 bridge)
{
	__u32 number = copy * VSW_MAX_BRIDGES + bridge;

	return bridge < VSW_MAX_BRIDGES ? bpf_map_lookup_elem(&vsw_bridges, &number) : NULL;
}

// The number of the device with an interface index; VSW_MAX_DEVICES: none.
static __always_inline __u32 find_device(__u32 copy, __u32 ifindex)
{
	__u32 number = copy * VSW_INDEX_BUCKETS + (ifindex & (VSW_INDEX_BUCKETS - 1));
	struct vsw_index_bucket *bucket = bpf_map_lookup_elem(&vsw_index, &number);

	if (!bucket)
		return VSW_MAX_DEVICES;
#pragma unroll
	for (int way = 0; way < VSW_INDEX_WAYS; way++) {
		if (bucket->ways[way].ifindex == ifindex)
			return bucket->ways[way].device;
		if (!bucket->ways[way].ifindex)
			break;
	}
	return VSW_MAX_DEVICES;
}
