//! Receive balancing of a bond ([`Receive`]): a frame to a member's own address becomes one for the guest that it is for, and
//! what guests tell their peers by ARP and neighbour discovery names a member instead of them.

use super::{Frame, Observer, Step};
use crate::drop_reason::DropReason;
use crate::receive::{Receive, bucket};
use crate::rewrite::{self, Claim, Patch};
use crate::tables::{Admission, PortEntry};
use crate::wire::vlan::TAG_LEN;

static ALL_BUT_REFLECTED: Admission = Admission::AllButReflected;

impl<O: Observer> Frame<'_, O> {
    /// Refuses what has a member's own address as its source, and makes of a frame to such an address one to the guest that
    /// has its IP address.
    #[inline]
    pub(super) fn find_guest(&mut self) -> Result<(), DropReason> {
        match &self.port.receive {
            Some(receive) => self.give_to_guest(receive),
            None => Ok(()),
        }
    }

    #[inline(never)]
    fn give_to_guest(&mut self, receive: &Receive) -> Result<(), DropReason> {
        if receive.device_of(self.parsed.src).is_some() {
            return Err(DropReason::Reflected);
        }
        let own = self.parsed.dst;
        let Some(device) = receive.device_of(own) else { return Ok(()) };
        if device != self.ingress.device {
            self.observer.note(|| Step::OtherMember { own, device });
            return Err(DropReason::InactiveMember);
        }
        let bytes = self.ingress.bytes;
        let ip = rewrite::destination(bytes, &self.parsed).filter(|_| self.is_untunnelled());
        let guest = ip.and_then(|ip| receive.guests.owner(self.placed.vlan, ip));
        self.observer.note(|| Step::OwnAddress { own, ip, guest });
        let guest = guest.ok_or(DropReason::NoGuest)?;
        self.patch = rewrite::patch_target(bytes, &self.parsed, own, guest);
        (self.destination, self.parsed.dst) = (Some(guest), guest);
        if *self.admission != Admission::All {
            self.admission = &ALL_BUT_REFLECTED;
        }
        Ok(())
    }

    /// Counts a unicast IP frame that was let in.
    #[inline]
    pub(super) fn count_received(&self) {
        if let Some(receive) = &self.port.receive
            && !self.parsed.dst.is_multicast()
            && self.is_untunnelled()
            && let Some(ip) = rewrite::ip_destination(self.ingress.bytes, &self.parsed)
        {
            let tags = usize::from(self.ingress.tag.is_some());
            let octets = self.ingress.bytes.len() + tags * TAG_LEN;
            self.observer.load(&receive.loads, bucket(self.parsed.src, ip).into(), octets as u64);
        }
    }

    /// What changes in the packet of a copy that leaves by a port.
    #[inline]
    pub(super) fn patch_by(&self, port: &PortEntry) -> Option<Patch> {
        match &port.receive {
            Some(receive) if self.patch.is_none() && self.parsed.resolves_addresses().is_some() => {
                self.name_member(receive)
            }
            _ => self.patch,
        }
    }

    /// Names the member that a peer is to send to, where a guest tells this one peer where its own IP address is.
    #[cold]
    fn name_member(&self, receive: &Receive) -> Option<Patch> {
        let (peer, guest) = (self.parsed.dst, self.parsed.src);
        if peer.is_multicast() || !self.is_untunnelled() {
            return None;
        }
        let claim = Claim::read(self.ingress.bytes, &self.parsed).filter(|claim| claim.mac == guest)?;
        let is_owner = receive.guests.owner(self.placed.vlan, claim.ip) == Some(guest);
        let member = receive.told(peer, claim.ip).filter(|_| is_owner)?;
        self.observer.note(|| Step::MemberNamed { peer, ip: claim.ip, member });
        Some(claim.patch(self.ingress.bytes, &self.ingress.header, member))
    }

    /// What a customer's tag encloses is the customer's.
    #[inline]
    pub(super) fn is_untunnelled(&self) -> bool {
        self.parsed.inner_tags == 0 && self.placed.inner.is_none()
    }
}
