//! A bond: its members, what is known of their links, and the plan that its mode has made.

mod ad;
mod admin;
mod error;
mod loads;
mod restart;
mod watch;

use core::time::Duration;
use std::collections::VecDeque;

use forwarding::bucket_set::BucketSet;
use forwarding::drop_reason::DropReason;
use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;
use forwarding::tables::{Admission, TransmitPlan};

use crate::announcements::Announcements;
use crate::balancer::{Balancer, Change, View};
use crate::event::{ActiveCause, BondEvent};
use crate::member::{Member, MemberId};
use crate::memberships::Memberships;
use crate::mode::Mode;
use crate::monitor::{Delays, LinkState};
use crate::options::{BondOptions, FailOverMac};
use crate::probe::{Host, Prober};
use crate::receive::ReceivePlan;

pub use self::ad::Transmit;
pub use self::error::BondError;
pub use self::restart::BondSnapshot;

/// What the kernel says of a member's device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkReport {
    /// The device. Another number than last time means another device.
    pub device: DeviceId,
    /// Administratively up, and carrier.
    pub up: bool,
    /// Megabits per second, if known.
    pub speed_mbps: Option<u32>,
    /// Full duplex, if known.
    pub full_duplex: Option<bool>,
    /// The device computes a flow hash of what it receives (ethtool's receive-hashing), if known.
    pub receive_hash: Option<bool>,
    /// The device's own address.
    pub mac: MacAddr,
}

/// The active member and how it came to be.
#[derive(Debug, Clone)]
pub(crate) struct Active {
    pub(crate) id: Option<MemberId>,
    pub(crate) name: Option<String>,
    /// The last change: why and when.
    pub(crate) changed: Option<(ActiveCause, Duration)>,
    pub(crate) changes: u64,
}

/// A bond.
#[derive(Debug)]
pub struct Bond {
    name: String,
    options: BondOptions,
    balancer: Box<dyn Balancer>,
    members: Vec<Member>,
    next_id: u32,
    mac: Option<MacAddr>,
    /// The member whose MAC it is.
    mac_from: Option<MemberId>,
    /// The address of the member that is active, or was last.
    active_mac: Option<MacAddr>,
    restore: Option<MemberId>,
    /// Links that are up when they are first reported have been so all along.
    links_resume: bool,
    plan: TransmitPlan,
    receive: Option<ReceivePlan>,
    pub(crate) active: Active,
    balancer_deadline: Option<Duration>,
    announcements: Announcements,
    memberships: Memberships,
    revision: u64,
    events: VecDeque<BondEvent>,
    /// Frames to be sent before what the mode has to say now.
    outbox: VecDeque<Transmit>,
    /// Link probes, if they are on.
    prober: Option<Prober>,
    probe_host: Host,
}

impl Bond {
    /// A bond without members; it has no carrier. The balancer is that of `options.mode`.
    pub fn new(name: &str, options: BondOptions, balancer: Box<dyn Balancer>) -> Self {
        Self {
            name: name.to_owned(),
            options,
            balancer,
            members: Vec::new(),
            next_id: 0,
            mac: None,
            mac_from: None,
            active_mac: None,
            restore: None,
            links_resume: false,
            plan: TransmitPlan::Drop(DropReason::NoMember),
            receive: None,
            active: Active { id: None, name: None, changed: None, changes: 0 },
            balancer_deadline: None,
            announcements: Announcements::default(),
            memberships: Memberships::default(),
            revision: 0,
            events: VecDeque::new(),
            outbox: VecDeque::new(),
            prober: None,
            probe_host: Host::default(),
        }
    }

    /// A device joins, after those that are members already. It need not exist: its link is down until a report says
    /// otherwise.
    ///
    /// # Errors
    /// [`BondError::AlreadyMember`].
    pub fn add_member(&mut self, now: Duration, member: &str) -> Result<(), BondError> {
        if self.member(member).is_some() {
            return Err(BondError::AlreadyMember { bond: self.name.clone(), member: member.to_owned() });
        }
        let id = MemberId(self.next_id);
        self.next_id += 1;
        self.members.push(Member::new(id, member, now));
        self.set_up_prober(now);
        self.revision += 1;
        self.update(now, vec![Change::Joined(id)]);
        Ok(())
    }

