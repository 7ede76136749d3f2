//! Writes what bonds hand over in a thread of its own: the control thread never waits for a file.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use super::{Kept, remove, save};

/// The thread. However the daemon ends, short of being killed, the file goes with it, for devices are given back then; but
/// not after [`Self::hand_over`].
#[derive(Debug)]
pub struct Keeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    path: PathBuf,
    handed_over: bool,
}

#[derive(Debug, Default)]
struct Shared {
    slot: Mutex<Slot>,
    news: Condvar,
}

#[derive(Debug, Default)]
struct Slot {
    /// The newest that is not yet written; older ones are of no use.
    next: Option<Kept>,
    end: bool,
}

impl Keeper {
    /// Starts the thread. `boot` is [`super::boot_id`]'s.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn start(path: PathBuf, boot: String) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let (theirs, file) = (Arc::clone(&shared), path.clone());
        let thread = thread::Builder::new().name("keeper".into()).spawn(move || {
            let mut last: Result<(), String> = Ok(());
            while let Some(kept) = theirs.take() {
                let result = save(&file, &boot, &kept).map_err(|error| error.to_string());
                if let Err(error) = result.as_ref()
                    && result != last
                {
                    tracing::warn!(file = %file.display(), error, "LACP's state can't be kept for a restart");
                }
                last = result;
            }
        })?;
        Ok(Self { shared, thread: Some(thread), path, handed_over: false })
    }

    /// To be written next.
    pub fn keep(&mut self, kept: Kept) {
        self.shared.lock().next = Some(kept);
        self.shared.news.notify_one();
    }

    /// The last thing to be written; it stays for the next daemon.
    pub fn hand_over(mut self, kept: Kept) {
        self.handed_over = true;
        self.keep(kept);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for something to be written; `None` when all is done.
    fn take(&self) -> Option<Kept> {
        let mut slot = self.lock();
        loop {
            if let Some(next) = slot.next.take() {
                return Some(next);
            }
            if slot.end {
                return None;
            }
            slot = self.news.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        {
            let mut slot = self.shared.lock();
            slot.end = true;
            if !self.handed_over {
                slot.next = None;
            }
        }
        self.shared.news.notify_one();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        if !self.handed_over
            && let Err(error) = remove(&self.path)
        {
            tracing::warn!(file = %self.path.display(), %error, "it can't be removed");
        }
    }
}
