//! Whatever happens to a bond, in whatever order: what its plan, admissions, carrier and events must always be.

use core::time::Duration;
use std::collections::HashSet;

use bond_port::{Bond, BondEvent, LinkReport, LinkState, Member, MemberOptions, MemberStatus, Mode};
use forwarding::bucket_set::BucketSet;
use forwarding::ids::DeviceId;
use forwarding::tables::{Admission, TransmitPlan};
use proptest::prelude::*;

use crate::rig::{mac, ms, name, options};

const NAMES: usize = 4;

#[derive(Debug, Clone)]
enum Op {
    Add(usize),
    Remove(usize),
    Link {
        member: usize,
        device: u16,
        up: bool,
    },
    Gone(usize),
    Pass(u64),
    /// The deadline is met late by this many milliseconds.
    Late(u64),
    SetActive(usize),
    Disable(usize, bool),
    Restore(usize),
    Prio(usize, i32),
    Options(&'static str),
}

fn op() -> impl Strategy<Value = Op> {
    let words = prop_oneof![
        Just("mode=1"),
        Just("mode=1 primary=eth1"),
        Just("mode=1 num_grat_arp=4 peer_notif_delay=150 all_slaves_active=1"),
        Just("mode=1 primary=eth2 primary_reselect=better updelay=300"),
        Just("mode=1 primary=eth0 primary_reselect=failure downdelay=200"),
        Just("mode=1 all_slaves_active=1 updelay=700 downdelay=700"),
        Just("mode=0"),
        Just("mode=0 packets_per_slave=3 updelay=400 downdelay=200"),
        Just("mode=3"),
        Just("mode=3 updelay=300"),
        Just("mode=2"),
        Just("mode=2 hash_buckets=256 updelay=400"),
        Just("mode=2 miimon=100 updelay=350 downdelay=250"),
        Just("mode=5"),
        Just("mode=5 tlb_dynamic_lb=0 updelay=300 downdelay=300 num_grat_arp=2"),
        Just("mode=5 primary=eth1 rebalance_interval=0 updelay=200 all_slaves_active=1"),
        Just("mode=6"),
        Just("mode=6 arp_interval=200 arp_ip_target=192.0.2.1 updelay=200"),
        Just("mode=balance-slb"),
        Just("mode=balance-slb rebalance_interval=0 primary=eth1 num_grat_arp=3 updelay=400 downdelay=200"),
        Just("mode=1 flap_limit=2/5 updelay=100"),
        Just("mode=2 flap_limit=3/2 downdelay=100"),
        Just("mode=1 arp_interval=200 arp_ip_target=192.0.2.1 arp_validate=all flap_limit=2/3"),
        Just(
            "mode=0 arp_interval=300 arp_ip_target=192.0.2.1 ns_ip6_target=fe80::1 updelay=200 downdelay=100"
        ),
        Just("mode=4 updelay=300"),
        Just("mode=4 lacp_rate=fast lacp_strict=on hash_buckets=256"),
        Just("mode=4 max_links=1 min_links=1 coupled_control=off downdelay=200"),
    ];
    prop_oneof![
        2 => (0..NAMES).prop_map(Op::Add),
        1 => (0..NAMES).prop_map(Op::Remove),
        8 => (0..NAMES, 0..2u16, any::<bool>())
            .prop_map(|(member, n, up)| Op::Link { member, device: member as u16 + 100 * n, up }),
        1 => (0..NAMES).prop_map(Op::Gone),
        3 => (0..1500u64).prop_map(Op::Pass),
        2 => (0..100u64).prop_map(Op::Late),
        2 => (0..NAMES).prop_map(Op::SetActive),
        2 => (0..NAMES, any::<bool>()).prop_map(|(member, disabled)| Op::Disable(member, disabled)),
        1 => (0..NAMES).prop_map(Op::Restore),
        2 => (0..NAMES, -2..3).prop_map(|(member, prio)| Op::Prio(member, prio)),
        2 => words.prop_map(Op::Options),
    ]
}

/// What a follower of the events believes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    carrier: bool,
    active: Option<String>,
}

struct World {
    bond: Bond,
    now: Duration,
    told: Told,
    revision: u64,
    seen: (TransmitPlan, Vec<(Option<DeviceId>, Admission)>),
}

