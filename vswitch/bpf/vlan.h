// SPDX-License-Identifier: MIT OR Apache-2.0
// VLAN modes: which VLAN a frame belongs to and with which tags it leaves. As forwarding/src/vlan.rs.
#pragma once

#include "maps.h"

#define TPID_8021Q 0x8100
#define TPID_8021AD 0x88a8
#define MAX_VLAN 4094

// A tag, or none (0). The tag protocol is never 0.
struct tag {
	__u16 tpid;
	__u16 tci;
};

struct placed {
	__u16 vlan;
	struct tag outer; // whose protocol and priority the VLAN's tag gets
	struct tag inner; // the customer's, of a frame that came in through a tunnel
};

static __always_inline bool is_tpid(__u16 type)
{
	return type == TPID_8021Q || type == TPID_8021AD;
}

static __always_inline __u16 vid(struct tag tag)
{
	return tag.tci & 0x0fff;
}

static __always_inline bool vlan_set_has(__u32 copy, __u16 set, __u16 vlan)
{
	__u32 number = copy * VSW_MAX_VLAN_SETS + set;
	struct vsw_vlan_set *words;

	if (vlan > MAX_VLAN)
		return false;
	if (set == VSW_EVERY_VLAN)
		return true;
	if (set >= VSW_MAX_VLAN_SETS)
		return false;
	words = bpf_map_lookup_elem(&vsw_vlan_sets, &number);
	return words && words->words[vlan >> 6 & 63] >> (vlan & 63) & 1;
}

// The place of a frame that arrived with a tag; false: the port refuses it.
static __always_inline bool vlan_place(__u32 copy, const struct vsw_port *port, struct tag tag, struct placed *placed)
{
	__u16 id = vid(tag);

	placed->vlan = id;
	placed->outer = tag;
	placed->inner = (struct tag){};
	switch (port->vlan_mode) {
	case VSW_VLAN_ACCESS:
		placed->vlan = port->vlan;
		return id == 0;
	case VSW_VLAN_TRUNK:
		return vlan_set_has(copy, port->trunks, id);
	case VSW_VLAN_NATIVE_TAGGED:
	case VSW_VLAN_NATIVE_UNTAGGED:
		if (id == 0) {
			placed->vlan = port->vlan;
			return true;
		}
		return id == port->vlan || vlan_set_has(copy, port->trunks, id);
	case VSW_VLAN_TUNNEL:
		placed->vlan = port->vlan;
		placed->outer = (struct tag){ .tpid = TPID_8021AD };
		placed->inner = tag;
		return vlan_set_has(copy, port->cvlans, id);
	}
	return false;
}

static __always_inline bool vlan_contains(__u32 copy, const struct vsw_port *port, __u16 vlan)
{
	switch (port->vlan_mode) {
	case VSW_VLAN_ACCESS:
	case VSW_VLAN_TUNNEL:
		return port->vlan == vlan;
	case VSW_VLAN_TRUNK:
		return vlan_set_has(copy, port->trunks, vlan);
	}
	return port->vlan == vlan || vlan_set_has(copy, port->trunks, vlan);
}

static __always_inline bool vlan_strips(const struct vsw_port *port, __u16 vlan)
{
	return port->vlan_mode == VSW_VLAN_ACCESS || port->vlan_mode == VSW_VLAN_TUNNEL ||
	       (port->vlan_mode == VSW_VLAN_NATIVE_UNTAGGED && port->vlan == vlan);
}

// The tags with which a frame leaves: the outermost, and one within it that is not in the octets.
static __always_inline void vlan_egress(const struct vsw_port *port, const struct placed *placed, struct tag *outer,
					struct tag *inner)
{
	bool strips = vlan_strips(port, placed->vlan);
	struct tag tag = {};

	if (placed->vlan && !strips) {
		tag.tpid = placed->outer.tpid ? placed->outer.tpid : TPID_8021Q;
		tag.tci = (placed->outer.tci & 0xf000) | placed->vlan;
	}
	*inner = placed->inner;
	*outer = tag;
	if (placed->inner.tpid && !tag.tpid) {
		if (strips) {
			*outer = placed->inner;
			*inner = (struct tag){};
		} else {
			*outer = placed->outer;
		}
	}
}
