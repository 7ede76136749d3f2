//! A worker: receives bursts from the devices it owns, decides each frame with [`forwarding::pipeline`], and sends
//! bursts to any device. It reads one snapshot per burst and takes no lock.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use arc_swap::{ArcSwap, Cache};
use forwarding::drop_reason::DropReason;
use forwarding::fdb::Tick;
use forwarding::ids::{DeviceId, MAX_DEVICES};
use forwarding::pipeline::{self, Egress, Ingress, Output};
use forwarding::tables::Tables;
use forwarding::vlan::{TPID_8021AD, TPID_8021Q};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::datapath::{Datapath, Mark, Slot, Snapshot};
use crate::device::{BURST, Device, RxBurst, TxBurst, TxFrame};
use crate::punt;

mod tally;

use tally::Tally;

const WAKE: Token = Token(usize::MAX);
const MISSES: Token = Token(usize::MAX - 1);

/// A running worker thread; dropping it stops and joins the thread.
#[derive(Debug)]
pub struct WorkerThread {
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl WorkerThread {
    /// Starts worker number `index`, which takes its place in `datapath`. `epoch` is the daemon's start, from which
    /// FDB ticks count; `notices` is where it tells the control thread of what it should know; `misses` where the kernel's
    /// executor leaves it frames.
    ///
    /// # Errors
    /// No epoll instance, eventfd or thread can be had.
    pub fn start(
        index: usize,
        datapath: &mut Datapath,
        epoch: Instant,
        notices: punt::Sender,
        misses: Option<Device>,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
        if let Some(queue) = &misses {
            let fd = queue.fd().as_raw_fd();
            poll.registry().register(&mut SourceFd(&fd), MISSES, Interest::READABLE)?;
        }
        let waker = Arc::new(Waker::new(poll.registry(), WAKE)?);
        let seen = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            index,
            epoch,
            poll,
            snapshot: Cache::new(datapath.cell()),
            seen: Arc::clone(&seen),
            stop: Arc::clone(&stop),
            owned: Vec::new(),
            ready: Vec::new(),
            is_ready: vec![false; MAX_DEVICES],
            misses,
            misses_wait: false,
            desk: Desk {
                rx: RxBurst::new()?,
                egress: Egress::default(),
                outgoing: Outgoing::default(),
                notices,
            },
        };
        let thread = thread::Builder::new().name(format!("worker{index}")).spawn(move || worker.run())?;
        datapath.add_worker(Arc::clone(&waker), seen);
        Ok(Self { stop, waker, thread: Some(thread) })
    }
}

impl Drop for WorkerThread {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        let woken = self.waker.wake();
        if let (Ok(()), Some(thread)) = (woken, self.thread.take()) {
            let _ = thread.join();
        }
    }
}

struct Worker {
    index: usize,
    epoch: Instant,
    poll: Poll,
    snapshot: Cache<Arc<ArcSwap<Snapshot>>, Arc<Snapshot>>,
    seen: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    /// Devices registered with `poll`, indexed by their number.
    owned: Vec<Option<Arc<Slot>>>,
    /// Devices that may have more frames. Readiness is edge-triggered: a device stays here until a burst came back
    /// less than full.
    ready: Vec<DeviceId>,
    /// Indexed by device number: whether it is in `ready`.
    is_ready: Vec<bool>,
    /// Where the kernel's executor puts the frames of our devices that it leaves to us.
    misses: Option<Device>,
    /// There may be more in it.
    misses_wait: bool,
    desk: Desk,
}

