//! Every reason for which the switch drops a frame. The label is what metrics and `vsctl` print.

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $label:literal,)+) => {
        /// Why a frame was dropped.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum DropReason { $($(#[doc = $doc])+ $name,)+ }

        impl DropReason {
            /// All reasons, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];
            /// How many reasons there are.
            pub const COUNT: usize = Self::ALL.len();

            /// The stable, lower-case name.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label,)+ }
            }
        }
    };
}

drop_reasons! {
    /// Shorter than an Ethernet header (14 octets), or a VLAN tag is cut off.
    Runt => "runt",
    /// More VLAN tags than [`crate::parse::MAX_VLAN_TAGS`].
    TooManyTags => "too_many_tags",
    /// The source address is a group address or zero.
    InvalidSource => "invalid_source",
    /// The virtio header contradicts the frame (checksum offset outside it, segment size 0, unknown GSO type).
    BadOffload => "bad_offload",
    /// The frame was longer than the receive buffer.
    Truncated => "truncated",
    /// The device belongs to no port (it is being added or removed).
    NoPort => "no_port",
    /// To 01:80:c2:00:00:00-0f, which a bridge does not forward (IEEE 802.1Q-2018 8.6.3).
    ReservedMulticast => "reserved_multicast",
    /// Of the Slow Protocols, on a member of a bond that speaks LACP: no loss, LACP hears the frame by a socket of its own.
    SlowProtocol => "slow_protocol",
    /// VLAN not allowed on the ingress port, or VLAN ID 4095.
    VlanNotAllowed => "vlan_not_allowed",
    /// Arrived on a bond member that does not receive (inactive, link down).
    InactiveMember => "inactive_member",
    /// A local guest's own frame that the upstream switch sent back through the bond.
    Reflected => "reflected",
    /// To a bond member's own address, and no guest is known to have the IP address it is for.
    NoGuest => "no_guest",
    /// The port is locked, and the source address is not known to be behind it.
    PortLocked => "port_locked",
    /// More broadcast frames from the port than storm control allows.
    StormBroadcast => "storm_broadcast",
    /// More frames to unknown destinations from the port than storm control allows.
    StormUnknown => "storm_unknown",
    /// More multicast frames from the port than storm control allows.
    StormMulticast => "storm_multicast",
    /// The destination is behind the port the frame came from.
    SamePort => "same_port",
    /// No other port of the bridge is in this VLAN.
    NoEgress => "no_egress",
    /// The bond has no member that can carry the frame.
    NoMember => "no_member",
    /// The egress port is not in the frame's VLAN, or does not carry the customer's VLAN.
    EgressVlan => "egress_vlan",
    /// Longer than the egress device's MTU.
    MtuExceeded => "mtu_exceeded",
    /// The egress device is down or gone.
    DeviceDown => "device_down",
    /// The egress device's queue is full.
    QueueFull => "queue_full",
    /// The kernel refused the frame for another reason.
    SendError => "send_error",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_unique_and_numbers_are_indexes() {
        let mut labels: Vec<_> = DropReason::ALL.iter().map(|r| r.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), DropReason::COUNT);
        assert!(DropReason::ALL.iter().enumerate().all(|(i, r)| *r as usize == i));
    }
}
