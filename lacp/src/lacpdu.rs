//! The LACPDU (IEEE 802.1AX-2008 clause 5.4.2; version 2: 802.1AX-2014 clause 6.4.2).

use zerocopy::network_endian::U16;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::slow::{PDU_LEN, PduError, SUBTYPE_LACP, TLV_TERMINATOR, TlvHeader};

/// The version that we send.
pub const VERSION: u8 = 1;

const TLV_ACTOR: u8 = 1;
const TLV_PARTNER: u8 = 2;
const TLV_COLLECTOR: u8 = 3;

/// State of a port: eight flags in one octet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct State(pub u8);

impl State {
    /// Sends without being asked (active LACP).
    pub const ACTIVITY: Self = Self(0x01);
    /// Wants PDUs every second (short timeout).
    pub const TIMEOUT: Self = Self(0x02);
    /// May share an aggregator with other ports.
    pub const AGGREGATION: Self = Self(0x04);
    /// Attached to the right aggregator.
    pub const SYNCHRONIZATION: Self = Self(0x08);
    /// Receives frames.
    pub const COLLECTING: Self = Self(0x10);
    /// Sends frames.
    pub const DISTRIBUTING: Self = Self(0x20);
    /// Uses its own defaults for the partner.
    pub const DEFAULTED: Self = Self(0x40);
    /// Has not heard of the partner for too long.
    pub const EXPIRED: Self = Self(0x80);

    const NAMES: [&'static str; 8] = [
        "activity",
        "timeout",
        "aggregation",
        "synchronization",
        "collecting",
        "distributing",
        "defaulted",
        "expired",
    ];

    /// All of these flags are set.
    pub const fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }

    /// With these flags set as well.
    #[must_use]
    pub const fn with(self, flags: Self) -> Self {
        Self(self.0 | flags.0)
    }

    /// Without these flags.
    #[must_use]
    pub const fn without(self, flags: Self) -> Self {
        Self(self.0 & !flags.0)
    }
}

/// The names of the flags that are set, in order of their bits.
impl core::fmt::Display for State {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let set = (0..8).filter(|bit| self.0 >> bit & 1 == 1);
        let names: Vec<&str> = set.map(|bit| Self::NAMES[bit]).collect();
        f.write_str(&names.join(" "))
    }
}

impl core::fmt::Debug for State {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "State({self})")
    }
}

/// A MAC address; it is written in lower case with colons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address(pub [u8; 6]);

impl core::fmt::Display for Address {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let [a, b, c, d, e, last] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{last:02x}")
    }
}

/// What a system says of one of its ports, or of its partner's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PortInfo {
    /// Priority of the system; the lower number wins.
    pub system_priority: u16,
    /// Address of the system.
    pub system: [u8; 6],
    /// Ports with the same key may be aggregated.
    pub key: u16,
    /// Priority of the port; the lower number wins.
    pub port_priority: u16,
    /// Number of the port in its system.
    pub port: u16,
    /// Its state.
    pub state: State,
}

impl PortInfo {
    /// The System Identifier (clause 6.3.2): the numerically lower one has precedence.
    pub fn system_identifier(&self) -> (u16, [u8; 6]) {
        (self.system_priority, self.system)
    }
}

/// All but the state.
impl core::fmt::Display for PortInfo {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Self { system_priority, system, key, port_priority, port, .. } = self;
        let system = Address(*system);
        write!(
            f,
            "system {system} (priority {system_priority}), key {key}, port {port} (priority {port_priority})"
        )
    }
}

/// A LACPDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lacpdu {
    /// As received; [`VERSION`] in what we send.
    pub version: u8,
    /// The sender.
    pub actor: PortInfo,
    /// The receiver, as the sender knows it.
    pub partner: PortInfo,
    /// Longest time for which the sender's collector may delay a frame, in tens of microseconds.
    pub collector_max_delay: u16,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned, Clone, Copy)]
#[repr(C)]
struct WirePort {
    tlv: u8,
    length: u8,
    system_priority: U16,
    system: [u8; 6],
    key: U16,
    port_priority: U16,
    port: U16,
    state: u8,
    reserved: [u8; 3],
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Wire {
    subtype: u8,
    version: u8,
    actor: WirePort,
    partner: WirePort,
    collector_tlv: u8,
    collector_length: u8,
    collector_max_delay: U16,
    collector_reserved: [u8; 12],
    terminator_tlv: u8,
    terminator_length: u8,
    reserved: [u8; 50],
}

const _: () = assert!(size_of::<Wire>() == PDU_LEN && size_of::<WirePort>() == 20);

impl Lacpdu {
    /// A LACPDU to be sent.
    pub const fn new(actor: PortInfo, partner: PortInfo) -> Self {
        Self { version: VERSION, actor, partner, collector_max_delay: 0 }
    }

    /// Reads a LACPDU that begins with its subtype. As clause 6.4.12 has it, version, TLV types and reserved octets are
    /// not looked at, and what a later version puts behind the three TLVs of version 1 is passed over: that is how a
    /// later version can be spoken to. Their lengths may be checked, and are. (Linux checks nothing but the PDU's
    /// length.)
    ///
    /// # Errors
    /// Shorter than 110 octets; another subtype; one of the three TLVs has another length.
    pub fn parse(pdu: &[u8]) -> Result<Self, PduError> {
        let short = PduError::Short { found: pdu.len() };
        let (wire, _) = Wire::ref_from_prefix(pdu).map_err(|_| short)?;
        if wire.subtype != SUBTYPE_LACP {
            return Err(PduError::Subtype { found: wire.subtype });
        }
        wire.actor.header(2).expect_length(20)?;
        wire.partner.header(22).expect_length(20)?;
        TlvHeader { offset: 42, tlv: wire.collector_tlv, length: wire.collector_length }.expect_length(16)?;
        Ok(Self {
            version: wire.version,
            actor: wire.actor.into(),
            partner: wire.partner.into(),
            collector_max_delay: wire.collector_max_delay.get(),
        })
    }

    /// Writes the LACPDU, from the subtype on; reserved octets are zero.
    pub fn emit(&self) -> [u8; PDU_LEN] {
        let wire = Wire {
            subtype: SUBTYPE_LACP,
            version: self.version,
            actor: WirePort::new(TLV_ACTOR, &self.actor),
            partner: WirePort::new(TLV_PARTNER, &self.partner),
            collector_tlv: TLV_COLLECTOR,
            collector_length: 16,
            collector_max_delay: self.collector_max_delay.into(),
            collector_reserved: [0; 12],
            terminator_tlv: TLV_TERMINATOR,
            terminator_length: 0,
            reserved: [0; 50],
        };
        zerocopy::transmute!(wire)
    }
}

impl WirePort {
    fn new(tlv: u8, info: &PortInfo) -> Self {
        Self {
            tlv,
            length: 20,
            system_priority: info.system_priority.into(),
            system: info.system,
            key: info.key.into(),
            port_priority: info.port_priority.into(),
            port: info.port.into(),
            state: info.state.0,
            reserved: [0; 3],
        }
    }

    fn header(&self, offset: usize) -> TlvHeader {
        TlvHeader { offset, tlv: self.tlv, length: self.length }
    }
}

impl From<WirePort> for PortInfo {
    fn from(wire: WirePort) -> Self {
        Self {
            system_priority: wire.system_priority.get(),
            system: wire.system,
            key: wire.key.get(),
            port_priority: wire.port_priority.get(),
            port: wire.port.get(),
            state: State(wire.state),
        }
    }
}
