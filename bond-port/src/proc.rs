//! The text that the Linux driver shows as `/proc/net/bonding/<bond>`, for tools that read it.

mod ad;

use core::fmt::Write;

use forwarding::flow_hash::HashPolicy;
use forwarding::mac::MacAddr;

use crate::bond::Bond;
use crate::member::Member;
use crate::mode::Mode;
use crate::options::{BondOptions, FailOverMac};

impl Bond {
    /// The bond in the format of `/proc/net/bonding` (Linux: `bond_info_show_master`, `bond_info_show_slave`).
    /// `release` is the kernel's, as `uname -r` prints it.
    ///
    /// Where Linux has nothing alike: the hash policy `offload` is shown as layer3+4, which it falls back to; delays are
    /// those in force, also while `miimon` is 0; a member whose device is not there is down, with its last known address
    /// or zeros; one disabled by hand shows its link. In 802.3ad root sees more than others on Linux; this is what root
    /// sees. A churn state is what the standard says, while Linux says `monitoring` for a minute and then decides.
    /// balance-slb, which Linux doesn't have, has a name of its own and the hash policy that is most like it.
    pub fn proc_text(&self, release: &str) -> String {
        let mut text = String::new();
        // Writing to a string can't fail.
        let _ = self.write_bond(&mut text, release);
        for member in self.members() {
            let _ = write_member(&mut text, member);
            let _ = self.port_of(member).map_or(Ok(()), |port| ad::write_port(&mut text, &port));
        }
        text
    }

    fn write_bond(&self, out: &mut String, release: &str) -> core::fmt::Result {
        let options = self.options();
        writeln!(out, "Ethernet Channel Bonding Driver: v{release}\n")?;
        writeln!(out, "Bonding Mode: {}{}", long_name(options.mode), fail_over_mac(options))?;
        if matches!(options.mode, Mode::BalanceXor | Mode::Ieee8023ad) {
            let (name, number) = options.linux_xmit_hash_policy();
            writeln!(out, "Transmit Hash Policy: {name} ({number})")?;
        }
        if options.mode == Mode::BalanceSlb {
            // The nearest that Linux's readers know.
            writeln!(out, "Transmit Hash Policy: {} (5)", HashPolicy::VlanSrcMac.name())?;
        }
        if options.mode.has_active_member() {
            match options.primary.as_deref().filter(|primary| self.member(primary).is_some()) {
                Some(primary) => {
                    let reselect = options.primary_reselect.name();
                    writeln!(out, "Primary Slave: {primary} (primary_reselect {reselect})")?;
                }
                None => writeln!(out, "Primary Slave: None")?,
            }
            writeln!(out, "Currently Active Slave: {}", self.active().unwrap_or("None"))?;
        }
        writeln!(out, "MII Status: {}", if self.carrier() { "up" } else { "down" })?;
        writeln!(out, "MII Polling Interval (ms): {}", options.miimon)?;
        writeln!(out, "Up Delay (ms): {}", options.updelay().as_millis())?;
        writeln!(out, "Down Delay (ms): {}", options.downdelay().as_millis())?;
        writeln!(out, "Peer Notification Delay (ms): {}", options.peer_notif_delay_set().as_millis())?;
        if options.probes() {
            let probe = &options.probe;
            let list = |v6| {
                let targets = probe.targets().filter(|target| target.is_ipv6() == v6);
                targets.map(|target| format!(" {target}")).collect::<Vec<_>>().join(",")
            };
            writeln!(out, "ARP Polling Interval (ms): {}", probe.interval)?;
            writeln!(out, "ARP Missed Max: {}", probe.missed_max)?;
            writeln!(out, "ARP IP target/s (n.n.n.n form):{}", list(false))?;
            writeln!(out, "NS IPv6 target/s (xx::xx form):{}", list(true))?;
        }
        self.lacp().map_or(Ok(()), |lacp| ad::write_bond(out, self.name(), &options.lacp, lacp))
    }
}

fn write_member(out: &mut String, member: &Member) -> core::fmt::Result {
    writeln!(out, "\nSlave Interface: {}", member.name())?;
    writeln!(out, "MII Status: {}", member.link())?;
    match member.speed_mbps() {
        Some(speed) => writeln!(out, "Speed: {speed} Mbps")?,
        None => writeln!(out, "Speed: Unknown")?,
    }
    let duplex = match member.full_duplex() {
        Some(true) => "full",
        Some(false) => "half",
        None => "Unknown",
    };
    writeln!(out, "Duplex: {duplex}")?;
    writeln!(out, "Link Failure Count: {}", member.link_failure_count())?;
    writeln!(out, "Permanent HW addr: {}", member.mac().unwrap_or(MacAddr::ZERO))?;
    writeln!(out, "Slave queue ID: 0")
}

/// Linux: `bond_mode_name`.
fn long_name(mode: Mode) -> &'static str {
    match mode {
        Mode::BalanceRr => "load balancing (round-robin)",
        Mode::ActiveBackup => "fault-tolerance (active-backup)",
        Mode::BalanceXor => "load balancing (xor)",
        Mode::Broadcast => "fault-tolerance (broadcast)",
        Mode::Ieee8023ad => "IEEE 802.3ad Dynamic link aggregation",
        Mode::BalanceTlb => "transmit load balancing",
        Mode::BalanceAlb => "adaptive load balancing",
        Mode::BalanceSlb => "source load balancing (balance-slb)",
    }
}

fn fail_over_mac(options: &BondOptions) -> String {
    match options.fail_over_mac {
        policy if policy == FailOverMac::None || options.mode != Mode::ActiveBackup => String::new(),
        policy => format!(" (fail_over_mac {})", policy.name()),
    }
}
