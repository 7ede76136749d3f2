//! What the operator does to a member by hand.

use core::time::Duration;

use super::{Bond, BondError};
use crate::balancer::Change;
use crate::event::BondEvent;

impl Bond {
    /// Puts a member that was disabled by hand back into use (OVS's `bond/enable-member`). If its link is up it is used
    /// at once, without `updelay`. `Ok(false)`: it was not disabled.
    ///
    /// # Errors
    /// [`BondError::NoSuchMember`].
    pub fn enable_member(&mut self, now: Duration, member: &str) -> Result<bool, BondError> {
        self.set_disabled(now, member, false)
    }

    /// Takes a member out of use (OVS's `bond/disable-member`): no frame leaves by it, whatever its link does, until it
    /// is enabled again, leaves the bond, or the daemon is restarted. (In OVS it lasts until the carrier changes.) What
    /// it still lets in is the mode's decision. `Ok(false)`: it was disabled already.
    ///
    /// # Errors
    /// [`BondError::NoSuchMember`].
    pub fn disable_member(&mut self, now: Duration, member: &str) -> Result<bool, BondError> {
        self.set_disabled(now, member, true)
    }

    fn set_disabled(&mut self, now: Duration, member: &str, disabled: bool) -> Result<bool, BondError> {
        let index = self.index(member)?;
        let member = &mut self.members[index];
        if member.disabled == disabled {
            return Ok(false);
        }
        member.disabled = disabled;
        self.events.push_back(BondEvent::MemberDisabled { member: member.name.clone(), disabled });
        let changes = if member.is_up() { vec![Change::Up(member.id)] } else { Vec::new() };
        self.update(now, changes);
        Ok(true)
    }
}
