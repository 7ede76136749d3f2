//! Who is at the other end of a unix socket.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Most supplementary groups that are looked at (Linux: NGROUPS_MAX).
const MAX_GROUPS: usize = 65536;

/// A peer's user and groups at the time it connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Process number in our namespace.
    pub pid: i32,
    /// Effective user.
    pub uid: u32,
    /// Effective group and supplementary groups.
    pub gids: Vec<u32>,
}

impl Peer {
    /// Asks the kernel (SO_PEERCRED, SO_PEERGROUPS; unix(7)).
    ///
    /// # Errors
    /// Not a connected unix socket.
    pub fn of(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let credentials = rustix::net::sockopt::socket_peercred(socket)?;
        let mut gids = peer_groups(socket)?;
        gids.push(credentials.gid.as_raw());
        Ok(Self { pid: credentials.pid.as_raw_nonzero().get(), uid: credentials.uid.as_raw(), gids })
    }

    /// Whether it may control a daemon of user `own_uid` whose socket belongs to group `socket_gid`.
    pub fn may_control(&self, own_uid: u32, socket_gid: u32) -> bool {
        self.uid == 0 || self.uid == own_uid || self.gids.contains(&socket_gid)
    }
}

fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0u32; 64];
    loop {
        let mut len =
            libc::socklen_t::try_from(size_of_val(groups.as_slice())).unwrap_or(libc::socklen_t::MAX);
        // SAFETY: the pointers are to `len` octets of `groups` and to `len` itself, both alive and exclusively ours
        // during the call; the kernel writes at most `len` octets, whole gid_t, for which any bits are valid.
        let result = unsafe {
            libc::getsockopt(
                socket.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_PEERGROUPS,
                groups.as_mut_ptr().cast(),
                &raw mut len,
            )
        };
        let count = usize::try_from(len).unwrap_or(usize::MAX) / size_of::<u32>();
        if result == 0 {
            groups.truncate(count);
            return Ok(groups);
        }
        let error = io::Error::last_os_error();
        // ERANGE: `len` is what it takes.
        if error.raw_os_error() != Some(libc::ERANGE) || count <= groups.len() || count > MAX_GROUPS {
            return Err(error);
        }
        groups.resize(count, 0);
    }
}
