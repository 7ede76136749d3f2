//! What a mode that balances received frames too (balance-alb) makes besides its transmit plan.

use std::sync::Arc;

use forwarding::bucket_loads::{BUCKETS, BucketLoads};
use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;

/// Which member's address guests give to whom: [`forwarding::receive::Receive`] without the guests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceivePlan {
    /// Each member's own address, and the device by which frames to it are let in: the member's, or the active one's while the
    /// member can't receive. The upstream switch is to be told where each of them is.
    pub own: Vec<(MacAddr, DeviceId)>,
    /// [`forwarding::receive::bucket`] to the address that guests give as theirs; `None`: their own.
    pub table: Arc<[Option<MacAddr>; BUCKETS]>,
    /// Octets received by bucket, for as long as the bond has this mode.
    pub loads: Arc<BucketLoads>,
}