impl World {
    fn new() -> Self {
        let options = options("mode=1");
        let bond = Bond::new("bond0", options.clone(), plugins::balancer(options.mode));
        let seen = (bond.plan().clone(), Vec::new());
        Self { bond, now: ms(0), told: Told::default(), revision: 0, seen }
    }

    fn apply(&mut self, op: &Op) {
        let now = self.now;
        match op {
            Op::Add(member) => drop(self.bond.add_member(now, &name(*member))),
            Op::Remove(member) => drop(self.bond.remove_member(now, &name(*member))),
            Op::Link { member, device, up } => {
                let report = LinkReport {
                    device: DeviceId(*device),
                    up: *up,
                    speed_mbps: Some(1_000),
                    full_duplex: None,
                    receive_hash: None,
                    mac: mac(*member),
                };
                self.bond.handle_link(now, &name(*member), Some(report));
            }
            Op::Gone(member) => self.bond.handle_link(now, &name(*member), None),
            Op::Pass(time) => {
                let end = now + ms(*time);
                while let Some(deadline) = self.bond.next_deadline().filter(|deadline| *deadline <= end) {
                    self.timeout(deadline.max(self.now));
                }
                self.now = end;
            }
            Op::Late(late) => {
                if let Some(deadline) = self.bond.next_deadline() {
                    self.timeout(deadline.max(now) + ms(*late));
                }
            }
            Op::SetActive(member) => {
                let up = self.bond.member(&name(*member)).is_some_and(|member| member.is_up());
                let set = self.bond.set_active_member(now, &name(*member));
                assert_eq!(set.is_ok(), up && self.bond.options().mode.has_active_member());
                if set.is_ok() {
                    assert_eq!(self.bond.active(), Some(&*name(*member)));
                }
            }
            Op::Disable(member, disabled) => {
                let member = &*name(*member);
                let was = self.bond.member(member).map(|member| member.is_disabled());
                let changed = match disabled {
                    true => self.bond.disable_member(now, member),
                    false => self.bond.enable_member(now, member),
                };
                assert_eq!(changed.ok(), was.map(|was| was != *disabled));
            }
            Op::Restore(member) => self.bond.restore_active(&name(*member)),
            Op::Prio(member, prio) => {
                let options = MemberOptions { prio: *prio, ..MemberOptions::default() };
                drop(self.bond.set_member_options(now, &name(*member), options));
            }
            Op::Options(words) => {
                let options = options(words);
                let other = options.mode != self.bond.options().mode;
                let balancer = other.then(|| plugins::balancer(options.mode));
                self.bond.reconfigure(now, options, balancer);
            }
        }
    }

    /// The executors follow at once, and what a mode sends is sent (to nobody).
    fn settle(&mut self) {
        while self.bond.is_unconfirmed() {
            self.bond.confirm(self.now);
        }
        while self.bond.poll_transmit(self.now).is_some() {}
    }

    fn timeout(&mut self, now: Duration) {
        self.now = now;
        self.bond.handle_timeout(now);
        self.settle();
        assert!(self.bond.next_deadline().is_none_or(|deadline| deadline > now), "the daemon would spin");
        self.check();
    }

