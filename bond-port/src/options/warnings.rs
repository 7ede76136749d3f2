//! Options that are taken and have no effect, in this mode or at all.

use core::time::Duration;

use forwarding::flow_hash::HashPolicy;

use super::{BondOptions, FailOverMac, PrimaryReselect};
use crate::mode::Mode;
use crate::probe::Validate;

impl BondOptions {
    /// What is accepted but not taken literally; for the user to read.
    pub fn warnings(&self) -> Vec<String> {
        let rounded = |name, asked: u32, used: Duration| {
            (Duration::from_millis(asked.into()) != used).then(|| {
                format!(
                    "bond option {name}: {asked} ms is not a multiple of miimon ({} ms), rounded down to {} ms; \
                     miimon=0 allows any value",
                    self.miimon,
                    used.as_millis()
                )
            })
        };
        let delays = [
            rounded("updelay", self.updelay, self.updelay()),
            rounded("downdelay", self.downdelay, self.downdelay()),
            rounded("peer_notif_delay", self.peer_notif_delay, self.peer_notif_delay_set()),
        ];
        delays.into_iter().flatten().chain(self.without_effect()).collect()
    }

    /// Options that are stored and change nothing, with the reason.
    fn without_effect(&self) -> impl Iterator<Item = String> {
        let mode = self.mode;
        let stored = |name, told: bool, why: &str| {
            told.then(|| format!("bond option {name}: it is stored, but {why}"))
        };
        let own_macs = "members keep their own addresses and guests' frames their guests', so none need be swapped; \
                        it is as none";
        // All members are in use, so that none takes over.
        let announces_nothing = matches!(mode, Mode::BalanceRr | Mode::BalanceXor | Mode::Broadcast);
        let announcements =
            format!("in mode {mode} no member takes over from another, so nothing is announced");
        let probe = &self.probe;
        let (on, validates) = (self.probes(), probe.validate != Validate::None);
        let ignored = |option| format!("mode {mode} ignores it; it belongs to {option}");
        [
            stored(
                "min_links",
                self.lacp.min_links > 0 && mode != Mode::Ieee8023ad,
                "as in Linux it has an effect in mode 802.3ad only; this bond has carrier as long as one member is \
                 usable",
            ),
            stored(
                "ad_select",
                self.lacp.ad_select != lacp::AdSelect::Stable && mode != Mode::Ieee8023ad,
                &ignored(Mode::Ieee8023ad),
            ),
            stored(
                "rebalance_interval",
                self.rebalance_interval.is_some_and(|ms| ms > 0) && self.rebalancing().is_zero(),
                &match mode {
                    Mode::BalanceTlb | Mode::BalanceAlb => "with tlb_dynamic_lb=0 no buckets move by load".to_owned(),
                    _ => format!(
                        "mode {mode} moves no buckets by load; balance-tlb, balance-slb, balance-xor and 802.3ad do"
                    ),
                },
            ),
            stored(
                "arp_interval",
                probe.interval > 0 && !probe.is_on(),
                "nothing is probed without a target (arp_ip_target or ns_ip6_target)",
            ),
            stored(
                "arp_ip_target",
                probe.interval == 0 && probe.targets().next().is_some(),
                "nothing is probed without an interval (arp_interval)",
            ),
            stored(
                "arp_all_targets",
                on && probe.all_targets && !(validates && mode == Mode::ActiveBackup),
                "as in Linux it has an effect in active-backup and together with arp_validate only",
            ),
            stored(
                "resend_igmp",
                self.resend_igmp != 1 && !mode.has_active_member() && mode != Mode::BalanceRr,
                &format!("in mode {mode} groups come in by whichever member the switch picks, whatever guests say"),
            ),
            stored(
                "xmit_hash_policy",
                self.xmit_hash_policy != HashPolicy::Layer2
                    && matches!(mode, Mode::BalanceRr | Mode::ActiveBackup | Mode::Broadcast),
                &format!("mode {mode} picks no member by a hash"),
            ),
            stored(
                "primary_reselect",
                self.primary_reselect != PrimaryReselect::Always && !mode.has_active_member(),
                &format!("mode {mode} has no active member"),
            ),
            stored("num_grat_arp", self.num_grat_arp != 1 && announces_nothing, &announcements),
            stored("peer_notif_delay", self.peer_notif_delay != 0 && announces_nothing, &announcements),
            stored(
                "all_slaves_active",
                self.all_slaves_active && announces_nothing,
                &format!("in mode {mode} every member that has carrier lets frames in anyway"),
            ),
            stored(
                "lp_interval",
                self.lp_interval != 1 && mode != Mode::BalanceAlb,
                match mode {
                    Mode::BalanceTlb => {
                        "nothing is received by members' own addresses, so the switch need not be reminded of them"
                    }
                    _ => "as in Linux it has an effect in modes balance-tlb and balance-alb only",
                },
            ),
            stored(
                "fail_over_mac",
                self.fail_over_mac != FailOverMac::None && mode != Mode::ActiveBackup,
                &ignored(Mode::ActiveBackup),
            ),
            stored(
                "fail_over_mac",
                self.fail_over_mac == FailOverMac::Follow && mode == Mode::ActiveBackup,
                own_macs,
            ),
            stored(
                "hash_buckets",
                self.hash_buckets != 0
                    && !matches!(mode, Mode::BalanceXor | Mode::Ieee8023ad | Mode::BalanceTlb | Mode::BalanceAlb),
                "only modes balance-xor, 802.3ad and balance-tlb have such a table",
            ),
        ]
        .into_iter()
        .flatten()
    }
}
