//! What workers tell the control thread: frames it wants to see, and addresses that moved. Bounded: what doesn't fit is
//! dropped and counted, so a flood of ARP costs the control thread no memory and the workers no time.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use forwarding::ids::PortId;
use forwarding::pipeline::{Egress, Moved, Punt};
use mio::Waker;

/// Octets of a punted frame that are handed over: more than ARP or neighbour discovery fills.
pub const MAX_OCTETS: usize = 1514;

/// One thing to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A frame; see [`Egress::punt`].
    Frame {
        /// The port it came in by.
        port: PortId,
        /// Its VLAN.
        vlan: u16,
        /// From the destination address on, without the outer tag, at most [`MAX_OCTETS`].
        bytes: Bytes,
    },
    /// An address was learned at another port than before.
    Moved(Moved),
}

#[derive(Debug, Default)]
struct Shared {
    dropped: AtomicU64,
    /// Something was sent, the receiver was woken for it and has not begun to take it.
    signalled: AtomicBool,
    waker: OnceLock<Arc<Waker>>,
}

/// A worker's end.
#[derive(Debug)]
pub struct Sender {
    queue: SyncSender<Notice>,
    shared: Arc<Shared>,
    unflushed: bool,
}

/// The control thread's end.
#[derive(Debug)]
pub struct Receiver {
    queue: mpsc::Receiver<Notice>,
    shared: Arc<Shared>,
}

/// A channel in which `capacity` (at least 1) notices may wait.
pub fn channel(capacity: usize) -> (Sender, Receiver) {
    let (sender, receiver) = mpsc::sync_channel(capacity.max(1));
    let shared = Arc::new(Shared::default());
    let sender = Sender { queue: sender, shared: Arc::clone(&shared), unflushed: false };
    (sender, Receiver { queue: receiver, shared })
}

impl Clone for Sender {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), shared: Arc::clone(&self.shared), unflushed: false }
    }
}

impl Sender {
    /// Sends what the decision about a frame has for the control thread; most frames have nothing. Never waits.
    #[inline]
    pub fn notify(&mut self, egress: &Egress, bytes: &[u8]) {
        if let Some(punt) = egress.punt {
            self.show(punt, bytes);
        }
        if let Some(moved) = egress.moved {
            self.send(Notice::Moved(moved));
        }
    }

    /// Sends a frame that the control thread wants to see. Never waits.
    pub fn show(&mut self, punt: Punt, bytes: &[u8]) {
        let bytes = Bytes::copy_from_slice(&bytes[..bytes.len().min(MAX_OCTETS)]);
        self.send(Notice::Frame { port: punt.port, vlan: punt.vlan, bytes });
    }

