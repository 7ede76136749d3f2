//! What Open vSwitch says of a bond with LACP.

use anyhow::{Context as _, Result};

use super::Ovs;

/// `lacp/show` and `bond/show` of one bond together.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LacpView {
    /// A partner is known.
    pub negotiated: bool,
    /// Sorted by name.
    pub members: Vec<LacpMember>,
}

/// One member in [`LacpView`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LacpMember {
    /// Its device.
    pub name: String,
    /// `current`, `expired` or `defaulted`.
    pub receive: String,
    /// It is in the bundle.
    pub attached: bool,
    /// The bond uses it.
    pub enabled: bool,
    /// Words like `activity`.
    pub actor_state: String,
    /// The same of the partner.
    pub partner_state: String,
    /// Address of the partner's system.
    pub partner_system: String,
}

impl LacpView {
    /// All of so many members are current, attached and enabled, and the partner collects and distributes.
    pub fn whole(&self, members: usize) -> bool {
        self.negotiated && self.members.len() == members && self.members.iter().all(LacpMember::carries)
    }

    /// The member of this name.
    pub fn member(&self, name: &str) -> Option<&LacpMember> {
        self.members.iter().find(|member| member.name == name)
    }
}

impl LacpMember {
    /// Both sides use it.
    pub fn carries(&self) -> bool {
        self.receive == "current"
            && self.attached
            && self.enabled
            && self.partner_state.contains("synchronized collecting distributing")
    }
}

impl Ovs {
    /// What it says of a bond's LACP.
    pub fn lacp(&self, bond: &str) -> Result<LacpView> {
        let lacp = self.appctl(&format!("lacp/show {bond}"))?;
        let shown = self.appctl(&format!("bond/show {bond}"))?;
        parse(&lacp, &shown).with_context(|| format!("unexpected answers of Open vSwitch:\n{lacp}\n{shown}"))
    }

    /// How often each member's partner has fallen silent, and then been given up, as `lacp/show-stats` counts:
    /// `(member, expired, defaulted)`.
    pub fn silences(&self, bond: &str) -> Result<Vec<(String, u64, u64)>> {
        let text = self.appctl(&format!("lacp/show-stats {bond}"))?;
        let mut found: Vec<(String, u64, u64)> = Vec::new();
        for line in text.lines() {
            let Some((key, value)) = line.split_once(": ") else { continue };
            match (key.trim(), found.last_mut()) {
                ("member", _) => found.push((value.trim_end_matches(':').to_owned(), 0, 0)),
                ("Link Expired", Some(last)) => last.1 = value.trim().parse()?,
                ("Link Defaulted", Some(last)) => last.2 = value.trim().parse()?,
                _ => {}
            }
        }
        Ok(found)
    }
}

fn parse(lacp: &str, bond: &str) -> Option<LacpView> {
    let status = lacp.lines().find_map(|line| line.trim().strip_prefix("status: "))?;
    let mut members: Vec<LacpMember> = Vec::new();
    for line in lacp.lines() {
        if let Some(rest) = line.strip_prefix("member: ") {
            let (name, state) = rest.split_once(": ")?;
            let (receive, attached) = state.trim().split_once(' ')?;
            let enabled = bond.lines().any(|line| line == format!("member {name}: enabled"));
            members.push(LacpMember {
                name: name.to_owned(),
                receive: receive.to_owned(),
                attached: attached == "attached",
                enabled,
                ..LacpMember::default()
            });
        }
        let (Some((key, value)), Some(member)) = (line.trim().split_once(": "), members.last_mut()) else {
            continue;
        };
        let value = value.trim().to_owned();
        match key {
            "actor state" => member.actor_state = value,
            "partner state" => member.partner_state = value,
            "partner sys_id" => member.partner_system = value,
            _ => {}
        }
    }
    Some(LacpView { negotiated: status.contains("negotiated"), members })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_answers_are_read() {
        let lacp = "---- bond0 ----\n  status: active negotiated\n  sys_id: 02:00:00:00:00:01\n\n\
            member: p1: current attached\n  port_id: 1\n  may_enable: true\n\n  actor sys_id: 02:00:00:00:00:01\n  \
            actor state: activity aggregation\n\n  partner sys_id: 02:00:00:00:00:02\n  \
            partner state: activity aggregation synchronized collecting distributing\n\n\
            member: p2: defaulted detached\n  actor state: activity defaulted\n  partner state: \n";
        let bond = "member p1: enabled\n  may_enable: true\n\nmember p2: disabled\n";
        let view = parse(lacp, bond).unwrap();
        assert!(view.negotiated && view.members.len() == 2, "{view:?}");
        let p1 = view.member("p1").unwrap();
        assert!(p1.carries() && p1.partner_system == "02:00:00:00:00:02", "{p1:?}");
        let p2 = view.member("p2").unwrap();
        assert!(!p2.carries() && p2.receive == "defaulted" && !p2.attached && !p2.enabled, "{p2:?}");
        assert!(!view.whole(2) && parse("nothing", "").is_none());
    }
}
