//! Making a network device a port of the switch, and giving it back as it was found. Its MAC address, MTU and addresses
//! are never changed.

use crate::fastpath::layout::device_flags;
use crate::netlink::NetlinkError;
use crate::netlink::ethtool;
use crate::netlink::hoststack::{HostStack, Shield};
use crate::netlink::link;

/// A device that was attached: admin up, LRO off, its frames kept from the host's own stack.
#[derive(Debug)]
#[must_use = "detach gives the device back as it was found"]
pub struct Attached {
    name: String,
    ifindex: u32,
    was_admin_up: bool,
    had_large_receive: bool,
    set_promiscuous: bool,
    shield: Shield,
}

/// Shields the host's stack from the device, then sets it up, so that no frame slips through in between.
///
/// # Errors
/// No such device, or no CAP_NET_ADMIN; the device is then as it was.
pub fn attach(name: &str, ifindex: u32) -> Result<Attached, NetlinkError> {
    let was_admin_up = link::get(ifindex)?.admin_up;
    let shield = Shield::install(name, ifindex)?;
    if !was_admin_up && let Err(error) = link::set_admin_up(ifindex, true) {
        // The first error is the one to tell.
        let _second = shield.remove();
        return Err(error);
    }
    // A driver that won't turn it off is no reason to refuse the device: joined segments become counted drops.
    let had_large_receive =
        ethtool::large_receive(name).unwrap_or(false) && ethtool::set_large_receive(name, false).is_ok();
    let name = name.to_owned();
    Ok(Attached { name, ifindex, was_admin_up, had_large_receive, set_promiscuous: false, shield })
}

impl Attached {
    /// How well the host's own stack is kept out.
    pub fn host_stack(&self) -> &HostStack {
        self.shield.state()
    }

    /// Sets the interface flag IFF_PROMISC, unless it is set.
    ///
    /// # Errors
    /// No such device, or no CAP_NET_ADMIN.
    pub fn set_promiscuous(&mut self) -> Result<(), NetlinkError> {
        if !link::is_promiscuous(self.ifindex)? {
            link::set_promiscuous(self.ifindex, true)?;
            self.set_promiscuous = true;
        }
        Ok(())
    }

    /// What is to be undone, as [`device_flags`].
    pub fn changes(&self) -> u8 {
        let flag = |set: bool, flag: u8| if set { flag } else { 0 };
        flag(!self.was_admin_up, device_flags::WAS_DOWN)
            | flag(self.had_large_receive, device_flags::HAD_LRO)
            | flag(self.set_promiscuous, device_flags::SET_PROMISC)
    }

    /// Has to undo what an earlier daemon has changed, too.
    pub fn inherit(&mut self, changes: u8) {
        self.was_admin_up &= changes & device_flags::WAS_DOWN == 0;
        self.had_large_receive |= changes & device_flags::HAD_LRO != 0;
        self.set_promiscuous |= changes & device_flags::SET_PROMISC != 0;
    }

    /// Whether the device was admin up before.
    pub fn was_admin_up(&self) -> bool {
        self.was_admin_up
    }

    /// Gives the device back: admin down if it was, then without shield. A device that has vanished is no error.
    ///
    /// # Errors
    /// When the kernel refuses; everything that can be undone is undone even so.
    pub fn detach(self) -> Result<(), NetlinkError> {
        if self.had_large_receive {
            // Only speed is lost if it stays off.
            let _stays_off = ethtool::set_large_receive(&self.name, true);
        }
        if self.set_promiscuous {
            // Gone together with the device.
            let _vanished = link::set_promiscuous(self.ifindex, false);
        }
        let down = if self.was_admin_up { Ok(()) } else { link::set_admin_up(self.ifindex, false) };
        let unshielded = self.shield.remove();
        match down {
            Err(error) if !error.is(libc::ENODEV) => Err(error),
            _ => unshielded,
        }
    }
}
