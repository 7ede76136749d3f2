//! The steps of a traced frame, in plain words.

use core::fmt;
use core::net::IpAddr;

use crate::drop_reason::DropReason;
use crate::fdb::Learned;
use crate::flow_hash::HashPolicy;
use crate::ids::{DeviceId, PortId};
use crate::mac::MacAddr;
use crate::parse::{Network, Parsed};
use crate::pipeline::Output;
use crate::tables::Admission;
use crate::vlan::{Placed, VlanTag};

/// One step of a frame's way. Displayed with the numbers of ports and devices; [`Self::named`] has their names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The device belongs to a port.
    Received {
        /// Where the frame came in.
        device: DeviceId,
        /// The device's port.
        port: PortId,
    },
    /// The frame could be read.
    Parsed {
        /// What it is.
        parsed: Parsed,
        /// Its outer tag.
        tag: Option<VlanTag>,
    },
    /// It is for the LACP of the bond.
    SlowProtocol,
    /// The port takes it into a VLAN.
    Vlan(Placed),
    /// The device's admission rule lets it in.
    Admitted(Admission),
    /// It is to a member's own address, and let in only by another member.
    OtherMember {
        /// The address.
        own: MacAddr,
        /// The device that lets it in.
        device: DeviceId,
    },
    /// It is to a member's own address, and for the guest that has its IP address.
    OwnAddress {
        /// The address.
        own: MacAddr,
        /// The IP address, if it is IP or ARP.
        ip: Option<IpAddr>,
        /// Who has that.
        guest: Option<MacAddr>,
    },
    /// What learning its source does.
    Learning {
        /// The VLAN.
        vlan: u16,
        /// The source.
        mac: MacAddr,
        /// The port it came in by.
        port: PortId,
        /// What the FDB says.
        learned: Learned,
    },
    /// Where its destination is.
    Lookup {
        /// The destination.
        dst: MacAddr,
        /// The port behind which it is known.
        found: Option<PortId>,
    },
    /// It is for all other ports of its VLAN.
    Flood {
        /// How many there are.
        ports: usize,
    },
    /// A bond's plan asks for its hash.
    Hash {
        /// The bond.
        port: PortId,
        /// Which hash.
        policy: HashPolicy,
        /// Its value.
        hash: u32,
        /// `hash % buckets`.
        bucket: u32,
        /// Length of the bucket table.
        buckets: u32,
        /// The device in the bucket.
        device: DeviceId,
    },
    /// A guest tells a peer where it is: at a member of the bond, to which the peer is to send.
    MemberNamed {
        /// The peer.
        peer: MacAddr,
        /// The guest's IP address.
        ip: IpAddr,
        /// The member's address.
        member: MacAddr,
    },
    /// A bond's plan spreads other frames than this one over its members.
    Home {
        /// The bond.
        port: PortId,
        /// The active member's device.
        device: DeviceId,
    },
    /// It leaves by a member that isn't the active one, as that member's own frame.
    Source {
        /// The member's device.
        device: DeviceId,
        /// The device's address.
        source: MacAddr,
    },
    /// A bond's plan gives it the next turn.
    Turn {
        /// The bond.
        port: PortId,
        /// How many frames had theirs before.
        turn: u32,
        /// Frames in a row that go by one member; 0: a member for each frame by lot.
        per_member: u32,
        /// Whose turn it is, from 0.
        member: u32,
        /// How many take turns.
        members: u32,
        /// The member's device.
        device: DeviceId,
    },
    /// A bond's plan is to take turns, but this is IGMP.
    FirstMember {
        /// The bond.
        port: PortId,
        /// The first member's device.
        device: DeviceId,
    },
    /// A bond's plan is to send by all members.
    Copies {
        /// The bond.
        port: PortId,
        /// How many they are.
        members: usize,
    },
    /// A copy leaves.
    Leaves {
        /// The port.
        port: PortId,
        /// Device and tags.
        output: Output,
        /// Layer-3 octets of the longest packet that it makes on a wire.
        length: u32,
        /// The device's MTU.
        mtu: u32,
    },
    /// A copy is longer than the device's MTU.
    TooLong {
        /// The device.
        device: DeviceId,
        /// Layer-3 octets of the longest packet that it makes on a wire.
        length: u32,
        /// The device's MTU.
        mtu: u32,
    },
    /// One copy of a bond that sends by all members can't leave.
    MemberDropped {
        /// By this device.
        device: DeviceId,
        /// Why.
        reason: DropReason,
    },
    /// A flood can't leave by one port.
    CopyDropped {
        /// By this port.
        port: PortId,
        /// Why.
        reason: DropReason,
    },
    /// No copy leaves.
    Dropped(DropReason),
}

