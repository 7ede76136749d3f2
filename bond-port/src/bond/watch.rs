//! From what is known of a member's link to its state: carrier, the verdict of link probes, and flap damping.

use core::time::Duration;

use super::Bond;
use crate::balancer::Change;
use crate::event::BondEvent;
use crate::member::{Member, MemberId};
use crate::mode::Mode;
use crate::monitor::LinkState;
use crate::probe::{Device, Event, Host, Prober};

impl Bond {
    /// The link probes, if they are on.
    pub fn prober(&self) -> Option<&Prober> {
        self.prober.as_ref()
    }

    /// The bridge's internal port, from which probes may be sent.
    pub fn set_probe_host(&mut self, host: Host) {
        if let Some(prober) = &mut self.prober {
            prober.set_host(host.clone());
        }
        self.probe_host = host;
    }

    /// The internal port as last told.
    pub fn probe_host(&self) -> &Host {
        &self.probe_host
    }

    /// How many frames a member has received, of whatever kind ([`Prober::count`]).
    pub fn count_frames(&mut self, now: Duration, member: &str, frames: u64) {
        let Some(id) = self.member(member).map(Member::id) else { return };
        if let Some(prober) = &mut self.prober {
            prober.count(now, id, frames);
        }
    }

    /// Begins or ends to probe, as the options say.
    pub(super) fn set_up_prober(&mut self, now: Duration) {
        if !self.options.probes() {
            self.prober = None;
            return;
        }
        let one_speaks = self.options.mode == Mode::ActiveBackup;
        let options = self.options.probe.clone();
        match &mut self.prober {
            Some(prober) => prober.reconfigure(now, options, one_speaks),
            None => {
                let mut prober = Prober::new(now, options, one_speaks);
                prober.set_host(self.probe_host.clone());
                self.prober = Some(prober);
            }
        }
        self.sync_prober(now);
    }

    /// Tells the prober of the members as they are.
    pub(super) fn sync_prober(&mut self, now: Duration) {
        let Some(prober) = &mut self.prober else { return };
        let device = |member: &Member| Device {
            id: member.id,
            carrier: member.reported.then_some(member.carrier),
            mac: member.mac,
        };
        let devices: Vec<_> = self.members.iter().map(device).collect();
        prober.sync(now, &devices, self.active.id);
    }

    /// Lets the prober judge if it is time; says whether it was.
    pub(super) fn judge(&mut self, now: Duration) -> bool {
        let Some(prober) = &mut self.prober else { return false };
        if prober.next_deadline() <= now {
            prober.counted(now);
        }
        if !prober.is_due(now) {
            return false;
        }
        prober.judge(now);
        while let Some(event) = prober.poll_event() {
            match event {
                Event::Target { target, answers } => {
                    self.events.push_back(BondEvent::Target { target, answers });
                }
                Event::Verdict { member: id, alive, silent } => {
                    if let Some(member) = self.members.iter().find(|member| member.id == id) {
                        let member = member.name.clone();
                        self.events.push_back(BondEvent::Probed { member, alive, silent });
                    }
                }
            }
        }
        true
    }

    /// Brings all links into line with what is known, and ends delays whose time has come. Answers with the members that
    /// came up.
    pub(super) fn watch(&mut self, now: Duration) -> Vec<Change> {
        let before: Vec<bool> = self.members.iter().map(Member::is_up).collect();
        for index in 0..self.members.len() {
            self.watch_one(now, index);
        }
        // A link that flaps is better than none.
        if !self.members.iter().any(|member| member.is_usable() || member.link() == LinkState::GoingBack)
            && let Some(index) = self
                .members
                .iter()
                .position(|member| member.flaps.until().is_some() && member.signal && !member.disabled)
        {
            self.members[index].flaps.forget();
            let member = self.members[index].name.clone();
            self.events.push_back(BondEvent::Damped { member, held: None, needed: true });
            self.watch_one(now, index);
        }
        let came_up = |(member, before): (&Member, bool)| (member.is_up() && !before).then_some(member.id);
        self.members.iter().zip(before).filter_map(came_up).map(Change::Up).collect()
    }

    fn watch_one(&mut self, now: Duration, index: usize) {
        let delays = self.delays();
        let limit = self.options.flap_limit;
        let member = &mut self.members[index];
        let alive = self.prober.as_ref().is_none_or(|prober| prober.is_alive(member.id));
        let signal = member.carrier && alive;
        let fell = core::mem::replace(&mut member.signal, signal) && !signal;
        match limit {
            None => member.flaps.forget(),
            Some(limit) if fell => member.flaps.still_flaps(now, limit),
            Some(_) => {}
        }
        if member.flaps.handle_timeout(now) {
            let member = member.name.clone();
            self.events.push_back(BondEvent::Damped { member, held: None, needed: false });
        }
        let member = &mut self.members[index];
        member.monitor.report(now, signal && member.flaps.until().is_none(), delays);
        member.monitor.handle_timeout(now, delays);
        let failures = member.monitor.failures();
        let failed = core::mem::replace(&mut member.failures_seen, failures) < failures;
        if let Some(limit) = limit.filter(|_| failed)
            && member.flaps.went_down(now, limit)
        {
            let held = member.flaps.until().map(|until| until.saturating_sub(now));
            let member = member.name.clone();
            self.events.push_back(BondEvent::Damped { member, held, needed: false });
        }
    }

    /// Sends probes, after the mode has drawn its conclusions.
    pub(super) fn ask(&mut self, now: Duration) {
        self.sync_prober(now);
        if let Some(prober) = &mut self.prober {
            prober.ask(now);
        }
    }

    /// The next probe to be sent.
    pub(super) fn poll_probe(&mut self) -> Option<super::Transmit> {
        let prober = self.prober.as_mut()?;
        loop {
            let (id, frame) = prober.poll_transmit()?;
            let member = self.members.iter().find(|member| member.id == id);
            if let Some(device) = member.and_then(Member::device) {
                return Some(super::Transmit { device, frame });
            }
        }
    }

    /// Hands a frame to the prober.
    pub(super) fn probe_frame(&mut self, now: Duration, id: MemberId, frame: &[u8]) {
        if let Some(prober) = &mut self.prober {
            prober.handle_frame(now, id, frame);
        }
    }
}
