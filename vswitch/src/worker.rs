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
use forwarding::vlan::VlanTag;
use forwarding::vlan_counters::VlanCounters;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

use crate::datapath::{Datapath, Slot, Snapshot};
use crate::device::{BURST, RxBurst, TxBurst, TxFrame};
use crate::punt;

const WAKE: Token = Token(usize::MAX);

/// A running worker thread; dropping it stops and joins the thread.
#[derive(Debug)]
pub struct WorkerThread {
    stop: Arc<AtomicBool>,
    waker: Arc<Waker>,
    thread: Option<JoinHandle<()>>,
}

impl WorkerThread {
    /// Starts worker number `index`, which takes its place in `datapath`. `epoch` is the daemon's start, from which
    /// FDB ticks count; `notices` is where it tells the control thread of what it should know.
    ///
    /// # Errors
    /// No epoll instance, eventfd or thread can be had.
    pub fn start(
        index: usize,
        datapath: &mut Datapath,
        epoch: Instant,
        notices: punt::Sender,
    ) -> io::Result<Self> {
        let poll = Poll::new()?;
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
            rx: RxBurst::new()?,
            egress: Egress::default(),
            outgoing: Outgoing::default(),
            notices,
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
    rx: RxBurst,
    egress: Egress,
    outgoing: Outgoing,
    notices: punt::Sender,
}

impl Worker {
    fn run(mut self) {
        let mut events = Events::with_capacity(256);
        while !self.stop.load(Ordering::Acquire) {
            let timeout = (!self.ready.is_empty()).then_some(std::time::Duration::ZERO);
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
                if event.token() != WAKE && !std::mem::replace(&mut self.is_ready[event.token().0], true) {
                    self.ready.push(DeviceId(event.token().0 as u16));
                }
            }
            let tick = Tick::at(self.epoch.elapsed());
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
        let received = match slot.device.recv_burst(&mut self.rx) {
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
        let mut bytes = 0;
        let mut vlans = VlanRun::of(&snapshot.tables, id);
        let mut drops = [0u32; DropReason::COUNT];
        for index in 0..received {
            let frame = match self.rx.frame(index) {
                Ok(frame) => frame,
                Err(reason) => {
                    drops[reason as usize] += 1;
                    continue;
                }
            };
            bytes += frame.bytes.len() as u64;
            let ingress = Ingress { device: id, bytes: frame.bytes, tag: frame.tag, header: frame.header };
            let verdict = pipeline::forward(&snapshot.tables, tick, &ingress, &mut self.egress);
            self.notices.notify(&self.egress, frame.bytes);
            vlans.count(self.egress.vlan, frame.bytes.len());
            match verdict {
                Ok(()) => {
                    for output in &self.egress.outputs {
                        self.outgoing.push(output, index as u8);
                    }
                    for reason in &self.egress.dropped {
                        drops[*reason as usize] += 1;
                    }
                }
                Err(reason) => drops[reason as usize] += 1,
            }
        }
        vlans.end();
        slot.counters.add_rx(received as u64, bytes);
        for (reason, count) in DropReason::ALL.iter().zip(drops) {
            if count > 0 {
                slot.counters.add_drops(*reason, u64::from(count));
            }
        }
        self.outgoing.flush(snapshot, &self.rx);
        self.notices.flush();
        received == BURST
    }
}

/// Counts frames by VLAN: consecutive ones of one VLAN together.
struct VlanRun<'a> {
    counters: Option<&'a VlanCounters>,
    vlan: u16,
    frames: u64,
    bytes: u64,
}

impl<'a> VlanRun<'a> {
    /// For frames of one device.
    fn of(tables: &'a Tables, device: DeviceId) -> Self {
        let port = tables.device(device).and_then(|device| tables.port(device.port));
        let bridge = port.and_then(|port| tables.bridge(port.bridge));
        let counters = bridge.and_then(|bridge| bridge.vlan_counters.as_deref());
        Self { counters, vlan: 0, frames: 0, bytes: 0 }
    }

    #[inline]
    fn count(&mut self, vlan: Option<u16>, bytes: usize) {
        let (Some(_), Some(vlan)) = (self.counters, vlan) else { return };
        if vlan != self.vlan {
            self.end();
            self.vlan = vlan;
        }
        self.frames += 1;
        self.bytes += bytes as u64;
    }

    fn end(&mut self) {
        if let Some(counters) = self.counters.filter(|_| self.frames > 0) {
            counters.add(self.vlan, self.frames, self.bytes);
        }
        (self.frames, self.bytes) = (0, 0);
    }
}

/// A frame to be sent: its slot in the receive burst and the tags it gets.
struct Queued {
    index: u8,
    tag: Option<VlanTag>,
    inner: Option<VlanTag>,
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
        queue.push(Queued { index, tag: output.tag, inner: output.inner });
    }

    fn flush(&mut self, snapshot: &Snapshot, rx: &RxBurst) {
        while let Some(device) = self.touched.pop() {
            let queue = &mut self.queues[usize::from(device.0)];
            if let Some(slot) = snapshot.slot(device) {
                let frames = queue.iter().filter_map(|queued| {
                    let frame = rx.frame(usize::from(queued.index)).ok()?;
                    Some(TxFrame { tag: queued.tag, inner: queued.inner, ..frame.into() })
                });
                slot.send(frames, &mut self.scratch);
            }
            queue.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use forwarding::fdb::{Fdb, FdbConfig};
    use forwarding::ids::{BridgeId, PortId};
    use forwarding::tables::{
        Admission, BridgeEntry, DeviceEntry, FloodLists, Learning, PortEntry, TransmitPlan,
    };
    use forwarding::vlan::VlanPolicy;
    use forwarding::vlan_counters::VlanCount;

    fn tables(vlan_counters: Option<Arc<VlanCounters>>) -> Tables {
        let vlan = VlanPolicy::Trunk(None);
        let flood = FloodLists::compile([(PortId(0), &vlan)].into_iter());
        let fdb = Fdb::new(FdbConfig { capacity: 4, ageing: 300, seed: 1 });
        let (transmit, learning) = (TransmitPlan::One(DeviceId(0)), Learning::default());
        Tables {
            generation: 1,
            devices: vec![Some(DeviceEntry { port: PortId(0), mtu: 1500, admission: Admission::All })],
            ports: vec![Some(PortEntry {
                bridge: BridgeId(0),
                vlan,
                transmit,
                snoop: false,
                learning,
                storm: None,
            })],
            bridges: vec![Some(BridgeEntry { fdb: Arc::new(fdb), flood: Arc::new(flood), vlan_counters })],
        }
    }

    #[test]
    fn runs_of_one_vlan_are_counted_together_and_completely() {
        let counters = Arc::new(VlanCounters::new());
        let tables = tables(Some(Arc::clone(&counters)));
        let mut run = VlanRun::of(&tables, DeviceId(0));
        for (vlan, bytes) in [
            (None, 60),
            (Some(0), 60),
            (Some(5), 100),
            (Some(5), 200),
            (None, 60),
            (Some(5), 1),
            (Some(0), 9),
        ] {
            run.count(vlan, bytes);
        }
        run.end();
        run.end();
        let count = |vlan, frames, bytes| VlanCount { vlan, frames, bytes };
        assert_eq!(counters.read(), [count(0, 2, 69), count(5, 3, 301)]);
    }

    #[test]
    fn without_counters_nothing_is_counted() {
        let tables = tables(None);
        for device in [0, 7] {
            let mut run = VlanRun::of(&tables, DeviceId(device));
            run.count(Some(1), 60);
            assert_eq!(run.frames, 0);
            run.end();
        }
    }
}
