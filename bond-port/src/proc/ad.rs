//! What `/proc/net/bonding` has of mode 802.3ad, as root sees it.

use core::fmt::{Result, Write};

use lacp::lacpdu::Address;
use lacp::{Lacp, Options, PortInfo, PortStatus};

/// The bond's part, `802.3ad info`.
pub(super) fn write_bond(out: &mut String, name: &str, options: &Options, lacp: &Lacp) -> Result {
    writeln!(out, "\n802.3ad info")?;
    writeln!(out, "LACP active: {}", if options.lacp_active { "on" } else { "off" })?;
    writeln!(out, "LACP rate: {}", if options.lacp_rate.is_fast() { "fast" } else { "slow" })?;
    writeln!(out, "Min links: {}", options.min_links)?;
    writeln!(out, "Aggregator selection policy (ad_select): {}", options.ad_select.name())?;
    // Linux makes the System when the first member joins.
    let has_ports = lacp.ports().next().is_some();
    let (priority, address) = if has_ports { lacp.system() } else { (0, [0; 6]) };
    writeln!(out, "System priority: {priority}")?;
    writeln!(out, "System MAC address: {}", Address(address))?;
    let Some(active) = lacp.active() else { return writeln!(out, "bond {name} has no active aggregator") };
    writeln!(out, "Active Aggregator Info:")?;
    writeln!(out, "\tAggregator ID: {}", active.id.0)?;
    writeln!(out, "\tNumber of ports: {}", active.ports)?;
    writeln!(out, "\tActor Key: {}", active.actor_key)?;
    writeln!(out, "\tPartner Key: {}", active.partner_key)?;
    writeln!(out, "\tPartner Mac Address: {}", Address(active.partner_system))
}

/// A member's part.
pub(super) fn write_port(out: &mut String, port: &PortStatus) -> Result {
    writeln!(out, "Aggregator ID: {}", port.aggregator.0)?;
    writeln!(out, "Actor Churn State: {}", port.actor_churn.name())?;
    writeln!(out, "Partner Churn State: {}", port.partner_churn.name())?;
    writeln!(out, "Actor Churned Count: {}", port.stats.actor_churn)?;
    writeln!(out, "Partner Churned Count: {}", port.stats.partner_churn)?;
    writeln!(out, "details actor lacp pdu:")?;
    write_info(out, "port key", &port.actor)?;
    writeln!(out, "details partner lacp pdu:")?;
    write_info(out, "oper key", &port.partner)
}

fn write_info(out: &mut String, key: &str, info: &PortInfo) -> Result {
    writeln!(out, "    system priority: {}", info.system_priority)?;
    writeln!(out, "    system mac address: {}", Address(info.system))?;
    writeln!(out, "    {key}: {}", info.key)?;
    writeln!(out, "    port priority: {}", info.port_priority)?;
    writeln!(out, "    port number: {}", info.port)?;
    writeln!(out, "    port state: {}", info.state.0)
}
