//! The configuration as a tree.

use super::line;
use crate::transaction::reply::{PortKind, ShowBridge, ShowPort, ShowReply};

pub(super) fn show_text(out: &mut String, show: &ShowReply) {
    line(out, "vswitch");
    show.bridges.iter().for_each(|bridge| show_bridge(out, bridge));
    line(out, format_args!("    version: {:?}", show.version));
}

fn show_bridge(out: &mut String, bridge: &ShowBridge) {
    line(out, format_args!("    Bridge {}", bridge.name));
    if let Some(carrier) = &bridge.carrier {
        line(out, format_args!("        carrier: {carrier}"));
    }
    for port in &bridge.ports {
        show_port(out, port);
    }
}

fn show_port(out: &mut String, port: &ShowPort) {
    line(out, format_args!("        Port {}", port.name));
    if !matches!(port.vlan_mode.as_str(), "access" | "trunk") {
        line(out, format_args!("            vlan_mode: {}", port.vlan_mode));
    }
    if let Some(tag) = port.tag {
        line(out, format_args!("            tag: {tag}"));
    }
    for (name, vlans) in [("trunks", &port.trunks), ("cvlans", &port.cvlans)] {
        if !vlans.is_empty() {
            let vlans: Vec<_> = vlans.iter().map(u16::to_string).collect();
            line(out, format_args!("            {name}: [{}]", vlans.join(", ")));
        }
    }
    for (name, value) in &port.options {
        line(out, format_args!("            {name}: {value}"));
    }
    for interface in &port.interfaces {
        line(out, format_args!("            Interface {}", interface.name));
        if port.kind == PortKind::Internal {
            line(out, "                type: internal");
        }
        if let Some(error) = &interface.error {
            line(out, format_args!("                error: {error:?}"));
        }
    }
}
