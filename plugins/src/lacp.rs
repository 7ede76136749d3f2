//! 802.3ad: LACP says which members carry frames, and a hash of the frame picks one of them.
//!
//! The table is that of balance-xor, over the members that distribute. Frames are let in on those that collect. Without a
//! partner one member carries everything, as if it were active-backup's active member; unless `lacp_strict` forbids it.
//!
//! The link that LACP hears of is the bond's opinion of it, with `updelay` and `downdelay`. A member that is disabled by
//! hand has none. When no member is up the one that has waited longest in `updelay` is used at once.

use ::lacp::{Duplex, Gates, Lacp, Link, PortId, PortOptions};

use bond_port::{ActiveCause, Balancer, Compiled, Member, MemberId, View};
use forwarding::drop_reason::DropReason;
use forwarding::tables::{Admission, TransmitPlan};

use crate::table::{Table, answers_by_table};

/// The plugin.
#[derive(Debug)]
pub struct Ad {
    lacp: Lacp,
    ports: Vec<Port>,
    table: Table,
    /// The member that carries frames for want of a partner.
    fallback: Option<MemberId>,
}

/// What LACP was last told of a member.
#[derive(Debug)]
struct Port {
    id: MemberId,
    options: PortOptions,
    link: Link,
}

impl Default for Ad {
    fn default() -> Self {
        let lacp = Lacp::new([0; 6], ::lacp::Options::default());
        Self { lacp, ports: Vec::new(), table: Table::default(), fallback: None }
    }
}

impl Balancer for Ad {
    fn compile(&mut self, view: &View<'_>) -> Compiled {
        let skip_updelay = if view.up().next().is_none() { view.soonest_back() } else { None };
        let skip_updelay = skip_updelay.map(Member::id);
        self.tell(view, skip_updelay);
        self.lacp.handle_timeout(view.now);
        let negotiated = self.lacp.negotiated();
        let sending: Vec<&Member> =
            view.members.iter().filter(|member| self.gates(member.id()).distributing).collect();
        let fallback = sending.first().map(|member| member.id()).filter(|_| !negotiated);
        let announce = fallback.filter(|id| self.fallback != Some(*id));
        self.fallback = fallback;
        let admission = |member: &Member| match self.gates(member.id()).collecting {
            // The partner of an aggregate sends nothing back that came by it.
            true if negotiated => Admission::All,
            true => Admission::AllButReflected,
            false if view.options.all_slaves_active && member.is_up() => Admission::AllButReflected,
            false => Admission::Nothing,
        };
        let admissions = view.members.iter().map(admission).collect();
        let plan = match self.lacp.no_carrier() {
            None => self.table.plan(view, &sending),
            Some(_) => {
                self.table.clear();
                TransmitPlan::Drop(DropReason::NoMember)
            }
        };
        Compiled {
            plan,
            admissions,
            active: None,
            cause: ActiveCause::ModeChanged,
            skip_updelay,
            announce,
            deadline: self.lacp.next_deadline(),
        }
    }

    answers_by_table!(table);

    fn lacp(&self) -> Option<&Lacp> {
        Some(&self.lacp)
    }

    fn lacp_mut(&mut self) -> Option<&mut Lacp> {
        Some(&mut self.lacp)
    }
}

impl Ad {
    fn gates(&self, member: MemberId) -> Gates {
        self.lacp.wanted(port(member)).unwrap_or(Gates::CLOSED)
    }

    /// Tells LACP what is another than it was last told.
    fn tell(&mut self, view: &View<'_>, skip_updelay: Option<MemberId>) {
        let now = view.now;
        let gone = |known: &Port| view.member(known.id).is_none();
        for left in self.ports.extract_if(.., |known| gone(known)) {
            // The bond has sent its farewell.
            let _ = self.lacp.remove_port(now, port(left.id));
        }
        if let Some(mac) = view.mac
            && self.lacp.address() != mac.0
        {
            self.lacp.set_address(now, mac.0);
        }
        if *self.lacp.options() != view.options.lacp {
            self.lacp.set_options(now, view.options.lacp);
        }
        for member in view.members {
            let (id, options) = (member.id(), member.options().lacp);
            if self.ports.iter().all(|known| known.id != id) {
                let unnumbered = PortOptions { port_number: None, ..options };
                // Its number may still be another's, until that one is told of its own new one.
                let added = self.lacp.add_port(now, port(id), options).map(|()| options);
                let told =
                    added.or_else(|_| self.lacp.add_port(now, port(id), unnumbered).map(|()| unnumbered));
                if let Ok(options) = told {
                    self.ports.push(Port { id, options, link: Link::DOWN });
                }
            }
        }
        self.tell_options(view);
        for known in &mut self.ports {
            let Some(member) = view.member(known.id) else { continue };
            let link = link(member, skip_updelay == Some(known.id));
            if known.link != link {
                known.link = link;
                self.lacp.handle_link(now, port(known.id), link);
            }
        }
    }

    fn tell_options(&mut self, view: &View<'_>) {
        // Members may swap their numbers: those that can't have theirs yet give up what they have, and try again.
        for _ in 0..2 {
            for known in &mut self.ports {
                let Some(wanted) = view.member(known.id).map(|member| member.options().lacp) else {
                    continue;
                };
                if known.options == wanted {
                    continue;
                }
                let unnumbered = PortOptions { port_number: None, ..wanted };
                for options in [wanted, unnumbered] {
                    if self.lacp.set_port_options(view.now, port(known.id), options).is_ok() {
                        known.options = options;
                        break;
                    }
                }
            }
        }
    }
}

fn port(member: MemberId) -> PortId {
    PortId(member.number())
}

fn link(member: &Member, skips_updelay: bool) -> Link {
    let duplex = match member.full_duplex() {
        Some(true) => Duplex::Full,
        Some(false) => Duplex::Half,
        None => Duplex::Unknown,
    };
    let up = member.is_usable() || skips_updelay && !member.is_disabled();
    Link { up, speed: member.speed_mbps(), duplex }
}
