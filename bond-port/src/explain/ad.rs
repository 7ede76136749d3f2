//! The same in mode 802.3ad, where LACP decides.

use forwarding::tables::TransmitPlan;
use lacp::lacpdu::{Address, State};
use lacp::receive::State as Receive;
use lacp::{NoCarrier, PortExplanation, PortId, PortReason, PortStatus, churn};

use super::{Explanation, disabled, holds, link, receiving, span, unusable};
use crate::bond::Bond;
use crate::member::Member;
use crate::monitor::LinkState;
use crate::status::{BondStatus, MemberStatus};

impl Bond {
    /// What is wrong with the speed or duplex that a member reports, in a mode that needs to know them; `None` while its
    /// link is down. For the log, and part of [`Bond::explain`].
    pub fn link_problem(&self, member: &str) -> Option<String> {
        let member = self.member(member).filter(|member| member.is_up())?;
        self.lacp()?;
        let (name, mode) = (member.name(), self.options().mode);
        match (member.speed_mbps(), member.full_duplex()) {
            (_, Some(false)) => Some(format!(
                "{name} is half duplex, and in {mode} LACP is not spoken on such a link, so it can't be aggregated; set \
                 full duplex here and at the other end (ethtool -s {name} duplex full)"
            )),
            (None, _) => Some(format!(
                "{name} reports no speed, and in {mode} only members of the same speed are aggregated: it goes with \
                 others of unknown speed only; set the speed (ethtool -s {name} speed 10000 duplex full) or the same \
                 lacp_aggregation_key for all members"
            )),
            _ => None,
        }
    }

    pub(super) fn explain_ad(&self, status: &BondStatus, lacp: &lacp::Explanation) -> Explanation {
        let explain = |member: &Member| {
            let status_of = status.members.iter().find(|known| known.name == member.name);
            let port = lacp.ports.iter().find(|port| port.port == PortId(member.id.0));
            let lines = match (status_of, port) {
                (Some(known), Some(port)) => self.explain_port(status, member, known, lacp, port),
                // Never: the mode knows every member.
                _ => vec!["sends nothing: LACP does not know it".to_owned()],
            };
            (member.name.clone(), lines)
        };
        Explanation {
            summary: self.ad_summary(status, lacp),
            members: self.members().iter().map(explain).collect(),
        }
    }

    fn ad_summary(&self, status: &BondStatus, lacp: &lacp::Explanation) -> String {
        let (name, mode, members) = (&status.name, status.mode, &status.members);
        if let TransmitPlan::Buckets { hash, table, .. } = self.plan() {
            let sends = |member: &&MemberStatus| member.buckets.is_some_and(|buckets| buckets > 0);
            let sending: Vec<_> = members.iter().filter(sends).collect();
            let fallback = |port: &&PortExplanation| port.reason == PortReason::Fallback;
            if lacp.ports.iter().any(|port| fallback(&port)) {
                let carries: Vec<_> = sending.iter().map(|member| member.name.as_str()).collect();
                return format!(
                    "{name} ({mode}) has carrier without LACP: no partner is heard on any member, so {} alone carries \
                     all frames (lacp_strict=on would forbid it); members: {}",
                    carries.join(", "),
                    members.len()
                );
            }
            let way = self.way(*hash, table.len());
            let (sending, all) = (sending.len(), members.len());
            let mut text =
                format!("{name} ({mode}) has carrier: {sending} of {all} members send, picked by {way}");
            if let Some((id, reason)) = lacp.active {
                text += &format!("; aggregator {} is in use: {reason}", id.0);
            }
            return text;
        }
        match lacp.no_carrier {
            None | Some(NoCarrier::NoPorts) => {
                format!("{name} ({mode}) has no carrier: it has no members; every frame to it is dropped")
            }
            Some(why) => {
                let reasons = members.iter().zip(self.members()).map(|(member, known)| {
                    let port = lacp.ports.iter().find(|port| port.port == PortId(known.id.0));
                    let why = port.map_or_else(String::new, |port| not_sending(status, member, port));
                    format!("{}: {why}", member.name)
                });
                let reasons: Vec<_> = reasons.collect();
                format!(
                    "{name} ({mode}) has no carrier: {why}; every frame to it is dropped ({})",
                    reasons.join("; ")
                )
            }
        }
    }

