//! Where the program is attached: at the ingress of a port's device, and at the egress of a TAP of our own. A tcx link where
//! the kernel has them, pinned so that it outlives us; a filter at the clsact qdisc elsewhere, which outlives us anyway.

use std::mem::ManuallyDrop;

use anyhow::Context as _;
use aya::programs::links::{FdLink, PinnedLink};
use aya::programs::tc::{
    NlOptions, SchedClassifierLink, TcAttachOptions, TcError, TcHandle, qdisc_add_clsact,
};
use aya::programs::{Link as _, LinkOrder, TcAttachType};

use super::kernel::Kernel;
use super::unpin::unpin;

/// Priority and handle of our filter at a clsact qdisc: the first of all, so that nothing is done to frames before.
const PRIORITY: u16 = 1;
const HANDLE: TcHandle = TcHandle::new(0, 0x7673);

/// An attached program. It stays attached when this is dropped.
#[derive(Debug)]
pub struct Hook {
    ifindex: u32,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Tcx(FdLink),
    Clsact(ManuallyDrop<SchedClassifierLink>),
}

impl Hook {
    /// What it is, for people.
    pub fn name(&self) -> &'static str {
        match self.kind {
            Kind::Tcx(_) => "tcx",
            Kind::Clsact(_) => "clsact",
        }
    }

    /// Attaches the program to a device, or puts it in the place of an earlier daemon's without missing a frame. `internal`:
    /// the device is a TAP of our own.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn attach(kernel: &mut Kernel, name: &str, ifindex: u32, internal: bool) -> anyhow::Result<Self> {
        let side = if internal { TcAttachType::Egress } else { TcAttachType::Ingress };
        let kind = if kernel.has_tcx() {
            Kind::Tcx(attach_tcx(kernel, name, ifindex, side)?)
        } else {
            Kind::Clsact(ManuallyDrop::new(attach_clsact(kernel, name, side)?))
        };
        Ok(Self { ifindex, kind })
    }

    /// Detaches the program. A device that has vanished is no error.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn detach(self, kernel: &Kernel) -> anyhow::Result<()> {
        match self.kind {
            Kind::Tcx(link) => {
                remove_pin(kernel, self.ifindex)?;
                drop(link);
                Ok(())
            }
            Kind::Clsact(link) => {
                let detached = ManuallyDrop::into_inner(link).detach();
                if is_there(self.ifindex) { Ok(detached?) } else { Ok(()) }
            }
        }
    }
}

fn is_there(ifindex: u32) -> bool {
    crate::netlink::link::get(ifindex).is_ok()
}

fn remove_pin(kernel: &Kernel, ifindex: u32) -> anyhow::Result<()> {
    let path = kernel.pins().link(ifindex);
    unpin(&path).with_context(|| format!("{} can't be removed", path.display()))
}

fn attach_tcx(kernel: &mut Kernel, name: &str, ifindex: u32, side: TcAttachType) -> anyhow::Result<FdLink> {
    let path = kernel.pins().link(ifindex);
    if let Ok(pinned) = PinnedLink::from_pin(&path) {
        let replaced = replace_tcx(kernel, pinned.into());
        match replaced {
            Ok(link) => return Ok(link),
            // The link of a device that has had this index before.
            Err(error) => tracing::debug!(device = name, %error, "pinned link is of no use"),
        }
        remove_pin(kernel, ifindex)?;
    }
    let program = kernel.program()?;
    let id = program
        .attach_with_options(name, side, TcAttachOptions::TcxOrder(LinkOrder::first()))
        .with_context(|| format!("the BPF program can't be attached to \"{name}\""))?;
    let link: FdLink = program.take_link(id)?.try_into()?;
    Ok(link.pin(&path)?.into())
}

fn replace_tcx(kernel: &mut Kernel, link: FdLink) -> anyhow::Result<FdLink> {
    let program = kernel.program()?;
    let id = program.attach_to_link(link.try_into()?)?;
    Ok(program.take_link(id)?.try_into()?)
}

fn attach_clsact(kernel: &mut Kernel, name: &str, side: TcAttachType) -> anyhow::Result<SchedClassifierLink> {
    match qdisc_add_clsact(name) {
        Ok(()) | Err(TcError::AlreadyAttached) => {}
        // Not told apart from others by the library; what follows fails if it is none of this kind.
        Err(error) => tracing::debug!(device = name, %error, "clsact qdisc"),
    }
    let program = kernel.program()?;
    let earlier = SchedClassifierLink::attached(name, side, PRIORITY, HANDLE, None)?;
    let id = match program.attach_to_link(earlier) {
        Ok(id) => id,
        Err(_none) => {
            let options = NlOptions { priority: PRIORITY, handle: HANDLE, classid: None };
            program
                .attach_with_options(name, side, TcAttachOptions::Netlink(options))
                .with_context(|| format!("the BPF program can't be attached to \"{name}\""))?
        }
    };
    Ok(program.take_link(id)?)
}

/// Detaches what an earlier daemon has left on a device that is no port any more.
///
/// # Errors
/// What the kernel says.
pub fn detach_stale(kernel: &Kernel, name: &str, ifindex: u32, internal: bool) -> anyhow::Result<()> {
    remove_pin(kernel, ifindex)?;
    if !kernel.has_tcx() {
        let side = if internal { TcAttachType::Egress } else { TcAttachType::Ingress };
        if let Ok(link) = SchedClassifierLink::attached(name, side, PRIORITY, HANDLE, None) {
            // There may be none.
            let _none = link.detach();
        }
    }
    Ok(())
}
