//! Link probes: whether hosts that are there for certain can be reached by a member.
//!
//! Carrier says that the next device is on. A [`Prober`] asks hosts (`arp_ip_target` by ARP, `ns_ip6_target` by neighbour
//! solicitation) and gives a verdict on each member, by the rules of Linux's ARP monitor
//! (`bond_activebackup_arp_mon`, `bond_loadbalance_arp_mon`): every `arp_interval` it first judges, then asks. What counts
//! as a sign of life is `arp_validate`'s word. The bond takes a member for down that has no carrier, or that the prober
//! says is down; `updelay` and `downdelay` run as ever.
//!
//! - Where members share the load, each asks, and each lives by what it receives.
//! - In active-backup the active member asks. The others live by what they receive, of which the active member's
//!   requests, which the switch floods to them, are the least. If none is active, members ask in turn, one in each
//!   interval, until one hears something.
//!
//! Unlike in Linux a request that comes back counts only if its Ethernet address is one of ours, so that another host that
//! probes the same target does not make a dead link look alive.

mod answer;
pub mod options;
mod sender;
mod station;
mod status;
#[cfg(test)]
mod tests;

use core::net::{IpAddr, Ipv6Addr};
use core::time::Duration;
use std::collections::VecDeque;

use forwarding::mac::MacAddr;
use forwarding::solicit;
use forwarding::vlan::TPID_8021Q;

use self::answer::{Heard, Talk};
pub use self::options::{ProbeOptions, Validate};
pub use self::sender::Host;
use self::station::{Station, within};
pub use self::status::{MemberProbe, TargetStatus};
use crate::member::MemberId;

/// What is known of a member's device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Which member.
    pub id: MemberId,
    /// It is up and has carrier; `None` if nothing has been reported yet.
    pub carrier: Option<bool>,
    /// Its own address.
    pub mac: Option<MacAddr>,
}

/// What a prober has to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Another verdict on a member.
    Verdict {
        /// Which.
        member: MemberId,
        /// It is up.
        alive: bool,
        /// How long ago it last showed a sign of life, if it ever did.
        silent: Option<Duration>,
    },
    /// A target that answered by no member for `arp_missed_max` intervals, or answers again.
    Target {
        /// Which.
        target: IpAddr,
        /// It answers.
        answers: bool,
    },
}

#[derive(Debug, Clone, Copy)]
struct Target {
    address: IpAddr,
    /// When it last answered.
    heard: Option<Duration>,
    /// Since when it is asked.
    since: Option<Duration>,
    answers: bool,
}

/// The prober of one bond.
#[derive(Debug)]
pub struct Prober {
    options: ProbeOptions,
    /// One member speaks for all: the rules of active-backup.
    one_speaks: bool,
    host: Host,
    stations: Vec<Station>,
    active: Option<MemberId>,
    /// The member that asks while none is active (Linux: `current_arp_slave`).
    candidate: Option<MemberId>,
    targets: Vec<Target>,
    /// When to judge and ask.
    next: Duration,
    /// When received frames are to be counted.
    next_count: Duration,
    outbox: VecDeque<(MemberId, Vec<u8>)>,
    events: VecDeque<Event>,
}

impl Prober {
    /// A prober that begins now.
    pub fn new(now: Duration, options: ProbeOptions, one_speaks: bool) -> Self {
        let mut prober = Self {
            options: ProbeOptions::default(),
            one_speaks,
            host: Host::default(),
            stations: Vec::new(),
            active: None,
            candidate: None,
            targets: Vec::new(),
            next: now.saturating_add(SOON),
            next_count: now,
            outbox: VecDeque::new(),
            events: VecDeque::new(),
        };
        prober.reconfigure(now, options, one_speaks);
        prober
    }

    /// Other options. Members that are up have their time to prove it anew.
    pub fn reconfigure(&mut self, now: Duration, options: ProbeOptions, one_speaks: bool) {
        if self.options == options && self.one_speaks == one_speaks {
            return;
        }
        let same = self.targets.iter().map(|target| target.address).eq(options.targets());
        if !same || self.options.vlan != options.vlan {
            let fresh = |address| Target { address, heard: None, since: None, answers: true };
            self.targets = options.targets().map(fresh).collect();
        }
        self.stations.iter_mut().for_each(|station| station.forget(now, self.targets.len()));
        (self.options, self.one_speaks) = (options, one_speaks);
        (self.candidate, self.active) = (None, None);
        self.next = self.next.min(now.saturating_add(self.options.period()));
        self.next_count = now.saturating_add(SOON);
    }

