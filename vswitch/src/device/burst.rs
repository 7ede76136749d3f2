//! Buffers for bursts: where received frames lie, and the kernel's view of frames to send. Both are allocated once and
//! used again.

use std::borrow::Borrow;
use std::io;

use forwarding::drop_reason::DropReason;
use forwarding::mac::MacAddr;
use forwarding::rewrite::{MAX_PATCHED, Patch};
use forwarding::vlan::VlanTag;
use forwarding::wire::virtio::VirtioNetHeader;
use forwarding::wire::vlan::{TAG_LEN, pop_outer};

use super::region::Region;

/// Most frames of one system call.
pub const BURST: usize = 64;

/// Longest frame that is received whole, in octets: a GSO super-frame (an IP packet of 65535 octets) with its Ethernet
/// header and a few tags.
pub const MAX_FRAME: usize = 65536 + 64;

/// Octets of the two addresses, after which a tag stands.
const ADDRESSES_LEN: usize = 12;

/// Where the virtio header starts in a slot, so that the frame behind it is aligned to a cache line.
const HEADER_AT: usize = 64 - VirtioNetHeader::LEN;
/// Distance of two slots: an odd number of cache lines, so that the heads of the slots don't all fall into the same
/// cache sets.
const STRIDE: usize = (64 + MAX_FRAME).next_multiple_of(128) + 64;

/// A received frame.
#[derive(Debug, Clone, Copy)]
pub struct RxFrame<'a> {
    /// From the destination address on, without the outermost tag; no checksum (FCS). At least 0 octets: the device
    /// does not judge.
    pub bytes: &'a [u8],
    /// The outermost VLAN tag. Further tags stay in `bytes`.
    pub tag: Option<VlanTag>,
    /// Partial checksum and segmentation, offsets counted in `bytes`.
    pub header: VirtioNetHeader,
}

/// A frame to send.
#[derive(Debug, Clone, Copy)]
pub struct TxFrame<'a> {
    /// From the destination address on, without the tags to insert.
    pub bytes: &'a [u8],
    /// Inserted behind the addresses.
    pub tag: Option<VlanTag>,
    /// Inserted behind `tag`.
    pub inner: Option<VlanTag>,
    /// Sent in the place of the Ethernet source in `bytes`.
    pub source: Option<MacAddr>,
    /// Sent in the place of the Ethernet destination in `bytes`.
    pub destination: Option<MacAddr>,
    /// Changes behind the addresses; offsets counted in `bytes`, of which the first [`MAX_PATCHED`] can be changed.
    pub patch: Option<Patch>,
    /// Partial checksum and segmentation, offsets counted in `bytes`.
    pub header: VirtioNetHeader,
}

impl<'a> TxFrame<'a> {
    /// A frame of our own, as it is.
    pub fn plain(bytes: &'a [u8]) -> Self {
        Self {
            bytes,
            tag: None,
            inner: None,
            source: None,
            destination: None,
            patch: None,
            header: VirtioNetHeader::default(),
        }
    }
}

impl<'a> From<RxFrame<'a>> for TxFrame<'a> {
    fn from(frame: RxFrame<'a>) -> Self {
        Self {
            bytes: frame.bytes,
            tag: frame.tag,
            inner: None,
            source: None,
            destination: None,
            patch: None,
            header: frame.header,
        }
    }
}

/// What one slot holds.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Offset of the frame in the region.
    start: usize,
    len: usize,
    tag: Option<VlanTag>,
    header: VirtioNetHeader,
    refused: Option<DropReason>,
}

/// Received frames: [`BURST`] slots, each as long as a whole super-frame. Belongs to one thread at a time; used for
/// every device in turn.
#[derive(Debug)]
pub struct RxBurst {
    region: Region,
    slots: Vec<Slot>,
    pub(super) scratch: super::packet::RxScratch,
}

