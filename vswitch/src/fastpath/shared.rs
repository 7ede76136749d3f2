//! Memory of BPF arrays, mapped here too: what the daemon writes, the program reads at once, without a system call.

use std::io;
use std::marker::PhantomData;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use forwarding::fdb::{Bucket, Memory};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use zerocopy::{FromBytes, IntoBytes};

/// A mapped array. Its elements lie one after the other, as their sizes are multiples of 8 octets.
#[derive(Debug)]
struct Mapping {
    start: NonNull<u8>,
    octets: usize,
}

// SAFETY: the memory is the kernel's and stays mapped until the value is dropped; every access to it is atomic or by
// volatile copy, and bound to no thread.
unsafe impl Send for Mapping {}
// SAFETY: see above.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(map: BorrowedFd<'_>, octets: usize) -> io::Result<Self> {
        let whole = octets.next_multiple_of(rustix::param::page_size());
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory that is in use.
        let start = unsafe {
            mmap(std::ptr::null_mut(), whole, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, map, 0)?
        };
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mapped at address 0"))?;
        Ok(Self { start, octets })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let whole = self.octets.next_multiple_of(rustix::param::page_size());
        // SAFETY: mapped by `new` with this length; all references into it borrow from the owner.
        let _unmapped = unsafe { munmap(self.start.as_ptr().cast(), whole) };
    }
}

/// An array of plain values. Reads and writes are copies, so that nothing refers to memory which others change.
#[derive(Debug)]
pub(super) struct Shared<T> {
    mapping: Mapping,
    len: usize,
    _values: PhantomData<T>,
}

impl<T: FromBytes + IntoBytes + Copy> Shared<T> {
    /// Maps an array of `len` values of the size of `T`.
    pub(super) fn map(map: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        const { assert!(size_of::<T>().is_multiple_of(8) && align_of::<T>() <= 64) };
        Ok(Self { mapping: Mapping::new(map, len * size_of::<T>())?, len, _values: PhantomData })
    }

    fn at(&self, number: usize) -> *mut T {
        assert!(number < self.len, "element {number} of {}", self.len);
        // SAFETY: within the mapping, by the check above and its size; pages are aligned for any T.
        unsafe { self.mapping.start.as_ptr().cast::<T>().add(number) }
    }

    /// The value now. If it is being written, a mixture.
    pub(super) fn read(&self, number: usize) -> T {
        // SAFETY: `at` gives a valid, aligned place; any octets are a value of T (FromBytes).
        unsafe { self.at(number).read_volatile() }
    }

    /// Writes a value; readers may see a part of it first.
    pub(super) fn write(&self, number: usize, value: T) {
        // SAFETY: as in `read`; nothing refers to the place.
        unsafe { self.at(number).write_volatile(value) }
    }

    /// A 32-bit number at an offset within a value, for which order matters.
    pub(super) fn atomic_u32(&self, number: usize, offset: usize) -> &AtomicU32 {
        assert!(offset + 4 <= size_of::<T>() && offset.is_multiple_of(4));
        // SAFETY: within the value at a valid place, aligned, and as long-lived as the mapping.
        unsafe { AtomicU32::from_ptr(self.at(number).cast::<u8>().add(offset).cast()) }
    }

    /// A 64-bit number at an offset within a value, for which order matters.
    pub(super) fn atomic_u64(&self, number: usize, offset: usize) -> &AtomicU64 {
        assert!(offset + 8 <= size_of::<T>() && offset.is_multiple_of(8));
        // SAFETY: as in `atomic_u32`.
        unsafe { AtomicU64::from_ptr(self.at(number).cast::<u8>().add(offset).cast()) }
    }
}

/// The buckets of an FDB in a BPF array.
#[derive(Debug)]
pub(super) struct FdbMemory {
    mapping: Mapping,
    len: usize,
}

impl FdbMemory {
    /// Maps an array of `len` buckets.
    pub(super) fn map(map: BorrowedFd<'_>, len: usize) -> io::Result<Self> {
        Ok(Self { mapping: Mapping::new(map, len * size_of::<Bucket>())?, len })
    }
}

impl Memory for FdbMemory {
    #[inline]
    fn buckets(&self) -> &[Bucket] {
        let start = self.mapping.start.as_ptr().cast::<Bucket>();
        // SAFETY: `len` buckets are mapped for as long as `self` lives; pages are aligned for them. A bucket is made of
        // atomics, of which any octets are a value and which others, the kernel too, may change at any time.
        unsafe { std::slice::from_raw_parts(start, self.len) }
    }
}

/// Ends what was written before, for readers that see what is written after.
pub(super) fn fence() {
    std::sync::atomic::fence(Ordering::SeqCst);
}