    fn explain_port(
        &self,
        status: &BondStatus,
        known: &Member,
        member: &MemberStatus,
        lacp: &lacp::Explanation,
        explained: &PortExplanation,
    ) -> Vec<String> {
        let mut lines = vec![sending(status, member, lacp, explained)];
        lines.extend(link(status, member));
        lines.push(receiving(member));
        lines.extend(self.link_problem(&member.name));
        lines.extend(self.address_problem(&member.name));
        let Some(port) = self.port_of(known).filter(|port| port.link.up) else { return lines };
        lines.push(heard(&port, explained));
        if port.receive == Receive::Current && !explained.mismatches.is_empty() {
            let fields: Vec<_> = explained.mismatches.iter().map(ToString::to_string).collect();
            lines.push(format!(
                "the partner's last LACPDU does not tell this port as it is now: {}",
                fields.join(", ")
            ));
        }
        lines.extend(self.aggregator(lacp, &port));
        for (side, state) in [("this side", port.actor_churn), ("the partner", port.partner_churn)] {
            if state == churn::State::Churn {
                lines.push(format!("{side} has not come into sync for more than 60 s (churn)"));
            }
        }
        lines
    }

    /// Which aggregator it is in, if the bond uses another.
    fn aggregator(&self, lacp: &lacp::Explanation, port: &PortStatus) -> Option<String> {
        let (active, reason) = lacp.active?;
        (port.aggregator != active).then(|| {
            format!(
                "belongs to aggregator {}, while the bond uses aggregator {}: {reason}",
                port.aggregator.0, active.0
            )
        })
    }
}

/// Whether frames leave by it, and why.
fn sending(
    status: &BondStatus,
    member: &MemberStatus,
    lacp: &lacp::Explanation,
    port: &PortExplanation,
) -> String {
    let reason = &port.reason;
    let usable = member.link.is_usable() && !member.disabled;
    match (member.buckets, status.buckets) {
        (Some(held), Some(all)) if held > 0 => match reason {
            PortReason::Fallback => {
                "sends all frames without LACP: no LACPDU is received on any member (lacp_strict=on forbids it)".to_owned()
            }
            PortReason::Unheard => format!("{}; but the partner does not say that it takes them", holds(held, all)),
            _ => holds(held, all),
        },
        _ if member.disabled => disabled(status, member),
        _ if usable && member.enabled => {
            let why = lacp.no_carrier.map_or_else(|| reason.to_string(), |why| format!("the bond has no carrier: {why}"));
            format!("sends nothing: {why}")
        }
        _ => format!("sends nothing: {}", not_sending(status, member, port)),
    }
}

/// Why LACP or its link keeps it from sending.
fn not_sending(status: &BondStatus, member: &MemberStatus, port: &PortExplanation) -> String {
    match port.reason {
        _ if member.disabled || member.device.is_none() => unusable(member),
        PortReason::LinkDown if member.link != LinkState::Up => unusable(member),
        PortReason::Distributing | PortReason::Unheard | PortReason::Fallback if !status.carrier => {
            "it is ready to carry frames".to_owned()
        }
        PortReason::Distributing | PortReason::Unheard | PortReason::Fallback => {
            "it has no bucket of the table yet".to_owned()
        }
        reason => reason.to_string(),
    }
}

/// Whom it hears.
fn heard(port: &PortStatus, explained: &PortExplanation) -> String {
    let age = explained.last_lacpdu.map(span);
    match (age, port.looped) {
        (_, true) => {
            "hears the bond's own LACPDUs, so it is kept out of use until 90 s after the last one".to_owned()
        }
        (Some(age), _) if port.actor.state.contains(State::DEFAULTED) => {
            format!("has heard no LACPDU for {age}; the partner is given up")
        }
        (Some(age), _) => {
            let partner = &port.partner;
            let (system, state) = (Address(partner.system), partner.state);
            format!(
                "last heard partner {system} (priority {}), key {}, port {} (priority {}), {age} ago; state: {state}",
                partner.system_priority, partner.key, partner.port, partner.port_priority
            )
        }
        (None, _) => "has heard no LACPDU since its link came up".to_owned(),
    }
}
