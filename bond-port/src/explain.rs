//! Why each member does or does not carry traffic, in plain words.

mod ad;
mod probes;
mod receive;

use core::time::Duration;

use forwarding::flow_hash::HashPolicy;
use forwarding::ids::DeviceId;
use forwarding::mac::MacAddr;
use forwarding::tables::{Admission, TransmitPlan};

use crate::bond::Bond;
use crate::member::Member;
use crate::monitor::LinkState;
use crate::options::PrimaryReselect;
use crate::status::{BondStatus, MemberStatus};

/// What `bond/explain` prints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// Whether the bond can send, by what, and if not why.
    pub summary: String,
    /// For each member, in the order in which they joined: its name and sentences, the most important first.
    pub members: Vec<(String, Vec<String>)>,
}

impl Bond {
    /// Explains the present state.
    pub fn explain(&self, now: Duration) -> Explanation {
        let status = self.status(now);
        if let Some(lacp) = self.lacp() {
            return self.explain_ad(&status, &lacp.explain(now));
        }
        let members = status.members.iter();
        let members =
            members.map(|member| (member.name.clone(), self.explain_member(&status, member))).collect();
        Explanation { summary: self.summary(&status) + &probes::targets(&status), members }
    }

    /// Two members with one address, if this one is among them, or a guest that has its address: the network can't tell them
    /// apart. For the log, and part of [`Self::explain`].
    pub fn address_problem(&self, member: &str) -> Option<String> {
        if let Some(taken) = self.member(member).and_then(taken) {
            return Some(taken);
        }
        let mac = |member: &Member| member.device().and(member.mac()).filter(|mac| mac.is_valid_source());
        let own = self.member(member).and_then(mac)?;
        let other = self.members().iter().find(|other| other.name() != member && mac(other) == Some(own))?;
        Some(same_address(other.name(), member, own))
    }

    fn summary(&self, status: &BondStatus) -> String {
        let (name, mode, members) = (&status.name, status.mode, &status.members);
        let sends = |member: &&MemberStatus| member.buckets.is_some_and(|buckets| buckets > 0);
        match self.plan() {
            TransmitPlan::One(_) => format!(
                "{name} ({mode}) has carrier: {} carries all frames, for {}{}; members: {}",
                status.active.as_deref().unwrap_or("none"),
                span(status.active_age.unwrap_or_default()),
                cause(status),
                members.len(),
            ),
            TransmitPlan::Buckets { hash, table, .. } => {
                let way = self.way(*hash, table.len());
                let sending = members.iter().filter(sends).count();
                format!(
                    "{name} ({mode}) has carrier: {sending} of {} members send, picked by {way}",
                    members.len()
                )
            }
            TransmitPlan::Balanced { hash, table, .. } => {
                let way = self.way(*hash, table.len());
                let sending = members.iter().filter(sends).count();
                let comes_in = match self.receive() {
                    Some(_) => "and everything comes in that is not sent to another member's address,",
                    None => "and everything comes in,",
                };
                format!(
                    "{name} ({mode}) has carrier: IP between stations leaves by {sending} of {} members, picked by \
                     {way}; everything else leaves, {comes_in} by {}, active for {}{}",
                    members.len(),
                    status.active.as_deref().unwrap_or("none"),
                    span(status.active_age.unwrap_or_default()),
                    cause(status),
                )
            }
            TransmitPlan::RoundRobin { members: senders, per_member, .. } => {
                let way = match per_member {
                    0 => "picked by lot for each frame".to_owned(),
                    1 => "a frame each in turn".to_owned(),
                    frames => format!("{frames} frames each in turn"),
                };
                let (sending, all) = (senders.len(), members.len());
                format!("{name} ({mode}) has carrier: {sending} of {all} members send, {way}")
            }
            TransmitPlan::All { members: senders } => {
                let (sending, all) = (senders.len(), members.len());
                format!(
                    "{name} ({mode}) has carrier: {sending} of {all} members send, each a copy of every frame"
                )
            }
            TransmitPlan::Drop(_) if members.is_empty() => {
                format!("{name} ({mode}) has no carrier: it has no members; every frame to it is dropped")
            }
            TransmitPlan::Drop(_) => {
                let why: Vec<_> =
                    members.iter().map(|member| format!("{}: {}", member.name, unusable(member))).collect();
                format!(
                    "{name} ({mode}) has no carrier: no member is usable, every frame to it is dropped ({})",
                    why.join("; ")
                )
            }
        }
    }

    /// How a member is picked from a table of this length.
    fn way(&self, hash: HashPolicy, length: usize) -> String {
        match self.options().buckets() {
            0 => format!("{} modulo {length}", described(hash)),
            buckets => format!("{} and a table of {buckets} buckets", described(hash)),
        }
    }