    /// A member leaves. The bond keeps its MAC until the last one has left.
    ///
    /// # Errors
    /// [`BondError::NoSuchMember`].
    pub fn remove_member(&mut self, now: Duration, member: &str) -> Result<(), BondError> {
        let index = self.index(member)?;
        self.members.remove(index);
        self.revision += 1;
        if self.members.is_empty() {
            self.mac = None;
            self.mac_from = None;
            self.active_mac = None;
        }
        let changes = self.watch(now);
        self.update(now, changes);
        Ok(())
    }

    /// What the kernel says of a member's device; `None`: there is no such device (any more). A device that is not a
    /// member is ignored.
    ///
    /// To be called for each member when it joins, also if its device is missing, and at every change.
    pub fn handle_link(&mut self, now: Duration, member: &str, report: Option<LinkReport>) {
        let Ok(index) = self.index(member) else { return };
        let device = report.as_ref().map(|report| report.device);
        if device.is_some() && self.members[index].device.is_some_and(|known| Some(known) != device) {
            self.handle_link(now, member, None);
        }
        self.adopt_mac(index, report.as_ref());
        let member = &mut self.members[index];
        let (id, before) = (member.id, member.link());
        let again = core::mem::replace(&mut member.reported, true);
        if device.is_none() {
            member.monitor.device_gone(now);
        }
        member.device = device;
        let up = report.as_ref().is_some_and(|report| report.up);
        member.carrier = up;
        if let Some(report) = report {
            member.speed_mbps = report.speed_mbps;
            member.full_duplex = report.full_duplex;
            member.receive_hash = report.receive_hash;
            member.mac = Some(report.mac);
        }
        self.sync_prober(now);
        let mut changes = self.watch(now);
        let member = &mut self.members[index];
        // After a restart a link that is up has been so all along.
        if (self.restore.is_some() || self.links_resume) && up && !again {
            member.monitor.skip_updelay(now);
        }
        if again && member.link() != before {
            self.restore = None;
        }
        let came_up = Change::Up(id);
        if member.is_up() && before != LinkState::Up && !changes.contains(&came_up) {
            changes.push(came_up);
        }
        self.update(now, changes);
        if self.members.iter().all(|member| member.reported) {
            self.restore = None;
            self.links_resume = false;
        }
    }

    /// Ends the delays whose time has come.
    pub fn handle_timeout(&mut self, now: Duration) {
        let due = self.balancer_deadline.is_some_and(|deadline| deadline <= now);
        let asks = self.judge(now);
        let changes = self.watch(now);
        if due || self.members.iter().any(|member| member.link() != member.told) {
            self.update(now, changes);
        }
        if asks {
            self.ask(now);
        }
        self.announce(now);
        self.memberships.handle_timeout(now, self.options.resend_igmp);
    }

    /// When [`Self::handle_timeout`] is to be called next.
    pub fn next_deadline(&self) -> Option<Duration> {
        let delays = self.delays();
        let links = self.members.iter().filter_map(|member| member.monitor.deadline(delays));
        let held = self.members.iter().filter_map(|member| member.flaps.until());
        let probes = self.prober.as_ref().map(Prober::next_deadline);
        let told =
            [self.balancer_deadline, self.announcements.deadline(), self.memberships.deadline(), probes];
        links.chain(held).chain(told.into_iter().flatten()).min()
    }

    /// Other options, and another balancer if the mode is another. Members, link states and delays that are running
    /// stay; a delay that was made shorter ends accordingly.
    pub fn reconfigure(&mut self, now: Duration, options: BondOptions, balancer: Option<Box<dyn Balancer>>) {
        let before = core::mem::replace(&mut self.options, options);
        if let Some(balancer) = balancer {
            self.balancer = balancer;
            // What the old mode had to announce need not be true any more; the new one says what is.
            self.announcements = Announcements::default();
            self.events.retain(|event| !matches!(event, BondEvent::Announce { .. }));
        }
        self.set_up_prober(now);
        let mut changes = vec![Change::Options(Box::new(before))];
        changes.extend(self.watch(now));
        self.update(now, changes);
    }

    /// Makes a member the active one (Linux's `active_slave`). `Ok(false)`: it was already.
    ///
    /// # Errors
    /// The mode has no active member; not a member; its link is not up.
    pub fn set_active_member(&mut self, now: Duration, member: &str) -> Result<bool, BondError> {
        let id = self.activatable(member)?;
        self.restore = None;
        if self.active.id == Some(id) {
            return Ok(false);
        }
        self.update(now, vec![Change::SetActive(id)]);
        Ok(true)
    }