impl Worker {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        while !self.stop.load(Ordering::Acquire) {
            let waiting = self.misses_wait || !self.ready.is_empty();
            let timeout = waiting.then_some(std::time::Duration::ZERO);
            match self.poll.poll(&mut events, timeout) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, worker = self.index, "epoll failed; worker stops");
                    return;
                }
            }
            self.take_snapshot();
            for event in &events {
                match event.token() {
                    WAKE => {}
                    MISSES => self.misses_wait = true,
                    Token(number) if std::mem::replace(&mut self.is_ready[number], true) => {}
                    Token(number) => self.ready.push(DeviceId(number as u16)),
                }
            }
            let tick = Tick::at(self.epoch.elapsed());
            if self.misses_wait {
                self.misses_wait = self.serve_misses(tick);
            }
            let mut i = 0;
            while i < self.ready.len() {
                let id = self.ready[i];
                if self.serve(id, tick) {
                    i += 1;
                } else {
                    self.is_ready[usize::from(id.0)] = false;
                    self.ready.swap_remove(i);
                }
            }
        }
    }

    /// Looks for a newer snapshot, registers and forgets devices accordingly, and reports its generation.
    fn take_snapshot(&mut self) {
        let snapshot = Arc::clone(self.snapshot.load());
        let generation = snapshot.tables.generation;
        if self.seen.load(Ordering::Relaxed) == generation {
            return;
        }
        self.owned.resize(self.owned.len().max(snapshot.slots.len()), None);
        for (number, owned) in self.owned.iter_mut().enumerate() {
            let wanted =
                snapshot.slots.get(number).and_then(Option::as_ref).filter(|s| s.worker == self.index);
            let same = match (&*owned, wanted) {
                (Some(old), Some(new)) => Arc::ptr_eq(old, new),
                (None, None) => true,
                _ => false,
            };
            if same {
                continue;
            }
            if let Some(old) = owned.take() {
                // Fails only if the kernel has dropped the registration already.
                let _ = self.poll.registry().deregister(&mut SourceFd(&old.device.fd().as_raw_fd()));
            }
            if let Some(new) = wanted {
                let fd = new.device.fd().as_raw_fd();
                let token = Token(number);
                match self.poll.registry().register(&mut SourceFd(&fd), token, Interest::READABLE) {
                    Ok(()) => *owned = Some(Arc::clone(new)),
                    Err(error) => {
                        tracing::error!(%error, device = new.device.name(), "cannot watch a device");
                    }
                }
            }
        }
        self.seen.store(generation, Ordering::Release);
    }

    /// Receives one burst from a device and forwards it. Returns whether there may be more.
    fn serve(&mut self, id: DeviceId, tick: Tick) -> bool {
        let Some(slot) = self.owned.get(usize::from(id.0)).and_then(Option::as_ref) else { return false };
        let received = match slot.device.recv_burst(&mut self.desk.rx) {
            Ok(received) => received,
            // The device went down or away, of which the control thread hears by netlink. Frames may wait behind the
            // error, which is reported once; a deleted TAP reports EBADFD for ever.
            Err(error) => return error.raw_os_error() == Some(libc::ENETDOWN),
        };
        if received == 0 {
            return false;
        }
        // Loaded after the frames were received: a frame that another worker's newer decision caused (an answer that
        // arrives on a member that has just become active) is never judged by older tables.
        let snapshot = self.snapshot.load();
        if snapshot.slot(id).is_none_or(|current| !Arc::ptr_eq(current, slot)) {
            // The number means another device by now.
            slot.counters.add_drops(DropReason::NoPort, received as u64);
            return false;
        }
        let mut tally = Tally::of(slot, &snapshot.tables, id);
        for index in 0..received {
            self.desk.forward(&snapshot.tables, tick, index, &mut tally);
        }
        tally.end();
        self.desk.flush(snapshot);
        received == BURST
    }

    /// Receives one burst of what the kernel's executor has left to us and forwards it. Returns whether there may be
    /// more.
    fn serve_misses(&mut self, tick: Tick) -> bool {
        let Some(queue) = &self.misses else { return false };
        let Ok(received) = queue.recv_burst(&mut self.desk.rx) else { return false };
        let snapshot = self.snapshot.load();
        let mut tally: Option<Tally<'_>> = None;
        for index in 0..received {
            // A customer's tag marks what is forwarded already. What is not marked comes from the host's stack, which may
            // say something on any interface.
            if let Some(mark) = self.desk.rx.take_mark(index, TPID_8021Q).map(Mark) {
                self.desk.look_at(snapshot, index, mark);
                continue;
            }
            let Some(mark) = self.desk.rx.take_mark(index, TPID_8021AD).map(Mark) else { continue };
            let Some(slot) = snapshot.marked(mark) else { continue };
            if tally.as_ref().is_none_or(|tally| tally.device != mark.device()) {
                tally
                    .replace(Tally::of(slot, &snapshot.tables, mark.device()))
                    .into_iter()
                    .for_each(Tally::end);
            }
            if let Some(tally) = &mut tally {
                self.desk.forward(&snapshot.tables, tick, index, tally);
            }
        }
        tally.into_iter().for_each(Tally::end);
        self.desk.flush(snapshot);
        received == BURST
    }
}