    /// Sends one notice, or counts it as dropped if the channel is full. The receiver is woken by [`Self::flush`].
    pub fn send(&mut self, notice: Notice) {
        match self.queue.try_send(notice) {
            Ok(()) => self.unflushed = true,
            Err(_full_or_nobody_listens) => {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Wakes the receiver if anything was sent since the last call and it has not been woken already. To be called at
    /// the end of a burst.
    #[inline]
    pub fn flush(&mut self) {
        if std::mem::take(&mut self.unflushed) {
            self.wake();
        }
    }

    #[cold]
    fn wake(&self) {
        if !self.shared.signalled.swap(true, Ordering::AcqRel)
            && let Some(waker) = self.shared.waker.get()
            && let Err(error) = waker.wake()
        {
            tracing::error!(%error, "cannot wake the control thread");
        }
    }
}

impl Receiver {
    /// Names the waker of the thread that receives, and wakes it if something waits. The first one stays.
    ///
    /// # Errors
    /// The system's, when the waker can't wake.
    pub fn wake_with(&self, waker: Arc<Waker>) -> std::io::Result<()> {
        let waker = self.shared.waker.get_or_init(|| waker);
        if self.shared.signalled.load(Ordering::Acquire) { waker.wake() } else { Ok(()) }
    }

    /// To be called once after each wake, before [`Self::try_recv`]: what is sent from now on wakes again.
    pub fn begin(&self) {
        self.shared.signalled.store(false, Ordering::Release);
    }

    /// The next notice, if one waits.
    pub fn try_recv(&self) -> Option<Notice> {
        self.queue.try_recv().ok()
    }

    /// Notices that were dropped because the channel was full.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use forwarding::mac::MacAddr;
    use forwarding::pipeline::Punt;
    use mio::{Events, Poll, Token};
    use std::time::Duration;

    fn moved(n: u16) -> Moved {
        Moved { vlan: n, mac: MacAddr([2, 0, 0, 0, 0, 1]), from: PortId(1), to: PortId(2) }
    }

    fn woken(poll: &mut Poll, patience: u64) -> usize {
        let mut events = Events::with_capacity(8);
        poll.poll(&mut events, Some(Duration::from_millis(patience))).unwrap();
        events.iter().count()
    }

    #[test]
    fn what_a_frame_has_to_tell_arrives_in_order() {
        let (mut sender, receiver) = channel(8);
        sender.notify(&Egress::default(), &[0; 60]);
        assert_eq!(receiver.try_recv(), None);
        let punt = Some(Punt { port: PortId(3), vlan: 5 });
        sender.notify(&Egress { punt, moved: Some(moved(5)), ..Egress::default() }, &[7; 9000]);
        let bytes = Bytes::from(vec![7; MAX_OCTETS]);
        assert_eq!(receiver.try_recv(), Some(Notice::Frame { port: PortId(3), vlan: 5, bytes }));
        assert_eq!(receiver.try_recv(), Some(Notice::Moved(moved(5))));
        assert_eq!(receiver.try_recv(), None);
    }

    #[test]
    fn a_full_channel_drops_and_counts() {
        let (mut sender, receiver) = channel(4);
        let mut other = sender.clone();
        (0..3).for_each(|n| sender.send(Notice::Moved(moved(n))));
        (3..9).for_each(|n| other.send(Notice::Moved(moved(n))));
        assert_eq!(receiver.dropped(), 5);
        let got: Vec<_> = std::iter::from_fn(|| receiver.try_recv()).collect();
        assert_eq!(got, (0..4).map(|n| Notice::Moved(moved(n))).collect::<Vec<_>>());
        sender.send(Notice::Moved(moved(9)));
        assert!(receiver.try_recv().is_some());
        drop(receiver);
        sender.send(Notice::Moved(moved(9)));
        assert_eq!(sender.shared.dropped.load(Ordering::Relaxed), 6);
    }

    #[test]
    fn one_wake_until_the_receiver_begins() {
        let mut poll = Poll::new().unwrap();
        let (mut sender, receiver) = channel(64);
        receiver.wake_with(Arc::new(Waker::new(poll.registry(), Token(0)).unwrap())).unwrap();
        sender.flush();
        assert_eq!(woken(&mut poll, 0), 0, "nothing was sent");
        for _ in 0..3 {
            sender.send(Notice::Moved(moved(1)));
            assert_eq!(woken(&mut poll, 0), 0, "not flushed");
            sender.flush();
            assert_eq!(woken(&mut poll, 1000), 1);
            sender.send(Notice::Moved(moved(2)));
            sender.clone().flush();
            sender.flush();
            assert_eq!(woken(&mut poll, 0), 0, "woken already");
            receiver.begin();
            assert_eq!(std::iter::from_fn(|| receiver.try_recv()).count(), 2);
        }
    }

    #[test]
    fn what_was_sent_before_there_was_a_waker_is_not_forgotten() {
        let mut poll = Poll::new().unwrap();
        let (mut sender, receiver) = channel(64);
        sender.send(Notice::Moved(moved(1)));
        sender.flush();
        receiver.wake_with(Arc::new(Waker::new(poll.registry(), Token(0)).unwrap())).unwrap();
        assert_eq!(woken(&mut poll, 1000), 1);
    }
}