impl RxBurst {
    /// Reserves the buffers (4 MiB of address space; memory is taken as slots are first used).
    ///
    /// # Errors
    /// When the kernel has no memory left.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            region: Region::new(BURST * STRIDE)?,
            slots: Vec::with_capacity(BURST),
            scratch: super::packet::RxScratch::new(),
        })
    }

    /// How many frames the last `recv_burst` brought.
    #[inline]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether the last `recv_burst` brought nothing.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The frame in slot `i`, or why it can't be used: [`DropReason::Truncated`], or [`DropReason::BadOffload`] when
    /// the kernel can't express it with a virtio header (for example SCTP segmentation).
    ///
    /// # Panics
    /// If `i` is not below [`Self::len`].
    #[inline]
    pub fn frame(&self, i: usize) -> Result<RxFrame<'_>, DropReason> {
        let slot = &self.slots[i];
        match slot.refused {
            Some(reason) => Err(reason),
            None => Ok(RxFrame {
                bytes: &self.region.bytes()[slot.start..slot.start + slot.len],
                tag: slot.tag,
                header: slot.header,
            }),
        }
    }

    /// Takes the outermost tag of the frame in slot `i` for a mark and returns its TCI; the tag within, if there is one, is
    /// the frame's outermost from then on. `None`, and nothing is changed, if it has no tag of this protocol.
    ///
    /// # Panics
    /// If `i` is not below [`Self::len`].
    #[inline]
    pub fn take_mark(&mut self, i: usize, tpid: u16) -> Option<u16> {
        let slot = &mut self.slots[i];
        let mark = slot.tag.filter(|tag| slot.refused.is_none() && tag.tpid == tpid)?;
        slot.tag = pop_outer(&mut self.region.bytes_mut()[slot.start..slot.start + slot.len]);
        if slot.tag.is_some() {
            slot.start += TAG_LEN;
            slot.len -= TAG_LEN;
            slot.header = slot.header.shifted(-(TAG_LEN as i16));
        }
        Some(mark.tci)
    }

    /// All frames of the last burst, in the order of their arrival.
    #[inline]
    pub fn frames(&self) -> impl ExactSizeIterator<Item = Result<RxFrame<'_>, DropReason>> {
        (0..self.len()).map(|i| self.frame(i))
    }

    /// Forgets the last burst.
    #[inline]
    pub(super) fn clear(&mut self) {
        self.slots.clear();
    }

    /// The buffers of the slots: the kernel writes virtio header and frame into each. One octet longer than what is
    /// accepted, so that a cut-off frame can be told where the kernel doesn't say.
    #[inline]
    pub(super) fn buffers(&mut self) -> (impl Iterator<Item = &mut [u8]>, &mut super::packet::RxScratch) {
        let buffers = self.region.bytes_mut().chunks_exact_mut(STRIDE);
        (buffers.map(|slot| &mut slot[HEADER_AT..64 + MAX_FRAME + 1]), &mut self.scratch)
    }

    /// The buffer of the next free slot.
    #[inline]
    pub(super) fn next_buffer(&mut self) -> &mut [u8] {
        let at = self.slots.len() * STRIDE;
        &mut self.region.bytes_mut()[at + HEADER_AT..at + 64 + MAX_FRAME + 1]
    }

    /// Records what the kernel wrote into the next slot: `len` octets of header and frame, and the tag it had taken
    /// out of the frame.
    #[inline]
    pub(super) fn push(&mut self, len: usize, metadata_tag: Option<VlanTag>) {
        let start = self.slots.len() * STRIDE + 64;
        let Some(len) = len.checked_sub(VirtioNetHeader::LEN) else {
            return self.push_refused(DropReason::Runt);
        };
        if len > MAX_FRAME {
            return self.push_refused(DropReason::Truncated);
        }
        let (head, frame) = self.region.bytes_mut()[start - VirtioNetHeader::LEN..start + len]
            .split_first_chunk_mut::<{ VirtioNetHeader::LEN }>()
            .expect("the range begins with a header");
        let header = VirtioNetHeader::from_bytes(*head);
        let slot = match metadata_tag {
            Some(_) => Slot { start, len, tag: metadata_tag, header, refused: None },
            None => match pop_outer(frame) {
                None => Slot { start, len, tag: None, header, refused: None },
                tag => Slot {
                    start: start + TAG_LEN,
                    len: len - TAG_LEN,
                    tag,
                    header: header.shifted(-(TAG_LEN as i16)),
                    refused: None,
                },
            },
        };
        self.slots.push(slot);
    }

    /// Records that the next slot's frame can't be used.
    pub(super) fn push_refused(&mut self, reason: DropReason) {
        self.slots.push(Slot {
            start: 0,
            len: 0,
            tag: None,
            header: VirtioNetHeader::default(),
            refused: Some(reason),
        });
    }
}

/// What `send_burst` did.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct SendReport {
    /// Frames the kernel took.
    pub sent: u32,
    /// Their octets, inserted tags included.
    pub bytes: u64,
    drops: [u32; DropReason::COUNT],
}

impl SendReport {
    /// The frames that were not sent: reason and how many, only reasons that occurred.
    pub fn dropped(&self) -> impl Iterator<Item = (DropReason, u32)> + '_ {
        DropReason::ALL.iter().map(|reason| (*reason, self.drops[*reason as usize])).filter(|(_, n)| *n > 0)
    }

    /// How many frames were not sent.
    pub fn dropped_total(&self) -> u32 {
        self.drops.iter().sum()
    }

    #[inline]
    pub(super) fn drop(&mut self, reason: DropReason, count: usize) {
        self.drops[reason as usize] += count as u32;
    }
}

/// What stands before a frame's third field: virtio header, addresses, two tags at most.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(32))]
struct Prefix([u8; 32]);

/// What stands before a frame's third field, and the changed head of the rest.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
struct Head([u8; 128]);

const _: () = assert!(size_of::<Prefix>() + MAX_PATCHED - ADDRESSES_LEN <= size_of::<Head>());

/// Room for the kernel's view of a burst to send. Belongs to one thread at a time; used for every device in turn.
pub struct TxBurst {
    messages: Vec<libc::mmsghdr>,
    parts: Vec<[libc::iovec; 2]>,
    prefixes: Vec<Prefix>,
    /// In the place of the prefixes of frames that are changed behind the addresses.
    heads: Vec<Head>,
    /// Octets of each frame as sent.
    lengths: Vec<u32>,
}