    /// Whether [`Self::set_active_member`] would succeed, and change anything.
    ///
    /// # Errors
    /// As there.
    pub fn can_activate(&self, member: &str) -> Result<bool, BondError> {
        self.activatable(member).map(|id| self.active.id != Some(id))
    }

    /// The member that was active before a restart. To be called when the members have joined and before the first
    /// link report: if its own first report says that it is up it is the active member, in whatever order the reports
    /// come. Until the hint is forgotten `updelay` is skipped. That is when all members have been reported on, or
    /// one's link has changed since its first report.
    pub fn restore_active(&mut self, member: &str) {
        self.restore = self.member(member).map(Member::id);
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<BondEvent> {
        self.events.pop_front()
    }

    /// Whether guests behind the bridge's other ports are to be asked for their group memberships now. Then this was one
    /// of the times that `resend_igmp` tells.
    pub fn asks_memberships(&mut self) -> bool {
        self.memberships.take()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its options.
    pub fn options(&self) -> &BondOptions {
        &self.options
    }

    /// How frames leave.
    pub fn plan(&self) -> &TransmitPlan {
        &self.plan
    }

    /// How received frames are balanced, if they are.
    pub fn receive(&self) -> Option<&ReceivePlan> {
        self.receive.as_ref()
    }

    /// Which frames a member may bring in; nothing if it is no member.
    pub fn admission(&self, member: &str) -> Admission {
        self.member(member).map_or(Admission::Nothing, Member::admission)
    }

    /// Grows whenever [`Self::plan`], an admission, a member's device, or the list of members is another than
    /// before.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Frames can leave: the plan is not to drop them.
    pub fn carrier(&self) -> bool {
        !matches!(self.plan, TransmitPlan::Drop(_))
    }

    /// The bond's address: that of its first member whose device is known, kept until the last member has left. With
    /// `fail_over_mac=active` in active-backup that of the active member, or of the last one there was.
    pub fn mac(&self) -> Option<MacAddr> {
        let follows =
            self.options.mode == Mode::ActiveBackup && self.options.fail_over_mac == FailOverMac::Active;
        self.active_mac.filter(|_| follows).or(self.mac)
    }

    /// The active member, in modes that have one.
    pub fn active(&self) -> Option<&str> {
        self.active.name.as_deref()
    }

    /// Members in the order in which they joined.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The member with this name.
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    fn activatable(&self, member: &str) -> Result<MemberId, BondError> {
        if !self.options.mode.has_active_member() {
            return Err(BondError::NoActiveMember { bond: self.name.clone(), mode: self.options.mode });
        }
        let member = &self.members[self.index(member)?];
        if member.disabled {
            return Err(BondError::Disabled { bond: self.name.clone(), member: member.name.clone() });
        }
        if !member.is_up() {
            let link = match member.device {
                Some(_) => member.link().to_string(),
                None => "down (no such device)".to_owned(),
            };
            return Err(BondError::NotUp { bond: self.name.clone(), member: member.name.clone(), link });
        }
        Ok(member.id)
    }

    fn index(&self, member: &str) -> Result<usize, BondError> {
        self.members.iter().position(|known| known.name == member).ok_or_else(|| {
            let names: Vec<&str> = self.members.iter().map(Member::name).collect();
            BondError::NoSuchMember {
                bond: self.name.clone(),
                member: member.to_owned(),
                members: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
            }
        })
    }

    pub(crate) fn delays(&self) -> Delays {
        Delays { up: self.options.updelay(), down: self.options.downdelay() }
    }

    /// Takes a member's address for the bond's if the bond has none, or if this is the first report on a member that
    /// joined before the one whose address the bond has: reports need not come in the order of joining.
    fn adopt_mac(&mut self, index: usize, report: Option<&LinkReport>) {
        let Some(mac) = report.map(|report| report.mac).filter(|mac| mac.is_valid_source()) else { return };
        let source = self.members.iter().position(|member| Some(member.id) == self.mac_from);
        let earlier = !self.members[index].reported && source.is_some_and(|source| index < source);
        if self.mac.is_none() || earlier {
            self.mac = Some(mac);
            self.mac_from = Some(self.members[index].id);
        }
    }

    /// Asks the mode for a new plan and tells what is different.
    fn update(&mut self, now: Duration, changes: Vec<Change>) {
        let view = View {
            now,
            options: &self.options,
            members: &self.members,
            mac: self.mac,
            changes: &changes,
            restore: self.restore,
        };
        let compiled = self.balancer.compile(&view);
        debug_assert_eq!(compiled.admissions.len(), self.members.len());
        let carrier = self.carrier();
        let mut differs = self.plan != compiled.plan || self.receive.as_ref() != self.balancer.receive();
        let delays = self.delays();
        for (member, admission) in self.members.iter_mut().zip(compiled.admissions) {
            if compiled.skip_updelay == Some(member.id) {
                member.monitor.skip_updelay(now);
            }
            differs |= member.admission != admission || member.told_device != member.device;
            member.admission = admission;
            member.told_device = member.device;
            let to = member.link();
            let from = core::mem::replace(&mut member.told, to);
            if from != to {
                let deadline = member.monitor.deadline(delays);
                self.events.push_back(BondEvent::MemberLink {
                    member: member.name.clone(),
                    device: member.device,
                    from,
                    to,
                    delay: deadline.map_or(Duration::ZERO, |deadline| deadline.saturating_sub(now)),
                    speed_mbps: member.speed_mbps,
                    full_duplex: member.full_duplex,
                });
            }
        }
        self.tell_lacp();
        self.plan = compiled.plan;
        self.receive = self.balancer.receive().cloned();
        self.balancer_deadline = compiled.deadline;
        self.revision += u64::from(differs);
        let mode_before = changes.iter().find_map(|change| match change {
            Change::Options(before) => Some(before.mode),
            _ => None,
        });
        if self.active.id != compiled.active {
            let other_mode = mode_before.is_some_and(|before| before != self.options.mode);
            let cause = if other_mode { ActiveCause::ModeChanged } else { compiled.cause };
            self.change_active(now, compiled.active, cause);
        }
        let active = self.members.iter().find(|member| Some(member.id) == self.active.id);
        self.active_mac =
            active.and_then(Member::mac).filter(|mac| mac.is_valid_source()).or(self.active_mac);
        if let Some(member) = compiled.announce {
            self.announcements.start(now, member, &self.options);
            self.announce(now);
        }
        self.announce_moved(now);
        self.memberships.follow(now, self.receives_groups(), self.options.resend_igmp);
        if self.carrier() != carrier {
            self.events.push_back(BondEvent::CarrierChanged(!carrier));
        }
        self.sync_prober(now);
    }

    fn change_active(&mut self, now: Duration, id: Option<MemberId>, cause: ActiveCause) {
        let named = |id| self.members.iter().find(|member| member.id == id).map(|member| member.name.clone());
        let new = id.and_then(named);
        let old = core::mem::replace(&mut self.active.name, new.clone());
        self.active.id = id;
        self.active.changed = Some((cause, now));
        self.active.changes += 1;
        self.announcements.stop();
        self.events.retain(|event| !matches!(event, BondEvent::Announce { buckets: None, .. }));
        self.events.push_back(BondEvent::ActiveChanged { old, new, cause });
    }

    /// The member by which what is sent to groups comes in, where only one is: the active member; in balance-rr the first,
    /// by which all IGMP leaves.
    fn receives_groups(&self) -> Option<MemberId> {
        let first = match &self.plan {
            TransmitPlan::RoundRobin { members, .. } => members.first().copied(),
            _ => None,
        };
        let of_device = |device| self.members.iter().find(|member| member.device == Some(device));
        self.active.id.or_else(|| first.and_then(of_device).map(Member::id))
    }

    fn announce(&mut self, now: Duration) {
        for (id, buckets) in self.announcements.due(now, &self.options) {
            let member = self.members.iter().find(|member| member.id == id);
            if let Some(member) = member.and_then(Member::device) {
                self.events.push_back(BondEvent::Announce { member, buckets });
            }
        }
    }

    /// Begins to announce the MACs of buckets that are another member's with the last plan.
    fn announce_moved(&mut self, now: Duration) {
        let moved = self.balancer.take_moved();
        if moved.is_empty() {
            return;
        }
        let all = moved.iter().fold(BucketSet::NONE, |all, (_, buckets)| all.union(*buckets));
        self.events.retain_mut(|event| match event {
            BondEvent::Announce { buckets: Some(buckets), .. } => {
                *buckets = buckets.without(all);
                !buckets.is_empty()
            }
            _ => true,
        });
        self.announcements.start_moved(now, &moved, all, &self.options);
        self.announce(now);
    }
}
