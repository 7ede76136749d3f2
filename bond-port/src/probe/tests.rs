//! Linux's rules, one by one, in virtual time. The interval is 100 ms.

use super::*;

mod active_backup;
mod senders;

use core::net::Ipv4Addr;
use forwarding::solicit::{arp_request, neighbour_solicitation};
use proptest::prelude::*;

const A: MemberId = MemberId(0);
const B: MemberId = MemberId(1);
const C: MemberId = MemberId(2);
const T1: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const T2: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const US: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 50);
const TARGET_MAC: MacAddr = MacAddr([2, 0, 0, 0, 9, 1]);
const BRIDGE_MAC: MacAddr = MacAddr([2, 0, 0, 0, 8, 1]);

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn mac(id: MemberId) -> MacAddr {
    MacAddr([2, 0, 0, 0, 1, id.number() as u8 + 1])
}

fn options(validate: Validate) -> ProbeOptions {
    ProbeOptions {
        interval: 100,
        ip_targets: vec![T1],
        validate,
        source: Some(US),
        ..ProbeOptions::default()
    }
}

/// A prober with its members, and a clock that does what the bond does.
struct Rig {
    prober: Prober,
    now: Duration,
    devices: Vec<Device>,
    active: Option<MemberId>,
    /// Frames of the last interval.
    sent: Vec<(MemberId, Vec<u8>)>,
    frames: u64,
}

impl Rig {
    /// All members have carrier from the beginning on. With an active member it is active-backup.
    fn new(options: ProbeOptions, members: &[MemberId], active: Option<MemberId>) -> Self {
        let now = ms(10_000);
        let device = |id: &MemberId| Device { id: *id, carrier: Some(true), mac: Some(mac(*id)) };
        let devices: Vec<_> = members.iter().map(device).collect();
        let prober = Prober::new(now - SOON, options, active.is_some());
        let mut rig = Self { prober, now, devices, active, sent: Vec::new(), frames: 0 };
        rig.sync();
        rig
    }

    fn sync(&mut self) {
        self.prober.sync(self.now, &self.devices, self.active);
    }

    fn set_active(&mut self, active: Option<MemberId>) {
        self.active = active;
        self.sync();
    }

    fn set_carrier(&mut self, id: MemberId, carrier: bool) {
        self.devices.iter_mut().filter(|device| device.id == id).for_each(|d| d.carrier = Some(carrier));
        self.sync();
    }

    /// Judges and asks; then 10 ms pass.
    fn tick(&mut self) {
        assert!(self.prober.is_due(self.now));
        self.prober.judge(self.now);
        self.sync();
        self.prober.ask(self.now);
        self.sent = core::iter::from_fn(|| self.prober.poll_transmit()).collect();
        self.now += ms(10);
    }

    /// The rest of the interval passes.
    fn rest(&mut self) {
        self.now += ms(90);
    }

    /// So many intervals in which nothing is heard.
    fn silence(&mut self, intervals: usize) {
        for _ in 0..intervals {
            self.tick();
            self.rest();
        }
    }

    /// An interval in which a frame arrives at each of these members.
    fn interval(&mut self, heard: &[(MemberId, Vec<u8>)]) {
        self.tick();
        for (id, frame) in heard {
            self.prober.handle_frame(self.now, *id, frame);
        }
        self.rest();
    }

    /// A member has received frames of whatever kind.
    fn traffic(&mut self, id: MemberId) {
        self.prober.count(self.now, id, self.frames);
        self.frames += 1;
        self.prober.count(self.now, id, self.frames);
    }

    fn alive(&self) -> Vec<bool> {
        self.devices.iter().map(|device| self.prober.is_alive(device.id)).collect()
    }

    fn senders(&self) -> Vec<MemberId> {
        self.sent.iter().map(|(id, _)| *id).collect()
    }

    fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.prober.poll_event()).collect()
    }
}

/// A target's reply to a member.
fn reply_to(target: Ipv4Addr, to: Ipv4Addr, to_mac: MacAddr) -> Vec<u8> {
    let mut frame = arp_request(TARGET_MAC, target, to);
    frame[..6].copy_from_slice(&to_mac.0);
    // Operation and target's address (RFC 826).
    frame[20..22].copy_from_slice(&[0, 2]);
    frame[32..38].copy_from_slice(&to_mac.0);
    frame.to_vec()
}

fn reply(target: Ipv4Addr, id: MemberId) -> Vec<u8> {
    reply_to(target, US, mac(id))
}

