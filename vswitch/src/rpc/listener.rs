//! The daemon's socket. One daemon owns a run directory: it holds a lock on the pid file there for as long as it lives,
//! so that what a dead one left can be taken over safely.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;

use super::connection::Connection;
use super::credentials::Peer;
use super::socket_path;

/// Name of the pid file in the run directory.
pub const PID_NAME: &str = "vswitchd.pid";

/// Why the daemon can't listen.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// Another daemon owns the directory.
    #[error(
        "vswitchd is already running{} in {}; stop it first, or use another directory (--rundir, VSWITCH_RUNDIR)",
        pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default(),
        rundir.display()
    )]
    AlreadyRunning {
        /// The directory.
        rundir: PathBuf,
        /// Its process, if it said so.
        pid: Option<u32>,
    },
    /// A step failed.
    #[error("can't {step} {}: {error}", path.display())]
    Failed {
        /// What was tried.
        step: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        error: io::Error,
    },
}

/// The bound socket and the lock. Dropping it removes the socket and the pid file.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    pid_path: PathBuf,
    /// Holds the lock.
    _pid_file: File,
}

/// A client that connected.
#[derive(Debug)]
pub struct Accepted {
    /// Its socket, non-blocking.
    pub stream: UnixStream,
    /// What to do with it; one that may not call is answered so.
    pub connection: Connection,
    /// Who it is.
    pub peer: Peer,
}

impl Listener {
    /// Takes the run directory (made if missing) and binds the socket in it with mode 0660.
    ///
    /// # Errors
    /// Another daemon has it, or a file there can't be made.
    pub fn bind(rundir: &Path) -> Result<Self, ListenError> {
        fs::create_dir_all(rundir).map_err(failed("create the run directory", rundir))?;
        let pid_path = rundir.join(PID_NAME);
        let pid_file = lock(rundir, &pid_path)?;
        let path = socket_path(rundir);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(failed("remove the old socket", &path)(error));
            }
            _ => (),
        }
        let socket = UnixListener::bind(&path).map_err(failed("bind the socket", &path))?;
        fs::set_permissions(&path, Permissions::from_mode(0o660))
            .map_err(failed("set the mode of the socket", &path))?;
        socket.set_nonblocking(true).map_err(failed("set up the socket", &path))?;
        Ok(Self { socket, path, pid_path, _pid_file: pid_file })
    }

    /// Where it listens.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next client, if one waits. Root, our own user and the socket's group (as it is now) may call.
    ///
    /// # Errors
    /// The kernel's, of accept(2).
    pub fn accept(&self) -> io::Result<Option<Accepted>> {
        let stream = match self.socket.accept() {
            Ok((stream, _)) => stream,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        };
        stream.set_nonblocking(true)?;
        // Nobody in particular, if the kernel won't tell: refused below.
        let peer = Peer::of(stream.as_fd()).unwrap_or(Peer { pid: 0, uid: u32::MAX, gids: Vec::new() });
        let own_uid = rustix::process::geteuid().as_raw();
        let own_gid = rustix::process::getegid().as_raw();
        let socket_gid = fs::metadata(&self.path).map_or(own_gid, |metadata| metadata.gid());
        let connection = if peer.may_control(own_uid, socket_gid) {
            Connection::new()
        } else {
            Connection::refused(format!(
                "user {} may not control vswitchd; root, user {own_uid} and group {socket_gid} may",
                peer.uid
            ))
        };
        Ok(Some(Accepted { stream, connection, peer }))
    }
}

fn failed<'a>(step: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> ListenError + 'a {
    move |error| ListenError::Failed { step, path: path.to_owned(), error }
}

/// Opens, locks and fills the pid file. A file that its last owner removed just now is tried again.
fn lock(rundir: &Path, path: &Path) -> Result<File, ListenError> {
    loop {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(failed("open the pid file", path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => (),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut text = String::new();
                let pid = file.read_to_string(&mut text).ok().and_then(|_| text.trim().parse().ok());
                return Err(ListenError::AlreadyRunning { rundir: rundir.to_owned(), pid });
            }
            Err(errno) => return Err(failed("lock the pid file", path)(errno.into())),
        }
        let ours = file.metadata().map_err(failed("look at the pid file", path))?;
        if fs::metadata(path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino())) {
            let write = |file: &mut File| {
                file.set_len(0)?;
                file.rewind()?;
                writeln!(file, "{}", std::process::id())
            };
            write(&mut file).map_err(failed("write the pid file", path))?;
            return Ok(file);
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // While the lock is held these are ours; if they are gone already, that is what was wanted.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(&self.pid_path);
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}
