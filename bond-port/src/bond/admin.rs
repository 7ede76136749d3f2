//! What the operator does to a single member.

use core::time::Duration;

use super::{Bond, BondError};
use crate::balancer::Change;
use crate::event::BondEvent;
use crate::member_options::MemberOptions;

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
    /// it still lets in is the mode's decision. A partner that LACP is spoken with is told. `Ok(false)`: it was disabled
    /// already.
    ///
    /// # Errors
    /// [`BondError::NoSuchMember`].
    pub fn disable_member(&mut self, now: Duration, member: &str) -> Result<bool, BondError> {
        self.set_disabled(now, member, true)
    }

    /// Sets one option of a member from text. Answers with what is accepted but has no effect, for the user to read.
    ///
    /// # Errors
    /// [`BondError::NoSuchMember`]; [`BondError::MemberOption`]: key or value is wrong.
    pub fn set_member_option(
        &mut self,
        now: Duration,
        member: &str,
        key: &str,
        value: &str,
    ) -> Result<Vec<String>, BondError> {
        let mut options = self.members[self.index(member)?].options.clone();
        options.set(key, value).map_err(|error| BondError::MemberOption {
            bond: self.name.clone(),
            member: member.to_owned(),
            error,
        })?;
        self.set_member_options(now, member, options)?;
        let names = self.members.iter().map(|member| member.name.as_str());
        Ok(self.members[self.index(member)?].options.warnings(&self.options, names))
    }

    /// Sets all options of a member. `Ok(false)`: they were so already.
    ///
    /// # Errors
    /// [`BondError::NoSuchMember`].
    pub fn set_member_options(
        &mut self,
        now: Duration,
        member: &str,
        options: MemberOptions,
    ) -> Result<bool, BondError> {
        let index = self.index(member)?;
        let member = &mut self.members[index];
        if member.options == options {
            return Ok(false);
        }
        member.options = options;
        let id = member.id;
        self.update(now, vec![Change::MemberOptions(id)]);
        Ok(true)
    }

    fn set_disabled(&mut self, now: Duration, member: &str, disabled: bool) -> Result<bool, BondError> {
        let index = self.index(member)?;
        let id = self.members[index].id;
        if self.members[index].disabled == disabled {
            return Ok(false);
        }
        if disabled {
            self.outbox.extend(self.farewells(|member| member.id == id));
        }
        let member = &mut self.members[index];
        member.disabled = disabled;
        self.events.push_back(BondEvent::MemberDisabled { member: member.name.clone(), disabled });
        let mut changes = if member.is_up() { vec![Change::Up(id)] } else { Vec::new() };
        changes.extend(self.watch(now));
        self.update(now, changes);
        Ok(true)
    }
}