    fn explain_member(&self, status: &BondStatus, member: &MemberStatus) -> Vec<String> {
        let mut lines = vec![self.sending(status, member)];
        lines.extend(link(status, member));
        lines.extend(self.probing(status, member));
        lines.extend(self.received(member));
        lines.extend(self.primary(status, member));
        lines.extend(prio(status, member));
        lines.extend(self.address_problem(&member.name));
        lines
    }

    /// Whether frames leave by it, and why.
    fn sending(&self, status: &BondStatus, member: &MemberStatus) -> String {
        let active = status.active.as_deref();
        if let Some(share) = self.share(member).or_else(|| self.balanced(status, member)) {
            return share;
        }
        match (member.buckets, status.buckets) {
            (None, _) if member.active => format!(
                "sends all frames: it is the active member, for {}{}",
                span(status.active_age.unwrap_or_default()),
                cause(status)
            ),
            (Some(held), Some(all)) if held > 0 => holds(held, all),
            _ if member.disabled => disabled(status, member),
            _ if !member.enabled || member.link != LinkState::Up => {
                format!("sends nothing: {}", unusable(member))
            }
            (Some(_), _) => "sends nothing: it holds no bucket".to_owned(),
            (None, _) => {
                format!("sends nothing: it stands by while {} is active", active.unwrap_or("another member"))
            }
        }
    }

    /// What a member sends where one is home to the guests' addresses.
    fn balanced(&self, status: &BondStatus, member: &MemberStatus) -> Option<String> {
        let TransmitPlan::Balanced { .. } = self.plan() else { return None };
        let share = member.buckets.zip(status.buckets).filter(|(held, _)| *held > 0);
        let ip = share.map(|(held, all)| format!("{} for IP between stations", holds(held, all)));
        match (ip, member.active) {
            (ip, true) => Some(format!(
                "{}; and all other frames: it is the active member, for {}{}",
                ip.unwrap_or_else(|| "sends: it holds no bucket".to_owned()),
                span(status.active_age.unwrap_or_default()),
                cause(status)
            )),
            (Some(ip), false) => {
                let own = self.member(&member.name).and_then(|member| member.mac());
                let own = own.map_or(String::new(), |mac| format!(" {mac}"));
                Some(format!("{ip}; they leave with its own address{own} for the source"))
            }
            (None, false) => None,
        }
    }

    /// What a member sends that takes turns, or sends copies.
    fn share(&self, member: &MemberStatus) -> Option<String> {
        let takes_part = |members: &[DeviceId]| member.device.is_some_and(|it| members.contains(&it));
        match self.plan() {
            TransmitPlan::RoundRobin { members, .. } if takes_part(members) => {
                let (count, percent) = (members.len(), 100.0 / members.len() as f64);
                Some(format!(
                    "sends: it is one of {count} members that share all frames ({percent:.1} % each)"
                ))
            }
            TransmitPlan::All { members } if takes_part(members) => {
                Some("sends a copy of every frame".to_owned())
            }
            _ => None,
        }
    }

    /// Whether it is the primary, and if so why that does not show.
    fn primary(&self, status: &BondStatus, member: &MemberStatus) -> Option<String> {
        let options = self.options();
        let is_primary = options.primary.as_deref() == Some(&*member.name);
        if !status.mode.has_active_member() || !is_primary {
            return None;
        }
        let reselect = options.primary_reselect.name();
        let mut text = format!("is the primary (primary_reselect={reselect})");
        if member.enabled && member.link == LinkState::Up && !member.active {
            let other = status.active.as_deref().unwrap_or("another");
            text += &match (options.primary_reselect, status.active_cause) {
                (PrimaryReselect::Failure, _) => {
                    format!(": it takes over when {other} fails or \"primary\" is set again")
                }
                (PrimaryReselect::Better, _) => {
                    format!(": it takes over when it comes up faster than {other}, or {other} fails")
                }
                (PrimaryReselect::Always, _) => {
                    format!(": {other} was preferred by hand or by a restart until the primary comes up anew")
                }
            };
        }
        Some(text)
    }
}

/// What is to be told of two members with the same address.
pub fn same_address(one: &str, other: &str, mac: MacAddr) -> String {
    format!(
        "{other} has the same address as {one}, {mac}, so that what each sends for itself (LACP, ARP and ND probes, \
         learning frames) looks like one station on two links; give it its own (ip link set {other} address ...), or \
         take one out if both lead through the same card"
    )
}

