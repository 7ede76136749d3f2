use super::*;
use forwarding::vlan::TPID_8021Q;

const ADDRESSES: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
const OTHER: MacAddr = MacAddr([6, 0, 0, 0, 0, 3]);

/// Puts a header and a frame into the next slot, as the kernel would.
fn receive(burst: &mut RxBurst, header: VirtioNetHeader, frame: &[u8], tag: Option<VlanTag>) {
    let buffer = burst.next_buffer();
    buffer[..10].copy_from_slice(&header.to_bytes());
    buffer[10..10 + frame.len()].copy_from_slice(frame);
    burst.push(10 + frame.len(), tag);
}

fn checksum_at(csum_start: u16) -> VirtioNetHeader {
    VirtioNetHeader { flags: 1, csum_start, csum_offset: 16, ..VirtioNetHeader::default() }
}

#[test]
fn a_tag_in_the_bytes_becomes_metadata_and_offsets_follow() {
    let mut burst = RxBurst::new().unwrap();
    let tagged = [&ADDRESSES[..], &[0x81, 0, 0x20, 5, 0x08, 0, 1, 2, 3]].concat();
    receive(&mut burst, checksum_at(38), &tagged, None);
    let frame = burst.frame(0).unwrap();
    assert_eq!(frame.bytes, [&ADDRESSES[..], &[0x08, 0, 1, 2, 3]].concat());
    assert_eq!(frame.tag, Some(VlanTag { tpid: TPID_8021Q, tci: 0x2005 }));
    assert_eq!(frame.header, checksum_at(34));
}

#[test]
fn a_metadata_tag_is_the_outermost() {
    let mut burst = RxBurst::new().unwrap();
    let tagged = [&ADDRESSES[..], &[0x81, 0, 0, 5, 0x08, 0, 1]].concat();
    let outer = Some(VlanTag { tpid: 0x88a8, tci: 0 });
    receive(&mut burst, checksum_at(38), &tagged, outer);
    let frame = burst.frame(0).unwrap();
    assert_eq!((frame.bytes, frame.tag, frame.header), (&tagged[..], outer, checksum_at(38)));
}

#[test]
fn the_longest_frame_fits_and_a_longer_one_is_told() {
    let mut burst = RxBurst::new().unwrap();
    burst.push(10 + MAX_FRAME, None);
    burst.push(10 + MAX_FRAME + 1, None);
    burst.push(9, None);
    receive(&mut burst, VirtioNetHeader::default(), &ADDRESSES, None);
    let results: Vec<_> = burst.frames().map(|frame| frame.map(|f| f.bytes.len())).collect();
    assert_eq!(results, [Ok(MAX_FRAME), Err(DropReason::Truncated), Err(DropReason::Runt), Ok(12)]);
}

/// What the kernel would read for each loaded message.
fn gathered(scratch: &mut TxBurst) -> Vec<Vec<u8>> {
    let messages = scratch.messages(0);
    messages
        .iter()
        .map(|message| {
            // SAFETY: `load` has just set the iovecs of these messages; the frames are still borrowed by the test.
            let parts =
                unsafe { std::slice::from_raw_parts(message.msg_hdr.msg_iov, message.msg_hdr.msg_iovlen) };
            let parts = parts.iter().map(|part| {
                // SAFETY: as above.
                unsafe { std::slice::from_raw_parts(part.iov_base.cast::<u8>(), part.iov_len) }
            });
            parts.collect::<Vec<_>>().concat()
        })
        .collect()
}