    /// The bridge's internal port has these addresses.
    pub fn set_host(&mut self, host: Host) {
        self.host = host;
    }

    /// The bond's members in their order, and the active one. To be called after every change.
    ///
    /// A member whose first report says that it has carrier is taken for alive and has its time to prove it
    /// (`bond_enslave`). One that gets carrier later has to prove it first.
    pub fn sync(&mut self, now: Duration, devices: &[Device], active: Option<MemberId>) {
        let mut before = core::mem::take(&mut self.stations);
        for device in devices {
            let known = before.iter().position(|station| station.id == device.id);
            let mut station = match known {
                Some(index) => before.swap_remove(index),
                None => Station::new(device.id, self.targets.len()),
            };
            station.update(now, device);
            self.stations.push(station);
        }
        let is_member = |id: &MemberId| devices.iter().any(|device| device.id == *id);
        self.candidate = self.candidate.filter(is_member);
        if self.active != active {
            self.active = active;
            if let Some(station) = active.and_then(|id| self.station_mut(id)) {
                station.made_active = Some(now);
                self.candidate = None;
            }
        }
    }

    /// Whether a member is up as far as probes can tell.
    pub fn is_alive(&self, member: MemberId) -> bool {
        self.station(member).is_none_or(|station| station.alive)
    }

    /// What there is to show of a member.
    pub fn member(&self, now: Duration, id: MemberId) -> Option<MemberProbe> {
        let station = self.station(id)?;
        let silent = station.last_rx.map(|at| now.saturating_sub(at));
        Some(MemberProbe { alive: station.alive, asks: self.asks(id), silent })
    }

    /// Whether a member asks: all do that have carrier, in active-backup the active one or the one whose turn it is.
    pub fn asks(&self, member: MemberId) -> bool {
        let speaks = !self.one_speaks || self.active.or(self.candidate) == Some(member);
        speaks && self.station(member).is_some_and(|station| station.has_carrier())
    }

    /// The targets.
    pub fn targets(&self, now: Duration) -> impl Iterator<Item = TargetStatus> {
        self.targets.iter().map(move |target| TargetStatus {
            target: target.address,
            answers: target.answers,
            age: target.heard.map(|at| now.saturating_sub(at)),
        })
    }

    /// When [`Self::judge`] and [`Self::ask`] are to be called next, or received frames to be counted.
    pub fn next_deadline(&self) -> Duration {
        if self.counts_frames() { self.next.min(self.next_count) } else { self.next }
    }

    /// Whether it is time to judge and to ask.
    pub fn is_due(&self, now: Duration) -> bool {
        self.next <= now
    }

    /// Whether frames received by some member count whatever they are, so that [`Self::count`] is to be called.
    pub fn counts_frames(&self) -> bool {
        let validate = self.options.validate;
        !validate.filters() && validate != Validate::All
    }

    /// So many frames have been received by a member since some time. To be called for every member four times in each
    /// interval, at [`Self::next_deadline`]; more frames than last time are a sign of life, of as late as possible.
    pub fn count(&mut self, now: Duration, member: MemberId, frames: u64) {
        let takes_all = self.counts_frames() && !self.options.validate.checks(self.is_active(member));
        let Some(station) = self.station_mut(member) else { return };
        let before = station.frames.replace(frames);
        if takes_all && before.is_some_and(|before| before != frames) {
            station.last_rx = Some(now);
        }
    }

    /// A frame has arrived at a member: from the destination address on, without the tag of `arp_vlan`.
    pub fn handle_frame(&mut self, now: Duration, member: MemberId, frame: &[u8]) {
        let Heard::Talk(talk) = answer::read(frame) else { return };
        let Some(mac) = self.station(member).map(|station| station.mac) else { return };
        let answer = mac.and_then(|mac| self.answered(&talk, mac));
        if let Some(target) = answer.and_then(|index| self.targets.get_mut(index)) {
            target.heard = Some(now);
        }
        let is_active = self.is_active(member);
        let validate = self.options.validate;
        if !validate.checks(is_active) {
            if validate.filters()
                && let Some(station) = self.station_mut(member)
            {
                station.last_rx = Some(now);
            }
            return;
        }
        let counts = if is_active {
            answer
        } else if self.hears_active() {
            self.came_back(&talk)
        } else if talk.reply && self.candidate_asks(now) {
            answer
        } else {
            None
        };
        if let Some(index) = counts
            && let Some(station) = self.station_mut(member)
        {
            station.last_rx = Some(now);
            station.heard[index] = Some(now);
        }
    }

