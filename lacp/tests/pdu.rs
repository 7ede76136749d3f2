//! PDUs against octets from a real Linux driver, and against themselves.

use lacp::slow::{self, FRAME_LEN, PDU_LEN};
use lacp::{Lacpdu, Marker, Pdu, PduError, PortInfo, State};
use proptest::prelude::*;

const SYSTEM: [u8; 6] = [0x02, 0, 0, 0, 0, 0x01];
const PARTNER: [u8; 6] = [0x02, 0, 0, 0, 0x01, 0x01];

/// Sent by Linux 6.1 on a 10 Gb/s link with `lacp_rate=fast`, in sync with another such bond.
const LINUX: &str = "0180c2000002 020000000001 8809 01 01 \
     0114 ffff 020000000001 000f 00ff 0001 3f 000000 \
     0214 ffff 020000000101 000f 00ff 0001 3f 000000 \
     0310 0000 000000000000000000000000 0000";

fn octets(hex: &str, len: usize) -> Vec<u8> {
    let digits: Vec<u32> = hex.chars().filter_map(|c| c.to_digit(16)).collect();
    let mut octets: Vec<u8> = digits.chunks(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
    octets.resize(len, 0);
    octets
}

fn port(system: [u8; 6]) -> PortInfo {
    PortInfo { system_priority: 0xffff, system, key: 15, port_priority: 255, port: 1, state: State(0x3f) }
}

fn linux() -> (Vec<u8>, Lacpdu) {
    (octets(LINUX, FRAME_LEN)[14..].to_vec(), Lacpdu::new(port(SYSTEM), port(PARTNER)))
}

#[test]
fn what_linux_sends_is_read_and_written_octet_for_octet() {
    let (pdu, lacpdu) = linux();
    assert_eq!(Pdu::parse(&pdu), Ok(Pdu::Lacp(lacpdu)));
    assert_eq!(lacpdu.emit()[..], pdu);
    assert_eq!(slow::frame(SYSTEM, &lacpdu.emit())[..], octets(LINUX, FRAME_LEN));
}

#[test]
fn every_field_has_its_place() {
    let (mut pdu, mut lacpdu) = linux();
    pdu[4..6].copy_from_slice(&[0x12, 0x34]);
    lacpdu.actor.system_priority = 0x1234;
    pdu[12..14].copy_from_slice(&[0x56, 0x78]);
    lacpdu.actor.key = 0x5678;
    pdu[14..16].copy_from_slice(&[0x9a, 0xbc]);
    lacpdu.actor.port_priority = 0x9abc;
    pdu[36..38].copy_from_slice(&[0xde, 0xf0]);
    lacpdu.partner.port = 0xdef0;
    pdu[38] = 0xc5;
    lacpdu.partner.state = State(0xc5);
    pdu[44..46].copy_from_slice(&[0x00, 0x07]);
    lacpdu.collector_max_delay = 7;
    assert_eq!(Lacpdu::parse(&pdu), Ok(lacpdu));
    assert_eq!(lacpdu.emit()[..], pdu);
}

#[test]
fn reserved_octets_are_ignored() {
    let (mut pdu, lacpdu) = linux();
    for range in [19..22, 39..42, 46..58, 58..PDU_LEN] {
        pdu[range].fill(0xa5);
    }
    pdu.extend([0xff; 4]);
    assert_eq!(Lacpdu::parse(&pdu), Ok(lacpdu));
}

/// Clause 6.4.12: the same is done whatever the version, the TLV types and the reserved octets are.
#[test]
fn version_and_tlv_types_are_not_looked_at() {
    let (pdu, lacpdu) = linux();
    for version in 0..=255 {
        let mut pdu = pdu.clone();
        pdu[1] = version;
        assert_eq!(Lacpdu::parse(&pdu), Ok(Lacpdu { version, ..lacpdu }));
        // What follows the three TLVs is passed over, be it TLVs of version 2 (Port Algorithm, 6.4.2.4.1), one that
        // nobody knows, or of an impossible length.
        for extension in [&[4, 6, 0, 0x80, 0xc2, 1, 99, 3, 0][..], &[99, 47], &[99, 0], &[0, 1], &[0xff; 52]]
        {
            let mut pdu = pdu.clone();
            pdu[58..][..extension.len()].copy_from_slice(extension);
            assert_eq!(Lacpdu::parse(&pdu), Ok(Lacpdu { version, ..lacpdu }), "{extension:?}");
        }
    }
    for offset in [2, 22, 42] {
        for tlv in 0..=255 {
            let mut pdu = pdu.clone();
            pdu[offset] = tlv;
            assert_eq!(Lacpdu::parse(&pdu), Ok(lacpdu), "type {tlv} at octet {offset}");
        }
    }
}

#[test]
fn malformed_lacpdus_are_refused() {
    let (pdu, _) = linux();
    for len in 0..PDU_LEN {
        assert_eq!(Pdu::parse(&pdu[..len]), Err(PduError::Short { found: len }));
    }
    for (offset, tlv, length) in [(2, 1, 20), (22, 2, 20), (42, 3, 16)] {
        for illegal in (0..=255).filter(|illegal| *illegal != length) {
            let mut bad = pdu.clone();
            bad[offset + 1] = illegal;
            assert_eq!(Lacpdu::parse(&bad), Err(PduError::TlvLength { offset, tlv, found: illegal }));
        }
    }
    let mut oam = pdu.clone();
    oam[0] = 3;
    assert_eq!(Pdu::parse(&oam), Err(PduError::Subtype { found: 3 }));
    assert_eq!(
        Lacpdu::parse(&pdu[..50]).unwrap_err().to_string(),
        "PDU of 50 octets, at least 110 are needed"
    );
}

#[test]
fn a_marker_is_answered_with_the_same_octets_but_the_type() {
    let mut pdu = octets("0201 0110 0003 020000000001 deadbeef 0000 0000", PDU_LEN);
    let marker =
        Marker { response: false, requester_port: 3, requester_system: SYSTEM, transaction: 0xdead_beef };
    assert_eq!(Pdu::parse(&pdu), Ok(Pdu::Marker(marker)));
    assert_eq!(marker.emit()[..], pdu);
    pdu[2] = 2;
    let answer = marker.answer().unwrap();
    assert_eq!(answer.emit()[..], pdu);
    assert_eq!(Marker::parse(&pdu), Ok(answer));
    assert_eq!(answer.answer(), None);
}

#[test]
fn malformed_markers_are_refused() {
    let pdu = octets("0201 0110 0003 020000000001 deadbeef 0000 0000", PDU_LEN);
    for len in 1..PDU_LEN {
        assert_eq!(Pdu::parse(&pdu[..len]), Err(PduError::Short { found: len }));
    }
    let with = |offset: usize, octet: u8| {
        let mut bad = pdu.clone();
        bad[offset] = octet;
        Marker::parse(&bad)
    };
    assert_eq!(with(0, 1), Err(PduError::Subtype { found: 1 }));
    assert_eq!(with(2, 3), Err(PduError::TlvType { offset: 2, expected: 1, found: 3 }));
    assert_eq!(with(3, 15), Err(PduError::TlvLength { offset: 2, tlv: 1, found: 15 }));
    assert!(with(1, 9).is_ok() && with(17, 9).is_ok() && with(109, 9).is_ok());
}

#[test]
fn state_flags() {
    let state = State::ACTIVITY.with(State::AGGREGATION).with(State::DEFAULTED);
    assert_eq!((state, state.to_string().as_str()), (State(0x45), "activity aggregation defaulted"));
    assert!(state.contains(State::ACTIVITY.with(State::DEFAULTED)));
    assert!(!state.contains(State::ACTIVITY.with(State::EXPIRED)));
    assert_eq!(state.without(State::DEFAULTED.with(State::EXPIRED)), State(0x05));
    let all =
        [State::TIMEOUT, State::SYNCHRONIZATION, State::COLLECTING, State::DISTRIBUTING, State::EXPIRED];
    assert_eq!(all.map(|flag| flag.0), [0x02, 0x08, 0x10, 0x20, 0x80]);
}

prop_compose! {
    fn any_port()(
        (system_priority, key, port_priority, port) in any::<(u16, u16, u16, u16)>(),
        system in any::<[u8; 6]>(),
        state in any::<u8>(),
    ) -> PortInfo {
        PortInfo { system_priority, system, key, port_priority, port, state: State(state) }
    }
}

proptest! {
    #[test]
    fn a_lacpdu_survives_the_wire(actor in any_port(), partner in any_port(), delay: u16, version: u8) {
        let lacpdu = Lacpdu { version, actor, partner, collector_max_delay: delay };
        prop_assert_eq!(Lacpdu::parse(&lacpdu.emit()), Ok(lacpdu));
    }

    #[test]
    fn a_marker_survives_the_wire(
        response: bool, requester_port: u16, requester_system: [u8; 6], transaction: u32
    ) {
        let marker = Marker { response, requester_port, requester_system, transaction };
        prop_assert_eq!(Marker::parse(&marker.emit()), Ok(marker));
    }

    /// Octets that are mostly a LACPDU: what is read, is read again from what is written.
    #[test]
    fn reading_is_a_fixpoint(
        changes in proptest::collection::vec((0..PDU_LEN, any::<u8>()), 0..8),
        len in 100..130usize,
    ) {
        let (mut pdu, _) = linux();
        for (offset, octet) in changes {
            pdu[offset] = octet;
        }
        pdu.resize(len, 0);
        if let Ok(read) = Pdu::parse(&pdu) {
            let written = match read {
                Pdu::Lacp(lacpdu) => lacpdu.emit(),
                Pdu::Marker(marker) => marker.emit(),
            };
            prop_assert_eq!(Pdu::parse(&written), Ok(read));
        }
    }

    #[test]
    fn any_octets_are_answered(pdu in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Pdu::parse(&pdu);
        let _ = Lacpdu::parse(&pdu);
        let _ = Marker::parse(&pdu);
    }
}