    fn check(&mut self) {
        self.settle();
        let bond = &mut self.bond;
        let speaks_lacp = bond.lacp().is_some();
        let members = bond.members();
        let usable: Vec<DeviceId> = members
            .iter()
            .filter(|member| member.is_usable())
            .map(|member| member.device().expect("a usable member has a device"))
            .collect();
        let planned: Vec<DeviceId> = match bond.plan() {
            TransmitPlan::Drop(_) => Vec::new(),
            TransmitPlan::One(device) => vec![*device],
            TransmitPlan::Buckets { table: members, .. }
            | TransmitPlan::Balanced { table: members, .. }
            | TransmitPlan::RoundRobin { members, .. }
            | TransmitPlan::All { members } => members.to_vec(),
        };
        assert!(planned.iter().all(|device| usable.contains(device)), "{planned:?} of {usable:?}");
        assert_eq!(bond.carrier(), !planned.is_empty());
        if let TransmitPlan::Buckets { table, .. } = bond.plan() {
            let lets = |device: &DeviceId| {
                let sender = members.iter().find(|member| member.device() == Some(*device)).unwrap();
                bond.port_of(sender).is_none_or(|port| port.wanted.distributing)
            };
            assert!(table.iter().all(lets), "LACP lets it send");
            let up = members.iter().filter(|member| member.is_up()).count();
            match bond.options().buckets() as u16 {
                0 if speaks_lacp => assert!(table.len() <= usable.len()),
                0 => assert_eq!(table.len(), up),
                buckets => assert_eq!(table.len(), usize::from(buckets)),
            }
        }
        if let TransmitPlan::RoundRobin { members: planned, .. } | TransmitPlan::All { members: planned } =
            bond.plan()
        {
            let up = members.iter().filter(|member| member.is_up());
            assert!(planned.iter().copied().eq(up.filter_map(|member| member.device())), "{planned:?}");
        }
        if !speaks_lacp && members.iter().any(|member| member.is_up()) {
            assert!(bond.carrier(), "a member that is up carries");
        }
        assert!(
            speaks_lacp
                || bond.carrier()
                || members.iter().all(|member| member.is_disabled() || member.link() != LinkState::GoingBack),
            "updelay is skipped when there is nothing else"
        );

        let active = bond.active().map(|active| bond.member(active).expect("the active one is a member"));
        match bond.plan() {
            TransmitPlan::One(device) => {
                let active = active.expect("One means there is an active member");
                assert_eq!(active.device(), Some(*device));
                assert!(matches!(active.admission(), Admission::All | Admission::AllButReflected));
            }
            TransmitPlan::Buckets { table, .. } if bond.options().mode == Mode::BalanceSlb => {
                assert!(active.expect("there is an active member").is_up());
                is_let_in_once(members, table);
            }
            TransmitPlan::Balanced { table, home, .. } => {
                let active = active.expect("home is the active member");
                assert_eq!(active.device(), Some(*home));
                assert!(matches!(active.admission(), Admission::All | Admission::AllButReflected));
                let senders = members.iter().filter(|member| member.is_up()).count().max(1);
                let dynamic = bond.options().tlb_dynamic_lb;
                assert_eq!(table.len(), if dynamic { 256 } else { senders });
                assert_eq!(table.iter().collect::<HashSet<_>>().len(), senders, "each member has its share");
                receives_by_addresses(bond, *home);
            }
            _ => assert!(active.is_none()),
        }
        let group = matches!(bond.options().mode, Mode::BalanceRr | Mode::BalanceXor | Mode::Broadcast);
        for member in members {
            match member.link() {
                LinkState::Down if group => assert_eq!(member.admission(), Admission::AllButReflected),
                LinkState::Down => assert_eq!(member.admission(), Admission::Nothing),
                LinkState::GoingDown => assert_ne!(member.admission(), Admission::Grace),
                LinkState::GoingBack | LinkState::Up => {}
            }
        }
        let names: Vec<&str> = members.iter().map(|member| member.name()).collect();
        let of = |member: &str| members.iter().find(|known| known.name() == member).unwrap().admission();
        assert!(names.iter().all(|member| bond.admission(member) == of(member)));

        let devices = members.iter().map(|member| (member.device(), member.admission())).collect();
        let seen = (bond.plan().clone(), devices);
        if seen != self.seen {
            assert!(bond.revision() > self.revision, "a change that nobody would notice");
        }
        self.revision = bond.revision();
        self.seen = seen;

        while let Some(event) = bond.poll_event() {
            match event {
                BondEvent::CarrierChanged(carrier) => {
                    assert_ne!(self.told.carrier, carrier);
                    self.told.carrier = carrier;
                }
                BondEvent::ActiveChanged { old, new, .. } => {
                    assert_eq!(self.told.active, old);
                    assert_ne!(old, new);
                    self.told.active = new;
                }
                // With LACP by the member that carries for want of a partner, which may be over by now.
                BondEvent::Announce { member, buckets: Some(buckets) } => {
                    assert!(bond.options().mode == Mode::BalanceSlb && !buckets.is_empty());
                    // When all have failed since then, it goes nowhere.
                    if let TransmitPlan::Buckets { table, .. } = bond.plan() {
                        let own = (0..).zip(&table[..]).filter(|(_, device)| **device == member);
                        let own: BucketSet = own.map(|(bucket, _)| bucket).collect();
                        assert!(buckets.without(own).is_empty());
                    }
                }
                BondEvent::Announce { member, buckets: None } => {
                    let active = match bond.plan() {
                        TransmitPlan::One(device) | TransmitPlan::Balanced { home: device, .. } => {
                            Some(*device)
                        }
                        _ => None,
                    };
                    assert!(speaks_lacp || active == Some(member));
                }
                BondEvent::MemberLink { from, to, .. } => assert_ne!(from, to),
                BondEvent::MemberDisabled { .. }
                | BondEvent::BucketMoved { .. }
                | BondEvent::Lacp { .. }
                | BondEvent::Probed { .. }
                | BondEvent::Target { .. }
                | BondEvent::Damped { .. } => {}
            }
        }
        let now_so = Told { carrier: bond.carrier(), active: bond.active().map(str::to_owned) };
        assert_eq!(self.told, now_so);
        let status = bond.status(self.now);
        let alive = |member: &&MemberStatus| {
            member.carrier && !member.disabled && member.probe.is_none_or(|probe| probe.alive)
        };
        let usable = members_usable(bond);
        assert!(
            usable || !status.members.iter().filter(alive).any(|member| member.held.is_some()),
            "a link that flaps is better than none"
        );
        let explained = bond.explain(self.now);
        assert!(
            explained
                .members
                .iter()
                .all(|(_, lines)| lines[0].starts_with("sends ") || lines[0].starts_with("sends:"))
        );
        assert_eq!(explained.summary.contains("has carrier"), bond.carrier());
        assert!(bond.proc_text("6.1.0").ends_with('\n'));
        assert_eq!(
            status.members.iter().filter(|member| member.active).count(),
            usize::from(bond.active().is_some())
        );
    }
}