    /// Gives a verdict on every member (`bond_ab_arp_inspect`, `bond_loadbalance_arp_mon`); says whether one is another.
    pub fn judge(&mut self, now: Duration) -> bool {
        let (period, missed) = (self.options.period(), u32::from(self.options.missed_max));
        // Nobody was asked in time, so silence says nothing.
        if now > self.next.saturating_add(period / 2) {
            let alive = self.stations.iter_mut().filter(|station| station.alive && station.has_carrier());
            alive.for_each(|station| station.since = Some(now));
        }
        let mut changed = false;
        for index in 0..self.stations.len() {
            let station = &self.stations[index];
            // Without carrier there is nothing to be heard.
            if !station.has_carrier() {
                continue;
            }
            let is_active = self.is_active(station.id);
            let last_rx =
                if self.one_speaks && self.options.all_targets && self.options.validate.checks(is_active) {
                    station.oldest()
                } else {
                    station.last_rx
                };
            let heard = |intervals| last_rx.is_some_and(|at| within(now, at, period, intervals));
            let asked = |intervals| station.last_tx.is_some_and(|at| within(now, at, period, intervals));
            let fresh = |intervals| station.since.is_some_and(|at| within(now, at, period, intervals));
            let alive = match (station.alive, self.one_speaks) {
                (false, false) => asked(1) && heard(1),
                (true, false) => fresh(missed) || (asked(missed) && heard(missed)),
                (false, true) => heard(1),
                (true, true) if station.made_active.is_some_and(|at| within(now, at, period, 2)) => true,
                (true, true) if is_active => fresh(missed) || (asked(missed) && heard(missed)),
                // While members ask in turn there is nobody whose requests they could hear.
                (true, true) => self.candidate.is_some() || fresh(missed + 1) || heard(missed + 1),
            };
            if alive != station.alive {
                changed = true;
                let silent = last_rx.map(|at| now.saturating_sub(at));
                let (member, was_candidate) = (station.id, self.candidate.is_some());
                self.stations[index].alive = alive;
                // (`bond_ab_arp_commit`)
                if alive && was_candidate {
                    self.candidate = None;
                }
                self.events.push_back(Event::Verdict { member, alive, silent });
            }
        }
        self.judge_targets(now);
        changed
    }

    /// Asks all targets by the members whose turn it is, and says when to judge next. To be called after the bond has
    /// drawn its conclusions from [`Self::judge`].
    pub fn ask(&mut self, now: Duration) {
        self.next = now.saturating_add(self.options.period().max(SOON));
        if !self.one_speaks {
            let all: Vec<_> = (self.stations.iter()).filter(|s| s.has_carrier()).map(|s| s.id).collect();
            all.into_iter().for_each(|id| self.ask_by(now, id));
            return;
        }
        if self.active.is_none() {
            self.rotate(now);
        }
        if let Some(id) = self.active.or(self.candidate).filter(|id| self.asks(*id)) {
            self.ask_by(now, id);
        }
    }

    /// To be called when all members' frames have been counted.
    pub fn counted(&mut self, now: Duration) {
        self.next_count = now.saturating_add((self.options.period() / 4).max(SOON));
    }