/// What people call ports and devices.
pub trait Names {
    /// A port's name.
    fn port(&self, id: PortId) -> String;
    /// A device's name.
    fn device(&self, id: DeviceId) -> String;
}

/// The numbers, where there are no names.
struct Numbers;

impl Names for Numbers {
    fn port(&self, id: PortId) -> String {
        format!("port {}", id.0)
    }

    fn device(&self, id: DeviceId) -> String {
        format!("device {}", id.0)
    }
}

impl Step {
    /// The step in words, with names.
    pub fn named(&self, names: &dyn Names) -> String {
        match self {
            Self::Received { device, port } => {
                format!("received on {}, which belongs to {}", names.device(*device), names.port(*port))
            }
            Self::Parsed { parsed, tag } => describe(parsed, *tag),
            Self::SlowProtocol => {
                "of the Slow Protocols: for the bond's LACP, which hears it by a socket of its own, and for no port"
                    .into()
            }
            Self::Vlan(Placed { vlan, inner: None, .. }) => format!("in VLAN {vlan}"),
            Self::Vlan(Placed { vlan, inner: Some(inner), .. }) => {
                format!("in service VLAN {vlan}, with the customer's {}", tag_text(*inner))
            }
            Self::Admitted(admission) => match admission {
                Admission::All => "let in: the port takes every frame".into(),
                Admission::AllButReflected => "let in: no reflection of a local address".into(),
                Admission::Grace => {
                    "let in though its member is no longer active: the destination is known elsewhere; \
                     nothing is learned"
                        .into()
                }
                Admission::Buckets { .. } => {
                    "let in: this member has the destination's bucket, or receives frames to groups; no reflection of \
                     a local address"
                        .into()
                }
                Admission::Nothing => "not let in".into(),
            },
            Self::OtherMember { own, device } => {
                format!("{own} is a member's own address: frames to it are let in by {}", names.device(*device))
            }
            Self::OwnAddress { own, ip: None, .. } => {
                format!("{own} is the member's own address, and this is no IP or ARP that a guest could have")
            }
            Self::OwnAddress { own, ip: Some(ip), guest: None } => {
                format!("{own} is the member's own address, and no guest is known to have {ip} in this VLAN")
            }
            Self::OwnAddress { own, ip: Some(ip), guest: Some(guest) } => {
                format!("{own} is the member's own address: for the guest that has {ip}, {guest}")
            }
            Self::Learning { vlan, mac, port, learned } => {
                let port = names.port(*port);
                match learned {
                    Learned::New => format!("would learn {mac} in VLAN {vlan} behind {port}"),
                    Learned::Refreshed => format!("{mac} is known behind {port}"),
                    Learned::Moved { from } => {
                        format!("would move {mac} in VLAN {vlan} from {} to {port}", names.port(*from))
                    }
                    Learned::Full => {
                        format!("would not learn {mac}: the table is full or {port} has as many as it may")
                    }
                    Learned::Reflected => format!("{mac} is a local address, sent back"),
                    Learned::Static => {
                        format!("would not learn {mac}: a static entry has it behind another port")
                    }
                }
            }
            Self::Lookup { dst, found: Some(port) } => format!("{dst} is behind {}", names.port(*port)),
            Self::Lookup { dst, .. } if dst.is_broadcast() => format!("{dst} is everybody"),
            Self::Lookup { dst, .. } if dst.is_multicast() => format!("{dst} is a group"),
            Self::Lookup { dst, .. } => format!("{dst} is not known"),
            Self::Flood { ports } => format!("flooded to the {ports} other ports of the VLAN"),
            Self::Hash { port, policy, hash, bucket, buckets, device } => format!(
                "{}: {} hash {hash} ({hash:#010x}), bucket {bucket} of {buckets}: {}",
                names.port(*port),
                policy.name(),
                names.device(*device),
            ),
            Self::MemberNamed { peer, ip, member } => {
                format!("tells {peer} that {ip} is at {member}, the member that it is to send to")
            }
            Self::Home { port, device } => format!(
                "{}: no IP from station to station, so it goes by the active member: {}",
                names.port(*port),
                names.device(*device)
            ),
            Self::Source { device, source } => {
                format!("its source becomes {source}, the address of {}", names.device(*device))
            }
            Self::Turn { port, turn, per_member, member, members, device } => {
                let rule = match per_member {
                    0 => "a member for each by lot".to_owned(),
                    1 => "a frame each in turn".to_owned(),
                    frames => format!("{frames} frames each in turn"),
                };
                let (port, device, member) = (names.port(*port), names.device(*device), member + 1);
                format!("{port}: {rule}, frame {turn}, member {member} of {members}: {device}")
            }
            Self::FirstMember { port, device } => format!(
                "{}: IGMP takes no turn and goes by the first member: {}",
                names.port(*port),
                names.device(*device)
            ),
            Self::Copies { port, members } => {
                format!("{}: a copy by each of {members} members", names.port(*port))
            }
            Self::Leaves { port, output, length, mtu } => {
                let (port, device) = (names.port(*port), names.device(output.device));
                let by = if port == device { device } else { format!("{port} by {device}") };
                let tags = match (output.tag, output.inner) {
                    (None, _) => "untagged".to_owned(),
                    (Some(tag), None) => format!("with {}", tag_text(tag)),
                    (Some(tag), Some(inner)) => format!("with {} and {}", tag_text(tag), tag_text(inner)),
                };
                format!("leaves {by} {tags} ({length} octets, MTU {mtu})")
            }
            Self::TooLong { device, length, mtu } => {
                format!("{length} octets are more than the MTU of {}, {mtu}", names.device(*device))
            }
            Self::MemberDropped { device, reason } => {
                format!("no copy by {}: {}", names.device(*device), reason.label())
            }
            Self::CopyDropped { port, reason } => {
                format!("no copy to {}: {}", names.port(*port), reason.label())
            }
            Self::Dropped(reason) => format!("dropped: {}", reason.label()),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.named(&Numbers))
    }
}

