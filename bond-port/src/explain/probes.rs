//! What link probes and flap damping say.

use super::span;
use crate::bond::Bond;
use crate::probe::Validate;
use crate::status::{BondStatus, MemberStatus};

/// The targets that don't answer, behind the summary.
pub(super) fn targets(status: &BondStatus) -> String {
    let silent: Vec<String> = (status.targets.iter().filter(|target| !target.answers))
        .map(|target| match target.age {
            Some(age) => format!("{} for {}", target.target, span(age)),
            None => format!("{} never did", target.target),
        })
        .collect();
    match silent.len() {
        0 => String::new(),
        _ => format!("; of the targets of link probes these don't answer: {}", silent.join(", ")),
    }
}

/// Why a member is out of use that has carrier.
pub(super) fn out_of_use(member: &MemberStatus) -> Option<String> {
    if let Some(left) = member.held {
        return Some(format!(
            "its link keeps going down, so it is held out until that has been quiet ({} left; flap_limit)",
            span(left)
        ));
    }
    let probe = member.probe.filter(|probe| member.carrier && !probe.alive)?;
    Some(match probe.silent {
        Some(silent) => format!("carrier is there, but link probes have heard nothing for {}", span(silent)),
        None => "carrier is there, but link probes have heard nothing since".to_owned(),
    })
}

impl Bond {
    /// How a member is probed.
    pub(super) fn probing(&self, status: &BondStatus, member: &MemberStatus) -> Option<String> {
        let probe = member.probe.filter(|_| member.carrier)?;
        let options = &self.options().probe;
        let heard = match (probe.silent, probe.alive) {
            (Some(silent), _) => format!("last heard {} ago", span(silent)),
            (None, true) => "nothing heard yet".to_owned(),
            (None, false) => "nothing heard".to_owned(),
        };
        let mut how = if probe.asks {
            let targets: Vec<String> = status.targets.iter().map(|it| it.target.to_string()).collect();
            format!("link probes: asks {} every {} ms, {heard}", targets.join(", "), options.interval)
        } else {
            format!("link probes: listens, {heard}")
        };
        let checks = options.validate.checks(probe.asks);
        how += match (checks, probe.asks) {
            (true, true) => "; a target's answer counts",
            (true, false) => "; only the active member's requests, come back from the switch, count",
            (false, _) if options.validate.filters() => "; any ARP or neighbour discovery counts",
            (false, _) => "; any frame counts",
        };
        if !probe.alive && !probe.asks && checks {
            how += " (does the switch flood broadcasts to it, in the same VLAN?)";
        }
        if options.validate == Validate::None && probe.alive && status.targets.iter().all(|it| !it.answers) {
            how += ", although no target answers (arp_validate=active counts answers only)";
        }
        Some(how)
    }
}