// SAFETY: the pointers inside are written and used within one `load` and the sending that follows in the same call;
// between calls they are never followed.
unsafe impl Send for TxBurst {}

impl Default for TxBurst {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for TxBurst {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TxBurst").field("frames", &self.lengths.len()).finish_non_exhaustive()
    }
}

impl TxBurst {
    /// Reserves room for [`BURST`] frames.
    pub fn new() -> Self {
        const NOTHING: libc::iovec = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
        Self {
            messages: vec![super::packet::empty_message(); BURST],
            parts: vec![[NOTHING; 2]; BURST],
            prefixes: vec![Prefix([0; 32]); BURST],
            heads: vec![Head([0; 128]); BURST],
            lengths: Vec::with_capacity(BURST),
        }
    }

    /// Takes up to [`BURST`] frames and lays them out as the kernel wants them: virtio header, addresses (its own or others),
    /// tags, rest. The rest is not copied, but for the head of one that is to be changed. `flags` are those header flags that the device may pass on. Frames too short to have an
    /// Ethernet header are counted as drops. Returns how many frames are loaded; fewer than taken if some were short.
    ///
    /// The frames' bytes must stay borrowed until they are sent; the callers, both named `send_burst`, see to that.
    #[inline]
    pub(super) fn load<'a, F>(
        &mut self,
        frames: impl Iterator<Item = F>,
        flags: u8,
        report: &mut SendReport,
    ) -> usize
    where
        F: Borrow<TxFrame<'a>>,
    {
        self.lengths.clear();
        let mut changed = 0_u64;
        for frame in frames.take(BURST) {
            let TxFrame { bytes, tag, inner, source, destination, patch, mut header } = *frame.borrow();
            if bytes.len() < ADDRESSES_LEN + 2 {
                report.drop(DropReason::Runt, 1);
                continue;
            }
            header.flags &= flags;
            let (addresses, mut rest) = bytes.split_at(ADDRESSES_LEN);
            let i = self.lengths.len();
            let prefix = &mut self.prefixes[i].0;
            let mut prefix_len = VirtioNetHeader::LEN + ADDRESSES_LEN;
            for tag in [tag, inner].into_iter().flatten() {
                header = header.shifted(TAG_LEN as i16);
                prefix[prefix_len..prefix_len + 2].copy_from_slice(&tag.tpid.to_be_bytes());
                prefix[prefix_len + 2..prefix_len + 4].copy_from_slice(&tag.tci.to_be_bytes());
                prefix_len += TAG_LEN;
            }
            prefix[..10].copy_from_slice(&header.to_bytes());
            prefix[10..22].copy_from_slice(addresses);
            if let Some(destination) = destination {
                prefix[10..16].copy_from_slice(&destination.0);
            }
            if let Some(source) = source {
                prefix[16..22].copy_from_slice(&source.0);
            }
            if let Some(patch) = patch {
                let head = &mut self.heads[i].0;
                head[..prefix_len].copy_from_slice(&prefix[..prefix_len]);
                let (start, behind) = rest.split_at(rest.len().min(MAX_PATCHED - ADDRESSES_LEN));
                let end = prefix_len + start.len();
                head[prefix_len..end].copy_from_slice(start);
                // As if the tags were not there.
                patch.apply(&mut head[prefix_len - ADDRESSES_LEN..end]);
                (prefix_len, rest) = (end, behind);
                changed |= 1 << i;
            }
            self.parts[i][0].iov_len = prefix_len;
            self.parts[i][1] = libc::iovec { iov_base: rest.as_ptr().cast_mut().cast(), iov_len: rest.len() };
            self.lengths.push((prefix_len - VirtioNetHeader::LEN + rest.len()) as u32);
        }
        let loaded = self.lengths.len();
        for (parts, prefix) in self.parts.iter_mut().zip(&mut self.prefixes).take(loaded) {
            parts[0].iov_base = prefix.0.as_mut_ptr().cast();
        }
        while changed != 0 {
            let i = changed.trailing_zeros() as usize;
            self.parts[i][0].iov_base = self.heads[i].0.as_mut_ptr().cast();
            changed &= changed - 1;
        }
        for (message, parts) in self.messages.iter_mut().zip(&mut self.parts).take(loaded) {
            message.msg_hdr.msg_iov = parts.as_mut_ptr();
            message.msg_hdr.msg_iovlen = parts.len();
        }
        loaded
    }

    /// The loaded frames from number `first` on.
    #[inline]
    pub(super) fn messages(&mut self, first: usize) -> &mut [libc::mmsghdr] {
        let loaded = self.lengths.len();
        &mut self.messages[first..loaded]
    }

    /// Counts `count` frames from number `first` on as sent.
    #[inline]
    pub(super) fn count_sent(&self, first: usize, count: usize, report: &mut SendReport) {
        report.sent += count as u32;
        report.bytes += self.lengths[first..first + count].iter().map(|len| u64::from(*len)).sum::<u64>();
    }
}

#[cfg(test)]
#[path = "burst/tests.rs"]
mod tests;
