//! Detaching a pinned link at once. Removing the pin alone does it too, but only some milliseconds later (the kernel drops
//! what a removed file refers to after a grace period), in which the program and a worker would both take each frame.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

// linux/bpf.h
const BPF_OBJ_GET: libc::c_long = 7;
const BPF_LINK_DETACH: libc::c_long = 34;

/// The fields of `union bpf_attr` for `BPF_OBJ_GET`.
#[repr(C)]
struct ObjectGet {
    path: u64,
    fd: u32,
    flags: u32,
}

/// The fields of `union bpf_attr` for `BPF_LINK_DETACH`.
#[repr(C)]
struct LinkDetach {
    fd: u32,
}

/// Detaches the link that is pinned at `path`, then removes the pin. No such pin is no error, nor a device that is gone.
///
/// # Errors
/// The pin can't be removed.
pub(super) fn unpin(path: &Path) -> io::Result<()> {
    if let Err(error) = detach(path)
        && error.kind() != io::ErrorKind::NotFound
    {
        // The device may have vanished, or links of this kind can't be detached; they go with the pin.
        tracing::debug!(pin = %path.display(), %error, "not detached at once");
    }
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn detach(path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    let link = bpf(BPF_OBJ_GET, &ObjectGet { path: path.as_ptr() as u64, fd: 0, flags: 0 })?;
    // SAFETY: the call above returned a new descriptor that nobody else owns.
    let link = unsafe { OwnedFd::from_raw_fd(link) };
    bpf(BPF_LINK_DETACH, &LinkDetach { fd: link.as_raw_fd() as u32 }).map(drop)
}

/// The system call. `T` must be what the command reads, and what it points at must be alive.
fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<RawFd> {
    // SAFETY: `attributes` outlives the call, the length is its own, and these commands write nothing to it.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attributes), size_of::<T>()) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result as RawFd) }
}