fn tag_text(tag: VlanTag) -> String {
    let (vid, priority) = (tag.vid(), tag.tci >> 13);
    format!("tag {:#06x} VLAN {vid} priority {priority}", tag.tpid)
}

fn describe(parsed: &Parsed, tag: Option<VlanTag>) -> String {
    let tags = match (tag, parsed.inner_tags) {
        (None, _) => "untagged".to_owned(),
        (Some(tag), 0) => tag_text(tag),
        (Some(tag), more) => format!("{} and {more} more within", tag_text(tag)),
    };
    let payload = match parsed.network {
        Network::Arp { announcement: false } => "ARP".to_owned(),
        Network::Arp { announcement: true } => "an ARP or RARP announcement".to_owned(),
        Network::Ipv4 { protocol, .. } => format!("IPv4, protocol {protocol}"),
        Network::Ipv6 { next_header } => format!("IPv6, next header {next_header}"),
        Network::NeighbourDiscovery { announcement: false } => "IPv6 neighbour discovery".to_owned(),
        Network::NeighbourDiscovery { announcement: true } => {
            "an unsolicited neighbour advertisement".to_owned()
        }
        Network::Other => format!("type {:#06x}", parsed.ethertype),
    };
    format!("{} to {}, {tags}, {payload}", parsed.src, parsed.dst)
}
