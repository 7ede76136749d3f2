//! What LACPDUs and Marker PDUs have in common: both are Slow Protocols (IEEE 802.3-2018 annex 57A).
//!
//! A PDU here is what follows the Ethernet header, from the subtype on: 110 octets.

use thiserror::Error;

use crate::lacpdu::Lacpdu;
use crate::marker::Marker;

/// 01:80:c2:00:00:02, the Slow Protocols address; never forwarded by a bridge.
pub const DESTINATION: [u8; 6] = [0x01, 0x80, 0xc2, 0x00, 0x00, 0x02];
/// Ethertype of the Slow Protocols.
pub const ETHERTYPE: u16 = 0x8809;
/// Subtype of a LACPDU.
pub const SUBTYPE_LACP: u8 = 1;
/// Subtype of a Marker PDU.
pub const SUBTYPE_MARKER: u8 = 2;
/// Octets of a PDU as it is sent; the least that a received one may have.
pub const PDU_LEN: usize = 110;
/// Octets of a frame with its Ethernet header and without FCS.
pub const FRAME_LEN: usize = 14 + PDU_LEN;

/// The type of the TLV that ends a PDU.
pub(crate) const TLV_TERMINATOR: u8 = 0;

/// Either kind of PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pdu {
    /// Subtype 1.
    Lacp(Lacpdu),
    /// Subtype 2.
    Marker(Marker),
}

impl Pdu {
    /// Reads a PDU that begins with its subtype.
    ///
    /// # Errors
    /// [`PduError::Subtype`] for another Slow Protocol (OAM is one); otherwise the PDU is malformed.
    pub fn parse(pdu: &[u8]) -> Result<Self, PduError> {
        match pdu.first() {
            None => Err(PduError::Short { found: 0 }),
            Some(&SUBTYPE_LACP) => Lacpdu::parse(pdu).map(Self::Lacp),
            Some(&SUBTYPE_MARKER) => Marker::parse(pdu).map(Self::Marker),
            Some(&found) => Err(PduError::Subtype { found }),
        }
    }

    /// Writes the PDU, from the subtype on.
    pub fn emit(&self) -> [u8; PDU_LEN] {
        match self {
            Self::Lacp(lacpdu) => lacpdu.emit(),
            Self::Marker(marker) => marker.emit(),
        }
    }
}

/// The PDU in an untagged frame, if it is one of a Slow Protocol: [`ETHERTYPE`] to exactly [`DESTINATION`].
pub fn payload(frame: &[u8]) -> Option<&[u8]> {
    let (header, pdu) = frame.split_at_checked(14)?;
    (header[..6] == DESTINATION && header[12..] == ETHERTYPE.to_be_bytes()).then_some(pdu)
}

/// Why octets are not a LACPDU or a Marker PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PduError {
    /// Cut off. (Linux counts it as illegal.)
    #[error("PDU of {found} octets, at least {PDU_LEN} are needed")]
    Short {
        /// Octets found.
        found: usize,
    },
    /// Another Slow Protocol.
    #[error("slow protocol subtype {found}, neither LACP (1) nor Marker (2)")]
    Subtype {
        /// The subtype found.
        found: u8,
    },
    /// A Marker PDU whose TLV is neither marker nor answer.
    #[error("TLV of type {found} at octet {offset}, expected type {expected}")]
    TlvType {
        /// Where, from the subtype on.
        offset: usize,
        /// What must stand there.
        expected: u8,
        /// What stands there.
        found: u8,
    },
    /// A TLV with a length that its place does not allow.
    #[error("TLV of type {tlv} at octet {offset} has the illegal length {found}")]
    TlvLength {
        /// Where, from the subtype on.
        offset: usize,
        /// The type.
        tlv: u8,
        /// The length found, which includes the two octets of type and length.
        found: u8,
    },
}

/// The frame that carries a PDU, untagged, sent by the port with the address `source`.
pub fn frame(source: [u8; 6], pdu: &[u8; PDU_LEN]) -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    frame[..6].copy_from_slice(&DESTINATION);
    frame[6..12].copy_from_slice(&source);
    frame[12..14].copy_from_slice(&ETHERTYPE.to_be_bytes());
    frame[14..].copy_from_slice(pdu);
    frame
}

/// The two octets before a TLV's value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TlvHeader {
    pub(crate) offset: usize,
    pub(crate) tlv: u8,
    pub(crate) length: u8,
}

impl TlvHeader {
    /// That the TLV has the length that its place asks for.
    pub(crate) fn expect_length(self, length: u8) -> Result<(), PduError> {
        if self.length == length {
            Ok(())
        } else {
            Err(PduError::TlvLength { offset: self.offset, tlv: self.tlv, found: self.length })
        }
    }
}