/// A member's own request.
fn request(id: MemberId, target: Ipv4Addr) -> Vec<u8> {
    arp_request(mac(id), US, target).to_vec()
}

fn somebodys() -> Vec<u8> {
    arp_request(MacAddr([2, 0, 0, 0, 7, 7]), Ipv4Addr::new(10, 0, 0, 7), Ipv4Addr::new(10, 0, 0, 8)).to_vec()
}

// --- Members that share the load (bond_loadbalance_arp_mon).

#[test]
fn each_member_asks_each_target_in_each_interval() {
    let both = ProbeOptions { ip_targets: vec![T1, T2], ..options(Validate::All) };
    let mut rig = Rig::new(both, &[A, B, C], None);
    rig.set_carrier(C, false);
    rig.tick();
    assert_eq!(rig.senders(), [A, A, B, B], "not without carrier");
    assert_eq!(rig.sent[0].1, arp_request(mac(A), US, T1));
    assert_eq!(rig.sent[3].1, arp_request(mac(B), US, T2));
    assert_eq!(rig.prober.next_deadline(), ms(10_100));
}

#[test]
fn a_member_that_hears_nothing_is_down_after_missed_max_intervals_and_a_half() {
    for missed_max in [1, 2, 5] {
        let options = ProbeOptions { missed_max, ..options(Validate::All) };
        let mut rig = Rig::new(options, &[A, B], None);
        for _ in 0..5 {
            rig.interval(&[(A, reply(T1, A)), (B, reply(T1, B))]);
        }
        // B's last answer was 90 ms ago. The limit is missed_max + 1/2 intervals.
        for age in 1..=u64::from(missed_max) {
            rig.interval(&[(A, reply(T1, A))]);
            assert_eq!(rig.alive(), [true, true], "{missed_max}: after {} ms", age * 100 - 10);
        }
        rig.interval(&[(A, reply(T1, A))]);
        assert_eq!(rig.alive(), [true, false], "{missed_max}");
        rig.interval(&[(A, reply(T1, A)), (B, reply(T1, B))]);
        assert_eq!(rig.alive(), [true, false], "judged before it is heard");
        rig.tick();
        assert_eq!(rig.alive(), [true, true], "one answer within the interval is enough");
    }
}

#[test]
fn a_new_member_has_its_time_and_one_with_late_carrier_must_prove_itself() {
    let mut rig = Rig::new(options(Validate::All), &[A], None);
    rig.devices.push(Device { id: B, carrier: Some(false), mac: Some(mac(B)) });
    rig.sync();
    assert_eq!(rig.alive(), [true, false]);
    rig.set_carrier(B, true);
    rig.silence(3);
    assert_eq!(rig.alive(), [true, false], "2.5 intervals are A's");
    rig.tick();
    assert_eq!(rig.alive(), [false, false]);
    rig.prober.handle_frame(rig.now, B, &reply(T1, B));
    rig.rest();
    rig.tick();
    assert_eq!(rig.alive(), [false, true]);
}

#[test]
fn carrier_that_comes_back_proves_nothing() {
    let mut rig = Rig::new(options(Validate::All), &[A], None);
    rig.interval(&[(A, reply(T1, A))]);
    rig.set_carrier(A, false);
    rig.set_carrier(A, true);
    rig.tick();
    assert_eq!(rig.alive(), [false], "the answer was from before");
}

// --- What counts: arp_validate.

/// Whether a frame that is no answer keeps a member of a load-balancing mode alive, and whether an answer does.
fn keeps_alive(validate: Validate, feed: impl Fn(&mut Rig)) -> bool {
    let mut rig = Rig::new(options(validate), &[A], None);
    for _ in 0..6 {
        rig.tick();
        feed(&mut rig);
        rig.rest();
    }
    rig.prober.is_alive(A)
}

#[test]
fn arp_validate_where_all_are_active() {
    use Validate::*;
    let cases = [
        // Any frame, any ARP, an answer.
        (None, [true, true, true]),
        (Active, [false, false, true]),
        (Backup, [true, true, true]),
        (All, [false, false, true]),
        (Filter, [false, true, true]),
        (FilterActive, [false, false, true]),
        (FilterBackup, [false, true, true]),
    ];
    for (validate, expected) in cases {
        let frame = |frame: Vec<u8>| {
            keeps_alive(validate, |rig| {
                rig.prober.handle_frame(rig.now, A, &frame);
                // Frames are counted too.
                rig.traffic(A);
            })
        };
        let traffic = keeps_alive(validate, |rig| rig.traffic(A));
        assert_eq!([traffic, frame(somebodys()), frame(reply(T1, A))], expected, "{validate:?}");
    }
}