#[test]
fn frames_are_laid_out_with_header_addresses_and_tags() {
    let bytes = [&ADDRESSES[..], &[0x08, 0, 1, 2, 3]].concat();
    let tag = Some(VlanTag { tpid: 0x88a8, tci: 0x6064 });
    let inner = Some(VlanTag { tpid: TPID_8021Q, tci: 0xa007 });
    let header = VirtioNetHeader { flags: 1 | 2 | 4, hdr_len: 54, ..checksum_at(34) };
    let frames = [
        TxFrame {
            bytes: &bytes,
            tag: None,
            inner: None,
            source: None,
            destination: None,
            patch: None,
            header: VirtioNetHeader::default(),
        },
        TxFrame {
            bytes: &bytes[..13],
            tag: None,
            inner: None,
            source: None,
            destination: None,
            patch: None,
            header,
        },
        TxFrame { bytes: &bytes, tag, inner: None, source: None, destination: None, patch: None, header },
        TxFrame { bytes: &bytes, tag, inner, source: None, destination: None, patch: None, header },
        TxFrame {
            bytes: &bytes,
            tag,
            inner: None,
            source: Some(OTHER),
            destination: None,
            patch: None,
            header,
        },
        TxFrame {
            bytes: &bytes,
            tag: None,
            inner: None,
            source: None,
            destination: Some(OTHER),
            patch: None,
            header,
        },
    ];
    let (mut scratch, mut report) = (TxBurst::new(), SendReport::default());
    assert_eq!(scratch.load(frames.iter(), 1, &mut report), 5);
    let shifted = VirtioNetHeader { flags: 1, hdr_len: 58, ..checksum_at(38) };
    let (twice, whole) = (shifted.shifted(4), shifted.shifted(-4));
    let two_tags = [0x88, 0xa8, 0x60, 0x64, 0x81, 0x00, 0xa0, 0x07];
    assert_eq!(
        gathered(&mut scratch),
        [
            [&[0; 10], &bytes[..]].concat(),
            [&shifted.to_bytes()[..], &ADDRESSES, &two_tags[..4], &bytes[12..]].concat(),
            [&twice.to_bytes()[..], &ADDRESSES, &two_tags, &bytes[12..]].concat(),
            [&shifted.to_bytes()[..], &ADDRESSES[..6], &OTHER.0, &two_tags[..4], &bytes[12..]].concat(),
            [&whole.to_bytes()[..], &OTHER.0, &bytes[6..]].concat(),
        ]
    );
    scratch.count_sent(0, 5, &mut report);
    assert_eq!((report.sent, report.bytes), (5, 17 + 21 + 25 + 21 + 17));
    assert_eq!(report.dropped().collect::<Vec<_>>(), [(DropReason::Runt, 1)]);
}

#[test]
fn no_more_than_a_burst_is_taken() {
    let frame = TxFrame {
        bytes: &[0; 60],
        tag: None,
        inner: None,
        source: None,
        destination: None,
        patch: None,
        header: VirtioNetHeader::default(),
    };
    let (mut scratch, mut report) = (TxBurst::new(), SendReport::default());
    let mut frames = std::iter::repeat_n(frame, BURST + 3);
    assert_eq!(scratch.load(&mut frames, 1, &mut report), BURST);
    assert_eq!(scratch.load(&mut frames, 1, &mut report), 3);
    assert_eq!(scratch.messages(0).len(), 3);
}

/// The change is where it would be without tags, and nowhere else; the next frame has none.
#[test]
fn a_changed_head_is_sent_in_the_place_of_the_received_one() {
    let bytes: Vec<u8> = [&ADDRESSES[..], &[0x86, 0xdd]].concat().into_iter().chain(0..186).collect();
    let patch = Patch { offset: 80, mac: OTHER, checksum: Some((56, 0xabcd)) };
    let mut expected = bytes.clone();
    patch.apply(&mut expected);
    assert_ne!(expected, bytes);
    let tag = Some(VlanTag { tpid: 0x88a8, tci: 0x6064 });
    let inner = Some(VlanTag { tpid: TPID_8021Q, tci: 0xa007 });
    let header = VirtioNetHeader::default();
    let plain = TxFrame {
        bytes: &bytes,
        tag: None,
        inner: None,
        source: None,
        destination: None,
        patch: None,
        header,
    };
    let frames = [
        TxFrame { patch: Some(patch), ..plain },
        TxFrame { tag, inner, patch: Some(patch), ..plain },
        plain,
        TxFrame { bytes: &bytes[..86], source: Some(OTHER), patch: Some(patch), ..plain },
        TxFrame { bytes: &bytes[..85], patch: Some(patch), ..plain },
    ];
    let (mut scratch, mut report) = (TxBurst::new(), SendReport::default());
    assert_eq!(scratch.load(frames.iter(), 1, &mut report), 5);
    let two_tags = [0x88, 0xa8, 0x60, 0x64, 0x81, 0x00, 0xa0, 0x07];
    let mut cut = bytes[..85].to_vec();
    patch.apply(&mut cut);
    let sent = [
        expected.clone(),
        [&ADDRESSES[..], &two_tags, &expected[12..]].concat(),
        bytes.clone(),
        [&ADDRESSES[..6], &OTHER.0, &expected[12..86]].concat(),
        cut,
    ];
    assert_eq!(gathered(&mut scratch), sent.map(|frame| [&[0; 10], &frame[..]].concat()));
    scratch.count_sent(0, 5, &mut report);
    assert_eq!((report.sent, report.bytes), (5, 200 + 208 + 200 + 86 + 85));
}
