//! Writes the state file in a thread of its own, so that a slow disk never delays a failover.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread::{self, JoinHandle};

use mio::Waker;

use crate::model::Model;
use crate::state_file;

/// The thread that saves. At most one save is under way; the control thread waits for its result before the next.
#[derive(Debug)]
pub struct Saver {
    jobs: Option<Sender<Model>>,
    results: Receiver<Result<(), String>>,
    thread: Option<JoinHandle<()>>,
    busy: bool,
}

impl Saver {
    /// Starts the thread. `waker` is woken when a result is there.
    ///
    /// # Errors
    /// No thread can be had.
    pub fn start(path: PathBuf, waker: Arc<Waker>) -> io::Result<Self> {
        let (jobs, inbox) = mpsc::channel::<Model>();
        let (outbox, results) = mpsc::channel();
        let thread = thread::Builder::new().name("saver".into()).spawn(move || {
            for model in inbox {
                let result = state_file::save(&path, &model).map_err(|error| error.to_string());
                if outbox.send(result).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        })?;
        Ok(Self { jobs: Some(jobs), results, thread: Some(thread), busy: false })
    }

    /// Whether a save is under way.
    pub fn is_busy(&self) -> bool {
        self.busy
    }

    /// Begins to save. Not to be called while [`Self::is_busy`].
    pub fn begin(&mut self, model: Model) {
        debug_assert!(!self.busy);
        self.busy = self.jobs.as_ref().is_some_and(|jobs| jobs.send(model).is_ok());
    }

    /// The result of the save under way, once it is there.
    pub fn poll_result(&mut self) -> Option<Result<(), String>> {
        let result = self.results.try_recv().ok()?;
        self.busy = false;
        Some(result)
    }

    /// Waits for the save under way.
    pub fn finish(&mut self) -> Option<Result<(), String>> {
        if !self.busy {
            return None;
        }
        self.busy = false;
        self.results.recv().ok()
    }
}

impl Drop for Saver {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