/// What a worker forwards a burst with.
struct Desk {
    rx: RxBurst,
    egress: Egress,
    outgoing: Outgoing,
    notices: punt::Sender,
}

impl Desk {
    /// Decides about the frame in a slot and queues its copies.
    #[inline]
    fn forward(&mut self, tables: &Tables, tick: Tick, index: usize, tally: &mut Tally<'_>) {
        tally.receive();
        let frame = match self.rx.frame(index) {
            Ok(frame) => frame,
            Err(reason) => return tally.drop(reason),
        };
        let ingress =
            Ingress { device: tally.device, bytes: frame.bytes, tag: frame.tag, header: frame.header };
        let verdict = pipeline::forward(tables, tick, &ingress, &mut self.egress);
        self.notices.notify(&self.egress, frame.bytes);
        tally.count(self.egress.vlan, frame.bytes.len());
        match verdict {
            Ok(()) => {
                for output in &self.egress.outputs {
                    self.outgoing.push(output, index as u8);
                }
                for reason in &self.egress.dropped {
                    tally.drop(*reason);
                }
            }
            Err(reason) => tally.drop(reason),
        }
    }

    /// Tells the control thread of a frame that the kernel's executor forwards, if it wants to know.
    fn look_at(&mut self, snapshot: &Snapshot, index: usize, mark: Mark) {
        let Ok(frame) = self.rx.frame(index) else { return };
        if snapshot.marked(mark).is_none() {
            return;
        }
        let (device, bytes, tag) = (mark.device(), frame.bytes, frame.tag);
        let ingress = Ingress { device, bytes, tag, header: frame.header };
        if let Some(punt) = pipeline::snooped(&snapshot.tables, &ingress) {
            self.notices.show(punt, bytes);
        }
    }

    /// Sends what is queued, and what the control thread is to know.
    fn flush(&mut self, snapshot: &Snapshot) {
        self.outgoing.flush(snapshot, &self.rx);
        self.notices.flush();
    }
}

/// A frame to be sent: its slot in the receive burst, and what is different when it leaves.
struct Queued {
    index: u8,
    output: Output,
}

/// Frames of one receive burst, sorted by the device they leave by.
#[derive(Default)]
struct Outgoing {
    /// Indexed by device number.
    queues: Vec<Vec<Queued>>,
    /// Devices whose queue is not empty.
    touched: Vec<DeviceId>,
    scratch: TxBurst,
}

impl Outgoing {
    #[inline]
    fn push(&mut self, output: &Output, index: u8) {
        let number = usize::from(output.device.0);
        if number >= self.queues.len() {
            self.queues.resize_with(number + 1, Vec::new);
        }
        let queue = &mut self.queues[number];
        if queue.is_empty() {
            self.touched.push(output.device);
        }
        queue.push(Queued { index, output: *output });
    }

    fn flush(&mut self, snapshot: &Snapshot, rx: &RxBurst) {
        while let Some(device) = self.touched.pop() {
            let queue = &mut self.queues[usize::from(device.0)];
            if let Some(slot) = snapshot.slot(device) {
                let frames = queue.iter().filter_map(|queued| {
                    let frame = rx.frame(usize::from(queued.index)).ok()?;
                    let Output { tag, inner, source, destination, patch, .. } = queued.output;
                    Some(TxFrame { tag, inner, source, destination, patch, ..frame.into() })
                });
                slot.send(frames, &mut self.scratch);
            }
            queue.clear();
        }
    }
}