    /// The next frame to be sent, from its destination address on, with its tag.
    pub fn poll_transmit(&mut self) -> Option<(MemberId, Vec<u8>)> {
        self.outbox.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next member after the last one that asked (`bond_ab_arp_probe`); after the first, if none has yet.
    fn rotate(&mut self, now: Duration) {
        let count = self.stations.len();
        let last = self.stations.iter().position(|s| Some(s.id) == self.candidate).unwrap_or(0);
        let turns = (1..=count).map(|step| (last + step) % count);
        let next = turns.map(|index| &self.stations[index]).find(|station| station.has_carrier());
        self.candidate = next.map(|station| station.id);
        if let Some(station) = self.candidate.and_then(|id| self.station_mut(id)) {
            station.made_active = Some(now);
        }
    }

    fn ask_by(&mut self, now: Duration, id: MemberId) {
        let Some(station) = self.stations.iter_mut().find(|station| station.id == id) else { return };
        let Some(mac) = station.mac.filter(|mac| mac.is_valid_source()) else { return };
        station.last_tx = Some(now);
        let (options, host, one) = (&self.options, &self.host, self.one_speaks);
        for target in &mut self.targets {
            target.since.get_or_insert(now);
            let frame = match target.address {
                IpAddr::V4(ip) => {
                    let sender = sender::four(options, host, one, mac, ip);
                    solicit::arp_request(sender.mac, sender.ip, ip).to_vec()
                }
                IpAddr::V6(ip) => {
                    let sender = sender::six(options, host, one, mac, ip);
                    solicit::neighbour_solicitation(sender.mac, sender.ip, ip).to_vec()
                }
            };
            self.outbox.push_back((id, tagged(frame, options.vlan)));
        }
    }

    /// The target that speaks to us by a member with this address.
    fn answered(&self, talk: &Talk, own: MacAddr) -> Option<usize> {
        let index = self.targets.iter().position(|target| target.address == talk.from)?;
        if talk.reply && !talk.to_mac.is_multicast() && !self.is_ours(talk.to_mac) {
            return None;
        }
        let to_us = match (self.sender_ip(talk.from, own), talk.to) {
            (_, IpAddr::V6(to)) if to == ALL_NODES => talk.reply,
            // To nobody: only an answer to what we asked from nobody.
            (IpAddr::V4(ours), to) if ours.is_unspecified() => talk.reply && to == IpAddr::V4(ours),
            (ours, to) => ours == to,
        };
        to_us.then_some(index)
    }

    /// The target that is asked for in a request of ours, come back from the switch.
    fn came_back(&self, talk: &Talk) -> Option<usize> {
        let speaker = self.station(self.active?)?.mac?;
        let ours =
            !talk.reply && self.is_ours(talk.from_mac) && talk.from == self.sender_ip(talk.to, speaker);
        self.targets.iter().position(|target| ours && target.address == talk.to)
    }

    /// Whom we are when we ask this target by a member with this address.
    fn sender_ip(&self, target: IpAddr, own: MacAddr) -> IpAddr {
        match target {
            IpAddr::V4(ip) => sender::four(&self.options, &self.host, self.one_speaks, own, ip).ip.into(),
            IpAddr::V6(ip) => sender::six(&self.options, &self.host, self.one_speaks, own, ip).ip.into(),
        }
    }

    fn is_ours(&self, mac: MacAddr) -> bool {
        self.host.mac == Some(mac) || self.stations.iter().any(|station| station.mac == Some(mac))
    }

    /// Whether a member is one that asks for the others, or one of many that all do (`bond_is_active_slave`).
    fn is_active(&self, id: MemberId) -> bool {
        !self.one_speaks || self.active == Some(id) || (self.active.is_none() && self.candidate == Some(id))
    }

    /// Whether the active member has shown a sign of life since it became active, so that what others hear of it says
    /// something about their links.
    fn hears_active(&self) -> bool {
        let station = self.active.and_then(|id| self.station(id));
        station.is_some_and(|station| station.last_rx > station.made_active && station.last_rx.is_some())
    }

    fn candidate_asks(&self, now: Duration) -> bool {
        let station = self.candidate.and_then(|id| self.station(id));
        let asked = station.and_then(|station| station.last_tx);
        asked.is_some_and(|at| within(now, at, self.options.period(), 1))
    }

    fn judge_targets(&mut self, now: Duration) {
        // One interval more than the active member has, in which the next one asks.
        let (period, missed) = (self.options.period(), u32::from(self.options.missed_max));
        let asked = |station: &Station| station.last_tx.is_some_and(|at| within(now, at, period, 1));
        if !self.stations.iter().any(asked) {
            return;
        }
        for target in &mut self.targets {
            let Some(last) = target.heard.max(target.since) else { continue };
            let answers =
                within(now, last, period, missed + 1) && (target.answers || target.heard == Some(last));
            if answers != target.answers {
                target.answers = answers;
                self.events.push_back(Event::Target { target: target.address, answers });
            }
        }
    }

    fn station(&self, id: MemberId) -> Option<&Station> {
        self.stations.iter().find(|station| station.id == id)
    }

    fn station_mut(&mut self, id: MemberId) -> Option<&mut Station> {
        self.stations.iter_mut().find(|station| station.id == id)
    }
}

/// The shortest time between two looks.
const SOON: Duration = Duration::from_millis(1);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The frame with the tag of a VLAN behind its addresses; without one if that is 0.
fn tagged(mut frame: Vec<u8>, vlan: u16) -> Vec<u8> {
    if vlan != 0 {
        let [a, b] = TPID_8021Q.to_be_bytes();
        let [c, d] = vlan.to_be_bytes();
        frame.splice(12..12, [a, b, c, d]);
    }
    frame
}