#[test]
fn arp_validate_of_a_backup() {
    use Validate::*;
    let cases = [
        // Any frame, any ARP, the active member's request, a target's reply.
        (None, [true, true, true, true]),
        (Active, [true, true, true, true]),
        (Backup, [false, false, true, false]),
        (All, [false, false, true, false]),
        (Filter, [false, true, true, true]),
        (FilterActive, [false, true, true, true]),
        (FilterBackup, [false, false, true, false]),
    ];
    for (validate, expected) in cases {
        let alive = |frame: Option<Vec<u8>>| {
            let mut rig = Rig::new(options(validate), &[A, B], Some(A));
            for _ in 0..8 {
                rig.tick();
                // The active member lives by whatever counts.
                rig.prober.handle_frame(rig.now, A, &reply(T1, A));
                rig.traffic(A);
                if let Some(frame) = &frame {
                    rig.prober.handle_frame(rig.now, B, frame);
                }
                rig.traffic(B);
                rig.rest();
            }
            assert!(rig.prober.is_alive(A), "{validate:?}");
            rig.prober.is_alive(B)
        };
        let found = [
            alive(Option::None),
            alive(Some(somebodys())),
            alive(Some(request(A, T1))),
            alive(Some(reply(T1, A))),
        ];
        assert_eq!(found, expected, "{validate:?}");
    }
}

#[test]
fn what_is_no_answer() {
    let stranger = MacAddr([2, 0, 0, 0, 7, 7]);
    let cases = [
        ("of another host", reply(T2, A)),
        ("to another host", reply_to(T1, Ipv4Addr::new(192, 0, 2, 51), mac(A))),
        ("to another station", reply_to(T1, US, stranger)),
        ("a request of ours", request(A, T1)),
        ("cut off", reply(T1, A)[..40].to_vec()),
    ];
    for (what, frame) in cases {
        let alive = keeps_alive(Validate::All, |rig| rig.prober.handle_frame(rig.now, A, &frame));
        assert!(!alive, "{what}");
    }
    let asks_us = arp_request(TARGET_MAC, T1, US);
    assert!(
        keeps_alive(Validate::All, |rig| rig.prober.handle_frame(rig.now, A, &asks_us)),
        "a target that asks for us"
    );
}

#[test]
fn another_hosts_probe_of_the_same_target_is_not_ours() {
    let mut rig = Rig::new(options(Validate::All), &[A, B], Some(A));
    let others = arp_request(MacAddr([2, 0, 0, 0, 7, 7]), US, T1).to_vec();
    for _ in 0..8 {
        rig.interval(&[(A, reply(T1, A)), (B, others.clone())]);
    }
    assert_eq!(rig.alive(), [true, false]);
}

// --- arp_all_targets.

#[test]
fn any_target_or_all_of_them() {
    let cases = [
        (false, Validate::Active, true),
        (true, Validate::Active, false),
        // What is not looked at closely has no targets.
        (true, Validate::None, true),
        (true, Validate::Backup, true),
    ];
    for (all_targets, validate, expected) in cases {
        let options = ProbeOptions { ip_targets: vec![T1, T2], all_targets, ..options(validate) };
        let mut rig = Rig::new(options, &[A], Some(A));
        for _ in 0..10 {
            rig.interval(&[(A, reply(T1, A)), (A, reply(T2, A))]);
            rig.traffic(A);
        }
        assert_eq!(rig.alive(), [true]);
        for _ in 0..4 {
            rig.interval(&[(A, reply(T1, A))]);
            rig.traffic(A);
        }
        assert_eq!(rig.alive(), [expected], "{all_targets} {validate:?}");
    }
}

// --- What is told, and changes while it runs.

#[test]
fn a_target_that_falls_silent_is_told_of_once_and_once_more_when_it_is_back() {
    let both = ProbeOptions { ip_targets: vec![T1, T2], ..options(Validate::All) };
    let mut rig = Rig::new(both, &[A], None);
    for _ in 0..10 {
        rig.interval(&[(A, reply(T1, A))]);
    }
    let never = Event::Target { target: T2.into(), answers: false };
    assert_eq!(rig.events(), [never]);
    let shown: Vec<_> = rig.prober.targets(rig.now).map(|target| (target.answers, target.age)).collect();
    assert_eq!(shown, [(true, Some(ms(90))), (false, None)]);
    rig.interval(&[(A, reply(T1, A)), (A, reply(T2, A))]);
    rig.interval(&[(A, reply(T1, A))]);
    assert_eq!(rig.events(), [Event::Target { target: T2.into(), answers: true }]);
}