/// In balance-alb each address is received for by its own member, if that is up, or else by the active one, and none is named
/// that nobody receives for.
fn receives_by_addresses(bond: &Bond, home: DeviceId) {
    let Some(plan) = bond.receive() else {
        assert_ne!(bond.options().mode, Mode::BalanceAlb);
        return;
    };
    assert_eq!(bond.options().mode, Mode::BalanceAlb);
    let addresses: HashSet<_> = plan.own.iter().map(|(mac, _)| *mac).collect();
    assert_eq!(addresses.len(), plan.own.len(), "an address is one member's");
    for (mac, device) in &plan.own {
        let member = bond.members().iter().find(|member| member.mac() == Some(*mac)).expect("a member's");
        let expected = member.device().filter(|_| member.is_up()).unwrap_or(home);
        assert_eq!(*device, expected, "{}", member.name());
    }
    assert!(plan.table.iter().flatten().all(|mac| addresses.contains(mac)));
}

/// Of what the switch floods each copy is let in by one member, and what it sends by the one that sends for the address.
fn is_let_in_once(members: &[Member], table: &[DeviceId]) {
    let mut groups_by = 0;
    for member in members {
        let held = (0..).zip(table).filter(|(_, device)| Some(**device) == member.device());
        let held: BucketSet = held.map(|(bucket, _)| bucket).collect();
        match member.admission() {
            Admission::Buckets { own, lately, groups } => {
                assert_eq!(own, held);
                assert_eq!(lately.without(own), lately);
                groups_by += usize::from(groups);
            }
            admission => assert!(admission == Admission::Nothing && held.is_empty(), "{admission:?}"),
        }
    }
    assert_eq!(groups_by, 1);
}

fn members_usable(bond: &Bond) -> bool {
    bond.members().iter().any(|member| member.is_usable() || member.link() == LinkState::GoingBack)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_bond_keeps_its_promises(ops in proptest::collection::vec(op(), 1..60)) {
        let mut world = World::new();
        for op in &ops {
            world.apply(op);
            world.check();
        }
        // Left alone, a bond comes to rest.
        world.apply(&Op::Pass(10_000));
        world.check();
        // LACP and link probes never cease to speak.
        let speaks = world.bond.lacp().is_some() || world.bond.prober().is_some();
        prop_assert!(speaks || world.bond.next_deadline().is_none());
    }
}
