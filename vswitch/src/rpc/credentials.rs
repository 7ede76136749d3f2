//! Who is at the other end of a unix socket.

use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd};

/// Most supplementary groups that are looked at (Linux: NGROUPS_MAX).
const MAX_GROUPS: usize = 65536;

/// A peer's user and groups at the time it connected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Process number in our namespace; 0 if it is not in it.
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
        // rustix's own function takes the process number for non-zero, which it is not across namespaces.
        let mut words = [0u32; 3];
        let [pid, uid, gid] = match socket_option(socket, libc::SO_PEERCRED, &mut words)? {
            Answer::Whole(3) => words,
            _ => return Err(io::ErrorKind::InvalidData.into()),
        };
        let mut gids = peer_groups(socket)?;
        gids.push(gid);
        Ok(Self { pid: pid.cast_signed(), uid, gids })
    }

    /// Whether it may control a daemon of user `own_uid` whose socket belongs to group `socket_gid`.
    pub fn may_control(&self, own_uid: u32, socket_gid: u32) -> bool {
        self.uid == 0 || self.uid == own_uid || self.gids.contains(&socket_gid)
    }
}

fn peer_groups(socket: BorrowedFd<'_>) -> io::Result<Vec<u32>> {
    let mut groups = vec![0; 64];
    loop {
        match socket_option(socket, libc::SO_PEERGROUPS, &mut groups)? {
            Answer::Whole(count) => {
                groups.truncate(count);
                return Ok(groups);
            }
            Answer::Needs(count) if groups.len() < count && count <= MAX_GROUPS => groups.resize(count, 0),
            Answer::Needs(_) => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
}

/// In words of 32 bits.
enum Answer {
    /// The words are filled so far.
    Whole(usize),
    /// So many are needed.
    Needs(usize),
}

/// Reads a socket-level option that consists of 32-bit numbers (`struct ucred`, `gid_t[]`).
fn socket_option(socket: BorrowedFd<'_>, option: libc::c_int, words: &mut [u32]) -> io::Result<Answer> {
    let mut len = libc::socklen_t::try_from(size_of_val(words)).unwrap_or(libc::socklen_t::MAX);
    // SAFETY: the pointers are to `len` octets of `words` and to `len` itself, both alive and exclusively ours during the
    // call; the kernel writes at most `len` octets, and any bits are a u32.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            words.as_mut_ptr().cast(),
            &raw mut len,
        )
    };
    let count = usize::try_from(len).unwrap_or(usize::MAX) / size_of::<u32>();
    if result == 0 {
        return Ok(Answer::Whole(count));
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ERANGE) { Ok(Answer::Needs(count)) } else { Err(error) }
}