/// What is to be told of a member whose address a guest has too.
fn taken(member: &Member) -> Option<String> {
    let (port, mac, name) = (member.taken_by()?, member.mac()?, member.name());
    Some(format!(
        "{name} has the same address as a guest on {port}, {mac}: it carries frames as the active member only, and nobody is \
         told to send to it; give it, or the guest, another (ip link set {name} address ...)"
    ))
}

/// A hash, in words.
fn described(policy: HashPolicy) -> String {
    match policy {
        HashPolicy::Offload => {
            "the flow hash that a frame brings along, or else the layer3+4 hash".to_owned()
        }
        HashPolicy::Slb => "the hash of source address and VLAN".to_owned(),
        policy => format!("the {} hash", policy.name()),
    }
}

fn holds(held: usize, all: usize) -> String {
    let percent = held as f64 * 100.0 / all as f64;
    format!("sends: it holds {held} of {all} buckets ({percent:.1} %)")
}

fn disabled(status: &BondStatus, member: &MemberStatus) -> String {
    format!(
        "sends nothing: it is disabled by hand; \"vsctl bond/enable-member {} {}\" brings it back",
        status.name, member.name
    )
}

/// Why the active member is the active one.
fn cause(status: &BondStatus) -> String {
    status.active_cause.map_or(String::new(), |cause| format!(" (reason: {cause})"))
}

/// Why it can't be sent by.
fn unusable(member: &MemberStatus) -> String {
    let age = span(member.link_age);
    match (member.device, member.link) {
        (None, _) => format!("there is no such device (for {age}); it is taken in when it appears"),
        _ if member.disabled => "it is disabled by hand".to_owned(),
        (Some(_), LinkState::Down) => {
            probes::out_of_use(member).unwrap_or_else(|| format!("its link is down for {age}"))
        }
        (Some(_), LinkState::GoingBack) => {
            format!("its link is up for {age}, updelay runs, {} left", left(member))
        }
        (Some(_), LinkState::GoingDown) => {
            format!("its link is lost for {age}, downdelay runs, {} left", left(member))
        }
        (Some(_), LinkState::Up) => "it is not picked".to_owned(),
    }
}

/// The link, where the first sentence does not tell.
fn link(status: &BondStatus, member: &MemberStatus) -> Option<String> {
    let age = span(member.link_age);
    let failures = match member.link_failure_count {
        0 => "never failed".to_owned(),
        1 => "failed once".to_owned(),
        times => format!("failed {times} times"),
    };
    match member.link {
        LinkState::Up => {
            let speed = member.speed_mbps.map_or(String::new(), |speed| format!(" at {speed} Mbps"));
            Some(format!("link is up{speed} for {age}, {failures}"))
        }
        LinkState::GoingDown if member.active => Some(format!(
            "link is lost for {age}; it stays in use until downdelay ({}) ends, {} left",
            span(status.downdelay),
            left(member)
        )),
        _ if member.disabled && member.device.is_some() => Some(format!("link is {} for {age}", member.link)),
        _ => None,
    }
}

/// Its preference, if members differ in that.
fn prio(status: &BondStatus, member: &MemberStatus) -> Option<String> {
    let differ = status.members.iter().any(|other| other.prio != member.prio);
    let active = status.members.iter().find(|other| other.active && other.name != member.name);
    let than = active.map_or(String::new(), |other| format!(" ({} has {})", other.name, other.prio));
    (status.mode.has_active_member() && differ).then(|| format!("has prio {}{than}", member.prio))
}

fn receiving(member: &MemberStatus) -> String {
    match member.admission {
        Admission::All => "receives every frame",
        Admission::AllButReflected => {
            "receives every frame but those of our own guests that the switch sends back"
        }
        Admission::Grace => {
            "receives frames for known guests only, for a moment: it was the active member until just now"
        }
        Admission::Buckets { own, lately, groups } => {
            let mut text = match groups {
                true => "is the active member: receives broadcasts and multicasts, and",
                false => "receives",
            }
            .to_owned();
            text += &format!(" unicast frames to the addresses of its {} buckets", own.len());
            if !lately.is_empty() {
                text += &format!(" and, for a moment, of {} that it had until just now", lately.len());
            }
            return text + "; not those of our own guests that the switch sends back";
        }
        Admission::Nothing => "receives nothing: what arrives is dropped as inactive_member",
    }
    .to_owned()
}

fn left(member: &MemberStatus) -> String {
    span(member.delay_left.unwrap_or_default())
}

/// A time for people: `350 ms`, `3.2 s`.
fn span(time: Duration) -> String {
    match time.as_millis() {
        ms @ 0..1000 => format!("{ms} ms"),
        ms => format!("{}.{} s", ms / 1000, ms % 1000 / 100),
    }
}
