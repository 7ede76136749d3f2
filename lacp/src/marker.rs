//! The Marker PDU (IEEE 802.1AX-2008 clause 5.5): asks the partner to say when all frames sent before it have arrived.

use zerocopy::network_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::slow::{PDU_LEN, PduError, SUBTYPE_MARKER, TLV_TERMINATOR, TlvHeader};

const VERSION: u8 = 1;
const TLV_INFORMATION: u8 = 1;
const TLV_RESPONSE: u8 = 2;

/// A Marker PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marker {
    /// The answer to a marker, not a marker itself.
    pub response: bool,
    /// Port number of the one who asks.
    pub requester_port: u16,
    /// System of the one who asks.
    pub requester_system: [u8; 6],
    /// Chosen by the one who asks.
    pub transaction: u32,
}

#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
struct Wire {
    subtype: u8,
    version: u8,
    tlv: u8,
    length: u8,
    requester_port: U16,
    requester_system: [u8; 6],
    transaction: U32,
    pad: [u8; 2],
    terminator_tlv: u8,
    terminator_length: u8,
    reserved: [u8; 90],
}

const _: () = assert!(size_of::<Wire>() == PDU_LEN);

impl Marker {
    /// Reads a Marker PDU that begins with its subtype. Version, pad and reserved octets are not looked at.
    ///
    /// # Errors
    /// Shorter than 110 octets; another subtype; the TLV is neither information nor response, or has another length
    /// than 16.
    pub fn parse(pdu: &[u8]) -> Result<Self, PduError> {
        let short = PduError::Short { found: pdu.len() };
        let (wire, _) = Wire::ref_from_prefix(pdu).map_err(|_| short)?;
        if wire.subtype != SUBTYPE_MARKER {
            return Err(PduError::Subtype { found: wire.subtype });
        }
        if !matches!(wire.tlv, TLV_INFORMATION | TLV_RESPONSE) {
            return Err(PduError::TlvType { offset: 2, expected: TLV_INFORMATION, found: wire.tlv });
        }
        TlvHeader { offset: 2, tlv: wire.tlv, length: wire.length }.expect_length(16)?;
        Ok(Self {
            response: wire.tlv == TLV_RESPONSE,
            requester_port: wire.requester_port.get(),
            requester_system: wire.requester_system,
            transaction: wire.transaction.get(),
        })
    }

    /// Writes the Marker PDU, from the subtype on; pad and reserved octets are zero.
    pub fn emit(&self) -> [u8; PDU_LEN] {
        let wire = Wire {
            subtype: SUBTYPE_MARKER,
            version: VERSION,
            tlv: if self.response { TLV_RESPONSE } else { TLV_INFORMATION },
            length: 16,
            requester_port: self.requester_port.into(),
            requester_system: self.requester_system,
            transaction: self.transaction.into(),
            pad: [0; 2],
            terminator_tlv: TLV_TERMINATOR,
            terminator_length: 0,
            reserved: [0; 90],
        };
        zerocopy::transmute!(wire)
    }

    /// The answer to this marker (clause 5.5.4.1); `None` if it is an answer itself.
    pub fn answer(&self) -> Option<Self> {
        (!self.response).then_some(Self { response: true, ..*self })
    }
}