#[test]
fn silence_says_nothing_when_we_were_late_to_ask() {
    let mut rig = Rig::new(options(Validate::All), &[A, B], None);
    for _ in 0..5 {
        rig.interval(&[(A, reply(T1, A)), (B, reply(T1, B))]);
    }
    // The daemon had no time for a second.
    rig.now += ms(1_000);
    rig.tick();
    assert_eq!(rig.alive(), [true, true]);
    rig.prober.handle_frame(rig.now, A, &reply(T1, A));
    rig.rest();
    rig.interval(&[(A, reply(T1, A))]);
    rig.interval(&[(A, reply(T1, A))]);
    rig.tick();
    assert_eq!(rig.alive(), [true, false], "B really is silent");
}

#[test]
fn other_targets_are_given_their_time() {
    let mut rig = Rig::new(options(Validate::All), &[A], None);
    for _ in 0..5 {
        rig.interval(&[(A, reply(T1, A))]);
    }
    let other = ProbeOptions { ip_targets: vec![T2], ..options(Validate::All) };
    rig.prober.reconfigure(rig.now, other, false);
    rig.sync();
    for _ in 0..2 {
        rig.interval(&[(A, reply(T1, A))]);
        assert_eq!(rig.alive(), [true]);
    }
    rig.silence(2);
    assert_eq!(rig.alive(), [false]);
}

#[test]
fn frames_are_counted_four_times_in_an_interval_where_they_count() {
    let mut rig = Rig::new(options(Validate::None), &[A], None);
    rig.tick();
    assert!(rig.prober.counts_frames());
    rig.prober.counted(rig.now);
    assert_eq!(rig.prober.next_deadline(), rig.now + ms(25));
    for validate in [Validate::All, Validate::Filter, Validate::FilterActive, Validate::FilterBackup] {
        assert!(!Rig::new(options(validate), &[A], None).prober.counts_frames(), "{validate:?}");
    }
}

#[test]
fn the_first_count_is_no_sign_of_life() {
    let mut rig = Rig::new(options(Validate::None), &[A], None);
    rig.silence(4);
    rig.prober.count(rig.now, A, 1000);
    rig.tick();
    assert_eq!(rig.alive(), [false]);
}

proptest! {
    /// Whatever arrives and however members come and go, nothing panics and time goes on.
    #[test]
    fn nothing_makes_it_stumble(
        steps in proptest::collection::vec((0..6u8, 0..3u32, proptest::collection::vec(any::<u8>(), 0..100)), 0..60),
        validate in 0..7usize,
        one_speaks in any::<bool>(),
        base in 0..4usize,
    ) {
        use Validate::*;
        let validate = [None, Active, Backup, All, Filter, FilterActive, FilterBackup][validate];
        let six: Ipv6Addr = "2001:db8::1".parse().unwrap();
        let options = ProbeOptions { ip6_targets: vec![six], all_targets: true, ..options(validate) };
        let mut rig = Rig::new(options, &[A, B, C], one_speaks.then_some(A));
        let good = [
            reply(T1, A),
            request(A, T1),
            senders::advertisement(six, solicit::link_local(mac(A)), mac(A)),
            neighbour_solicitation(mac(A), solicit::link_local(mac(A)), six).to_vec(),
        ];
        for (step, id, octets) in steps {
            let id = MemberId(id);
            match step {
                0 => rig.prober.handle_frame(rig.now, id, &octets),
                1 => {
                    // Damaged in a few places.
                    let mut frame = good[base].clone();
                    for pair in octets.chunks_exact(16) {
                        let at = usize::from(pair[0]) % frame.len();
                        frame[at] = pair[1];
                    }
                    frame.truncate(octets.len().max(12));
                    rig.prober.handle_frame(rig.now, id, &frame);
                }
                2 => rig.set_carrier(id, octets.len() % 2 == 0),
                3 if one_speaks => rig.set_active((octets.len() % 2 == 0).then_some(id)),
                4 => rig.devices.retain(|device| device.id != id),
                _ => {
                    if rig.prober.is_due(rig.now) {
                        rig.tick();
                    }
                    rig.now += ms(50);
                }
            }
            rig.sync();
            prop_assert!(rig.prober.next_deadline() <= rig.now + ms(100));
        }
    }
}
